//! Bytes on their way to the disk, a piece at a time, and whether they stayed as they were meanwhile.

use js_sys::Uint8Array;
use wasm_bindgen::JsValue;

use super::disk;
use crate::artifacts::Model;
use crate::context::Context;
use crate::digest::Digest;
use crate::error::Error;
use crate::host;
use crate::js::{self, Failure, Result};
use crate::weights::{Pull, Weights};

/// Bytes that are written in one go.
const STEP: u32 = 16 << 20;

/// Bytes on their way to the disk.
pub struct Source {
    pull: Pull,
    rest: Option<Uint8Array>,
    /// Of all that came.
    before: Digest,
    /// Of what was in the buffers when it had been written.
    pub after: Digest,
    /// The first one is of all already.
    is_seen: bool,
    /// The progress has counted it when it was read.
    pub is_counted: bool,
}

impl Source {
    /// A model's weights.
    ///
    /// # Errors
    /// As [`Model::pull`].
    pub async fn of(mut model: Model, cx: &Context) -> Result<Self> {
        let mut before = Digest::default();
        let is_seen = match &model.weights {
            Weights::Parts(parts) => {
                parts.iter().for_each(|part| before.bytes(part));
                true
            }
            _ => false,
        };
        let is_counted = model.is_counted;
        let pull = model.pull(cx).await?;
        Ok(Self { pull, rest: None, before, after: Digest::default(), is_seen, is_counted })
    }

    /// Bytes that nobody else has, and nobody counts.
    pub fn of_own(bytes: Uint8Array) -> Self {
        let pull = Pull::new(Weights::Parts(vec![bytes]), None);
        Self { pull, rest: None, before: Digest::default(), after: Digest::default(), is_seen: true, is_counted: true }
    }

    /// What comes next, so many bytes at the most.
    ///
    /// # Errors
    /// As [`Pull::next`]; [`Error::InvalidArgument`] when a buffer was transferred away.
    pub async fn next(&mut self, most: u64, cx: &Context) -> Result<Option<Uint8Array>> {
        let piece = match self.rest.take() {
            Some(rest) => rest,
            None => {
                let Some(piece) = self.pull.next(cx).await? else { return Ok(None) };
                if !self.is_seen {
                    self.before.bytes(&piece);
                }
                piece
            }
        };
        let end = piece.length().min(STEP).min(u32::try_from(most).unwrap_or(u32::MAX));
        if end < piece.length() {
            self.rest = Some(js::part(&piece, end, piece.length())?);
        }
        js::part(&piece, 0, end).map(Some)
    }

    /// That nothing is left, and that it was written as it was.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`]; as [`Pull::next`].
    pub async fn finish(mut self, cx: &Context) -> Result<()> {
        while self.pull.next(cx).await?.is_some() {}
        // It was written from the caller's own buffers, over many turns of the event loop.
        if self.before.finish() == self.after.finish() {
            return Ok(());
        }
        let why = "they changed while they were saved; what was stored before is unchanged";
        Err(Error::argument("weightData", why).into())
    }
}

/// That bytes are missing which were there.
pub fn transferred() -> Failure {
    Error::argument("weightData", "a buffer was transferred away while it was saved").into()
}

/// A file that is being written.
pub struct Writing<'a> {
    /// Node's.
    pub handle: JsValue,
    /// Bytes that it shall have.
    pub bytes: u64,
    /// What errors name.
    pub url: &'a str,
}

impl Writing<'_> {
    /// Calls a function of the handle.
    ///
    /// # Errors
    /// As [`disk::Disk::call`].
    pub async fn call(&self, name: &str, args: &[&JsValue]) -> Result<JsValue> {
        let outcome = host::settled(host::call(&self.handle, name, args)).await;
        outcome.map_err(|cause| disk::failure(cause, self.url, self.bytes))
    }

    /// Writes all of it where the last one ended.
    ///
    /// # Errors
    /// As [`Writing::call`].
    pub async fn write(&self, piece: &Uint8Array) -> Result<()> {
        let mut start = 0;
        while start < piece.length() {
            let rest = js::part(piece, start, piece.length())?;
            let result = self.call("write", &[&rest]).await?;
            start += js::get(&result, "bytesWritten").as_f64().unwrap_or(0.0) as u32;
        }
        Ok(())
    }
}
