//! ModelArtifactsInfo: date and sizes, as TF.js computes and stores them.

use js_sys::{Array, Date, Object, Reflect};
use wasm_bindgen::JsCast;
use wasm_bindgen::JsValue;

use crate::context::strings;
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

thread_local! {
    /// Its keys, in TF.js's order, and what two of them always say. Made once: a listing of a thousand models would spend half of its
    /// time on them.
    static KEYS: Array = strings(&[
        "dateSaved",
        "modelTopologyType",
        "modelTopologyBytes",
        "weightSpecsBytes",
        "weightDataBytes",
        "layout",
        "JSON",
        "sharded",
    ]);
}

/// The latest date that JavaScript knows, in milliseconds since 1970.
const LATEST: f64 = 8.64e15;

impl Info {
    /// Reads a ModelArtifactsInfo, its date a Date, a text or a number. `None` when it is none.
    pub fn from_js(value: &JsValue) -> Option<Self> {
        let get = |key| Reflect::get(value, &KEYS.with(|keys| keys.get(key))).unwrap_or_default();
        let date = get(0);
        let is_date = date.is_instance_of::<Date>() || date.is_string() || date.as_f64().is_some();
        let saved = js::date(&date).filter(|_| is_date)?.get_time();
        let bytes = |key| match get(key) {
            none if none.is_undefined() || none.is_null() => Some(0),
            number => number.as_f64().filter(|n| *n >= 0.0 && n.fract() == 0.0).map(|n| n as u64),
        };
        Some(Self {
            saved: Some(saved).filter(|saved| saved.is_finite())?,
            topology_bytes: bytes(2)?,
            specs_bytes: bytes(3)?,
            weight_bytes: bytes(4)?,
            is_sharded: false,
        })
    }

    /// The ModelArtifactsInfo, in TF.js's key order, with a Date.
    pub fn to_js(self) -> Object {
        let info = Object::new();
        let number = |bytes: u64| JsValue::from(bytes as f64);
        KEYS.with(|keys| {
            let values = [
                js::date(&self.saved.into()).into(),
                keys.get(6),
                number(self.topology_bytes),
                number(self.specs_bytes),
                number(self.weight_bytes),
                keys.get(7),
            ];
            let count = if self.is_sharded { 6 } else { 5 };
            for (key, value) in (0..).zip(values).take(count) {
                // An object of ours takes it.
                let _ = Reflect::set(&info, &keys.get(key), &value);
            }
        });
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
