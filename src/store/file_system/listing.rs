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
    /// A link leads to it, or to a folder around it.
    is_linked: bool,
}

impl Disk {
    /// The folders below this one that hold a model.json, itself as well; and those that cannot be read, each with the reason. One that goes
    /// away meanwhile holds none. Links are followed, but not to where they are in; those behind links only to what nothing else leads to: of
    /// ten folders with links to each other there are a million ways.
    ///
    /// # Errors
    /// The signal's reason.
    pub async fn models_below(&self, root: &str, cx: &Context) -> Result<Vec<(String, Option<Failure>)>> {
        let mut found = Vec::new();
        let mut reached: Vec<_> = self.real(&format!("{root}/")).await.into_iter().collect();
        let mut waiting = VecDeque::from([Folder { path: root.to_owned(), is_linked: false }]);
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
                    waiting.push_back(Folder { path, is_linked: folder.is_linked });
                } else if is(entry, "isSymbolicLink")
                    && let Some(target) = self.target(&path, &slash).await
                    && !(folder.is_linked && reached.iter().any(|reached| is_in(&target, reached)))
                {
                    reached.push(target);
                    waiting.push_back(Folder { path, is_linked: true });
                }
            }
        }
        Ok(found)
    }

    /// The folder that a link leads to, unless it is one in which the link is.
    async fn target(&self, link: &str, from: &str) -> Option<String> {
        let (target, from) = (self.real(link).await?, self.real(from).await?);
        (self.is_folder(&target).await && !is_in(&from, &target)).then_some(target)
    }

    /// The path of a folder, without links.
    async fn real(&self, path: &str) -> Option<String> {
        js::text(&self.call("realpath", &[&path.into()], path).await.ok()?)
    }

    async fn is_folder(&self, path: &str) -> bool {
        self.call("stat", &[&path.into()], path).await.is_ok_and(|stat| is(&stat, "isDirectory"))
    }
}

/// Whether a folder is another one, or in it.
fn is_in(inner: &str, outer: &str) -> bool {
    inner
        .strip_prefix(outer.trim_end_matches(separators()))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(separators()))
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
