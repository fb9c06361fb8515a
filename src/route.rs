//! From what the caller names to the medium that serves it.

use js_sys::{Array, Function, Object};
use wasm_bindgen::prelude::*;

use crate::artifacts::Model;
use crate::context::Context;
use crate::error::Error;
use crate::js::{self, Result};
use crate::registry::{self, AnyStore, find_store};
use crate::store::Store;
use crate::transfer::Transfer;
use crate::url::{ModelUrl, holds};

/// Bytes of weights that the small build stores in IndexedDB; above that the larger one chooses the layout.
#[cfg(not(feature = "sharded"))]
const RECORD: u64 = 64 << 20;

/// Where a model comes from or goes to.
pub enum Route {
    /// A path in a store.
    Stored(AnyStore, String),
    /// A server, downloads, files: the model goes through and does not stay under a path.
    Transfer(Transfer),
    /// An IOHandler: TF.js's, a router's or the caller's.
    Handler(JsValue),
    /// The model itself.
    Artifacts(JsValue),
}

impl Route {
    /// The route of a save's target.
    ///
    /// # Errors
    /// [`Error::InvalidUrl`], [`Error::UnknownScheme`], [`Error::InvalidArgument`].
    pub fn to_save(target: &JsValue, cx: &Context) -> Result<Self> {
        if js::method(target, "save").is_some() {
            return Ok(Route::Handler(target.clone()));
        }
        if let Some(transfer) = Transfer::of_value(target, cx)? {
            return Ok(Route::Transfer(transfer));
        }
        Self::of_url(target, "target", &ask(&registry::save_routers(), target, &Object::new())?, cx)
    }

    /// The route of a load's source.
    ///
    /// # Errors
    /// As [`Route::to_save`].
    pub fn to_load(source: &JsValue, cx: &Context) -> Result<Self> {
        if js::method(source, "load").is_some() {
            return Ok(Route::Handler(source.clone()));
        }
        if ["modelTopology", "weightSpecs", "weightData"].iter().any(|key| js::get_some(source, key).is_some()) {
            return Ok(Route::Artifacts(source.clone()));
        }
        if let Some(transfer) = Transfer::of_value(source, cx)? {
            return Ok(Route::Transfer(transfer));
        }
        let answers = ask(&registry::load_routers(), source, &cx.options.all())?;
        let relative = js::text(source).filter(|text| answers.is_empty() && is_relative(text));
        match relative.map(|url| Transfer::of_relative(url, cx)).transpose()?.flatten() {
            Some(transfer) => Ok(Route::Transfer(transfer)),
            None => Self::of_url(source, "source", &answers, cx),
        }
    }

    /// The route of a model that is stored: a string, and no router's.
    ///
    /// # Errors
    /// As [`Route::to_save`].
    pub fn to_store(url: &JsValue, argument: &str, cx: &Context) -> Result<(AnyStore, String)> {
        match Self::of_text(url, cx) {
            Ok(Route::Stored(store, path)) => Ok((store, path)),
            Err(failure) if url.is_string() => Err(failure),
            _ => Err(registry::nothing_stays(argument).into()),
        }
    }

    fn of_url(value: &JsValue, argument: &str, answers: &[JsValue], cx: &Context) -> Result<Self> {
        if !value.is_string() && answers.is_empty() {
            let why = match argument {
                "source" => "it must be a URL such as \"indexeddb://my-model\", an IOHandler, files or ModelArtifacts",
                _ => "it must be a URL such as \"indexeddb://my-model\", or an IOHandler",
            };
            return Err(Error::argument(argument, why).into());
        }
        let store = js::text(value).and_then(|text| find_store(&ModelUrl::parse(&text).ok()?.scheme));
        match (answers, store) {
            ([handler], None) => Ok(Route::Handler(handler.clone())),
            ([], _) => Self::of_text(value, cx),
            _ => Err(Error::argument(argument, "more than one router or store answers to it").into()),
        }
    }

    fn of_text(value: &JsValue, cx: &Context) -> Result<Self> {
        let broken =
            || Error::InvalidUrl { url: value.as_string().unwrap_or_default(), why: "it holds half a surrogate pair" };
        let text = js::text(value).ok_or_else(broken)?;
        let url = ModelUrl::parse(&text)?;
        if let Some(store) = find_store(&url.scheme) {
            return Ok(Route::Stored(store, url.filled()?.path));
        }
        if let Some(transfer) = Transfer::of_url(&url, &text, cx)? {
            return Ok(Route::Transfer(transfer));
        }
        Err(registry::unknown(url.scheme).into())
    }

    /// Whether both are the same place.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Route::Stored(store, path), Route::Stored(other, other_path)) => {
                store.scheme() == other.scheme() && store.is_same(path, other_path)
            }
            (Route::Handler(handler), Route::Handler(other)) => handler == other,
            (Route::Transfer(transfer), Route::Transfer(other)) => transfer == other,
            _ => false,
        }
    }

    /// Whether a model of it can be in another layout than TF.js's.
    #[cfg(not(feature = "sharded"))]
    pub fn may_be_in_shards(&self) -> bool {
        matches!(self, Route::Stored(store, _) if store.may_have_shards())
    }

    /// Opens the model.
    ///
    /// # Errors
    /// The medium's.
    pub async fn open(&self, cx: &Context) -> Result<Model> {
        let model = match self {
            Route::Stored(store, path) => return store.open(path, cx).await,
            Route::Transfer(transfer) => return transfer.open(cx).await,
            Route::Artifacts(artifacts) => Model::from_artifacts(artifacts)?,
            Route::Handler(handler) => {
                let load = js::method(handler, "load")
                    .ok_or_else(|| Error::argument("source", "the handler has no load()"))?;
                Model::from_artifacts(&cx.settled(load.call0(handler)).await?)?
            }
        };
        if cx.needs_weights.get() {
            model.check_specs()?;
        }
        Ok(model)
    }

    #[cfg(feature = "transfers")]
    /// Whether what goes there is taken a piece at a time, and need not be in memory whole.
    pub fn takes_pieces(&self) -> bool {
        match self {
            Route::Stored(store, _) => store.takes_pieces(),
            Route::Transfer(_) => true,
            Route::Handler(_) | Route::Artifacts(_) => false,
        }
    }

    /// Whether a model that goes there is read to its end before it is written.
    pub fn writes_after_all(&self) -> bool {
        matches!(self, Route::Transfer(_))
    }

    /// Whether it is a server, or an object store.
    pub fn is_server(&self) -> bool {
        #[cfg(feature = "transfers")]
        let is_server = matches!(self, Route::Transfer(Transfer::Http(_) | Transfer::Signed(_)));
        #[cfg(not(feature = "transfers"))]
        let is_server = false;
        is_server
    }

    /// That there are no options which nobody looks at: neither this target, nor the source of a copy.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`].
    pub fn check_options(&self, source: Option<&Route>, cx: &Context) -> Result<()> {
        let why = match self {
            Route::Stored(..) => "a store does not look at it",
            Route::Handler(_) => "give it to the handler: this save does not look at it",
            Route::Transfer(_) | Route::Artifacts(_) => return Ok(()),
        };
        cx.refuse_these(&["fieldNames", "files", "zip"], why)?;
        let of_downloads =
            ["requestInit", "fetchFunc", "cache", "concurrency", "retries", "weightPathPrefix", "weightUrlConverter"];
        if matches!(source, Some(Route::Transfer(_))) { Ok(()) } else { cx.refuse(&of_downloads, why) }
    }

    /// Stores the model and gives the SaveResult.
    ///
    /// # Errors
    /// The medium's.
    pub async fn put(&self, model: Model, cx: &Context) -> Result<JsValue> {
        if !cx.overwrite && !matches!(self, Route::Stored(..)) {
            let why = "only a store knows whether there is a model already".to_owned();
            return Err(Error::NotSupported {
                operation: "save with overwrite: false",
                scheme: "what is no store".into(),
                why,
            }
            .into());
        }
        match self {
            Route::Stored(store, path) => {
                #[cfg(not(feature = "sharded"))]
                if store.scheme() == "indexeddb" && model.bytes().is_some_and(|bytes| bytes > RECORD) {
                    return Err(js::needs_more());
                }
                let result = Object::new();
                js::set(&result, "modelArtifactsInfo", &store.put(path, model, cx).await?.to_js());
                Ok(result.into())
            }
            Route::Handler(handler) => {
                let save = js::method(handler, "save")
                    .ok_or_else(|| Error::argument("target", "the handler has no save()"))?;
                let artifacts = model.into_artifacts(cx).await?;
                cx.settled(save.call1(handler, &artifacts)).await
            }
            Route::Transfer(transfer) => transfer.put(model, cx).await,
            Route::Artifacts(_) => Err(Error::argument("target", "it must be a URL or an IOHandler").into()),
        }
    }
}

/// Whether it is a URL for `fetch` that no scheme of ours begins: `models/m.json`, `blob:...`.
fn is_relative(text: &str) -> bool {
    let first = text.split(['/', '?', '#']).next().unwrap_or_default();
    // A store without its colon is a slip, and no folder of a server's.
    let is_slip = holds(text, "//") && registry::SCHEMES.contains(&&*first.to_ascii_lowercase());
    !is_slip && !first.contains(':') && !text.is_empty() && !holds(text, "://")
        || text.starts_with("blob:")
        || text.starts_with("data:")
}

fn ask(routers: &Array, url: &JsValue, options: &Object) -> Result<Vec<JsValue>> {
    let mut answers = Vec::new();
    for router in routers.iter() {
        let Some(router) = router.dyn_ref::<Function>() else { continue };
        let answer = router.call2(&JsValue::UNDEFINED, url, options).map_err(js::thrown)?;
        if answer.is_object() {
            answers.push(answer);
        }
    }
    Ok(answers)
}
