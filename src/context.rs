//! What accompanies a verb from the caller down to the medium: options, signal, progress.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use js_sys::{Array, Function, Object, Promise};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::AbortSignal;

#[cfg(feature = "node")]
use crate::host;
use crate::js::{self, Failure, Result};
use crate::progress::Progress;

mod options;

pub use options::Options;

/// What becomes of the weights of a model that is read.
#[derive(Clone, Copy, Default, PartialEq)]
pub enum Taken {
    /// Who reads keeps all.
    #[default]
    Whole,
    /// They go on a piece at a time: what is large shall come so.
    InTurn,
    /// They are looked at, a piece at a time, and dropped.
    Dropped,
}

/// The options of one call, and how far it is.
pub struct Context {
    /// As the caller gave them.
    pub options: Options,
    /// Replace what is stored.
    pub overwrite: bool,
    /// A model JSON alone, whose weights are missing, will not do.
    pub needs_weights: Cell<bool>,
    /// Everything is checked that can be, also what costs: `verify`.
    pub is_thorough: Cell<bool>,
    /// What becomes of the weights that are read.
    pub taken: Cell<Taken>,
    /// IndexedDB's durability hint.
    pub durability: Option<String>,
    /// What is saved must be dated later than this, in milliseconds since 1970: that of a twin in another layout.
    pub later_than: Cell<Option<f64>>,
    signal: Option<AbortSignal>,
    on_progress: Option<Function>,
    progress: Rc<RefCell<Progress>>,
}

#[cfg(feature = "sharded")]
impl Default for Context {
    /// For what happens without a caller.
    fn default() -> Self {
        Self {
            options: Options::default(),
            overwrite: true,
            needs_weights: Cell::default(),
            is_thorough: Cell::default(),
            taken: Cell::default(),
            durability: None,
            later_than: Cell::default(),
            signal: None,
            on_progress: None,
            progress: Rc::default(),
        }
    }
}

impl Context {
    /// Reads the caller's options.
    ///
    /// # Errors
    /// [`crate::Error::InvalidArgument`] for an option that nobody knows or that has the wrong type; the signal's reason when it is aborted.
    pub fn new(options: &JsValue) -> Result<Self> {
        Self::with(options, &[])
    }

    /// The same for a verb that has more options.
    ///
    /// # Errors
    /// As [`Context::new`].
    pub fn with(options: &JsValue, more: &[&str]) -> Result<Self> {
        let options = Options::of(options, more)?;
        let context = Self {
            overwrite: options.flag("overwrite")?.unwrap_or(true),
            needs_weights: Cell::new(false),
            is_thorough: Cell::new(false),
            taken: Cell::default(),
            durability: options.durability()?,
            later_than: Cell::default(),
            signal: options.signal()?,
            on_progress: options.typed("onProgress", options::IS_FUNCTION)?,
            progress: Rc::default(),
            options,
        };
        context.check()?;
        #[cfg(feature = "node")]
        context.expect_many_waits();
        Ok(context)
    }

    /// Each wait of a call listens to its signal, and Node takes more than ten listeners for a leak, and warns.
    #[cfg(feature = "node")]
    fn expect_many_waits(&self) {
        let Some(signal) = &self.signal else { return };
        let events = js::global("process").map(|node| host::call(&node, "getBuiltinModule", &[&"node:events".into()]));
        if let Some(Ok(events)) = events {
            let _ = host::call(&events, "setMaxListeners", &[&0.into(), signal]);
        }
    }

    /// The same call with the options of its target, where those are not the source's, too.
    ///
    /// # Errors
    /// As [`Context::new`].
    pub fn to_target(&self, options: &JsValue, more: &[&str]) -> Result<Self> {
        Ok(Self { progress: self.progress.clone(), ..Self::with(options, more)? })
    }

    /// Stops here when the caller has aborted.
    ///
    /// # Errors
    /// The signal's own reason.
    pub fn check(&self) -> Result<()> {
        match &self.signal {
            Some(signal) if signal.aborted() => Err(Failure::Thrown(signal.reason())),
            _ => Ok(()),
        }
    }

    /// The later of both dates that a save must be later than: that of what it replaces, and that of a twin.
    pub fn replaced(&self, saved: Option<f64>) -> Option<f64> {
        let later = self.later_than.get();
        saved.map(|saved| later.map_or(saved, |later| later.max(saved))).or(later)
    }

    /// The caller's signal.
    pub fn signal(&self) -> Option<&AbortSignal> {
        self.signal.as_ref()
    }

    /// For what follows a commit: it is finished whatever the signal says, unseen by the progress, and replaces our own.
    pub fn quiet(&self) -> Self {
        Self {
            options: self.options.clone(),
            needs_weights: self.needs_weights.clone(),
            is_thorough: self.is_thorough.clone(),
            durability: self.durability.clone(),
            later_than: self.later_than.clone(),
            overwrite: true,
            taken: Cell::default(),
            signal: None,
            on_progress: None,
            progress: Rc::default(),
        }
    }

    /// For what happens on the way: the progress does not see it, and it replaces what is there.
    pub fn unseen(&self) -> Self {
        Self { signal: self.signal.clone(), ..self.quiet() }
    }

    /// The same call, for what may outlive this.
    pub fn shared(&self) -> Self {
        Self {
            overwrite: self.overwrite,
            on_progress: self.on_progress.clone(),
            progress: self.progress.clone(),
            ..self.unseen()
        }
    }

    /// Awaits what a caller's or a host's function gave, a promise or a plain value, but no longer than until the abort.
    ///
    /// # Errors
    /// What the function threw, what the promise rejects with, or the signal's reason.
    pub async fn settled(&self, outcome: core::result::Result<JsValue, JsValue>) -> Result<JsValue> {
        let work = outcome.and_then(|value| js::resolve(&value)).map_err(js::thrown)?;
        let mut stop = None;
        let aborted = Promise::new(&mut |_, reject| {
            stop = self.on_abort(move |reason| {
                let _ = reject.call1(&JsValue::UNDEFINED, reason);
            });
        });
        // The abort goes first: when both are settled already, it counts.
        let first = Promise::race(&Array::of2(&aborted, &work));
        let settled = JsFuture::from(first).await;
        drop(stop);
        settled.map_err(js::thrown)
    }

    /// Calls `act` with the reason when the caller aborts, also when it happened already; until the answer is dropped.
    pub fn on_abort(&self, act: impl Fn(&JsValue) + 'static) -> Option<OnAbort> {
        let signal = self.signal.clone()?;
        if signal.aborted() {
            act(&signal.reason());
        }
        let listener = {
            let signal = signal.clone();
            Closure::new(move || act(&signal.reason()))
        };
        let listening = signal.add_event_listener_with_callback("abort", listener.as_ref().unchecked_ref());
        listening.ok().map(|()| OnAbort { signal, listener })
    }

    /// Says how many bytes are still to come.
    pub fn expect(&self, bytes: Option<u64>) {
        self.progress.borrow_mut().expect(bytes);
    }

    /// Says that what is expected next is read first, and then written.
    pub fn expect_twice(&self) {
        self.progress.borrow_mut().expect_twice();
    }

    /// Says how many bytes are still to be written, when nothing of them is to be read first.
    #[cfg(feature = "transfers")]
    pub fn expect_last(&self, bytes: u64) {
        self.progress.borrow_mut().expect_last(bytes);
    }

    /// Says how many bytes of what was expected twice will be written.
    pub fn expect_written(&self, bytes: u64) {
        self.progress.borrow_mut().expect_written(bytes);
    }

    /// Reports bytes that have been read or written.
    pub fn advance(&self, bytes: u64, phase: &str) {
        let fraction = self.progress.borrow_mut().advance(bytes);
        self.report(fraction, phase, None);
    }

    /// Reports bytes of one of several files.
    pub fn advance_file(&self, file: &FileProgress, bytes: u64, phase: &str) {
        let fraction = self.progress.borrow_mut().advance(bytes);
        self.report(fraction, phase, Some(file));
    }

    /// Reports a file that is through, of that many bytes.
    pub fn advance_whole(&self, name: &str, bytes: u64, phase: &str) {
        self.advance_file(&FileProgress { name: name.to_owned(), loaded: bytes, total: Some(bytes) }, bytes, phase);
    }

    /// Reports the end.
    pub fn finish(&self) {
        let fraction = self.progress.borrow_mut().finish();
        self.report(fraction, "done", None);
    }

    fn report(&self, fraction: f64, phase: &str, file: Option<&FileProgress>) {
        let Some(on_progress) = &self.on_progress else { return };
        let detail = Object::new();
        {
            let progress = self.progress.borrow();
            js::set(&detail, "loaded", &(progress.loaded() as f64).into());
            if let Some(total) = progress.total() {
                js::set(&detail, "total", &(total as f64).into());
            }
        }
        js::set(&detail, "phase", &phase.into());
        if let Some(file) = file {
            js::set(&detail, "file", &file.to_js());
        }
        if let Err(error) = on_progress.call2(&JsValue::UNDEFINED, &fraction.into(), &detail) {
            // A faulty progress bar must not undo a save; nor shall its error be swallowed.
            web_sys::console::error_1(&error);
        }
    }
}

/// How far one of several files is.
#[derive(Clone, Debug)]
pub struct FileProgress {
    /// Its name, or its URL.
    pub name: String,
    /// Its bytes so far.
    pub loaded: u64,
    /// Its bytes in all, when known.
    pub total: Option<u64>,
}

impl FileProgress {
    fn to_js(&self) -> Object {
        let file = Object::new();
        js::set(&file, "name", &self.name.as_str().into());
        js::set(&file, "loaded", &(self.loaded as f64).into());
        if let Some(total) = self.total {
            js::set(&file, "total", &(total as f64).into());
        }
        file
    }
}

/// A listener on a signal, gone when dropped.
pub struct OnAbort {
    signal: AbortSignal,
    listener: Closure<dyn FnMut()>,
}

impl Drop for OnAbort {
    fn drop(&mut self) {
        let _ = self.signal.remove_event_listener_with_callback("abort", self.listener.as_ref().unchecked_ref());
    }
}

/// Texts as a JavaScript array.
pub fn strings(values: &[&str]) -> Array {
    values.iter().map(|value| JsValue::from_str(value)).collect()
}
