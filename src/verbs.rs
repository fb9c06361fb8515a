//! The verbs. Each reads like what it does.

use std::cell::RefCell;
use std::rc::Rc;

use js_sys::{Object, Promise};
use wasm_bindgen::prelude::*;

use crate::artifacts::Model;
use crate::context::Context;
use crate::error::Error;
use crate::js::{self, Failure, Result};
use crate::route::{self, Route};
use crate::store::{Entry, Store};

/// How often a move between stores begins again because somebody saved to the source meanwhile.
const MOVE_ATTEMPTS: u32 = 3;

/// `save(model, target, options)`.
pub async fn save(model: &JsValue, target: &JsValue, options: &JsValue) -> Result<JsValue> {
    let cx = Context::new(options)?;
    let target = Route::to_save(target)?;
    let model = Model::from_artifacts(&artifacts_of(model, &cx).await?)?;
    put(&target, model, &cx).await
}

/// `load(source, options)`.
pub async fn load(source: &JsValue, options: &JsValue) -> Result<JsValue> {
    let cx = Context::new(options)?;
    let artifacts = Route::to_load(source, &cx)?.open(&cx).await?.into_artifacts(&cx).await?;
    cx.check()?;
    cx.finish();
    Ok(artifacts.into())
}

/// `loadModel(tf, source, options)`.
pub async fn load_model(tf: &JsValue, source: &JsValue, options: &JsValue) -> Result<JsValue> {
    let artifacts = load(source, options).await?;
    let config = Context::new(options)?.load_config();
    let is_graph = js::get(&artifacts, "format") == "graph-model"
        || js::get_some(&js::get(&artifacts, "modelTopology"), "node").is_some();
    let name = if is_graph { "loadGraphModel" } else { "loadLayersModel" };
    let missing = || Error::argument("tf", format!("it has no {name}(): pass the TensorFlow.js namespace"));
    let load = js::method(tf, name).ok_or_else(missing)?;
    let handler = Object::new();
    js::set(&handler, "load", &Closure::once_into_js(move || Promise::resolve(&artifacts)));
    js::settled(load.call2(tf, &handler, &config)).await
}

/// `listModels(options)`. A store that does not exist here is left out; one that fails is a damaged entry.
pub async fn list_models(options: &JsValue) -> Result<JsValue> {
    let cx = Context::new(options)?;
    let models = Object::new();
    for store in route::stores() {
        let entries = match store.list(&cx).await {
            Ok(entries) => entries,
            Err(Failure::Known(known)) => match known.error {
                Error::NotSupported { .. } => continue,
                damage => vec![Entry { path: String::new(), info: None, damage: Some(damage) }],
            },
            Err(thrown) => return Err(thrown),
        };
        for entry in entries {
            js::define(&models, &store.url(&entry.path), &entry.to_js());
        }
    }
    Ok(models.into())
}

/// `copyModel(source, destination, options)`.
pub async fn copy_model(source: &JsValue, destination: &JsValue, options: &JsValue) -> Result<JsValue> {
    let cx = Context::new(options)?;
    let (source, destination) = (Route::to_load(source, &cx)?, Route::to_save(destination)?);
    if source.is_same(&destination) {
        return Err(Error::argument("destination", "it is the source itself").into());
    }
    let saved = put(&destination, source.open(&cx).await?, &cx).await?;
    Ok(js::get(&saved, "modelArtifactsInfo"))
}

/// `moveModel(source, destination, options)`.
pub async fn move_model(source: &JsValue, destination: &JsValue, options: &JsValue) -> Result<JsValue> {
    let cx = Context::new(options)?;
    let ((source, from), (destination, to)) = (Route::to_store(source)?, Route::to_store(destination)?);
    let same_store = source.scheme() == destination.scheme();
    if same_store && from == to {
        return Err(Error::argument("destination", "it is the source itself").into());
    }
    let moved = match same_store {
        true => with_estimate(source.rename(&from, &to, &cx).await).await?,
        false => move_between(&source, &from, &destination, &to, &cx).await?,
    };
    cx.finish();
    Ok(moved.to_js().into())
}

/// Saves, reads back, compares, and only then removes; and begins again when the source has changed meanwhile.
async fn move_between(
    source: &impl Store,
    from: &str,
    destination: &impl Store,
    to: &str,
    cx: &Context,
) -> Result<crate::artifacts::Info> {
    for _ in 0..MOVE_ATTEMPTS {
        let model = source.open(from, cx).await?;
        let saved = model.saved;
        let info = with_estimate(destination.put(to, model, cx).await).await?;
        let copied = destination.open(to, cx).await?.digest(cx).await?;
        let is_equal = source.open(from, cx).await?.digest(cx).await? == copied;
        cx.check()?;
        if is_equal && source.remove(from, saved, cx).await?.is_some() {
            return Ok(info);
        }
    }
    let why = "the source was saved again and again while it was moved; it is still there".to_owned();
    Err(Error::Storage { url: source.url(from), why }.into())
}

/// `removeModel(url, options)`.
pub async fn remove_model(url: &JsValue, options: &JsValue) -> Result<JsValue> {
    let cx = Context::new(options)?;
    let (store, path) = Route::to_store(url)?;
    match store.remove(&path, None, &cx).await? {
        Some(entry) => Ok(entry.to_js().into()),
        None => Err(Error::NotFound { url: store.url(&path) }.into()),
    }
}

async fn put(target: &Route, model: Model, cx: &Context) -> Result<JsValue> {
    let saved = with_estimate(target.put(model, cx).await).await?;
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
    js::settled(save.call2(model, &handler, &cx.save_config())).await?;
    cx.check()?;
    let silent = || Error::argument("model", "its save() did not hand over any artifacts").into();
    caught.take().ok_or_else(silent)
}

/// Adds to a quota failure what the engine says of usage and quota, where it says anything.
async fn with_estimate<T>(outcome: Result<T>) -> Result<T> {
    let mut known = match outcome {
        Err(Failure::Known(known)) if matches!(known.error, Error::QuotaExceeded { .. }) => known,
        outcome => return outcome,
    };
    let storage = js::global("navigator").map_or(JsValue::UNDEFINED, |navigator| js::get(&navigator, "storage"));
    let estimate = match js::method(&storage, "estimate") {
        Some(estimate) => js::settled(estimate.call0(&storage)).await.unwrap_or(JsValue::UNDEFINED),
        None => JsValue::UNDEFINED,
    };
    if let Error::QuotaExceeded { usage, quota, .. } = &mut known.error {
        *usage = js::get(&estimate, "usage").as_f64();
        *quota = js::get(&estimate, "quota").as_f64();
    }
    Err(Failure::Known(known))
}
