//! `localstorage://`: TF.js's five keys, with a checksum in the info, so that a mixture of two saves is found out.

use js_sys::{Array, ArrayBuffer, Date, JSON, JsString, Map, Object, Uint8Array};
use wasm_bindgen::prelude::*;

use super::{Entry, Store, corrupt};
use crate::artifacts::{Header, Info, Model};
use crate::context::Context;
use crate::digest::{self, Digest};
use crate::error::Error;
use crate::js::{self, Result};
use crate::locks;
use crate::weights::Weights;

#[wasm_bindgen]
extern "C" {
    /// A Storage whose texts stay in JavaScript: web-sys would copy them into wasm memory.
    #[wasm_bindgen(js_name = Storage)]
    #[derive(Clone)]
    type Texts;
    #[wasm_bindgen(method, getter)]
    fn length(this: &Texts) -> u32;
    #[wasm_bindgen(method)]
    fn key(this: &Texts, index: u32) -> Option<JsString>;
    #[wasm_bindgen(method, js_name = getItem)]
    fn get(this: &Texts, key: &str) -> Option<JsString>;
    #[wasm_bindgen(method, catch, js_name = setItem)]
    fn set(this: &Texts, key: &str, value: &JsString) -> core::result::Result<(), JsValue>;
    #[wasm_bindgen(method, js_name = removeItem)]
    fn remove(this: &Texts, key: &str);
}

impl Texts {
    /// Whether there is such a key, without fetching its text.
    fn has(&self, key: &str) -> bool {
        Object::has_own(self.unchecked_ref::<Object>(), &key.into())
    }
}

const PREFIX: &str = "tensorflowjs_models/";
/// The ends of the five keys, in the order in which TF.js writes them. The info goes first:
/// whatever part of a save reaches the disk has the new checksum in it.
const PARTS: [&str; 5] = ["info", "model_topology", "weight_specs", "weight_data", "model_metadata"];

/// The Local Storage of this origin.
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalStorage;

impl Store for LocalStorage {
    fn scheme(&self) -> &str {
        "localstorage"
    }

    async fn open(&self, path: &str, cx: &Context) -> Result<Model> {
        let (storage, url) = (texts("load")?, self.url(path));
        match Stored::of(&storage, path).decode(&url) {
            Err(failure) if matches!(failure.error(), Some(Error::Corrupt { .. })) => {
                // Perhaps another tab is half-way through a save: look again when it is done.
                let _lock = locks::exclusive(&url, cx).await?;
                Stored::of(&storage, path).decode(&url)
            }
            outcome => outcome,
        }
    }

    async fn put(&self, path: &str, mut model: Model, cx: &Context) -> Result<Info> {
        let (storage, url) = (texts("save")?, self.url(path));
        if cx.durability.as_deref() == Some("strict") {
            let why = "the engine writes Local Storage to the disk when it likes; use indexeddb://".to_owned();
            return Err(Error::NotSupported {
                operation: "save with durability 'strict'",
                scheme: self.scheme().into(),
                why,
            }
            .into());
        }
        let data = model.join(cx).await?.unwrap_or_else(|| ArrayBuffer::new(0));
        let (info, save) = Stored::encode(&model.header, &data)?;
        let _lock = locks::exclusive(&url, cx).await?;
        cx.check()?;
        may_write(&storage, path, &url, cx)?;
        replace(&storage, &save.changes(path), &url, info.total())?;
        Ok(info)
    }

    async fn list(&self, _cx: &Context) -> Result<Vec<Entry>> {
        let storage = texts("list")?;
        let found = Map::new();
        let keys: Vec<_> = (0..storage.length()).filter_map(|index| storage.key(index)).collect();
        for key in keys.iter().filter_map(|key| js::text(key)) {
            let Some((path, part)) = key.strip_prefix(PREFIX).and_then(|key| key.rsplit_once('/')) else { continue };
            if PARTS.contains(&part) && !path.is_empty() {
                found.set(&path.into(), &JsValue::UNDEFINED);
            }
        }
        let paths = Array::from(&found.keys());
        Ok(paths.iter().filter_map(|path| Some(self.entry(&storage, js::text(&path)?))).collect())
    }

    async fn remove(&self, path: &str, only_saved: Option<f64>, cx: &Context) -> Result<Option<Entry>> {
        let (storage, url) = (texts("remove")?, self.url(path));
        let _lock = locks::exclusive(&url, cx).await?;
        cx.check()?;
        let stored = Stored::of(&storage, path);
        if stored.is_empty() {
            return Err(Error::NotFound { url }.into());
        }
        let entry = self.entry(&storage, path.to_owned());
        if only_saved.is_some() && only_saved != entry.saved() {
            return Ok(None);
        }
        replace(&storage, &Stored::default().changes(path), &url, 0)?;
        Ok(Some(entry))
    }

    async fn rename(&self, from: &str, to: &str, cx: &Context) -> Result<Info> {
        let (storage, url) = (texts("move")?, self.url(to));
        // Always in the same order, so that two tabs cannot wait for each other.
        let _first = locks::exclusive(&self.url(from.min(to)), cx).await?;
        let _second = locks::exclusive(&self.url(from.max(to)), cx).await?;
        cx.check()?;
        let stored = Stored::of(&storage, from);
        stored.decode(&self.url(from))?;
        may_write(&storage, to, &url, cx)?;
        let (info, stored) = stored.dated_now(&self.url(from))?;
        let changes = [Stored::default().changes(from), stored.changes(to)].concat();
        replace(&storage, &changes, &url, info.total())?;
        Ok(info)
    }
}

impl LocalStorage {
    fn entry(&self, storage: &Texts, path: String) -> Entry {
        let url = self.url(&path);
        let info = storage.get(&key(&path, "info")).and_then(|text| parse_info(&text)).map(|(info, _)| info);
        // The last one, model_metadata, is missing in saves from before TF.js 1.0.
        let missing = PARTS.iter().take(4).find(|part| !storage.has(&key(&path, part)));
        let damage = match (missing, info) {
            (Some(part), _) => Some(corrupt(&url, &key(&path, part), "a text", "none")),
            (None, None) => Some(corrupt(&url, &key(&path, "info"), "a ModelArtifactsInfo as JSON", "something else")),
            (None, Some(_)) => None,
        };
        Entry { path, info, damage }
    }
}

fn texts(operation: &'static str) -> Result<Texts> {
    let missing = || Error::NotSupported {
        operation,
        scheme: "localstorage".into(),
        why: match js::global("document") {
            Some(_) => "the browser does not allow Local Storage on this page",
            None => "there is no Local Storage in workers and in Node, only in pages; use indexeddb://",
        }
        .into(),
    };
    Ok(js::global("localStorage").ok_or_else(missing)?.unchecked_into())
}

fn key(path: &str, part: &str) -> String {
    format!("{PREFIX}{path}/{part}")
}

fn may_write(storage: &Texts, path: &str, url: &str, cx: &Context) -> Result<()> {
    if !cx.overwrite && !Stored::of(storage, path).is_empty() {
        return Err(Error::AlreadyExists { url: url.to_owned() }.into());
    }
    Ok(())
}

/// A key and its new text; no text removes it.
type Change = (String, Option<JsString>);

/// Makes all changes, in order, or none. It runs in one task, so no script and no reload can come between.
fn replace(storage: &Texts, changes: &[Change], url: &str, needed: u64) -> Result<()> {
    let before: Vec<Change> = changes.iter().map(|(key, _)| (key.clone(), storage.get(key))).collect();
    let Err(cause) = apply(storage, changes) else { return Ok(()) };
    // First what frees room, then what needs it.
    for (key, _) in &before {
        storage.remove(key);
    }
    apply(storage, &before)
        .map_err(|_| corrupt(url, "localStorage", "the previous texts", "no room to put them back"))?;
    Err(js::storage(url, needed)(cause))
}

fn apply(storage: &Texts, changes: &[Change]) -> core::result::Result<(), JsValue> {
    for (key, text) in changes {
        match text {
            Some(text) => storage.set(key, text)?,
            None => storage.remove(key),
        }
    }
    Ok(())
}

/// The five texts of a model, in the order of [`PARTS`].
#[derive(Default)]
struct Stored([Option<JsString>; 5]);

impl Stored {
    fn of(storage: &Texts, path: &str) -> Self {
        Stored(PARTS.map(|part| storage.get(&key(path, part))))
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    fn changes(self, path: &str) -> Vec<Change> {
        PARTS.iter().zip(self.0).map(|(part, text)| (key(path, part), text)).collect()
    }

    fn encode(header: &Header, data: &ArrayBuffer) -> Result<(Info, Self)> {
        let bytes = Uint8Array::new(data);
        let info = header.info(u64::from(bytes.length()))?;
        // What JSON.stringify(undefined) becomes when TF.js stores it.
        let or_undefined = |json: Option<JsString>| json.unwrap_or_else(|| "undefined".into());
        let topology = or_undefined(header.json("modelTopology")?);
        let specs = or_undefined(header.json("weightSpecs")?);
        let metadata = header.metadata_json()?;
        let checksum = checksum([&topology, &specs], &bytes, Some(&metadata));
        let info_text = info_text(info, Some(&checksum))?;
        let data = digest::to_base64(&bytes)?;
        Ok((info, Stored([Some(info_text), Some(topology), Some(specs), Some(data), Some(metadata)])))
    }

    fn decode(&self, url: &str) -> Result<Model> {
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
        let bytes = Uint8Array::new(&buffer);
        if let Some(then) = checksum_then {
            let now = checksum([&topology, &specs], &bytes, metadata.as_ref());
            if now != then {
                return Err(corrupt(url, "info.checksum", &then, format!("{now} (parts of two saves)")).into());
            }
        }
        check_sizes(info, &topology, &specs, &bytes, url)?;
        let metadata = metadata.as_ref().map_or(Ok(JsValue::UNDEFINED), |text| parse(text, "model_metadata", url))?;
        let parsed = |text, part| optional(text).map(|text| parse(text, part, url)).transpose();
        let header =
            Header::from_parts(parsed(&topology, "model_topology")?, parsed(&specs, "weight_specs")?, &metadata);
        let mut model = Model::new(header, Weights::Parts(vec![bytes])).map_err(|failure| failure.at_rest(url))?;
        model.saved = Some(info.saved);
        Ok(model)
    }

    /// The same texts, as if saved now.
    fn dated_now(mut self, url: &str) -> Result<(Info, Self)> {
        let parsed = self.0[0].as_ref().and_then(parse_info);
        let (info, checksum) = parsed.ok_or_else(|| corrupt(url, "info", "a ModelArtifactsInfo as JSON", "none"))?;
        let info = Info { saved: Date::now(), ..info };
        self.0[0] = Some(info_text(info, checksum.as_deref())?);
        Ok((info, self))
    }
}

fn optional(text: &JsString) -> Option<&JsString> {
    let absent = text.length() <= 9 && (text == "undefined" || text == "null");
    (!absent).then_some(text)
}

fn parse(text: &JsString, part: &str, url: &str) -> Result<JsValue> {
    let wrong = |cause| js::Failure::known(corrupt(url, part, "JSON", "something else"), Some(cause));
    js::parse_json(text).map_err(wrong)
}

/// TF.js's info, and the checksum if the save is ours.
fn parse_info(text: &JsString) -> Option<(Info, Option<String>)> {
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
fn check_sizes(info: Info, topology: &JsString, specs: &JsString, bytes: &Uint8Array, url: &str) -> Result<()> {
    let length = |text| optional(text).map_or(0, digest::utf8_length);
    let sizes = [
        ("model_topology", info.topology_bytes, length(topology)),
        ("weight_specs", info.specs_bytes, length(specs)),
        ("weight_data", info.weight_bytes, u64::from(bytes.length())),
    ];
    match sizes.into_iter().find(|(_, expected, received)| expected != received) {
        None => Ok(()),
        Some((part, expected, received)) => {
            Err(corrupt(url, part, &format!("{expected} bytes"), format!("{received} bytes")).into())
        }
    }
}
