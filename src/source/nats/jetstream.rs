//! A stream of JetStream, read in its order: by a consumer of our own, made anew each time at the message behind the last one that is stored here.
//!
//! The consumer acknowledges nothing and is asked for a few messages at a time (*pull*), so that whoever is full stops asking. Invariants: its messages come numbered without a hole, or the connection is given up and
//! made anew; a stream that is another than before, or has lost its end, is found out by the moment at which our last message was stored, and told as a gap; so is what a stream has let go of before it was read.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::json;

use super::api;
use super::api::Begin;
use super::api::Consumer;
use super::api::Stream;
use super::connection::Connection;
use super::connection::Heard;
use super::connection::Server;
use super::message_of;
use super::wire::Message;
use crate::clock::Clock;
use crate::limits::NATS_CONSUMER_IDLE_MS;
use crate::limits::NATS_PULL_BYTES_MAX;
use crate::limits::NATS_PULL_MESSAGES_MAX;
use crate::limits::NATS_PULL_MS_MAX;
use crate::source::Batch;
use crate::source::Connected;
use crate::source::Connector;
use crate::source::Fault;
use crate::source::FaultKind;
use crate::source::Gap;
use crate::source::MessageId;
use crate::source::Resume;
use crate::source::broker::Deadline;
use crate::source::broker::Name;
use crate::source::broker::garbled;
use crate::source::broker::lost;

const NS_PER_MS: u64 = 1_000_000;
/// How long a consumer that was asked for more may say nothing: as long as a request lasts, and what its end takes to come.
const PULL_SILENCE: Duration = Duration::from_millis(NATS_PULL_MS_MAX + NATS_PULL_MS_MAX / 2);

/// What is read.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) stream: String,
    pub(super) domain: String,
    pub(super) subjects: Vec<String>,
    pub(super) begins_first: bool,
}

/// Where we are: in the stream that was made then, its last message that is stored here, and when that was stored there. Times are nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Position {
    created_ns: u64,
    /// 0: before the first.
    sequence: u64,
    time_ns: u64,
}

impl Position {
    fn read(resume: &Resume) -> Option<Self> {
        let text = std::str::from_utf8(&resume.0).ok()?;
        let mut words = text.split(' ');
        let (version, created_ns) = (words.next()?, words.next()?.parse().ok()?);
        let (sequence, time_ns) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        (version == "1" && words.next().is_none()).then_some(Self { created_ns, sequence, time_ns })
    }

    fn write(&self) -> Resume {
        let Self { created_ns, sequence, time_ns } = self;
        Resume(format!("1 {created_ns} {sequence} {time_ns}").into_bytes().into())
    }

    /// What the message there is called: a stream that has lost its end gives a number twice, but not at the same moment.
    fn id(&self) -> MessageId {
        let [created, sequence, time] = [self.created_ns, self.sequence, self.time_ns];
        MessageId::new([created, sequence, time].map(u64::to_be_bytes).as_flattened())
    }
}

/// A consumer, and what it was asked for.
#[derive(Debug)]
struct Reader {
    connection: Connection,
    /// `$JS.API.CONSUMER.MSG.NEXT.stream.consumer`.
    next: String,
    /// How many messages it has handed on.
    delivered: u64,
    /// Of each request how many messages are still to come, by its number.
    pulls: VecDeque<(u64, usize)>,
    pull: u64,
    /// The message after the last one that was taken is larger than what is asked for at a time.
    is_large: bool,
    /// When the consumer must have said something: a request ends by itself before.
    due: Deadline,
    clock: Clock,
    lag: u64,
}

pub(super) struct JetStream {
    server: Server,
    reading: Reading,
    reader: Option<Reader>,
    position: Option<Position>,
    /// Where it is was not said yet since it is connected.
    is_new: bool,
    name: Name,
}

impl JetStream {
    pub(super) fn new(server: Server, reading: Reading) -> Self {
        Self { server, reading, reader: None, position: None, is_new: true, name: Name::default() }
    }

    fn deadline(&self, within: Duration) -> Deadline {
        Deadline::new(self.server.target.clock, within)
    }

    fn subject(&self, rest: &str) -> String {
        match self.reading.domain.as_str() {
            "" => format!("$JS.API.{rest}"),
            domain => format!("$JS.{domain}.API.{rest}"),
        }
    }

    /// Where to begin, and what is lost by that.
    fn begin(
        &self,
        connection: &mut Connection,
        stream: &Stream,
        until: &Deadline,
    ) -> Result<(Begin, Option<Gap>), Fault> {
        let gap = |messages, why: &str| Some(Gap { messages, why: why.into() });
        let Some(at) = &self.position else {
            let begin = if self.reading.begins_first { Begin::At(1) } else { Begin::New };
            return Ok((begin, None));
        };
        if at.created_ns != stream.created_ns()? {
            return Ok((Begin::At(1), gap(0, "the stream was made anew")));
        }
        if at.sequence == 0 {
            return Ok((Begin::At(stream.state.first_seq), None));
        }
        let was_cut = gap(0, "the stream has lost its end, with messages that were read before");
        if at.sequence > stream.state.last_seq {
            return Ok((Begin::After(at.time_ns), was_cut));
        }
        let subject = self.subject(&format!("STREAM.MSG.GET.{}", self.reading.stream));
        let question = format!("{{\"seq\":{}}}", at.sequence);
        let there = connection.ask((&subject, question.as_bytes()), until, drop)?;
        match api::stored_ns(&there.payload)? {
            Some(time_ns) if time_ns != at.time_ns => {
                return Ok((Begin::After(at.time_ns), was_cut));
            }
            _ => {}
        }
        let next = at.sequence.saturating_add(1);
        let left_out = stream.state.first_seq.saturating_sub(next);
        let why = if self.reading.subjects.is_empty() {
            "the stream has let go of messages before they were read"
        } else {
            "the stream has let go of messages before they were read, those on other subjects counted"
        };
        Ok((Begin::At(next), gap(left_out, why).filter(|gap| gap.messages > 0)))
    }

    /// Makes a consumer that begins there.
    fn consumer(
        &self,
        connection: &mut Connection,
        begin: &Begin,
        until: &Deadline,
    ) -> Result<Consumer, Fault> {
        let Reading { stream, subjects, .. } = &self.reading;
        let name = format!("fanwire_{}", connection.inbox.trim_start_matches("_INBOX."));
        let idle_ns = NATS_CONSUMER_IDLE_MS * NS_PER_MS;
        let question = api::consumer((stream, &name), subjects, begin, idle_ns).to_string();
        let mut subject = self.subject(&format!("CONSUMER.CREATE.{stream}.{name}"));
        if let [one] = subjects.as_slice() {
            subject = format!("{subject}.{one}");
        }
        let answer = connection.ask((&subject, question.as_bytes()), until, drop)?;
        api::read(&format!("a consumer of `{stream}`"), &answer.payload)
    }
}

impl Connector for JetStream {
    fn connect(&mut self, from: Option<&Resume>, within: Duration) -> Result<Connected, Fault> {
        self.reader = None;
        let until = self.deadline(within);
        self.position = match from {
            None => None,
            Some(resume) => Some(Position::read(resume).ok_or_else(|| {
                Fault::new(
                    FaultKind::Wrong,
                    "where it was is no place in a stream: is its `kind` another than before?",
                )
            })?),
        };
        let mut connection = Connection::open(&mut self.server, &until)?;
        connection.subscribe(&format!("{}.*", connection.inbox), 1)?;
        let name = &self.reading.stream;
        let subject = self.subject(&format!("STREAM.INFO.{name}"));
        let answer = connection.ask((&subject, b""), &until, drop)?;
        let stream: Stream = api::read(&format!("the stream `{name}`"), &answer.payload)?;
        let (begin, gap) = self.begin(&mut connection, &stream, &until)?;
        // What is new is what comes after what is there now, however long the consumer takes to be made.
        let begin = match begin {
            Begin::New => Begin::At(stream.state.last_seq.saturating_add(1)),
            begin => begin,
        };
        let consumer = self.consumer(&mut connection, &begin, &until)?;
        let next = self.subject(&format!("CONSUMER.MSG.NEXT.{name}.{}", consumer.name));
        let (created_ns, last_ns) = (stream.created_ns()?, stream.last_ns());
        self.position = Some(match (self.position, begin) {
            (Some(at), Begin::At(_)) if at.created_ns == created_ns => at,
            // Its numbers begin anew somewhere before.
            (Some(at), Begin::After(_)) => Position { sequence: 0, ..at },
            (_, Begin::At(next)) => {
                let sequence = next.saturating_sub(1);
                let time_ns = if sequence == stream.state.last_seq { last_ns } else { 0 };
                Position { created_ns, sequence, time_ns }
            }
            (None, _) => return Err(garbled("it begins nowhere")),
            (Some(at), Begin::New) => at,
        });
        let clock = self.server.target.clock;
        let reader = Reader {
            connection,
            next,
            delivered: 0,
            pulls: VecDeque::new(),
            pull: 0,
            is_large: false,
            due: Deadline::new(clock, PULL_SILENCE),
            clock,
            lag: consumer.num_pending,
        };
        self.is_new = from.is_none();
        self.reader = Some(reader);
        Ok(Connected { gap })
    }

    fn fetch(&mut self, batch: &mut Batch, within: Duration) -> Result<(), Fault> {
        let until = self.deadline(within);
        let (Some(reader), Some(position)) = (&mut self.reader, &mut self.position) else {
            return Err(super::not_connected());
        };
        let result = reader.fetch(batch, (position, &mut self.name), &until);
        if std::mem::take(&mut self.is_new) || !batch.is_empty() {
            batch.goes_on_from(position.write());
        }
        result
    }

    fn stored(&mut self, _within: Duration) -> Result<(), Fault> {
        Ok(())
    }

    fn lag(&self) -> Option<u64> {
        self.reader.as_ref().map(|reader| reader.lag)
    }

    fn close(&mut self, within: Duration) {
        let until = self.deadline(within);
        let Some(mut reader) = self.reader.take() else { return };
        let consumer = reader.next.replace(".MSG.NEXT.", ".DELETE.");
        // It goes away by itself as well.
        if let Err(fault) = reader.connection.ask((&consumer, b""), &until, drop) {
            tracing::debug!(%fault, "a consumer is left to end by itself");
        }
    }
}

impl Reader {
    fn fetch(
        &mut self,
        batch: &mut Batch,
        (position, name): (&mut Position, &mut Name),
        until: &Deadline,
    ) -> Result<(), Fault> {
        self.ask_for_more()?;
        let mut heard = self.connection.next(until)?;
        if heard.is_none() && self.due.is_over() {
            return Err(lost(&"its consumer says nothing any more"));
        }
        if heard.is_some() {
            self.due = Deadline::new(self.clock, PULL_SILENCE);
        }
        while let Some(one) = heard {
            match one {
                Heard::Message(message) if message.status().is_some() => {
                    self.hear_status(&message)?;
                }
                Heard::Message(message) => {
                    let id = self.take(&message, position)?;
                    let time_us = Some(position.time_ns / 1000);
                    let message = message_of(&message, name);
                    batch.push(super::super::Message { id: Some(id), time_us, ..message });
                }
                Heard::Oversized(message, bytes) => {
                    self.take(&message, position)?;
                    let at = format!("message {}", position.sequence);
                    batch.push_unusable(at, super::too_large(bytes));
                }
            }
            heard = if batch.has_room() { self.connection.next_ready()? } else { None };
        }
        self.ask_for_more()
    }

    /// Notes where a message stands, and what it is called.
    fn take(&mut self, message: &Message, position: &mut Position) -> Result<MessageId, Fault> {
        let Some(place) = api::place(&message.reply) else {
            return Err(garbled("a message of a stream does not say where it stands"));
        };
        if place.delivered != self.delivered + 1 || place.sequence <= position.sequence {
            let was = self.delivered;
            return Err(lost(&format_args!(
                "message {} comes after message {was} of the consumer",
                place.delivered
            )));
        }
        self.delivered = place.delivered;
        self.lag = place.pending;
        self.is_large = false;
        if let Some((_, left)) = self.pulls.front_mut() {
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.pulls.pop_front();
            }
        }
        (position.sequence, position.time_ns) = (place.sequence, place.time_ns);
        Ok(position.id())
    }

    /// A request is over: there was not enough, for long enough, or what comes next is too much for it.
    fn hear_status(&mut self, message: &Message) -> Result<(), Fault> {
        let (code, words) = message.status().unwrap_or_default();
        let number = message.subject.rsplit(|byte| *byte == b'.').next();
        let number = number
            .and_then(|token| std::str::from_utf8(token).ok()?.strip_prefix('p')?.parse().ok());
        match (code, words.to_ascii_lowercase()) {
            (100, _) => return Ok(()),
            (404 | 408, _) => {}
            // What was delivered under this request came before these words.
            (409, words) if words.contains("exceeds maxbytes") => {
                let asked = self.pulls.iter().find(|(pull, _)| Some(*pull) == number);
                self.is_large = asked.is_some_and(|(_, left)| *left == NATS_PULL_MESSAGES_MAX);
            }
            (409, words) if words.contains("batch completed") => {}
            (503, _) => return Err(lost(&"nobody answers for the consumer any more")),
            (code, words) => {
                return Err(lost(&format_args!("its consumer ends: {words} ({code})")));
            }
        }
        self.pulls.retain(|(pull, _)| Some(*pull) != number);
        Ok(())
    }

    /// Keeps it asked for more than is taken at a time, so that it never waits for us while we have room.
    fn ask_for_more(&mut self) -> Result<(), Fault> {
        let asked: usize = self.pulls.iter().map(|(_, left)| left).sum();
        let most = if self.is_large { 0 } else { NATS_PULL_MESSAGES_MAX / 2 };
        if asked > most {
            return Ok(());
        }
        self.pull += 1;
        let expires = NATS_PULL_MS_MAX * NS_PER_MS;
        let (batch, bytes) = (NATS_PULL_MESSAGES_MAX, NATS_PULL_BYTES_MAX);
        let (count, question) = match self.is_large {
            true => (1, json!({ "batch": 1, "expires": expires })),
            false => (batch, json!({ "batch": batch, "max_bytes": bytes, "expires": expires })),
        };
        self.pulls.push_back((self.pull, count));
        let reply = format!("{}.p{}", self.connection.inbox, self.pull);
        self.connection.publish((&self.next, &reply), question.to_string().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_read_as_it_was_written() {
        let position =
            Position { created_ns: u64::MAX, sequence: 7, time_ns: 1_700_000_000_000_000_001 };
        assert_eq!(Position::read(&position.write()), Some(position));
        for wrong in
            ["", "1", "2 x 1 1", "1 x 1", "1 1 y 1", "1 1 1 1 1", "1 1 18446744073709551616 1"]
        {
            assert_eq!(Position::read(&Resume(wrong.as_bytes().into())), None, "{wrong}");
        }
    }
}
