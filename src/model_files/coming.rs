//! The shards of a model that is pulled, one after the other.

use std::collections::VecDeque;
use std::vec;

use js_sys::{Array, Uint8Array};

use super::Part;
use crate::context::Context;
use crate::host;
use crate::js::{self, Result};
use crate::weights::{Pull, copied};

/// Bytes that are gathered before they become a Blob, which the browser may keep on the disk.
const GATHERED: u64 = 8 << 20;

/// The shards of a model, as their bytes come. They are copies: whoever the bytes come from may use the buffers again.
pub struct Coming {
    pull: Pull,
    sizes: vec::IntoIter<u64>,
    /// Those that are whole.
    ready: VecDeque<Vec<Part>>,
    /// The next one, and bytes that it still needs.
    filling: Vec<Part>,
    missing: u64,
    /// Bytes at the end of it that are no Blob yet, and how many parts they are.
    gathered: (u64, usize),
}

impl Coming {
    /// Shards of these many bytes each.
    pub fn new(pull: Pull, sizes: Vec<u64>) -> Self {
        let mut sizes = sizes.into_iter();
        let missing = sizes.next().unwrap_or(u64::MAX);
        Self { pull, sizes, ready: VecDeque::new(), filling: Vec::new(), missing, gathered: (0, 0) }
    }

    /// All bytes, as one.
    ///
    /// # Errors
    /// As [`Coming::next`].
    pub async fn whole(pull: Pull, cx: &Context) -> Result<Vec<Part>> {
        let mut all = Self::new(pull, Vec::new());
        all.finish(cx).await?;
        Ok(all.filling)
    }

    /// The next shard, empty when nothing is left.
    ///
    /// # Errors
    /// As [`Pull::next`]; [`crate::Error::InvalidArgument`] when the engine has no room.
    pub async fn next(&mut self, cx: &Context) -> Result<Vec<Part>> {
        while self.ready.is_empty()
            && let Some(piece) = self.pull.next(cx).await?
        {
            self.add(&piece)?;
        }
        Ok(self.ready.pop_front().unwrap_or_default())
    }

    /// That there is no more than was said.
    ///
    /// # Errors
    /// As [`Coming::next`].
    pub async fn finish(&mut self, cx: &Context) -> Result<()> {
        while let Some(piece) = self.pull.next(cx).await? {
            self.add(&piece)?;
        }
        Ok(())
    }

    fn add(&mut self, piece: &Uint8Array) -> Result<()> {
        let mut at = 0;
        while at < piece.length() {
            let take = self.missing.min((piece.length() - at).into());
            let end = at + take as u32;
            self.filling.push(Part::Bytes(js::view(&copied(&[js::part(piece, at, end)?])?)?));
            (at, self.missing) = (end, self.missing - take);
            self.gathered = (self.gathered.0 + take, self.gathered.1 + 1);
            if self.gathered.0 >= GATHERED {
                self.join_gathered()?;
            }
            if self.missing == 0 {
                self.ready.push_back(core::mem::take(&mut self.filling));
                self.missing = self.sizes.next().unwrap_or(u64::MAX);
                self.gathered = (0, 0);
            }
        }
        Ok(())
    }

    fn join_gathered(&mut self) -> Result<()> {
        let (bytes, parts) = core::mem::take(&mut self.gathered);
        let parts: Array = self.filling.drain(self.filling.len().saturating_sub(parts)..).collect();
        self.filling.push(Part::Blob(host::blob(&parts, "")?, bytes));
        Ok(())
    }
}
