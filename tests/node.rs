//! The conformance suite in Node, where there are folders.
#![cfg(target_arch = "wasm32")]
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

mod conformance;
use conformance::{conformance, js};

/// Makes a folder of its own the one that relative paths begin in.
fn in_a_new_folder() {
    thread_local! {
        static ONCE: () = {
            let fs = js("process.getBuiltinModule('node:fs')", &[]);
            js("process.chdir(a.mkdtempSync(process.getBuiltinModule('node:os').tmpdir() + '/tfpersist-'))", &[&fs]);
        };
    }
    ONCE.with(|()| ());
}

conformance!(memory, "memory", {});
conformance!(file_system, "file", { crate::in_a_new_folder() });
conformance!(custom, "custom", { crate::conformance::register_custom_store() });
