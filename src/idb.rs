//! IndexedDB as futures: databases, and what is asked of them in a [`transaction`].

use std::cell::Cell;
use std::rc::Rc;

use js_sys::{Array, Object};
use wasm_bindgen::prelude::*;
use web_sys::{IdbDatabase, IdbFactory, IdbOpenDbRequest, IdbTransaction};

use crate::context::Context;
use crate::error::Error;
use crate::js::{self, Failure, Result};
use crate::kept::Kept;

mod transaction;

pub use transaction::{Transaction, with_estimate};
use transaction::{abort, answer};

/// The database of the layout that only the larger build reads and writes.
pub const CATALOG: &str = "tfpersist";

/// What a host call gives.
type Host<T> = core::result::Result<T, JsValue>;

#[wasm_bindgen]
extern "C" {
    /// web-sys has the `durability` option only behind an unstable flag.
    #[wasm_bindgen(extends = IdbDatabase, js_name = IDBDatabase)]
    type Database;
    #[wasm_bindgen(method, catch)]
    fn transaction(this: &Database, stores: &Array, mode: &str, options: &Object) -> Host<IdbTransaction>;
}

/// Milliseconds for which a database is left open.
const KEPT_FOR: u32 = 5000;

/// How a database is made: its name, and its object stores with their one key path.
pub struct Schema {
    /// The database.
    pub name: &'static str,
    /// The key path of all object stores.
    pub key_path: &'static str,
    /// The object stores, in the order in which they are made.
    pub stores: &'static [&'static str],
}

/// An open database. It closes when nobody has it any more, and when another tab wants to upgrade or delete it.
pub struct Connection {
    opened: Rc<Opened>,
    url: String,
}

struct Opened {
    db: IdbDatabase,
    _close: Closure<dyn FnMut()>,
}

/// A database that is there. It closes when nobody takes it: whoever wanted it may be gone by then.
#[derive(Default)]
struct Arrived(Cell<Option<IdbDatabase>>);

impl Drop for Arrived {
    fn drop(&mut self) {
        if let Some(db) = self.0.take() {
            db.close();
        }
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.db.set_onversionchange(None);
        self.db.set_onclose(None);
        self.db.close();
    }
}

thread_local! {
    /// The databases that are left open for whoever needs them next: to open one takes as long as to write a row.
    static OPEN: Kept<Vec<(&'static str, Rc<Opened>)>> = Kept::default();
}

/// Nothing is left open any more.
fn close_kept() {
    drop(Kept::take(&OPEN));
}

impl Connection {
    /// Opens a database in whatever version it has, and makes it when there is none. `url` is what errors name.
    /// It may have to wait for somebody who deletes the database; the signal is heard meanwhile. `needed` is how many bytes a quota
    /// failure names.
    ///
    /// # Errors
    /// [`Error::NotSupported`] without IndexedDB; [`Error::Corrupt`] when an object store is missing; [`Error::Storage`];
    /// the signal's reason.
    pub async fn open(schema: &'static Schema, url: &str, needed: u64, cx: &Context) -> Result<Self> {
        let request = factory()?.open(schema.name).map_err(js::storage(url, needed))?;
        let arrived = Rc::new(Arrived::default());
        let opening = {
            let arrived = Rc::downgrade(&arrived);
            async move {
                let db = Arrived(Cell::new(Some(open_or_make(request, schema).await?)));
                if let Some(arrived) = arrived.upgrade() {
                    arrived.0.swap(&db.0);
                }
                Ok(JsValue::UNDEFINED)
            }
        };
        let opened = cx.settled(Ok(js::promise(opening).into())).await;
        let db = match opened.map(|_| arrived.0.take()) {
            Ok(Some(db)) => db,
            Ok(None) => return Err(Failure::Thrown(JsValue::UNDEFINED)), // which cannot be
            Err(Failure::Thrown(cause)) => {
                cx.check()?;
                return Err(with_estimate(js::storage(url, needed)(cause)).await);
            }
            Err(failure) => return Err(failure),
        };
        let close = {
            let db = db.clone();
            Closure::new(move || {
                db.close();
                close_kept();
            })
        };
        db.set_onversionchange(Some(close.as_ref().unchecked_ref()));
        db.set_onclose(Some(close.as_ref().unchecked_ref())); // by the engine
        let connection = Self { opened: Rc::new(Opened { db, _close: close }), url: url.to_owned() };
        match schema.stores.iter().find(|store| !connection.opened.db.object_store_names().contains(store)) {
            None => Ok(connection),
            Some(missing) => Err(Error::Corrupt {
                url: url.to_owned(),
                file: format!("database {}", schema.name),
                expected: format!("the object store {missing}"),
                received: "none".into(),
            }
            .into()),
        }
    }

    /// The same for who asks, or changes a few rows: one that was left open, or that is left open for a while.
    ///
    /// # Errors
    /// As [`Connection::open`].
    pub async fn kept(schema: &'static Schema, url: &str, cx: &Context) -> Result<Self> {
        cx.check()?; // as the opening would
        let left =
            |open: &mut Vec<(_, Rc<Opened>)>| Some(open.iter().find(|(name, _)| *name == schema.name)?.1.clone());
        let connection = match Kept::with(&OPEN, left) {
            Some(opened) => Self { opened, url: url.to_owned() },
            None => {
                let connection = Self::open(schema, url, 0, cx).await?;
                let opened = connection.opened.clone();
                Kept::with(&OPEN, |open| {
                    open.retain(|(name, _)| *name != schema.name);
                    open.push((schema.name, opened));
                });
                connection
            }
        };
        Kept::drop_in(&OPEN, KEPT_FOR);
        Ok(connection)
    }

    /// Begins a transaction that only reads: one view of these stores.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn read(&self, stores: &[&str]) -> Result<Transaction> {
        self.begin(stores, "readonly", &Object::new())
    }

    /// Begins a transaction that writes. It must be [settled](Transaction::settle).
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn write(&self, stores: &[&str], cx: &Context) -> Result<Transaction> {
        self.write_with(stores, cx.durability.as_deref())
    }

    /// The same with a durability of its own.
    ///
    /// # Errors
    /// [`Error::Storage`].
    pub fn write_with(&self, stores: &[&str], durability: Option<&str>) -> Result<Transaction> {
        let options = Object::new();
        if let Some(durability) = durability {
            js::set(&options, "durability", &durability.into());
        }
        self.begin(stores, "readwrite", &options)
    }

    fn begin(&self, stores: &[&str], mode: &str, options: &Object) -> Result<Transaction> {
        let db: &Database = self.opened.db.unchecked_ref();
        let transaction = db.transaction(&crate::context::strings(stores), mode, options);
        let transaction = transaction.inspect_err(|_| close_kept());
        Ok(Transaction::new(transaction.map_err(js::storage(&self.url, 0))?, &self.url))
    }
}

/// Whether there is a database of that name; asked when this returns, answered when it is awaited. Where the engine does not tell: yes.
pub fn exists(name: &'static str) -> impl Future<Output = bool> {
    let databases = factory().map(|factory| js::method(&factory, "databases").map(|ask| ask.call0(&factory)));
    async move {
        let listed = match databases {
            Err(_) => return false, // there is no IndexedDB
            Ok(Some(Ok(listed))) => js::resolve(&listed),
            Ok(_) => return true,
        };
        let Ok(listed) = listed else { return true };
        let Ok(listed) = wasm_bindgen_futures::JsFuture::from(listed).await else { return true };
        js::items(&listed).iter().any(|database| js::get(database, "name") == name)
    }
}

fn factory() -> Result<IdbFactory> {
    let missing = || Error::NotSupported {
        operation: "be used",
        scheme: "indexeddb".into(),
        why: "there is no IndexedDB here".into(),
    };
    Ok(js::global("indexedDB").ok_or_else(missing)?.unchecked_into())
}

async fn open_or_make(request: IdbOpenDbRequest, schema: &'static Schema) -> Host<IdbDatabase> {
    let upgrade = {
        let request = request.clone();
        Closure::once(move || make_stores(&request, schema))
    };
    request.set_onupgradeneeded(Some(upgrade.as_ref().unchecked_ref()));
    let opened = answer(&request).await;
    request.set_onupgradeneeded(None);
    Ok(opened?.unchecked_into())
}

fn make_stores(request: &IdbOpenDbRequest, schema: &Schema) {
    let Ok(db) = request.result() else { return };
    let db: IdbDatabase = db.unchecked_into();
    let options = web_sys::IdbObjectStoreParameters::new();
    options.set_key_path(&schema.key_path.into());
    let make = |store: &&str| db.create_object_store_with_optional_parameters(store, &options).is_err();
    if schema.stores.iter().any(make) {
        // A database without one of them could never be saved to again: then rather none, and `open` says why.
        request.transaction().as_ref().map(abort);
    }
}
