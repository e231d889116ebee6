//! The page: promises on top, then a card for each scenario with its pictures and its table.
//!
//! Self-contained: style and pictures are in it, nothing is fetched, no script runs.

use crate::outcome::Outcome;
use crate::report::figures;
use crate::report::goals;
use crate::report::goals::Kept;
use crate::report::number;
use crate::report::plots;
use crate::report::spread;
use crate::report::svg;
use crate::report::svg::escape;
use crate::report::terms;
use crate::scenario::Scenario;
use crate::session::Session;

const STYLE: &str = include_str!("page.css");

/// A goal's meter ends at this many times its limit.
const METER_MOST: f64 = 1.6;

/// The whole page.
pub(crate) fn html(session: &Session) -> String {
    let machine = &session.machine;
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>Fanwire under load</title><style>{}{STYLE}</style><main><h1>Fanwire under load</h1>\
         <p>{} × {} · Linux {} · load average {} when it began · medians of interleaved rounds</p><p><code>{}</code></p>",
        svg::STYLE,
        machine.cores,
        escape(&machine.processor),
        escape(&machine.kernel),
        escape(&machine.load_before),
        escape(&session.command)
    );
    page.push_str(&overview(session));
    page.push_str(&promises(session));
    for scenario in &session.scenarios {
        page.push_str(&card(session, scenario));
    }
    if !session.failures.is_empty() {
        page.push_str("<section><h2>Runs that failed</h2>");
        for (subject, why, times) in session.reasons() {
            let (subject, why) = (escape(subject), escape(why));
            page.push_str(&format!("<p><b>{subject}</b>, {times} runs: {why}</p>"));
        }
        page.push_str("</section>");
    }
    page.push_str("</main></html>\n");
    page
}

/// What a delivery costs everyone, all scenarios in one picture.
fn overview(session: &Session) -> String {
    let Some(plot) = plots::overview(session) else { return String::new() };
    let mut out = format!("<section><h2>{}</h2>", escape(&plot.title));
    out.push_str("<p>Left is less. Each dot is a median of ratios within a round; the line is the built-in server that only sends.</p>");
    out.push_str(&legend(&plot.picture.legend));
    out.push_str(&format!("<div class=\"wide\">{}</div></section>", plot.picture.inline()));
    out
}

fn legend(subjects: &[String]) -> String {
    let mut out = "<div class=\"legend\">".to_owned();
    for subject in subjects {
        out.push_str(&format!("<span class=\"s-{subject}\"><i></i>{subject}</span>"));
    }
    out.push_str("</div>");
    out
}

fn promises(session: &Session) -> String {
    let (epoll, ours): (Vec<Kept>, Vec<Kept>) =
        goals::all(session).into_iter().partition(|it| it.goal.by_epoll);
    let mut out = promised("Goals", &ours);
    out.push_str(&promised("epoll, against io_uring", &epoll));
    out
}

fn promised(title: &str, kept: &[Kept]) -> String {
    let measured: Vec<bool> = kept.iter().filter_map(Kept::met).collect();
    if measured.is_empty() {
        return String::new();
    }
    let met = measured.iter().filter(|it| **it).count();
    let class = if met == measured.len() { "met" } else { "missed" };
    let mut out = format!(
        "<section><h2>{title} <span class=\"chip {class}\">{met} of {} met</span></h2><div class=\"goals\">",
        measured.len()
    );
    kept.iter().for_each(|it| out.push_str(&promise(it)));
    out.push_str("</div></section>");
    out
}

/// Name, value, limit, and how far the one is from the other.
fn promise(kept: &Kept) -> String {
    let (class, mark) = match kept.met() {
        None => ("open", "·"),
        Some(true) => ("met", "✓"),
        Some(false) => ("missed", "✗"),
    };
    let name = escape(kept.short());
    let Some(measured) = kept.measured else {
        let why = kept.why_open().map(|it| format!(": {it}")).unwrap_or_default();
        return format!(
            "<div class=\"goal {class}\"><u>{mark}</u><span>{name}</span><em>not measured{why}</em></div>"
        );
    };
    let (limit, unit, bound) = (kept.goal.limit, kept.unit(), kept.bound());
    let share = if bound == "≤" { measured.median / limit } else { limit / measured.median };
    let (median, range) = spread(Some(measured));
    let stretch = kept.goal.stretch.map(|it| {
        let class = if kept.stretched() { "chip met" } else { "chip" };
        format!("<b class=\"{class}\">stretch {}</b>", number(it))
    });
    format!(
        "<div class=\"goal {class}\" title=\"{range}\"><u>{mark}</u><span>{name}</span>{}<b>{median} {unit}</b>\
         <i style=\"--at:{:.1}%;--limit:{:.1}%\"></i><em>{bound} {}</em></div>",
        stretch.unwrap_or_default(),
        (share / METER_MOST).clamp(0.0, 1.0) * 100.0,
        100.0 / METER_MOST,
        number(limit)
    )
}

fn card(session: &Session, scenario: &Scenario) -> String {
    let subjects = session.subjects(&scenario.name);
    if subjects.is_empty() {
        return String::new();
    }
    let mut card = format!(
        "<section><h2>{}</h2><p><code>{}</code> · {}</p>",
        escape(&scenario.title),
        escape(&scenario.name),
        escape(&terms(scenario))
    );
    let names: Vec<String> = subjects.iter().map(|it| (*it).to_owned()).collect();
    card.push_str(&legend(&names));
    card.push_str("<div class=\"plots\">");
    for plot in plots::of(session, scenario) {
        let title = escape(&plot.title);
        card.push_str(&format!("<figure><h3>{title}</h3>{}</figure>", plot.picture.inline()));
    }
    card.push_str("</div>");
    card.push_str(&table(session, scenario, &subjects));
    card.push_str("</section>");
    card
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
    use crate::subject::ALL;

    /// A subject without a colour is a black dot, and a blank in the legend.
    #[test]
    fn every_subject_has_a_colour_of_its_own() {
        let mut colours = Vec::new();
        for subject in ALL {
            let class = format!(".s-{} {{ --c: ", subject.name());
            let rule = svg::STYLE.split_once(&class).map(|(_, rest)| rest);
            let colour = rule.and_then(|rest| rest.split_once("; }")).map(|(colour, _)| colour);
            let colour = colour.unwrap_or_else(|| panic!("{} has no colour", subject.name()));
            assert!(!colours.contains(&colour), "{} looks like another", subject.name());
            let name = colour.split(['(', ')', ',']).find(|word| word.starts_with("--"));
            let declared = format!("{}: #", name.expect("a colour is a variable"));
            assert_eq!(
                svg::STYLE.matches(&declared).count(),
                2,
                "{declared} in the light and in the dark"
            );
            colours.push(colour);
        }
    }

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
