//! Pages of the past that have come: told to the subscription that asked for them, until the present has begun at every home.
//!
//! Invariants: a page that was not asked for, or of a place that was left, is told to nobody; what was told of a topic is not told again. Asks for
//! nothing itself but the next page.

use std::sync::Arc;

use super::Shard;
use super::input::ConnId;
use super::input::PageAnswer;
use super::names::Holding;
use super::past::Wanted;
use super::player::Taking;
use super::shape::PastEvent;
use super::solo::Replay;
use crate::batch::Item;
use crate::clock::Now;
use crate::dialect::Forced;
use crate::dialect::Outcome;
use crate::event::Event;
use crate::event::Mark;
use crate::event::Op;
use crate::event::TopicPattern;
use crate::history::Start;
use crate::matcher::Filter;
use crate::position::Gap;
use crate::position::GapReason;

impl Shard {
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
            let past = PastEvent { passes, is_news, is_played: replay.player.is_some() };
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
        let sub = self.wants_of(id).get(set.trailing_zeros() as usize);
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
