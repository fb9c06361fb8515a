//! A model as files: its weights, whole or in shards, and the model JSON that names them.

use js_sys::{Array, Object, Uint8Array};
use wasm_bindgen::JsValue;

use crate::artifacts::{Header, Model};
use crate::context::Context;
use crate::digest::Digest;
use crate::host;
use crate::info::Info;
use crate::js::{self, Result};
use crate::model_json;
use crate::shard;
use crate::weights;

/// A file of a model, on its way out.
pub struct ModelFile {
    /// Without a folder.
    pub name: String,
    /// Its bytes, as they lie in the caller's buffers.
    pub parts: Vec<Uint8Array>,
    /// Its media type.
    pub mime: &'static str,
}

/// A model as files.
pub struct ModelFiles {
    /// The weights; none when the model has none.
    pub shards: Vec<ModelFile>,
    /// The model JSON, which names the shards.
    pub json: ModelFile,
    /// The model's.
    pub info: Info,
    header: Header,
    prefix: &'static str,
}

/// How the files of a model are called.
pub struct Naming<'a> {
    /// The model JSON.
    pub json: &'a str,
    /// Bytes of a shard at most; `None`: all weights in one.
    pub shard_bytes: Option<u64>,
    /// What each path in the manifest begins with, `./` or nothing.
    pub prefix: &'static str,
    /// The shard `i`, from 1, of `n`.
    pub shard: &'a dyn Fn(&ModelFile, usize, usize) -> String,
}

/// `group1-shard{i}of{n}.bin`, as TF.js's converter calls them.
pub fn converter_name(_: &ModelFile, number: usize, count: usize) -> String {
    format!("group1-shard{number}of{count}.bin")
}

impl ModelFiles {
    /// Cuts a model into files. Nothing is copied.
    ///
    /// # Errors
    /// As [`Model::pieces`]; [`crate::Error::InvalidArgument`] for too small shards, and when JSON cannot hold the model.
    pub async fn of(mut model: Model, naming: Naming<'_>, cx: &Context) -> Result<Self> {
        let pieces = model.pieces(cx).await?;
        let total = pieces.as_deref().map_or(0, weights::length);
        let mut shards = Vec::new();
        if let Some(pieces) = &pieces {
            let cuts = shard::cut(total, naming.shard_bytes.unwrap_or(total))?;
            for (index, (start, end)) in cuts.iter().enumerate() {
                let mime = "application/octet-stream";
                let mut file = ModelFile { name: String::new(), parts: between(pieces, *start, *end), mime };
                file.name = (naming.shard)(&file, index + 1, cuts.len());
                shards.push(file);
            }
        }
        let json = ModelFile { name: naming.json.to_owned(), parts: Vec::new(), mime: "application/json" };
        let info = model.header.info(total)?;
        let mut files = Self { shards, json, info, header: model.header, prefix: naming.prefix };
        files.write_json()?;
        Ok(files)
    }

    /// Writes the model JSON, again when shards have got other names.
    ///
    /// # Errors
    /// [`crate::Error::InvalidArgument`] when JSON cannot hold the model.
    pub fn write_json(&mut self) -> Result<()> {
        let paths: Vec<String> = self.shards.iter().map(|shard| format!("{}{}", self.prefix, shard.name)).collect();
        let text = model_json::write(&self.header, (!paths.is_empty()).then_some(&paths[..]))?;
        self.json.parts = vec![host::encode(&text).map_err(js::thrown)?];
        Ok(())
    }

    /// A checksum of all weights, 16 hexadecimal digits.
    pub fn digest(&self) -> String {
        let mut digest = Digest::default();
        self.shards.iter().flat_map(|shard| &shard.parts).for_each(|part| digest.bytes(part));
        digest.finish()
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.shards.iter().chain([&self.json]).map(ModelFile::bytes).sum()
    }

    /// The SaveResult.
    pub fn saved(&self) -> Object {
        let result = Object::new();
        js::set(&result, "modelArtifactsInfo", &self.info.dated_after(None).to_js());
        result
    }
}

impl ModelFile {
    /// Bytes of it.
    pub fn bytes(&self) -> u64 {
        weights::length(&self.parts)
    }

    /// A checksum of its bytes, 16 hexadecimal digits.
    pub fn digest(&self) -> String {
        let mut digest = Digest::default();
        self.parts.iter().for_each(|part| digest.bytes(part));
        digest.finish()
    }

    /// A Blob of its bytes, which is a copy: what the caller does with the buffers from now on does not matter.
    ///
    /// # Errors
    /// When a buffer was transferred away.
    pub fn blob(&self) -> Result<JsValue> {
        host::blob(&self.parts.iter().collect::<Array>(), self.mime)
    }

    /// Tells the progress that it is through.
    pub fn report(&self, cx: &Context, phase: &str) {
        cx.advance_whole(&self.name, self.bytes(), phase);
    }
}

/// The bytes from `start` to `end` of all pieces, as views.
fn between(pieces: &[Uint8Array], start: u64, end: u64) -> Vec<Uint8Array> {
    let mut offset = 0;
    let mut views = Vec::new();
    for piece in pieces {
        let length = u64::from(piece.length());
        let (from, to) = (start.clamp(offset, offset + length), end.clamp(offset, offset + length));
        if from < to {
            views.push(piece.subarray((from - offset) as u32, (to - offset) as u32));
        }
        offset += length;
    }
    views
}
