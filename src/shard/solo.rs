//! What a connection has while it is not in step with its class: bytes it is owed, an outbox of its own, replays.
//!
//! It goes solo when its socket is full, when something is said to it alone, or when it is told of the past; it falls in step again
//! when all that has been sent. Never sends anything itself.

use std::collections::HashMap;
use std::collections::HashSet;
use std::sync::Arc;

use super::input::Began;
use super::past::PastHeld;
use super::past::SnapshotRest;
use super::past::Wanted;
use super::player::Player;
use super::window::Window;
use crate::batch::Outbox;
use crate::batch::Owed;
use crate::clock::Now;
use crate::dialect::SubId;
use crate::dialect::hook::Identity;
use crate::event::Event;
use crate::event::HomeId;
use crate::event::Mark;
use crate::event::Op;
use crate::event::TopicKey;
use crate::event::TopicName;
use crate::history::Read;
use crate::limits::ANSWERS_BYTES_MAX;
use crate::limits::OUTBOX_INPUT_BYTES_MAX;
use crate::limits::PAGE_BYTES_MAX;
use crate::limits::REPLAY_KEY_BYTES;
use crate::position::Live;
use crate::position::Playback;
use crate::position::Since;

/// The state of a connection that is not in step.
#[derive(Debug, Default)]
pub(super) struct Solo {
    /// Frames that are already bytes and go first; a frame once begun must be ended.
    pub(super) owed: Owed,
    pub(super) outbox: Outbox,
    pub(super) replays: Vec<Replay>,
    pub(super) past: PastHeld,
    /// What the client has not acknowledged, if it acknowledges anything.
    pub(super) window: Option<Box<Window>>,
    /// The socket took less than it was given; nothing is tried until it is writable.
    pub(super) blocked: bool,
    /// When the connection's socket last took something, or had room again, in milliseconds since the start.
    pub(super) moved_ms: u64,
    /// The connection stands in the list of those to be looked at by the next flush.
    pub(super) dirty: bool,
    /// The connection stands in the line of those who are told only of the past.
    pub(super) is_past_due: bool,
    /// The client said something while it was owed too much to be read; the connection is read on once that has gone.
    pub(super) is_unheard: bool,
    /// Until when the connection's replays ask for no more pages, in milliseconds since the start: its filters have worked enough.
    pub(super) rests_until_ms: u64,
    /// How the connection is being closed, if it is.
    pub(super) closing: Option<Closing>,
    /// Of an SSE stream: up to which stamp of each home shard it was sent; 0: not known yet.
    pub(super) cursor: Vec<u64>,
    /// The last event that was sent, if it is known.
    pub(super) mark: Option<Mark>,
    /// A snapshot is being told, so the cursor is no position to come back to.
    pub(super) is_telling: bool,
}

/// What a conversation's client shows of who it is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shown<'a> {
    Token(&'a str),
    /// As in a request: a token counts where there are keys to check it with, and without one it may be known by its certificate, or be anyone.
    Perhaps(Option<&'a str>),
    /// Nothing that is checked here: a hook has looked at it, and says who that is.
    Named(&'a Identity),
}

/// The subscription that a replay is told to, by its number, and whether it was running before.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReplayTarget {
    pub(super) sub: u8,
    pub(super) is_live: bool,
}

/// The end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Closing {
    /// When the connection ends at the latest, in milliseconds since the start.
    pub(super) due_ms: u64,
    pub(super) after_sent: AfterSent,
}

/// What happens when a connection that is being closed has been sent everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AfterSent {
    /// The socket is closed.
    Gone,
    /// The peer is given time to say good-bye, too.
    Awaited,
}

/// How far a stream has come: up to which stamp of each home shard, and with which event.
pub(super) type Reached<'a> = (&'a [u64], Option<Mark>);

impl Solo {
    /// Notes that a stream is sent an event.
    pub(super) fn note_sent(&mut self, event: &Event) {
        if let Some(sent) = self.cursor.get_mut(event.home.index()) {
            *sent = event.time_us;
            self.mark = Some(Mark::of(&event.topic, event.offset));
        }
    }

    /// Bytes that the client has yet to take.
    pub(super) fn unread_bytes(&self) -> usize {
        self.owed.len() + self.outbox.bytes()
    }

    /// Bytes that the client has not acknowledged.
    pub(super) fn window_bytes(&self) -> usize {
        self.window.as_ref().map_or(0, |window| window.bytes())
    }

    /// Whether the client has taken so much of what it was answered that it may be answered more.
    pub(super) fn has_room(&self) -> bool {
        self.outbox.has_room_for_answers(ANSWERS_BYTES_MAX)
            && self.unread_bytes() <= OUTBOX_INPUT_BYTES_MAX
    }

    /// Whether the client has taken so much of what it was told that pages may be asked for.
    pub(super) fn has_room_for_pages(&self) -> bool {
        self.owed.is_empty() && self.outbox.bytes() <= PAGE_BYTES_MAX / 2
    }

    /// Whether all subscriptions of a connection, of which there are so many, are in the past.
    pub(super) fn is_all_past(&self, subs: usize) -> bool {
        let past = self.replays.iter().filter(|replay| replay.is_all_past());
        past.fold(0_u64, |set, replay| set | 1 << replay.sub).count_ones() as usize == subs
    }

    /// Whether playbacks may tell the connection what is due.
    pub(super) fn may_be_played(&self, now: Now) -> bool {
        now.mono_ms >= self.rests_until_ms && self.has_room_for_pages()
    }

    /// Whether what the connection is sent next is of the past, and nothing new waits behind it.
    pub(super) fn is_told_past(&self) -> bool {
        self.outbox.event_bytes() == 0
            && (self.outbox.past_bytes() > 0 || self.is_begun_with_past())
    }

    /// Whether the client is read, as far as that depends on what it is still told.
    pub(super) fn is_read(&self) -> bool {
        !self.is_unheard && !self.is_live_awaited()
    }

    /// Whether a subscription that asked for nothing of the past is not live yet: what was said behind it comes after it.
    pub(super) fn is_live_awaited(&self) -> bool {
        self.replays.iter().any(|replay| replay.is_awaited)
    }

    /// Whether all that waits has to wait: until its client has acknowledged something, or what it is to be answered first is known.
    pub(super) fn is_held(&self) -> bool {
        let window = self.window.as_deref();
        let is_shut = |of: &Window| of.is_full() && of.again().is_none();
        self.owed.is_empty()
            && (self.outbox.is_reserved()
                || window.is_some_and(|of| is_shut(of) && of.held_until >= self.outbox.end()))
    }

    /// Whether all was sent and nothing is awaited: of who is being closed no acknowledgement is.
    pub(super) fn is_done(&self) -> bool {
        let is_acknowledged = self.window.as_ref().is_none_or(|window| window.is_empty());
        self.owed.is_empty()
            && self.outbox.is_empty()
            && self.replays.is_empty()
            && (is_acknowledged || self.closing.is_some())
    }

    /// Lets go of what only replays needed: it stays as it is for as long as its connection is in its class.
    pub(super) fn rest(&mut self) {
        self.replays.shrink_to_fit();
    }

    /// A subscription that hears everything live begins, and is told which states there are.
    pub(super) fn begin_states(&mut self, sub: u8, now: Now) {
        let of_it = self.replays.iter_mut().filter(|replay| replay.sub == sub);
        for untold in of_it.filter_map(|replay| replay.untold.as_mut()) {
            untold.since_us = if untold.is_of_states { now.wall_us } else { 0 };
        }
    }

    /// Which of these subscriptions get a live event: not those of which the past is still being told at its home, nor those that are still to be told which states there were when they
    /// began, if it is one of these: it was on its way then, and is told with them. What is told to one of those that are told together what they have missed will be told to all.
    pub(super) fn live(&self, event: &Event, mut subs: u64) -> u64 {
        let home = event.home;
        for replay in &self.replays {
            if replay.tells_state(event) {
                subs &= !replay.set();
            }
            if !replay.waits_for(home) {
                continue;
            }
            let is_missed = replay.together & subs != 0;
            subs = if is_missed { 0 } else { subs & !replay.set() };
        }
        subs
    }

    /// Which subscriptions are still being told the past of this home.
    pub(super) fn not_live(&self, home: HomeId) -> u64 {
        let telling = self.replays.iter().filter(|replay| replay.waits_for(home));
        telling.fold(0, |subs, replay| subs | replay.set())
    }

    /// Whether the connection is being told what its session has missed.
    pub(super) fn is_told_missed(&self) -> bool {
        self.replays.iter().any(|replay| replay.together != 0)
    }

    /// Whether something of the connection's window is to be sent again now.
    pub(super) fn has_again(&self) -> bool {
        self.window.as_deref().is_some_and(|window| window.again().is_some())
    }
}

/// The past, on its way to one subscription.
#[derive(Debug)]
pub(super) struct Replay {
    pub(super) serial: u32,
    /// The subscription that is told, by its number.
    pub(super) sub: u8,
    /// All of these are told together what they have missed, one bit each; 0: it is told to one.
    pub(super) together: u64,
    pub(super) id: SubId,
    /// Homes whose past has not been told to the end, one bit each.
    pub(super) homes: u128,
    /// Pages to ask for once there is room.
    pub(super) next: Vec<Wanted>,
    /// Pages that were asked for and have not come; at most one of each home.
    pub(super) asked: Vec<Wanted>,
    /// Bytes of what the replay remembers: of topics, keys, and where it began.
    pub(super) state_bytes: usize,
    /// The newest offset sent of each topic, so that a gap in between says where it begins.
    pub(super) sent: HashMap<TopicName, u64, foldhash::fast::RandomState>,
    pub(super) live: Live,
    /// What a client that comes back, and wants to know what leaves, has still to learn.
    pub(super) learning: Learning,
    /// Another token was shown since the replay began, so its pages may hold more than is granted now.
    pub(super) is_narrowed: bool,

    /// What of a snapshot has not been asked for yet.
    pub(super) untold: Option<SnapshotRest>,
    /// Live events reach the subscription whatever is still told of the past: it was running already.
    pub(super) is_live: bool,
    /// The subscription asked for nothing of the past: nothing that its client says is carried out until it is live.
    pub(super) is_awaited: bool,
    /// When the present began, at each home where it has.
    pub(super) began_us: Vec<(HomeId, u64)>,
    /// The player of a playback: its clock, and what is held until it is due.
    pub(super) player: Option<Box<Player>>,
    /// Where the replay is moved to: nothing more is told of where it is, and once the pages that were asked for have come, it begins there.
    pub(super) moving: Option<Box<Moving>>,
}

/// What a client that comes back, and wants to know what leaves, has still to learn; of others it is empty.
#[derive(Debug, Default)]
pub(super) struct Learning {
    /// The keys that the client has had news of.
    pub(super) met: Option<HashSet<TopicKey, foldhash::fast::RandomState>>,
    /// Homes of which it is being learned what was inside when it went, and what is to be read of each then.
    pub(super) unlearned: Vec<(HomeId, Arc<Read>)>,
    /// Such a client had another filter before: what no longer passes may be inside all the same.
    pub(super) is_refiltered: bool,
}

/// Where a replay is to begin anew.
#[derive(Debug)]
pub(super) struct Moving {
    pub(super) since: Since,
    pub(super) playback: Option<Playback>,
}

impl Replay {
    /// A replay that has not begun.
    pub(super) fn new(serial: u32, target: ReplayTarget, id: &SubId) -> Self {
        Self {
            serial,
            sub: target.sub,
            together: 0,
            id: Arc::clone(id),
            homes: 0,
            next: Vec::new(),
            asked: Vec::new(),
            state_bytes: 0,
            sent: HashMap::default(),
            live: Live::default(),
            learning: Learning::default(),
            is_narrowed: false,
            untold: None,
            is_live: target.is_live,
            is_awaited: false,
            began_us: Vec::new(),
            player: None,
            moving: None,
        }
    }

    /// Whether no live event is for its subscription: it is played, or moves, and the present of no home has begun.
    pub(super) fn is_all_past(&self) -> bool {
        (self.player.is_some() || self.moving.is_some())
            && !self.is_live
            && self.began_us.is_empty()
    }

    /// Bytes of what the replay remembers, and of what is set aside for the pages that it has asked for.
    pub(super) fn held_bytes(&self) -> usize {
        let held = self.player.as_ref().map_or(0, |player| player.held_bytes());
        self.state_bytes + held + self.asked.iter().map(|asked| asked.bytes).sum::<usize>()
    }

    /// Whether the replay holds something that is not due yet.
    pub(super) fn holds(&self) -> bool {
        self.player.as_ref().is_some_and(|player| player.held_bytes() > 0)
    }

    /// Remembers that an event of the past was told; true if it is the first news of its key, for a client that wants to know what leaves.
    pub(super) fn told(&mut self, event: &Event) -> bool {
        match self.sent.get_mut(&event.topic) {
            Some(sent) => *sent = event.offset,
            None => {
                self.state_bytes += REPLAY_KEY_BYTES + event.topic.as_str().len();
                self.sent.insert(event.topic.clone(), event.offset);
            }
        }
        let Some(met) = &mut self.learning.met else { return false };
        let is_news = met.insert(event.topic_key());
        if is_news {
            self.state_bytes += REPLAY_KEY_BYTES + event.key.len();
        }
        is_news
    }

    /// Whether an event is one of the states that it tells, though its subscription hears everything live: it was stamped before that began, and its home has not said yet which states there are.
    fn tells_state(&self, event: &Event) -> bool {
        self.untold.as_ref().is_some_and(|untold| {
            event.time_us <= untold.since_us
                && matches!(event.op, Op::Upsert | Op::Create)
                && !self.began_us.iter().any(|(home, _)| *home == event.home)
        })
    }

    pub(super) fn waits_for(&self, home: HomeId) -> bool {
        !self.is_live && self.homes & (1 << home.0) != 0
    }

    /// Notes where the present begins at one home; true if it now has begun at all of them.
    pub(super) fn began(&mut self, home: HomeId, began: Began) -> bool {
        self.homes &= !(1 << home.0);
        let names = began.offsets.iter().map(|(topic, _)| topic.as_str().len());
        self.state_bytes += names.map(|len| REPLAY_KEY_BYTES + len).sum::<usize>();
        self.live.offsets.extend(began.offsets);
        if self.live.time_us == 0 || began.time_us < self.live.time_us {
            self.live.time_us = began.time_us;
        }
        self.homes == 0
    }
}
