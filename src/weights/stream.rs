//! Weights as a ReadableStream, for who reads them piece by piece: `load(..., { stream: true })`.

use core::future::poll_fn;
use core::pin::pin;
use core::task::{Poll, Waker};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

use js_sys::{Object, Promise, Uint8Array};
use wasm_bindgen::prelude::*;

use super::{Pull, Weights};
use crate::context::Context;
use crate::error::Error;
use crate::host;
use crate::js::{self, Result};
use crate::weights;

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

/// What is pulled, and whether anybody still wants it.
struct Feed {
    /// Out of it while the next piece is awaited: a stream does not ask twice at once.
    pull: RefCell<Option<Pull>>,
    is_cancelled: Cell<bool>,
    /// Who awaits the next piece.
    waiting: RefCell<Option<Waker>>,
}

impl Feed {
    /// The next piece, and whether it is the last: `None` at the end, and when it was cancelled meanwhile.
    async fn next(&self, cx: &Context) -> Result<Option<(Uint8Array, bool)>> {
        let Some(mut pull) = self.pull.take() else { return Ok(None) };
        let next = {
            let mut piece = pin!(piece(&mut pull, cx));
            poll_fn(|task| {
                if self.is_cancelled.get() {
                    return Poll::Ready(Ok(None));
                }
                self.waiting.replace(Some(task.waker().clone()));
                piece.as_mut().poll(task)
            })
            .await?
        };
        if matches!(next, Some((_, false))) {
            self.pull.replace(Some(pull));
        }
        Ok(next)
    }

    fn cancel(&self) {
        self.is_cancelled.set(true);
        drop(self.pull.take());
        if let Some(waiting) = self.waiting.take() {
            waiting.wake();
        }
    }
}

/// A piece. TF.js reads up to the last byte, and not the end behind it: whatever is kept for the stream must be let go of with that byte.
async fn piece(pull: &mut Pull, cx: &Context) -> Result<Option<(Uint8Array, bool)>> {
    let Some(bytes) = pull.next(cx).await? else { return Ok(None) };
    let mut is_last = false;
    while pull.is_full() && !is_last {
        is_last = pull.next(cx).await?.is_none();
    }
    Ok(Some((bytes, is_last)))
}

/// A ReadableStream of what is pulled: a piece at a time, and only when somebody asks for it.
///
/// # Errors
/// [`Error::NotSupported`] where there are no streams.
pub fn readable(pull: Pull, cx: Rc<Context>) -> Result<JsValue> {
    let pull = RefCell::new(Some(pull));
    let feed = Rc::new(Feed { pull, is_cancelled: Cell::default(), waiting: RefCell::default() });
    let on_pull = {
        let feed = feed.clone();
        move |controller: JsValue| {
            let (feed, cx) = (feed.clone(), cx.clone());
            js::promise(async move {
                let next = feed.next(&cx).await?;
                if feed.is_cancelled.get() {
                    return Ok(JsValue::UNDEFINED);
                }
                let is_last = next.as_ref().is_none_or(|(_, is_last)| *is_last);
                if let Some((bytes, _)) = next {
                    // A buffer, as TF.js's type says: numbers are made of it without a look at where a view begins.
                    let buffer = weights::concat(core::slice::from_ref(&bytes))?;
                    host::call(&controller, "enqueue", &[&buffer])?;
                }
                if is_last { host::call(&controller, "close", &[]) } else { Ok(JsValue::UNDEFINED) }
            })
        }
    };
    let underlying = Object::new();
    js::set(&underlying, "pull", &Closure::<dyn Fn(JsValue) -> Promise>::new(on_pull).into_js_value());
    js::set(&underlying, "cancel", &Closure::<dyn Fn()>::new(move || feed.cancel()).into_js_value());
    let strategy = Object::new();
    js::set(&strategy, "highWaterMark", &0.into());
    let missing = |_| Error::NotSupported {
        operation: "stream weights",
        scheme: "this browser".into(),
        why: "there is no ReadableStream here".into(),
    };
    host::construct("ReadableStream", &[&underlying, &strategy]).map_err(|cause| missing(cause).into())
}
