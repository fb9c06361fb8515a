//! The options of a call, by name and by type.

use js_sys::{Function, Object};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::AbortSignal;

use super::Context;
use crate::error::Error;
use crate::js::{self, Failure, Result};
use crate::manifest::MAX_SAFE_INTEGER;

/// Options that we know. TF.js's LoadOptions and SaveConfig are among them, so that one object serves both.
const KNOWN: [&str; 23] = [
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
    "concurrency",
    "retries",
    "shardBytes",
    "zip",
    "files",
    "fieldNames",
    "cache",
    "layout",
    "stream",
    "joined",
];

/// Fields of a RequestInit that may stand among the options, as in TF.js before 1.0 and in its tutorial.
const BARE_INIT: [&str; 9] =
    ["method", "headers", "credentials", "mode", "redirect", "referrer", "referrerPolicy", "integrity", "keepalive"];

/// That there are only options that we know, or `more`, and texts where nobody else would check it.
///
/// # Errors
/// [`Error::InvalidArgument`] that names the option.
pub(super) fn check_names(options: &Object, more: &[&str]) -> Result<()> {
    let unreadable = |cause| Failure::argument("options", "it cannot be read", cause);
    let given = Object::try_assign(&Object::new(), options).map_err(unreadable)?;
    for key in Object::keys(&given) {
        let key = key.as_string().unwrap_or_default();
        if ![&KNOWN[..], &BARE_INIT, more].iter().any(|known| known.contains(&key.as_str())) {
            return Err(Error::argument(format!("options.{key}"), "there is no such option").into());
        }
    }
    for key in ["weightPathPrefix", "cache"] {
        if js::get_some(options, key).is_some_and(|value| js::text(&value).is_none()) {
            return Err(Error::argument(format!("options.{key}"), "it must be a text").into());
        }
    }
    Ok(())
}

impl Context {
    /// The requestInit of the options, a copy, with what stands beside it.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a body in it, which would replace the model.
    pub fn request_init(&self) -> Result<Object> {
        let init = self.pick(&BARE_INIT);
        if let Some(given) = object(&self.options, "requestInit", JsValue::is_object, "an object")? {
            Object::try_assign(&init, &given).map_err(js::thrown)?;
        }
        if js::get_some(&init, "body").is_some() {
            return Err(Error::argument("options.requestInit.body", "the body of a save is the model").into());
        }
        Ok(init)
    }

    /// A function of the options.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for anything else.
    pub fn function(&self, key: &str) -> Result<Option<Function>> {
        option(&self.options, key, "a function")
    }

    /// A text of the options.
    pub fn text(&self, key: &str) -> Option<String> {
        js::text(&js::get(&self.options, key))
    }

    /// An object or a function of the options.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for anything else.
    pub fn object(&self, key: &str) -> Result<Option<Object>> {
        let is_one = |value: &JsValue| value.is_object() || value.is_function();
        object(&self.options, key, is_one, "an object or a function")
    }

    /// A flag of the options, false unless given.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for anything but true and false.
    pub fn flag(&self, key: &str) -> Result<bool> {
        flag(&self.options, key).map(Option::unwrap_or_default)
    }

    /// A whole number of the options, of `least` or more.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for anything else.
    pub fn number(&self, key: &str, least: u64) -> Result<Option<u64>> {
        let Some(value) = js::get_some(&self.options, key) else { return Ok(None) };
        let whole = value.as_f64().filter(|n| n.fract() == 0.0 && *n >= least as f64 && *n <= MAX_SAFE_INTEGER as f64);
        let wrong = || Error::argument(format!("options.{key}"), format!("it must be a whole number from {least}"));
        Ok(Some(whole.ok_or_else(wrong)? as u64))
    }

    /// How many files are under way at once.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for anything but a whole number from 1.
    pub fn lanes(&self) -> Result<usize> {
        // A browser opens no more than six connections to a server by HTTP/1.1.
        Ok(self.number("concurrency", 1)?.map_or(6, |lanes| lanes.min(1000) as usize))
    }

    /// That none of these options is given: where the model goes, nobody would look at them.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] that names the first.
    pub fn refuse(&self, keys: &[&str], why: &str) -> Result<()> {
        self.refuse_these(keys, why)?;
        self.refuse_these(&BARE_INIT, why)
    }

    /// The same without those of a RequestInit.
    ///
    /// # Errors
    /// As [`Context::refuse`].
    pub fn refuse_these(&self, keys: &[&str], why: &str) -> Result<()> {
        match keys.iter().find(|key| js::get_some(&self.options, key).is_some()) {
            None => Ok(()),
            Some(key) => Err(Error::argument(format!("options.{key}"), why).into()),
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

pub(super) fn option<T: JsCast>(options: &Object, key: &str, what: &str) -> Result<Option<T>> {
    let Some(value) = js::get_some(options, key) else { return Ok(None) };
    let wrong = |_| Error::argument(format!("options.{key}"), format!("it must be {what}")).into();
    value.dyn_into().map(Some).map_err(wrong)
}

/// An object, of whatever realm: those of an iframe are not `instanceof` ours.
fn object(options: &Object, key: &str, is_one: impl Fn(&JsValue) -> bool, what: &str) -> Result<Option<Object>> {
    let Some(value) = js::get_some(options, key) else { return Ok(None) };
    let wrong = || Error::argument(format!("options.{key}"), format!("it must be {what}")).into();
    if is_one(&value) { Ok(Some(value.unchecked_into())) } else { Err(wrong()) }
}

/// The signal of the options, or else of its requestInit.
pub(super) fn signal(options: &Object) -> Result<Option<AbortSignal>> {
    let init = js::get(options, "requestInit");
    let holder =
        if js::get_some(options, "signal").is_none() && init.is_object() { init.unchecked_ref() } else { options };
    let signal = option::<AbortSignal>(holder, "signal", "an AbortSignal")?;
    // What only calls itself one throws at each question.
    let is_one = |signal: &AbortSignal| js::get(signal, "aborted").as_bool().is_some();
    let wrong = || Error::argument("options.signal", "it must be an AbortSignal").into();
    signal.map(|signal| Some(signal).filter(is_one).ok_or_else(wrong)).transpose()
}

pub(super) fn flag(options: &Object, key: &str) -> Result<Option<bool>> {
    let Some(value) = js::get_some(options, key) else { return Ok(None) };
    let wrong = || Error::argument(format!("options.{key}"), "it must be true or false").into();
    value.as_bool().map(Some).ok_or_else(wrong)
}

pub(super) fn durability(options: &Object) -> Result<Option<String>> {
    let Some(value) = js::get_some(options, "durability") else { return Ok(None) };
    let value = value.as_string().filter(|value| matches!(value.as_str(), "default" | "strict" | "relaxed"));
    let wrong = || Error::argument("options.durability", "it must be 'default', 'strict' or 'relaxed'").into();
    value.map(Some).ok_or_else(wrong)
}
