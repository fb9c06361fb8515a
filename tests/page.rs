//! The conformance suite in a page.
#![cfg(target_arch = "wasm32")]
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

use wasm_bindgen_test::wasm_bindgen_test_configure;

mod conformance;
use conformance::conformance;

wasm_bindgen_test_configure!(run_in_browser);

conformance!(memory, "memory", {});
conformance!(local_storage, "localstorage", {});
conformance!(indexed_db, "indexeddb", {});
conformance!(sharded, "indexeddb://sharded", {});
conformance!(opfs, "opfs", {
    if !crate::conformance::has_opfs().await {
        return;
    }
});
conformance!(custom, "custom", { crate::conformance::register_custom_store() });
