//! The conformance suite: what every store must do, in every engine, in the page and in a worker.
//! `conformance!(name, "scheme")` makes one test of each function below.

pub mod layout;
pub mod managing;
pub mod models;
pub mod verbs;

use js_sys::{Array, Function, Object, Reflect};
use wasm_bindgen::prelude::*;

/// Makes the whole suite for one store.
macro_rules! conformance {
    ($store:ident, $scheme:literal, $setup:block) => {
        conformance!(@each $store, $scheme, $setup;
            verbs: a_save_loads_as_it_was, weights_in_pieces_are_one, streamed_weights_are_stored, what_is_absent_stays_absent,
            a_save_tells_sizes_and_date, the_callers_model_is_untouched, a_stored_model_is_a_copy,
            overwriting_replaces_everything, overwrite_false_refuses, bad_models_are_refused_and_nothing_changes,
            bad_streams_are_refused_and_nothing_changes, unknown_options_are_refused,
            an_abort_rejects_with_its_reason, an_abort_midway_leaves_the_old_model, progress_never_falls_and_ends_at_one,
            saves_at_once_leave_one_whole_model;
            managing: listing_shows_what_is_there, verifying_tells_as_a_listing_does, any_path_works,
            what_is_missing_is_not_found, removing_removes_one, copying_keeps_the_source, moving_leaves_no_source,
            moving_replaces_the_destination, between_stores_models_stay_whole, a_move_that_would_lose_something_changes_nothing,
            the_same_place_twice_is_refused);
    };
    (@each $store:ident, $scheme:literal, $setup:block; $($part:ident: $($test:ident),+);+) => {
        mod $store {
            use wasm_bindgen_test::wasm_bindgen_test;
            $($(#[wasm_bindgen_test]
            async fn $test() {
                $setup
                crate::conformance::$part::$test(&format!("{}://{}", $scheme, stringify!($test))).await;
            })+)+
        }
    };
}
pub(crate) use conformance;

/// `object[key]`.
pub fn get(object: &JsValue, key: &str) -> JsValue {
    Reflect::get(object, &key.into()).unwrap()
}

/// `object[key] = value`.
pub fn set(object: &JsValue, key: &str, value: impl Into<JsValue>) {
    Reflect::set(object, &key.into(), &value.into()).unwrap();
}

/// An object with these entries.
pub fn object<const N: usize>(entries: [(&str, JsValue); N]) -> JsValue {
    let made = Object::new();
    for (key, value) in entries {
        set(&made, key, value);
    }
    made.into()
}

/// What a JavaScript expression gives; `args` are `a`, `b`, ...
pub fn js(expression: &str, args: &[&JsValue]) -> JsValue {
    let names = ["a", "b", "c"];
    let function = Function::new_with_args(&names[..args.len()].join(","), &format!("return {expression}"));
    function.apply(&JsValue::UNDEFINED, &args.iter().copied().collect::<Array>()).unwrap()
}

/// The `code` of the error that a verb rejects with.
pub fn code(outcome: &Result<JsValue, JsValue>) -> String {
    match outcome {
        Ok(value) => format!("no error, but {value:?}"),
        Err(error) => get(error, "code").as_string().unwrap_or_else(|| format!("no code: {error:?}")),
    }
}

/// Whether there is an OPFS here. Where there is none (WebKitGTK), `opfs://` has to say so.
#[allow(dead_code)] // Node asks no engine
pub async fn has_opfs() -> bool {
    let has_one = js("typeof globalThis.navigator?.storage?.getDirectory === 'function'", &[]) == true;
    if !has_one {
        let outcome = tfpersist::save(models::full(1), "opfs://m".into(), JsValue::UNDEFINED).await;
        assert_eq!(code(&outcome), "ERR_NOT_SUPPORTED");
    }
    has_one
}

/// A registry with a store of the caller's own, `custom://`, on a JavaScript Map.
pub fn register_custom_store() {
    thread_local! {
        static REGISTRY: JsValue = js(
            "(() => {
                const models = new Map();
                const store = {
                    save: async (path, artifacts) => {
                        models.set(path, [structuredClone(artifacts), { dateSaved: new Date(), modelTopologyType: 'JSON',
                            modelTopologyBytes: JSON.stringify(artifacts.modelTopology ?? '').length }]);
                    },
                    load: async (path) => models.has(path) ? structuredClone(models.get(path)[0]) : undefined,
                    list: async () => Object.fromEntries([...models].map(([path, [, info]]) => [path, info])),
                    remove: async (path) => void models.delete(path),
                };
                return { saveRouters: [], loadRouters: [], stores: new Map([['custom', store]]) };
            })()",
            &[],
        );
    }
    REGISTRY.with(|registry| tfpersist::use_registry(registry.clone()));
}
