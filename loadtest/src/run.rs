//! One run: start the subject, connect everyone, warm up, measure, settle the accounts, stop everything.
//!
//! Invariant: whatever happens, every process that was started here is gone when the run returns. CPU is read right before
//! the first publish and right after the last delivery.

use crate::clock;
use crate::clock::MILLI;
use crate::clock::SECOND;
use crate::crew;
use crate::crew::Crew;
use crate::crew::CrewError;
use crate::latency::Counts;
use crate::limits::CONNECT_NS_MAX;
use crate::limits::DRAIN_NS_MAX;
use crate::limits::START_NS_MAX;
use crate::limits::TIME_EVERY;
use crate::message::Order;
use crate::message::Pace;
use crate::message::Plan;
use crate::message::Progress;
use crate::message::Published;
use crate::message::PublisherPlan;
use crate::message::Settled;
use crate::message::Word;
use crate::message::WorkerPlan;
use crate::num;
use crate::outcome::Outcome;
use crate::outcome::Summary;
use crate::proc;
use crate::proc::ProcError;
use crate::proc::Snapshot;
use crate::scenario::Kind;
use crate::scenario::Rate;
use crate::scenario::Scenario;
use crate::scoreboard::Scoreboard;
use crate::subject::Process;
use crate::subject::Setting;
use crate::subject::Started;
use crate::subject::Subject;
use crate::subject::SubjectError;
use crate::subject::Tools;

use std::fmt;
use std::io;
use std::path::PathBuf;

/// How long the subject is left alone before its idle memory is read.
const SETTLE_NS: u64 = 400 * MILLI;

/// Why a run came to nothing.
#[derive(Debug)]
pub(crate) enum RunError {
    Subject(SubjectError),
    Crew(CrewError),
    Proc(ProcError),
    Io(io::Error),
    NoTelemetry,
    NoFloorRate,
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Subject(error) => error.fmt(f),
            Self::Crew(error) => error.fmt(f),
            Self::Proc(error) => error.fmt(f),
            Self::Io(error) => write!(f, "the run's directory: {error}"),
            Self::NoTelemetry => {
                write!(f, "the scenario publishes telemetry: name a file with --telemetry")
            }
            Self::NoFloorRate => {
                write!(f, "the rate is a share of the floor's, which was not measured")
            }
        }
    }
}

impl std::error::Error for RunError {}

impl From<CrewError> for RunError {
    fn from(error: CrewError) -> Self {
        Self::Crew(error)
    }
}

impl From<SubjectError> for RunError {
    fn from(error: SubjectError) -> Self {
        Self::Subject(error)
    }
}

impl From<ProcError> for RunError {
    fn from(error: ProcError) -> Self {
        Self::Proc(error)
    }
}

impl From<io::Error> for RunError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Everything of one run.
struct Run<'a> {
    scenario: &'a Scenario,
    tools: &'a Tools,
    crew: Crew,
    started: Started,
    scoreboard: PathBuf,
    workers: Vec<usize>,
    publisher: Option<usize>,
    load_cores: Vec<usize>,
    progress: Vec<Progress>,
    timeline: Vec<(u64, f64)>,
    resident: Vec<(u64, u64)>,
    last: (u64, u64),
    shown_ns: u64,
    label: String,
    show: &'a mut dyn FnMut(&str),
}

/// Runs `scenario` with `subject`. `floor_rate`: events a second that the floor managed, for rates that are a share of it.
pub(crate) fn run(
    scenario: &Scenario,
    subject: &dyn Subject,
    tools: &Tools,
    round: u32,
    floor_rate: Option<f64>,
    show: &mut dyn FnMut(&str),
) -> Result<Outcome, RunError> {
    let scratch = std::env::temp_dir().join(format!(
        "fanwire-load-{}-{}",
        std::process::id(),
        clock::now_ns()
    ));
    std::fs::create_dir_all(&scratch)?;
    let scoreboard = scratch.join("scoreboard");
    Scoreboard::create(&scoreboard, scenario.workers)?;
    let (cores, load_cores) = cores(scenario, tools);
    let setting = Setting { scenario, tools, scratch: &scratch, cores };
    let mut crew = Crew::default();
    let result = subject.start(&setting, &mut crew).map_err(RunError::from).and_then(|started| {
        let label = format!("{} / {} / round {round}", scenario.name, subject.name());
        let mut run = Run {
            scenario,
            tools,
            crew,
            started,
            scoreboard,
            workers: Vec::new(),
            publisher: None,
            load_cores,
            progress: vec![Progress::default(); num::index(u64::from(scenario.workers))],
            timeline: Vec::new(),
            resident: Vec::new(),
            last: (clock::now_ns(), 0),
            shown_ns: clock::now_ns(),
            label,
            show,
        };
        let outcome = run.go(floor_rate);
        run.stop();
        outcome
    });
    std::fs::remove_dir_all(&scratch)?;
    let outcome = result?;
    Ok(Outcome {
        scenario: scenario.name.clone(),
        subject: subject.name().to_owned(),
        round,
        ..outcome
    })
}

/// With two cores and one shard the subject has the first and the load the last; with more shards nobody is pinned.
fn cores(scenario: &Scenario, tools: &Tools) -> (Vec<usize>, Vec<usize>) {
    let all = crew::cores();
    let shards = num::index(u64::from(scenario.shards));
    if !tools.pin || shards >= all {
        (Vec::new(), Vec::new())
    } else {
        ((0..shards).collect(), (shards..all).collect())
    }
}

impl Run<'_> {
    fn go(&mut self, floor_rate: Option<f64>) -> Result<Outcome, RunError> {
        let shards = num::index(u64::from(self.scenario.shards));
        self.start_workers()?;
        // Not before the workers stand: a subject that starts processes of its own has had the time for it by then.
        let pids = self.pids()?;
        let mut outcome = Outcome {
            subscribers: u64::from(self.scenario.subscribers),
            measured: !pids.is_empty(),
            start_ns: self.started.start_ns,
            drained: true,
            ..Outcome::default()
        };
        if self.scenario.kind != Kind::Connect {
            self.start_publisher(floor_rate)?;
        }
        let mut sent = vec![0; num::index(u64::from(self.scenario.topics))];
        if self.scenario.preload > 0 {
            let filled = self.publish(&Order::Fill { events: self.scenario.preload })?;
            outcome.refused += filled.refused;
            sent = filled.sent;
        }
        outcome.memory_started = proc::memory(&pids)?;
        let before = Snapshot::take(&pids)?;
        outcome.connect_ns = self.connect()?;
        if self.scenario.kind == Kind::Replay {
            self.replayed(&mut outcome, &sent, &before, &pids)?;
        }
        let connected = Snapshot::take(&pids)?;
        outcome.connect_cpu = connected.since(&before, shards);
        self.rest(SETTLE_NS)?;
        outcome.memory_idle = proc::memory(&pids)?;
        if self.scenario.kind == Kind::Live {
            sent = self.live(&mut outcome, &pids, shards)?;
        }
        outcome.memory_end = proc::memory(&pids)?;
        self.settle(&mut outcome, sent)?;
        outcome.timeline = std::mem::take(&mut self.timeline);
        outcome.resident = std::mem::take(&mut self.resident);
        Ok(outcome)
    }

    fn pids(&self) -> Result<Vec<u32>, ProcError> {
        match &self.started.process {
            Process::Hand(hand) => Ok(vec![self.crew.pid(*hand)]),
            Process::Child(child) => proc::family(child.id()),
            Process::Pid(pid) => proc::family(*pid),
            Process::Elsewhere => Ok(Vec::new()),
        }
    }

    fn start_workers(&mut self) -> Result<(), RunError> {
        let scenario = self.scenario;
        let share = scenario.subscribers.div_ceil(scenario.workers);
        for index in 0..scenario.workers {
            let first = index * share;
            let plan = WorkerPlan {
                index,
                first,
                subscribers: share.min(scenario.subscribers.saturating_sub(first)),
                listen: self.started.listen.clone(),
                membership: scenario.membership(),
                slow: scenario.slow,
                gaps_allowed: scenario.circles,
                time_every: TIME_EVERY,
                inflate_every: scenario.inflate_every,
                circles: scenario.circles,
                scoreboard: self.scoreboard.clone(),
            };
            let hand = self.crew.start(
                &format!("worker {index}"),
                &Plan::Worker(plan),
                &self.load_cores,
            )?;
            self.workers.push(hand);
        }
        self.ready(self.workers.len())
    }

    fn start_publisher(&mut self, floor_rate: Option<f64>) -> Result<(), RunError> {
        let scenario = self.scenario;
        let pace = match (scenario.rate, floor_rate) {
            (Rate::Window(window), _) => Pace::Closed { window },
            (Rate::PerSecond(rate), _) => Pace::Open { rate },
            (Rate::OfFloor(share), Some(floor)) => Pace::Open { rate: share * floor },
            (Rate::OfFloor(_), None) => return Err(RunError::NoFloorRate),
        };
        let feed = match (scenario.telemetry, &self.tools.telemetry) {
            (true, Some(path)) => Some(path.clone()),
            (true, None) => return Err(RunError::NoTelemetry),
            (false, _) => None,
        };
        let known = !scenario.circles;
        let audience = scenario.membership().audience(scenario.slow, scenario.subscribers);
        let plan = PublisherPlan {
            say: self.started.say.clone(),
            pace,
            burst: scenario.burst,
            payload_bytes: scenario.payload_bytes,
            feed,
            audience: if known { audience } else { Vec::new() },
            topics: scenario.topics,
            workers: scenario.workers,
            scoreboard: self.scoreboard.clone(),
        };
        self.publisher =
            Some(self.crew.start("the publisher", &Plan::Publisher(plan), &self.load_cores)?);
        self.ready(1)
    }

    fn connect(&mut self) -> Result<u64, RunError> {
        for hand in self.workers.clone() {
            self.crew.order(hand, &Order::Connect)?;
        }
        let until = clock::now_ns() + CONNECT_NS_MAX;
        let (mut joined, mut longest) = (0, 0);
        while joined < self.workers.len() {
            for word in self.hear("all subscribers to join", until)? {
                if let Word::Joined { ns } = word {
                    joined += 1;
                    longest = longest.max(ns);
                }
            }
        }
        Ok(longest)
    }

    /// Waits until history has reached everyone: the deliveries of a replay are those of its connect phase.
    fn replayed(
        &mut self,
        out: &mut Outcome,
        sent: &[u64],
        before: &Snapshot,
        pids: &[u32],
    ) -> Result<(), RunError> {
        let audience = self.scenario.membership().audience(0, self.scenario.subscribers);
        let due: u64 = audience.iter().zip(sent).map(|(heard, sent)| heard * sent).sum();
        let board = Scoreboard::open(&self.scoreboard)?;
        let (began, mut progressed, mut heard) = (clock::now_ns(), clock::now_ns(), 0);
        while heard < due && clock::now_ns() - progressed < DRAIN_NS_MAX {
            self.rest(MILLI)?;
            let total = board.total(self.scenario.workers)?;
            if total != heard {
                progressed = clock::now_ns();
                heard = total;
            }
        }
        out.deliveries = heard;
        out.events = sent.iter().sum();
        out.drained = heard >= due;
        out.ns = out.connect_ns + (clock::now_ns() - began);
        out.cpu = Snapshot::take(pids)?.since(before, num::index(u64::from(self.scenario.shards)));
        Ok(())
    }

    fn live(
        &mut self,
        outcome: &mut Outcome,
        pids: &[u32],
        shards: usize,
    ) -> Result<Vec<u64>, RunError> {
        let warmup = num::whole(self.scenario.warmup_seconds * SECOND as f64);
        if warmup > 0 {
            self.publish(&Order::Publish { ns: warmup })?;
        }
        for hand in self.workers.clone() {
            self.crew.order(hand, &Order::Measure)?;
        }
        self.ready(self.workers.len())?;
        self.timeline.clear();
        self.resident.clear();
        self.last = (clock::now_ns(), self.heard());
        let hands = self.workers.iter().chain(&self.publisher).map(|&hand| self.crew.pid(hand));
        let load: Vec<u32> = hands.collect();
        let load_before = Snapshot::take(&load)?;
        let before = Snapshot::take(pids)?;
        let published = self
            .publish(&Order::Publish { ns: num::whole(self.scenario.seconds * SECOND as f64) })?;
        outcome.cpu = Snapshot::take(pids)?.since(&before, shards);
        outcome.load_ns = Snapshot::take(&load)?.since(&load_before, 0).run_ns;
        outcome.events = published.events;
        outcome.refused += published.refused;
        outcome.ns = published.ns;
        outcome.deliveries = published.deliveries;
        outcome.drained = published.drained;
        Ok(published.sent)
    }

    fn publish(&mut self, order: &Order) -> Result<Published, RunError> {
        let Some(publisher) = self.publisher else { return Ok(Published::default()) };
        self.crew.order(publisher, order)?;
        let length = if let Order::Publish { ns } = order { *ns } else { CONNECT_NS_MAX };
        let until = clock::now_ns() + length + 4 * DRAIN_NS_MAX;
        loop {
            for word in self.hear("the publisher to be done", until)? {
                if let Word::Published(published) = word {
                    return Ok(published);
                }
            }
        }
    }

    fn settle(&mut self, outcome: &mut Outcome, sent: Vec<u64>) -> Result<(), RunError> {
        let order = Order::Settle { sent };
        for hand in self.workers.clone() {
            self.crew.order(hand, &order)?;
        }
        let until = clock::now_ns() + CONNECT_NS_MAX;
        let mut settled: Vec<Settled> = Vec::new();
        while settled.len() < self.workers.len() {
            for word in self.hear("the workers to settle", until)? {
                if let Word::Settled(it) = word {
                    settled.push(it);
                }
            }
        }
        let latencies: Vec<Counts> = settled.iter().map(|it| it.latencies.clone()).collect();
        outcome.latency = Summary::merged(&latencies);
        for it in settled {
            outcome.bytes += it.bytes;
            outcome.closed += it.closed;
            outcome.skipped += it.skipped;
            outcome.faults.add(it.faults);
            outcome.first_fault = outcome.first_fault.take().or(it.first_fault);
        }
        Ok(())
    }

    fn ready(&mut self, count: usize) -> Result<(), RunError> {
        let until = clock::now_ns() + START_NS_MAX;
        let mut ready = 0;
        while ready < count {
            ready += self
                .hear("a child to be ready", until)?
                .iter()
                .filter(|it| **it == Word::Ready)
                .count();
        }
        Ok(())
    }

    /// Listens for `ns`, so that no pipe fills up.
    fn rest(&mut self, ns: u64) -> Result<(), RunError> {
        let until = clock::now_ns() + ns;
        while let Some(left) = until.checked_sub(clock::now_ns()) {
            for (hand, word) in self.crew.listen(left)? {
                self.note(hand, &word)?;
            }
        }
        Ok(())
    }

    /// The next words but progress, which is noted.
    fn hear(&mut self, wanted: &'static str, until: u64) -> Result<Vec<Word>, RunError> {
        if clock::now_ns() > until {
            return Err(CrewError::Late { wanted }.into());
        }
        let mut words = Vec::new();
        for (hand, word) in self.crew.listen(100 * MILLI)? {
            if !self.note(hand, &word)? {
                words.push(word);
            }
        }
        Ok(words)
    }

    fn heard(&self) -> u64 {
        self.progress.iter().map(|it| it.events).sum()
    }

    fn note(&mut self, hand: usize, word: &Word) -> Result<bool, RunError> {
        let Word::Progress(progress) = word else { return Ok(false) };
        let index = self.workers.iter().position(|&it| it == hand).unwrap_or(0);
        if let Some(slot) = self.progress.get_mut(index) {
            *slot = *progress;
        }
        let (now, heard) = (clock::now_ns(), self.heard());
        let (since, before) = self.last;
        let tick = 200 * MILLI;
        if now - since >= tick {
            let began = self.timeline.last().map_or(0, |it| it.0);
            let at_ms = began + (now - since) / MILLI;
            self.timeline
                .push((at_ms, num::per(heard - before.min(heard), now - since) * SECOND as f64));
            self.last = (now, heard);
            if let Some(&pid) = self.pids()?.first() {
                self.resident.push((at_ms, proc::resident(pid)?));
            }
        }
        if now - self.shown_ns >= SECOND {
            self.shown_ns = now;
            let joined: u64 = self.progress.iter().map(|it| it.joined).sum();
            let rate = self.timeline.last().map_or(0.0, |it| it.1);
            (self.show)(&format!("{}: {joined} joined, {rate:.0} deliveries/s", self.label));
        }
        Ok(true)
    }

    fn stop(&mut self) {
        self.crew.dismiss();
        if let Process::Child(child) = &mut self.started.process {
            let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
            if let Some(pid) = pid {
                // Fails only for a process that has ended, which is what is wanted.
                let _asked = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            }
            crew::end(child);
        }
    }
}
