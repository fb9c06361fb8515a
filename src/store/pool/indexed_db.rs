//! Shards as records of the catalog's own database: Blobs, which engines write and read fastest, or ArrayBuffers.

use std::collections::VecDeque;
use std::rc::Rc;

use js_sys::{Array, Promise, Uint8Array};
use wasm_bindgen::JsValue;

use crate::context::Context;
use crate::error::Error;
use crate::host::{self, Host};
use crate::idb::{Connection, Transaction};
use crate::js::{self, Result};
use crate::pieces::LARGEST;
use crate::store::catalog::{self, POOL};
use crate::store::pool::{Part, Reading, drain, readable};
use crate::weights::{self, Spent};

/// Transactions that are being written while one more is filled.
const IN_FLIGHT: usize = 1;
/// Bytes of a transaction: one with several shards is quicker than one for each. Buffers, unlike Blobs, fill the page's own memory.
const MOST_BYTES: [u64; 2] = [32 << 20, 128 << 20];

/// Writes the shards of one save: as many in a transaction as come in one turn of the event loop.
pub struct Writer {
    db: Connection,
    url: String,
    /// Bytes of the save; while nobody knows them, those that were sent.
    needed: u64,
    bytes: u64,
    is_blob: bool,
    durability: Option<String>,
    written: Vec<String>,
    /// The transaction that is being filled, and its bytes.
    open: Option<(Transaction, u64)>,
    in_flight: VecDeque<Transaction>,
}

impl Writer {
    /// Begins to write. `needed`: bytes of the whole save, for errors.
    ///
    /// # Errors
    /// As [`catalog::open`].
    pub async fn open(url: &str, needed: u64, cx: &Context) -> Result<Self> {
        Ok(Self {
            db: catalog::open(url, needed, cx).await?,
            url: url.to_owned(),
            needed,
            bytes: 0,
            // Firefox keeps room of what was rolled back while the Blob lives; WebKit refuses Blobs, or lets them slip past the quota.
            is_blob: host::is_chromium(),
            durability: cx.durability.clone().or_else(|| Some("strict".to_owned())),
            written: Vec::new(),
            open: None,
            in_flight: VecDeque::new(),
        })
    }

    /// Waits until one more shard may be sent.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`], [`Error::Storage`], the signal's reason.
    pub async fn room(&mut self, cx: &Context) -> Result<()> {
        cx.check()?;
        if self.open.as_ref().is_some_and(|(_, bytes)| bytes + LARGEST > self.most()) {
            self.close();
        }
        self.settle(IN_FLIGHT, cx).await
    }

    /// Copies these parts, and begins to write them.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when a buffer was transferred away; [`Error::Storage`].
    pub fn send(&mut self, name: &str, parts: &[Uint8Array]) -> Result<()> {
        self.bytes += weights::length(parts);
        self.needed = self.needed.max(self.bytes);
        let record = catalog::keyed(name);
        let data: JsValue = match self.is_blob {
            true => host::blob(&parts.iter().collect::<Array>(), "")?,
            false => weights::copied(parts)?.into(),
        };
        js::set(&record, "data", &data);
        self.written.push(name.to_owned());
        let bytes = weights::length(parts);
        if let Some((transaction, filled)) = &mut self.open
            && catalog::put(transaction, POOL, &record, self.needed).is_ok()
        {
            *filled += bytes;
            return Ok(());
        }
        // There is none, or a turn of the event loop has passed, and it takes no more.
        self.close();
        let transaction = self.db.write_with(&[POOL], self.durability.as_deref())?;
        let sent = catalog::put(&transaction, POOL, &record, self.needed);
        self.open = Some((transaction, bytes));
        sent
    }

    fn most(&self) -> u64 {
        let [buffers, blobs] = MOST_BYTES;
        if self.is_blob { blobs } else { buffers }
    }

    /// The open transaction takes no more: it is on its way.
    fn close(&mut self) {
        self.in_flight.extend(self.open.take().map(|(transaction, _)| transaction));
    }

    /// Waits until all are committed.
    ///
    /// # Errors
    /// As [`Writer::room`].
    pub async fn finish(&mut self, cx: &Context) -> Result<()> {
        self.close();
        self.settle(0, cx).await
    }

    async fn settle(&mut self, left: usize, cx: &Context) -> Result<()> {
        while self.in_flight.len() > left {
            let Some(transaction) = self.in_flight.pop_front() else { break };
            transaction.settle(Ok(()), self.needed, cx).await?;
        }
        Ok(())
    }

    /// Removes what was written. By a new connection: Firefox refuses to write through one that has met the quota.
    pub async fn discard(mut self) {
        self.close();
        let cx = Context::default();
        for transaction in self.in_flight {
            let _ = transaction.settle(Err::<(), _>(Error::argument("save", "given up").into()), 0, &cx).await;
        }
        drop(self.db);
        let Ok(db) = catalog::open(&self.url, 0, &cx).await else { return };
        let Ok(transaction) = db.write_with(&[POOL], Some("relaxed")) else { return };
        let deleted = self.written.iter().try_for_each(|name| catalog::delete(&transaction, POOL, name));
        let _ = transaction.settle(deleted, 0, &cx).await;
    }
}

/// What reads some bytes of a shard when it is asked: nothing of it is in memory before. By this connection, while it lives.
pub fn source(part: &Part<'_>, how: &Reading<'_>, db: &Rc<Connection>) -> JsValue {
    let (name, url, db) = (part.shard.to_owned(), how.url.to_owned(), Rc::downgrade(db));
    let (is_drained, spent) = (how.in_turn || how.spent.is_some(), how.spent.map(Spent::weak));
    let (offset, bytes) = (part.offset, part.bytes);
    let read = move || -> Promise {
        let (name, url, db, spent) = (name.clone(), url.clone(), db.upgrade(), spent.clone());
        js::promise(async move {
            let part = find(&name, offset, bytes, &url, db).await?;
            match js::method(&part, "arrayBuffer") {
                Some(_) if is_drained => drain(&part, bytes, spent.and_then(|spent| spent.get()).as_ref()).await,
                Some(read) => host::settled(read.call0(&part)).await,
                None => Ok(part),
            }
        })
    };
    readable(read)
}

/// The bytes, or a Blob of them; none where there is no such shard: who reads finds them too short.
async fn find(name: &str, offset: u64, bytes: u64, url: &str, db: Option<Rc<Connection>>) -> Host<JsValue> {
    let db = match db {
        Some(db) => db,
        None => Rc::new(catalog::kept(url, &Context::default()).await?),
    };
    let record = catalog::get(&db.read(&[POOL])?, POOL, name).await?;
    let data = js::get(&record, "data");
    if js::method(&data, "slice").is_none() {
        return Ok(JsValue::UNDEFINED);
    }
    let size = js::get_some(&data, "size").unwrap_or_else(|| js::get(&data, "byteLength"));
    let is_whole = offset == 0 && size == bytes as f64;
    let ends = [&(offset as f64).into(), &((offset + bytes) as f64).into()];
    if is_whole { Ok(data) } else { host::call(&data, "slice", &ends) }
}
