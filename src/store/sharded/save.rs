//! A save into the sharded layout: announce it, write the pieces that are nowhere yet, and commit.

use std::collections::{HashMap, HashSet};

use futures_util::future::join;
use js_sys::Promise;
use wasm_bindgen::{JsCast, JsValue};

use super::super::catalog::{self, MODELS, PENDING, POOL, Pending, Row, SHARDS, Shard, Stored};
use super::super::pool::{Pool, Writer, opfs};
use super::shards::Shards;
use super::{DAMAGED, SWEEP, lock_of};
use crate::artifacts::{Header, Model};
use crate::context::Context;
use crate::digest::Key;
use crate::error::Error;
use crate::idb::{Connection, Transaction};
use crate::info::Info;
use crate::js::{self, Failure, Result};
use crate::locks::{self, Lock};
use crate::pieces::{self, Layout};
use crate::weights::Weights;

/// A save that is announced.
struct Save<'a> {
    pool: Pool,
    url: &'a str,
    id: String,
    db: Connection,
    /// Says that this save lives; and keeps its shards.
    _lock: Lock,
}

/// Stores the model; gives its info, and whether it replaced another.
pub async fn save(pool: Pool, url: &str, mut model: Model, cx: &Context) -> Result<(Info, bool)> {
    // A copy: what the caller does with the topology while the weights are written does not matter.
    let header = js::structured_clone(&model.header.with_weights(None)).map_err(js::storage(url, 0))?;
    let bytes = model.bytes();
    // At once, so that it costs no time.
    let files = (pool == Pool::Opfs).then(|| opfs::files_soon(url));
    let id = new_id()?;
    let lock = lock_of(&id);
    let ready = async {
        let writer = pool.writer(url, bytes, cx).await?; // first: without it nothing is made
        Ok::<_, Failure>((writer, catalog::open(url, 0, cx).await?))
    };
    let (ready, own) = join(ready, locks::exclusive(&lock, cx)).await;
    let ((mut writer, db), own) = (ready?, own?);
    let save = Save { pool, url, id, db, _lock: own };
    let (layout, key) = save.announce(files, cx).await?;
    let shards = Shards::new(layout, key, bytes, &save.id, is_strict(cx));
    let written = save.write(&mut model, shards, &mut writer, cx).await;
    let committed = match written {
        Ok(written) => save.commit(&header, written, bytes, cx).await,
        Err(failure) => Err(failure),
    };
    if committed.is_err() {
        writer.discard().await;
        save.withdraw().await;
    }
    committed
}

/// What a save has written.
struct Written {
    /// The shards of the model, those that were there before, too.
    names: Vec<String>,
    /// Those of them that are new.
    new: Vec<Shard>,
    /// Where the weights lie; `None` when the model has none.
    weights: Option<Vec<u8>>,
    bytes: u64,
}

impl<'a> Save<'a> {
    /// Tells everybody, before a byte is written, that this save is under way and may use any shard that is there now. The sweep waits
    /// meanwhile, so it knows of the save or has been before it.
    async fn announce(&self, files: Option<Promise>, cx: &Context) -> Result<(Layout, Key)> {
        let gate = locks::shared(SWEEP, cx).await?;
        let files = match files {
            Some(files) => Some(opfs::files(files, self.url).await?),
            None => None,
        };
        let transaction = self.db.write_with(&catalog::ALL, Some("relaxed"))?;
        let outcome = begin(&transaction, self.pool, files, self.url, &self.id, cx).await;
        let announced = transaction.settle(outcome, 0, cx).await;
        drop(gate);
        announced
    }

    async fn write(&self, model: &mut Model, mut shards: Shards, writer: &mut Writer, cx: &Context) -> Result<Written> {
        let has_weights = !matches!(model.weights, Weights::None);
        let cuts = pieces::cuts(model.weight_lengths());
        let pull = model.pull(cx).await?;
        shards.is_counted = model.is_counted;
        shards.drink(pull, cuts, writer, cx).await?;
        writer.finish(cx).await?;
        let bytes = shards.bytes;
        let (names, placed) = shards.layout.finish();
        let weights = has_weights.then(|| pieces::encode_placed(&placed));
        Ok(Written { names, new: shards.new, weights, bytes })
    }

    /// The moment at which the new model is there, and the old one is not.
    async fn commit(
        &self,
        artifacts: &JsValue,
        written: Written,
        needed: Option<u64>,
        cx: &Context,
    ) -> Result<(Info, bool)> {
        let counted = Header::of_own(artifacts.unchecked_ref())?.info(written.bytes)?;
        if let Some(expected) = needed.filter(|needed| *needed != written.bytes) {
            return Err(Error::SizeMismatch { file: "weightData".into(), expected, received: written.bytes }.into());
        }
        let needed = needed.unwrap_or(written.bytes);
        cx.check()?;
        let durability = cx.durability.as_deref().unwrap_or("strict");
        let transaction = self.db.write_with(&catalog::ALL, Some(durability))?;
        let outcome = self.commit_rows(&transaction, artifacts, written, counted, cx).await;
        transaction.settle(outcome, needed, cx).await
    }

    async fn commit_rows(
        &self,
        transaction: &Transaction,
        artifacts: &JsValue,
        written: Written,
        info: Info,
        cx: &Context,
    ) -> Result<(Info, bool)> {
        let replaced = catalog::model(transaction, self.url);
        self.check(transaction, &written).await?;
        let replaced = replaced.await?;
        if replaced.is_some() && !cx.overwrite {
            return Err(Error::AlreadyExists { url: self.url.to_owned() }.into());
        }
        for shard in &written.new {
            catalog::put_shard(transaction, shard, self.pool.name())?;
        }
        let info = info.dated_after(cx.replaced(replaced.as_ref().and_then(Row::saved)));
        let row = Row { url: self.url.to_owned(), info: None, shards: written.names };
        let stored = Stored { artifacts: artifacts.clone(), weights: written.weights };
        catalog::put_model(transaction, &row, info, &stored)?;
        catalog::delete(transaction, PENDING, &self.id)?;
        Ok((info, replaced.is_some()))
    }

    /// That nobody took this save for dead, and each shard that it uses is still there.
    async fn check(&self, transaction: &Transaction, written: &Written) -> Result<()> {
        let mut asked = vec![catalog::has(transaction, PENDING, &self.id)];
        for name in &written.names {
            let store = match written.new.iter().any(|shard| shard.name == *name) {
                false => SHARDS,
                true if self.pool == Pool::IndexedDb => POOL,
                true => continue, // a file, whose length was looked at when it was written
            };
            asked.push(catalog::has(transaction, store, name));
        }
        let mut is_there = true;
        for asked in asked {
            is_there &= asked.await?;
        }
        if is_there {
            return Ok(());
        }
        let why = "what it had written was cleared away meanwhile".to_owned();
        Err(Error::Storage { url: self.url.to_owned(), why }.into())
    }

    /// After a failure: it is not under way any more. If that fails, the sweep finds out.
    async fn withdraw(self) {
        let cx = Context::default();
        let url = self.url;
        drop(self.db); // Firefox refuses to write through one that has met the quota
        let Ok(db) = catalog::open(url, 0, &cx).await else { return };
        let Ok(transaction) = db.write_with(&[PENDING], Some("relaxed")) else { return };
        let deleted = catalog::delete(&transaction, PENDING, &self.id);
        let _ = transaction.settle(deleted, 0, &cx).await;
    }
}

/// Whether it shall be on the disk when it is committed: models in shards are, unless the caller says otherwise.
fn is_strict(cx: &Context) -> bool {
    cx.durability.as_deref().is_none_or(|durability| durability == "strict")
}

/// What is there, and the pending row that keeps it.
async fn begin(
    transaction: &Transaction,
    pool: Pool,
    files: Option<HashMap<String, u64>>,
    url: &str,
    id: &str,
    cx: &Context,
) -> Result<(Layout, Key)> {
    if !cx.overwrite && catalog::has(transaction, MODELS, url).await? {
        return Err(Error::AlreadyExists { url: url.to_owned() }.into());
    }
    let key = catalog::key(transaction).await?;
    let mut pending = Pending { id: id.to_owned(), shards: Vec::new() };
    let mut layout = Layout::default();
    let records: HashSet<String> = match files {
        Some(_) => HashSet::new(),
        None => catalog::keys(transaction, POOL).await?.into_iter().collect(),
    };
    for shard in catalog::shards(transaction, pool.name()).await? {
        let bytes = shard.pieces.iter().map(|piece| piece.bytes).sum::<u64>();
        let is_there = match &files {
            Some(files) => files.get(&shard.name) == Some(&bytes),
            // A transaction wrote it, whole. How long it is would have to be read.
            None => records.contains(&shard.name),
        };
        // What a relaxed save wrote may not be on the disk yet.
        let is_fit = is_there && (shard.is_strict || !is_strict(cx));
        if !is_fit || DAMAGED.with_borrow(|damaged| damaged.contains(&shard.name)) {
            continue; // it is written again
        }
        pending.shards.push(shard.name.clone());
        layout.know(shard.name, &shard.pieces);
    }
    catalog::put_pending(transaction, &pending)?;
    Ok((layout, key))
}

/// An id that nothing ever had: when it was, which the sweep looks at where there are no locks, and 64 random bits.
fn new_id() -> Result<String> {
    let random = catalog::random(8)?.to_vec();
    let random = random.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    Ok(format!("{:x}-{random:016x}", js_sys::Date::now() as u64))
}
