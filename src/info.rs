//! ModelArtifactsInfo: date and sizes, as TF.js computes and stores them.

use js_sys::{Date, Object};
use wasm_bindgen::prelude::*;

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

#[wasm_bindgen(module = "/js/info.js")]
extern "C" {
    #[wasm_bindgen(catch, js_name = readInfo)]
    fn read_info(info: &JsValue) -> Result<Vec<f64>, JsValue>;
    #[wasm_bindgen(js_name = makeInfo)]
    fn make_info(saved: f64, topology: f64, specs: f64, weights: f64, is_sharded: f64) -> Object;
    #[wasm_bindgen(js_name = addInfo)]
    fn add_info(models: &Object, url: &str, saved: f64, topology: f64, specs: f64, weights: f64, is_sharded: f64);
}

/// The latest date that JavaScript knows, in milliseconds since 1970.
const LATEST: f64 = 8.64e15;

impl Info {
    /// Reads a ModelArtifactsInfo, its date a Date, a text or a number. `None` when it is none.
    pub fn from_js(value: &JsValue) -> Option<Self> {
        let numbers = read_info(value).ok()?;
        let [saved, topology, specs, weights] = *numbers.as_array()?;
        numbers.iter().all(|number| number.is_finite()).then_some(Self {
            saved,
            topology_bytes: topology as u64,
            specs_bytes: specs as u64,
            weight_bytes: weights as u64,
            is_sharded: false,
        })
    }

    /// The ModelArtifactsInfo, in TF.js's key order, with a Date.
    pub fn to_js(self) -> Object {
        let [saved, topology, specs, weights, is_sharded] = self.numbers();
        make_info(saved, topology, specs, weights, is_sharded)
    }

    /// Adds the same to a listing, an object from URL to ModelArtifactsInfo.
    pub fn add_to(self, models: &Object, url: &str) {
        let [saved, topology, specs, weights, is_sharded] = self.numbers();
        add_info(models, url, saved, topology, specs, weights, is_sharded);
    }

    fn numbers(self) -> [f64; 5] {
        let [topology, specs, weights] =
            [self.topology_bytes, self.specs_bytes, self.weight_bytes].map(|bytes| bytes as f64);
        [self.saved, topology, specs, weights, f64::from(u8::from(self.is_sharded))]
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
