//! The weight files of a server as a stream: several are read at once, a block of each, and handed on in turn.

use core::cell::RefCell;
use core::future::poll_fn;
use core::pin::{Pin, pin};
use core::task::{self, Poll};
use std::collections::VecDeque;
use std::rc::Rc;

use js_sys::Uint8Array;

use super::http::{Shard, check};
use super::one_version::OneVersion;
use super::request::Requests;
use crate::context::{Context, FileProgress};
use crate::error::Error;
use crate::host::{self, Alarm};
use crate::js::{self, Result};
use crate::shard::{self, Group};
use crate::weights::{Flow, Next, Remote, Spent};

/// Bytes that are handed on in one go, at most; of each file that is read so many wait for their turn.
const BLOCK: u64 = 1 << 20;
/// Files that are read at once.
const LANES: usize = 4;
/// Milliseconds after which a block is handed on that is not full.
const PATIENCE: u32 = 100;
/// So many times nothing came of the file whose turn it is: then the others let go of the connection.
const STALLED: u32 = 50;

/// The weight files of a model, to be fetched when they are wanted.
pub struct Files {
    /// In turn.
    shards: Vec<Shard>,
    /// What they are to be.
    groups: Vec<Group>,
    /// How many of them are read at once.
    lanes: usize,
    /// Of the call that they are for.
    cx: Context,
}

impl Files {
    /// None is asked for yet.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a `concurrency` that is no whole number from 1.
    pub fn new(shards: Vec<Shard>, groups: Vec<Group>, cx: Context) -> Result<Self> {
        Ok(Self { shards, groups, lanes: cx.lanes()?.min(LANES), cx })
    }
}

/// The same, so that it can be begun more than once.
pub struct Source(pub Rc<Files>);

impl Remote for Source {
    fn open(&self) -> Result<Box<dyn Flow>> {
        let requests = Requests::to_read(&self.0.cx)?;
        let run = Run { files: self.0.clone(), requests, spent: Spent::default() };
        Ok(Box::new(Reading {
            run: Rc::new(run),
            lanes: self.0.lanes,
            next: 0,
            begun: VecDeque::new(),
            sizes: Vec::new(),
            loaded: 0,
            waited: 0,
        }))
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
    /// Bytes of the first that were handed on.
    loaded: u64,
    /// How many times nothing has come of it.
    waited: u32,
}

/// A file of which a block is read, or waits for its turn.
struct Lane {
    reading: Pin<Box<dyn Future<Output = (OneVersion, Result<()>)>>>,
    read: Option<(OneVersion, Result<()>)>,
    block: Rc<RefCell<Block>>,
}

/// Bytes of a file that wait for their turn.
#[derive(Default)]
struct Block {
    room: Option<Uint8Array>,
    filled: u32,
    /// Bytes of the file, when known.
    total: Option<u64>,
}

impl Lane {
    fn of(mut file: OneVersion, run: &Rc<Run>) -> Self {
        let (run, block) = (run.clone(), Rc::new(RefCell::new(Block::default())));
        let filling = block.clone();
        let reading = Box::pin(async move {
            let outcome = fill(&mut file, &filling, &run).await;
            (file, outcome)
        });
        Self { reading, read: None, block }
    }

    fn poll(&mut self, task: &mut task::Context) {
        if self.read.is_none()
            && let Poll::Ready(read) = self.reading.as_mut().poll(task)
        {
            self.read = Some(read);
        }
    }
}

/// Reads until the block is full, or the file has ended.
async fn fill(file: &mut OneVersion, block: &RefCell<Block>, run: &Run) -> Result<()> {
    while !block.borrow().is_full() {
        let Some(piece) = file.next(&run.requests).await? else { break };
        let shard = &file.shard;
        check(shard, run.files.groups.get(shard.group).and_then(|group| group.bytes), file.received())?;
        let mut block = block.borrow_mut();
        block.total = shard.bytes.or(file.received().length);
        let count = block.add(&piece, || Spent::room(Some(&run.spent), room(file, &piece)))?;
        file.keep(&piece, count);
    }
    Ok(())
}

/// How large a block has to be: what is left, when the server has said how much there is.
fn room(file: &OneVersion, first: &Uint8Array) -> u64 {
    let first = u64::from(first.length());
    let left = file.received().promised.map(|all| all.saturating_add(first).saturating_sub(file.handed));
    left.map_or(BLOCK, |left| left.clamp(first.min(BLOCK), BLOCK))
}

impl Block {
    /// Adds as many of these bytes as there is room for, and gives how many.
    fn add(&mut self, piece: &Uint8Array, room: impl FnOnce() -> Result<Uint8Array>) -> Result<u32> {
        let block = match &self.room {
            Some(block) => block,
            None => self.room.insert(room()?),
        };
        let count = piece.length().min(block.length() - self.filled);
        js::copy_into(block, &piece.subarray(0, count), self.filled)?;
        self.filled += count;
        Ok(count)
    }

    fn is_full(&self) -> bool {
        self.room.as_ref().is_some_and(|room| room.length() == self.filled)
    }

    /// What is in it, if anything is.
    fn take(&mut self) -> Option<Uint8Array> {
        let filled = core::mem::take(&mut self.filled);
        self.room.take().filter(|_| filled > 0).map(|room| room.subarray(0, filled))
    }

    /// A copy of what is in it: it goes on from its beginning.
    fn part(&mut self) -> Result<Option<Uint8Array>> {
        let filled = core::mem::take(&mut self.filled);
        self.room.as_ref().filter(|_| filled > 0).map(|room| js::slice(room, 0, filled)).transpose()
    }
}

impl Flow for Reading {
    fn spent(&self) -> &Spent {
        &self.run.spent
    }

    fn next<'a>(&'a mut self, cx: &'a Context) -> Next<'a> {
        Box::pin(async {
            let read = self.read(cx).await;
            if read.is_err() {
                self.begun.clear(); // what comes after it must not take its place
                self.lanes = 0;
            }
            read
        })
    }
}

impl Reading {
    async fn read(&mut self, cx: &Context) -> Result<Option<Uint8Array>> {
        loop {
            cx.check()?;
            self.begin();
            let read = self.wait().await;
            let Some(lane) = self.begun.front() else { return Ok(None) };
            let total = lane.block.borrow().total;
            let Some((file, outcome)) = read else {
                let part = lane.block.borrow_mut().part()?;
                if let Some(part) = part {
                    return Ok(Some(self.hand_on(part, total, cx)));
                }
                self.wait_alone();
                continue;
            };
            self.waited = 0;
            let block = lane.block.borrow_mut().take();
            self.begun.pop_front();
            outcome?;
            if let Some(block) = block {
                self.begun.push_front(Lane::of(file, &self.run));
                return Ok(Some(self.hand_on(block, total, cx)));
            }
            self.sizes.push(file.handed);
            self.loaded = 0;
            self.check_group(file.shard.group)?;
        }
    }

    /// Nothing has come of the first file. Perhaps those that wait for their turn fill what it would have to come through: HTTP/2 has one
    /// window for all answers.
    fn wait_alone(&mut self) {
        self.waited += 1;
        if self.waited == STALLED {
            self.lanes = self.lanes.min(1);
            self.begun.truncate(1);
            self.next = self.sizes.len() + 1;
        }
    }

    /// Waits for the first file, while all go on; `None` when there is none, or it takes so long that a part of its block will do.
    async fn wait(&mut self) -> Option<(OneVersion, Result<()>)> {
        let alarm = Alarm::new(PATIENCE);
        let mut rings = pin!(host::settled(Ok(alarm.rings.clone().into())));
        let mut is_late = false;
        poll_fn(|task| {
            self.begun.iter_mut().for_each(|lane| lane.poll(task));
            is_late = is_late || rings.as_mut().poll(task).is_ready();
            let Some(lane) = self.begun.front_mut() else { return Poll::Ready(None) };
            match lane.read.take() {
                None if !is_late => Poll::Pending,
                read => Poll::Ready(read),
            }
        })
        .await
    }

    /// Counts bytes of the first file.
    fn hand_on(&mut self, bytes: Uint8Array, total: Option<u64>, cx: &Context) -> Uint8Array {
        let count = u64::from(bytes.length());
        self.loaded += count;
        self.waited = 0;
        if let Some(shard) = self.run.files.shards.get(self.sizes.len()) {
            cx.advance_file(&FileProgress { name: shard.url.clone(), loaded: self.loaded, total }, count, "read");
        }
        bytes
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
