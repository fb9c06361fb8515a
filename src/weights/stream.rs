//! Weights as a ReadableStream, for who reads them piece by piece: `load(..., { stream: true })`.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use js_sys::Object;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;

use super::{Pull, Weights};
use crate::context::Context;
use crate::error::Error;
use crate::host;
use crate::js::{self, Result};

/// What a JavaScript function gives.
type Answer = core::result::Result<JsValue, JsValue>;

/// A `getWeightStream`: each call opens a stream. Of weights that are a stream themselves there is only one; and only the first one keeps
/// what is stored until it has ended: who opens more may find it removed.
pub fn opener(weights: Weights, expected: Option<u64>, cx: Context) -> JsValue {
    let (cx, weights) = (Rc::new(cx), RefCell::new(weights));
    let open = move || -> Answer {
        let again = weights.borrow().again().unwrap_or(Weights::None);
        let weights = weights.replace(again);
        Ok(readable(Pull::new(weights, expected), cx.clone())?)
    };
    Closure::<dyn Fn() -> Answer>::new(open).into_js_value()
}

/// A ReadableStream of what is pulled: a piece at a time, and only when somebody asks for it.
///
/// # Errors
/// [`Error::NotSupported`] where there are no streams.
pub fn readable(pull: Pull, cx: Rc<Context>) -> Result<JsValue> {
    // Out of it while the next piece is awaited: a stream does not ask twice at once.
    let source = Rc::new(RefCell::new(Some(pull)));
    let is_cancelled = Rc::new(Cell::new(false));
    let feed = {
        let (source, is_cancelled) = (source.clone(), is_cancelled.clone());
        move |controller: JsValue| {
            let (source, is_cancelled, cx) = (source.clone(), is_cancelled.clone(), cx.clone());
            future_to_promise(async move {
                let Some(mut pull) = source.take() else { return Ok(JsValue::UNDEFINED) };
                let next = pull.next(&cx).await?;
                match next.filter(|_| !is_cancelled.get()) {
                    None => host::call(&controller, "close", &[]),
                    Some(bytes) => {
                        source.replace(Some(pull));
                        host::call(&controller, "enqueue", &[&bytes])
                    }
                }
            })
        }
    };
    let cancel = move || {
        is_cancelled.set(true);
        drop(source.take());
    };
    let underlying = Object::new();
    js::set(&underlying, "pull", &Closure::<dyn Fn(JsValue) -> js_sys::Promise>::new(feed).into_js_value());
    js::set(&underlying, "cancel", &Closure::<dyn Fn()>::new(cancel).into_js_value());
    let strategy = Object::new();
    js::set(&strategy, "highWaterMark", &0.into());
    let missing = |_| Error::NotSupported {
        operation: "stream weights",
        scheme: "This host".into(),
        why: "there is no ReadableStream here".into(),
    };
    host::construct("ReadableStream", &[&underlying, &strategy]).map_err(|cause| missing(cause).into())
}
