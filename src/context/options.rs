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

/// TF.js's SaveConfig.
const SAVE_CONFIG: [&str; 2] = ["trainableOnly", "includeOptimizer"];

/// Those that are true or false, whoever looks at them.
const FLAGS: [&str; 7] = ["trainableOnly", "includeOptimizer", "zip", "files", "stream", "joined", "verify"];

/// What the caller gave, mostly nothing: then none of them is asked for by its name, which takes as long as to read a small model.
#[derive(Clone, Default)]
pub struct Options(Option<Object>);

impl Options {
    /// Of what the caller gave: there are only options that we know, or `more`, and texts where nobody else would check it.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] that names the option.
    pub(super) fn of(value: &JsValue, more: &[&str]) -> Result<Self> {
        if value.is_undefined() || value.is_null() {
            return Ok(Self(None));
        }
        if !value.is_object() {
            return Err(Error::argument("options", "it must be an object").into());
        }
        let given = Object::unchecked_from_js(value.clone());
        check_names(&given, more)?;
        let options = Self(Some(given));
        for key in FLAGS {
            options.flag(key)?;
        }
        for key in ["weightPathPrefix", "cache"] {
            if options.some(key).is_some_and(|value| js::text(&value).is_none()) {
                return Err(wrong(key, "it must be a text"));
            }
        }
        Ok(options)
    }

    /// An option that is neither undefined nor null.
    pub fn some(&self, key: &str) -> Option<JsValue> {
        js::get_some(self.0.as_ref()?, key)
    }

    /// All of them, for who has options of its own.
    pub fn all(&self) -> Object {
        self.0.clone().unwrap_or_default()
    }

    /// One that `read` makes something of; `why` is for who gives another.
    fn read<T>(&self, key: &str, why: &str, read: impl FnOnce(JsValue) -> Option<T>) -> Result<Option<T>> {
        let Some(value) = self.some(key) else { return Ok(None) };
        read(value).map(Some).ok_or_else(|| wrong(key, why))
    }

    /// One of a type.
    pub(super) fn typed<T: JsCast>(&self, key: &str, why: &str) -> Result<Option<T>> {
        self.read(key, why, |value| value.dyn_into().ok())
    }

    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>> {
        self.read(key, "it must be true or false", |value| value.as_bool())
    }

    pub(super) fn durability(&self) -> Result<Option<String>> {
        self.read("durability", "it must be 'default', 'strict' or 'relaxed'", |value| {
            value.as_string().filter(|value| matches!(value.as_str(), "default" | "strict" | "relaxed"))
        })
    }

    /// The signal, or else that of the requestInit.
    pub(super) fn signal(&self) -> Result<Option<AbortSignal>> {
        let signal = match self.typed::<AbortSignal>("signal", IS_SIGNAL)? {
            None => {
                let init = self.some("requestInit").filter(JsValue::is_object).map(JsCast::unchecked_into);
                Self(init).typed("signal", IS_SIGNAL)?
            }
            signal => signal,
        };
        // What only calls itself one throws at each question.
        let is_one = |signal: &AbortSignal| js::get(signal, "aborted").as_bool().is_some();
        signal.map(|signal| Some(signal).filter(is_one).ok_or_else(|| wrong("signal", IS_SIGNAL))).transpose()
    }
}

const IS_SIGNAL: &str = "it must be an AbortSignal";
pub(super) const IS_FUNCTION: &str = "it must be a function";

fn wrong(key: &str, why: &str) -> Failure {
    Error::argument(format!("options.{key}"), why).into()
}

fn check_names(options: &Object, more: &[&str]) -> Result<()> {
    let unreadable = |cause| Failure::argument("options", "it cannot be read", cause);
    let given = Object::try_assign(&Object::new(), options).map_err(unreadable)?;
    for key in Object::keys(&given) {
        let key = key.as_string().unwrap_or_default();
        if ![&KNOWN[..], &BARE_INIT, more].iter().any(|known| known.contains(&key.as_str())) {
            return Err(wrong(&key, "there is no such option"));
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
        if let Some(given) = self.options.read("requestInit", "it must be an object", as_object)? {
            let is_twice = |key: &&&str| js::get_some(&init, key).is_some() && js::get_some(&given, key).is_some();
            if let Some(key) = BARE_INIT.iter().find(is_twice) {
                return Err(wrong(key, "it stands in requestInit, too"));
            }
            Object::try_assign(&init, &given).map_err(js::thrown)?;
        }
        if js::get_some(&init, "body").is_some() {
            return Err(wrong("requestInit.body", "the body of a save is the model"));
        }
        Ok(init)
    }

    /// A function of the options.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for anything else.
    pub fn function(&self, key: &str) -> Result<Option<Function>> {
        self.options.typed(key, IS_FUNCTION)
    }

    /// A text of the options.
    pub fn text(&self, key: &str) -> Option<String> {
        js::text(&self.options.some(key)?)
    }

    /// An object or a function of the options.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for anything else.
    pub fn object(&self, key: &str) -> Result<Option<Object>> {
        let read = |value: JsValue| if value.is_function() { Some(value.unchecked_into()) } else { as_object(value) };
        self.options.read(key, "it must be an object or a function", read)
    }

    /// A flag of the options, false unless given.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for anything but true and false.
    pub fn flag(&self, key: &str) -> Result<bool> {
        self.options.flag(key).map(Option::unwrap_or_default)
    }

    /// A whole number of the options, of `least` or more.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for anything else.
    pub fn number(&self, key: &str, least: u64) -> Result<Option<u64>> {
        let Some(value) = self.options.some(key) else { return Ok(None) };
        let whole = value.as_f64().filter(|n| n.fract() == 0.0 && *n >= least as f64 && *n <= MAX_SAFE_INTEGER as f64);
        let wrong = || wrong(key, &format!("it must be a whole number from {least}"));
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
        match keys.iter().find(|key| self.options.some(key).is_some()) {
            None => Ok(()),
            Some(key) => Err(wrong(key, why)),
        }
    }

    /// The part of the options that `model.save` takes.
    pub fn save_config(&self) -> Object {
        self.pick(&SAVE_CONFIG)
    }

    /// That there is none of it: what is stored already has no `save` that could leave something out.
    ///
    /// # Errors
    /// As [`Context::refuse`].
    pub fn refuse_save_config(&self) -> Result<()> {
        self.refuse_these(&SAVE_CONFIG, "only a model with save() takes it")
    }

    /// The part of the options that `tf.loadLayersModel` and `tf.loadGraphModel` take.
    pub fn load_config(&self) -> Object {
        self.pick(&["strict", "fromTFHub", "streamWeights"])
    }

    fn pick(&self, keys: &[&str]) -> Object {
        let picked = Object::new();
        for key in keys {
            if let Some(value) = self.options.some(key) {
                js::set(&picked, key, &value);
            }
        }
        picked
    }
}

/// An object, of whatever realm: those of an iframe are not `instanceof` ours.
fn as_object(value: JsValue) -> Option<Object> {
    value.is_object().then(|| value.unchecked_into())
}
