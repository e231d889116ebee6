//! The past, told page by page to one subscription until it meets the present.
//!
//! Why there is no seam: a home shard's answers and its live events reach this shard in one order. Until the last page of a home has come, live
//! events of that home are not for this subscription, because they stand in the pages; after it they are, and none is missed.

use super::conns::Conns;
use std::collections::HashSet;
use std::sync::Arc;

use super::Shard;
use super::access::Who;
use super::access::common;
use super::input::ConnId;
use super::past::LAST;
use super::past::Wanted;
use super::past::first_cursor;
use super::past::read_bytes;
use super::past::start_anywhere;
use super::player::Player;
use super::shards::Shards;
use super::solo::Learning;
use super::solo::Replay;
use super::solo::ReplayTarget;
use super::solo::Solo;
use super::transport::Voice;
use crate::clock::Now;
use crate::dialect::Subscription;
use crate::event::HomeId;
use crate::event::Mark;
use crate::event::TopicName;
use crate::event::TopicPattern;
use crate::history::Read;
use crate::history::Start;
use crate::limits::PAGE_BYTES_MAX;
use crate::limits::PLAYBACK_BYTES;
use crate::limits::POSITION_AHEAD_US;
use crate::limits::REPLAY_BYTES;
use crate::position::Live;
use crate::position::Playback;
use crate::position::Since;
use crate::position::is_epoch_of;

/// What of one topic a reader has had, if it says so.
fn mark_of(since: &Since) -> Option<Mark> {
    match since {
        Since::Cursor(cursor) => cursor.mark,
        _ => None,
    }
}

impl Shard {
    /// Asks every home shard that may have something to say.
    pub(super) fn begin_replay(
        &mut self,
        id: ConnId,
        target: ReplayTarget,
        subscription: &Arc<Subscription>,
        (since, playback): (&Since, Option<Playback>),
        now: Now,
    ) {
        let since = if self.is_position_here(since, now) { since } else { &Since::Lost };
        let is_return = matches!(since, Since::Position(_) | Since::Cursor(_) | Since::Lost);
        let homes = self.shards.homes().of_patterns(&subscription.topics);
        let untold = match since {
            Since::Snapshot(topics) | Since::States(topics) => {
                let is_of_states = matches!(since, Since::States(_));
                Some(self.shards.untold(&common(topics, &subscription.topics), is_of_states))
            }
            _ => None,
        };
        let is_snapshot = untold.is_some();
        let serial = self.telling.past_room.next_serial();
        let shared = Arc::new(Read {
            topics: subscription.topics.clone(),
            start: start_anywhere(since),
            after_us: 0,
            page_bytes: PAGE_BYTES_MAX,
            with_before: subscription.leave && is_return,
        });
        let hears_once_live = self.conns.voice_of(id).is_some_and(Voice::hears_once_live);
        let replay = Replay {
            homes: homes.iter().fold(0, |set, home| set | 1 << home.0),
            state_bytes: REPLAY_BYTES + read_bytes(&shared),
            live: Live { epoch: (*self.shards.epoch()).into(), ..Live::default() },
            untold,
            is_awaited: *since == Since::Now && hears_once_live,
            learning: Learning::of(subscription, since, is_return),
            player: playback.map(|playback| {
                let batch_ms = subscription.batch.map(|batch| batch.delay_ms);
                Box::new(Player::new(playback, batch_ms, now))
            }),
            ..Replay::new(serial, target, &subscription.id)
        };
        let here = self.telling.gathered.cursor();
        let cursor =
            first_cursor(since, &homes, here, |home, of| self.shards.is_epoch_of(of, home));
        if let Some(solo) = self.conns.solo_mut(id) {
            // Nearly everyone has one at a time.
            solo.replays.reserve_exact(1);
            solo.replays.push(replay);
            solo.cursor = cursor;
            solo.mark = mark_of(since);
            solo.is_telling |= is_snapshot;
        }
        if is_snapshot {
            if !self.conns.tell_next_part(id, serial) {
                self.end_replay(id, serial, now);
            }
            return self.ask_for_next_pages(id, now);
        }
        for home in homes {
            let read = self.shards.read_at(home, since, &shared);
            let learns = subscription.leave && is_return && is_resume(&read.start);
            if let Some(replay) = self.conns.replay_of(id, serial) {
                replay.add_home(home, read, learns);
            }
        }
        self.ask_for_next_pages(id, now);
    }

    /// Whether what a client says of where it stands can be a position of this server: one of its epoch, that it has had. Times that are asked for
    /// may lie in the future; a place that was reached does not.
    pub(super) fn is_position_here(&self, since: &Since, now: Now) -> bool {
        let seen_us =
            self.telling.gathered.cursor().iter().copied().max().unwrap_or(0).max(now.wall_us);
        let is_past = |time_us: u64| time_us <= seen_us.saturating_add(POSITION_AHEAD_US);
        let is_known = |epoch: &str| {
            is_epoch_of(epoch, self.shards.epoch(), self.shards.homes().has_durable())
        };
        match since {
            Since::Cursor(cursor) => {
                is_known(&cursor.epoch)
                    && cursor.times_us.len() == self.shards.homes().count()
                    && cursor.times_us.iter().all(|time_us| is_past(*time_us))
            }
            // One of another epoch says for which topics it is lost.
            Since::Position(position) => {
                !position.epoch.as_deref().is_some_and(is_known)
                    || position.time_us.is_none_or(is_past)
            }
            _ => true,
        }
    }
}

/// Whether a client comes back with a position of this epoch.
const fn is_resume(start: &Start) -> bool {
    matches!(start, Start::AfterOffsets { .. } | Start::AfterTime { .. })
}

fn exact(topics: &[TopicPattern]) -> impl Iterator<Item = &TopicName> {
    topics.iter().filter_map(|topic| match topic {
        TopicPattern::Exact(name) => Some(name),
        TopicPattern::Wild(_) => None,
    })
}

impl Replay {
    /// One more home is to be asked. `learns`: first for what was inside when its client went.
    fn add_home(&mut self, home: HomeId, mut read: Arc<Read>, learns: bool) {
        if learns {
            let last = Read { start: LAST, ..Read::clone(&read) };
            self.learning.unlearned.push((home, std::mem::replace(&mut read, Arc::new(last))));
        }
        self.state_bytes += REPLAY_BYTES + read_bytes(&read);
        match &mut self.player {
            Some(player) => {
                self.state_bytes += PLAYBACK_BYTES;
                player.add(home, read);
            }
            None => self.next.push(Wanted::new(home, read, 0)),
        }
    }
}

impl Learning {
    /// What is to be learned by a subscription's client.
    fn of(subscription: &Subscription, since: &Since, is_return: bool) -> Self {
        Self {
            met: (subscription.leave && is_return).then(HashSet::default),
            unlearned: Vec::new(),
            is_refiltered: matches!(since, Since::Position(position) if position.filter_changed),
        }
    }
}

impl Solo {
    /// What was inside is still being learned, and the filter by which it came in is no longer the subscription's.
    pub(super) fn refiltered(&mut self, sub: u8) {
        for replay in &mut self.replays {
            replay.learning.is_refiltered |= replay.sub == sub;
        }
    }
}

impl Conns {
    /// Who a replay is told to, if that has changed since it began.
    pub(super) fn narrowed_to(&mut self, id: ConnId, serial: u32) -> Option<Arc<Who>> {
        self.replay_of(id, serial).filter(|replay| replay.is_narrowed)?;
        self.find(id)?.who.clone()
    }

    pub(super) fn replay_of(&mut self, id: ConnId, serial: u32) -> Option<&mut Replay> {
        let solo = self.solo_mut(id)?;
        solo.replays.iter_mut().find(|replay| replay.serial == serial)
    }
}

impl Shards {
    /// Whether a position of that epoch is one of this home.
    fn is_epoch_of(&self, epoch: &str, home: HomeId) -> bool {
        is_epoch_of(epoch, self.epoch(), home.is_durable(self.count()))
    }

    /// What one home is asked: the same as every other, but for positions, of which each is asked for its own part.
    fn read_at(&self, home: HomeId, since: &Since, shared: &Arc<Read>) -> Arc<Read> {
        let is_here = |name: &TopicName| self.homes().of(name) == home;
        let start = match since {
            Since::Position(position)
                if position.epoch.as_deref().is_some_and(|of| self.is_epoch_of(of, home)) =>
            {
                let offsets = position.offsets.iter().filter(|(name, _)| is_here(name));
                let mut offsets: Vec<(TopicName, u64)> = offsets.cloned().collect();
                offsets.sort_unstable();
                Start::AfterOffsets { offsets: offsets.into(), others_us: position.time_us }
            }
            Since::Position(position) => {
                let is_asked =
                    |name: &TopicName| shared.topics.iter().any(|pattern| pattern.matches(name));
                let named = position.offsets.iter().map(|(name, _)| name);
                let named = named.filter(|name| is_here(name) && is_asked(name));
                Start::OtherEpoch { topics: named.cloned().collect() }
            }
            Since::Cursor(cursor) if self.is_epoch_of(&cursor.epoch, home) => {
                Start::AfterTime { time_us: cursor.times_us[home.index()], mark: cursor.mark }
            }
            Since::Cursor(_) | Since::Lost => {
                let named = exact(&shared.topics).filter(|name| is_here(name));
                Start::OtherEpoch { topics: named.cloned().collect() }
            }
            _ => return Arc::clone(shared),
        };
        Arc::new(Read { start, ..Read::clone(shared) })
    }
}
