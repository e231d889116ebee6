//! Who gives way when all outboxes of a shard together hold more than they may.
//!
//! Each connection may hold its share whatever others do: what all may hold, divided by how many there are. Who holds more than that may do so while
//! there is room, and is the first to meet its policy when there is none, those that hold the most before the others. Invariants: nobody who holds no
//! more than its share pays for what others hold; of those who do, whoever has taken something lately pays last.

use super::Shard;
use super::input::ConnId;
use crate::batch::Pushed;
use crate::clock::Now;

/// A connection whose outbox holds more than its share.
struct OutboxHolder {
    id: ConnId,
    /// Bytes that wait in the connection's outbox or for its acknowledgements, and that it has begun to be sent.
    queued: usize,
    owed: usize,
    moved_ms: u64,
}

impl Shard {
    /// Has those who hold more than their share give way, if all together hold more than they may.
    pub(super) fn relieve_outboxes(&mut self, now: Now) {
        if !self.telling.solos.wants_relief(now) {
            return;
        }
        let share = self.outbox_share();
        let mut holders = self.holders_above(share);
        holders.sort_unstable_by_key(|holder| (holder.queued, u64::MAX - holder.moved_ms));
        for holder in holders.iter().rev().filter(|holder| holder.queued > share) {
            if self.telling.solos.outboxes().is_relieved() {
                break;
            }
            self.shed(holder.id, share, now);
        }
        // What has begun to be sent is given up only if even that is not enough: its connection goes with it.
        holders.sort_unstable_by_key(|holder| holder.moved_ms);
        for holder in holders.iter().filter(|holder| holder.owed > share) {
            if !self.telling.solos.outboxes().is_exhausted() {
                break;
            }
            self.outbox_full(holder.id, now);
            self.remove(holder.id);
        }
        if self.telling.solos.outboxes().is_over() {
            self.telling.solos.put_relief_off(now);
        }
    }

    /// Whether somebody who falls behind may hold nothing, not even what it has begun to be sent: so much is held that nobody can give way for.
    pub(super) fn is_outbox_refused(&mut self, now: Now) -> bool {
        if self.telling.solos.outboxes().is_exhausted() {
            self.relieve_outboxes(now);
        }
        self.telling.solos.outboxes().is_exhausted()
    }

    /// The connections whose outboxes hold more than so many bytes.
    fn holders_above(&mut self, share: usize) -> Vec<OutboxHolder> {
        let places = self.conns.places();
        // Each place that is looked at costs about a unit.
        self.telling.turn.spend(u64::from(places));
        let holders = (0..places).map(ConnId).filter_map(|id| {
            let solo = self.conns.solo(id)?;
            let (queued, owed) = (solo.outbox.event_bytes() + solo.window_bytes(), solo.owed.len());
            let holds = queued > share || owed > share;
            holds.then_some(OutboxHolder { id, queued, owed, moved_ms: solo.moved_ms })
        });
        holders.collect()
    }

    /// Leaves of what waits for a connection its share, as its policy says.
    fn shed(&mut self, id: ConnId, share: usize, now: Now) {
        let Some(conn) = self.conns.find_mut(id) else { return };
        let class = conn.class.and_then(|class| self.classes.find(class));
        let (Some(class), Some(solo)) = (class, conn.solo.as_deref_mut()) else { return };
        // What is in flight cannot be taken back.
        let flying = solo.window_bytes();
        if flying > share || solo.outbox.shed(&class.policy, share - flying) == Pushed::Full {
            solo.window = None;
            self.outbox_full(id, now);
        }
    }
}
