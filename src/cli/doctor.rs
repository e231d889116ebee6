//! `fanwire doctor`: what a host lacks for a server, and how many subscribers it will hold.
//!
//! The exit code is the worst that was found: 0 if nothing, 1 if it could be better, 2 if a server would not start, or not for long.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::cli::say;
use crate::clock::Clock;
use crate::config::Config;
use crate::server::Finding;
use crate::server::Server;
use crate::server::Severity;

/// What `fanwire doctor` can be told.
#[derive(Clone, Debug, clap::Args)]
pub struct DoctorArgs {
    /// The configuration that the server would have; without it, the defaults
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The folder of a durable history [default: `data_dir`, where topics are durable], to see whose it is, how much room it has and how fast it is
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
}

/// Looks, and tells.
pub(crate) fn run(arguments: &DoctorArgs) -> ExitCode {
    let loaded = arguments.config.as_deref().map_or_else(|| Ok(Config::default()), Config::load);
    let config = match loaded {
        Ok(config) => config,
        Err(error) => {
            say(&format!("fanwire: {error}"));
            return ExitCode::from(2);
        }
    };
    let findings = Server::examine(&config, arguments.data_dir.as_deref(), Clock::start());
    let text: String = findings.iter().map(line).collect();
    // Whoever closes standard output still has the exit code.
    drop(std::io::stdout().lock().write_all(text.as_bytes()));
    let worst = findings.iter().map(|finding| finding.severity).max();
    ExitCode::from(match worst {
        None | Some(Severity::Fine) => 0,
        Some(Severity::Warning) => 1,
        Some(Severity::Error) => 2,
    })
}

fn line(finding: &Finding) -> String {
    let Finding { severity, about, found, advice } = finding;
    let mark = match severity {
        Severity::Fine => "ok     ",
        Severity::Warning => "warning",
        Severity::Error => "error  ",
    };
    let advice = advice.as_ref().map(|advice| format!("\n         -> {advice}"));
    format!("{mark}  {about}: {found}{}\n", advice.unwrap_or_default())
}
