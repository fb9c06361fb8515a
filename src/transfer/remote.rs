//! The weight files of a server as a stream: several requests at once, the bytes in turn, and none that could be of two versions.

use core::future::poll_fn;
use core::pin::Pin;
use core::task::Poll;
use std::collections::VecDeque;
use std::rc::Rc;

use js_sys::Uint8Array;

use super::download::{Download, Received, Step};
use super::http::{RETRIES, Shard, check};
use super::request::Requests;
use crate::context::{Context, FileProgress};
use crate::digest::Digest;
use crate::error::Error;
use crate::js::{self, Failure, Result};
use crate::shard::{self, Group};
use crate::weights::{Flow, Next, Remote, Spent};

/// Bytes that are handed on in one go, at most; of each file that is read so many wait for their turn.
const BLOCK: u64 = 1 << 20;
/// Files that are read at once.
const LANES: usize = 4;

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
        let lanes = self.0.cx.lanes()?.min(LANES);
        let run = Run { files: self.0.clone(), requests, spent: Spent::default() };
        Ok(Box::new(Reading { run: Rc::new(run), lanes, next: 0, begun: VecDeque::new(), sizes: Vec::new() }))
    }
}

/// What all files that are read have in common.
struct Run {
    files: Rc<Files>,
    requests: Requests,
    spent: Spent,
}

/// Files that are being read.
struct Reading {
    run: Rc<Run>,
    /// How many of them at once.
    lanes: usize,
    /// The first file that was not asked for.
    next: usize,
    /// Those that were: the first of them is handed on.
    begun: VecDeque<Lane>,
    /// The bytes of those that have been read.
    sizes: Vec<u64>,
}

/// A file, and the block of it that is read, or waits for its turn.
struct Lane {
    reading: Pin<Box<dyn Future<Output = Block>>>,
    block: Option<Block>,
}

/// A block of a file, `None` at its end; and the file, which goes on.
type Block = (OneVersion, Result<Option<Uint8Array>>);

impl Lane {
    fn of(mut file: OneVersion, run: &Rc<Run>) -> Self {
        let run = run.clone();
        let reading = Box::pin(async move {
            let block = file.block(&run).await;
            (file, block)
        });
        Self { reading, block: None }
    }

    fn poll(&mut self, task: &mut core::task::Context) {
        if self.block.is_none()
            && let Poll::Ready(block) = self.reading.as_mut().poll(task)
        {
            self.block = Some(block);
        }
    }
}

impl Flow for Reading {
    fn spent(&self) -> &Spent {
        &self.run.spent
    }

    fn next<'a>(&'a mut self, _: &'a Context) -> Next<'a> {
        Box::pin(self.read())
    }
}

impl Reading {
    async fn read(&mut self) -> Result<Option<Uint8Array>> {
        loop {
            self.begin();
            let Some((file, block)) = poll_fn(|task| self.poll(task)).await else { return Ok(None) };
            self.begun.pop_front();
            if let Some(block) = block? {
                self.begun.push_front(Lane::of(file, &self.run));
                return Ok(Some(block));
            }
            self.sizes.push(file.handed);
            self.check_group(file.shard.group)?;
        }
    }

    /// All go on; the first one's block is waited for.
    fn poll(&mut self, task: &mut core::task::Context) -> Poll<Option<Block>> {
        self.begun.iter_mut().for_each(|lane| lane.poll(task));
        match self.begun.front_mut().map(|lane| lane.block.take()) {
            Some(None) => Poll::Pending,
            block => Poll::Ready(block.flatten()),
        }
    }

    fn begin(&mut self) {
        while self.begun.len() < self.lanes
            && let Some(shard) = self.run.files.shards.get(self.next)
        {
            self.begun.push_back(Lane::of(OneVersion::of(shard), &self.run));
            self.next += 1;
        }
    }

    /// When the last file of a group is through: which of them are too long or too short.
    fn check_group(&self, group: usize) -> Result<()> {
        let shards = self.run.files.shards.iter().zip(&self.sizes);
        let sizes = shards.filter(|(shard, _)| shard.group == group).map(|(shard, size)| Some((&shard.url[..], *size)));
        let sizes: Vec<_> = sizes.collect();
        let Some(group) = self.run.files.groups.get(group).filter(|group| group.paths.len() == sizes.len()) else {
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
    shard: Shard,
    /// Of what was read, that which had no room in the last block.
    rest: Option<Uint8Array>,
    /// Bytes that were handed on, and their checksum where nothing else tells one version from another.
    handed: u64,
    digest: Digest,
    /// The validator of what was handed on.
    version: Option<String>,
    /// Bytes that have come once more, and their checksum.
    repeated: Option<(u64, Digest)>,
}

impl OneVersion {
    fn of(shard: &Shard) -> Self {
        let (download, digest) = (Download::new(&shard.url, true), Digest::default());
        Self { download, shard: shard.clone(), rest: None, handed: 0, digest, version: None, repeated: None }
    }

    /// The next bytes, as many as a block has room for; `None` at the end.
    async fn block(&mut self, run: &Run) -> Result<Option<Uint8Array>> {
        let mut block: Option<Uint8Array> = None;
        let mut filled = 0;
        while block.as_ref().is_none_or(|block| filled < block.length()) {
            let Some(piece) = self.piece(run).await? else { break };
            let block = match &block {
                Some(block) => block,
                None => block.insert(Spent::room(Some(&run.spent), self.room(&piece))?),
            };
            let count = piece.length().min(block.length() - filled);
            js::copy_into(block, &piece.subarray(0, count), filled)?;
            filled += count;
            self.rest = (count < piece.length()).then(|| piece.subarray(count, piece.length()));
        }
        Ok(block.map(|block| block.subarray(0, filled)))
    }

    /// How large a block has to be: what is left, when the server has said how much there is.
    fn room(&self, first: &Uint8Array) -> u64 {
        let first = u64::from(first.length());
        let left = self.file().promised.map(|all| all.saturating_add(first).saturating_sub(self.handed));
        left.map_or(BLOCK, |left| left.clamp(first.min(BLOCK), BLOCK))
    }

    /// The next bytes, checked and counted.
    async fn piece(&mut self, run: &Run) -> Result<Option<Uint8Array>> {
        if let Some(rest) = self.rest.take() {
            return Ok(Some(rest));
        }
        let Some(piece) = self.next(&run.requests).await? else { return Ok(None) };
        let (file, shard) = (self.file(), &self.shard);
        check(shard, run.files.groups.get(shard.group).and_then(|group| group.bytes), file)?;
        let total = shard.bytes.or(file.length);
        let progress = FileProgress { name: shard.url.clone(), loaded: self.handed, total };
        run.files.cx.advance_file(&progress, u64::from(piece.length()), "read");
        Ok(Some(piece))
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

    fn another(&self) -> Failure {
        let expected = format!("the file of which {} bytes have been handed on already", self.handed);
        let received = "another one: it has changed on the server meanwhile".to_owned();
        Error::Checksum { file: self.shard.url.clone(), expected, received }.into()
    }
}
