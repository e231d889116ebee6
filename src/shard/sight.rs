//! How much of an event a token lets its bearer see, by what it forces on subscriptions.
//!
//! Invariant: nothing is seen of a key whose last event is not known or did not pass. Never tells anybody.

use std::sync::Arc;

use bytes::Bytes;

use crate::dialect::Forced;
use crate::dialect::Subscription;
use crate::event::Event;
use crate::event::Fields;
use crate::event::Op;
use crate::event::fields::Scratch;

/// How much of an event a token lets its bearer see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    Whole,
    /// The subscriber sees that the event's key is gone, and nothing else.
    Gone,
    Nothing,
}

/// Which of a class's subscriptions have filters forced on them that the matcher has not looked at: at deletes, and at any other event.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Unmatched {
    deletes: u64,
    others: u64,
    /// Which are not for the events of some publisher.
    pub(super) excluding: u64,
}

impl Unmatched {
    pub(super) fn of(subs: &[Arc<Subscription>]) -> Self {
        let set = |is_meant: fn(&Forced) -> bool| {
            let meant = subs.iter().enumerate().filter(|(_, sub)| is_meant(&sub.forced));
            meant.fold(0, |set, (index, _)| set | 1 << index)
        };
        let excluding = subs.iter().enumerate().filter(|(_, sub)| sub.delivery.without != 0);
        Self {
            excluding: excluding.fold(0, |set, (index, _)| set | 1 << index),
            deletes: set(|forced| !forced.filters.is_empty()),
            others: set(|forced| !forced.filters.is_empty() && !forced.is_joined),
        }
    }

    pub(super) const fn at(self, op: Op) -> u64 {
        match op {
            Op::Delete => self.deletes,
            Op::Upsert | Op::Create | Op::Event | Op::Leave => self.others,
        }
    }
}

/// How much of an event lets the forced filters of one subscription be seen.
pub(super) fn sight(
    forced: &Forced,
    event: &Event,
    scratch: &mut Scratch,
    steps: &mut u64,
) -> Sight {
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
