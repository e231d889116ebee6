//! `fanwire-load`: puts fan-out servers under load and tells what their subscribers feel.
//!
//! One process holds the strings (`session`, `run`), and starts itself again as workers that hold subscribers, a publisher,
//! and the floor. It never imports the server: a load generator that shares the server's codec shares its bugs.
//!
//! In the order of the data: `publisher` marks (`mark`) what it takes from a `feed` and sends it by an `outlet` to a
//! `subject`; `worker` feeds what arrives to each `subscriber`, which keeps a `tally` and `latency`; `run` adds it all up
//! into an `outcome`, `session` into medians, `report` into a page.

mod clock;
mod limits;
mod num;

mod mark;

mod tally;

mod latency;

mod websocket;

mod mqtt;

mod inflate;

mod speech;

mod message;

mod scoreboard;

mod filters;

mod feed;

mod outlet;

mod publisher;

mod subscriber;

mod worker;

mod floor;

mod child;

mod crew;

mod proc;

mod scenario;

mod subject;

mod progress;

mod run;

mod outcome;

mod session;

mod report;

mod attack;

mod tables;

mod cli;

use crate::attack::Attack;
use crate::attack::AttackError;
use crate::attack::Scale;
use crate::cli::Cli;
use crate::cli::Command;
use crate::cli::SessionArgs;
use crate::message::Plan;
use crate::message::Word;
use crate::run::RunError;
use crate::scenario::Scenario;
use crate::scenario::ScenarioError;
use crate::session::Program;
use crate::session::Session;

use std::fmt;
use std::io;
use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser as _;

/// What a session is kept in.
const RESULTS: &str = "results.json";

/// Why nothing came of it.
#[derive(Debug)]
enum Failed {
    Scenario(ScenarioError),
    Run(RunError),
    Output { path: PathBuf, error: io::Error },
    Unsound { runs: usize },
    Attack(AttackError),
    Missed { attacks: usize },
    NoSuchCase { name: String },
    GoalsMissed { goals: usize },
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scenario(error) => error.fmt(f),
            Self::Run(error) => error.fmt(f),
            Self::Output { path, error } => write!(f, "{}: {error}", path.display()),
            Self::Attack(error) => error.fmt(f),
            Self::NoSuchCase { name } => {
                let names: Vec<&str> = tables::CASES.iter().map(|(name, _)| *name).collect();
                write!(f, "there is no case {name}; there are {}", names.join(", "))
            }
            Self::GoalsMissed { goals } => write!(f, "{goals} goals are missed"),
            Self::Missed { attacks } => {
                write!(f, "{attacks} attacks cost others more than they may")
            }
            Self::Unsound { runs } => {
                write!(f, "{runs} runs failed, or lost, repeated or disordered events")
            }
        }
    }
}

impl From<ScenarioError> for Failed {
    fn from(error: ScenarioError) -> Self {
        Self::Scenario(error)
    }
}

impl From<AttackError> for Failed {
    fn from(error: AttackError) -> Self {
        Self::Attack(error)
    }
}

impl From<RunError> for Failed {
    fn from(error: RunError) -> Self {
        Self::Run(error)
    }
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Child => return child(),
        Command::Become { command } => return become_another(&command),
        Command::Run(args) => run(&args),
        Command::ReportAll(args) => report_all(&args),
        Command::Render { out, docs } => render(&out, docs.as_deref()),
        Command::List { scenarios } => list(&scenarios),
        Command::Attacks(args) => attacks(&args),
        Command::Tables(args) => measure_tables(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            say(&failed.to_string());
            ExitCode::FAILURE
        }
    }
}

/// The other end of `crew`.
fn child() -> ExitCode {
    let done = child::plan().and_then(|plan| match plan {
        Plan::Worker(plan) => worker::run(plan),
        Plan::Publisher(plan) => publisher::run(plan),
        Plan::Floor(plan) => floor::run(&plan),
        Plan::Crowd(plan) => attack::run_crowd(&plan),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => ExitCode::SUCCESS,
        Err(error) => {
            // If the parent is gone too, so is everyone who would want to know.
            drop(child::say(&Word::Failed { what: error.to_string() }));
            ExitCode::FAILURE
        }
    }
}

/// The other end of `crew::guarded`.
fn become_another(command: &[std::ffi::OsString]) -> ExitCode {
    say(&child::become_another(command).to_string());
    ExitCode::FAILURE
}

fn run(args: &cli::Run) -> Result<(), Failed> {
    let mut scenarios = Vec::new();
    for name in &args.scenario {
        let path = Path::new(name);
        let path = if path.exists() {
            path.to_owned()
        } else {
            args.session.scenarios.join(format!("{name}.toml"))
        };
        let mut scenario = Scenario::read(&path)?;
        scenario.subscribers = args.subscribers.unwrap_or(scenario.subscribers);
        scenarios.push(scenario);
    }
    let session = session(&scenarios, &args.subject, &args.session)?;
    soundness(&session, !args.subject.is_empty())
}

fn report_all(args: &cli::ReportAll) -> Result<(), Failed> {
    let mut scenarios = scenario::read_all(&args.session.scenarios)?;
    scenarios.retain(|it| !it.only_named || args.only.contains(&it.name));
    scenarios
        .retain(|it| args.only.is_empty() || args.only.iter().any(|part| it.name.contains(part)));
    if args.session.tools.telemetry.is_none() {
        let without: Vec<&str> =
            scenarios.iter().filter(|it| it.telemetry).map(|it| it.name.as_str()).collect();
        if !without.is_empty() {
            say(&format!("without --telemetry these are left out: {}", without.join(", ")));
        }
        scenarios.retain(|it| !it.telemetry);
    }
    let session = session(&scenarios, &[], &args.session)?;
    if let Some(docs) = &args.docs {
        document(&session, docs, !args.only.is_empty())?;
    }
    soundness(&session, false)
}

/// Whether every run of a session came to something; `all`: rivals', too.
fn soundness(session: &Session, all: bool) -> Result<(), Failed> {
    match session.unsound(all) {
        0 => Ok(()),
        runs => Err(Failed::Unsound { runs }),
    }
}

fn session(
    scenarios: &[Scenario],
    subjects: &[String],
    args: &SessionArgs,
) -> Result<Session, Failed> {
    let mut scenarios = scenarios.to_vec();
    for scenario in &mut scenarios {
        scenario.seconds = args.seconds.unwrap_or(scenario.seconds);
        scenario.check()?;
    }
    let tools = args.tools.tools();
    let program =
        Program { scenarios: &scenarios, subjects, rounds: args.rounds.max(1), tools: &tools };
    let command: Vec<String> = std::env::args().skip(1).collect();
    let out = &args.out;
    let at = |error| Failed::Output { path: out.clone(), error };
    std::fs::create_dir_all(out).map_err(at)?;
    let command = format!("fanwire-load {}", command.join(" "));
    let before = if args.resume { Some(read(out)?) } else { None };
    let (runs, seconds) = program.size()?;
    let done = before.as_ref().map_or(0, |it| it.outcomes.len());
    say(&format!(
        "{runs} runs, about {} in all, {done} results are there already; each is kept in {} (--resume goes on from there, `render` shows it)",
        progress::spoken(seconds),
        out.join(RESULTS).display()
    ));
    let session = Session::run(&program, before, command, &mut |session| keep(session, out))?;
    keep(&session, out).map_err(at)?;
    write_report(&session, out)?;
    Ok(session)
}

/// A word to whoever waits; nobody is left to tell if standard error is gone.
fn say(what: &str) {
    drop(writeln!(io::stderr(), "fanwire-load: {what}"));
}

/// Whole or not at all: a session may be ended at any moment.
fn keep(session: &Session, out: &Path) -> io::Result<()> {
    let (path, part) = (out.join(RESULTS), out.join("results.json.part"));
    std::fs::write(&part, serde_json::to_vec(session).map_err(io::Error::other)?)?;
    std::fs::rename(part, path)
}

fn read(out: &Path) -> Result<Session, Failed> {
    let path = out.join(RESULTS);
    let at = |error| Failed::Output { path: path.clone(), error };
    let bytes = std::fs::read(&path).map_err(at)?;
    serde_json::from_slice(&bytes).map_err(|error| at(io::Error::other(error)))
}

fn render(out: &Path, docs: Option<&Path>) -> Result<(), Failed> {
    let session = read(out)?;
    write_report(&session, out)?;
    docs.map_or(Ok(()), |docs| document(&session, docs, false))
}

/// Puts a session's tables into the repository's page, and its pictures beside it; `is_part`: what it has not measured stays.
fn document(session: &Session, docs: &Path, is_part: bool) -> Result<(), Failed> {
    let at = |error| Failed::Output { path: docs.to_owned(), error };
    let pictures = docs.join(report::PICTURES);
    std::fs::create_dir_all(&pictures).map_err(at)?;
    // Of a part the overview would show the part.
    let made = report::pictures(session).into_iter();
    for (name, picture) in made.filter(|(name, _)| !is_part || name != "overview.svg") {
        std::fs::write(pictures.join(name), picture).map_err(at)?;
    }
    let page = docs.join("PERFORMANCE.md");
    let text = std::fs::read_to_string(&page).map_err(at)?;
    let text = match is_part {
        true => report::patched(&text, session),
        false => report::filled(&text, &report::document(session)),
    };
    let text = text.ok_or_else(|| {
        at(io::Error::other(format!("PERFORMANCE.md has no line {}", report::MARKERS.0)))
    })?;
    std::fs::write(page, text).map_err(at)
}

fn attacks(args: &cli::Attacks) -> Result<(), Failed> {
    let mut chosen: Vec<Attack> = Vec::new();
    for name in &args.only {
        let found = attack::ALL.iter().find(|it| it.name == *name);
        chosen.push(*found.ok_or_else(|| AttackError::NoSuchAttack { name: name.clone() })?);
    }
    if chosen.is_empty() {
        chosen.extend(attack::ALL);
    }
    let scale = if args.short { Scale::Short } else { Scale::Whole };
    let tools = args.tools.tools();
    let load = proc::load();
    let mut outcomes = Vec::new();
    for attack in chosen {
        say(&format!("{}: {}", attack.name, attack.about));
        let began_ns = clock::now_ns();
        outcomes.push(attack::run(attack, &tools, scale));
        say(&format!("{}: {} s", attack.name, (clock::now_ns() - began_ns) / clock::SECOND));
    }
    let table = attack::markdown(&outcomes, scale, &load);
    let at = |error| Failed::Output { path: PathBuf::from("standard output"), error };
    writeln!(io::stdout(), "{table}").map_err(at)?;
    if let Some(docs) = &args.docs {
        let page = docs.join("SECURITY.md");
        let at = |error| Failed::Output { path: page.clone(), error };
        let text = std::fs::read_to_string(&page).map_err(at)?;
        let text = attack::filled(&text, &table)
            .ok_or_else(|| at(io::Error::other("SECURITY.md has no place for the table")))?;
        std::fs::write(&page, text).map_err(at)?;
    }
    let missed = outcomes.iter().filter(|outcome| !outcome.holds(scale)).count();
    if missed == 0 { Ok(()) } else { Err(Failed::Missed { attacks: missed }) }
}

/// What tables cost. In the short form goals are told and not held: a debug build beside others is no measurement.
fn measure_tables(args: &cli::Tables) -> Result<(), Failed> {
    let known = |name: &&String| tables::CASES.iter().any(|(of, _)| of == name);
    if let Some(name) = args.only.iter().find(|name| !known(name)) {
        return Err(Failed::NoSuchCase { name: name.clone() });
    }
    let scale = if args.short { Scale::Short } else { Scale::Whole };
    let mut lines = Vec::new();
    for (name, run) in tables::CASES {
        if args.only.is_empty() || args.only.iter().any(|only| only == name) {
            say(name);
            lines.extend(run(&args.tools(), scale)?);
        }
    }
    let at = |error| Failed::Output { path: PathBuf::from("standard output"), error };
    writeln!(io::stdout(), "{}", tables::markdown(&lines)).map_err(at)?;
    let goals = lines.iter().filter(|line| !line.holds()).count();
    if goals == 0 || args.short { Ok(()) } else { Err(Failed::GoalsMissed { goals }) }
}

fn write_report(session: &Session, out: &Path) -> Result<(), Failed> {
    let at = |error| Failed::Output { path: out.to_owned(), error };
    std::fs::write(out.join("report.html"), report::html(session)).map_err(at)?;
    let table = report::markdown(session);
    std::fs::write(out.join("report.md"), &table).map_err(at)?;
    writeln!(io::stdout(), "{table}\n{}", out.join("report.html").display()).map_err(at)
}

fn list(scenarios: &Path) -> Result<(), Failed> {
    let mut out = io::stdout().lock();
    let at = |error| Failed::Output { path: PathBuf::from("standard output"), error };
    for scenario in scenario::read_all(scenarios)? {
        writeln!(out, "{:<24} {}", scenario.name, scenario.title).map_err(at)?;
    }
    writeln!(out).map_err(at)?;
    for subject in subject::ALL {
        writeln!(out, "{:<24} {}", subject.name(), subject.about()).map_err(at)?;
    }
    Ok(())
}
