//! Web Locks, where they exist: a second tab waits its turn.

use js_sys::{Function, Object, Promise};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use crate::context::Context;
use crate::js::{self, Result};

/// A lock that is held until this is dropped; or nothing, where there are no locks (plain http).
pub struct Lock(Option<Function>);

impl Drop for Lock {
    fn drop(&mut self) {
        if let Some(release) = self.0.take() {
            // It resolves a promise, which cannot fail.
            let _ = release.call0(&JsValue::UNDEFINED);
        }
    }
}

/// Waits for the lock of that name.
///
/// # Errors
/// The signal's reason.
pub async fn exclusive(name: &str, cx: &Context) -> Result<Lock> {
    let Some(locks) = js::global("navigator").and_then(|navigator| js::get_some(&navigator, "locks")) else {
        return Ok(Lock(None));
    };
    let Some(request) = js::method(&locks, "request") else { return Ok(Lock(None)) };
    let mut release = None;
    let held = Promise::new(&mut |resolve, _| release = Some(resolve));
    let granted = Promise::new(&mut |grant, refuse| {
        let held = held.clone();
        let on_grant = Closure::once_into_js(move || {
            let _ = grant.call0(&JsValue::UNDEFINED);
            held
        });
        let options = Object::new();
        if let Some(signal) = cx.signal() {
            js::set(&options, "signal", signal);
        }
        match request.call3(&locks, &name.into(), &options, &on_grant) {
            Ok(requested) => {
                if let Some(catch) = js::method(&requested, "catch") {
                    let _ = catch.call1(&requested, &refuse);
                }
            }
            Err(error) => {
                let _ = refuse.call1(&JsValue::UNDEFINED, &error);
            }
        }
    });
    match JsFuture::from(granted).await {
        Ok(_) => Ok(Lock(release)),
        // Refused, for example in a document that is being unloaded or has an opaque origin: go on as where there are none.
        Err(_) => cx.check().map(|()| Lock(None)),
    }
}
