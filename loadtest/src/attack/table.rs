//! The outcome of attacks as a table, for a terminal and for `docs/SECURITY.md`.

use super::Outcome;
use super::Scale;
use super::Unit;

/// The lines around what is written anew.
const MARKERS: (&str, &str) = (
    "<!-- Written by `fanwire-load attacks --docs docs` from here on. -->",
    "<!-- Written by `fanwire-load attacks` up to here. -->",
);

/// A row for each figure; `load`: the machine's load averages when it began.
pub(crate) fn markdown(outcomes: &[Outcome], scale: Scale, load: &str) -> String {
    let form = scale.of("short form: what is counted is held, and speeds are told", "whole");
    let mut text = format!(
        "Measured, {form}; load average {load} when it began.\n\n| attack | what others feel | measured | at most |\n| --- | --- | ---: | ---: |\n"
    );
    for outcome in outcomes {
        let name = outcome.attack.name;
        match &outcome.figures {
            Ok(figures) => {
                for figure in figures {
                    let missed = match figure.value <= figure.most {
                        true => "",
                        false if figure.holds(scale) => " (over the goal)",
                        false => " **missed**",
                    };
                    let (value, most) =
                        (told(figure.value, figure.unit), told(figure.most, figure.unit));
                    row(&mut text, &[name, &figure.what, &format!("{value}{missed}"), &most]);
                }
            }
            Err(error) => row(&mut text, &[name, &format!("could not be made: {error}"), "", ""]),
        }
    }
    text
}

fn row(text: &mut String, cells: &[&str]) {
    text.push_str(&format!("| {} |\n", cells.join(" | ")));
}

fn told(value: f64, unit: Unit) -> String {
    match unit {
        Unit::MiB => format!("{value:.1} MiB"),
        Unit::Millis => format!("{value:.1} ms"),
        Unit::Count => format!("{value:.0}"),
        Unit::Times => format!("{value:.2} x"),
        Unit::Percent => format!("{value:.1} %"),
    }
}

/// The page with this between its markers; `None` if it has none.
pub(crate) fn filled(page: &str, table: &str) -> Option<String> {
    let (before, rest) = page.split_once(MARKERS.0)?;
    let (_, after) = rest.split_once(MARKERS.1)?;
    Some(format!("{before}{}\n\n{table}\n{}{after}", MARKERS.0, MARKERS.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::attack::ALL;
    use crate::attack::Figure;

    #[test]
    fn a_missed_bound_is_told() {
        let figures = Ok(vec![Figure::none("lost", 3), Figure::bytes("peak", 1 << 20, 32.0)]);
        let text = markdown(&[Outcome { attack: ALL[0], figures }], Scale::Whole, "0.50");
        assert!(text.contains("| slow-readers | lost | 3 **missed** | 0 |"), "{text}");
        assert!(text.contains("| slow-readers | peak | 1.0 MiB | 32.0 MiB |"), "{text}");
    }

    #[test]
    fn a_speed_that_is_only_told_is_told_with_its_goal() {
        let figures = || Ok(vec![Figure::time("late", 300_000_000, 50.0)]);
        let told =
            |scale| markdown(&[Outcome { attack: ALL[0], figures: figures() }], scale, "0.50");
        let (short, whole) = (told(Scale::Short), told(Scale::Whole));
        assert!(short.contains("| late | 300.0 ms (over the goal) | 50.0 ms |"), "{short}");
        assert!(whole.contains("| late | 300.0 ms **missed** | 50.0 ms |"), "{whole}");
    }

    #[test]
    fn every_attack_stands_beside_what_it_is_about() {
        let page = include_str!("../../../docs/SECURITY.md");
        let (_, rest) = page.split_once("| what is promised | attack |").unwrap();
        let (promises, _) = rest.split_once(MARKERS.0).unwrap();
        for attack in ALL {
            assert!(promises.contains(&format!("`{}`", attack.name)), "{}", attack.name);
        }
        let cells = promises.lines().filter_map(|line| line.split('|').nth(2));
        for name in cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)) {
            assert!(ALL.iter().any(|attack| attack.name == name), "{name} is no attack");
        }
        assert!(filled(page, "new").is_some());
    }

    #[test]
    fn what_stands_outside_the_markers_stays() {
        let page = format!("before\n{}\nold\n{}\nafter", MARKERS.0, MARKERS.1);
        let filled = filled(&page, "new").unwrap();
        assert!(filled.starts_with("before\n") && filled.ends_with("\nafter"));
        assert!(filled.contains("\nnew\n") && !filled.contains("old"));
        assert_eq!(super::filled("no markers", "new"), None);
    }
}
