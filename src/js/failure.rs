//! Failures on their way to JavaScript: our errors as JavaScript errors, the host's exceptions as ours.

use js_sys::Array;
#[cfg(feature = "transfers")]
use js_sys::Object;
use wasm_bindgen::prelude::*;
use web_sys::DomException;

#[cfg(feature = "transfers")]
use super::get;
use super::set;
use crate::error::Error;
#[cfg(feature = "transfers")]
use crate::error::FileProblem;

/// A failure on its way to JavaScript.
#[derive(Debug)]
pub enum Failure {
    /// One of ours. Boxed: a result is then two words wide instead of thirty, which takes a tenth off the wasm.
    Known(Box<Known>),
    /// Somebody else's, passed on as it is: an abort's reason, what a caller's own handler threw.
    Thrown(JsValue),
}

/// That only the larger build can do this: the entry (`core.js`, which has this text, too) asks it then, and nobody else sees it.
#[cfg(not(feature = "sharded"))]
pub fn needs_more() -> Failure {
    Failure::Thrown("tfpersist: the larger build".into())
}

impl Failure {
    /// One of ours.
    pub fn known(error: Error, cause: Option<JsValue>) -> Self {
        Failure::Known(Box::new(Known { error, cause }))
    }

    /// An [`Error::InvalidArgument`], because of what a host said. One function, since it stands in many places.
    #[inline(never)]
    pub fn argument(argument: &str, why: &str, cause: JsValue) -> Self {
        Failure::known(Error::argument(argument, why), Some(cause))
    }

    /// Our error, if it is one.
    pub fn error(&self) -> Option<&Error> {
        match self {
            Failure::Known(known) => Some(&known.error),
            Failure::Thrown(_) => None,
        }
    }

    /// The same failure, told of a model that is stored at `url`.
    #[must_use]
    pub fn at_rest(self, url: &str) -> Self {
        match self {
            Failure::Known(known) => Failure::known(known.error.at_rest(url), known.cause),
            thrown => thrown,
        }
    }
}

/// One of our errors, with the host's exception that caused it.
#[derive(Debug)]
pub struct Known {
    /// What went wrong.
    pub error: Error,
    /// What the host said.
    pub cause: Option<JsValue>,
}

/// The result of everything that may touch the host.
pub type Result<T> = core::result::Result<T, Failure>;

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::known(error, None)
    }
}

impl From<Failure> for JsValue {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Known(known) => to_js_error(&known.error, known.cause),
            Failure::Thrown(value) => value,
        }
    }
}

/// For `map_err`: passes on what the host, or a caller's function, threw.
pub fn thrown(value: JsValue) -> Failure {
    Failure::Thrown(value)
}

/// For `map_err`: a storage failure at `url`. A quota failure is one of its own; anything else keeps the engine's words.
pub fn storage(url: &str, needed: u64) -> impl FnOnce(JsValue) -> Failure {
    move |cause| {
        let (name, message) = words(&cause);
        let url = url.to_owned();
        let error = match name.as_str() {
            "QuotaExceededError" | "NS_ERROR_DOM_QUOTA_REACHED" => {
                Error::QuotaExceeded { url, needed, usage: None, quota: None }
            }
            "DataCloneError" => {
                Error::argument("model", format!("it holds something that cannot be stored: {message}"))
            }
            _ => Error::Storage { url, why: format!("{name}: {message}") },
        };
        Failure::known(error, Some(cause))
    }
}

/// The name and the message of what a host threw.
pub fn words(cause: &JsValue) -> (String, String) {
    match cause.dyn_ref::<js_sys::Error>() {
        Some(error) => (String::from(error.name()), String::from(error.message())),
        None => match cause.dyn_ref::<DomException>() {
            Some(exception) => (exception.name(), exception.message()),
            None => ("unknown".into(), String::new()),
        },
    }
}

/// The JavaScript `Error` with `name`, `code`, the error's own fields and `cause`.
pub fn to_js_error(error: &Error, cause: Option<JsValue>) -> JsValue {
    let object = js_sys::Error::new(&error.to_string());
    object.set_name(error.name());
    let set = |key: &str, value: JsValue| set(&object, key, &value);
    set("code", error.code().into());
    match error.clone() {
        Error::InvalidUrl { url, why } => {
            set("url", url.into());
            set("why", why.into());
        }
        Error::UnknownScheme { scheme, known } => {
            set("scheme", scheme.into());
            set("known", known.into_iter().map(JsValue::from).collect::<Array>().into());
        }
        Error::NotSupported { operation, scheme, why } => {
            set("operation", operation.into());
            set("scheme", scheme.into());
            set("why", why.into());
        }
        Error::NotFound { url } | Error::AlreadyExists { url } => set("url", url.into()),
        Error::Storage { url, why } => {
            set("url", url.into());
            set("why", why.into());
        }
        Error::QuotaExceeded { url, needed, usage, quota } => {
            set("url", url.into());
            set("needed", (needed as f64).into());
            set("usage", usage.into());
            set("quota", quota.into());
        }
        Error::Manifest { file, expected, received } | Error::Checksum { file, expected, received } => {
            parts(&set, file, expected.into(), received.into())
        }
        Error::SizeMismatch { file, expected, received } => {
            parts(&set, file, (expected as f64).into(), (received as f64).into());
        }
        Error::Corrupt { url, file, expected, received } => {
            set("url", url.into());
            parts(&set, file, expected.into(), received.into());
        }
        #[cfg(feature = "transfers")]
        Error::Files { problems } => {
            let told: Vec<Object> = problems.iter().map(problem_to_js).collect();
            for key in ["file", "expected", "received"] {
                set(key, told.first().map_or(JsValue::UNDEFINED, |first| get(first, key)));
            }
            set("problems", told.into_iter().collect::<Array>().into());
        }
        #[cfg(feature = "transfers")]
        Error::HttpStatus { url, status, why } => {
            set("url", url.into());
            set("status", status.into());
            set("why", why.into());
        }
        Error::Network { url, why } => {
            set("url", url.into());
            set("why", why.into());
        }
        Error::InvalidArgument { argument, why } => {
            set("argument", argument.into());
            set("why", why.into());
        }
    }
    if let Some(cause) = cause {
        set("cause", cause);
    }
    object.into()
}

#[cfg(feature = "transfers")]
fn problem_to_js(problem: &FileProblem) -> Object {
    let told = Object::new();
    set(&told, "file", &problem.file.as_str().into());
    set(&told, "problem", &problem.problem.into());
    if let Some((expected, received)) = problem.sizes {
        set(&told, "expected", &(expected as f64).into());
        set(&told, "received", &(received as f64).into());
    }
    told
}

fn parts(set: &impl Fn(&str, JsValue), file: String, expected: JsValue, received: JsValue) {
    set("file", file.into());
    set("expected", expected);
    set("received", received);
}
