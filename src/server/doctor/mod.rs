//! What an operator should know of a host before a server runs on it: what it will hold, and what to change.
//!
//! Invariants: what is found is looked at without changing anything (but for a file of some bytes in the data folder, which is taken away again); a number that the host does not tell is no
//! fault. What is judged (`judge`) is told apart from what is read (`host`), so that every judgement has its test.

mod clock;
mod host;
mod judge;
mod storage;

use std::fmt;
use std::path::Path;

use super::Server;
use super::plan::Plan;
use super::tls::Certificates;
use crate::clock::Clock;
use crate::config::Config;
use host::Host;

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Fine,
    /// The server runs, but not as well as it could.
    Warning,
    /// The server does not start, or will not run for long.
    Error,
}

/// Something that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub severity: Severity,
    /// What was looked at, in a word or two.
    pub about: &'static str,
    /// What was found.
    pub found: String,
    /// What to do, if anything.
    pub advice: Option<String>,
}

impl Finding {
    fn fine(about: &'static str, found: impl fmt::Display) -> Self {
        Self { severity: Severity::Fine, about, found: found.to_string(), advice: None }
    }

    fn warning(about: &'static str, found: impl fmt::Display, advice: impl fmt::Display) -> Self {
        let (found, advice) = (found.to_string(), Some(advice.to_string()));
        Self { severity: Severity::Warning, about, found, advice }
    }

    fn error(about: &'static str, found: impl fmt::Display, advice: impl fmt::Display) -> Self {
        Self { severity: Severity::Error, ..Self::warning(about, found, advice) }
    }
}

impl Server {
    /// Looks at the host as a server with this configuration would meet it. `data`: the folder of a durable history, if it is another than the configured one.
    #[must_use]
    pub fn examine(config: &Config, data: Option<&Path>, clock: Clock) -> Vec<Finding> {
        let mut findings = Vec::new();
        let plan = Plan::new(config);
        findings.push(match Self::check(config) {
            Ok(()) => Finding::fine("configuration", "a server would start with it"),
            Err(error) => {
                let advice = "a server does not start with it: mend it, and ask again";
                Finding::error("configuration", &error, advice)
            }
        });
        if let Ok(plan) = &plan {
            findings.extend(judge::host(config, plan, &Host::read()));
        }
        findings.push(judge::clock(clock::is_synchronised(), clock.now().wall_us / 1_000_000));
        // A server makes its folder, so of one that is not there its place is looked at.
        let configured = config.has_store().then(|| storage::nearest(Path::new(&config.data_dir)));
        if let Some(folder) = data.or(configured) {
            findings.extend(judge::storage(folder, &storage::measure(folder, clock)));
        }
        if let Ok(Some(certificates)) = Certificates::new(config) {
            let now_s = clock.now().wall_us / 1_000_000;
            findings
                .extend(certificates.looked_at().iter().map(|one| judge::certificate(one, now_s)));
        }
        findings
    }
}
