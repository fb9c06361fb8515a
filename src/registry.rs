//! The stores there are, ours and registered ones, and what callers have registered.

use core::pin::Pin;
use std::cell::RefCell;

use js_sys::{Array, Function, Map};
use wasm_bindgen::prelude::*;

use crate::artifacts::Model;
use crate::context::Context;
use crate::error::Error;
use crate::info::Info;
use crate::js::{self, Result};
#[cfg(feature = "sharded")]
use crate::layouts::IndexedDb;
use crate::store::custom::Custom;
#[cfg(feature = "node")]
use crate::store::file_system::FileSystem;
#[cfg(not(feature = "sharded"))]
use crate::store::indexed_db::IndexedDb;
use crate::store::local_storage::LocalStorage;
use crate::store::memory::{self, Memory};
#[cfg(feature = "sharded")]
use crate::store::pool::opfs;
use crate::store::{Entry, Store, Which};
#[cfg(feature = "sharded")]
use crate::store::{pool::Pool, sharded::Sharded};
use crate::url::ModelUrl;

/// What a store does, boxed: a future for each store in each verb's own would be 20 KB of wasm more.
type Work<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + 'a>>;

/// Calls a method of whichever store it is.
macro_rules! dispatch {
    ($any:ident, $method:ident $args:tt; $($(#[$when:meta])* $store:ident),+) => {{
        let work: Work<'_, _> = match $any {
            $($(#[$when])* Self::$store(store) => Box::pin(store.$method $args),)+
            Self::Custom(store) => Box::pin(store.$method $args),
        };
        work
    }};
}

/// One line a store: the rest of the house finds it here.
macro_rules! stores {
    ($($(#[$when:meta])* $scheme:literal => $store:ident($medium:ident $(($pool:expr))?)),+ $(,)?) => {
        /// The schemes of the stores that come with the package.
        pub const SCHEMES: &[&str] = &[$($(#[$when])* $scheme),+];

        /// Any store: static dispatch.
        #[derive(Clone)]
        pub enum AnyStore { $($(#[$when])* #[doc = $scheme] $store($medium),)+ #[doc = "registered"] Custom(Custom) }

        impl AnyStore {
            fn built_in(scheme: &str) -> Option<Self> {
                match scheme { $($(#[$when])* $scheme => Some(Self::$store($medium $(($pool))?)),)+ _ => None }
            }
        }

        impl Store for AnyStore {
            fn scheme(&self) -> &str {
                match self { $($(#[$when])* Self::$store(store) => store.scheme(),)+ Self::Custom(store) => store.scheme() }
            }
            fn is_same(&self, path: &str, other: &str) -> bool {
                match self { $($(#[$when])* Self::$store(store) => store.is_same(path, other),)+ Self::Custom(store) => store.is_same(path, other) }
            }
            fn listed<'a>(&self, path: &'a str) -> &'a str {
                match self { $($(#[$when])* Self::$store(store) => store.listed(path),)+ Self::Custom(store) => store.listed(path) }
            }
            async fn row(&self, path: &str, cx: &Context) -> Result<Option<Entry>> {
                dispatch!(self, row(path, cx); $($(#[$when])* $store),+).await
            }
            async fn open(&self, path: &str, cx: &Context) -> Result<Model> {
                dispatch!(self, open(path, cx); $($(#[$when])* $store),+).await
            }
            async fn put(&self, path: &str, model: Model, cx: &Context) -> Result<Info> {
                let info = dispatch!(self, put(path, model, cx); $($(#[$when])* $store),+).await?;
                self.changed(path, "saved");
                Ok(info)
            }
            async fn list(&self, prefix: &str, cx: &Context) -> Result<Vec<Entry>> {
                dispatch!(self, list(prefix, cx); $($(#[$when])* $store),+).await
            }
            async fn remove(&self, path: &str, which: Which, cx: &Context) -> Result<Option<Entry>> {
                let removed = dispatch!(self, remove(path, which, cx); $($(#[$when])* $store),+).await?;
                if removed.is_some() {
                    self.changed(path, "removed");
                }
                Ok(removed)
            }
            async fn rename(&self, from: &str, to: &str, cx: &Context) -> Result<Option<Info>> {
                let renamed = dispatch!(self, rename(from, to, cx); $($(#[$when])* $store),+).await?;
                if renamed.is_some() {
                    self.changed(to, "saved");
                    self.changed(from, "removed");
                }
                Ok(renamed)
            }
            #[cfg(feature = "sharded")]
            async fn copy(&self, from: &str, to: &str, cx: &Context) -> Result<Option<Info>> {
                let copied = dispatch!(self, copy(from, to, cx); $($(#[$when])* $store),+).await?;
                if copied.is_some() {
                    self.changed(to, "saved");
                }
                Ok(copied)
            }
        }
    };
}

stores! {
    "localstorage" => LocalStorage(LocalStorage),
    "indexeddb" => IndexedDb(IndexedDb),
    #[cfg(feature = "sharded")] "opfs" => Opfs(Sharded(Pool::Opfs)),
    "memory" => Memory(Memory),
    #[cfg(feature = "node")] "file" => FileSystem(FileSystem),
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

/// Uses the caller's registry `{ saveRouters: IORouter[], loadRouters: IORouter[], stores: Map<string, ModelStore>, memory: Map, changed: Function, worker: () => Worker }`.
pub fn use_registry(registry: &JsValue) {
    if let Ok(memory) = js::get(registry, "memory").dyn_into() {
        memory::share(memory);
    }
    #[cfg(feature = "sharded")]
    if let Ok(make) = js::get(registry, "worker").dyn_into() {
        opfs::use_worker(make);
    }
    let shared = Registry {
        save_routers: js::get(registry, "saveRouters").unchecked_into(),
        load_routers: js::get(registry, "loadRouters").unchecked_into(),
        stores: js::get(registry, "stores").dyn_into().ok(),
        changed: js::get(registry, "changed").dyn_into().ok(),
    };
    REGISTRY.set(shared);
}

impl AnyStore {
    /// Whether it is a folder, which there are only in Node.
    fn is_folder(&self) -> bool {
        #[cfg(feature = "node")]
        if matches!(self, Self::FileSystem(_)) {
            return true;
        }
        false
    }

    /// Whether a model of it can be in another layout than TF.js's.
    #[cfg(not(feature = "sharded"))]
    pub fn may_have_shards(&self) -> bool {
        matches!(self, Self::IndexedDb(_))
    }

    /// Whether it is a caller's, which tells dates of its own.
    pub fn dates_itself(&self) -> bool {
        matches!(self, Self::Custom(_))
    }

    /// Whether it takes weights a piece at a time.
    #[cfg(feature = "sharded")]
    pub fn takes_pieces(&self) -> bool {
        matches!(self, Self::IndexedDb(_) | Self::Opfs(_)) || self.is_folder()
    }

    /// Whether it keeps no more than JSON, and of that TF.js's own fields.
    pub fn keeps_json_only(&self) -> bool {
        matches!(self, Self::LocalStorage(_)) || self.is_folder()
    }

    /// Tells who watches that a change is committed. What they do cannot undo it.
    fn changed(&self, path: &str, change: &str) {
        if let Some(tell) = REGISTRY.with_borrow(|registry| registry.changed.clone()) {
            let _ = tell.call2(&JsValue::UNDEFINED, &self.url(self.listed(path)).into(), &change.into());
        }
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
/// [`Error::InvalidUrl`], [`Error::UnknownScheme`], [`Error::InvalidArgument`] where nothing stays.
pub fn prefix(text: &JsValue) -> Result<(AnyStore, String)> {
    let url = ModelUrl::parse(&js::text(text).unwrap_or_default())?;
    let store = find_store(&url.scheme);
    let none = || {
        if url.scheme != "file" && TRANSFERS.contains(&&*url.scheme) {
            nothing_stays("url")
        } else {
            unknown(url.scheme)
        }
    };
    Ok((store.ok_or_else(none)?, url.path))
}

/// That it is no place where models stay.
pub fn nothing_stays(argument: &str) -> Error {
    Error::argument(argument, "it must be the URL of a stored model, such as \"indexeddb://my-model\"")
}

/// That nothing answers to this scheme, at least here.
pub fn unknown(scheme: String) -> Error {
    if scheme == "file" {
        let why = "there are files only in Node (20.16 or later), not in browsers; use indexeddb://".to_owned();
        return Error::NotSupported { operation: "be used", scheme, why };
    }
    let stores = stores();
    let schemes = stores.iter().map(Store::scheme).filter(|scheme| *scheme != "file").chain(TRANSFERS);
    Error::UnknownScheme { scheme, known: schemes.map(str::to_owned).collect() }
}

pub fn find_store(scheme: &str) -> Option<AnyStore> {
    let registered = || {
        let store = REGISTRY.with_borrow(|registry| registry.stores.as_ref().map(|stores| stores.get(&scheme.into())));
        let store = store.filter(JsValue::is_object)?;
        Some(AnyStore::Custom(Custom { scheme: scheme.to_owned(), store }))
    };
    AnyStore::built_in(scheme).or_else(registered)
}

/// The routers that are asked where a save may go.
pub fn save_routers() -> Array {
    REGISTRY.with_borrow(|registry| registry.save_routers.clone())
}

/// The routers that are asked where a load may come from.
pub fn load_routers() -> Array {
    REGISTRY.with_borrow(|registry| registry.load_routers.clone())
}
