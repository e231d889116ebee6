//! `fanwire publish`: a recording, told to a server at its own pace, at a rate, or as fast as the server takes it.
//!
//! Invariants: one request is under way at a time, so records are ordered as they lie in the file; a record counts as accepted when the
//! server said so; what the server refused for want of room is sent again from the line it named; what it never answered is sent again
//! whole, and the totals say how much of that may be there twice. Never ends without totals.

mod batch;
mod pace;
mod records;
mod totals;

use std::fmt;
use std::io;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use percent_encoding::AsciiSet;
use percent_encoding::NON_ALPHANUMERIC;
use percent_encoding::utf8_percent_encode;
use tokio::time::Instant;
use tokio::time::sleep;
use tokio::time::sleep_until;

use crate::cli::http::HttpClient;
use crate::cli::http::HttpError;
use crate::cli::limits::BULK_BYTES_MAX;
use crate::cli::limits::BULK_LINES_MAX;
use crate::cli::limits::PACED_LINES_MAX;
use crate::cli::limits::RECONNECT_PATIENCE;
use crate::cli::limits::RETRY_AFTER_MAX;
use crate::cli::publish::batch::Batch;
use crate::cli::publish::batch::Next;
use crate::cli::publish::batch::Rejected;
use crate::cli::publish::batch::judge;
use crate::cli::publish::pace::Pace;
use crate::cli::publish::pace::Schedule;
use crate::cli::publish::pace::Untimed;
use crate::cli::publish::records::Chunk;
use crate::cli::publish::records::Chunks;
use crate::cli::publish::records::ReadBytes;
use crate::cli::publish::records::Reading;
use crate::cli::publish::records::Recording;
use crate::cli::publish::records::RecordingError;
use crate::cli::publish::totals::Bar;
use crate::cli::publish::totals::Moment;
use crate::cli::publish::totals::Totals;
use crate::cli::say;
use crate::cli::trust::AccessArgs;
use crate::cli::wait::Stop;
use crate::client::endpoint::Endpoint;
use crate::client::wait::Backoff;
use crate::client::wait::Either;
use crate::client::wait::either;
use crate::client::wait::entropy;
use crate::event::TopicName;

/// What `fanwire publish` can be told.
#[derive(Clone, Debug, clap::Args)]
pub struct PublishArgs {
    /// The server.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080", value_parser = Endpoint::parse)]
    url: Endpoint,
    #[command(flatten)]
    access: AccessArgs,
    /// The topic to publish to.
    #[arg(long, value_name = "TOPIC", value_parser = TopicName::new)]
    topic: TopicName,
    /// The member of each record that names its key; without it records have none.
    #[arg(long, value_name = "FIELD")]
    key: Option<String>,
    /// The member that holds a record's time: ISO 8601 text or whole milliseconds.
    #[arg(long, value_name = "FIELD", default_value = "timestamp")]
    time: String,
    /// Keep the recording's own pace, so many times as fast [default: 1].
    #[arg(long, value_name = "X", value_parser = positive, conflicts_with_all = ["rate", "max"])]
    speed: Option<f64>,
    /// So many records a second.
    #[arg(long, value_name = "N", value_parser = positive, conflicts_with = "max")]
    rate: Option<f64>,
    /// As fast as the server takes them.
    #[arg(long)]
    max: bool,
    /// Begin again at the end of the file.
    #[arg(long = "loop")]
    endless: bool,
    /// One JSON object a line, gzipped or not; `-` is standard input.
    #[arg(value_name = "FILE.ndjson[.gz]")]
    file: PathBuf,
}

fn positive(text: &str) -> Result<f64, &'static str> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() && number > 0.0 => Ok(number),
        _ => Err("must be a number above 0"),
    }
}

/// Why publishing ended before the recording did.
#[derive(Debug)]
enum PublishError {
    Io(io::Error),
    /// Standard input cannot be read a second time.
    LoopOfStdin,
    Recording(RecordingError),
    Untimed(Untimed, String),
    /// The server was never there, or was away for too long.
    Away(HttpError),
    Refused {
        status: u16,
        code: String,
        message: String,
    },
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "cannot start: {error}"),
            Self::LoopOfStdin => {
                write!(f, "--loop needs a file: standard input can be read only once")
            }
            Self::Recording(error) => error.fmt(f),
            Self::Untimed(error, field) => {
                write!(f, "--time {field}: {error}; name another, or use --rate N or --max")
            }
            Self::Away(error) => write!(f, "the server: {error}"),
            Self::Refused { status, code, message } => {
                write!(f, "the server refused with {status} {code}: {message}")
            }
        }
    }
}

impl std::error::Error for PublishError {}

/// How a publishing ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// At the end of the recording.
    Whole,
    /// The operator stopped it.
    Stopped,
}

/// Publishes, and says on standard error what it came to. 0: all was taken; 1: it ended early; 3: some lines were rejected; 130: stopped.
pub(crate) async fn publish(arguments: PublishArgs) -> ExitCode {
    let url = arguments.url.clone();
    let mut publisher = match Publisher::new(arguments) {
        Ok(publisher) => publisher,
        Err(error) => {
            say(&format!("fanwire: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let outcome = publisher.run().await;
    let totals = publisher.finish();
    say(totals.to_string().trim_end());
    match outcome {
        Err(error) => {
            say(&format!("fanwire publish --url {url}: {error}"));
            ExitCode::FAILURE
        }
        Ok(Ended::Stopped) => ExitCode::from(130),
        Ok(Ended::Whole) if totals.rejected > 0 => ExitCode::from(3),
        Ok(Ended::Whole) => ExitCode::SUCCESS,
    }
}

struct Publisher {
    arguments: PublishArgs,
    target: String,
    client: HttpClient,
    chunks: Chunks,
    read: ReadBytes,
    schedule: Schedule,
    /// The chunk under way, and the next of its lines with the time at which it is due.
    chunk: Chunk,
    line_index: usize,
    head_due: Option<Duration>,
    batch: Batch,
    batch_lines_max: usize,
    late: Duration,
    started: Instant,
    totals: Totals,
    bar: Bar<io::Stderr>,
    stop: Stop,
    backoff: Backoff,
    ever_answered: bool,
}

impl Publisher {
    fn new(arguments: PublishArgs) -> Result<Self, PublishError> {
        let recording = match arguments.file.to_str() {
            Some("-") if arguments.endless => return Err(PublishError::LoopOfStdin),
            Some("-") => Recording::Stdin,
            _ => Recording::File(arguments.file.clone()),
        };
        let pace = match (arguments.max, arguments.rate) {
            (true, _) => Pace::Max,
            (false, Some(hz)) => Pace::Rate { hz },
            (false, None) => Pace::Recorded { speed: arguments.speed.unwrap_or(1.0) },
        };
        let time_field = matches!(pace, Pace::Recorded { .. }).then(|| arguments.time.clone());
        let reading = Reading { recording, time_field, endless: arguments.endless };
        let stop = Stop::listen().map_err(PublishError::Io)?;
        let (chunks, read) = reading.start().map_err(PublishError::Io)?;
        Ok(Self {
            target: target(&arguments),
            client: HttpClient::new(
                arguments.access.way(arguments.url.clone()).map_err(PublishError::Io)?,
            ),
            chunks,
            read,
            schedule: Schedule::new(pace),
            chunk: Chunk::default(),
            line_index: 0,
            head_due: None,
            batch: Batch::default(),
            batch_lines_max: if pace == Pace::Max { BULK_LINES_MAX } else { PACED_LINES_MAX },
            late: Duration::ZERO,
            started: Instant::now(),
            totals: Totals::default(),
            bar: Bar::new(io::stderr(), io::stderr().is_terminal()),
            stop,
            backoff: Backoff::new(entropy()),
            ever_answered: false,
            arguments,
        })
    }

    async fn run(&mut self) -> Result<Ended, PublishError> {
        loop {
            match self.gather().await? {
                BatchRead::Batch => {}
                BatchRead::End => return Ok(Ended::Whole),
                BatchRead::Stopped => return Ok(Ended::Stopped),
            }
            if self.send().await? == Ended::Stopped {
                return Ok(Ended::Stopped);
            }
        }
    }

    fn finish(&mut self) -> &Totals {
        self.bar.clear();
        self.totals.elapsed = self.started.elapsed();
        self.totals.untimed = self.schedule.untimed;
        &self.totals
    }

    /// Fills the batch with what is due by now, waiting for the first record of it.
    async fn gather(&mut self) -> Result<BatchRead, PublishError> {
        while self.batch.line_count() < self.batch_lines_max
            && self.batch.text().len() < BULK_BYTES_MAX
        {
            let due = match self.head_due {
                Some(due) => due,
                None => match self.head().await? {
                    Head::Due(due) => due,
                    Head::NotYet => break,
                    Head::End if self.batch.is_empty() => return Ok(BatchRead::End),
                    Head::End => break,
                    Head::Stopped => return Ok(BatchRead::Stopped),
                },
            };
            self.head_due = Some(due);
            let now = self.started.elapsed();
            if due > now {
                if !self.batch.is_empty() {
                    break;
                }
                if let Either::Second(()) =
                    either(sleep_until(self.started + due), self.stop.asked()).await
                {
                    return Ok(BatchRead::Stopped);
                }
                continue;
            }
            if self.batch.is_empty() {
                self.late = if due.is_zero() { Duration::ZERO } else { now - due };
                self.totals.late_max = self.totals.late_max.max(self.late);
            }
            self.take_head();
        }
        Ok(BatchRead::Batch)
    }

    /// The time at which the next line is due. Waits for one only while there is nothing to send.
    async fn head(&mut self) -> Result<Head, PublishError> {
        loop {
            if let Some(line) = self.chunk.lines.get(self.line_index) {
                let untimed = |error| PublishError::Untimed(error, self.arguments.time.clone());
                return self.schedule.due(line, self.chunk.pass).map(Head::Due).map_err(untimed);
            }
            let received = if self.batch.is_empty() {
                match either(self.chunks.recv_async(), self.stop.asked()).await {
                    Either::First(received) => received.ok(),
                    Either::Second(()) => return Ok(Head::Stopped),
                }
            } else {
                match self.chunks.try_recv() {
                    Ok(received) => Some(received),
                    Err(flume::TryRecvError::Empty) => return Ok(Head::NotYet),
                    Err(flume::TryRecvError::Disconnected) => None,
                }
            };
            let Some(received) = received else { return Ok(Head::End) };
            self.chunk = received.map_err(PublishError::Recording)?;
            self.line_index = 0;
            self.reject_too_long();
        }
    }

    fn reject_too_long(&mut self) {
        let numbers = std::mem::take(&mut self.chunk.too_long);
        let rejected = |number| Rejected {
            number,
            code: "too_large".to_owned(),
            message: "the line is longer than 1 MiB and was not sent".to_owned(),
        };
        self.totals.reject(numbers.len() as u64, numbers.into_iter().map(rejected).collect());
    }

    fn take_head(&mut self) {
        if let Some(line) = self.chunk.lines.get(self.line_index) {
            self.batch
                .push(self.chunk.text.get(line.start..line.end).unwrap_or_default(), line.number);
        }
        self.line_index += 1;
        self.head_due = None;
    }

    /// Sends the batch until all of it is taken or rejected.
    async fn send(&mut self) -> Result<Ended, PublishError> {
        let mut away_since: Option<Instant> = None;
        while !self.batch.is_empty() {
            let post = self.client.post(&self.target, "application/x-ndjson", self.batch.text());
            let outcome = match either(post, self.stop.asked()).await {
                Either::First(outcome) => outcome,
                Either::Second(()) => {
                    self.totals.unanswered += self.batch.line_count() as u64;
                    return Ok(Ended::Stopped);
                }
            };
            let wait = match outcome {
                Ok(response) => {
                    let verdict = judge(&self.batch, &response);
                    self.ever_answered = true;
                    self.totals.accepted += verdict.accepted;
                    self.totals.reject(verdict.rejected, verdict.named);
                    match self.settle(verdict.next, away_since)? {
                        None => {
                            away_since = None;
                            self.backoff.reset();
                            Duration::ZERO
                        }
                        Some(Pause::Full(wait)) => wait,
                        Some(Pause::Away) => self.away(&mut away_since),
                    }
                }
                Err(error) => {
                    self.lost(error, away_since)?;
                    self.away(&mut away_since)
                }
            };
            self.draw();
            if !wait.is_zero()
                && let Either::Second(()) = either(sleep(wait), self.stop.asked()).await
            {
                return Ok(Ended::Stopped);
            }
        }
        Ok(Ended::Whole)
    }

    /// Takes from the batch what the answer settled.
    fn settle(
        &mut self,
        next: Next,
        away_since: Option<Instant>,
    ) -> Result<Option<Pause>, PublishError> {
        match next {
            Next::Go => {
                self.totals.bytes += self.batch.text().len() as u64;
                self.batch.clear();
                Ok(None)
            }
            Next::Again { settled, wait_s } => {
                self.totals.bytes += self.batch.drop_front(settled) as u64;
                self.totals.full += 1;
                Ok(Some(Pause::Full(
                    Duration::from_secs(wait_s).clamp(Duration::from_millis(10), RETRY_AFTER_MAX),
                )))
            }
            Next::Later { status, message } => {
                if away_since.is_some_and(|since| since.elapsed() >= RECONNECT_PATIENCE) {
                    return Err(PublishError::Refused { status, code: String::new(), message });
                }
                self.tell(&format!("answered {status} {message}; trying again"), away_since);
                Ok(Some(Pause::Away))
            }
            Next::Refused { status, code, message } => {
                Err(PublishError::Refused { status, code, message })
            }
        }
    }

    /// A request failed: decides whether it is worth another attempt, and counts what that may repeat.
    fn lost(&mut self, error: HttpError, away_since: Option<Instant>) -> Result<(), PublishError> {
        let patient = away_since.is_none_or(|since| since.elapsed() < RECONNECT_PATIENCE);
        let unanswered = !matches!(error, HttpError::Connect(_));
        if !patient || (!self.ever_answered && !unanswered) {
            return Err(PublishError::Away(error));
        }
        if unanswered {
            self.totals.repeated += self.batch.line_count() as u64;
            self.totals.reconnects += 1;
            let (first, last) = self.batch.numbers();
            self.tell(&format!("{error}; will send lines {first} to {last} again"), None);
        } else {
            self.tell(
                &format!("{error}; trying again for up to {} s", RECONNECT_PATIENCE.as_secs()),
                away_since,
            );
        }
        Ok(())
    }

    fn away(&mut self, away_since: &mut Option<Instant>) -> Duration {
        away_since.get_or_insert_with(Instant::now);
        self.backoff.wait()
    }

    /// Says what happened to the server, once for each time that it goes away.
    fn tell(&mut self, what: &str, away_since: Option<Instant>) {
        if away_since.is_none() {
            self.bar.clear();
            say(&format!("fanwire: {}: {what}", self.arguments.url));
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a share to show")]
    fn draw(&mut self) {
        let total = self.read.total;
        let done = (total > 0).then(|| self.read.read() as f64 / total as f64);
        self.bar
            .draw(&self.totals, Moment { elapsed: self.started.elapsed(), done, late: self.late });
    }
}

/// What came of reading the next batch: one to send, the end of the input, or the order to stop.
enum BatchRead {
    Batch,
    End,
    Stopped,
}

enum Head {
    Due(Duration),
    /// None is at hand, and there is something to send meanwhile.
    NotYet,
    End,
    Stopped,
}

enum Pause {
    Full(Duration),
    Away,
}

//= rfc3986#2.3
//# unreserved  = ALPHA / DIGIT / "-" / "." / "_" / "~"
const IN_QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// As in a query, and `/` between the segments of a topic.
const IN_PATH: &AsciiSet = &IN_QUERY.remove(b'/');

fn target(arguments: &PublishArgs) -> String {
    let mut target = arguments.url.target("/v1/publish/");
    target.extend(utf8_percent_encode(arguments.topic.as_str(), IN_PATH));
    if let Some(key) = &arguments.key {
        target.push_str("?key_field=");
        target.extend(utf8_percent_encode(key, IN_QUERY));
    }
    target
}

#[cfg(test)]
mod tests;
