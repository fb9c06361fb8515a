//! The weight files of a server as a stream: one after the other, a few requests ahead, and no bytes that could be of two versions.

use std::collections::VecDeque;
use std::rc::Rc;

use js_sys::Uint8Array;

use super::download::{Download, Received, Step};
use super::http::{RETRIES, Shard, check};
use super::request::Requests;
use crate::context::{Context, FileProgress};
use crate::digest::Digest;
use crate::error::Error;
use crate::js::Result;
use crate::shard::{self, Group};
use crate::weights::{Flow, Next, Remote};

/// Files that are asked for before the one that is read has ended: what comes of them waits in the sockets.
const AHEAD: usize = 2;

/// The weight files of a model, to be fetched when they are wanted.
pub struct Files {
    /// In turn.
    pub shards: Vec<Shard>,
    /// What they are to be.
    pub groups: Vec<Group>,
    /// Of the call that they are for.
    pub cx: Context,
}

/// The same, so that it can be begun more than once.
pub struct Source(pub Rc<Files>);

impl Remote for Source {
    fn open(&self) -> Result<Box<dyn Flow>> {
        let requests = Requests::new(&self.0.cx, RETRIES)?;
        let (begun, sizes) = (VecDeque::new(), Vec::new());
        Ok(Box::new(Reading { files: self.0.clone(), next: 0, begun, sizes, requests }))
    }
}

/// Files that are being read.
struct Reading {
    files: Rc<Files>,
    /// The first file that was not asked for.
    next: usize,
    /// Those that were: the first of them is read.
    begun: VecDeque<OneVersion>,
    /// The bytes of those that have been read.
    sizes: Vec<u64>,
    requests: Requests,
}

impl Flow for Reading {
    fn next<'a>(&'a mut self, cx: &'a Context) -> Next<'a> {
        Box::pin(self.read(cx))
    }
}

impl Reading {
    async fn read(&mut self, cx: &Context) -> Result<Option<Uint8Array>> {
        loop {
            self.ask_ahead()?;
            let files = self.files.clone();
            let at = self.sizes.len();
            let (Some(current), Some(shard)) = (self.begun.front_mut(), files.shards.get(at)) else { return Ok(None) };
            let Some(piece) = current.next(&self.requests).await? else {
                self.sizes.push(current.handed);
                self.begun.pop_front();
                self.check_group(shard.group)?;
                continue;
            };
            let file = &current.download.file;
            check(shard, files.groups.get(shard.group).and_then(|group| group.bytes), file)?;
            let total = shard.bytes.or(file.length);
            let progress = FileProgress { name: shard.url.clone(), loaded: current.handed, total };
            cx.advance_file(&progress, u64::from(piece.length()), "read");
            return Ok(Some(piece));
        }
    }

    fn ask_ahead(&mut self) -> Result<()> {
        while self.begun.len() <= AHEAD
            && let Some(shard) = self.files.shards.get(self.next)
        {
            let mut download = Download::new(&shard.url, true);
            download.begin(&self.requests)?;
            self.begun.push_back(OneVersion::of(download, &shard.url));
            self.next += 1;
        }
        Ok(())
    }

    /// When the last file of a group is through: which of them are too long or too short.
    fn check_group(&self, group: usize) -> Result<()> {
        let shards = self.files.shards.iter().zip(&self.sizes);
        let sizes = shards.filter(|(shard, _)| shard.group == group).map(|(shard, size)| Some((&shard.url[..], *size)));
        let sizes: Vec<_> = sizes.collect();
        let Some(group) = self.files.groups.get(group).filter(|group| group.paths.len() == sizes.len()) else {
            return Ok(());
        };
        let problems = shard::problems(core::slice::from_ref(group), &sizes);
        if problems.is_empty() { Ok(()) } else { Err(Error::Files { problems }.into()) }
    }
}

/// A file whose bytes are handed on as they come. When it has to begin again, those that nobody can take back must come once more, and
/// are left out then.
struct OneVersion {
    download: Download,
    url: String,
    /// Bytes that were handed on, and their checksum where nothing else tells one version from another.
    handed: u64,
    digest: Digest,
    /// The validator of what was handed on.
    version: Option<String>,
    /// Bytes that have come once more, and their checksum.
    repeated: Option<(u64, Digest)>,
}

impl OneVersion {
    fn of(download: Download, url: &str) -> Self {
        let (url, digest) = (url.to_owned(), Digest::default());
        Self { download, url, handed: 0, digest, version: None, repeated: None }
    }

    async fn next(&mut self, requests: &Requests) -> Result<Option<Uint8Array>> {
        loop {
            match self.download.next(requests).await? {
                Step::Restart => self.begin_again()?,
                Step::End if self.repeated.is_some() => return Err(self.another()),
                Step::End => return Ok(None),
                Step::Piece(piece, _) => {
                    let piece = self.without_repeated(piece)?;
                    if piece.length() > 0 {
                        let piece = self.download.own(piece)?;
                        return self.hand_on(piece).map(Some);
                    }
                }
            }
        }
    }

    fn begin_again(&mut self) -> Result<()> {
        if self.version.is_some() && self.file().validator != self.version {
            return Err(self.another());
        }
        self.repeated = Some((0, Digest::default())).filter(|_| self.handed > 0);
        Ok(())
    }

    fn hand_on(&mut self, piece: Uint8Array) -> Result<Uint8Array> {
        if self.handed == 0 {
            self.version = self.file().validator.clone();
        }
        if self.version.is_none() {
            self.digest.bytes(&piece);
        }
        self.handed += u64::from(piece.length());
        Ok(piece)
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

    fn file(&self) -> &Received {
        &self.download.file
    }

    fn another(&self) -> crate::js::Failure {
        let expected = format!("the file of which {} bytes have been handed on already", self.handed);
        let received = "another one: it has changed on the server meanwhile".to_owned();
        Error::Checksum { file: self.url.clone(), expected, received }.into()
    }
}
