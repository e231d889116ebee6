//! The handshakes of a core that are underway, and whose turn it is.
//!
//! Invariants: at most `TLS_HANDSHAKES_MAX`, each for `TLS_HANDSHAKE_MS_MAX` at most; a turn takes `TLS_STEPS_PER_TURN_MAX` steps of them. When there
//! is no place, whoever has kept us waiting longest goes, but never one that waits for us: a storm of honest clients waits in the kernel's queue
//! instead. Never opens a connection of the shard.

use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::os::fd::OwnedFd;

use super::handshake::Handshake;
use super::handshake::Step;
use crate::limits::TLS_HANDSHAKE_MS_MAX;
use crate::limits::TLS_HANDSHAKE_PATIENCE_MS;
use crate::limits::TLS_HANDSHAKES_MAX;
use crate::shard::ConnId;
use crate::shard::ConnRef;

/// Handshakes, by the place that each was given.
#[derive(Debug, Default)]
pub(in crate::conn) struct Handshakes {
    places: Vec<Place>,
    free: Vec<u32>,
    /// Those with something to do, in the order in which it came.
    ready: VecDeque<u32>,
    pub(in crate::conn) done: u64,
    pub(in crate::conn) failed: u64,
}

#[derive(Debug, Default)]
struct Place {
    generation: u32,
    is_ready: bool,
    until_ms: u64,
    /// When it was last our turn.
    stepped_ms: u64,
    handshake: Option<Box<Handshake>>,
}

/// What became of one.
#[derive(Debug)]
pub(in crate::conn) enum Outcome {
    Done(Box<Handshake>),
    /// Its socket, for what was said last to be read.
    Failed(OwnedFd),
}

impl Handshakes {
    /// Whether one more may begin, if need be in the place of one that keeps us waiting.
    pub(in crate::conn) fn make_room(&mut self, now_ms: u64) -> bool {
        if self.count() < TLS_HANDSHAKES_MAX {
            return true;
        }
        let waiting = self.places.iter().enumerate().filter(|(_, place)| {
            place.handshake.is_some()
                && !place.is_ready
                && now_ms >= place.stepped_ms + TLS_HANDSHAKE_PATIENCE_MS
        });
        let Some((index, _)) = waiting.min_by_key(|(_, place)| place.stepped_ms) else {
            return false;
        };
        self.failed += 1;
        drop(self.take(index));
        true
    }

    /// Begins one, for which there is room; it is its turn at once, because a client is accepted with its first bytes.
    pub(in crate::conn) fn add(&mut self, handshake: Handshake, now_ms: u64) -> ConnRef {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place::default());
            u32::try_from(self.places.len() - 1).expect("there are few")
        });
        let place = &mut self.places[index as usize];
        place.handshake = Some(Box::new(handshake));
        place.until_ms = now_ms + TLS_HANDSHAKE_MS_MAX;
        place.stepped_ms = now_ms;
        place.is_ready = true;
        self.ready.push_back(index);
        ConnRef { id: ConnId(index), generation: place.generation }
    }

    pub(in crate::conn) fn socket(&self, which: ConnRef) -> Option<BorrowedFd<'_>> {
        let place = self.places.get(which.id.index())?;
        Some(place.handshake.as_ref()?.socket.as_fd())
    }

    /// A socket has something to read.
    pub(in crate::conn) fn set_ready(&mut self, which: ConnRef) {
        let Some(place) = self.places.get_mut(which.id.index()) else { return };
        if place.generation == which.generation && place.handshake.is_some() && !place.is_ready {
            place.is_ready = true;
            self.ready.push_back(which.id.0);
        }
    }

    pub(in crate::conn) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Goes on with the next one whose turn it is: `Some(None)` if it is not over yet, `None` if it is nobody's turn.
    pub(in crate::conn) fn step(
        &mut self,
        scratch: &mut [u8],
        now_ms: u64,
    ) -> Option<Option<Outcome>> {
        let index = self.ready.pop_front()? as usize;
        let place = &mut self.places[index];
        place.is_ready = false;
        place.stepped_ms = now_ms;
        let Some(handshake) = &mut place.handshake else { return Some(None) };
        match handshake.step(scratch) {
            Step::Waits => Some(None),
            Step::Done => {
                self.done += 1;
                Some(self.take(index).map(Outcome::Done))
            }
            Step::Failed(reason) => {
                tracing::debug!(peer = %handshake.peer, %reason, "a handshake has failed");
                self.failed += 1;
                Some(self.take(index).map(|handshake| Outcome::Failed(handshake.socket)))
            }
        }
    }

    /// Ends those that have had their time.
    pub(in crate::conn) fn tick(&mut self, now_ms: u64) {
        for index in 0..self.places.len() {
            let place = &self.places[index];
            if place.handshake.is_some() && now_ms >= place.until_ms {
                self.failed += 1;
                drop(self.take(index));
            }
        }
    }

    /// Ends all of them.
    pub(in crate::conn) fn clear(&mut self) {
        for index in 0..self.places.len() {
            drop(self.take(index));
        }
    }

    fn take(&mut self, index: usize) -> Option<Box<Handshake>> {
        let place = &mut self.places[index];
        let handshake = place.handshake.take()?;
        place.generation = place.generation.wrapping_add(1);
        let index = u32::try_from(index).expect("there are few");
        if std::mem::take(&mut place.is_ready) {
            self.ready.retain(|other| *other != index);
        }
        self.free.push(index);
        Some(handshake)
    }

    fn count(&self) -> usize {
        self.places.len() - self.free.len()
    }
}
