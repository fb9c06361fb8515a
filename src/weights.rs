//! The weights of a model in transit: a sequence of chunks that is pulled. The bytes stay in JavaScript.

use js_sys::{Array, ArrayBuffer, Object, Promise, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};

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
    Stream(JsValue),
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

    /// Those of a `weightData`.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for anything but bytes.
    pub fn of_data(data: &JsValue) -> Result<Self> {
        let pieces = if js::is_array(data) { js::items(data) } else { vec![data.clone()] };
        let parts: Option<Vec<_>> = pieces.iter().map(js::bytes).collect();
        let wrong = || {
            Error::argument(
                "weightData",
                "it must be an ArrayBuffer below 4 GiB, not transferred away, or an array of them",
            )
            .into()
        };
        parts.map(Weights::Parts).ok_or_else(wrong)
    }

    /// A stream's.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for what is no stream; what a locked one throws.
    pub fn of_stream(stream: &JsValue) -> Result<Self> {
        let wrong = || Error::argument("getWeightStream", "it must give a ReadableStream");
        let get_reader = js::method(stream, "getReader").ok_or_else(wrong)?;
        // A locked stream throws here.
        let reader = get_reader.call0(stream).map_err(js::thrown)?;
        Ok(Weights::Stream(reader))
    }

    /// Bytes in all, when known before reading.
    pub fn byte_length(&self) -> Option<u64> {
        match self {
            Weights::None => Some(0),
            Weights::Parts(parts) => Some(length(parts)),
            Weights::Stream(_) => None,
        }
    }

    /// Reads numbers at offsets into all parts, which must not fall.
    pub fn numbers(&self) -> Numbers<'_> {
        let parts = if let Weights::Parts(parts) = self { &parts[..] } else { &[] };
        Numbers { parts, before: 0 }
    }

    /// All bytes, in the pieces in which they are; a stream is read to its end. `expected` is what the specs describe, when they tell.
    ///
    /// # Errors
    /// [`Error::SizeMismatch`] when a stream has more or fewer bytes; the signal's reason; what the stream throws.
    pub async fn pieces(self, expected: Option<u64>, cx: &Context) -> Result<Option<Vec<Uint8Array>>> {
        match self {
            Weights::None => Ok(None),
            Weights::Parts(parts) => Ok(Some(parts)),
            Weights::Stream(reader) => {
                let drained = drain(&reader, expected, cx).await;
                if drained.is_err() {
                    cancel(&reader);
                }
                drained.map(Some)
            }
        }
    }
}

/// Numbers among the bytes of all parts, one after the other: there may be millions, the lengths of strings.
pub struct Numbers<'a> {
    /// Those that are not through, and the bytes of those that are.
    parts: &'a [Uint8Array],
    before: u64,
}

impl Numbers<'_> {
    /// The number at an offset; it may straddle two parts.
    pub fn read_u32(&mut self, offset: u64) -> Option<u32> {
        let mut bytes = [0; 4];
        for (place, byte) in (offset..).zip(&mut bytes) {
            *byte = self.byte(place)?;
        }
        Some(u32::from_le_bytes(bytes))
    }

    fn byte(&mut self, at: u64) -> Option<u8> {
        while let Some((part, rest)) = self.parts.split_first() {
            let end = self.before + u64::from(part.length());
            if at < end {
                return Some(part.get_index((at - self.before) as u32));
            }
            (self.parts, self.before) = (rest, end);
        }
        None
    }
}

/// Tells a source that nobody will read on. It may take its time: nobody waits, and its answer, like the failure that it
/// may end in, does not matter any more.
pub fn cancel(reader: &JsValue) {
    if let Some(cancel) = js::method(reader, "cancel")
        && let Ok(cancelled) = cancel.call0(reader)
    {
        let _ = Promise::all_settled(&Array::of1(&cancelled));
    }
}

/// Bytes of all parts.
pub fn length(parts: &[Uint8Array]) -> u64 {
    parts.iter().map(|part| u64::from(part.length())).sum()
}

/// All parts in one buffer. A model that is in one already is not copied. `count` hears of the bytes of each part.
///
/// # Errors
/// [`Error::InvalidArgument`] when the engine has no room for it, or a part was transferred away.
pub fn concat(parts: &[Uint8Array], count: impl Fn(u64)) -> Result<ArrayBuffer> {
    if let [part] = parts
        && js::get(&part.buffer(), "byteLength") == f64::from(part.length())
        && part.buffer().is_instance_of::<ArrayBuffer>()
    {
        count(u64::from(part.length()));
        return Ok(part.buffer());
    }
    let buffer = js::allocate(length(parts))?;
    let joined = js::view(&buffer)?;
    let mut offset = 0;
    for part in parts {
        js::copy_into(&joined, part, offset)?;
        offset += part.length();
        count(u64::from(part.length()));
    }
    Ok(buffer)
}

/// Reads a stream to its end, but never more than one chunk beyond what is expected.
async fn drain(reader: &JsValue, expected: Option<u64>, cx: &Context) -> Result<Vec<Uint8Array>> {
    let unreadable = || Error::argument("getWeightStream", "its reader has no read()");
    let read = js::method(reader, "read").ok_or_else(unreadable)?;
    let mut parts = Vec::new();
    loop {
        let result = cx.settled(read.call0(reader)).await?;
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
