//! Files that are written and read right here: with sync access handles in a dedicated worker, elsewhere as streams.

use js_sys::{ArrayBuffer, Object, Uint8Array};
use wasm_bindgen::JsValue;

use super::{exception, unsupported};
use crate::host::{self, Host, settled};
use crate::js::{self, Result};
use crate::weights::Spent;

/// How a file is written.
#[derive(Clone, Copy, PartialEq)]
pub enum Tool {
    /// Through a sync access handle.
    Sync,
    /// Through createWritable(), into a copy that takes the file's place when it is whole.
    Stream,
}

impl Tool {
    /// The quick one, which only dedicated workers have.
    pub fn sync() -> Option<Self> {
        has("FileSystemFileHandle", "createSyncAccessHandle").then_some(Self::Sync)
    }

    /// The other one. `cause` is why no worker could be started.
    ///
    /// # Errors
    /// [`crate::Error::NotSupported`] in engines that have none.
    pub fn stream(cause: Option<JsValue>) -> Result<Self> {
        let why = "no worker can be started here, and files cannot be written without one";
        let is_there = has("FileSystemFileHandle", "createWritable");
        if is_there { Ok(Self::Stream) } else { Err(unsupported(why, cause)) }
    }

    /// Writes a new file of `length` bytes, and gives the buffers back.
    pub async fn write(
        self,
        folder: &JsValue,
        name: &str,
        buffers: Vec<ArrayBuffer>,
        length: u64,
        flush: bool,
    ) -> Host<JsValue> {
        let options = Object::new();
        js::set(&options, "create", &JsValue::TRUE);
        let file = settled(host::call(folder, "getFileHandle", &[&name.into(), &options])).await?;
        let (slices, buffers) = slices(buffers, length);
        if self == Self::Sync {
            let handle = settled(host::call(&file, "createSyncAccessHandle", &[])).await?;
            let outcome = fill(&handle, &slices, length, flush);
            host::call(&handle, "close", &[])?;
            outcome?;
        } else {
            let stream = settled(host::call(&file, "createWritable", &[])).await?;
            if let Err(cause) = pour(&stream, &slices).await {
                let _ = settled(host::call(&stream, "abort", &[])).await; // the failure counts that came first
                return Err(cause);
            }
            let file = settled(host::call(&file, "getFile", &[])).await?;
            check(js::get(&file, "size"), length)?;
        }
        Ok(buffers.into())
    }
}

/// Views on what is used of the buffers, and these as a list.
fn slices(buffers: Vec<ArrayBuffer>, length: u64) -> (Vec<Uint8Array>, js_sys::Array) {
    let mut left = length;
    let view = |buffer: &ArrayBuffer| {
        let count = left.min(buffer.byte_length().into());
        left -= count;
        Uint8Array::new_with_byte_offset_and_length(buffer, 0, count as u32)
    };
    (buffers.iter().map(view).collect(), buffers.iter().collect())
}

fn fill(handle: &JsValue, slices: &[Uint8Array], length: u64, flush: bool) -> Host<()> {
    let mut at = 0;
    for slice in slices {
        let written = host::call(handle, "write", &[slice, &place(at)])?;
        check(written, slice.length().into())?;
        at += u64::from(slice.length());
    }
    if flush {
        host::call(handle, "flush", &[])?;
    }
    check(host::call(handle, "getSize", &[])?, length)
}

async fn pour(stream: &JsValue, slices: &[Uint8Array]) -> Host<()> {
    for slice in slices {
        settled(host::call(stream, "write", &[slice])).await?;
    }
    settled(host::call(stream, "close", &[])).await.map(|_| ())
}

/// Over quota nothing throws: there are fewer bytes than there should be, or an absurd number.
fn check(bytes: JsValue, expected: u64) -> Host<()> {
    if bytes == expected as f64 {
        return Ok(());
    }
    let received = bytes.as_f64().unwrap_or_default() as u64;
    Err(exception("QuotaExceededError", &format!("{received} of {expected} bytes were written")))
}

/// The bytes of a file from `offset`; fewer where it ends.
pub async fn read(file: &JsValue, offset: u64, length: u64, spent: Option<&Spent>) -> Host<JsValue> {
    let options = Object::new();
    js::set(&options, "mode", &"read-only".into());
    let handle = settled(host::call(file, "createSyncAccessHandle", &[&options])).await?;
    let read = read_into(&handle, offset, length, spent);
    host::call(&handle, "close", &[])?;
    read
}

fn read_into(handle: &JsValue, offset: u64, length: u64, spent: Option<&Spent>) -> Host<JsValue> {
    let bytes = Spent::room(spent, length)?;
    let count = host::call(handle, "read", &[&bytes, &place(offset)])?.as_f64().unwrap_or_default() as u32;
    let is_short = count < bytes.length();
    Ok(if is_short { bytes.slice(0, count) } else { bytes }.into())
}

fn place(at: u64) -> JsValue {
    let options = Object::new();
    js::set(&options, "at", &(at as f64).into());
    options.into()
}

/// Whether handles can be opened side by side by those who only read. Others would be in each other's way.
pub fn reads() -> bool {
    has("FileSystemSyncAccessHandle", "mode")
}

fn has(class: &str, property: &str) -> bool {
    let prototype = js::global(class).map_or(JsValue::UNDEFINED, |class| js::get(&class, "prototype"));
    js_sys::Reflect::has(&prototype, &property.into()).unwrap_or_default()
}
