//! Stub until the pool is there.
use crate::context::Context;
use crate::error::Error;
use crate::js::Result;
use js_sys::Uint8Array;
use wasm_bindgen::JsValue;
/// Stub.
pub struct Writer;
impl Writer {
    /// Stub.
    pub async fn open(_: &str, _: u64, _: bool, _: &Context) -> Result<Self> {
        Err(Error::NotSupported { operation: "be used", scheme: "opfs".into(), why: "stub".into() }.into())
    }
    /// Stub.
    pub async fn room(&mut self, _: &Context) -> Result<()> {
        Ok(())
    }
    /// Stub.
    pub fn send(&mut self, _: &str, _: &[Uint8Array]) -> Result<()> {
        Ok(())
    }
    /// Stub.
    pub async fn finish(&mut self, _: &Context) -> Result<()> {
        Ok(())
    }
    /// Stub.
    pub async fn discard(self) {}
}
/// Stub.
pub async fn source(_: &str, _: u64, _: u64, _: &str) -> Result<Option<JsValue>> {
    Ok(None)
}
/// Stub.
pub async fn list(_: &str) -> Result<Vec<(String, u64)>> {
    Ok(Vec::new())
}
/// Stub.
pub async fn remove(_: &[String], _: &str) -> Result<()> {
    Ok(())
}
