//! How often something may happen: a bucket that fits into a connection.
//!
//! Invariants: over any span of t seconds at most `burst + t * per_second` are taken; a bucket is 8 bytes.
//! Time is an argument: milliseconds of the monotonic clock. When it runs backwards the bucket waits, it
//! never gives more.

use std::collections::HashMap;
use std::hash::Hash;

const NANOS_PER_MS: u64 = 1_000_000;
const NANOS_PER_S: u64 = 1_000_000_000;

/// So many a second, and so many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub per_second: u32,
    /// At least 1, or nothing is ever taken.
    pub burst: u32,
}

impl Rate {
    /// A second's worth at once, and then evenly.
    #[must_use]
    pub const fn per_second(per_second: u32) -> Self {
        Self { per_second, burst: per_second }
    }

    /// Nanoseconds that one costs; a rate of 0 costs more than there is.
    fn cost_ns(self) -> u64 {
        NANOS_PER_S.checked_div(u64::from(self.per_second)).unwrap_or(u64::MAX)
    }

    /// Nanoseconds that the bucket holds when full.
    fn depth_ns(self) -> u64 {
        if self.per_second == 0 { 0 } else { self.cost_ns().saturating_mul(u64::from(self.burst)) }
    }
}

/// What was taken of a rate lately. New: nothing. The rate is an argument, so that it is stored once, not per
/// connection.
///
/// Kept as the one moment at which the bucket is full again ("theoretical arrival time" of ITU-T I.371's cell
/// rate algorithm).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    full_at_ns: u64,
}

const _: () = assert!(size_of::<Bucket>() <= 16);

impl Bucket {
    /// Takes `count` at once, if there are so many; otherwise takes none and says no.
    #[must_use]
    pub fn take(&mut self, count: u32, rate: Rate, now_ms: u64) -> bool {
        let now_ns = now_ms.saturating_mul(NANOS_PER_MS);
        let cost_ns = rate.cost_ns().saturating_mul(u64::from(count));
        let owed_ns = self.full_at_ns.saturating_sub(now_ns).saturating_add(cost_ns);
        let fits = owed_ns <= rate.depth_ns();
        if fits {
            self.full_at_ns = now_ns.saturating_add(owed_ns);
        }
        fits
    }

    /// Takes as many of `count` as there are; says how many.
    #[must_use]
    pub fn take_up_to(&mut self, count: u32, rate: Rate, now_ms: u64) -> u32 {
        let owed_ns = self.full_at_ns.saturating_sub(now_ms.saturating_mul(NANOS_PER_MS));
        let room_ns = rate.depth_ns().saturating_sub(owed_ns);
        // A rate beyond what nanoseconds can tell apart costs nothing, and always fits.
        let fits = room_ns.checked_div(rate.cost_ns()).unwrap_or(u64::MAX);
        let taken = count.min(u32::try_from(fits).unwrap_or(u32::MAX));
        if taken > 0 && self.take(taken, rate, now_ms) { taken } else { 0 }
    }

    /// Whether the bucket is as good as new, so that it need not be remembered.
    #[must_use]
    pub fn is_full(&self, now_ms: u64) -> bool {
        self.full_at_ns <= now_ms.saturating_mul(NANOS_PER_MS)
    }
}

/// A bucket for each of many: users, addresses.
///
/// Invariant: at most `max` of them. Those that are full are forgotten first, which changes nothing; if there
/// is none, a newcomer is refused, for to forget a busy one would give it its burst again.
#[derive(Debug)]
pub struct Buckets<K> {
    buckets: HashMap<K, Bucket>,
    max: usize,
    /// Before this a search for full ones is in vain, or was done a moment ago.
    sweep_ms: u64,
}

/// Milliseconds between searches for full buckets: the longest that a newcomer is refused for want of room
/// that there is.
const SWEEP_INTERVAL_MS: u64 = 100;

impl<K: Eq + Hash> Buckets<K> {
    /// None yet; at most `max`.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self { buckets: HashMap::new(), max, sweep_ms: 0 }
    }

    /// Takes `count` from the bucket of `whose`; no: there are not so many, or no room for a newcomer.
    #[must_use]
    pub fn take(&mut self, whose: K, count: u32, rate: Rate, now_ms: u64) -> bool {
        self.bucket(whose, now_ms).is_some_and(|bucket| bucket.take(count, rate, now_ms))
    }

    /// Takes as many of `count` from the bucket of `whose` as there are; none if there is no room for a newcomer.
    #[must_use]
    pub fn take_up_to(&mut self, whose: K, count: u32, rate: Rate, now_ms: u64) -> u32 {
        self.bucket(whose, now_ms).map_or(0, |bucket| bucket.take_up_to(count, rate, now_ms))
    }

    /// The bucket of `whose`; `None`: there is none, and no room for one.
    fn bucket(&mut self, whose: K, now_ms: u64) -> Option<&mut Bucket> {
        if self.buckets.contains_key(&whose) {
            return self.buckets.get_mut(&whose);
        }
        if self.buckets.len() >= self.max && now_ms >= self.sweep_ms {
            self.buckets.retain(|_, bucket| !bucket.is_full(now_ms));
            self.sweep_ms = now_ms.saturating_add(SWEEP_INTERVAL_MS);
        }
        if self.buckets.len() >= self.max {
            return None;
        }
        Some(self.buckets.entry(whose).or_default())
    }

    /// How many are remembered.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.buckets.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_an_even_rate() {
        let rate = Rate::per_second(100);
        let mut bucket = Bucket::default();
        let taken = (0..150).filter(|_| bucket.take(1, rate, 5_000)).count();
        assert_eq!(taken, 100, "the 101st message in a second is one too many");
        assert!(!bucket.take(1, rate, 5_009));
        assert!(bucket.take(1, rate, 5_010));
        assert!(!bucket.take(1, rate, 5_010));
        assert!(bucket.is_full(6_010) && !bucket.is_full(6_009));
    }

    #[test]
    fn over_any_span_it_keeps_to_the_rate() {
        let rate = Rate { per_second: 7, burst: 3 };
        let mut bucket = Bucket::default();
        let taken: Vec<u64> = (0..20_000).filter(|now_ms| bucket.take(1, rate, *now_ms)).collect();
        for (first, start_ms) in taken.iter().enumerate() {
            let in_second =
                taken.iter().skip(first).take_while(|ms| **ms < start_ms + 1_000).count();
            assert!(in_second <= 10, "{in_second} in the second from {start_ms} ms");
        }
        let expected = 20 * 7;
        assert!((expected..=expected + 3).contains(&taken.len()), "{} in 20 s", taken.len());
    }

    #[test]
    fn as_many_as_there_are_are_taken_and_no_more() {
        let rate = Rate::per_second(100);
        let mut bucket = Bucket::default();
        assert_eq!(bucket.take_up_to(70, rate, 0), 70);
        assert_eq!(bucket.take_up_to(70, rate, 0), 30);
        assert_eq!(bucket.take_up_to(70, rate, 9), 0);
        assert_eq!(bucket.take_up_to(70, rate, 50), 5);
        assert_eq!(Bucket::default().take_up_to(1, Rate::per_second(0), 9), 0);
        assert_eq!(
            Bucket::default().take_up_to(u32::MAX, Rate::per_second(1_000_000_000), u64::MAX),
            1_000_000_000
        );
    }

    #[test]
    fn the_ends_of_the_numbers_do_not_give_more() {
        let mut bucket = Bucket::default();
        assert!(!bucket.take(1, Rate::per_second(0), 1), "a rate of none is none");
        assert!(!bucket.take(11, Rate::per_second(10), 1), "more than the burst");
        assert!(bucket.take(10, Rate::per_second(10), 10_000));
        assert!(!bucket.take(1, Rate::per_second(10), 9_000), "the clock ran backwards");
        assert!(!bucket.take(u32::MAX, Rate::per_second(1), u64::MAX), "no overflow");
    }

    #[test]
    fn a_full_table_forgets_only_those_at_rest() {
        let rate = Rate { per_second: 10, burst: 1 };
        let mut buckets = Buckets::new(2);
        assert!(buckets.take("a", 1, rate, 0));
        assert!(buckets.take("b", 1, rate, 50));
        assert!(!buckets.take("c", 1, rate, 60), "no room, and nobody is at rest");
        assert!(!buckets.take("a", 1, rate, 60), "the old ones are still counted");
        assert!(buckets.take("c", 1, rate, 160), "both came to rest");
        assert_eq!(buckets.len(), 1);
    }
}
