//! What every store must do. `url` is a path of the test's own in the store under test. Saves and loads; the rest is in [`super::managing`].

use js_sys::{Array, Date, JSON, Promise};
use tfpersist::{list_models, load, remove_model};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use super::layout::{copy_model, move_model, save};
use super::models::{assert_same, bytes, full, header, in_pieces, json, sized, streamed};
use super::{code, get, js, object, set};

pub(super) const NONE: JsValue = JsValue::UNDEFINED;

pub(super) async fn saved(model: &JsValue, url: &str) -> JsValue {
    save(model.clone(), url.into(), NONE).await.unwrap()
}

pub(super) async fn loaded(url: &str) -> JsValue {
    load(url.into(), NONE).await.unwrap()
}

pub(super) async fn removed(url: &str) {
    remove_model(url.into(), NONE).await.unwrap();
}

/// Folders are not listed unless somebody says which.
pub(super) fn is_file(url: &str) -> bool {
    url.starts_with("file://")
}

pub(super) async fn listed(url: &str) -> JsValue {
    let by_prefix = get(&list_models(url.into(), NONE).await.unwrap(), url);
    if !is_file(url) {
        let among_all = get(&list_models(NONE, NONE).await.unwrap(), url);
        assert_eq!(json(&object([("row", among_all)])), json(&object([("row", by_prefix.clone())])));
    }
    by_prefix
}

pub async fn a_save_loads_as_it_was(url: &str) {
    saved(&full(1), url).await;
    let artifacts = loaded(url).await;
    assert_same(&artifacts, &full(1));
    assert!(get(&artifacts, "weightData").is_instance_of::<js_sys::ArrayBuffer>());
    removed(url).await;
}

pub async fn weights_in_pieces_are_one(url: &str) {
    saved(&in_pieces(&full(2)), url).await;
    assert_same(&loaded(url).await, &full(2));
    let typed = js("({ ...a, weightData: new Uint8Array(a.weightData) })", &[&full(3)]);
    saved(&typed, url).await;
    assert_same(&loaded(url).await, &full(3));
    removed(url).await;
}

pub async fn streamed_weights_are_stored(url: &str) {
    for chunks in ["[a]", "[a.slice(0, 1), new Uint8Array(a, 1, 8), a.slice(9, 9), a.slice(9)]"] {
        saved(&streamed(&full(4), chunks), url).await;
        assert_same(&loaded(url).await, &full(4));
    }
    removed(url).await;
}

pub async fn what_is_absent_stays_absent(url: &str) {
    let part =
        |keys: &str| js("Object.fromEntries(b.split(' ').map((key) => [key, a[key]]))", &[&full(5), &keys.into()]);
    for keys in [
        "modelTopology format",
        "weightSpecs weightData",
        "modelTopology",
        "modelTopology weightSpecs weightData format",
    ] {
        saved(&part(keys), url).await;
        let artifacts = loaded(url).await;
        assert_eq!(header(&artifacts), header(&part(keys)));
        assert_eq!(bytes(&artifacts), bytes(&part(keys)));
    }
    removed(url).await;
}

pub async fn a_save_tells_sizes_and_date(url: &str) {
    let before = Date::now();
    let info = get(&saved(&full(6), url).await, "modelArtifactsInfo");
    let length = |key: &str| JsValue::from(json(&get(&full(6), key)).len() as f64);
    assert_eq!(get(&info, "modelTopologyType"), "JSON");
    if !url.starts_with("custom") {
        assert_eq!(get(&info, "modelTopologyBytes"), length("modelTopology"));
        assert_eq!(get(&info, "weightSpecsBytes"), length("weightSpecs"));
        assert_eq!(get(&info, "weightDataBytes"), 59);
    }
    let date: Date = get(&info, "dateSaved").dyn_into().unwrap();
    assert!((before..=Date::now()).contains(&date.get_time()));
    removed(url).await;
}

pub async fn the_callers_model_is_untouched(url: &str) {
    let model = js(
        "Object.freeze({ ...a, getWeightStream() { throw new Error('weightData comes first') } })",
        &[&in_pieces(&full(7))],
    );
    let (before, parts) = (header(&model), get(&model, "weightData"));
    saved(&model, url).await;
    assert_eq!(header(&model), before);
    assert!(js_sys::Object::is(&get(&model, "weightData"), &parts));
    assert_eq!(bytes(&model), bytes(&full(7)));
    removed(url).await;
}

pub async fn a_stored_model_is_a_copy(url: &str) {
    let model = full(8);
    saved(&model, url).await;
    js("new Uint8Array(a.weightData).fill(0)", &[&model]);
    js("a.userDefinedMetadata.note = 'changed'", &[&model]);
    let first = loaded(url).await;
    assert_same(&first, &full(8));
    js("new Uint8Array(a.weightData).fill(0)", &[&first]);
    assert_same(&loaded(url).await, &full(8));
    removed(url).await;
}

pub async fn overwriting_replaces_everything(url: &str) {
    saved(&full(9), url).await;
    saved(&sized(64, 1), url).await;
    assert_same(&loaded(url).await, &sized(64, 1));
    removed(url).await;
}

pub async fn overwrite_false_refuses(url: &str) {
    let never = || object([("overwrite", JsValue::FALSE)]);
    save(full(10), url.into(), never()).await.unwrap();
    assert_eq!(code(&save(full(11), url.into(), never()).await), "ERR_ALREADY_EXISTS");
    let other = format!("{url} other");
    saved(&full(12), &other).await;
    assert_eq!(code(&move_model((&*other).into(), url.into(), never()).await), "ERR_ALREADY_EXISTS");
    assert_eq!(code(&copy_model((&*other).into(), url.into(), never()).await), "ERR_ALREADY_EXISTS");
    assert_same(&loaded(url).await, &full(10));
    assert_same(&loaded(&other).await, &full(12));
    removed(url).await;
    removed(&other).await;
}

pub async fn bad_models_are_refused_and_nothing_changes(url: &str) {
    saved(&full(13), url).await;
    let spec = |json: &str| js("({ ...a, weightSpecs: [b] })", &[&full(14), &JSON::parse(json).unwrap()]);
    let with = |entries: &str| js(&format!("({{ ...a, {entries} }})"), &[&full(14)]);
    let cases = [
        ("ERR_INVALID_ARGUMENT", JsValue::NULL),
        ("ERR_INVALID_ARGUMENT", "text".into()),
        ("ERR_INVALID_ARGUMENT", with("weightData: 'text'")),
        ("ERR_INVALID_ARGUMENT", with("weightData: [1]")),
        (
            "ERR_INVALID_ARGUMENT",
            with("weightData: (structuredClone(a.weightData, { transfer: [a.weightData] }), a.weightData)"),
        ),
        ("ERR_INVALID_ARGUMENT", with("modelTopology: (() => { const o = {}; o.o = o; return o; })()")),
        ("ERR_INVALID_ARGUMENT", with("modelTopology: new ArrayBuffer(1)")),
        ("ERR_SIZE_MISMATCH", with("weightData: new ArrayBuffer(58)")),
        ("ERR_SIZE_MISMATCH", with("weightData: [a.weightData, new ArrayBuffer(1)]")),
        ("ERR_SIZE_MISMATCH", with("weightData: undefined")),
        ("ERR_MANIFEST", with("weightSpecs: {}")),
        ("ERR_MANIFEST", with("weightSpecs: [null]")),
        ("ERR_MANIFEST", with("weightSpecs: [...a.weightSpecs, a.weightSpecs[0]]")),
        ("ERR_MANIFEST", spec(r#"{"name":"w","shape":[-1],"dtype":"float32"}"#)),
        ("ERR_MANIFEST", spec(r#"{"name":"w","shape":[1.5],"dtype":"float32"}"#)),
        ("ERR_MANIFEST", spec(r#"{"name":"w","shape":[1e15,1e15],"dtype":"float32"}"#)),
        ("ERR_MANIFEST", spec(r#"{"name":"w","shape":"3","dtype":"float32"}"#)),
        ("ERR_MANIFEST", spec(r#"{"name":"w","shape":[1],"dtype":"float64"}"#)),
        ("ERR_MANIFEST", spec(r#"{"shape":[1],"dtype":"float32"}"#)),
        ("ERR_MANIFEST", spec(r#"{"name":"w","shape":[1],"dtype":"float32","quantization":{"dtype":"uint8"}}"#)),
    ];
    for (expected, model) in cases {
        assert_eq!(code(&save(model.clone(), url.into(), NONE).await), expected, "{model:?}");
    }
    assert_same(&loaded(url).await, &full(13));
    removed(url).await;
}

pub async fn bad_streams_are_refused_and_nothing_changes(url: &str) {
    saved(&full(15), url).await;
    let numbers = sized(64, 2);
    let cases = [
        ("ERR_SIZE_MISMATCH", streamed(&numbers, "[a.slice(1)]")),
        ("ERR_SIZE_MISMATCH", streamed(&numbers, "[a, a]")),
        ("ERR_SIZE_MISMATCH", streamed(&full(16), "[a.slice(1)]")),
        ("ERR_INVALID_ARGUMENT", streamed(&numbers, "['text']")),
    ];
    for (expected, model) in cases {
        assert_eq!(code(&save(model, url.into(), NONE).await), expected);
    }
    let failing = streamed(&numbers, "[a.slice(1)]");
    set(&failing, "getWeightStream", js("() => new ReadableStream({ pull(c) { c.error('broken pipe') } })", &[]));
    assert_eq!(save(failing, url.into(), NONE).await, Err("broken pipe".into()));
    assert_same(&loaded(url).await, &full(15));
    removed(url).await;
}

pub async fn unknown_options_are_refused(url: &str) {
    for options in
        ["{ overwrit: true }", "{ overwrite: 1 }", "{ signal: {} }", "{ onProgress: true }", "{ durability: 'sure' }"]
    {
        let options = js(&format!("({options})"), &[]);
        assert_eq!(code(&save(full(17), url.into(), options).await), "ERR_INVALID_ARGUMENT");
    }
    assert_eq!(code(&load(url.into(), NONE).await), "ERR_NOT_FOUND");
}

pub async fn an_abort_rejects_with_its_reason(url: &str) {
    let reason = js("({ any: 'value' })", &[]);
    let aborted = js("({ signal: AbortSignal.abort(a) })", &[&reason]);
    saved(&full(28), url).await;
    let other: JsValue = format!("{url} other").into();
    let outcomes = [
        save(full(29), url.into(), aborted.clone()).await,
        load(url.into(), aborted.clone()).await,
        copy_model(url.into(), other.clone(), aborted.clone()).await,
        move_model(url.into(), other.clone(), aborted.clone()).await,
        remove_model(url.into(), aborted.clone()).await,
        list_models(aborted.clone(), NONE).await,
    ];
    for outcome in outcomes {
        assert_eq!(outcome, Err(reason.clone()));
    }
    assert_same(&loaded(url).await, &full(28));
    assert_eq!(code(&load(other, NONE).await), "ERR_NOT_FOUND");
    removed(url).await;
}

pub async fn an_abort_midway_leaves_the_old_model(url: &str) {
    saved(&sized(400_000, 1), url).await;
    // Before the first await, after a turn of the event loop, and between two chunks of a stream.
    for when in
        ["c.abort('stop')", "setTimeout(() => c.abort('stop'))", "Promise.resolve().then(() => c.abort('stop'))"]
    {
        let abort = js(
            &format!(
                "(() => {{ const c = new AbortController(); return {{ options: {{ signal: c.signal }}, go: () => {{ {when} }} }} }})()"
            ),
            &[],
        );
        let model = sized(400_000, 2);
        let saving = wasm_bindgen_futures::future_to_promise(save(model, url.into(), get(&abort, "options")));
        js("a.go()", &[&abort]);
        let outcome = JsFuture::from(saving).await;
        let expected = if outcome.is_ok() { 2 } else { 1 };
        assert!(outcome.is_ok() || outcome == Err("stop".into()), "{outcome:?}");
        assert_same(&loaded(url).await, &sized(400_000, expected));
        saved(&sized(400_000, 1), url).await;
    }
    let controller = js("new AbortController()", &[]);
    let endless = sized(400, 2);
    js("delete a.weightData", &[&endless]);
    let pull = "() => new ReadableStream({ pull(c) { c.enqueue(new Uint8Array(4)); a.abort('stop') }, cancel() { a.cancelled = true } })";
    set(&endless, "getWeightStream", js(pull, &[&controller]));
    let options = object([("signal", get(&controller, "signal"))]);
    assert_eq!(save(endless, url.into(), options).await, Err("stop".into()));
    assert_eq!(get(&controller, "cancelled"), true);
    assert_same(&loaded(url).await, &sized(400_000, 1));
    removed(url).await;
}

pub async fn progress_never_falls_and_ends_at_one(url: &str) {
    let seen = Array::new();
    let watching = js(
        "({ onProgress: (fraction, detail) => a.push([fraction, detail.loaded, detail.total, detail.phase]) })",
        &[&seen],
    );
    save(in_pieces(&full(30)), url.into(), watching.clone()).await.unwrap();
    js("a.push('load')", &[&seen]);
    load(url.into(), watching.clone()).await.unwrap();
    js("a.push('move')", &[&seen]);
    move_model(url.into(), format!("{url} new").into(), watching).await.unwrap();
    let check = "(() => { for (const run of JSON.stringify(a).split(/,\"(?:load|move)\",/)) {
        const rows = JSON.parse('[' + run.replace(/^\\[(?=\\[)/, '').replace(/\\]\\]$/, ']') + ']');
        const last = rows.at(-1);
        if (last[0] !== 1 || last[3] !== 'done' || rows.slice(0, -1).some((row) => row[0] >= 1)) return JSON.stringify(rows);
        if (rows.some((row, i) => i && row[0] < rows[i - 1][0])) return JSON.stringify(rows);
    } return 'ok' })()";
    assert_eq!(js(check, &[&seen]), "ok");
    let throwing = js("({ onProgress() { throw new Error('a faulty progress bar') } })", &[]);
    save(full(31), format!("{url} new").into(), throwing).await.unwrap();
    assert_same(&loaded(&format!("{url} new")).await, &full(31));
    removed(&format!("{url} new")).await;
}

pub async fn saves_at_once_leave_one_whole_model(url: &str) {
    let saves: Array = (1..=6_u8)
        .map(|seed| wasm_bindgen_futures::future_to_promise(save(sized(40_000, seed), url.into(), NONE)))
        .collect();
    JsFuture::from(Promise::all(&saves)).await.unwrap();
    let artifacts = loaded(url).await;
    let seed = get(&get(&artifacts, "modelTopology"), "seed").as_f64().unwrap() as u8;
    assert_same(&artifacts, &sized(40_000, seed));
    let moves: Array = [" a", " b"]
        .iter()
        .map(|tail| {
            wasm_bindgen_futures::future_to_promise(move_model(url.into(), format!("{url}{tail}").into(), NONE))
        })
        .collect();
    JsFuture::from(Promise::all_settled(&moves)).await.unwrap();
    let mut left = Vec::new();
    for place in [url.to_owned(), format!("{url} a"), format!("{url} b")] {
        if !listed(&place).await.is_undefined() {
            left.push(place);
        }
    }
    assert!(!left.is_empty(), "a move raced by another lost the model");
    for url in left {
        assert_same(&loaded(&url).await, &sized(40_000, seed));
        removed(&url).await;
    }
}
