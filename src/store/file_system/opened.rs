//! Weight files that are read: by handles that stay open, so that it does not matter what becomes of their names meanwhile.

use std::rc::Rc;

use js_sys::{Array, Promise, Uint8Array};
use wasm_bindgen::JsValue;

use super::disk::{self, Disk, Place, Stat};
use super::missing_part;
use crate::context::{Context, FileProgress, Taken};
use crate::host::{self, Host};
use crate::js::{self, Failure, Result};
use crate::parallel;
use crate::store::pool::readable;
use crate::weights::{Chunk, Chunks, FilePart, SLICE, Spent, SpentRef, Weights, length};

/// Bytes of a buffer at most.
const LARGEST: u64 = 1 << 30;
/// Bytes that are handed on in one go.
const STEP: u64 = 4 << 20;

/// A file that is open to be read. When it is dropped, it is closed.
pub struct Opened {
    handle: JsValue,
    disk: Disk,
    path: String,
    /// As it was when it was opened.
    pub stat: Stat,
}

impl Drop for Opened {
    fn drop(&mut self) {
        // Nobody waits for it, nor for what it may fail of.
        if let Ok(closed) = host::call(&self.handle, "close", &[]) {
            let _ = Promise::all_settled(&Array::of1(&closed));
        }
    }
}

impl Opened {
    /// Opens it.
    ///
    /// # Errors
    /// As [`Disk::call`].
    pub async fn new(disk: &Disk, path: String) -> Result<Self> {
        let handle = disk.call("open", &[&path.as_str().into(), &"r".into()], &url_of(&path)).await?;
        let mut file = Self { handle, disk: disk.clone(), path, stat: Stat::default() };
        file.stat = file.now().await.map_err(|cause| file.failure(cause))?;
        Ok(file)
    }

    async fn call(&self, name: &str, args: &[&JsValue]) -> Host<JsValue> {
        host::settled(host::call(&self.handle, name, args)).await
    }

    fn failure(&self, cause: JsValue) -> Failure {
        disk::failure(cause, &url_of(&self.path), 0)
    }

    async fn now(&self) -> Host<Stat> {
        self.call("stat", &[]).await.map(|stat| Stat::of(&stat))
    }

    /// Whether nobody has written to it since it was opened.
    ///
    /// # Errors
    /// As [`Disk::call`].
    pub async fn is_unchanged(&self) -> Result<bool> {
        let now = self.now().await.map_err(|cause| self.failure(cause))?;
        Ok(now == self.stat)
    }

    /// All its bytes, in as few buffers as Node can read into; fewer where it has become shorter. `name`: what the progress calls it.
    ///
    /// # Errors
    /// As [`Disk::call`]; the signal's reason.
    pub async fn read(&self, name: &str, cx: &Context) -> Result<Vec<Uint8Array>> {
        let (mut pieces, size) = (Vec::new(), self.stat.size);
        while length(&pieces) < size {
            let start = length(&pieces);
            let piece = js::view(&js::allocate((size - start).min(LARGEST))?)?;
            let mut filled = 0;
            while filled < piece.length() {
                cx.check()?;
                let end = piece.length().min(filled.saturating_add(SLICE as u32));
                let at = start + u64::from(filled);
                let read =
                    self.read_into(piece.subarray(filled, end), at).await.map_err(|cause| self.failure(cause))?;
                filled += read.length();
                let file =
                    FileProgress { name: name.to_owned(), loaded: at + u64::from(read.length()), total: Some(size) };
                cx.advance_file(&file, read.length().into(), "read");
                if read.length() == 0 {
                    break;
                }
            }
            pieces.push(piece.subarray(0, filled));
            if filled < piece.length() {
                break;
            }
        }
        cx.check()?;
        Ok(pieces)
    }

    /// Fills this from there on; less of it where the file ends.
    async fn read_into(&self, room: Uint8Array, at: u64) -> Host<Uint8Array> {
        let mut filled = 0;
        while filled < room.length() {
            let left = room.length() - filled;
            let args: [JsValue; 3] = [filled.into(), left.into(), ((at + u64::from(filled)) as f64).into()];
            let [offset, left, at] = &args;
            let result = self.call("read", &[&room, offset, left, at]).await?;
            match js::get(&result, "bytesRead").as_f64().unwrap_or(0.0) as u32 {
                0 => break,
                count => filled += count,
            }
        }
        Ok(room.subarray(0, filled))
    }

    /// Some of its bytes, if nobody has written to it.
    async fn part(&self, start: u64, end: u64, spent: Option<SpentRef>) -> Host<JsValue> {
        let room = Spent::room(spent.and_then(|spent| spent.get()).as_ref(), end - start)?;
        let read = self.read_into(room, start).await?;
        if self.now().await? == self.stat { Ok(read.into()) } else { Err(changed()) }
    }

    /// Its bytes, to be read when they are asked for. What this file gives is of what was opened, as long as somebody keeps it.
    pub fn chunks(self: &Rc<Self>, name: &Rc<str>, spent: Option<&Spent>) -> Vec<Chunk> {
        let total = self.stat.size;
        let chunk = |index: u64| {
            let (start, end) = (index * STEP, total.min((index + 1) * STEP));
            let part = Some(FilePart { name: name.clone(), end, total });
            Chunk { bytes: end - start, source: self.source(start, end, spent), check: None, part }
        };
        (0..total.div_ceil(STEP)).map(chunk).collect()
    }

    fn source(self: &Rc<Self>, start: u64, end: u64, spent: Option<&Spent>) -> JsValue {
        let (file, spent) = (Rc::downgrade(self), spent.map(Spent::weak));
        let (disk, path, stat) = (self.disk.clone(), self.path.clone(), self.stat);
        readable(move || {
            let (disk, path, spent, file) = (disk.clone(), path.clone(), spent.clone(), file.upgrade());
            js::promise(async move {
                if let Some(file) = file {
                    return file.part(start, end, spent).await;
                }
                // Who kept it open is through: what is under its name may be another one by now.
                let file = Self::new(&disk, path).await?;
                if file.stat == stat { file.part(start, end, spent).await } else { Err(changed()) }
            })
        })
    }
}

/// The weights in these files, and the bytes of each. `None` when somebody wrote to one of them while it was read.
///
/// # Errors
/// As [`Disk::call`]; the signal's reason.
pub async fn weights(
    disk: &Disk,
    place: &Place,
    url: &str,
    names: &[&String],
    is_streamed: bool,
    cx: &Context,
) -> Result<Option<(Weights, Vec<u64>)>> {
    let open = async |_: usize, name: &&String| {
        let opened = Opened::new(disk, place.of(name)).await;
        opened.map_err(|failure| missing_part(failure, url, name))
    };
    if is_streamed {
        match parallel::map(names, cx.lanes()?, open).await {
            Ok(files) => return Ok(Some(to_stream(names, files, cx))),
            Err(failure) if disk::are_too_many(&failure) => {} // a few at a time, then
            Err(failure) => return Err(failure),
        }
    }
    let read = async |index: usize, name: &&String| {
        let file = open(index, name).await?;
        let pieces = file.read(name, cx).await?;
        Ok::<_, Failure>(file.is_unchanged().await?.then_some(pieces))
    };
    let files: Option<Vec<_>> = parallel::map(names, cx.lanes()?, read).await?.into_iter().collect();
    Ok(files.map(|files| {
        let sizes = files.iter().map(|pieces| length(pieces)).collect();
        (Weights::Parts(files.concat()), sizes)
    }))
}

fn to_stream(names: &[&String], files: Vec<Opened>, cx: &Context) -> (Weights, Vec<u64>) {
    let spent = (cx.taken.get() == Taken::Dropped).then(Spent::default);
    let sizes = files.iter().map(|file| file.stat.size).collect();
    let files: Vec<Rc<Opened>> = files.into_iter().map(Rc::new).collect();
    let of = |(file, name): (&Rc<Opened>, &&String)| file.chunks(&name.as_str().into(), spent.as_ref());
    let list = files.iter().zip(names).flat_map(of).collect();
    (Weights::Chunks(Chunks { list, of: "weightData".into(), guard: Some(Rc::new(files)), spent }), sizes)
}

fn url_of(path: &str) -> String {
    format!("file://{path}")
}

fn changed() -> JsValue {
    js_sys::Error::new("somebody wrote to it, or replaced it, while it was read").into()
}
