//! Instead of `transfer.rs` in the build for pages that only use stores: it is much smaller.

use wasm_bindgen::JsValue;

use crate::artifacts::Model;
use crate::context::Context;
use crate::js::Result;
use crate::url::ModelUrl;

/// No medium at all.
#[derive(PartialEq)]
pub enum Transfer {}

impl Transfer {
    /// None.
    ///
    /// # Errors
    /// None.
    pub fn of_url(_: &ModelUrl, _: &str, _: &Context) -> Result<Option<Self>> {
        Ok(None)
    }

    /// None.
    ///
    /// # Errors
    /// None.
    pub fn of_relative(_: String, _: &Context) -> Result<Option<Self>> {
        Ok(None)
    }

    /// None.
    ///
    /// # Errors
    /// None.
    pub fn of_value(_: &JsValue, _: &Context) -> Result<Option<Self>> {
        Ok(None)
    }

    /// There is none to open from.
    ///
    /// # Errors
    /// None.
    pub async fn open(&self, _: &Context) -> Result<Model> {
        match *self {}
    }

    /// There is none to send to.
    ///
    /// # Errors
    /// None.
    pub async fn put(&self, _: Model, _: &Context) -> Result<JsValue> {
        match *self {}
    }
}
