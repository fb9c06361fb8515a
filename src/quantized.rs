//! The option `quantize`: a model with fewer bits a number, and what that costs.

use std::rc::Rc;

use js_sys::{Array, Function, Object};
use wasm_bindgen::{JsCast, JsValue};

use crate::artifacts::{Model, described, without_specs};
use crate::context::Context;
use crate::dtype::{DType, QuantizedDType};
use crate::error::Error;
use crate::js::{self, Result};
use crate::manifest::{self, WeightSpec};
use crate::quantize::Quantizer;
use crate::weights::Weights;
use crate::weights::quantizing::{Plan, Planned, Quantized, Wish, gather, plan};

/// Its name, and the field of a SaveResult.
pub const OPTION: &str = "quantize";
const RESULT: &str = "quantized";

/// What the caller asked for.
pub enum Quantize {
    /// All weights alike.
    All(QuantizedDType),
    /// Who says it of each.
    Each(Function),
}

impl Quantize {
    /// The option.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for anything but a type and a function.
    pub fn of(cx: &Context) -> Result<Option<Self>> {
        let Some(value) = cx.options.some(OPTION) else { return Ok(None) };
        match value.dyn_into::<Function>() {
            Ok(each) => Ok(Some(Quantize::Each(each))),
            Err(value) => dtype(&value, "").map(Quantize::All).map(Some),
        }
    }

    /// The model, to be quantised while it is read, and the plan, which tells afterwards what that did. A stream, which is read
    /// once, is quantised here and now where the range of each weight must be known.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for a weight that cannot be quantised so; what the caller's function throws, and what the source says.
    pub async fn apply(self, mut model: Model, cx: &Context) -> Result<(Model, Rc<Plan>)> {
        let has_strings = model.byte_length().is_none();
        let lengths = lengths(&mut model, cx).await?;
        let specs = js::items(&js::get(model.header.as_ref(), "weightSpecs"));
        let mut wishes = Vec::with_capacity(lengths.len());
        for ((spec, given), bytes) in model.specs().unwrap_or_default().iter().zip(&specs).zip(lengths) {
            wishes.push(Wish { name: spec.name.clone(), bytes, dtype: self.wish(spec, given)? });
        }
        if wishes.iter().all(|wish| wish.dtype.is_none()) {
            let plan = plan(&Weights::None, &wishes, cx).await?;
            return Ok((model, Rc::new(plan)));
        }
        let weights = core::mem::replace(&mut model.weights, Weights::None);
        let is_read_once = weights.again().is_none() && wishes.iter().any(Wish::needs_range);
        let (weights, plan) = if is_read_once || has_strings {
            let (weights, plan) = gather(weights, &wishes, cx).await?;
            (weights, Rc::new(plan))
        } else {
            let plan = Rc::new(plan(&weights, &wishes, cx).await?);
            (Weights::Quantized(Quantized { of: Box::new(weights), plan: plan.clone() }), plan)
        };
        let mut quantized = Model::new(model.header.with_specs(&with_quantization(&specs, &plan)), weights)?;
        (quantized.saved, quantized.is_counted) = (model.saved, model.is_counted);
        Ok((quantized, plan))
    }

    /// What shall become of a weight. Only float32 is quantised, and only once.
    fn wish(&self, spec: &WeightSpec, given: &JsValue) -> Result<Option<QuantizedDType>> {
        if spec.dtype != DType::Float32 || spec.quantized.is_some() || spec.elements == 0 {
            return Ok(None);
        }
        match self {
            Quantize::All(dtype) => Ok(Some(*dtype)),
            Quantize::Each(each) => {
                // A copy: what it does to it is not the model's.
                let given = js::structured_clone(given).unwrap_or_else(|_| given.clone());
                let answer = each.call1(&JsValue::UNDEFINED, &given).map_err(js::thrown)?;
                let is_none = answer.is_undefined() || answer.is_null();
                if is_none { Ok(None) } else { dtype(&answer, &spec.name).map(Some) }
            }
        }
    }
}

/// The weights' bytes, spec by spec. Strings must be looked at, so then all of them are read.
async fn lengths(model: &mut Model, cx: &Context) -> Result<Vec<u64>> {
    if let Some(lengths) = model.weight_lengths() {
        return Ok(lengths);
    }
    if model.specs().is_none() && model.weights.byte_length() != Some(0) {
        return Err(without_specs("options.quantize").into());
    }
    model.weights = model.pieces(cx).await?.map_or(Weights::None, Weights::Parts);
    let (mut numbers, mut start) = (model.weights.numbers(), 0_u64);
    let mut length = |spec: &WeightSpec| {
        let bytes = manifest::measure(core::slice::from_ref(spec), |at| numbers.read_u32(start.saturating_add(at)));
        start = start.saturating_add(bytes);
        bytes
    };
    Ok(model.specs().unwrap_or_default().iter().map(&mut length).collect())
}

fn dtype(value: &JsValue, name: &str) -> Result<QuantizedDType> {
    let known = js::text(value).and_then(|text| QuantizedDType::parse(&text, "").ok());
    let wrong = || {
        let why = match name {
            "" => "it must be 'float16', 'uint16', 'uint8' or a function".to_owned(),
            name => format!("for \"{name}\" it gave {}, not 'float16', 'uint16', 'uint8' or null", described(value)),
        };
        Error::argument("options.quantize", why).into()
    };
    known.ok_or_else(wrong)
}

/// The specs, with what a reader must know of those weights that are quantised. The given ones stay as they are.
fn with_quantization(specs: &[JsValue], plan: &Plan) -> Array {
    let spec = |(given, weight): (&JsValue, &Planned)| {
        let Some(quantizer) = weight.quantizer else { return given.clone() };
        let (spec, quantization) = (Object::assign(&Object::new(), given.unchecked_ref()), Object::new());
        js::set(&quantization, "dtype", &quantizer.dtype().name().into());
        if let Quantizer::Affine { min, scale, .. } = quantizer {
            js::set(&quantization, "min", &min.into());
            js::set(&quantization, "scale", &scale.into());
        }
        js::set(&quantization, "original_dtype", &DType::Float32.name().into());
        js::set(&spec, "quantization", &quantization);
        spec.into()
    };
    specs.iter().zip(&plan.weights).map(spec).collect()
}

/// A SaveResult that also tells what was quantised. It is a copy: a handler's answer is the handler's.
pub fn told(saved: &JsValue, plan: &Plan) -> JsValue {
    let (weights, mut worst) = (Object::new(), 0.0_f64);
    for weight in &plan.weights {
        let Some(quantizer) = weight.quantizer else { continue };
        let row = sizes(weight.bytes, weight.quantized_bytes(), weight.max_error.get());
        js::set(&row, "dtype", &quantizer.dtype().name().into());
        js::define(&weights, &weight.name, &row);
        worst = worst.max(weight.max_error.get());
    }
    let quantized = sizes(plan.original_bytes(), plan.bytes(), worst);
    js::set(&quantized, "weights", &weights);
    let result = Object::new();
    if !saved.is_object() || Object::try_assign(&result, saved.unchecked_ref()).is_err() {
        return saved.clone();
    }
    js::set(&result, RESULT, &quantized);
    result.into()
}

fn sizes(original_bytes: u64, bytes: u64, max_error: f64) -> Object {
    let sizes = Object::new();
    js::set(&sizes, "bytes", &(bytes as f64).into());
    js::set(&sizes, "originalBytes", &(original_bytes as f64).into());
    js::set(&sizes, "maxError", &max_error.into());
    sizes
}
