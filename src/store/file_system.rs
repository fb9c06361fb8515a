//! `file://`, in Node: a folder with TF.js's model.json and weights.bin. The rename of model.json is the commit: it comes last, and
//! the weights that it names lie under names that no other model has, or had.

use super::{Entry, Store, Which, corrupt};
use crate::artifacts::Model;
use crate::context::{Context, Taken};
use crate::error::Error;
use crate::info::Info;
use crate::js::{self, Failure, Result};
use crate::model_json::ModelJson;
use crate::shard::{self, is_inside};

mod disk;
mod listing;
mod opened;
mod prepared;
mod save;
mod tidy;
mod writing;
use disk::{Disk, Place, Stat};
use prepared::Prepared;
use save::Save;

/// A load begins again so many times when somebody has replaced the model meanwhile.
const ATTEMPTS: u32 = 20;
/// Milliseconds in between.
const PAUSE: u32 = 10;

/// The file system of Node.
#[derive(Clone, Copy, Debug, Default)]
pub struct FileSystem;

impl Store for FileSystem {
    fn scheme(&self) -> &str {
        "file"
    }

    fn is_same(&self, path: &str, other: &str) -> bool {
        path == other || disk::resolved(path).is_some_and(|path| Some(path) == disk::resolved(other))
    }

    fn listed<'a>(&self, path: &'a str) -> &'a str {
        path.strip_suffix("/model.json").unwrap_or(path).trim_end_matches(disk::separators())
    }

    async fn open(&self, path: &str, cx: &Context) -> Result<Model> {
        let (disk, url) = (Disk::new("load")?, self.url(path));
        let place = disk.place(path).await;
        let file = place.of(&place.json);
        for _ in 0..ATTEMPTS {
            let before = disk.stat(&file).await.map_err(|failure| disk::not_found(failure, &url))?;
            let outcome = self.read(&disk, &place, before, &url, cx).await;
            cx.check()?;
            // What was read is of one model if that is still the one that is there, or if nobody else ever had such weight files.
            let is_one = match &outcome {
                Ok(None) => false,
                Ok(Some((_, true))) => true,
                _ => disk.stat(&file).await.ok() == Some(before),
            };
            match outcome {
                Ok(Some((model, _))) if is_one => return Ok(model),
                Err(failure) if is_one => return Err(failure),
                _ => js::sleep(PAUSE).await,
            }
        }
        let why = "somebody saved to it again and again while it was loaded".to_owned();
        Err(Error::Storage { url, why }.into())
    }

    async fn put(&self, path: &str, model: Model, cx: &Context) -> Result<Info> {
        let (disk, url) = (Disk::new("save")?, self.url(path));
        let model = Prepared::of(model, cx).await?;
        let place = Place::folder(path);
        let is_new = match disk.stat(&place.of(&place.json)).await {
            Ok(_) if !cx.overwrite => return Err(Error::AlreadyExists { url }.into()),
            Ok(_) => false,
            Err(failure) if disk::is_not_found(&failure) => true,
            Err(failure) => return Err(failure),
        };
        let made = disk.folder(&place.folder, &url).await?;
        let mut save = Save {
            disk: &disk,
            place: &place,
            url: &url,
            is_new,
            written: Vec::new(),
            linked: Vec::new(),
            alive: js_sys::Date::now(),
        };
        let outcome = save.write(model, cx).await;
        if outcome.is_err() {
            save.withdraw().await;
            if let Some(first) = js::text(&made) {
                disk.forget_folders(&place.folder, &first).await;
            }
        }
        outcome
    }

    async fn list(&self, prefix: &str, cx: &Context) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        if prefix.is_empty() {
            return Ok(entries); // not the whole disk
        }
        let disk = Disk::new("list")?;
        let root = Place::folder(prefix).folder;
        for (folder, failure) in disk.models_below(root.trim_end_matches('/'), cx).await? {
            cx.check()?;
            match failure {
                None => entries.extend(self.entry(&disk, &folder).await),
                Some(failure) => entries.push(Entry::damaged(&folder, reason(&failure, &self.url(&folder)))),
            }
        }
        Ok(entries)
    }

    async fn row(&self, path: &str, _cx: &Context) -> Result<Option<Entry>> {
        let disk = Disk::new("verify")?;
        Ok(self.entry(&disk, path).await)
    }

    async fn remove(&self, path: &str, which: Which, _cx: &Context) -> Result<Option<Entry>> {
        let (disk, url) = (Disk::new("remove")?, self.url(path));
        let place = disk.place(path).await;
        let json = place.of(&place.json);
        let entry = self.entry(&disk, path).await.ok_or_else(|| Error::NotFound { url: url.clone() })?;
        if disk.stat(&json).await.is_ok_and(|stat| !stat.is_file) {
            return Err(Error::manifest(&json, "a file", "something else").into()); // nor what is in it
        }
        if which != Which::Any && !which.is(disk.stat(&json).await.ok().map(|stat| stat.saved)) {
            return Ok(None); // somebody has saved since: that one shall not be missing for a moment
        }
        // Put aside first: what is removed is then what was looked at, whoever saves meanwhile.
        let aside = place.beside(&place.json);
        let moved = disk.call("rename", &[&json.as_str().into(), &aside.of(&aside.json).into()], &url).await;
        moved.map_err(|failure| disk::not_found(failure, &url))?;
        let file = aside.of(&aside.json);
        let meant = disk.stat(&file).await.map(|stat| which.is(Some(stat.saved)));
        if !matches!(meant, Ok(true)) {
            let weights = disk.meant(disk.weights(&aside).await).await;
            disk.put_back(&file, &json, &url).await?;
            disk.forget_rest(&place, weights).await; // where another one has its name by now
            return meant.map(|_| None);
        }
        let weights = disk.meant(disk.weights(&aside).await).await;
        if disk.forget_meant(&place, &weights).await {
            disk.forget(&file).await; // last: of a process that is killed, the sweep finds the weights by it
        }
        disk.forget_rest(&place, weights).await;
        disk.sweep(&place).await;
        disk.forget_folder(&place).await;
        Ok(Some(entry))
    }

    async fn rename(&self, _from: &str, _to: &str, _cx: &Context) -> Result<Option<Info>> {
        Ok(None)
    }
}

impl FileSystem {
    /// The model, and whether all its weight files have names that are theirs for ever; `None` when somebody wrote to it meanwhile.
    async fn read(
        &self,
        disk: &Disk,
        place: &Place,
        stat: Stat,
        url: &str,
        cx: &Context,
    ) -> Result<Option<(Model, bool)>> {
        let json = self.json(disk, place, url).await?;
        if disk.stat(&place.of(&place.json)).await.ok() != Some(stat) {
            return Ok(None); // it is another one than that of which the date is known
        }
        let paths: Vec<&String> = json.groups().iter().flat_map(|group| &group.paths).collect();
        cx.expect(json.weight_bytes());
        // A manifest is not believed before the files bear it out: neither is one read that is too large, nor what has no end.
        let mut sizes = Vec::with_capacity(paths.len());
        for name in &paths {
            sizes.push(self.size(disk, place, url, name).await?);
        }
        check_sizes(&json, &sizes, url)?;
        // Strings: how many bytes there must be only they can tell.
        let is_streamed = (cx.flag("stream")? || cx.taken.get() != Taken::Whole) && json.weight_bytes().is_some();
        let Some((weights, sizes)) = opened::weights(disk, place, url, &paths, is_streamed, cx).await? else {
            return Ok(None);
        };
        check_sizes(&json, &sizes, url)?;
        let mut model = json.with(json.groups.as_ref().map(|_| weights)).map_err(|failure| failure.at_rest(url))?;
        (model.saved, model.is_counted) = (Some(stat.saved), true);
        Ok(Some((model, paths.iter().all(|path| tidy::is_unique(path)))))
    }

    /// Bytes of a weight file.
    async fn size(&self, disk: &Disk, place: &Place, url: &str, name: &str) -> Result<u64> {
        let stat = disk.stat(&place.of(name)).await.map_err(|failure| missing_part(failure, url, name))?;
        // A folder; a device or a pipe would never end.
        if stat.is_file { Ok(stat.size) } else { Err(corrupt(url, name, "a file", "something else").into()) }
    }

    /// The model JSON. None of its weight files lies outside its folder, as far as their paths say; a link in it is its owner's business, and
    /// followed, as TF.js does: the caches of model hubs are made of them.
    async fn json(&self, disk: &Disk, place: &Place, url: &str) -> Result<ModelJson> {
        let file = place.of(&place.json);
        let json = disk.json(&file, url).await.map_err(|failure| disk::not_found(failure, url).at_rest(url))?;
        match json.groups().iter().flat_map(|group| &group.paths).find(|path| !is_inside(path)) {
            None => Ok(json),
            Some(path) => Err(corrupt(url, &file, "weight files below its folder", format!("\"{path}\"")).into()),
        }
    }

    /// A row of a listing; the weights are not read. `None`: nothing is there.
    async fn entry(&self, disk: &Disk, path: &str) -> Option<Entry> {
        let (place, url) = (disk.place(path).await, self.url(path));
        let file = place.of(&place.json);
        let mut tries = 1..ATTEMPTS;
        loop {
            let before = match disk.stat(&file).await {
                Ok(stat) => stat,
                Err(failure) if disk::is_not_found(&failure) => return None,
                Err(failure) => return Some(Entry::damaged(path, reason(&failure, &url))),
            };
            let info = self.info(disk, &place, before, &url).await;
            // What was read is of one model if that is still the one that is there.
            if disk.stat(&file).await.ok() == Some(before) || tries.next().is_none() {
                return Some(match info {
                    Ok(info) => Entry::sound(path, info),
                    Err(failure) => Entry::damaged(path, reason(&failure, &url)),
                });
            }
            js::sleep(PAUSE).await;
        }
    }

    async fn info(&self, disk: &Disk, place: &Place, stat: Stat, url: &str) -> Result<Info> {
        let json = self.json(disk, place, url).await?;
        let mut sizes = Vec::new();
        for name in json.groups().iter().flat_map(|group| &group.paths) {
            sizes.push(self.size(disk, place, url, name).await?);
        }
        check_sizes(&json, &sizes, url)?;
        Ok(json.with(None)?.header.info(sizes.iter().sum())?.saved_at(stat.saved))
    }
}

/// Why a model is damaged.
fn reason(failure: &Failure, url: &str) -> Error {
    let unreadable = || corrupt(url, "model.json", "a model JSON", "something else");
    failure.error().cloned().unwrap_or_else(unreadable)
}

fn check_sizes(json: &ModelJson, sizes: &[u64], url: &str) -> Result<()> {
    let paths = json.groups().iter().flat_map(|group| &group.paths);
    let files: Vec<_> = paths.zip(sizes).map(|(path, size)| Some((&path[..], *size))).collect();
    let problems = shard::problems(json.groups(), &files);
    if problems.is_empty() { Ok(()) } else { Err(Error::Files { problems }.at_rest(url).into()) }
}

fn missing_part(failure: Failure, url: &str, name: &str) -> Failure {
    if disk::is_not_found(&failure) { corrupt(url, name, "a file", "none").into() } else { failure }
}
