//! `http(s)://`: a model from a server. model.json first, then its weight files, a few at a time, each checked.

use core::cell::Cell;
use std::rc::Rc;

use js_sys::{Array, Function, Object, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};

use super::download::Received;
use super::laid::Room;
use super::remote::{Files, Source};
use super::request::{Requests, header, validator};
use crate::artifacts::Model;
use crate::context::{Context, FileProgress, Taken};
use crate::digest::Digest;
use crate::error::Error;
use crate::host;
use crate::js::{self, Result};
use crate::model_json::{MOST_JSON, ModelJson};
use crate::parallel;
use crate::shard::{self, Group};
use crate::url::JsonUrl;
use crate::weights::Weights;

/// Weights of so many bytes are fetched at once, six files at a time, also where they go on piece by piece.
const SMALL: u64 = 1 << 25;

/// A model JSON on a server.
#[derive(Clone, Debug, PartialEq)]
pub struct Http {
    /// Absolute, or relative to the page.
    pub url: String,
}

/// A model JSON as it came.
pub struct Fetched {
    json: ModelJson,
    /// A checksum of its text.
    pub digest: String,
    shards: Vec<Shard>,
}

/// A weight file, and where it is.
#[derive(Clone)]
pub struct Shard {
    /// The group that it is a file of.
    pub group: usize,
    /// Where it is.
    pub url: String,
    /// Its bytes, when the manifest tells.
    pub bytes: Option<u64>,
}

/// What tells one version of a weight file from another.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Version {
    /// Where it was.
    pub url: String,
    /// A strong ETag, or else Last-Modified.
    pub validator: Option<String>,
}

impl Http {
    /// Where `url` leads with these options: TF Hub's folders hold a model.json.
    pub fn new(url: String, cx: &Context) -> Result<Self> {
        if !cx.flag("fromTFHub")? {
            return Ok(Self { url });
        }
        let slash = if url.ends_with('/') { "" } else { "/" };
        Ok(Self { url: format!("{url}{slash}model.json?tfjs-format=file") })
    }

    /// Loads the model.
    ///
    /// # Errors
    /// [`Error::HttpStatus`], [`Error::Network`], [`Error::Manifest`], [`Error::SizeMismatch`], the signal's reason.
    pub async fn open(&self, cx: &Context) -> Result<Model> {
        let requests = Requests::to_read(cx)?;
        let fetched = self.json(&requests).await?;
        let is_large = fetched.json.weight_bytes().is_some_and(|bytes| bytes > SMALL);
        if cx.flag("stream")? || (cx.taken.get() != Taken::Whole && is_large) {
            return fetched.stream(cx);
        }
        Ok(fetched.weights(&requests).await?.0)
    }

    /// Fetches and checks the model JSON.
    ///
    /// # Errors
    /// As [`Http::open`].
    pub async fn json(&self, requests: &Requests) -> Result<Fetched> {
        let cx = &requests.cx;
        let wrong = || Error::manifest(&self.url, "a model JSON", "a text that is too long").into();
        let watch = &mut |file: &Received, _| if file.bytes > MOST_JSON { Err(wrong()) } else { Ok(()) };
        let (received, parts) = requests.download(&self.url, false, Room::default(), watch).await?;
        let bytes = one(&parts)?;
        let json = ModelJson::of_bytes(&bytes, &self.url)?;
        cx.expect(json.weight_bytes().map(|weights| weights.saturating_add(received.bytes)));
        cx.advance_whole(&self.url, received.bytes, "read");
        let mut digest = Digest::default();
        digest.bytes(&bytes);
        let shards = self.shards(json.groups(), cx).await?;
        Ok(Fetched { json, digest: digest.finish(), shards })
    }

    /// The URLs of all weight files: beside the model JSON, unless the caller says otherwise. No path of a manifest leads to another
    /// server than the one that the caller named.
    async fn shards(&self, groups: &[Group], cx: &Context) -> Result<Vec<Shard>> {
        let cut = JsonUrl::cut(&self.url);
        let folder = cx.text("weightPathPrefix").filter(|prefix| !prefix.is_empty());
        let converter = cx.object("weightUrlConverter")?;
        let home = origin(folder.as_deref().unwrap_or(&self.url));
        let mut shards = Vec::new();
        for (group, paths) in groups.iter().enumerate() {
            let bytes = paths.bytes.filter(|_| paths.paths.len() == 1);
            for path in &paths.paths {
                let converted = match &converter {
                    Some(converter) => convert(converter.as_ref(), path, shards.len(), bytes, cx).await?,
                    None => None,
                };
                let url = match converted {
                    Some(url) => url,
                    None => Some(cut.beside(folder.as_deref(), path))
                        .filter(|url| home.is_some() && origin(url) == home)
                        .ok_or_else(|| elsewhere(&self.url, path))?,
                };
                shards.push(Shard { group, url, bytes });
            }
        }
        Ok(shards)
    }
}

fn elsewhere(url: &str, path: &str) -> Error {
    let expected = "weight files on its own server (or that of weightPathPrefix; weightUrlConverter may give any URL)";
    Error::manifest(format!("{url}: weightsManifest"), expected, format!("\"{path}\""))
}

/// Scheme and host that a URL leads to. A relative one leads where the page is; where there is none, to a place that no other URL has.
fn origin(url: &str) -> Option<(String, String)> {
    let page = js::get(&js::global("location").unwrap_or_default(), "href");
    let parse = |base: &JsValue| host::construct("URL", &[&url.into(), base]).ok();
    let parsed = parse(&page).or_else(|| parse(&"http://relative.invalid/".into()))?;
    let part = |key| js::text(&js::get(&parsed, key));
    Some((part("protocol")?, part("host")?))
}

/// The URL of a weight file after the caller's `weightUrlConverter`, a function or a table.
async fn convert(
    converter: &JsValue,
    path: &str,
    index: usize,
    bytes: Option<u64>,
    cx: &Context,
) -> Result<Option<String>> {
    let Some(function) = converter.dyn_ref::<Function>() else {
        return Ok(js::text(&js::get(converter, path)));
    };
    let details = Object::new();
    js::set(&details, "index", &(index as f64).into());
    if let Some(bytes) = bytes {
        js::set(&details, "bytes", &(bytes as f64).into());
    }
    let url = cx.settled(function.call2(&JsValue::UNDEFINED, &path.into(), &details)).await?;
    let wrong = || Error::argument("options.weightUrlConverter", format!("it gave no URL for \"{path}\"")).into();
    js::text(&url).map(Some).ok_or_else(wrong)
}

impl Fetched {
    /// Fetches all weight files, and gives the model, and the version of each file.
    ///
    /// # Errors
    /// As [`Http::open`].
    pub async fn weights(&self, requests: &Requests) -> Result<(Model, Vec<Version>)> {
        let lanes = requests.cx.lanes()?;
        let received = parallel::map(&self.shards, lanes, async |_, shard| self.fetch(shard, requests).await).await?;
        let files: Vec<_> =
            self.shards.iter().zip(&received).map(|(shard, file)| Some((&shard.url[..], file.0.bytes))).collect();
        let problems = shard::problems(self.json.groups(), &files);
        if !problems.is_empty() {
            return Err(Error::Files { problems }.into());
        }
        let version = |(shard, (file, _)): (&Shard, &(Received, _))| Version {
            url: shard.url.clone(),
            validator: file.validator.clone(),
        };
        let versions = self.shards.iter().zip(&received).map(version).collect();
        let parts = received.into_iter().flat_map(|(_, parts)| parts).collect();
        let mut model = self.json.with(self.json.groups.as_ref().map(|_| Weights::Parts(parts)))?;
        model.is_counted = true;
        Ok((model, versions))
    }

    /// The model, whose weights are fetched when they are pulled.
    ///
    /// # Errors
    /// As [`Http::open`].
    pub fn stream(&self, cx: &Context) -> Result<Model> {
        // What is read after the call has ended its progress does not see.
        let cx = if cx.flag("stream")? { cx.unseen() } else { cx.shared() };
        let files = Files::new(self.shards.clone(), self.json.groups().to_vec(), cx)?;
        let source = || Weights::Remote(Rc::new(Source(Rc::new(files))));
        let mut model = self.json.with(self.json.groups.as_ref().map(|_| source()))?;
        model.is_counted = true;
        Ok(model)
    }

    async fn fetch(&self, shard: &Shard, requests: &Requests) -> Result<(Received, Vec<Uint8Array>)> {
        let limit = self.json.groups().get(shard.group).and_then(|group| group.bytes);
        let seen = Cell::new(0);
        let mut watch = |file: &Received, new: u64| {
            check(shard, limit, file)?;
            seen.set(seen.get() + new);
            let total = shard.bytes.or(file.length);
            let progress = FileProgress { name: shard.url.clone(), loaded: seen.get(), total };
            requests.cx.advance_file(&progress, new, "read");
            Ok(())
        };
        requests.download(&shard.url, true, Room { exact: shard.bytes, most: limit }, &mut watch).await
    }

    /// Asks with HEAD whether each weight file is still of the version that is known. A server that gave no validators
    /// tells nothing: there the model JSON, which is the same, must do.
    ///
    /// # Errors
    /// The signal's reason.
    pub async fn is_unchanged(&self, known: &[Version], requests: &Requests) -> Result<bool> {
        let urls = known.iter().map(|version| &version.url);
        if !urls.eq(self.shards.iter().map(|shard| &shard.url)) {
            return Ok(false);
        }
        let ask = async |index: usize, shard: &Shard| {
            let Some(Version { validator: Some(then), .. }) = known.get(index) else { return Ok(true) };
            let head = |init: &Object| js::set(init, "method", &"HEAD".into());
            let Ok(response) = requests.send(&shard.url, true, &head).await else {
                return requests.cx.check().map(|()| false);
            };
            let is_there = js::get(&response, "ok").is_truthy();
            let fits = match (shard.bytes, header(&response, "Content-Length"), header(&response, "Content-Encoding")) {
                (Some(bytes), Some(length), None) if js::get(&response, "type") == "basic" => {
                    length == bytes.to_string()
                }
                _ => true,
            };
            Ok(is_there && fits && validator(&response).as_ref() == Some(then))
        };
        let same = parallel::map(&self.shards, requests.cx.lanes()?, ask).await?;
        Ok(same.into_iter().all(|same| same))
    }
}

/// Stops a download that cannot become the weights: a page instead of them, or more bytes than all of its group has.
///
/// # Errors
/// [`Error::Manifest`], [`Error::SizeMismatch`].
pub fn check(shard: &Shard, limit: Option<u64>, file: &Received) -> Result<()> {
    if file.content_type.starts_with("text/html") && file.first == Some(b'<') {
        let expected = match limit {
            Some(bytes) => format!("{bytes} bytes of weights"),
            None => "weights".to_owned(),
        };
        let received = format!("an HTML page of {} bytes", file.length.unwrap_or(file.bytes));
        return Err(Error::manifest(&shard.url, expected, received).into());
    }
    match limit.filter(|limit| file.bytes > *limit) {
        None => Ok(()),
        Some(expected) => {
            let received = file.length.unwrap_or(file.bytes);
            Err(Error::SizeMismatch { file: shard.url.clone(), expected, received }.into())
        }
    }
}

/// All parts in one, copied only when there are several.
fn one(parts: &[Uint8Array]) -> Result<Uint8Array> {
    match parts {
        [part] => Ok(part.clone()),
        parts => js::view(&crate::weights::concat(parts)?),
    }
}

/// The versions as JSON, to be stored with a model.
pub fn versions_to_js(versions: &[Version]) -> Array {
    let row = |version: &Version| {
        let validator = version.validator.as_deref().map_or(JsValue::NULL, JsValue::from);
        JsValue::from(Array::of2(&version.url.as_str().into(), &validator))
    };
    versions.iter().map(row).collect()
}

/// The versions that were stored with a model.
pub fn versions_from_js(versions: &JsValue) -> Vec<Version> {
    let row = |row: JsValue| {
        let mut fields = js::items(&row).into_iter();
        let url = fields.next().and_then(|url| js::text(&url)).unwrap_or_default();
        Version { url, validator: fields.next().and_then(|validator| js::text(&validator)) }
    };
    js::items(versions).into_iter().map(row).collect()
}
