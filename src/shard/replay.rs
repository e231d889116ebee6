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
use super::input::PageAnswer;
use super::names::Holding;
use super::past::LAST;
use super::past::Wanted;
use super::past::first_cursor;
use super::past::read_bytes;
use super::past::start_anywhere;
use super::player::Player;
use super::player::Taking;
use super::shape::Past;
use super::solo::Learning;
use super::solo::Listener;
use super::solo::Replay;
use super::solo::Solo;
use super::transport::Voice;
use crate::batch::Item;
use crate::clock::Now;
use crate::dialect::Forced;
use crate::dialect::Outcome;
use crate::dialect::Subscription;
use crate::event::Event;
use crate::event::HomeId;
use crate::event::Mark;
use crate::event::Op;
use crate::event::TopicName;
use crate::event::TopicPattern;
use crate::history::Read;
use crate::history::Start;
use crate::limits::PAGE_BYTES_MAX;
use crate::limits::PLAYBACK_BYTES;
use crate::limits::POSITION_AHEAD_US;
use crate::limits::REPLAY_BYTES;
use crate::matcher::Filter;
use crate::position::Gap;
use crate::position::GapReason;
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
        listener: Listener,
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
                Some(self.untold(&common(topics, &subscription.topics), is_of_states))
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
            ..Replay::new(serial, listener, &subscription.id)
        };
        let home_count = self.shards.homes().count();
        let cursor = first_cursor(since, &homes, home_count, |home, of| self.is_epoch_of(of, home));
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
            let read = self.read_at(home, since, &shared);
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

    /// Whether a position of that epoch is one of this home.
    fn is_epoch_of(&self, epoch: &str, home: HomeId) -> bool {
        is_epoch_of(epoch, self.shards.epoch(), home.is_durable(self.shards.count()))
    }

    /// What one home is asked: the same as every other, but for positions, of which each is asked for its own part.
    fn read_at(&self, home: HomeId, since: &Since, shared: &Arc<Read>) -> Arc<Read> {
        let is_here = |name: &TopicName| self.shards.homes().of(name) == home;
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

    /// Takes a page in: its gaps and events go to the connection's outbox, and the next page is asked for, or the present begins.
    pub(super) fn page_arrived(&mut self, answer: PageAnswer, now: Now) {
        if self.conns.find_ref(answer.reader).is_none() {
            return;
        }
        let (reader, serial) = (answer.reader, answer.replay);
        let is_left = |replay: &mut Replay| replay.moving.is_some();
        if self.conns.replay_of(reader.id, serial).is_some_and(is_left) {
            self.page_left(reader.id, serial, answer.home, now);
        } else if let Some(asked) = self.admit_page(&answer) {
            self.take_page(answer, asked.after_us, now);
        }
        self.rest_after_page(reader, now);
        let solo = self.conns.solo_mut(reader.id);
        if let Some(solo) = solo {
            solo.count_past();
            self.ask_for_next_pages(reader.id, now);
        }
    }

    fn take_page(&mut self, answer: PageAnswer, after_us: u64, now: Now) {
        if matches!(answer.read.start, Start::Snapshot { .. }) {
            return self.snapshot_arrived(answer, now);
        }
        let (id, serial, home) = (answer.reader.id, answer.replay, answer.home);
        let is_unlearned =
            |replay: &mut Replay| replay.learning.unlearned.iter().any(|(of, _)| *of == home);
        if self.conns.replay_of(id, serial).is_some_and(is_unlearned) {
            return self.learn_inside(answer, now);
        }
        let PageAnswer { reader: _, replay: _, home: _, read, mut page, began } = answer;
        let Some(replay) = self.conns.replay_of(id, serial) else { return };
        let (sub, is_played, together) = (replay.sub, replay.player.is_some(), replay.together);
        let mut gaps = page.gaps.iter().chain(page.late_gaps.iter().map(|(_, gap)| gap));
        if together != 0
            && let Some(gap) = gaps.next()
        {
            let is_lost = gap.reason != GapReason::Unavailable;
            return Holding::at(self).break_off(id, is_lost, now);
        }
        let set = 1 << sub;
        for gap in std::mem::take(&mut page.gaps) {
            self.push_page_gap(id, serial, set, gap);
        }
        if is_played {
            let began_us = began.map(|began| began.time_us);
            let taking = Taking { home, read, after_us, page, began_us };
            if let Some(replay) = self.conns.replay_of(id, serial) {
                replay.take_to_play(taking, now);
            }
            return;
        }
        let mut events = &page.events[..];
        for (time_us, gap) in page.late_gaps {
            let (before, after) =
                events.split_at(events.partition_point(|event| event.time_us <= time_us));
            self.push_page_events(id, serial, sub, before, now);
            self.push_page_gap(id, serial, set, gap);
            events = after;
        }
        self.push_page_events(id, serial, sub, events, now);
        if let Some(after_us) = page.more_after_us {
            if let Some(replay) = self.conns.replay_of(id, serial) {
                replay.next.push(Wanted::new(home, read, after_us));
            }
            self.ask_for_next_pages(id, now);
        }
        let narrowed = self.conns.narrowed_to(id, serial);
        if let Some(mut began) = began
            && let Some(replay) = self.conns.replay_of(id, serial)
        {
            if let Some(who) = narrowed {
                began.offsets.retain(|(topic, _)| who.hears_of(topic));
            }
            replay.began_us.push((home, began.time_us));
            if replay.began(home, began) {
                self.end_replay(id, serial, now);
            }
            self.sleep_or_wake(id);
        }
        self.mark_solo(id);
    }

    /// Says that events are not coming, but for what was said of their topic before.
    pub(super) fn push_page_gap(&mut self, id: ConnId, serial: u32, set: u64, mut gap: Gap) {
        debug_assert!(
            self.conns.replay_of(id, serial).is_none_or(|replay| replay.together == 0),
            "whoever has missed something that is not kept has lost its session"
        );
        if self.conns.narrowed_to(id, serial).is_some_and(|who| !who.hears_of_all(&gap.topic)) {
            return;
        }
        let Some(replay) = self.conns.replay_of(id, serial) else { return };
        let mut forgotten = 0;
        let sent = match &gap.topic {
            TopicPattern::Exact(topic) => replay.sent.entry(topic.clone()).or_default(),
            TopicPattern::Wild(_) => &mut forgotten,
        };
        gap.from = gap.from.max(*sent + 1);
        // A position of another epoch has a gap even of what is held, and forgotten topics have no offsets.
        let has_offsets =
            gap.reason != GapReason::Epoch && matches!(gap.topic, TopicPattern::Exact(_));
        if gap.from > gap.to && has_offsets {
            return;
        }
        *sent = gap.to.max(*sent);
        self.say_gap(id, set, &gap);
    }

    /// What was inside when a client went: the keys whose newest event it may have seen, and whose newest event passes. Of those it would
    /// otherwise never hear again if they leave. By a filter that it had before any key may have come inside that is not kept from it.
    fn learn_inside(&mut self, answer: PageAnswer, now: Now) {
        let PageAnswer { reader, replay: serial, home, read: last, page, .. } = answer;
        let Some(replay) = self.conns.replay_of(reader.id, serial) else { return };
        let (sub, is_refiltered) = (replay.sub, replay.learning.is_refiltered);
        let Some(index) = replay.learning.unlearned.iter().position(|(of, _)| *of == home) else {
            return;
        };
        let read = Arc::clone(&replay.learning.unlearned[index].1);
        match page.more_after_us {
            Some(after_us) => replay.next.push(Wanted::new(home, last, after_us)),
            None => {
                replay.learning.unlearned.swap_remove(index);
                replay.next.push(Wanted::new(home, Arc::clone(&read), 0));
            }
        }
        let (filter, forced) = self.terms_of(reader.id, 1 << sub);
        let filter = filter.filter(|_| !is_refiltered);
        let narrowed = self.conns.narrowed_to(reader.id, serial);
        for event in page.events.iter().filter(|event| read.start.is_before(event)) {
            let is_hidden = narrowed.as_ref().is_some_and(|who| !who.hears_of(&event.topic));
            if event.op == Op::Delete || is_hidden {
                continue;
            }
            let passes = self.shown(filter.as_ref(), &forced, event).is_some();
            if passes && !self.telling.shapings.note_inside(&mut self.conns, reader.id, sub, event)
            {
                return self.outbox_full(reader.id, now);
            }
        }
        self.ask_for_next_pages(reader.id, now);
    }

    pub(super) fn push_page_events(
        &mut self,
        id: ConnId,
        serial: u32,
        sub: u8,
        events: &[Arc<Event>],
        now: Now,
    ) {
        let set = 1 << sub;
        let together = self.conns.replay_of(id, serial).map_or(0, |replay| replay.together);
        if together != 0 {
            return Holding::at(self).push_missed(id, events);
        }
        let (filter, forced) = self.terms_of(id, set);
        let narrowed = self.conns.narrowed_to(id, serial);
        for event in events {
            if narrowed.as_ref().is_some_and(|who| !who.hears_of(&event.topic)) {
                continue;
            }
            let shown = self.shown(filter.as_ref(), &forced, event);
            let passes = shown.is_some();
            let event = &shown.unwrap_or_else(|| Arc::clone(event));
            let Some(replay) = self.conns.replay_of(id, serial) else { return };
            let is_news = replay.told(event);
            replay.live.replayed += u64::from(passes);
            let past = Past { passes, is_news, is_played: replay.player.is_some() };
            let Some(event) = self.shape_past(id, event, sub, past, now) else {
                continue;
            };
            if let Some(solo) = self.conns.solo_mut(id) {
                solo.outbox.push(Item::Event { event, subs: set });
            }
        }
    }

    /// The filter of the one subscription in a set, and what is forced on it.
    pub(super) fn terms_of(&self, id: ConnId, set: u64) -> (Option<Filter>, Forced) {
        let sub = self.subs_of(id).get(set.trailing_zeros() as usize);
        sub.map_or_else(Default::default, |sub| (sub.filter.clone(), sub.forced.clone()))
    }

    /// The present has begun at every home.
    pub(super) fn end_replay(&mut self, id: ConnId, serial: u32, now: Now) {
        let Some(solo) = self.conns.solo_mut(id) else {
            return;
        };
        let Some(index) = solo.replays.iter().position(|replay| replay.serial == serial) else {
            return;
        };
        let replay = solo.replays.remove(index);
        self.telling.plays.plan(&mut self.conns, id);
        if replay.together != 0 {
            return;
        }
        self.end_past(id, replay.sub, now);
        let Some(solo) = self.conns.solo_mut(id) else {
            return;
        };
        if !solo.cursor.is_empty() {
            let homes = replay.began_us.into_iter().map(|(home, time_us)| (home.0, time_us));
            let mark = match &replay.live.offsets[..] {
                [(topic, offset)] => Some(Mark::of(topic, *offset)),
                _ => None,
            };
            solo.outbox.push(Item::Reached { homes: homes.collect(), mark });
        }
        self.say(id, &Outcome::Live { id: &replay.id, live: &replay.live });
        if replay.is_awaited {
            self.hear_later(id);
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
