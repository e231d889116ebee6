//! Which pictures a scenario gets, and what is in them; `svg` draws, `html` and `docs` show.

use crate::outcome::Figure;
use crate::outcome::LIVE;
use crate::outcome::Outcome;
use crate::report::figures;
use crate::report::number;
use crate::report::svg;
use crate::report::svg::Axis;
use crate::report::svg::Bar;
use crate::report::svg::Line;
use crate::report::svg::Picture;
use crate::report::svg::Row;
use crate::scenario::Kind;
use crate::scenario::Scenario;
use crate::session::FLOOR;
use crate::session::Session;

/// From this length on a run shows whether memory grows.
const LONG_SECONDS: f64 = 60.0;

/// A picture and what is over it.
#[derive(Debug, Clone)]
pub(super) struct Plot {
    /// Which of a scenario's pictures it is.
    pub(super) key: &'static str,
    pub(super) title: String,
    pub(super) picture: Picture,
}

impl Plot {
    fn new(key: &'static str, title: impl Into<String>, picture: Picture) -> Self {
        Self { key, title: title.into(), picture }
    }
}

/// The pictures of one scenario.
pub(super) fn of(session: &Session, scenario: &Scenario) -> Vec<Plot> {
    let subjects = session.subjects(&scenario.name);
    if scenario.kind == Kind::Connect {
        // CPU, memory, joins a second.
        let shown = ["CPU per join", "user memory each", "joins"];
        let keys = ["cpu", "memory", "joins"];
        let find = |name: &&str| figures(Kind::Connect).iter().find(|it| it.name == *name);
        let plots = shown.iter().filter_map(find).zip(keys);
        return plots
            .map(|(figure, key)| Plot { key, ..bars(session, scenario, &subjects, *figure) })
            .collect();
    }
    let mut plots = vec![Plot { key: "cpu", ..bars(session, scenario, &subjects, LIVE[0]) }];
    plots.extend(latency(session, scenario, &subjects));
    plots.extend(rate(session, scenario, &subjects));
    if scenario.seconds >= LONG_SECONDS {
        plots.extend(memory(session, scenario, &subjects));
    }
    plots
}

/// Every scenario that the floor ran, and everyone beside it; `None` if there is none.
pub(super) fn overview(session: &Session) -> Option<Plot> {
    let mut rows = Vec::new();
    for scenario in session.scenarios.iter().filter(|it| it.kind == Kind::Live) {
        let mut dots = Vec::new();
        for subject in session.subjects(&scenario.name) {
            let ratio = session.ratio((&scenario.name, subject), (&scenario.name, FLOOR), LIVE[0]);
            // The yardstick is the line, and dialects have a picture of their own.
            if let Some(ratio) = ratio.filter(|_| subject != FLOOR) {
                dots.push((subject.to_owned(), ratio.median));
            }
        }
        if !dots.is_empty() {
            rows.push(Row { name: scenario.name.clone(), dots });
        }
    }
    let values =
        || rows.iter().flat_map(|row| row.dots.iter().map(|dot| dot.1)).filter(|it| *it > 0.0);
    let (least, most) = (values().fold(1.0, f64::min), values().fold(1.0, f64::max));
    if rows.is_empty() {
        return None;
    }
    let axis = Axis::ratios("CPU per delivery, of the floor's", least, most);
    Some(Plot::new("overview", "What a delivery costs, against the floor", svg::dots(&rows, &axis)))
}

fn bars(session: &Session, scenario: &Scenario, subjects: &[&str], of: Figure) -> Plot {
    let mut bars = Vec::new();
    for subject in subjects {
        let Some(it) = session.spread(&scenario.name, subject, of.of) else { continue };
        let ratio = session.ratio((&scenario.name, subject), (&scenario.name, FLOOR), of);
        let ratio = ratio
            .filter(|_| *subject != FLOOR && of.name.starts_with("CPU"))
            .map(|it| format!(" · {:.2}×", it.median))
            .unwrap_or_default();
        bars.push(Bar {
            name: (*subject).to_owned(),
            value: it.median,
            note: format!("{} {}{ratio}", number(it.median), of.unit),
            least: it.least,
            most: it.most,
            is_yardstick: *subject == FLOOR,
        });
    }
    Plot::new("bars", format!("{}, {}", of.name, of.unit), svg::bars(&bars))
}

fn latency(session: &Session, scenario: &Scenario, subjects: &[&str]) -> Option<Plot> {
    let curve = |it: &Outcome| -> Vec<(f64, f64)> {
        // The very first ones only stretch the axis: whoever comes first in a fan-out is soon served.
        let points = it.latency.curve.iter().filter(|point| point.quantile >= 0.1);
        points.map(|point| (1.0 / (1.0 - point.quantile), point.ns as f64 / 1e6)).collect()
    };
    let lines = lines(session, scenario, subjects, curve);
    let values =
        || lines.iter().flat_map(|it| it.points.iter().map(|point| point.1)).filter(|it| *it > 0.0);
    let (least, most) = (values().fold(f64::INFINITY, f64::min), values().fold(0.0, f64::max));
    if !least.is_finite() {
        return None;
    }
    let picture =
        svg::lines(&lines, &Axis::nines(), &Axis::logarithmic("milliseconds", least, most));
    Some(Plot::new("latency", "Latency by percentile", picture))
}

fn rate(session: &Session, scenario: &Scenario, subjects: &[&str]) -> Option<Plot> {
    let curve = |it: &Outcome| -> Vec<(f64, f64)> {
        it.timeline
            .iter()
            .map(|&(ms, rate)| (f64::from(u32::try_from(ms).unwrap_or(u32::MAX)) / 1e3, rate))
            .collect()
    };
    over_time(
        "rate",
        "Deliveries a second",
        "deliveries/s",
        &lines(session, scenario, subjects, curve),
    )
}

fn memory(session: &Session, scenario: &Scenario, subjects: &[&str]) -> Option<Plot> {
    let curve = |it: &Outcome| -> Vec<(f64, f64)> {
        it.resident
            .iter()
            .map(|&(ms, bytes)| (ms as f64 / 1e3, bytes as f64 / 1_048_576.0))
            .collect()
    };
    over_time("memory", "Resident memory", "MiB", &lines(session, scenario, subjects, curve))
}

fn over_time(key: &'static str, title: &str, unit: &'static str, lines: &[Line]) -> Option<Plot> {
    let most = |of: fn(&(f64, f64)) -> f64| {
        lines.iter().flat_map(|it| it.points.iter().map(of)).fold(0.0, f64::max)
    };
    if lines.is_empty() {
        return None;
    }
    let (x, y) = (Axis::linear("seconds", most(|it| it.0)), Axis::linear(unit, most(|it| it.1)));
    Some(Plot::new(key, title, svg::lines(lines, &x, &y)))
}

/// Of each subject the run in the middle; the yardstick last to be drawn would hide the others, so it is first.
fn lines(
    session: &Session,
    scenario: &Scenario,
    subjects: &[&str],
    curve: impl Fn(&Outcome) -> Vec<(f64, f64)>,
) -> Vec<Line> {
    let line = |subject: &&str| {
        let points = curve(session.middle(&scenario.name, subject)?);
        (points.len() > 1).then(|| Line { name: (*subject).to_owned(), points })
    };
    subjects.iter().filter_map(line).collect()
}
