//! The five texts of a model in Local Storage: TF.js's, and a checksum in the info.

use js_sys::{ArrayBuffer, JSON, JsString, Object, Uint8Array};
use wasm_bindgen::JsValue;

use super::super::corrupt;
use super::{Change, PARTS, Texts, key};
use crate::artifacts::{Header, Model};
use crate::digest::{self, Digest};
use crate::error::Error;
use crate::info::Info;
use crate::js::{self, Failure, Result};
use crate::weights::Weights;

/// The five texts of a model, in the order of [`PARTS`].
#[derive(Default)]
pub struct Stored([Option<JsString>; 5]);

impl Stored {
    /// What is there, unchecked.
    ///
    /// # Errors
    /// [`Error::Storage`] when the engine cannot read it.
    pub fn of(storage: &Texts, path: &str) -> Result<Self> {
        let mut stored = Stored::default();
        for (text, part) in stored.0.iter_mut().zip(PARTS) {
            let key = key(path, part);
            *text = storage.get_item(&key).map_err(js::storage(&format!("localstorage://{path}"), 0))?;
        }
        Ok(stored)
    }

    /// Whether there is not one text.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    /// When it was saved, in milliseconds since 1970.
    pub fn saved(&self) -> Option<f64> {
        self.0[0].as_ref().and_then(parse_info).map(|(info, _)| info.saved)
    }

    /// What a listing sees of it without decoding: the info, and what cannot be right.
    pub fn look(&self, url: &str) -> (Option<Info>, Option<Error>) {
        let info = self.0[0].as_ref().and_then(parse_info).map(|(info, _)| info);
        let damage = match (&self.0, info) {
            ([_, Some(topology), Some(specs), Some(data), _], Some(info)) => {
                let topology = json_length(topology, Some(info.topology_bytes));
                let specs = json_length(specs, Some(info.specs_bytes));
                size_damage(info, topology, specs, base64_length(data), url)
            }
            // The last one, model_metadata, is missing in saves from before TF.js 1.0.
            (texts, _) => match PARTS.iter().zip(texts).take(4).find(|(_, text)| text.is_none()) {
                Some((part, _)) => Some(corrupt(url, part, "a text", "none")),
                None => Some(corrupt(url, "info", "a ModelArtifactsInfo as JSON", "something else")),
            },
        };
        (info, damage)
    }

    /// What makes a path hold these texts.
    pub fn changes(self, path: &str) -> Vec<Change> {
        PARTS.iter().zip(self.0).map(|(part, text)| (key(path, part), text)).collect()
    }

    /// The texts of a model.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when JSON cannot hold it.
    pub fn encode(header: &Header, data: &ArrayBuffer) -> Result<Self> {
        let bytes = js::view(data)?;
        let info = header.info(u64::from(bytes.length()))?;
        // What JSON.stringify(undefined) becomes when TF.js stores it.
        let or_undefined = |json: Option<JsString>| json.unwrap_or_else(|| "undefined".into());
        let topology = or_undefined(header.json("modelTopology")?);
        let specs = or_undefined(header.json("weightSpecs")?);
        let metadata = header.metadata_json()?;
        let checksum = checksum([&topology, &specs], &bytes, Some(&metadata));
        let info_text = info_text(info, Some(&checksum))?;
        let data = digest::to_base64(&bytes)?;
        Ok(Stored([Some(info_text), Some(topology), Some(specs), Some(data), Some(metadata)]))
    }

    /// The model, checked.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Corrupt`].
    pub fn decode(&self, url: &str) -> Result<Model> {
        if self.is_empty() {
            return Err(Error::NotFound { url: url.to_owned() }.into());
        }
        let [info, topology, specs, data, metadata] = &self.0;
        let required = |text: &Option<JsString>, part| text.clone().ok_or_else(|| corrupt(url, part, "a text", "none"));
        let (info, checksum_then) = parse_info(&required(info, "info")?)
            .ok_or_else(|| corrupt(url, "info", "a ModelArtifactsInfo as JSON", "something else"))?;
        let (topology, specs) = (required(topology, "model_topology")?, required(specs, "weight_specs")?);
        let buffer = digest::from_base64(&required(data, "weight_data")?)?;
        let buffer = buffer.ok_or_else(|| corrupt(url, "weight_data", "base64", "something else"))?;
        let bytes = js::view(&buffer)?;
        let lengths = (json_length(&topology, None), json_length(&specs, None), u64::from(bytes.length()));
        if let Some(damage) = size_damage(info, lengths.0, lengths.1, lengths.2, url) {
            return Err(damage.into());
        }
        if let Some(then) = checksum_then {
            let now = checksum([&topology, &specs], &bytes, metadata.as_ref());
            if now != then {
                return Err(
                    corrupt(url, "info.checksum", &then, format!("{now} (changed, or parts of two saves)")).into()
                );
            }
        }
        let metadata = metadata.as_ref().map_or(Ok(JsValue::UNDEFINED), |text| parse(text, "model_metadata", url))?;
        let parsed = |text, part| optional(text).map(|text| parse(text, part, url)).transpose();
        let header =
            Header::from_parts(parsed(&topology, "model_topology")?, parsed(&specs, "weight_specs")?, &metadata);
        let mut model = Model::new(header, Weights::Parts(vec![bytes])).map_err(|failure| failure.at_rest(url))?;
        model.saved = Some(info.saved);
        Ok(model)
    }

    /// The same texts, as if saved now, later than what they replace.
    ///
    /// # Errors
    /// [`Error::Corrupt`] without an info.
    pub fn dated_after(mut self, replaced: Option<f64>, url: &str) -> Result<(Info, Self)> {
        let parsed = self.0[0].as_ref().and_then(parse_info);
        let (info, checksum) = parsed.ok_or_else(|| corrupt(url, "info", "a ModelArtifactsInfo as JSON", "none"))?;
        let info = info.dated_after(replaced);
        self.0[0] = Some(info_text(info, checksum.as_deref())?);
        Ok((info, self))
    }
}

fn optional(text: &JsString) -> Option<&JsString> {
    let absent = text.length() <= 9 && (text == "undefined" || text == "null");
    (!absent).then_some(text)
}

fn parse(text: &JsString, part: &str, url: &str) -> Result<JsValue> {
    let wrong = |cause| Failure::known(corrupt(url, part, "JSON", "something else"), Some(cause));
    js::parse_json(text).map_err(wrong)
}

/// TF.js's info, and the checksum if the save is ours.
pub fn parse_info(text: &JsString) -> Option<(Info, Option<String>)> {
    let info = js::parse_json(text).ok()?;
    Some((Info::from_js(&info)?, js::get(&info, "checksum").as_string()))
}

fn info_text(info: Info, checksum: Option<&str>) -> Result<JsString> {
    let info: Object = info.to_js();
    if let Some(checksum) = checksum {
        js::set(&info, "checksum", &checksum.into());
    }
    JSON::stringify(&info).map_err(js::thrown)
}

/// Over everything but the info itself. The weights go in as bytes: as base64 they would have to be copied twice.
fn checksum(texts: [&JsString; 2], bytes: &Uint8Array, metadata: Option<&JsString>) -> String {
    let mut digest = Digest::default();
    texts.into_iter().for_each(|text| digest.text(Some(text)));
    digest.text(metadata);
    digest.bytes(bytes);
    digest.finish()
}

/// TF.js's own saves have no checksum; their sizes still give many mixtures away.
fn size_damage(info: Info, topology: u64, specs: u64, weights: u64, url: &str) -> Option<Error> {
    let sizes = [
        ("model_topology", info.topology_bytes, topology),
        ("weight_specs", info.specs_bytes, specs),
        ("weight_data", info.weight_bytes, weights),
    ];
    let (part, expected, received) = sizes.into_iter().find(|(_, expected, received)| expected != received)?;
    Some(corrupt(url, part, &format!("{expected} bytes"), format!("{received} bytes")))
}

/// UTF-8 bytes of a JSON text. One of `expected` units is taken for as many bytes without counting them: it is, if it is ASCII.
fn json_length(text: &JsString, expected: Option<u64>) -> u64 {
    match optional(text) {
        None => 0,
        Some(text) if Some(u64::from(text.length())) == expected => u64::from(text.length()),
        Some(text) => digest::utf8_length(text),
    }
}

/// Bytes that a base64 text stands for.
fn base64_length(text: &JsString) -> u64 {
    let text = text.trim_end();
    let padding = text.slice(text.length().saturating_sub(2), text.length());
    let padding = String::from(padding).bytes().filter(|byte| *byte == b'=').count() as u64;
    u64::from(text.length()).saturating_sub(padding) * 3 / 4
}
