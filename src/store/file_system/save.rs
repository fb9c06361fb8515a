//! A save into a folder: the weights a piece at a time, under names that nobody else has, and then the model JSON, which makes them a model.

use js_sys::Date;
use wasm_bindgen::JsValue;

use super::disk::{self, Disk, Place, Stat};
use super::prepared::{Prepared, Shard, names, with_paths};
use super::writing::{Source, Writing, transferred};
use crate::context::{Context, FileProgress};
use crate::host;
use crate::info::Info;
use crate::js::{self, Failure, Result};

/// Milliseconds after which a save dates anew what it has written: far less than what is swept away as a dead process's.
const ALIVE: f64 = 600_000.0;

/// A save that is under way.
pub struct Save<'a> {
    /// Where.
    pub disk: &'a Disk,
    /// The folder.
    pub place: &'a Place,
    /// What errors name.
    pub url: &'a str,
    /// There is no model yet.
    pub is_new: bool,
    /// What was made under names that nobody else has, until it is committed.
    pub written: Vec<String>,
    /// What was given a name that others may have later, and its link beside: only by that it is known as ours.
    pub linked: Vec<(String, String)>,
    /// When it was dated last, in milliseconds since 1970.
    pub alive: f64,
}

impl Save<'_> {
    /// Writes all files of a model, the model JSON last, and then removes the old one's weights.
    ///
    /// # Errors
    /// As [`Disk::call`]; what the weights' source says.
    pub async fn write(&mut self, model: Prepared, cx: &Context) -> Result<Info> {
        let Prepared { mut shards, json, json_bytes, info, mut weights } = model;
        for shard in &mut shards {
            shard.beside = self.write_beside(&shard.name, shard.bytes, &mut weights, cx).await?;
        }
        let is_counted = weights.is_counted;
        weights.finish(cx).await?;
        // As late as it can be: TF.js's names others may have, too.
        for shard in &mut shards {
            self.name(shard).await?;
        }
        let json = host::encode(with_paths(&json, &names(&shards))?.as_ref()).map_err(js::thrown)?;
        let bytes = json.length().into();
        let beside = self.write_beside(&self.place.json, bytes, &mut Source::of_own(json), cx).await?;
        let saved = self.commit(&shards, beside, cx).await?;
        if !is_counted {
            cx.advance_whole(&self.place.json, json_bytes, "write");
        }
        Ok(info.saved_at(saved))
    }

    /// Writes a file under a name that nobody else has, and gives that name.
    async fn write_beside(&mut self, name: &str, bytes: u64, source: &mut Source, cx: &Context) -> Result<String> {
        let beside = self.place.beside(name);
        let path = beside.of(&beside.json);
        self.written.push(path.clone());
        let mut tries = 0..disk::TRIES;
        let handle = loop {
            match self.disk.call("open", &[&path.as_str().into(), &"wx".into()], self.url).await {
                // Somebody has removed the model, and its folder.
                Err(failure) if disk::is_not_found(&failure) && self.written.len() == 1 && tries.next().is_some() => {
                    self.disk.folder(&self.place.folder, self.url).await?;
                }
                handle => break handle?,
            }
        };
        let file = Writing { handle, bytes, url: self.url };
        let outcome = self.fill(&file, name, source, cx).await;
        let outcome = match outcome {
            Ok(()) if cx.durability.as_deref() != Some("relaxed") => file.call("sync", &[]).await.map(drop),
            outcome => outcome,
        };
        let closed = file.call("close", &[]).await;
        cx.check()?;
        outcome.and(closed).map(|_| path)
    }

    /// Writes as many bytes as the file shall have.
    async fn fill(&mut self, file: &Writing<'_>, name: &str, source: &mut Source, cx: &Context) -> Result<()> {
        let mut loaded = 0;
        while loaded < file.bytes {
            // Who has too few was checked by the pull: bytes are missing when a buffer lost them.
            let Some(piece) = source.next(file.bytes - loaded, cx).await? else { return Err(transferred()) };
            file.write(&piece).await?;
            cx.check()?;
            source.after.bytes(&piece);
            let bytes = u64::from(piece.length());
            loaded += bytes;
            if !source.is_counted {
                let progress = FileProgress { name: name.to_owned(), loaded, total: Some(file.bytes) };
                cx.advance_file(&progress, bytes, "write");
            }
            self.stay_alive().await;
        }
        Ok(())
    }

    /// Dates what is finished anew, now and then: what is old is swept away as a dead process's.
    async fn stay_alive(&mut self) {
        let now = Date::now();
        if now - self.alive < ALIVE {
            return;
        }
        self.alive = now;
        let date = JsValue::from(now / 1000.0);
        for file in self.written.iter().filter(|file| file.ends_with(".tmp")) {
            let _ = self.disk.call("utimes", &[&file.as_str().into(), &date, &date], self.url).await;
        }
    }

    /// Names a weight file that was written beside: as it is to be called when this is a new model, else as no file is called or ever was.
    /// A load that is under way must not find other weights there than those of the model JSON it has read. It is named in one step, so
    /// that nothing of ours ever touches a file that another model may need. A link stays beside until the commit: a name does not tell
    /// whose a file is, and of a process that is killed the sweep finds it by the link.
    async fn name(&mut self, shard: &mut Shard) -> Result<()> {
        // A link fails where there is such a file already; and on a file system without links, which is as good.
        let plain = self.place.of(&shard.name);
        if self.is_new && self.link(&shard.beside, &plain).await.is_ok() {
            self.linked.push((plain, shard.beside.clone()));
            return Ok(());
        }
        shard.name = disk::unique_name(&shard.name);
        let own = self.place.of(&shard.name);
        self.written.push(own.clone());
        if self.link(&shard.beside, &own).await.is_err() {
            self.rename(&shard.beside, &own).await?;
            shard.beside = own;
        }
        Ok(())
    }

    /// The moment at which the new model is there, and the old one is not; gives its date. All that may fail comes before it.
    async fn commit(&mut self, shards: &[Shard], beside: String, cx: &Context) -> Result<f64> {
        let Self { disk, place, url, .. } = *self;
        let json = place.of(&place.json);
        let ours = disk.date_later(&beside, &json).await;
        let new: Vec<String> = shards.iter().map(|shard| place.of(&shard.name)).collect();
        for (file, shard) in new.iter().zip(shards) {
            disk.ensure(file, &shard.beside, url).await?;
        }
        let old = self.replace(&beside, &json, cx).await?;
        let written = core::mem::take(&mut self.written);
        self.linked.clear();
        for (file, shard) in new.iter().zip(shards) {
            let is_there = match disk.is_linked(file, &shard.beside).await {
                Ok(Some(_)) => true,
                Ok(None) => self.link(&shard.beside, file).await.is_ok(), // it was there just now
                Err(_) => disk.stat(file).await.is_ok(),
            };
            // Who has replaced it since tidied up after it.
            if !is_there && disk.stat(&json).await.ok() == ours {
                return Err(self.take_back(&json, &written, cx).await);
            }
        }
        if cx.durability.as_deref() != Some("relaxed") {
            disk.sync(&place.folder).await;
        }
        self.tidy_up(old, new, ours, written).await;
        Ok(ours.map_or_else(Date::now, |stat| stat.saved))
    }

    /// When it slept so long that a sweep took it for dead, and away what it had written, just when it was committed: the model that it
    /// replaced is there again.
    async fn take_back(&self, json: &str, written: &[String], cx: &Context) -> Failure {
        let aside = written.iter().rfind(|file| cx.overwrite && file.contains(".json."));
        let is_back = match aside {
            Some(aside) => self.rename(aside, json).await.is_ok(),
            None => false,
        };
        if !is_back {
            self.disk.forget(json).await;
        }
        for file in written {
            self.disk.forget(file).await;
        }
        disk::taken_for_dead(self.url)
    }

    /// Removes the weights of the model that was replaced, and the links that told whose the new ones are.
    async fn tidy_up(&self, old: Vec<String>, new: Vec<String>, ours: Option<Stat>, written: Vec<String>) {
        let Self { disk, place, .. } = *self;
        let old = disk.meant(old.into_iter().filter(|file| !new.contains(file)).collect()).await;
        let is_tidy = disk.forget_meant(place, &old).await;
        let is_aside = |file: &str| file.contains(".json.");
        for beside in written.iter().filter(|file| file.ends_with(".tmp") && (is_tidy || !is_aside(file))) {
            disk.forget(beside).await;
        }
        if is_tidy {
            disk.forget_rest(place, old).await;
        }
        // Who has replaced it since could take its weights for those of a save that is under way; now that they are not, they are nobody's.
        let now = disk.stat(&place.of(&place.json)).await;
        let is_gone = now.as_ref().is_err_and(disk::is_not_found);
        if now.ok() != ours && !disk.is_aside(place, ours).await {
            disk.forget_weights(place, new).await;
        }
        disk.sweep(place).await;
        if is_gone {
            disk.forget_folder(place).await; // who has removed it could not, because of us
        }
    }

    /// After a failure: removes what was made.
    pub async fn withdraw(&self) {
        for (file, beside) in &self.linked {
            if matches!(self.disk.is_linked(file, beside).await, Ok(Some(true))) {
                self.disk.forget(file).await;
            }
        }
        for file in &self.written {
            self.disk.forget(file).await;
        }
    }

    /// Gives the model JSON its name, and tells which weights it replaces: those that the one names which was there at the last moment.
    async fn replace(&mut self, beside: &str, json: &str, cx: &Context) -> Result<Vec<String>> {
        let Self { disk, place, .. } = *self;
        if !cx.overwrite {
            // A link fails where there is one already.
            let linked = self.link(beside, json).await;
            return linked.map(|_| Vec::new()).map_err(|failure| disk::already_exists(failure, self.url));
        }
        // Names the old weights until they are gone.
        let aside = place.beside(&place.json);
        let file = aside.of(&aside.json);
        self.written.push(file.clone());
        let mut unlinked = Vec::new();
        if self.link(json, &file).await.is_err() {
            unlinked = disk.weights(place).await;
        } else if matches!(disk.is_linked(json, &file).await, Ok(Some(false))) {
            disk.forget(&file).await; // somebody was quicker, and it is the model of theirs that is replaced
            let _ = self.link(json, &file).await;
        }
        self.rename(beside, json).await?;
        Ok([unlinked, disk.weights(&aside).await].concat())
    }

    async fn link(&self, from: &str, to: &str) -> Result<JsValue> {
        self.disk.call("link", &[&from.into(), &to.into()], self.url).await
    }

    async fn rename(&self, from: &str, to: &str) -> Result<JsValue> {
        self.disk.call("rename", &[&from.into(), &to.into()], self.url).await
    }
}
