//! Faults that once lost a model, or left a promise for ever unsettled: each test showed its fault first.
#![cfg(target_arch = "wasm32")]
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

use js_sys::Promise;
use tfpersist::{list_models, load, move_model, remove_model, save};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, future_to_promise};
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

#[allow(unused_imports, unused_macros, dead_code)]
mod conformance;
use conformance::models::{assert_same, full, sized, streamed};
use conformance::{code, get, js, object, register_custom_store, set};

wasm_bindgen_test_configure!(run_in_browser);

const NONE: JsValue = JsValue::UNDEFINED;

async fn promised(expression: &str, args: &[&JsValue]) -> Result<JsValue, JsValue> {
    JsFuture::from(Promise::from(js(expression, args))).await
}

/// The outcome of a verb, or `"never settled"` after two seconds.
async fn within(work: impl Future<Output = Result<JsValue, JsValue>> + 'static) -> Result<JsValue, JsValue> {
    let late = "Promise.race([a, new Promise((_, late) => setTimeout(() => late('never settled'), 2000))])";
    promised(late, &[&future_to_promise(work)]).await
}

async fn gone(urls: &[&str]) {
    for url in urls {
        remove_model((*url).into(), NONE).await.unwrap();
    }
}

#[wasm_bindgen_test]
async fn a_move_never_takes_an_older_save_for_a_newer_one() {
    for round in 0..20 {
        for scheme in ["localstorage", "indexeddb", "memory"] {
            let url = format!("{scheme}://twice");
            let destination = if scheme == "memory" { "localstorage://moved" } else { "memory://moved" };
            let first = future_to_promise(save(sized(64, 1), (&*url).into(), NONE));
            let second = future_to_promise(save(sized(64, 2), (&*url).into(), NONE));
            JsFuture::from(first).await.unwrap();
            move_model((&*url).into(), destination.into(), NONE).await.unwrap();
            JsFuture::from(second).await.unwrap();
            let at_source = load((&*url).into(), NONE).await;
            let newest = if at_source.is_ok() { at_source } else { load(destination.into(), NONE).await };
            assert_eq!(get(&get(&newest.unwrap(), "modelTopology"), "seed"), 2, "{scheme}, round {round}");
            gone(&[destination]).await;
            let _ = remove_model((&*url).into(), NONE).await;
        }
    }
}

#[wasm_bindgen_test]
async fn a_move_in_local_storage_writes_before_it_removes() {
    save(full(1), "localstorage://from".into(), NONE).await.unwrap();
    let log = js(
        "(() => { const log = []; for (const name of ['setItem', 'removeItem']) { const real = Storage.prototype[name];
            Storage.prototype[name] = function (...args) { log.push(name); return real.apply(this, args); };
            log[name] = real; } return log })()",
        &[],
    );
    let moved = move_model("localstorage://from".into(), "localstorage://to".into(), NONE).await;
    js("Object.assign(Storage.prototype, { setItem: a.setItem, removeItem: a.removeItem })", &[&log]);
    moved.unwrap();
    assert_eq!(
        js("a.join(' ').replaceAll('Item', '')", &[&log]),
        "set set set set set remove remove remove remove remove"
    );
    gone(&["localstorage://to"]).await;
}

/// Registers a store `odd://` whose `method` is replaced.
fn odd_store(method: &str, replacement: &str) {
    register_custom_store();
    let script = format!(
        "(() => {{ const models = new Map(), info = {{ dateSaved: new Date(), modelTopologyType: 'JSON' }};
            const store = {{ save: async (path, artifacts) => void models.set(path, artifacts), load: async (path) => models.get(path),
                list: async () => Object.fromEntries([...models.keys()].map((path) => [path, info])), remove: async (path) => void models.delete(path) }};
            store.{method} = {replacement};
            return {{ saveRouters: [], loadRouters: [], stores: new Map([['odd', store]]) }} }})()"
    );
    tfpersist::use_registry(js(&script, &[]));
}

#[wasm_bindgen_test]
async fn a_store_that_forgets_or_alters_loses_no_model() {
    odd_store("save", "async () => {}");
    save(full(2), "memory://kept".into(), NONE).await.unwrap();
    assert_eq!(code(&move_model("memory://kept".into(), "odd://a".into(), NONE).await), "ERR_NOT_FOUND");
    odd_store(
        "save",
        "async function (path, artifacts) { artifacts.userDefinedMetadata = {}; models.set(path, artifacts) }",
    );
    let outcome = move_model("memory://kept".into(), "odd://a".into(), NONE).await;
    assert_eq!(code(&outcome), "ERR_CORRUPT");
    assert_eq!(get(&outcome.unwrap_err(), "url"), "odd://a");
    // Inside the same store, too.
    odd_store("save", "async function (path, artifacts) { if (path !== 'b') models.set(path, artifacts) }");
    save(full(3), "odd://a".into(), NONE).await.unwrap();
    assert_eq!(code(&move_model("odd://a".into(), "odd://b".into(), NONE).await), "ERR_NOT_FOUND");
    assert_same(&load("odd://a".into(), NONE).await.unwrap(), &full(3));
    assert_same(&load("memory://kept".into(), NONE).await.unwrap(), &full(2));
    gone(&["memory://kept"]).await;
}

#[wasm_bindgen_test]
async fn a_store_that_throws_hides_no_other() {
    odd_store("list", "() => { throw new Error('a broken store') }");
    save(full(4), "memory://seen".into(), NONE).await.unwrap();
    let listed = list_models(NONE, NONE).await.unwrap();
    assert!(get(&listed, "memory://seen").is_object());
    assert_eq!(js("a['odd://'].damage.code", &[&listed]), "ERR_STORAGE");
    gone(&["memory://seen"]).await;
    register_custom_store();
}

#[wasm_bindgen_test]
async fn what_json_cannot_hold_is_not_moved_into_json() {
    let cases = [
        "labels: ['cat', 'dog']",
        "userDefinedMetadata: { m: new Map([[1, 2]]) }",
        "userDefinedMetadata: { x: Infinity }",
    ];
    for entries in cases {
        let model = js(&format!("({{ ...a, {entries} }})"), &[&full(5)]);
        save(model.clone(), "indexeddb://rich".into(), NONE).await.unwrap();
        let outcome = move_model("indexeddb://rich".into(), "localstorage://poor".into(), NONE).await;
        assert_eq!(code(&outcome), "ERR_CORRUPT", "{entries}");
        assert_same(&load("indexeddb://rich".into(), NONE).await.unwrap(), &model);
        assert_eq!(code(&load("localstorage://poor".into(), NONE).await), "ERR_NOT_FOUND", "nothing was written");
        move_model("indexeddb://rich".into(), "memory://rich".into(), NONE).await.unwrap();
        gone(&["memory://rich"]).await;
    }
}

#[wasm_bindgen_test]
async fn an_abort_of_a_move_leaves_both_places_whole() {
    for calls in 1..4 {
        save(full(6), "indexeddb://source".into(), NONE).await.unwrap();
        save(full(7), "memory://destination".into(), NONE).await.unwrap();
        let options = js(
            "(() => { const c = new AbortController(); let n = a; return { signal: c.signal, onProgress() { if (--n === 0) c.abort('stop') } } })()",
            &[&calls.into()],
        );
        let outcome = move_model("indexeddb://source".into(), "memory://destination".into(), options).await;
        let destination = load("memory://destination".into(), NONE).await.unwrap();
        if outcome.is_ok() {
            assert_same(&destination, &full(6));
        } else {
            assert_eq!(outcome, Err("stop".into()));
            assert_same(&destination, &full(7));
            assert_same(&load("indexeddb://source".into(), NONE).await.unwrap(), &full(6));
        }
    }
    let _ = remove_model("indexeddb://source".into(), NONE).await;
    gone(&["memory://destination"]).await;
}

#[wasm_bindgen_test]
async fn listing_and_loading_settle_while_somebody_writes() {
    save(full(8), "indexeddb://busy".into(), NONE).await.unwrap();
    // TF.js locks the infos and the models one after the other; keep the first lock for a while.
    let lock = "new Promise((held) => { const open = indexedDB.open('tensorflowjs'); open.onsuccess = () => {
        const tx = open.result.transaction('model_info_store', 'readwrite'), end = performance.now() + 200;
        const again = () => { if (performance.now() < end) tx.objectStore('model_info_store').get('x').onsuccess = again; };
        tx.oncomplete = () => open.result.close(); again(); held() } })";
    promised(lock, &[]).await.unwrap();
    assert!(get(&within(list_models(NONE, NONE)).await.unwrap(), "indexeddb://busy").is_object());
    promised(lock, &[]).await.unwrap();
    assert_same(&within(load("indexeddb://busy".into(), NONE)).await.unwrap(), &full(8));
    gone(&["indexeddb://busy"]).await;
}

#[wasm_bindgen_test]
async fn a_local_storage_that_throws_rejects_and_recovers() {
    save(full(9), "localstorage://broken".into(), NONE).await.unwrap();
    for method in ["getItem", "setItem"] {
        let real = js("Storage.prototype[a]", &[&method.into()]);
        js(
            "Storage.prototype[a] = () => { throw new DOMException('damaged', 'NS_ERROR_FILE_CORRUPTED') }",
            &[&method.into()],
        );
        let outcomes = [
            within(save(full(10), "localstorage://broken".into(), NONE)).await,
            within(move_model("localstorage://broken".into(), "localstorage://b".into(), NONE)).await,
        ];
        let listed = within(list_models(NONE, NONE)).await;
        js("Storage.prototype[a] = b", &[&method.into(), &real]);
        assert_eq!(outcomes.each_ref().map(code), ["ERR_STORAGE", "ERR_STORAGE"], "{method}");
        assert!(listed.is_ok());
        assert_same(&load("localstorage://broken".into(), NONE).await.unwrap(), &full(9));
    }
    // No lock was left behind.
    within(save(full(10), "localstorage://broken".into(), NONE)).await.unwrap();
    gone(&["localstorage://broken"]).await;
}

#[wasm_bindgen_test]
async fn an_abort_ends_every_wait() {
    let stop_soon = || js("({ signal: AbortSignal.any([AbortSignal.timeout(100)]) })", &[]);
    let is_timeout = |outcome: Result<JsValue, JsValue>| get(&outcome.unwrap_err(), "name") == "TimeoutError";
    let stalled = streamed(&sized(64, 1), "[]");
    set(&stalled, "getWeightStream", js("() => new ReadableStream({ pull() { return new Promise(() => {}) } })", &[]));
    assert!(is_timeout(within(save(stalled, "memory://m".into(), stop_soon())).await), "a stalled stream");
    let silent = js("({ load: () => new Promise(() => {}), save: () => new Promise(() => {}) })", &[]);
    assert!(is_timeout(within(load(silent.clone(), stop_soon())).await), "a silent load handler");
    assert!(is_timeout(within(save(full(11), silent, stop_soon())).await), "a silent save handler");
    // Somebody deletes the database while a connection is open that does not listen: opening has to wait.
    let block = "new Promise((held) => { const open = indexedDB.open('tensorflowjs'); open.onupgradeneeded = () => {
        for (const name of ['models_store', 'model_info_store']) open.result.createObjectStore(name, { keyPath: 'modelPath' }) };
        open.onsuccess = () => { indexedDB.deleteDatabase('tensorflowjs'); held(open.result) } })";
    let connection = promised(block, &[]).await.unwrap();
    assert!(is_timeout(within(load("indexeddb://m".into(), stop_soon())).await), "a database under deletion");
    js("a.close()", &[&connection]);
    assert_eq!(code(&within(load("indexeddb://m".into(), NONE)).await), "ERR_NOT_FOUND");
}

#[wasm_bindgen_test]
async fn a_stream_that_cannot_be_cancelled_is_not_waited_for() {
    let endless = streamed(&sized(64, 1), "[]");
    let stream = "() => new ReadableStream({ pull(c) { c.enqueue(new Uint8Array(100)) }, cancel() { return new Promise(() => {}) } })";
    set(&endless, "getWeightStream", js(stream, &[]));
    assert_eq!(code(&within(save(endless, "memory://m".into(), NONE)).await), "ERR_SIZE_MISMATCH");
}

#[wasm_bindgen_test]
async fn a_model_torn_by_tfjs_can_be_moved() {
    save(full(12), "indexeddb://torn".into(), NONE).await.unwrap();
    // TF.js wrote the new info and died before the new model.
    let newer = "new Promise((done) => { const open = indexedDB.open('tensorflowjs'); open.onsuccess = () => {
        const tx = open.result.transaction('model_info_store', 'readwrite');
        tx.objectStore('model_info_store').put({ modelPath: 'torn', modelArtifactsInfo: { dateSaved: new Date(5e12), modelTopologyType: 'JSON' } });
        tx.oncomplete = () => { open.result.close(); done() } } })";
    promised(newer, &[]).await.unwrap();
    let options = object([("overwrite", JsValue::FALSE)]);
    move_model("indexeddb://torn".into(), "memory://mended".into(), options).await.unwrap();
    assert_same(&load("memory://mended".into(), NONE).await.unwrap(), &full(12));
    assert_eq!(code(&load("indexeddb://torn".into(), NONE).await), "ERR_NOT_FOUND");
    gone(&["memory://mended"]).await;
}

#[wasm_bindgen_test]
async fn a_model_changed_while_the_database_opens_is_checked_again() {
    let model = sized(64, 1);
    let saving = future_to_promise(save(model.clone(), "indexeddb://changed".into(), NONE));
    js("a.weightSpecs[0].shape[0] = 3", &[&model]);
    let outcome = JsFuture::from(saving).await;
    assert_eq!(code(&outcome), "ERR_SIZE_MISMATCH");
    assert_eq!(code(&load("indexeddb://changed".into(), NONE).await), "ERR_NOT_FOUND");
}

#[wasm_bindgen_test]
async fn an_instance_of_a_class_is_saved_with_its_getters() {
    let instance = js(
        "new (class { get modelTopology() { return a.modelTopology } get weightSpecs() { return a.weightSpecs } get weightData() { return a.weightData } format = 'layers-model' })",
        &[&sized(64, 4)],
    );
    for url in ["localstorage://getters", "indexeddb://getters", "memory://getters"] {
        save(instance.clone(), url.into(), NONE).await.unwrap();
        assert_same(&load(url.into(), NONE).await.unwrap(), &sized(64, 4));
        gone(&[url]).await;
    }
}
