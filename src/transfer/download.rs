//! A file from a server, piece by piece: gone on with where it broke off, begun again when it became another one.

use js_sys::{Object, Uint8Array};
use wasm_bindgen::JsValue;

use super::body::Body;
use super::request::{Refused, Requests, header, validator};
use crate::error::Error;
use crate::js::{self, Result};
use crate::weights;

/// A file on its way. When it is dropped before its end, nobody waits for the rest.
pub struct Download {
    url: String,
    is_binary: bool,
    /// What has come of it.
    pub file: Received,
    body: Body,
    /// Tries that brought nothing new.
    tries: u64,
    /// How many bytes there were at the most when the last try began.
    before: u64,
    /// Whether any of its bytes have been handed on, also those of a try that failed.
    has_given: bool,
}

/// What a download does next.
pub enum Step {
    /// More bytes, and how many of them never came before. They may be lent: see [`Download::own`].
    Piece(Uint8Array, u64),
    /// It begins again from its start: what came so far may have been another file.
    Restart,
    /// That was all.
    End,
}

impl Download {
    /// Nothing is sent yet.
    pub fn new(url: &str, is_binary: bool) -> Self {
        let (url, file, body) = (url.to_owned(), Received::default(), Body::None);
        Self { url, is_binary, file, body, tries: 0, before: 0, has_given: false }
    }

    /// A piece, for who keeps it: a copy, where what comes next would be read into it.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] when there is no memory.
    pub fn own(&self, piece: Uint8Array) -> Result<Uint8Array> {
        if self.body.is_lent() { js::slice(&piece, 0, piece.length()) } else { Ok(piece) }
    }

    /// Goes on: tries again after failures that may pass, and from the last byte where the server lets us.
    ///
    /// # Errors
    /// [`Error::Network`], [`Error::HttpStatus`], the signal's reason.
    pub async fn next(&mut self, requests: &Requests) -> Result<Step> {
        loop {
            match self.step(requests).await {
                Ok(step) => return Ok(step),
                Err(refused) => {
                    self.body = Body::None;
                    if self.file.most > self.before {
                        self.tries = 0;
                    } else {
                        self.file.can_go_on = false; // it brought nothing: from the start, then
                    }
                    requests.again(refused, &mut self.tries).await?;
                }
            }
        }
    }

    async fn step(&mut self, requests: &Requests) -> core::result::Result<Step, Refused> {
        if matches!(self.body, Body::None) && self.connect(requests).await? {
            return Ok(Step::Restart);
        }
        match self.body.next(&self.url, requests).await? {
            Some(piece) => {
                let new = self.file.count(&piece);
                self.has_given = true;
                Ok(Step::Piece(piece, new))
            }
            None => self.file.complete(&self.url).map(|()| Step::End),
        }
    }

    /// Opens a body; gives whether it begins with bytes that have been here already.
    async fn connect(&mut self, requests: &Requests) -> core::result::Result<bool, Refused> {
        let file = &mut self.file;
        self.before = file.most;
        if !file.can_go_on {
            file.restart();
        }
        loop {
            let range = (file.bytes > 0).then(|| format!("bytes={}-", file.bytes));
            let headers = range.as_deref().map(|range| requests.headers_with("Range", range)).transpose()?;
            let set_headers = |init: &Object| {
                headers.iter().for_each(|headers| js::set(init, "headers", headers));
                if file.has_changed {
                    js::set(init, "cache", &"no-store".into()); // the browser may have kept a part of the old one
                }
            };
            let response = requests.send(&self.url, self.is_binary, &set_headers).await?;
            let status = js::get(&response, "status");
            let is_part = status == 206.0;
            if range.is_some() && (status == 416.0 || (is_part && !file.goes_on_with(&response))) {
                // It has become another file, or the server does not know where to go on: from the start, then, without a range.
                if let Some(body) = js::get_some(&response, "body") {
                    weights::cancel(&body);
                }
                file.restart();
                file.has_changed = true;
                continue;
            }
            requests.check(&self.url, &response).await?;
            if !is_part {
                file.restart();
            }
            file.learn(&response);
            self.body = Body::of(&response, &self.url, requests).await?;
            return Ok(self.has_given && file.bytes == 0);
        }
    }
}

/// What has come of a file.
#[derive(Default)]
pub struct Received {
    /// Bytes.
    pub bytes: u64,
    /// The first of them.
    pub first: Option<u8>,
    /// How many the server's header says there will be, compressed or not.
    pub promised: Option<u64>,
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
        (self.bytes, self.first) = (0, None);
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

    /// Counts a piece, and gives how many of its bytes are new.
    fn count(&mut self, piece: &Uint8Array) -> u64 {
        self.bytes += u64::from(piece.length());
        self.first = self.first.or_else(|| (piece.length() > 0).then(|| piece.get_index(0)));
        let new = self.bytes.saturating_sub(self.most);
        self.most += new;
        new
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
