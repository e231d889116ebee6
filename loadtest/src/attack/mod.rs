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
    /// Seconds each, for every change. Memory, losses and refusals are held as they are in the whole form; speeds are told, and held only to what no
    /// machine is too slow for, since others use it too and the build may be a debug one.
    Short,
    /// As large as the goal says.
    Whole,
}

/// The most milliseconds that something may take in the short form, if its goal is less: whoever waits that long waits for a server that does not go on.
const SHORT_MILLIS_MAX: f64 = 10_000.0;
/// The most percent of a core that something may take in the short form, if its goal is less.
const SHORT_PERCENT_MAX: f64 = 50.0;

impl Scale {
    /// The number for this scale.
    pub(crate) fn of<T>(self, short: T, whole: T) -> T {
        match self {
            Self::Short => short,
            Self::Whole => whole,
        }
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
    /// In the whole form.
    pub(crate) most: f64,
    /// In the short form: the same of what is counted, and more of what depends on how fast the machine is.
    short_most: f64,
    pub(crate) unit: Unit,
}

impl Figure {
    /// What is counted: the same however fast the machine is.
    pub(crate) fn counted(what: impl Into<String>, value: f64, most: f64, unit: Unit) -> Self {
        Self { what: what.into(), value, most, short_most: most, unit }
    }

    /// Bytes, told in MiB.
    pub(crate) fn bytes(what: impl Into<String>, bytes: u64, most_mib: f64) -> Self {
        Self::counted(what, bytes as f64 / f64::from(1 << 20), most_mib, Unit::MiB)
    }

    /// What must not be at all.
    pub(crate) fn none(what: impl Into<String>, count: u64) -> Self {
        Self::counted(what, count as f64, 0.0, Unit::Count)
    }

    /// Nanoseconds, told in milliseconds.
    pub(crate) fn time(what: impl Into<String>, ns: u64, most_ms: f64) -> Self {
        let short_most = most_ms.max(SHORT_MILLIS_MAX);
        let (what, value) = (what.into(), ns as f64 / 1e6);
        Self { what, value, most: most_ms, short_most, unit: Unit::Millis }
    }

    /// One time by another. The short form tells it and holds it to nothing: where both are a few milliseconds, it says more of who else used the machine.
    pub(crate) fn ratio(what: impl Into<String>, ns: u64, by_ns: u64, most: f64) -> Self {
        let value = ns as f64 / by_ns.max(1) as f64;
        Self { what: what.into(), value, most, short_most: f64::INFINITY, unit: Unit::Times }
    }

    /// Percent of a core.
    pub(crate) fn core_share(what: impl Into<String>, percent: f64, most: f64) -> Self {
        let short_most = most.max(SHORT_PERCENT_MAX);
        Self { what: what.into(), value: percent, most, short_most, unit: Unit::Percent }
    }

    pub(crate) fn holds(&self, scale: Scale) -> bool {
        self.value <= scale.of(self.short_most, self.most)
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
    pub(crate) fn holds(&self, scale: Scale) -> bool {
        let all = |figures: &Vec<Figure>| figures.iter().all(|figure| figure.holds(scale));
        self.figures.as_ref().is_ok_and(all)
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
        for scale in [Scale::Short, Scale::Whole] {
            assert!(Figure::none("lost", 0).holds(scale));
            assert!(!Figure::none("lost", 1).holds(scale));
            assert!(Figure::bytes("peak", 32 << 20, 32.0).holds(scale));
            assert!(!Figure::bytes("peak", (32 << 20) + 1, 32.0).holds(scale));
        }
    }

    #[test]
    fn the_short_form_fails_for_no_speed_that_a_slow_machine_may_have() {
        let slow = [
            Figure::time("late", 9_000_000_000, 50.0),
            Figure::ratio("late, by before", 4_000_000_000, 1_000_000, 2.0),
            Figure::core_share("at rest", 30.0, 1.0),
        ];
        for figure in &slow {
            assert!(figure.holds(Scale::Short), "{figure:?}");
            assert!(!figure.holds(Scale::Whole), "{figure:?}");
        }
        assert!(!Figure::time("stands still", 10_001_000_000, 50.0).holds(Scale::Short));
        assert!(!Figure::core_share("spins", 99.0, 1.0).holds(Scale::Short));
        // A goal that is longer than that is held.
        assert!(Figure::time("a million", 59_000_000_000, 60_000.0).holds(Scale::Short));
        assert!(!Figure::time("a million", 61_000_000_000, 60_000.0).holds(Scale::Short));
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<&str> = ALL.iter().map(|attack| attack.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
    }
}
