//! The tables' thread: asks come in by its lane, answers and news of rows go out, and between them a keeper does one thing at a time.
//!
//! Invariants: it never waits for a shard, and sleeps only when it has nothing to do; what it has no room to answer stays in its inbox, which is bounded. What is told of rows goes out in
//! the order in which they were written.

use std::sync::Arc;
use std::time::Duration;

use super::cache::Cached;
use super::figures::Counting;
use super::figures::Figures;
use crate::clock::Clock;
use crate::conn::Doorbell;
use crate::conn::Heard;
use crate::conn::Party;
use crate::event::Homes;
use crate::limits::INBOX_MESSAGES_MAX;
use crate::limits::MESH_RETRY_MS;
use crate::shard::Lane;
use crate::shard::Mesh;
use crate::shard::PartyId;
use crate::shard::conn_of;
use crate::tables::keeper::Outcome;

/// How long it sleeps at most while nothing happens.
const REST: Duration = Duration::from_secs(3600);

/// Whoever has the tables, with everything that its thread needs.
#[derive(Debug)]
pub struct TablesParty {
    party: Party<Mesh>,
    backend: Cached,
    homes: Homes,
    counting: Counting,
    clock: Clock,
}

impl TablesParty {
    /// Tables at their place in the mesh.
    #[must_use]
    pub fn new(party: Party<Mesh>, backend: Cached, homes: Homes, clock: Clock) -> Self {
        let (word, link) = backend.link();
        let counting = Counting::new(Arc::new(Figures::new(word, link)));
        Self { party, backend, homes, counting, clock }
    }

    /// What it counts, for others to look at.
    #[must_use]
    pub fn figures(&self) -> Arc<Figures> {
        self.counting.figures()
    }

    /// What wakes it, and tells it to stop.
    #[must_use]
    pub fn doorbell(&self) -> Arc<Doorbell> {
        self.party.doorbell()
    }

    /// Runs until it is told to stop; what was said before is heard.
    pub fn run(mut self) {
        let mut out = Vec::new();
        loop {
            self.take_in(&mut out);
            if !self.has_room() {
                // What it waits for may ring no bell.
                self.party.rest(Duration::from_millis(MESH_RETRY_MS));
                continue;
            }
            let backend = &self.backend;
            match self.party.hear_unless(backend.rest(REST), || backend.is_ready()) {
                Heard::Message(message) => self.take(message, &mut out),
                Heard::Nothing => {}
                Heard::Stop => break,
            }
        }
        self.take_in(&mut out);
        self.backend.finish(&mut out);
        self.say(&mut out);
        self.party.hand_on();
    }

    /// Takes in what was said, as far as there is room for what is answered.
    fn take_in(&mut self, out: &mut Vec<Outcome>) {
        for _ in 0..INBOX_MESSAGES_MAX {
            if !self.has_room() {
                break;
            }
            let Some(message) = self.party.take(Lane::Data) else { break };
            self.take(message, out);
        }
        self.backend.settle(out);
        self.say(out);
        self.party.hand_on();
    }

    /// Whether what is answered next has room, whoever it is for.
    fn has_room(&self) -> bool {
        let mut shards = (0..self.homes.shard_count()).map(PartyId);
        shards.all(|shard| self.party.waiting(shard).has_room(Lane::Data))
            && self.backend.has_room()
    }

    fn take(&mut self, message: Mesh, out: &mut Vec<Outcome>) {
        // Whoever says anything else takes it for somebody else.
        let Mesh::Tables(ask) = message else { return };
        self.counting.hear(&ask, self.clock.mono_us());
        self.backend.hear(ask, out);
        self.say(out);
    }

    fn say(&mut self, out: &mut Vec<Outcome>) {
        let now_us = if out.is_empty() { 0 } else { self.clock.mono_us() };
        for outcome in out.drain(..) {
            self.counting.say(&outcome, now_us);
            let (to, message) = addressed(outcome, &self.homes);
            self.party.pending(to).push(message);
        }
    }
}

/// What is said, and to which party.
#[must_use]
pub fn addressed(outcome: Outcome, homes: &Homes) -> (PartyId, Mesh) {
    match outcome {
        Outcome::Answer(asker, answer) => {
            let conn = conn_of(asker);
            (asker.shard.into(), Mesh::TablesSay { conn, answer: Box::new(answer) })
        }
        Outcome::Told(told) => {
            let home = homes.of(&told.draft.topic);
            (homes.shard(home).into(), Mesh::Told(Box::new(told)))
        }
    }
}
