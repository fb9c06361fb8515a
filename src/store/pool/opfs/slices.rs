//! The buffers that bytes are written from: slices of what is saved, in memory that is used again.

use js_sys::{ArrayBuffer, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};

use crate::js::{self, Result};
use crate::kept::Kept;

/// Bytes of a buffer.
const SLICE: u32 = 4 << 20;
/// Buffers that are kept when a save is over.
const KEPT: usize = 4;
/// Milliseconds for which they are kept.
const KEPT_FOR: u32 = 5000;

thread_local! {
    static LEFT: Kept<Vec<ArrayBuffer>> = Kept::default();
}

/// Buffers that nobody uses. To fill a new one takes up to eight times as long as to fill one that was filled before: so they come back
/// from who has written them, and a few are left for the next save, if there is one soon.
pub struct Free(Vec<ArrayBuffer>);

impl Free {
    /// Those that the last save has left.
    pub fn kept() -> Self {
        Self(Kept::take(&LEFT))
    }

    /// Takes back what was written.
    pub fn add(&mut self, buffers: Vec<JsValue>) {
        let buffers = buffers.into_iter().map(JsCast::unchecked_into);
        self.0.extend(buffers.filter(|buffer: &ArrayBuffer| buffer.byte_length() == SLICE));
    }
}

impl Drop for Free {
    fn drop(&mut self) {
        self.0.truncate(KEPT);
        if self.0.is_empty() {
            return;
        }
        Kept::with(&LEFT, |left| *left = core::mem::take(&mut self.0));
        Kept::drop_in(&LEFT, KEPT_FOR);
    }
}

/// The bytes of all parts, cut into slices.
pub struct Slices<'a> {
    parts: &'a [Uint8Array],
    /// Where the first of them goes on.
    at: u32,
}

impl<'a> Slices<'a> {
    /// From the beginning.
    pub fn of(parts: &'a [Uint8Array]) -> Self {
        Self { parts, at: 0 }
    }

    /// The next slice, copied, in a buffer that is free, or a new one, and how many bytes it is; the last one may have room left.
    ///
    /// # Errors
    /// [`crate::Error::InvalidArgument`] when a part was transferred away, or there is no memory.
    pub fn next(&mut self, free: &mut Free) -> Result<Option<(ArrayBuffer, u32)>> {
        let Some(part) = self.part() else { return Ok(None) };
        let left = part.length() - self.at;
        if free.0.is_empty() && (left >= SLICE || self.parts.len() == 1) {
            // A new buffer that is filled at once is made in half of the time of one that is made first, and then filled.
            let slice = js::slice(part, self.at, self.at + left.min(SLICE))?;
            self.at += slice.length();
            return Ok(Some((slice.buffer(), slice.length())));
        }
        let buffer = free.0.pop().map_or_else(|| js::allocate(SLICE.into()), Ok)?;
        let (whole, mut filled) = (js::view(&buffer)?, 0);
        while filled < SLICE
            && let Some(part) = self.part()
        {
            let count = (part.length() - self.at).min(SLICE - filled);
            js::copy_into(&whole, &js::part(part, self.at, self.at + count)?, filled)?;
            (self.at, filled) = (self.at + count, filled + count);
        }
        Ok(Some((buffer, filled)))
    }

    /// The part that is not through.
    fn part(&mut self) -> Option<&'a Uint8Array> {
        while let [part, rest @ ..] = self.parts
            && self.at >= part.length()
        {
            (self.parts, self.at) = (rest, 0);
        }
        self.parts.first()
    }
}
