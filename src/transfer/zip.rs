//! Zip archives. Their structure passes through `archive.rs` and, written, through the crate rawzip; what the files hold stays in JavaScript.

use core::cell::RefCell;
use std::io;
use std::rc::Rc;

use crc::{CRC_32_ISO_HDLC, Crc, Table};
use js_sys::{Array, Date, Uint8Array};
use rawzip::{CompressionMethod, DataDescriptorOutput, ZipArchiveWriter, time::UtcDateTime};
use wasm_bindgen::JsValue;

use super::files::{Picked, read};
use crate::archive::{Archive, Entry, Packing, Step};
use crate::context::Context;
use crate::digest::through_window;
use crate::error::Error;
use crate::host;
use crate::js::{self, Result};
use crate::model_files::{ModelFile, ModelFiles};
use crate::weights::{Pull, Weights};

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
        let crc = crc();
        let mut digest = crc.digest();
        through_window(&bytes, |seen| digest.update(seen));
        let received = digest.finalize();
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
        let mut pull = Pull::new(Weights::of_stream(&stream)?, Some(self.size));
        let mut pieces = Vec::new();
        loop {
            match pull.next(cx).await {
                Ok(Some(piece)) => pieces.push(piece),
                Ok(None) => break,
                Err(js::Failure::Thrown(cause)) => return Err(cx.check().err().unwrap_or_else(|| broken(cause))),
                Err(failure) => return Err(failure),
            }
        }
        js::view(&crate::weights::concat(&pieces)?)
    }
}

fn crc() -> Crc<u32, Table<16>> {
    // The table is worked out anew each time: as data it would be 16 KB of wasm that do not compress.
    Crc::<u32, Table<16>>::new(&CRC_32_ISO_HDLC)
}

/// The entries of a zip; `None` when the Blob is none.
///
/// # Errors
/// [`Error::Manifest`] for a damaged one, [`Error::NotSupported`] for one that is packed in a way that the engine cannot unpack.
pub async fn entries(blob: &JsValue, path: &str, cx: &Context) -> Result<Option<Vec<Picked>>> {
    if read(&slice(blob, 0, 4)?, path, cx).await?.to_vec() != b"PK\x03\x04" {
        return Ok(None);
    }
    let mut archive = Archive::new(path, host::size(blob));
    loop {
        match archive.step()? {
            Step::Done(entries) => {
                return entries.into_iter().map(|entry| picked(entry, blob)).collect::<Result<_>>().map(Some);
            }
            Step::Fetch(start, end) => archive.add(start, read(&slice(blob, start, end)?, path, cx).await?.to_vec())?,
        }
    }
}

fn picked(entry: Entry, blob: &JsValue) -> Result<Picked> {
    let is_deflated = entry.packing == Packing::Deflated;
    let packed = Packed { is_deflated, size: entry.size, crc: entry.crc };
    Ok(Picked { blob: slice(blob, entry.start, entry.end)?, path: entry.path, packed: Some(packed) })
}

fn slice(blob: &JsValue, start: u64, end: u64) -> Result<JsValue> {
    host::call(blob, "slice", &[&(start as f64).into(), &(end as f64).into()]).map_err(js::thrown)
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
/// What the engine throws; as [`ModelFile::each`].
pub async fn write(files: &ModelFiles, cx: &Context) -> Result<JsValue> {
    let crc = crc();
    let mut all = Vec::new();
    for file in [&files.json].into_iter().chain(&files.shards) {
        let mut digest = crc.digest();
        file.each(&mut |piece| through_window(piece, |seen| digest.update(seen)), cx).await?;
        all.push((file, digest.finalize()));
    }
    let structure = Structure::default();
    let unwritable = |_| Error::argument("model", "a zip cannot hold it");
    write_all(&all, &structure).map_err(unwritable)?;
    structure.flush_bytes();
    let parts = structure.0.borrow().blob_parts.clone();
    host::blob(&parts, "application/zip")
}

fn write_all(files: &[(&ModelFile, u32)], structure: &Structure) -> core::result::Result<(), rawzip::Error> {
    let nothing = vec![0; 1 << 16];
    let now = UtcDateTime::from_unix((Date::now() / 1000.0) as i64);
    let mut archive = ZipArchiveWriter::new(structure.clone());
    for (file, crc) in files {
        let builder = archive.new_file(&file.name).compression_method(CompressionMethod::STORE).last_modified(now);
        let (mut entry, _) = builder.start()?;
        structure.flush_bytes();
        structure.content(true);
        for part in &file.parts {
            structure.0.borrow().blob_parts.push(part.as_ref());
        }
        let mut left = file.bytes();
        while left > 0 {
            // It only counts them, whatever they are.
            let some = nothing.get(..left.min(1 << 16) as usize).unwrap_or_default();
            io::Write::write_all(&mut entry, some)?;
            left -= some.len() as u64;
        }
        structure.content(false);
        entry.finish(DataDescriptorOutput::new(*crc, file.bytes()))?;
    }
    archive.finish().map(drop)
}
