//! `http(s)://`: a model to a server, in one multipart request as TF.js sends it, or as files of their own.

use js_sys::{Array, Object};
use wasm_bindgen::{JsCast, JsValue};

use super::http::{Http, RETRIES};
use super::request::Requests;
use crate::artifacts::Model;
use crate::context::Context;
use crate::error::Error;
use crate::host;
use crate::js::{self, Failure, Result};
use crate::model_files::{ModelFile, ModelFiles, Naming, converter_name};
use crate::parallel;
use crate::shard::{self, base_name};
use crate::url::JsonUrl;

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
    cx.expect(Some(files.bytes()));
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
            let _ = js_sys::Reflect::delete_property(&init, &key.into());
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
    let mut files = ModelFiles::in_blobs(model, naming, cx).await?;
    for shard in &mut files.shards {
        let digest = shard.digest(cx).await?;
        shard.name = format!("{}.{digest}.bin", shard.name.strip_suffix(".bin").unwrap_or(&shard.name));
    }
    files.write_json()?;
    cx.expect(Some(files.bytes()));
    let with_blob = |file: &ModelFile| Ok((file.blob()?, file.name.clone(), file.bytes()));
    let shards: Result<Vec<_>> = files.shards.iter().map(with_blob).collect();
    let send_file = async |file: &(JsValue, String, u64)| {
        let (url, init) = place(&file.1, file.2).await?;
        send(&requests, &url, "PUT", &file.0, &init).await
    };
    let put_shard = async |index: usize, blob: &(JsValue, String, u64)| {
        let response = send_file(blob).await?;
        if let Some(file) = files.shards.get(index) {
            file.report(cx, "write");
        }
        Ok::<_, Failure>(response)
    };
    let mut responses = parallel::map(&shards?, cx.lanes()?, put_shard).await?;
    responses.push(send_file(&with_blob(&files.json)?).await?);
    files.json.report(cx, "write");
    requests.keep();
    Ok(answered(&files, responses))
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

fn answered(files: &ModelFiles, responses: Vec<JsValue>) -> JsValue {
    let result = files.saved();
    js::set(&result, "responses", &responses.into_iter().collect::<Array>());
    result.into()
}
