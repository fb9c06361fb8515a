//! Web Locks, where they exist: a second tab waits its turn.

use js_sys::{Function, Math, Object, Promise};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};

use crate::context::Context;
use crate::js::{self, Result};

/// A lock that is held until this is dropped; or nothing, where there are no locks (plain http).
pub struct Lock(Option<Function>);

impl Drop for Lock {
    fn drop(&mut self) {
        if let Some(release) = self.0.take() {
            // It resolves a promise, which cannot fail.
            let _ = release.call0(&JsValue::UNDEFINED);
        }
    }
}

/// Waits for the lock of that name, for oneself alone.
///
/// # Errors
/// The signal's reason.
pub async fn exclusive(name: &str, cx: &Context) -> Result<Lock> {
    request(name, "exclusive", cx).await
}

/// Waits for the lock of that name, together with others who share it.
///
/// # Errors
/// The signal's reason.
#[cfg(feature = "sharded")]
pub async fn shared(name: &str, cx: &Context) -> Result<Lock> {
    request(name, "shared", cx).await
}

async fn request(name: &str, mode: &str, cx: &Context) -> Result<Lock> {
    let locks = manager();
    let Some(request) = js::method(&locks, "request") else { return Ok(Lock(None)) };
    let mut release = None;
    let held = Promise::new(&mut |resolve, _| release = Some(resolve));
    let granted = Promise::new(&mut |grant, refuse| {
        let held = held.clone();
        let on_grant = Closure::once_into_js(move || {
            let _ = grant.call0(&JsValue::UNDEFINED);
            held
        });
        let options = Object::new();
        js::set(&options, "mode", &mode.into());
        if let Some(signal) = cx.signal() {
            js::set(&options, "signal", signal);
        }
        match request.call3(&locks, &name.into(), &options, &on_grant) {
            Ok(requested) => {
                if let Some(catch) = js::method(&requested, "catch") {
                    let _ = catch.call1(&requested, &refuse);
                }
            }
            Err(error) => {
                let _ = refuse.call1(&JsValue::UNDEFINED, &error);
            }
        }
    });
    match JsFuture::from(granted).await {
        Ok(_) => Ok(Lock(release)),
        // Refused, for example in a document that is being unloaded or has an opaque origin: go on as where there are none.
        Err(_) => cx.check().map(|()| Lock(None)),
    }
}

/// Whether there are locks here.
#[cfg(feature = "sharded")]
pub fn exist() -> bool {
    js::method(&manager(), "request").is_some()
}

/// The names of all locks that are held in this origin; `None` where nobody tells.
pub async fn held(cx: &Context) -> Option<Vec<String>> {
    let locks = manager();
    let query = js::method(&locks, "query")?;
    let answer = cx.settled(query.call0(&locks)).await.ok()?;
    let names = js::items(&js::get(&answer, "held")).into_iter();
    Some(names.filter_map(|lock| js::text(&js::get(&lock, "name"))).collect())
}

fn manager() -> JsValue {
    js::global("navigator").map_or(JsValue::UNDEFINED, |navigator| js::get(&navigator, "locks"))
}

/// Notes begin like this, and no store's URL does.
const NOTE: &str = "tfpersist#";
/// Milliseconds that a note can be read.
const NOTED: u32 = 1000;

thread_local! {
    /// Tells our own notes from others'.
    static HERE: f64 = Math::random();
}

/// Word that was left at a lock.
pub struct Note {
    /// What it says.
    pub words: i64,
    /// Whether it is from here.
    pub is_mine: bool,
}

/// Leaves word for whoever gets the lock of that name next: a lock of another name, which has the words in it. It can be read when this is
/// done, and ends by itself, or with this page.
pub async fn leave_note(name: &str, words: i64, cx: &Context) {
    let note = format!("{NOTE}{}#{words}#{name}", HERE.with(|here| here.to_bits()));
    if let Ok(held) = exclusive(&note, &cx.quiet()).await {
        spawn_local(async move {
            js::sleep(NOTED).await;
            drop(held);
        });
    }
}

/// The note with the greatest words at the lock of that name.
pub async fn last_note(name: &str, cx: &Context) -> Option<Note> {
    let mine = HERE.with(|here| here.to_bits().to_string());
    let notes = held(cx).await?.into_iter().filter_map(|lock| {
        let (whose, rest) = lock.strip_prefix(NOTE)?.split_once('#')?;
        let (words, _) = rest.split_once('#').filter(|(_, of)| *of == name)?;
        Some(Note { words: words.parse().ok()?, is_mine: whose == mine })
    });
    notes.max_by_key(|note| note.words)
}
