//! The numbers to own: what was promised, and whether this session keeps it.
//!
//! Each promise that names one server is made twice: for io_uring against what it is compared with, and for epoll against
//! io_uring. Invariant: a goal that was not measured says so; it is neither met nor missed.

use crate::outcome::CONNECT;
use crate::outcome::Figure;
use crate::outcome::Outcome;
use crate::session::FLOOR;
use crate::session::Session;
use crate::session::Spread;

const FANWIRE: &str = "fanwire";
const EPOLL: &str = "fanwire-epoll";
const DURABLE: &str = "fanwire-durable";
const URL: &str = "fanwire-url";
const MQTT: &str = "fanwire-mqtt";
const MQTT_ONCE: &str = "fanwire-mqtt-1";
/// How much more epoll may take than io_uring.
const EPOLL_LIMIT: f64 = 1.10;

const CPU: Figure = Figure { name: "CPU per delivery", unit: "x", of: Outcome::cpu_ns };
const SHARD: Figure = Figure { name: "CPU per delivery, shard", unit: "x", of: Outcome::shard_ns };
const P99: Figure = Figure { name: "p99", unit: "x", of: |it| it.latency.p99_ns as f64 };
const P50_US: Figure = Figure { name: "p50", unit: "us", of: |it| it.latency.p50_ns as f64 / 1e3 };
const TAKEN: Figure = Figure { name: "events", unit: "/s", of: Outcome::events_per_second };
const BYTES: Figure = Figure { name: "bytes", unit: "x", of: Outcome::bytes_each };
const USER: Figure = Figure { name: "user memory", unit: "x", of: Outcome::user_bytes_each };

/// What is compared with what.
#[derive(Debug, Clone, Copy)]
enum Of {
    /// Scenario and subject above, scenario and subject below.
    Ratio(Figure, (&'static str, &'static str), (&'static str, &'static str)),
    /// Likewise, by how much the one is more than the other.
    Added(Figure, (&'static str, &'static str), (&'static str, &'static str)),
    /// Of this server, by itself: scenario and subject.
    Plain(Figure, (&'static str, &'static str)),
    /// Nothing to measure yet, and why.
    Missing(&'static str),
}

/// One promise.
#[derive(Debug, Clone, Copy)]
pub(super) struct Goal {
    pub(super) what: &'static str,
    of: Of,
    pub(super) limit: f64,
    /// What would be better than promised.
    pub(super) stretch: Option<f64>,
    /// Otherwise it must not be more.
    at_least: bool,
    /// The same by epoll, against io_uring.
    pub(super) by_epoll: bool,
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
        Some(self.goal.within(median, self.goal.limit))
    }

    /// Whether even the stretch was met.
    pub(super) fn stretched(&self) -> bool {
        let met = |(it, stretch): (Spread, f64)| self.goal.within(it.median, stretch);
        self.measured.zip(self.goal.stretch).is_some_and(met)
    }

    pub(super) fn unit(&self) -> &'static str {
        match self.goal.of {
            Of::Ratio(..) => "×",
            Of::Plain(figure, _) | Of::Added(figure, ..) => figure.unit,
            Of::Missing(_) => "B",
        }
    }

    pub(super) fn bound(&self) -> &'static str {
        if self.goal.at_least { "≥" } else { "≤" }
    }

    /// What it is called, whoever it is about.
    pub(super) fn name(&self) -> String {
        let what = self.goal.what;
        if self.goal.by_epoll {
            format!("epoll : io_uring, {}", self.short())
        } else {
            what.to_owned()
        }
    }

    /// The same where it is said who it is about: of epoll, without what io_uring is compared with.
    pub(super) fn short(&self) -> &'static str {
        let what = self.goal.what;
        if self.goal.by_epoll { what.split(" : ").next().unwrap_or(what) } else { what }
    }

    /// Why nothing can be measured, whatever is run.
    pub(super) fn why_open(&self) -> Option<&'static str> {
        if let Of::Missing(why) = self.goal.of { Some(why) } else { None }
    }
}

impl Goal {
    fn within(&self, value: f64, limit: f64) -> bool {
        if self.at_least { value >= limit } else { value <= limit }
    }

    const fn stretch(self, stretch: f64) -> Self {
        Self { stretch: Some(stretch), ..self }
    }

    /// What this server does with io_uring, done with epoll; `None` of what has no second driver.
    fn with_epoll(self) -> Option<Self> {
        let (figure, scenario) = match self.of {
            Of::Ratio(figure, (scenario, FANWIRE), _) | Of::Plain(figure, (scenario, FANWIRE)) => {
                (figure, scenario)
            }
            Of::Ratio(..) | Of::Added(..) | Of::Plain(..) | Of::Missing(_) => return None,
        };
        let of = Of::Ratio(figure, (scenario, EPOLL), (scenario, FANWIRE));
        let limit = if self.at_least { 1.0 / EPOLL_LIMIT } else { EPOLL_LIMIT };
        Some(Self { of, limit, stretch: None, by_epoll: true, ..self })
    }

    /// Two promises about the same figure of the same scenario are one to epoll.
    fn is_about(&self, other: &Self) -> bool {
        match (self.of, other.of) {
            (Of::Ratio(a, above, _), Of::Ratio(b, other, _)) => a.name == b.name && above == other,
            _ => false,
        }
    }
}

/// All of them, in the order in which they were made, then those of the other driver.
pub(super) fn all(session: &Session) -> Vec<Kept> {
    let kept = |goal: Goal| {
        let measured = match goal.of {
            Of::Ratio(figure, above, below) => session.ratio(above, below, figure),
            Of::Added(figure, above, below) => {
                session.compared((above, below), figure, |one, other| one - other)
            }
            Of::Plain(figure, (scenario, subject)) => session.spread(scenario, subject, figure.of),
            Of::Missing(_) => None,
        };
        Kept { goal, measured }
    };
    let mut goals = GOALS.to_vec();
    for goal in GOALS.iter().filter_map(|it| it.with_epoll()) {
        if !goals.iter().any(|it| it.by_epoll && it.is_about(&goal)) {
            goals.push(goal);
        }
    }
    goals.into_iter().map(kept).collect()
}

const fn ratio(
    what: &'static str,
    figure: Figure,
    above: (&'static str, &'static str),
    below: (&'static str, &'static str),
    limit: f64,
) -> Goal {
    let of = Of::Ratio(figure, above, below);
    Goal { what, of, limit, stretch: None, at_least: false, by_epoll: false }
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

const fn plain(
    what: &'static str,
    name: &'static str,
    scenario: &'static str,
    limit: f64,
    at_least: bool,
) -> Goal {
    let of = Of::Plain(figure(name), (scenario, FANWIRE));
    Goal { what, of, limit, stretch: None, at_least, by_epoll: false }
}

/// Of this server with every topic on a disk, against itself without.
const fn durable(what: &'static str, figure: Figure, scenario: &'static str, limit: f64) -> Goal {
    ratio(what, figure, (scenario, DURABLE), (scenario, FANWIRE), limit)
}

/// Of joining with the subscription in the URL.
const fn by_url(what: &'static str, name: &'static str, limit: f64, at_least: bool) -> Goal {
    Goal {
        of: Of::Plain(figure(name), ("connect", URL)),
        ..plain(what, name, "connect", limit, at_least)
    }
}

/// Memory of a connection over MQTT.
const fn over_mqtt(what: &'static str, scenario: &'static str, limit: f64) -> Goal {
    let of = Of::Plain(figure("user memory each"), (scenario, MQTT));
    Goal { what, of, limit, stretch: None, at_least: false, by_epoll: false }
}

/// The scenario of fan-out over MQTT.
const MQTT_10K: &str = "mqtt-10k";

const fn missing(what: &'static str, why: &'static str, limit: f64) -> Goal {
    let of = Of::Missing(why);
    Goal { what, of, limit, stretch: None, at_least: false, by_epoll: false }
}

/// The figure of a connect scenario that is called so; the build fails without one.
const fn figure(name: &str) -> Figure {
    let mut at = 0;
    while !same(CONNECT[at].name, name) {
        at += 1;
    }
    CONNECT[at]
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
    floor("one event to 1k, shard thread : floor", SHARD, "broadcast-1k", 1.10).stretch(1.03),
    floor("one event to 1k, whole process : floor", CPU, "broadcast-1k", 1.15),
    floor("one event to 10k, shard thread : floor", SHARD, "broadcast-10k", 1.10).stretch(1.03),
    floor("one event to 10k, whole process : floor", CPU, "broadcast-10k", 1.15),
    floor("one event to 18k, shard thread : floor", SHARD, "broadcast-18k", 1.10).stretch(1.03),
    floor("one event to 18k, whole process : floor", CPU, "broadcast-18k", 1.15),
    floor("4 events a flush : floor, one by one", SHARD, "burst-4", 0.30),
    floor("16 events a flush : floor, one by one", SHARD, "burst-16", 0.08),
    rival("4 publishes outstanding, 10k : Bun", "window-4", "bun", 0.7),
    rival("64 publishes outstanding, 10k : Bun", "window-64", "bun", 0.7),
    rival("16 publishes outstanding, 10k : Bun", "window-16", "bun", 0.7),
    rival("16 publishes outstanding, 10k : nchan", "window-16", "nchan", 1.0),
    rival("16 publishes outstanding, 10k : NATS", "window-16", "nats", 1.0),
    rival("16 publishes outstanding, 10k : Mosquitto", "window-16", "mosquitto", 1.0),
    rival("16 publishes outstanding, 10k : axum", "window-16", "axum", 1.0),
    ratio("batch of 10 : unbatched", CPU, ("batch-10", FANWIRE), ("broadcast-10k", FANWIRE), 0.15),
    floor("10k over 1,000 topics : floor", CPU, "topics-1000", 1.15),
    floor("mixed memberships : floor", CPU, "mixed", 1.15),
    ratio("bytes, deflate on : off", BYTES, ("deflate-on", FANWIRE), ("deflate-off", FANWIRE), 0.3),
    ratio("CPU, deflate on : off", CPU, ("deflate-on", FANWIRE), ("deflate-off", FANWIRE), 1.15),
    ratio(
        "idle memory, deflate on : off",
        USER,
        ("connect-deflate", FANWIRE),
        ("connect", FANWIRE),
        1.0 + USER_NOISE,
    ),
    plain("user memory of an idle connection, 15k", "user memory each", "connect", 512.0, false)
        .stretch(320.0),
    missing("user memory of an idle connection with TLS", "the server has no TLS", 8192.0),
    floor("p99 at half of saturation, 10k : floor", P99, "half-load", 1.5),
    plain("joins a second and shard", "joins", "connect", 30_000.0, true),
    by_url("joins a second and shard, by the URL", "joins", 30_000.0, true),
    plain("CPU of a join", "CPU per join", "connect", 15.0, false),
    by_url("CPU of a join, by the URL", "CPU per join", 15.0, false),
    plain("resident memory of an idle process", "RSS when started", "connect", 8.0, false),
    plain("start to first connection", "start to first connection", "connect", 50.0, false),
    ratio(
        "48k on three shards : 10k on one",
        CPU,
        ("broadcast-48k", FANWIRE),
        ("broadcast-10k", FANWIRE),
        1.15,
    ),
    Goal {
        of: Of::Plain(TAKEN, ("durable-taken", DURABLE)),
        at_least: true,
        ..durable(
            "events taken and stored, one shard, ten topics",
            TAKEN,
            "durable-taken",
            300_000.0,
        )
    },
    durable("CPU of taking an event, durable : volatile", CPU, "durable-taken", 1.25),
    durable("one event to 10k, durable : volatile", CPU, "durable-10k", 1.03),
    ratio("MQTT, QoS 0, 10k : native", CPU, (MQTT_10K, MQTT), (MQTT_10K, FANWIRE), 1.05),
    ratio("MQTT, QoS 1 : QoS 0, 10k", CPU, (MQTT_10K, MQTT_ONCE), (MQTT_10K, MQTT), 1.8)
        .stretch(1.6),
    ratio("MQTT, QoS 0, 10k : Mosquitto", CPU, (MQTT_10K, MQTT), (MQTT_10K, "mosquitto-mqtt"), 0.6),
    ratio(
        "MQTT, QoS 1, 10k : Mosquitto",
        CPU,
        (MQTT_10K, MQTT_ONCE),
        (MQTT_10K, "mosquitto-mqtt-1"),
        0.6,
    ),
    over_mqtt("user memory of an idle MQTT connection, one topic for all", "mqtt-connect", 512.0),
    over_mqtt("user memory of an idle MQTT connection, a topic each", "mqtt-own-topic", 1024.0),
    Goal {
        of: Of::Added(P50_US, ("durable-10k", DURABLE), ("durable-10k", FANWIRE)),
        ..durable("p50 that being stored adds, one event to 10k", P50_US, "durable-10k", 150.0)
    },
];

/// "Unchanged" is what two runs of the same differ by.
const USER_NOISE: f64 = 0.05;

#[cfg(test)]
mod tests {
    use super::*;

    use crate::proc::Cpu;
    use crate::scenario;

    use std::path::Path;

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
        let outcomes = vec![outcome("floor", 100), outcome("fanwire", 112)];
        let kept = all(&Session { outcomes, ..Session::default() });
        assert_eq!(kept[0].met(), Some(false));
        assert_eq!(kept[1].met(), Some(true));
        assert_eq!(kept[2].met(), None);
        let tls = kept.iter().find(|it| it.goal.what.contains("TLS")).unwrap();
        assert_eq!((tls.met(), tls.why_open()), (None, Some("the server has no TLS")));
    }

    #[test]
    fn a_stretch_is_more_than_a_goal() {
        let of = |run_ns| {
            let outcomes = vec![outcome("floor", 100), outcome("fanwire", run_ns)];
            let kept = all(&Session { outcomes, ..Session::default() })[0];
            (kept.met(), kept.stretched())
        };
        assert_eq!(of(111), (Some(false), false));
        assert_eq!(of(109), (Some(true), false));
        assert_eq!(of(102), (Some(true), true));
    }

    #[test]
    fn epoll_is_held_to_every_row_that_is_about_this_server() {
        let outcomes = vec![outcome("fanwire", 100), outcome("fanwire-epoll", 120)];
        let kept = all(&Session { outcomes, ..Session::default() });
        let epoll: Vec<&Kept> = kept.iter().filter(|it| it.goal.by_epoll).collect();
        // Five rivals are one row, joining by the URL, what is durable and MQTT are not tried twice, and TLS is none.
        assert_eq!(epoll.len(), GOALS.len() - 17);
        assert_eq!(epoll[0].met(), Some(false));
        assert_eq!(epoll[0].name(), "epoll : io_uring, one event to 1k, shard thread");
        let joins = epoll.iter().find(|it| it.goal.what.starts_with("joins")).unwrap();
        assert!(joins.bound() == "≥" && joins.goal.limit < 1.0);
    }

    #[test]
    fn every_goal_can_be_measured_with_the_scenarios_of_the_repository() {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios"));
        let scenarios = scenario::read_all(folder).unwrap();
        let runs = |scenario: &str, subject: &str| {
            let found = scenarios.iter().find(|it| it.name == scenario);
            let found = found.unwrap_or_else(|| panic!("there is no scenario {scenario}"));
            assert!(found.subjects.iter().any(|it| it == subject), "{scenario} without {subject}");
        };
        for kept in all(&Session::default()) {
            match kept.goal.of {
                Of::Ratio(_, above, below) | Of::Added(_, above, below) => {
                    runs(above.0, above.1);
                    runs(below.0, below.1);
                }
                Of::Plain(_, (scenario, subject)) => runs(scenario, subject),
                Of::Missing(_) => {}
            }
        }
    }
}
