//! What tokens force on subscriptions, looked at where the matcher has not: for deletes, and where filters are too large to be joined.
//!
//! A delete says nothing of its key but that it is gone, so that no filter of a field lets it pass. Whoever could see the key's last event is told
//! that it is gone, though not what else the delete says. Invariant: nothing is told of a key whose last event is not known or did not pass.

use std::sync::Arc;

use super::Shard;
use super::conns::ClassId;
use super::input::ConnId;
use super::sight::Sight;
use super::sight::bare;
use super::sight::sight;
use crate::clock::Now;
use crate::dialect::Forced;
use crate::event::Event;
use crate::matcher::Filter;

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
            let mut encoded = self.telling.encoded();
            for &(id, (mut subs, sight)) in &seen {
                if sight != wanted || self.classes.find(id).is_none() {
                    continue;
                }
                if let Some(conn) = self.classes.only_conn(id) {
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
            match sight(&sub.forced, event, &mut self.intake.ingest.scratch, &mut steps) {
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
        if !self.classes.spending.passes_past(filter, event, &mut self.intake.ingest.scratch) {
            return None;
        }
        let mut steps = 0;
        let sight = sight(forced, event, &mut self.intake.ingest.scratch, &mut steps);
        self.classes.spending.looked_at_page(steps);
        match sight {
            Sight::Whole => Some(Arc::clone(event)),
            Sight::Gone => Some(bare(event)),
            Sight::Nothing => None,
        }
    }
}
