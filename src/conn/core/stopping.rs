//! The part of a core's loop that ends it.
//!
//! Invariants: who was connected before the order came is told, and no longer than the drain's time is waited; a core goes only when all of them are drained,
//! for what one has accepted may be for another to deliver.

use std::sync::atomic::Ordering;

use super::Core;
use crate::clock::Now;
use crate::conn::world::World;

/// A core that was asked to stop.
#[derive(Debug)]
pub(super) struct Stopping {
    pub(super) until_ms: u64,
    pub(super) is_drained: bool,
}

impl<W: World> Core<W> {
    /// Stops, if that was asked for, and notes how far it has come.
    pub(super) fn stop(&mut self, now: Now) {
        if self.stopping.is_none() && self.links.doorbell.stop_wanted() {
            // Who was connected already is told properly; closing the listener would reset them.
            for index in 0..self.listeners.len() {
                self.accept_waiting(index, now);
            }
            self.finish_handshakes(now);
            self.listeners.clear();
            self.world.stop(now);
            self.world.work(&mut self.sockets, now);
            let until_ms = now.mono_ms + self.pace.drain_timeout_ms;
            self.stopping = Some(Stopping { until_ms, is_drained: false });
        }
        let Some(stopping) = &mut self.stopping else { return };
        if !stopping.is_drained && self.world.is_drained() && self.lingering.is_empty() {
            stopping.is_drained = true;
            self.links.unfinished.fetch_sub(1, Ordering::SeqCst);
            for peer in &self.links.peers {
                peer.doorbell.ring();
            }
        }
    }

    pub(super) fn is_finished(&self) -> bool {
        self.stopping.as_ref().is_some_and(|stopping| {
            let are_all_drained = self.links.unfinished.load(Ordering::SeqCst) == 0;
            are_all_drained || self.clock.now().mono_ms >= stopping.until_ms
        })
    }
}
