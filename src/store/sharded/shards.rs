//! The weights of a save, cut into pieces; those that lie nowhere yet are gathered and written as shards.

use std::rc::Rc;

use js_sys::Uint8Array;

use super::super::catalog::Shard;
use super::super::pool::Writer;
use crate::context::Context;
use crate::digest::Key;
use crate::error::Error;
use crate::js::{self, Result};
use crate::pieces::{self, GATHERED, LARGEST, Layout};
use crate::weights::{self, Held, Pull};

/// Bytes of weights from which on a model is a large one.
const LARGE: u64 = 32 << 20;

/// A piece of the weights, as views into the source's bytes.
#[derive(Default)]
struct Piece {
    parts: Vec<Uint8Array>,
    bytes: u64,
    /// Keep the parts as they are, where they would be read into again.
    held: Vec<Rc<Held>>,
}

/// The shards of a save: pieces are gathered, and those that lie nowhere yet are written.
pub struct Shards {
    /// The id of the save, with which their names begin.
    save: String,
    /// Where all pieces lie.
    pub layout: Layout,
    key: Key,
    /// Those that were written.
    pub new: Vec<Shard>,
    /// The pieces that are gathered.
    gathered: Vec<Piece>,
    gathered_bytes: u64,
    /// How many are enough for a shard.
    enough: u64,
    /// Whether they are forced to the disk.
    is_strict: bool,
    /// Whether the progress sees the bytes when they are read.
    pub is_counted: bool,
    /// Bytes of all pieces so far.
    pub bytes: u64,
}

impl Shards {
    /// Those of a save, of a model of so many bytes, if that is known: the fewer shards a large one has, the quicker it is written and read.
    pub fn new(layout: Layout, key: Key, bytes: Option<u64>, save: &str, is_strict: bool) -> Self {
        let enough = if bytes.is_some_and(|bytes| bytes < LARGE) { GATHERED } else { LARGEST };
        let save = save.to_owned();
        Self {
            save,
            layout,
            key,
            new: Vec::new(),
            gathered: Vec::new(),
            gathered_bytes: 0,
            enough,
            is_strict,
            is_counted: false,
            bytes: 0,
        }
    }

    /// Cuts all that is pulled into pieces, and writes them.
    ///
    /// # Errors
    /// What the source and the pool say; [`Error::InvalidArgument`] when a buffer is transferred away meanwhile.
    pub async fn drink(
        &mut self,
        mut pull: Pull,
        mut cuts: impl Iterator<Item = u64>,
        writer: &mut Writer,
        cx: &Context,
    ) -> Result<()> {
        let mut piece = Piece::default();
        let mut length = cuts.next().unwrap_or(GATHERED);
        while let Some(bytes) = pull.next(cx).await? {
            // Cut before anything is awaited: there is nothing to cut of a buffer that was transferred away meanwhile.
            let (mut whole, mut at) = (Vec::new(), 0);
            let held = pull.hold(&bytes).map(Rc::new);
            while at < bytes.length() {
                let take = (length - piece.bytes).min(u64::from(bytes.length() - at)) as u32;
                piece.parts.push(js::part(&bytes, at, at + take)?);
                piece.bytes += u64::from(take);
                piece.held.extend(held.clone());
                at += take;
                if piece.bytes == length {
                    whole.push(core::mem::take(&mut piece));
                    length = cuts.next().unwrap_or(GATHERED);
                }
            }
            for piece in whole {
                self.gather(piece, writer, cx).await?;
            }
        }
        if piece.bytes > 0 {
            self.gather(piece, writer, cx).await?;
        }
        self.write(writer, cx).await
    }

    async fn gather(&mut self, piece: Piece, writer: &mut Writer, cx: &Context) -> Result<()> {
        if self.gathered_bytes + piece.bytes > LARGEST {
            self.write(writer, cx).await?;
        }
        self.gathered_bytes += piece.bytes;
        self.gathered.push(piece);
        if self.gathered_bytes >= self.enough { self.write(writer, cx).await } else { Ok(()) }
    }

    /// Writes what is new of the pieces that are gathered. From the hash to the copy nothing is awaited: what is known by a hash is what
    /// was written, whatever the caller does with its buffers.
    async fn write(&mut self, writer: &mut Writer, cx: &Context) -> Result<()> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        writer.room(cx).await?;
        let (mut parts, mut shard, mut offset) = (Vec::new(), Vec::new(), 0);
        let gathered = core::mem::take(&mut self.gathered);
        for Piece { parts: piece_parts, bytes, .. } in &gathered {
            let bytes = *bytes;
            if weights::length(piece_parts) != bytes {
                return Err(Error::argument("weightData", "a buffer was transferred away while it was saved").into());
            }
            let piece = pieces::Piece { bytes, hash: self.key.hash(piece_parts) };
            if !self.layout.reuse(piece) {
                self.layout.write(piece, offset);
                offset += piece.bytes;
                shard.push(piece);
                parts.extend(piece_parts.iter().cloned());
            }
        }
        if !shard.is_empty() {
            let name = format!("{}-{}", self.save, self.new.len());
            writer.send(&name, &parts)?;
            self.layout.know(name.clone(), &shard);
            self.new.push(Shard { name, pieces: shard, is_strict: self.is_strict });
        }
        cx.advance(if self.is_counted { 0 } else { self.gathered_bytes }, "write");
        self.bytes += self.gathered_bytes;
        self.gathered_bytes = 0;
        Ok(())
    }
}
