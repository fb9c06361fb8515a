//! Saves, loads and manages TensorFlow.js models in the browser, byte-compatible with TF.js's own `tf.io`, and never loses one.
//!
//! The functions here are what the npm package's JavaScript entry calls; a Rust program on `wasm32-unknown-unknown` can call
//! them, too. All take and give JavaScript values; the TypeScript types in `js/index.d.ts` say which.
//!
//! ```no_run
//! # async fn example(model: wasm_bindgen::JsValue) -> Result<(), wasm_bindgen::JsValue> {
//! use wasm_bindgen::JsValue;
//!
//! tfpersist::save(model, "indexeddb://my-model".into(), JsValue::UNDEFINED).await?;
//! let artifacts = tfpersist::load("indexeddb://my-model".into(), JsValue::UNDEFINED).await?;
//! # Ok(())
//! # }
//! ```
//!
//! The house has four floors, and arrows point only downwards: pure Rust (`error`, `url`, `dtype`, `manifest`, `progress`),
//! the boundary (`js`, `context`, `digest`, `weights`, `artifacts`, `info`, `idb`, `locks`), the media (`store/*`), and on top `registry`, `route` and `verbs`.

#![cfg_attr(not(feature = "node"), allow(dead_code))] // what only transfers, or Node's file system, use

// Floor 0: pure.
#[cfg(feature = "transfers")]
mod archive;
mod dtype;
mod error;
mod manifest;
#[cfg(feature = "sharded")]
mod parallel;
#[cfg(feature = "sharded")]
mod pieces;
mod progress;
#[cfg(feature = "sharded")]
mod quantize;
#[cfg(feature = "transfers")]
mod shard;
mod url;

// Floor 1: the boundary.
mod artifacts;
mod context;
mod digest;
#[cfg(feature = "sharded")]
mod host;
mod idb;
mod info;
mod js;
mod kept;
mod locks;
#[cfg(feature = "transfers")]
mod model_files;
#[cfg(feature = "transfers")]
mod model_json;
#[cfg_attr(not(feature = "sharded"), path = "none_quantized.rs")]
mod quantized;
mod weights;

// Floor 2: the media.
mod store;
#[cfg_attr(not(feature = "transfers"), path = "no_transfer.rs")]
mod transfer;

// Floor 3: routes and verbs.
#[cfg(feature = "transfers")]
mod cache;
#[cfg(feature = "sharded")]
mod layouts;
mod registry;
mod route;
mod verbs;

pub use dtype::{DType, QuantizedDType};
pub use error::Error;
pub use manifest::{RawQuantization, RawSpec, WeightSpec, validate};
pub use progress::Progress;
pub use url::ModelUrl;

/// The pure floor for the fuzz targets, since cargo-fuzz sets this cfg; it is not there for anybody else.
#[cfg(fuzzing)]
#[allow(missing_docs)]
pub mod fuzzing {
    pub mod archive {
        pub use crate::archive::*;
    }
    pub mod manifest {
        pub use crate::manifest::*;
    }
    pub mod quantize {
        pub use crate::quantize::*;
    }
    pub mod shard {
        pub use crate::shard::*;
    }
    pub mod url {
        pub use crate::url::*;
    }
}

use wasm_bindgen::prelude::*;

/// Each verb for Rust, and exported to JavaScript. What wasm-bindgen makes of an exported `async fn` is generic: 500 bytes each.
macro_rules! verbs {
    ($($(#[$about:meta])* $js_name:ident => $verb:ident($($given:ident),+);)+) => {
        $($(#[$about])*
        pub async fn $verb($($given: JsValue),+) -> Result<JsValue, JsValue> {
            Ok(verbs::$verb($(&$given),+).await?)
        })+

        mod exports {
            use super::*;
            $($(#[$about])*
            #[wasm_bindgen(js_name = $js_name, skip_typescript)]
            pub fn $verb($($given: JsValue),+) -> js_sys::Promise {
                js::promise(super::$verb($($given),+))
            })+
        }
    };
}

verbs! {
    /// Saves a `tf.LayersModel`, a `tf.GraphModel` or ModelArtifacts to a URL or an IOHandler; resolves, when committed, with the SaveResult.
    ///
    /// # Errors
    /// A JavaScript `Error` whose `code` is one of [`Error::code`]; what a handler of the caller's throws; the signal's reason.
    save => save(model, target, options);

    /// Loads a model as ModelArtifacts.
    ///
    /// # Errors
    /// As [`save`].
    load => load(source, options);

    /// The same for TF.js: of a layers model it takes no stream, so `stream` is not looked at.
    ///
    /// # Errors
    /// As [`save`].
    loadForTf => load_for_tf(source, options);

    /// Loads a model with the given TF.js: `tf.loadGraphModel` or `tf.loadLayersModel`, chosen by the artifacts.
    ///
    /// # Errors
    /// As [`save`]; what TF.js throws.
    loadModel => load_model(tf, source, options);

    /// All stored models: an object from URL to ModelArtifactsInfo. Takes options, or a URL that the others begin with, and options.
    ///
    /// # Errors
    /// As [`save`].
    listModels => list_models(prefix, options);

    /// Reads and checks everything of a stored model; resolves with its row of a listing, with `damage` where there is some.
    ///
    /// # Errors
    /// As [`save`]; damage is no error, but the result.
    verify => verify(url, options);

    /// Copies a model; resolves with the destination's ModelArtifactsInfo.
    ///
    /// # Errors
    /// As [`save`].
    copyModel => copy_model(source, destination, options);

    /// Moves a model; resolves with the destination's ModelArtifactsInfo.
    ///
    /// # Errors
    /// As [`save`].
    moveModel => move_model(source, destination, options);

    /// Removes a model; resolves with its ModelArtifactsInfo.
    ///
    /// # Errors
    /// As [`save`].
    removeModel => remove_model(url, options);

    /// Removes the bytes of large models that nothing needs any more: what was replaced, removed, or left by a save that died. It happens by
    /// itself, too; this waits for it, and resolves with the bytes that were freed.
    ///
    /// # Errors
    /// As [`save`].
    #[cfg(feature = "sharded")]
    sweep => sweep(options);
}

/// Shares the registry `{ saveRouters, loadRouters, stores, memory, changed }` with the JavaScript entry; `stores` is a `Map` from scheme to
/// ModelStore, `memory` one from path to model, and `changed(url, 'saved' | 'removed')` hears of every committed change.
#[wasm_bindgen(js_name = useRegistry, skip_typescript)]
pub fn use_registry(registry: JsValue) {
    registry::use_registry(&registry);
}
