//! What tokens force on subscriptions, looked at where the matcher has not: for deletes, and where filters are too large to be joined.
//!
//! A delete says nothing of its key but that it is gone, so that no filter of a field lets it pass. Whoever could see the key's last event is told
//! that it is gone, though not what else the delete says. Invariant: nothing is told of a key whose last event is not known or did not pass.

use std::sync::Arc;

use bytes::Bytes;

use super::Shard;
use super::class::ClassId;
use super::encoded::Encoded;
use super::input::ConnId;
use crate::clock::Now;
use crate::dialect::Forced;
use crate::dialect::Subscription;
use crate::event::Event;
use crate::event::Fields;
use crate::event::Op;
use crate::event::fields::Scratch;
use crate::matcher::Filter;

/// How much of an event a token lets its bearer see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sight {
    Whole,
    /// That its key is gone, and nothing else.
    Gone,
    Nothing,
}

/// Which of a class's subscriptions have filters forced on them that the matcher has not looked at: at deletes, and at any other event.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Unmatched {
    deletes: u64,
    others: u64,
}

impl Unmatched {
    pub(super) fn of(subs: &[Arc<Subscription>]) -> Self {
        let set = |is_meant: fn(&Forced) -> bool| {
            let meant = subs.iter().enumerate().filter(|(_, sub)| is_meant(&sub.forced));
            meant.fold(0, |set, (index, _)| set | 1 << index)
        };
        Self {
            deletes: set(|forced| !forced.filters.is_empty()),
            others: set(|forced| !forced.filters.is_empty() && !forced.is_joined),
        }
    }

    pub(super) const fn at(self, op: Op) -> u64 {
        match op {
            Op::Delete => self.deletes,
            Op::Upsert | Op::Event | Op::Leave => self.others,
        }
    }
}

/// What is seen of an event through what is forced; what that took is added to `steps`. A filter that takes more than it may lets nothing be seen.
fn sight(forced: &Forced, event: &Event, scratch: &mut Scratch, steps: &mut u64) -> Sight {
    if forced.filters.is_empty() || (forced.is_joined && event.op != Op::Delete) {
        return Sight::Whole;
    }
    let mut passes = |event: &Event| {
        forced.filters.iter().all(|filter| {
            let evaluated = filter.ask(event, scratch);
            *steps += evaluated.steps;
            evaluated.passes
        })
    };
    match &event.before {
        _ if passes(event) => Sight::Whole,
        Some(before) if event.op == Op::Delete && passes(before) => Sight::Gone,
        _ => Sight::Nothing,
    }
}

/// The twin of a delete that says that its key is gone and nothing else.
pub(super) fn bare(event: &Arc<Event>) -> Arc<Event> {
    if *event.payload == *b"{}" {
        return Arc::clone(event);
    }
    let (payload, fields) = (Bytes::from_static(b"{}"), Fields::default());
    Arc::new(Event { payload, fields, before: None, ..Event::clone(event) })
}

impl Shard {
    /// Tells an event to classes some of whose subscriptions the matcher has not looked at enough; notes those that are one connection's own.
    pub(super) fn fan_out_forced(
        &mut self,
        event: &Arc<Event>,
        classes: &[(ClassId, u64)],
        alone: &mut Vec<(ConnId, u64)>,
        now: Now,
    ) {
        let seen: Vec<(ClassId, (u64, Sight))> =
            classes.iter().map(|(id, subs)| (*id, self.seen(*id, event, *subs))).collect();
        // Before anything of the event is told to whoever asked for too much of it.
        self.close_all_spent(now);
        let twin = bare(event);
        for (wanted, event) in [(Sight::Whole, event), (Sight::Gone, &twin)] {
            // Not the bodies of the hot path: a twin is another event with the same place.
            let mut encoded = Encoded::new(&self.codec);
            for &(id, (mut subs, sight)) in &seen {
                if sight != wanted || self.classes.find(id).is_none() {
                    continue;
                }
                if let Some(conn) = self.only_conn(id) {
                    alone.push((conn, subs));
                    subs = self.shape_live(conn, event, subs, now);
                }
                if subs != 0 {
                    self.emit(id, event, subs, &mut encoded, now);
                }
            }
        }
    }

    /// Which of these subscriptions of a class are told of an event, and how much of it at most.
    fn seen(&mut self, id: ClassId, event: &Event, subs: u64) -> (u64, Sight) {
        let (mut seen, mut least, mut steps) = (0, Sight::Nothing, 0);
        let class = self.classes.at(id);
        for (index, sub) in class.key.subs.iter().enumerate() {
            if subs & (1 << index) == 0 {
                continue;
            }
            match sight(&sub.forced, event, &mut self.ingest.scratch, &mut steps) {
                Sight::Nothing => continue,
                Sight::Whole if least == Sight::Nothing => least = Sight::Whole,
                Sight::Whole => {}
                Sight::Gone => least = Sight::Gone,
            }
            seen |= 1 << index;
        }
        self.charge_class(id, steps);
        (seen, least)
    }

    /// An event of the past as one subscription is told it; `None`: it does not pass.
    pub(super) fn shown(
        &mut self,
        filter: Option<&Filter>,
        forced: &Forced,
        event: &Arc<Event>,
    ) -> Option<Arc<Event>> {
        if !self.passes_past(filter, event) {
            return None;
        }
        let mut steps = 0;
        let sight = sight(forced, event, &mut self.ingest.scratch, &mut steps);
        self.spending.looked_at_page(steps);
        match sight {
            Sight::Whole => Some(Arc::clone(event)),
            Sight::Gone => Some(bare(event)),
            Sight::Nothing => None,
        }
    }
}
