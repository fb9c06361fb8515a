//! Weight specs, validated before a byte is written or returned: every size is computed with checked arithmetic.

use std::collections::HashSet;

use crate::dtype::{DType, QuantizedDType};
use crate::error::Error;

/// The largest whole number that JavaScript counts exactly; no size may exceed it.
pub const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// More weights than that are no model's, and each takes some 50 microseconds in which nothing else can happen.
pub const MOST_WEIGHTS: usize = 100_000;
/// Axes of a shape at most; TensorFlow itself has 254.
pub const MOST_AXES: usize = 254;
/// UTF-16 units of a weight's name, or of a path, at most.
pub const MOST_TEXT: u32 = 1 << 16;

/// A weight spec as it came, before anything is known to be true of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RawSpec {
    /// `name`.
    pub name: String,
    /// `shape`, as JavaScript numbers.
    pub shape: Vec<f64>,
    /// `dtype`.
    pub dtype: String,
    /// `quantization`, where there is one.
    pub quantization: Option<RawQuantization>,
}

/// The `quantization` of a [`RawSpec`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RawQuantization {
    /// `dtype`.
    pub dtype: String,
    /// `min`.
    pub min: Option<f64>,
    /// `scale`.
    pub scale: Option<f64>,
}

/// One weight: its name, type and how many elements it has.
#[derive(Clone, Debug, PartialEq)]
pub struct WeightSpec {
    /// For example `dense_Dense1/kernel`.
    pub name: String,
    /// Type as the model uses it.
    pub dtype: DType,
    /// Type of the stored numbers, when they are quantised.
    pub quantized: Option<QuantizedDType>,
    /// Product of the shape.
    pub elements: u64,
}

impl WeightSpec {
    /// Checks one spec. `file` says where it stands, for example `weightSpecs[3]`.
    ///
    /// # Errors
    /// [`Error::Manifest`] that names the field.
    pub fn new(raw: &RawSpec, file: &str) -> Result<Self, Error> {
        let dtype = DType::parse(&raw.dtype, &format!("{file}.dtype"))?;
        let quantized = match &raw.quantization {
            Some(quantization) => Some(quantized(quantization, dtype, &format!("{file}.quantization"))?),
            None => None,
        };
        let spec = Self { name: raw.name.clone(), dtype, quantized, elements: elements(&raw.shape, file)? };
        if spec.byte_length().is_none() && dtype != DType::String {
            return Err(Error::manifest(format!("{file}.shape"), "at most 2^53 - 1 bytes", described(&raw.shape)));
        }
        Ok(spec)
    }

    /// Bytes of the weight; `None` for strings, whose length only the bytes tell.
    pub fn byte_length(&self) -> Option<u64> {
        if self.elements == 0 {
            return Some(0);
        }
        let size = self.quantized.map(QuantizedDType::size).or(self.dtype.size())?;
        self.elements.checked_mul(size).filter(|bytes| *bytes <= MAX_SAFE_INTEGER)
    }
}

fn quantized(raw: &RawQuantization, dtype: DType, file: &str) -> Result<QuantizedDType, Error> {
    let stored = QuantizedDType::parse(&raw.dtype, &format!("{file}.dtype"))?;
    let allowed = match stored {
        QuantizedDType::Float16 => dtype == DType::Float32,
        _ => matches!(dtype, DType::Float32 | DType::Int32),
    };
    if !allowed {
        return Err(Error::manifest(file, "a float32 weight (or int32 of uint8, uint16)", dtype.name()));
    }
    let complete = stored == QuantizedDType::Float16 || (raw.min.is_some() && raw.scale.is_some());
    if !complete {
        return Err(Error::manifest(file, "numbers `min` and `scale`", "one of them missing"));
    }
    Ok(stored)
}

fn elements(shape: &[f64], file: &str) -> Result<u64, Error> {
    if shape.len() > MOST_AXES {
        return Err(Error::manifest(format!("{file}.shape"), "at most 254 axes", "more"));
    }
    let mut product = Some(1_u64);
    for (axis, length) in shape.iter().enumerate() {
        let whole = length.is_finite() && *length >= 0.0 && length.fract() == 0.0 && *length <= MAX_SAFE_INTEGER as f64;
        if !whole {
            return Err(Error::manifest(
                format!("{file}.shape[{axis}]"),
                "a whole number of 0 or more",
                described(&[*length]),
            ));
        }
        product = product.and_then(|product| product.checked_mul(*length as u64));
    }
    if shape.contains(&0.0) {
        return Ok(0);
    }
    let product = product.filter(|product| *product <= MAX_SAFE_INTEGER);
    product.ok_or_else(|| Error::manifest(format!("{file}.shape"), "at most 2^53 - 1 elements", described(shape)))
}

/// Numbers in a few words. Formatting an f64 in full would cost 8 KB of wasm.
fn described(numbers: &[f64]) -> String {
    let words: Vec<String> = numbers
        .iter()
        .map(|number| match number.trunc() {
            whole if !number.is_finite() || whole.abs() >= 1e18 => "a number too large".into(),
            whole if whole != *number => format!("{}.x", whole as i64),
            whole => (whole as i64).to_string(),
        })
        .collect();
    words.join(", ")
}

/// That they are not too many, before each is looked at.
///
/// # Errors
/// [`Error::Manifest`] that names the list.
pub fn check_count(weights: usize, file: &str) -> Result<(), Error> {
    if weights <= MOST_WEIGHTS {
        return Ok(());
    }
    Err(Error::manifest(file, "at most 100,000 weights", "more"))
}

/// Checks all specs: each by itself, no name twice, and the total.
///
/// # Errors
/// [`Error::Manifest`] that names the spec and the field.
pub fn validate(raw: &[RawSpec], file: &str) -> Result<Vec<WeightSpec>, Error> {
    check_count(raw.len(), file)?;
    let mut names = HashSet::with_capacity(raw.len());
    let mut specs = Vec::with_capacity(raw.len());
    let mut total = Some(0_u64);
    for (index, raw) in raw.iter().enumerate() {
        let spec = WeightSpec::new(raw, &format!("{file}[{index}]"))?;
        if !names.insert(raw.name.as_str()) {
            return Err(Error::manifest(
                format!("{file}[{index}].name"),
                "a name of its own",
                format!("\"{}\" again", raw.name),
            ));
        }
        total = total.and_then(|total| total.checked_add(spec.byte_length().unwrap_or(0)));
        specs.push(spec);
    }
    if total.is_none_or(|total| total > MAX_SAFE_INTEGER) {
        return Err(Error::manifest(file, "at most 2^53 - 1 bytes in all", "more"));
    }
    Ok(specs)
}

/// Bytes of all weights; `None` when strings are among them.
pub fn byte_length(specs: &[WeightSpec]) -> Option<u64> {
    specs.iter().try_fold(0_u64, |total, spec| total.checked_add(spec.byte_length()?))
}

/// Bytes of all weights, strings too, whose lengths are read through `read_u32(offset)`.
/// When a length lies beyond the end, the answer is the first size that would hold it.
pub fn measure(specs: &[WeightSpec], mut read_u32: impl FnMut(u64) -> Option<u32>) -> u64 {
    let mut end = 0_u64;
    for spec in specs {
        if let Some(bytes) = spec.byte_length() {
            end = end.saturating_add(bytes);
            continue;
        }
        for _ in 0..spec.elements {
            let length = read_u32(end);
            end = end.saturating_add(4);
            match length {
                Some(length) => end = end.saturating_add(u64::from(length)),
                None => return end,
            }
        }
    }
    end
}

#[cfg(all(test, not(target_arch = "wasm32")))]
#[path = "manifest_tests.rs"]
mod tests;
