//! Weight specs of any numbers, also those that JSON cannot hold, and the sizes of the files that they describe.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use tfpersist::fuzzing::manifest::{MAX_SAFE_INTEGER, RawQuantization, RawSpec, byte_length, measure, validate};
use tfpersist::fuzzing::shard::{Group, find, problems};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    specs: Vec<Spec<'a>>,
    bytes: &'a [u8],
    sizes: Vec<u64>,
    files: Vec<(&'a str, u64)>,
}

#[derive(Arbitrary, Debug)]
struct Spec<'a> {
    name: &'a str,
    shape: Vec<Axis>,
    dtype: DType<'a>,
    quantization: Option<(DType<'a>, Option<f64>, Option<f64>)>,
}

/// Small numbers would be rare among all bits.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Axis {
    Small(u8),
    Whole(u64),
    Any(f64),
}

#[derive(Arbitrary, Debug)]
enum DType<'a> {
    Known(u8),
    Any(&'a str),
}

impl DType<'_> {
    fn name(&self) -> &str {
        let known = ["float32", "int32", "bool", "complex64", "string", "uint8", "uint16", "float16"];
        match self {
            Self::Known(index) => known[*index as usize % known.len()],
            Self::Any(name) => name,
        }
    }
}

impl Spec<'_> {
    fn raw(&self) -> RawSpec {
        let number = |axis: &Axis| match *axis {
            Axis::Small(number) => f64::from(number),
            Axis::Whole(number) => number as f64,
            Axis::Any(number) => number,
        };
        let quantization = self.quantization.as_ref();
        let quantization = quantization.map(|(dtype, min, scale)| RawQuantization {
            dtype: dtype.name().into(),
            min: *min,
            scale: *scale,
        });
        let shape = self.shape.iter().map(number).collect();
        RawSpec { name: self.name.into(), shape, dtype: self.dtype.name().into(), quantization }
    }
}

/// The bytes of a spec in numbers that cannot overflow: `None` for strings.
fn naive(raw: &RawSpec) -> Option<u128> {
    let elements = raw.shape.iter().fold(1_u128, |product, axis| product.saturating_mul(*axis as u128));
    let dtype = raw.quantization.as_ref().map_or(&raw.dtype, |quantization| &quantization.dtype);
    let size = match &dtype[..] {
        "bool" | "uint8" => 1,
        "uint16" | "float16" => 2,
        "float32" | "int32" => 4,
        "complex64" => 8,
        _ if elements == 0 => 0,
        _ => return None,
    };
    Some(elements.saturating_mul(size))
}

fuzz_target!(|input: Input| {
    let raw: Vec<RawSpec> = input.specs.iter().map(Spec::raw).collect();
    let Ok(specs) = validate(&raw, "specs") else { return };
    assert_eq!(specs.len(), raw.len());
    for (spec, raw) in specs.iter().zip(&raw) {
        assert_eq!(spec.byte_length().map(u128::from), naive(raw), "{raw:?}");
    }
    let sum = raw.iter().try_fold(0_u128, |sum, raw| Some(sum + naive(raw)?));
    assert_eq!(byte_length(&specs).map(u128::from), sum);
    assert!(sum.is_none_or(|sum| sum <= u128::from(MAX_SAFE_INTEGER)));
    strings(&specs, input.bytes);
    files(&raw, &input);
});

/// Lengths of strings are read from the bytes, and no more often than there are bytes.
fn strings(specs: &[tfpersist::WeightSpec], bytes: &[u8]) {
    let mut reads = 0;
    let end = measure(specs, |offset| {
        reads += 1;
        let at = usize::try_from(offset).ok()?;
        Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().expect("four")))
    });
    assert!(reads <= bytes.len() / 4 + 1 + specs.len(), "{reads} reads of {} bytes", bytes.len());
    let fixed: u64 = specs.iter().filter_map(|spec| spec.byte_length()).sum();
    assert!(end <= fixed + bytes.len() as u64 + u64::from(u32::MAX) * 2 + 4);
}

/// Files of any sizes fit a group exactly when there are as many bytes as the specs say.
fn files(raw: &[RawSpec], input: &Input) {
    let paths: Vec<String> = (0..input.sizes.len()).map(|index| format!("{index}.bin")).collect();
    let names: Vec<&str> = paths.iter().map(String::as_str).collect();
    let Ok(group) = Group::new(paths.clone(), raw, "m") else { return };
    let sum = input.sizes.iter().fold(0_u128, |sum, size| sum + u128::from(*size));
    let fits = group.bytes.is_none_or(|bytes| u128::from(bytes) == sum);
    let sized: Vec<_> = names.iter().zip(&input.sizes).map(|(name, size)| Some((*name, *size))).collect();
    assert_eq!(problems(&[group.clone()], &sized).is_empty(), fits);
    let mut files = input.files.clone();
    files.extend(names.iter().zip(&input.sizes).map(|(name, size)| (*name, *size)));
    let (found, wrong) = find(&[group], "", &files, true).expect("few");
    let places: std::collections::HashSet<_> = found.iter().flatten().collect();
    assert_eq!(places.len(), found.iter().flatten().count(), "one file is not two shards");
    assert!(!wrong.is_empty() || found.iter().all(Option::is_some));
}
