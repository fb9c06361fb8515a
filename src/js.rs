//! The boundary: our errors as JavaScript errors, the host's exceptions as ours, and the few host objects that need care.

use core::pin::Pin;

use js_sys::{ArrayBuffer, Function, JsString, Object, Promise, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, future_to_promise};

use crate::error::Error;

mod failure;

#[cfg(not(feature = "sharded"))]
pub use failure::needs_more;
pub use failure::{Failure, Result, storage, thrown, to_js_error, words};

/// What JavaScript gives, or throws.
type Outcome = core::result::Result<JsValue, JsValue>;

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

/// The same as `future_to_promise`, boxed: that is generic, and would be there once for each future, 2 KB of wasm.
pub fn promise(work: impl Future<Output = Outcome> + 'static) -> Promise {
    let work: Pin<Box<dyn Future<Output = Outcome>>> = Box::pin(work);
    future_to_promise(work)
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

/// Some of these bytes, as a view. `subarray` throws when they have been transferred away, also where their length still says otherwise: V8's
/// compiled code tells an old one when resizable buffers have been asked before.
///
/// # Errors
/// As [`view`].
pub fn part(bytes: &Uint8Array, start: u32, end: u32) -> Result<Uint8Array> {
    let offset = get(bytes, "byteOffset").as_f64().unwrap_or_default() + f64::from(start);
    let view = View::new(&bytes.buffer(), &offset.into(), &end.saturating_sub(start).into());
    view.map(Into::into).map_err(transferred)
}

/// Copies `part` to `offset`.
///
/// # Errors
/// [`Error::InvalidArgument`] when the part has been transferred away.
pub fn copy_into(target: &Uint8Array, part: &Uint8Array, offset: u32) -> Result<()> {
    let target: &View = target.unchecked_ref();
    target.set(part, offset).map_err(transferred)
}

/// A copy of some bytes of `part`.
///
/// # Errors
/// As [`copy_into`] and [`allocate`].
#[cfg(feature = "sharded")]
pub fn slice(part: &Uint8Array, start: u32, end: u32) -> Result<Uint8Array> {
    let slice = crate::host::call(part, "slice", &[&start.into(), &end.into()]);
    slice.map(JsCast::unchecked_into).map_err(|cause| match words(&cause).0 == "RangeError" {
        true => no_room(u64::from(end - start), Some(cause)),
        false => transferred(cause),
    })
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
    if length > u64::from(u32::MAX) {
        return Err(no_room(length, None));
    }
    FallibleBuffer::new(length as f64).map(Into::into).map_err(|cause| no_room(length, Some(cause)))
}

fn no_room(length: u64, cause: Option<JsValue>) -> Failure {
    let why = format!("{length} bytes do not fit into one ArrayBuffer here");
    Failure::known(Error::argument("weightData", why), cause)
}
