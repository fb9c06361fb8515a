//! `moveModel`: the source is removed when the destination is known to hold the same.

use wasm_bindgen::prelude::*;

use super::ATTEMPTS;
use crate::context::{Context, Taken};
use crate::error::Error;
use crate::info::Info;
use crate::js::Result;
use crate::registry::AnyStore;
use crate::route::Route;
use crate::store::{Store, Which};

/// `moveModel(source, destination, options)`.
pub async fn move_model(source: &JsValue, destination: &JsValue, options: &JsValue) -> Result<JsValue> {
    let cx = Context::new(options)?;
    let (source, from) = Route::to_store(source, "source", &cx)?;
    let (destination, to) = Route::to_store(destination, "destination", &cx)?;
    cx.refuse_save_config()?;
    Route::Stored(destination.clone(), to.clone()).check_options(None, &cx)?;
    let is_same_store = source.scheme() == destination.scheme();
    if is_same_store && source.is_same(&from, &to) {
        return Err(Error::argument("destination", "it is the source itself").into());
    }
    let renamed = if is_same_store { source.rename(&from, &to, &cx).await? } else { None };
    let moved = match renamed {
        Some(info) => info,
        None => move_between((&source, &from), (&destination, &to), &cx).await?,
    };
    cx.finish();
    Ok(moved.to_js().into())
}

/// A path in a store.
type Place<'a> = (&'a AnyStore, &'a str);

/// Saves, reads back, compares, and only then removes; and begins again when the source has changed meanwhile.
/// The signal is heard until the destination is committed: from then on the move is finished.
async fn move_between(source: Place<'_>, destination: Place<'_>, cx: &Context) -> Result<Info> {
    let quiet = cx.quiet();
    let mut committed = None;
    cx.taken.set(Taken::InTurn);
    for _ in 0..ATTEMPTS {
        let (original, of) = digest(source, cx).await?;
        let model = source.0.open(source.1, cx).await?;
        // That others keep all only shows when they have it, and have let go of what they had.
        if destination.0.keeps_json_only() && !model.header.survives_json()? {
            return Err(loses(source, destination).into());
        }
        let saved = model.saved;
        // From the second attempt on, what stands at the destination is ours, unless somebody has saved there since.
        if let Some(saved) = committed
            && !cx.overwrite
            && destination.0.remove(destination.1, Which::SavedAt(Some(saved)), &quiet).await?.is_none()
        {
            return Err(Error::AlreadyExists { url: destination.0.url(destination.1) }.into());
        }
        let put_cx = if committed.is_none() || !cx.overwrite { cx } else { &quiet };
        let info = destination.0.put(destination.1, model, put_cx).await?;
        committed = Some(info.saved);
        let (copied, copied_at) = digest(destination, &quiet).await?;
        let is_unchanged = digest(source, &quiet).await?.0 == original;
        if is_unchanged && copied != original {
            if saved == of {
                let is_ours = destination.0.dates_itself() || copied_at.is_none_or(|at| at == info.saved);
                return Err(if is_ours { loses(source, destination) } else { replaced(source, destination) }.into());
            }
            continue; // somebody saved to the source before it was opened
        }
        if is_unchanged && source.0.remove(source.1, Which::SavedAt(saved), &quiet).await?.is_some() {
            return Ok(info);
        }
    }
    let why = "somebody saved to it again and again while it was moved; it is still there".to_owned();
    Err(Error::Storage { url: source.0.url(source.1), why }.into())
}

fn replaced(source: Place<'_>, destination: Place<'_>) -> Error {
    let why =
        format!("somebody saved to it while a model was moved there, which is still at {}", source.0.url(source.1));
    Error::Storage { url: destination.0.url(destination.1), why }
}

fn loses(source: Place<'_>, destination: Place<'_>) -> Error {
    let expected = format!("what stands at {} (it is still there)", source.0.url(source.1));
    let received = "something else: this store does not keep everything".to_owned();
    Error::Corrupt { url: destination.0.url(destination.1), file: "model".into(), expected, received }
}

/// A checksum of the model there, and when that was saved.
async fn digest((store, path): Place<'_>, cx: &Context) -> Result<(String, Option<f64>)> {
    let cx = cx.unseen();
    cx.taken.set(Taken::Dropped);
    let model = store.open(path, &cx).await?;
    let saved = model.saved;
    Ok((model.digest(&cx).await?, saved))
}
