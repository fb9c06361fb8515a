//! What a listable store can do. A medium is one file below `store/`; they know nothing of each other.

use js_sys::Object;
use wasm_bindgen::JsValue;

use crate::artifacts::{Model, described};
use crate::context::Context;
use crate::error::Error;
use crate::info::Info;
use crate::js::{self, Result};

#[cfg(feature = "sharded")]
pub mod catalog;
pub mod custom;
#[cfg(feature = "node")]
pub mod file_system;
pub mod indexed_db;
pub mod local_storage;
pub mod memory;
#[cfg(feature = "sharded")]
pub mod pool;
#[cfg(feature = "sharded")]
pub mod sharded;

/// A place where models live under paths. A path shows the whole old model or the whole new one, whatever fails.
pub trait Store {
    /// The scheme, without `://`.
    fn scheme(&self) -> &str;

    /// The URL of a path, for errors and listings.
    fn url(&self, path: &str) -> String {
        format!("{}://{path}", self.scheme())
    }

    /// Whether two paths are one place.
    fn is_same(&self, path: &str, other: &str) -> bool {
        path == other
    }

    /// The path as a listing has it.
    fn listed<'a>(&self, path: &'a str) -> &'a str {
        path
    }

    /// The model at `path`, its sizes checked.
    async fn open(&self, path: &str, cx: &Context) -> Result<Model>;

    /// Stores a model, replacing what was there; resolves when it is committed.
    async fn put(&self, path: &str, model: Model, cx: &Context) -> Result<Info>;

    /// Everything that is stored, damaged entries marked. Who calls wants only paths that begin with `prefix`; a store may
    /// use that, or give all.
    async fn list(&self, prefix: &str, cx: &Context) -> Result<Vec<Entry>>;

    /// One row of that listing; `None` when nothing is there.
    async fn row(&self, path: &str, cx: &Context) -> Result<Option<Entry>>;

    /// Removes a model, also a damaged one. `None`: what is stored there now is not which was meant, and stays.
    async fn remove(&self, path: &str, which: Which, cx: &Context) -> Result<Option<Entry>>;

    /// Moves a model inside the store in one step, replacing what was there. `None`: this store cannot do it in one step.
    async fn rename(&self, from: &str, to: &str, cx: &Context) -> Result<Option<Info>>;

    /// Copies a model inside the store in one step, replacing what was there. `None`: this store cannot do it in one step.
    #[cfg(feature = "sharded")]
    async fn copy(&self, _from: &str, _to: &str, _cx: &Context) -> Result<Option<Info>> {
        Ok(None)
    }
}

/// Which model is to be removed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Which {
    /// Whatever is there.
    Any,
    /// Only the one that was saved at that time, in milliseconds since 1970; `None` when its date is unreadable.
    SavedAt(Option<f64>),
    /// Only one that was saved then or earlier, or that cannot be loaded.
    #[cfg(feature = "sharded")]
    NotAfter(f64),
}

impl Which {
    /// Whether a model with this date is meant.
    pub fn is(self, saved: Option<f64>) -> bool {
        match self {
            Which::Any => true,
            Which::SavedAt(then) => then == saved,
            #[cfg(feature = "sharded")]
            Which::NotAfter(then) => saved.is_none_or(|saved| saved <= then),
        }
    }
}

/// A row of a listing.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The path inside the store.
    pub path: String,
    /// What is known of it.
    pub info: Option<Info>,
    /// Why it cannot be loaded.
    pub damage: Option<Error>,
}

impl Entry {
    /// A sound entry.
    pub fn sound(path: &str, info: Info) -> Self {
        Self { path: path.to_owned(), info: Some(info), damage: None }
    }

    /// An entry that cannot be loaded.
    pub fn damaged(path: &str, damage: Error) -> Self {
        Self { path: path.to_owned(), info: None, damage: Some(damage) }
    }

    /// When it was saved, in milliseconds since 1970.
    pub fn saved(&self) -> Option<f64> {
        self.info.map(|info| info.saved)
    }

    /// The ModelArtifactsInfo, with `damage` where there is some.
    pub fn to_js(&self) -> Object {
        let info = match self.info {
            Some(info) => info.to_js(),
            None => {
                let unknown = Object::new();
                js::set(&unknown, "dateSaved", &js::date(&0.into()).into());
                js::set(&unknown, "modelTopologyType", &"JSON".into());
                unknown
            }
        };
        if let Some(damage) = &self.damage {
            js::set(&info, "damage", &js::to_js_error(damage, None));
        }
        info
    }
}

/// The model of artifacts that were stored: what is wrong with them is damage.
pub fn stored_model(artifacts: &JsValue, url: &str, read: fn(&JsValue) -> Result<Model>) -> Result<Model> {
    if !artifacts.is_object() || js::is_array(artifacts) {
        return Err(corrupt(url, "modelArtifacts", "an object", described(artifacts)).into());
    }
    let data = js::get_some(artifacts, "weightData").unwrap_or(JsValue::NULL);
    let pieces = if js::is_array(&data) { js::items(&data) } else { vec![data] };
    let is_bytes = |piece: &&JsValue| piece.is_null() || js::get(piece, "byteLength").as_f64().is_some();
    if let Some(piece) = pieces.iter().find(|piece| !is_bytes(piece)) {
        return Err(corrupt(url, "weightData", "an ArrayBuffer", described(piece)).into());
    }
    read(artifacts).map_err(|failure| failure.at_rest(url))
}

/// An [`Error::Corrupt`].
pub fn corrupt(url: &str, file: &str, expected: &str, received: impl Into<String>) -> Error {
    Error::Corrupt {
        url: url.to_owned(),
        file: file.to_owned(),
        expected: expected.to_owned(),
        received: received.into(),
    }
}
