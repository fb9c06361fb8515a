//! Host objects reached by name. Each would cost an import of its own through web-sys; some exist in one host only.

use js_sys::{Array, Function, JsString, Object, Promise, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use crate::js::{self, Result};

/// What a host call gives.
pub type Host<T> = core::result::Result<T, JsValue>;

fn list(values: &[&JsValue]) -> Array {
    values.iter().copied().collect()
}

/// `object[name](...args)`.
///
/// # Errors
/// What it throws; a TypeError when there is no such method.
pub fn call(object: &JsValue, name: &str, args: &[&JsValue]) -> Host<JsValue> {
    js::method(object, name).ok_or_else(|| missing(name))?.apply(object, &list(args))
}

/// `new name(...args)`, of the global scope.
///
/// # Errors
/// What it throws; a TypeError when there is no such class.
pub fn construct(name: &str, args: &[&JsValue]) -> Host<JsValue> {
    let class = js::global(name).and_then(|class| class.dyn_into::<Function>().ok());
    Reflect::construct(&class.ok_or_else(|| missing(name))?, &list(args))
}

fn missing(name: &str) -> JsValue {
    js_sys::TypeError::new(&format!("there is no {name} here")).into()
}

/// Whether this is Chromium: for the few things that engines do differently, and that nothing else tells.
pub fn is_chromium() -> bool {
    let agent = js::text(&js::get(&js::global("navigator").unwrap_or_default(), "userAgent"));
    agent.is_some_and(|agent| crate::url::holds(&agent, "Chrome/"))
}

/// Waits for what a host call gave, a promise or a plain value.
///
/// # Errors
/// What it threw or rejected with.
pub async fn settled(outcome: Host<JsValue>) -> Host<JsValue> {
    JsFuture::from(js::resolve(&outcome?)?).await
}

#[wasm_bindgen]
extern "C" {
    /// A Blob, to tell a real one from what only has its methods.
    pub type Blob;
}

/// A Blob of these parts, which it copies into the browser's own storage.
///
/// # Errors
/// [`crate::Error::Storage`] with what the engine throws, for example for lack of room.
pub fn blob(parts: &Array, mime: &str) -> Result<JsValue> {
    let options = Object::new();
    js::set(&options, "type", &mime.into());
    construct("Blob", &[parts, &options]).map_err(js::storage("blob:", 0))
}

/// Bytes of a Blob.
pub fn size(blob: &JsValue) -> u64 {
    js::get(blob, "size").as_f64().unwrap_or(0.0) as u64
}

/// UTF-8 bytes as a text; a byte order mark is dropped, and what is no UTF-8 becomes U+FFFD.
///
/// # Errors
/// What the engine throws when the text would be too long.
pub fn decode(bytes: &Uint8Array) -> Host<JsString> {
    call(&construct("TextDecoder", &[])?, "decode", &[bytes]).map(JsCast::unchecked_into)
}

/// A text as UTF-8.
///
/// # Errors
/// What the engine throws when it is out of memory.
pub fn encode(text: &JsValue) -> Host<Uint8Array> {
    call(&construct("TextEncoder", &[])?, "encode", &[text]).map(JsCast::unchecked_into)
}

/// Calls `act` after some milliseconds, whoever waits for it or not.
pub fn later(milliseconds: u32, act: &Function) {
    if let Err(refused) = call(&js_sys::global(), "setTimeout", &[act, &milliseconds.into()]) {
        web_sys::console::error_1(&refused);
    }
}

/// A wait of some milliseconds; when it is dropped earlier, nothing of it is left.
pub struct Alarm {
    /// Is resolved when the time has come.
    pub rings: Promise,
    ring: Function,
    id: JsValue,
}

impl Alarm {
    /// Begins to wait.
    pub fn new(milliseconds: u32) -> Self {
        let (mut id, mut ring) = (JsValue::UNDEFINED, Function::default());
        let rings = Promise::new(&mut |resolve, _| {
            id = call(&js_sys::global(), "setTimeout", &[&resolve, &milliseconds.into()]).unwrap_or_default();
            ring = resolve;
        });
        Self { rings, ring, id }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        let _ = call(&js_sys::global(), "clearTimeout", &[&self.id]);
        let _ = self.ring.call0(&JsValue::UNDEFINED); // who waits for a promise that never settles waits in memory for ever
    }
}
