//! model.json, as downloads, servers, files and converters have it: read and checked, and written with TF.js's keys in TF.js's order.

use std::collections::HashSet;

use js_sys::{Array, JSON, JsString, Object, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};

use crate::artifacts::{Header, Model, described, raw_specs, short_text};
use crate::context::Context;
use crate::error::{Error, FileProblem};
use crate::host;
use crate::js::{self, Failure, Result};
use crate::manifest::check_count;
use crate::shard::{self, Group, RawGroup};
use crate::weights::Weights;

/// Bytes of a model JSON at most: no engine has longer texts, V8's end a little earlier.
pub const MOST_JSON: u64 = 1 << 29;

/// In the order in which TF.js makes artifacts of a model JSON; the first four even when they are undefined.
const TO_ARTIFACTS: [&str; 11] = [
    "modelTopology",
    "format",
    "generatedBy",
    "convertedBy",
    "trainingConfig",
    "weightSpecs",
    "weightData",
    "signature",
    "userDefinedMetadata",
    "modelInitializer",
    "initializerSignature",
];

/// In the order in which TF.js writes them; the first five even when they are null.
const TO_JSON: [&str; 10] = [
    "modelTopology",
    "format",
    "generatedBy",
    "convertedBy",
    "weightsManifest",
    "signature",
    "userDefinedMetadata",
    "modelInitializer",
    "initializerSignature",
    "trainingConfig",
];

/// A model JSON that has been checked.
pub struct ModelJson {
    json: JsValue,
    /// Where the weights are: one after the other, group by group. `None` when it names none at all.
    pub groups: Option<Vec<Group>>,
}

impl ModelJson {
    /// Reads the text of `file`, which errors name.
    ///
    /// # Errors
    /// [`Error::Manifest`] for what is not a model JSON.
    pub fn parse(text: &JsString, file: &str) -> Result<Self> {
        let json = js::parse_json(text).map_err(|cause| {
            let start = String::from(text.slice(0, 60));
            Failure::known(Error::manifest(file, "a model JSON", format!("\"{start}\"")), Some(cause))
        })?;
        Self::read(json, file)
    }

    /// Reads the bytes of `file`, UTF-8.
    ///
    /// # Errors
    /// As [`ModelJson::parse`].
    pub fn of_bytes(bytes: &Uint8Array, file: &str) -> Result<Self> {
        Self::parse(&decode(bytes, file)?, file)
    }

    /// Checks a value that has been parsed.
    ///
    /// # Errors
    /// As [`ModelJson::parse`].
    pub fn read(json: JsValue, file: &str) -> Result<Self> {
        if !Self::is_one(&json) {
            let expected = "an object with modelTopology or weightsManifest";
            return Err(Error::manifest(file, expected, described(&json)).into());
        }
        let groups = match js::get_some(&json, "weightsManifest") {
            None => None,
            Some(groups) => Some(read_groups(&groups, file)?),
        };
        Ok(Self { json, groups })
    }

    /// Whether a JSON value is a model's.
    pub fn is_one(json: &JsValue) -> bool {
        let has = |key| js::get_some(json, key).is_some_and(|value| value.is_object());
        !js::is_array(json) && (has("modelTopology") || has("weightsManifest"))
    }

    /// All groups; none when it names none.
    pub fn groups(&self) -> &[Group] {
        self.groups.as_deref().unwrap_or_default()
    }

    /// Bytes of all weights; `None` when only the bytes can tell, or when they are more than can be counted.
    pub fn weight_bytes(&self) -> Option<u64> {
        self.groups().iter().try_fold(0_u64, |sum, group| sum.checked_add(group.bytes?))
    }

    /// The model with these weights, which are those of the groups in turn; `None` leaves them out.
    ///
    /// # Errors
    /// [`Error::SizeMismatch`] when they are more or fewer bytes than the specs describe.
    pub fn with(&self, weights: Option<Weights>) -> Result<Model> {
        let artifacts = Object::new();
        for (index, key) in TO_ARTIFACTS.into_iter().enumerate() {
            let value = match key {
                "weightSpecs" if self.groups.is_some() => self.specs().into(),
                "weightSpecs" => continue,
                // A placeholder, so that the key keeps its place.
                "weightData" if weights.is_none() => continue,
                key => js::get(&self.json, key),
            };
            if index < 4 || key == "weightData" || !(value.is_undefined() || value.is_null()) {
                js::set(&artifacts, key, &value);
            }
        }
        let header = Header::of_own(&artifacts)?;
        match weights {
            None => Ok(Model::without_weights(header)),
            Some(weights) => Model::new(header, weights),
        }
    }

    fn specs(&self) -> Array {
        let groups = js::items(&js::get(&self.json, "weightsManifest"));
        groups.iter().flat_map(|group| js::items(&js::get(group, "weights"))).collect()
    }
}

/// The model of `{ modelJSON, weights }`: the JSON as an object, a text or bytes; the weights as one buffer, as a list of
/// them, or as a table from file name to bytes.
///
/// # Errors
/// As [`ModelJson::parse`] and [`ModelJson::with`]; [`Error::Files`] for files that are not in the table or of a wrong size.
pub fn from_memory(source: &JsValue, cx: &Context) -> Result<Model> {
    let (json, weights) = (js::get(source, "modelJSON"), js::get_some(source, "weights"));
    let json = match js::bytes(&json) {
        Some(bytes) => ModelJson::of_bytes(&bytes, "modelJSON")?,
        None => match json.dyn_ref::<JsString>() {
            Some(text) => ModelJson::parse(text, "modelJSON")?,
            None => ModelJson::read(with_own_manifest(&json), "modelJSON")?,
        },
    };
    let needs_some = cx.needs_weights.get() && !json.groups().is_empty();
    let Some(weights) = weights.or(needs_some.then_some(JsValue::NULL)) else { return json.with(None) };
    if js::is_array(&weights) || js::bytes(&weights).is_some() {
        return json.with(Some(Weights::of_data(&weights)?));
    }
    let paths = || json.groups().iter().flat_map(|group| &group.paths);
    // A base name serves only the one path that has it.
    let mut seen = HashSet::new();
    let names = || paths().map(|path| shard::base_name(path));
    let twice: HashSet<&str> = names().filter(|name| !seen.insert(*name)).collect();
    let find = |path: &String| {
        let name = shard::base_name(path);
        js::bytes(&js::get(&weights, path))
            .or_else(|| js::bytes(&js::get(&weights, name)).filter(|_| !twice.contains(name)))
    };
    let parts: Vec<Option<Uint8Array>> = paths().map(find).collect();
    let missing = paths().zip(&parts).filter(|(_, part)| part.is_none()).map(|(path, _)| path);
    let missing = missing.map(|path| FileProblem { file: path.clone(), problem: "missing", sizes: None });
    let sizes: Vec<_> = paths()
        .zip(&parts)
        .map(|(path, part)| part.as_ref().map(|part| (&path[..], u64::from(part.length()))))
        .collect();
    let problems: Vec<_> = missing.chain(shard::problems(json.groups(), &sizes)).collect();
    if !problems.is_empty() {
        return Err(Error::Files { problems }.into());
    }
    json.with(Some(Weights::Parts(parts.into_iter().flatten().collect())))
}

/// The text of a file, UTF-8.
///
/// # Errors
/// [`Error::Manifest`] when it is longer than the engine's texts are.
pub fn decode(bytes: &Uint8Array, file: &str) -> Result<JsString> {
    let wrong = |cause| Failure::known(Error::manifest(file, "a model JSON", "a text that is too long"), Some(cause));
    host::decode(bytes).map_err(wrong)
}

/// The same with a manifest that is a plain copy: what is handed out is then what was checked, whatever the caller's answers next time.
fn with_own_manifest(json: &JsValue) -> JsValue {
    let manifest = js::get(json, "weightsManifest");
    match js::structured_clone(&manifest) {
        Ok(manifest) if ModelJson::is_one(json) => {
            let own = Object::create(json.unchecked_ref());
            js::define(&own, "weightsManifest", &manifest);
            own.into()
        }
        _ => json.clone(), // a framework's proxies, perhaps
    }
}

fn read_groups(groups: &JsValue, file: &str) -> Result<Vec<Group>> {
    if !js::is_array(groups) {
        return Err(Error::manifest(format!("{file}: weightsManifest"), "an array", described(groups)).into());
    }
    let (mut raw, mut count) = (Vec::new(), 0);
    for (index, group) in js::items(groups).iter().enumerate() {
        let place = format!("{file}: weightsManifest[{index}]");
        let list = |key: &str| {
            let value = js::get(group, key);
            let wrong = || Error::manifest(format!("{place}.{key}"), "an array", described(&value));
            if js::is_array(&value) { Ok(value) } else { Err(wrong()) }
        };
        let weights = raw_specs(&list("weights")?, &format!("{place}.weights"))?;
        count += weights.len();
        check_count(count, &place)?;
        let paths = js::items(&list("paths")?).iter().map(short_text).collect();
        raw.push(RawGroup { paths, weights });
    }
    Ok(shard::groups(raw, file)?)
}

/// The text of a model JSON. The specs go into one group that names `paths`; without weights there is no manifest.
///
/// # Errors
/// [`Error::InvalidArgument`] when JSON cannot hold the model.
pub fn write(header: &Header, paths: Option<&[String]>) -> Result<JsString> {
    let mut manifest = JsValue::UNDEFINED;
    if let Some(paths) = paths {
        let group = Object::new();
        let paths: Array = paths.iter().map(JsValue::from).collect();
        js::set(&group, "paths", &paths);
        js::set(
            &group,
            "weights",
            &js::get_some(header.as_ref(), "weightSpecs").unwrap_or_else(|| Array::new().into()),
        );
        manifest = Array::of1(&group).into();
    }
    let json = Object::new();
    for (index, key) in TO_JSON.into_iter().enumerate() {
        let value = if key == "weightsManifest" { manifest.clone() } else { js::get(header.as_ref(), key) };
        if index < 5 || !value.is_null() {
            js::set(&json, key, &value);
        }
    }
    let wrong = |cause| Failure::argument("model", "JSON cannot hold it", cause);
    JSON::stringify(json.unchecked_ref()).map_err(wrong)
}
