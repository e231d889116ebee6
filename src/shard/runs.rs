//! Messages of several events that are being filled: one for all of them, or one for each topic, as the dialect has it.
//!
//! Invariants: events of one topic are in their order, within a message and from message to message; of what is added all is ended. Never knows a class.

use crate::dialect::BatchPart;
use crate::dialect::DialectId;
use crate::dialect::Run;
use crate::event::Event;
use crate::event::TopicName;
use crate::limits::BATCH_BYTES_MAX;
use crate::limits::INPUT_GROWTH_BYTES_MIN;
use crate::wire::grow;

/// What is being filled.
#[derive(Debug, Default)]
pub(super) struct Runs {
    /// The dialect of all that is in it; `None`: nothing has been yet.
    dialect: Option<DialectId>,
    first: OpenMessage,
    /// Of further topics.
    others: Vec<OpenMessage>,
    bytes: usize,
    /// Bytes of the buffers that the messages are in, about.
    held_bytes: usize,
    /// Events of the message that has most.
    events: u16,
    /// The buffer that a message is made in, if it is made when it is complete.
    made: Vec<u8>,
}

/// One message.
#[derive(Debug, Default)]
struct OpenMessage {
    /// `None`: events of all topics are in it, or it is empty.
    topic: Option<TopicName>,
    text: Vec<u8>,
    events: u16,
}

/// What an event stream calls a message of several events, one behind the other.
const BATCH: &str = "batch";

/// Bytes of the buffer of a text of so many: a short one has room for twice as many, a long one for a quarter more.
fn reckoned(bytes: usize) -> usize {
    bytes + bytes.min(INPUT_GROWTH_BYTES_MIN)
}

impl Runs {
    /// Whether no event waits in any message.
    pub(super) const fn is_empty(&self) -> bool {
        self.first.events == 0
    }

    /// Bytes of the messages' texts.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes of the buffers that the messages are in, about.
    pub(super) const fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// Whether the message must be ended: a message has as many events as it may, or all together have as many bytes.
    pub(super) const fn is_full(&self, events_max: u16) -> bool {
        self.events >= events_max || self.bytes >= BATCH_BYTES_MAX
    }

    /// Whether an event that is written in this dialect can be added, whatever it says. If not, [`Runs::takes`] knows.
    pub(super) fn takes_any(&self, dialect: DialectId) -> bool {
        let is_joined = matches!(dialect.speaker().run(), Run::Joined(_));
        self.is_empty() || (is_joined && self.dialect == Some(dialect))
    }

    /// Whether an event can be added; if not, what is in it is to be ended first.
    pub(super) fn takes(&self, dialect: DialectId, event: &Event, text: &[u8]) -> bool {
        if self.is_empty() {
            return true;
        }
        if self.dialect != Some(dialect) {
            return false;
        }
        match dialect.speaker().run() {
            Run::Joined(_) => true,
            Run::Whole(whole) => (whole.goes_with)(&self.first.text, text),
            Run::PerTopic(per_topic) => {
                let is_of = |filled: &&OpenMessage| filled.topic.as_ref() == Some(&event.topic);
                let of_topic = self.all().find(is_of);
                of_topic.is_none_or(|filled| (per_topic.goes_with)(&filled.text, text))
            }
        }
    }

    fn all(&self) -> impl Iterator<Item = &OpenMessage> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// Adds an event, as it is written in a dialect.
    pub(super) fn add(&mut self, dialect: DialectId, event: &Event, text: &[u8]) {
        self.dialect = Some(dialect);
        let run = dialect.speaker().run();
        let filled = match run {
            Run::Joined(_) | Run::Whole(_) => &mut self.first,
            Run::PerTopic(_) => self.of_topic(&event.topic),
        };
        let held_before = reckoned(filled.text.len());
        if let Run::Joined(put) = run {
            let part = if filled.events == 0 { BatchPart::Begin } else { BatchPart::Between };
            put(part, event.time_us, &mut filled.text);
        }
        // Of many batches that are filled alike not all double at once.
        match filled.text.len() < INPUT_GROWTH_BYTES_MIN {
            true => filled.text.extend_from_slice(text),
            false => grow::extend(&mut filled.text, text),
        }
        filled.events += 1;
        let (events, held_more) = (filled.events, reckoned(filled.text.len()) - held_before);
        self.events = self.events.max(events);
        self.bytes += text.len();
        self.held_bytes += held_more;
    }

    fn of_topic(&mut self, topic: &TopicName) -> &mut OpenMessage {
        if self.first.events == 0 {
            self.first.topic = Some(topic.clone());
        }
        if self.first.topic.as_ref() == Some(topic) {
            return &mut self.first;
        }
        let is_of = |filled: &OpenMessage| filled.topic.as_ref() == Some(topic);
        let index = self.others.iter().position(is_of).unwrap_or_else(|| {
            self.others.push(OpenMessage { topic: Some(topic.clone()), ..OpenMessage::default() });
            self.held_bytes += 2 * size_of::<OpenMessage>();
            self.others.len() - 1
        });
        &mut self.others[index]
    }

    /// Ends all messages, in the order in which they were begun, and is empty then; each has a word for what an event stream calls it.
    pub(super) fn end(&mut self, mut each: impl FnMut(&'static str, &[u8])) {
        let Some(run) = self.dialect.take().map(|dialect| dialect.speaker().run()) else { return };
        for filled in std::iter::once(&mut self.first).chain(&mut self.others) {
            if filled.events == 0 {
                continue;
            }
            match run {
                Run::Joined(put) => {
                    put(BatchPart::End, 0, &mut filled.text);
                    each(BATCH, &filled.text);
                }
                Run::PerTopic(per_topic) => {
                    self.made.clear();
                    (per_topic.end)(&filled.text, &mut self.made);
                    each(BATCH, &self.made);
                }
                Run::Whole(whole) => {
                    self.made.clear();
                    (whole.end)(&filled.text, &mut self.made);
                    each(whole.kind, &self.made);
                }
            }
            filled.text.clear();
            (filled.topic, filled.events) = (None, 0);
        }
        self.others.clear();
        (self.bytes, self.events) = (0, 0);
        self.held_bytes = 0;
    }
}
