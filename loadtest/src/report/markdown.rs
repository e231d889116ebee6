//! The tables for `docs/PERFORMANCE.md`: goals first, then each scenario, medians of rounds with their spread.

use crate::report::figures;
use crate::report::goals;
use crate::report::number;
use crate::report::spread;
use crate::report::terms;
use crate::scenario::Scenario;
use crate::session::FLOOR;
use crate::session::Session;
use crate::session::Spread;

/// The whole of it.
pub(crate) fn markdown(session: &Session) -> String {
    let mut text = preamble(session);
    text.push_str(&goal_table(session));
    for scenario in &session.scenarios {
        text.push_str(&table(session, scenario).unwrap_or_default());
    }
    text.push_str(&reasons(session));
    text
}

/// The command and the machine.
pub(super) fn preamble(session: &Session) -> String {
    let machine = &session.machine;
    format!(
        "`{}`  \n{} × {}, Linux {}, load average {} when it began. Medians; least and most in brackets.\n\n",
        session.command, machine.cores, machine.processor, machine.kernel, machine.load_before
    )
}

/// What failed, and why.
pub(super) fn reasons(session: &Session) -> String {
    let mut text = String::new();
    for (subject, why, times) in session.reasons() {
        text.push_str(&format!("\n- {subject} failed in {times} runs: {why}\n"));
    }
    text
}

/// One scenario; `None` if nobody ran it.
pub(super) fn table(session: &Session, scenario: &Scenario) -> Option<String> {
    let subjects = session.subjects(&scenario.name);
    if subjects.is_empty() {
        return None;
    }
    let figures = figures(scenario.kind);
    let mut text = format!(
        "\n### {}\n\n`{}`: {}\n\n| subject | : floor |",
        scenario.title,
        scenario.name,
        terms(scenario)
    );
    // What is compared first, and is better if it is less: of a connect scenario that is the CPU.
    let compared = figures.iter().find(|it| it.name.starts_with("CPU"));
    for figure in figures {
        text.push_str(&format!(" {} ({}) |", figure.name, figure.unit));
    }
    text.push_str(" sound |\n|---|");
    text.push_str(&"---:|".repeat(figures.len() + 1));
    text.push_str("---|\n");
    for subject in subjects {
        let below = (scenario.name.as_str(), FLOOR);
        let ratio = compared.and_then(|it| session.ratio((&scenario.name, subject), below, *it));
        text.push_str(&format!("| {subject} | {} |", bracketed(ratio)));
        for figure in figures {
            let measured = session.spread(&scenario.name, subject, figure.of);
            text.push_str(&format!(" {} |", bracketed(measured)));
        }
        let sound = session.of(&scenario.name, subject).iter().all(|it| it.sound());
        text.push_str(if sound { " yes |\n" } else { " **no** |\n" });
    }
    Some(text)
}

fn bracketed(it: Option<Spread>) -> String {
    let (median, range) = spread(it);
    if range.is_empty() { median } else { format!("{median} ({range})") }
}

pub(super) fn goal_table(session: &Session) -> String {
    let mut text = "| goal | limit | measured | |\n|---|---:|---:|---|\n".to_owned();
    let mut open = Vec::new();
    let all = goals::all(session);
    for kept in &all {
        let verdict = match kept.met() {
            None => {
                let why = kept.why_open().map(|it| format!(" ({it})")).unwrap_or_default();
                open.push(format!("{}{why}", kept.name()));
                continue;
            }
            Some(true) if kept.stretched() => "met, and the stretch",
            Some(true) => "met",
            Some(false) => "**missed**",
        };
        let (unit, bound) = (kept.unit(), kept.bound());
        let stretch = kept.goal.stretch.map(|it| format!(", stretch {}", number(it)));
        text.push_str(&format!(
            "| {} | {bound} {} {unit}{} | {} {unit} | {verdict} |\n",
            kept.name(),
            number(kept.goal.limit),
            stretch.unwrap_or_default(),
            bracketed(kept.measured)
        ));
    }
    if open.len() == all.len() {
        text.clear();
    }
    if !open.is_empty() {
        text.push_str(&format!("\nNot measured: {}.\n", open.join("; ")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goals_that_were_not_measured_are_named() {
        let text = markdown(&Session::default());
        assert!(text.contains("Not measured: one event to 1k"), "{text}");
        assert!(!text.contains("| goal |"), "{text}");
    }
}
