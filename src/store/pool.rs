//! Where the bytes of the sharded layout lie: shards that are written once, under a name that nothing ever had, and never changed.

use std::rc::Rc;

use js_sys::Uint8Array;
use wasm_bindgen::JsValue;

use crate::context::Context;
use crate::idb::Connection;
use crate::js::Result;

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
    /// `in_turn`: for who reads one after the other and keeps none.
    ///
    /// # Errors
    /// [`crate::Error::Storage`].
    pub async fn sources(
        self,
        parts: &[Part<'_>],
        url: &str,
        db: &Rc<Connection>,
        in_turn: bool,
    ) -> Result<Vec<Option<JsValue>>> {
        match self {
            Pool::Opfs => opfs::sources(parts, url, in_turn).await,
            Pool::IndexedDb => Ok(parts.iter().map(|part| Some(indexed_db::source(part, url, db, in_turn))).collect()),
        }
    }
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
