//! What a home asks of the store behind its memory, and what the store answers: plain messages, whoever carries them.
//!
//! A *home* orders topics. The homes of durable topics hand every event to the store before anybody hears it, and read there what memory has let go of.
//! Invariants that each side keeps for the other:
//!
//! - *Runs* of one home are numbered from 1, one more each, over all attempts, and are sent in that order. The store writes them in that order, each whole or not at all.
//! - What is [`Answer::Stored`] survives the end of the process, what is [`Answer::Synced`] the loss of power. Both count for every run up to the one that they
//!   name, and never go back. The store says `Stored` of every run by itself, and `Synced` soon of every run that wants it ([`Append::wants_sync`]).
//! - After [`Answer::Refused`] nothing of that attempt is written from the run that it names on, whatever is still on its way; the store says it once. The home
//!   gives the offsets of those runs to other events (nobody has seen them), and goes on with the next run number in the next *attempt*.
//! - Offsets of a topic ascend, `Event::previous` names the topic's event before, also over restarts; stamps of one home ascend strictly, but topics that came
//!   from another home (the shard count changed) may have equal stamps with others.
//! - Each [`PageAsk`] is answered by one [`PageAnswer`], each [`NoteAsk`] by one [`Answer::Noted`], each [`SessionAsk`] by one [`Answer::SessionKept`], in any order; nothing of it is owed to a home that was told [`Answer::Closed`].
//!
//! Never says how events are kept.

use std::sync::Arc;

use super::Read;
use super::log::KeptSession;
use super::log::Note;
use super::log::SessionRecord;
use crate::event::Event;
use crate::event::HomeId;
use crate::event::ShardId;
use crate::event::TopicName;

/// From a home to the store.
#[derive(Debug)]
pub enum Ask {
    /// Takes the data lane: runs arrive in order.
    Append(Box<Append>),
    /// Takes the control lane: what it is about was stored before.
    Page(Box<PageAsk>),
    /// Takes the control lane: it is about no event.
    Note(Box<NoteAsk>),
    /// Takes the control lane: those of one name arrive in order.
    Session(Box<SessionAsk>),
}

/// What a client goes on from after a restart, to be kept in the folder in place of what was kept of it before.
#[derive(Debug)]
pub struct SessionAsk {
    /// Who asks, and where the answer goes.
    pub shard: ShardId,
    /// What the answer names.
    pub ticket: u64,
    pub record: SessionRecord,
    /// Somebody waits for it: it is to survive the loss of power, too.
    pub wants_sync: bool,
}

/// Something that is to outlast a restart, for the folder's ledger: it is kept once it survives the loss of power.
#[derive(Debug)]
pub struct NoteAsk {
    /// Who asks, and where the answer goes.
    pub shard: ShardId,
    /// What the answer names.
    pub ticket: u64,
    pub note: Note,
}

/// Why a note, or a session, was not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotNoted {
    /// The disk is full.
    DiskFull,
    /// As much is remembered as there may be.
    Crowded,
    /// More is to be noted than the store takes on at once.
    Busy,
    /// The store stops, or has stopped.
    Closing,
    /// The store does not answer.
    Silent,
}

/// A run of events of durable topics, to be kept.
#[derive(Debug)]
pub struct Append {
    /// Who asks, and where the answer goes.
    pub shard: ShardId,
    pub run: u64,
    /// One more after each refusal; runs of an earlier one are not to be written.
    pub attempt: u32,
    /// In the order of their stamps. Not empty.
    pub events: Box<[Arc<Event>]>,
    /// Somebody waits until it survives the loss of power: it is synced soon, whatever was configured.
    pub wants_sync: bool,
}

/// A request to read a part of the past.
#[derive(Debug)]
pub struct PageAsk {
    /// Who asks, and where the answer goes.
    pub shard: ShardId,
    /// What the answer names.
    pub ticket: u64,
    /// The home that the events are to name (`Event::home`).
    pub home: HomeId,
    /// Only topics at home there: those whose [`home_of`](crate::event::home_of) is `shard`.
    pub shard_count: u16,
    /// What is wanted. Of its `topics` those that are durable; `after_us` and `page_bytes` of it do not count, those below do.
    pub read: Arc<Read>,
    /// Only what was stamped after this moment.
    pub after_us: u64,
    /// And up to this one: what is newer, memory has. Everything up to it has been stored.
    pub until_us: u64,
    /// Bytes (`Event::weight_bytes`) after which the page ends; one event it takes in any case.
    pub page_bytes: usize,
}

/// From the store to a shard: to its home of durable topics. All of it takes the control lane but pages, which take the data lane.
#[derive(Debug)]
pub enum Answer {
    /// Every run up to this one was written.
    Stored {
        run: u64,
        /// Of deletes that came without the last event of their key ([`Event::before`]) this one, where the store knows it, by the delete's stamp, ascending: they were written
        /// with it, and are to be told with it.
        befores: Box<[(u64, Arc<Event>)]>,
    },
    /// Every run up to this one was synced.
    Synced {
        run: u64,
    },
    /// This run, and every later one of the attempt, was not written and will not be.
    Refused {
        attempt: u32,
        run: u64,
        why: Refusal,
    },
    Page(Box<PageAnswer>),
    /// What became of a note.
    Noted {
        ticket: u64,
        result: Result<(), NotNoted>,
    },
    /// What became of a session: it survives the end of the process, and the loss of power if that was wanted.
    SessionKept {
        ticket: u64,
        result: Result<(), NotNoted>,
    },
    /// The store has ended: nothing is answered any more, runs that were not stored may have been written or not.
    Closed,
}

/// Why a run was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The disk is full. Publishers are told so; the next run is tried again.
    Full,
    /// The store has too much to do.
    Busy,
    /// The store stops.
    Closing,
}

/// What became of a request to read.
#[derive(Debug)]
pub struct PageAnswer {
    pub ticket: u64,
    pub result: Result<Stretch, Fault>,
}

/// Why a page could not be read. Its reader is told that there is a gap, and goes on with what memory holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The disk does not answer, or answers with an error.
    Failed,
    /// More is asked for than the store takes on at once.
    Busy,
    /// The store stops.
    Closing,
}

/// A part of what is kept, in the order of the stamps: all that was asked for after `after_us` and up to `more_after_us`, or else up to `until_us`.
///
/// What belongs to it, by [`Start`](super::Start), is what memory would tell if it held everything:
/// - `Earliest`, `OtherEpoch`: every event.
/// - `AfterTime`: those stamped after `time_us`.
/// - `AfterOffsets`: of a topic that is named, those with a greater offset; of others those stamped after `others_us`, or none.
/// - `Tail`: of each topic the last `count` of those stamped up to `counted_us` (0: of all), and all that came after that; what cannot be read any more counts, too.
/// - `Last`: events which are the newest of their key and no deletes, whatever of the key was stored up to `as_of_us`; and with `deleted_after_us`
///   every delete stamped after that and after `after_us`.
/// - `Snapshot`: as `Last`, without deletes; `up_to_us` bounds it as `until_us` does.
///
/// With `Read::with_before` the first event of a key names the one before it (`Event::before`) if the reader may have had that (`Start::is_before`). Where it does
/// not, nothing is wrong but this: a client that is confined by a filter of its token is not told that the key has left its sight.
///
/// Events with the same stamp are never in two stretches.
#[derive(Debug, Default)]
pub struct Stretch {
    pub events: Vec<Arc<Event>>,
    /// What is not there any more of the topics asked for and would belong to it, as far as its newest event was stamped after `after_us` and within the stretch; of `Last`,
    /// `Snapshot` and `Tail` only what may have held something that belongs to it, of `OtherEpoch` also what the retention let go of. In the order of `last_us`.
    pub lost: Vec<Lost>,
    /// The stretch ends here, and more follows; `None`: it reaches `until_us`. It may end early, even without any event, but lies after `after_us`.
    pub more_after_us: Option<u64>,
    /// Of `Last` and `Snapshot`: everything of this home stamped up to here was looked at. What came later, the home looks at itself.
    pub as_of_us: u64,
}

/// Events of one topic that cannot be read any more. What the retention let go of is one of them for each topic, with nothing before it or within it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    pub topic: TopicName,
    /// The offset of the event before the first of them; 0: there was none.
    pub previous: u64,
    /// The offset of the last of them.
    pub last: u64,
    /// The last event's stamp, in microseconds since 1970; where that is not known, one that lies before the topic's next event and not before the one before.
    pub last_us: u64,
    pub why: Why,
}

/// Why events are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The retention let go of them.
    Retention,
    /// Where they were written cannot be read.
    Corrupt,
}

/// What a home goes on from at start: told before it takes anything in.
#[derive(Clone, Debug, Default)]
pub struct Restored {
    /// The newest stamp of any event that was ever stored, of whatever home: stamps go on after it.
    pub stamped_us: u64,
    /// Every topic of which offsets were given, also those of which no event is kept. Only topics at home there, each once.
    pub topics: Vec<RestoredTopic>,
    /// The greatest offset that anybody may have seen of a topic that is not among them: its first event lies behind it. Greater than 0 once the machine lost
    /// power, with which all that there was of a topic may have gone.
    pub ceiling: u64,
    /// The newest events of their keys, no deletes, in the order of their stamps: the most recently changed keys of all topics above, as many as memory is to hold.
    pub last: Vec<Arc<Event>>,
    /// Of keys that changed after this moment all are in `last`; 0: of all keys.
    pub last_after_us: u64,
    /// What the ledger remembers: the same for every home.
    pub notes: Arc<[Note]>,
    /// What clients go on from, by name: the same for every home.
    pub sessions: Arc<[KeptSession]>,
}

/// A topic that goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoredTopic {
    pub topic: TopicName,
    /// The offset of its newest event that is known: what `Event::previous` of the next one says.
    pub newest: u64,
    /// The greatest offset that anybody may have seen: the next one lies behind it. Greater than `newest` where events were lost.
    pub ceiling: u64,
    /// The newest event's stamp, in microseconds since 1970; where that is not known, any that lies after those of all of the topic's events that can be read.
    pub newest_us: u64,
}
