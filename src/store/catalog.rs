//! The catalog of the sharded layout: a database of our own, `tfpersist`. It says which models there are, in which shards they lie, and
//! which saves are under way.

use std::cell::Cell;

use js_sys::{Array, Object, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::IdbObjectStore;

use crate::context::{Context, strings};
use crate::digest::{Key, SECRET};
use crate::error::Error;
use crate::host;
use crate::idb::{self, Connection, Schema, Transaction};
use crate::info::Info;
use crate::js::{self, Result};
use crate::pieces::{self, Piece, Placed};

/// A row per model, small: `{ key: url, info, shards: [name] }`.
pub const MODELS: &str = "models";
/// Beside it what a load needs: `{ key: url, artifacts, weights }`.
pub const HEADERS: &str = "headers";
/// A row per shard that a model names: `{ key: name, pool, pieces }`.
pub const SHARDS: &str = "shards";
/// A row per save under way: `{ key: id, at, shards: [name] }`, the shards that it may use.
pub const PENDING: &str = "pending";
/// The shards themselves, of the pool in IndexedDB: `{ key: name, data }`.
pub const POOL: &str = "pool";
/// `{ key: 'secret', secret }`.
pub const META: &str = "meta";

/// All of them, in the order in which they are made.
pub const ALL: [&str; 6] = [MODELS, HEADERS, SHARDS, PENDING, POOL, META];
/// What a load looks at.
pub const TO_LOAD: [&str; 3] = [MODELS, HEADERS, META];
const SCHEMA: Schema = Schema { name: idb::CATALOG, key_path: "key", stores: &ALL };

thread_local! {
    /// Whether the database is known to be there.
    static IS_THERE: Cell<bool> = const { Cell::new(false) };
}

/// Whether anything was ever stored in this layout.
pub async fn exists() -> bool {
    if !is_known() {
        IS_THERE.set(idb::exists(SCHEMA.name).await);
    }
    is_known()
}

/// Whether it is known already that something was.
pub fn is_known() -> bool {
    IS_THERE.get()
}

/// Opens the catalog, and makes it when there is none.
///
/// # Errors
/// As [`Connection::open`].
pub async fn open(url: &str, needed: u64, cx: &Context) -> Result<Connection> {
    Connection::open(&SCHEMA, url, needed, cx).await
}

/// The same for who asks, or changes a few rows: it may have been left open.
///
/// # Errors
/// As [`Connection::open`].
pub async fn kept(url: &str, cx: &Context) -> Result<Connection> {
    Connection::kept(&SCHEMA, url, cx).await
}

/// A shard that a model names, as the catalog knows it.
pub struct Shard {
    /// Its name.
    pub name: String,
    /// What lies in it, one after the other.
    pub pieces: Vec<Piece>,
    /// Whether it was forced to the disk before a model named it.
    pub is_strict: bool,
}

/// A model in the catalog.
pub struct Row {
    /// The URL.
    pub url: String,
    /// Date and sizes; `None` when they cannot be read.
    pub info: Option<Info>,
    /// The shards that it lies in.
    pub shards: Vec<String>,
}

impl Row {
    /// When it was saved, in milliseconds since 1970.
    pub fn saved(&self) -> Option<f64> {
        self.info.map(|info| info.saved)
    }

    fn of(row: &JsValue) -> Option<Self> {
        let url = js::text(&js::get(row, "key"))?;
        Some(Self { url, info: Info::from_js(&js::get(row, "info")), shards: texts(&js::get(row, "shards")) })
    }
}

/// What the catalog has of a model beside its row.
pub struct Stored {
    /// ModelArtifacts without weights.
    pub artifacts: JsValue,
    /// Where its weights lie: the bytes of [`pieces::encode_placed`], `None` when it has none.
    pub weights: Option<Vec<u8>>,
}

impl Stored {
    /// The pieces, in a model of so many shards; `None` when they cannot be read.
    pub fn placed(&self, shards: usize) -> Option<Vec<Placed>> {
        pieces::decode_placed(self.weights.as_deref().unwrap_or_default(), shards)
    }
}

/// The model at a URL; asked at once.
///
/// # Errors
/// [`Error::Storage`].
pub fn model(transaction: &Transaction, url: &str) -> impl Future<Output = Result<Option<Row>>> {
    let asked = get(transaction, MODELS, url);
    async { Ok(Row::of(&asked.await?)) }
}

/// The models of a scheme.
///
/// # Errors
/// [`Error::Storage`].
pub async fn models(transaction: &Transaction, scheme: &str) -> Result<Vec<Row>> {
    let mut rows = all_models(transaction).await?;
    rows.retain(|row| row.url.strip_prefix(scheme).is_some_and(|rest| rest.starts_with("://")));
    Ok(rows)
}

/// All models.
///
/// # Errors
/// [`Error::Storage`].
pub async fn all_models(transaction: &Transaction) -> Result<Vec<Row>> {
    let rows = transaction.ask(MODELS, 0, IdbObjectStore::get_all).await?;
    Ok(Array::from(&rows).iter().filter_map(|row| Row::of(&row)).collect())
}

/// What there is of the model at a URL beside its row; asked at once.
///
/// # Errors
/// [`Error::Storage`].
pub fn stored(transaction: &Transaction, url: &str) -> impl Future<Output = Result<Stored>> {
    let asked = get(transaction, HEADERS, url);
    async {
        let row = asked.await?;
        let weights = js::bytes(&js::get(&row, "weights")).map(|bytes| bytes.to_vec());
        Ok(Stored { artifacts: js::get(&row, "artifacts"), weights })
    }
}

/// Writes a model, over what was there.
///
/// # Errors
/// [`Error::InvalidArgument`] for what cannot be stored; [`Error::Storage`].
pub fn put_model(transaction: &Transaction, row: &Row, info: Info, stored: &Stored) -> Result<()> {
    let small = keyed(&row.url);
    js::set(&small, "info", &info.to_js());
    js::set(&small, "shards", &names(&row.shards));
    let beside = keyed(&row.url);
    js::set(&beside, "artifacts", &stored.artifacts);
    if let Some(weights) = &stored.weights {
        js::set(&beside, "weights", &Uint8Array::from(&weights[..]));
    }
    put(transaction, MODELS, &small, info.total())?;
    put(transaction, HEADERS, &beside, info.total())
}

/// Removes a model; its shards are the sweep's.
///
/// # Errors
/// [`Error::Storage`].
pub fn delete_model(transaction: &Transaction, url: &str) -> Result<()> {
    delete(transaction, MODELS, url)?;
    delete(transaction, HEADERS, url)
}

/// The shards of a pool that models name.
///
/// # Errors
/// [`Error::Storage`].
pub async fn shards(transaction: &Transaction, pool: &str) -> Result<Vec<Shard>> {
    let rows = transaction.ask(SHARDS, 0, IdbObjectStore::get_all).await?;
    let shard = |row: JsValue| {
        let pieces = js::bytes(&js::get(&row, "pieces"))?.to_vec();
        let is_ours = js::get(&row, "pool") == pool;
        let is_strict = js::get(&row, "strict").is_truthy();
        Some(Shard { name: js::text(&js::get(&row, "key"))?, pieces: pieces::decode(&pieces)?, is_strict })
            .filter(|_| is_ours)
    };
    Ok(Array::from(&rows).iter().filter_map(shard).collect())
}

/// Makes a shard one that may be used again.
///
/// # Errors
/// [`Error::Storage`].
pub fn put_shard(transaction: &Transaction, shard: &Shard, pool: &str) -> Result<()> {
    let row = keyed(&shard.name);
    js::set(&row, "pool", &pool.into());
    js::set(&row, "pieces", &Uint8Array::from(&pieces::encode(&shard.pieces)[..]));
    js::set(&row, "strict", &shard.is_strict.into());
    put(transaction, SHARDS, &row, 0)
}

/// A save under way.
pub struct Pending {
    /// Its id.
    pub id: String,
    /// The shards that it may use.
    pub shards: Vec<String>,
}

/// All saves under way, those that died, too.
///
/// # Errors
/// [`Error::Storage`].
pub async fn pending(transaction: &Transaction) -> Result<Vec<Pending>> {
    let rows = Array::from(&transaction.ask(PENDING, 0, IdbObjectStore::get_all).await?);
    let pending =
        |row: JsValue| Some(Pending { id: js::text(&js::get(&row, "key"))?, shards: texts(&js::get(&row, "shards")) });
    Ok(rows.iter().filter_map(pending).collect())
}

/// Announces a save.
///
/// # Errors
/// [`Error::Storage`].
pub fn put_pending(transaction: &Transaction, pending: &Pending) -> Result<()> {
    let row = keyed(&pending.id);
    js::set(&row, "shards", &names(&pending.shards));
    put(transaction, PENDING, &row, 0)
}

/// The key that the origin's pieces are hashed with, if there is one; asked at once.
///
/// # Errors
/// [`Error::Storage`].
pub fn known_key(transaction: &Transaction) -> impl Future<Output = Result<Option<Key>>> {
    let asked = get(transaction, META, "secret");
    async { Ok(js::bytes(&js::get(&asked.await?, "secret")).and_then(|secret| Key::new(&secret.to_vec()))) }
}

/// The key that the origin's pieces are hashed with; made by the first save.
///
/// # Errors
/// [`Error::Storage`]; [`Error::NotSupported`] where there are no random numbers.
pub async fn key(transaction: &Transaction) -> Result<Key> {
    if let Some(key) = known_key(transaction).await? {
        return Ok(key);
    }
    let secret = random(SECRET)?;
    let row = keyed("secret");
    js::set(&row, "secret", &secret);
    put(transaction, META, &row, 0)?;
    Key::new(&secret.to_vec()).ok_or_else(|| no_random(None))
}

/// So many random bytes.
///
/// # Errors
/// [`Error::NotSupported`] where there are none.
pub fn random(bytes: usize) -> Result<Uint8Array> {
    let crypto = js::global("crypto").unwrap_or_default();
    let filled = host::call(&crypto, "getRandomValues", &[&Uint8Array::new_with_length(bytes as u32)]);
    filled.map(JsCast::unchecked_into).map_err(|cause| no_random(Some(cause)))
}

fn no_random(cause: Option<JsValue>) -> js::Failure {
    let why = "there are no random numbers here".to_owned();
    js::Failure::known(Error::NotSupported { operation: "save", scheme: "The sharded layout".into(), why }, cause)
}

/// The record with this key.
///
/// # Errors
/// [`Error::Storage`].
pub fn get(transaction: &Transaction, store: &str, key: &str) -> impl Future<Output = Result<JsValue>> {
    transaction.ask(store, 0, |store| store.get(&key.into()))
}

/// Whether there is such a key.
///
/// # Errors
/// [`Error::Storage`].
pub fn has(transaction: &Transaction, store: &str, key: &str) -> impl Future<Output = Result<bool>> {
    let asked = transaction.ask(store, 0, |store| store.get_key(&key.into()));
    async move { Ok(!asked.await?.is_undefined()) }
}

/// All keys of a store.
///
/// # Errors
/// [`Error::Storage`].
pub async fn keys(transaction: &Transaction, store: &str) -> Result<Vec<String>> {
    let keys = transaction.ask(store, 0, IdbObjectStore::get_all_keys).await?;
    Ok(texts(&keys))
}

/// Removes a record.
///
/// # Errors
/// [`Error::Storage`].
pub fn delete(transaction: &Transaction, store: &str, key: &str) -> Result<()> {
    transaction.send(store, 0, |store| store.delete(&key.into()))
}

/// Writes a record. `needed` is how many bytes a quota failure names.
///
/// # Errors
/// [`Error::InvalidArgument`] for what cannot be stored; [`Error::Storage`].
pub fn put(transaction: &Transaction, store: &str, record: &Object, needed: u64) -> Result<()> {
    transaction.send(store, needed, |store| store.put(record))
}

/// A record with nothing but its key.
pub fn keyed(key: &str) -> Object {
    let record = Object::new();
    js::set(&record, "key", &key.into());
    record
}

fn names(shards: &[String]) -> Array {
    strings(&shards.iter().map(String::as_str).collect::<Vec<_>>())
}

fn texts(list: &JsValue) -> Vec<String> {
    js::items(list).iter().filter_map(js::text).collect()
}
