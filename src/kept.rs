//! What is left for who needs it next, if somebody does soon.

use core::cell::{Cell, RefCell};
use std::thread::LocalKey;

use wasm_bindgen_futures::spawn_local;

use crate::js;

/// Something that is dropped when nobody has used it for a while.
#[derive(Default)]
pub struct Kept<T> {
    value: RefCell<T>,
    /// How often it was used.
    times: Cell<u32>,
}

impl<T: Default> Kept<T> {
    /// Looks at it, or changes it.
    pub fn with<R>(kept: &'static LocalKey<Self>, see: impl FnOnce(&mut T) -> R) -> R {
        kept.with(|kept| see(&mut kept.value.borrow_mut()))
    }

    /// Takes it: nothing is left.
    pub fn take(kept: &'static LocalKey<Self>) -> T {
        kept.with(|kept| kept.value.take())
    }

    /// Drops it in so many milliseconds, unless it is used again.
    pub fn drop_in(kept: &'static LocalKey<Self>, milliseconds: u32) {
        let uses = || kept.with(|kept| kept.times.get());
        let time = uses().wrapping_add(1);
        kept.with(|kept| kept.times.set(time));
        spawn_local(async move {
            js::sleep(milliseconds).await;
            if uses() == time {
                Self::take(kept);
            }
        });
    }
}
