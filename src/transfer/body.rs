//! The body of an answer, piece by piece.

use js_sys::{ArrayBuffer, JSON, Object, Uint8Array};
use wasm_bindgen::prelude::*;

use super::request::{Refused, Requests};
use crate::host::{self, Host};
use crate::js;
use crate::weights;

/// Of a response. When it is dropped before its end, nobody waits for the rest.
pub enum Body {
    /// There is none yet, or it broke off.
    None,
    /// One that is being read.
    Reader(Reader),
    /// What a caller's own fetchFunc gives may have no stream.
    Whole(Uint8Array),
    /// It was read to its end.
    Over,
}

impl Body {
    /// Begins to read.
    ///
    /// # Errors
    /// That it cannot be read.
    pub async fn of(response: &JsValue, url: &str, requests: &Requests) -> Result<Self, Refused> {
        let broken = |failure| requests.broken(url, failure);
        if let Some(body) = js::get_some(response, "body") {
            return Reader::of(&body, requests).map(Self::Reader).map_err(|cause| broken(js::thrown(cause)));
        }
        let whole = requests.cx.settled(whole_body(response)).await.map_err(broken)?;
        Ok(Self::Whole(as_bytes(&whole).map_err(js::thrown)?))
    }

    /// Whether the bytes that it gave last are lent.
    pub fn is_lent(&self) -> bool {
        matches!(self, Self::Reader(Reader { room: Some(_), .. }))
    }

    /// The next bytes, `None` at the end. They may be lent: what comes next may be read into their buffer.
    ///
    /// # Errors
    /// That it broke off; the signal's reason.
    pub async fn next(&mut self, url: &str, requests: &Requests) -> Result<Option<Uint8Array>, Refused> {
        let piece = match self {
            Self::Reader(reader) => {
                let piece = reader.read(requests).await.map_err(|failure| requests.broken(url, failure))?;
                if piece.is_some() {
                    return Ok(piece);
                }
                None
            }
            Self::Whole(bytes) => Some(bytes.clone()),
            Self::None | Self::Over => None,
        };
        *self = Self::Over;
        Ok(piece)
    }
}

#[wasm_bindgen]
extern "C" {
    /// A reader of a stream, by names that are not made anew for each piece.
    type StreamReader;
    #[wasm_bindgen(method, catch)]
    fn read(this: &StreamReader, into: &JsValue) -> Host<JsValue>;

    /// What it gives.
    type Read;
    #[wasm_bindgen(method, getter, catch)]
    fn done(this: &Read) -> Host<JsValue>;
    #[wasm_bindgen(method, getter, catch)]
    fn value(this: &Read) -> Host<JsValue>;
}

/// Of a stream.
pub struct Reader {
    reader: StreamReader,
    /// Where a stream of bytes is read into, again and again: what an engine makes for each piece otherwise it collects late, and it takes longer.
    room: Option<ArrayBuffer>,
    is_over: bool,
}

impl Reader {
    fn of(body: &JsValue, requests: &Requests) -> Host<Self> {
        if let Some(room) = requests.room() {
            let options = Object::new();
            js::set(&options, "mode", &"byob".into());
            match host::call(body, "getReader", &[&options]) {
                Ok(reader) => return Ok(Self { reader: reader.unchecked_into(), room: Some(room), is_over: false }),
                Err(_) => requests.give_room(room), // not each stream is one of bytes: WebKit's are not
            }
        }
        Ok(Self { reader: host::call(body, "getReader", &[])?.unchecked_into(), room: None, is_over: false })
    }

    async fn read(&mut self, requests: &Requests) -> js::Result<Option<Uint8Array>> {
        let into = self.room.take().map(|room| js::view(&room)).transpose()?;
        let read = self.reader.read(&into.as_ref().into());
        let read: Read = requests.cx.settled(read).await?.unchecked_into();
        self.is_over = read.done().map_err(js::thrown)?.is_truthy();
        let value = read.value().map_err(js::thrown)?;
        if into.is_none() {
            return Ok((!self.is_over).then(|| js::bytes(&value).unwrap_or_default()));
        }
        let piece = js::bytes(&value); // only of a stream that was cancelled there is none
        if self.is_over {
            piece.into_iter().for_each(|piece| requests.give_room(piece.buffer()));
            return Ok(None);
        }
        let piece = piece.unwrap_or_default();
        self.room = Some(piece.buffer());
        Ok(Some(piece))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if !self.is_over {
            weights::cancel(&self.reader);
        }
    }
}

/// Bytes, a text or a JSON value as bytes.
fn as_bytes(body: &JsValue) -> Host<Uint8Array> {
    match js::bytes(body) {
        Some(bytes) => Ok(bytes),
        None if body.is_string() => host::encode(body),
        None => host::encode(&JSON::stringify(body)?.into()),
    }
}

/// The body of a response that has no stream.
fn whole_body(response: &JsValue) -> Host<JsValue> {
    for name in ["arrayBuffer", "text", "json"] {
        if js::method(response, name).is_some() {
            return host::call(response, name, &[]);
        }
    }
    Ok(JsValue::UNDEFINED)
}
