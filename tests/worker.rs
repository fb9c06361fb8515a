//! The conformance suite in a dedicated worker, where there is no window and no Local Storage.
#![cfg(target_arch = "wasm32")]
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

use wasm_bindgen::JsValue;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

mod conformance;
use conformance::{conformance, get, models::full};

wasm_bindgen_test_configure!(run_in_dedicated_worker);

conformance!(memory, "memory", {});
conformance!(indexed_db, "indexeddb", {});
conformance!(sharded, "indexeddb://sharded", {});
conformance!(opfs, "opfs", {
    if !crate::conformance::has_opfs().await {
        return;
    }
});
conformance!(custom, "custom", { crate::conformance::register_custom_store() });

#[wasm_bindgen_test]
async fn local_storage_says_why_it_cannot_be_used_here() {
    let outcomes = [
        tfpersist::save(full(1), "localstorage://m".into(), JsValue::UNDEFINED).await,
        tfpersist::load("localstorage://m".into(), JsValue::UNDEFINED).await,
        tfpersist::remove_model("localstorage://m".into(), JsValue::UNDEFINED).await,
        tfpersist::move_model("localstorage://m".into(), "memory://m".into(), JsValue::UNDEFINED).await,
    ];
    for outcome in outcomes {
        let error = outcome.unwrap_err();
        assert_eq!(get(&error, "code"), "ERR_NOT_SUPPORTED");
        assert!(get(&error, "why").as_string().unwrap().contains("workers"), "{error:?}");
    }
}
