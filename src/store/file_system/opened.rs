//! Weight files that are read: by handles that stay open, so that it does not matter what becomes of their names meanwhile.

use std::rc::{Rc, Weak};

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
/// Files of a model that are kept open. The others are opened when they are asked for, and must then be what they were.
const MOST_OPEN: usize = 64;

/// How often a file is opened again when there are too many, and the milliseconds in between.
const TRIES: u32 = 100;
const PAUSE: u32 = 10;

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
    if is_streamed {
        let find = async |index: usize, name: &&String| {
            let found = File::find(disk, place.of(name), index < MOST_OPEN).await;
            found.map_err(|failure| missing_part(failure, url, name))
        };
        let mut files = parallel::map(names, cx.lanes()?, find).await?;
        if files.iter().take(MOST_OPEN).any(|file| file.opened.is_none()) {
            files.iter_mut().for_each(|file| file.opened = None); // then others can be opened
        }
        return Ok(Some(to_stream(names, files, cx)));
    }
    let read = async |_: usize, name: &&String| {
        let opened = Opened::new(disk, place.of(name)).await;
        let file = opened.map_err(|failure| missing_part(failure, url, name))?;
        let pieces = file.read(name, cx).await?;
        Ok::<_, Failure>(file.is_unchanged().await?.then_some(pieces))
    };
    let files: Option<Vec<_>> = parallel::map(names, cx.lanes()?, read).await?.into_iter().collect();
    Ok(files.map(|files| {
        let sizes = files.iter().map(|pieces| length(pieces)).collect();
        (Weights::Parts(files.concat()), sizes)
    }))
}

fn to_stream(names: &[&String], files: Vec<File>, cx: &Context) -> (Weights, Vec<u64>) {
    let spent = (cx.taken.get() == Taken::Dropped).then(Spent::default);
    let sizes = files.iter().map(|file| file.stat.size).collect();
    let of = |(file, name): (&File, &&String)| file.chunks(&name.as_str().into(), spent.as_ref());
    let list = files.iter().zip(names).flat_map(of).collect();
    (Weights::Chunks(Chunks { list, of: "weightData".into(), guard: Some(Rc::new(files)), spent }), sizes)
}

/// A file as it was found, and is to be read later.
struct File {
    disk: Disk,
    path: Rc<str>,
    stat: Stat,
    /// Kept open, so that it can be read whatever becomes of its name.
    opened: Option<Rc<Opened>>,
}

impl File {
    async fn find(disk: &Disk, path: String, is_kept: bool) -> Result<Self> {
        let (mut stat, mut opened) = (disk.stat(&path).await?, None);
        if is_kept {
            match Opened::new(disk, path.clone()).await {
                Err(failure) if disk::are_too_many(&failure) => {}
                file => {
                    let file = file?;
                    stat = file.stat;
                    opened = Some(Rc::new(file));
                }
            }
        }
        Ok(Self { disk: disk.clone(), path: path.into(), stat, opened })
    }

    /// Its bytes, to be read when they are asked for.
    fn chunks(&self, name: &Rc<str>, spent: Option<&Spent>) -> Vec<Chunk> {
        let total = self.stat.size;
        let chunk = |index: u64| {
            let (start, end) = (index * STEP, total.min((index + 1) * STEP));
            let part = Some(FilePart { name: name.clone(), end, total });
            Chunk { bytes: end - start, source: self.source(start, end, spent), check: None, part }
        };
        (0..total.div_ceil(STEP)).map(chunk).collect()
    }

    fn source(&self, start: u64, end: u64, spent: Option<&Spent>) -> JsValue {
        let opened = self.opened.as_ref().map_or_else(Weak::new, Rc::downgrade);
        let (disk, path, stat, spent) = (self.disk.clone(), self.path.clone(), self.stat, spent.map(Spent::weak));
        readable(move || {
            let (disk, path, opened, spent) = (disk.clone(), path.clone(), opened.upgrade(), spent.clone());
            js::promise(async move {
                let file = match opened {
                    Some(file) => file,
                    None => Rc::new(Opened::again(&disk, &path, stat).await?),
                };
                file.part(start, end, spent).await
            })
        })
    }
}

/// A file that is open to be read. When it is dropped, it is closed.
struct Opened {
    handle: JsValue,
    path: String,
    /// As it was when it was opened.
    stat: Stat,
}

impl Drop for Opened {
    fn drop(&mut self) {
        close(&self.handle);
    }
}

/// Nobody waits for it, nor for what it may fail of.
fn close(handle: &JsValue) {
    if let Ok(closed) = host::call(handle, "close", &[]) {
        let _ = Promise::all_settled(&Array::of1(&closed));
    }
}

/// A file that is being opened: one that nobody waits for any more is closed when it is there.
struct Opening(Option<Promise>);

impl Drop for Opening {
    fn drop(&mut self) {
        let Some(opening) = self.0.take() else { return };
        let _ = js::promise(async move {
            if let Ok(handle) = host::settled(Ok(opening.into())).await {
                close(&handle);
            }
            Ok(JsValue::UNDEFINED)
        });
    }
}

impl Opened {
    async fn new(disk: &Disk, path: String) -> Result<Self> {
        let failed = |cause| disk::failure(cause, &url_of(&path), 0);
        let opening = disk.begin("open", &[&path.as_str().into(), &"r".into()]).map_err(failed)?;
        let mut guard = Opening(Some(opening.clone()));
        let opened = host::settled(Ok(opening.into())).await;
        guard.0 = None;
        let mut file = Self { handle: opened.map_err(failed)?, path, stat: Stat::default() };
        file.stat = file.now().await.map_err(|cause| file.failure(cause))?;
        Ok(file)
    }

    /// The same file once more, for who comes when nobody keeps it open: what is under its name may be another one by now.
    async fn again(disk: &Disk, path: &str, stat: Stat) -> Host<Self> {
        let mut tries = 0;
        loop {
            match Self::new(disk, path.to_owned()).await {
                Ok(file) => return if file.stat == stat { Ok(file) } else { Err(changed()) },
                Err(failure) if disk::are_too_many(&failure) && tries < TRIES => tries += 1,
                Err(failure) if disk::is_not_found(&failure) => return Err(changed()),
                Err(failure) => return Err(js::get(&failure.into(), "cause")),
            }
            js::sleep(PAUSE).await;
        }
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
    async fn is_unchanged(&self) -> Result<bool> {
        let now = self.now().await.map_err(|cause| self.failure(cause))?;
        Ok(now == self.stat)
    }

    /// All its bytes, in as few buffers as Node can read into; fewer where it has become shorter. `name`: what the progress calls it.
    async fn read(&self, name: &str, cx: &Context) -> Result<Vec<Uint8Array>> {
        let (mut pieces, mut loaded, size) = (Vec::new(), 0, self.stat.size);
        while loaded < size {
            let piece = js::view(&js::allocate((size - loaded).min(LARGEST))?)?;
            let mut filled = 0;
            while filled < piece.length() {
                cx.check()?;
                let room = piece.subarray(filled, piece.length().min(filled.saturating_add(SLICE as u32)));
                let read = self.read_into(room, loaded).await.map_err(|cause| self.failure(cause))?.length();
                if read == 0 {
                    pieces.push(piece.subarray(0, filled));
                    return Ok(pieces);
                }
                filled += read;
                loaded += u64::from(read);
                let file = FileProgress { name: name.to_owned(), loaded, total: Some(size) };
                cx.advance_file(&file, read.into(), "read");
            }
            pieces.push(piece);
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
}

fn url_of(path: &str) -> String {
    format!("file://{path}")
}

fn changed() -> JsValue {
    js_sys::Error::new("somebody wrote to it, or replaced it, while it was read").into()
}
