//! The tables' thread: asks come in by its lane, answers and news of rows go out, and between them a keeper does one thing at a time.
//!
//! Invariants: it never waits for a shard, and sleeps only when it has nothing to do; what it has no room to answer stays in its inbox, which is bounded. What is told of rows goes out in
//! the order in which they were written.

use std::sync::Arc;
use std::time::Duration;

use super::figures::Counting;
use super::figures::Figures;
use super::link::Link;
#[cfg(feature = "postgres")]
use super::postgres::Postgres;
#[cfg(feature = "sqlite")]
use super::sqlite::Sqlite;
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
use crate::tables::asks::Ask;
use crate::tables::keeper::Keeper;
use crate::tables::keeper::Outcome;

/// How long it sleeps at most while nothing happens.
const REST: Duration = Duration::from_secs(3600);

/// Where the rows are.
#[derive(Debug)]
pub enum Backend {
    Memory(Box<Keeper>),
    #[cfg(feature = "sqlite")]
    Sqlite(Box<Sqlite>),
    #[cfg(feature = "postgres")]
    Postgres(Box<Postgres>),
}

impl Backend {
    /// Hears one thing; appends what is to be said at once.
    pub fn hear(&mut self, ask: Ask, out: &mut Vec<Outcome>) {
        match self {
            Self::Memory(keeper) => keeper.hear(ask, out),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(sqlite) => sqlite.hear(ask, out),
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => postgres.hear(ask, out),
        }
    }

    /// Nothing more comes just now: what was put off is done. Appends what is to be said.
    #[cfg_attr(
        not(any(feature = "postgres", feature = "sqlite")),
        expect(clippy::ptr_arg, unused_variables, reason = "memory puts nothing off")
    )]
    pub fn settle(&mut self, out: &mut Vec<Outcome>) {
        match self {
            // It puts nothing off.
            Self::Memory(_) => {}
            #[cfg(feature = "sqlite")]
            Self::Sqlite(sqlite) => {
                sqlite.settle(out);
                sqlite.hand_out_ready(out);
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => {
                postgres.settle(out);
                postgres.hand_out_ready(out);
            }
        }
    }

    /// Whether there is something to be settled though nothing was heard.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        match self {
            Self::Memory(_) => false,
            #[cfg(feature = "sqlite")]
            Self::Sqlite(sqlite) => sqlite.is_ready(),
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => postgres.is_ready(),
        }
    }

    /// Whether it takes another thing that is to be written.
    fn has_room(&self) -> bool {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => postgres.has_room(),
            // The others write before they hear the next.
            _ => true,
        }
    }

    /// The word for it, and whether it is there.
    fn link(&self) -> (&'static str, Arc<Link>) {
        match self {
            Self::Memory(_) => ("memory", Arc::new(Link::fixed())),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => ("sqlite", Arc::new(Link::fixed())),
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => ("postgres", postgres.link()),
        }
    }

    /// Nothing more comes at all: what was taken in is done. Appends what is to be said.
    fn finish(&mut self, out: &mut Vec<Outcome>) {
        self.settle(out);
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => postgres.finish(out),
            // The others have put nothing off.
            _ => {}
        }
    }
}

/// Whoever has the tables, with everything that its thread needs.
#[derive(Debug)]
pub struct TablesParty {
    party: Party<Mesh>,
    backend: Backend,
    homes: Homes,
    counting: Counting,
    clock: Clock,
}

impl TablesParty {
    /// Tables at their place in the mesh.
    #[must_use]
    pub fn new(party: Party<Mesh>, backend: Backend, homes: Homes, clock: Clock) -> Self {
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
            match self.party.hear_unless(REST, || backend.is_ready()) {
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
