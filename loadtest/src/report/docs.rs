//! What `docs/PERFORMANCE.md` holds between its markers, and the pictures beside it.
//!
//! Invariant: what stands outside the markers is never touched.

use crate::report::markdown::goal_table;
use crate::report::markdown::preamble;
use crate::report::markdown::reasons;
use crate::report::markdown::table;
use crate::report::plots;
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
        let Some(table) = table(session, scenario) else { continue };
        text.push_str(&table);
        for plot in plots::of(session, scenario) {
            if is_shown(&scenario.name, plot.key) {
                let (name, key, title) = (&scenario.name, plot.key, plot.title);
                text.push_str(&format!("\n![{title}]({PICTURES}/{name}-{key}.svg)\n"));
            }
        }
    }
    text.push_str(&reasons(session));
    text
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

    #[test]
    fn only_what_is_between_the_markers_changes() {
        let page = format!("a\n{}\nold\n{}\nz\n", MARKERS.0, MARKERS.1);
        let once = filled(&page, "new").unwrap();
        assert!(once.starts_with("a\n") && once.ends_with("\nz\n") && !once.contains("old"));
        assert_eq!(filled(&once, "new"), Some(once));
        assert_eq!(filled("no marker", "new"), None);
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
