//! All of a model but its weights: a shallow copy of the caller's ModelArtifacts, of which only the specs are looked into.

use js_sys::{ArrayBuffer, Date, JSON, JsString, Object};
use wasm_bindgen::{JsCast, JsValue, closure::Closure};

use crate::digest;
use crate::error::Error;
use crate::info::Info;
use crate::js::{self, Failure, Result};
use crate::manifest::{self, RawQuantization, RawSpec, WeightSpec};

/// ModelArtifacts without the weights: a shallow copy in the caller's key order. modelTopology is never looked into.
#[derive(Clone)]
pub struct Header(Object);

/// What Local Storage keeps in `model_metadata`; the first three are kept even when null, as TF.js does.
const METADATA: [&str; 8] = [
    "format",
    "generatedBy",
    "convertedBy",
    "signature",
    "userDefinedMetadata",
    "modelInitializer",
    "initializerSignature",
    "trainingConfig",
];

impl AsRef<JsValue> for Header {
    fn as_ref(&self) -> &JsValue {
        &self.0
    }
}

impl Header {
    /// The header of a caller's ModelArtifacts.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when the topology is binary, or something cannot be copied.
    pub fn of(artifacts: &Object) -> Result<Self> {
        let header = Self::of_own(artifacts)?;
        // An instance of a class may have them from its prototype.
        for key in ["modelTopology", "weightSpecs"].iter().chain(&METADATA) {
            let value = js::get(artifacts, key);
            if !value.is_undefined() {
                js::set(&header.0, key, &value);
            }
        }
        header.with_own_specs()
    }

    /// The same of what is our own, plain and changed by nobody else: nothing comes from a prototype, and the specs need no copy.
    ///
    /// # Errors
    /// As [`Header::of`].
    pub fn of_own(artifacts: &Object) -> Result<Self> {
        if js::get(artifacts, "modelTopology").is_instance_of::<ArrayBuffer>() {
            return Err(Error::argument("modelTopology", "it is binary, and only JSON topologies can be stored").into());
        }
        let header = Object::new();
        let unreadable = |cause| Failure::argument("model", "it cannot be read", cause);
        Object::try_assign(&header, artifacts).map_err(unreadable)?;
        let _ = js_sys::Reflect::delete_property(&header, &"getWeightStream".into());
        if Object::has_own(&header, &"weightData".into()) {
            // A placeholder, so that the key keeps its place.
            js::set(&header, "weightData", &JsValue::UNDEFINED);
        }
        Ok(Header(header))
    }

    /// The same with specs of its own, plain ones: what is stored is then what was checked, whatever the caller's answer next time.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when they cannot be copied.
    fn with_own_specs(self) -> Result<Self> {
        if let Some(specs) = js::get_some(&self.0, "weightSpecs").filter(JsValue::is_object) {
            // A framework's proxies are no objects to clone, but to JSON they are.
            let copy = js::structured_clone(&specs)
                .or_else(|_| js::parse_json(&stringify(&specs, "weightSpecs")?).map_err(js::thrown))?;
            js::set(&self.0, "weightSpecs", &copy);
        }
        Ok(self)
    }

    /// A header from its parts: topology and specs, and metadata as Local Storage keeps it.
    pub fn from_parts(topology: Option<JsValue>, specs: Option<JsValue>, metadata: &JsValue) -> Self {
        let header = Object::new();
        if let Some(topology) = topology {
            js::set(&header, "modelTopology", &topology);
        }
        if let Some(specs) = specs {
            js::set(&header, "weightSpecs", &specs);
        }
        for (index, key) in METADATA.into_iter().enumerate() {
            let value = js::get(metadata, key);
            if !value.is_undefined() && (index < 3 || !value.is_null()) {
                js::set(&header, key, &value);
            }
        }
        Header(header)
    }

    /// The same with other specs.
    #[cfg(feature = "sharded")]
    pub fn with_specs(&self, specs: &JsValue) -> Self {
        let header = Object::assign(&Object::new(), &self.0);
        js::set(&header, "weightSpecs", specs);
        Header(header)
    }

    /// ModelArtifacts with these weights.
    pub fn with_weights(&self, data: Option<&JsValue>) -> Object {
        let artifacts = Object::assign(&Object::new(), &self.0);
        match data {
            Some(data) => js::set(&artifacts, "weightData", data),
            None => {
                let _ = js_sys::Reflect::delete_property(&artifacts, &"weightData".into());
            }
        }
        artifacts
    }

    /// A field as JSON; `None` when it is undefined or null.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when JSON cannot hold it.
    pub fn json(&self, key: &str) -> Result<Option<JsString>> {
        match js::get_some(&self.0, key) {
            Some(value) => stringify(&value, key).map(Some),
            None => Ok(None),
        }
    }

    /// The metadata as Local Storage keeps it.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when JSON cannot hold it.
    pub fn metadata_json(&self) -> Result<JsString> {
        let kept = Self::from_parts(None, None, &self.0);
        stringify(&kept.0, "model")
    }

    /// Everything in it as one text, keys in order, and what JSON would lose marked, so that the text tells it apart.
    pub(super) fn canonical(&self) -> Result<JsString> {
        let lossy = Closure::<dyn Fn(JsValue, JsValue) -> JsValue>::new(|_, value: JsValue| marked(value));
        let header = Object::new();
        for key in Object::keys(&self.0).sort().iter() {
            let value = js_sys::Reflect::get(&self.0, &key).map_err(js::thrown)?;
            // Local Storage drops most fields that are null, as TF.js does.
            if !value.is_undefined() && !value.is_null() {
                js::define(&header, &js::text(&key).unwrap_or_default(), &value);
            }
        }
        let wrong = |cause| Failure::argument("model", "JSON cannot hold it", cause);
        JSON::stringify_with_replacer(&header, lossy.as_ref()).map_err(wrong)
    }

    /// Whether all of it is there when TF.js's own fields have been JSON.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when JSON cannot hold it at all.
    pub fn survives_json(&self) -> Result<bool> {
        let parsed = |json: JsString| js::parse_json(&json).map_err(js::thrown);
        let part = |key| self.json(key)?.map(parsed).transpose();
        let kept = Self::from_parts(part("modelTopology")?, part("weightSpecs")?, &parsed(self.metadata_json()?)?);
        let text = |header: &Self| header.canonical().map(String::from);
        Ok(text(self)? == text(&kept)?)
    }

    /// Date and sizes, as TF.js computes them.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when JSON cannot hold the topology or the specs.
    pub fn info(&self, weight_bytes: u64) -> Result<Info> {
        let bytes = |json: Option<JsString>| json.map_or(0, |json| digest::utf8_length(&json));
        Ok(Info {
            saved: Date::now(),
            topology_bytes: bytes(self.json("modelTopology")?),
            specs_bytes: bytes(self.json("weightSpecs")?),
            weight_bytes,
            is_sharded: false,
        })
    }

    /// The specs, checked.
    pub(super) fn specs(&self) -> Result<Option<Vec<WeightSpec>>> {
        let Some(specs) = js::get_some(&self.0, "weightSpecs") else { return Ok(None) };
        if !js::is_array(&specs) {
            return Err(Error::manifest("weightSpecs", "an array", described(&specs)).into());
        }
        Ok(Some(manifest::validate(&raw_specs(&specs, "weightSpecs")?, "weightSpecs")?))
    }
}

/// Weight specs as they came. `place` is what errors call the list.
///
/// # Errors
/// [`Error::Manifest`] for what has no name, dtype or shape.
pub fn raw_specs(specs: &JsValue, place: &str) -> core::result::Result<Vec<RawSpec>, Error> {
    let specs = js::items(specs);
    manifest::check_count(specs.len(), place)?;
    specs.iter().enumerate().map(|(index, spec)| raw_spec(spec, &format!("{place}[{index}]"))).collect()
}

fn stringify(value: &JsValue, key: &str) -> Result<JsString> {
    let wrong = |cause| Failure::argument(key, "JSON cannot hold it", cause);
    let json = JSON::stringify(value).map_err(wrong)?;
    // A function has no JSON: stringify gives undefined.
    if json.is_undefined() { Err(wrong(JsValue::UNDEFINED)) } else { Ok(json) }
}

fn raw_spec(spec: &JsValue, place: &str) -> core::result::Result<RawSpec, Error> {
    let file = |key: &str| format!("{place}.{key}");
    let string = |key: &str| {
        let value = js::get(spec, key);
        short_text(&value).ok_or_else(|| Error::manifest(file(key), "a string", described(&value)))
    };
    let shape = js::get(spec, "shape");
    let numbers = || js::items(&shape).iter().map(JsValue::as_f64).collect::<Option<Vec<f64>>>();
    let numbers = if js::is_array(&shape) { numbers() } else { None };
    let quantization = js::get_some(spec, "quantization").map(|quantization| RawQuantization {
        dtype: short_text(&js::get(&quantization, "dtype")).unwrap_or_default(),
        min: js::get(&quantization, "min").as_f64(),
        scale: js::get(&quantization, "scale").as_f64(),
    });
    Ok(RawSpec {
        name: string("name")?,
        dtype: string("dtype")?,
        shape: numbers.ok_or_else(|| Error::manifest(file("shape"), "an array of numbers", described(&shape)))?,
        quantization,
    })
}

/// The text, when it is one of a sensible length.
pub fn short_text(value: &JsValue) -> Option<String> {
    let text = value.dyn_ref::<JsString>()?;
    if text.length() > manifest::MOST_TEXT { None } else { js::text(value) }
}

/// What JSON keeps as it is; of anything else the kind.
fn marked(value: JsValue) -> JsValue {
    let is_plain = match value.as_f64() {
        Some(number) => number.is_finite(),
        None if !value.is_object() || js::is_array(&value) => !value.is_bigint(),
        None => js::get(&js::get(&value, "constructor"), "name") == "Object",
    };
    if is_plain { value } else { format!("not JSON: {}", described(&value)).into() }
}

/// A value in a few words, for an error.
pub fn described(value: &JsValue) -> String {
    match value.dyn_ref::<JsString>() {
        Some(text) => format!("\"{}\"", String::from(text.slice(0, 1000))),
        None => String::from(value.js_typeof().unchecked_into::<JsString>()),
    }
}
