//! What lies in the browser's storage: TF.js's own layout byte for byte, and what happens when it is damaged.
#![cfg(target_arch = "wasm32")]
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

use js_sys::{JSON, Object};
use tfpersist::{list_models, load, move_model, remove_model, save};
use wasm_bindgen::prelude::*;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

#[allow(unused_imports, unused_macros, dead_code)]
mod conformance;
use conformance::models::{assert_same, bytes, full, json, sized};
use conformance::{code, get, js, object};

wasm_bindgen_test_configure!(run_in_browser);

const NONE: JsValue = JsValue::UNDEFINED;
const PARTS: [&str; 5] = ["info", "model_topology", "weight_specs", "weight_data", "model_metadata"];

fn golden() -> JsValue {
    JSON::parse(include_str!("fixtures/tfjs-4.22.0-golden.json")).unwrap()
}

fn key(path: &str, part: &str) -> JsValue {
    format!("tensorflowjs_models/{path}/{part}").into()
}

fn text(path: &str, part: &str) -> JsValue {
    js("localStorage.getItem(a)", &[&key(path, part)])
}

fn write_text(path: &str, part: &str, text: &JsValue) {
    js("b === null ? localStorage.removeItem(a) : localStorage.setItem(a, b)", &[&key(path, part), text]);
}

/// Runs an expression of `models` and `infos`, TF.js's object stores, in one transaction; `a` is the argument.
async fn in_database(expression: &str, argument: &JsValue) -> JsValue {
    let script = format!(
        "new Promise((resolve, reject) => {{
            const open = indexedDB.open('tensorflowjs');
            open.onerror = () => reject(open.error);
            open.onsuccess = () => {{
                const tx = open.result.transaction(['models_store', 'model_info_store'], 'readwrite');
                const models = tx.objectStore('models_store'), infos = tx.objectStore('model_info_store');
                const request = ({expression});
                tx.oncomplete = () => {{ open.result.close(); resolve(request?.result); }};
                tx.onabort = () => reject(tx.error);
            }};
        }})"
    );
    wasm_bindgen_futures::JsFuture::from(js_sys::Promise::from(js(&script, &[argument]))).await.unwrap()
}

#[wasm_bindgen_test]
async fn golden_local_storage_loads_and_is_written_back_to_the_letter() {
    let texts = get(&golden(), "ls");
    for path in ["golden/m1", "plain"] {
        for part in PARTS {
            write_text(path, part, &js("a[b] ?? null", &[&texts, &key(path, part)]));
        }
        let artifacts = load(format!("localstorage://{path}").into(), NONE).await.unwrap();
        assert!(!bytes(&artifacts).is_empty());
        save(artifacts, "localstorage://again".into(), NONE).await.unwrap();
        for part in &PARTS[1..] {
            assert_eq!(text("again", part), text(path, part), "{path} {part}");
        }
        let undated = "(({ dateSaved, checksum, ...rest }) => JSON.stringify(rest))(JSON.parse(a))";
        assert_eq!(js(undated, &[&text("again", "info")]), js(undated, &[&text(path, "info")]));
        for path in [path, "again"] {
            remove_model(format!("localstorage://{path}").into(), NONE).await.unwrap();
        }
    }
    assert_eq!(js("localStorage.length", &[]), 0);
}

#[wasm_bindgen_test]
async fn every_damage_to_local_storage_is_found_and_told_by_part() {
    for part in PARTS {
        let damages =
            ["null", "''", "b.slice(0, -5)", "b + ' '", "'{'", "b.replace(/[0-9]/, (d) => (Number(d) + 1) % 10)"];
        for damage in damages {
            save(full(1), "localstorage://damaged".into(), NONE).await.unwrap();
            save(full(2), "localstorage://sound".into(), NONE).await.unwrap();
            let damaged = js(damage, &[&NONE, &text("damaged", part)]);
            // JSON may end in white space, base64 too: not everything that is different is damaged.
            let harmless = damage == "b + ' '" && matches!(part, "info" | "weight_data");
            write_text("damaged", part, &damaged);
            let outcome = load("localstorage://damaged".into(), NONE).await;
            let moved = move_model("localstorage://damaged".into(), "localstorage://moved".into(), NONE).await;
            if harmless {
                assert_same(&outcome.unwrap(), &full(1));
                remove_model("localstorage://moved".into(), NONE).await.unwrap();
                continue;
            }
            if part == "info" && damage.contains("replace") {
                // Another year in the date is no damage; a changed size or checksum is.
                continue;
            }
            assert_eq!(code(&outcome), "ERR_CORRUPT", "{part} {damage}");
            assert_eq!(code(&moved), "ERR_CORRUPT", "{part} {damage}");
            assert!(!get(&outcome.unwrap_err(), "file").is_undefined());
            let listed = list_models(NONE, NONE).await.unwrap();
            assert!(get(&get(&listed, "localstorage://sound"), "damage").is_undefined());
            assert!(get(&listed, "localstorage://damaged").is_object());
            remove_model("localstorage://damaged".into(), NONE).await.unwrap();
            assert!(text("damaged", part).is_null());
        }
    }
    remove_model("localstorage://sound".into(), NONE).await.unwrap();
}

#[wasm_bindgen_test]
async fn every_mixture_of_two_saves_is_found() {
    save(full(3), "localstorage://a".into(), NONE).await.unwrap();
    save(full(4), "localstorage://b".into(), NONE).await.unwrap();
    for mixture in 1..31_u32 {
        for (index, part) in PARTS.into_iter().enumerate() {
            let path = if mixture & (1 << index) == 0 { "a" } else { "b" };
            write_text("mixed", part, &text(path, part));
        }
        assert_eq!(code(&load("localstorage://mixed".into(), NONE).await), "ERR_CORRUPT", "{mixture:05b}");
    }
    for path in ["a", "b", "mixed"] {
        remove_model(format!("localstorage://{path}").into(), NONE).await.unwrap();
    }
}

#[wasm_bindgen_test]
async fn a_full_local_storage_keeps_the_old_model_to_the_letter() {
    save(full(5), "localstorage://old".into(), NONE).await.unwrap();
    js(
        "(() => { let n = 1 << 20; while (n) { try { localStorage.setItem('fill' + n + Math.random(), 'x'.repeat(n)); } catch { n >>= 1; } } })()",
        &[],
    );
    let snapshot = "JSON.stringify(Object.entries(localStorage).sort())";
    let before = js(snapshot, &[]);
    for url in ["localstorage://old", "localstorage://new"] {
        let error = save(sized(40_000, 1), url.into(), NONE).await.unwrap_err();
        assert_eq!(get(&error, "code"), "ERR_QUOTA_EXCEEDED");
        assert_eq!(get(&error, "name"), "QuotaExceededError");
        assert!(get(&error, "needed").as_f64().unwrap() >= 40_000.0);
        assert!(!get(&error, "cause").is_undefined());
        assert_eq!(js(snapshot, &[]), before);
    }
    save(sized(40_000, 2), "memory://big".into(), NONE).await.unwrap();
    let moved = move_model("memory://big".into(), "localstorage://old".into(), NONE).await;
    assert_eq!(code(&moved), "ERR_QUOTA_EXCEEDED");
    assert_same(&load("memory://big".into(), NONE).await.unwrap(), &sized(40_000, 2));
    // A move inside a full store needs no more room than it frees.
    move_model("localstorage://old".into(), "localstorage://new".into(), NONE).await.unwrap();
    assert_same(&load("localstorage://new".into(), NONE).await.unwrap(), &full(5));
    js("localStorage.clear()", &[]);
}

#[wasm_bindgen_test]
async fn without_the_engines_own_base64_the_texts_are_the_same() {
    // Around the window's edges, where padding could go wrong.
    let sizes = [0, 4, 393_216 - 4, 393_216, 393_216 + 4, 786_432];
    for size in sizes {
        save(sized(size, 7), "localstorage://native".into(), NONE).await.unwrap();
        let engine = js("({ to: Uint8Array.prototype.toBase64, from: Uint8Array.fromBase64 })", &[]);
        js("(delete Uint8Array.prototype.toBase64, delete Uint8Array.fromBase64)", &[]);
        save(sized(size, 7), "localstorage://ours".into(), NONE).await.unwrap();
        let loaded = load("localstorage://native".into(), NONE).await;
        js(
            "(a.to && Object.assign(Uint8Array.prototype, { toBase64: a.to }), a.from && Object.assign(Uint8Array, { fromBase64: a.from }))",
            &[&engine],
        );
        assert_eq!(text("ours", "weight_data"), text("native", "weight_data"), "{size}");
        assert_same(&loaded.unwrap(), &sized(size, 7));
    }
    js("localStorage.clear()", &[]);
}

#[wasm_bindgen_test]
async fn a_strict_save_is_not_promised_by_local_storage() {
    let strict = object([("durability", "strict".into())]);
    assert_eq!(code(&save(full(6), "localstorage://m".into(), strict.clone()).await), "ERR_NOT_SUPPORTED");
    save(full(6), "indexeddb://strict".into(), strict).await.unwrap();
    assert_same(&load("indexeddb://strict".into(), NONE).await.unwrap(), &full(6));
    remove_model("indexeddb://strict".into(), NONE).await.unwrap();
}

#[wasm_bindgen_test]
async fn ghosts_and_damaged_records_are_isolated() {
    save(full(7), "indexeddb://sound".into(), NONE).await.unwrap();
    // What TF.js leaves when its save fails: an info without a model.
    in_database(
        "infos.put({ modelPath: 'ghost', modelArtifactsInfo: { dateSaved: new Date(), modelTopologyType: 'JSON' } })",
        &NONE,
    )
    .await;
    in_database("models.put({ modelPath: 'orphan', modelArtifacts: {} })", &NONE).await;
    let damaged = "models.put({ modelPath: 'damaged', modelArtifacts: { weightSpecs: [{ name: 'w', shape: [3], dtype: 'float32' }], weightData: new ArrayBuffer(8) } }),
        infos.put({ modelPath: 'damaged', modelArtifactsInfo: { dateSaved: 'nonsense' } })";
    in_database(damaged, &NONE).await;
    in_database("models.put({ modelPath: 'empty', modelArtifacts: 7 })", &NONE).await;
    for path in ["ghost", "damaged", "empty"] {
        let error = load(format!("indexeddb://{path}").into(), NONE).await;
        assert_eq!(code(&error), "ERR_CORRUPT", "{path}");
        assert_eq!(
            code(&move_model(format!("indexeddb://{path}").into(), "indexeddb://x".into(), NONE).await),
            "ERR_CORRUPT",
            "{path}"
        );
    }
    let listed = list_models(NONE, NONE).await.unwrap();
    for (path, is_damaged) in [("sound", false), ("ghost", true), ("orphan", true), ("damaged", true)] {
        let row = get(&listed, &format!("indexeddb://{path}"));
        assert_eq!(js("a?.damage?.code", &[&row]) == "ERR_CORRUPT", is_damaged, "{path}");
    }
    for path in ["sound", "ghost", "orphan", "damaged", "empty"] {
        remove_model(format!("indexeddb://{path}").into(), NONE).await.unwrap();
    }
    assert_eq!(
        js(
            "a.length + b.length",
            &[&in_database("models.getAllKeys()", &NONE).await, &in_database("infos.getAllKeys()", &NONE).await]
        ),
        0
    );
}

#[wasm_bindgen_test]
async fn the_record_is_tfjs_own() {
    save(full(8), "indexeddb://record".into(), NONE).await.unwrap();
    let record = in_database("models.get(a)", &"record".into()).await;
    let keys = |value: &JsValue| json(&Object::keys(value.unchecked_ref::<Object>()));
    assert_eq!(keys(&record), r#"["modelPath","modelArtifacts","modelArtifactsInfo"]"#);
    assert_eq!(keys(&get(&record, "modelArtifacts")), keys(&full(8)));
    let info = in_database("infos.get(a)", &"record".into()).await;
    assert_eq!(json(&get(&info, "modelArtifactsInfo")), json(&get(&record, "modelArtifactsInfo")));
    assert!(get(&get(&info, "modelArtifactsInfo"), "dateSaved").is_instance_of::<js_sys::Date>());
    let version = js(
        "new Promise((ok) => { const r = indexedDB.open('tensorflowjs'); r.onsuccess = () => { r.result.close(); ok(r.result.version) } })",
        &[],
    );
    assert_eq!(wasm_bindgen_futures::JsFuture::from(js_sys::Promise::from(version)).await.unwrap(), 1);
    remove_model("indexeddb://record".into(), NONE).await.unwrap();
}

#[wasm_bindgen_test]
async fn no_connection_is_left_open() {
    let url = || JsValue::from("indexeddb://closed");
    let _ = save(sized(64, 1), url(), NONE).await;
    let _ = save(js("({ ...a, userDefinedMetadata: { f() {} } })", &[&sized(64, 1)]), url(), NONE).await;
    let _ = load(url(), NONE).await;
    let _ = load("indexeddb://none".into(), NONE).await;
    let _ = list_models(NONE, NONE).await;
    let _ = remove_model(url(), NONE).await;
    // Deleting the database would be blocked by any open connection.
    let deleted = "new Promise((ok, no) => { const r = indexedDB.deleteDatabase('tensorflowjs'); r.onsuccess = () => ok('deleted'); r.onblocked = () => no('blocked'); r.onerror = () => no(r.error) })";
    let outcome = wasm_bindgen_futures::JsFuture::from(js_sys::Promise::from(js(deleted, &[]))).await;
    assert_eq!(outcome, Ok("deleted".into()));
}
