//! What each source counts, as `GET /metrics` names it.

use super::board::Board;
use super::page::Page;
use crate::source::Count;
use crate::source::Figures;

/// Appends it, if there are sources.
pub(super) fn put_sources(page: &mut Page, board: &Board) {
    let sources = board.sources();
    if sources.is_empty() {
        return;
    }
    let labels = |source: &Figures| format!("source=\"{}\",kind=\"{}\"", source.name, source.kind);
    page.head("fanwire_source_up", "gauge", "1 while a source is connected to its far end.");
    for source in sources {
        let labels = format!("{{{}}}", labels(source));
        page.sample("fanwire_source_up", &labels, u64::from(source.is_up()));
    }
    let name = "fanwire_source_lag";
    let help = "Messages, or bytes of a file, that a source's far end has and that were not fetched, where it says so.";
    page.head(name, "gauge", help);
    for source in sources {
        if let Some(lag) = source.lag() {
            page.sample(name, &format!("{{{}}}", labels(source)), lag);
        }
    }
    for (what, name, help) in Count::ALL {
        page.head(name, "counter", help);
        for source in sources {
            page.sample(name, &format!("{{{}}}", labels(source)), source.count(what));
        }
    }
    let name = "fanwire_source_faults_total";
    page.head(name, "counter", "Times at which a source's far end was at fault, by kind.");
    for source in sources {
        for (fault, count) in source.faults() {
            let labels = format!("{{{},fault=\"{}\"}}", labels(source), fault.name());
            page.sample(name, &labels, count);
        }
    }
}
