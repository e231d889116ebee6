//! A party that is no core: a thread that does one thing for the shards, and may wait while it does.
//!
//! Invariant: it never waits for a shard. What does not fit a shard's inbox stays here, in order, and is tried again; a shard that asks it
//! goes on without the answer.

use std::sync::Arc;
use std::time::Duration;

use super::doorbell::Doorbell;
use super::mesh::Links;
use crate::limits::MESH_RETRY_MS;
use crate::shard::Lane;
use crate::shard::Message;
use crate::shard::PartyId;
use crate::shard::Pending;

/// What a party has come to hear.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard<M> {
    Message(M),
    /// The party is to stop.
    Stop,
    /// Nothing, for as long as it wanted to wait or less: a bell may ring for what was heard before it rang.
    Nothing,
}

/// A thread's place in the mesh.
#[derive(Debug)]
pub struct Party<M> {
    links: Links<M>,
    pending: Vec<Pending<M>>,
    is_stuck: bool,
}

impl<M: Message> Party<M> {
    #[must_use]
    pub fn new(links: Links<M>) -> Self {
        let pending = links.peers.iter().map(|_| Pending::default()).collect();
        Self { links, pending, is_stuck: false }
    }

    /// What wakes it.
    #[must_use]
    pub fn doorbell(&self) -> Arc<Doorbell> {
        Arc::clone(&self.links.doorbell)
    }

    /// What waits for another party.
    pub fn pending(&mut self, to: PartyId) -> &mut Pending<M> {
        &mut self.pending[to.index()]
    }

    /// What waits for another party, to be looked at.
    #[must_use]
    pub fn waiting(&self, to: PartyId) -> &Pending<M> {
        &self.pending[to.index()]
    }

    /// The next message of a lane, for a party that takes several at once; whether it is to stop or not.
    #[must_use]
    pub fn take(&self, lane: Lane) -> Option<M> {
        self.links.inbox.take(lane)
    }

    /// Whether nothing is there to be heard.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        Lane::ALL.into_iter().all(|lane| self.links.inbox.is_empty(lane))
    }

    /// The next thing it is told, control before data, within so long. Hands on what waits first.
    pub fn hear(&mut self, wait: Duration) -> Heard<M> {
        self.hear_unless(wait, || false)
    }

    /// As `hear`, for a party that others than parties wake, too: by ringing its bell after what `is_ready` then says.
    pub fn hear_unless(&mut self, wait: Duration, is_ready: impl Fn() -> bool) -> Heard<M> {
        self.hand_on();
        if let Some(heard) = self.heard() {
            return heard;
        }
        self.links.doorbell.fall_asleep();
        // What came in between did not ring.
        let heard = self.heard().or_else(|| {
            if is_ready() {
                return None;
            }
            self.sleep(wait);
            self.hand_on();
            self.heard()
        });
        self.links.doorbell.wake_up();
        heard.unwrap_or(Heard::Nothing)
    }

    /// Hears nothing for as long as that, or less; hands on what waits.
    pub fn rest(&mut self, wait: Duration) {
        self.hand_on();
        self.sleep(wait);
        self.hand_on();
    }

    fn heard(&self) -> Option<Heard<M>> {
        if self.links.doorbell.stop_wanted() {
            return Some(Heard::Stop);
        }
        Lane::ALL.into_iter().find_map(|lane| self.links.inbox.take(lane)).map(Heard::Message)
    }

    /// Hands on what waits, as far as there is room.
    pub fn hand_on(&mut self) {
        self.is_stuck = false;
        for (peer, pending) in self.links.peers.iter().zip(&mut self.pending) {
            self.is_stuck |= peer.hand_on(pending).is_stuck;
        }
    }

    fn sleep(&self, wait: Duration) {
        let most = if self.is_stuck { Duration::from_millis(MESH_RETRY_MS) } else { wait };
        let eventfd = self.links.doorbell.eventfd();
        eventfd.wait(wait.min(most));
        // Nothing is in it if it was not rung.
        eventfd.empty();
    }
}

#[cfg(test)]
mod tests {
    use std::iter;

    use super::super::mesh::weave;
    use super::*;

    #[derive(Debug, PartialEq, Eq)]
    struct Note(u32);

    impl Message for Note {
        fn lane(&self) -> Lane {
            if self.0.is_multiple_of(2) { Lane::Control } else { Lane::Data }
        }

        fn weight_bytes(&self) -> usize {
            1
        }

        fn is_past(&self) -> bool {
            false
        }
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn it_hears_control_first_and_then_that_it_is_to_stop() {
        let mut parties: Vec<Party<Note>> =
            weave(2, 0, usize::MAX).unwrap().into_iter().map(Party::new).collect();
        let mut teller = parties.remove(0);
        let mut hearer = parties.remove(0);
        for number in [1, 2, 3] {
            teller.pending(PartyId(1)).push(Note(number));
        }
        assert_eq!(teller.hear(Duration::ZERO), Heard::Nothing);
        for number in [2, 1, 3] {
            assert_eq!(hearer.hear(LONG), Heard::Message(Note(number)));
        }
        assert_eq!(hearer.hear(Duration::ZERO), Heard::Nothing);
        hearer.doorbell().ring_to_stop();
        assert_eq!(hearer.hear(LONG), Heard::Stop);
    }

    #[test]
    fn a_sleeper_is_woken_again_and_again_and_what_was_stuck_arrives() {
        let mut parties: Vec<Party<Note>> =
            weave(2, 0, usize::MAX).unwrap().into_iter().map(Party::new).collect();
        let mut teller = parties.remove(0);
        let mut hearer = parties.remove(0);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for number in 0..2_000 {
                    // Of one lane, and more than fit.
                    teller.pending(PartyId(1)).push(Note(number * 2));
                    if number % 3 == 0 {
                        teller.hear(Duration::ZERO);
                    }
                }
                while !teller.pending(PartyId(1)).is_empty() {
                    teller.hear(Duration::ZERO);
                }
            });
            for number in 0..2_000 {
                // A bell that rings for what was heard before is no message.
                let mut heard = iter::repeat_with(|| hearer.hear(LONG));
                let heard = heard.find(|heard| *heard != Heard::Nothing);
                assert_eq!(heard, Some(Heard::Message(Note(number * 2))));
            }
        });
    }
}
