//! What the tests of this module share: every way to cut an input, and random numbers with a seed.

/// Calls `check` with `input` cut in two at each place, and byte by byte.
pub(crate) fn splits(input: &[u8], mut check: impl FnMut(&[&[u8]])) {
    for at in 0..=input.len() {
        let (first, second) = input.split_at(at);
        check(&[first, second]);
    }
    let single: Vec<&[u8]> = input.chunks(1).collect();
    check(&single);
}

/// Small, seeded, good enough: splitmix64.
#[derive(Clone, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.byte()).collect()
    }
}
