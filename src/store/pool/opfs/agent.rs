//! The page's own dedicated workers (`js/worker.js`), which have the sync access handles that a page has not: one that writes and reads,
//! and two that force files to the disk while the next one is written. Each is started when it is needed first, and stays.

use std::cell::RefCell;
use std::rc::Rc;

use js_sys::{Array, ArrayBuffer, Function, Object, Promise};
use wasm_bindgen::prelude::*;

use super::exception;
use crate::context::Context;
use crate::host::{self, Alarm, Host};
use crate::js::{self, Result};

/// For where the worker's own file is not to be had: another origin's, not copied by a bundler, no npm package.
const SCRIPT: &str = include_str!(concat!(env!("OUT_DIR"), "/worker.js"));

/// Milliseconds that a worker may take to start.
const PATIENCE: u32 = 10_000;

/// What the worker must speak: a file that somebody serves may be an older or a newer one.
const PROTOCOL: f64 = 4.0;

/// Who writes and reads.
const FIRST: usize = 0;

thread_local! {
    static MAKE: RefCell<Option<Function>> = const { RefCell::new(None) };
    static STARTED: RefCell<[Started; 3]> = const { RefCell::new([Started::Not, Started::Not, Started::Not]) };
}

#[derive(Clone, Default)]
enum Started {
    #[default]
    Not,
    /// The promise is resolved when it is known how it went.
    Begun(Promise),
    There(Agent),
    /// Why none can be started here. It is not tried again.
    Never(JsValue),
}

/// Has the worker made by this function, which gives a `Worker` or throws.
pub fn use_worker(make: Function) {
    MAKE.set(Some(make));
}

/// A worker. Cloning copies the handle.
#[derive(Clone)]
pub struct Agent(Rc<Link>);

/// Bytes of a file that is written.
pub struct Slice {
    /// What holds them, at its beginning.
    pub buffer: ArrayBuffer,
    /// Where in the file they begin.
    pub at: u64,
    /// How many.
    pub length: u32,
}

struct Link {
    /// Its place among those that are started.
    which: usize,
    worker: JsValue,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    /// What the worker can do, once it is there.
    abilities: JsValue,
    /// Why there is none any more.
    ended: Option<JsValue>,
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
    if let Started::Begun(known) = begin(FIRST) {
        cx.settled(Ok(known.into())).await?;
    }
    match get(FIRST) {
        Started::There(agent) => Ok(Ok(agent)),
        Started::Never(cause) => Ok(Err(cause)),
        _ => Ok(Err(JsValue::UNDEFINED)), // it has ended already
    }
}

/// The worker if it is there; else it is started, for the next one who asks.
pub fn at_hand() -> Option<Agent> {
    there(FIRST)
}

/// One of the others, in turn; the same.
pub fn other(turn: usize) -> Option<Agent> {
    there(FIRST + 1 + turn % 2)
}

/// Has the others started.
pub fn others() {
    (0..2).for_each(|turn| drop(other(turn)));
}

fn there(which: usize) -> Option<Agent> {
    match begin(which) {
        Started::There(agent) => Some(agent),
        _ => None,
    }
}

fn get(which: usize) -> Started {
    STARTED.with_borrow(|started| started.get(which).cloned()).unwrap_or_default()
}

fn set(which: usize, now: Started) {
    STARTED.with_borrow_mut(|started| {
        if let Some(place) = started.get_mut(which) {
            *place = now;
        }
    });
}

fn begin(which: usize) -> Started {
    if matches!(get(which), Started::Not) {
        let known = js::promise(async move {
            let started = start(which).await;
            set(
                which,
                match started {
                    Ok(agent) if agent.0.state.borrow().ended.is_some() => Started::Not,
                    Ok(agent) => Started::There(agent),
                    Err(cause) => Started::Never(cause),
                },
            );
            Ok(JsValue::UNDEFINED)
        });
        set(which, Started::Begun(known));
    }
    get(which)
}

async fn start(which: usize) -> Host<Agent> {
    let Some(make) = MAKE.with_borrow(Option::clone) else { return meet(which, from_text()).await };
    let made = make.call0(&JsValue::UNDEFINED);
    if made.as_ref().is_ok_and(is_there) {
        return Err(exception("OperationError", "the worker is the same as before, and has work to do"));
    }
    match meet(which, made).await {
        Ok(agent) => Ok(agent),
        Err(cause) => meet(which, from_text()).await.map_err(|_| cause),
    }
}

/// Whether this is a worker that is there already.
fn is_there(worker: &JsValue) -> bool {
    let is_it = |started: &Started| matches!(started, Started::There(agent) if agent.0.worker == *worker);
    STARTED.with_borrow(|started| started.iter().any(is_it))
}

fn from_text() -> Host<JsValue> {
    let class = js::global("URL").unwrap_or_default();
    let blob = host::blob(&Array::of1(&SCRIPT.into()), "text/javascript").map_err(JsValue::from)?;
    let url = host::call(&class, "createObjectURL", &[&blob])?; // which stays: the worker may still have to fetch it
    host::construct("Worker", &[&url])
}

/// Waits until the worker says that it is there.
async fn meet(which: usize, worker: Host<JsValue>) -> Host<Agent> {
    let worker = worker?;
    let agent = Agent(Rc::new(Link { which, worker: worker.clone(), state: RefCell::default() }));
    let there = Promise::new(&mut |resolve, reject| {
        agent.0.state.borrow_mut().asked.push(Asked { id: 0, resolve, reject });
    });
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
    let alarm = Alarm::new(PATIENCE);
    host::settled(Ok(Promise::race(&Array::of2(&there, &alarm.rings)).into())).await?;
    let abilities = agent.0.state.borrow().abilities.clone();
    if js::get(&abilities, "protocol") == PROTOCOL {
        return Ok(agent);
    }
    let _ = host::call(&worker, "terminate", &[]);
    Err(match abilities.is_object() {
        true => exception("OperationError", "the worker of opfs:// is of another version"),
        false => exception("TimeoutError", "the worker of opfs:// does not say that it is there"),
    })
}

impl Agent {
    /// Whether it can open files side by side with others, and so reads them faster than the page does.
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

    /// Has a slice of a new file of `total` bytes written. The file is closed with the slice that ends there. The buffer goes there, and
    /// comes back with the answer.
    pub fn write(&self, name: &str, slice: &Slice, total: u64, flush: bool) -> Promise {
        let fields = [
            ("name", name.into()),
            ("at", (slice.at as f64).into()),
            ("length", slice.length.into()),
            ("total", (total as f64).into()),
            ("flush", flush.into()),
        ];
        self.ask("write", &fields, &Array::of1(&slice.buffer))
    }

    /// Has a file that is whole forced to the disk.
    pub fn flush(&self, name: &str) -> Promise {
        self.ask("flush", &[("name", name.into())], &Array::new())
    }

    /// Has files closed that will not be written to their ends.
    pub fn forget(&self, names: &[String]) -> Promise {
        let names: Array = names.iter().map(JsValue::from).collect();
        self.ask("forget", &[("names", names.into())], &Array::new())
    }

    /// Has bytes of a file read, into a buffer that has room for them, if there is one; fewer where the file ends.
    pub async fn read(&self, name: &str, offset: u64, length: u64, room: Option<ArrayBuffer>) -> Host<JsValue> {
        let fields = [("name", name.into()), ("offset", (offset as f64).into()), ("length", (length as f64).into())];
        let asked = self.ask("read", &fields, &room.iter().collect());
        let buffers = host::settled(Ok(asked.into())).await?;
        let bytes = js::items(&buffers).first().and_then(js::bytes).unwrap_or_default();
        Ok(bytes.subarray(0, length.min(bytes.length().into()) as u32).into())
    }

    /// Sends a task; the buffers go along.
    fn ask(&self, task: &str, fields: &[(&str, JsValue)], buffers: &Array) -> Promise {
        let message = Object::new();
        js::set(&message, "task", &task.into());
        js::set(&message, "buffers", buffers);
        for (key, value) in fields {
            js::set(&message, key, value);
        }
        Promise::new(&mut |resolve, reject| {
            let (id, ended) = {
                let mut state = self.0.state.borrow_mut();
                state.last += 1;
                let id = state.last;
                state.asked.push(Asked { id, resolve, reject });
                (id, state.ended.clone())
            };
            js::set(&message, "id", &id.into());
            let sent = ended.map_or_else(|| host::call(&self.0.worker, "postMessage", &[&message, buffers]), Err);
            if let Err(cause) = sent {
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
        state.ended = Some(cause.clone());
        drop(state);
        if was_there {
            set(self.0.which, Started::Not);
        }
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
