//! Where the bytes of the sharded layout lie: shards that are written once, under a name that nothing ever had, and never changed.

use std::rc::Rc;

use js_sys::{Object, Promise, Uint8Array};
use wasm_bindgen::prelude::*;

use crate::context::Context;
use crate::host::{self, Host};
use crate::idb::Connection;
use crate::js::{self, Result};
use crate::weights::{self, Spent};

pub mod indexed_db;
pub mod opfs;

/// One of the two pools.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pool {
    /// Files of the origin's private file system.
    Opfs,
    /// Records of the catalog's own database.
    IndexedDb,
}

/// Writes the shards of one save.
pub enum Writer {
    /// As files.
    Opfs(opfs::Writer),
    /// As records.
    IndexedDb(indexed_db::Writer),
}

impl Pool {
    /// What the catalog calls it, which is also the scheme of the models in it.
    pub fn name(self) -> &'static str {
        match self {
            Pool::Opfs => "opfs",
            Pool::IndexedDb => "indexeddb",
        }
    }

    /// Begins to write. `bytes` are the save's, if that is known.
    ///
    /// # Errors
    /// [`crate::Error::NotSupported`], [`crate::Error::Storage`].
    pub async fn writer(self, url: &str, bytes: Option<u64>, cx: &Context) -> Result<Writer> {
        let needed = bytes.unwrap_or_default();
        match self {
            Pool::Opfs => {
                let flush = cx.durability.as_deref() != Some("relaxed");
                opfs::Writer::open(url, needed, flush, cx).await.map(Writer::Opfs)
            }
            Pool::IndexedDb => indexed_db::Writer::open(url, needed, cx).await.map(Writer::IndexedDb),
        }
    }

    /// For each part what has its `arrayBuffer()`, quickest while the catalog's connection lives; `None` where there is no such shard.
    ///
    /// # Errors
    /// [`crate::Error::Storage`].
    pub async fn sources(
        self,
        parts: &[Part<'_>],
        how: &Reading<'_>,
        db: &Rc<Connection>,
    ) -> Result<Vec<Option<JsValue>>> {
        match self {
            Pool::Opfs => opfs::sources(parts, how).await,
            Pool::IndexedDb => Ok(parts.iter().map(|part| Some(indexed_db::source(part, how, db))).collect()),
        }
    }
}

/// How parts are read.
pub struct Reading<'a> {
    /// What errors name.
    pub url: &'a str,
    /// For who hands on one after the other and keeps none.
    pub in_turn: bool,
    /// For who looks at one after the other and drops it: buffers to read into.
    pub spent: Option<&'a Spent>,
}

/// Some bytes of a shard.
pub struct Part<'a> {
    /// Its name.
    pub shard: &'a str,
    /// Where they begin.
    pub offset: u64,
    /// How many.
    pub bytes: u64,
}

impl Writer {
    /// Waits until one more shard may be sent.
    ///
    /// # Errors
    /// [`crate::Error::QuotaExceeded`], [`crate::Error::Storage`], the signal's reason.
    pub async fn room(&mut self, cx: &Context) -> Result<()> {
        match self {
            Writer::Opfs(writer) => writer.room(cx).await,
            Writer::IndexedDb(writer) => writer.room(cx).await,
        }
    }

    /// Copies these parts at once, and begins to write them as a shard.
    ///
    /// # Errors
    /// [`crate::Error::InvalidArgument`] when a buffer was transferred away; [`crate::Error::Storage`].
    pub fn send(&mut self, name: &str, parts: &[Uint8Array]) -> Result<()> {
        match self {
            Writer::Opfs(writer) => writer.send(name, parts),
            Writer::IndexedDb(writer) => writer.send(name, parts),
        }
    }

    /// Waits until all shards are there, whole.
    ///
    /// # Errors
    /// As [`Writer::room`].
    pub async fn finish(&mut self, cx: &Context) -> Result<()> {
        match self {
            Writer::Opfs(writer) => writer.finish(cx).await,
            Writer::IndexedDb(writer) => writer.finish(cx).await,
        }
    }

    /// Removes what was written.
    pub async fn discard(self) {
        match self {
            Writer::Opfs(writer) => writer.discard().await,
            Writer::IndexedDb(writer) => writer.discard().await,
        }
    }
}

/// What has its `arrayBuffer()`, like a Blob.
pub fn readable(read: impl Fn() -> Promise + 'static) -> JsValue {
    let source = Object::new();
    js::set(&source, "arrayBuffer", &Closure::<dyn Fn() -> Promise>::new(read).into_js_value());
    source.into()
}

/// The bytes of a Blob in a buffer of our own, where the engine can read into one: what its `arrayBuffer()` gives, it keeps until it collects
/// it, even when it has been transferred away (4 GB piled up to 2). Fewer where the Blob ends.
async fn drain(blob: &JsValue, bytes: u64, spent: Option<&Spent>) -> Host<JsValue> {
    let options = Object::new();
    js::set(&options, "mode", &"byob".into());
    let stream = host::call(blob, "stream", &[])?;
    let Ok(reader) = host::call(&stream, "getReader", &[&options]) else {
        weights::cancel(&stream);
        return host::settled(host::call(blob, "arrayBuffer", &[])).await;
    };
    let (mut room, mut at) = (Spent::room(spent, bytes)?, 0);
    while at < room.length() {
        // The buffer goes there and comes back.
        let step = host::settled(host::call(&reader, "read", &[&room.subarray(at, room.length())])).await?;
        let Some(read) = js::bytes(&js::get(&step, "value")) else { return Ok(JsValue::UNDEFINED) };
        room = Uint8Array::new(&read.buffer()).subarray(0, bytes as u32);
        at += read.length();
        if js::get(&step, "done").is_truthy() {
            break;
        }
    }
    Ok(room.subarray(0, at).into())
}
