//! What is tidied up in a model's folder: what a save replaced, and what processes that were killed have left. Never a file that somebody
//! still needs, or that only looks like one of ours.

use super::disk::{Disk, Place, Stat, is_not_found, taken_for_dead};
use crate::js::{self, Result};
use crate::shard::base_name;

/// Milliseconds after which what an ended process was writing is swept away.
const STALE: f64 = 3_600_000.0;
impl Stat {
    /// Whether no process can still be at it.
    fn is_stale(&self) -> bool {
        self.saved.max(self.touched) < js_sys::Date::now() - STALE
    }
}

impl Disk {
    /// Removes weight files that a model JSON named which is gone: those that are called as such files are, that no other model JSON in the
    /// folder names, and that no save is just linking. None, and `false`, if that cannot be told.
    pub async fn forget_weights(&self, place: &Place, files: Vec<String>) -> bool {
        let meant = self.meant(files).await;
        self.forget_meant(place, &meant).await
    }

    /// Weight files as they are before anybody is asked who needs them: what takes the name of one afterwards is somebody's.
    pub async fn meant(&self, files: Vec<String>) -> Vec<(String, Stat)> {
        let mut meant = Vec::new();
        for file in files.into_iter().filter(|file| is_weights(base_name(file))) {
            if let Ok(stat) = self.stat(&file).await {
                meant.push((file, stat));
            }
        }
        meant
    }

    /// The same for those that were somebody's when it was tried before: a save has let go of them since, and left them to us.
    pub async fn forget_rest(&self, place: &Place, meant: Vec<(String, Stat)>) {
        let mut rest = Vec::new();
        for (file, meant) in meant {
            if self.stat(&file).await.is_ok_and(|stat| stat == meant) {
                rest.push((file, meant));
            }
        }
        self.forget_meant(place, &rest).await;
    }

    /// Removes those of them that are still the same, and nobody's.
    pub async fn forget_meant(&self, place: &Place, meant: &[(String, Stat)]) -> bool {
        if meant.is_empty() {
            return true;
        }
        let Ok(names) = self.names(place).await else { return false };
        let (mut needed, mut under_way) = (Vec::new(), Vec::new());
        for json in names {
            if is_unfinished(&json) {
                under_way.extend(self.stat(&place.of(&json)).await.ok().filter(|stat| !stat.is_stale()));
            } else if json.ends_with(".json") {
                match self.named(&Place { folder: place.folder.clone(), json }).await {
                    Ok(named) => needed.extend(named),
                    Err(failure) if is_not_found(&failure) => {}
                    Err(_) => return false,
                }
            }
        }
        // What lies in a folder of its own may be that one's model's.
        let is_ours = |file: &String| !needed.contains(file) && place.of(base_name(file)) == *file;
        for (file, meant) in meant.iter().filter(|(file, _)| is_ours(file)) {
            let is_meant = |stat: Stat| stat == *meant && !under_way.iter().any(|other| other.inode == stat.inode);
            if self.stat(file).await.is_ok_and(is_meant) {
                self.forget(file).await;
            }
        }
        true
    }

    /// The names of what is in the folder.
    async fn names(&self, place: &Place) -> Result<Vec<String>> {
        let names = self.call("readdir", &[&place.folder.as_str().into()], &place.folder).await?;
        Ok(js::items(&names).iter().filter_map(js::text).collect())
    }

    /// Removes what processes that ended in the middle were writing, or were about to remove, when it is old enough that none still
    /// can be at it: what lies beside, and the weights that a model JSON beside names or that are linked to there. A file that only looks
    /// like one of ours is left alone.
    pub async fn sweep(&self, place: &Place) {
        let Ok(names) = self.names(place).await else { return };
        let (mut beside, mut weights) = (Vec::new(), Vec::new());
        for name in names.iter().filter(|name| is_unfinished(name)) {
            let file = place.of(name);
            let Some(stat) = self.stat(&file).await.ok().filter(Stat::is_stale) else { continue };
            beside.push(file);
            if name.contains(".json.") {
                weights.extend(self.weights(&Place { folder: place.folder.clone(), json: name.clone() }).await);
            }
            for other in names.iter().filter(|other| is_weights(other)) {
                let linked = self.stat(&place.of(other)).await;
                weights.extend(linked.ok().filter(|linked| linked.inode == stat.inode).map(|_| place.of(other)));
            }
        }
        let mut old = Vec::new();
        for file in weights {
            match self.stat(&file).await {
                Ok(stat) if stat.is_stale() => old.push(file),
                Ok(_) => return, // somebody has touched it: another time
                Err(_) => {}
            }
        }
        if self.forget_weights(place, old).await {
            for file in beside {
                self.forget(&file).await; // last: by it the weights are found again
            }
        }
    }

    /// Whether somebody has put this model JSON aside.
    pub async fn is_aside(&self, place: &Place, ours: Option<Stat>) -> bool {
        for name in self.names(place).await.unwrap_or_default() {
            if is_unfinished(&name) && self.stat(&place.of(&name)).await.ok().is_some_and(|stat| Some(stat) == ours) {
                return true;
            }
        }
        false
    }

    /// Sees to it that a weight file is there: who removed another model meanwhile may have taken it for that one's.
    ///
    /// # Errors
    /// As [`Disk::call`]; [`crate::Error::Storage`] where there is another one by now.
    pub async fn ensure(&self, file: &str, beside: &str, url: &str) -> Result<()> {
        match self.is_linked(file, beside).await? {
            Some(true) => Ok(()),
            None => self.call("link", &[&beside.into(), &file.into()], url).await.map(drop),
            Some(false) => Err(taken_for_dead(url)),
        }
    }

    /// Whether a file is the one that the link beside is of; `None` where there is no such file.
    ///
    /// # Errors
    /// As [`Disk::call`], when there is no link.
    pub async fn is_linked(&self, file: &str, beside: &str) -> Result<Option<bool>> {
        let ours = self.stat(beside).await?;
        match self.stat(file).await {
            Ok(stat) => Ok(Some(stat.inode == ours.inode)),
            Err(failure) if is_not_found(&failure) => Ok(None),
            Err(failure) => Err(failure),
        }
    }
}

/// `weights.bin`, `weights.{...}.bin`, `group{g}-shard{i}of{n}.bin` and the like.
fn is_weights(name: &str) -> bool {
    name.ends_with(".bin") && (name.contains("weights") || (name.starts_with("group") && name.contains("-shard")))
}

/// Whether it is a weight file under a name that [`unique`] made: `weights.{16 digits}.bin`, `group{g}-shard{i}of{n}.{16 digits}.bin`.
pub fn is_unique(name: &str) -> bool {
    let stem = without_digits(name, ".bin").unwrap_or_default();
    stem == "weights" || (stem.starts_with("group") && stem.contains("-shard"))
}

/// What lies beside under such a name until it gets its own: `{model.json, weights.bin, ...}.{16 digits}.tmp`.
fn is_unfinished(name: &str) -> bool {
    without_digits(name, ".tmp").is_some_and(|name| name.ends_with(".json") || is_weights(name))
}

/// What stands before the digits of [`unique`] and this end.
fn without_digits<'a>(name: &'a str, end: &str) -> Option<&'a str> {
    let (stem, digits) = name.strip_suffix(end)?.rsplit_once('.')?;
    let is_ours = digits.len() == 16 && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    is_ours.then_some(stem)
}
