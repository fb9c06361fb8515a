//! `indexeddb://` in its two layouts: TF.js's own records, and, for large models, shards. Of one path the newer counts, and a save of
//! ours is later than its twin; the older one goes with the next write.

use futures_util::future::join;

use crate::artifacts::Model;
use crate::context::Context;
use crate::error::Error;
use crate::info::Info;
use crate::js::{self, Failure, Result};
use crate::locks::{self, Lock};
use crate::store::catalog;
use crate::store::indexed_db::IndexedDb as Records;
use crate::store::pool::Pool;
use crate::store::sharded::{Sharded, Twin};
use crate::store::{Entry, Store, Which};

const SHARDS: Sharded = Sharded(Pool::IndexedDb);

/// Bytes of weights up to which a model is stored as TF.js does it, unless the option `layout` says otherwise.
pub const RECORD: u64 = 64 << 20;

/// How often a model is looked for that is saved in turn in one layout and the other.
const ATTEMPTS: u32 = 3;

/// The IndexedDB of this origin.
#[derive(Clone, Copy, Debug, Default)]
pub struct IndexedDb;

/// Where the model of a path is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Layout {
    Record,
    Sharded,
}

/// What the option `layout` says.
fn wanted(cx: &Context) -> Result<Option<Layout>> {
    let Some(value) = cx.options.some("layout") else { return Ok(None) };
    match js::text(&value).as_deref() {
        Some("auto") => Ok(None),
        Some("tfjs") => Ok(Some(Layout::Record)),
        Some("sharded") => Ok(Some(Layout::Sharded)),
        _ => Err(Error::argument("options.layout", "it must be 'auto', 'tfjs' or 'sharded'").into()),
    }
}

/// A path at which a model lies in shards, and the record of TF.js's beside it, if there is one.
struct Twins {
    sharded: Entry,
    record: Option<Entry>,
}

impl Twins {
    /// `None` where nothing lies in shards.
    async fn of(path: &str, cx: &Context) -> Result<Option<Self>> {
        if !catalog::exists().await {
            return Ok(None);
        }
        let (sharded, record) = join(sharded_row(path, cx), Records.row(path, cx)).await;
        cx.check()?; // whichever of the two it came at
        let Some(sharded) = sharded? else { return Ok(None) };
        Ok(Some(Self { sharded, record: record? }))
    }

    /// The layout of the newer one. An info of TF.js's without its model counts for nothing beside a model.
    fn newer(&self) -> Layout {
        let saved = |entry: &Entry| entry.saved().unwrap_or(f64::MIN);
        match &self.record {
            Some(record) if record.damage.is_none() && saved(record) > saved(&self.sharded) => Layout::Record,
            _ => Layout::Sharded,
        }
    }

    /// Drops the record, where there is one, if it is not later.
    async fn drop_record(&self, path: &str, cx: &Context) -> Result<()> {
        match &self.record {
            Some(_) => drop_twin(Layout::Record, path, self.sharded.saved(), cx).await,
            None => Ok(()),
        }
    }

    fn into_newer(self) -> Entry {
        match (self.newer(), self.record) {
            (Layout::Record, Some(record)) => record,
            _ => self.sharded,
        }
    }
}

/// The model of TF.js's record, unless a newer one lies in shards.
async fn newer_record(path: &str, cx: &Context) -> Result<Option<Model>> {
    let twins = Twins::of(path, cx).await?;
    if twins.as_ref().is_some_and(|twins| twins.newer() == Layout::Sharded) {
        return Ok(None);
    }
    let model = Records.open(path, cx).await?;
    // By the model's own date: TF.js may have died between writing the info and the model.
    let shards = twins.and_then(|twins| twins.sharded.saved());
    Ok(Some(model).filter(|model| model.saved.is_none() || model.saved >= shards))
}

/// What lies in shards at a path. A catalog without its object stores has no model, and is nothing to the records beside it.
async fn sharded_row(path: &str, cx: &Context) -> Result<Option<Entry>> {
    match SHARDS.row(path, cx).await {
        Err(failure) if is_corrupt(&failure) => Ok(None),
        row => row,
    }
}

/// Drops what lies at a path in a layout, if it is not later than its twin.
async fn drop_twin(layout: Layout, path: &str, newer: Option<f64>, cx: &Context) -> Result<()> {
    let which = Which::NotAfter(newer.unwrap_or(f64::MAX));
    let dropped = match layout {
        Layout::Record => Records.remove(path, which, &cx.quiet()).await,
        Layout::Sharded => SHARDS.remove(path, which, &cx.quiet()).await,
    };
    match dropped {
        Err(failure) if !is_missing(&failure) => Err(failure),
        _ => Ok(()),
    }
}

/// The same after a commit: if it stays it does no harm, it is older.
async fn drop_older(layout: Layout, path: &str, newer: &Info, cx: &Context) {
    let _ = drop_twin(layout, path, Some(newer.saved), cx).await;
}

/// Does to shards what `work` does, which is told in `twin` whether a record of TF.js's is at one of the paths: mostly there is none, and one
/// transaction is all. `None` where there is one, or nothing among the shards: then both layouts have to be looked at first.
async fn at_once<T>(
    paths: &[&str],
    twin: &Twin,
    work: impl Future<Output = Result<T>>,
    cx: &Context,
) -> Result<Option<T>> {
    if !catalog::exists().await {
        return Ok(None);
    }
    let tell = async { twin.set(Some(Records.has_any(paths, cx).await.unwrap_or(true))) };
    match join(tell, work).await.1 {
        Err(failure) if is_missing(&failure) || is_corrupt(&failure) => Ok(None),
        done => done.map(Some),
    }
}

fn is_corrupt(failure: &Failure) -> bool {
    matches!(failure.error(), Some(Error::Corrupt { .. }))
}

fn is_missing(failure: &Failure) -> bool {
    matches!(failure.error(), Some(Error::NotFound { .. }))
}

impl Store for IndexedDb {
    fn scheme(&self) -> &str {
        Records.scheme()
    }

    async fn open(&self, path: &str, cx: &Context) -> Result<Model> {
        let mut attempts = 1;
        loop {
            let is_known = catalog::is_known();
            if is_known {
                // Then both are asked in one task: what somebody removes of one and then of the other is seen in both, or in none.
                let _ = join(Records.ready(cx), catalog::kept(SHARDS.scheme(), cx)).await;
            }
            // Mostly it is in one of them alone; the record is asked for first, as it takes longest.
            let record = match join(Records.open(path, cx), sharded_row(path, cx)).await {
                (record, Ok(None)) if is_known || !catalog::is_known() => record.map(Some),
                (Err(failure), Ok(Some(_))) if is_missing(&failure) => Ok(None),
                _ => newer_record(path, cx).await, // what was read may be old by now
            };
            let opened = match record {
                Ok(Some(model)) => Ok(model),
                Ok(None) => SHARDS.open(path, cx).await,
                Err(failure) => Err(failure),
            };
            match opened {
                // Saved in the other layout meanwhile, or not there at all.
                Err(failure) if is_missing(&failure) && attempts < ATTEMPTS && self.row(path, cx).await?.is_some() => {
                    attempts += 1;
                }
                opened => return opened,
            }
        }
    }

    async fn put(&self, path: &str, model: Model, cx: &Context) -> Result<Info> {
        let _turn = self.turn(path, cx).await?;
        let bytes = model.bytes();
        let by_size = if bytes.is_some_and(|bytes| bytes <= RECORD) { Layout::Record } else { Layout::Sharded };
        let layout = wanted(cx)?.unwrap_or(by_size);
        let (twin, other) = match layout {
            Layout::Record => (sharded_row(path, cx).await?, Layout::Sharded),
            Layout::Sharded => (Records.row(path, cx).await?, Layout::Record),
        };
        self.replaces(path, twin.as_ref(), cx)?;
        let info = match layout {
            Layout::Record => Records.put(path, model, cx).await?,
            Layout::Sharded => SHARDS.put(path, model, cx).await?,
        };
        if twin.is_some() {
            drop_older(other, path, &info, cx).await;
        }
        Ok(info)
    }

    async fn list(&self, prefix: &str, cx: &Context) -> Result<Vec<Entry>> {
        let (sharded, entries) = join(SHARDS.list(prefix, cx), Records.list(prefix, cx)).await;
        let sharded = match sharded {
            Err(Failure::Known(known)) if matches!(known.error, Error::Corrupt { .. }) => {
                vec![Entry::damaged("", known.error)]
            }
            sharded => sharded?,
        };
        let mut entries = entries?;
        for sharded in sharded {
            match entries.iter_mut().find(|entry| entry.path == sharded.path) {
                None => entries.push(sharded),
                Some(entry) => *entry = Twins { sharded, record: Some(entry.clone()) }.into_newer(),
            }
        }
        Ok(entries)
    }

    async fn row(&self, path: &str, cx: &Context) -> Result<Option<Entry>> {
        match Twins::of(path, cx).await? {
            Some(twins) => Ok(Some(twins.into_newer())),
            None => Records.row(path, cx).await,
        }
    }

    async fn remove(&self, path: &str, which: Which, cx: &Context) -> Result<Option<Entry>> {
        let twin = Twin::default();
        if let Some(removed) = at_once(&[path], &twin, SHARDS.unlink(path, which, Some(&twin), cx), cx).await? {
            return Ok(removed);
        }
        let Some(twins) = Twins::of(path, cx).await? else { return Records.remove(path, which, cx).await };
        // The older one first: nobody shall see it instead of the newer.
        match twins.newer() {
            Layout::Sharded if which.is(twins.sharded.saved()) => {
                twins.drop_record(path, cx).await?;
                SHARDS.remove(path, which, cx).await
            }
            Layout::Record if which.is(twins.record.as_ref().and_then(Entry::saved)) => {
                drop_twin(Layout::Sharded, path, twins.record.as_ref().and_then(Entry::saved), cx).await?;
                Records.remove(path, which, cx).await
            }
            _ => Ok(None),
        }
    }

    async fn rename(&self, from: &str, to: &str, cx: &Context) -> Result<Option<Info>> {
        let _turn = self.turn(to, cx).await?;
        let moved = self.link(from, to, true, cx).await?;
        if moved.is_some() {
            return Ok(moved);
        }
        if Twins::of(from, cx).await?.is_some() {
            return Ok(None); // the general way looks which is the newer, by the model's own date, and compares
        }
        let twin = sharded_row(to, cx).await?;
        self.replaces(to, twin.as_ref(), cx)?;
        let info = Records.rename(from, to, cx).await?;
        if let Some(info) = info.as_ref().filter(|_| twin.is_some()) {
            drop_older(Layout::Sharded, to, info, cx).await;
        }
        Ok(info)
    }

    async fn copy(&self, from: &str, to: &str, cx: &Context) -> Result<Option<Info>> {
        let _turn = self.turn(to, cx).await?;
        if wanted(cx)? == Some(Layout::Record) { Ok(None) } else { self.link(from, to, false, cx).await }
    }
}

impl IndexedDb {
    /// Who may not replace anything has the path alone among those who may not: another one could be about to write in the other layout.
    async fn turn(&self, path: &str, cx: &Context) -> Result<Option<Lock>> {
        if cx.overwrite { Ok(None) } else { locks::exclusive(&self.url(path), cx).await.map(Some) }
    }

    /// What is at the path in the other layout may be replaced, and the save is dated later; of its own the layout itself makes sure.
    fn replaces(&self, path: &str, twin: Option<&Entry>, cx: &Context) -> Result<()> {
        if twin.is_some() && !cx.overwrite {
            return Err(Error::AlreadyExists { url: self.url(path) }.into());
        }
        cx.later_than.set(twin.and_then(Entry::saved));
        Ok(())
    }

    /// Copies or moves a model among the shards, over what is there in either layout. `None`: it lies in a record.
    async fn link(&self, from: &str, to: &str, is_move: bool, cx: &Context) -> Result<Option<Info>> {
        let twin = Twin::default();
        let linked = at_once(&[from, to], &twin, SHARDS.link(from, to, is_move, Some(&twin), cx), cx).await?;
        if linked.is_some() {
            return Ok(linked);
        }
        let (source, target) = join(Twins::of(from, cx), Records.row(to, cx)).await;
        let Some(source) = source?.filter(|twins| twins.newer() == Layout::Sharded) else { return Ok(None) };
        let target = target?;
        self.replaces(to, target.as_ref(), cx)?;
        if is_move {
            source.drop_record(from, cx).await?;
        }
        let info = SHARDS.link(from, to, is_move, None, cx).await?;
        if target.is_some() {
            drop_older(Layout::Record, to, &info, cx).await;
        }
        Ok(Some(info))
    }
}
