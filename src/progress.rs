//! How far a transfer is: a fraction that never falls and reaches 1 only at the end.

/// Bytes so far, and the fraction last reported.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    loaded: u64,
    total: Option<u64>,
    fraction: f64,
    is_twice: bool,
    /// Bytes of the total that are thought to be written, after as many have been read.
    written: u64,
}

impl Progress {
    /// What is expected next will be read first, and then as much of it will be written.
    pub fn expect_twice(&mut self) {
        self.is_twice = true;
    }

    /// Says how many bytes are still to come, as soon as that is known.
    pub fn expect(&mut self, bytes: Option<u64>) {
        self.written = if core::mem::take(&mut self.is_twice) { bytes.unwrap_or_default() } else { 0 };
        self.total = bytes.map(|bytes| self.loaded.saturating_add(bytes).saturating_add(self.written));
    }

    /// Says how many bytes are still to be written, when nothing of them is to be read first.
    pub fn expect_last(&mut self, bytes: u64) {
        self.is_twice = false;
        self.expect(Some(bytes));
    }

    /// Says how many bytes will be written of what was expected twice, which is known only after the first look at it.
    pub fn expect_written(&mut self, bytes: u64) {
        let thought = core::mem::replace(&mut self.written, bytes);
        self.total = self.total.map(|total| total.saturating_sub(thought).saturating_add(bytes));
    }

    /// Counts bytes and gives the fraction. It stays below 1: only [`Progress::finish`] says 1.
    pub fn advance(&mut self, bytes: u64) -> f64 {
        self.loaded = self.loaded.saturating_add(bytes);
        if let Some(total) = self.total.filter(|total| *total > 0) {
            let fraction = self.loaded as f64 / total as f64;
            self.fraction = self.fraction.max(fraction.min(1.0 - f64::EPSILON));
        }
        self.fraction
    }

    /// The end: exactly 1.
    pub fn finish(&mut self) -> f64 {
        self.total = Some(self.loaded);
        self.fraction = 1.0;
        self.fraction
    }

    /// Bytes so far.
    pub fn loaded(&self) -> u64 {
        self.loaded
    }

    /// Bytes in all, when known.
    pub fn total(&self) -> Option<u64> {
        self.total
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_never_falls_and_ends_at_one(total in prop::option::of(0_u64..1 << 40), steps in prop::collection::vec(any::<u64>(), 0..9)) {
            let mut progress = Progress::default();
            progress.expect(total);
            let mut last = 0.0;
            for step in steps {
                let fraction = progress.advance(step);
                prop_assert!((last..1.0).contains(&fraction));
                last = fraction;
            }
            prop_assert_eq!(progress.finish(), 1.0);
        }
    }
}
