//! What accompanies a verb from the caller down to the medium: options, signal, progress.

use std::cell::RefCell;

use js_sys::{Array, Function, Object, Promise};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::AbortSignal;

use crate::error::Error;
use crate::js::{self, Failure, Result};
use crate::progress::Progress;

/// Options that we know. TF.js's LoadOptions and SaveConfig are among them, so that one object serves both.
const KNOWN: [&str; 13] = [
    "signal",
    "onProgress",
    "overwrite",
    "durability",
    "trainableOnly",
    "includeOptimizer",
    "requestInit",
    "fetchFunc",
    "weightPathPrefix",
    "weightUrlConverter",
    "strict",
    "fromTFHub",
    "streamWeights",
];

/// The options of one call, and how far it is.
pub struct Context {
    /// As the caller gave them.
    pub options: Object,
    /// Replace what is stored.
    pub overwrite: bool,
    /// IndexedDB's durability hint.
    pub durability: Option<String>,
    signal: Option<AbortSignal>,
    on_progress: Option<Function>,
    progress: RefCell<Progress>,
}

impl Context {
    /// Reads the caller's options.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for an option that nobody knows or that has the wrong type; the signal's reason when it is aborted.
    pub fn new(options: &JsValue) -> Result<Self> {
        let options = match options {
            value if value.is_undefined() || value.is_null() => Object::new(),
            value if value.is_object() => Object::unchecked_from_js(value.clone()),
            _ => return Err(Error::argument("options", "it must be an object").into()),
        };
        for key in Object::keys(&options) {
            let key = key.as_string().unwrap_or_default();
            if !KNOWN.contains(&key.as_str()) {
                return Err(Error::argument(format!("options.{key}"), "there is no such option").into());
            }
        }
        let context = Self {
            overwrite: flag(&options, "overwrite")?.unwrap_or(true),
            durability: durability(&options)?,
            signal: option(&options, "signal", "an AbortSignal")?,
            on_progress: option(&options, "onProgress", "a function")?,
            progress: RefCell::default(),
            options,
        };
        context.check()?;
        Ok(context)
    }

    /// Stops here when the caller has aborted.
    ///
    /// # Errors
    /// The signal's own reason.
    pub fn check(&self) -> Result<()> {
        match &self.signal {
            Some(signal) if signal.aborted() => Err(Failure::Thrown(signal.reason())),
            _ => Ok(()),
        }
    }

    /// The caller's signal.
    pub fn signal(&self) -> Option<&AbortSignal> {
        self.signal.as_ref()
    }

    /// For what follows a commit: it is finished whatever the signal says, unseen by the progress, and replaces our own.
    pub fn quiet(&self) -> Self {
        Self {
            options: self.options.clone(),
            overwrite: true,
            durability: self.durability.clone(),
            signal: None,
            on_progress: None,
            progress: RefCell::default(),
        }
    }

    /// Awaits what a caller's or a host's function gave, a promise or a plain value, but no longer than until the abort.
    ///
    /// # Errors
    /// What the function threw, what the promise rejects with, or the signal's reason.
    pub async fn settled(&self, outcome: core::result::Result<JsValue, JsValue>) -> Result<JsValue> {
        let work = Promise::resolve(&outcome.map_err(js::thrown)?);
        let mut stop = None;
        let aborted = Promise::new(&mut |_, reject| {
            stop = self.on_abort(move |reason| {
                let _ = reject.call1(&JsValue::UNDEFINED, reason);
            });
        });
        // The abort goes first: when both are settled already, it counts.
        let first = Promise::race(&Array::of2(&aborted, &work));
        let settled = JsFuture::from(first).await;
        drop(stop);
        settled.map_err(js::thrown)
    }

    /// Calls `act` with the reason when the caller aborts, also when it happened already; until the answer is dropped.
    pub fn on_abort(&self, act: impl Fn(&JsValue) + 'static) -> Option<OnAbort> {
        let signal = self.signal.clone()?;
        if signal.aborted() {
            act(&signal.reason());
        }
        let listener = {
            let signal = signal.clone();
            Closure::new(move || act(&signal.reason()))
        };
        let listening = signal.add_event_listener_with_callback("abort", listener.as_ref().unchecked_ref());
        listening.ok().map(|()| OnAbort { signal, listener })
    }

    /// Says how many bytes there will be.
    pub fn expect(&self, total: Option<u64>) {
        self.progress.borrow_mut().expect(total);
    }

    /// Reports bytes that have been read or written.
    pub fn advance(&self, bytes: u64, phase: &str) {
        let fraction = self.progress.borrow_mut().advance(bytes);
        self.report(fraction, phase);
    }

    /// Reports the end.
    pub fn finish(&self) {
        let fraction = self.progress.borrow_mut().finish();
        self.report(fraction, "done");
    }

    fn report(&self, fraction: f64, phase: &str) {
        let Some(on_progress) = &self.on_progress else { return };
        let detail = Object::new();
        {
            let progress = self.progress.borrow();
            js::set(&detail, "loaded", &(progress.loaded() as f64).into());
            if let Some(total) = progress.total() {
                js::set(&detail, "total", &(total as f64).into());
            }
        }
        js::set(&detail, "phase", &phase.into());
        if let Err(error) = on_progress.call2(&JsValue::UNDEFINED, &fraction.into(), &detail) {
            // A faulty progress bar must not undo a save; nor shall its error be swallowed.
            web_sys::console::error_1(&error);
        }
    }

    /// The part of the options that `model.save` takes.
    pub fn save_config(&self) -> Object {
        self.pick(&["trainableOnly", "includeOptimizer"])
    }

    /// The part of the options that `tf.loadLayersModel` and `tf.loadGraphModel` take.
    pub fn load_config(&self) -> Object {
        self.pick(&["strict", "fromTFHub", "streamWeights"])
    }

    fn pick(&self, keys: &[&str]) -> Object {
        let picked = Object::new();
        for key in keys {
            if let Some(value) = js::get_some(&self.options, key) {
                js::set(&picked, key, &value);
            }
        }
        picked
    }
}

/// A listener on a signal, gone when dropped.
pub struct OnAbort {
    signal: AbortSignal,
    listener: Closure<dyn FnMut()>,
}

impl Drop for OnAbort {
    fn drop(&mut self) {
        let _ = self.signal.remove_event_listener_with_callback("abort", self.listener.as_ref().unchecked_ref());
    }
}

fn option<T: JsCast>(options: &Object, key: &str, what: &str) -> Result<Option<T>> {
    let Some(value) = js::get_some(options, key) else { return Ok(None) };
    let wrong = |_| Error::argument(format!("options.{key}"), format!("it must be {what}")).into();
    value.dyn_into().map(Some).map_err(wrong)
}

fn flag(options: &Object, key: &str) -> Result<Option<bool>> {
    let Some(value) = js::get_some(options, key) else { return Ok(None) };
    let wrong = || Error::argument(format!("options.{key}"), "it must be true or false").into();
    value.as_bool().map(Some).ok_or_else(wrong)
}

fn durability(options: &Object) -> Result<Option<String>> {
    let Some(value) = js::get_some(options, "durability") else { return Ok(None) };
    let value = value.as_string().filter(|value| matches!(value.as_str(), "default" | "strict" | "relaxed"));
    let wrong = || Error::argument("options.durability", "it must be 'default', 'strict' or 'relaxed'").into();
    value.map(Some).ok_or_else(wrong)
}

/// Texts as a JavaScript array.
pub fn strings(values: &[&str]) -> Array {
    values.iter().map(|value| JsValue::from_str(value)).collect()
}
