//! Quantisation, as TF.js's converter does it: fewer bits a number, and what it costs. Numbers are float32 as they lie in the bytes.

use half::f16;

use crate::dtype::QuantizedDType;

#[cfg_attr(not(all(target_arch = "wasm32", target_feature = "simd128")), path = "quantize/no_simd.rs")]
mod simd;

/// Smallest and largest of some numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    min: f32,
    max: f32,
    has_nan: bool,
}

impl Default for Range {
    fn default() -> Self {
        Self { min: f32::INFINITY, max: f32::NEG_INFINITY, has_nan: false }
    }
}

impl Range {
    /// Looks at more of them.
    pub fn see(&mut self, numbers: &[[u8; 4]]) {
        let (fours, rest) = by_four(numbers);
        let (mut min, mut max, has_nan) = simd::range(fours, (self.min, self.max));
        let mut has_nan = self.has_nan | has_nan;
        // Comparisons, not `f32::min`: those are no instruction of wasm's.
        for number in rest {
            let number = f32::from_le_bytes(*number);
            min = if number < min { number } else { min };
            max = if number > max { number } else { max };
            has_nan |= number.is_nan();
        }
        *self = Self { min, max, has_nan };
    }

    fn is_finite(self) -> bool {
        !self.has_nan && self.min.is_finite() && self.max.is_finite()
    }
}

/// How one weight is quantised.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Quantizer {
    /// uint8 or uint16: `number = stored * scale + min`.
    Affine {
        /// Which.
        dtype: QuantizedDType,
        /// The number that is stored as 0.
        min: f64,
        /// The step.
        scale: f64,
        /// The largest number that there is a place for.
        max: f64,
    },
    /// float16.
    Half,
}

impl Quantizer {
    /// That of numbers in this range. `None` where there are some that only float16 could hold: infinite ones, and such as are none.
    pub fn new(dtype: QuantizedDType, range: Range) -> Option<Self> {
        let steps = match dtype {
            QuantizedDType::Float16 => return Some(Quantizer::Half),
            QuantizedDType::Uint8 => 255.0,
            QuantizedDType::Uint16 => 65535.0,
        };
        if !range.is_finite() {
            return None;
        }
        let (min, max) = (f64::from(range.min), f64::from(range.max));
        if min == max {
            return Some(Quantizer::Affine { dtype, min: min + 0.0, scale: 1.0, max });
        }
        let scale = (max - min) / steps;
        if !(min..=max).contains(&0.0) {
            return Some(Quantizer::Affine { dtype, min, scale, max });
        }
        // Moved by less than a step, so that zero stays zero: convolutions pad with it.
        let zero = (-min / scale).round_ties_even();
        let min = 0.0 - zero * scale;
        Some(Quantizer::Affine { dtype, min, scale, max: steps * scale + min })
    }

    /// What is stored instead of float32.
    pub fn dtype(&self) -> QuantizedDType {
        match self {
            Quantizer::Affine { dtype, .. } => *dtype,
            Quantizer::Half => QuantizedDType::Float16,
        }
    }

    /// Quantises the numbers into `stored`, and gives the largest difference to what a model gets back: infinite when a
    /// number is too large for float16.
    pub fn quantize(&self, numbers: &[[u8; 4]], stored: &mut Vec<u8>) -> f64 {
        stored.clear();
        stored.resize(numbers.len() * self.dtype().size() as usize, 0);
        let Quantizer::Affine { dtype, min, scale, max } = *self else {
            return each(numbers, stored.as_chunks_mut().0, half, u16::to_le_bytes);
        };
        let (fours, rest) = by_four(numbers);
        let (simd, step) = (simd::Affine::new(min, scale, max), |number| affine(number, min, scale, max));
        if dtype == QuantizedDType::Uint8 {
            let (places, others) = stored.split_at_mut(fours.len() * 4);
            let worst = simd.bytes(fours, places.as_chunks_mut().0);
            each(rest, others.as_chunks_mut().0, step, |stored| [stored as u8]).max(worst)
        } else {
            let (places, others) = stored.split_at_mut(fours.len() * 8);
            let worst = simd.words(fours, places.as_chunks_mut().0);
            each(rest, others.as_chunks_mut().0, step, u16::to_le_bytes).max(worst)
        }
    }
}

/// Four numbers each for SIMD, where there is some, and the rest.
fn by_four(numbers: &[[u8; 4]]) -> (&[simd::Four], &[[u8; 4]]) {
    let fours = if simd::IS_THERE { numbers.len() / 4 } else { 0 };
    let (fours, rest) = numbers.split_at(fours * 4);
    (fours.as_flattened().as_chunks().0, rest)
}

/// What is stored for a number, and what comes back.
fn affine(number: f32, min: f64, scale: f64, max: f64) -> (u16, f32) {
    let number = f64::from(number);
    let clipped = if number < min { min } else { number };
    let clipped = if clipped > max { max } else { clipped };
    let stored = ((clipped - min) / scale).round_ties_even();
    (stored as u16, (stored * scale + min) as f32)
}

fn half(number: f32) -> (u16, f32) {
    let stored = f16::from_f32(number);
    (stored.to_bits(), stored.to_f32())
}

#[inline(always)]
fn each<const N: usize>(
    numbers: &[[u8; 4]],
    places: &mut [[u8; N]],
    quantize: impl Fn(f32) -> (u16, f32),
    bytes: impl Fn(u16) -> [u8; N],
) -> f64 {
    let mut worst = 0.0;
    for (place, number) in places.iter_mut().zip(numbers) {
        let number = f32::from_le_bytes(*number);
        let (stored, back) = quantize(number);
        *place = bytes(stored);
        // Of what is infinite before and after, or no number, there is no difference.
        let error = (f64::from(number) - f64::from(back)).abs();
        worst = if error > worst { error } else { worst };
    }
    worst
}

/// Puts numbers together whose bytes come in pieces that were cut anywhere.
#[derive(Default)]
pub struct Numbers {
    begun: [u8; 4],
    filled: usize,
}

impl Numbers {
    /// Shows the numbers that are complete with these bytes.
    pub fn feed(&mut self, mut bytes: &[u8], mut see: impl FnMut(&[[u8; 4]])) {
        while self.filled > 0
            && let Some((byte, rest)) = bytes.split_first()
        {
            self.push(*byte, &mut see);
            bytes = rest;
        }
        let (whole, rest) = bytes.as_chunks();
        if !whole.is_empty() {
            see(whole);
        }
        rest.iter().for_each(|byte| self.push(*byte, &mut see));
    }

    fn push(&mut self, byte: u8, see: &mut impl FnMut(&[[u8; 4]])) {
        if let Some(place) = self.begun.get_mut(self.filled) {
            *place = byte;
        }
        self.filled = (self.filled + 1) % 4;
        if self.filled == 0 {
            see(&[self.begun]);
        }
    }
}

/// The part of one weight that lies in a piece.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Run {
    /// Which weight.
    pub weight: usize,
    /// Where in the weight it begins.
    pub at: u64,
    /// Where in the piece it begins.
    pub start: u32,
    /// Where it ends there.
    pub end: u32,
}

/// Finds weights in pieces that were cut anywhere.
#[derive(Default)]
pub struct Cutter {
    weight: usize,
    at: u64,
}

impl Cutter {
    /// The weights, of these lengths, whose bytes the next piece has.
    pub fn cut(&mut self, lengths: &[u64], piece: u32) -> Vec<Run> {
        let (mut runs, mut start) = (Vec::new(), 0);
        while start < piece
            && let Some(length) = lengths.get(self.weight)
        {
            let bytes = length.saturating_sub(self.at).min(u64::from(piece - start)) as u32;
            if bytes > 0 {
                runs.push(Run { weight: self.weight, at: self.at, start, end: start + bytes });
            }
            (start, self.at) = (start + bytes, self.at + u64::from(bytes));
            if self.at == *length {
                (self.weight, self.at) = (self.weight + 1, 0);
            }
        }
        runs
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
#[path = "quantize_tests.rs"]
mod tests;
