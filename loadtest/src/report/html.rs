//! The page: promises on top, then a card for each scenario with its pictures and its table.
//!
//! Self-contained: style and pictures are in it, nothing is fetched, no script runs.

use crate::outcome::Figure;
use crate::outcome::Outcome;
use crate::report::figures;
use crate::report::goals;
use crate::report::number;
use crate::report::spread;
use crate::report::svg;
use crate::report::svg::Axis;
use crate::report::svg::Bar;
use crate::report::svg::Line;
use crate::report::svg::escape;
use crate::scenario::Kind;
use crate::scenario::Rate;
use crate::scenario::Scenario;
use crate::session::FLOOR;
use crate::session::Session;

const STYLE: &str = include_str!("page.css");

/// The whole page.
pub(crate) fn html(session: &Session) -> String {
    let machine = &session.machine;
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>Fanwire under load</title><style>{STYLE}</style><main><h1>Fanwire under load</h1>\
         <p>{} × {} · Linux {} · load average {} when it began · medians of interleaved rounds</p><p><code>{}</code></p>",
        machine.cores,
        escape(&machine.processor),
        escape(&machine.kernel),
        escape(&machine.load_before),
        escape(&session.command)
    );
    page.push_str(&promises(session));
    for scenario in &session.scenarios {
        page.push_str(&card(session, scenario));
    }
    if !session.failures.is_empty() {
        page.push_str("<section><h2>Runs that failed</h2>");
        for failure in &session.failures {
            let why = escape(&failure.why);
            page.push_str(&format!(
                "<p>{} / {} / round {}: {why}</p>",
                failure.scenario, failure.subject, failure.round
            ));
        }
        page.push_str("</section>");
    }
    page.push_str("</main></html>\n");
    page
}

fn promises(session: &Session) -> String {
    let kept = goals::all(session);
    let measured: Vec<bool> = kept.iter().filter_map(goals::Kept::met).collect();
    if measured.is_empty() {
        return String::new();
    }
    let met = measured.iter().filter(|it| **it).count();
    let class = if met == measured.len() { "met" } else { "missed" };
    let mut out = format!(
        "<section><h2>Goals <span class=\"chip {class}\">{met} of {} met</span></h2><div class=\"goals\">",
        measured.len()
    );
    for kept in kept {
        let class = match kept.met() {
            None => "open",
            Some(true) => "met",
            Some(false) => "missed",
        };
        out.push_str(&format!(
            "<div class=\"goal {class}\"><span>{}</span><b>{} {}</b><em>{} {}</em></div>",
            escape(kept.goal.what),
            spread(kept.measured).0,
            kept.unit(),
            kept.bound(),
            number(kept.goal.limit)
        ));
    }
    out.push_str("</div></section>");
    out
}

fn card(session: &Session, scenario: &Scenario) -> String {
    let subjects = session.subjects(&scenario.name);
    if subjects.is_empty() {
        return String::new();
    }
    let mut card = format!(
        "<section><h2>{}</h2><p><code>{}</code> · {}</p><div class=\"legend\">",
        escape(&scenario.title),
        escape(&scenario.name),
        escape(&terms(scenario))
    );
    for subject in &subjects {
        card.push_str(&format!("<span class=\"s-{subject}\"><i></i>{subject}</span>"));
    }
    card.push_str("</div><div class=\"plots\">");
    if scenario.kind == Kind::Connect {
        for at in [1, 2, 0] {
            card.push_str(&bars(session, scenario, &subjects, figures(Kind::Connect)[at]));
        }
    } else {
        card.push_str(&bars(session, scenario, &subjects, figures(scenario.kind)[0]));
        card.push_str(&latency(session, scenario, &subjects));
        card.push_str(&rate(session, scenario, &subjects));
        if scenario.seconds >= 60.0 {
            card.push_str(&memory(session, scenario, &subjects));
        }
    }
    card.push_str("</div>");
    card.push_str(&table(session, scenario, &subjects));
    card.push_str("</section>");
    card
}

/// How the scenario goes, in a line.
fn terms(scenario: &Scenario) -> String {
    let mut terms = vec![format!("{} subscribers", number(f64::from(scenario.subscribers)))];
    if scenario.topics > 1 {
        terms.push(format!("{} topics", number(f64::from(scenario.topics))));
    }
    if scenario.kind == Kind::Live {
        terms.push(match scenario.rate {
            Rate::Window(window) => format!("closed loop, {window} on their way"),
            Rate::PerSecond(rate) => format!("open loop, {} events a second", number(rate)),
            Rate::OfFloor(share) => {
                format!("open loop, {} % of what the floor can", number(share * 100.0))
            }
        });
        terms.push(format!("{} s a round", number(scenario.seconds)));
    }
    terms.push(if scenario.telemetry {
        "ADS-B telemetry".to_owned()
    } else {
        format!("{} bytes", scenario.payload_bytes)
    });
    terms.join(" · ")
}

fn figure(title: &str, picture: &str) -> String {
    format!("<figure><h3>{}</h3>{picture}</figure>", escape(title))
}

fn bars(session: &Session, scenario: &Scenario, subjects: &[&str], of: Figure) -> String {
    let mut bars = Vec::new();
    for subject in subjects {
        let Some(it) = session.spread(&scenario.name, subject, of.of) else { continue };
        let ratio = session.ratio((&scenario.name, subject), (&scenario.name, FLOOR), of);
        let ratio = ratio
            .filter(|_| *subject != FLOOR)
            .map(|it| format!(" · {:.2}×", it.median))
            .unwrap_or_default();
        bars.push(Bar {
            name: (*subject).to_owned(),
            value: it.median,
            note: format!("{} {}{ratio}", number(it.median), of.unit),
            least: it.least,
            most: it.most,
        });
    }
    figure(&format!("{}, {}", of.name, of.unit), &svg::bars(&bars))
}

fn latency(session: &Session, scenario: &Scenario, subjects: &[&str]) -> String {
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
        return String::new();
    }
    figure(
        "Latency by percentile",
        &svg::lines(&lines, &Axis::nines(), &Axis::logarithmic("milliseconds", least, most)),
    )
}

fn rate(session: &Session, scenario: &Scenario, subjects: &[&str]) -> String {
    let curve = |it: &Outcome| -> Vec<(f64, f64)> {
        it.timeline
            .iter()
            .map(|&(ms, rate)| (f64::from(u32::try_from(ms).unwrap_or(u32::MAX)) / 1e3, rate))
            .collect()
    };
    over_time("Deliveries a second", "deliveries/s", &lines(session, scenario, subjects, curve))
}

fn memory(session: &Session, scenario: &Scenario, subjects: &[&str]) -> String {
    let curve = |it: &Outcome| -> Vec<(f64, f64)> {
        it.resident
            .iter()
            .map(|&(ms, bytes)| (ms as f64 / 1e3, bytes as f64 / 1_048_576.0))
            .collect()
    };
    over_time("Resident memory", "MiB", &lines(session, scenario, subjects, curve))
}

fn over_time(title: &str, unit: &'static str, lines: &[Line]) -> String {
    let most = |of: fn(&(f64, f64)) -> f64| {
        lines.iter().flat_map(|it| it.points.iter().map(of)).fold(0.0, f64::max)
    };
    if lines.is_empty() {
        return String::new();
    }
    figure(
        title,
        &svg::lines(
            lines,
            &Axis::linear("seconds", most(|it| it.0)),
            &Axis::linear(unit, most(|it| it.1)),
        ),
    )
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

fn table(session: &Session, scenario: &Scenario, subjects: &[&str]) -> String {
    let figures = figures(scenario.kind);
    let mut out = "<div class=\"scroll\"><table><tr><th>subject</th>".to_owned();
    for figure in figures {
        out.push_str(&format!("<th>{}, {}</th>", escape(figure.name), escape(figure.unit)));
    }
    out.push_str("<th>lost, twice, out of order</th></tr>");
    for subject in subjects {
        out.push_str(&format!("<tr><td>{subject}</td>"));
        for figure in figures {
            let (median, range) = spread(session.spread(&scenario.name, subject, figure.of));
            out.push_str(&format!("<td>{median}<small>{range}</small></td>"));
        }
        out.push_str(&soundness(&session.of(&scenario.name, subject)));
        out.push_str("</tr>");
    }
    out.push_str("</table></div>");
    out
}

fn soundness(outcomes: &[&Outcome]) -> String {
    if outcomes.iter().all(|it| it.sound()) {
        return "<td><span class=\"chip met\">none</span></td>".to_owned();
    }
    let sum = |of: fn(&Outcome) -> u64| outcomes.iter().map(|it| of(it)).sum::<u64>();
    format!(
        "<td><span class=\"chip missed\">{}, {}, {}</span><small>{} closed, {} refused</small></td>",
        sum(|it| it.faults.lost),
        sum(|it| it.faults.duplicate),
        sum(|it| it.faults.disordered + it.faults.foreign),
        sum(|it| it.closed),
        sum(|it| it.refused)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_fetches_nothing() {
        let mut session = Session::default();
        session
            .scenarios
            .push(toml::from_str("name = \"s\"\ntitle = \"<T>\"\nsubscribers = 10").unwrap());
        let outcome =
            Outcome { scenario: "s".to_owned(), subject: "floor".to_owned(), ..Outcome::default() };
        session.outcomes.push(outcome);
        let page = html(&session);
        assert!(page.contains("&lt;T&gt;") && !page.contains("<T>"));
        for needle in ["http://", "https://", "<script", "src="] {
            assert!(!page.contains(needle), "{needle}");
        }
    }
}
