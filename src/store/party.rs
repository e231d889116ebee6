//! The store's thread: runs and wishes come in by its lanes, answers go out, and between them a keeper of real files does one thing at a time.
//!
//! Invariants: it never waits for a shard, and sleeps only when it has nothing to do; runs that its keeper has no room for stay in its inbox, which is bounded, and a page is read only when what was
//! answered before has left. When it is told to stop it hears everything that was said before, and leaves the folder in order. What a disk says after which nobody knows
//! what lies on it ends the process: `failed` never returns.

use std::sync::Arc;
use std::time::Duration;

use super::files::Files;
use super::lock::Lock;
use crate::clock::Clock;
use crate::conn::Doorbell;
use crate::conn::Heard;
use crate::conn::Party;
use crate::event::ShardId;
use crate::history::asks::Ask;
use crate::history::keeper::Figures;
use crate::history::keeper::Keeper;
use crate::history::keeper::Outcome;
use crate::history::keeper::Stepped;
use crate::history::log::DiskError;
use crate::limits::INBOX_MESSAGES_MAX;
use crate::limits::STORE_FIGURES_US;
use crate::shard::Lane;
use crate::shard::Mesh;
use crate::shard::PartyId;

/// Whom a store tells what it has counted.
pub trait Watcher: Send {
    /// Told some times a second, and whenever the disk is full or has room again.
    fn note(&mut self, figures: &Figures);
}

/// A store, with everything that its thread needs.
pub struct StoreParty<W> {
    party: Party<Mesh>,
    keeper: Keeper<Files>,
    /// The folder is ours as long as this is there.
    lock: Lock,
    clock: Clock,
    watcher: W,
    noted_us: u64,
    was_full: bool,
    write_us: u64,
    sync_us: u64,
}

impl<W> std::fmt::Debug for StoreParty<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreParty").field("keeper", &self.keeper).finish_non_exhaustive()
    }
}

impl<W: Watcher> StoreParty<W> {
    /// A store at its place in the mesh.
    #[must_use]
    pub fn new(
        party: Party<Mesh>,
        (keeper, lock): (Keeper<Files>, Lock),
        clock: Clock,
        watcher: W,
    ) -> Self {
        Self {
            party,
            keeper,
            lock,
            clock,
            watcher,
            noted_us: 0,
            was_full: false,
            write_us: 0,
            sync_us: 0,
        }
    }

    /// What wakes it, and tells it to stop.
    #[must_use]
    pub fn doorbell(&self) -> Arc<Doorbell> {
        self.party.doorbell()
    }

    /// Runs until it is told to stop.
    ///
    /// # Errors
    /// What the disk says. Nothing more can be kept then.
    pub fn run(mut self) -> Result<(), DiskError> {
        let mut out = Vec::new();
        loop {
            self.take_in(&mut out);
            let stepped = self.step(&mut out)?;
            self.hand_out(&mut out);
            let Stepped::Idle { until_us } = stepped else { continue };
            self.note();
            let wait = Duration::from_micros(until_us.saturating_sub(self.clock.mono_us()));
            match self.party.hear(wait) {
                Heard::Message(message) => self.take(message, &mut out),
                Heard::Nothing => {}
                Heard::Stop => break,
            }
        }
        self.end(out)
    }

    /// Takes in what was said, as far as the keeper has room for it.
    fn take_in(&mut self, out: &mut Vec<Outcome>) {
        for _ in 0..INBOX_MESSAGES_MAX {
            let Some(message) = self.party.take(Lane::Control) else { break };
            self.take(message, out);
        }
        while self.keeper.has_room()
            && let Some(message) = self.party.take(Lane::Data)
        {
            self.take(message, out);
        }
    }

    fn take(&mut self, message: Mesh, out: &mut Vec<Outcome>) {
        match message {
            Mesh::Store(Ask::Append(append)) => self.keeper.append(*append),
            Mesh::Store(Ask::Page(ask)) => self.keeper.ask(*ask, out),
            Mesh::Store(Ask::Note(ask)) => self.keeper.note(*ask, out),
            Mesh::Store(Ask::Session(ask)) => self.keeper.session(*ask, out),
            // Whoever says anything else takes it for somebody else.
            _ => {}
        }
    }

    fn step(&mut self, out: &mut Vec<Outcome>) -> Result<Stepped, DiskError> {
        let began_us = self.clock.mono_us();
        let before = *self.keeper.counts();
        let wall_us = self.clock.now().wall_us;
        let party = &self.party;
        let has_room = |shard: ShardId| party.waiting(shard.into()).len(Lane::Data) == 0;
        let stepped = self.keeper.step((began_us, wall_us), has_room, out)?;
        let took_us = self.clock.mono_us().saturating_sub(began_us);
        let now = *self.keeper.counts();
        self.write_us += if now.groups > before.groups { took_us } else { 0 };
        self.sync_us += if now.syncs > before.syncs { took_us } else { 0 };
        if (now.is_full == 1) != self.was_full {
            self.was_full = now.is_full == 1;
            match self.was_full {
                true => tracing::error!(
                    "the disk is full: durable topics take no events until there is room"
                ),
                false => tracing::info!("the disk has room again"),
            }
            self.noted_us = 0;
            self.note();
        }
        Ok(stepped)
    }

    fn hand_out(&mut self, out: &mut Vec<Outcome>) {
        for (shard, answer) in out.drain(..) {
            self.party.pending(PartyId::from(shard)).push(Mesh::StoreSays(answer));
        }
        self.party.hand_on();
    }

    fn note(&mut self) {
        let now_us = self.clock.mono_us();
        if now_us >= self.noted_us {
            let figures = self.keeper.figures();
            let (write_us, sync_us) = (self.write_us, self.sync_us);
            self.watcher.note(&Figures { write_us, sync_us, ..figures });
            self.noted_us = now_us + STORE_FIGURES_US;
        }
    }

    /// Hears what was said before it was told to stop, and leaves everything in order.
    fn end(mut self, mut out: Vec<Outcome>) -> Result<(), DiskError> {
        loop {
            self.take_in(&mut out);
            let stepped = self.step(&mut out)?;
            self.hand_out(&mut out);
            if matches!(stepped, Stepped::Idle { .. }) && self.party.is_empty() {
                break;
            }
        }
        let now_us = self.clock.mono_us();
        let Self { mut party, keeper, lock, .. } = self;
        keeper.close(now_us, &mut out)?;
        for (shard, answer) in out {
            party.pending(PartyId::from(shard)).push(Mesh::StoreSays(answer));
        }
        party.hand_on();
        // Only now may somebody else have the folder.
        drop(lock);
        Ok(())
    }
}
