//! `fanwire serve`: from arguments to a running server, and to its end.
//!
//! What goes wrong before the server listens is said in one line on standard error; the exit code is 2 if what was asked for is at fault
//! (arguments, configuration) and 1 if it cannot be done here (the port is taken). A server that was told to stop exits with 0. SIGHUP is
//! the order to read the configuration anew: what may change does, and the log says what.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Registry;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload;
use tracing_subscriber::reload::Handle;

use super::supervisor::Supervisor;
use crate::admin::Order;
use crate::admin::Ordered;
use crate::admin::Orders;
use crate::admin::lines::Lines;
use crate::admin::log::Log;
use crate::config::Change;
use crate::config::Config;
use crate::config::ConfigError;
use crate::config::levels::Levels;
use crate::limits::LOG_FLUSH_MS;
use crate::server::Inherited;
use crate::server::Reloaded;
use crate::server::Running;
use crate::server::Server;
use crate::server::Signal;
use crate::server::Signals;
use crate::server::StartError;
use crate::server::Successors;
use crate::server::give_back_start_pages;
use crate::shard::Response;

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
    /// How much is logged to standard error: off, error, warn, info, debug or trace, and by which modules (info,conn=debug)
    #[arg(long, value_name = "LEVELS", value_parser = read_levels)]
    pub log: Option<String>,
    /// How lines of the log are written: text or json
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,
    /// Take over from the server of this user that runs with the same `listen`: it hands its listeners over, and stops once this one is ready
    #[arg(long)]
    pub upgrade: bool,
    /// A listening socket of the server before this one
    #[arg(long, value_name = "NUMBER:LISTENER", hide = true)]
    pub inherit: Vec<String>,
    /// Where that one is told that it may stop
    #[arg(long, value_name = "NUMBER", hide = true)]
    pub ready_fd: Option<i32>,
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
            ("log_format", &self.log_format),
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

/// A text of levels that is one.
fn read_levels(text: &str) -> Result<String, String> {
    Levels::parse(text).map(|_| text.to_owned())
}

/// Serves until it is told to stop. Call it before any thread is started.
#[must_use]
pub fn serve(args: &ServeArgs) -> ExitCode {
    // First of all: threads inherit what their parent has blocked.
    let signals = match Signals::block() {
        Ok(signals) => signals,
        Err(error) => return fail(&error, FAILED),
    };
    let config = match args.to_config() {
        Ok(config) => config,
        Err(error) => return fail(&error, MISTAKEN),
    };
    let (log, level) = match log_to_stderr(args, &config) {
        Ok(log) => log,
        Err(error) => return fail(&error, FAILED),
    };
    let code = serve_until_stopped(args, &config, &signals, &level);
    log.flush(LOG_FLUSH);
    match code {
        Ok(()) => ExitCode::SUCCESS,
        Err((message, code)) => fail(&message, code),
    }
}

/// How long the last lines of the log may take.
const LOG_FLUSH: Duration = Duration::from_millis(LOG_FLUSH_MS);

/// What went wrong, and the exit code for it.
fn serve_until_stopped(
    args: &ServeArgs,
    config: &Config,
    signals: &Signals,
    level: &Level,
) -> Result<(), (String, u8)> {
    let program = Program::this();
    let supervisor = Supervisor::found();
    let inherited = match args.upgrade {
        true => Inherited::ask(config.listen).map_err(|error| (error.to_string(), FAILED))?,
        false => Inherited::take(&args.inherit, args.ready_fd)
            .map_err(|error| (format!("--inherit: {error}"), MISTAKEN))?,
    };
    let mut running =
        Server::take_over(config, inherited, Signals::wake).map_err(|error| match error {
            StartError::Config(_) => (error.to_string(), MISTAKEN),
            _ => (error.to_string(), FAILED),
        })?;
    let orders = running.orders();
    let started = |error: io::Error| (format!("cannot start a thread: {error}"), FAILED);
    let successors = Successors::listen(running.address(), Signals::wake).map_err(started)?;
    let watchdog = supervisor.watch(running.rounds()).map_err(started)?;
    supervisor.ready();
    give_back_start_pages();
    let told = Steward { args, program: &program, supervisor: &supervisor, level };
    loop {
        let then = match signals.wait() {
            Ok(signal) if signal.stops() => {
                tracing::info!(%signal, "stopping; again to stop at once");
                supervisor.stopping();
                Then::Stops
            }
            Ok(Signal::Hangup) => {
                drop(told.read_anew(&mut running));
                Then::GoesOn
            }
            Ok(Signal::Upgrade) => match program.take_over_from(&running, &supervisor) {
                Ok(_) => Then::Stops,
                Err(_) => Then::GoesOn,
            },
            Ok(_) => {
                let then = told.look(&mut running, orders.as_ref(), &successors);
                if then == Then::Stops
                    && let Err(error) = signals.lift()
                {
                    tracing::error!(%error, "a second order to stop is not heard");
                }
                then
            }
            Err(error) => {
                tracing::error!(%error, "cannot wait for signals; stopping");
                Then::Stops
            }
        };
        if then == Then::Stops {
            break;
        }
    }
    // Whoever takes over is found by its name from now on, and says that it lives.
    drop((successors, watchdog));
    running.stop();
    match running.join() {
        0 => tracing::info!("stopped"),
        cut_off => tracing::warn!(cut_off, "stopped; some connections had to be cut off"),
    }
    Ok(())
}

/// What is started when this server is to be replaced: the file that was started now, whatever it is by then.
struct Program {
    path: io::Result<PathBuf>,
    arguments: Vec<OsString>,
}

impl Program {
    /// To be called before the file may have been replaced.
    fn this() -> Self {
        let arguments = std::env::args_os().skip(1).collect();
        Self { path: std::env::current_exe(), arguments }
    }

    /// Starts it, and hands the listeners over to it; says which process it is.
    fn take_over_from(&self, running: &Running, supervisor: &Supervisor) -> Result<u32, String> {
        let taken = match &self.path {
            Ok(path) => running.hand_over(path, &self.arguments).map_err(|error| error.to_string()),
            Err(error) => Err(format!("nobody knows where this program lies: {error}")),
        };
        match &taken {
            Ok(process) => {
                tracing::info!(process, "another process has taken over; stopping");
                supervisor.goes_on_as(*process);
            }
            Err(error) => tracing::error!(%error, "nothing is handed over"),
        }
        taken
    }
}

/// Whether an order ends the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    GoesOn,
    Stops,
}

/// What is needed to do what the server is told.
struct Steward<'a> {
    args: &'a ServeArgs,
    program: &'a Program,
    supervisor: &'a Supervisor,
    level: &'a Level,
}

impl Steward<'_> {
    /// Looks who wants something: a process that is to take over, and operators.
    fn look(
        &self,
        running: &mut Running,
        orders: Option<&Orders>,
        successors: &Successors,
    ) -> Then {
        if let Some(successor) = successors.take() {
            match running.hand_over_to(&successor) {
                Ok(()) => {
                    tracing::info!("another process has taken over; stopping");
                    return Then::Stops;
                }
                Err(error) => tracing::error!(%error, "nothing is handed over"),
            }
        }
        let taken = std::iter::from_fn(|| orders?.take());
        let mut done = taken.map(|order| self.carry_out(&order, running));
        match done.any(|then| then == Then::Stops) {
            true => {
                tracing::info!("an operator stops the server");
                Then::Stops
            }
            false => Then::GoesOn,
        }
    }

    /// Carries out an order of an operator's, and answers it.
    fn carry_out(&self, ordered: &Ordered, running: &mut Running) -> Then {
        let response = match &ordered.order {
            // It was answered when it was handed in.
            Order::Drain => {
                self.supervisor.stopping();
                return Then::Stops;
            }
            Order::Upgrade => match self.program.take_over_from(running, self.supervisor) {
                Ok(process) => {
                    let body = serde_json::json!({ "process": process }).to_string();
                    ordered.answer(Response::json(200, body));
                    return Then::Stops;
                }
                Err(message) => Response::error(409, "not_taken", &message),
            },
            Order::Reload => match self.read_anew(running) {
                Ok((changed, needs_restart)) => {
                    let body =
                        serde_json::json!({ "changed": changed, "needs_restart": needs_restart });
                    Response::json(200, body.to_string())
                }
                Err(message) => Response::error(409, "not_taken", &message),
            },
            Order::Log(text) => match Levels::parse(text) {
                Ok(levels) => {
                    self.level.hold(&levels);
                    tracing::info!(level = %text, "an operator changes what is logged");
                    Response::json(200, serde_json::json!({ "level": text }).to_string())
                }
                Err(message) => Response::error(400, "bad_field", &message),
            },
        };
        ordered.answer(response);
        Then::GoesOn
    }

    /// Reads the configuration anew, and says what came of it: the keys that hold now, and those that need a restart.
    fn read_anew(&self, running: &mut Running) -> Result<(Vec<String>, Vec<String>), String> {
        self.supervisor.reloading();
        let config = self.args.to_config().map_err(|error| error.to_string());
        let reloaded = config.and_then(|config| {
            let reloaded = running.reload(&config).map_err(|error| error.to_string())?;
            self.level.set(self.args, &config);
            Ok(reloaded)
        });
        self.supervisor.ready();
        match reloaded {
            Ok(Reloaded { taken, at_restart }) => {
                let keys = |changes: &[Change]| -> Vec<String> {
                    changes.iter().map(|change| change.key.to_string()).collect()
                };
                let (now, later) = (keys(&taken), keys(&at_restart));
                tracing::info!(
                    changed = %now.join(", "),
                    needs_restart = %later.join(", "),
                    "the configuration was read anew"
                );
                Ok((now, later))
            }
            Err(error) => {
                tracing::error!(%error, "the configuration is not taken, and everything stays as it was");
                Err(error)
            }
        }
    }
}

/// How much is logged, which may change.
struct Level(Option<Handle<Targets, Registry>>);

impl Level {
    /// As the command line says, else the configuration.
    fn set(&self, args: &ServeArgs, config: &Config) {
        self.hold(&levels_of(args, config));
    }

    fn hold(&self, levels: &Levels) {
        let Some(handle) = &self.0 else { return };
        if let Err(error) = handle.reload(targets(levels)) {
            tracing::warn!(%error, "the log's level stays as it was");
        }
    }
}

/// As the command line says, else the configuration, which was checked.
fn levels_of(args: &ServeArgs, config: &Config) -> Levels {
    let text = args.log.as_deref().unwrap_or(&config.log);
    Levels::parse(text).unwrap_or(Levels { all: "info", of: Vec::new() })
}

fn targets(levels: &Levels) -> Targets {
    let level = |word: &str| word.parse().unwrap_or(LevelFilter::INFO);
    let of = levels.of.iter().map(|(module, word)| (format!("fanwire::{module}"), level(word)));
    Targets::new().with_default(level(levels.all)).with_targets(of)
}

/// The exit code if what was asked for is at fault: the same as for wrong arguments.
const MISTAKEN: u8 = 2;
/// The exit code if it cannot be done here.
const FAILED: u8 = 1;

fn log_to_stderr(args: &ServeArgs, config: &Config) -> io::Result<(Log, Level)> {
    let log = Log::start(io::stderr())?;
    let (filter, handle) = reload::Layer::new(targets(&levels_of(args, config)));
    let is_json = config.log_format == "json";
    let lines = tracing_subscriber::fmt::layer()
        .event_format(if is_json { Lines::Json } else { Lines::text() })
        .with_ansi(!is_json && io::stderr().is_terminal())
        // What goes wrong with writing must not be written to the same place.
        .log_internal_errors(false)
        .with_writer(log.clone());
    // A program that embeds the server may have set up its own log already, and keeps it.
    let subscriber = tracing_subscriber::registry().with(filter).with(lines);
    if let Err(error) = tracing::subscriber::set_global_default(subscriber) {
        tracing::debug!(%error, "logging is set up already");
        return Ok((log, Level(None)));
    }
    Ok((log, Level(Some(handle))))
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
