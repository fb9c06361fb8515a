//! Bytes of a shard, read when they are asked for.

use wasm_bindgen::JsValue;

use super::{agent, folder, hand, is_gone};
use crate::host::{self, Host, settled};
use crate::js::{self, Result};
use crate::parallel;
use crate::store::pool::{Part, Reading, drain, readable};
use crate::weights::Spent;

/// Bytes from which on a worker is worth being asked, or started.
const MANY: u64 = 4 << 20;

/// Files that are opened at once.
const LANES: usize = 16;

/// For each part of a shard what has its `arrayBuffer()`, which can be called more than once. It opens the file itself: to do that here, too,
/// would take half as long as to read it. For who hands them on in turn it is a Blob, `None` where there is no such file: what a worker has
/// sent is not freed before the engine collects its message (4 GB piled up to 2), unless it is sent back to be read into again.
///
/// # Errors
/// [`crate::Error::NotSupported`], [`crate::Error::Storage`].
pub async fn sources(parts: &[Part<'_>], how: &Reading<'_>) -> Result<Vec<Option<JsValue>>> {
    if !how.in_turn {
        return Ok(parts.iter().map(|part| Some(unopened(part, how))).collect());
    }
    let url = how.url;
    let Some(folder) = folder(false, url, 0).await? else { return Ok(vec![None; parts.len()]) };
    let source = async |_: usize, part: &Part<'_>| match handle(&folder, part.shard).await {
        Ok(Some(handle)) => blob(&handle, part.offset, part.bytes).await,
        Ok(None) => Ok(None),
        Err(cause) => Err(cause),
    };
    parallel::map(parts, LANES, source).await.map_err(js::storage(url, 0))
}

fn unopened(part: &Part<'_>, how: &Reading<'_>) -> JsValue {
    let (name, offset, bytes) = (part.shard.to_owned(), part.offset, part.bytes);
    let (url, spent) = (how.url.to_owned(), how.spent.map(Spent::weak));
    let read = move || {
        let (name, url, spent) = (name.clone(), url.clone(), spent.clone());
        js::promise(async move { read(&name, offset, bytes, &url, spent.and_then(|spent| spent.get()).as_ref()).await })
    };
    readable(read)
}

/// Reads by the quickest hand there is, and in the Blob's own way if that fails, or nobody else is there yet. What is gone has no bytes: who
/// reads finds them too short.
async fn read(name: &str, offset: u64, bytes: u64, url: &str, spent: Option<&Spent>) -> Host<JsValue> {
    if !hand::reads()
        && bytes >= MANY
        && let Some(agent) = agent::at_hand().filter(agent::Agent::reads)
        && let Ok(read) = agent.read(name, offset, bytes, spent.and_then(|spent| spent.take(bytes))).await
    {
        return Ok(read);
    }
    let Some(folder) = folder(false, url, 0).await? else { return Ok(JsValue::UNDEFINED) };
    let Some(handle) = handle(&folder, name).await? else { return Ok(JsValue::UNDEFINED) };
    if hand::reads()
        && let Ok(read) = hand::read(&handle, offset, bytes, spent).await
    {
        return Ok(read);
    }
    match blob(&handle, offset, bytes).await? {
        Some(blob) if spent.is_some() => drain(&blob, bytes, spent).await,
        Some(blob) => settled(host::call(&blob, "arrayBuffer", &[])).await,
        None => Ok(JsValue::UNDEFINED),
    }
}

/// The handle of a file; `None` when it is gone.
async fn handle(folder: &JsValue, name: &str) -> Host<Option<JsValue>> {
    unless_gone(settled(host::call(folder, "getFileHandle", &[&name.into()])).await)
}

/// The same for bytes of it.
async fn blob(handle: &JsValue, offset: u64, bytes: u64) -> Host<Option<JsValue>> {
    let Some(file) = unless_gone(settled(host::call(handle, "getFile", &[])).await)? else { return Ok(None) };
    host::call(&file, "slice", &[&(offset as f64).into(), &((offset + bytes) as f64).into()]).map(Some)
}

fn unless_gone(found: Host<JsValue>) -> Host<Option<JsValue>> {
    match found {
        Err(cause) if is_gone(&cause) => Ok(None),
        found => found.map(Some),
    }
}
