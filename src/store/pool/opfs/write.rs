//! Writes the files of a save, and has them forced to the disk.

use std::collections::VecDeque;

use js_sys::{Array, Promise, Uint8Array};
use wasm_bindgen::JsValue;

use super::slices::{Free, Slices};
use super::{agent, folder, hand, handled, remove_all, unsupported};
use crate::context::Context;
use crate::error::Error;
use crate::host::{self, Alarm};
use crate::idb::with_estimate;
use crate::js::{self, Failure, Result};
use crate::pieces::LARGEST;
use crate::weights;

/// Buffers that are on their way while the next shard is made.
const BEHIND: usize = 4;
/// Files that are being forced to the disk while more are written: a disk that fails is noticed soon.
const AHEAD: usize = 6;
/// Milliseconds that a failed save waits for its files to be gone; what is left then is swept some day.
const PATIENCE: u32 = 3000;

/// Writes the shards of one save.
pub struct Writer {
    url: String,
    /// Bytes of the save; while nobody knows them, those that were sent.
    needed: u64,
    bytes: u64,
    /// Whether a file is forced to the disk by who writes it, before it is closed.
    flush: bool,
    /// Whether others do that: it takes longer than to write the next one.
    apart: bool,
    way: Way,
    folder: JsValue,
    names: Vec<String>,
    sent: VecDeque<Sent>,
    /// The files that others are forcing to the disk.
    flushing: VecDeque<Promise>,
    /// Buffers on their way.
    behind: usize,
    free: Free,
}

/// What is on its way.
struct Sent {
    /// How many buffers, which the promise is resolved with.
    count: usize,
    written: Promise,
    /// Where among the names the file is that is whole with it.
    whole: Option<usize>,
}

#[derive(Clone)]
enum Way {
    Agent(agent::Agent),
    Hand(hand::Tool),
}

impl Writer {
    /// Begins to write. `needed`: bytes of the whole save, for errors; `flush`: all is forced to the disk.
    ///
    /// # Errors
    /// [`Error::NotSupported`], [`Error::QuotaExceeded`], [`Error::Storage`], the signal's reason.
    pub async fn open(url: &str, needed: u64, flush: bool, cx: &Context) -> Result<Self> {
        let opened = folder(true, url, needed).await;
        let folder = opened?.ok_or_else(|| unsupported("the folder cannot be made", None))?;
        let way = match hand::Tool::sync() {
            Some(tool) => Way::Hand(tool),
            None => match agent::started(cx).await? {
                Ok(agent) if agent.writes() => Way::Agent(agent),
                Ok(_) => Way::Hand(hand::Tool::stream(None)?),
                Err(cause) => Way::Hand(hand::Tool::stream(Some(cause))?),
            },
        };
        let apart = flush && needed > LARGEST && matches!(&way, Way::Agent(agent) if agent.reads());
        if apart {
            agent::others(); // mostly they are there when the first file is whole
        }
        let (sent, flushing, names, free) = (VecDeque::new(), VecDeque::new(), Vec::new(), Free::kept());
        let (url, flush) = (url.to_owned(), flush && !apart);
        Ok(Self { url, needed, bytes: 0, flush, apart, way, folder, names, sent, flushing, behind: 0, free })
    }

    /// Waits until one more shard may be sent.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`], [`Error::Storage`], the signal's reason.
    pub async fn room(&mut self, cx: &Context) -> Result<()> {
        self.wait(BEHIND, cx).await
    }

    /// Copies these parts at once, and begins to write them as the file of that name.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when a part was transferred away, or there is no memory.
    pub fn send(&mut self, name: &str, parts: &[Uint8Array]) -> Result<()> {
        let length = weights::length(parts);
        self.bytes += length;
        self.needed = self.needed.max(self.bytes);
        self.names.push(name.to_owned());
        match self.way.clone() {
            Way::Agent(agent) => self.hand_over(&agent, name, parts, length),
            Way::Hand(tool) => {
                let (mut slices, mut buffers) = (Slices::of(parts), Vec::new());
                while let Some((buffer, _)) = slices.next(&mut self.free)? {
                    buffers.push(buffer);
                }
                let (folder, name, flush, count) = (self.folder.clone(), name.to_owned(), self.flush, buffers.len());
                let write = async move { tool.write(&folder, &name, buffers, length, flush).await };
                self.await_later(count, js::promise(write), None);
                Ok(())
            }
        }
    }

    /// Sends a file to the worker, each slice as soon as it is copied, so that it is written while the next one is.
    fn hand_over(&mut self, agent: &agent::Agent, name: &str, parts: &[Uint8Array], length: u64) -> Result<()> {
        let (mut slices, mut at) = (Slices::of(parts), 0);
        while let Some((buffer, count)) = slices.next(&mut self.free)? {
            let slice = agent::Slice { buffer, at, length: count };
            at += u64::from(count);
            let whole = (self.apart && at == length).then(|| self.names.len() - 1);
            self.await_later(1, agent.write(name, &slice, length, self.flush), whole);
        }
        match at == length {
            true => Ok(()),
            false => Err(Error::argument("weightData", "a buffer was transferred away").into()),
        }
    }

    /// Has a file that is whole forced to the disk.
    fn flush_apart(&mut self, file: usize) {
        if let (Way::Agent(agent), Some(name)) = (&self.way, self.names.get(file)) {
            let flushed = agent::other(file).as_ref().unwrap_or(agent).flush(name);
            handled(&flushed);
            self.flushing.push_back(flushed);
        }
    }

    /// Some buffers are on their way.
    fn await_later(&mut self, count: usize, written: Promise, whole: Option<usize>) {
        handled(&written);
        self.sent.push_back(Sent { count, written, whole });
        self.behind += count;
    }

    /// Waits until all files are there, whole.
    ///
    /// # Errors
    /// As [`Writer::room`].
    pub async fn finish(&mut self, cx: &Context) -> Result<()> {
        self.wait(0, cx).await?;
        self.wait_for_flushes(0, cx).await
    }

    /// Removes what was written, as far as that can be done soon.
    pub async fn discard(self) {
        let Self { folder, names, sent, flushing, way, .. } = self;
        let removed = js::promise(async move {
            let written: Array = sent.iter().map(|sent| &sent.written).chain(&flushing).collect();
            host::settled(Ok(Promise::all_settled(&written).into())).await?;
            if let Way::Agent(agent) = way {
                let _ = host::settled(Ok(agent.forget(&names).into())).await;
            }
            host::settled(Ok(remove_all(&folder, &names).into())).await
        });
        let alarm = Alarm::new(PATIENCE);
        let _ = host::settled(Ok(Promise::race(&Array::of2(&removed, &alarm.rings)).into())).await;
    }

    /// Waits until only so many buffers are on their way.
    async fn wait(&mut self, behind: usize, cx: &Context) -> Result<()> {
        while (self.behind > behind || behind == 0)
            && let Some(Sent { written, .. }) = self.sent.front()
        {
            let buffers = self.answer(written, cx).await?;
            self.free.add(js::items(&buffers));
            if let Some(Sent { count, whole, .. }) = self.sent.pop_front() {
                self.behind -= count;
                if let Some(file) = whole {
                    self.flush_apart(file);
                    self.wait_for_flushes(AHEAD, cx).await?;
                }
            }
        }
        Ok(())
    }

    /// Waits until only so many files are being forced to the disk.
    async fn wait_for_flushes(&mut self, ahead: usize, cx: &Context) -> Result<()> {
        while self.flushing.len() > ahead
            && let Some(flushed) = self.flushing.front()
        {
            self.answer(flushed, cx).await?;
            self.flushing.pop_front();
        }
        Ok(())
    }

    async fn answer(&self, promise: &Promise, cx: &Context) -> Result<JsValue> {
        match cx.settled(Ok(promise.into())).await {
            Err(Failure::Thrown(cause)) => {
                cx.check()?;
                Err(with_estimate(js::storage(&self.url, self.needed)(cause)).await)
            }
            outcome => outcome,
        }
    }
}
