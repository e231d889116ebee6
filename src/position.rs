//! Where a subscriber stands, where it wants to begin, and what lies between that it is not told.
//!
//! Invariant: offsets count one topic's events, stamps those of one home shard; neither says how many events lie between two of them, for offsets
//! that another system gave may have holes. Never speaks a dialect, never reads history.

use crate::event::Mark;
use crate::event::TopicName;
use crate::event::TopicPattern;
use crate::limits::PLAYBACK_SPEED_MAX;
use crate::limits::PLAYBACK_SPEED_MIN;

/// What stands between the two parts of an epoch: that of durable topics, which lasts as long as their folder, and that of the process. Without durable topics
/// there is only the latter.
const EPOCH_SEPARATOR: char = '_';

/// The epoch of a process some of whose topics are durable.
#[must_use]
pub fn epoch_with_durable(durable: &str, process: &str) -> String {
    format!("{durable}{EPOCH_SEPARATOR}{process}")
}

/// Whether offsets and stamps of a position are those of this epoch: of durable topics those that lasted are, of others only what this process gave.
#[must_use]
pub fn is_epoch_of(position: &str, epoch: &str, is_durable: bool) -> bool {
    let durable = |epoch: &str| epoch.split_once(EPOCH_SEPARATOR).map(|(part, _)| part.to_owned());
    position == epoch
        || (is_durable && durable(position).is_some() && durable(position) == durable(epoch))
}

/// Where a subscription begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Since {
    /// With the next event.
    Now,
    /// With the oldest event that history holds.
    Earliest,
    /// With the last event of each key.
    Last,
    /// With the last event of each key of these topics, topic by topic as they are listed, in the order in which the keys last changed.
    Snapshot(Vec<TopicPattern>),
    /// With the last event of each key of these topics that has a state: a key whose last event is no upsert is left out.
    States(Vec<TopicPattern>),
    /// With the last so many events of each topic.
    Tail(u32),
    /// With the first event ordered at this time or later, in microseconds since 1970.
    Time(u64),
    /// After a position.
    Position(Position),
    /// After a cursor: what was sent of each home shard, as SSE's `id` says it.
    Cursor(Cursor),
    /// After a position that is none here, of another server or of the future: with what history holds, and with a gap before it.
    Lost,
}

impl Since {
    /// Whether events are told from there on in the order in which they came, so that they can be told at a pace of their own time. `Last` and `Snapshot` tell one
    /// state, `Tail` what is counted from the end, and `Now` nothing.
    #[must_use]
    pub const fn is_place_in_time(&self) -> bool {
        match self {
            Self::Earliest | Self::Time(_) | Self::Position(_) | Self::Cursor(_) | Self::Lost => {
                true
            }
            Self::Now | Self::Last | Self::Snapshot(_) | Self::States(_) | Self::Tail(_) => false,
        }
    }
}

/// How many times as fast as it happened the past is told, in thousandths; 0: it is paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Speed(pub u32);

impl Speed {
    /// Nothing is told until another speed is.
    pub const PAUSED: Self = Self(0);

    /// The speed that a number says; `None`: it is neither 0 nor one of `PLAYBACK_SPEED_MIN` to `PLAYBACK_SPEED_MAX`.
    #[must_use]
    pub fn of(number: f64) -> Option<Self> {
        let is_pause = number == 0.0;
        if !is_pause && !(PLAYBACK_SPEED_MIN..=PLAYBACK_SPEED_MAX).contains(&number) {
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is 0 to 10,000,000"
        )]
        Some(Self((number * 1000.0).round() as u32))
    }
}

/// A playback: the past is told at a multiple of its own time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Playback {
    pub speed: Speed,
    /// What was stamped before this moment is told at once, in microseconds since 1970; 0: nothing is, the first event begins it.
    pub from_us: u64,
    /// Silences of the past take no longer than so many milliseconds of the reader's time.
    pub gap_ms_max: Option<u32>,
}

/// A subscription's change of place in time, or of the pace at which it is told of it; what is `None` stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Seek {
    /// The moment from which everything is told anew, whatever was told before.
    pub since: Option<Since>,
    /// `Some(None)`: as fast as it can be told.
    pub speed: Option<Option<Speed>>,
    /// As [`Playback::from_us`], for the new place.
    pub from_us: u64,
    /// `Some(None)`: silences take as long as they took.
    pub gap_ms_max: Option<Option<u32>>,
}

impl Seek {
    /// Whether anything is to change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// How a subscription is told of the past from here on that is told of it as `before` says.
    #[must_use]
    pub fn playback(&self, before: Option<Playback>) -> Option<Playback> {
        let speed = self.speed.unwrap_or_else(|| before.map(|before| before.speed))?;
        let gap_ms_max =
            self.gap_ms_max.unwrap_or_else(|| before.and_then(|before| before.gap_ms_max));
        Some(Playback { speed, from_us: self.from_us, gap_ms_max })
    }
}

/// The last offset seen of each topic.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Position {
    pub epoch: Option<Box<str>>,
    pub offsets: Vec<(TopicName, u64)>,
    /// Topics not named begin after this moment; absent: with the next event.
    pub time_us: Option<u64>,
    /// What was told up to here was told under other filters, too: what they let pass may be inside.
    pub filter_changed: bool,
}

/// Up to which moment the events of each home shard were sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub epoch: Box<str>,
    pub times_us: Vec<u64>,
    /// The last event that was told: where a gap of its topic begins.
    pub mark: Option<Mark>,
}

/// The position at which live delivery begins.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Live {
    pub epoch: Box<str>,
    /// For each topic asked for by name, the offset after which live delivery begins.
    pub offsets: Vec<(TopicName, u64)>,
    pub time_us: u64,
    /// Events that were replayed.
    pub replayed: u64,
}

/// Events that are not coming.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The topic; of topics that were forgotten, whose names nobody knows, the pattern that was asked for.
    pub topic: TopicPattern,
    /// The first and the last offset, both inclusive.
    pub from: u64,
    pub to: u64,
    pub reason: GapReason,
}

/// Why events are not coming.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GapReason {
    /// History no longer holds them.
    Evicted,
    /// The position was of another epoch.
    Epoch,
    /// The subscriber was too slow, and asked for `drop_oldest`.
    Slow,
    /// What they were written to can no longer be read.
    Corrupt,
    /// The store that holds them does not answer, or has failed; they may be there when it is asked again.
    Unavailable,
}

/// Events passed over, because a newer one of the same key follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skipped {
    pub count: u64,
    pub from_us: u64,
    pub to_us: u64,
}
