//! What one run found out, and the figures that follow from it.
//!
//! Invariant: an outcome holds what was measured; everything that divides one thing by another is a method. What a subject spent
//! whose process is not known is not a number, and `session` leaves such figures out.

use crate::clock::SECOND;
use crate::latency::Counts;
use crate::latency::Latencies;
use crate::latency::Point;
use crate::num;
use crate::proc::Cpu;
use crate::proc::Memory;
use crate::tally::Faults;

use serde::Deserialize;
use serde::Serialize;

/// One run of one scenario with one subject.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) scenario: String,
    pub(crate) subject: String,
    pub(crate) round: u32,
    pub(crate) subscribers: u64,
    /// Published, and refused by the subject.
    pub(crate) events: u64,
    pub(crate) refused: u64,
    pub(crate) deliveries: u64,
    pub(crate) ns: u64,
    /// Of the subject, while events were delivered.
    pub(crate) cpu: Cpu,
    /// Of the load generator, meanwhile.
    pub(crate) load_ns: u64,
    /// Whether anything is known of the subject's process.
    pub(crate) measured: bool,
    pub(crate) bytes: u64,
    pub(crate) latency: Summary,
    pub(crate) faults: Faults,
    pub(crate) closed: u64,
    pub(crate) skipped: u64,
    pub(crate) drained: bool,
    pub(crate) start_ns: u64,
    pub(crate) connect_ns: u64,
    pub(crate) connect_cpu: Cpu,
    pub(crate) memory_started: Memory,
    pub(crate) memory_idle: Memory,
    pub(crate) memory_end: Memory,
    /// Milliseconds since the measurement began, deliveries a second.
    pub(crate) timeline: Vec<(u64, f64)>,
    /// Milliseconds since the measurement began, resident bytes.
    pub(crate) resident: Vec<(u64, u64)>,
    pub(crate) first_fault: Option<String>,
}

/// Latencies, read off.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Summary {
    pub(crate) samples: u64,
    pub(crate) mean_ns: u64,
    pub(crate) p50_ns: u64,
    pub(crate) p90_ns: u64,
    pub(crate) p99_ns: u64,
    pub(crate) p999_ns: u64,
    pub(crate) max_ns: u64,
    pub(crate) curve: Vec<Point>,
}

/// A figure of the table: its name, its unit, and how it is read off.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) of: fn(&Outcome) -> f64,
}

impl Summary {
    pub(crate) fn of(latencies: &Latencies) -> Self {
        Self {
            samples: latencies.samples(),
            mean_ns: latencies.mean_ns(),
            p50_ns: latencies.at(0.5),
            p90_ns: latencies.at(0.9),
            p99_ns: latencies.at(0.99),
            p999_ns: latencies.at(0.999),
            max_ns: latencies.at(1.0),
            curve: latencies.curve(),
        }
    }

    pub(crate) fn merged(parts: &[Counts]) -> Self {
        let mut all = Latencies::new();
        parts.iter().for_each(|part| all.add(part));
        Self::of(&all)
    }
}

impl Outcome {
    pub(crate) fn deliveries_per_second(&self) -> f64 {
        num::per(self.deliveries, self.ns) * SECOND as f64
    }

    pub(crate) fn events_per_second(&self) -> f64 {
        num::per(self.events, self.ns) * SECOND as f64
    }

    /// The whole process, and the kernel threads that finish its work.
    pub(crate) fn cpu_ns(&self) -> f64 {
        self.each(|cpu| cpu.run_ns + cpu.softirq_ns)
    }

    /// The shard threads only, and the kernel threads that finish their work.
    pub(crate) fn shard_ns(&self) -> f64 {
        self.each(|cpu| cpu.busiest_ns + cpu.softirq_ns)
    }

    /// A part of what the subject spent on a delivery.
    fn each(&self, of: fn(&Cpu) -> u64) -> f64 {
        if self.cpu.run_ns == 0 { f64::NAN } else { num::per(of(&self.cpu), self.deliveries) }
    }

    /// A part of what it spent on a join, in microseconds.
    fn join_us(&self, of: fn(&Cpu) -> u64) -> f64 {
        if self.connect_cpu.run_ns == 0 {
            return f64::NAN;
        }
        num::per(of(&self.connect_cpu), self.subscribers) / 1e3
    }

    pub(crate) fn bytes_each(&self) -> f64 {
        num::per(self.bytes, self.deliveries)
    }

    /// User memory that one idle connection with its subscription takes.
    pub(crate) fn user_bytes_each(&self) -> f64 {
        if self.memory_idle.anonymous == 0 {
            return f64::NAN;
        }
        let grown = self.memory_idle.anonymous.saturating_sub(self.memory_started.anonymous);
        num::per(grown, self.subscribers)
    }

    /// Kernel slab of both ends of a connection: it is the machine's, and the subscribers are on it too.
    pub(crate) fn slab_bytes_each(&self) -> f64 {
        num::per(self.memory_idle.slab.saturating_sub(self.memory_started.slab), self.subscribers)
    }

    pub(crate) fn connects_per_second(&self) -> f64 {
        num::per(self.subscribers, self.connect_ns) * SECOND as f64
    }

    pub(crate) fn connect_us(&self) -> f64 {
        self.join_us(|cpu| cpu.run_ns + cpu.softirq_ns)
    }

    /// Nothing lost, nothing twice, all in order, nobody thrown out.
    pub(crate) fn sound(&self) -> bool {
        self.faults.none() && self.closed == 0 && self.refused == 0 && self.drained
    }
}

/// What a live scenario shows.
pub(crate) const LIVE: &[Figure] = &[
    Figure { name: "CPU per delivery", unit: "ns", of: Outcome::cpu_ns },
    Figure { name: "of that, shard threads", unit: "ns", of: Outcome::shard_ns },
    Figure { name: "user", unit: "ns", of: |it| it.each(|cpu| cpu.user_ns) },
    Figure { name: "system", unit: "ns", of: |it| it.each(|cpu| cpu.system_ns) },
    Figure { name: "ksoftirqd", unit: "ns", of: |it| it.each(|cpu| cpu.softirq_ns) },
    Figure { name: "deliveries", unit: "/s", of: Outcome::deliveries_per_second },
    Figure { name: "p50", unit: "ms", of: |it| it.latency.p50_ns as f64 / 1e6 },
    Figure { name: "p99", unit: "ms", of: |it| it.latency.p99_ns as f64 / 1e6 },
    Figure { name: "p99.9", unit: "ms", of: |it| it.latency.p999_ns as f64 / 1e6 },
    Figure {
        name: "load generator's own CPU",
        unit: "ns",
        of: |it| num::per(it.load_ns, it.deliveries),
    },
    Figure { name: "bytes per delivery", unit: "B", of: Outcome::bytes_each },
];

/// What a connect scenario shows.
pub(crate) const CONNECT: &[Figure] = &[
    Figure { name: "joins", unit: "/s", of: Outcome::connects_per_second },
    Figure { name: "CPU per join", unit: "us", of: Outcome::connect_us },
    Figure { name: "of that, user", unit: "us", of: |it| it.join_us(|cpu| cpu.user_ns) },
    Figure { name: "system", unit: "us", of: |it| it.join_us(|cpu| cpu.system_ns) },
    Figure { name: "ksoftirqd", unit: "us", of: |it| it.join_us(|cpu| cpu.softirq_ns) },
    Figure { name: "user memory each", unit: "B", of: Outcome::user_bytes_each },
    Figure { name: "slab, both ends", unit: "B", of: Outcome::slab_bytes_each },
    Figure {
        name: "RSS when started",
        unit: "MiB",
        of: |it| it.memory_started.resident as f64 / 1_048_576.0,
    },
    Figure { name: "start to first connection", unit: "ms", of: |it| it.start_ns as f64 / 1e6 },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_divide_by_what_they_say() {
        let cpu = Cpu { run_ns: 800, busiest_ns: 600, softirq_ns: 200, ..Cpu::default() };
        let it =
            Outcome { deliveries: 100, ns: SECOND / 2, cpu, drained: true, ..Outcome::default() };
        assert_eq!(it.deliveries_per_second(), 200.0);
        assert_eq!((it.cpu_ns(), it.shard_ns()), (10.0, 8.0));
        assert!(it.sound());
        let unknown = Outcome::default();
        assert!(unknown.cpu_ns().is_nan() && unknown.connect_us().is_nan());
        assert!(unknown.user_bytes_each().is_nan());
    }
}
