//! `http(s)://`: a model to a server, in one multipart request as TF.js sends it, or as files of their own.

use futures_util::future::try_join;
use js_sys::{Array, Object, Promise, Reflect};
use wasm_bindgen::{JsCast, JsValue};

use super::http::Http;
use super::request::{RETRIES, Requests};
use crate::artifacts::Model;
use crate::context::Context;
use crate::error::Error;
use crate::host;
use crate::js::{self, Failure, Result};
use crate::model_files::{Coming, ModelFile, ModelFiles, Naming, converter_name};
use crate::parallel;
use crate::shard::{self, base_name};
use crate::url::JsonUrl;

/// Milliseconds that an answer may take, after its status, to say all.
const PATIENCE: u32 = 5_000;

/// Bytes that the digest of a shard, and a dot, will add to its name, and so to the model JSON.
const DIGEST: u64 = 17;

/// Sends the model and gives the SaveResult, whose `responses` are the server's answers.
///
/// # Errors
/// [`Error::HttpStatus`], [`Error::Network`], the signal's reason; as [`ModelFiles::of`].
pub async fn put(to: &Http, model: Model, cx: &Context) -> Result<JsValue> {
    if cx.flag("files")? {
        let (url, _) = to.url.split_once(['?', '#']).unwrap_or((&to.url, ""));
        let json = Some(base_name(url)).filter(|name| !name.is_empty()).unwrap_or("model.json");
        let beside = async |name: &str, _| Ok((JsonUrl::cut(&to.url).beside(None, name), Object::new()));
        return put_files(model, json, beside, cx).await;
    }
    let requests = Requests::new(cx, 0)?;
    let name = |_, _| "model.weights.bin".to_owned();
    let naming = Naming { json: "model.json", shard_bytes: None, prefix: "./", shard: &name };
    let files = ModelFiles::in_blobs(model, naming, cx).await?;
    let form = host::construct("FormData", &[]).map_err(js::thrown)?;
    let fields = cx.options.some("fieldNames").unwrap_or_default();
    for (key, file) in [("modelJSON", Some(&files.json)), ("weights", files.shards.first())] {
        let Some(file) = file else { continue };
        let field = js::text(&js::get(&fields, key)).unwrap_or_else(|| file.name.clone());
        host::call(&form, "append", &[&field.into(), &file.blob()?, &file.name.as_str().into()]).map_err(js::thrown)?;
    }
    cx.expect_last(files.bytes());
    let response = send(&requests, &to.url, "POST", &form, &Object::new()).await?;
    cx.advance(files.bytes(), "write");
    requests.keep();
    Ok(answered(&files, vec![response]))
}

/// Sends the model to an object store: each file by PUT, to the URL that the caller's `sign(name, bytes)` gives for it.
///
/// # Errors
/// As [`put`].
pub async fn put_signed(sign: &JsValue, model: Model, cx: &Context) -> Result<JsValue> {
    let signed = async |name: &str, bytes: u64| {
        let sign: &js_sys::Function = sign.unchecked_ref();
        let answer = cx.settled(sign.call2(&JsValue::UNDEFINED, &name.into(), &(bytes as f64).into())).await?;
        let init = Object::new();
        if answer.is_object() {
            Object::try_assign(&init, answer.unchecked_ref()).map_err(js::thrown)?;
        }
        let url = js::text(&answer).or_else(|| js::text(&js::get(&init, "url")));
        for key in ["url", "signal", "body"] {
            let _ = Reflect::delete_property(&init, &key.into());
        }
        let url = url.ok_or_else(|| Error::argument("sign", format!("it gave no URL for \"{name}\"")))?;
        Ok((url, init))
    };
    put_files(model, "model.json", signed, cx).await
}

/// The shards, a few at a time and under names that no other bytes have, and then the model JSON: a reader sees the whole
/// old model or the whole new one. `place` gives the URL of a file, and what is its own in the RequestInit.
async fn put_files(
    model: Model,
    json: &str,
    place: impl AsyncFn(&str, u64) -> Result<(String, Object)>,
    cx: &Context,
) -> Result<JsValue> {
    let requests = Requests::new(cx, RETRIES)?;
    let shard_bytes = Some(cx.number("shardBytes", 1)?.unwrap_or(shard::DEFAULT_SHARD));
    let naming = Naming { json, shard_bytes, prefix: "", shard: &converter_name };
    let (is_counted, lanes) = (model.is_counted, cx.lanes()?);
    let (mut files, coming) = ModelFiles::in_turn(model, naming, cx).await?;
    let bytes = files.bytes() + DIGEST * files.shards.len() as u64;
    match coming {
        Some(_) if is_counted => cx.expect_written(bytes),
        Some(_) => cx.expect(Some(bytes)),
        None => cx.expect_last(bytes),
    }
    let send_file = async |file: &Leaving| {
        let (url, init) = place(&file.name, file.bytes).await?;
        let response = send(&requests, &url, "PUT", &file.blob, &init).await?;
        cx.advance_whole(&file.name, file.bytes, "write");
        Ok::<_, Failure>(response)
    };
    let send_shard = async |_, file: &Leaving| read(send_file(file).await?, cx).await;
    let mut queue = Queue { shards: core::mem::take(&mut files.shards).into_iter(), coming, lanes, names: Vec::new() };
    let mut responses = Vec::new();
    let mut leaving = queue.next(cx).await?;
    while !leaving.is_empty() {
        // The next ones are read while these are sent.
        let (sent, next) = try_join(parallel::map(&leaving, lanes, send_shard), queue.next(cx)).await?;
        responses.extend(sent);
        leaving = next;
    }
    files.write_json(&queue.names)?;
    responses.push(send_file(&Leaving::of(&files.json)?).await?);
    requests.keep();
    Ok(answered(&files, responses))
}

/// A file that is about to be sent.
struct Leaving {
    name: String,
    bytes: u64,
    blob: JsValue,
}

impl Leaving {
    fn of(file: &ModelFile) -> Result<Self> {
        Ok(Self { name: file.name.clone(), bytes: file.bytes(), blob: file.blob()? })
    }
}

/// The shards that are still to be sent.
struct Queue {
    shards: std::vec::IntoIter<ModelFile>,
    /// Their bytes, unless they have them.
    coming: Option<Coming>,
    lanes: usize,
    /// Those of all that have left.
    names: Vec<String>,
}

impl Queue {
    /// The next ones: all that are here, so that nobody changes them meanwhile, and as many as are sent at a time of those that come.
    async fn next(&mut self, cx: &Context) -> Result<Vec<Leaving>> {
        let most = if self.coming.is_some() { self.lanes } else { usize::MAX };
        let mut leaving = Vec::new();
        while leaving.len() < most
            && let Some(mut shard) = self.shards.next()
        {
            if let Some(coming) = &mut self.coming {
                shard.parts = coming.next(cx).await?;
            }
            let digest = shard.digest(cx).await?;
            shard.name = format!("{}.{digest}.bin", shard.name.strip_suffix(".bin").unwrap_or(&shard.name));
            self.names.push(shard.name.clone());
            leaving.push(Leaving::of(&shard)?);
        }
        if let Some(coming) = &mut self.coming
            && leaving.is_empty()
        {
            coming.finish(cx).await?;
        }
        Ok(leaving)
    }
}

/// One request with a body, tried again where that may help.
async fn send(requests: &Requests, url: &str, method: &str, body: &JsValue, own: &Object) -> Result<JsValue> {
    let mut tries = 0;
    loop {
        let change = |init: &Object| {
            if js::get_some(init, "method").is_none() {
                js::set(init, "method", &method.into());
            }
            Object::assign(init, own);
            js::set(init, "body", body);
        };
        let refused = match requests.send(url, false, &change).await {
            Ok(response) => match requests.check(url, &response).await {
                Ok(()) => return Ok(response),
                Err(refused) => refused,
            },
            Err(refused) => refused,
        };
        requests.again(refused, &mut tries).await?;
    }
}

/// The same answer with its body at hand. Until somebody has read it, engines keep what the request has sent: Node all, and Chromium up to
/// 500 MiB, after which every request fails. What cannot be read stays as it is.
async fn read(response: JsValue, cx: &Context) -> Result<JsValue> {
    if js::global("Response").is_none_or(|kind| js::get(&response, "constructor") != kind) {
        return Ok(response); // a `fetchFunc`'s own
    }
    let alarm = host::Alarm::new(PATIENCE);
    let body = host::call(&response, "arrayBuffer", &[]).map_err(js::thrown)?;
    let read = Promise::race(&Array::of2(&alarm.rings, &body));
    let Ok(body) = cx.settled(Ok(read.into())).await else { return cx.check().map(|()| response) };
    if body.is_undefined() {
        return Ok(response);
    }
    let init = Object::new();
    js::set(&init, "headers", &js::get(&response, "headers"));
    let Ok(read) = host::construct("Response", &[&body, &init]) else { return Ok(response) };
    for key in ["status", "statusText", "url"] {
        let property = Object::new();
        js::set(&property, "value", &js::get(&response, key));
        let _ = Reflect::define_property(read.unchecked_ref::<Object>(), &key.into(), &property); // nothing forbids it
    }
    Ok(read)
}

fn answered(files: &ModelFiles, responses: Vec<JsValue>) -> JsValue {
    let result = files.saved();
    js::set(&result, "responses", &responses.into_iter().collect::<Array>());
    result.into()
}
