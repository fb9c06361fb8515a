//! `opfs://`, and `indexeddb://` for large models: a row in the catalog and immutable shards in a pool. A save writes the pieces that no
//! shard holds yet, and one transaction makes it the model; copy and move touch the catalog alone; only the sweep removes bytes.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::rc::Rc;

use futures_util::future::join;
use js_sys::Uint8Array;
use wasm_bindgen::JsCast;

use super::catalog::{self, HEADERS, META, MODELS, Row, Stored};
use super::pool::{Part, Pool, Reading};
use super::{Entry, Store, Which, corrupt};
use crate::artifacts::{Header, Model, described};
use crate::context::{Context, Taken};
use crate::digest::Key;
use crate::error::Error;
use crate::idb::{Connection, Transaction};
use crate::info::Info;
use crate::js::Result;
use crate::locks::{self, Lock};
use crate::pieces::{self, Run};
use crate::weights::{Check, Chunk, Chunks, Spent, Weights};

mod save;
mod shards;
pub mod sweep;

/// Whether a model has a twin in another layout, once that is known.
pub type Twin = Cell<Option<bool>>;

/// Held alone by the sweep, shared by who begins to read or to save.
const SWEEP: &str = "tfpersist:sweep";

thread_local! {
    /// Shards that were read here, and were not what had been written.
    static DAMAGED: RefCell<HashSet<String>> = RefCell::default();
}

/// The lock that keeps the shards of a save: its own while it is under way, and then its readers'.
fn lock_of(save: &str) -> String {
    format!("tfpersist:shards/{save}")
}

/// The save that a shard was written by: what stands before the number in its name.
fn save_of(shard: &str) -> &str {
    shard.rsplit_once('-').map_or(shard, |(save, _)| save)
}

/// The sharded layout in one of its pools.
#[derive(Clone, Copy, Debug)]
pub struct Sharded(pub Pool);

impl Store for Sharded {
    fn scheme(&self) -> &str {
        self.0.name()
    }

    async fn open(&self, path: &str, cx: &Context) -> Result<Model> {
        let url = self.url(path);
        if !catalog::exists().await {
            return Err(Error::NotFound { url }.into());
        }
        let (gate, db) = join(locks::shared(SWEEP, cx), catalog::kept(&url, cx)).await;
        let (gate, db) = (gate?, Rc::new(db?));
        let transaction = db.read(&catalog::TO_LOAD)?;
        let (row, stored) = (catalog::model(&transaction, &url), catalog::stored(&transaction, &url));
        let key = catalog::known_key(&transaction);
        let (row, stored, key) = (row.await?, stored.await?, key.await?);
        let row = row.ok_or_else(|| Error::NotFound { url: url.clone() })?;
        let locks = keep(&row.shards, cx).await?;
        let weights = self.weights(&row, &stored, key, (locks, db.clone()), cx).await?;
        drop(gate);
        if !stored.artifacts.is_object() {
            return Err(corrupt(&url, HEADERS, "ModelArtifacts", described(&stored.artifacts)).into());
        }
        let header = Header::of_own(stored.artifacts.unchecked_ref())?;
        let mut model = Model::new(header, weights).map_err(|failure| failure.at_rest(&url))?;
        model.saved = row.saved();
        check_size(&model, &row, &url)?;
        Ok(model)
    }

    async fn put(&self, path: &str, model: Model, cx: &Context) -> Result<Info> {
        let (info, replaced) = save::save(self.0, &self.url(path), model, cx).await?;
        if replaced {
            sweep::soon(cx);
        } else {
            sweep::first(cx);
        }
        Ok(self.shown(info))
    }

    async fn list(&self, _prefix: &str, cx: &Context) -> Result<Vec<Entry>> {
        if !catalog::exists().await {
            return Ok(Vec::new());
        }
        let db = catalog::kept(&self.url(""), cx).await?;
        let rows = catalog::models(&db.read(&[MODELS])?, self.0.name()).await?;
        Ok(rows.into_iter().filter_map(|row| self.entry(row)).collect())
    }

    async fn row(&self, path: &str, cx: &Context) -> Result<Option<Entry>> {
        if !catalog::exists().await {
            return Ok(None);
        }
        let url = self.url(path);
        let db = catalog::kept(&url, cx).await?;
        let row = catalog::model(&db.read(&[MODELS])?, &url).await?;
        Ok(row.and_then(|row| self.entry(row)))
    }

    async fn remove(&self, path: &str, which: Which, cx: &Context) -> Result<Option<Entry>> {
        self.unlink(path, which, None, cx).await
    }

    async fn rename(&self, from: &str, to: &str, cx: &Context) -> Result<Option<Info>> {
        self.link(from, to, true, None, cx).await.map(Some)
    }

    async fn copy(&self, from: &str, to: &str, cx: &Context) -> Result<Option<Info>> {
        self.link(from, to, false, None, cx).await.map(Some)
    }
}

impl Sharded {
    fn entry(&self, row: Row) -> Option<Entry> {
        let path = row.url.strip_prefix(self.0.name())?.strip_prefix("://")?.to_owned();
        let damage = row.info.is_none().then(|| corrupt(&row.url, MODELS, "a ModelArtifactsInfo", "none"));
        Some(Entry { path, info: row.info.map(|info| self.shown(info)), damage })
    }

    /// As a caller sees it: where there are two layouts, it says which.
    fn shown(&self, info: Info) -> Info {
        Info { is_sharded: self.0 == Pool::IndexedDb, ..info }
    }

    /// The weights of a model, to be read when they are asked for; the locks keep their shards until then.
    async fn weights(
        &self,
        row: &Row,
        stored: &Stored,
        key: Option<Key>,
        guard: (Vec<Lock>, Rc<Connection>),
        cx: &Context,
    ) -> Result<Weights> {
        if stored.weights.is_none() {
            return Ok(Weights::None);
        }
        let url: Rc<str> = row.url.as_str().into();
        let broken = || corrupt(&url, HEADERS, "where the weights lie", "something else");
        let placed = stored.placed(row.shards.len()).ok_or_else(broken)?;
        let key = key.map(Rc::new).filter(|_| cx.is_thorough.get());
        if key.is_none() && cx.is_thorough.get() {
            return Err(corrupt(&url, META, "the secret that shards are hashed with", "none").into());
        }
        let runs = pieces::runs(&placed);
        let part = |run: &Run| {
            let shard = row.shards.get(run.shard as usize)?;
            Some(Part { shard, offset: run.offset, bytes: run.bytes })
        };
        let parts: Vec<_> = runs.iter().map(part).collect::<Option<_>>().ok_or_else(broken)?;
        let taken = if cx.flag("stream")? { Taken::InTurn } else { cx.taken.get() };
        let spent = (taken == Taken::Dropped).then(Spent::default);
        let how = Reading { url: &url, in_turn: taken == Taken::InTurn, spent: spent.as_ref() };
        let sources = self.0.sources(&parts, &how, &guard.1).await?;
        let mut list = Vec::new();
        for ((run, part), source) in runs.into_iter().zip(&parts).zip(sources) {
            let source = source.ok_or_else(|| corrupt(&url, part.shard, "a shard", "none"))?;
            let check = check(run, key.clone(), url.clone(), part.shard.to_owned());
            list.push(Chunk { bytes: part.bytes, source, check: Some(check), part: None });
        }
        Ok(Weights::Chunks(Chunks { list, of: url, guard: Some(Rc::new(guard)), spent }))
    }

    /// Removes a model's row; its shards are the sweep's.
    ///
    /// # Errors
    /// As [`Store::remove`]; [`Error::NotFound`] also where there is a twin.
    pub async fn unlink(&self, path: &str, which: Which, twin: Option<&Twin>, cx: &Context) -> Result<Option<Entry>> {
        let url = self.url(path);
        if !catalog::exists().await {
            return Err(Error::NotFound { url }.into());
        }
        let db = catalog::kept(&url, cx).await?;
        let transaction = db.write(&[MODELS, HEADERS], cx)?;
        let outcome = self.unlink_row(&transaction, &url, which, twin).await;
        let removed = transaction.settle(outcome, 0, cx).await?;
        sweep::soon(cx);
        Ok(removed)
    }

    async fn unlink_row(
        &self,
        transaction: &Transaction,
        url: &str,
        which: Which,
        twin: Option<&Twin>,
    ) -> Result<Option<Entry>> {
        let row = found(transaction, catalog::model(transaction, url), url, twin).await?;
        if !which.is(row.saved()) {
            return Ok(None);
        }
        catalog::delete_model(transaction, url)?;
        Ok(self.entry(row))
    }

    /// One more model that lies in the same shards; of a move the first one goes.
    ///
    /// # Errors
    /// As [`Store::copy`] and [`Store::rename`]; [`Error::NotFound`] also where one of both has a twin.
    pub async fn link(&self, from: &str, to: &str, is_move: bool, twin: Option<&Twin>, cx: &Context) -> Result<Info> {
        let (from, to) = (self.url(from), self.url(to));
        if !catalog::exists().await {
            return Err(Error::NotFound { url: from }.into());
        }
        let db = catalog::kept(&to, cx).await?;
        let transaction = db.write(&[MODELS, HEADERS], cx)?;
        let outcome = link_rows(&transaction, from, to, is_move, twin, cx).await;
        let (info, replaced) = transaction.settle(outcome, 0, cx).await?;
        if replaced {
            sweep::soon(cx);
        }
        Ok(self.shown(info))
    }
}

/// The row of a model without a twin.
async fn found(
    transaction: &Transaction,
    asked: impl Future<Output = Result<Option<Row>>>,
    url: &str,
    twin: Option<&Twin>,
) -> Result<Row> {
    let row = asked.await?;
    let has_twin = match twin {
        Some(twin) => transaction.held_for(MODELS, twin).await? != Some(false),
        None => false,
    };
    row.filter(|_| !has_twin).ok_or_else(|| Error::NotFound { url: url.to_owned() }.into())
}

async fn link_rows(
    transaction: &Transaction,
    from: String,
    to: String,
    is_move: bool,
    twin: Option<&Twin>,
    cx: &Context,
) -> Result<(Info, bool)> {
    let (row, stored) = (catalog::model(transaction, &from), catalog::stored(transaction, &from));
    let replaced = catalog::model(transaction, &to);
    let row = found(transaction, row, &from, twin).await?;
    let (stored, replaced) = (stored.await?, replaced.await?);
    if replaced.is_some() && !cx.overwrite {
        return Err(Error::AlreadyExists { url: to }.into());
    }
    let info = row.info.ok_or_else(|| corrupt(&from, MODELS, "a ModelArtifactsInfo", "none"))?;
    let info = info.dated_after(cx.replaced(replaced.as_ref().and_then(Row::saved)));
    catalog::put_model(transaction, &Row { url: to, ..row }, info, &stored)?;
    if is_move {
        catalog::delete_model(transaction, &from)?;
    }
    Ok((info, replaced.is_some()))
}

/// Holds the locks of all saves that these shards are of, shared with other readers.
async fn keep(shards: &[String], cx: &Context) -> Result<Vec<Lock>> {
    let (mut saves, mut locks) = (HashSet::new(), Vec::new());
    for save in shards.iter().map(|shard| save_of(shard)) {
        if saves.insert(save) {
            locks.push(locks::shared(&lock_of(save), cx).await?);
        }
    }
    Ok(locks)
}

/// Whether what was read is what was written. What is not is never used by a save of this page: it heals what it overwrites.
fn check(run: Run, key: Option<Rc<Key>>, url: Rc<str>, name: String) -> Check {
    Rc::new(move |bytes: &Uint8Array| {
        compare(bytes, &run, key.as_deref(), &url, &name).inspect_err(|_| {
            DAMAGED.with_borrow_mut(|damaged| damaged.insert(name.clone()));
        })
    })
}

/// That there are as many bytes, and, where there is a key, the same.
fn compare(bytes: &Uint8Array, run: &Run, key: Option<&Key>, url: &str, name: &str) -> Result<()> {
    if u64::from(bytes.length()) != run.bytes {
        let received = format!("{} bytes", bytes.length());
        return Err(corrupt(url, name, &format!("{} bytes from {}", run.bytes, run.offset), received).into());
    }
    let Some(key) = key else { return Ok(()) };
    let mut start = 0;
    for piece in &run.pieces {
        let end = start + piece.bytes as u32;
        let received = key.hash(&[bytes.subarray(start, end)]);
        if received != piece.hash {
            let [expected, received] = [piece.hash, received].map(|hash| format!("xxh3-128 {hash:032x}"));
            return Err(corrupt(url, name, &expected, received).into());
        }
        start = end;
    }
    Ok(())
}

/// That there are as many bytes as the catalog's own row tells of.
fn check_size(model: &Model, row: &Row, url: &str) -> Result<()> {
    let info = row.info.ok_or_else(|| corrupt(url, MODELS, "a ModelArtifactsInfo", "none"))?;
    let received = model.weights.byte_length().unwrap_or_default();
    if info.weight_bytes == received {
        return Ok(());
    }
    let expected = format!("{} bytes", info.weight_bytes);
    Err(corrupt(url, "weightData", &expected, format!("{received} bytes")).into())
}
