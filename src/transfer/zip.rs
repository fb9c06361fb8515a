//! Zip archives, read and written by the crate rawzip. Their structure passes through it; what the files hold stays in JavaScript.

use core::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;

use crc::{CRC_32_ISO_HDLC, Crc, Table};
use js_sys::{Array, Date, Uint8Array};
use rawzip::{
    CompressionMethod, DataDescriptorOutput, ReaderAt, ZipArchive, ZipArchiveEntryWayfinder, ZipArchiveWriter,
};
use rawzip::{ZipLocator, time::UtcDateTime};
use wasm_bindgen::JsValue;

use super::files::{Picked, read};
use crate::context::Context;
use crate::digest::through_window;
use crate::error::Error;
use crate::host;
use crate::js::{self, Result};
use crate::model_files::{ModelFile, ModelFiles};
use crate::weights::Weights;

/// What is read at a time of the end of an archive, of its earlier parts, and how long its end is taken to be.
const CHUNK: u64 = 1 << 16;
const HEADER: u64 = 1 << 10;
const DIRECTORY: u64 = 1 << 22;
/// More than that of directories and headers is no model's archive.
const MOST: usize = 1 << 26;

/// How an entry is packed.
pub struct Packed {
    is_deflated: bool,
    /// Bytes of it, unpacked.
    pub size: u64,
    crc: u32,
}

impl Packed {
    /// The bytes, unpacked and checked.
    ///
    /// # Errors
    /// [`Error::Checksum`], [`Error::SizeMismatch`]; [`Error::Manifest`] for what does not unpack.
    pub async fn bytes(&self, path: &str, blob: &JsValue, cx: &Context) -> Result<Uint8Array> {
        let bytes = if self.is_deflated { self.inflate(path, blob, cx).await? } else { read(blob, path, cx).await? };
        let received = crc32(core::slice::from_ref(&bytes));
        if received == self.crc {
            return Ok(bytes);
        }
        let [expected, received] = [self.crc, received].map(|crc| format!("CRC-32 {crc:08x}"));
        Err(Error::Checksum { file: path.to_owned(), expected, received }.into())
    }

    /// The engine's own inflate; never more bytes than the directory says.
    async fn inflate(&self, path: &str, blob: &JsValue, cx: &Context) -> Result<Uint8Array> {
        let broken = |cause| {
            let error = Error::manifest(path, "an entry that can be unpacked", js::words(&cause).1);
            js::Failure::known(error, Some(cause))
        };
        let inflate = host::construct("DecompressionStream", &[&"deflate-raw".into()]).map_err(broken)?;
        let stream = host::call(blob, "stream", &[]).map_err(js::thrown)?;
        let stream = host::call(&stream, "pipeThrough", &[&inflate]).map_err(js::thrown)?;
        let pieces = match Weights::of_stream(&stream)?.pieces(Some(self.size), cx).await {
            Ok(pieces) => pieces.unwrap_or_default(),
            Err(js::Failure::Thrown(cause)) => return Err(cx.check().err().unwrap_or_else(|| broken(cause))),
            Err(failure) => return Err(failure),
        };
        js::view(&crate::weights::concat(&pieces, |_| ())?)
    }
}

fn crc32(parts: &[Uint8Array]) -> u32 {
    // The table is worked out anew each time: as data it would be 16 KB of wasm that do not compress.
    let crc = Crc::<u32, Table<16>>::new(&CRC_32_ISO_HDLC);
    let mut digest = crc.digest();
    parts.iter().for_each(|part| through_window(part, |seen| digest.update(seen)));
    digest.finalize()
}

/// The entries of a zip; `None` when the Blob is none.
///
/// # Errors
/// [`Error::Manifest`] for a damaged one, [`Error::NotSupported`] for one that is packed in a way that the engine cannot unpack.
pub async fn entries(blob: &JsValue, path: &str, cx: &Context) -> Result<Option<Vec<Picked>>> {
    let head = host::call(blob, "slice", &[&0.into(), &4.into()]).map_err(js::thrown)?;
    if read(&head, path, cx).await?.to_vec() != b"PK\x03\x04" {
        return Ok(None);
    }
    let known = Sparse { size: host::size(blob), ..Sparse::default() };
    let mut buffer = vec![0; rawzip::RECOMMENDED_BUFFER_SIZE];
    let locate = || ZipLocator::new().locate_in_reader(&known, &mut buffer, known.size).map_err(|(_, error)| error);
    let archive = known.fetching(blob, path, cx, locate).await?;
    let found = known.fetching(blob, path, cx, || directory(&archive)).await?;
    let mut entries = Vec::new();
    for (mut entry, place) in found {
        let range = || Ok(archive.get_entry(place)?.compressed_data_range());
        (entry.start, entry.end) = known.fetching(blob, path, cx, range).await?;
        entries.push(entry.of(blob)?);
    }
    Ok(Some(entries))
}

/// The files of an archive, but for where they lie. What macOS puts into its zips beside them is not one.
fn directory(
    archive: &ZipArchive<&Sparse>,
) -> core::result::Result<Vec<(Entry, ZipArchiveEntryWayfinder)>, rawzip::Error> {
    let mut buffer = vec![0; rawzip::RECOMMENDED_BUFFER_SIZE];
    let mut found = Vec::new();
    let mut directory = archive.entries(&mut buffer);
    while let Some(entry) = directory.next_entry()? {
        let path = String::from_utf8_lossy(entry.file_path().as_bytes()).into_owned();
        if entry.is_dir() || path.starts_with("__MACOSX/") {
            continue;
        }
        let (method, size, crc) = (entry.compression_method(), entry.uncompressed_size_hint(), entry.crc32());
        found.push((Entry { path, start: 0, end: 0, method, size, crc }, entry.wayfinder()));
    }
    Ok(found)
}

/// A file's place in the archive.
struct Entry {
    path: String,
    start: u64,
    end: u64,
    method: CompressionMethod,
    size: u64,
    crc: u32,
}

impl Entry {
    fn of(self, blob: &JsValue) -> Result<Picked> {
        let is_deflated = self.method == CompressionMethod::DEFLATE;
        if !is_deflated && self.method != CompressionMethod::STORE {
            let why = format!("\"{}\" is packed in another way than stored or deflated", self.path);
            return Err(Error::NotSupported { operation: "be loaded", scheme: "a zip".into(), why }.into());
        }
        let range = [self.start as f64, self.end as f64].map(JsValue::from);
        let blob = host::call(blob, "slice", &[&range[0], &range[1]]).map_err(js::thrown)?;
        Ok(Picked { path: self.path, blob, packed: Some(Packed { is_deflated, size: self.size, crc: self.crc }) })
    }
}

/// The parts of an archive that have been fetched so far.
#[derive(Default)]
struct Sparse {
    size: u64,
    pieces: RefCell<Vec<(u64, Vec<u8>)>>,
    fetched: Cell<usize>,
    /// Where something was looked for in vain.
    missing: Cell<Option<u64>>,
}

impl ReaderAt for &Sparse {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        if offset >= self.size || into.is_empty() {
            return Ok(0);
        }
        for (start, bytes) in self.pieces.borrow().iter() {
            let found = offset.checked_sub(*start).and_then(|skip| bytes.get(skip as usize..)).unwrap_or_default();
            let length = found.len().min(into.len());
            if length > 0 {
                into.iter_mut().zip(found).for_each(|(to, from)| *to = *from);
                return Ok(length);
            }
        }
        self.missing.set(Some(offset));
        Err(io::ErrorKind::WouldBlock.into())
    }
}

impl Sparse {
    /// Does what reads the archive at once, again and again, until all that it reads has been fetched.
    async fn fetching<T>(
        &self,
        blob: &JsValue,
        path: &str,
        cx: &Context,
        mut attempt: impl FnMut() -> core::result::Result<T, rawzip::Error>,
    ) -> Result<T> {
        loop {
            let outcome = attempt();
            let Some(start) = self.missing.take() else {
                return outcome.map_err(|_| Error::manifest(path, "a zip archive", "a damaged one").into());
            };
            // The directory is at the end; before it there are only the small headers of files.
            let length = if start.saturating_add(DIRECTORY) < self.size { HEADER } else { CHUNK };
            let range = [start as f64, start.saturating_add(length) as f64].map(JsValue::from);
            let piece = host::call(blob, "slice", &[&range[0], &range[1]]).map_err(js::thrown)?;
            let bytes = read(&piece, path, cx).await?.to_vec();
            self.fetched.set(self.fetched.get() + bytes.len());
            if self.fetched.get() > MOST {
                return Err(Error::manifest(path, "a directory of a sensible size", "a larger one").into());
            }
            // The newest first: it is what is asked for next.
            self.pieces.borrow_mut().insert(0, (start, bytes));
        }
    }
}

/// What rawzip writes: its own bytes are kept, between the files' own, which it only counts.
#[derive(Clone, Default)]
struct Structure(Rc<RefCell<Parts>>);

#[derive(Default)]
struct Parts {
    blob_parts: Array,
    bytes: Vec<u8>,
    is_content: bool,
}

impl io::Write for Structure {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut parts = self.0.borrow_mut();
        if !parts.is_content {
            parts.bytes.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Structure {
    fn flush_bytes(&self) {
        let mut parts = self.0.borrow_mut();
        let bytes = core::mem::take(&mut parts.bytes);
        parts.blob_parts.push(&Uint8Array::from(&bytes[..]));
    }

    fn content(&self, is_content: bool) {
        self.0.borrow_mut().is_content = is_content;
    }
}

/// The files of a model as one zip, stored: weights hardly compress. A Blob.
///
/// # Errors
/// What the engine throws.
pub fn write(files: &ModelFiles) -> Result<JsValue> {
    let structure = Structure::default();
    let all = [&files.json].into_iter().chain(&files.shards);
    let unwritable = |_| Error::argument("model", "a zip cannot hold it");
    write_all(all, &structure).map_err(unwritable)?;
    structure.flush_bytes();
    let parts = structure.0.borrow().blob_parts.clone();
    host::blob(&parts, "application/zip")
}

fn write_all<'a>(
    files: impl Iterator<Item = &'a ModelFile>,
    structure: &Structure,
) -> core::result::Result<(), rawzip::Error> {
    let now = UtcDateTime::from_unix((Date::now() / 1000.0) as i64);
    let mut archive = ZipArchiveWriter::new(structure.clone());
    for file in files {
        let builder = archive.new_file(&file.name).compression_method(CompressionMethod::STORE).last_modified(now);
        let (mut entry, _) = builder.start()?;
        structure.flush_bytes();
        structure.content(true);
        for part in &file.parts {
            structure.0.borrow().blob_parts.push(part);
            // It only counts them, which cannot fail.
            through_window(part, |seen| drop(io::Write::write_all(&mut entry, seen)));
        }
        structure.content(false);
        entry.finish(DataDescriptorOutput::new(crc32(&file.parts), file.bytes()))?;
    }
    archive.finish().map(drop)
}
