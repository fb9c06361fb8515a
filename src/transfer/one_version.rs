//! A file of a server whose bytes are handed on as they come: never those of two versions of it.

use js_sys::Uint8Array;

use super::download::{Download, Received, Step};
use super::http::Shard;
use super::request::Requests;
use crate::digest::Digest;
use crate::error::Error;
use crate::js::{Failure, Result};

/// A file whose bytes are handed on as they come. When it has to begin again, those that nobody can take back must come once more, and
/// are left out then.
pub struct OneVersion {
    download: Download,
    /// Which one it is.
    pub shard: Shard,
    /// Of what was read, that which nobody had room for.
    rest: Option<Uint8Array>,
    /// Bytes that were handed on, and their checksum where nothing else tells one version from another.
    pub handed: u64,
    digest: Digest,
    /// The validator of what was handed on.
    version: Option<String>,
    /// Bytes that have come once more, and their checksum.
    repeated: Option<(u64, Digest)>,
}

impl OneVersion {
    /// Nothing of it is read yet.
    pub fn of(shard: &Shard) -> Self {
        let (download, digest) = (Download::new(&shard.url, true), Digest::default());
        Self { download, shard: shard.clone(), rest: None, handed: 0, digest, version: None, repeated: None }
    }

    /// The next bytes; `None` at the end. What comes after them may be read into their buffer.
    ///
    /// # Errors
    /// As [`Download::next`]; [`Error::Checksum`] when it has become another file.
    pub async fn next(&mut self, requests: &Requests) -> Result<Option<Uint8Array>> {
        if let Some(rest) = self.rest.take() {
            // It may be of a caller's own fetchFunc.
            let gone = || Error::argument("weightData", "a buffer was transferred away while it was read").into();
            return if rest.length() > 0 { Ok(Some(rest)) } else { Err(gone()) };
        }
        loop {
            match self.download.next(requests).await? {
                Step::Restart => self.begin_again()?,
                Step::End if self.repeated.is_some() => return Err(self.another()),
                Step::End => return Ok(None),
                Step::Piece(piece, _) => {
                    let piece = self.without_repeated(piece)?;
                    if piece.length() > 0 {
                        return Ok(Some(self.hand_on(piece)));
                    }
                }
            }
        }
    }

    /// Of a piece only so many bytes were taken: the others come next.
    pub fn keep(&mut self, piece: &Uint8Array, taken: u32) {
        self.rest = (taken < piece.length()).then(|| piece.subarray(taken, piece.length()));
    }

    /// What has come of it.
    pub fn received(&self) -> &Received {
        &self.download.file
    }

    fn begin_again(&mut self) -> Result<()> {
        if self.version.is_some() && self.received().validator != self.version {
            return Err(self.another());
        }
        self.repeated = Some((0, Digest::default())).filter(|_| self.handed > 0);
        Ok(())
    }

    fn hand_on(&mut self, piece: Uint8Array) -> Uint8Array {
        if self.handed == 0 {
            self.version = self.received().validator.clone();
        }
        if self.version.is_none() {
            self.digest.bytes(&piece);
        }
        self.handed += u64::from(piece.length());
        piece
    }

    fn without_repeated(&mut self, piece: Uint8Array) -> Result<Uint8Array> {
        let Some((bytes, mut digest)) = self.repeated.take() else { return Ok(piece) };
        let known = u64::from(piece.length()).min(self.handed - bytes) as u32;
        let bytes = bytes + u64::from(known);
        if self.version.is_none() {
            digest.bytes(&piece.subarray(0, known));
        }
        if bytes < self.handed {
            self.repeated = Some((bytes, digest));
        } else if digest.finish() != self.digest.finish() {
            return Err(self.another());
        }
        Ok(piece.subarray(known, piece.length()))
    }

    fn another(&self) -> Failure {
        let expected = format!("the file of which {} bytes have been read already", self.handed);
        let received = "another one: it has changed on the server meanwhile".to_owned();
        Error::Checksum { file: self.shard.url.clone(), expected, received }.into()
    }
}
