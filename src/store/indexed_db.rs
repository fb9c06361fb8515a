//! `indexeddb://`: TF.js's own records in TF.js's own database, written in one transaction over both object stores.

use js_sys::{ArrayBuffer, Object};
use wasm_bindgen::JsValue;
use web_sys::IdbObjectStore;

use super::{Entry, Store, Which, corrupt, stored_model};
use crate::artifacts::Model;
use crate::context::Context;
use crate::error::Error;
use crate::idb::{Connection, Schema, Transaction};
use crate::info::Info;
use crate::js::{self, Result};

const KEY_PATH: &str = "modelPath";
/// Both records have one.
const INFO: &str = "modelArtifactsInfo";
const MODELS: &str = "models_store";
const INFOS: &str = "model_info_store";
/// In the order in which TF.js makes them.
const STORES: [&str; 2] = [MODELS, INFOS];
const SCHEMA: Schema = Schema { name: "tensorflowjs", key_path: KEY_PATH, stores: &STORES };

/// The IndexedDB of this origin.
#[derive(Clone, Copy, Debug, Default)]
pub struct IndexedDb;

impl Store for IndexedDb {
    fn scheme(&self) -> &str {
        "indexeddb"
    }

    async fn open(&self, path: &str, cx: &Context) -> Result<Model> {
        let url = self.url(path);
        let db = Connection::kept(&SCHEMA, &url, cx).await?;
        let transaction = db.read(&STORES)?;
        let (record, listed) = (get(&transaction, MODELS, path), get(&transaction, INFOS, path));
        let (record, listed) = (record.await?, listed.await?);
        match (record.is_undefined(), listed.is_undefined()) {
            (false, _) => read(&record, &listed, &url, cx.is_thorough.get()),
            (true, false) => Err(ghost(&url).into()),
            (true, true) => Err(Error::NotFound { url }.into()),
        }
    }

    async fn put(&self, path: &str, mut model: Model, cx: &Context) -> Result<Info> {
        let url = self.url(path);
        let data = model.join(cx).await?.unwrap_or_else(|| ArrayBuffer::new(0));
        let needed = u64::from(data.byte_length());
        let db = Connection::open(&SCHEMA, &url, needed, cx).await?;
        cx.check()?;
        let transaction = db.write(&STORES, cx)?;
        let outcome = put_model(&transaction, path, &url, &model, &data, cx).await;
        transaction.settle(outcome, needed, cx).await
    }

    async fn list(&self, _prefix: &str, cx: &Context) -> Result<Vec<Entry>> {
        let db = Connection::kept(&SCHEMA, &self.url(""), cx).await?;
        let transaction = db.read(&STORES)?;
        let infos = transaction.ask(INFOS, 0, IdbObjectStore::get_all);
        let models = transaction.ask(MODELS, 0, IdbObjectStore::get_all_keys);
        let listed = Info::listed(&infos.await?, &models.await?).map_err(js::thrown)?;
        Ok(listed.into_iter().map(|(path, info, is_stored)| self.entry(path, info, is_stored)).collect())
    }

    async fn row(&self, path: &str, cx: &Context) -> Result<Option<Entry>> {
        let db = Connection::kept(&SCHEMA, &self.url(path), cx).await?;
        let transaction = db.read(&STORES)?;
        let (stored, listed) = (key(&transaction, MODELS, path), get(&transaction, INFOS, path));
        let (stored, listed) = (stored.await?, listed.await?);
        let is_there = stored || !listed.is_undefined();
        Ok(is_there.then(|| self.entry(path.to_owned(), info_of(&listed), stored)))
    }

    async fn remove(&self, path: &str, which: Which, cx: &Context) -> Result<Option<Entry>> {
        let db = Connection::kept(&SCHEMA, &self.url(path), cx).await?;
        let transaction = db.write(&STORES, cx)?;
        let outcome = self.remove_records(&transaction, path, which).await;
        transaction.settle(outcome, 0, cx).await
    }

    async fn rename(&self, from: &str, to: &str, cx: &Context) -> Result<Option<Info>> {
        let db = Connection::open(&SCHEMA, &self.url(to), 0, cx).await?;
        let transaction = db.write(&STORES, cx)?;
        let outcome = self.rename_records(&transaction, from, to, cx).await;
        let needed = outcome.as_ref().map_or(0, |info| info.total());
        transaction.settle(outcome, needed, cx).await.map(Some)
    }
}

impl IndexedDb {
    /// Opens the database, and leaves it open for who asks soon.
    ///
    /// # Errors
    /// As [`Connection::open`].
    #[cfg(feature = "sharded")]
    pub async fn ready(&self, cx: &Context) -> Result<Connection> {
        Connection::kept(&SCHEMA, &self.url(""), cx).await
    }

    /// Whether there is anything at one of these paths.
    ///
    /// # Errors
    /// As [`Connection::open`]; [`Error::Storage`].
    #[cfg(feature = "sharded")]
    pub async fn has_any(&self, paths: &[&str], cx: &Context) -> Result<bool> {
        let db = Connection::kept(&SCHEMA, &self.url(""), cx).await?;
        let transaction = db.read(&STORES)?;
        let ask = |path| STORES.into_iter().map(move |store| (store, path));
        let asked: Vec<_> = paths.iter().flat_map(ask).map(|(store, path)| key(&transaction, store, path)).collect();
        let mut has_any = false;
        for asked in asked {
            has_any |= asked.await?;
        }
        Ok(has_any)
    }

    fn entry(&self, path: String, info: Option<Info>, stored: bool) -> Entry {
        let url = self.url(&path);
        let damage = match (info, stored) {
            (_, false) => Some(ghost(&url)),
            (None, true) => Some(no_info(&url, INFOS)),
            (Some(_), true) => None,
        };
        Entry { path, info, damage }
    }

    async fn remove_records(&self, transaction: &Transaction, path: &str, which: Which) -> Result<Option<Entry>> {
        let info = get(transaction, INFOS, path).await?;
        let stored = key(transaction, MODELS, path).await?;
        if info.is_undefined() && !stored {
            return Err(Error::NotFound { url: self.url(path) }.into());
        }
        if which != Which::Any {
            // The date in the model's own record: TF.js may have died between writing the info and the model.
            let record = get(transaction, MODELS, path).await?;
            if !which.is(info_of(&record).map(|info| info.saved)) {
                return Ok(None);
            }
        }
        for store in STORES {
            transaction.send(store, 0, |store| store.delete(&path.into()))?;
        }
        Ok(Some(self.entry(path.to_owned(), info_of(&info), stored)))
    }

    async fn rename_records(&self, transaction: &Transaction, from: &str, to: &str, cx: &Context) -> Result<Info> {
        let source = self.url(from);
        let record = get(transaction, MODELS, from).await?;
        if record.is_undefined() {
            let ghostly = key(transaction, INFOS, from).await?;
            return Err(if ghostly { ghost(&source) } else { Error::NotFound { url: source } }.into());
        }
        let mut model = read(&record, &JsValue::UNDEFINED, &source, false)?;
        let data = model.join(&cx.quiet()).await?.unwrap_or_else(|| ArrayBuffer::new(0));
        let info = put_model(transaction, to, &self.url(to), &model, &data, cx).await?;
        for store in STORES {
            transaction.send(store, 0, |store| store.delete(&from.into()))?;
        }
        Ok(info)
    }
}

/// Asks what is there, and sends both records: TF.js's, in one transaction.
async fn put_model(
    transaction: &Transaction,
    path: &str,
    url: &str,
    model: &Model,
    data: &ArrayBuffer,
    cx: &Context,
) -> Result<Info> {
    let stored = key(transaction, MODELS, path);
    let replaced = info_of(&get(transaction, INFOS, path).await?);
    if stored.await? && !cx.overwrite {
        return Err(Error::AlreadyExists { url: url.to_owned() }.into());
    }
    // Checked once more, now that nothing is awaited any more: the caller may have changed the model meanwhile.
    let artifacts = model.header.with_weights(Some(data));
    Model::from_own(&artifacts)?;
    let info =
        model.header.info(u64::from(data.byte_length()))?.dated_after(cx.replaced(replaced.map(|info| info.saved)));
    let record = Object::new();
    js::set(&record, KEY_PATH, &path.into());
    js::set(&record, "modelArtifacts", &artifacts);
    js::set(&record, INFO, &info.to_js());
    let listed = Object::new();
    js::set(&listed, KEY_PATH, &path.into());
    js::set(&listed, INFO, &info.to_js());
    transaction.send(MODELS, info.total(), |store| store.put(&record))?;
    transaction.send(INFOS, info.total(), |store| store.put(&listed))?;
    Ok(info)
}

fn get(transaction: &Transaction, store: &str, path: &str) -> impl Future<Output = Result<JsValue>> {
    transaction.ask(store, 0, |store| store.get(&path.into()))
}

/// Whether there is such a key.
fn key(transaction: &Transaction, store: &str, path: &str) -> impl Future<Output = Result<bool>> {
    let asked = transaction.ask(store, 0, |store| store.get_key(&path.into()));
    async move { Ok(!asked.await?.is_undefined()) }
}

fn info_of(record: &JsValue) -> Option<Info> {
    Info::from_js(&js::get(record, INFO))
}

/// The model of a record, checked; `listed` is the other object store's record of it.
fn read(record: &JsValue, listed: &JsValue, url: &str, is_thorough: bool) -> Result<Model> {
    let artifacts = js::get(record, "modelArtifacts");
    let mut model = stored_model(&artifacts, url, Model::from_own)?;
    model.saved = info_of(record).map(|info| info.saved);
    check_parts(&model, &artifacts, record, listed, url)?;
    if is_thorough {
        check_infos(&model, record, listed, url)?;
    }
    Ok(model)
}

/// That no part is gone which the info tells of, and that there are as many weights.
fn check_parts(model: &Model, artifacts: &JsValue, record: &JsValue, listed: &JsValue, url: &str) -> Result<()> {
    let info = js::get_some(record, INFO).unwrap_or_else(|| js::get(listed, INFO));
    for (part, bytes) in [("modelTopology", "modelTopologyBytes"), ("weightSpecs", "weightSpecsBytes")] {
        let is_expected = js::get(&info, bytes).as_f64().is_some_and(|bytes| bytes > 0.0);
        if is_expected && js::get_some(artifacts, part).is_none() {
            return Err(corrupt(url, part, "a part of the model", "none").into());
        }
    }
    let expected = js::get(&info, "weightDataBytes").as_f64();
    same_size(url, "weightData", expected, model.weights.byte_length().unwrap_or_default())
}

/// What costs too much for a load, and none of whose results TF.js looks at: that both records have an info, and that topology and specs,
/// made text again, are as long as it says.
fn check_infos(model: &Model, record: &JsValue, listed: &JsValue, url: &str) -> Result<()> {
    for (store, record) in [(MODELS, record), (INFOS, listed)] {
        if info_of(record).is_none() {
            return Err(no_info(url, store).into());
        }
    }
    let (info, counted) = (js::get(record, INFO), model.header.info(0)?);
    same_size(url, "modelTopology", js::get(&info, "modelTopologyBytes").as_f64(), counted.topology_bytes)?;
    same_size(url, "weightSpecs", js::get(&info, "weightSpecsBytes").as_f64(), counted.specs_bytes)
}

fn same_size(url: &str, part: &str, expected: Option<f64>, received: u64) -> Result<()> {
    match expected {
        Some(expected) if expected != received as f64 => {
            Err(corrupt(url, part, &format!("{} bytes", expected as u64), format!("{received} bytes")).into())
        }
        _ => Ok(()),
    }
}

fn no_info(url: &str, store: &str) -> Error {
    corrupt(url, store, "a ModelArtifactsInfo", "none")
}

/// TF.js leaves an info without a model when a save of its fails.
fn ghost(url: &str) -> Error {
    corrupt(url, MODELS, "a record", "none, though there is an info")
}
