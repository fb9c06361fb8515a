//! A model that is going to be saved into a folder: what is known before the first byte is written.

use js_sys::{Array, JSON, JsString, Object};
use wasm_bindgen::{JsCast, JsValue};

use super::writing::Source;
use crate::artifacts::{Model, without_specs};
use crate::context::Context;
use crate::digest::utf8_length;
use crate::info::Info;
use crate::js::{self, Result};
use crate::model_files::converter_name;
use crate::model_json;
use crate::shard;
use crate::weights::{self, Weights};

/// A model as it was when it was to be saved: what the caller does with it meanwhile does not matter.
pub struct Prepared {
    /// Its weights, as files.
    pub shards: Vec<Shard>,
    /// The model JSON.
    pub json: JsString,
    /// UTF-8 bytes of it.
    pub json_bytes: u64,
    /// Sizes.
    pub info: Info,
    /// The bytes.
    pub weights: Source,
}

/// A file of weights: its name, its bytes, and the link to it that stays beside until the commit.
pub struct Shard {
    /// Without its folder.
    pub name: String,
    /// How many.
    pub bytes: u64,
    /// The path of that link; empty before it is written.
    pub beside: String,
}

impl Prepared {
    /// Looks at it. Bytes stay where they are, and must not change.
    ///
    /// # Errors
    /// [`crate::Error::InvalidArgument`] when JSON cannot hold the model; as [`Model::pull`].
    pub async fn of(mut model: Model, cx: &Context) -> Result<Self> {
        let total = total(&mut model, cx).await?;
        let shards = shards(total, cx.number("shardBytes", 1)?)?;
        let json = model_json::write(&model.header, total.map(|_| names(&shards)).as_deref())?;
        let info = model.header.info(total.unwrap_or_default())?;
        let json_bytes = utf8_length(&json);
        let weights = Source::of(model, cx).await?;
        if !weights.is_counted {
            cx.expect(total.unwrap_or_default().checked_add(json_bytes));
        }
        Ok(Self { shards, json, json_bytes, info, weights })
    }
}

/// Bytes of the weights, `None` when there are none. Where only the bytes can tell, all are read.
async fn total(model: &mut Model, cx: &Context) -> Result<Option<u64>> {
    if matches!(model.weights, Weights::None) {
        return Ok(None);
    }
    let total = match model.bytes() {
        Some(total) => total,
        None => {
            let pieces = model.pieces(cx).await?.unwrap_or_default();
            let total = weights::length(&pieces);
            model.weights = Weights::Parts(pieces);
            total
        }
    };
    if total > 0 && model.specs().is_none() {
        return Err(without_specs("weightSpecs").into());
    }
    Ok(Some(total))
}

fn shards(total: Option<u64>, shard_bytes: Option<u64>) -> Result<Vec<Shard>> {
    let Some(total) = total else { return Ok(Vec::new()) };
    let cuts = shard::cut(total, shard_bytes.unwrap_or(total))?;
    let name = |index| match shard_bytes {
        None => "weights.bin".to_owned(),
        Some(_) => converter_name(index + 1, cuts.len()),
    };
    let shard = |(index, (start, end)): (usize, &(u64, u64))| Shard {
        name: name(index),
        bytes: end - start,
        beside: String::new(),
    };
    Ok(cuts.iter().enumerate().map(shard).collect())
}

/// What they are called.
pub fn names(shards: &[Shard]) -> Vec<String> {
    shards.iter().map(|shard| shard.name.clone()).collect()
}

/// The text of a model JSON whose weights have got other names.
///
/// # Errors
/// None, of a text that [`Prepared`] has.
pub fn with_paths(text: &JsString, paths: &[String]) -> Result<JsString> {
    let json = js::parse_json(text).map_err(js::thrown)?;
    if let Some(group) = js::items(&js::get(&json, "weightsManifest")).first() {
        let paths: Array = paths.iter().map(JsValue::from).collect();
        js::set(group.unchecked_ref::<Object>(), "paths", &paths);
    }
    JSON::stringify(&json).map_err(js::thrown)
}
