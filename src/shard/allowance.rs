//! How much each publisher may still publish: counted by the registrar, and handed out to the shards in small portions.
//!
//! Invariants: over all shards together a publisher is granted no more than its rate, for what is left of a portion is lost and never given
//! twice. Of a run the first events are granted and the others refused, so that what is taken has no hole. Whoever has no name and comes
//! from this machine is not counted, and nobody is asked about them.

use super::conns::Conns;
use std::collections::HashMap;

use super::Shard;
use super::input::Address;
use super::input::AllowanceAsk;
use super::input::ConnId;
use super::input::ConnRef;
use super::input::Mesh;
use super::lanes::Lane;
use super::registrar::REGISTRAR;
use super::tickets::Question;
use crate::auth::Publisher;
use crate::clock::Now;
use crate::dialect::RefusalCode;
use crate::limits::PUBLISH_PORTION_MS;
use crate::limits::PUBLISH_PORTIONS_PER_S;

type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// What this shard was handed out, and not used yet.
#[derive(Debug, Default)]
pub(super) struct Allowances {
    portions: Map<Publisher, Portion>,
    portions_max: usize,
}

/// Events that a publisher may still publish here, until then.
#[derive(Clone, Copy, Debug)]
struct Portion {
    events: u32,
    until_ms: u64,
}

/// What became of a question.
pub(super) enum Allowed {
    /// So many.
    Events(u32),
    /// The registrar has been asked.
    Asked,
    /// Too many questions to it wait already.
    Full,
}

impl Allowances {
    /// None yet, and at most so many.
    pub(super) fn within(portions_max: usize) -> Self {
        Self { portions_max, ..Self::default() }
    }

    /// Takes all of that from what is left here; false: there is not so much.
    fn take(&mut self, publisher: &Publisher, events: u32, now: Now) -> bool {
        let Some(portion) = self.portions.get_mut(publisher) else { return false };
        if portion.until_ms <= now.mono_ms || portion.events < events {
            return false;
        }
        portion.events -= events;
        true
    }

    /// Keeps what was granted beyond what was needed. Without room for it, it is lost: too little is the safe side.
    fn keep(&mut self, publisher: Publisher, events: u32, now: Now) {
        if events == 0 {
            return;
        }
        if self.portions.len() >= self.portions_max {
            self.portions.retain(|_, portion| portion.until_ms > now.mono_ms);
        }
        if self.portions.len() < self.portions_max {
            let until_ms = now.mono_ms + PUBLISH_PORTION_MS;
            self.portions.insert(publisher, Portion { events, until_ms });
        }
    }
}

impl Shard {
    /// Of so many events that a connection wants to publish: how many it may.
    pub(super) fn allow(&mut self, conn: ConnRef, events: usize, now: Now) -> Allowed {
        let events = u32::try_from(events).unwrap_or(u32::MAX);
        let Some(publisher) = self.conns.publisher_of(conn.id) else {
            return Allowed::Events(events);
        };
        if self.shards.here() == REGISTRAR {
            return Allowed::Events(self.rights.registrar.allow(&publisher, events, now));
        }
        if self.rights.allowances.take(&publisher, events, now) {
            return Allowed::Events(events);
        }
        if !self.outgoing.has_room(REGISTRAR, Lane::Control) {
            return Allowed::Full;
        }
        let address = Address { shard: self.shards.here(), conn };
        self.outgoing.to(REGISTRAR).push(Mesh::Ask(Box::new(AllowanceAsk {
            address,
            publisher,
            events,
        })));
        Allowed::Asked
    }

    /// Another shard's publisher wants to publish.
    pub(super) fn grant(&mut self, ask: AllowanceAsk, now: Now) {
        let AllowanceAsk { address: Address { shard, conn }, publisher, events } = ask;
        let portion = self.settings.access.limits.publish.per_second / PUBLISH_PORTIONS_PER_S;
        let events = self.rights.registrar.allow(&publisher, events.max(portion), now);
        let publisher = Box::new(publisher);
        self.outgoing.to(shard).push(Mesh::Granted { conn, publisher, events });
    }

    /// The registrar has answered.
    pub(super) fn granted(&mut self, conn: ConnRef, publisher: Publisher, events: u32, now: Now) {
        if self.conns.find_ref(conn).is_none() {
            return self.rights.allowances.keep(publisher, events, now);
        }
        if !matches!(self.intake.tickets.find_mut(conn.id), Some(Question::Allowance(_))) {
            return;
        }
        let Some(Question::Allowance(drafts)) = self.intake.tickets.close(conn.id) else { return };
        let wanted = u32::try_from(drafts.len()).unwrap_or(u32::MAX);
        if self.has_lost_its_token(conn.id, now) {
            self.rights.allowances.keep(publisher, events, now);
            let refused: Vec<_> = drafts.iter().map(|_| Err(RefusalCode::Forbidden)).collect();
            return self.published(conn.id, &refused, now);
        }
        self.rights.allowances.keep(publisher, events.saturating_sub(wanted), now);
        if let Some(results) = self.publish_allowed(conn, drafts, events, now) {
            self.published(conn.id, &results, now);
        }
    }
}

impl Conns {
    fn publisher_of(&self, id: ConnId) -> Option<Publisher> {
        let conn = self.find(id)?;
        let user = conn.who.as_ref().and_then(|who| who.principal.user.as_ref());
        Publisher::of(user, conn.caller.peer)
    }
}
