//! How long events took: an HDR histogram in nanoseconds that can be sent between processes and added up.
//!
//! Latency counts from the moment the schedule meant, so a subject that stalls the publisher is not let off (coordinated
//! omission). Invariant: three significant digits from 1 us to `LATENCY_NS_MAX`; what is longer counts as that.

use crate::limits::LATENCY_NS_MAX;
use crate::num;

use hdrhistogram::Histogram;
use serde::Deserialize;
use serde::Serialize;

const SHORTEST_NS: u64 = 1_000;
const DIGITS: u8 = 3;

/// Latencies of one subscriber process, or of all.
#[derive(Debug)]
pub(crate) struct Latencies {
    histogram: Histogram<u64>,
}

/// The same, between processes and in the JSON report: pairs of nanoseconds and how often.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts(Vec<(u64, u64)>);

/// One point of the curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Point {
    /// 0 to 1.
    pub(crate) quantile: f64,
    pub(crate) ns: u64,
}

impl Latencies {
    pub(crate) fn new() -> Self {
        let histogram = Histogram::new_with_bounds(SHORTEST_NS, LATENCY_NS_MAX, DIGITS)
            .expect("the bounds are constants that satisfy the histogram's rules");
        Self { histogram }
    }

    pub(crate) fn record(&mut self, ns: u64) {
        self.histogram.saturating_record(ns);
    }

    pub(crate) fn clear(&mut self) {
        self.histogram.reset();
    }

    pub(crate) fn add(&mut self, counts: &Counts) {
        for &(ns, count) in &counts.0 {
            self.histogram.saturating_record_n(ns, count);
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts(
            self.histogram
                .iter_recorded()
                .map(|it| (it.value_iterated_to(), it.count_at_value()))
                .collect(),
        )
    }

    /// The value below which that share of all lies; 0 of none.
    pub(crate) fn at(&self, quantile: f64) -> u64 {
        if self.histogram.is_empty() { 0 } else { self.histogram.value_at_quantile(quantile) }
    }

    pub(crate) fn samples(&self) -> u64 {
        self.histogram.len()
    }

    pub(crate) fn mean_ns(&self) -> u64 {
        num::whole(self.histogram.mean())
    }

    /// The curve, denser towards the tail: what the report draws.
    pub(crate) fn curve(&self) -> Vec<Point> {
        if self.histogram.is_empty() {
            return Vec::new();
        }
        let body = (0..=18).map(|it| f64::from(it) * 0.05);
        let tail = [
            0.92, 0.94, 0.95, 0.96, 0.97, 0.98, 0.985, 0.99, 0.9925, 0.995, 0.9975, 0.999, 0.9995,
            0.9999,
        ];
        body.chain(tail).map(|quantile| Point { quantile, ns: self.at(quantile) }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_processes_recorded_adds_up() {
        let mut one = Latencies::new();
        let mut two = Latencies::new();
        let mut both = Latencies::new();
        for at in 1..=1000_u64 {
            let part = if at % 2 == 0 { &mut one } else { &mut two };
            part.record(at * 10_000);
            both.record(at * 10_000);
        }
        let mut sum = Latencies::new();
        for part in [&one, &two] {
            let line = serde_json::to_string(&part.counts()).unwrap();
            sum.add(&serde_json::from_str(&line).unwrap());
        }
        assert_eq!(sum.samples(), 1000);
        assert_eq!(sum.counts(), both.counts());
        assert_eq!(sum.at(0.99), both.at(0.99));
    }

    #[test]
    fn too_long_counts_as_the_longest() {
        let mut it = Latencies::new();
        it.record(u64::MAX);
        assert_eq!(it.samples(), 1);
        assert!(it.at(1.0) >= LATENCY_NS_MAX);
    }

    #[test]
    fn none_has_no_curve() {
        assert_eq!(Latencies::new().at(0.5), 0);
        assert!(Latencies::new().curve().is_empty());
    }
}
