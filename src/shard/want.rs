//! A connection's subscriptions, exchanged as a whole: what dialects ask for whose clients say all that they want, and not what changes.
//!
//! Invariant: a subscription that stays loses nothing and is told nothing twice; one that ends, ends in silence.

use std::sync::Arc;

use super::Shard;
use super::input::ConnId;
use super::solo::Listener;
use crate::clock::Now;
use crate::dialect::Since;
use crate::dialect::Subscription;
use crate::dialect::Wish;
use crate::limits::SUBSCRIPTIONS_MAX;

impl Shard {
    /// From here on a connection has these subscriptions, by id, and no others.
    pub(super) fn want(&mut self, id: ConnId, wishes: &[Wish], now: Now) {
        assert!(wishes.len() <= SUBSCRIPTIONS_MAX, "a dialect keeps to the limit");
        let mut subs = self.subs_of(id).to_vec();
        if is_same(&subs, wishes) {
            return;
        }
        self.go_solo(id);
        for index in (0..subs.len()).rev() {
            if !wishes.iter().any(|wish| wish.subscription.id == subs[index].id) {
                subs.remove(index);
                self.forget(id, index);
            }
        }
        let mut told = Vec::new();
        for wish in wishes {
            let place = subs.iter().position(|sub| sub.id == wish.subscription.id);
            match place {
                Some(index) => subs[index] = Arc::clone(&wish.subscription),
                None => {
                    subs.push(Arc::clone(&wish.subscription));
                    self.stats.subscriptions += 1;
                }
            }
            let sub = u8::try_from(place.unwrap_or(subs.len() - 1)).expect("they are at most 64");
            told.push((Listener { sub, is_live: place.is_some() }, wish));
        }
        self.enter_class(id, subs);
        let is_stream = self.voice_of(id).is_some_and(super::class::Voice::is_sse);
        for (listener, wish) in told {
            // Without a past to tell and without a position to name, the next event is the first one.
            if wish.since != Since::Now || is_stream {
                self.begin_replay(id, listener, &wish.subscription, &wish.since, now);
            }
        }
    }
}

fn is_same(subs: &[Arc<Subscription>], wishes: &[Wish]) -> bool {
    subs.len() == wishes.len()
        && subs
            .iter()
            .zip(wishes)
            .all(|(sub, wish)| *sub == wish.subscription && wish.since == Since::Now)
}
