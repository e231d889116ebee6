//! `fanwire tables`: what is taken of a database's tables, and what they lack of what is declared, or have otherwise.
//!
//! Starts nothing and changes nothing. The exit code is 0 if the declared tables can be used, 1 if not, and 2 if the configuration is at fault.

use std::io::Write as _;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::cli::say;
use crate::config::Config;
use crate::server::Server;
use crate::server::TablesChecked;

/// What `fanwire tables` can be told.
#[derive(Clone, Debug, clap::Args)]
pub struct TablesArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum What {
    /// Compare the tables that a configuration declares with those of its database.
    Check {
        #[arg(value_name = "FILE")]
        config: PathBuf,
    },
}

/// The exit code if what was asked for is at fault, as of wrong arguments.
const MISTAKEN: u8 = 2;

/// Answers.
pub(crate) fn run(arguments: &TablesArgs) -> ExitCode {
    let What::Check { config } = &arguments.what;
    match check(config) {
        Ok(TablesChecked { taken, differences }) => {
            let is_alike = differences.is_empty();
            let lines = taken.into_iter().chain(differences);
            let mut text: String = lines.map(|line| format!("{line}\n")).collect();
            if is_alike {
                text += &format!("{}: its tables are as it declares them\n", config.display());
            }
            // Whoever closes standard output does not want to hear it.
            let told = std::io::stdout().lock().write_all(text.as_bytes());
            if told.is_ok() && is_alike { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            say(&format!("fanwire: {error}"));
            ExitCode::from(MISTAKEN)
        }
    }
}

fn check(path: &Path) -> Result<TablesChecked, String> {
    let config = Config::load(path).map_err(|error| error.to_string())?;
    Server::check_tables(&config).map_err(|error| error.to_string())
}
