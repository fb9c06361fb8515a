//! `file://`, in Node: a folder with TF.js's model.json and weights.bin. The rename of model.json is the commit: it comes last,
//! and the weights that it names lie under names that the old one does not use.

use js_sys::{Array, Date, Object, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};

use super::{Entry, Store, Which, corrupt};
use crate::artifacts::Model;
use crate::context::{Context, FileProgress};
use crate::digest;
use crate::error::Error;
use crate::host;
use crate::info::Info;
use crate::js::{self, Failure, Result};
use crate::model_files::{ModelFile, ModelFiles, Naming, converter_name};
use crate::model_json::ModelJson;
use crate::parallel;
use crate::shard::{self, is_inside};
use crate::weights::Weights;

/// A load begins again so many times when another process has replaced the model meanwhile.
const ATTEMPTS: u32 = 3;

/// The file system of Node.
#[derive(Clone, Copy, Debug, Default)]
pub struct FileSystem;

impl Store for FileSystem {
    fn scheme(&self) -> &str {
        "file"
    }

    async fn open(&self, path: &str, cx: &Context) -> Result<Model> {
        let disk = Disk::new("load")?;
        for attempt in 1.. {
            let place = disk.place(path).await;
            match self.read(&disk, &place, path, cx).await {
                // The old weights are gone: what is there now?
                Err(failure) if attempt < ATTEMPTS && is_missing_part(&failure) => cx.check()?,
                outcome => return outcome,
            }
        }
        Err(Error::NotFound { url: self.url(path) }.into())
    }

    async fn put(&self, path: &str, model: Model, cx: &Context) -> Result<Info> {
        let (disk, url) = (Disk::new("save")?, self.url(path));
        let folder = path.trim_end_matches(['/', '\\']);
        let place = Place { folder: format!("{folder}/"), json: "model.json".to_owned() };
        if !cx.overwrite && disk.stat(&place.of(&place.json)).await.is_ok() {
            return Err(Error::AlreadyExists { url }.into());
        }
        let shard_bytes = cx.number("shardBytes", 1)?;
        let made = disk.call("mkdir", &[&folder.into(), &recursive()], &url).await?;
        let mut written = Vec::new();
        let outcome = async {
            let plain = |file: &ModelFile, number: usize, count: usize| match shard_bytes {
                None => "weights.bin".to_owned(),
                Some(_) => converter_name(file, number, count),
            };
            let naming = Naming { json: &place.json, shard_bytes, prefix: "", shard: &plain };
            let mut files = ModelFiles::of(model, naming, cx).await?;
            cx.expect(Some(files.bytes()));
            for shard in &mut files.shards {
                disk.write_new(&place, shard, &mut written, cx, &url).await?;
                shard.report(cx, "write");
            }
            files.write_json()?; // it names the shards as they are now called
            disk.commit(&place, &files, &mut written, cx, &url).await?;
            files.json.report(cx, "write");
            Ok(files.info)
        }
        .await;
        match outcome {
            Ok(info) => Ok(info.saved_at(disk.saved(&place).await)),
            Err(failure) => {
                for file in written {
                    disk.forget(&file).await;
                }
                if !made.is_undefined() {
                    let _ = disk.call("rmdir", &[&folder.into()], &url).await;
                }
                Err(failure)
            }
        }
    }

    async fn list(&self, prefix: &str, cx: &Context) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        if prefix.is_empty() {
            return Ok(entries); // not the whole disk
        }
        let (disk, url) = (Disk::new("list")?, self.url(prefix));
        let folder = prefix.trim_end_matches(['/', '\\']);
        let names = match disk.call("readdir", &[&format!("{folder}/").into(), &recursive()], &url).await {
            Err(failure) if is_not_found(&failure) => return Ok(entries),
            names => Array::from(&names?),
        };
        for name in names.iter().filter_map(|name| js::text(&name)) {
            cx.check()?;
            let name = name.replace('\\', "/");
            let below = match name.rsplit_once('/') {
                Some((below, "model.json")) => format!("/{below}"),
                None if name == "model.json" => String::new(),
                _ => continue,
            };
            entries.push(self.entry(&disk, &format!("{folder}{below}")).await);
        }
        Ok(entries)
    }

    async fn remove(&self, path: &str, which: Which, _cx: &Context) -> Result<Option<Entry>> {
        let (disk, url) = (Disk::new("remove")?, self.url(path));
        let place = disk.place(path).await;
        let saved = disk.stat(&place.of(&place.json)).await.map_err(|failure| not_found(failure, &url))?;
        if !which.is(Some(saved)) {
            return Ok(None);
        }
        let mut entry = self.entry(&disk, path).await;
        let weights = disk.weights(&place).await;
        disk.call("unlink", &[&place.of(&place.json).into()], &url).await?;
        entry.path = path.to_owned();
        for file in weights {
            disk.forget(&file).await;
        }
        // It stays when something else is in it.
        let _ = disk.call("rmdir", &[&place.folder.as_str().into()], &url).await;
        Ok(Some(entry))
    }

    async fn rename(&self, _from: &str, _to: &str, _cx: &Context) -> Result<Option<Info>> {
        Ok(None)
    }
}

impl FileSystem {
    async fn read(&self, disk: &Disk, place: &Place, path: &str, cx: &Context) -> Result<Model> {
        let url = self.url(path);
        let file = place.of(&place.json);
        let saved = disk.stat(&file).await.map_err(|failure| not_found(failure, &url))?;
        let text = disk.call("readFile", &[&file.as_str().into(), &"utf8".into()], &url).await?;
        let json = ModelJson::parse(text.unchecked_ref(), &file).map_err(|failure| failure.at_rest(&url))?;
        let paths: Vec<&String> = json.groups().iter().flat_map(|group| &group.paths).collect();
        if let Some(outside) = paths.iter().find(|path| !is_inside(path)) {
            return Err(corrupt(&url, &file, "weight files below its folder", format!("\"{outside}\"")).into());
        }
        cx.expect(json.groups().iter().map(|group| group.bytes).sum());
        let read = async |_: usize, name: &&String| {
            let bytes = disk.call("readFile", &[&place.of(name).into()], &url).await;
            let bytes = bytes.map_err(|failure| missing_part(failure, &url, name))?;
            let bytes = js::bytes(&bytes).unwrap_or_default();
            let size = u64::from(bytes.length());
            cx.advance_file(&FileProgress { name: (*name).clone(), loaded: size, total: Some(size) }, size, "read");
            cx.check()?;
            Ok::<_, Failure>(bytes)
        };
        let parts: Vec<Uint8Array> = parallel::map(&paths, cx.lanes()?, read).await?;
        let sizes: Vec<_> =
            paths.iter().zip(&parts).map(|(path, part)| Some((&path[..], u64::from(part.length())))).collect();
        let problems = shard::problems(json.groups(), &sizes);
        if !problems.is_empty() {
            return Err(Error::Files { problems }.at_rest(&url).into());
        }
        let weights = json.groups.as_ref().map(|_| Weights::Parts(parts));
        let mut model = json.with(weights).map_err(|failure| failure.at_rest(&url))?;
        (model.saved, model.is_counted) = (Some(saved), true);
        Ok(model)
    }

    /// A row of a listing; the weights are not read.
    async fn entry(&self, disk: &Disk, path: &str) -> Entry {
        let (place, url) = (disk.place(path).await, self.url(path));
        let known = async {
            let file = place.of(&place.json);
            let text = disk.call("readFile", &[&file.as_str().into(), &"utf8".into()], &url).await?;
            let json = ModelJson::parse(text.unchecked_ref(), &file).map_err(|failure| failure.at_rest(&url))?;
            let mut weight_bytes = 0;
            for name in json.groups().iter().flat_map(|group| &group.paths) {
                let stat = disk.call("stat", &[&place.of(name).into()], &url).await;
                weight_bytes += host::size(&stat.map_err(|failure| missing_part(failure, &url, name))?);
            }
            let info = json.with(None)?.header.info(weight_bytes)?.saved_at(disk.saved(&place).await);
            Ok::<_, Failure>(Info { specs_bytes: digest::utf8_length(&json.specs_text()?), ..info })
        };
        match known.await {
            Ok(info) => Entry::sound(path, info),
            Err(failure) => {
                let unreadable = || corrupt(&url, "model.json", "a model JSON", "something else");
                Entry::damaged(path, failure.error().cloned().unwrap_or_else(unreadable))
            }
        }
    }
}

/// A model's folder, ending in `/`, and the name of its model JSON.
struct Place {
    folder: String,
    json: String,
}

impl Place {
    fn of(&self, name: &str) -> String {
        format!("{}{}", self.folder, name.trim_start_matches("./"))
    }
}

/// Node's `fs/promises`.
struct Disk(JsValue);

impl Disk {
    fn new(operation: &'static str) -> Result<Self> {
        let process = js::global("process").unwrap_or_default();
        let fs =
            host::call(&process, "getBuiltinModule", &[&"node:fs/promises".into()]).ok().filter(JsValue::is_object);
        let why = || "there are files only in Node (20.16 or later), not in browsers; use indexeddb://".to_owned();
        fs.map(Disk).ok_or_else(|| Error::NotSupported { operation, scheme: "file".into(), why: why() }.into())
    }

    async fn call(&self, name: &str, args: &[&JsValue], url: &str) -> Result<JsValue> {
        let needed = 0;
        host::settled(host::call(&self.0, name, args)).await.map_err(|cause| disk_failure(cause, url, needed))
    }

    /// Where a model is: `path` is its folder, or its model JSON.
    async fn place(&self, path: &str) -> Place {
        let folder = path.trim_end_matches(['/', '\\']);
        let is_json = path.ends_with(".json") && self.stat(&format!("{folder}/")).await.is_err();
        match path.rfind(['/', '\\']).map(|slash| path.split_at(slash + 1)).filter(|_| is_json) {
            Some((folder, json)) => Place { folder: folder.to_owned(), json: json.to_owned() },
            None if is_json => Place { folder: "./".to_owned(), json: path.to_owned() },
            None => Place { folder: format!("{folder}/"), json: "model.json".to_owned() },
        }
    }

    /// When a file was written, in milliseconds since 1970.
    async fn stat(&self, file: &str) -> Result<f64> {
        let stat = self.call("stat", &[&file.into()], file).await?;
        Ok(js::get(&stat, "mtimeMs").as_f64().unwrap_or(0.0))
    }

    async fn saved(&self, place: &Place) -> f64 {
        self.stat(&place.of(&place.json)).await.unwrap_or_else(|_| Date::now())
    }

    /// The weight files of the model that is there, as far as they lie in its folder.
    async fn weights(&self, place: &Place) -> Vec<String> {
        let file = place.of(&place.json);
        let text = self.call("readFile", &[&file.as_str().into(), &"utf8".into()], &file).await;
        let json = text.and_then(|text| ModelJson::parse(text.unchecked_ref(), &file));
        let groups = json.map(|json| json.groups.unwrap_or_default()).unwrap_or_default();
        let paths = groups.into_iter().flat_map(|group| group.paths);
        paths.filter(|path| is_inside(path)).map(|path| place.of(&path)).collect()
    }

    /// Writes a weight file under its name or, when that is taken, under one that has a checksum of its bytes in it. Either way it is
    /// written beside and then named in one step, so that nothing of ours ever touches a file that another model may need.
    async fn write_new(
        &self,
        place: &Place,
        file: &mut ModelFile,
        written: &mut Vec<String>,
        cx: &Context,
        url: &str,
    ) -> Result<()> {
        let beside = self.write_beside(place, file, written, cx, url).await?;
        // A link fails where there is such a file already; and on a file system without links, which is as good.
        if self.call("link", &[&beside.as_str().into(), &place.of(&file.name).into()], url).await.is_ok() {
            written.push(place.of(&file.name));
            self.forget(&beside).await;
            return Ok(());
        }
        let (stem, end) = file.name.rsplit_once('.').unwrap_or((&file.name, "bin"));
        file.name = format!("{stem}.{}.{end}", file.digest());
        // One that is there already has the same bytes, and may be the old model's: it is not ours to remove if we fail.
        let is_new = self.stat(&place.of(&file.name)).await.is_err();
        self.call("rename", &[&beside.into(), &place.of(&file.name).into()], url).await?;
        if is_new {
            written.push(place.of(&file.name));
        }
        Ok(())
    }

    /// Puts the new model JSON in the place of the old one, which is the commit, and then removes the weights that only the old one names.
    async fn commit(
        &self,
        place: &Place,
        files: &ModelFiles,
        written: &mut Vec<String>,
        cx: &Context,
        url: &str,
    ) -> Result<()> {
        let beside = self.write_beside(place, &files.json, written, cx, url).await?;
        let old = self.weights(place).await;
        self.call("rename", &[&beside.into(), &place.of(&place.json).into()], url).await?;
        if cx.durability.as_deref() != Some("relaxed") {
            self.sync(&place.folder).await;
        }
        let new: Vec<String> = files.shards.iter().map(|shard| place.of(&shard.name)).collect();
        for file in old.iter().filter(|file| !new.contains(file)) {
            self.forget(file).await;
        }
        Ok(())
    }

    /// Writes a file under a name that nobody else has, and gives that name.
    async fn write_beside(
        &self,
        place: &Place,
        file: &ModelFile,
        written: &mut Vec<String>,
        cx: &Context,
        url: &str,
    ) -> Result<String> {
        let random = (js_sys::Math::random() * 2_f64.powi(52)) as u64;
        let beside = place.of(&format!("{}.{random:x}.tmp", file.name));
        written.push(beside.clone());
        self.write(&beside, file, cx, url).await?;
        Ok(beside)
    }

    async fn write(&self, name: &str, file: &ModelFile, cx: &Context, url: &str) -> Result<()> {
        let options = Object::new();
        js::set(&options, "flag", &"wx".into());
        js::set(&options, "flush", &(cx.durability.as_deref() != Some("relaxed")).into());
        if let Some(signal) = cx.signal() {
            js::set(&options, "signal", signal);
        }
        let parts: Array = file.parts.iter().collect();
        let outcome = host::settled(host::call(&self.0, "writeFile", &[&name.into(), &parts, &options])).await;
        cx.check()?;
        outcome.map(drop).map_err(|cause| disk_failure(cause, url, file.bytes()))
    }

    /// Makes the renames in a folder last, where the system can.
    async fn sync(&self, folder: &str) {
        if let Ok(handle) = self.call("open", &[&folder.into(), &"r".into()], folder).await {
            let _ = host::settled(host::call(&handle, "sync", &[])).await;
            let _ = host::settled(host::call(&handle, "close", &[])).await;
        }
    }

    /// Removes a file that nobody needs any more; it may be gone already.
    async fn forget(&self, file: &str) {
        let _ = self.call("unlink", &[&file.into()], file).await;
    }
}

fn recursive() -> JsValue {
    let options = Object::new();
    js::set(&options, "recursive", &JsValue::TRUE);
    options.into()
}

fn disk_failure(cause: JsValue, url: &str, needed: u64) -> Failure {
    match js::text(&js::get(&cause, "code")).as_deref() {
        Some("ENOSPC" | "EDQUOT") => {
            let error = Error::QuotaExceeded { url: url.to_owned(), needed, usage: None, quota: None };
            Failure::known(error, Some(cause))
        }
        _ => js::storage(url, needed)(cause),
    }
}

fn has_code(failure: &Failure, code: &str) -> bool {
    let Failure::Known(known) = failure else { return false };
    known.cause.as_ref().is_some_and(|cause| js::get(cause, "code") == code)
}

fn is_not_found(failure: &Failure) -> bool {
    has_code(failure, "ENOENT") || has_code(failure, "ENOTDIR")
}

fn not_found(failure: Failure, url: &str) -> Failure {
    if is_not_found(&failure) { Error::NotFound { url: url.to_owned() }.into() } else { failure }
}

fn missing_part(failure: Failure, url: &str, name: &str) -> Failure {
    if is_not_found(&failure) { corrupt(url, name, "a file", "none").into() } else { failure }
}

fn is_missing_part(failure: &Failure) -> bool {
    matches!(failure.error(), Some(Error::Corrupt { received, .. }) if received == "none")
}
