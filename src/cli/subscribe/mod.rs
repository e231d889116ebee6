//! `fanwire subscribe`: prints what arrives, one JSON line each, and goes on where it was when the connection or the server was away.
//!
//! Invariants: standard output holds only what the server said, in its order, each event once, and a gap or skipped line wherever
//! something is missing; standard error holds everything else. What can pass is waited for, for ever; what cannot ends the process.

mod journal;

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::sleep;

use crate::cli::limits::RETRY_AFTER_MAX;
use crate::cli::say;
use crate::cli::subscribe::journal::Journal;
use crate::cli::subscribe::journal::JournalError;
use crate::cli::trust::AccessArgs;
use crate::cli::wait::Stop;
use crate::client::connect::Way;
use crate::client::endpoint::Endpoint;
use crate::client::message::ClientError;
use crate::client::message::Kind;
use crate::client::message::Message;
use crate::client::message::NotProtocol;
use crate::client::position::Since;
use crate::client::socket::Socket;
use crate::client::socket::SocketError;
use crate::client::wait::Backoff;
use crate::client::wait::Either;
use crate::client::wait::at_once;
use crate::client::wait::either;
use crate::client::wait::entropy;
use crate::event::TopicPattern;
use crate::limits::PLAYBACK_SPEED_MAX;
use crate::limits::PLAYBACK_SPEED_MIN;
use crate::position::Speed;

/// What `fanwire subscribe` can be told.
#[derive(Clone, Debug, clap::Args)]
pub struct SubscribeArgs {
    /// The server.
    #[arg(long, value_name = "URL", default_value = "ws://127.0.0.1:8080/v1/ws", value_parser = Endpoint::parse)]
    url: Endpoint,
    #[command(flatten)]
    access: AccessArgs,
    /// A topic or pattern: `*` is one segment, a last `**` any number; may be given several times [default: **].
    #[arg(long, value_name = "TOPIC", value_parser = TopicPattern::new)]
    topic: Vec<TopicPattern>,
    /// Only events whose payload passes, such as 'altitude < 10000'; an object is taken for the other notation.
    #[arg(long, value_name = "FILTER")]
    filter: Option<String>,
    /// Where to begin: earliest, last, an ISO 8601 time, microseconds since 1970, or a position [default: live only].
    #[arg(long, value_name = "SINCE", value_parser = Since::parse)]
    since: Option<Since>,
    /// Tell the past at so many times the pace at which it happened, then go on live: 60, or 0.5.
    #[arg(long, value_name = "FACTOR", value_parser = pace_of)]
    speed: Option<f64>,
    /// With --speed: shorten silences of the past to so many milliseconds.
    #[arg(long, value_name = "MS", requires = "speed")]
    max_gap: Option<u32>,
    /// Remember the position in this file, and begin there if it exists: what a killed run printed is not printed again.
    #[arg(long, value_name = "FILE")]
    position_file: Option<PathBuf>,
    /// End after so many events.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Several events a message: at most N, none later than MS milliseconds (they are printed one a line all the same).
    #[arg(long, value_name = "N[,MS]", value_parser = Batch::parse)]
    batch: Option<Batch>,
    /// At most so many updates a second, of each key unless it says `subscription`: 2, or 10/subscription.
    #[arg(long, value_name = "HZ[/PER]", value_parser = MaxRate::parse)]
    max_rate: Option<MaxRate>,
    /// Only these members of the payload, separated by commas.
    #[arg(long, value_name = "PATHS", value_delimiter = ',')]
    fields: Vec<String>,
    /// What the server does when we read too slowly.
    #[arg(long, value_name = "POLICY", value_parser = ["disconnect", "drop_oldest", "latest_per_key"])]
    slow: Option<String>,
    /// Announce a key once when it no longer passes the filter.
    #[arg(long, requires = "filter")]
    leave: bool,
}

/// A speed that the server takes.
fn pace_of(text: &str) -> Result<f64, String> {
    let speed = text.parse().ok().filter(|speed| *speed > 0.0 && Speed::of(*speed).is_some());
    speed.ok_or_else(|| format!("write {PLAYBACK_SPEED_MIN} to {PLAYBACK_SPEED_MAX}"))
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Batch {
    max_events: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_delay_ms: Option<u32>,
}

impl Batch {
    fn parse(text: &str) -> Result<Self, &'static str> {
        const FORM: &str = "write it like 100 or 100,50: events and milliseconds";
        let (events, delay) =
            text.split_once(',').map_or((text, None), |(events, delay)| (events, Some(delay)));
        let max_delay_ms = delay.map(str::parse).transpose().map_err(|_| FORM)?;
        Ok(Self { max_events: events.parse().map_err(|_| FORM)?, max_delay_ms })
    }
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct MaxRate {
    per: String,
    hz: serde_json::Number,
}

impl MaxRate {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let (hz, per) = text.split_once('/').unwrap_or((text, "key"));
        match serde_json::from_str(hz) {
            Ok(hz) if matches!(per, "key" | "subscription") => Ok(Self { per: per.to_owned(), hz }),
            _ => Err("write it like 2, 0.5/key or 10/subscription"),
        }
    }
}

/// The protocol's `subscribe`.
#[derive(Debug, Serialize)]
struct Subscribe<'a> {
    r#type: &'static str,
    id: u32,
    topics: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    filter: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "is_live")]
    since: Since,
    #[serde(skip_serializing_if = "Option::is_none")]
    speed: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_gap_ms: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch: Option<Batch>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_rate: Option<&'a MaxRate>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    fields: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    slow: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    leave: bool,
}

const SUBSCRIPTION: u32 = 1;

fn is_live(since: &Since) -> bool {
    *since == Since::Live
}

/// Why this connection, or all of it, is over.
#[derive(Debug)]
enum SubscribeError {
    Start(io::Error),
    Socket(SocketError),
    Journal(JournalError),
    Server(Box<ClientError>),
    NotProtocol(NotProtocol),
}

impl fmt::Display for SubscribeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(error) => write!(f, "cannot start: {error}"),
            Self::Socket(error) => error.fmt(f),
            Self::Journal(error) => error.fmt(f),
            Self::Server(error) => write!(f, "the server answered: {error}"),
            Self::NotProtocol(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for SubscribeError {}

impl From<SocketError> for SubscribeError {
    fn from(error: SocketError) -> Self {
        Self::Socket(error)
    }
}

impl From<JournalError> for SubscribeError {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}

impl SubscribeError {
    fn is_passing(&self) -> bool {
        match self {
            Self::Socket(error) => error.is_passing(),
            // Taken for lack of room at the moment.
            Self::Server(error) => error.code == "full",
            Self::Start(_) | Self::Journal(_) | Self::NotProtocol(_) => false,
        }
    }
}

/// Subscribes until it is told to stop, has heard enough, or cannot go on. 0: stopped or heard enough; 1: cannot go on.
pub(crate) async fn subscribe(arguments: SubscribeArgs) -> ExitCode {
    let url = arguments.url.clone();
    let outcome = match Subscriber::new(arguments) {
        Ok(mut subscriber) => subscriber.run().await,
        Err(error) => Err(error),
    };
    match outcome {
        Ok(()) | Err(SubscribeError::Journal(JournalError::Unread)) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("fanwire subscribe --url {url}: {error}"));
            ExitCode::FAILURE
        }
    }
}

struct Subscriber {
    arguments: SubscribeArgs,
    way: Way,
    topics: Vec<String>,
    journal: Journal,
    /// Events still to be printed, if there is a limit.
    wanted: Option<u64>,
    stop: Stop,
    backoff: Backoff,
    /// When a server that stops has said to come back, from then.
    advised: Option<Duration>,
    said_forgetful: bool,
    /// The past has been told up to the present once.
    was_live: bool,
}

impl Subscriber {
    fn new(arguments: SubscribeArgs) -> Result<Self, SubscribeError> {
        let stdout = io::stdout().as_fd().try_clone_to_owned().map_err(SubscribeError::Start)?;
        Self::with_output(arguments, File::from(stdout))
    }

    fn with_output(arguments: SubscribeArgs, out: File) -> Result<Self, SubscribeError> {
        let mut topics: Vec<String> =
            arguments.topic.iter().map(|topic| topic.as_str().to_owned()).collect();
        if topics.is_empty() {
            topics.push("**".to_owned());
        }
        let since = arguments.since.clone().unwrap_or_default();
        let journal = Journal::open(out, topics.clone(), since, arguments.position_file.clone())?;
        if arguments.speed.is_some() && !journal.progress.since().is_place_in_time() {
            let message =
                "--speed needs --since with a place in time: earliest, a time or a position";
            return Err(SubscribeError::Start(io::Error::other(message)));
        }
        let way = arguments.access.way(arguments.url.clone()).map_err(SubscribeError::Start)?;
        Ok(Self {
            way,
            topics,
            journal,
            wanted: arguments.count,
            stop: Stop::listen().map_err(SubscribeError::Start)?,
            backoff: Backoff::new(entropy()),
            advised: None,
            said_forgetful: false,
            was_live: false,
            arguments,
        })
    }

    async fn run(&mut self) -> Result<(), SubscribeError> {
        loop {
            let outcome = self.connection().await;
            // Whatever ended the connection, what was heard of it is printed.
            self.journal.flush()?;
            let error = match outcome {
                Ok(()) => return Ok(()),
                Err(error) if error.is_passing() => error,
                Err(error) => return Err(error),
            };
            let wait = self.advised.take().unwrap_or_else(|| self.backoff.wait());
            self.tell(&format!("{error}; trying again in {:.1} s", wait.as_secs_f64()));
            if let Either::Second(()) = either(sleep(wait), self.stop.asked()).await {
                return Ok(());
            }
        }
    }

    fn tell(&self, what: &str) {
        say(&format!("fanwire: {}: {what}", self.arguments.url));
    }

    /// One connection, from its opening to its end. Ok: there is no need of another.
    async fn connection(&mut self) -> Result<(), SubscribeError> {
        let opened = match either(Socket::open(&self.way), self.stop.asked()).await {
            Either::First(opened) => opened,
            Either::Second(()) => return Ok(()),
        };
        let mut socket = opened?;
        while self.wanted != Some(0) {
            let heard = {
                let mut message = pin!(socket.message());
                match at_once(message.as_mut()).await {
                    Some(message) => message?,
                    None => {
                        // Nothing more for the moment: whoever reads us is not to wait.
                        self.journal.flush()?;
                        match either(message, self.stop.asked()).await {
                            Either::First(message) => message?,
                            Either::Second(()) => break,
                        }
                    }
                }
            };
            if let Some(answer) = self.hear(&heard)? {
                socket.send(&answer).await?;
            }
        }
        self.journal.flush()?;
        socket.close().await;
        Ok(())
    }

    /// Takes one message; answers what is to be said to it.
    fn hear(&mut self, text: &[u8]) -> Result<Option<String>, SubscribeError> {
        match Message::parse(text).map_err(SubscribeError::NotProtocol)? {
            Message::Welcome { epoch } => {
                let since = self.journal.progress.begin(&epoch);
                // Before anything of a new epoch is printed, the file says that the epoch is new.
                self.journal.save()?;
                Ok(Some(self.wish(since)))
            }
            Message::Told(told) => {
                for told in &told {
                    if self.wanted == Some(0) {
                        break;
                    }
                    if self.journal.print(told)? && told.kind == Kind::Event {
                        self.wanted = self.wanted.map(|wanted| wanted - 1);
                    }
                }
                self.mention_forgetfulness();
                Ok(None)
            }
            Message::Live { position, replayed, .. } => {
                self.journal.flush()?;
                self.journal.progress.live(position);
                self.journal.save()?;
                self.backoff.reset();
                self.was_live = true;
                self.tell(&match replayed {
                    0 => "live".to_owned(),
                    _ => format!("live, after {replayed} events from history"),
                });
                Ok(None)
            }
            Message::Reconnect { after_ms } => {
                self.advised = Some(Duration::from_millis(after_ms).min(RETRY_AFTER_MAX));
                Ok(None)
            }
            Message::Error { error, .. } => Err(SubscribeError::Server(Box::new(error))),
            Message::Agreed { .. }
            | Message::Ended { .. }
            | Message::Updated { .. }
            | Message::Answer { .. }
            | Message::TokenExpiring
            | Message::Other => Ok(None),
        }
    }

    fn mention_forgetfulness(&mut self) {
        if self.journal.forgetful && !self.said_forgetful {
            self.said_forgetful = true;
            self.tell("more topics than a position can hold: events of the newest may be repeated after a lost connection");
        }
    }

    fn wish(&self, since: Since) -> String {
        // Who was live goes on where that ended, as fast as can be.
        let is_played = !self.was_live && since.is_place_in_time();
        let filter = self.arguments.filter.as_deref().and_then(|filter| {
            // The structured notation is an object, and no text filter begins with a brace.
            let object = filter
                .trim_start()
                .starts_with('{')
                .then(|| RawValue::from_string(filter.to_owned()).ok());
            object.flatten().or_else(|| serde_json::value::to_raw_value(filter).ok())
        });
        let wish = Subscribe {
            r#type: "subscribe",
            id: SUBSCRIPTION,
            topics: &self.topics,
            filter,
            speed: self.arguments.speed.filter(|_| is_played),
            max_gap_ms: self.arguments.max_gap.filter(|_| is_played),
            since,
            batch: self.arguments.batch,
            max_rate: self.arguments.max_rate.as_ref(),
            fields: &self.arguments.fields,
            slow: self.arguments.slow.as_deref(),
            leave: self.arguments.leave,
        };
        serde_json::to_string(&wish)
            .unwrap_or_else(|error| unreachable!("strings and numbers are JSON: {error}"))
    }
}

#[cfg(test)]
mod tests;
