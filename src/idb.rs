//! IndexedDB as futures. A write resolves on `complete` and never earlier, and a failed one is aborted and awaited.

use js_sys::{Array, Object, Promise};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Event, IdbDatabase, IdbFactory, IdbObjectStore, IdbOpenDbRequest, IdbRequest, IdbTransaction};

use crate::context::Context;
use crate::error::Error;
use crate::js::{self, Result};

#[wasm_bindgen]
extern "C" {
    /// web-sys has the `durability` option only behind an unstable flag.
    #[wasm_bindgen(extends = IdbDatabase, js_name = IDBDatabase)]
    type Database;
    #[wasm_bindgen(method, catch)]
    fn transaction(
        this: &Database,
        stores: &Array,
        mode: &str,
        options: &Object,
    ) -> core::result::Result<IdbTransaction, JsValue>;
}

/// An open database. It closes when dropped, and when another tab wants to upgrade or delete it.
pub struct Connection {
    db: IdbDatabase,
    url: String,
    _close: Closure<dyn FnMut()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.db.set_onversionchange(None);
        self.db.close();
    }
}

impl Connection {
    /// Opens a database in whatever version it has, and makes it, with these object stores, when there is none.
    /// `url` is what errors name.
    ///
    /// # Errors
    /// [`Error::NotSupported`] without IndexedDB; [`Error::Corrupt`] when an object store is missing; [`Error::Storage`].
    pub async fn open(name: &str, key_path: &'static str, stores: &'static [&'static str], url: &str) -> Result<Self> {
        let request = factory(url)?.open(name).map_err(js::storage(url, 0))?;
        let upgrade = {
            let request = request.clone();
            Closure::once(move || create_stores(&request, key_path, stores))
        };
        request.set_onupgradeneeded(Some(upgrade.as_ref().unchecked_ref()));
        let opened = answer(&request).await;
        request.set_onupgradeneeded(None);
        let db: IdbDatabase = opened.map_err(js::storage(url, 0))?.unchecked_into();
        let close = {
            let db = db.clone();
            Closure::new(move || db.close())
        };
        db.set_onversionchange(Some(close.as_ref().unchecked_ref()));
        let connection = Self { db, url: url.to_owned(), _close: close };
        match stores.iter().find(|store| !connection.db.object_store_names().contains(store)) {
            None => Ok(connection),
            Some(missing) => Err(Error::Corrupt {
                url: url.to_owned(),
                file: format!("database {name}"),
                expected: format!("the object store {missing}"),
                received: "none".into(),
            }
            .into()),
        }
    }

    /// An object store, to read from.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn reader(&self, store: &str) -> Result<IdbObjectStore> {
        let begun = self.db.transaction_with_str(store).and_then(|transaction| transaction.object_store(store));
        begun.map_err(js::storage(&self.url, 0))
    }

    /// Begins a transaction over these stores. It must be [settled](Write::settle).
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn write(&self, stores: &[&str], cx: &Context) -> Result<Write> {
        let options = Object::new();
        if let Some(durability) = &cx.durability {
            js::set(&options, "durability", &durability.into());
        }
        let db: &Database = self.db.unchecked_ref();
        let transaction = db.transaction(&crate::context::strings(stores), "readwrite", &options);
        Ok(Write::new(transaction.map_err(js::storage(&self.url, 0))?, &self.url))
    }
}

fn factory(url: &str) -> Result<IdbFactory> {
    let missing = || Error::NotSupported {
        operation: "be opened",
        scheme: url.to_owned(),
        why: "there is no IndexedDB here".into(),
    };
    let factory = js::global("indexedDB").ok_or_else(missing)?;
    Ok(factory.unchecked_into())
}

fn create_stores(request: &IdbOpenDbRequest, key_path: &str, stores: &[&str]) {
    let Ok(db) = request.result() else { return };
    let db: IdbDatabase = db.unchecked_into();
    let options = web_sys::IdbObjectStoreParameters::new();
    options.set_key_path(&key_path.into());
    for store in stores {
        // If it failed, the database would lack the store, and `open` says so.
        let _ = db.create_object_store_with_optional_parameters(store, &options);
    }
}

/// The result of a request. Its own promise functions are the handlers, so nothing of ours can be dropped before it answers.
///
/// # Errors
/// The request's error.
pub async fn answer(request: &IdbRequest) -> core::result::Result<JsValue, JsValue> {
    let settled = Promise::new(&mut |resolve, reject| {
        request.set_onsuccess(Some(&resolve));
        request.set_onerror(Some(&reject));
    });
    match JsFuture::from(settled).await {
        Ok(_) => request.result(),
        Err(event) => Err(request.error().ok().flatten().map_or(event, JsValue::from)),
    }
}

/// A read-write transaction.
pub struct Write {
    transaction: IdbTransaction,
    url: String,
    /// Resolves with the `complete` or the `abort` event. It never rejects, so nobody has to catch it.
    ended: Promise,
}

impl Write {
    fn new(transaction: IdbTransaction, url: &str) -> Self {
        let ended = Promise::new(&mut |resolve, _| {
            transaction.set_oncomplete(Some(&resolve));
            transaction.set_onabort(Some(&resolve));
        });
        Self { transaction, url: url.to_owned(), ended }
    }

    /// One of its object stores.
    ///
    /// # Errors
    /// [`Error::Storage`] when the transaction is over.
    pub fn store(&self, name: &str) -> Result<IdbObjectStore> {
        self.transaction.object_store(name).map_err(js::storage(&self.url, 0))
    }

    /// Ends the transaction: commits when all went well, else rolls back; either way it waits until that is done.
    /// `needed` is how many bytes a quota failure names.
    ///
    /// # Errors
    /// The `outcome`'s own; [`Error::QuotaExceeded`], [`Error::Storage`]; the signal's reason.
    pub async fn settle<T>(self, outcome: Result<T>, needed: u64, cx: &Context) -> Result<T> {
        if outcome.is_err() {
            self.abort();
        }
        let stop = self.abort_on_signal(cx);
        let event = JsFuture::from(self.ended.clone()).await.map_err(js::thrown)?;
        drop(stop);
        let committed = event.unchecked_into::<Event>().type_() == "complete";
        if committed || outcome.is_err() {
            return outcome;
        }
        cx.check()?;
        let error = self.transaction.error().map_or(JsValue::UNDEFINED, JsValue::from);
        Err(js::storage(&self.url, needed)(error))
    }

    fn abort(&self) {
        // It throws when the transaction is over already, which is as good.
        let _ = self.transaction.abort();
    }

    fn abort_on_signal(&self, cx: &Context) -> Option<OnAbort> {
        let signal = cx.signal()?.clone();
        let transaction = self.transaction.clone();
        let listener = Closure::new(move || {
            let _ = transaction.abort();
        });
        if signal.aborted() {
            self.abort();
        }
        signal.add_event_listener_with_callback("abort", listener.as_ref().unchecked_ref()).ok()?;
        Some(OnAbort { signal, listener })
    }
}

/// A listener on a signal, gone when dropped.
struct OnAbort {
    signal: web_sys::AbortSignal,
    listener: Closure<dyn FnMut()>,
}

impl Drop for OnAbort {
    fn drop(&mut self) {
        let _ = self.signal.remove_event_listener_with_callback("abort", self.listener.as_ref().unchecked_ref());
    }
}
