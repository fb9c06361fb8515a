//! The boundary: our errors as JavaScript errors, the host's exceptions as ours, and the few host objects that need care.

use js_sys::{Array, ArrayBuffer, Function, JsString, Object, Promise, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::DomException;

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

/// `object[key]`, `undefined` where there is none or the getter throws.
pub fn get(object: &JsValue, key: &str) -> JsValue {
    Reflect::get(object, &key.into()).unwrap_or(JsValue::UNDEFINED)
}

/// `object[key]`, when it is neither undefined nor null.
pub fn get_some(object: &JsValue, key: &str) -> Option<JsValue> {
    Some(get(object, key)).filter(|value| !value.is_undefined() && !value.is_null())
}

/// `object[key]`, when it is a function.
pub fn method(object: &JsValue, key: &str) -> Option<Function> {
    get(object, key).dyn_into().ok()
}

/// What a list of somebody else's holds; nothing when it is none. (`Array.from` may throw, which nobody would catch.) `undefined` stands
/// for a hole and for what a getter throws at. Of more than 2^20, only one more is given, which is too many everywhere.
pub fn items(list: &JsValue) -> Vec<JsValue> {
    let length = get(list, "length").as_f64().filter(|_| list.is_object()).unwrap_or(0.0);
    let length = length.min(1_048_577.0) as u32;
    let item = |index| Reflect::get_u32(list.unchecked_ref::<Object>(), index).unwrap_or_default();
    (0..length).map(item).collect()
}

/// `Array.isArray`, which throws at a proxy that was revoked.
pub fn is_array(value: &JsValue) -> bool {
    array_is_array(value).unwrap_or_default()
}

/// `new Date(value)`, which throws at what only calls itself a Date.
pub fn date(value: &JsValue) -> Option<js_sys::Date> {
    FallibleDate::new(value).ok().map(Into::into)
}

/// `Promise.resolve`, which throws at a promise whose `constructor` does.
///
/// # Errors
/// What that throws.
pub fn resolve(value: &JsValue) -> core::result::Result<Promise, JsValue> {
    promise_resolve(value)
}

/// `object[key] = value` on an object of our own.
pub fn set(object: &Object, key: &str, value: &JsValue) {
    // Only a frozen object or a proxy could refuse; ours are neither.
    let _ = Reflect::set(object, &key.into(), value);
}

/// Defines `object[key]`, whatever the key: an assignment to `__proto__` would not make a property.
pub fn define(object: &Object, key: &str, value: &JsValue) {
    if key != "__proto__" {
        return set(object, key, value); // which is much quicker
    }
    let descriptor = Object::new();
    set(&descriptor, "value", value);
    for flag in ["enumerable", "writable", "configurable"] {
        set(&descriptor, flag, &JsValue::TRUE);
    }
    let _ = Reflect::define_property(object, &key.into(), &descriptor);
}

/// A property of the global scope, which is not a window in workers and Node.
pub fn global(key: &str) -> Option<JsValue> {
    get_some(&js_sys::global(), key)
}

/// The text, when it has no lone surrogate that a Rust string would lose.
pub fn text(value: &JsValue) -> Option<String> {
    let string = value.dyn_ref::<JsString>()?;
    let text = String::from(string);
    // A half becomes U+FFFD, EF BF BD in UTF-8; only where there may be one, all units are looked at.
    let is_whole = !text.as_bytes().contains(&0xEF) || string.is_valid_utf16();
    is_whole.then_some(text)
}

/// `JSON.parse`, without copying the text into wasm memory.
///
/// # Errors
/// The SyntaxError.
pub fn parse_json(text: &JsString) -> core::result::Result<JsValue, JsValue> {
    json_parse(text)
}

/// Waits for some milliseconds.
pub async fn sleep(milliseconds: u32) {
    let slept = Promise::new(&mut |resolve, _| {
        if set_timeout(&resolve, milliseconds).is_err() {
            let _ = resolve.call0(&JsValue::UNDEFINED);
        }
    });
    // It never rejects.
    let _ = JsFuture::from(slept).await;
}

/// What the engine says of usage and quota, in bytes, where it says anything.
pub async fn estimate() -> (Option<f64>, Option<f64>) {
    let storage = global("navigator").map_or(JsValue::UNDEFINED, |navigator| get(&navigator, "storage"));
    let asked = method(&storage, "estimate").map(|estimate| estimate.call0(&storage));
    let promise = asked.and_then(core::result::Result::ok).and_then(|promise| resolve(&promise).ok());
    let estimate = match promise {
        Some(promise) => JsFuture::from(promise).await.unwrap_or(JsValue::UNDEFINED),
        None => JsValue::UNDEFINED,
    };
    (get(&estimate, "usage").as_f64(), get(&estimate, "quota").as_f64())
}

/// The bytes of an ArrayBuffer, a typed array or a DataView, without copying them, as a plain Uint8Array: whatever the caller's own is
/// made to answer, it cannot change its mind later. `None` for anything else, also for a buffer that has been transferred away or that
/// another thread may write to meanwhile, and for 4 GiB or more in one, which wasm cannot count.
pub fn bytes(value: &JsValue) -> Option<Uint8Array> {
    if get(value, "byteLength").as_f64()? > f64::from(u32::MAX) {
        return None;
    }
    let view = match ArrayBuffer::is_view(value) {
        true => {
            let buffer = Some(get(value, "buffer")).filter(is_buffer)?;
            View::new(&buffer, &get(value, "byteOffset"), &get(value, "byteLength"))
        }
        false if is_buffer(value) => View::new(value, &JsValue::UNDEFINED, &JsValue::UNDEFINED),
        false => return None,
    };
    view.ok().map(Into::into)
}

fn is_buffer(value: &JsValue) -> bool {
    // A buffer of another realm (an iframe's) is not `instanceof` ours.
    value.is_instance_of::<ArrayBuffer>() || get(&get(value, "constructor"), "name") == "ArrayBuffer"
}

/// All bytes of a buffer.
///
/// # Errors
/// [`Error::InvalidArgument`] when it has been transferred away.
pub fn view(buffer: &ArrayBuffer) -> Result<Uint8Array> {
    let view = View::new(buffer, &JsValue::UNDEFINED, &JsValue::UNDEFINED);
    view.map(Into::into).map_err(transferred)
}

fn transferred(cause: JsValue) -> Failure {
    Failure::argument("weightData", "a buffer was transferred away", cause)
}

/// Copies `part` to `offset`.
///
/// # Errors
/// [`Error::InvalidArgument`] when the part has been transferred away.
pub fn copy_into(target: &Uint8Array, part: &Uint8Array, offset: u32) -> Result<()> {
    let target: &View = target.unchecked_ref();
    target.set(part, offset).map_err(transferred)
}

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = Date, extends = js_sys::Date)]
    type FallibleDate;
    #[wasm_bindgen(constructor, catch, js_class = "Date")]
    fn new(value: &JsValue) -> core::result::Result<FallibleDate, JsValue>;
    #[wasm_bindgen(js_name = ArrayBuffer, extends = ArrayBuffer)]
    type FallibleBuffer;
    #[wasm_bindgen(constructor, catch, js_class = "ArrayBuffer")]
    fn new(length: f64) -> core::result::Result<FallibleBuffer, JsValue>;

    /// A Uint8Array whose methods may throw: on a buffer that has been transferred away they do.
    #[wasm_bindgen(js_name = Uint8Array, extends = Uint8Array)]
    type View;
    #[wasm_bindgen(constructor, catch, js_class = "Uint8Array")]
    fn new(buffer: &JsValue, offset: &JsValue, length: &JsValue) -> core::result::Result<View, JsValue>;
    #[wasm_bindgen(method, catch)]
    fn set(this: &View, part: &Uint8Array, offset: u32) -> core::result::Result<(), JsValue>;

    #[wasm_bindgen(catch, js_name = setTimeout)]
    fn set_timeout(handler: &Function, milliseconds: u32) -> core::result::Result<JsValue, JsValue>;

    #[wasm_bindgen(catch, js_namespace = Array, js_name = isArray)]
    fn array_is_array(value: &JsValue) -> core::result::Result<bool, JsValue>;
    #[wasm_bindgen(catch, js_namespace = Promise, js_name = resolve)]
    fn promise_resolve(value: &JsValue) -> core::result::Result<Promise, JsValue>;

    #[wasm_bindgen(catch, js_namespace = JSON, js_name = parse)]
    fn json_parse(text: &JsString) -> core::result::Result<JsValue, JsValue>;

    /// A deep copy as IndexedDB would store it.
    #[wasm_bindgen(catch, js_name = structuredClone)]
    pub fn structured_clone(value: &JsValue) -> core::result::Result<JsValue, JsValue>;
}

/// A new buffer, or the engine's refusal of so many bytes.
///
/// # Errors
/// [`Error::InvalidArgument`] when the engine cannot allocate it.
pub fn allocate(length: u64) -> Result<ArrayBuffer> {
    let too_large = |cause| {
        let why = format!("{length} bytes do not fit into one ArrayBuffer here");
        Failure::known(Error::argument("weightData", why), cause)
    };
    if length > u64::from(u32::MAX) {
        return Err(too_large(None));
    }
    FallibleBuffer::new(length as f64).map(Into::into).map_err(|cause| too_large(Some(cause)))
}
