//! `fanwire config`: whether a file would do, what differs between two, and what a key means.
//!
//! Starts nothing, and writes nothing but its answer. The exit code is 2 if a file cannot be used or there is no such key.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::cli::say;
use crate::config::Change;
use crate::config::Config;
use crate::config::Explained;
use crate::config::Origin;
use crate::config::When;
use crate::server::Server;

/// What `fanwire config` can be told.
#[derive(Clone, Debug, clap::Args)]
pub struct ConfigArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum What {
    /// Whether a server would start with a file here, as far as can be known without listening.
    Check {
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// What a second file sets otherwise, and whether a running server would take it; with one file, what it sets otherwise than the defaults.
    Diff {
        #[arg(value_name = "FILE")]
        from: PathBuf,
        #[arg(value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// What a key means, what it is set to, and where.
    Explain {
        #[arg(value_name = "KEY")]
        key: String,
        /// The file in which to look.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
}

/// The exit code if what was asked for is at fault, as of wrong arguments.
const MISTAKEN: u8 = 2;

/// Answers.
pub(crate) fn run(arguments: &ConfigArgs) -> ExitCode {
    let answer = match &arguments.what {
        What::Check { file } => check(file),
        What::Diff { from, to } => diff(from, to.as_deref()),
        What::Explain { key, config } => explain(key, config.as_deref()),
    };
    match answer {
        // Whoever closes standard output does not want to hear it.
        Ok(text) => {
            let told = std::io::stdout().lock().write_all(text.as_bytes());
            if told.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            say(&format!("fanwire: {error}"));
            ExitCode::from(MISTAKEN)
        }
    }
}

fn load(path: &Path) -> Result<Config, String> {
    Config::load(path).map_err(|error| error.to_string())
}

fn check(file: &Path) -> Result<String, String> {
    Server::check(&load(file)?).map_err(|error| error.to_string())?;
    Ok(format!("{}: a server would start with this here\n", file.display()))
}

fn diff(from: &Path, to: Option<&Path>) -> Result<String, String> {
    let (from, to) = match to {
        Some(to) => (load(from)?, load(to)?),
        None => (Config::default(), load(from)?),
    };
    let mut text = String::new();
    for Change { key, from, to, when } in from.changes(&to) {
        let shown =
            |value: &str| if value.is_empty() { "(nothing)".to_owned() } else { value.to_owned() };
        let when = match when {
            When::Reload => "a running server takes it (SIGHUP)",
            When::Restart => "needs a restart",
        };
        let line = writeln!(text, "{key}: {} -> {}  # {when}", shown(&from), shown(&to));
        debug_assert!(line.is_ok(), "a string takes everything");
    }
    Ok(text)
}

fn explain(key: &str, file: Option<&Path>) -> Result<String, String> {
    let config = match file {
        Some(file) => load(file)?,
        None => Config::default(),
    };
    let explained = config.explain(key).ok_or_else(|| {
        // The same words as for a file that sets it.
        let mut config = Config::default();
        config.set(key, "0").map_or_else(|error| error.to_string(), |()| key.to_owned())
    })?;
    let Explained { key, values, default, doc, when } = explained;
    let when = match when {
        When::Reload => {
            "A running server takes a new value when it reads its configuration anew (SIGHUP)."
        }
        When::Restart => "A new value needs a restart.",
    };
    let place = match config.places.of(&key) {
        Origin::Default => "the default".to_owned(),
        origin => origin.to_string(),
    };
    let value = config.shown(&key);
    Ok(format!(
        "{key} = {value}  # {place}\n\n{doc}\n\nvalues:  {values}\ndefault: {default}\n{when}\n"
    ))
}
