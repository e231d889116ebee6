//! Numbers that look random and are the same for the same seed: SplitMix64.
//!
//! For a simulation. Never for a secret.

/// A stream of numbers.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// From `low` to just under `high`.
    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        // 53 bits are what a double holds.
        #[expect(clippy::cast_precision_loss, reason = "exactly 53 bits")]
        let unit = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        low + unit * (high - low)
    }

    /// From 0 to one less than `end`. The bias is below anything that a simulation can show.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_lie_where_they_are_asked_for() {
        let mut random = Random::new(0);
        // The first number of the reference implementation with seed 0.
        assert_eq!(random.clone().next(), 0xE220_A839_7B1D_CDAF);
        for _ in 0..10_000 {
            let number = random.between(-2.0, 3.0);
            assert!((-2.0..3.0).contains(&number) && random.below(7) < 7);
        }
        assert_eq!(random.below(0), 0);
    }
}
