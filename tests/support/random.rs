//! Seeded randomness: the same seed, the same run.

/// A xorshift generator.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        // Zero would stay zero.
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// True once in so many times.
    pub fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// Which seeds a test runs: all of its own, or those that were asked for when it was built.
#[derive(Clone, Debug)]
pub struct Seeds {
    pub seeds: Vec<u64>,
    /// So many numbers of each seed's row are passed over first (`FANWIRE_SHIFT`): other cases under the same seeds.
    pub shift: u64,
}

impl Seeds {
    /// `FANWIRE_SEED` alone, if it is set.
    pub fn asked_for(all: impl IntoIterator<Item = u64>) -> Self {
        let number = |text: &str| text.parse().expect("it is a number");
        let only: Option<u64> = option_env!("FANWIRE_SEED").map(number);
        let seeds = only.map_or_else(|| all.into_iter().collect(), |seed| vec![seed]);
        Self { seeds, shift: option_env!("FANWIRE_SHIFT").map_or(0, number) }
    }
}
