//! A model in transit: a header (all but the weights, opaque) and the weights. To and from ModelArtifacts, and its info as TF.js computes it.

#[cfg(feature = "sharded")]
use js_sys::Array;
use js_sys::{ArrayBuffer, Date, JSON, JsString, Object, Uint8Array};
use wasm_bindgen::{JsCast, JsValue, closure::Closure};

use crate::context::Context;
use crate::digest::{self, Digest};
use crate::error::Error;
use crate::info::Info;
use crate::js::{self, Failure, Result};
use crate::manifest::{self, RawQuantization, RawSpec, WeightSpec};
use crate::weights::{self, Pull, Weights};

/// A model on its way from a source to a sink.
pub struct Model {
    /// Everything but the weights.
    pub header: Header,
    /// The weights.
    pub weights: Weights,
    specs: Option<Vec<WeightSpec>>,
    /// When the source stored it, in milliseconds since 1970, where the source knows.
    pub saved: Option<f64>,
    /// Whether its bytes have been counted by the progress already, as they came.
    pub is_counted: bool,
}

impl Model {
    /// Reads ModelArtifacts. The value is not changed, and its weights are not copied.
    ///
    /// # Errors
    /// [`Error::Manifest`], [`Error::SizeMismatch`] when specs and bytes do not belong together;
    /// [`Error::InvalidArgument`], [`Error::NotSupported`] for what is no model.
    pub fn from_artifacts(artifacts: &JsValue) -> Result<Self> {
        if !artifacts.is_object() || js::is_array(artifacts) {
            return Err(Error::argument("model", "it must be a model with save(), or ModelArtifacts").into());
        }
        let artifacts = artifacts.unchecked_ref::<Object>();
        Self::new(Header::of(artifacts)?.with_own_specs()?, Weights::of(artifacts)?)
    }

    /// Puts a header and weights together.
    ///
    /// # Errors
    /// As [`Model::from_artifacts`].
    pub fn new(header: Header, weights: Weights) -> Result<Self> {
        let specs = header.specs()?;
        let model = Self { header, weights, specs, saved: None, is_counted: false };
        // How long strings are, only bytes that are here can tell.
        if let Some(received) = model.weights.byte_length()
            && (model.weights.is_here() || model.byte_length().is_some())
        {
            model.check_total(received, &model.weights)?;
        }
        Ok(model)
    }

    /// All weight bytes in one buffer, checked against the specs; the weights are used up. `None` when the model has none.
    ///
    /// # Errors
    /// As [`Model::pull`]; [`Error::InvalidArgument`] when the engine has no room for one buffer.
    pub async fn join(&mut self, cx: &Context) -> Result<Option<ArrayBuffer>> {
        match self.read(cx).await? {
            None => Ok(None),
            Some(parts) => weights::concat(&parts).map(Some),
        }
    }

    /// All weight bytes in pieces, checked and counted; the weights are used up. `None` when the model has none.
    ///
    /// # Errors
    /// As [`Model::pull`].
    pub async fn read(&mut self, cx: &Context) -> Result<Option<Vec<Uint8Array>>> {
        self.read_with(self.is_counted, cx).await
    }

    /// All weight bytes in pieces, not counted.
    ///
    /// # Errors
    /// As [`Model::pull`].
    pub async fn pieces(&mut self, cx: &Context) -> Result<Option<Vec<Uint8Array>>> {
        self.read_with(true, cx).await
    }

    async fn read_with(&mut self, is_counted: bool, cx: &Context) -> Result<Option<Vec<Uint8Array>>> {
        if matches!(self.weights, Weights::None) {
            return Ok(None);
        }
        #[cfg(not(feature = "sharded"))]
        let mut pull = self.begin(cx);
        #[cfg(feature = "sharded")]
        let mut pull = self.begin(cx).of_all();
        let mut parts = Vec::new();
        while let Some(part) = pull.next(cx).await? {
            if !is_counted {
                cx.advance(part.length().into(), "read");
            }
            parts.push(part);
        }
        #[cfg(feature = "sharded")]
        if self.byte_length().is_none() {
            // Only now the lengths of strings can be known.
            let all = Weights::Parts(parts.clone());
            self.check_total(weights::length(&parts), &all)?;
        }
        Ok(Some(parts))
    }

    /// The weights, to be pulled, checked against the specs; they are used up.
    ///
    /// # Errors
    /// [`Error::SizeMismatch`], the signal's reason, what the source says: then, or by what is pulled.
    #[cfg(feature = "sharded")]
    pub async fn pull(&mut self, cx: &Context) -> Result<Pull> {
        if self.byte_length().is_none() && !self.weights.is_here() {
            // Strings: how many bytes there must be only they can tell.
            self.weights = self.pieces(cx).await?.map_or(Weights::None, Weights::Parts);
        }
        Ok(self.begin(cx))
    }

    pub fn begin(&mut self, cx: &Context) -> Pull {
        let weights = core::mem::replace(&mut self.weights, Weights::None);
        let expected = self.byte_length();
        if !self.is_counted {
            cx.expect(weights.byte_length().or(expected));
        }
        // Those that are here have been measured, strings and all.
        Pull::new(weights, expected)
    }

    /// Bytes that the specs describe; `None` without specs, and when strings hide it.
    pub fn byte_length(&self) -> Option<u64> {
        self.specs.as_deref().and_then(manifest::byte_length)
    }

    /// The specs, checked.
    #[cfg(feature = "sharded")]
    pub fn specs(&self) -> Option<&[WeightSpec]> {
        self.specs.as_deref()
    }

    /// The weights' bytes, spec by spec; `None` without specs, and when strings hide it.
    #[cfg(feature = "sharded")]
    pub fn weight_lengths(&self) -> Option<Vec<u64>> {
        self.specs.as_ref()?.iter().map(WeightSpec::byte_length).collect()
    }

    /// The whole as ModelArtifacts, with `weightData` in one buffer where the source had it.
    ///
    /// # Errors
    /// As [`Model::join`].
    pub async fn into_artifacts(mut self, cx: &Context) -> Result<Object> {
        let data = self.join(cx).await?;
        Ok(self.header.with_weights(data.as_ref().map(AsRef::as_ref)))
    }

    /// The whole as a load gives it: `weightData` is one buffer, or a list where the model is stored in several; TF.js takes both.
    ///
    /// # Errors
    /// As [`Model::pull`].
    pub async fn into_loaded(mut self, cx: &Context) -> Result<Object> {
        let parts = self.read(cx).await?;
        #[cfg(feature = "sharded")]
        if let Some(parts) = parts.as_ref().filter(|parts| parts.len() > 1)
            && !cx.flag("joined")?
        {
            let buffers: Result<Vec<ArrayBuffer>> =
                parts.iter().map(|part| weights::concat(core::slice::from_ref(part))).collect();
            return Ok(self.header.with_weights(Some(&buffers?.iter().collect::<Array>())));
        }
        let data = parts.map(|parts| weights::concat(&parts)).transpose()?;
        Ok(self.header.with_weights(data.as_ref().map(AsRef::as_ref)))
    }

    /// The model with `getWeightStream` instead of its weights. Each call opens a stream, of a stream's the only one.
    ///
    /// # Errors
    /// None.
    #[cfg(feature = "sharded")]
    pub fn into_streamed(mut self, cx: &Context) -> Result<Object> {
        let artifacts = self.header.with_weights(None);
        let expected = self.byte_length().filter(|_| !self.weights.is_here());
        let weights = core::mem::replace(&mut self.weights, Weights::None);
        js::set(&artifacts, "getWeightStream", &weights::stream::opener(weights, expected, cx.unseen()));
        Ok(artifacts)
    }

    /// A checksum of everything that the model holds, the same wherever it is stored: what a store could not keep shows.
    ///
    /// # Errors
    /// As [`Model::pull`].
    pub async fn digest(mut self, cx: &Context) -> Result<String> {
        let mut digest = Digest::default();
        digest.text(Some(&self.header.canonical()?));
        let mut pull = self.begin(cx);
        while let Some(part) = pull.next(cx).await? {
            digest.bytes(&part);
            pull.release(&part);
        }
        Ok(digest.finish())
    }

    fn check_total(&self, received: u64, weights: &Weights) -> Result<()> {
        let Some(specs) = &self.specs else { return Ok(()) };
        let mut numbers = weights.numbers();
        let expected = manifest::measure(specs, |offset| numbers.read_u32(offset));
        if expected == received {
            return Ok(());
        }
        Err(Error::SizeMismatch { file: "weightData".into(), expected, received }.into())
    }
}

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
    /// The header of ModelArtifacts.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when the topology is binary.
    pub fn of(artifacts: &Object) -> Result<Self> {
        if js::get(artifacts, "modelTopology").is_instance_of::<ArrayBuffer>() {
            return Err(Error::argument("modelTopology", "it is binary, and only JSON topologies can be stored").into());
        }
        let header = Object::new();
        let unreadable = |cause| Failure::argument("model", "it cannot be read", cause);
        Object::try_assign(&header, artifacts).map_err(unreadable)?;
        // An instance of a class may have them from its prototype.
        for key in ["modelTopology", "weightSpecs"].iter().chain(&METADATA) {
            let value = js::get(artifacts, key);
            if !value.is_undefined() {
                js::set(&header, key, &value);
            }
        }
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
    fn canonical(&self) -> Result<JsString> {
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

    fn specs(&self) -> Result<Option<Vec<WeightSpec>>> {
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
