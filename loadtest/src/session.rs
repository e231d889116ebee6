//! A session: scenarios times subjects times rounds, interleaved, and the medians that come of it.
//!
//! Subjects take turns within a round and the order is rotated from round to round, so that whatever else the machine does
//! falls on all of them. A ratio is the median of the ratios within the rounds, not the ratio of medians.
//! Invariant: a run that failed is in the session with its reason; it is never left out in silence.

use crate::outcome::Figure;
use crate::outcome::Outcome;
use crate::progress;
use crate::progress::Progress;
use crate::run;
use crate::run::RunError;
use crate::scenario::Kind;
use crate::scenario::Rate;
use crate::scenario::Scenario;
use crate::subject;
use crate::subject::Subject;
use crate::subject::Tools;

use std::io;

use crate::num;

use serde::Deserialize;
use serde::Serialize;

/// The yardstick's name.
pub(crate) const FLOOR: &str = "floor";

/// Everything that was measured, as it is kept in `results.json`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Session {
    pub(crate) machine: Machine,
    pub(crate) command: String,
    pub(crate) scenarios: Vec<Scenario>,
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) failures: Vec<Failure>,
    /// Events a second of the floor, for the scenarios whose rate is a share of it.
    #[serde(default)]
    pub(crate) floor_rates: Vec<(String, f64)>,
}

/// Where it was measured.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) kernel: String,
    pub(crate) processor: String,
    pub(crate) cores: u64,
    pub(crate) load_before: String,
    pub(crate) driver: String,
}

/// A run that came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub(crate) scenario: String,
    pub(crate) subject: String,
    pub(crate) round: u32,
    pub(crate) why: String,
}

/// Some figure over the rounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

/// What is run.
#[derive(Debug)]
pub(crate) struct Program<'a> {
    pub(crate) scenarios: &'a [Scenario],
    /// Instead of the scenarios' own.
    pub(crate) subjects: &'a [String],
    pub(crate) rounds: u32,
    pub(crate) tools: &'a Tools,
}

/// One run to be made.
#[derive(Debug, Clone, Copy)]
struct Turn<'a> {
    scenario: &'a Scenario,
    subject: &'static dyn Subject,
    round: u32,
}

impl Program<'_> {
    /// Every run, in its order.
    fn turns(&self) -> Result<Vec<Turn<'_>>, RunError> {
        let mut turns = Vec::new();
        for scenario in self.scenarios {
            let wanted = if self.subjects.is_empty() { &scenario.subjects } else { self.subjects };
            let mut subjects = Vec::new();
            for name in wanted {
                let subject = subject::named(name)?;
                if subject.can(scenario) {
                    subjects.push(subject);
                }
            }
            for round in 1..=self.rounds {
                if !subjects.is_empty() {
                    subjects.rotate_left(usize::from(round > 1));
                }
                turns.extend(subjects.iter().map(|&subject| Turn { scenario, subject, round }));
            }
        }
        Ok(turns)
    }

    /// How many runs it is, and about how many seconds.
    pub(crate) fn size(&self) -> Result<(usize, f64), RunError> {
        let turns = self.turns()?;
        Ok((turns.len(), turns.iter().map(|it| progress::estimate(it.scenario)).sum()))
    }
}

impl Session {
    /// Runs everything that `before` does not hold yet; `keep` is called after each run, so that nothing is lost if the
    /// machine is.
    pub(crate) fn run(
        program: &Program<'_>,
        before: Option<Self>,
        command: String,
        keep: &mut dyn FnMut(&Self) -> io::Result<()>,
    ) -> Result<Self, RunError> {
        let mut session = before.unwrap_or_else(|| {
            let machine = machine(&program.tools.driver);
            Self { machine, command, ..Self::default() }
        });
        session.adopt(program.scenarios);
        let turns = program.turns()?;
        let due = |session: &Self, turn: &Turn<'_>| session.outcome(turn).is_none();
        let left: Vec<&Turn<'_>> = turns.iter().filter(|turn| due(&session, turn)).collect();
        let estimate = left.iter().map(|turn| progress::estimate(turn.scenario)).sum();
        let mut progress = Progress::new(left.len(), estimate);
        for turn in left {
            session.one(turn, program.tools, &mut progress);
            keep(&session)?;
        }
        Ok(session)
    }

    /// Takes `scenarios` beside its own: what was measured of one that is different now is forgotten, what is not among them
    /// stays, and what failed is tried again.
    fn adopt(&mut self, scenarios: &[Scenario]) {
        for scenario in scenarios {
            let Some(at) = self.scenarios.iter().position(|it| it.name == scenario.name) else {
                self.scenarios.push(scenario.clone());
                continue;
            };
            let old = std::mem::replace(&mut self.scenarios[at], scenario.clone());
            if (Scenario { subjects: old.subjects.clone(), ..scenario.clone() }) != old {
                self.outcomes.retain(|it| it.scenario != scenario.name);
                self.floor_rates.retain(|it| it.0 != scenario.name);
            }
            self.failures.retain(|it| it.scenario != scenario.name);
        }
    }

    fn outcome(&self, turn: &Turn<'_>) -> Option<&Outcome> {
        let (scenario, subject) = (&turn.scenario.name, turn.subject.name());
        self.of(scenario, subject).into_iter().find(|it| it.round == turn.round)
    }

    fn one(&mut self, turn: &Turn<'_>, tools: &Tools, progress: &mut Progress) {
        let Turn { scenario, subject, round } = *turn;
        let floor_rate = self.floor_rate(scenario, tools, progress);
        let mut show = |what: &str| progress.show(what);
        let ran =
            floor_rate.and_then(|rate| run::run(scenario, subject, tools, round, rate, &mut show));
        let said = match ran {
            Ok(outcome) => {
                let said = line(&outcome, scenario.kind);
                self.outcomes.push(outcome);
                said
            }
            Err(error) => {
                let why = error.to_string();
                let (scenario, subject) = (scenario.name.clone(), subject.name().to_owned());
                let said = format!("{scenario} / {subject} / round {round}: failed: {why}");
                self.failures.push(Failure { scenario, subject, round, why });
                said
            }
        };
        progress.done(&said, progress::estimate(scenario));
    }

    /// Events a second that the floor manages in a closed loop of one, measured once and then known.
    fn floor_rate(
        &mut self,
        scenario: &Scenario,
        tools: &Tools,
        progress: &mut Progress,
    ) -> Result<Option<f64>, RunError> {
        if !matches!(scenario.rate, Rate::OfFloor(_)) {
            return Ok(None);
        }
        if let Some((_, rate)) = self.floor_rates.iter().find(|it| it.0 == scenario.name) {
            return Ok(Some(*rate));
        }
        let closed = Scenario { rate: Rate::Window(1), seconds: 2.0, ..scenario.clone() };
        let mut show = |what: &str| progress.show(what);
        let outcome = run::run(&closed, subject::named(FLOOR)?, tools, 0, None, &mut show)?;
        let rate = outcome.events_per_second();
        self.floor_rates.push((scenario.name.clone(), rate));
        Ok(Some(rate))
    }

    pub(crate) fn of(&self, scenario: &str, subject: &str) -> Vec<&Outcome> {
        self.outcomes.iter().filter(|it| it.scenario == scenario && it.subject == subject).collect()
    }

    /// Runs that failed, or that were not sound; without `rivals` only those of this server and of the yardstick.
    pub(crate) fn unsound(&self, rivals: bool) -> usize {
        let counts =
            |subject: &str| rivals || subject.starts_with(FLOOR) || subject.starts_with("fanwire");
        let unsound = self.outcomes.iter().filter(|it| counts(&it.subject) && !it.sound()).count();
        unsound + self.failures.iter().filter(|it| counts(&it.subject)).count()
    }

    /// What failed, and why, each once with how often.
    pub(crate) fn reasons(&self) -> Vec<(&str, &str, usize)> {
        let mut reasons: Vec<(&str, &str, usize)> = Vec::new();
        for Failure { subject, why, .. } in &self.failures {
            match reasons.iter_mut().find(|it| it.0 == subject && it.1 == why) {
                Some(known) => known.2 += 1,
                None => reasons.push((subject, why, 1)),
            }
        }
        reasons
    }

    /// Who ran a scenario, in the order of the list of subjects.
    pub(crate) fn subjects(&self, scenario: &str) -> Vec<&'static str> {
        let ran = |name: &str| {
            self.outcomes.iter().any(|it| it.scenario == scenario && it.subject == name)
        };
        subject::ALL.iter().map(|it| it.name()).filter(|name| ran(name)).collect()
    }

    pub(crate) fn spread(
        &self,
        scenario: &str,
        subject: &str,
        of: fn(&Outcome) -> f64,
    ) -> Option<Spread> {
        Spread::of(&self.of(scenario, subject).into_iter().map(of).collect::<Vec<_>>())
    }

    /// One subject by another, round by round. They may be of different scenarios.
    pub(crate) fn ratio(
        &self,
        above: (&str, &str),
        below: (&str, &str),
        figure: Figure,
    ) -> Option<Spread> {
        self.compared((above, below), figure, |one, other| one / other)
    }

    /// Two subjects' figures compared, likewise; what is no number then is left out.
    pub(crate) fn compared(
        &self,
        (one, other): ((&str, &str), (&str, &str)),
        figure: Figure,
        how: fn(f64, f64) -> f64,
    ) -> Option<Spread> {
        let others = self.of(other.0, other.1);
        let mut values = Vec::new();
        for outcome in self.of(one.0, one.1) {
            if let Some(other) = others.iter().find(|it| it.round == outcome.round) {
                values.push(how((figure.of)(outcome), (figure.of)(other)));
            }
        }
        Spread::of(&values)
    }

    /// The outcome in the middle, by CPU per delivery: whose curve is drawn.
    pub(crate) fn middle(&self, scenario: &str, subject: &str) -> Option<&Outcome> {
        let mut outcomes = self.of(scenario, subject);
        outcomes.sort_by(|a, b| a.cpu_ns().total_cmp(&b.cpu_ns()));
        outcomes.get(outcomes.len().saturating_sub(1) / 2).copied()
    }
}

impl Spread {
    /// Of what is a number among `values`; `None` if nothing is.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        let values: Vec<f64> = values.iter().copied().filter(|it| it.is_finite()).collect();
        let median = num::median(&values)?;
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Some(Self { median, least, most })
    }
}

/// A run in a line, as it ends.
fn line(it: &Outcome, kind: Kind) -> String {
    let mut line = format!("{} / {} / round {}: ", it.scenario, it.subject, it.round);
    if kind != Kind::Connect {
        line.push_str(&format!(
            "{:.0} deliveries/s, {:.0} ns CPU each ({:.0} shard, {:.0} softirq), p50 {:.2} ms, p99 {:.2} ms, ",
            it.deliveries_per_second(),
            it.cpu_ns(),
            it.shard_ns(),
            num::per(it.cpu.softirq_ns, it.deliveries),
            it.latency.p50_ns as f64 / 1e6,
            it.latency.p99_ns as f64 / 1e6,
        ));
    }
    line.push_str(&format!(
        "{:.0} joins/s at {:.1} us, {:.0} B user a connection",
        it.connects_per_second(),
        it.connect_us(),
        it.user_bytes_each()
    ));
    if !it.sound() {
        line.push_str(&format!(
            "; NOT SOUND: {:?}, {} closed, {} refused, drained: {}, {}",
            it.faults,
            it.closed,
            it.refused,
            it.drained,
            it.first_fault.as_deref().unwrap_or("no fault of a connection")
        ));
    }
    line
}

fn machine(driver: &str) -> Machine {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let model =
        cpuinfo.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    Machine {
        kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        processor: model.trim_start_matches([' ', '\t', ':']).to_owned(),
        cores: num::count(crate::crew::cores()),
        load_before: crate::proc::load(),
        driver: driver.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::outcome::LIVE;
    use crate::proc::Cpu;

    fn outcome(subject: &str, round: u32, run_ns: u64) -> Outcome {
        let cpu = Cpu { run_ns, ..Cpu::default() };
        Outcome {
            scenario: "s".to_owned(),
            subject: subject.to_owned(),
            round,
            deliveries: 1,
            cpu,
            ..Outcome::default()
        }
    }

    fn scenario(seconds: f64) -> Scenario {
        let text = format!("name = \"s\"\ntitle = \"t\"\nsubscribers = 10\nseconds = {seconds:?}");
        toml::from_str(&text).unwrap()
    }

    #[test]
    fn what_was_measured_stays_if_its_scenario_is_the_same() {
        let mut session = Session {
            scenarios: vec![scenario(3.0)],
            outcomes: vec![outcome("floor", 1, 100)],
            floor_rates: vec![("s".to_owned(), 5.0)],
            failures: vec![Failure {
                scenario: "s".to_owned(),
                subject: "bun".to_owned(),
                round: 1,
                why: "it was not there".to_owned(),
            }],
            ..Session::default()
        };
        session.adopt(&[Scenario { subjects: vec!["bun".to_owned()], ..scenario(3.0) }]);
        assert_eq!((session.outcomes.len(), session.floor_rates.len()), (1, 1));
        assert!(session.failures.is_empty(), "it is tried again");
        session.adopt(&[Scenario { name: "another".to_owned(), ..scenario(3.0) }]);
        assert_eq!((session.scenarios.len(), session.outcomes.len()), (2, 1));
        session.adopt(&[scenario(4.0)]);
        assert_eq!((session.outcomes.len(), session.floor_rates.len()), (0, 0));
    }

    #[test]
    fn subjects_take_turns_and_the_order_rotates() {
        let tools = Tools::default();
        let scenarios = [Scenario {
            subjects: ["floor", "bun", "nats"].map(str::to_owned).to_vec(),
            ..scenario(3.0)
        }];
        let program = Program { scenarios: &scenarios, subjects: &[], rounds: 2, tools: &tools };
        let turns = program.turns().unwrap();
        let order: Vec<&str> = turns.iter().map(|it| it.subject.name()).collect();
        assert_eq!(order, ["floor", "bun", "nats", "bun", "nats", "floor"]);
        assert_eq!(program.size().unwrap().0, 6);
    }

    #[test]
    fn a_ratio_is_the_median_of_the_ratios_within_rounds() {
        let outcomes = vec![
            outcome("floor", 1, 100),
            outcome("fanwire", 1, 110),
            outcome("fanwire", 2, 400),
            outcome("floor", 2, 200),
            outcome("floor", 3, 1000),
            outcome("fanwire", 3, 1050),
        ];
        let session = Session { outcomes, ..Session::default() };
        let ratio = session.ratio(("s", "fanwire"), ("s", "floor"), LIVE[0]).unwrap();
        assert_eq!(ratio, Spread { median: 1.1, least: 1.05, most: 2.0 });
        assert_eq!(session.subjects("s"), ["floor", "fanwire"]);
        assert!(Spread::of(&[f64::NAN]).is_none());
        assert!(session.ratio(("s", "bun"), ("s", "floor"), LIVE[0]).is_none());
    }
}
