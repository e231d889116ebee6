//! The numbers to own: what was promised, and whether this session keeps it.
//!
//! Invariant: a goal that was not measured says so; it is neither met nor missed.

use crate::outcome::Figure;
use crate::outcome::Outcome;
use crate::session::FLOOR;
use crate::session::Session;
use crate::session::Spread;

const FANWIRE: &str = "fanwire";
const EPOLL: &str = "fanwire-epoll";

const CPU: Figure = Figure { name: "CPU per delivery", unit: "x", of: Outcome::cpu_ns };
const SHARD: Figure = Figure { name: "CPU per delivery, shard", unit: "x", of: Outcome::shard_ns };
const P99: Figure = Figure { name: "p99", unit: "x", of: |it| it.latency.p99_ns as f64 };
const BYTES: Figure = Figure { name: "bytes", unit: "x", of: Outcome::bytes_each };
const USER: Figure = Figure { name: "user memory", unit: "x", of: Outcome::user_bytes_each };
const JOIN: Figure = Figure { name: "CPU per join", unit: "x", of: Outcome::connect_us };

/// What is compared with what.
#[derive(Debug, Clone, Copy)]
enum Of {
    /// Scenario and subject above, scenario and subject below.
    Ratio(Figure, (&'static str, &'static str), (&'static str, &'static str)),
    Plain(Figure, &'static str),
}

/// One promise.
#[derive(Debug, Clone, Copy)]
pub(super) struct Goal {
    pub(super) what: &'static str,
    of: Of,
    pub(super) limit: f64,
    /// Otherwise it must not be more.
    at_least: bool,
}

/// A promise and what came of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kept {
    pub(super) goal: Goal,
    pub(super) measured: Option<Spread>,
}

impl Kept {
    /// `None`: not measured.
    pub(super) fn met(&self) -> Option<bool> {
        let median = self.measured?.median;
        Some(if self.goal.at_least { median >= self.goal.limit } else { median <= self.goal.limit })
    }

    pub(super) fn unit(&self) -> &'static str {
        match self.goal.of {
            Of::Ratio(..) => "×",
            Of::Plain(figure, _) => figure.unit,
        }
    }

    pub(super) fn bound(&self) -> &'static str {
        if self.goal.at_least { "≥" } else { "≤" }
    }
}

/// All of them, in the order in which they were made.
pub(super) fn all(session: &Session) -> Vec<Kept> {
    let kept = |goal: Goal| {
        let measured = match goal.of {
            Of::Ratio(figure, above, below) => session.ratio(above, below, figure),
            Of::Plain(figure, scenario) => session.spread(scenario, FANWIRE, figure.of),
        };
        Kept { goal, measured }
    };
    GOALS.iter().copied().map(kept).collect()
}

const fn ratio(
    what: &'static str,
    figure: Figure,
    above: (&'static str, &'static str),
    below: (&'static str, &'static str),
    limit: f64,
) -> Goal {
    Goal { what, of: Of::Ratio(figure, above, below), limit, at_least: false }
}

const fn floor(what: &'static str, figure: Figure, scenario: &'static str, limit: f64) -> Goal {
    ratio(what, figure, (scenario, FANWIRE), (scenario, FLOOR), limit)
}

const fn rival(
    what: &'static str,
    scenario: &'static str,
    rival: &'static str,
    limit: f64,
) -> Goal {
    ratio(what, CPU, (scenario, FANWIRE), (scenario, rival), limit)
}

const fn epoll(what: &'static str, figure: Figure, scenario: &'static str) -> Goal {
    ratio(what, figure, (scenario, EPOLL), (scenario, FANWIRE), 1.10)
}

const fn plain(
    what: &'static str,
    name: &'static str,
    scenario: &'static str,
    limit: f64,
    at_least: bool,
) -> Goal {
    let mut at = 0;
    let figures = crate::outcome::CONNECT;
    while at + 1 < figures.len() && !same(figures[at].name, name) {
        at += 1;
    }
    Goal { what, of: Of::Plain(figures[at], scenario), limit, at_least }
}

/// `==` of strings, which a constant cannot have yet.
const fn same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    if one.len() != other.len() {
        return false;
    }
    let mut at = 0;
    while at < one.len() {
        if one[at] != other[at] {
            return false;
        }
        at += 1;
    }
    true
}

const GOALS: &[Goal] = &[
    floor("one event to 1k, shard thread : floor", SHARD, "broadcast-1k", 1.10),
    floor("one event to 1k, whole process : floor", CPU, "broadcast-1k", 1.15),
    floor("one event to 10k, shard thread : floor", SHARD, "broadcast-10k", 1.10),
    floor("one event to 10k, whole process : floor", CPU, "broadcast-10k", 1.15),
    floor("one event to 18k, shard thread : floor", SHARD, "broadcast-18k", 1.10),
    floor("one event to 18k, whole process : floor", CPU, "broadcast-18k", 1.15),
    floor("4 events a flush : floor, one by one", SHARD, "burst-4", 0.30),
    floor("16 events a flush : floor, one by one", SHARD, "burst-16", 0.08),
    rival("16 publishes outstanding : Bun", "window-16", "bun", 0.7),
    rival("16 publishes outstanding : nchan", "window-16", "nchan", 1.0),
    rival("16 publishes outstanding : NATS", "window-16", "nats", 1.0),
    rival("16 publishes outstanding : axum", "window-16", "axum", 1.0),
    ratio("batch of 10 : unbatched", CPU, ("batch-10", FANWIRE), ("broadcast-10k", FANWIRE), 0.15),
    floor("1,000 topics : floor", CPU, "topics-1000", 1.15),
    floor("mixed memberships : floor", CPU, "mixed", 1.15),
    ratio("bytes, deflate on : off", BYTES, ("deflate-on", FANWIRE), ("deflate-off", FANWIRE), 0.3),
    ratio("CPU, deflate on : off", CPU, ("deflate-on", FANWIRE), ("deflate-off", FANWIRE), 1.15),
    ratio(
        "idle memory, deflate on : off",
        USER,
        ("connect-deflate", FANWIRE),
        ("connect", FANWIRE),
        1.05,
    ),
    plain("user memory an idle connection", "user memory each", "connect", 512.0, false),
    floor("p99 at half load : floor", P99, "half-load", 1.5),
    plain("joins a second and shard", "joins", "connect", 30_000.0, true),
    plain("CPU a join", "CPU per join", "connect", 15.0, false),
    plain("idle process, RSS", "RSS when started", "connect", 8.0, false),
    plain("start to first connection", "start to first connection", "connect", 50.0, false),
    ratio(
        "48k, three shards : 10k",
        CPU,
        ("broadcast-48k", FANWIRE),
        ("broadcast-10k", FANWIRE),
        1.15,
    ),
    epoll("epoll : io_uring, one event to 1k", CPU, "broadcast-1k"),
    epoll("epoll : io_uring, one event to 10k", CPU, "broadcast-10k"),
    epoll("epoll : io_uring, 16 outstanding", CPU, "window-16"),
    epoll("epoll : io_uring, p99 at half load", P99, "half-load"),
    epoll("epoll : io_uring, CPU a join", JOIN, "connect"),
];

#[cfg(test)]
mod tests {
    use super::*;

    use crate::proc::Cpu;

    fn outcome(subject: &str, run_ns: u64) -> Outcome {
        let cpu = Cpu { run_ns, busiest_ns: run_ns, ..Cpu::default() };
        Outcome {
            scenario: "broadcast-1k".to_owned(),
            subject: subject.to_owned(),
            deliveries: 1,
            cpu,
            ..Outcome::default()
        }
    }

    #[test]
    fn what_was_not_measured_is_neither_met_nor_missed() {
        let session = Session {
            outcomes: vec![outcome("floor", 100), outcome("fanwire", 112)],
            ..Session::default()
        };
        let kept = all(&session);
        assert_eq!(kept[0].met(), Some(false));
        assert_eq!(kept[1].met(), Some(true));
        assert_eq!(kept[2].met(), None);
    }

    #[test]
    fn plain_goals_found_their_figure() {
        for goal in GOALS {
            if let Of::Plain(figure, _) = goal.of {
                assert!(!figure.name.is_empty());
            }
        }
        let kept = Kept { goal: plain("x", "CPU per join", "connect", 1.0, false), measured: None };
        assert_eq!(kept.unit(), "us");
    }
}
