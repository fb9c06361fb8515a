//! The verbs. Each reads like what it does.

use std::cell::RefCell;
use std::rc::Rc;

use js_sys::{Object, Promise};
use wasm_bindgen::prelude::*;

use crate::artifacts::Model;
use crate::context::{Context, Taken};
use crate::error::Error;
use crate::info::Info;
use crate::js::{self, Failure, Result};
use crate::quantized::{self, OPTION, Quantize};
use crate::registry::{self, AnyStore};
use crate::route::Route;
use crate::store::{Entry, Store, Which, corrupt};

#[cfg(feature = "transfers")]
use crate::cache::open;

#[cfg(not(feature = "transfers"))]
async fn open(source: &Route, cx: &Context) -> Result<Model> {
    source.open(cx).await
}

/// How often a move between stores, or a check, is tried when somebody saves to the source meanwhile.
const ATTEMPTS: u32 = 3;

/// `save(model, target, options)`.
pub async fn save(model: &JsValue, target: &JsValue, options: &JsValue) -> Result<JsValue> {
    let cx = Context::with(options, &[OPTION])?;
    let quantize = Quantize::of(&cx)?;
    let target = Route::to_save(target, &cx)?;
    target.check_options(&cx)?;
    let model = Model::from_artifacts(&artifacts_of(model, &cx).await?)?;
    put(&target, model, quantize, &cx).await
}

/// `load(source, options)`.
pub async fn load(source: &JsValue, options: &JsValue) -> Result<JsValue> {
    load_artifacts(source, |_| true, &to_load(options)?).await
}

/// The options of a load: with `verify`, what is stored is compared with its checksums, where the store has some.
fn to_load(options: &JsValue) -> Result<Context> {
    let cx = Context::with(options, &["verify", "stream", "joined"])?;
    cx.is_thorough.set(cx.flag("verify")?);
    Ok(cx)
}

/// `is_streamed`: the weights as a stream, where the caller asks for it and who takes the model can.
async fn load_artifacts(source: &JsValue, is_streamed: fn(&JsValue) -> bool, cx: &Context) -> Result<JsValue> {
    let wants_stream = cx.flag("stream")?;
    if wants_stream && cx.flag("joined")? {
        return Err(Error::argument("options.joined", "a stream has no one buffer").into());
    }
    #[cfg(not(feature = "sharded"))]
    if wants_stream {
        return Err(js::needs_more());
    }
    let model = open(&Route::to_load(source, cx)?, cx).await?;
    let artifacts = match wants_stream && is_streamed(model.header.as_ref()) {
        #[cfg(feature = "sharded")]
        true => model.into_streamed(cx)?,
        _ => model.into_loaded(cx).await?,
    };
    cx.check()?;
    #[cfg(feature = "transfers")]
    let _ = js_sys::Reflect::delete_property(&artifacts, &crate::cache::FIELD.into()); // the store's own business
    cx.finish();
    Ok(artifacts.into())
}

/// `loadModel(tf, source, options)`.
pub async fn load_model(tf: &JsValue, source: &JsValue, options: &JsValue) -> Result<JsValue> {
    let cx = to_load(options)?;
    cx.needs_weights.set(true);
    let missing = |name: &str| Error::argument("tf", format!("it has no {name}(): pass the TensorFlow.js namespace"));
    if ["loadLayersModel", "loadGraphModel"].iter().all(|name| js::method(tf, name).is_none()) {
        return Err(missing("loadLayersModel").into());
    }
    // Of a layers model TF.js would take a stream for no weights at all.
    let artifacts = load_artifacts(source, is_graph, &cx).await?;
    let name = if is_graph(&artifacts) { "loadGraphModel" } else { "loadLayersModel" };
    let load = js::method(tf, name).ok_or_else(|| missing(name))?;
    let handler = Object::new();
    js::set(&handler, "load", &Closure::once_into_js(move || Promise::resolve(&artifacts)));
    cx.settled(load.call2(tf, &handler, &cx.load_config())).await
}

fn is_graph(artifacts: &JsValue) -> bool {
    js::get(artifacts, "format") == "graph-model"
        || js::get_some(&js::get(artifacts, "modelTopology"), "node").is_some()
}

/// `listModels(options)`, `listModels(prefix, options)`: what begins with the prefix, a URL such as `indexeddb://` or `file:///models`.
/// A store that does not exist here is left out; one that fails is a damaged entry.
pub async fn list_models(first: &JsValue, second: &JsValue) -> Result<JsValue> {
    let prefix = if first.is_string() { Some(registry::prefix(first)?) } else { None };
    let cx = Context::with(if prefix.is_some() { second } else { first }, &["verify"])?;
    cx.is_thorough.set(cx.flag("verify")?);
    let (stores, prefix) = match prefix {
        None => (registry::stores(), String::new()),
        Some((store, prefix)) => (vec![store], prefix),
    };
    let mut rows = Vec::new();
    for store in stores {
        let entries = match store.list(&prefix, &cx).await {
            Ok(entries) => entries,
            Err(failure) => {
                cx.check()?;
                match failure.error() {
                    Some(Error::NotSupported { .. }) => continue,
                    Some(damage) => vec![Entry::damaged("", damage.clone())],
                    None => vec![Entry::damaged("", thrown_by(&store))],
                }
            }
        };
        let is_asked_for = |entry: &Entry| {
            entry.path.starts_with(&prefix) || entry.path.is_empty() || prefix.trim_end_matches('/') == entry.path
        };
        rows.extend(entries.into_iter().filter(is_asked_for).map(|entry| (store.clone(), entry)));
    }
    if cx.is_thorough.get() {
        rows = check_all(rows, &cx).await?;
    }
    let models = Object::new();
    for (store, entry) in rows {
        let url = store.url(&entry.path);
        match (entry.info, &entry.damage) {
            (Some(info), None) => info.add_to(&models, &url),
            _ => js::set(&models, &url, &entry.to_js()),
        }
    }
    Ok(models.into())
}

/// Reads all of them, one after the other; those that are gone meanwhile are left out.
async fn check_all(rows: Vec<(AnyStore, Entry)>, cx: &Context) -> Result<Vec<(AnyStore, Entry)>> {
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
    cx.finish();
    Ok(checked_rows)
}

/// `verify(url, options)`: the row of a listing, after everything that is stored has been read and checked.
pub async fn verify(url: &JsValue, options: &JsValue) -> Result<JsValue> {
    let cx = Context::new(options)?;
    let (store, path) = Route::to_store(url, &cx)?;
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

/// `copyModel(source, destination, options)`.
pub async fn copy_model(source: &JsValue, destination: &JsValue, options: &JsValue) -> Result<JsValue> {
    let cx = Context::with(options, &[OPTION])?;
    let quantize = Quantize::of(&cx)?;
    if cx.text("cache").is_some() {
        return Err(Error::argument("options.cache", "a copy is one already").into());
    }
    cx.needs_weights.set(true);
    let (source, destination) = (Route::to_load(source, &cx)?, Route::to_save(destination, &cx)?);
    if source.is_same(&destination) {
        return Err(Error::argument("destination", "it is the source itself").into());
    }
    #[cfg(feature = "sharded")]
    if let (Route::Stored(store, from), Route::Stored(other, to)) = (&source, &destination)
        && store.scheme() == other.scheme()
        && quantize.is_none()
        && let Some(info) = store.copy(from, to, &cx).await?
    {
        cx.finish();
        return Ok(info.to_js().into());
    }
    #[cfg(feature = "transfers")]
    if destination.takes_pieces() {
        cx.taken.set(Taken::InTurn);
    }
    let saved = put(&destination, source.open(&cx).await?, quantize, &cx).await?;
    Ok(quantized::info_of(&saved))
}

/// `moveModel(source, destination, options)`.
pub async fn move_model(source: &JsValue, destination: &JsValue, options: &JsValue) -> Result<JsValue> {
    let cx = Context::new(options)?;
    let ((source, from), (destination, to)) = (Route::to_store(source, &cx)?, Route::to_store(destination, &cx)?);
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
    cx.taken.set(Taken::InTurn);
    for attempt in 0..ATTEMPTS {
        let model = source.0.open(source.1, cx).await?;
        let saved = model.saved;
        let original = digest(source, cx).await?;
        // From the second attempt on, what stands at the destination is ours.
        let put_cx = if attempt == 0 { cx } else { &quiet };
        let info = destination.0.put(destination.1, model, put_cx).await?;
        let copied = digest(destination, &quiet).await?;
        let is_unchanged = digest(source, &quiet).await? == original;
        if is_unchanged && copied != original {
            let url = destination.0.url(destination.1);
            let expected = format!("what stands at {} (it is still there)", source.0.url(source.1));
            let received = "something else: this store does not keep everything".to_owned();
            return Err(Error::Corrupt { url, file: "model".into(), expected, received }.into());
        }
        if is_unchanged && source.0.remove(source.1, Which::SavedAt(saved), &quiet).await?.is_some() {
            return Ok(info);
        }
    }
    let why = "somebody saved to it again and again while it was moved; it is still there".to_owned();
    Err(Error::Storage { url: source.0.url(source.1), why }.into())
}

/// A checksum of the model there.
async fn digest((store, path): Place<'_>, cx: &Context) -> Result<String> {
    let cx = cx.unseen();
    cx.taken.set(Taken::Dropped);
    store.open(path, &cx).await?.digest(&cx).await
}

/// `removeModel(url, options)`.
pub async fn remove_model(url: &JsValue, options: &JsValue) -> Result<JsValue> {
    let cx = Context::new(options)?;
    let (store, path) = Route::to_store(url, &cx)?;
    match store.remove(&path, Which::Any, &cx).await? {
        Some(entry) => Ok(entry.to_js().into()),
        None => Err(Error::NotFound { url: store.url(&path) }.into()),
    }
}

/// `sweep(options)`.
#[cfg(feature = "sharded")]
pub async fn sweep(options: &JsValue) -> Result<JsValue> {
    let cx = Context::new(options)?;
    Ok((crate::store::sharded::sweep::sweep(&cx).await? as f64).into())
}

fn thrown_by(store: &AnyStore) -> Error {
    Error::Storage { url: store.url(""), why: "the store's list() failed".into() }
}

async fn put(target: &Route, model: Model, quantize: Option<Quantize>, cx: &Context) -> Result<JsValue> {
    let saved = match quantize {
        None => target.put(model, cx).await?,
        Some(quantize) => {
            let (model, plan) = quantize.apply(model, cx).await?;
            quantized::told(&target.put(model, cx).await?, &plan)
        }
    };
    cx.finish();
    Ok(saved)
}

/// The caller's model as artifacts: a `tf.Model` saves itself into a handler of ours, anything else is taken as artifacts.
async fn artifacts_of(model: &JsValue, cx: &Context) -> Result<JsValue> {
    let Some(save) = js::method(model, "save") else { return Ok(model.clone()) };
    let caught = Rc::new(RefCell::new(None));
    let handler = Object::new();
    let catch = {
        let caught = caught.clone();
        move |artifacts: JsValue| {
            caught.replace(Some(artifacts));
            Promise::resolve(&Object::new())
        }
    };
    js::set(&handler, "save", &Closure::once_into_js(catch));
    cx.settled(save.call2(model, &handler, &cx.save_config())).await?;
    cx.check()?;
    let silent = || Error::argument("model", "its save() did not hand over any artifacts").into();
    caught.take().ok_or_else(silent)
}
