//! A page of figures while it is written, in the text format of Prometheus.
//!
//! Never knows what any of them means.

use std::fmt;
use std::fmt::Write;

use crate::shard::BUCKETS_US;
use crate::shard::FigureKind;
use crate::shard::Histogram;

/// Bytes of a page, about.
const PAGE_BYTES: usize = 32 * 1024;

/// Microseconds as seconds, exactly.
pub(super) fn seconds(us: u64) -> String {
    format!("{}.{:06}", us / 1_000_000, us % 1_000_000)
}

/// A page that is being written.
pub(super) struct Page(String);

impl Page {
    /// Nothing on it yet.
    pub(super) fn new() -> Self {
        Self(String::with_capacity(PAGE_BYTES))
    }

    /// All of it.
    pub(super) fn done(self) -> String {
        self.0
    }

    /// What stands in front of the samples of a name.
    pub(super) fn head(&mut self, name: &str, kind: &str, help: &str) {
        self.put(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    /// One sample; its labels with their braces, if it has any.
    pub(super) fn sample(&mut self, name: &str, labels: &str, value: impl fmt::Display) {
        self.put(format_args!("{name}{labels} {value}\n"));
    }

    /// A name with one sample.
    pub(super) fn single(&mut self, name: &str, kind: FigureKind, help: &str, value: u64) {
        self.head(name, kind.word(), help);
        self.sample(name, "", value);
    }

    /// A histogram; its labels without braces.
    pub(super) fn histogram(&mut self, name: &str, labels: &str, of: &Histogram) {
        let comma = if labels.is_empty() { "" } else { "," };
        let bounds = BUCKETS_US.iter().map(|(_, bound)| *bound).chain(["+Inf"]);
        let mut so_far = 0;
        for (bound, count) in bounds.zip(of.counts) {
            so_far += count;
            self.put(format_args!("{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {so_far}\n"));
        }
        let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        self.put(format_args!("{name}_sum{labels} {}\n", seconds(of.sum_us)));
        self.put(format_args!("{name}_count{labels} {so_far}\n"));
    }

    fn put(&mut self, what: fmt::Arguments<'_>) {
        let written = self.0.write_fmt(what);
        debug_assert!(written.is_ok(), "a string takes everything");
    }
}
