//! The weights of a model in transit: a sequence of chunks that is pulled. The bytes stay in JavaScript.

use js_sys::{Array, ArrayBuffer, Object, Promise, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};

use crate::error::Error;
use crate::js::{self, Failure, Result};

#[cfg_attr(not(feature = "sharded"), path = "weights/none_lazy.rs")]
mod lazy;
mod pull;
#[cfg(feature = "sharded")]
pub mod quantizing;
#[cfg(feature = "sharded")]
pub mod stream;

#[cfg(feature = "node")]
pub use lazy::SpentRef;
#[cfg(feature = "sharded")]
pub use lazy::{Check, Chunk, Chunks, FilePart, Flow, Held, Remote, Spent, Stream};
#[cfg(feature = "transfers")]
pub use lazy::{LARGE_SLICE, Next, SLICE};
pub use pull::Pull;
#[cfg(feature = "sharded")]
use quantizing::Quantized;

/// Where the chunks come from.
pub enum Weights {
    /// The model has none.
    None,
    /// Buffers that the caller, or a store, holds.
    Parts(Vec<Uint8Array>),
    /// A stream that is read once.
    #[cfg(feature = "sharded")]
    Stream(Stream),
    /// Blobs, and what a store reads when it is asked for.
    #[cfg(feature = "sharded")]
    Chunks(Chunks),
    /// What somebody else sends, begun anew each time it is read.
    #[cfg(feature = "sharded")]
    Remote(std::rc::Rc<dyn Remote>),
    /// Others, which are quantised while they are pulled.
    #[cfg(feature = "sharded")]
    Quantized(Quantized),
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
            #[cfg(feature = "sharded")]
            Some(open) => Self::of_stream(&open.call0(artifacts).map_err(js::thrown)?),
            #[cfg(not(feature = "sharded"))]
            Some(_) => Err(js::needs_more()), // before it is opened: that can be done once
            None => Ok(Weights::None),
        }
    }

    /// Those of a `weightData`: bytes, a list of them, or what the larger build reads as it is needed, Blobs and a stream.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for anything else.
    pub fn of_data(data: &JsValue) -> Result<Self> {
        let pieces = if js::is_array(data) { js::items(data) } else { vec![data.clone()] };
        let parts: Option<Vec<_>> = pieces.iter().map(js::bytes).collect();
        match parts {
            Some(parts) => Ok(Weights::Parts(parts)),
            None => lazy::of_data(data, &pieces),
        }
    }

    /// A stream's.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for what is no stream; what a locked one throws.
    #[cfg(feature = "sharded")]
    pub fn of_stream(stream: &JsValue) -> Result<Self> {
        lazy::of_stream(stream)
    }

    /// Bytes in all, when known before reading.
    pub fn byte_length(&self) -> Option<u64> {
        match self {
            Weights::None => Some(0),
            Weights::Parts(parts) => Some(length(parts)),
            #[cfg(feature = "sharded")]
            Weights::Stream(_) | Weights::Remote(_) => None,
            #[cfg(feature = "sharded")]
            Weights::Chunks(chunks) => Some(chunks.byte_length()),
            #[cfg(feature = "sharded")]
            Weights::Quantized(quantized) => Some(quantized.plan.bytes()),
        }
    }

    /// Whether the bytes are all here, so that reading them is no work.
    pub fn is_here(&self) -> bool {
        matches!(self, Weights::None | Weights::Parts(_))
    }

    /// The same once more, but for a stream, which is read once. What must live until these have been read does so for these alone.
    #[cfg(feature = "sharded")]
    pub fn again(&self) -> Option<Self> {
        match self {
            Weights::None => Some(Weights::None),
            Weights::Parts(parts) => Some(Weights::Parts(parts.clone())),
            Weights::Stream(_) => None,
            Weights::Chunks(chunks) => Some(Weights::Chunks(Chunks { guard: None, ..chunks.clone() })),
            Weights::Remote(remote) => Some(Weights::Remote(remote.clone())),
            Weights::Quantized(quantized) => quantized.again().map(Weights::Quantized),
        }
    }

    /// Reads numbers at offsets into all parts, which must not fall.
    pub fn numbers(&self) -> Numbers<'_> {
        let parts = if let Weights::Parts(parts) = self { &parts[..] } else { &[] };
        Numbers { parts, before: 0 }
    }
}

fn wrong_data() -> Failure {
    let why =
        "it must be an ArrayBuffer below 4 GiB, not transferred away, a Blob, an array of them, or a ReadableStream";
    Error::argument("weightData", why).into()
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

/// All parts in one buffer. A model that is in one already is not copied.
///
/// # Errors
/// [`Error::InvalidArgument`] when the engine has no room for it, or a part was transferred away.
pub fn concat(parts: &[Uint8Array]) -> Result<ArrayBuffer> {
    if let [part] = parts
        && js::get(&part.buffer(), "byteLength") == f64::from(part.length())
        && part.buffer().is_instance_of::<ArrayBuffer>()
    {
        return Ok(part.buffer());
    }
    copied(parts)
}

/// All parts in a buffer of its own.
///
/// # Errors
/// As [`concat`].
pub fn copied(parts: &[Uint8Array]) -> Result<ArrayBuffer> {
    let buffer = js::allocate(length(parts))?;
    let joined = js::view(&buffer)?;
    let mut offset = 0;
    for part in parts {
        js::copy_into(&joined, part, offset)?;
        offset += part.length();
    }
    Ok(buffer)
}
