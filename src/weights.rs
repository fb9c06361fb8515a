//! The weights of a model in transit: a sequence of chunks that is pulled. The bytes stay in JavaScript.

use js_sys::{Array, ArrayBuffer, Object, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::ReadableStreamDefaultReader;

use crate::context::Context;
use crate::error::Error;
use crate::js::{self, Result};

/// Where the chunks come from.
pub enum Weights {
    /// The model has none.
    None,
    /// Buffers that the caller, or a store, holds.
    Parts(Vec<Uint8Array>),
    /// A stream that is read once.
    Stream(ReadableStreamDefaultReader),
}

impl Weights {
    /// The weights of a ModelArtifacts value: `weightData`, or else `getWeightStream()`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for anything that is neither bytes nor a stream.
    pub fn of(artifacts: &Object) -> Result<Self> {
        if let Some(data) = js::get_some(artifacts, "weightData") {
            return Self::of_data(&data);
        }
        match js::method(artifacts, "getWeightStream") {
            Some(open) => Self::of_stream(&open.call0(artifacts).map_err(js::thrown)?),
            None => Ok(Weights::None),
        }
    }

    fn of_data(data: &JsValue) -> Result<Self> {
        let pieces = if Array::is_array(data) { Array::from(data) } else { Array::of1(data) };
        let parts: Option<Vec<_>> = pieces.iter().map(|piece| js::bytes(&piece)).collect();
        let wrong = || Error::argument("weightData", "it must be an ArrayBuffer or an array of them").into();
        parts.map(Weights::Parts).ok_or_else(wrong)
    }

    fn of_stream(stream: &JsValue) -> Result<Self> {
        let wrong = || Error::argument("getWeightStream", "it must give a ReadableStream");
        let get_reader = js::method(stream, "getReader").ok_or_else(wrong)?;
        // A locked stream throws here.
        let reader = get_reader.call0(stream).map_err(js::thrown)?;
        Ok(Weights::Stream(reader.unchecked_into()))
    }

    /// Bytes in all, when known before reading.
    pub fn byte_length(&self) -> Option<u64> {
        match self {
            Weights::None => Some(0),
            Weights::Parts(parts) => Some(length(parts)),
            Weights::Stream(_) => None,
        }
    }

    /// All bytes in one buffer. A model that is in one already is not copied. `expected` is what the specs describe, when they tell.
    ///
    /// # Errors
    /// [`Error::SizeMismatch`] when a stream has more or fewer bytes; the signal's reason; what the stream throws.
    pub async fn join(self, expected: Option<u64>, cx: &Context) -> Result<Option<ArrayBuffer>> {
        match self {
            Weights::None => Ok(None),
            Weights::Parts(parts) => concat(&parts, cx).map(Some),
            Weights::Stream(reader) => {
                let drained = drain(&reader, expected, cx).await;
                if drained.is_err() {
                    // Tell the source that nobody will read on; its answer does not matter any more.
                    let _ = JsFuture::from(reader.cancel()).await;
                }
                concat(&drained?, cx).map(Some)
            }
        }
    }
}

/// Bytes of all parts.
pub fn length(parts: &[Uint8Array]) -> u64 {
    parts.iter().map(|part| u64::from(part.length())).sum()
}

fn concat(parts: &[Uint8Array], cx: &Context) -> Result<ArrayBuffer> {
    if let [part] = parts
        && part.byte_length() == part.buffer().byte_length()
        && part.buffer().is_instance_of::<ArrayBuffer>()
    {
        cx.advance(u64::from(part.length()), "read");
        return Ok(part.buffer());
    }
    let buffer = js::allocate(length(parts))?;
    let joined = Uint8Array::new(&buffer);
    let mut offset = 0;
    for part in parts {
        js::copy_into(&joined, part, offset)?;
        offset += part.length();
        cx.advance(u64::from(part.length()), "read");
    }
    Ok(buffer)
}

/// Reads a stream to its end, but never more than one chunk beyond what is expected.
async fn drain(reader: &ReadableStreamDefaultReader, expected: Option<u64>, cx: &Context) -> Result<Vec<Uint8Array>> {
    let mut parts = Vec::new();
    loop {
        cx.check()?;
        let result = JsFuture::from(reader.read()).await.map_err(js::thrown)?;
        if js::get(&result, "done").is_truthy() {
            break;
        }
        let wrong = || Error::argument("getWeightStream", "its chunks must be ArrayBuffers or typed arrays");
        parts.push(js::bytes(&js::get(&result, "value")).ok_or_else(wrong)?);
        if expected.is_some_and(|expected| length(&parts) > expected) {
            break;
        }
    }
    match expected {
        Some(expected) if length(&parts) != expected => {
            let file = "getWeightStream".to_owned();
            Err(Error::SizeMismatch { file, expected, received: length(&parts) }.into())
        }
        _ => Ok(parts),
    }
}
