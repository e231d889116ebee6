//! The tables for `docs/PERFORMANCE.md`: goals first, then each scenario, medians of rounds with their spread.

use crate::report::figures;
use crate::report::goals;
use crate::report::number;
use crate::report::spread;
use crate::session::FLOOR;
use crate::session::Session;

/// The whole of it.
pub(crate) fn markdown(session: &Session) -> String {
    let machine = &session.machine;
    let mut text = format!(
        "`{}`  \n{} × {}, Linux {}, load average {} when it began. Medians; least and most in brackets.\n\n",
        session.command, machine.cores, machine.processor, machine.kernel, machine.load_before
    );
    text.push_str(&goal_table(session));
    for scenario in &session.scenarios {
        let subjects = session.subjects(&scenario.name);
        if subjects.is_empty() {
            continue;
        }
        let figures = figures(scenario.kind);
        text.push_str(&format!("\n### {}\n\n`{}`\n\n| subject |", scenario.title, scenario.name));
        for figure in figures {
            text.push_str(&format!(" {} ({}) |", figure.name, figure.unit));
        }
        text.push_str(" : floor | sound |\n|---|");
        text.push_str(&"---:|".repeat(figures.len() + 2));
        text.push('\n');
        for subject in subjects {
            text.push_str(&format!("| {subject} |"));
            for figure in figures {
                let (median, range) = spread(session.spread(&scenario.name, subject, figure.of));
                let range = if range.is_empty() { range } else { format!(" ({range})") };
                text.push_str(&format!(" {median}{range} |"));
            }
            let below = (scenario.name.as_str(), FLOOR);
            let ratio =
                figures.first().and_then(|it| session.ratio((&scenario.name, subject), below, *it));
            let sound = session.of(&scenario.name, subject).iter().all(|it| it.sound());
            text.push_str(&format!(
                " {} | {} |\n",
                spread(ratio).0,
                if sound { "yes" } else { "**no**" }
            ));
        }
    }
    for failure in &session.failures {
        let (scenario, subject, round) = (&failure.scenario, &failure.subject, failure.round);
        text.push_str(&format!(
            "\n- {scenario} / {subject} / round {round} failed: {}\n",
            failure.why
        ));
    }
    text
}

fn goal_table(session: &Session) -> String {
    let mut text = "| goal | limit | measured | |\n|---|---:|---:|---|\n".to_owned();
    let mut open = Vec::new();
    for kept in goals::all(session) {
        let (median, range) = spread(kept.measured);
        let range = if range.is_empty() { range } else { format!(" ({range})") };
        let verdict = match kept.met() {
            None => {
                open.push(kept.goal.what);
                continue;
            }
            Some(true) => "met",
            Some(false) => "**missed**",
        };
        let unit = kept.unit();
        text.push_str(&format!(
            "| {} | {} {} {unit} | {median} {unit}{range} | {verdict} |\n",
            kept.goal.what,
            kept.bound(),
            number(kept.goal.limit)
        ));
    }
    if open.len() == goals::all(session).len() {
        text.clear();
    }
    if open.is_empty() {
        return text;
    }
    text.push_str(&format!("\nNot measured in this session: {}.\n", open.join("; ")));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goals_that_were_not_measured_are_named() {
        let text = markdown(&Session::default());
        assert!(text.contains("Not measured in this session: one event to 1k"), "{text}");
        assert!(!text.contains("| goal |"), "{text}");
    }
}
