//! Requests to a server: sent, tried again, and ended when nobody wants their answers any more.

use core::cell::{Cell, RefCell};

use js_sys::{ArrayBuffer, Date, Function, Math, Object};
use wasm_bindgen::{JsCast, JsValue};

use crate::context::{Context, OnAbort};
use crate::error::Error;
use crate::host;
use crate::js::{self, Failure, Result};
use crate::weights;

/// How often a file is tried again, unless the caller says.
pub const RETRIES: u64 = 3;
/// Milliseconds before the first new try, and at the most; each waits twice as long as the one before.
const BACKOFF: (f64, f64) = (250.0, 8_000.0);
/// A server that asks for more patience, in milliseconds, is not waited for.
const PATIENCE: f64 = 60_000.0;
/// Statuses that may be better the next time.
const PASSING: [u16; 7] = [408, 425, 429, 500, 502, 503, 504];
/// Characters that an error shows of what a server said.
const SHOWN: u32 = 300;

/// Bytes of an answer that are read in one go.
const ROOM: u64 = 256 << 10;

/// The requests of one call. When it is dropped, those that still run are aborted.
pub struct Requests {
    /// The call's.
    pub cx: Context,
    fetch: Function,
    /// It is the host's own `fetch`.
    is_global: bool,
    init: Object,
    controller: JsValue,
    is_kept: Cell<bool>,
    retries: u64,
    /// Where answers were read into.
    rooms: RefCell<Vec<ArrayBuffer>>,
    _stop: Option<OnAbort>,
}

/// A try that failed, and whether another one may do.
pub struct Refused {
    failure: Failure,
    is_passing: bool,
    /// Milliseconds that the server asks for.
    wait: Option<f64>,
}

impl Refused {
    /// A failure that may pass.
    pub(super) fn passing(failure: impl Into<Failure>) -> Self {
        Self { failure: failure.into(), is_passing: true, wait: None }
    }
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self { failure, is_passing: false, wait: None }
    }
}

impl Drop for Requests {
    fn drop(&mut self) {
        if !self.is_kept.get() {
            abort(&self.controller, &JsValue::UNDEFINED);
        }
    }
}

fn abort(controller: &JsValue, reason: &JsValue) {
    // It aborts a fetch, or nothing: neither throws.
    let _ = host::call(controller, "abort", &[reason]);
}

impl Requests {
    /// Reads `requestInit`, `fetchFunc` and `retries` of the options. An abort of the caller's ends all requests at once.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for options of a wrong type; [`Error::NotSupported`] without `fetch`.
    pub fn new(cx: &Context, retries: u64) -> Result<Self> {
        let missing = || Error::NotSupported {
            operation: "be used",
            scheme: "http".into(),
            why: "there is no fetch() here; pass one as `fetchFunc`".into(),
        };
        let global = || js::global("fetch").and_then(|fetch| fetch.dyn_into().ok());
        let controller = host::construct("AbortController", &[]).map_err(js::thrown)?;
        let stop = {
            let controller = controller.clone();
            cx.on_abort(move |reason| abort(&controller, reason))
        };
        let given = cx.function("fetchFunc")?;
        Ok(Self {
            is_global: given.is_none(),
            fetch: given.or_else(global).ok_or_else(missing)?,
            init: cx.request_init()?,
            controller,
            is_kept: Cell::new(false),
            retries: cx.number("retries", 0)?.unwrap_or(retries),
            rooms: RefCell::default(),
            _stop: stop,
            cx: cx.shared(),
        })
    }

    /// Those of a load: the method of an upload, which a handler's options may name, would replace what is there.
    ///
    /// # Errors
    /// As [`Requests::new`].
    pub fn to_read(cx: &Context) -> Result<Self> {
        let requests = Self::new(cx, RETRIES)?;
        let method = js::text(&js::get(&requests.init, "method")).unwrap_or_default();
        if !["GET", "POST"].contains(&&*method.to_ascii_uppercase()) {
            let _ = js_sys::Reflect::delete_property(&requests.init, &"method".into()); // a copy of ours
        }
        Ok(requests)
    }

    /// Asks the server each time, whatever the browser's own cache thinks of its copy; unless the caller says otherwise.
    #[must_use]
    pub fn revalidating(self) -> Self {
        if js::get_some(&self.init, "cache").is_none() {
            js::set(&self.init, "cache", &"no-cache".into());
        }
        self
    }

    /// For a success whose answers the caller will read.
    pub fn keep(&self) {
        self.is_kept.set(true);
    }

    /// Where an answer is read into; `None` for those of a caller's own `fetchFunc`: a stream of bytes that is no host's need not end for
    /// who reads it so.
    pub(super) fn room(&self) -> Option<ArrayBuffer> {
        let known = self.is_global.then(|| self.rooms.borrow_mut().pop())?;
        known.or_else(|| js::allocate(ROOM).ok())
    }

    /// Takes it back, for another answer.
    pub(super) fn give_room(&self, room: ArrayBuffer) {
        self.rooms.borrow_mut().push(room);
    }

    /// Sends one request. `change` sets what is its own in the RequestInit.
    ///
    /// # Errors
    /// [`Error::Network`], the signal's reason.
    pub async fn send(
        &self,
        url: &str,
        is_binary: bool,
        change: &dyn Fn(&Object),
    ) -> core::result::Result<JsValue, Refused> {
        if self.is_global {
            check(url)?;
        }
        let init = Object::assign(&Object::new(), &self.init);
        js::set(&init, "signal", &js::get(&self.controller, "signal"));
        change(&init);
        let details = Object::new();
        js::set(&details, "isBinary", &JsValue::TRUE);
        let sent = match is_binary {
            true => self.fetch.call3(&JsValue::UNDEFINED, &url.into(), &init, &details),
            false => self.fetch.call2(&JsValue::UNDEFINED, &url.into(), &init),
        };
        self.cx.settled(sent).await.map_err(|failure| self.broken(url, failure))
    }

    /// The caller's abort, or else a failure of the network, which may pass.
    pub(super) fn broken(&self, url: &str, failure: Failure) -> Refused {
        match (self.cx.check(), failure) {
            (Err(aborted), _) => aborted.into(),
            (Ok(()), Failure::Thrown(cause)) => {
                let (name, message) = js::words(&cause);
                let error = Error::Network { url: url.to_owned(), why: format!("{name}: {message}") };
                Refused::passing(Failure::known(error, Some(cause)))
            }
            (Ok(()), known) => known.into(),
        }
    }

    /// That the status is a success.
    ///
    /// # Errors
    /// [`Error::HttpStatus`] with the beginning of the body.
    pub async fn check(&self, url: &str, response: &JsValue) -> core::result::Result<(), Refused> {
        if js::get(response, "ok").is_truthy() {
            return Ok(());
        }
        let status = js::get(response, "status").as_f64().unwrap_or(0.0) as u16;
        let why = self.beginning(response).await.unwrap_or_default();
        self.cx.check()?;
        let wait = header(response, "Retry-After").and_then(|after| retry_after(&after));
        let is_passing = PASSING.contains(&status) && wait.is_none_or(|wait| wait <= PATIENCE);
        Err(Refused { failure: Error::HttpStatus { url: url.to_owned(), status, why }.into(), is_passing, wait })
    }

    /// The first words of a body; the rest is not waited for.
    async fn beginning(&self, response: &JsValue) -> Option<String> {
        let reader = host::call(&js::get_some(response, "body")?, "getReader", &[]).ok()?;
        let read = self.cx.settled(host::call(&reader, "read", &[])).await;
        weights::cancel(&reader);
        let text = host::decode(&js::bytes(&js::get(&read.ok()?, "value"))?).ok()?;
        Some(String::from(text.trim().slice(0, SHOWN)))
    }

    /// Waits before another try, or gives up. `tries` counts those that failed.
    ///
    /// # Errors
    /// The failure, when it will not pass or has come too often; the signal's reason.
    pub async fn again(&self, refused: Refused, tries: &mut u64) -> Result<()> {
        if !refused.is_passing || *tries >= self.retries {
            return Err(refused.failure);
        }
        let backoff = (BACKOFF.0 * 2_f64.powi(*tries as i32)).min(BACKOFF.1) * (0.5 + Math::random() / 2.0);
        *tries += 1;
        let alarm = host::Alarm::new(refused.wait.unwrap_or(backoff) as u32);
        self.cx.settled(Ok(alarm.rings.clone().into())).await.map(drop)
    }

    pub(super) fn headers_with(&self, name: &str, value: &str) -> Result<JsValue> {
        let headers = host::construct("Headers", &[&js::get(&self.init, "headers")]).map_err(js::thrown)?;
        host::call(&headers, "set", &[&name.into(), &value.into()]).map_err(js::thrown)?;
        Ok(headers)
    }
}

/// That it is a URL here: a relative one needs a page that it is relative to.
fn check(url: &str) -> Result<()> {
    let base = js::global("location").map_or(JsValue::UNDEFINED, |location| js::get(&location, "href"));
    // A worker that was made of a Blob has a URL that nothing can be relative to, but its fetch knows better.
    let known = if base.is_undefined() { host::construct("URL", &[&url.into()]) } else { Ok(base) };
    let why = "it is relative, and there is no page here that it could be relative to; a folder is file:///folder";
    known.map(drop).map_err(|cause| Failure::known(Error::InvalidUrl { url: url.to_owned(), why }, Some(cause)))
}

/// A header of a response; also of one that is not a real Response.
pub fn header(response: &JsValue, name: &str) -> Option<String> {
    let headers = js::get_some(response, "headers")?;
    js::text(&host::call(&headers, "get", &[&name.into()]).ok()?)
}

/// What tells this version of a file from another one.
pub fn validator(response: &JsValue) -> Option<String> {
    let strong = header(response, "ETag").filter(|tag| !tag.starts_with("W/"));
    strong.or_else(|| header(response, "Last-Modified"))
}

/// Milliseconds of a Retry-After, which is in seconds or a date.
fn retry_after(text: &str) -> Option<f64> {
    let seconds = text.trim().parse::<u32>().map(|seconds| f64::from(seconds) * 1000.0);
    let wait = seconds.unwrap_or_else(|_| Date::parse(text) - Date::now());
    wait.is_finite().then(|| wait.max(0.0))
}
