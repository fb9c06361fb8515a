//! The loops of `quantize.rs`, four numbers at a time, for the builds that have SIMD. Each operation rounds as its scalar one does, so the
//! bytes are the same. What is left, fewer than four numbers, they leave to the scalar ones.

use core::arch::wasm32::{
    f32x4_demote_f64x2_zero, f32x4_extract_lane, f32x4_ne, f32x4_pmax, f32x4_pmin, f32x4_splat, f64x2_abs, f64x2_add,
    f64x2_div, f64x2_extract_lane, f64x2_mul, f64x2_nearest, f64x2_pmax, f64x2_pmin, f64x2_promote_low_f32x4,
    f64x2_splat, f64x2_sub, i32x4_shuffle, u8x16_narrow_i16x8, u16x8_narrow_i32x4, u32x4_trunc_sat_f64x2_zero, u64x2,
    u64x2_extract_lane, v128, v128_any_true, v128_or,
};

/// Four numbers, as they lie in the bytes.
pub type Four = [u8; 16];
/// Whether it is.
pub const IS_THERE: bool = true;

fn four(bytes: &Four) -> v128 {
    let bits = u128::from_le_bytes(*bytes);
    u64x2(bits as u64, (bits >> 64) as u64)
}

/// The smallest and the largest of these and `(min, max)`, and whether one is NaN.
pub fn range(numbers: &[Four], (min, max): (f32, f32)) -> (f32, f32, bool) {
    let (mut least, mut most, mut nan) = (f32x4_splat(min), f32x4_splat(max), u64x2(0, 0));
    for numbers in numbers {
        let numbers = four(numbers);
        least = f32x4_pmin(least, numbers);
        most = f32x4_pmax(most, numbers);
        nan = v128_or(nan, f32x4_ne(numbers, numbers));
    }
    (lanes(least).into_iter().fold(min, f32::min), lanes(most).into_iter().fold(max, f32::max), v128_any_true(nan))
}

fn lanes(of: v128) -> [f32; 4] {
    [f32x4_extract_lane::<0>(of), f32x4_extract_lane::<1>(of), f32x4_extract_lane::<2>(of), f32x4_extract_lane::<3>(of)]
}

/// `min`, `scale` and `max` of uint8 or uint16, each twice.
#[derive(Clone, Copy)]
pub struct Affine(v128, v128, v128);

impl Affine {
    pub fn new(min: f64, scale: f64, max: f64) -> Self {
        Self(f64x2_splat(min), f64x2_splat(scale), f64x2_splat(max))
    }

    /// Stores them in a byte each, and gives the largest error.
    pub fn bytes(self, numbers: &[Four], places: &mut [[u8; 4]]) -> f64 {
        self.each(numbers, places, |stored| {
            (u64x2_extract_lane::<0>(u8x16_narrow_i16x8(stored, stored)) as u32).to_le_bytes()
        })
    }

    /// Stores them in two bytes each, and gives the largest error.
    pub fn words(self, numbers: &[Four], places: &mut [[u8; 8]]) -> f64 {
        self.each(numbers, places, |stored| u64x2_extract_lane::<0>(stored).to_le_bytes())
    }

    #[inline(always)]
    fn each<const N: usize>(self, numbers: &[Four], places: &mut [[u8; N]], bytes: impl Fn(v128) -> [u8; N]) -> f64 {
        let mut worst = f64x2_splat(0.0);
        for (place, numbers) in places.iter_mut().zip(numbers) {
            let numbers = four(numbers);
            let low = self.two(numbers, &mut worst);
            let high = self.two(i32x4_shuffle::<2, 3, 2, 3>(numbers, numbers), &mut worst);
            let stored = i32x4_shuffle::<0, 1, 4, 5>(low, high);
            *place = bytes(u16x8_narrow_i32x4(stored, stored));
        }
        f64x2_extract_lane::<0>(worst).max(f64x2_extract_lane::<1>(worst))
    }

    /// What is stored for the first two, as u32.
    #[inline(always)]
    fn two(self, numbers: v128, worst: &mut v128) -> v128 {
        let Self(min, scale, max) = self;
        let numbers = f64x2_promote_low_f32x4(numbers);
        let clipped = f64x2_pmin(f64x2_pmax(numbers, min), max);
        let stored = f64x2_nearest(f64x2_div(f64x2_sub(clipped, min), scale));
        let back = f32x4_demote_f64x2_zero(f64x2_add(f64x2_mul(stored, scale), min));
        *worst = f64x2_pmax(*worst, f64x2_abs(f64x2_sub(numbers, f64x2_promote_low_f32x4(back))));
        u32x4_trunc_sat_f64x2_zero(stored)
    }
}
