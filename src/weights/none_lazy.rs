//! Instead of `lazy.rs` in the small build: what is not here yet is the larger one's to read.

use wasm_bindgen::JsValue;

use super::{Weights, wrong_data};
use crate::js::{self, Result};

pub(super) fn of_data(data: &JsValue, _: &[JsValue]) -> Result<Weights> {
    // A buffer that was transferred away is nobody's.
    let may_be_read =
        js::is_array(data) || js::method(data, "stream").is_some() || js::method(data, "getReader").is_some();
    Err(if may_be_read { js::needs_more() } else { wrong_data() })
}
