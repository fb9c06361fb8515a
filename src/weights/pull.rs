//! Weights, pulled: one piece after the other, and no more in memory than a few of them.

#[cfg(feature = "sharded")]
use std::collections::VecDeque;
#[cfg(feature = "sharded")]
use std::rc::Rc;

#[cfg(feature = "sharded")]
use js_sys::Promise;
use js_sys::Uint8Array;
#[cfg(feature = "sharded")]
use wasm_bindgen::JsValue;

use super::Weights;
#[cfg(feature = "sharded")]
use super::quantizing::Quantizing;
#[cfg(feature = "sharded")]
use super::{Chunk, Chunks, FilePart, Flow, Held, Remote, Stream};
use crate::context::Context;
#[cfg(feature = "sharded")]
use crate::context::FileProgress;
use crate::error::Error;
#[cfg(feature = "sharded")]
use crate::js;
use crate::js::Result;

/// Bytes of chunks that are being read at once, at most, unless one alone has more.
#[cfg(feature = "sharded")]
const AHEAD: u64 = 32 << 20;
/// The same for who keeps all of them anyway: only the memory that the engine itself takes for them counts.
#[cfg(feature = "sharded")]
const AHEAD_OF_ALL: u64 = 128 << 20;
/// How many of them: each may be a file that is opened.
#[cfg(feature = "sharded")]
const MOST_AHEAD: usize = 32;

/// The bytes of a model's weights, in turn. When it is dropped before the end, a stream is cancelled.
pub struct Pull {
    source: Source,
    expected: Option<u64>,
    received: u64,
}

enum Source {
    Parts(std::vec::IntoIter<Uint8Array>),
    #[cfg(feature = "sharded")]
    Stream(Stream),
    #[cfg(feature = "sharded")]
    Chunks {
        chunks: Chunks,
        next: usize,
        most: u64,
        ahead: VecDeque<(Chunk, core::result::Result<Promise, JsValue>)>,
    },
    #[cfg(feature = "sharded")]
    Remote(Rc<dyn Remote>, Option<Box<dyn Flow>>),
    #[cfg(feature = "sharded")]
    Quantizing(Box<Quantizing>),
}

impl Pull {
    /// Pulls these weights, of which there must be `expected` bytes, if that is known.
    pub fn new(weights: Weights, expected: Option<u64>) -> Self {
        let source = match weights {
            Weights::None => Source::Parts(Vec::new().into_iter()),
            Weights::Parts(parts) => Source::Parts(parts.into_iter()),
            #[cfg(feature = "sharded")]
            Weights::Stream(stream) => Source::Stream(stream),
            #[cfg(feature = "sharded")]
            Weights::Chunks(chunks) => Source::Chunks { chunks, next: 0, most: AHEAD, ahead: VecDeque::new() },
            #[cfg(feature = "sharded")]
            Weights::Remote(remote) => Source::Remote(remote, None),
            #[cfg(feature = "sharded")]
            Weights::Quantized(quantized) => Source::Quantizing(Box::new(Quantizing::new(quantized))),
        };
        Self { source, expected, received: 0 }
    }

    /// Whether all has come that was expected. Who has that may not ask for more.
    #[cfg(feature = "sharded")]
    pub fn is_full(&self) -> bool {
        self.expected == Some(self.received)
    }

    /// For who looks at bytes and drops them: when what this gives is dropped, others may be read into their buffer.
    #[cfg(feature = "sharded")]
    pub fn hold(&self, bytes: &Uint8Array) -> Option<Held> {
        let spent = match &self.source {
            Source::Chunks { chunks, .. } => chunks.spent.as_ref(),
            Source::Remote(_, flow) => flow.as_ref().map(|flow| flow.spent()),
            _ => None,
        };
        spent.map(|spent| spent.hold(bytes))
    }

    /// Takes bytes that were looked at and that nobody else has.
    pub fn release(&self, bytes: &Uint8Array) {
        #[cfg(feature = "sharded")]
        drop(self.hold(bytes));
        #[cfg(not(feature = "sharded"))]
        let _ = bytes;
    }

    /// For who keeps all that is pulled: more is read at once.
    #[cfg(feature = "sharded")]
    pub fn of_all(mut self) -> Self {
        if let Source::Chunks { most, .. } = &mut self.source {
            *most = AHEAD_OF_ALL;
        }
        self
    }

    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// [`Error::SizeMismatch`] for more or fewer bytes than expected; the signal's reason; what the source says.
    pub async fn next(&mut self, cx: &Context) -> Result<Option<Uint8Array>> {
        let bytes = self.source.next(cx).await?;
        self.received = self.received.saturating_add(bytes.as_ref().map_or(0, |bytes| bytes.length().into()));
        let (is_end, received) = (bytes.is_none(), self.received);
        match self.expected {
            // A stream that has too many is not read to its end.
            Some(expected) if received > expected || (is_end && received < expected) => {
                Err(Error::SizeMismatch { file: self.source.name(), expected, received }.into())
            }
            _ => Ok(bytes),
        }
    }
}

impl Source {
    async fn next(&mut self, cx: &Context) -> Result<Option<Uint8Array>> {
        match self {
            Source::Parts(parts) => {
                cx.check()?;
                Ok(parts.next())
            }
            #[cfg(feature = "sharded")]
            Source::Stream(stream) => stream.next(cx).await,
            #[cfg(feature = "sharded")]
            Source::Remote(remote, flow) => {
                let flow = match flow {
                    Some(flow) => flow,
                    None => flow.insert(remote.open()?),
                };
                flow.next(cx).await
            }
            #[cfg(feature = "sharded")]
            Source::Quantizing(quantizing) => quantizing.next(cx).await,
            #[cfg(feature = "sharded")]
            Source::Chunks { chunks, next, most, ahead } => {
                while ahead.len() < MOST_AHEAD
                    && let Some(chunk) = chunks.list.get(*next)
                    && ahead.iter().fold(chunk.bytes, |sum, (ahead, _)| sum + ahead.bytes) <= (*most).max(chunk.bytes)
                {
                    ahead.push_back((chunk.clone(), Chunks::begin(chunk)));
                    *next += 1;
                }
                let Some((chunk, reading)) = ahead.pop_front() else { return Ok(None) };
                match cx.settled(reading.map(JsValue::from)).await {
                    Ok(read) => {
                        let bytes = chunks.finish(&chunk, &read)?;
                        if let Some(FilePart { name, end, total }) = &chunk.part {
                            let file = FileProgress { name: name.to_string(), loaded: *end, total: Some(*total) };
                            cx.advance_file(&file, chunk.bytes, "read");
                        }
                        Ok(Some(bytes))
                    }
                    Err(js::Failure::Thrown(cause)) => {
                        cx.check()?;
                        Err(js::storage(chunks.name(&chunk), 0)(cause))
                    }
                    Err(failure) => Err(failure),
                }
            }
        }
    }

    /// What an error calls it.
    fn name(&self) -> String {
        match self {
            #[cfg(feature = "sharded")]
            Source::Stream(_) => "getWeightStream".into(),
            _ => "weightData".into(),
        }
    }
}
