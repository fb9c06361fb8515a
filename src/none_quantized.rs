//! Instead of `quantized.rs` in the small build: to quantise is the larger one's.

use wasm_bindgen::JsValue;

use crate::artifacts::Model;
use crate::context::Context;
use crate::js::{self, Result};

pub const OPTION: &str = "quantize";

/// There is none here.
pub enum Quantize {}

impl Quantize {
    pub fn of(cx: &Context) -> Result<Option<Self>> {
        if cx.options.some(OPTION).is_some() { Err(js::needs_more()) } else { Ok(None) }
    }

    pub async fn apply(self, _: Model, _: &Context) -> Result<(Model, Self)> {
        match self {}
    }
}

pub fn told(_: &JsValue, quantize: &Quantize) -> JsValue {
    match *quantize {}
}
