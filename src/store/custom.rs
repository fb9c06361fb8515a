//! A store of the caller's own, registered under a scheme: `{ save, load, list, remove }`, all of which may be asynchronous.

use js_sys::{ArrayBuffer, Object};
use wasm_bindgen::{JsCast, JsValue};

use super::{Entry, Store, Which, corrupt, stored_model};
use crate::artifacts::Model;
use crate::context::Context;
use crate::error::Error;
use crate::info::Info;
use crate::js::{self, Failure, Result};

/// A registered store. A save or a remove that was begun is waited for, also after an abort: nobody else could say what came
/// of it. How safe it is against a crash is its own affair.
#[derive(Clone, Debug)]
pub struct Custom {
    /// The scheme it is registered under.
    pub scheme: String,
    /// The caller's object.
    pub store: JsValue,
}

impl Store for Custom {
    fn scheme(&self) -> &str {
        &self.scheme
    }

    async fn open(&self, path: &str, cx: &Context) -> Result<Model> {
        let (url, artifacts) = (self.url(path), self.call("load", path, None, cx).await?);
        if artifacts.is_undefined() || artifacts.is_null() {
            return Err(Error::NotFound { url }.into());
        }
        let mut model = stored_model(&artifacts, &url, Model::from_artifacts)?;
        model.saved = self.find(path, cx).await.ok().and_then(|entry| entry.saved());
        Ok(model)
    }

    async fn put(&self, path: &str, mut model: Model, cx: &Context) -> Result<Info> {
        let data = model.join(cx).await?.unwrap_or_else(|| ArrayBuffer::new(0));
        cx.check()?;
        if !cx.overwrite && self.find(path, cx).await.is_ok() {
            return Err(Error::AlreadyExists { url: self.url(path) }.into());
        }
        let info = model.header.info(u64::from(data.byte_length()))?;
        let answer = self.call("save", path, Some(&model.header.with_weights(Some(&data))), &cx.quiet()).await?;
        Ok(Info::from_js(&answer).unwrap_or(info))
    }

    async fn list(&self, _prefix: &str, cx: &Context) -> Result<Vec<Entry>> {
        let listed = self.listed(cx).await?;
        let paths = Object::keys(&listed);
        let entry = |path: String| {
            let info = Info::from_js(&js::get(&listed, &path));
            let damage =
                info.is_none().then(|| corrupt(&self.url(&path), "list", "a ModelArtifactsInfo", "something else"));
            Entry { path, info, damage }
        };
        Ok(paths.iter().filter_map(|path| js::text(&path)).map(entry).collect())
    }

    async fn row(&self, path: &str, cx: &Context) -> Result<Option<Entry>> {
        match self.find(path, cx).await {
            Err(failure) if matches!(failure.error(), Some(Error::NotFound { .. })) => Ok(None),
            found => found.map(Some),
        }
    }

    async fn remove(&self, path: &str, which: Which, cx: &Context) -> Result<Option<Entry>> {
        let entry = self.find(path, cx).await?;
        if !which.is(entry.saved()) {
            return Ok(None);
        }
        self.call("remove", path, None, &cx.quiet()).await?;
        Ok(Some(entry))
    }

    async fn rename(&self, _from: &str, _to: &str, _cx: &Context) -> Result<Option<Info>> {
        Ok(None)
    }
}

impl Custom {
    async fn call(&self, name: &str, path: &str, artifacts: Option<&Object>, cx: &Context) -> Result<JsValue> {
        let missing =
            || Error::argument(format!("registerStore(\"{}\")", self.scheme), format!("the store has no {name}()"));
        let method = js::method(&self.store, name).ok_or_else(missing)?;
        let outcome = match artifacts {
            Some(artifacts) => method.call2(&self.store, &path.into(), artifacts),
            None => method.call1(&self.store, &path.into()),
        };
        cx.settled(outcome).await
    }

    /// What is stored: a copy, since the caller's may throw at each look.
    async fn listed(&self, cx: &Context) -> Result<Object> {
        let listed = self.call("list", "", None, cx).await?;
        let wrong = |cause| Failure::argument(&self.url(""), "its list() cannot be read", cause);
        // Without a prototype, a path may be `__proto__`.
        Object::try_assign(&Object::create(JsValue::NULL.unchecked_ref()), listed.unchecked_ref()).map_err(wrong)
    }

    async fn find(&self, path: &str, cx: &Context) -> Result<Entry> {
        let listed = self.listed(cx).await?;
        if !Object::has_own(&listed, &path.into()) {
            return Err(Error::NotFound { url: self.url(path) }.into());
        }
        Ok(Entry { path: path.to_owned(), info: Info::from_js(&js::get(&listed, path)), damage: None })
    }
}
