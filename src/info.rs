//! ModelArtifactsInfo: date and sizes, as TF.js computes and stores them.

use js_sys::{Array, Date, Object};
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
    #[wasm_bindgen(catch, js_name = readListing)]
    fn read_listing(infos: &JsValue, keys: &JsValue, paths: &Array) -> Result<Vec<f64>, JsValue>;
    #[wasm_bindgen(js_name = makeInfo)]
    fn make_info(saved: f64, topology: f64, specs: f64, weights: f64, is_sharded: f64) -> Object;
    #[wasm_bindgen(js_name = addInfos)]
    fn add_infos(models: &Object, urls: &str, numbers: &[f64]);
}

/// The latest date that JavaScript knows, in milliseconds since 1970.
const LATEST: f64 = 8.64e15;

impl Info {
    /// Reads a ModelArtifactsInfo, its date a Date, a text or a number. `None` when it is none.
    pub fn from_js(value: &JsValue) -> Option<Self> {
        Self::of(*read_info(value).ok()?.as_array()?)
    }

    /// Of TF.js's records of infos and the keys of its records of models: each path, its info, and whether there is a model.
    ///
    /// # Errors
    /// When the records are none.
    pub fn listed(infos: &JsValue, keys: &JsValue) -> Result<Vec<(String, Option<Self>, bool)>, JsValue> {
        let paths = Array::new();
        let numbers = read_listing(infos, keys, &paths)?;
        // One text, as a call for each would take longer than all else; what stands between two keeps halves of characters apart.
        let text = String::from(paths.join("\0"));
        let mut rest = &text[..];
        let (rows, _) = numbers.as_chunks::<6>();
        let row = |[length, saved, topology, specs, weights, is_stored]: &[f64; 6]| {
            let (path, after) = split_utf16(rest, *length as usize);
            rest = after.strip_prefix('\0').unwrap_or(after);
            (path.to_owned(), Self::of([*saved, *topology, *specs, *weights]), *is_stored != 0.0)
        };
        Ok(rows.iter().map(row).collect())
    }

    fn of(numbers: [f64; 4]) -> Option<Self> {
        let [saved, topology, specs, weights] = numbers;
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

    /// A listing: an object from URL to ModelArtifactsInfo; an empty one stands for what has none.
    pub fn listing(rows: &[(String, Option<Self>)]) -> Object {
        let nothing = Self { saved: 0.0, topology_bytes: 0, specs_bytes: 0, weight_bytes: 0, is_sharded: false };
        let (mut urls, mut numbers) = (String::new(), Vec::with_capacity(rows.len() * 6));
        for (url, info) in rows {
            urls.push_str(url);
            numbers.push(url.encode_utf16().count() as f64);
            numbers.extend(info.unwrap_or(nothing).numbers());
        }
        let models = Object::new();
        add_infos(&models, &urls, &numbers);
        models
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

/// The first so many UTF-16 units of a text, which is how JavaScript counts, and what follows.
fn split_utf16(text: &str, units: usize) -> (&str, &str) {
    let mut left = units;
    let end = text.char_indices().find(|(_, c)| {
        let is_after = left == 0;
        left = left.saturating_sub(c.len_utf16());
        is_after
    });
    end.and_then(|(at, _)| text.split_at_checked(at)).unwrap_or((text, ""))
}
