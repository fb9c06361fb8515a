//! The models below a folder, whatever others do to it meanwhile.

use std::collections::VecDeque;

use js_sys::Object;
use wasm_bindgen::JsValue;

use super::disk::{Disk, is_not_found, separators};
use crate::context::Context;
use crate::host;
use crate::js::{self, Failure, Result};

/// A folder that is still to be read.
struct Folder {
    /// Without a slash at the end.
    path: String,
    /// Where the links lead that were followed to it, as the system names those folders.
    trail: Vec<String>,
}

impl Disk {
    /// The folders below this one that hold a model.json, itself as well; and those that cannot be read, each with the reason. One that goes
    /// away meanwhile holds none. Links are followed, but not to where they are in.
    ///
    /// # Errors
    /// The signal's reason.
    pub async fn models_below(&self, root: &str, cx: &Context) -> Result<Vec<(String, Option<Failure>)>> {
        let mut found = Vec::new();
        let mut waiting = VecDeque::from([Folder { path: root.to_owned(), trail: Vec::new() }]);
        while let Some(folder) = waiting.pop_front() {
            cx.check()?;
            let slash = format!("{}/", folder.path);
            let entries = match self.call("readdir", &[&slash.as_str().into(), &with_types()], &slash).await {
                Err(failure) if is_not_found(&failure) => continue,
                Err(failure) => {
                    found.push((folder.path, Some(failure)));
                    continue;
                }
                Ok(entries) => js::items(&entries),
            };
            if entries.iter().any(|entry| js::get(entry, "name") == "model.json") {
                found.push((folder.path.clone(), None));
            }
            for entry in &entries {
                let Some(name) = js::text(&js::get(entry, "name")) else { continue };
                let path = format!("{slash}{name}");
                if is(entry, "isDirectory") {
                    waiting.push_back(Folder { path, trail: folder.trail.clone() });
                } else if is(entry, "isSymbolicLink") {
                    waiting.extend(self.followed(path, &folder).await);
                }
            }
        }
        Ok(found)
    }

    /// The folder that a link leads to, unless it is one in which the link is.
    async fn followed(&self, path: String, from: &Folder) -> Option<Folder> {
        let (target, here) = (self.real(&path).await?, self.real(&format!("{}/", from.path)).await?);
        let is_around = |inner: &String| {
            inner.strip_prefix(&target).is_some_and(|rest| rest.is_empty() || rest.starts_with(separators()))
        };
        if !self.is_folder(&target).await || is_around(&here) || from.trail.iter().any(is_around) {
            return None;
        }
        let trail = from.trail.iter().cloned().chain([here]).collect();
        Some(Folder { path, trail })
    }

    /// The path of a folder, without links.
    async fn real(&self, path: &str) -> Option<String> {
        js::text(&self.call("realpath", &[&path.into()], path).await.ok()?)
    }

    async fn is_folder(&self, path: &str) -> bool {
        self.call("stat", &[&path.into()], path).await.is_ok_and(|stat| is(&stat, "isDirectory"))
    }
}

/// What Node's Dirent or Stats says.
fn is(entry: &JsValue, what: &str) -> bool {
    host::call(entry, what, &[]).is_ok_and(|is| is.is_truthy())
}

/// The option of `readdir` to tell folders, links and files apart.
fn with_types() -> JsValue {
    let options = Object::new();
    js::set(&options, "withFileTypes", &JsValue::TRUE);
    options.into()
}
