//! A scenario: how many subscribers listen to what, and how events are published. Written as a TOML file, checked when read.
//!
//! Invariant: a scenario that was read can be run: every figure is within `limits`, and none contradicts another.

use crate::limits::BURST_MAX;
use crate::limits::MEMBERSHIPS_MAX;
use crate::limits::SUBSCRIBERS_PER_WORKER_MAX;
use crate::limits::TOPICS_MAX;
use crate::limits::WORKERS_MAX;
use crate::message::Membership;

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use serde::Deserialize;
use serde::Serialize;

/// What is measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Events published while all listen.
    #[default]
    Live,
    /// History, asked for by all at once.
    Replay,
    /// Connecting and joining, and what the idle connections then cost.
    Connect,
}

/// How events go in, where the subject takes them both ways.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Via {
    #[default]
    Ws,
    Http,
}

/// When events go in.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Rate {
    /// Closed loop: so many on their way.
    Window(u32),
    /// Open loop: so many a second.
    PerSecond(f64),
    /// Open loop: this share of what the floor does in a closed loop of one.
    OfFloor(f64),
}

/// Several events in one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Batch {
    pub(crate) max_events: u32,
    pub(crate) max_delay_ms: u32,
}

/// The file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scenario {
    /// The file's name without its ending; not written in it.
    #[serde(default)]
    pub(crate) name: String,
    pub(crate) title: String,
    #[serde(default)]
    pub(crate) kind: Kind,
    pub(crate) subscribers: u32,
    #[serde(default = "one")]
    pub(crate) workers: u32,
    #[serde(default = "one")]
    pub(crate) topics: u32,
    #[serde(default = "one_each")]
    pub(crate) memberships: Vec<u32>,
    #[serde(default = "payload_bytes")]
    pub(crate) payload_bytes: usize,
    /// Publish the lines of the telemetry file.
    #[serde(default)]
    pub(crate) telemetry: bool,
    /// Each subscriber has a filter of its own.
    #[serde(default)]
    pub(crate) circles: bool,
    #[serde(default)]
    pub(crate) compress: bool,
    #[serde(default = "inflate_every")]
    pub(crate) inflate_every: u32,
    /// Subscribers that never read once they have joined.
    #[serde(default)]
    pub(crate) slow: u32,
    /// Events published before anyone listens.
    #[serde(default)]
    pub(crate) preload: u64,
    #[serde(default)]
    pub(crate) batch: Option<Batch>,
    #[serde(default)]
    pub(crate) via: Via,
    #[serde(default = "one")]
    pub(crate) burst: u32,
    #[serde(default = "window_of_one")]
    pub(crate) rate: Rate,
    #[serde(default = "seconds")]
    pub(crate) seconds: f64,
    #[serde(default = "warmup_seconds")]
    pub(crate) warmup_seconds: f64,
    #[serde(default = "one")]
    pub(crate) shards: u32,
    /// Too long to be run with everything else; it has to be named.
    #[serde(default)]
    pub(crate) only_named: bool,
    /// Whom this is run with when everything is.
    #[serde(default = "subjects")]
    pub(crate) subjects: Vec<String>,
}

fn one() -> u32 {
    1
}

fn one_each() -> Vec<u32> {
    vec![1]
}

fn payload_bytes() -> usize {
    150
}

fn inflate_every() -> u32 {
    50
}

fn window_of_one() -> Rate {
    Rate::Window(1)
}

fn seconds() -> f64 {
    3.0
}

fn warmup_seconds() -> f64 {
    0.5
}

fn subjects() -> Vec<String> {
    vec!["floor".to_owned(), "fanwire".to_owned()]
}

/// Why a scenario cannot be run.
#[derive(Debug)]
pub(crate) enum ScenarioError {
    Unreadable { path: PathBuf, error: io::Error },
    Malformed { path: PathBuf, error: Box<toml::de::Error> },
    OutOfRange { name: String, member: &'static str, from: u64, to: u64 },
    TooFewWorkers { name: String, needed: u32 },
    Contradiction { name: String, what: &'static str },
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, error } => write!(f, "{}: {error}", path.display()),
            Self::Malformed { path, error } => write!(f, "{}: {error}", path.display()),
            Self::OutOfRange { name, member, from, to } => {
                write!(f, "scenario {name}: {member} must be from {from} to {to}")
            }
            Self::TooFewWorkers { name, needed } => {
                write!(f, "scenario {name}: that many subscribers need workers = {needed}")
            }
            Self::Contradiction { name, what } => write!(f, "scenario {name}: {what}"),
        }
    }
}

impl std::error::Error for ScenarioError {}

impl Scenario {
    pub(crate) fn read(path: &Path) -> Result<Self, ScenarioError> {
        let unreadable = |error| ScenarioError::Unreadable { path: path.to_owned(), error };
        let text = fs::read_to_string(path).map_err(unreadable)?;
        let name = path.file_stem().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default();
        let malformed =
            |error| ScenarioError::Malformed { path: path.to_owned(), error: Box::new(error) };
        let scenario = Self { name, ..toml::from_str(&text).map_err(malformed)? };
        scenario.check()?;
        Ok(scenario)
    }

    /// Every figure within its limit, and none against another.
    pub(crate) fn check(&self) -> Result<(), ScenarioError> {
        let name = || self.name.clone();
        let within = |member, value: u32, from: u32, to: u32| {
            if (from..=to).contains(&value) {
                return Ok(());
            }
            Err(ScenarioError::OutOfRange {
                name: name(),
                member,
                from: from.into(),
                to: to.into(),
            })
        };
        within("workers", self.workers, 1, WORKERS_MAX)?;
        within("subscribers", self.subscribers, 1, WORKERS_MAX * SUBSCRIBERS_PER_WORKER_MAX)?;
        within("topics", self.topics, 1, TOPICS_MAX)?;
        within("burst", self.burst, 1, BURST_MAX)?;
        within("shards", self.shards, 1, 64)?;
        within("slow", self.slow, 0, self.subscribers - 1)?;
        for &each in &self.memberships {
            within("memberships", each, 1, MEMBERSHIPS_MAX.min(self.topics))?;
        }
        if self.subscribers > self.workers * SUBSCRIBERS_PER_WORKER_MAX {
            let needed = self.subscribers.div_ceil(SUBSCRIBERS_PER_WORKER_MAX);
            return Err(ScenarioError::TooFewWorkers { name: name(), needed });
        }
        let against = |what| Err(ScenarioError::Contradiction { name: name(), what });
        match (self.kind, self.rate) {
            (_, Rate::PerSecond(rate) | Rate::OfFloor(rate))
                if !rate.is_finite() || rate <= 0.0 =>
            {
                against("a rate must be above 0")
            }
            (_, Rate::Window(window)) if window < self.burst => {
                against("window is smaller than burst")
            }
            (Kind::Live, Rate::Window(_)) if self.circles => against(
                "with filters nobody knows how many deliveries a closed loop would have to wait for",
            ),
            (Kind::Replay, _) if self.preload == 0 => against("a replay needs preload"),
            _ if self.memberships.is_empty() => against("memberships is empty"),
            _ if !self.seconds.is_finite() || self.seconds <= 0.0 => {
                against("seconds must be above 0")
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn membership(&self) -> Membership {
        Membership { topics: self.topics, each: self.memberships.clone() }
    }
}

/// Every scenario of a directory, in the order of their names.
pub(crate) fn read_all(directory: &Path) -> Result<Vec<Scenario>, ScenarioError> {
    let unreadable = |error| ScenarioError::Unreadable { path: directory.to_owned(), error };
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|it| it == "toml") {
            paths.push(path);
        }
    }
    paths.sort();
    paths.iter().map(|path| Scenario::read(path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Scenario {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn every_scenario_of_the_repository_can_be_run() {
        let all = read_all(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios"))).unwrap();
        assert!(all.len() >= 12);
    }

    #[test]
    fn defaults_are_one_topic_and_a_window_of_one() {
        let it = parse("title = \"t\"\nsubscribers = 10");
        assert_eq!((it.topics, it.rate, it.burst), (1, Rate::Window(1), 1));
        assert!(it.check().is_ok());
    }

    #[test]
    fn rates_are_written_three_ways() {
        let rate =
            |text: &str| parse(&format!("title = \"t\"\nsubscribers = 1\nrate = {text}")).rate;
        assert_eq!(rate("{ window = 4 }"), Rate::Window(4));
        assert_eq!(rate("{ per_second = 2.5 }"), Rate::PerSecond(2.5));
        assert_eq!(rate("{ of_floor = 0.5 }"), Rate::OfFloor(0.5));
    }

    #[test]
    fn what_cannot_be_run_is_refused_by_name() {
        for (text, wanted) in [
            ("subscribers = 0", "subscribers must be"),
            ("subscribers = 30000", "need workers = 2"),
            ("subscribers = 5\nburst = 4", "smaller than burst"),
            ("subscribers = 5\nkind = \"replay\"", "needs preload"),
            ("subscribers = 5\ncircles = true", "closed loop"),
            ("subscribers = 5\nmemberships = [3]", "memberships must be"),
            ("subscribers = 5\nrate = { per_second = 0.0 }", "above 0"),
        ] {
            let error = parse(&format!("title = \"t\"\n{text}")).check().unwrap_err().to_string();
            assert!(error.contains(wanted), "{text}: {error}");
        }
    }

    #[test]
    fn a_misspelt_member_is_refused() {
        assert!(
            toml::from_str::<Scenario>("title = \"t\"\nsubscribers = 1\nsubscriber = 2").is_err()
        );
    }
}
