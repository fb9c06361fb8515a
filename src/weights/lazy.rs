//! Weights that are not here yet: a stream, Blobs, what a store reads when it is asked for.

use core::any::Any;
use core::cell::RefCell;
use core::future::Future;
use core::pin::Pin;
use std::rc::{Rc, Weak};

use js_sys::{Array, ArrayBuffer, Function, Promise, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};

use super::{Weights, cancel, wrong_data};
use crate::context::Context;
use crate::error::Error;
use crate::host;
use crate::js::{self, Result};
use crate::manifest::MAX_SAFE_INTEGER;

/// Bytes of a Blob that are read in one go.
pub const SLICE: u64 = 16 << 20;
/// The same for who keeps all: the fewer reads there are, the quicker they are.
#[cfg(feature = "transfers")]
pub const LARGE_SLICE: u64 = 64 << 20;

/// Bytes of buffers that wait to be read into again: as many as are read at once.
const SPENT: u64 = 32 << 20;
/// How many there are at the most.
const MOST_SPENT: usize = 32;

/// A sequence of chunks that can be read, also more than once.
#[derive(Clone)]
pub struct Chunks {
    /// In turn.
    pub list: Vec<Chunk>,
    /// What errors name: the URL of a store's model, or `weightData`.
    pub of: Rc<str>,
    /// What must live until they have been read, for example a lock.
    pub guard: Option<Rc<dyn Any>>,
    /// For who drops what was read: buffers to read into.
    pub spent: Option<Spent>,
}

/// Buffers whose bytes were looked at, to be read into again: what is dropped instead is the engine's until it collects it, and of a large
/// model that is hundreds of MB.
#[derive(Clone, Default)]
pub struct Spent(Rc<RefCell<Vec<ArrayBuffer>>>);

/// The same for what reads a chunk: the engine may keep that for long, and shall not keep the buffers.
#[derive(Clone, Default)]
pub struct SpentRef(Weak<RefCell<Vec<ArrayBuffer>>>);

impl SpentRef {
    /// The buffers, while somebody looks at what is read.
    pub fn get(&self) -> Option<Spent> {
        self.0.upgrade().map(Spent)
    }
}

impl Spent {
    /// For what reads a chunk.
    pub fn weak(&self) -> SpentRef {
        SpentRef(Rc::downgrade(&self.0))
    }

    /// One with room for so many bytes, if there is one.
    pub fn take(&self, bytes: u64) -> Option<ArrayBuffer> {
        let mut buffers = self.0.borrow_mut();
        let fits = |buffer: &ArrayBuffer| u64::from(buffer.byte_length()) >= bytes;
        let place = buffers.iter().position(fits)?;
        Some(buffers.swap_remove(place))
    }

    /// Room for so many bytes: in one of them, or new.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when the engine cannot allocate it.
    pub fn room(spent: Option<&Self>, bytes: u64) -> Result<Uint8Array> {
        let buffer = spent.and_then(|spent| spent.take(bytes)).map_or_else(|| js::allocate(bytes), Ok)?;
        Ok(js::view(&buffer)?.subarray(0, bytes as u32))
    }

    /// Bytes of one of them that nobody else has; when this is dropped, their buffer is given back.
    pub(super) fn hold(&self, bytes: &Uint8Array) -> Held {
        Held { spent: self.clone(), buffer: bytes.buffer() }
    }

    /// One that nobody looks at any more. What is not kept is given back at once where that can be done.
    fn give(&self, buffer: ArrayBuffer) {
        let mut buffers = self.0.borrow_mut();
        buffers.push(buffer);
        let bytes = |buffers: &[ArrayBuffer]| buffers.iter().map(|buffer| u64::from(buffer.byte_length())).sum::<u64>();
        while buffers.len() > MOST_SPENT || bytes(&buffers) > SPENT {
            let _ = host::call(&buffers.remove(0), "transfer", &[&0.into()]); // not in older engines
        }
    }
}

/// Keeps the bytes of a buffer as they are, as long as it lives: then what comes next may be read into it.
pub struct Held {
    spent: Spent,
    buffer: ArrayBuffer,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.spent.give(self.buffer.clone());
    }
}

/// Says what is wrong with bytes that were read.
pub type Check = Rc<dyn Fn(&Uint8Array) -> Result<()>>;

/// Some bytes that are somewhere else.
#[derive(Clone)]
pub struct Chunk {
    /// How many.
    pub bytes: u64,
    /// A Blob, or whatever has its `arrayBuffer()`.
    pub source: JsValue,
    /// How they are checked, beyond their number.
    pub check: Option<Check>,
    /// What errors and the progress call it, where it is a part of a file.
    pub part: Option<FilePart>,
}

/// A part of a file.
#[derive(Clone)]
pub struct FilePart {
    /// The file's name.
    pub name: Rc<str>,
    /// Where in it the part ends.
    pub end: u64,
    /// Bytes of the file.
    pub total: u64,
}

/// Weights that somebody else sends.
pub trait Remote {
    /// Begins to take them.
    ///
    /// # Errors
    /// What makes that impossible.
    fn open(&self) -> Result<Box<dyn Flow>>;
}

/// The next bytes, `None` at the end.
pub type Next<'a> = Pin<Box<dyn Future<Output = Result<Option<Uint8Array>>> + 'a>>;

/// Weights that are being sent. They end when it is dropped.
pub trait Flow {
    /// Buffers to read into: who has looked at bytes gives theirs back.
    fn spent(&self) -> &Spent;

    /// The next bytes. They are counted by the progress as they come.
    fn next<'a>(&'a mut self, cx: &'a Context) -> Next<'a>;
}

impl Chunks {
    /// Bytes of all.
    pub fn byte_length(&self) -> u64 {
        self.list.iter().fold(0, |sum, chunk| sum.saturating_add(chunk.bytes))
    }

    /// Blobs, which are read a slice at a time.
    ///
    /// # Errors
    /// What the engine throws at the cutting.
    pub fn of_blobs(blobs: &[JsValue], of: &str) -> Result<Self> {
        let mut chunks = Self { list: Vec::new(), of: of.into(), guard: None, spent: None };
        blobs.iter().try_for_each(|blob| chunks.add(blob, None, SLICE))?;
        Ok(chunks)
    }

    /// One more Blob, a file of that name, of which so many bytes are read in one go.
    ///
    /// # Errors
    /// As [`Chunks::of_blobs`].
    pub fn add(&mut self, blob: &JsValue, name: Option<&str>, slice: u64) -> Result<()> {
        let name: Option<Rc<str>> = name.map(Into::into);
        let size = host::size(blob);
        if size > MAX_SAFE_INTEGER {
            return Err(wrong_data()); // it only calls itself a Blob
        }
        let mut start = 0;
        while start < size {
            let end = size.min(start + slice);
            let ends = [&(start as f64).into(), &(end as f64).into()];
            let is_whole = end - start == size;
            let source = if is_whole { blob.clone() } else { host::call(blob, "slice", &ends).map_err(js::thrown)? };
            let part = name.clone().map(|name| FilePart { name, end, total: size });
            self.list.push(Chunk { bytes: end - start, source, check: None, part });
            start = end;
        }
        Ok(())
    }

    /// The Blobs that these are, when all are some: then they need not be read to be handed on.
    pub fn blobs(&self) -> Option<Vec<(JsValue, u64)>> {
        let blob = |chunk: &Chunk| {
            let blob = js::get_some(&chunk.source, "blob").unwrap_or_else(|| chunk.source.clone());
            (blob.is_instance_of::<host::Blob>() && host::size(&blob) == chunk.bytes).then_some((blob, chunk.bytes))
        };
        self.list.iter().map(blob).collect()
    }

    /// Begins to read a chunk.
    pub(super) fn begin(chunk: &Chunk) -> core::result::Result<Promise, JsValue> {
        let promise = js::resolve(&host::call(&chunk.source, "arrayBuffer", &[])?)?;
        // Who asked may fail for another reason before this is awaited: then nobody shall be told of an unhandled rejection.
        let _ = Promise::all_settled(&Array::of1(&promise));
        Ok(promise)
    }

    /// What an error calls a chunk.
    pub(super) fn name<'a>(&'a self, chunk: &'a Chunk) -> &'a str {
        chunk.part.as_ref().map_or(&self.of, |part| &part.name)
    }

    /// The bytes of a chunk, checked.
    pub(super) fn finish(&self, chunk: &Chunk, read: &JsValue) -> Result<Uint8Array> {
        let bytes = js::bytes(read).unwrap_or_default();
        if let Some(check) = &chunk.check {
            check(&bytes)?;
        } else if u64::from(bytes.length()) != chunk.bytes {
            let (file, received) = (self.name(chunk).to_owned(), u64::from(bytes.length()));
            return Err(Error::SizeMismatch { file, expected: chunk.bytes, received }.into());
        }
        Ok(bytes)
    }
}

/// Whether this has bytes that can be asked for.
fn is_blob(value: &JsValue) -> bool {
    js::method(value, "arrayBuffer").is_some() && js::method(value, "slice").is_some()
}

pub(super) fn of_data(data: &JsValue, pieces: &[JsValue]) -> Result<Weights> {
    if !pieces.is_empty() && pieces.iter().all(is_blob) {
        return Chunks::of_blobs(pieces, "weightData").map(Weights::Chunks);
    }
    if js::method(data, "getReader").is_some() { of_stream(data) } else { Err(wrong_data()) }
}

pub(super) fn of_stream(stream: &JsValue) -> Result<Weights> {
    let wrong = || Error::argument("getWeightStream", "it must give a ReadableStream");
    let get_reader = js::method(stream, "getReader").ok_or_else(wrong)?;
    // A locked stream throws here.
    let reader = get_reader.call0(stream).map_err(js::thrown)?;
    let unreadable = || Error::argument("getWeightStream", "its reader has no read()");
    let read = js::method(&reader, "read").ok_or_else(unreadable)?;
    Ok(Weights::Stream(Stream { reader, read, is_done: false }))
}

/// A stream that is read once. When it is dropped before the end, it is cancelled.
pub struct Stream {
    reader: JsValue,
    read: Function,
    is_done: bool,
}

impl Stream {
    /// The next bytes; `None` at the end.
    pub(super) async fn next(&mut self, cx: &Context) -> Result<Option<Uint8Array>> {
        let result = cx.settled(self.read.call0(&self.reader)).await?;
        if js::get(&result, "done").is_truthy() {
            self.is_done = true;
            return Ok(None);
        }
        let wrong = || Error::argument("getWeightStream", "its chunks must be ArrayBuffers or typed arrays").into();
        js::bytes(&js::get(&result, "value")).map(Some).ok_or_else(wrong)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if !self.is_done {
            cancel(&self.reader);
        }
    }
}
