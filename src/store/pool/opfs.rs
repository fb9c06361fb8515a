//! The pool of `opfs://`: each shard is a file of the origin's private file system, in the folder `tfpersist`. Its name is the catalog's.
//!
//! Only dedicated workers have sync access handles, which are three times as fast as streams. So a page writes and reads through workers
//! of its own ([`agent`]), and a dedicated worker with its own hands ([`hand`]), as everybody does where no worker can be started.

use std::collections::HashMap;

use js_sys::{Array, Object, Promise};
use wasm_bindgen::JsValue;

use crate::error::Error;
use crate::host::{self, Host};
use crate::idb::with_estimate;
use crate::js::{self, Failure, Result};

mod agent;
mod hand;
mod read;
mod slices;
mod write;

pub use agent::use_worker;
pub use read::sources;
pub use write::Writer;

const FOLDER: &str = "tfpersist";

/// Begins to look at all files: their names and lengths. None where there is no such file system.
pub fn files_soon(url: &str) -> Promise {
    let url = url.to_owned();
    let files = js::promise(async move {
        match folder(false, &url, 0).await {
            Ok(Some(folder)) => Ok(listed(&folder).await?.into()),
            Ok(None) => Ok(Array::new().into()),
            Err(failure) if matches!(failure.error(), Some(Error::NotSupported { .. })) => Ok(Array::new().into()),
            Err(failure) => Err(failure.into()),
        }
    });
    handled(&files);
    files
}

/// The files that were looked at.
///
/// # Errors
/// [`Error::Storage`].
pub async fn files(looked_at: Promise, url: &str) -> Result<HashMap<String, u64>> {
    let files = host::settled(Ok(looked_at.into())).await.map_err(js::storage(url, 0))?;
    let file = |file: &JsValue| {
        let [name, length] = <[JsValue; 2]>::try_from(js::items(file)).ok()?;
        Some((js::text(&name)?, length.as_f64()? as u64))
    };
    Ok(js::items(&files).iter().filter_map(file).collect())
}

async fn all(folder: &JsValue, what: &str) -> Host<Vec<JsValue>> {
    let (iterator, mut found) = (host::call(folder, what, &[])?, Vec::new());
    loop {
        let step = host::settled(host::call(&iterator, "next", &[])).await?;
        if js::get(&step, "done").is_truthy() {
            return Ok(found);
        }
        found.push(js::get(&step, "value"));
    }
}

/// A list of `[name, length]`.
async fn listed(folder: &JsValue) -> Host<Array> {
    let (mut names, files) = (Vec::new(), Array::new());
    for handle in all(folder, "values").await? {
        if let Ok(file) = host::call(&handle, "getFile", &[]) {
            names.push(js::get(&handle, "name"));
            files.push(&file);
        }
    }
    let files = host::settled(Ok(Promise::all_settled(&files).into())).await?;
    // One that is gone meanwhile, or is being written, has no length.
    let length = |file: JsValue| js::get(&js::get(&file, "value"), "size").as_f64().unwrap_or_default().into();
    let lengths = js::items(&files).into_iter().map(length);
    Ok(names.iter().zip(lengths).map(|(name, length): (_, JsValue)| Array::of2(name, &length)).collect())
}

/// Removes these files. What is gone already is fine.
///
/// # Errors
/// [`Error::NotSupported`]; [`Error::Storage`] when one cannot be removed, after all have been tried.
pub async fn remove(names: &[String], url: &str) -> Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let Some(folder) = folder(false, url, 0).await? else { return Ok(()) };
    let outcomes = host::settled(Ok(remove_all(&folder, names).into())).await.map_err(js::storage(url, 0))?;
    let failures = js::items(&outcomes).into_iter().filter_map(|outcome| js::get_some(&outcome, "reason"));
    match failures.into_iter().find(|cause| !is_gone(cause)) {
        Some(cause) => Err(js::storage(url, 0)(cause)),
        None => Ok(()),
    }
}

fn remove_all(folder: &JsValue, names: &[String]) -> Promise {
    let removals = names.iter().filter_map(|name| host::call(folder, "removeEntry", &[&name.into()]).ok());
    Promise::all_settled(&removals.collect::<Array>())
}

/// The folder of the pool; `None` where there is none and none is to be made.
async fn folder(create: bool, url: &str, needed: u64) -> Result<Option<JsValue>> {
    let storage = js::global("navigator").map_or(JsValue::UNDEFINED, |navigator| js::get(&navigator, "storage"));
    let why = "there is no origin private file system, or only for pages over https: use indexeddb://, in Node file://";
    if js::method(&storage, "getDirectory").is_none() {
        return Err(unsupported(why, None));
    }
    let refused = |cause: JsValue| match js::words(&cause).0.as_str() {
        "SecurityError" | "NotSupportedError" => {
            unsupported("the browser refuses it here, as in private windows", Some(cause))
        }
        _ => js::storage(url, needed)(cause),
    };
    let root = host::settled(host::call(&storage, "getDirectory", &[])).await.map_err(refused)?;
    let options = Object::new();
    js::set(&options, "create", &create.into());
    match host::settled(host::call(&root, "getDirectoryHandle", &[&FOLDER.into(), &options])).await {
        Ok(folder) => Ok(Some(folder)),
        Err(cause) if !create && is_gone(&cause) => Ok(None),
        Err(cause) => Err(with_estimate(refused(cause)).await),
    }
}

fn is_gone(cause: &JsValue) -> bool {
    js::words(cause).0 == "NotFoundError"
}

fn unsupported(why: &str, cause: Option<JsValue>) -> Failure {
    Failure::known(Error::NotSupported { operation: "be used", scheme: "opfs".into(), why: why.to_owned() }, cause)
}

/// Its failure will be told when it is awaited; until then nobody shall be told of an unhandled rejection.
fn handled(promise: &Promise) {
    let _ = Promise::all_settled(&Array::of1(promise));
}

/// An exception as a host throws it.
fn exception(name: &str, message: &str) -> JsValue {
    let error = js_sys::Error::new(message);
    error.set_name(name);
    error.into()
}
