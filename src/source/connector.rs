//! What a kind of source implements: how it connects to its far end, fetches messages, and says that they are stored.
//!
//! A connector lives on a thread of its own, that of its source, and may block there; whoever needs an async runtime makes one of the current thread in `connect` and blocks on it. It is called by that
//! thread alone, in this order: `connect`, then `fetch` and `stored` in turn, then `close`, after which it may be connected again. Invariants that it keeps: no call takes longer than it was given, but for some
//! milliseconds (the server could not stop in time); nothing is fetched ahead without bound, so that a server that is full stops the far end; nothing is lost in silence: what the far end says it has
//! dropped, or what was plainly left out, is a [`Gap`] of the batch. Never tries anything again by itself: a fault is answered, and the supervisor connects anew, later.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::limits::SOURCE_BATCH_BYTES_MAX;
use crate::limits::SOURCE_BATCH_MESSAGES_MAX;
use crate::limits::SOURCE_ID_BYTES_MAX;

/// A connection to a far end, and what is fetched over it.
pub trait Connector: Send {
    /// Connects, and has the far end go on from there; `None`: nothing was ever stored of this source, and it begins where its settings say. Called again after each fault: whatever is left of a
    /// connection before is let go of first.
    ///
    /// # Errors
    /// Why it cannot.
    fn connect(&mut self, from: Option<&Resume>, within: Duration) -> Result<Connected, Fault>;

    /// Puts what has come into the batch, in the far end's order: waits for the first message as long as it may, and then takes what is there already, while the batch [has room](Batch::has_room).
    /// A batch that stays empty is no fault. Says with [`Batch::goes_on_from`] where to go on behind the last message of the batch, if the far end can be asked to.
    ///
    /// # Errors
    /// The connection is lost. Messages that are in the batch count all the same.
    fn fetch(&mut self, batch: &mut Batch, within: Duration) -> Result<(), Fault>;

    /// Everything that was fetched so far is stored (or, of a topic that is not kept on disk, told), and will not be asked for again: what is to be acknowledged is.
    ///
    /// # Errors
    /// The connection is lost. What was stored stays so; if it comes again, it is recognised by its [`MessageId`].
    fn stored(&mut self, within: Duration) -> Result<(), Fault>;

    /// How many messages, or bytes of a file, the far end has behind the last one that was fetched, if it says so. Asks nobody: it is what the last answer said.
    fn lag(&self) -> Option<u64>;

    /// Lets go of the connection; what was fetched and is not stored is not acknowledged.
    fn close(&mut self, within: Duration);
}

/// What came of connecting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connected {
    /// The far end does not have what it was to go on from.
    pub gap: Option<Gap>,
}

/// Messages that are lost to us: the far end dropped them, or has let go of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// How many; 0: nobody knows.
    pub messages: u64,
    /// Why, in words for the log.
    pub why: Arc<str>,
}

/// One message, as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// What it was sent under: a subject, channel, stream, topic, collection, type of event, or path of a file.
    pub subject: Option<Arc<str>>,
    /// Its key, where the far end knows of keys.
    pub key: Option<Bytes>,
    /// In the order in which they came; names are as the far end writes them.
    pub headers: Vec<(Arc<str>, Bytes)>,
    pub payload: Bytes,
    /// When it was made, as its far end says: microseconds since 1970.
    pub time_us: Option<u64>,
    /// `None`: the far end has no names for its messages; one that comes twice is told twice.
    pub id: Option<MessageId>,
}

impl Message {
    /// Bytes that it keeps alive, for budgets.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        let headers = self.headers.iter().map(|(name, value)| name.len() + value.len() + 32);
        let key_bytes = self.key.as_ref().map_or(0, Bytes::len);
        size_of::<Self>() + self.payload.len() + key_bytes + headers.sum::<usize>()
    }
}

/// What a far end calls one message, for as long as it has it: no other message of the source is called so, and if it comes again it is called the same. An offset of a partition, a sequence number of a
/// stream, a place in a file.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(Box<[u8]>);

impl MessageId {
    /// Of what the far end says; what is longer than `SOURCE_ID_BYTES_MAX` is known by its hash.
    #[must_use]
    pub fn new(said: &[u8]) -> Self {
        if said.len() <= SOURCE_ID_BYTES_MAX {
            return Self(said.into());
        }
        Self(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, said).as_ref().into())
    }

    /// Of a number, in a place that has several ranges of numbers (partitions, streams).
    #[must_use]
    pub fn numbered(range: &str, number: u64) -> Self {
        let mut said = Vec::with_capacity(8 + range.len());
        said.extend_from_slice(&number.to_be_bytes());
        said.extend_from_slice(range.as_bytes());
        Self::new(&said)
    }

    /// As it is kept.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MessageId({})", self.0.escape_ascii())
    }
}

/// Where a far end is to be asked to go on from, in the connector's own words (for instance an offset for each partition): 1 to `SOURCE_RESUME_BYTES_MAX` bytes. It is kept with our history, and read by
/// this and every later version of the connector.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resume(pub Box<[u8]>);

/// What was fetched at a time.
#[derive(Debug, Default)]
pub struct Batch {
    messages: Vec<Message>,
    bytes: usize,
    resume: Option<Resume>,
    gaps: Vec<Gap>,
    unusable: Vec<Unusable>,
}

/// A message of which nothing can be made, whatever its mapping: larger than there is room for, or broken in a way that leaves those behind it whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable {
    /// Where it stands at the far end, in words for the log.
    pub at: String,
    pub why: String,
}

impl Batch {
    /// Whether there is room for another message: fewer than `SOURCE_BATCH_MESSAGES_MAX` of them and `SOURCE_BATCH_BYTES_MAX` bytes, but for the last one. One that is put in when there is none is
    /// taken all the same.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.messages.len() + self.unusable.len() < SOURCE_BATCH_MESSAGES_MAX
            && self.bytes < SOURCE_BATCH_BYTES_MAX
    }

    /// Nothing was put in, nor said.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.messages.is_empty()
            && self.unusable.is_empty()
            && self.gaps.is_empty()
            && self.resume.is_none()
    }

    /// Puts a message in, behind the others.
    pub fn push(&mut self, message: Message) {
        self.bytes += message.weight_bytes();
        self.messages.push(message);
    }

    /// One came of which nothing can be made.
    pub fn push_unusable(&mut self, at: String, why: String) {
        self.unusable.push(Unusable { at, why });
    }

    /// Something is lost, before or between the messages of this batch.
    pub fn note_gap(&mut self, gap: Gap) {
        self.gaps.push(gap);
    }

    /// Where to go on from once everything in this batch, and whatever was fetched before it, is stored. The last word counts.
    pub fn goes_on_from(&mut self, resume: Resume) {
        self.resume = Some(resume);
    }

    /// What is in it, in order.
    #[must_use]
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// Where to go on from behind it.
    #[must_use]
    pub const fn resume(&self) -> Option<&Resume> {
        self.resume.as_ref()
    }

    /// What is lost.
    #[must_use]
    pub fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    /// Those of which nothing can be made.
    #[must_use]
    pub fn unusable(&self) -> &[Unusable] {
        &self.unusable
    }

    /// Empties it, to be filled again.
    pub fn clear(&mut self) {
        self.messages.clear();
        self.bytes = 0;
        self.resume = None;
        self.gaps.clear();
        self.unusable.clear();
    }
}

/// Why a far end gives nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultKind {
    /// Nobody answers there, or not in time.
    Unreachable,
    /// The connection was there, and is lost.
    Lost,
    /// Whoever answers does not let us in, or not to what is asked for. It is tried again, seldom: what is allowed there may change.
    Denied,
    /// What is asked for is not there, or the settings cannot be meant so. Tried again, seldom.
    Wrong,
    /// What it says is not what this kind of far end says.
    Protocol,
    /// The far end has ended, and nothing more will ever come: it is not connected again before the settings change.
    Ended,
}

impl FaultKind {
    /// All kinds.
    pub const ALL: [Self; 6] =
        [Self::Unreachable, Self::Lost, Self::Denied, Self::Wrong, Self::Protocol, Self::Ended];

    /// The word for it in metrics and the log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Lost => "lost",
            Self::Denied => "denied",
            Self::Wrong => "wrong",
            Self::Protocol => "protocol",
            Self::Ended => "ended",
        }
    }

    /// Whether only somebody's doing is likely to mend it: it is tried again at the slowest pace from the start.
    #[must_use]
    pub const fn needs_somebody(self) -> bool {
        matches!(self, Self::Denied | Self::Wrong)
    }
}

/// A fault, and what there is to say of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub kind: FaultKind,
    /// For the log; names what was asked, and never a password.
    pub why: String,
}

impl Fault {
    /// Of what went wrong.
    #[must_use]
    pub fn new(kind: FaultKind, why: impl fmt::Display) -> Self {
        Self { kind, why: why.to_string() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.name(), self.why)
    }
}

impl std::error::Error for Fault {}
