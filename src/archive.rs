//! The structure of a zip, read by the crate rawzip from the parts that have been fetched so far. Nothing is fetched here: whoever drives
//! it does that. What the files hold never passes through it. No claim of an archive is believed that its own bytes cannot bear out.

use core::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;

use rawzip::{CompressionMethod, ReaderAt, ZipArchive, ZipArchiveEntryWayfinder, ZipLocator};

use crate::error::Error;

/// What is read at a time of the end of an archive, of its earlier parts, and how long its end is taken to be.
const CHUNK: u64 = 1 << 16;
const HEADER: u64 = 1 << 10;
const END: u64 = 1 << 22;
/// More bytes than that of directory and headers, or more files, are no model's archive. Its weights are at most 10,000 files.
pub const MOST_BYTES: u64 = 1 << 25;
/// See [`MOST_BYTES`].
pub const MOST_ENTRIES: usize = 20_000;
/// Deflate makes at most so many bytes of one.
pub const MOST_INFLATED: u64 = 1032;

/// A file in the archive, and where its bytes lie. Of two, no bytes are the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its path in the archive.
    pub path: String,
    /// Where its bytes begin.
    pub start: u64,
    /// Where they end.
    pub end: u64,
    /// How they are packed; of those that are given out, only the first two.
    pub packing: Packing,
    /// Bytes of it, unpacked.
    pub size: u64,
    /// The CRC-32 of those.
    pub crc: u32,
}

/// How a file is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// Not at all.
    Stored,
    /// Deflated.
    Deflated,
    /// In another way, or encrypted.
    Other,
}

/// What comes next.
#[derive(Debug, PartialEq)]
pub enum Step {
    /// These bytes are wanted, from the first to the last (exclusive); [`Archive::add`] takes them.
    Fetch(u64, u64),
    /// All files of the archive.
    Done(Vec<Entry>),
}

/// An archive of which parts are known.
pub struct Archive {
    name: String,
    parts: Parts,
    located: Option<ZipArchive<Parts>>,
    /// The files, of which the first `placed` know where they lie.
    found: Option<Vec<(Entry, ZipArchiveEntryWayfinder)>>,
    placed: usize,
    /// Bytes that were asked for last.
    wanted: u64,
}

impl Archive {
    /// An archive of that many bytes, of which none are known. Errors call it `name`.
    pub fn new(name: &str, size: u64) -> Self {
        let parts = Parts(Rc::new(Known { size, ..Known::default() }));
        Self { name: name.to_owned(), parts, located: None, found: None, placed: 0, wanted: 0 }
    }

    /// Takes bytes that were wanted.
    ///
    /// # Errors
    /// [`Error::Manifest`] when they are not as many: the archive has changed, or is not as large as it was said to be.
    pub fn add(&mut self, start: u64, bytes: Vec<u8>) -> Result<(), Error> {
        if bytes.len() as u64 != self.wanted {
            return Err(self.damaged());
        }
        self.parts.0.fetched.set(self.parts.0.fetched.get() + bytes.len() as u64);
        self.parts.0.pieces.borrow_mut().push((start, bytes));
        Ok(())
    }

    /// Goes on as far as the known bytes reach.
    ///
    /// # Errors
    /// [`Error::Manifest`] for a damaged archive and for one that lies; [`Error::NotSupported`] for files that are packed in a way that
    /// the engine cannot unpack.
    pub fn step(&mut self) -> Result<Step, Error> {
        let name = &self.name;
        let damaged = |_| damaged(name);
        if self.located.is_none() {
            let mut buffer = vec![0; rawzip::RECOMMENDED_BUFFER_SIZE];
            let located = ZipLocator::new().locate_in_reader(self.parts.clone(), &mut buffer, self.parts.0.size);
            if let Some(start) = self.parts.0.missing.take() {
                return self.fetch(start);
            }
            self.located = Some(located.map_err(|(_, error)| damaged(error))?);
        }
        let Some(located) = &self.located else { return Err(self.damaged()) };
        if self.found.is_none() {
            let found = directory(located);
            if let Some(start) = self.parts.0.missing.take() {
                return self.fetch(start);
            }
            self.found = Some(found.map_err(damaged)?);
        }
        let found = self.found.as_deref_mut().unwrap_or_default();
        if found.len() > MOST_ENTRIES {
            return Err(Error::manifest(name, format!("at most {MOST_ENTRIES} files"), "more"));
        }
        for (entry, place) in found.iter_mut().skip(self.placed) {
            let range = located.get_entry(*place).map(|entry| entry.compressed_data_range());
            if let Some(start) = self.parts.0.missing.take() {
                return self.fetch(start);
            }
            (entry.start, entry.end) = range.map_err(damaged)?;
            self.placed += 1;
        }
        let entries: Vec<Entry> = self.found.take().unwrap_or_default().into_iter().map(|(entry, _)| entry).collect();
        check(&entries, self.parts.0.size, &self.name)?;
        Ok(Step::Done(entries))
    }

    fn fetch(&mut self, start: u64) -> Result<Step, Error> {
        let size = self.parts.0.size;
        let rest = size - start.min(size);
        // The directory as a whole, since it is read from its beginning each time; before it, there are only the small headers of files.
        let directory = self.located.as_ref().map(|located| located.eocd_offset()).filter(|end| *end > start);
        let length = match (directory, &self.found) {
            (Some(end), None) => (end - start).max(CHUNK),
            _ if rest > END => HEADER,
            _ => CHUNK,
        };
        let length = length.min(rest);
        if self.parts.0.fetched.get().saturating_add(length) > MOST_BYTES {
            return Err(Error::manifest(&self.name, "a directory of a sensible size", "a larger one"));
        }
        self.wanted = length;
        Ok(Step::Fetch(start, start + length))
    }

    fn damaged(&self) -> Error {
        damaged(&self.name)
    }
}

fn damaged(name: &str) -> Error {
    Error::manifest(name, "a zip archive", "a damaged one")
}

/// The files of an archive, but for where they lie. What macOS puts into its zips beside them is not one.
fn directory(archive: &ZipArchive<Parts>) -> Result<Vec<(Entry, ZipArchiveEntryWayfinder)>, rawzip::Error> {
    let mut buffer = vec![0; rawzip::RECOMMENDED_BUFFER_SIZE];
    let mut found = Vec::new();
    let mut directory = archive.entries(&mut buffer);
    while let Some(entry) = directory.next_entry()? {
        let path = String::from_utf8_lossy(entry.file_path().as_bytes()).into_owned();
        if entry.is_dir() || path.starts_with("__MACOSX/") {
            continue;
        }
        let packing = match entry.compression_method() {
            _ if entry.flags().is_encrypted() => Packing::Other,
            CompressionMethod::STORE => Packing::Stored,
            CompressionMethod::DEFLATE => Packing::Deflated,
            _ => Packing::Other,
        };
        let (size, crc) = (entry.uncompressed_size_hint(), entry.crc32());
        found.push((Entry { path, start: 0, end: 0, packing, size, crc }, entry.wayfinder()));
        if found.len() > MOST_ENTRIES {
            break;
        }
    }
    Ok(found)
}

/// That each file lies in the archive, apart from the others, and may be as large as it says.
fn check(entries: &[Entry], size: u64, name: &str) -> Result<(), Error> {
    for Entry { path, start, end, packing, size: unpacked, .. } in entries {
        if *packing == Packing::Other {
            let why = format!("\"{path}\" is packed in another way than stored or deflated, or encrypted");
            return Err(Error::NotSupported { operation: "be loaded", scheme: "a zip".into(), why });
        }
        let packed = end.checked_sub(*start).filter(|_| *end <= size).ok_or_else(|| damaged(name))?;
        let is_possible = match packing {
            Packing::Stored => packed == *unpacked,
            _ => *unpacked <= packed.saturating_mul(MOST_INFLATED),
        };
        if !is_possible {
            let (expected, received) = (format!("\"{path}\" of {unpacked} bytes"), format!("{packed} bytes of it"));
            return Err(Error::manifest(name, expected, received));
        }
    }
    // Usually each begins where another has ended; else all are compared, which is soon done, too, and a sort is two kilobytes of wasm.
    let mut before: Vec<&Entry> = Vec::new();
    let mut end = 0;
    for entry in entries.iter().filter(|entry| entry.start < entry.end) {
        let shares = |other: &&Entry| entry.start < other.end && other.start < entry.end;
        if entry.start < end && before.iter().any(shares) {
            return Err(Error::manifest(name, "files that lie apart", "two that share bytes"));
        }
        end = end.max(entry.end);
        before.push(entry);
    }
    Ok(())
}

/// The known parts.
#[derive(Clone)]
struct Parts(Rc<Known>);

#[derive(Default)]
struct Known {
    size: u64,
    pieces: RefCell<Vec<(u64, Vec<u8>)>>,
    fetched: Cell<u64>,
    /// Where something was looked for in vain.
    missing: Cell<Option<u64>>,
}

impl ReaderAt for Parts {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        let known = &self.0;
        if offset >= known.size || into.is_empty() {
            return Ok(0);
        }
        // The newest first: it is what is asked for next.
        for (start, bytes) in known.pieces.borrow().iter().rev() {
            let skip = offset.checked_sub(*start).and_then(|skip| usize::try_from(skip).ok());
            let found = skip.and_then(|skip| bytes.get(skip..)).unwrap_or_default();
            let length = found.len().min(into.len());
            if length > 0 {
                into.iter_mut().zip(found).for_each(|(to, from)| *to = *from);
                return Ok(length);
            }
        }
        known.missing.set(Some(offset));
        Err(io::ErrorKind::WouldBlock.into())
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
#[path = "archive_tests.rs"]
mod tests;
