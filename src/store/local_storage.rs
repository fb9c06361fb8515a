//! `localstorage://`: TF.js's five keys, with a checksum in the info, so that a mixture of two saves is found out.

use js_sys::{Array, ArrayBuffer, Date, JsString, Map};
use wasm_bindgen::prelude::*;

use super::{Entry, Store, Which, corrupt};
use crate::artifacts::Model;
use crate::context::Context;
use crate::error::Error;
use crate::info::Info;
use crate::js::{self, Result};
use crate::locks;

mod stored;
use stored::Stored;

#[wasm_bindgen]
extern "C" {
    /// A Storage whose texts stay in JavaScript: web-sys would copy them into wasm memory. Firefox throws from any of
    /// these when its file is damaged.
    #[wasm_bindgen(js_name = Storage)]
    #[derive(Clone)]
    type Texts;
    #[wasm_bindgen(method, catch, js_name = getItem)]
    fn get_item(this: &Texts, key: &str) -> core::result::Result<Option<JsString>, JsValue>;
    #[wasm_bindgen(method, catch, js_name = setItem)]
    fn set_item(this: &Texts, key: &str, value: &JsString) -> core::result::Result<(), JsValue>;
    #[wasm_bindgen(method, catch, js_name = removeItem)]
    fn remove_item(this: &Texts, key: &str) -> core::result::Result<(), JsValue>;
    #[wasm_bindgen(catch, js_namespace = Object)]
    fn keys(storage: &Texts) -> core::result::Result<Array, JsValue>;
}

const PREFIX: &str = "tensorflowjs_models/";
/// The ends of the five keys, in the order in which TF.js writes them. The info goes first:
/// whatever part of a save reaches the disk has the new checksum in it.
const PARTS: [&str; 5] = ["info", "model_topology", "weight_specs", "weight_data", "model_metadata"];
/// A save in another tab reaches this one key by key, each a little later (150 ms were seen), lock or no lock:
/// what looks damaged is looked at again so many times, so many milliseconds apart.
const LOOKS: (u32, u32) = (5, 40);
/// And so many milliseconds before a write, when another tab has left word that it wrote.
const CATCH_UP: f64 = 1000.0;
/// Milliseconds after which a save has come through for certain. Its info, which has the date, comes first.
const YOUNG: f64 = 5000.0;

/// The Local Storage of this origin.
#[derive(Clone, Copy, Debug, Default)]
pub struct LocalStorage;

impl Store for LocalStorage {
    fn scheme(&self) -> &str {
        "localstorage"
    }

    async fn open(&self, path: &str, cx: &Context) -> Result<Model> {
        let (storage, url) = (texts("load")?, self.url(path));
        let mut stored = Stored::of(&storage, path)?;
        for _ in 0..LOOKS.0 {
            let outcome = stored.decode(&url);
            let is_damaged = outcome.as_ref().err().and_then(js::Failure::error);
            if !matches!(is_damaged, Some(Error::Corrupt { .. })) || !is_young(stored.saved()) {
                return outcome;
            }
            js::sleep(LOOKS.1).await;
            cx.check()?;
            stored = Stored::of(&storage, path)?;
        }
        stored.decode(&url)
    }

    async fn put(&self, path: &str, mut model: Model, cx: &Context) -> Result<Info> {
        let (storage, url) = (texts("save")?, self.url(path));
        if cx.durability.as_deref() == Some("strict") {
            let why = "the engine writes Local Storage to the disk when it likes; use indexeddb://".to_owned();
            let operation = "save with durability 'strict'";
            return Err(Error::NotSupported { operation, scheme: self.scheme().into(), why }.into());
        }
        let data = model.join(cx).await?.unwrap_or_else(|| ArrayBuffer::new(0));
        let save = Stored::encode(&model.header, &data)?;
        let _lock = locks::exclusive(&url, cx).await?;
        let noted = self.catch_up(&storage, path, cx).await?;
        cx.check()?;
        let (info, save) = save.dated_after(later(noted, may_replace(&storage, path, &url, cx)?), &url)?;
        replace(&storage, &save.changes(path), &url)?;
        locks::leave_note(&url, saved_at(info.saved), cx).await;
        Ok(info)
    }

    async fn list(&self, _prefix: &str, cx: &Context) -> Result<Vec<Entry>> {
        let storage = texts("list")?;
        let mut entries = self.entries(&storage)?;
        let is_doubtful = |entry: &Entry| entry.damage.is_some() && is_young(entry.saved());
        for _ in 0..LOOKS.0 {
            if !entries.iter().any(is_doubtful) {
                break;
            }
            js::sleep(LOOKS.1).await;
            cx.check()?;
            // Once it was whole, it is: another save may have begun meanwhile.
            let again = |entry| if is_doubtful(&entry) { self.entry(&storage, entry.path) } else { Some(entry) };
            entries = entries.into_iter().filter_map(again).collect();
        }
        Ok(entries)
    }

    async fn row(&self, path: &str, _cx: &Context) -> Result<Option<Entry>> {
        Ok(self.entry(&texts("verify")?, path.to_owned()))
    }

    async fn remove(&self, path: &str, which: Which, cx: &Context) -> Result<Option<Entry>> {
        let (storage, url) = (texts("remove")?, self.url(path));
        let _lock = locks::exclusive(&url, cx).await?;
        self.catch_up(&storage, path, cx).await?;
        cx.check()?;
        let stored = Stored::of(&storage, path)?;
        if stored.is_empty() {
            return Err(Error::NotFound { url }.into());
        }
        let (info, damage) = stored.look(&url);
        let entry = Entry { path: path.to_owned(), info, damage };
        if !which.is(entry.saved()) {
            return Ok(None);
        }
        replace(&storage, &Stored::default().changes(path), &url)?;
        locks::leave_note(&url, removed_at(entry.saved()), cx).await;
        Ok(Some(entry))
    }

    async fn rename(&self, from: &str, to: &str, cx: &Context) -> Result<Option<Info>> {
        let (storage, source, url) = (texts("move")?, self.url(from), self.url(to));
        // Always in the same order, so that two tabs cannot wait for each other.
        let _first = locks::exclusive(&self.url(from.min(to)), cx).await?;
        let _second = locks::exclusive(&self.url(from.max(to)), cx).await?;
        self.catch_up(&storage, from, cx).await?;
        let noted = self.catch_up(&storage, to, cx).await?;
        cx.check()?;
        let stored = Stored::of(&storage, from)?;
        let saved = stored.decode(&source)?.saved;
        let (info, stored) = stored.dated_after(later(noted, may_replace(&storage, to, &url, cx)?), &source)?;
        let (added, removed) = (stored.changes(to), Stored::default().changes(from));
        // The new one first: a browser that is killed in between has the old one still.
        let copied_first = replace(&storage, &[added.clone(), removed.clone()].concat(), &url);
        match &copied_first {
            // No room for two of it. Then what is freed first makes room.
            Err(failure) if matches!(failure.error(), Some(Error::QuotaExceeded { .. })) => {
                replace(&storage, &[removed, added].concat(), &url)?;
            }
            _ => copied_first?,
        }
        locks::leave_note(&source, removed_at(saved), cx).await;
        locks::leave_note(&url, saved_at(info.saved), cx).await;
        Ok(Some(info))
    }
}

/// A note that what was saved at that time is there, or gone again. The greatest is the latest.
fn saved_at(date: f64) -> i64 {
    date as i64 * 2
}

fn removed_at(date: Option<f64>) -> i64 {
    saved_at(date.unwrap_or_else(Date::now)) + 1
}

fn later(noted: Option<f64>, replaced: Option<f64>) -> Option<f64> {
    replaced.into_iter().chain(noted).reduce(f64::max)
}

impl LocalStorage {
    /// Waits, under the lock, until this tab sees what another one did last at a path; gives the date of it. Who wrote without would write
    /// between strings that are still on their way, and leave a mixture of both.
    async fn catch_up(&self, storage: &Texts, path: &str, cx: &Context) -> Result<Option<f64>> {
        let url = self.url(path);
        let Some(first) = locks::last_note(&url, cx).await else { return Ok(None) };
        let (date, start) = ((first.words / 2) as f64, Date::now());
        let mut note = Some(first);
        // The note ends by itself, or with its page; and a tab in the background may sleep for long.
        while let Some(locks::Note { words, is_mine: false }) = note {
            let stored = Stored::of(storage, path)?;
            let is_seen = match words % 2 {
                0 => stored.saved() >= Some((words / 2) as f64) && stored.decode(&url).is_ok(),
                _ => stored.is_empty() || stored.saved() > Some((words / 2) as f64),
            };
            if is_seen || (Date::now() - start).abs() > CATCH_UP {
                break;
            }
            js::sleep(LOOKS.1).await;
            cx.check()?;
            note = locks::last_note(&url, cx).await;
        }
        Ok(Some(date))
    }

    /// All rows, as they are now.
    fn entries(&self, storage: &Texts) -> Result<Vec<Entry>> {
        let found = Map::new();
        let all = keys(storage).map_err(js::storage(&self.url(""), 0))?;
        for key in all.iter().filter_map(|key| js::text(&key)) {
            let Some((path, part)) = key.strip_prefix(PREFIX).and_then(|key| key.rsplit_once('/')) else { continue };
            if PARTS.contains(&part) && !path.is_empty() {
                found.set(&path.into(), &JsValue::UNDEFINED);
            }
        }
        let paths = Array::from(&found.keys());
        Ok(paths.iter().filter_map(|path| self.entry(storage, js::text(&path)?)).collect())
    }

    /// A row, if something is there; a text that cannot be read is damage.
    fn entry(&self, storage: &Texts, path: String) -> Option<Entry> {
        let (info, damage) = match Stored::of(storage, &path) {
            Ok(stored) if stored.is_empty() => return None,
            Ok(stored) => stored.look(&self.url(&path)),
            Err(failure) => (None, failure.error().cloned()),
        };
        Some(Entry { path, info, damage })
    }
}

/// Whether what is damaged may still be on its way from another tab.
fn is_young(saved: Option<f64>) -> bool {
    saved.is_none_or(|saved| (Date::now() - saved).abs() < YOUNG)
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

/// The date of what is to be replaced, if it may be.
fn may_replace(storage: &Texts, path: &str, url: &str, cx: &Context) -> Result<Option<f64>> {
    let stored = Stored::of(storage, path)?;
    if !cx.overwrite && !stored.is_empty() {
        return Err(Error::AlreadyExists { url: url.to_owned() }.into());
    }
    Ok(stored.saved())
}

/// A key and its new text; no text removes it.
type Change = (String, Option<JsString>);

/// Makes all changes, in order, or none. It runs in one task, so no script and no reload can come between.
fn replace(storage: &Texts, changes: &[Change], url: &str) -> Result<()> {
    let length = |text: &Option<JsString>| text.as_ref().map_or(0, |text| u64::from(text.length()));
    let needed = changes.iter().map(|(_, text)| length(text)).sum();
    let mut undo: Vec<(Change, u64)> = Vec::new();
    for (key, text) in changes {
        let made = storage.get_item(key).and_then(|before| {
            apply(storage, key, text.as_ref())?;
            undo.push(((key.clone(), before), length(text)));
            Ok(())
        });
        let Err(cause) = made else { continue };
        // Only what was changed is touched again: first what frees room, then what needs it. One that fails must not keep the
        // others from it, and is tried again.
        let (frees, needs): (Vec<_>, Vec<_>) = undo.into_iter().partition(|((_, old), now)| length(old) <= *now);
        let mut left: Vec<_> = frees.into_iter().chain(needs).collect();
        for _ in 0..2 {
            left.retain(|((key, old), _)| apply(storage, key, old.as_ref()).is_err());
        }
        if let Some(((key, _), _)) = left.first() {
            return Err(corrupt(url, key, "the previous text", "no room to put it back").into());
        }
        return Err(js::storage(url, needed)(cause));
    }
    Ok(())
}

fn apply(storage: &Texts, key: &str, text: Option<&JsString>) -> core::result::Result<(), JsValue> {
    match text {
        Some(text) => storage.set_item(key, text),
        None => storage.remove_item(key),
    }
}
