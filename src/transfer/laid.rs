//! A whole file from a server, laid in one buffer as it comes.

use js_sys::Uint8Array;

use super::download::{Download, Received, Step};
use super::request::Requests;
use crate::js::{self, Result};

impl Requests {
    /// Fetches a whole file, and gives its bytes in as few pieces as may be. `watch` hears of each piece as it comes, and how many of its bytes
    /// are new.
    ///
    /// # Errors
    /// As [`Download::next`]; what `watch` says.
    pub async fn download(
        &self,
        url: &str,
        is_binary: bool,
        room: Room,
        watch: &mut dyn FnMut(&Received, u64) -> Result<()>,
    ) -> Result<(Received, Vec<Uint8Array>)> {
        let mut download = Download::new(url, is_binary);
        let mut laid = Laid::default();
        loop {
            match download.next(self).await? {
                Step::Restart => laid = Laid::default(),
                Step::Piece(piece, new) => {
                    laid.push(piece, &room, &download)?;
                    watch(&download.file, new)?;
                }
                Step::End => return Ok((core::mem::take(&mut download.file), laid.finish())),
            }
        }
    }
}

/// Bytes of a buffer that is made on the word of a manifest alone; for a larger one the server must say that it has so many.
const PLAIN: u64 = 1 << 26;

/// How long a file may be, as far as we know.
#[derive(Default)]
pub struct Room {
    /// Its bytes.
    pub exact: Option<u64>,
    /// Its bytes at the most.
    pub most: Option<u64>,
}

impl Room {
    /// Bytes of the one buffer that it is laid in.
    fn of(&self, file: &Received) -> Option<u64> {
        let promised = file.promised.filter(|promised| self.most.is_some_and(|most| *promised <= most));
        self.exact
            .filter(|exact| *exact <= PLAIN || file.promised == Some(*exact))
            .or(promised)
            .filter(|room| *room > 0)
    }
}

/// The bytes of a file, laid in one buffer as they come, or kept in the pieces in which they came.
#[derive(Default)]
struct Laid {
    whole: Option<Uint8Array>,
    bytes: u32,
    pieces: Vec<Uint8Array>,
}

impl Laid {
    fn push(&mut self, piece: Uint8Array, room: &Room, download: &Download) -> Result<()> {
        if self.bytes == 0
            && self.pieces.is_empty()
            && let Some(room) = room.of(&download.file)
        {
            self.whole = Some(js::view(&js::allocate(room)?)?);
        }
        match &self.whole {
            Some(whole) if piece.length() <= whole.length() - self.bytes => {
                js::copy_into(whole, &piece, self.bytes)?;
                self.bytes += piece.length();
            }
            _ => {
                self.split();
                self.pieces.push(download.own(piece)?);
            }
        }
        Ok(())
    }

    /// It is longer than the buffer, for example because it was compressed.
    fn split(&mut self) {
        if let Some(whole) = self.whole.take().filter(|_| self.bytes > 0) {
            self.pieces.push(whole.subarray(0, self.bytes));
        }
    }

    fn finish(mut self) -> Vec<Uint8Array> {
        match self.whole.take_if(|whole| whole.length() == self.bytes) {
            Some(whole) => vec![whole],
            None => {
                self.split();
                self.pieces
            }
        }
    }
}
