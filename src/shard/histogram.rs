//! How often something took how long, in buckets that never change.
//!
//! Invariant: the buckets are the same for every histogram, so that those of several shards can be added up. Never allocates.

/// The upper bound of each bucket in microseconds, as numbers and as `le` has them in seconds; above the last there is one more bucket.
pub const BUCKETS_US: [(u64, &str); 16] = [
    (25, "0.000025"),
    (50, "0.00005"),
    (100, "0.0001"),
    (250, "0.00025"),
    (500, "0.0005"),
    (1_000, "0.001"),
    (2_500, "0.0025"),
    (5_000, "0.005"),
    (10_000, "0.01"),
    (25_000, "0.025"),
    (50_000, "0.05"),
    (100_000, "0.1"),
    (250_000, "0.25"),
    (1_000_000, "1"),
    (5_000_000, "5"),
    (30_000_000, "30"),
];

/// Counts by duration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// How many fell into each bucket and none below it.
    pub counts: [u64; BUCKETS_US.len() + 1],
    /// All durations together, in microseconds.
    pub sum_us: u64,
}

impl Histogram {
    /// Something took so many microseconds.
    pub fn observe(&mut self, took_us: u64) {
        let place = BUCKETS_US.partition_point(|(most, _)| *most < took_us);
        self.counts[place] += 1;
        self.sum_us = self.sum_us.saturating_add(took_us);
    }

    /// Adds what another has counted.
    pub fn add(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        self.sum_us = self.sum_us.saturating_add(other.sum_us);
    }
}

/// What the loop around a shard measures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pulse {
    /// From an event's stamp until everyone in step who wanted it had been sent it.
    pub told: Histogram,
    /// Turns of the loop in which there was something to do.
    pub turns: Histogram,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_as_long_as_a_bucket_is_in_it() {
        let mut histogram = Histogram::default();
        for took_us in [0, 25, 26, 50, 30_000_000, 30_000_001] {
            histogram.observe(took_us);
        }
        let counts = histogram.counts;
        assert_eq!((counts[0], counts[1], counts[15], counts[16]), (2, 2, 1, 1));
        assert_eq!(histogram.sum_us, 60_000_102);
        let mut twice = histogram;
        twice.add(&histogram);
        assert_eq!((twice.counts[0], twice.sum_us), (4, 120_000_204));
    }

    #[test]
    fn bounds_are_said_as_they_are() {
        for (most_us, seconds) in BUCKETS_US {
            let said: f64 = seconds.parse().unwrap();
            assert!((said * 1e6 - most_us as f64).abs() < 1e-6, "{seconds}");
        }
    }
}
