//! The present state of named topics, told one topic after the other in the order asked for, each in the order in which its
//! keys last changed.
//!
//! Why nothing is stale or missing: with the first page of a home, live delivery begins there, and from then on pages hold only what was
//! stamped before that moment. What changes while pages are told comes live. Invariant: one page is asked for at a time.

use super::conns::Conns;
use std::collections::VecDeque;
use std::sync::Arc;

use super::Shard;
use super::input::ConnId;
use super::input::PageAnswer;
use super::past::SnapshotRest;
use super::past::Wanted;
use super::shards::Shards;
use crate::batch::Item;
use crate::clock::Now;
use crate::event::Event;
use crate::event::Op;
use crate::event::TopicPattern;
use crate::history::Read;
use crate::history::Start;
use crate::limits::PAGE_BYTES_MAX;

/// The page that follows one, in the same part.
fn next_page(read: &Read, up_to_us: u64) -> Arc<Read> {
    let start = Start::Snapshot { up_to_us };
    Arc::new(Read {
        topics: read.topics.clone(),
        start,
        after_us: 0,
        page_bytes: PAGE_BYTES_MAX,
        with_before: false,
    })
}

impl Shard {
    /// A page of a snapshot has come.
    pub(super) fn snapshot_arrived(&mut self, answer: PageAnswer, now: Now) {
        let PageAnswer { reader, replay: serial, home, read, page, began } = answer;
        let id = reader.id;
        let Some(replay) = self.conns.replay_of(id, serial) else { return };
        let set = 1 << replay.sub;
        if let Some(began) = began {
            replay.began_us.push((home, began.time_us));
            let _all_began: bool = replay.began(home, began);
        }
        let up_to_us = replay
            .began_us
            .iter()
            .find(|(began, _)| *began == home)
            .map_or(u64::MAX, |(_, time_us)| *time_us);
        if let Some(after_us) = page.more_after_us {
            replay.next.push(Wanted::new(home, next_page(&read, up_to_us), after_us));
        }
        let is_part_told = page.more_after_us.is_none();
        for gap in page.gaps {
            self.push_page_gap(id, serial, set, gap);
        }
        self.push_past(id, serial, &page.events, now);
        if is_part_told && !self.conns.tell_next_part(id, serial) {
            self.end_replay(id, serial, now);
        }
        self.ask_for_next_pages(id, now);
        self.mark_solo(id);
    }

    fn push_past(&mut self, id: ConnId, serial: u32, events: &[Arc<Event>], now: Now) {
        let Some(sub) = self.conns.replay_of(id, serial).map(|replay| replay.sub) else { return };
        let (filter, forced) = self.terms_of(id, 1 << sub);
        let narrowed = self.conns.narrowed_to(id, serial);
        let heard_of = events
            .iter()
            .filter(|event| narrowed.as_ref().is_none_or(|who| who.hears_of(&event.topic)));
        let shown = heard_of.filter_map(|event| self.shown(filter.as_ref(), &forced, event));
        let shown: Vec<Arc<Event>> = shown.collect();
        let subscription = self.wants_of(id).get(usize::from(sub)).cloned();
        let Some(solo) = self.conns.solo_mut(id) else {
            return;
        };
        let Some(replay) = solo.replays.iter_mut().find(|replay| replay.serial == serial) else {
            return;
        };
        let subs = 1 << sub;
        for event in shown {
            let is_left_out = replay.untold.as_ref().is_some_and(|untold| untold.is_of_states)
                && (!matches!(event.op, Op::Upsert | Op::Create) || event.is_expired(now.wall_us));
            let is_own = subscription.as_ref().is_some_and(|sub| sub.excludes(&event));
            if is_left_out || is_own {
                continue;
            }
            replay.live.replayed += 1;
            solo.outbox.push(Item::Past { event, subs });
        }
    }
}

impl Conns {
    /// Has the next page asked for as soon as there is room for it; false if all is told.
    pub(super) fn tell_next_part(&mut self, id: ConnId, serial: u32) -> bool {
        let Some(replay) = self.replay_of(id, serial) else { return false };
        let Some(untold) = &mut replay.untold else { return false };
        let Some((home, read)) = untold.next(&replay.began_us) else { return false };
        replay.next.push(Wanted::new(home, read, 0));
        true
    }
}

impl Shards {
    /// A snapshot's parts; a pattern is asked of every home.
    pub(super) fn untold(&self, topics: &[TopicPattern], is_of_states: bool) -> SnapshotRest {
        let mut parts = VecDeque::new();
        for topic in topics {
            match topic {
                TopicPattern::Exact(name) => {
                    parts.push_back((self.homes().of(name), topic.clone()));
                }
                TopicPattern::Wild(_) => {
                    parts.extend(self.homes().all().map(|home| (home, topic.clone())));
                }
            }
        }
        SnapshotRest { parts, is_of_states, since_us: 0 }
    }
}
