//! What every store must do with what is stored: list, verify, copy, move, remove. `url` is as in [`super::verbs`].

use js_sys::Date;
use tfpersist::{list_models, load, remove_model, verify};
use wasm_bindgen::prelude::*;

use super::layout::{copy_model, move_model, save};
use super::models::{assert_same, full, json, sized};
use super::verbs::{NONE, is_file, listed, loaded, removed, saved};
use super::{code, get, js, object, set};

pub async fn listing_shows_what_is_there(url: &str) {
    assert!(listed(url).await.is_undefined());
    let info = get(&saved(&full(18), url).await, "modelArtifactsInfo");
    let row = listed(url).await;
    assert!(get(&row, "dateSaved").is_instance_of::<Date>());
    assert!(get(&row, "damage").is_undefined());
    assert_eq!(get(&row, "modelTopologyType"), "JSON");
    if !url.starts_with("custom") {
        assert_eq!(json(&row), json(&info));
    }
    removed(url).await;
    assert!(listed(url).await.is_undefined());
}

pub async fn verifying_tells_as_a_listing_does(url: &str) {
    assert_eq!(code(&verify(url.into(), NONE).await), "ERR_NOT_FOUND");
    saved(&full(15), url).await;
    let (row, all) = (verify(url.into(), NONE).await.unwrap(), object([("verify", JsValue::TRUE)]));
    assert!(get(&row, "damage").is_undefined());
    assert_eq!(json(&row), json(&listed(url).await));
    assert_eq!(json(&row), json(&get(&list_models(url.into(), all).await.unwrap(), url)));
    removed(url).await;
}

pub async fn any_path_works(url: &str) {
    let tails = [
        "/a/b",
        "/info",
        " and spaces",
        "/ünï/模型/😀",
        "://x://y",
        "?v=1&w=a/b",
        "/__proto__",
        "'\"\\\n\u{0}",
        "/model_topology",
    ];
    let tails = tails.iter().filter(|tail| !is_file(url) || !tail.contains('\0')); // which no file system has
    for tail in tails.clone() {
        saved(&full(19), &format!("{url}{tail}")).await;
    }
    saved(&full(20), &js("a.split('://')[0] + '://__proto__'", &[&url.into()]).as_string().unwrap()).await;
    for tail in tails {
        let url = format!("{url}{tail}");
        assert!(listed(&url).await.is_object(), "{url}");
        assert_same(&loaded(&url).await, &full(19));
        removed(&url).await;
        assert!(listed(&url).await.is_undefined(), "{url}");
    }
    let proto = js("a.split('://')[0] + '://__proto__'", &[&url.into()]).as_string().unwrap();
    assert_same(&loaded(&proto).await, &full(20));
    removed(&proto).await;
    let empty = js("a.split('://')[0] + '://'", &[&url.into()]);
    assert_eq!(code(&save(full(19), empty, NONE).await), "ERR_INVALID_URL");
    let half = js("a + '\\ud800'", &[&url.into()]);
    assert_eq!(code(&save(full(19), half, NONE).await), "ERR_INVALID_URL");
}

pub async fn what_is_missing_is_not_found(url: &str) {
    let other = format!("{url} other");
    assert_eq!(code(&load(url.into(), NONE).await), "ERR_NOT_FOUND");
    assert_eq!(code(&remove_model(url.into(), NONE).await), "ERR_NOT_FOUND");
    assert_eq!(code(&copy_model(url.into(), (&*other).into(), NONE).await), "ERR_NOT_FOUND");
    assert_eq!(code(&move_model(url.into(), (&*other).into(), NONE).await), "ERR_NOT_FOUND");
    assert!(listed(&other).await.is_undefined());
}

pub async fn removing_removes_one(url: &str) {
    let other = format!("{url}/info");
    saved(&full(21), url).await;
    saved(&full(22), &other).await;
    let gone = remove_model(url.into(), NONE).await.unwrap();
    assert!(get(&gone, "dateSaved").is_instance_of::<Date>());
    assert_eq!(code(&load(url.into(), NONE).await), "ERR_NOT_FOUND");
    assert_same(&loaded(&other).await, &full(22));
    removed(&other).await;
}

pub async fn copying_keeps_the_source(url: &str) {
    let copy = format!("{url} copy");
    saved(&full(23), url).await;
    let info = copy_model(url.into(), (&*copy).into(), NONE).await.unwrap();
    assert!(get(&info, "dateSaved").is_instance_of::<Date>());
    assert_same(&loaded(url).await, &full(23));
    assert_same(&loaded(&copy).await, &full(23));
    removed(url).await;
    removed(&copy).await;
}

pub async fn moving_leaves_no_source(url: &str) {
    let new = format!("{url} new");
    saved(&full(24), url).await;
    let info = move_model(url.into(), (&*new).into(), NONE).await.unwrap();
    assert!(get(&info, "dateSaved").is_instance_of::<Date>());
    assert_eq!(code(&load(url.into(), NONE).await), "ERR_NOT_FOUND");
    assert!(listed(url).await.is_undefined() && listed(&new).await.is_object());
    assert_same(&loaded(&new).await, &full(24));
    removed(&new).await;
}

pub async fn moving_replaces_the_destination(url: &str) {
    let new = format!("{url} new");
    saved(&full(25), url).await;
    saved(&sized(400, 3), &new).await;
    move_model(url.into(), (&*new).into(), NONE).await.unwrap();
    assert_same(&loaded(&new).await, &full(25));
    removed(&new).await;
}

pub async fn between_stores_models_stay_whole(url: &str) {
    saved(&full(26), "memory://between").await;
    copy_model("memory://between".into(), url.into(), NONE).await.unwrap();
    assert_same(&loaded(url).await, &full(26));
    if url.starts_with("memory") {
        return removed(url).await;
    }
    move_model(url.into(), "memory://back".into(), NONE).await.unwrap();
    assert_eq!(code(&load(url.into(), NONE).await), "ERR_NOT_FOUND");
    move_model("memory://back".into(), url.into(), NONE).await.unwrap();
    assert_same(&loaded(url).await, &full(26));
    removed(url).await;
}

pub async fn a_move_that_would_lose_something_changes_nothing(url: &str) {
    let source = "memory://all of it";
    for part in ["({ a: NaN })", "({ a: new Map([[1, 2]]) })", "new Float32Array(2)", "({ a: [1n] })"] {
        for key in ["userDefinedMetadata", "aKeyThatTensorFlowDoesNotKnow"] {
            let model = sized(400, 5);
            set(&model, key, js(part, &[]));
            saved(&model, source).await;
            saved(&full(28), url).await;
            let keeps_json_only = ["localstorage", "file"].iter().any(|scheme| url.starts_with(scheme));
            let moved = move_model(source.into(), url.into(), NONE).await;
            if keeps_json_only {
                assert!(["ERR_CORRUPT", "ERR_INVALID_ARGUMENT"].contains(&&*code(&moved)), "{part} in {key}");
                assert_same(&loaded(url).await, &full(28));
            } else if moved.is_ok() {
                assert_eq!(code(&load(source.into(), NONE).await), "ERR_NOT_FOUND");
                saved(&loaded(url).await, source).await;
            }
            let kept = get(&loaded(source).await, key);
            let name = |value: &JsValue| get(&get(value, "constructor"), "name");
            assert_eq!(name(&kept), name(&js(part, &[])), "{part} in {key}");
        }
    }
    removed(url).await;
    removed(source).await;
}

pub async fn the_same_place_twice_is_refused(url: &str) {
    saved(&full(27), url).await;
    assert_eq!(code(&copy_model(url.into(), url.into(), NONE).await), "ERR_INVALID_ARGUMENT");
    assert_eq!(code(&move_model(url.into(), url.into(), NONE).await), "ERR_INVALID_ARGUMENT");
    assert_same(&loaded(url).await, &full(27));
    removed(url).await;
}
