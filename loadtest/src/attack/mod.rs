//! Attacks: what a client that hates us, or a bad network, does to the server within every limit that is configured, and what it may cost the others.
//!
//! Each attack starts a server of its own, does its worst for some seconds and measures what those feel who did nothing: a figure with the most it
//! may be. Invariant: an attack is bounded in connections, bytes and time, goes to loopback only, and ends the server that it started.

mod ceiling;
mod control;
mod costs;
mod crowd;
mod filters;
mod fleet;
mod herd;
mod input;
mod memory;
mod overload;
mod past;
mod peer;
mod readers;
mod server;
mod stage;
mod table;

pub(crate) use crowd::CrowdFelt;
pub(crate) use crowd::CrowdPlan;
pub(crate) use crowd::run as run_crowd;
pub(crate) use peer::Peer;
pub(crate) use server::Server;
pub(crate) use table::filled;
pub(crate) use table::markdown;

use crate::crew::CrewError;
use crate::proc::ProcError;
use crate::subject::SubjectError;
use crate::subject::Tools;

use std::fmt;
use std::io;

/// How large an attack is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scale {
    /// Seconds each, for every change; times may be `SHORT_SLACK` longer than the goal, for the machine is shared and the build may be a debug one.
    Short,
    /// As large as the goal says.
    Whole,
}

/// By how much a time may miss its goal in the short form before it counts as missed.
const SHORT_SLACK: f64 = 20.0;

impl Scale {
    /// The number for this scale.
    pub(crate) fn of<T>(self, short: T, whole: T) -> T {
        match self {
            Self::Short => short,
            Self::Whole => whole,
        }
    }

    /// The most milliseconds that something may take, of a goal in milliseconds.
    pub(crate) fn millis(self, goal: f64) -> f64 {
        goal * self.of(SHORT_SLACK, 1.0)
    }
}

/// What a figure counts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    MiB,
    Millis,
    Count,
    Times,
    Percent,
}

/// One thing that was measured, and the most that it may be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Figure {
    pub(crate) what: String,
    pub(crate) value: f64,
    pub(crate) most: f64,
    pub(crate) unit: Unit,
}

impl Figure {
    pub(crate) fn new(what: impl Into<String>, value: f64, most: f64, unit: Unit) -> Self {
        Self { what: what.into(), value, most, unit }
    }

    /// Bytes, told in MiB.
    pub(crate) fn bytes(what: impl Into<String>, bytes: u64, most_mib: f64) -> Self {
        Self::new(what, bytes as f64 / f64::from(1 << 20), most_mib, Unit::MiB)
    }

    /// Nanoseconds, told in milliseconds.
    pub(crate) fn time(what: impl Into<String>, ns: u64, most_ms: f64) -> Self {
        Self::new(what, ns as f64 / 1e6, most_ms, Unit::Millis)
    }

    /// What must not be at all.
    pub(crate) fn none(what: impl Into<String>, count: u64) -> Self {
        Self::new(what, count as f64, 0.0, Unit::Count)
    }

    pub(crate) fn holds(&self) -> bool {
        self.value <= self.most
    }
}

/// An attack.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attack {
    pub(crate) name: &'static str,
    /// What is done, in a sentence.
    pub(crate) about: &'static str,
    pub(crate) run: fn(&Tools, Scale) -> Result<Vec<Figure>, AttackError>,
}

/// Every attack there is.
pub(crate) const ALL: &[Attack] = &[
    overload::SLOW,
    overload::HEALTH,
    memory::LARGE,
    memory::CHURN,
    memory::TOPICS,
    costs::IDLE,
    costs::LAST,
    past::RESUME,
    control::REVOKE,
    input::DRIP,
    input::PIPELINE,
    input::INFLATE,
    input::UNFINISHED,
    filters::STALL,
    filters::COMPILE,
    fleet::SLEEPERS,
    fleet::RETAINED,
    fleet::FLOOD,
    ceiling::CEILING,
    herd::HERD,
];

/// An attack that was made.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) attack: Attack,
    pub(crate) figures: Result<Vec<Figure>, AttackError>,
}

impl Outcome {
    /// Whether all that it measured is within its bounds.
    pub(crate) fn holds(&self) -> bool {
        self.figures.as_ref().is_ok_and(|figures| figures.iter().all(Figure::holds))
    }
}

/// Makes one attack.
pub(crate) fn run(attack: Attack, tools: &Tools, scale: Scale) -> Outcome {
    Outcome { attack, figures: (attack.run)(tools, scale) }
}

/// Why an attack could not be made.
#[derive(Debug)]
pub(crate) enum AttackError {
    Io(io::Error),
    Subject(SubjectError),
    Proc(ProcError),
    Crew(CrewError),
    /// The server did not do what has nothing to do with the attack.
    Unanswered {
        wanted: &'static str,
    },
    NoSuchAttack {
        name: String,
    },
}

impl fmt::Display for AttackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "a socket or file: {error}"),
            Self::Subject(error) => error.fmt(f),
            Self::Proc(error) => error.fmt(f),
            Self::Crew(error) => error.fmt(f),
            Self::Unanswered { wanted } => write!(f, "waited in vain for {wanted}"),
            Self::NoSuchAttack { name } => {
                let names: Vec<&str> = ALL.iter().map(|attack| attack.name).collect();
                write!(f, "there is no attack {name}; there are {}", names.join(", "))
            }
        }
    }
}

impl std::error::Error for AttackError {}

impl From<io::Error> for AttackError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<rustix::io::Errno> for AttackError {
    fn from(error: rustix::io::Errno) -> Self {
        Self::Io(error.into())
    }
}

impl From<CrewError> for AttackError {
    fn from(error: CrewError) -> Self {
        Self::Crew(error)
    }
}

impl From<SubjectError> for AttackError {
    fn from(error: SubjectError) -> Self {
        Self::Subject(error)
    }
}

impl From<ProcError> for AttackError {
    fn from(error: ProcError) -> Self {
        Self::Proc(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_holds_up_to_its_bound() {
        assert!(Figure::none("lost", 0).holds());
        assert!(!Figure::none("lost", 1).holds());
        assert!(Figure::bytes("peak", 32 << 20, 32.0).holds());
        assert!(!Figure::time("late", 51_000_000, Scale::Whole.millis(50.0)).holds());
        assert!(Figure::time("late", 51_000_000, Scale::Short.millis(50.0)).holds());
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<&str> = ALL.iter().map(|attack| attack.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
    }
}
