//! The command line.
//!
//! Invariant: says what is to be done and with which programs; does nothing.

use crate::subject::Elsewhere;
use crate::subject::Tools;

use std::path::PathBuf;

use clap::Args;
use clap::Parser;
use clap::Subcommand;

/// Puts fan-out servers under load and tells what their subscribers feel.
#[derive(Debug, Parser)]
#[command(name = "fanwire-load", version, about)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs scenarios with subjects, interleaved, and writes a report.
    Run(Run),
    /// Runs every scenario with each of its subjects: the whole table.
    ReportAll(ReportAll),
    /// Writes the report again from results.json.
    Render {
        /// The directory that holds results.json.
        #[arg(long, default_value = "target/load")]
        out: PathBuf,
    },
    /// Lists scenarios and subjects.
    List {
        #[arg(long, default_value = "loadtest/scenarios")]
        scenarios: PathBuf,
    },
    /// A worker, publisher or floor; only this program starts it.
    #[command(hide = true)]
    Child,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Scenario files, or names of files in --scenarios.
    #[arg(required = true)]
    pub(crate) scenario: Vec<String>,
    /// Instead of the scenarios' own subjects.
    #[arg(long, value_delimiter = ',')]
    pub(crate) subject: Vec<String>,
    /// Instead of the scenarios' own number.
    #[arg(long)]
    pub(crate) subscribers: Option<u32>,
    #[command(flatten)]
    pub(crate) session: SessionArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ReportAll {
    /// Only scenarios whose names contain one of these.
    #[arg(long, value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    #[command(flatten)]
    pub(crate) session: SessionArgs,
}

#[derive(Debug, Args)]
pub(crate) struct SessionArgs {
    #[arg(long, default_value_t = 5)]
    pub(crate) rounds: u32,
    /// Instead of the scenarios' own length.
    #[arg(long)]
    pub(crate) seconds: Option<f64>,
    /// Where results.json, report.html and report.md go.
    #[arg(long, default_value = "target/load")]
    pub(crate) out: PathBuf,
    #[arg(long, default_value = "loadtest/scenarios")]
    pub(crate) scenarios: PathBuf,
    #[command(flatten)]
    pub(crate) tools: ToolArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ToolArgs {
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
    #[arg(long, default_value = "bun")]
    pub(crate) bun_bin: PathBuf,
    #[arg(long, default_value = "nginx")]
    pub(crate) nginx_bin: PathBuf,
    #[arg(long, default_value = "nats-server")]
    pub(crate) nats_bin: PathBuf,
    #[arg(long, default_value = "mosquitto")]
    pub(crate) mosquitto_bin: PathBuf,
    #[arg(long, default_value = "loadtest/rivals/axum/target/release/fanwire-rival-axum")]
    pub(crate) axum_bin: PathBuf,
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
