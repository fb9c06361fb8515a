//! `indexeddb://`: TF.js's own records in TF.js's own database, written in one transaction over both object stores.

use js_sys::{Array, ArrayBuffer, Object, Set};
use wasm_bindgen::{JsCast, JsValue};

use super::{Entry, Store, corrupt};
use crate::artifacts::{Info, Model, described};
use crate::context::Context;
use crate::error::Error;
use crate::idb::{Connection, Write, answer};
use crate::js::{self, Result};

const DATABASE: &str = "tensorflowjs";
const KEY_PATH: &str = "modelPath";
const MODELS: &str = "models_store";
const INFOS: &str = "model_info_store";
/// In the order in which TF.js makes them.
const STORES: [&str; 2] = [MODELS, INFOS];

/// The IndexedDB of this origin.
#[derive(Clone, Copy, Debug, Default)]
pub struct IndexedDb;

impl Store for IndexedDb {
    fn scheme(&self) -> &str {
        "indexeddb"
    }

    async fn open(&self, path: &str, _cx: &Context) -> Result<Model> {
        let url = self.url(path);
        let db = connect(&url).await?;
        let request = db.reader(MODELS)?.get(&path.into()).map_err(js::storage(&url, 0))?;
        let record = answer(&request).await.map_err(js::storage(&url, 0))?;
        if !record.is_undefined() {
            return read(&record, &url);
        }
        let request = db.reader(INFOS)?.get_key(&path.into()).map_err(js::storage(&url, 0))?;
        let info = answer(&request).await.map_err(js::storage(&url, 0))?;
        if info.is_undefined() {
            return Err(Error::NotFound { url }.into());
        }
        Err(ghost(&url).into())
    }

    async fn put(&self, path: &str, mut model: Model, cx: &Context) -> Result<Info> {
        let url = self.url(path);
        let data = model.join(cx).await?.unwrap_or_else(|| ArrayBuffer::new(0));
        let db = connect(&url).await?;
        cx.check()?;
        let info = model.header.info(u64::from(data.byte_length()))?;
        let record = Object::new();
        js::set(&record, KEY_PATH, &path.into());
        js::set(&record, "modelArtifacts", &model.header.with_weights(Some(&data)));
        js::set(&record, "modelArtifactsInfo", &info.to_js());
        let write = db.write(&STORES, cx)?;
        let outcome = match may_write(&write, path, &url, cx).await {
            Ok(()) => put_records(&write, &record, &url, info.total()),
            Err(refused) => Err(refused),
        };
        write.settle(outcome, info.total(), cx).await?;
        Ok(info)
    }

    async fn list(&self, _cx: &Context) -> Result<Vec<Entry>> {
        let url = self.url("");
        let db = connect(&url).await?;
        let all =
            |store, request: fn(&web_sys::IdbObjectStore) -> core::result::Result<web_sys::IdbRequest, JsValue>| {
                request(&db.reader(store)?).map_err(js::storage(&url, 0))
            };
        let infos = all(INFOS, web_sys::IdbObjectStore::get_all)?;
        let models = all(MODELS, web_sys::IdbObjectStore::get_all_keys)?;
        let (infos, models) = (answer(&infos).await, answer(&models).await);
        let infos = Array::from(&infos.map_err(js::storage(&url, 0))?);
        let models = Array::from(&models.map_err(js::storage(&url, 0))?);
        let without_info = Set::new(&models);
        let mut entries = Vec::new();
        for record in infos.iter() {
            let path = js::get(&record, KEY_PATH);
            let stored = without_info.delete(&path);
            if let Some(path) = js::text(&path) {
                entries.push(self.entry(path, Info::from_js(&js::get(&record, "modelArtifactsInfo")), stored));
            }
        }
        let orphans = Array::from(&without_info);
        entries.extend(orphans.iter().filter_map(|path| Some(self.entry(js::text(&path)?, None, true))));
        Ok(entries)
    }

    async fn remove(&self, path: &str, only_saved: Option<f64>, cx: &Context) -> Result<Option<Entry>> {
        let url = self.url(path);
        let db = connect(&url).await?;
        let write = db.write(&STORES, cx)?;
        let outcome = self.remove_records(&write, path, only_saved).await;
        write.settle(outcome, 0, cx).await
    }

    async fn rename(&self, from: &str, to: &str, cx: &Context) -> Result<Info> {
        let url = self.url(to);
        let db = connect(&url).await?;
        let write = db.write(&STORES, cx)?;
        let outcome = self.rename_records(&write, from, to, cx).await;
        let needed = outcome.as_ref().map_or(0, |info| info.total());
        write.settle(outcome, needed, cx).await
    }
}

impl IndexedDb {
    fn entry(&self, path: String, info: Option<Info>, stored: bool) -> Entry {
        let url = self.url(&path);
        let damage = match (info, stored) {
            (_, false) => Some(ghost(&url)),
            (None, true) => Some(corrupt(&url, INFOS, "a ModelArtifactsInfo", "none")),
            (Some(_), true) => None,
        };
        Entry { path, info, damage }
    }

    async fn remove_records(&self, write: &Write, path: &str, only_saved: Option<f64>) -> Result<Option<Entry>> {
        let info = get(write, INFOS, path, &self.url(path)).await?;
        let stored = is_stored(write, MODELS, path, &self.url(path)).await?;
        if info.is_undefined() && !stored {
            return Err(Error::NotFound { url: self.url(path) }.into());
        }
        let info = Info::from_js(&js::get(&info, "modelArtifactsInfo"));
        let entry = self.entry(path.to_owned(), info, stored);
        if only_saved.is_some() && only_saved != entry.saved() {
            return Ok(None);
        }
        delete(write, path, &self.url(path))?;
        Ok(Some(entry))
    }

    async fn rename_records(&self, write: &Write, from: &str, to: &str, cx: &Context) -> Result<Info> {
        let (source, url) = (self.url(from), self.url(to));
        may_write(write, to, &url, cx).await?;
        let record = get(write, MODELS, from, &source).await?;
        if record.is_undefined() {
            let ghostly = is_stored(write, INFOS, from, &source).await?;
            return Err(if ghostly { ghost(&source) } else { Error::NotFound { url: source } }.into());
        }
        let model = read(&record, &source)?;
        let info = model.header.info(model.weights.byte_length().unwrap_or(0))?;
        let record: Object = record.unchecked_into();
        js::set(&record, KEY_PATH, &to.into());
        js::set(&record, "modelArtifactsInfo", &info.to_js());
        put_records(write, &record, &url, info.total())?;
        delete(write, from, &source)?;
        Ok(info)
    }
}

async fn connect(url: &str) -> Result<Connection> {
    Connection::open(DATABASE, KEY_PATH, &STORES, url).await
}

/// The model of a record, checked.
fn read(record: &JsValue, url: &str) -> Result<Model> {
    let artifacts = js::get(record, "modelArtifacts");
    if !artifacts.is_object() {
        return Err(corrupt(url, "modelArtifacts", "an object", described(&artifacts)).into());
    }
    let mut model = Model::from_artifacts(&artifacts).map_err(|failure| failure.at_rest(url))?;
    model.saved = Info::from_js(&js::get(record, "modelArtifactsInfo")).map(|info| info.saved);
    Ok(model)
}

/// TF.js leaves an info without a model when a save of its fails.
fn ghost(url: &str) -> Error {
    corrupt(url, MODELS, "a record", "none, though there is an info")
}

async fn get(write: &Write, store: &str, path: &str, url: &str) -> Result<JsValue> {
    let request = write.store(store)?.get(&path.into()).map_err(js::storage(url, 0))?;
    answer(&request).await.map_err(js::storage(url, 0))
}

async fn is_stored(write: &Write, store: &str, path: &str, url: &str) -> Result<bool> {
    let request = write.store(store)?.get_key(&path.into()).map_err(js::storage(url, 0))?;
    answer(&request).await.map(|key| !key.is_undefined()).map_err(js::storage(url, 0))
}

async fn may_write(write: &Write, path: &str, url: &str, cx: &Context) -> Result<()> {
    if !cx.overwrite && is_stored(write, MODELS, path, url).await? {
        return Err(Error::AlreadyExists { url: url.to_owned() }.into());
    }
    Ok(())
}

/// The model first, then its info, as long as both are in one transaction the order is only for TF.js's readers.
fn put_records(write: &Write, record: &Object, url: &str, needed: u64) -> Result<()> {
    let info = Object::new();
    for key in [KEY_PATH, "modelArtifactsInfo"] {
        js::set(&info, key, &js::get(record, key));
    }
    write.store(MODELS)?.put(record).map_err(js::storage(url, needed))?;
    write.store(INFOS)?.put(&info).map_err(js::storage(url, needed))?;
    Ok(())
}

fn delete(write: &Write, path: &str, url: &str) -> Result<()> {
    for store in STORES {
        write.store(store)?.delete(&path.into()).map_err(js::storage(url, 0))?;
    }
    Ok(())
}
