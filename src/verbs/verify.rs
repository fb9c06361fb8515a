//! `verify`, and a listing that verifies: everything that is stored is read and checked.

use wasm_bindgen::prelude::*;

use super::ATTEMPTS;
use crate::context::{Context, Taken};
use crate::error::Error;
use crate::info::Info;
use crate::js::{self, Failure, Result};
use crate::registry::AnyStore;
use crate::route::Route;
use crate::store::{Entry, Store, corrupt};

/// Reads all of them, one after the other; those that are gone meanwhile are left out.
pub(super) async fn check_all(rows: Vec<(AnyStore, Entry)>, cx: &Context) -> Result<Vec<(AnyStore, Entry)>> {
    let bytes = |entry: &Entry| entry.info.map_or(0, |info| info.weight_bytes);
    cx.expect(Some(rows.iter().fold(0, |sum, (_, entry)| sum.saturating_add(bytes(entry)))));
    let mut checked_rows = Vec::new();
    for (store, entry) in rows {
        let read = bytes(&entry);
        if entry.path.is_empty() {
            checked_rows.push((store, entry)); // a whole store that cannot be listed
            continue;
        }
        let row = match checked(&store, &entry.path, &cx.unseen()).await {
            Ok(row) => row,
            Err(failure) => {
                cx.check()?;
                Some(Entry { damage: Some(damage(failure, &store.url(&entry.path))), ..entry })
            }
        };
        cx.advance(read, "read");
        checked_rows.extend(row.map(|row| (store, row)));
    }
    Ok(checked_rows)
}

/// `verify(url, options)`: the row of a listing, after everything that is stored has been read and checked.
pub async fn verify(url: &JsValue, options: &JsValue) -> Result<JsValue> {
    let cx = Context::new(options)?;
    let (store, path) = Route::to_store(url, "url", &cx)?;
    cx.is_thorough.set(true);
    let row = checked(&store, &path, &cx).await?.ok_or_else(|| Error::NotFound { url: store.url(&path) })?;
    cx.finish();
    Ok(row.to_js().into())
}

/// The row of a model after all of it has been read; what a load would reject with is its damage. `None` when there is none.
async fn checked(store: &AnyStore, path: &str, cx: &Context) -> Result<Option<Entry>> {
    let (mut before, mut reads) = (None, 0);
    loop {
        reads += 1;
        let outcome = read_all(store, path, cx).await;
        cx.check()?;
        // Looked at afterwards: before, it may have been another save's.
        let Some(row) = store.row(path, cx).await? else { return Ok(None) };
        let failure = match outcome {
            Ok((saved, info)) => {
                let info = row.info.filter(|info| Some(info.saved) == saved).or(info);
                return Ok(Some(Entry { info, damage: None, ..row }));
            }
            Err(failure) => failure,
        };
        // Damage is what is still there when the same save is read again; a store's dates may be new at each look.
        if before == Some(row.saved())
            || reads == ATTEMPTS
            || matches!(failure.error(), Some(Error::NotSupported { .. }))
        {
            return Ok(Some(Entry { damage: Some(damage(failure, &store.url(path))), ..row }));
        }
        before = Some(row.saved());
    }
}

/// When it was saved, and its info, if it can be told.
async fn read_all(store: &AnyStore, path: &str, cx: &Context) -> Result<(Option<f64>, Option<Info>)> {
    cx.taken.set(Taken::Dropped);
    let mut model = store.open(path, cx).await?;
    let mut bytes = 0_u64;
    let mut pull = model.begin(cx);
    while let Some(piece) = pull.next(cx).await? {
        // Looked at and dropped: a model may be larger than the memory.
        bytes += u64::from(piece.length());
        pull.release(&piece);
    }
    let info = model.header.info(bytes).ok();
    Ok((model.saved, info.map(|info| info.saved_at(model.saved.unwrap_or(info.saved)))))
}

fn damage(failure: Failure, url: &str) -> Error {
    match failure {
        Failure::Known(known) if matches!(known.error, Error::NotFound { .. }) => {
            corrupt(url, "model", "one, because it is listed", "none")
        }
        Failure::Known(known) => known.error,
        Failure::Thrown(cause) => {
            let (name, message) = js::words(&cause);
            Error::Storage { url: url.to_owned(), why: format!("{name}: {message}") }
        }
    }
}
