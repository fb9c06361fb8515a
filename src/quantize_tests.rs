use super::*;
use proptest::prelude::*;

use QuantizedDType::{Float16, Uint8, Uint16};

fn raw(numbers: &[f32]) -> Vec<[u8; 4]> {
    numbers.iter().map(|number| number.to_le_bytes()).collect()
}

fn range(numbers: &[f32]) -> Range {
    let mut range = Range::default();
    range.see(&raw(numbers));
    range
}

/// What is stored, and the error that it reports.
fn quantized(quantizer: Quantizer, numbers: &[f32]) -> (Vec<u8>, f64) {
    let mut stored = vec![1, 2, 3]; // of another weight
    let error = quantizer.quantize(&raw(numbers), &mut stored);
    (stored, error)
}

/// As TF.js does it.
fn dequantized(quantizer: Quantizer, stored: &[u8]) -> Vec<f32> {
    let Quantizer::Affine { dtype, min, scale, .. } = quantizer else {
        return stored.as_chunks().0.iter().map(|bytes| f16::from_le_bytes(*bytes).to_f32()).collect();
    };
    let wide: Vec<u16> = match dtype {
        Uint8 => stored.iter().map(|byte| u16::from(*byte)).collect(),
        _ => stored.as_chunks().0.iter().map(|bytes| u16::from_le_bytes(*bytes)).collect(),
    };
    wide.iter().map(|stored| (f64::from(*stored) * scale + min) as f32).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
}

#[test]
fn it_is_what_the_converter_of_tfjs_does_byte_for_byte() {
    let cases = include_str!("../tests/fixtures/quantize.txt");
    let mut seen = 0;
    for line in cases.lines() {
        let [dtype, min, scale, numbers, stored] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let bits = |text| f64::from_le_bytes(unhex(text).try_into().unwrap());
        let numbers: Vec<f32> = unhex(numbers).as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        let quantizer = Quantizer::new(QuantizedDType::parse(dtype, "").unwrap(), range(&numbers)).unwrap();
        if let Quantizer::Affine { min: ours, scale: our_scale, .. } = quantizer {
            assert_eq!((ours, our_scale), (bits(min), bits(scale)), "{line}");
            assert!(ours != 0.0 || ours.is_sign_positive(), "-0 is no JSON");
        }
        assert_eq!(quantized(quantizer, &numbers).0, unhex(stored), "{line}");
        seen += 1;
    }
    assert_eq!(seen, 45);
}

fn finite() -> impl Strategy<Value = f32> {
    prop_oneof![any::<f32>().prop_filter("finite", |x| x.is_finite()), -3.0_f32..3.0, -1e-40_f32..1e-40, Just(0.0)]
}

proptest! {
    #[test]
    fn no_number_moves_by_more_than_half_a_step(
        numbers in prop::collection::vec(finite(), 1..60), dtype in prop_oneof![Just(Uint8), Just(Uint16)],
    ) {
        let quantizer = Quantizer::new(dtype, range(&numbers)).unwrap();
        let Quantizer::Affine { scale, .. } = quantizer else { panic!() };
        let (stored, error) = quantized(quantizer, &numbers);
        let back = dequantized(quantizer, &stored);
        prop_assert_eq!(back.len(), numbers.len());
        let mut worst = 0.0_f64;
        for (number, back) in numbers.iter().zip(&back) {
            let error = (f64::from(*number) - f64::from(*back)).abs();
            let rounding = f64::from(number.abs().max(back.abs())) * f64::from(f32::EPSILON) + f64::from(f32::from_bits(1));
            prop_assert!(error <= scale / 2.0 * (1.0 + 1e-9) + rounding, "{number} {back} {scale}");
            prop_assert!(*number != 0.0 || *back == 0.0, "zero became {back}");
            worst = worst.max(error);
        }
        prop_assert_eq!(error, worst);
    }

    #[test]
    fn a_constant_is_kept(number in finite(), count in 1_usize..9) {
        for dtype in [Uint8, Uint16] {
            let numbers = vec![number; count];
            let quantizer = Quantizer::new(dtype, range(&numbers)).unwrap();
            let (stored, error) = quantized(quantizer, &numbers);
            prop_assert!(stored.iter().all(|byte| *byte == 0) && error == 0.0);
            prop_assert_eq!(dequantized(quantizer, &stored), numbers);
        }
    }

    #[test]
    fn float16_is_the_nearest(bits in any::<u32>()) {
        let number = f32::from_bits(bits);
        let (stored, error) = quantized(Quantizer::Half, &[number]);
        let back = dequantized(Quantizer::Half, &stored)[0];
        prop_assert_eq!(number.is_nan(), back.is_nan());
        prop_assert_eq!(error.is_infinite(), number.is_finite() && number.abs() >= 65520.0);
        let place = u16::from_le_bytes([stored[0], stored[1]]);
        for neighbour in [place.wrapping_sub(1), place.wrapping_add(1)].map(f16::from_bits) {
            if !number.is_nan() && neighbour.is_finite() && back.is_finite() {
                let other = (f64::from(number) - neighbour.to_f64()).abs();
                prop_assert!(error < other || (error == other && place % 2 == 0), "{number} {back} {neighbour}");
            }
        }
    }

    #[test]
    fn bytes_cut_anywhere_are_the_same_numbers(
        numbers in prop::collection::vec(any::<u32>(), 0..30), cuts in prop::collection::vec(0_usize..9, 0..40),
    ) {
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        let (mut rest, mut seen, mut together) = (&bytes[..], Vec::new(), Numbers::default());
        for cut in cuts.into_iter().chain([usize::MAX]) {
            let (piece, after) = rest.split_at(cut.min(rest.len()));
            together.feed(piece, |numbers| seen.extend_from_slice(numbers));
            rest = after;
        }
        let seen: Vec<u32> = seen.into_iter().map(u32::from_le_bytes).collect();
        prop_assert_eq!(seen, numbers);
    }

    #[test]
    fn each_byte_belongs_to_one_weight(
        lengths in prop::collection::vec(0_u64..20, 0..9), cuts in prop::collection::vec(0_u32..25, 0..20),
    ) {
        let total: u64 = lengths.iter().sum();
        let (mut cutter, mut found, mut left) = (Cutter::default(), vec![0; lengths.len()], total);
        for cut in cuts.into_iter().chain([total as u32]) {
            let piece = u64::from(cut).min(left) as u32;
            left -= u64::from(piece);
            let mut end = 0;
            for run in cutter.cut(&lengths, piece) {
                prop_assert!(run.start == end && run.end > run.start && run.end <= piece);
                prop_assert_eq!(run.at, found[run.weight]);
                found[run.weight] += u64::from(run.end - run.start);
                end = run.end;
            }
            prop_assert_eq!(end, piece);
        }
        prop_assert_eq!(found, lengths);
    }
}

#[test]
fn what_is_no_number_has_no_place_but_in_float16() {
    for number in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let range = range(&[1.0, number, 2.0]);
        assert_eq!(Quantizer::new(Uint8, range), None);
        assert_eq!(Quantizer::new(Uint16, range), None);
        assert_eq!(Quantizer::new(Float16, range), Some(Quantizer::Half));
        assert_eq!(quantized(Quantizer::Half, &[number]).1, 0.0);
    }
}

#[test]
fn more_bytes_than_there_are_weights_are_nobodys() {
    let mut cutter = Cutter::default();
    assert_eq!(cutter.cut(&[4, 0], 9), [Run { weight: 0, at: 0, start: 0, end: 4 }]);
    assert_eq!(cutter.cut(&[4, 0], 9), []);
}
