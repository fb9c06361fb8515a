//! A model as files: its weights, whole or in shards, and the model JSON that names them.

use core::any::Any;
use std::rc::Rc;

use js_sys::{Array, Object, Uint8Array};
use wasm_bindgen::JsValue;

use crate::artifacts::{Header, Model, without_specs};
use crate::context::Context;
use crate::digest::Digest;
use crate::error::Error;
use crate::host;
use crate::info::Info;
use crate::js::{self, Result};
use crate::model_json;
use crate::shard;
use crate::weights::{Chunks, Pull, Weights};

mod coming;

pub use coming::Coming;

/// Some bytes of a file.
#[derive(Clone)]
pub enum Part {
    /// As they lie in the caller's buffers.
    Bytes(Uint8Array),
    /// A Blob of so many, which need not be in memory.
    Blob(JsValue, u64),
}

impl AsRef<JsValue> for Part {
    fn as_ref(&self) -> &JsValue {
        match self {
            Part::Bytes(bytes) => bytes,
            Part::Blob(blob, _) => blob,
        }
    }
}

impl Part {
    fn bytes(&self) -> u64 {
        match self {
            Part::Bytes(bytes) => bytes.length().into(),
            Part::Blob(_, bytes) => *bytes,
        }
    }

    /// From one byte to another (exclusive), as a view.
    fn between(&self, start: u64, end: u64) -> Result<Self> {
        match self {
            Part::Bytes(bytes) => js::part(bytes, start as u32, end as u32).map(Part::Bytes),
            Part::Blob(blob, bytes) if (start, end) == (0, *bytes) => Ok(Part::Blob(blob.clone(), *bytes)),
            Part::Blob(blob, _) => {
                let ends = [&(start as f64).into(), &(end as f64).into()];
                let cut = host::call(blob, "slice", &ends).map_err(js::thrown)?;
                Ok(Part::Blob(cut, end - start))
            }
        }
    }
}

/// A file of a model, on its way out.
pub struct ModelFile {
    /// Without a folder.
    pub name: String,
    /// Its bytes, in turn.
    pub parts: Vec<Part>,
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
    /// Keeps what the Blobs are of.
    _guard: Option<Rc<dyn Any>>,
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
    pub shard: &'a dyn Fn(usize, usize) -> String,
}

/// `group1-shard{i}of{n}.bin`, as TF.js's converter calls them.
pub fn converter_name(number: usize, count: usize) -> String {
    format!("group1-shard{number}of{count}.bin")
}

impl ModelFiles {
    /// Cuts a model into files, whose bytes are all read. Nothing is copied.
    ///
    /// # Errors
    /// As [`Model::pieces`]; [`crate::Error::InvalidArgument`] for too small shards, and when JSON cannot hold the model.
    pub async fn of(mut model: Model, naming: Naming<'_>, cx: &Context) -> Result<Self> {
        let pieces = model.pieces(cx).await?.map(|pieces| pieces.into_iter().map(Part::Bytes).collect());
        Self::cut(model, pieces, None, naming)
    }

    /// The same for who takes Blobs: what is one already is not read, and what only passes through here does not stay in memory.
    ///
    /// # Errors
    /// As [`ModelFiles::of`].
    pub async fn in_blobs(mut model: Model, naming: Naming<'_>, cx: &Context) -> Result<Self> {
        if model.weights.is_here() {
            return Self::of(model, naming, cx).await;
        }
        if let Weights::Chunks(chunks) = &model.weights
            && let Some(blobs) = chunks.blobs()
        {
            let parts = blobs.into_iter().map(|(blob, bytes)| Part::Blob(blob, bytes)).collect();
            let guard = chunks.guard.clone();
            return Self::cut(model, Some(parts), guard, naming);
        }
        let pull = model.pull(cx).await?;
        let parts = Coming::whole(pull, cx).await?;
        Self::cut(model, Some(parts), None, naming)
    }

    /// The same for who sends one shard after the other: of what only passes through here, the shards have no bytes yet. Those come.
    ///
    /// # Errors
    /// As [`ModelFiles::of`].
    pub async fn in_turn(mut model: Model, naming: Naming<'_>, cx: &Context) -> Result<(Self, Option<Coming>)> {
        let is_at_hand = |weights: &Weights| match weights {
            Weights::Chunks(chunks) => chunks.blobs().is_some(),
            weights => weights.is_here(),
        };
        let Some(total) = model.byte_length().filter(|_| !is_at_hand(&model.weights)) else {
            return Ok((Self::in_blobs(model, naming, cx).await?, None));
        };
        let pull = model.pull(cx).await?;
        let cuts = shard::cut(total, naming.shard_bytes.unwrap_or(total))?;
        let sizes = cuts.iter().map(|(start, end)| end - start).collect();
        let files = Self::named(model, Some((total, Vec::new())), None, naming)?;
        Ok((files, Some(Coming::new(pull, sizes))))
    }

    fn cut(model: Model, pieces: Option<Vec<Part>>, guard: Option<Rc<dyn Any>>, naming: Naming<'_>) -> Result<Self> {
        let pieces = pieces.map(|pieces| (pieces.iter().map(Part::bytes).sum(), pieces));
        Self::named(model, pieces, guard, naming)
    }

    /// `pieces`: how many bytes the weights have, and those that are here.
    fn named(
        model: Model,
        pieces: Option<(u64, Vec<Part>)>,
        guard: Option<Rc<dyn Any>>,
        naming: Naming<'_>,
    ) -> Result<Self> {
        let total = pieces.as_ref().map_or(0, |(total, _)| *total);
        if total > 0 && model.specs().is_none() {
            return Err(without_specs("weightSpecs").into());
        }
        let mut shards = Vec::new();
        if let Some((_, pieces)) = &pieces {
            let cuts = shard::cut(total, naming.shard_bytes.unwrap_or(total))?;
            for (index, (start, end)) in cuts.iter().enumerate() {
                let mime = "application/octet-stream";
                let name = (naming.shard)(index + 1, cuts.len());
                shards.push(ModelFile { name, parts: between(pieces, *start, *end)?, mime });
            }
        }
        let json = ModelFile { name: naming.json.to_owned(), parts: Vec::new(), mime: "application/json" };
        let info = model.header.info(total)?;
        let mut files = Self { shards, json, info, header: model.header, prefix: naming.prefix, _guard: guard };
        let names: Vec<String> = files.shards.iter().map(|shard| shard.name.clone()).collect();
        files.write_json(&names)?;
        Ok(files)
    }

    /// Writes the model JSON, again when its shards have got other names.
    ///
    /// # Errors
    /// [`crate::Error::InvalidArgument`] when JSON cannot hold the model.
    pub fn write_json(&mut self, shards: &[String]) -> Result<()> {
        let paths: Vec<String> = shards.iter().map(|shard| format!("{}{shard}", self.prefix)).collect();
        let text = model_json::write(&self.header, (!paths.is_empty()).then_some(&paths[..]))?;
        self.json.parts = vec![Part::Bytes(host::encode(&text).map_err(js::thrown)?)];
        Ok(())
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.info.weight_bytes + self.json.bytes()
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
        self.parts.iter().map(Part::bytes).sum()
    }

    /// Shows all its bytes, a piece at a time.
    ///
    /// # Errors
    /// [`crate::Error::Storage`] when a Blob cannot be read; the signal's reason.
    pub async fn each(&self, see: &mut dyn FnMut(&Uint8Array), cx: &Context) -> Result<()> {
        for part in &self.parts {
            let blob = match part {
                Part::Bytes(bytes) => {
                    see(bytes);
                    continue;
                }
                Part::Blob(blob, _) => Chunks::of_blobs(core::slice::from_ref(blob), &self.name)?,
            };
            let mut pull = Pull::new(Weights::Chunks(blob), None);
            while let Some(piece) = pull.next(cx).await? {
                see(&piece);
            }
        }
        Ok(())
    }

    /// A checksum of its bytes, 16 hexadecimal digits.
    ///
    /// # Errors
    /// As [`ModelFile::each`].
    pub async fn digest(&self, cx: &Context) -> Result<String> {
        let mut digest = Digest::default();
        self.each(&mut |piece| digest.bytes(piece), cx).await?;
        Ok(digest.finish())
    }

    /// A Blob of its bytes, which is a copy: what the caller does with the buffers from now on does not matter.
    ///
    /// # Errors
    /// When a buffer was transferred away, or what called itself a Blob is none.
    pub fn blob(&self) -> Result<JsValue> {
        let blob = host::blob(&self.parts.iter().collect::<Array>(), self.mime)?;
        let (expected, received) = (self.bytes(), host::size(&blob));
        if expected == received {
            return Ok(blob);
        }
        Err(Error::SizeMismatch { file: self.name.clone(), expected, received }.into())
    }

    /// Tells the progress that it is through.
    pub fn report(&self, cx: &Context, phase: &str) {
        cx.advance_whole(&self.name, self.bytes(), phase);
    }
}

/// The bytes from `start` to `end` of all pieces, as views.
fn between(pieces: &[Part], start: u64, end: u64) -> Result<Vec<Part>> {
    let mut offset = 0;
    let mut views = Vec::new();
    for piece in pieces {
        let length = piece.bytes();
        let (from, to) = (start.clamp(offset, offset + length), end.clamp(offset, offset + length));
        if from < to {
            views.push(piece.between(from - offset, to - offset)?);
        }
        offset += length;
    }
    Ok(views)
}
