//! `memory://`: models that live as long as the page. The reference for the conformance suite.

use std::cell::RefCell;

use js_sys::{Array, ArrayBuffer, Map, Object};
use wasm_bindgen::JsValue;

use super::{Entry, Store, Which};
use crate::artifacts::Model;
use crate::context::Context;
use crate::error::Error;
use crate::info::Info;
use crate::js::{self, Result};

thread_local! {
    /// From path to `{ artifacts, info }`.
    static MODELS: RefCell<Map> = RefCell::new(Map::new());
}

/// Keeps the models in this map, which another build of ours may share.
pub fn share(models: Map) {
    MODELS.set(models);
}

/// The memory of this page or worker.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory;

impl Store for Memory {
    fn scheme(&self) -> &str {
        "memory"
    }

    async fn open(&self, path: &str, _cx: &Context) -> Result<Model> {
        let (artifacts, info) = self.find(path)?;
        let copied = js::structured_clone(&artifacts).map_err(js::storage(&self.url(path), 0))?;
        let mut model = Model::from_own(&copied)?;
        model.saved = Some(info.saved);
        Ok(model)
    }

    async fn put(&self, path: &str, mut model: Model, cx: &Context) -> Result<Info> {
        let data = model.join(cx).await?.unwrap_or_else(|| ArrayBuffer::new(0));
        cx.check()?;
        let artifacts = model.header.with_weights(Some(&data));
        let artifacts = js::structured_clone(&artifacts).map_err(js::storage(&self.url(path), 0))?;
        let info = model.header.info(u64::from(data.byte_length()))?;
        self.keep(path, &artifacts, info, cx)
    }

    async fn list(&self, _prefix: &str, _cx: &Context) -> Result<Vec<Entry>> {
        let paths = MODELS.with_borrow(|models| Array::from(&models.keys()));
        let entry = |path: String| Some(Entry::sound(&path, self.find(&path).ok()?.1));
        Ok(paths.iter().filter_map(|path| entry(js::text(&path)?)).collect())
    }

    async fn row(&self, path: &str, _cx: &Context) -> Result<Option<Entry>> {
        Ok(self.find(path).ok().map(|(_, info)| Entry::sound(path, info)))
    }

    async fn remove(&self, path: &str, which: Which, _cx: &Context) -> Result<Option<Entry>> {
        let (_, info) = self.find(path)?;
        if !which.is(Some(info.saved)) {
            return Ok(None);
        }
        MODELS.with_borrow(|models| models.delete(&path.into()));
        Ok(Some(Entry::sound(path, info)))
    }

    async fn rename(&self, from: &str, to: &str, cx: &Context) -> Result<Option<Info>> {
        let (artifacts, info) = self.find(from)?;
        let info = self.keep(to, &artifacts, info, cx)?;
        MODELS.with_borrow(|models| models.delete(&from.into()));
        Ok(Some(info))
    }
}

impl Memory {
    fn find(&self, path: &str) -> Result<(JsValue, Info)> {
        let found = MODELS.with_borrow(|models| models.get(&path.into()));
        let info = Info::from_js(&js::get(&found, "info")).ok_or_else(|| Error::NotFound { url: self.url(path) })?;
        Ok((js::get(&found, "artifacts"), info))
    }

    fn keep(&self, path: &str, artifacts: &JsValue, info: Info, cx: &Context) -> Result<Info> {
        let replaced = self.find(path).ok().map(|(_, info)| info.saved);
        if !cx.overwrite && replaced.is_some() {
            return Err(Error::AlreadyExists { url: self.url(path) }.into());
        }
        let info = info.dated_after(replaced);
        let kept = Object::new();
        js::set(&kept, "artifacts", artifacts);
        js::set(&kept, "info", &info.to_js());
        MODELS.with_borrow(|models| models.set(&path.into(), &kept));
        Ok(info)
    }
}
