//! Node's `fs/promises`, and the few things that are done with it.

use js_sys::{Math, Object, Promise};
use wasm_bindgen::JsValue;

use crate::error::Error;
use crate::host::{self, Host};
use crate::js::{self, Failure, Result};
use crate::model_json::ModelJson;
use crate::shard::is_inside;

/// How often a folder is made again that others remove meanwhile.
pub const TRIES: u32 = 20;

/// A model's folder, ending in `/`, and the name of its model JSON.
pub struct Place {
    /// Its folder.
    pub folder: String,
    /// Its model JSON.
    pub json: String,
}

impl Place {
    /// The place of a model whose folder is `path`, or that of the model.json which `path` is.
    pub fn folder(path: &str) -> Self {
        let path = path.strip_suffix("/model.json").unwrap_or(path);
        Self { folder: format!("{}/", path.trim_end_matches(separators())), json: "model.json".to_owned() }
    }

    /// The path of a file in the folder.
    pub fn of(&self, name: &str) -> String {
        format!("{}{}", self.folder, name.trim_start_matches("./"))
    }

    /// The same folder, with a model JSON of a name that nobody else has.
    pub fn beside(&self, name: &str) -> Self {
        Self { folder: self.folder.clone(), json: format!("{name}.{}.tmp", unique()) }
    }
}

/// 16 hexadecimal digits that nobody else has.
fn unique() -> String {
    let half = || (Math::random() * 4_294_967_296.0) as u32;
    format!("{:08x}{:08x}", half(), half())
}

/// A weight file's name, and that nobody else has: `weights.{16 digits}.bin`.
pub fn unique_name(name: &str) -> String {
    let (stem, end) = name.rsplit_once('.').unwrap_or((name, "bin"));
    format!("{stem}.{}.{end}", unique())
}

/// What tells one version of a file from another.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stat {
    /// When it was written, in milliseconds since 1970.
    pub saved: f64,
    /// Its bytes.
    pub size: u64,
    /// It is a file, not a folder, a pipe or a device.
    pub is_file: bool,
    pub(super) inode: f64,
    /// When anything of it changed last, also its name: nobody can set that date.
    pub(super) touched: f64,
}

impl Stat {
    /// What Node says.
    pub fn of(stat: &JsValue) -> Self {
        let number = |key| js::get(stat, key).as_f64().unwrap_or(0.0);
        let is_file = host::call(stat, "isFile", &[]).is_ok_and(|is_file| is_file.is_truthy());
        let (size, inode, touched) = (host::size(stat), number("ino"), number("ctimeMs"));
        Self { saved: number("mtimeMs"), size, is_file, inode, touched }
    }
}

impl PartialEq for Stat {
    /// A link more or less does not make another version.
    fn eq(&self, other: &Self) -> bool {
        (self.saved, self.size, self.inode) == (other.saved, other.size, other.inode)
    }
}

/// The disk.
#[derive(Clone)]
pub struct Disk(JsValue);

impl Disk {
    /// Finds Node's module.
    ///
    /// # Errors
    /// [`Error::NotSupported`] outside of Node.
    pub fn new(operation: &'static str) -> Result<Self> {
        let process = js::global("process").unwrap_or_default();
        let fs = host::call(&process, "getBuiltinModule", &[&"node:fs/promises".into()]);
        let why = || "there are files only in Node (20.16 or later), not in browsers; use indexeddb://".to_owned();
        let missing = || Error::NotSupported { operation, scheme: "file".into(), why: why() }.into();
        fs.ok().filter(JsValue::is_object).map(Disk).ok_or_else(missing)
    }

    /// Calls a function of the module, for who waits for it himself.
    ///
    /// # Errors
    /// What it throws.
    pub fn begin(&self, name: &str, args: &[&JsValue]) -> Host<Promise> {
        js::resolve(&host::call(&self.0, name, args)?)
    }

    /// Calls a function of the module.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`] on a full disk, [`Error::Storage`].
    pub async fn call(&self, name: &str, args: &[&JsValue], url: &str) -> Result<JsValue> {
        host::settled(host::call(&self.0, name, args)).await.map_err(|cause| failure(cause, url, 0))
    }

    /// Where a model is: `path` is its folder, or its model JSON.
    pub async fn place(&self, path: &str) -> Place {
        let folder = Place::folder(path);
        if !path.ends_with(".json") || self.stat(&folder.folder).await.is_ok() {
            return folder;
        }
        match path.rfind(separators()).map(|slash| path.split_at(slash + 1)) {
            Some((folder, json)) => Place { folder: folder.to_owned(), json: json.to_owned() },
            None => Place { folder: "./".to_owned(), json: path.to_owned() },
        }
    }

    /// What is known of a file.
    ///
    /// # Errors
    /// As [`Disk::call`].
    pub async fn stat(&self, file: &str) -> Result<Stat> {
        let stat = self.call("stat", &[&file.into()], &format!("file://{file}")).await?;
        Ok(Stat::of(&stat))
    }

    /// A model JSON.
    ///
    /// # Errors
    /// As [`Disk::call`]; [`Error::Manifest`] for what is none.
    pub async fn json(&self, file: &str, url: &str) -> Result<ModelJson> {
        if !self.stat(file).await?.is_file {
            return Err(Error::manifest(file, "a file", "something else").into());
        }
        let bytes = self.call("readFile", &[&file.into()], url).await?;
        ModelJson::of_bytes(&js::bytes(&bytes).unwrap_or_default(), file)
    }

    /// The weight files of the model that is there, as far as they lie in its folder.
    pub async fn weights(&self, place: &Place) -> Vec<String> {
        self.named(place).await.unwrap_or_default()
    }

    /// The same, but a model JSON that cannot be read is an error; what is none names nothing.
    pub(super) async fn named(&self, place: &Place) -> Result<Vec<String>> {
        let file = place.of(&place.json);
        let groups = match self.json(&file, &file).await {
            Ok(json) => json.groups.unwrap_or_default(),
            Err(failure) if matches!(failure.error(), Some(Error::Manifest { .. })) => Vec::new(),
            Err(failure) => return Err(failure),
        };
        let paths = groups.into_iter().flat_map(|group| group.paths);
        Ok(paths.filter(|path| is_inside(path)).map(|path| place.of(&path)).collect())
    }

    /// Dates a file now (the system's own dates are some milliseconds late), but later than the one that it is going to replace, also
    /// where the system counts in seconds: a date tells two saves apart. Gives what is then known of it.
    pub async fn date_later(&self, file: &str, replaced: &str) -> Option<Stat> {
        let old = self.stat(replaced).await.map_or(0.0, |stat| stat.saved);
        let mut dated = None;
        for step in [1.0, 2000.0] {
            // A part of a millisecond more: seconds as a fraction are not rounded down to the one before, and two saves that replace the same
            // model have two dates.
            let date = js_sys::Date::now().max(old.floor() + step) + 0.25 + Math::random() / 2.0;
            let date = JsValue::from(date / 1000.0);
            let _ = self.call("utimes", &[&file.into(), &date, &date], file).await;
            dated = self.stat(file).await.ok();
            if dated.is_some_and(|stat| stat.saved > old) {
                break;
            }
        }
        dated
    }

    /// Makes the renames in a folder last, where the system can.
    pub async fn sync(&self, folder: &str) {
        if let Ok(handle) = self.call("open", &[&folder.into(), &"r".into()], folder).await {
            let _ = host::settled(host::call(&handle, "sync", &[])).await;
            let _ = host::settled(host::call(&handle, "close", &[])).await;
        }
    }

    /// Gives a model JSON that was put aside its name again; if somebody saved meanwhile, there is another one already, and this one is old.
    ///
    /// # Errors
    /// As [`Disk::call`]: then it is still aside.
    pub async fn put_back(&self, aside: &str, json: &str, url: &str) -> Result<()> {
        match self.call("link", &[&aside.into(), &json.into()], url).await {
            Err(failure) if !has_code(&failure, &["EEXIST"]) && self.stat(json).await.is_err() => {
                // No links on this file system.
                self.call("rename", &[&aside.into(), &json.into()], url).await.map(drop)
            }
            _ => {
                self.forget(aside).await;
                Ok(())
            }
        }
    }

    /// Makes a folder, also when somebody removes it at this moment; gives the first one that was made.
    ///
    /// # Errors
    /// As [`Disk::call`].
    pub async fn folder(&self, folder: &str, url: &str) -> Result<JsValue> {
        let mut tries = 0..TRIES;
        loop {
            match self.call("mkdir", &[&folder.into(), &recursive()], url).await {
                Err(failure) if is_not_found(&failure) && tries.next().is_some() => {}
                made => return made,
            }
        }
    }

    /// Removes a file that nobody needs any more; it may be gone already.
    pub async fn forget(&self, file: &str) {
        let _ = self.call("unlink", &[&file.into()], file).await;
    }

    /// Removes a model's folder; it stays when something else is in it.
    pub async fn forget_folder(&self, place: &Place) {
        let _ = self.call("rmdir", &[&place.folder.as_str().into()], &place.folder).await;
    }

    /// Removes the folders that were made for a model, from its own up to the first that was made, as far as they are empty.
    pub async fn forget_folders(&self, folder: &str, first: &str) {
        let mut folder = folder.trim_end_matches('/');
        let depth = |path: &str| path.trim_end_matches('/').matches(separators()).count();
        while self.call("rmdir", &[&folder.into()], folder).await.is_ok() && depth(folder) > depth(first) {
            folder = folder.rsplit_once(separators()).map_or("", |(above, _)| above);
        }
    }
}

/// What stands between the parts of a path; elsewhere a `\` is a letter of a name.
pub fn separators() -> &'static [char] {
    let process = js::global("process").unwrap_or_default();
    if js::get(&process, "platform") == "win32" { &['/', '\\'] } else { &['/'] }
}

/// The absolute path of a model's folder, in one spelling, and where links lead, as far as it is there.
pub fn resolved(path: &str) -> Option<String> {
    let process = js::global("process").unwrap_or_default();
    let module = |name: &str| host::call(&process, "getBuiltinModule", &[&name.into()]).ok();
    let path = path.strip_suffix("/model.json").unwrap_or(path);
    let path = host::call(&module("node:path")?, "resolve", &[&path.into()]).ok()?;
    js::text(&host::call(&module("node:fs")?, "realpathSync", &[&path]).unwrap_or(path))
}

/// The option of Node that makes parents.
fn recursive() -> JsValue {
    let options = Object::new();
    js::set(&options, "recursive", &JsValue::TRUE);
    options.into()
}

/// What a call of Node's failed with. `needed`: bytes of what was written.
pub fn failure(cause: JsValue, url: &str, needed: u64) -> Failure {
    match js::text(&js::get(&cause, "code")).as_deref() {
        Some("ENOSPC" | "EDQUOT") => {
            let error = Error::QuotaExceeded { url: url.to_owned(), needed, usage: None, quota: None };
            Failure::known(error, Some(cause))
        }
        _ => js::storage(url, needed)(cause),
    }
}

fn has_code(failure: &Failure, codes: &[&str]) -> bool {
    let Failure::Known(known) = failure else { return false };
    known.cause.as_ref().is_some_and(|cause| codes.iter().any(|code| js::get(cause, "code") == *code))
}

/// That what a save had written was swept away.
pub fn taken_for_dead(url: &str) -> Failure {
    let why = "somebody took it for a dead process's, and what it had written is gone".to_owned();
    Error::Storage { url: url.to_owned(), why }.into()
}

/// Whether it failed because there are more files open than the system allows.
pub fn are_too_many(failure: &Failure) -> bool {
    has_code(failure, &["EMFILE", "ENFILE"])
}

/// Whether it failed because there is no such file.
pub fn is_not_found(failure: &Failure) -> bool {
    has_code(failure, &["ENOENT", "ENOTDIR"])
}

/// The same failure, or [`Error::AlreadyExists`].
pub fn already_exists(failure: Failure, url: &str) -> Failure {
    if has_code(&failure, &["EEXIST"]) { Error::AlreadyExists { url: url.to_owned() }.into() } else { failure }
}

/// The same failure, or [`Error::NotFound`].
pub fn not_found(failure: Failure, url: &str) -> Failure {
    if is_not_found(&failure) { Error::NotFound { url: url.to_owned() }.into() } else { failure }
}
