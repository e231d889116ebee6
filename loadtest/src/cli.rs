//! The command line.
//!
//! Invariant: says what is to be done and with which programs; does nothing.

use crate::subject::Elsewhere;
use crate::subject::Tools;
use crate::tables::TablesTools;

use std::path::PathBuf;

use clap::Args;
use clap::Parser;
use clap::Subcommand;

/// Puts fan-out servers under load and tells what their subscribers feel.
///
/// A run starts a server (a subject), connects thousands of subscribers to it, publishes, and checks that each subscriber heard each
/// event once and in order. It measures latency from the moment an event was due, and what the server spent: CPU per delivery, memory
/// per connection. The yardstick is the floor, a built-in server that only sends; everything is told as a ratio to it. Start with
///
///   fanwire-load list
///
///   fanwire-load run broadcast-1k --rounds 1
#[derive(Debug, Parser)]
#[command(name = "fanwire-load", version, about)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs some scenarios, with their subjects or those you name, and writes a report.
    Run(Run),
    /// Runs every scenario with each of its subjects: the whole report, in about half an hour.
    ///
    /// A rival that is not installed is listed as failed, with the reason; the rest goes on. Needs a quiet machine.
    ReportAll(ReportAll),
    /// Writes the report again from results.json, also while a session is still running or after one was ended.
    Render {
        /// The directory that holds results.json.
        #[arg(long, default_value = "target/load")]
        out: PathBuf,
        /// Also puts the tables into PERFORMANCE.md of this directory, between its markers, and the pictures beside it.
        #[arg(long)]
        docs: Option<PathBuf>,
    },
    /// Lists scenarios and subjects.
    List {
        /// The directory of the scenario files.
        #[arg(long, default_value = "loadtest/scenarios")]
        scenarios: PathBuf,
    },
    /// Attacks Fanwire within everything that its configuration allows, and measures what those feel who did nothing.
    ///
    /// Exits with 1 if anything costs others more than it may. The whole takes about ten minutes and needs a quiet machine and a release build;
    /// --short takes seconds each, and only tells speeds.
    Attacks(Attacks),
    /// Measures what tables cost: reads by key beside a Go server, writes while 1,000 listen, rows for 10,000 dashboards, replays.
    ///
    /// Exits with 1 if a goal is missed. Needs a quiet machine, a release build and the rival (loadtest/rivals/tables-go); --short takes seconds, and
    /// only looks whether everything is answered and heard.
    Tables(Tables),
    /// A worker, publisher or floor; only this program starts it.
    #[command(hide = true)]
    Child,
    /// Becomes another program, which ends when the process that started this one does; only this program starts it.
    #[command(hide = true)]
    Become {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
        command: Vec<std::ffi::OsString>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Names of scenarios (see `list`), or TOML files of your own.
    #[arg(required = true)]
    pub(crate) scenario: Vec<String>,
    /// Whom to run them with, e.g. floor,fanwire,bun, instead of the scenarios' own subjects.
    #[arg(long, value_delimiter = ',')]
    pub(crate) subject: Vec<String>,
    /// Instead of the scenarios' own number of subscribers.
    #[arg(long)]
    pub(crate) subscribers: Option<u32>,
    #[command(flatten)]
    pub(crate) session: SessionArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ReportAll {
    /// Only scenarios whose names contain one of these, e.g. burst,window.
    #[arg(long, value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// Also puts the tables into PERFORMANCE.md of this directory, between its markers: with --only the sections and goals of what was measured,
    /// and nothing else.
    #[arg(long)]
    pub(crate) docs: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) session: SessionArgs,
}

#[derive(Debug, Args)]
pub(crate) struct Attacks {
    /// Names of attacks; without it all of them.
    #[arg(long, value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// Seconds each instead of the whole.
    #[arg(long)]
    pub(crate) short: bool,
    /// Also puts the table into SECURITY.md of this directory, between its markers.
    #[arg(long)]
    pub(crate) docs: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) tools: ToolArgs,
}

#[derive(Debug, Args)]
pub(crate) struct Tables {
    /// Some of reads, writes, rows, replays; without it all of them.
    #[arg(long, value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// Seconds, and small numbers, instead of the whole.
    #[arg(long)]
    pub(crate) short: bool,
    /// How often each is run, taking turns; medians are told.
    #[arg(long, default_value_t = 3)]
    pub(crate) rounds: u32,
    /// Shards of Fanwire.
    #[arg(long, default_value_t = 2)]
    pub(crate) shards: u32,
    /// Rows that arrive in a second, of all tables together.
    #[arg(long, default_value_t = 5000)]
    pub(crate) rows_per_s: u64,
    /// cd loadtest/rivals/tables-go && go build -o tables-go .
    #[arg(long, default_value = "loadtest/rivals/tables-go/tables-go")]
    pub(crate) go_bin: PathBuf,
    #[command(flatten)]
    pub(crate) programs: ToolArgs,
}

impl Tables {
    /// The programs, and how they are run.
    pub(crate) fn tools(&self) -> TablesTools {
        TablesTools {
            tools: self.programs.tools(),
            go: std::path::absolute(&self.go_bin).unwrap_or_else(|_| self.go_bin.clone()),
            shards: self.shards,
            rounds: self.rounds,
            rows_per_s: self.rows_per_s,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct SessionArgs {
    /// How often each scenario is run with each subject, taking turns; the report shows medians.
    #[arg(long, default_value_t = 3)]
    pub(crate) rounds: u32,
    /// Seconds that are measured, instead of the scenarios' own.
    #[arg(long)]
    pub(crate) seconds: Option<f64>,
    /// Where results.json, report.html and report.md go.
    #[arg(long, default_value = "target/load")]
    pub(crate) out: PathBuf,
    /// Go on from results.json in --out: only what is missing or failed is run.
    #[arg(long)]
    pub(crate) resume: bool,
    /// The directory of the scenario files.
    #[arg(long, default_value = "loadtest/scenarios")]
    pub(crate) scenarios: PathBuf,
    #[command(flatten)]
    pub(crate) tools: ToolArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "The subjects' programs, found on the path if they are bare names")]
pub(crate) struct ToolArgs {
    /// Fanwire itself.
    #[arg(long, default_value = "target/release/fanwire")]
    pub(crate) fanwire_bin: PathBuf,
    /// How Fanwire is started; {port}, {shards} and {driver} are put in.
    #[arg(
        long,
        default_value = "serve --listen 127.0.0.1:{port} --shards {shards} --driver {driver}"
    )]
    pub(crate) fanwire_args: String,
    /// What Fanwire waits with: io_uring or epoll.
    #[arg(long, default_value = "io_uring")]
    pub(crate) driver: String,
    /// npm: bun.
    #[arg(long, default_value = "bun")]
    pub(crate) bun_bin: PathBuf,
    /// Debian: nginx with libnginx-mod-nchan.
    #[arg(long, default_value = "nginx")]
    pub(crate) nginx_bin: PathBuf,
    /// Debian: nats-server.
    #[arg(long, default_value = "nats-server")]
    pub(crate) nats_bin: PathBuf,
    /// Debian: mosquitto.
    #[arg(long, default_value = "mosquitto")]
    pub(crate) mosquitto_bin: PathBuf,
    /// cargo build --release --manifest-path loadtest/rivals/axum/Cargo.toml
    #[arg(long, default_value = "loadtest/rivals/axum/target/release/fanwire-rival-axum")]
    pub(crate) axum_bin: PathBuf,
    /// npm install --prefix loadtest/rivals/aedes
    #[arg(long, default_value = "loadtest/rivals/aedes")]
    pub(crate) aedes_folder: PathBuf,
    #[command(flatten)]
    pub(crate) elsewhere: ElsewhereArgs,
    /// NDJSON, gzipped or not, for the scenarios that publish telemetry.
    #[arg(long)]
    pub(crate) telemetry: Option<PathBuf>,
    /// Let the kernel place the processes. Otherwise a server of one shard has the first core, and the load the others.
    #[arg(long)]
    pub(crate) no_pin: bool,
}

/// A server that is running already: the subject `url`.
#[derive(Debug, Args)]
#[command(next_help_heading = "The subject `url`: any server that is running already")]
pub(crate) struct ElsewhereArgs {
    /// How it is listened to: ws://ADDRESS:PORT/PATH (plain WebSocket), http://… (an event stream, SSE), mqtt+ws://… (MQTT 3.1.1
    /// over WebSocket) or nats+ws://… (NATS over WebSocket). In the path, {topic} is the first topic's name, {names} all of
    /// them with commas, {numbers} their numbers, {index} the subscriber's number.
    #[arg(long)]
    pub(crate) url: Option<String>,
    /// The WebSocket subprotocol to offer.
    #[arg(long)]
    pub(crate) protocol: Option<String>,
    /// What a subscriber says after the handshake, e.g. '{"subscribe":{topics}}'; {topics} is a JSON list of names.
    #[arg(long)]
    pub(crate) join: Option<String>,
    /// What the server's answer to that contains. Without it a subscriber has joined when the handshake is answered.
    #[arg(long)]
    pub(crate) joined: Option<String>,
    /// How events go in: http://ADDRESS:PORT/PATH (POST), ws://…, nats://ADDRESS:PORT or mqtt://ADDRESS:PORT; {topic} in the path
    /// is the topic's name. Without it: POST /publish/{topic} to the same address.
    #[arg(long)]
    pub(crate) publish: Option<String>,
    /// What is said over ws:// to publish.
    #[arg(long, default_value = "{topic} {payload}")]
    pub(crate) publish_text: String,
    /// How topics are called; {n} is a topic's number.
    #[arg(long, default_value = "bench/{n}")]
    pub(crate) topic: String,
    /// Its process, so that CPU and memory are measured too.
    #[arg(long)]
    pub(crate) pid: Option<u32>,
}

impl ElsewhereArgs {
    fn elsewhere(&self) -> Elsewhere {
        Elsewhere {
            url: self.url.clone(),
            protocol: self.protocol.clone(),
            join: self.join.clone(),
            joined: self.joined.clone(),
            publish: self.publish.clone(),
            publish_text: self.publish_text.clone(),
            topic: self.topic.clone(),
            pid: self.pid,
        }
    }
}

impl ToolArgs {
    /// Paths made absolute: a subject runs in a directory of its own. A bare name stays one, to be found by the shell's rules.
    pub(crate) fn tools(&self) -> Tools {
        let absolute = |path: &PathBuf| {
            if path.components().count() == 1 {
                path.clone()
            } else {
                std::path::absolute(path).unwrap_or_else(|_| path.clone())
            }
        };
        Tools {
            fanwire: absolute(&self.fanwire_bin),
            fanwire_args: self.fanwire_args.clone(),
            driver: self.driver.clone(),
            bun: absolute(&self.bun_bin),
            nginx: absolute(&self.nginx_bin),
            nats: absolute(&self.nats_bin),
            mosquitto: absolute(&self.mosquitto_bin),
            axum: absolute(&self.axum_bin),
            aedes: std::path::absolute(&self.aedes_folder)
                .unwrap_or_else(|_| self.aedes_folder.clone()),
            elsewhere: self.elsewhere.elsewhere(),
            telemetry: self.telemetry.as_ref().map(absolute),
            pin: !self.no_pin,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
