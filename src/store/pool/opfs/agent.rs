//! The page's own dedicated worker (`js/worker.js`), which has the sync access handles that a page has not. It is started when it is
//! needed first, and stays.

use std::cell::RefCell;
use std::rc::Rc;

use js_sys::{Array, ArrayBuffer, Function, Object, Promise};
use wasm_bindgen::prelude::*;

use super::{exception, handled};
use crate::context::Context;
use crate::host::{self, Host};
use crate::js::{self, Failure, Result};

/// Where nobody says where the worker is, it is started from its text.
const SCRIPT: &str = include_str!("../../../../js/worker.js");

thread_local! {
    static MAKE: RefCell<Option<Function>> = const { RefCell::new(None) };
    static AGENT: RefCell<Option<Host<Agent>>> = const { RefCell::new(None) };
}

/// Has the worker made by this function, which gives a `Worker` or throws.
pub fn use_worker(make: Function) {
    MAKE.set(Some(make));
}

/// A worker, or one that is being started. Cloning copies the handle.
#[derive(Clone)]
pub struct Agent(Rc<Link>);

struct Link {
    worker: JsValue,
    /// Is resolved with what the worker can do.
    ready: Promise,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    /// What the worker can do, once it is there.
    abilities: JsValue,
    last: u32,
    asked: Vec<Asked>,
}

struct Asked {
    id: u32,
    resolve: Function,
    reject: Function,
}

/// The worker, once it is there; inside, why none can be started here.
///
/// # Errors
/// The signal's reason.
pub async fn started(cx: &Context) -> Result<Host<Agent>> {
    let agent = match begun() {
        Ok(agent) => agent,
        Err(cause) => return Ok(Err(cause)),
    };
    match cx.settled(Ok(agent.0.ready.clone().into())).await {
        Ok(_) => Ok(Ok(agent)),
        Err(Failure::Thrown(cause)) => cx.check().map(|()| Err(cause)),
        Err(failure) => Err(failure),
    }
}

/// The worker, which may still have to start.
///
/// # Errors
/// Why none can be started here. That is not tried again.
pub fn begun() -> Host<Agent> {
    AGENT.with_borrow_mut(|agent| agent.get_or_insert_with(start).clone())
}

fn start() -> Host<Agent> {
    let make = MAKE.with_borrow(Option::clone);
    let worker = match make {
        Some(make) => make.call0(&JsValue::UNDEFINED)?,
        None => from_text()?,
    };
    let mut ends = None;
    let ready = Promise::new(&mut |resolve, reject| ends = Some(Asked { id: 0, resolve, reject }));
    handled(&ready);
    let state = RefCell::new(State { asked: ends.into_iter().collect(), ..State::default() });
    let agent = Agent(Rc::new(Link { worker: worker.clone(), ready, state }));
    // They live as long as the worker: as long as the page.
    let hear = {
        let agent = agent.clone();
        Closure::<dyn Fn(JsValue)>::new(move |event: JsValue| agent.hear(&js::get(&event, "data"))).into_js_value()
    };
    let end = {
        let agent = agent.clone();
        Closure::<dyn Fn(JsValue)>::new(move |event: JsValue| agent.end(&event)).into_js_value()
    };
    for (event, listener) in [("message", &hear), ("error", &end), ("messageerror", &end)] {
        host::call(&worker, "addEventListener", &[&event.into(), listener])?;
    }
    // A worker that is heard by listeners only begins to speak when it is asked to; ours does so at once, a port would not.
    Ok(agent)
}

fn from_text() -> Host<JsValue> {
    let class = js::global("URL").unwrap_or_default();
    let blob = host::blob(&Array::of1(&SCRIPT.into()), "text/javascript").map_err(JsValue::from)?;
    let url = host::call(&class, "createObjectURL", &[&blob])?;
    host::construct("Worker", &[&url])
}

impl Agent {
    /// Whether it is there, and reads files faster than the page does.
    pub fn reads(&self) -> bool {
        self.can("reads")
    }

    /// Whether it can write.
    pub fn writes(&self) -> bool {
        self.can("writes")
    }

    fn can(&self, what: &str) -> bool {
        js::get(&self.0.state.borrow().abilities, what).is_truthy()
    }

    /// Has a new file written. The buffers go there, and come back with the answer.
    pub fn write(&self, name: &str, buffers: &[ArrayBuffer], length: u64, flush: bool) -> Promise {
        let buffers: Array = buffers.iter().collect();
        let task = Object::new();
        js::set(&task, "task", &"write".into());
        js::set(&task, "name", &name.into());
        js::set(&task, "buffers", &buffers);
        js::set(&task, "length", &(length as f64).into());
        js::set(&task, "flush", &flush.into());
        self.ask(&task, &buffers)
    }

    /// Has bytes of a file read: a list of one buffer.
    pub fn read(&self, name: &str, offset: u64, length: u64) -> Promise {
        let task = Object::new();
        js::set(&task, "task", &"read".into());
        js::set(&task, "name", &name.into());
        js::set(&task, "offset", &(offset as f64).into());
        js::set(&task, "length", &(length as f64).into());
        self.ask(&task, &Array::new())
    }

    fn ask(&self, task: &Object, transfer: &Array) -> Promise {
        Promise::new(&mut |resolve, reject| {
            let id = {
                let mut state = self.0.state.borrow_mut();
                state.last += 1;
                let id = state.last;
                state.asked.push(Asked { id, resolve, reject });
                id
            };
            js::set(task, "id", &id.into());
            if let Err(cause) = host::call(&self.0.worker, "postMessage", &[task, transfer]) {
                self.answer(id, Err(cause));
            }
        })
    }

    /// An answer, or, at first, that the worker is there.
    fn hear(&self, data: &JsValue) {
        match js::get(data, "id").as_f64() {
            None => {
                self.0.state.borrow_mut().abilities = data.clone();
                self.answer(0, Ok(JsValue::UNDEFINED));
            }
            Some(id) => {
                let failure = || exception(&word(data, "name"), &word(data, "message"));
                self.answer(id as u32, js::get_some(data, "buffers").ok_or_else(failure));
            }
        }
    }

    fn answer(&self, id: u32, outcome: Host<JsValue>) {
        let mut state = self.0.state.borrow_mut();
        let Some(place) = state.asked.iter().position(|asked| asked.id == id) else { return };
        let asked = state.asked.swap_remove(place);
        drop(state);
        asked.settle(outcome);
    }

    /// The worker could not be started, or has ended: whoever waits for it hears that. One that had been there is replaced when the
    /// next is needed.
    fn end(&self, event: &JsValue) {
        let _ = host::call(event, "preventDefault", &[]); // it is told to whom it concerns
        let _ = host::call(&self.0.worker, "terminate", &[]);
        let said = word(event, "message");
        let cause = exception("OperationError", &format!("the worker of opfs:// has failed: {said}"));
        let mut state = self.0.state.borrow_mut();
        let asked = core::mem::take(&mut state.asked);
        let was_there = state.abilities.is_object();
        state.abilities = JsValue::UNDEFINED;
        drop(state);
        AGENT.set(if was_there { None } else { Some(Err(cause.clone())) });
        for asked in asked {
            asked.settle(Err(cause.clone()));
        }
    }
}

impl Asked {
    fn settle(self, outcome: Host<JsValue>) {
        // Neither can fail: they settle a promise.
        let _ = match outcome {
            Ok(value) => self.resolve.call1(&JsValue::UNDEFINED, &value),
            Err(cause) => self.reject.call1(&JsValue::UNDEFINED, &cause),
        };
    }
}

fn word(object: &JsValue, key: &str) -> String {
    js::text(&js::get(object, key)).unwrap_or_default()
}
