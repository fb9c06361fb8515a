//! What a listable store can do. A medium is one file below `store/`; they know nothing of each other.

use js_sys::{Date, Object};

use crate::artifacts::{Info, Model};
use crate::context::Context;
use crate::error::Error;
use crate::js::{self, Result};

pub mod custom;
pub mod indexed_db;
pub mod local_storage;
pub mod memory;

/// A place where models live under paths. A path shows the whole old model or the whole new one, whatever fails.
pub trait Store {
    /// The scheme, without `://`.
    fn scheme(&self) -> &str;

    /// The URL of a path, for errors and listings.
    fn url(&self, path: &str) -> String {
        format!("{}://{path}", self.scheme())
    }

    /// The model at `path`, its sizes checked.
    async fn open(&self, path: &str, cx: &Context) -> Result<Model>;

    /// Stores a model, replacing what was there; resolves when it is committed.
    async fn put(&self, path: &str, model: Model, cx: &Context) -> Result<Info>;

    /// Everything that is stored, damaged entries marked.
    async fn list(&self, cx: &Context) -> Result<Vec<Entry>>;

    /// Removes a model, also a damaged one. With `only_saved`, nothing is removed (and the answer is `None`)
    /// when what is stored now was saved at another time.
    async fn remove(&self, path: &str, only_saved: Option<f64>, cx: &Context) -> Result<Option<Entry>>;

    /// Moves a model inside the store, replacing what was there.
    async fn rename(&self, from: &str, to: &str, cx: &Context) -> Result<Info>;
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
                js::set(&unknown, "dateSaved", &Date::new(&0.into()));
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

/// An [`Error::Corrupt`].
pub fn corrupt(url: &str, file: &str, expected: &str, received: impl Into<String>) -> Error {
    Error::Corrupt {
        url: url.to_owned(),
        file: file.to_owned(),
        expected: expected.to_owned(),
        received: received.into(),
    }
}
