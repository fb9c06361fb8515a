//! The verbs. Each reads like what it does.

use std::cell::RefCell;
use std::rc::Rc;

use js_sys::{Object, Promise};
use wasm_bindgen::prelude::*;

use crate::artifacts::Model;
use crate::context::Context;
use crate::error::Error;
use crate::info::Info;
use crate::js::{self, Result};
use crate::quantized::{self, OPTION, Quantize};
use crate::registry::{self, AnyStore};
use crate::route::Route;
use crate::store::{Entry, Store, Which};

mod moves;
mod verify;

pub use moves::move_model;
use verify::check_all;
pub use verify::verify;

#[cfg(feature = "transfers")]
use crate::{cache::open, context::Taken};
#[cfg(not(feature = "sharded"))]
use {
    crate::idb,
    core::pin::pin,
    futures_util::future::{Either, select},
};

/// Whether the model may lie in shards, which only the larger build can read, is asked meanwhile: to wait for it takes as long as to
/// read a small one.
#[cfg(not(feature = "sharded"))]
async fn open(source: &Route, cx: &Context) -> Result<Model> {
    if !source.may_be_in_shards() {
        return source.open(cx).await;
    }
    let (opened, has_shards) = match select(pin!(source.open(cx)), pin!(idb::exists(idb::CATALOG))).await {
        Either::Left((opened, asked)) => {
            cx.check()?;
            (opened, asked.await)
        }
        Either::Right((false, opening)) => (opening.await, false),
        Either::Right((true, _)) => return Err(js::needs_more()), // and the record is not looked at
    };
    cx.check()?;
    // It may be nowhere now because it went there meanwhile.
    let is_missing = matches!(&opened, Err(failure) if matches!(failure.error(), Some(Error::NotFound { .. })));
    if has_shards || is_missing && idb::exists(idb::CATALOG).await { Err(js::needs_more()) } else { opened }
}

#[cfg(all(feature = "sharded", not(feature = "transfers")))]
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
    cx.refuse_these(&["stream", "joined"], "a save does not look at it")?;
    target.check_options(None, &cx)?;
    let model = Model::from_artifacts(&artifacts_of(model, &cx).await?)?;
    model.check_specs()?;
    put(&target, model, quantize, &cx).await
}

/// `load(source, options)`.
pub async fn load(source: &JsValue, options: &JsValue) -> Result<JsValue> {
    load_artifacts(source, |_| true, &to_load(options)?).await
}

/// `load(source, options)` of an IOHandler: a layers model has no stream, which TF.js would take for no weights at all.
pub async fn load_for_tf(source: &JsValue, options: &JsValue) -> Result<JsValue> {
    load_artifacts(source, is_graph, &to_load(options)?).await
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
    #[cfg(not(feature = "sharded"))]
    let has_shards = stores.iter().any(AnyStore::may_have_shards).then(|| idb::exists(idb::CATALOG));
    let mut rows = listed(&stores, &prefix, &cx).await?;
    #[cfg(not(feature = "sharded"))]
    if let Some(has_shards) = has_shards
        && has_shards.await
    {
        return Err(js::needs_more());
    }
    if cx.is_thorough.get() {
        rows = check_all(rows, &cx).await?;
    }
    let infos: Vec<_> = rows.iter().map(|(store, entry)| (store.url(&entry.path), entry.info)).collect();
    let models = Info::listing(&infos);
    for ((url, info), (_, entry)) in infos.iter().zip(&rows) {
        if info.is_none() || entry.damage.is_some() {
            js::set(&models, url, &entry.to_js());
        }
    }
    cx.finish();
    Ok(models.into())
}

/// The rows of these stores that begin with the prefix.
async fn listed(stores: &[AnyStore], prefix: &str, cx: &Context) -> Result<Vec<(AnyStore, Entry)>> {
    let mut rows = Vec::new();
    for store in stores {
        let entries = match store.list(prefix, cx).await {
            Ok(entries) => entries,
            Err(failure) => {
                cx.check()?;
                match failure.error() {
                    Some(Error::NotSupported { .. }) => continue,
                    Some(damage) => vec![Entry::damaged("", damage.clone())],
                    None => vec![Entry::damaged("", thrown_by(store))],
                }
            }
        };
        let is_asked_for = |entry: &Entry| {
            entry.path.starts_with(prefix) || entry.path.is_empty() || prefix.trim_end_matches('/') == entry.path
        };
        rows.extend(entries.into_iter().filter(is_asked_for).map(|entry| (store.clone(), entry)));
    }
    Ok(rows)
}

/// `copyModel(source, destination, options)`.
pub async fn copy_model(source: &JsValue, destination: &JsValue, options: &JsValue) -> Result<JsValue> {
    let cx = Context::with(options, &[OPTION])?;
    let of_target = js::get_some(destination, "ofTarget").map(|own| cx.to_target(&own, &[OPTION])).transpose()?;
    let to = of_target.as_ref().unwrap_or(&cx);
    let quantize = Quantize::of(to)?;
    if cx.text("cache").is_some() {
        return Err(Error::argument("options.cache", "a copy is one already").into());
    }
    cx.needs_weights.set(true);
    let may_ask = source.is_string();
    let (source, destination) = (Route::to_load(source, &cx)?, Route::to_save(destination, to)?);
    if source.is_same(&destination) {
        return Err(Error::argument("destination", "it is the source itself").into());
    }
    to.refuse_save_config()?;
    destination.check_options(Some(&source), to)?;
    // One server's headers, and the method of an upload, are none of the other's business; a router hands them on as well.
    if destination.is_server() && (source.is_server() || may_ask && matches!(source, Route::Handler(_))) {
        let why = "source and destination are servers: give each its own, by browserHTTPRequest(url, options)";
        cx.refuse(&["requestInit"], why)?;
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
    if destination.writes_after_all() {
        cx.expect_twice();
    }
    let saved = put(&destination, source.open(&cx).await?, quantize, to).await?;
    Ok(info_of(&saved))
}

/// `removeModel(url, options)`.
pub async fn remove_model(url: &JsValue, options: &JsValue) -> Result<JsValue> {
    let cx = Context::new(options)?;
    let (store, path) = Route::to_store(url, "url", &cx)?;
    let removed = store.remove(&path, Which::Any, &cx).await?;
    let entry = removed.ok_or_else(|| Error::NotFound { url: store.url(&path) })?;
    cx.finish();
    Ok(entry.to_js().into())
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

/// The info of a SaveResult, and what was quantised. A copy, if there is something to add.
fn info_of(saved: &JsValue) -> JsValue {
    let info = js::get(saved, "modelArtifactsInfo");
    let Some(quantized) = js::get_some(saved, "quantized") else { return info };
    let told = Object::new();
    if info.is_object() && Object::try_assign(&told, info.unchecked_ref()).is_err() {
        return info;
    }
    js::set(&told, "quantized", &quantized);
    told.into()
}

/// The caller's model as artifacts: a `tf.Model` saves itself into a handler of ours, anything else is taken as artifacts.
async fn artifacts_of(model: &JsValue, cx: &Context) -> Result<JsValue> {
    let Some(save) = js::method(model, "save") else {
        cx.refuse_save_config()?;
        return Ok(model.clone());
    };
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
