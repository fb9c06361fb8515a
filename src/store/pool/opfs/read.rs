//! Bytes of a shard, read when they are asked for.

use std::rc::Rc;

use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;

use super::{agent, folder, hand, is_gone};
use crate::host::{self, Host, settled};
use crate::js::{self, Result};
use crate::parallel;
use crate::store::pool::Part;

/// Bytes from which on a worker is worth being started.
const MANY: u64 = 4 << 20;

/// Files that are opened at once.
const LANES: usize = 16;

/// For each part of a shard a Blob, which can be read more than once, and at once. Its own `arrayBuffer()` is the quickest there is here.
/// `None`: there is no such file. For who reads `in_turn` the Blob's own way is better: what a worker has sent is not freed before the
/// engine collects its message (4 GB piled up to 2).
///
/// # Errors
/// [`crate::Error::NotSupported`], [`crate::Error::Storage`].
pub async fn sources(parts: &[Part<'_>], url: &str, in_turn: bool) -> Result<Vec<Option<JsValue>>> {
    let Some(folder) = folder(false, url, 0).await? else { return Ok(vec![None; parts.len()]) };
    let source = async |_: usize, part: &Part<'_>| match open(&folder, part, in_turn).await {
        Ok(blob) => Ok(Some(blob)),
        Err(cause) if is_gone(&cause) => Ok(None),
        Err(cause) => Err(js::storage(url, 0)(cause)),
    };
    parallel::map(parts, LANES, source).await
}

async fn open(folder: &JsValue, part: &Part<'_>, in_turn: bool) -> Host<JsValue> {
    let (offset, length) = (part.offset, part.bytes);
    let handle = settled(host::call(folder, "getFileHandle", &[&part.shard.into()])).await?;
    let file = settled(host::call(&handle, "getFile", &[])).await?;
    let cut = || host::call(&file, "slice", &[&(offset as f64).into(), &((offset + length) as f64).into()]);
    let blob = cut()?;
    if in_turn {
        return Ok(blob);
    }
    // The function holds a Blob of its own: if it held the one that has it, neither would ever be freed.
    let own = cut()?;
    let way = match hand::reads() {
        true => Way::Hand { handle, offset, length },
        false => Way::Agent { name: part.shard.to_owned(), offset, length },
    };
    let way = Rc::new(way);
    let read = Closure::<dyn Fn() -> js_sys::Promise>::new(move || {
        let (way, own) = (way.clone(), own.clone());
        future_to_promise(async move {
            match way.read().await {
                Some(bytes) => Ok(bytes),
                None => settled(host::call(&own, "arrayBuffer", &[])).await,
            }
        })
    });
    js::set(blob.unchecked_ref(), "arrayBuffer", &read.into_js_value());
    Ok(blob)
}

enum Way {
    /// With a sync access handle.
    Hand { handle: JsValue, offset: u64, length: u64 },
    /// Through the worker.
    Agent { name: String, offset: u64, length: u64 },
}

impl Way {
    /// The bytes, unless it cannot be done like this: then the Blob gives them, or says why not.
    async fn read(&self) -> Option<JsValue> {
        match self {
            Way::Hand { handle, offset, length } => hand::read(handle, *offset, *length).await.ok(),
            Way::Agent { name, offset, length } => {
                // Nobody waits for it to start: until it is there, the Blob is quicker.
                let agent = if *length >= MANY { agent::at_hand() } else { None };
                let agent = agent.filter(agent::Agent::reads)?;
                let buffers = settled(Ok(agent.read(name, *offset, *length).into())).await.ok()?;
                js::items(&buffers).into_iter().next()
            }
        }
    }
}
