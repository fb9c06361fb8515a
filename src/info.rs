//! ModelArtifactsInfo: date and sizes, as TF.js computes and stores them.

use js_sys::{Date, Object};
use wasm_bindgen::JsCast;
use wasm_bindgen::JsValue;

use crate::js;

/// What a store knows of a model without its weights. Sizes are bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Info {
    /// Milliseconds since 1970.
    pub saved: f64,
    /// UTF-8 bytes of the topology's JSON.
    pub topology_bytes: u64,
    /// UTF-8 bytes of the specs' JSON.
    pub specs_bytes: u64,
    /// Bytes of the weights.
    pub weight_bytes: u64,
    /// Whether it lies in shards, in a store where it could also be as TF.js stores it.
    pub is_sharded: bool,
}

/// The latest date that JavaScript knows, in milliseconds since 1970.
const LATEST: f64 = 8.64e15;

impl Info {
    /// Reads a ModelArtifactsInfo, its date a Date, a text or a number. `None` when it is none.
    pub fn from_js(value: &JsValue) -> Option<Self> {
        let date = js::get_some(value, "dateSaved")?;
        let is_date = date.is_instance_of::<Date>() || date.is_string() || date.as_f64().is_some();
        let saved = js::date(&date).filter(|_| is_date)?.get_time();
        let bytes = |key| match js::get_some(value, key) {
            None => Some(0),
            Some(number) => number.as_f64().filter(|n| *n >= 0.0 && n.fract() == 0.0).map(|n| n as u64),
        };
        Some(Self {
            saved: Some(saved).filter(|saved| saved.is_finite())?,
            topology_bytes: bytes("modelTopologyBytes")?,
            specs_bytes: bytes("weightSpecsBytes")?,
            weight_bytes: bytes("weightDataBytes")?,
            is_sharded: false,
        })
    }

    /// The ModelArtifactsInfo, in TF.js's key order, with a Date.
    pub fn to_js(self) -> Object {
        let info = Object::new();
        js::set(&info, "dateSaved", &js::date(&self.saved.into()).into());
        js::set(&info, "modelTopologyType", &"JSON".into());
        js::set(&info, "modelTopologyBytes", &(self.topology_bytes as f64).into());
        js::set(&info, "weightSpecsBytes", &(self.specs_bytes as f64).into());
        js::set(&info, "weightDataBytes", &(self.weight_bytes as f64).into());
        if self.is_sharded {
            js::set(&info, "layout", &"sharded".into());
        }
        info
    }

    /// The same, dated now, but later than what it replaces: two saves of one path never have the same date, so a date
    /// tells them apart, whatever the clock does.
    #[must_use]
    pub fn dated_after(self, replaced: Option<f64>) -> Self {
        let replaced = replaced.filter(|replaced| *replaced < LATEST);
        Self { saved: replaced.map_or(Date::now(), |replaced| Date::now().max(replaced + 1.0)), ..self }
    }

    /// The same, dated by what stored it.
    #[must_use]
    pub fn saved_at(self, saved: f64) -> Self {
        Self { saved, ..self }
    }

    /// Bytes of all of it.
    pub fn total(self) -> u64 {
        self.topology_bytes.saturating_add(self.specs_bytes).saturating_add(self.weight_bytes)
    }
}
