//! Node's `fs/promises`, and the few things that are done with it.

use js_sys::{Array, Math, Object, Uint8Array};
use wasm_bindgen::JsValue;

use crate::context::Context;
use crate::error::Error;
use crate::host;
use crate::js::{self, Failure, Result};
use crate::model_files::ModelFile;
use crate::model_json::ModelJson;
use crate::shard::is_inside;
use crate::weights;

/// Bytes that are read at once at the most; Node refuses 2 GiB.
const PIECE: u64 = 1 << 30;

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
        Self { folder: format!("{}/", path.trim_end_matches(['/', '\\'])), json: "model.json".to_owned() }
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

/// What tells one version of a file from another.
#[derive(Clone, Copy, Debug)]
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

impl PartialEq for Stat {
    /// A link more or less does not make another version.
    fn eq(&self, other: &Self) -> bool {
        (self.saved, self.size, self.inode) == (other.saved, other.size, other.inode)
    }
}

/// The disk.
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
        match path.rfind(['/', '\\']).map(|slash| path.split_at(slash + 1)) {
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
        let number = |key| js::get(&stat, key).as_f64().unwrap_or(0.0);
        let is_file = host::call(&stat, "isFile", &[]).is_ok_and(|is_file| is_file.is_truthy());
        let (size, inode, touched) = (host::size(&stat), number("ino"), number("ctimeMs"));
        Ok(Stat { saved: number("mtimeMs"), size, is_file, inode, touched })
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

    /// The bytes of a file, in pieces that Node can read.
    ///
    /// # Errors
    /// As [`Disk::call`]; the signal's reason.
    pub async fn read(&self, file: &str, cx: &Context) -> Result<Vec<Uint8Array>> {
        let url = format!("file://{file}");
        let size = self.stat(file).await?.size;
        if size <= PIECE {
            let bytes = self.call("readFile", &[&file.into()], &url).await?;
            return Ok(vec![js::bytes(&bytes).unwrap_or_default()]);
        }
        let handle = self.call("open", &[&file.into(), &"r".into()], &url).await?;
        let read = async {
            let mut pieces = Vec::new();
            while weights::length(&pieces) < size {
                cx.check()?;
                let at = weights::length(&pieces);
                let piece = js::view(&js::allocate((size - at).min(PIECE))?)?;
                let place: [JsValue; 3] = [0.into(), piece.length().into(), (at as f64).into()];
                let args: [&JsValue; 4] = [&piece, &place[0], &place[1], &place[2]];
                let result = host::settled(host::call(&handle, "read", &args)).await;
                let result = result.map_err(|cause| failure(cause, &url, 0))?;
                let length = js::get(&result, "bytesRead").as_f64().unwrap_or(0.0) as u32;
                if length == 0 {
                    break; // it has become shorter, and its size is checked
                }
                pieces.push(piece.subarray(0, length));
            }
            Ok(pieces)
        }
        .await;
        let _ = host::settled(host::call(&handle, "close", &[])).await;
        read
    }

    /// Dates a file now (the system's own dates are some milliseconds late), but later than the one that it is going to replace, also
    /// where the system counts in seconds: a date tells two saves apart.
    pub async fn date_later(&self, file: &str, replaced: &str) {
        let old = self.stat(replaced).await.map_or(0.0, |stat| stat.saved);
        for step in [1.0, 2000.0] {
            // Half a millisecond more, so that seconds as a fraction are not rounded down to the one before.
            let date = js_sys::Date::now().max(old.floor() + step) + 0.5;
            let date = JsValue::from(date / 1000.0);
            let _ = self.call("utimes", &[&file.into(), &date, &date], file).await;
            if self.stat(file).await.is_ok_and(|stat| stat.saved > old) {
                return;
            }
        }
    }

    /// Writes a weight file under TF.js's name when this is a new model, else under one that nobody has or ever had: a load that is
    /// under way must not find other weights there than those of the model JSON it has read. Either way it is written beside and
    /// then named in one step, so that nothing of ours ever touches a file that another model may need. A link stays beside until
    /// the commit, and is what this gives: a name does not tell whose a file is, and of a process that is killed the sweep finds it by the link.
    ///
    /// # Errors
    /// As [`Disk::call`]; the signal's reason.
    pub async fn write_new(
        &self,
        place: &Place,
        is_new: bool,
        file: &mut ModelFile,
        written: &mut Vec<String>,
        cx: &Context,
        url: &str,
    ) -> Result<String> {
        let beside = self.write_beside(place, file, written, cx, url).await?;
        // A link fails where there is such a file already; and on a file system without links, which is as good.
        let plain = place.of(&file.name);
        if is_new && self.call("link", &[&beside.as_str().into(), &plain.as_str().into()], url).await.is_ok() {
            written.push(plain);
            return Ok(beside);
        }
        let (stem, end) = file.name.rsplit_once('.').unwrap_or((&file.name, "bin"));
        file.name = format!("{stem}.{}.{end}", unique());
        let own = place.of(&file.name);
        written.push(own.clone());
        if self.call("link", &[&beside.as_str().into(), &own.as_str().into()], url).await.is_ok() {
            return Ok(beside);
        }
        self.call("rename", &[&beside.into(), &own.as_str().into()], url).await.map(|_| own)
    }

    /// Writes a file under a name that nobody else has, and gives that name.
    ///
    /// # Errors
    /// As [`Disk::write_new`].
    pub async fn write_beside(
        &self,
        place: &Place,
        file: &ModelFile,
        written: &mut Vec<String>,
        cx: &Context,
        url: &str,
    ) -> Result<String> {
        let beside = place.beside(&file.name);
        let beside = beside.of(&beside.json);
        written.push(beside.clone());
        let options = Object::new();
        js::set(&options, "flag", &"wx".into());
        js::set(&options, "flush", &(cx.durability.as_deref() != Some("relaxed")).into());
        if let Some(signal) = cx.signal() {
            js::set(&options, "signal", signal);
        }
        let parts: Array = file.parts.iter().collect();
        let outcome =
            host::settled(host::call(&self.0, "writeFile", &[&beside.as_str().into(), &parts, &options])).await;
        cx.check()?;
        outcome.map(|_| beside).map_err(|cause| failure(cause, url, file.bytes()))
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
            Err(failure) if !has_code(&failure, &["EEXIST"]) => {
                // No links on this file system.
                self.call("rename", &[&aside.into(), &json.into()], url).await.map(drop)
            }
            _ => {
                self.forget(aside).await;
                Ok(())
            }
        }
    }

    /// Removes a file that nobody needs any more; it may be gone already.
    pub async fn forget(&self, file: &str) {
        let _ = self.call("unlink", &[&file.into()], file).await;
    }

    /// Removes the folders that were made for a model, from its own up to the first that was made, as far as they are empty.
    pub async fn forget_folders(&self, folder: &str, first: &str) {
        let mut folder = folder.trim_end_matches('/');
        let depth = |path: &str| path.trim_end_matches('/').matches(['/', '\\']).count();
        while self.call("rmdir", &[&folder.into()], folder).await.is_ok() && depth(folder) > depth(first) {
            folder = folder.rsplit_once(['/', '\\']).map_or("", |(above, _)| above);
        }
    }
}

/// The absolute path of a model's folder, in one spelling.
pub fn resolved(path: &str) -> Option<String> {
    let process = js::global("process").unwrap_or_default();
    let module = host::call(&process, "getBuiltinModule", &[&"node:path".into()]).ok()?;
    let path = path.strip_suffix("/model.json").unwrap_or(path);
    js::text(&host::call(&module, "resolve", &[&path.into()]).ok()?)
}

/// The option of Node that makes parents, or lists children's children.
pub fn recursive() -> JsValue {
    let options = Object::new();
    js::set(&options, "recursive", &JsValue::TRUE);
    options.into()
}

fn failure(cause: JsValue, url: &str, needed: u64) -> Failure {
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
