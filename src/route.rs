//! From what the caller names to the medium that serves it.

use std::cell::RefCell;

use js_sys::{Array, Function, Map, Object};
use wasm_bindgen::prelude::*;

use crate::artifacts::Model;
use crate::context::Context;
use crate::error::Error;
use crate::info::Info;
use crate::js::{self, Result};
use crate::store::custom::Custom;
#[cfg(feature = "transfers")]
use crate::store::file_system::FileSystem;
use crate::store::indexed_db::IndexedDb;
use crate::store::local_storage::LocalStorage;
use crate::store::memory::{self, Memory};
use crate::store::{Entry, Store, Which};
use crate::transfer::Transfer;
use crate::url::ModelUrl;

/// One line a store: the rest of the house finds it here.
macro_rules! stores {
    ($($(#[$when:meta])* $scheme:literal => $store:ident),+ $(,)?) => {
        /// The schemes of the stores that come with the package.
        pub const SCHEMES: &[&str] = &[$($(#[$when])* $scheme),+];

        /// Any store: static dispatch.
        #[derive(Clone)]
        pub enum AnyStore { $($(#[$when])* #[doc = $scheme] $store($store),)+ #[doc = "registered"] Custom(Custom) }

        impl AnyStore {
            fn built_in(scheme: &str) -> Option<Self> {
                match scheme { $($(#[$when])* $scheme => Some(Self::$store($store)),)+ _ => None }
            }
        }

        impl Store for AnyStore {
            fn scheme(&self) -> &str {
                match self { $($(#[$when])* Self::$store(store) => store.scheme(),)+ Self::Custom(store) => store.scheme() }
            }
            fn is_same(&self, path: &str, other: &str) -> bool {
                match self { $($(#[$when])* Self::$store(store) => store.is_same(path, other),)+ Self::Custom(store) => store.is_same(path, other) }
            }
            async fn open(&self, path: &str, cx: &Context) -> Result<Model> {
                match self { $($(#[$when])* Self::$store(store) => store.open(path, cx).await,)+ Self::Custom(store) => store.open(path, cx).await }
            }
            async fn put(&self, path: &str, model: Model, cx: &Context) -> Result<Info> {
                let info = match self { $($(#[$when])* Self::$store(store) => store.put(path, model, cx).await,)+ Self::Custom(store) => store.put(path, model, cx).await }?;
                changed(&self.url(path), "saved");
                Ok(info)
            }
            async fn list(&self, prefix: &str, cx: &Context) -> Result<Vec<Entry>> {
                match self { $($(#[$when])* Self::$store(store) => store.list(prefix, cx).await,)+ Self::Custom(store) => store.list(prefix, cx).await }
            }
            async fn remove(&self, path: &str, which: Which, cx: &Context) -> Result<Option<Entry>> {
                let removed = match self { $($(#[$when])* Self::$store(store) => store.remove(path, which, cx).await,)+ Self::Custom(store) => store.remove(path, which, cx).await }?;
                if removed.is_some() {
                    changed(&self.url(path), "removed");
                }
                Ok(removed)
            }
            async fn rename(&self, from: &str, to: &str, cx: &Context) -> Result<Option<Info>> {
                let renamed = match self { $($(#[$when])* Self::$store(store) => store.rename(from, to, cx).await,)+ Self::Custom(store) => store.rename(from, to, cx).await }?;
                if renamed.is_some() {
                    changed(&self.url(to), "saved");
                    changed(&self.url(from), "removed");
                }
                Ok(renamed)
            }
        }
    };
}

stores! {
    "localstorage" => LocalStorage,
    "indexeddb" => IndexedDb,
    "memory" => Memory,
    #[cfg(feature = "transfers")] "file" => FileSystem,
}

/// The schemes that the smaller build does not serve; there the entry asks the other one.
const TRANSFERS: [&str; 4] = ["http", "https", "downloads", "file"];

/// What callers have registered. The JavaScript entry owns the object, so that registering works before the wasm is there.
#[derive(Clone, Default)]
struct Registry {
    save_routers: Array,
    load_routers: Array,
    stores: Option<Map>,
    changed: Option<Function>,
}

thread_local! {
    static REGISTRY: RefCell<Registry> = RefCell::default();
}

/// Uses the caller's registry `{ saveRouters: IORouter[], loadRouters: IORouter[], stores: Map<string, ModelStore>, memory: Map, changed: Function }`.
pub fn use_registry(registry: &JsValue) {
    if let Ok(memory) = js::get(registry, "memory").dyn_into() {
        memory::share(memory);
    }
    let shared = Registry {
        save_routers: js::get(registry, "saveRouters").unchecked_into(),
        load_routers: js::get(registry, "loadRouters").unchecked_into(),
        stores: js::get(registry, "stores").dyn_into().ok(),
        changed: js::get(registry, "changed").dyn_into().ok(),
    };
    REGISTRY.set(shared);
}

/// Tells who watches that a change is committed. What they do cannot undo it.
fn changed(url: &str, change: &str) {
    if let Some(tell) = REGISTRY.with_borrow(|registry| registry.changed.clone()) {
        let _ = tell.call2(&JsValue::UNDEFINED, &url.into(), &change.into());
    }
}

/// All stores: ours and the registered ones.
pub fn stores() -> Vec<AnyStore> {
    let registered = REGISTRY.with_borrow(|registry| registry.stores.clone());
    let custom = registered.into_iter().flat_map(|stores| Array::from(&stores.keys()).iter().collect::<Vec<_>>());
    let custom = custom.filter_map(|scheme| find_store(&js::text(&scheme)?));
    SCHEMES.iter().filter_map(|scheme| AnyStore::built_in(scheme)).chain(custom).collect()
}

/// The store and the beginning of a path that a listing is asked for.
///
/// # Errors
/// [`Error::InvalidUrl`], [`Error::UnknownScheme`].
pub fn prefix(text: &JsValue) -> Result<(AnyStore, String)> {
    let url = ModelUrl::parse(&js::text(text).unwrap_or_default())?;
    let store = find_store(&url.scheme);
    let unknown = || Error::UnknownScheme { scheme: url.scheme.clone(), known: known() };
    Ok((store.ok_or_else(unknown)?, url.path))
}

/// All schemes, for an error.
fn known() -> Vec<String> {
    let stores = stores();
    let schemes = stores.iter().map(Store::scheme).filter(|scheme| *scheme != "file").chain(TRANSFERS);
    schemes.map(str::to_owned).collect()
}

fn find_store(scheme: &str) -> Option<AnyStore> {
    let registered = || {
        let store = REGISTRY.with_borrow(|registry| registry.stores.as_ref().map(|stores| stores.get(&scheme.into())));
        let store = store.filter(JsValue::is_object)?;
        Some(AnyStore::Custom(Custom { scheme: scheme.to_owned(), store }))
    };
    AnyStore::built_in(scheme).or_else(registered)
}

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
        let routers = REGISTRY.with_borrow(|registry| registry.save_routers.clone());
        Self::of_url(target, "target", &ask(&routers, target, &Object::new())?, cx)
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
        let routers = REGISTRY.with_borrow(|registry| registry.load_routers.clone());
        let answers = ask(&routers, source, &cx.options)?;
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
    pub fn to_store(url: &JsValue, cx: &Context) -> Result<(AnyStore, String)> {
        match Self::of_url(url, "url", &[], cx)? {
            Route::Stored(store, path) => Ok((store, path)),
            _ => Err(Error::argument("url", "nothing stays there: it must be the URL of a stored model").into()),
        }
    }

    fn of_url(value: &JsValue, argument: &str, answers: &[JsValue], cx: &Context) -> Result<Self> {
        if !value.is_string() && answers.is_empty() {
            let why = "it must be a URL such as \"indexeddb://my-model\", or an IOHandler";
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
        Err(Error::UnknownScheme { scheme: url.scheme, known: known() }.into())
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

    /// Opens the model.
    ///
    /// # Errors
    /// The medium's.
    pub async fn open(&self, cx: &Context) -> Result<Model> {
        match self {
            Route::Stored(store, path) => store.open(path, cx).await,
            Route::Transfer(transfer) => transfer.open(cx).await,
            Route::Artifacts(artifacts) => Model::from_artifacts(artifacts),
            Route::Handler(handler) => {
                let load = js::method(handler, "load")
                    .ok_or_else(|| Error::argument("source", "the handler has no load()"))?;
                Model::from_artifacts(&cx.settled(load.call0(handler)).await?)
            }
        }
    }

    /// That a save has no options which only another target looks at.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`].
    pub fn check_options(&self, cx: &Context) -> Result<()> {
        let only_http = ["requestInit", "fetchFunc", "fieldNames", "files", "zip", "cache"];
        match self {
            Route::Stored(..) => cx.refuse(&only_http, "a store does not look at it"),
            Route::Handler(_) => cx.refuse(&only_http, "give it to the handler: this save does not look at it"),
            _ => Ok(()),
        }
    }

    /// Stores the model and gives the SaveResult.
    ///
    /// # Errors
    /// The medium's.
    pub async fn put(&self, model: Model, cx: &Context) -> Result<JsValue> {
        if !cx.overwrite && !matches!(self, Route::Stored(..)) {
            let why = "only a store knows whether there is a model already".to_owned();
            return Err(
                Error::NotSupported { operation: "save with overwrite: false", scheme: "This".into(), why }.into()
            );
        }
        match self {
            Route::Stored(store, path) => {
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
    !first.contains(':') && !text.is_empty() && !text.contains("://")
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
