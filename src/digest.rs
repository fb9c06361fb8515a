//! Weights and texts seen through a small window: hash and base64. This is the only place that copies weight bytes into wasm memory.

use js_sys::{Array, ArrayBuffer, JsString, Uint8Array};
use wasm_bindgen::JsCast;
use xxhash_rust::xxh3::Xxh3;

use crate::js::{self, Result};

/// Bytes, or UTF-16 units, looked at in one go. A multiple of 12, so that base64 never has to pad in the middle.
const WINDOW: u32 = 12 * 32 * 1024;

/// Feeds all bytes to `see`, a window at a time.
pub fn through_window(bytes: &Uint8Array, mut see: impl FnMut(&[u8])) {
    let mut window = vec![0_u8; bytes.length().min(WINDOW) as usize];
    let mut start = 0;
    while start < bytes.length() {
        let end = bytes.length().min(start + WINDOW);
        let Some(seen) = window.get_mut(..(end - start) as usize) else { return };
        // What was transferred away meanwhile is not seen, and shows so.
        let Ok(part) = js::part(bytes, start, end) else { return };
        part.copy_to(seen);
        see(seen);
        start = end;
    }
}

/// Feeds a text as UTF-8 to `see`, a window at a time; a surrogate pair is never cut.
fn text_through_window(text: &JsString, mut see: impl FnMut(&str)) {
    let mut start = 0;
    while start < text.length() {
        let mut end = text.length().min(start + WINDOW);
        let high = (0xD800..0xDC00).contains(&(text.char_code_at(end - 1) as u32));
        if high && end < text.length() {
            end -= 1;
        }
        see(&String::from(text.slice(start, end)));
        start = end;
    }
}

/// UTF-8 bytes of a text.
pub fn utf8_length(text: &JsString) -> u64 {
    let mut length = 0;
    text_through_window(text, |part| length += part.len() as u64);
    length
}

/// A checksum over a sequence of texts and bytes. It tells two saves apart; it is no protection against forgery.
#[derive(Default)]
pub struct Digest(Xxh3);

impl Digest {
    /// Adds a text, or that there is none; its length goes in, too, so that neighbours cannot flow into each other.
    pub fn text(&mut self, text: Option<&JsString>) {
        let Some(text) = text else { return self.0.update(&u64::MAX.to_le_bytes()) };
        self.0.update(&u64::from(text.length()).to_le_bytes());
        text_through_window(text, |part| self.0.update(part.as_bytes()));
    }

    /// Adds bytes. Cut anywhere, they give the same digest.
    pub fn bytes(&mut self, bytes: &Uint8Array) {
        through_window(bytes, |seen| self.0.update(seen));
    }

    /// 16 hexadecimal digits.
    pub fn finish(&self) -> String {
        format!("{:016x}", self.0.digest())
    }
}

/// Bytes of an origin's secret.
#[cfg(feature = "sharded")]
pub const SECRET: usize = 192;

/// Hashes of pieces, keyed with a secret of the origin: who makes a model file cannot know what its pieces will be called.
#[cfg(feature = "sharded")]
pub struct Key([u8; SECRET]);

#[cfg(feature = "sharded")]
impl Key {
    /// The key of a secret; `None` when it has another length.
    pub fn new(secret: &[u8]) -> Option<Self> {
        secret.try_into().ok().map(Self)
    }

    /// The hash of these bytes, one after the other.
    pub fn hash(&self, parts: &[Uint8Array]) -> u128 {
        let mut hash = xxhash_rust::xxh3::Xxh3Builder::new().with_secret(self.0).build();
        parts.iter().for_each(|part| through_window(part, |seen| hash.update(seen)));
        hash.digest128()
    }
}

/// Standard base64 with padding. The engine's own encoder where there is one.
///
/// # Errors
/// What the engine throws, for example when the text would be too long.
pub fn to_base64(bytes: &Uint8Array) -> Result<JsString> {
    if let Some(native) = js::method(bytes, "toBase64") {
        return native.call0(bytes).map(|text| text.unchecked_into()).map_err(js::thrown);
    }
    let parts = Array::new();
    through_window(bytes, |seen| {
        parts.push(&base64_simd::STANDARD.encode_to_string(seen).into());
    });
    Ok(parts.join("").unchecked_into())
}

/// The bytes of a base64 text, or `None` when it is not base64.
///
/// # Errors
/// When the engine cannot allocate the bytes.
pub fn from_base64(text: &JsString) -> Result<Option<ArrayBuffer>> {
    let constructor = js::get(&js_sys::global(), "Uint8Array");
    if let Some(native) = js::method(&constructor, "fromBase64") {
        let decoded = native.call1(&constructor, text);
        return Ok(decoded.ok().map(|bytes| bytes.unchecked_into::<Uint8Array>().buffer()));
    }
    from_base64_windowed(text)
}

fn from_base64_windowed(text: &JsString) -> Result<Option<ArrayBuffer>> {
    let buffer = js::allocate(u64::from(text.length() / 4) * 3)?;
    let bytes = Uint8Array::new(&buffer);
    let (mut start, mut filled) = (0, 0);
    while start < text.length() {
        let end = text.length().min(start + WINDOW);
        let Ok(part) = base64_simd::STANDARD.decode_to_vec(String::from(text.slice(start, end))) else {
            return Ok(None);
        };
        let piece = bytes.subarray(filled, filled + part.len() as u32);
        if piece.length() as usize != part.len() {
            return Ok(None);
        }
        piece.copy_from(&part);
        (start, filled) = (end, filled + part.len() as u32);
    }
    Ok(Some(if filled == bytes.length() { buffer } else { buffer.slice_with_end(0, filled) }))
}
