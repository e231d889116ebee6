//! What tables cost: reads by key, writes while many listen, rows for dashboards, replays. Each against what it is held to, run in turn with it.
//!
//! Invariant: each measurement has a server of its own with an empty database; every answer is looked at, and a row that somebody does not hear ends the run as failed.

mod clients;
mod dashboards;
mod server;
mod users;

use crate::attack::AttackError;
use crate::attack::Scale;
use crate::clock::SECOND;
use crate::num;
use crate::subject::Tools;

use std::path::PathBuf;

use dashboards::Hear;
use server::Subject;
use users::Listen;

/// The programs, and how they are run.
#[derive(Debug)]
pub(crate) struct TablesTools {
    pub(crate) tools: Tools,
    /// The rival in Go.
    pub(crate) go: PathBuf,
    pub(crate) shards: u32,
    pub(crate) rounds: u32,
    pub(crate) rows_per_s: u64,
}

/// Something that was done so often, in so long, at so much CPU of the server.
#[derive(Debug, Clone, Copy)]
struct Measured {
    count: u64,
    took_ns: u64,
    run_ns: u64,
}

impl Measured {
    fn per_second(self) -> f64 {
        self.count as f64 * SECOND as f64 / self.took_ns as f64
    }

    fn cpu_ns_each(self) -> f64 {
        num::per(self.run_ns, self.count)
    }

    /// How many two cores could do that have nothing else to do.
    fn of_two_cores(self) -> f64 {
        2.0 * SECOND as f64 / self.cpu_ns_each()
    }
}

/// A line of the outcome.
#[derive(Debug)]
pub(crate) struct Line {
    what: String,
    measured: String,
    goal: String,
    holds: bool,
}

impl Line {
    fn told(what: impl Into<String>, measured: String) -> Self {
        Self { what: what.into(), measured, goal: String::new(), holds: true }
    }

    fn at_least(what: impl Into<String>, value: f64, least: f64, unit: &str) -> Self {
        let (measured, goal) = (shown(value, unit), format!("at least {}", shown(least, unit)));
        Self { what: what.into(), measured, goal, holds: value >= least }
    }

    fn at_most(what: impl Into<String>, value: f64, most: f64, unit: &str) -> Self {
        let (measured, goal) = (shown(value, unit), format!("at most {}", shown(most, unit)));
        Self { what: what.into(), measured, goal, holds: value <= most }
    }

    pub(crate) const fn holds(&self) -> bool {
        self.holds
    }
}

fn shown(value: f64, unit: &str) -> String {
    if value < 100.0 { format!("{value:.2}{unit}") } else { format!("{value:.0}{unit}") }
}

/// What is measured, by its name.
type Case = (&'static str, fn(&TablesTools, Scale) -> Result<Vec<Line>, AttackError>);

pub(crate) const CASES: [Case; 4] =
    [("reads", reads), ("writes", writes), ("rows", rows), ("replays", replays)];

/// Runs two in turn, so many times; the median of each by the CPU that one takes.
fn in_turn<const N: usize>(
    rounds: u32,
    mut run: [&mut dyn FnMut() -> Result<Measured, AttackError>; N],
) -> Result<[Measured; N], AttackError> {
    let mut all: [Vec<Measured>; N] = std::array::from_fn(|_| Vec::new());
    for _ in 0..rounds.max(1) {
        for (run, all) in run.iter_mut().zip(&mut all) {
            all.push(run()?);
        }
    }
    Ok(all.map(|mut of| {
        of.sort_by(|one, other| one.cpu_ns_each().total_cmp(&other.cpu_ns_each()));
        of[of.len() / 2]
    }))
}

fn reads(tools: &TablesTools, scale: Scale) -> Result<Vec<Line>, AttackError> {
    if scale == Scale::Short && !tools.go.is_file() {
        let ours = users::reads(Subject::Fanwire, tools, scale)?;
        let told = format!(
            "{:.1} µs of CPU each; {} is not built",
            ours.cpu_ns_each() / 1e3,
            tools.go.display()
        );
        return Ok(vec![Line::told("reads by key, 64 clients: Fanwire", told)]);
    }
    let [ours, go] = in_turn(
        tools.rounds,
        [&mut || users::reads(Subject::Fanwire, tools, scale), &mut || {
            users::reads(Subject::Go, tools, scale)
        }],
    )?;
    let told = |of: Measured, name: &str| {
        let (each, rate) = (of.cpu_ns_each() / 1e3, of.per_second());
        Line::told(
            format!("reads by key, 64 clients: {name}"),
            format!("{each:.1} µs of CPU each, {rate:.0}/s beside their clients"),
        )
    };
    Ok(vec![
        told(ours, Subject::Fanwire.name()),
        told(go, Subject::Go.name()),
        Line::at_least(
            "what two cores could read in a second",
            ours.of_two_cores(),
            60_000.0,
            "/s",
        ),
        Line::at_least("against Go, by CPU", go.cpu_ns_each() / ours.cpu_ns_each(), 3.0, " x"),
    ])
}

fn writes(tools: &TablesTools, scale: Scale) -> Result<Vec<Line>, AttackError> {
    let mut writes_per_s = Vec::new();
    let [ours, native] = in_turn(
        tools.rounds,
        [
            &mut || {
                let of = (Subject::Fanwire, Listen::ResolveSpec);
                let (measured, written) = users::writes(of, tools, scale)?;
                writes_per_s.push(written as f64 * SECOND as f64 / measured.took_ns as f64);
                Ok(measured)
            },
            &mut || Ok(users::writes((Subject::Fanwire, Listen::Native), tools, scale)?.0),
        ],
    )?;
    writes_per_s.sort_by(f64::total_cmp);
    let rate = writes_per_s[writes_per_s.len() / 2];
    let each = |of: Measured| format!("{:.0} ns of CPU each", of.cpu_ns_each());
    Ok(vec![
        Line::at_least("writes with response, 1,000 notified", rate, 2_000.0, "/s"),
        Line::told("notifications of ResolveSpec", each(ours)),
        Line::told("events of the native protocol, ids of their own", each(native)),
        Line::at_most(
            "notifications against native ones, by CPU",
            ours.cpu_ns_each() / native.cpu_ns_each(),
            1.15,
            " x",
        ),
    ])
}

fn rows(tools: &TablesTools, scale: Scale) -> Result<Vec<Line>, AttackError> {
    let [columns, events] = in_turn(
        tools.rounds,
        [&mut || dashboards::rows(Hear::Columns, tools, scale), &mut || {
            dashboards::rows(Hear::Events, tools, scale)
        }],
    )?;
    let each = |of: Measured| format!("{:.0} ns of CPU each", of.cpu_ns_each());
    Ok(vec![
        Line::told("rows of rtbdp, in batches of columns", each(columns)),
        Line::told("the same rows as native events", each(events)),
        Line::at_most(
            "rows against events, by CPU",
            columns.cpu_ns_each() / events.cpu_ns_each(),
            0.5,
            " x",
        ),
    ])
}

fn replays(tools: &TablesTools, scale: Scale) -> Result<Vec<Line>, AttackError> {
    let [all] = in_turn(tools.rounds, [&mut || dashboards::replays(tools, scale)])?;
    let (each, took) = (all.cpu_ns_each() / 1e3, all.took_ns as f64 / 1e6);
    Ok(vec![Line::told(
        format!("a replay of 1,000 rows for {} clients at once", all.count),
        format!("{each:.0} µs of CPU each, {took:.0} ms until everybody had them"),
    )])
}

/// The outcome as a table.
pub(crate) fn markdown(lines: &[Line]) -> String {
    let mut text = "| what | measured | goal |\n| --- | ---: | ---: |\n".to_owned();
    for Line { what, measured, goal, holds } in lines {
        let missed = if *holds { "" } else { " **missed**" };
        text.push_str(&format!("| {what} | {measured}{missed} | {goal} |\n"));
    }
    text
}
