//! What an operator may set that the core needs to know. Checked in `config`, never changed while the shard lives.

use std::sync::Arc;

use super::access::Access;
use super::lanes::PartyId;
use super::returns::Returns;
use super::transport::Voice;
use crate::dialect::HookTerms;
use crate::dialect::Silence;
use crate::dialect::Views;
use crate::event::Homes;
use crate::event::TopicPattern;
use crate::history::Retention;
use crate::limits::FILTER_BYTES_MAX;
use crate::limits::RATE_BYTES;
use crate::limits::RATES_MAX;
use crate::limits::REVOCATION_BYTES;
use crate::limits::REVOCATIONS_MAX;
use crate::limits::SUBSCRIPTIONS_MAX;
use crate::limits::TOPIC_BYTES_MAX;
use crate::tables::Schema;

/// A shard's settings; its shares of what is set for the whole process.
#[derive(Clone, Debug)]
pub struct Settings {
    pub retention: Retention,
    /// Topics of this shard; one more is refused with `too_many_topics`.
    pub topics_max: usize,
    /// Connections of this shard; one more is closed at once.
    pub connections_max: usize,
    /// Bytes of a connection's outbox; at the limit its subscriptions' slow policy applies.
    pub outbox_bytes_max: usize,
    /// Bytes that may wait for all of them together.
    pub outboxes_bytes_max: usize,
    /// What the shard may hold of everything else.
    pub memory: MemoryBounds,
    /// Bytes of one message of a client, also after inflating; a longer one closes with 1009.
    pub message_bytes_max: usize,
    /// What one client may ask for.
    pub bounds: Bounds,
    /// Whether permessage-deflate is agreed to.
    pub deflate: bool,
    /// Whether `/echo` exists: it sends back what it gets, for conformance suites.
    pub echo: bool,
    /// A silent WebSocket client is pinged after so many seconds, and closed after twice as many.
    pub ping_after_s: u32,
    /// A request whose head or body does not arrive within so many seconds is answered 408; also how long an idle HTTP connection is kept.
    pub request_timeout_s: u32,
    /// Bytes for which what comes in part may take a second more than that.
    pub upload_bytes_per_s_min: u64,
    /// The protocols that are spoken: how each sees the events, and what is set of it.
    pub views: Arc<Views>,
    /// What the server says of itself.
    pub own: OwnEvents,
    /// Who may do what.
    pub access: Arc<Access>,
    /// How long a connection that is being closed may take to read what it is still sent.
    pub close_timeout_s: u32,
    pub returns: Returns,
    /// Which topics are kept by a store, and which party that is; `None`: memory is all the history there is.
    pub durable: Option<Durable>,
    pub tables: Tables,
    pub hooks: Hooks,
}

impl Settings {
    /// What becomes of a client that says nothing.
    pub(super) fn silence(&self, voice: Option<Voice>) -> Option<Silence> {
        voice.map(|voice| voice.dialect.speaker().manners.silence)
    }

    /// Seconds after which a silent client is closed, if it is not pinged; `agreed_s`: what it has agreed to, 0 for as long as it likes.
    pub(super) fn idle_s_max(&self, voice: Option<Voice>, agreed_s: u32) -> Option<u32> {
        let speaker = voice?.dialect.speaker();
        match speaker.manners.silence {
            Silence::Pinged => None,
            Silence::Agreed => (agreed_s > 0).then_some(agreed_s),
            Silence::Closed { after_s } => {
                let set = self.views.setting(speaker.protocol, after_s);
                Some(u32::try_from(set).unwrap_or(u32::MAX))
            }
        }
    }

    /// All homes, of so many shards.
    #[must_use]
    pub fn homes(&self, shard_count: u16) -> Homes {
        let topics = self.durable.as_ref().map(|durable| Arc::clone(&durable.topics));
        Homes::new(shard_count, topics.unwrap_or_default())
    }

    /// What a home keeps whose topics are not durable.
    pub(super) fn retention_of_home(&self) -> Retention {
        let is_shared = self.durable.as_ref().is_some_and(|durable| !durable.topics.is_empty());
        let share = if is_shared { 2 } else { 1 };
        let Retention { bytes_max, last_bytes_max, topics_bytes_max, .. } = self.retention;
        Retention {
            bytes_max: bytes_max / share,
            last_bytes_max: last_bytes_max / share,
            topics_bytes_max: topics_bytes_max / share,
            ..self.retention
        }
    }

    /// What a home of durable topics keeps in memory, which is the newest of what the store has: whatever goes first is the oldest of all topics, so that
    /// there is one moment at which memory begins. How much is kept of each topic is the store's affair.
    pub(super) fn retention_of_durable(&self) -> Retention {
        Retention {
            topic_events_max: usize::MAX,
            topic_bytes_max: usize::MAX,
            age_us_max: u64::MAX,
            topic_keys_max: usize::MAX,
            ..self.retention_of_home()
        }
    }

    /// Topics that a home may have, and the bytes of each one's name.
    pub(super) fn home_bounds(&self) -> (usize, usize) {
        (self.topics_max, self.bounds.topic_bytes_max)
    }
}

/// Which tables there are, and which party has them.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    pub schema: Schema,
    /// `None`: there are none.
    pub party: Option<PartyId>,
}

/// Which hooks are asked, and which party answers them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hooks {
    pub terms: HookTerms,
    /// `None`: nobody, and none is asked.
    pub party: Option<PartyId>,
}

/// Topics whose history a store keeps.
#[derive(Clone, Debug)]
pub struct Durable {
    pub store: PartyId,
    /// Not empty.
    pub topics: Arc<[TopicPattern]>,
}

/// What a shard may hold, in bytes: its shares of lines of `server/memory`, where the behaviour at each bound stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryBounds {
    /// Classes, filters, and what finds them.
    pub subscriptions_bytes_max: usize,
    /// Batches that classes are filling, and the events in them.
    pub batches_bytes_max: usize,
    /// What `max_rate` holds back and `leave` remembers.
    pub shaping_bytes_max: usize,
    /// Pages of the past on their way.
    pub replays_bytes_max: usize,
    /// Input that has not ended, drafts on their way, and what conversations remember and gather.
    pub input_bytes_max: usize,
    /// Messages of all lanes that begin or end here, and events that have arrived.
    pub mesh_bytes_max: usize,
    /// Rates, revocations, places of users and addresses.
    pub tables_bytes_max: usize,
    /// What tokens of those who are connected say.
    pub tokens_bytes_max: usize,
    /// Sessions whose clients are gone.
    pub sessions_bytes_max: usize,
}

impl MemoryBounds {
    /// Of the bytes for messages: what may wait for other parties, what may have arrived, and what may be in each lane of the inbox.
    #[must_use]
    pub const fn mesh_parts(&self) -> (usize, usize, usize) {
        (self.mesh_bytes_max / 2, self.mesh_bytes_max / 4, self.mesh_bytes_max / 8)
    }
}

impl MemoryBounds {
    /// Rates of each of three kinds (handshakes, publishers, portions of publishers) that fit a half of the tables.
    pub(super) fn rates_max(&self) -> usize {
        (self.tables_bytes_max / 6 / RATE_BYTES).clamp(1, RATES_MAX)
    }

    /// Revocations that fit the other half.
    #[must_use]
    pub fn revocations_max(&self) -> usize {
        (self.tables_bytes_max / 2 / REVOCATION_BYTES).clamp(1, REVOCATIONS_MAX)
    }
}

/// Room for everything: what a process says whose memory is not to be shared out.
impl Default for MemoryBounds {
    fn default() -> Self {
        Self {
            subscriptions_bytes_max: MEMORY_BOUND_DEFAULT,
            batches_bytes_max: MEMORY_BOUND_DEFAULT,
            shaping_bytes_max: MEMORY_BOUND_DEFAULT,
            replays_bytes_max: MEMORY_BOUND_DEFAULT,
            input_bytes_max: MEMORY_BOUND_DEFAULT,
            mesh_bytes_max: MEMORY_BOUND_DEFAULT,
            tables_bytes_max: MEMORY_BOUND_DEFAULT,
            tokens_bytes_max: MEMORY_BOUND_DEFAULT,
            sessions_bytes_max: MEMORY_BOUND_DEFAULT,
        }
    }
}

/// Bytes.
const MEMORY_BOUND_DEFAULT: usize = 1 << 30;

/// What one client may ask for; at most what `limits` allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Subscriptions of a connection of the native protocol.
    pub subscriptions_max: usize,
    pub topic_bytes_max: usize,
    /// Of a filter as it is written shortest.
    pub filter_bytes_max: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            subscriptions_max: SUBSCRIPTIONS_MAX,
            topic_bytes_max: TOPIC_BYTES_MAX,
            filter_bytes_max: FILTER_BYTES_MAX,
        }
    }
}

/// What the server says of itself, as events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnEvents {
    /// Seconds between two tellings of its figures; 0: never.
    pub figures_s: u32,
    pub logs: bool,
}
