//! ModelArtifactsInfo: date and sizes, as TF.js computes and stores them.

use js_sys::{Date, Object, Reflect};
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

thread_local! {
    /// Its keys, in TF.js's order, and what two of them always say. Made once: a listing of a thousand models would spend half of its
    /// time on them.
    static WORDS: Vec<JsValue> = [
        "dateSaved",
        "modelTopologyType",
        "modelTopologyBytes",
        "weightSpecsBytes",
        "weightDataBytes",
        "layout",
        "JSON",
        "sharded",
    ]
    .map(JsValue::from)
    .into();
}

/// The latest date that JavaScript knows, in milliseconds since 1970.
const LATEST: f64 = 8.64e15;

impl Info {
    /// Reads a ModelArtifactsInfo, its date a Date, a text or a number. `None` when it is none.
    pub fn from_js(value: &JsValue) -> Option<Self> {
        let get = |key: usize| WORDS.with(|words| Reflect::get(value, words.get(key)?).ok()).unwrap_or_default();
        let date = get(0);
        let is_date = date.is_instance_of::<Date>() || date.is_string() || date.as_f64().is_some();
        let saved = js::date(&date).filter(|_| is_date)?.get_time();
        let bytes = |key| {
            let given = get(key);
            match given.as_f64() {
                Some(number) => (number >= 0.0 && number.fract() == 0.0).then_some(number as u64),
                None => (given.is_undefined() || given.is_null()).then_some(0),
            }
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
        WORDS.with(|words| {
            let [keys @ .., json, sharded] = &**words else { return };
            let values = [
                &js::date(&self.saved.into()).into(),
                json,
                &number(self.topology_bytes),
                &number(self.specs_bytes),
                &number(self.weight_bytes),
                sharded,
            ];
            let count = if self.is_sharded { 6 } else { 5 };
            for (key, value) in keys.iter().zip(values).take(count) {
                // An object of ours takes it.
                let _ = Reflect::set(&info, key, value);
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
