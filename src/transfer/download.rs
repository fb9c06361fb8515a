//! A file from a server: gone on with where it broke off, begun again when it became another one.

use js_sys::{JSON, Object, Uint8Array};
use wasm_bindgen::JsValue;

use super::request::{Refused, Requests, header, validator};
use crate::error::Error;
use crate::host;
use crate::js::{self, Result};
use crate::weights;

/// Bytes of a buffer that is made on the word of a manifest alone; for a larger one the server must say that it has so many.
const PLAIN: u64 = 1 << 26;

impl Requests<'_> {
    /// Fetches a whole file: tries again after failures that may pass, and goes on from the last byte where the server lets us.
    /// `room`: how many bytes it will be, if that is known: then they are laid in one buffer as they come.
    /// `watch` hears of each piece, and how many of its bytes are new.
    ///
    /// # Errors
    /// [`Error::Network`], [`Error::HttpStatus`], what `watch` says, the signal's reason.
    pub async fn download(
        &self,
        url: &str,
        is_binary: bool,
        room: Option<u64>,
        watch: &mut dyn FnMut(&Received, u64) -> Result<()>,
    ) -> Result<Received> {
        let mut received = Received { room, ..Received::default() };
        let mut tries = 0;
        loop {
            let before = received.most;
            match self.attempt(url, is_binary, &mut received, watch).await {
                Ok(()) => return Ok(received),
                Err(refused) => {
                    if received.most > before {
                        tries = 0;
                    } else {
                        received.can_go_on = false; // it brought nothing: from the start, then
                    }
                    self.again(refused, &mut tries).await?;
                }
            }
        }
    }

    async fn attempt(
        &self,
        url: &str,
        is_binary: bool,
        received: &mut Received,
        watch: &mut dyn FnMut(&Received, u64) -> Result<()>,
    ) -> core::result::Result<(), Refused> {
        if !received.can_go_on {
            received.restart();
        }
        let range = (received.bytes > 0).then(|| format!("bytes={}-", received.bytes));
        let headers = range.as_deref().map(|range| self.headers_with("Range", range)).transpose()?;
        let set_headers = |init: &Object| {
            headers.iter().for_each(|headers| js::set(init, "headers", headers));
            if received.has_changed {
                js::set(init, "cache", &"no-store".into()); // the browser may have kept a part of the old one
            }
        };
        let response = self.send(url, is_binary, set_headers).await?;
        let status = js::get(&response, "status");
        let is_part = status == 206.0;
        let is_other = status == 416.0 || (is_part && !received.goes_on_with(&response));
        if range.is_some() && is_other {
            // It has become another file, or the server does not know where to go on: from the start, then, without a range.
            if let Some(body) = js::get_some(&response, "body") {
                weights::cancel(&body);
            }
            received.restart();
            received.has_changed = true;
            return Box::pin(self.attempt(url, is_binary, received, watch)).await;
        }
        self.check(url, &response).await?;
        if !is_part {
            received.restart();
        }
        received.learn(&response);
        self.read(url, &response, received, watch).await
    }

    async fn read(
        &self,
        url: &str,
        response: &JsValue,
        received: &mut Received,
        watch: &mut dyn FnMut(&Received, u64) -> Result<()>,
    ) -> core::result::Result<(), Refused> {
        let Some(body) = js::get_some(response, "body") else {
            // What a caller's own fetchFunc gives may lack a body.
            let whole = self.cx.settled(whole_body(response)).await.map_err(|failure| self.broken(url, failure))?;
            return Ok(received.push(&as_bytes(&whole).map_err(js::thrown)?, watch)?);
        };
        let reader = host::call(&body, "getReader", &[]);
        let reader = reader.map_err(|cause| self.broken(url, js::thrown(cause)))?;
        let end = async {
            loop {
                let piece = self.cx.settled(host::call(&reader, "read", &[])).await;
                let piece = piece.map_err(|failure| self.broken(url, failure))?;
                if js::get(&piece, "done").is_truthy() {
                    return received.complete(url);
                }
                received.push(&js::bytes(&js::get(&piece, "value")).unwrap_or_default(), watch)?;
            }
        }
        .await;
        if end.is_err() {
            weights::cancel(&reader);
        }
        end
    }
}

/// What has come of a file.
#[derive(Default)]
pub struct Received {
    /// Its bytes, in the pieces in which they came.
    pub parts: Vec<Uint8Array>,
    /// How many.
    pub bytes: u64,
    /// The first of them.
    pub first: Option<u8>,
    /// How many it will be, as far as we know.
    room: Option<u64>,
    /// The bytes of the one buffer that they are laid in, if they are.
    is_laid: Option<u64>,
    /// How many the server's header says there will be, compressed or not.
    promised: Option<u64>,
    /// How many there were at the most, if it had to begin again.
    most: u64,
    /// Whether it became another one while it was fetched.
    has_changed: bool,
    /// Whether it can be gone on with from its last byte.
    can_go_on: bool,
    /// What tells this version of the file from another one: a strong ETag, or else Last-Modified.
    pub validator: Option<String>,
    /// The Content-Type, in lower case.
    pub content_type: String,
    /// Bytes in all, where the server says so and nothing can have changed them on the way.
    pub length: Option<u64>,
}

impl Received {
    fn restart(&mut self) {
        (self.parts, self.bytes, self.first) = (Vec::new(), 0, None);
    }

    fn goes_on_with(&self, response: &JsValue) -> bool {
        let start = header(response, "Content-Range");
        let start = start.as_deref().and_then(|range| range.strip_prefix("bytes ")?.split('-').next()?.parse().ok());
        validator(response) == self.validator && start.is_none_or(|start: u64| start == self.bytes)
    }

    fn learn(&mut self, response: &JsValue) {
        self.validator = validator(response);
        // What is compressed on the way has no bytes that could be counted from.
        self.can_go_on = self.validator.is_some() && header(response, "Content-Encoding").is_none();
        self.content_type = header(response, "Content-Type").unwrap_or_default().to_ascii_lowercase();
        // Of another origin's answers we do not see whether they were compressed.
        let is_plain = js::get(response, "type") == "basic" && header(response, "Content-Encoding").is_none();
        let length = header(response, "Content-Length").and_then(|length| length.parse::<u64>().ok());
        self.promised = length.map(|length| self.bytes.saturating_add(length));
        self.length = length.filter(|_| is_plain).map(|length| self.bytes.saturating_add(length));
    }

    fn push(&mut self, piece: &Uint8Array, watch: &mut dyn FnMut(&Received, u64) -> Result<()>) -> Result<()> {
        if self.parts.is_empty() {
            self.is_laid = self.room.filter(|room| *room <= PLAIN || self.promised == Some(*room));
        }
        let at = self.bytes;
        self.bytes += u64::from(piece.length());
        self.first = self.first.or_else(|| (piece.length() > 0).then(|| piece.get_index(0)));
        match self.is_laid {
            Some(room) if self.bytes <= room && room > 0 => {
                if self.parts.is_empty() {
                    self.parts.push(js::view(&js::allocate(room)?)?);
                }
                if let Some(whole) = self.parts.first() {
                    js::copy_into(whole, piece, at as u32)?;
                }
            }
            _ => self.parts.push(piece.clone()),
        }
        let new = self.bytes.saturating_sub(self.most);
        self.most += new;
        watch(self, new)
    }

    /// Firefox takes a connection that breaks off for the end of the file.
    fn complete(&self, url: &str) -> core::result::Result<(), Refused> {
        match self.length.filter(|length| *length > self.bytes) {
            None => Ok(()),
            Some(length) => {
                let why = format!("the connection broke off after {} of {length} bytes", self.bytes);
                Err(Refused::passing(Error::Network { url: url.to_owned(), why }))
            }
        }
    }
}

/// Bytes, a text or a JSON value as bytes.
fn as_bytes(body: &JsValue) -> host::Host<Uint8Array> {
    match js::bytes(body) {
        Some(bytes) => Ok(bytes),
        None if body.is_string() => host::encode(body),
        None => host::encode(&JSON::stringify(body)?.into()),
    }
}

/// The body of a response that has no stream.
fn whole_body(response: &JsValue) -> host::Host<JsValue> {
    for name in ["arrayBuffer", "text", "json"] {
        if js::method(response, name).is_some() {
            return host::call(response, name, &[]);
        }
    }
    Ok(JsValue::UNDEFINED)
}
