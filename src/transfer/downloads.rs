//! `downloads://stem`: the files of a model through clicked links, as TF.js does it, or all in one zip.

use std::cell::RefCell;
use std::collections::VecDeque;

use js_sys::Date;
use wasm_bindgen::{JsCast, JsValue};

use super::zip;
use crate::artifacts::Model;
use crate::context::Context;
use crate::error::Error;
use crate::host;
use crate::js::{self, Result};
use crate::model_files::{ModelFiles, Naming, converter_name};
use crate::shard;

/// Milliseconds between two clicks: Firefox keeps only the last of those that come at once. Chromium only needs a turn of its event loop.
const BETWEEN: f64 = 30.0;
const BETWEEN_IN_CHROMIUM: f64 = 1.0;
/// So many clicks of a page in so many milliseconds: Chromium takes no more than ten in a second.
const MOST: (usize, f64) = (9, 1100.0);
/// Milliseconds after which the links stop working: a person may have to say yes to the second download first.
const REVOKE: u32 = 60_000;

/// Hands the files to the browser and gives the SaveResult. What the browser, or the person, then does with them nobody tells us.
///
/// # Errors
/// [`Error::NotSupported`] where there is no document; as [`ModelFiles::of`].
pub async fn put(stem: &str, model: Model, cx: &Context) -> Result<JsValue> {
    let missing = || Error::NotSupported {
        operation: "save",
        scheme: "downloads".into(),
        why: "only pages can download, there is no document in workers and in Node".into(),
    };
    let document = js::global("document").ok_or_else(missing)?;
    let stem = shard::safe_name(stem);
    let shard_bytes = cx.number("shardBytes", 1)?;
    let (result, files) = if cx.flag("zip")? {
        let shard_bytes = Some(shard_bytes.unwrap_or(shard::DEFAULT_SHARD));
        let naming = Naming { json: "model.json", shard_bytes, prefix: "", shard: &converter_name };
        let files = ModelFiles::in_blobs(model, naming, cx).await?;
        cx.expect(Some(files.bytes()));
        let zipped = zip::write(&files, cx).await?;
        cx.advance(files.bytes(), "write");
        (files.saved(), vec![(format!("{stem}.zip"), zipped, None)])
    } else {
        let name = |number, count| match shard_bytes {
            None => format!("{stem}.weights.bin"),
            Some(_) => format!("{stem}.{}", converter_name(number, count)),
        };
        let naming = Naming { json: &format!("{stem}.json"), shard_bytes, prefix: "./", shard: &name };
        let files = ModelFiles::in_blobs(model, naming, cx).await?;
        cx.expect(Some(files.bytes()));
        let result = files.saved();
        let all = [files.json].into_iter().chain(files.shards);
        let blobs: Result<Vec<_>> = all.map(|file| Ok((file.name.clone(), file.blob()?, Some(file)))).collect();
        (result, blobs?)
    };
    for (name, blob, file) in files {
        my_turn().await;
        cx.check()?;
        click(&document, &name, &blob).map_err(js::storage(&format!("downloads://{stem}"), 0))?;
        if let Some(file) = file {
            file.report(cx, "write");
        }
    }
    Ok(result.into())
}

thread_local! {
    /// When the last clicks of this page were, or will be.
    static CLICKS: RefCell<VecDeque<f64>> = RefCell::default();
}

/// Waits until one more click is not too many, whichever saves the others belong to.
async fn my_turn() {
    let clock = js::global("performance").unwrap_or_default(); // nobody sets it back
    let now = host::call(&clock, "now", &[]).ok().and_then(|now| now.as_f64()).unwrap_or_else(Date::now);
    let between = if host::is_chromium() { BETWEEN_IN_CHROMIUM } else { BETWEEN };
    let turn = CLICKS.with_borrow_mut(|clicks| {
        let after_last = clicks.back().map_or(now, |last| last + between);
        let after_many = clicks.front().filter(|_| clicks.len() == MOST.0).map_or(now, |first| first + MOST.1);
        let turn = now.max(after_last).max(after_many);
        if clicks.len() == MOST.0 {
            clicks.pop_front();
        }
        clicks.push_back(turn);
        turn
    });
    if turn > now {
        js::sleep((turn - now) as u32).await;
    }
}

/// Clicks a link to the blob, which is revoked later, even if nobody waits for that.
fn click(document: &JsValue, name: &str, blob: &JsValue) -> host::Host<()> {
    let class = js::global("URL").unwrap_or_default();
    let url = host::call(&class, "createObjectURL", &[blob])?;
    let clicked = click_link(document, name, &url);
    let revoke = host::call(&js::get(&class, "revokeObjectURL"), "bind", &[&class, &url])?;
    // What nobody could click holds its bytes for nothing.
    host::later(if clicked.is_ok() { REVOKE } else { 0 }, revoke.unchecked_ref());
    clicked
}

fn click_link(document: &JsValue, name: &str, url: &JsValue) -> host::Host<()> {
    let link = host::call(document, "createElement", &[&"a".into()])?;
    js::set(link.unchecked_ref(), "download", &name.into());
    js::set(link.unchecked_ref(), "href", url);
    host::call(&link, "dispatchEvent", &[&host::construct("MouseEvent", &[&"click".into()])?])?;
    Ok(())
}
