//! What a client has missed that comes back to its session: told once for all of its subscriptions, from where it was left to where the present begins.
//!
//! Invariants: an event is told as one message, of all subscriptions that it matches, as it would have been live; what need not be acknowledged is not told, and nothing
//! that was ordered before its subscription began. Whoever has missed something that is no longer kept has lost its session.

use std::sync::Arc;

use super::input::ConnId;
use super::names::Holding;
use super::past::Wanted;
use super::solo::Replay;
use super::solo::ReplayTarget;
use crate::batch::Item;
use crate::clock::Now;
use crate::dialect::SubId;
use crate::dialect::Subs;
use crate::dialect::Subscription;
use crate::event::Event;
use crate::event::HomeId;
use crate::event::TopicPattern;
use crate::history::Read;
use crate::history::Start;
use crate::limits::PAGE_BYTES_MAX;
use crate::limits::REPLAY_BYTES;

impl Holding<'_> {
    /// Begins to tell a connection's subscriptions what was stamped after these moments, at each home that has gone on since.
    pub(super) fn begin_missed(&mut self, id: ConnId, homes_us: &[u64], now: Now) {
        let subs = self.shard.subs_of(id).to_vec();
        let (mut set, mut topics): (u64, Vec<TopicPattern>) = (0, Vec::new());
        for (index, sub) in subs.iter().enumerate().filter(|(_, sub)| sub.delivery.qos > 0) {
            set |= 1 << index;
            topics.extend(
                sub.topics
                    .iter()
                    .filter(|topic| !topics.contains(topic))
                    .cloned()
                    .collect::<Vec<_>>(),
            );
        }
        let newest_us = self.shard.telling.gathered.cursor();
        let has_gone_on = |home: &HomeId| {
            let at = |of: &[u64]| of.get(home.index()).copied();
            at(homes_us).is_some_and(|left_us| at(newest_us) != Some(left_us))
        };
        let mut homes =
            if set == 0 { Vec::new() } else { self.shard.shards.homes().of_patterns(&topics) };
        homes.retain(has_gone_on);
        if homes.is_empty() {
            return;
        }
        let serial = self.shard.telling.past_room.next_serial();
        let target = ReplayTarget { sub: 0, is_live: false };
        let mut replay = Replay::new(serial, target, &SubId::from(""));
        replay.together = set;
        for home in homes {
            let time_us = homes_us[home.index()];
            let start = Start::AfterTime { time_us, mark: None };
            let (topics, page_bytes) = (topics.clone(), PAGE_BYTES_MAX);
            let read = Read { topics, start, after_us: 0, page_bytes, with_before: false };
            replay.homes |= 1 << home.0;
            replay.state_bytes += REPLAY_BYTES + size_of_val(&read.topics[..]);
            replay.next.push(Wanted::new(home, Arc::new(read), 0));
        }
        self.shard.go_solo(id);
        if let Some(solo) = self.shard.conns.solo_mut(id) {
            solo.replays.push(replay);
        }
        self.shard.ask_for_next_pages(id, now);
    }

    /// Events of a page go to the outbox of a connection for those of its subscriptions that have missed them.
    pub(super) fn push_missed(&mut self, id: ConnId, events: &[Arc<Event>]) {
        let subs = self.shard.subs_of(id).to_vec();
        let begun = self.begun(id);
        for event in events {
            let is_later = |sub: &Subscription| {
                let began = begun.iter().find(|(of, _)| *of == sub.id);
                began
                    .and_then(|(_, at)| at.get(event.home.index()))
                    .is_none_or(|at| event.time_us > *at)
            };
            let (mut set, mut told) = (0, None);
            for (index, sub) in subs.iter().enumerate() {
                let wants = sub.topics.iter().any(|topic| topic.matches(&event.topic))
                    && !sub.excludes(event)
                    && is_later(sub);
                if wants
                    && let Some(shown) = self.shard.shown(sub.filter.as_ref(), &sub.forced, event)
                {
                    set |= 1 << index;
                    told = Some(shown);
                }
            }
            // Of those that have nothing to acknowledge there may be some that are told it as well.
            let Some(event) =
                told.filter(|event| Subs { of: &subs, names: None, set }.qos_of(event) > 0)
            else {
                continue;
            };
            if let Some(solo) = self.shard.conns.solo_mut(id) {
                solo.outbox.push(Item::Event { event, subs: set });
            }
        }
    }
}

impl Replay {
    /// The subscriptions that it is told to, one bit each.
    pub(super) const fn set(&self) -> u64 {
        if self.together == 0 { 1 << self.sub } else { self.together }
    }

    /// A subscription has ended, those behind it have moved up; false: nobody is left to be told.
    pub(super) fn forget(&mut self, index: usize) -> bool {
        if self.together != 0 {
            let below = (1 << index) - 1;
            self.together = (self.together & below) | ((self.together >> 1) & !below);
            return self.together != 0;
        }
        let sub = usize::from(self.sub);
        self.sub -= u8::from(sub > index);
        sub != index
    }

    /// Of what was missed: up to which moment of each home that is not live yet it has been told.
    pub(super) fn missed_up_to(&self) -> impl Iterator<Item = (HomeId, u64)> {
        let wanted = self.next.iter().chain(&self.asked).filter(|_| self.together != 0);
        wanted.map(|wanted| {
            let begin_us = match wanted.read.start {
                Start::AfterTime { time_us, .. } => time_us,
                _ => 0,
            };
            (wanted.home, begin_us.max(wanted.after_us))
        })
    }
}
