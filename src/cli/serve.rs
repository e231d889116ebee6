//! `fanwire serve`: from arguments to a running server, and to its end.
//!
//! What goes wrong before the server listens is said in one line on standard error; the exit code is 2 if what was asked for is at fault
//! (arguments, configuration) and 1 if it cannot be done here (the port is taken). A server that was told to stop exits with 0. SIGHUP is
//! answered in the log, and changes nothing.

use std::fmt;
use std::io;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use tracing::level_filters::LevelFilter;

use crate::admin::log::Log;
use crate::config::Config;
use crate::config::ConfigError;
use crate::limits::LOG_FLUSH_MS;
use crate::server::Server;
use crate::server::Signals;
use crate::server::StartError;

/// What may be said after `fanwire serve`. Each wins over the file.
#[derive(Args, Clone, Debug)]
pub struct ServeArgs {
    /// The configuration file (see docs/CONFIG.md); without it everything has its default
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where to listen
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<String>,
    /// Threads that serve connections; 0: one per core
    #[arg(long, value_name = "COUNT")]
    pub shards: Option<String>,
    /// How they wait for the kernel: auto, io_uring or epoll
    #[arg(long, value_name = "DRIVER")]
    pub driver: Option<String>,
    /// Topics whose history is kept on disk, by pattern; may be said several times
    #[arg(long, value_name = "TOPICS")]
    pub durable: Vec<String>,
    /// The folder of what is kept on disk
    #[arg(long, value_name = "FOLDER")]
    pub data_dir: Option<String>,
    /// How much is logged to standard error: off, error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    pub log: LevelFilter,
}

impl ServeArgs {
    /// The file's configuration, with what the arguments say otherwise.
    ///
    /// # Errors
    /// If either says something that cannot be.
    pub fn to_config(&self) -> Result<Config, ConfigError> {
        let mut config = match &self.config {
            Some(path) => Config::load(path)?,
            None => Config::default(),
        };
        for (key, value) in [
            ("listen", &self.listen),
            ("shards", &self.shards),
            ("driver", &self.driver),
            ("data_dir", &self.data_dir),
        ] {
            if let Some(value) = value {
                config.set(key, value)?;
            }
        }
        if !self.durable.is_empty() {
            config.keep_durable(self.durable.clone());
        }
        Ok(config)
    }
}

/// Serves until it is told to stop. Call it before any thread is started.
#[must_use]
pub fn serve(args: &ServeArgs) -> ExitCode {
    // First of all: threads inherit what their parent has blocked.
    let signals = match Signals::block() {
        Ok(signals) => signals,
        Err(error) => return fail(&error, FAILED),
    };
    let log = match log_to_stderr(args.log) {
        Ok(log) => log,
        Err(error) => return fail(&error, FAILED),
    };
    let code = serve_until_stopped(args, &signals);
    log.flush(LOG_FLUSH);
    match code {
        Ok(()) => ExitCode::SUCCESS,
        Err((message, code)) => fail(&message, code),
    }
}

/// How long the last lines of the log may take.
const LOG_FLUSH: Duration = Duration::from_millis(LOG_FLUSH_MS);

/// What went wrong, and the exit code for it.
fn serve_until_stopped(args: &ServeArgs, signals: &Signals) -> Result<(), (String, u8)> {
    let config = args.to_config().map_err(|error| (error.to_string(), MISTAKEN))?;
    let running = Server::start(&config).map_err(|error| match error {
        StartError::Config(_) => (error.to_string(), MISTAKEN),
        _ => (error.to_string(), FAILED),
    })?;
    loop {
        match signals.wait() {
            Ok(signal) if signal.stops() => {
                tracing::info!(%signal, "stopping; again to stop at once");
                break;
            }
            Ok(signal) => {
                tracing::info!(%signal, "nothing is read anew while the server runs: restart it to change settings or keys");
            }
            Err(error) => {
                tracing::error!(%error, "cannot wait for signals; stopping");
                break;
            }
        }
    }
    running.stop();
    match running.join() {
        0 => tracing::info!("stopped"),
        cut_off => tracing::warn!(cut_off, "stopped; some connections had to be cut off"),
    }
    Ok(())
}

/// The exit code if what was asked for is at fault: the same as for wrong arguments.
const MISTAKEN: u8 = 2;
/// The exit code if it cannot be done here.
const FAILED: u8 = 1;

fn log_to_stderr(level: LevelFilter) -> io::Result<Log> {
    let log = Log::start(io::stderr())?;
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_target(false)
        .with_ansi(io::stderr().is_terminal())
        // What goes wrong with writing must not be written to the same place.
        .log_internal_errors(false)
        .with_writer(log.clone());
    // A program that embeds the server may have set up its own log already, and keeps it.
    if let Err(error) = tracing::subscriber::set_global_default(subscriber.finish()) {
        tracing::debug!(%error, "logging is set up already");
    }
    Ok(log)
}

fn fail(error: &dyn fmt::Display, code: u8) -> ExitCode {
    super::say(&format!("fanwire: {error}"));
    ExitCode::from(code)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: ServeArgs,
    }

    fn config(line: &[&str]) -> Result<Config, ConfigError> {
        Line::parse_from([&["serve"], line].concat()).args.to_config()
    }

    #[test]
    fn arguments_win_over_defaults() {
        assert_eq!(config(&[]).unwrap(), Config::default());
        let config =
            config(&["--listen", "127.0.0.1:1", "--shards", "2", "--driver", "epoll"]).unwrap();
        assert_eq!((config.listen.port(), config.shards), (1, 2));
    }

    #[test]
    fn topics_are_kept_on_disk_as_the_line_says() {
        let line = ["--durable", "fleet/**", "--durable", "adsb/*", "--data-dir", "here"];
        let config = config(&line).unwrap();
        assert_eq!(config.history.durable.len(), 1);
        assert_eq!(config.history.durable[0].topics, ["fleet/**", "adsb/*"]);
        assert_eq!(config.data_dir, "here");
    }

    #[test]
    fn wrong_arguments_are_named() {
        let error = config(&["--shards", "1000"]).unwrap_err().to_string();
        assert_eq!(error, "command line: `shards`: must be from 0 to 64, and is 1000");
        assert!(
            config(&["--config", "/nowhere.toml"])
                .unwrap_err()
                .to_string()
                .contains("/nowhere.toml")
        );
    }
}
