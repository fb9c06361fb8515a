//! The sweep: the only one who removes shards. It takes what no model names and no save under way may use, and passes by what somebody reads.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};

use js_sys::Date;
use wasm_bindgen_futures::spawn_local;

use super::super::catalog::{self, PENDING, POOL, SHARDS};
use super::super::pool::{Pool, opfs};
use super::{SWEEP, lock_of, save_of};
use crate::context::Context;
use crate::host;
use crate::idb::Transaction;
use crate::js::{self, Result};
use crate::locks;

/// Where there are no locks, a save that began this many milliseconds ago may still be under way.
const DAY: f64 = 24.0 * 60.0 * 60.0 * 1000.0;

/// What errors of the files name.
const FILES: &str = "opfs://";

thread_local! {
    /// Whether one runs here, and whether one more is wanted after it.
    static RUNNING: Cell<(bool, bool)> = const { Cell::new((false, false)) };
    /// Whether one has run in this page.
    static HAS_RUN: Cell<bool> = const { Cell::new(false) };
}

/// Sweeps once in a page: what earlier ones left.
pub fn first(cx: &Context) {
    if !HAS_RUN.get() {
        soon(cx);
    }
}

/// Sweeps when the caller has its answer: nobody waits for it, and what it does not get to the next one does.
pub fn soon(cx: &Context) {
    HAS_RUN.set(true);
    if RUNNING.get().0 {
        return RUNNING.set((true, true));
    }
    RUNNING.set((true, false));
    let cx = cx.quiet();
    spawn_local(async move {
        loop {
            let _ = sweep(&cx).await;
            if !RUNNING.replace((true, false)).1 {
                break;
            }
        }
        RUNNING.set((false, false));
    });
}

/// Removes all that nobody needs, and gives the bytes of it.
///
/// # Errors
/// [`crate::Error::Storage`].
pub async fn sweep(cx: &Context) -> Result<u64> {
    if !catalog::exists().await {
        return Ok(0);
    }
    let _alone = locks::exclusive(SWEEP, cx).await?;
    // Files first: a save announces itself before it makes one, so whose file is seen here is seen below.
    let files = opfs::files(opfs::files_soon(FILES), FILES).await?;
    let held = locks::held(cx).await;
    if held.is_none() && locks::exist() {
        return Ok(0); // who reads what cannot be told
    }
    let db = catalog::kept("tfpersist", cx).await?;
    let transaction = db.write_with(&catalog::ALL, Some("strict"))?;
    let outcome = Needs::look(&transaction, held).await;
    let outcome = match outcome {
        Ok(needs) => needs.sweep(&transaction).await.map(|freed| (needs, freed)),
        Err(failure) => Err(failure),
    };
    let (needs, freed) = transaction.settle(outcome, 0, cx).await?;
    let dead: Vec<_> = files.into_iter().filter(|(name, _)| !needs.keeps(name)).collect();
    let names: Vec<String> = dead.iter().map(|(name, _)| name.clone()).collect();
    opfs::remove(&names, FILES).await?;
    Ok(freed + dead.iter().map(|(_, bytes)| bytes).sum::<u64>())
}

/// What must stay.
struct Needs {
    /// Shards that a model names, or that a save may use.
    shards: HashSet<String>,
    /// Saves that are under way.
    saves: HashSet<String>,
    /// Saves that are dead.
    dead: Vec<String>,
    /// The names of locks; `None` where there are none.
    held: Option<HashSet<String>>,
}

impl Needs {
    async fn look(transaction: &Transaction, held: Option<Vec<String>>) -> Result<Self> {
        let models = catalog::all_models(transaction).await?;
        let mut needs = Self {
            shards: models.into_iter().flat_map(|row| row.shards).collect(),
            saves: HashSet::new(),
            dead: Vec::new(),
            held: held.map(|names| names.into_iter().collect()),
        };
        for pending in catalog::pending(transaction).await? {
            if needs.is_alive(&pending.id) {
                needs.shards.extend(pending.shards);
                needs.saves.insert(pending.id);
            } else {
                needs.dead.push(pending.id);
            }
        }
        Ok(needs)
    }

    /// Whether a save may be under way, or somebody reads what it wrote.
    fn is_alive(&self, save: &str) -> bool {
        match &self.held {
            Some(held) => held.contains(&lock_of(save)),
            None => is_young(save),
        }
    }

    fn keeps(&self, shard: &str) -> bool {
        let save = save_of(shard);
        self.shards.contains(shard) || self.saves.contains(save) || self.is_alive(save)
    }

    /// Deletes the rows and records of all others; gives the bytes of the records.
    async fn sweep(&self, transaction: &Transaction) -> Result<u64> {
        for id in &self.dead {
            catalog::delete(transaction, PENDING, id)?;
        }
        let mut known = HashMap::new();
        for pool in [Pool::Opfs, Pool::IndexedDb] {
            for shard in catalog::shards(transaction, pool.name()).await? {
                if !self.keeps(&shard.name) {
                    catalog::delete(transaction, SHARDS, &shard.name)?;
                    known.insert(shard.name, shard.pieces.iter().map(|piece| piece.bytes).sum::<u64>());
                }
            }
        }
        let mut freed = 0;
        for name in catalog::keys(transaction, POOL).await? {
            if !self.keeps(&name) {
                freed += match known.get(&name) {
                    Some(bytes) => *bytes,
                    None => length(transaction, &name).await?, // of a save that died
                };
                catalog::delete(transaction, POOL, &name)?;
            }
        }
        Ok(freed)
    }
}

/// Bytes of a record.
async fn length(transaction: &Transaction, name: &str) -> Result<u64> {
    let data = js::get(&catalog::get(transaction, POOL, name).await?, "data");
    Ok(js::get(&data, "byteLength").as_f64().map_or_else(|| host::size(&data), |bytes| bytes as u64))
}

/// Whether a save began less than a day ago, by the date in its id.
fn is_young(save: &str) -> bool {
    let began = save.split_once('-').and_then(|(began, _)| u64::from_str_radix(began, 16).ok());
    began.is_some_and(|began| Date::now() - (began as f64) < DAY)
}
