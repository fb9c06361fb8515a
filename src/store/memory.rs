//! `memory://`: models that live as long as the page. The reference for the conformance suite.

use std::cell::RefCell;
use std::collections::BTreeMap;

use js_sys::{ArrayBuffer, Date};
use wasm_bindgen::{JsCast, JsValue};

use super::{Entry, Store};
use crate::artifacts::{Info, Model};
use crate::context::Context;
use crate::error::Error;
use crate::js::{self, Failure, Result};

thread_local! {
    static MODELS: RefCell<BTreeMap<String, (JsValue, Info)>> = RefCell::default();
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
        let mut model = Model::from_artifacts(&copy(&artifacts)?)?;
        model.saved = Some(info.saved);
        Ok(model)
    }

    async fn put(&self, path: &str, mut model: Model, cx: &Context) -> Result<Info> {
        let data = model.join(cx).await?.unwrap_or_else(|| ArrayBuffer::new(0));
        cx.check()?;
        let artifacts = copy(&model.header.with_weights(Some(&data)))?;
        let info = model.header.info(u64::from(data.byte_length()))?;
        self.may_write(path, cx)?;
        MODELS.with_borrow_mut(|models| models.insert(path.to_owned(), (artifacts, info)));
        Ok(info)
    }

    async fn list(&self, _cx: &Context) -> Result<Vec<Entry>> {
        Ok(MODELS.with_borrow(|models| models.iter().map(|(path, (_, info))| Entry::sound(path, *info)).collect()))
    }

    async fn remove(&self, path: &str, only_saved: Option<f64>, _cx: &Context) -> Result<Option<Entry>> {
        let (_, info) = self.find(path)?;
        if only_saved.is_some_and(|saved| saved != info.saved) {
            return Ok(None);
        }
        MODELS.with_borrow_mut(|models| models.remove(path));
        Ok(Some(Entry::sound(path, info)))
    }

    async fn rename(&self, from: &str, to: &str, cx: &Context) -> Result<Info> {
        let (artifacts, info) = self.find(from)?;
        self.may_write(to, cx)?;
        let info = Info { saved: Date::now(), ..info };
        MODELS.with_borrow_mut(|models| {
            models.remove(from);
            models.insert(to.to_owned(), (artifacts, info));
        });
        Ok(info)
    }
}

impl Memory {
    fn find(&self, path: &str) -> Result<(JsValue, Info)> {
        let found = MODELS.with_borrow(|models| models.get(path).cloned());
        found.ok_or_else(|| Error::NotFound { url: self.url(path) }.into())
    }

    fn may_write(&self, path: &str, cx: &Context) -> Result<()> {
        if !cx.overwrite && MODELS.with_borrow(|models| models.contains_key(path)) {
            return Err(Error::AlreadyExists { url: self.url(path) }.into());
        }
        Ok(())
    }
}

fn copy(artifacts: &JsValue) -> Result<JsValue> {
    let wrong =
        |cause| Failure::Known(Error::argument("model", "it holds something that cannot be copied"), Some(cause));
    js::structured_clone(artifacts.unchecked_ref()).map_err(wrong)
}
