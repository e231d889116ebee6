//! What `docs/PERFORMANCE.md` holds between its markers, and the pictures beside it.
//!
//! Invariant: what stands outside the markers is never touched.

use crate::report::markdown::goal_table;
use crate::report::markdown::preamble;
use crate::report::markdown::reasons;
use crate::report::markdown::table;
use crate::report::plots;
use crate::scenario::Scenario;
use crate::session::Session;

/// The folder of the pictures, beside the page.
pub(crate) const PICTURES: &str = "performance";

/// The lines around what is written anew.
pub(crate) const MARKERS: (&str, &str) = (
    "<!-- Written by `fanwire-load render --docs docs` from here on. -->",
    "<!-- Written by `fanwire-load render` up to here. -->",
);

/// Scenarios whose latencies are worth a picture in the page; of every other the bars are.
const WITH_LATENCY: &[&str] = &["half-load", "telemetry", "soak"];
/// Likewise with the rate over time, and memory.
const WITH_TIME: &[&str] = &["soak"];

/// Every picture of the page: its file's name and its text.
pub(crate) fn pictures(session: &Session) -> Vec<(String, String)> {
    let mut pictures = Vec::new();
    if let Some(plot) = plots::overview(session) {
        pictures.push(("overview.svg".to_owned(), plot.picture.alone(&plot.title)));
    }
    for scenario in &session.scenarios {
        if session.subjects(&scenario.name).is_empty() {
            continue;
        }
        for plot in plots::of(session, scenario) {
            if is_shown(&scenario.name, plot.key) {
                let title = format!("{}: {}", scenario.name, plot.title);
                let name = format!("{}-{}.svg", scenario.name, plot.key);
                pictures.push((name, plot.picture.alone(&title)));
            }
        }
    }
    pictures
}

fn is_shown(scenario: &str, key: &str) -> bool {
    match key {
        "latency" => WITH_LATENCY.contains(&scenario),
        "rate" => WITH_TIME.contains(&scenario),
        "memory" => WITH_TIME.contains(&scenario) || scenario.starts_with("connect"),
        key => key == "cpu",
    }
}

/// What stands between the markers.
pub(crate) fn document(session: &Session) -> String {
    let mut text = preamble(session);
    text.push_str(&format!(
        "![What a delivery costs, against the floor]({PICTURES}/overview.svg)\n\n"
    ));
    text.push_str(&goal_table(session));
    for scenario in &session.scenarios {
        text.push_str(&section(session, scenario).unwrap_or_default());
    }
    text.push_str(&reasons(session));
    text
}

/// One scenario, with its pictures; `None` if nobody ran it.
fn section(session: &Session, scenario: &Scenario) -> Option<String> {
    let mut text = table(session, scenario)?;
    for plot in plots::of(session, scenario) {
        if is_shown(&scenario.name, plot.key) {
            let (name, key, title) = (&scenario.name, plot.key, plot.title);
            text.push_str(&format!("\n![{title}]({PICTURES}/{name}-{key}.svg)\n"));
        }
    }
    Some(text)
}

/// `page` with what a session of some scenarios has measured in the place of what stood there of them: their sections, each with the session that it
/// is from, and the goals that are about them. What the session did not measure stays. `None` if the page has no markers.
pub(crate) fn patched(page: &str, session: &Session) -> Option<String> {
    let (before, rest) = page.split_once(MARKERS.0)?;
    let (old, after) = rest.split_once(MARKERS.1)?;
    let mut text = old.to_owned();
    for row in goal_table(session).lines().skip(2).filter(|row| row.starts_with("| ")) {
        text = with_goal(&text, row);
    }
    for scenario in &session.scenarios {
        let Some(section) = section(session, scenario) else { continue };
        let apart = format!("Measured apart from the rest: {}", preamble(session).trim());
        let section = format!("{}\n\n{apart}\n", section.trim());
        let (begin, end) = place_of(&text, &scenario.name);
        text.replace_range(begin..end, &format!("{section}\n"));
    }
    Some(format!("{before}{}\n\n{}\n\n{}{after}", MARKERS.0, text.trim(), MARKERS.1))
}

/// `text` with this row in the table of goals: in the place of the one about the same goal, or behind all others.
fn with_goal(text: &str, row: &str) -> String {
    let name = format!("{} | ", row.split(" | ").next().unwrap_or(row));
    let mut lines: Vec<&str> = text.lines().collect();
    if let Some(old) = lines.iter_mut().find(|line| line.starts_with(&name)) {
        *old = row;
    } else if let Some(head) = lines.iter().position(|line| line.starts_with("| goal |")) {
        let rows = lines.iter().skip(head).take_while(|line| line.starts_with('|')).count();
        lines.insert(head + rows, row);
    }
    // What comes behind begins on a line of its own.
    lines.join("\n") + "\n"
}

/// Where the section of a scenario stands; behind all others if it has none.
fn place_of(text: &str, scenario: &str) -> (usize, usize) {
    const HEADING: &str = "\n### ";
    let named = format!("\n`{scenario}`: ");
    let Some((head, tail)) = text.split_once(&named) else { return (text.len(), text.len()) };
    let begin = head.rfind(HEADING).map_or(0, |at| at + 1);
    let end = tail.find(HEADING).map_or(text.len(), |at| text.len() - tail.len() + at + 1);
    (begin, end)
}

/// `page` with `new` between its markers; `None` if it has none.
pub(crate) fn filled(page: &str, new: &str) -> Option<String> {
    let (before, rest) = page.split_once(MARKERS.0)?;
    let (_, after) = rest.split_once(MARKERS.1)?;
    Some(format!("{before}{}\n\n{}\n\n{}{after}", MARKERS.0, new.trim(), MARKERS.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::outcome::Outcome;
    use crate::proc::Cpu;

    #[test]
    fn only_what_is_between_the_markers_changes() {
        let page = format!("a\n{}\nold\n{}\nz\n", MARKERS.0, MARKERS.1);
        let once = filled(&page, "new").unwrap();
        assert!(once.starts_with("a\n") && once.ends_with("\nz\n") && !once.contains("old"));
        assert_eq!(filled(&once, "new"), Some(once));
        assert_eq!(filled("no marker", "new"), None);
    }

    fn measured(names: &[&str]) -> Session {
        let mut session = Session::default();
        for name in names {
            let text = format!(
                "name = \"{name}\"\ntitle = \"{name} titled\"\nsubscribers = 10\nseconds = 9.0"
            );
            session.scenarios.push(toml::from_str(&text).unwrap());
            let cpu = Cpu { run_ns: 100, busiest_ns: 100, ..Cpu::default() };
            let scenario = (*name).to_owned();
            let outcome = Outcome { scenario, deliveries: 1, cpu, ..Outcome::default() };
            session.outcomes.push(Outcome { subject: "floor".to_owned(), ..outcome.clone() });
            session.outcomes.push(Outcome { subject: "fanwire".to_owned(), ..outcome });
        }
        session
    }

    #[test]
    fn what_a_part_did_not_measure_stays() {
        let whole = measured(&["broadcast-10k", "burst-4", "window-4"]);
        let page = format!("a\n{}\n{}\nz\n", MARKERS.0, MARKERS.1);
        let page = filled(&page, &document(&whole)).unwrap();
        let part = Session {
            command: "part".to_owned(),
            ..measured(&["burst-4", "burst-64", "topics-1000"])
        };
        let once = patched(&page, &part).unwrap();
        let of = |page: &str, name: &str| {
            let (begin, end) = place_of(page, name);
            page.get(begin..end).unwrap().to_owned()
        };
        for name in ["broadcast-10k", "window-4"] {
            let (old, new) = (of(&page, name), of(&once, name));
            assert!(new.starts_with(&format!("### {name} titled")), "{new}");
            assert_eq!(old.contains("apart"), new.contains("apart"), "{name}: {new}");
        }
        assert!(of(&once, "burst-4").contains("Measured apart from the rest: `part`"), "{once}");
        assert!(of(&once, "burst-64").contains("burst-64 titled"), "it is new:\n{once}");
        assert_eq!(once.matches("### ").count(), 5, "{once}");
        assert!(once.starts_with("a\n") && once.ends_with("\nz\n"));
        assert_eq!(patched(&once, &part), Some(once.clone()), "twice is once");
        let goal = "| 10k over 1,000 topics : floor |";
        assert_eq!(page.matches(goal).count(), 0, "{page}");
        assert_eq!(once.matches(goal).count(), 1, "{once}");
        let begin = once.find("| goal |").unwrap();
        let behind = once.find(goal).unwrap();
        let table = once.get(begin..behind).unwrap();
        assert!(!table.contains("\n\n"), "in the table of goals: {table}");
        assert_eq!(patched("no markers", &part), None);
    }

    #[test]
    fn every_picture_that_is_referred_to_is_there() {
        let mut session = Session::default();
        for name in ["broadcast-10k", "connect", "soak", "half-load"] {
            let kind = if name == "connect" { "connect" } else { "live" };
            let text = format!(
                "name = \"{name}\"\ntitle = \"t\"\nsubscribers = 10\nkind = \"{kind}\"\nseconds = 90.0"
            );
            session.scenarios.push(toml::from_str(&text).unwrap());
            let outcome =
                Outcome { scenario: name.to_owned(), deliveries: 1, ..Outcome::default() };
            session.outcomes.push(Outcome { subject: "floor".to_owned(), ..outcome.clone() });
            session.outcomes.push(Outcome { subject: "fanwire".to_owned(), ..outcome });
        }
        let text = document(&session);
        let pictures = pictures(&session);
        let is_there =
            |name: &str| name == "overview.svg" || pictures.iter().any(|it| it.0 == name);
        let mut count = 0;
        for part in text.split(&format!("]({PICTURES}/")).skip(1) {
            let name = part.split(')').next().unwrap();
            assert!(is_there(name), "{name} is not among the pictures");
            count += 1;
        }
        assert!(count >= 4, "{text}");
        for (name, picture) in pictures {
            assert!(picture.starts_with("<svg xmlns=") && !picture.contains("href"), "{name}");
        }
    }
}
