use super::*;
use proptest::prelude::*;

fn raw(dtype: &str, shape: &[f64]) -> RawSpec {
    RawSpec { name: "w".into(), shape: shape.to_vec(), dtype: dtype.into(), quantization: None }
}

fn length(dtype: &str, shape: &[f64]) -> Result<Option<u64>, String> {
    WeightSpec::new(&raw(dtype, shape), "s").map(|spec| spec.byte_length()).map_err(|error| error.to_string())
}

#[test]
fn a_spec_knows_its_bytes() {
    assert_eq!(length("float32", &[]), Ok(Some(4)));
    assert_eq!(length("float32", &[3.0, 2.0]), Ok(Some(24)));
    assert_eq!(length("bool", &[7.0]), Ok(Some(7)));
    assert_eq!(length("complex64", &[2.0]), Ok(Some(16)));
    assert_eq!(length("string", &[2.0]), Ok(None));
    assert_eq!(length("string", &[2.0, 0.0]), Ok(Some(0)));
    assert_eq!(length("int32", &[1e15, 1e15, 0.0]), Ok(Some(0)));
}

#[test]
fn an_impossible_spec_is_refused_by_field() {
    for shape in [[-1.0], [1.5], [f64::NAN], [f64::INFINITY], [1e16]] {
        assert!(length("float32", &shape).is_err_and(|message| message.starts_with("s.shape[0] ")), "{shape:?}");
    }
    for shape in [[1e8, 1e8], [9e15, 1.0], [9e15, 9e15]] {
        assert!(length("float32", &shape).is_err_and(|message| message.starts_with("s.shape ")), "{shape:?}");
    }
    assert!(length("float16", &[1.0]).is_err_and(|message| message.starts_with("s.dtype ")));
}

#[test]
fn quantization_must_be_complete_and_fit() {
    let quantized = |dtype: &str, stored: &str, min: Option<f64>| {
        let quantization = Some(RawQuantization { dtype: stored.into(), min, scale: Some(1.0) });
        WeightSpec::new(&RawSpec { quantization, ..raw(dtype, &[3.0]) }, "s").map(|spec| spec.byte_length())
    };
    assert_eq!(quantized("float32", "uint8", Some(0.0)), Ok(Some(3)));
    assert_eq!(quantized("int32", "uint16", Some(0.0)), Ok(Some(6)));
    assert_eq!(quantized("float32", "float16", None), Ok(Some(6)));
    assert!(quantized("float32", "uint8", None).is_err());
    assert!(quantized("int32", "float16", None).is_err());
    assert!(quantized("bool", "uint8", Some(0.0)).is_err());
    assert!(quantized("float32", "int4", Some(0.0)).is_err());
}

#[test]
fn names_are_unique_and_totals_bounded() {
    let twice = [raw("bool", &[]), raw("bool", &[])];
    assert!(validate(&twice, "specs").is_err_and(|error| error.to_string().starts_with("specs[1].name ")));
    let half = MAX_SAFE_INTEGER as f64 / 2.0 + 1.0;
    let huge = [raw("bool", &[half.trunc()]), RawSpec { name: "v".into(), ..raw("bool", &[half.trunc()]) }];
    assert!(validate(&huge, "specs").is_err_and(|error| error.code() == "ERR_MANIFEST"));
}

#[test]
fn string_lengths_are_read_from_the_bytes() {
    let specs = validate(&[raw("string", &[2.0]), RawSpec { name: "b".into(), ..raw("bool", &[3.0]) }], "s");
    let bytes = [1, 0, 0, 0, b'x', 0, 0, 0, 0, 1, 1, 0];
    let read = |offset: u64| {
        let offset = usize::try_from(offset).ok()?;
        Some(u32::from_le_bytes(bytes.get(offset..offset.checked_add(4)?)?.try_into().ok()?))
    };
    assert_eq!(specs.clone().map(|specs| measure(&specs, read)), Ok(12));
    assert_eq!(specs.map(|specs| measure(&specs, |_| None)), Ok(4));
}

proptest! {
    #[test]
    fn the_product_is_exact_or_refused(shape in prop::collection::vec(0_u32..5000, 0..6)) {
        let exact = shape.iter().fold(1_u128, |product, axis| product * u128::from(*axis));
        let shape: Vec<f64> = shape.iter().map(|axis| f64::from(*axis)).collect();
        match WeightSpec::new(&raw("float32", &shape), "s") {
            Ok(spec) => prop_assert_eq!(spec.byte_length().map(u128::from), Some(exact * 4)),
            Err(_) => prop_assert!(exact * 4 > u128::from(MAX_SAFE_INTEGER)),
        }
    }

    #[test]
    fn nothing_panics(shape in prop::collection::vec(prop::num::f64::ANY, 0..5), dtype in ".{0,9}", name in ".{0,9}") {
        let spec = RawSpec { name, shape, dtype, quantization: None };
        let _ = validate(&[spec.clone(), spec], "specs");
    }

    #[test]
    fn measure_never_runs_past_the_bytes(elements in 0_u32..40, seed in any::<u32>()) {
        let spec = WeightSpec::new(&raw("string", &[f64::from(elements)]), "s")?;
        let end = measure(&[spec], |offset| (offset < 100).then_some(seed));
        prop_assert!(end <= 104 + u64::from(u32::MAX));
    }
}
