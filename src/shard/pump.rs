//! Solo connections are sent what they are owed: a chunk at a time, so that none of them holds the others up.
//!
//! Invariant: a frame once begun is ended before anything else is sent; gaps and notices stand before what follows them.

use super::Shard;
use super::chunk;
use super::chunk::ChunkBuffers;
use super::class::Class;
use super::input::ConnId;
use super::sink::Sent;
use super::sink::Sink;
use super::solo::AfterSent;
use super::solo::Solo;
use crate::batch::Kept;
use crate::batch::Piece;
use crate::clock::Now;
use crate::limits::PIECES_PER_SEND_MAX;
use crate::limits::UNIT_BYTES;
use crate::limits::UNITS_ENCODED;
use crate::limits::UNITS_SEND;

/// Chunks that one connection may be sent in one flush.
const CHUNKS_MAX: usize = 4;

impl Shard {
    /// Sends solo connections that have something to send, and can take it, their next chunks: each once, as far as this turn's work goes.
    pub(super) fn pump<S: Sink>(&mut self, sink: &mut S, now: Now) {
        let mut buffers = self.telling.solos.take_buffers();
        // One of each kind at least, whatever else this turn did.
        for at in 0..self.telling.solos.asker_count() {
            if at > 0 && self.telling.turn.is_spent() {
                break;
            }
            let Some(id) = self.telling.solos.pop_asker() else { break };
            self.pump_one(sink, id, CHUNKS_MAX, &mut buffers, now);
        }
        for at in 0..self.telling.solos.begin_round() {
            if at > 0 && self.telling.turn.is_spent() {
                break;
            }
            let Some(id) = self.telling.solos.pop_of_round() else { break };
            self.pump_one(sink, id, CHUNKS_MAX, &mut buffers, now);
        }
        self.pump_past(sink, &mut buffers, now);
        self.telling.solos.put_back_buffers(buffers);
    }

    /// Tells of the past: a chunk in each turn, and more while nothing new waits to be told.
    fn pump_past<S: Sink>(&mut self, sink: &mut S, buffers: &mut ChunkBuffers, now: Now) {
        for at in 0..self.telling.solos.past_count() {
            let is_awaited = self.may_tell();
            if at > 0 && (is_awaited || self.telling.turn.is_spent()) {
                break;
            }
            let Some(id) = self.telling.solos.pop_past() else { break };
            let solo = self.conns.solo_mut(id);
            // Something new may wait for it by now, and it stands in the other line.
            if solo.is_some_and(|solo| std::mem::take(&mut solo.is_past_due) && !solo.dirty) {
                let chunks_max = if is_awaited { 1 } else { CHUNKS_MAX };
                self.pump_one(sink, id, chunks_max, buffers, now);
            }
        }
    }

    fn pump_one<S: Sink>(
        &mut self,
        sink: &mut S,
        id: ConnId,
        chunks_max: usize,
        buffers: &mut ChunkBuffers,
        now: Now,
    ) {
        let Some(solo) = self.conns.solo_mut(id) else {
            return;
        };
        solo.dirty = false;
        let is_of_past = solo.is_told_past();
        let was_behind = self.arrived.brake.is_on() && !self.is_keeping_up(id);
        for _ in 0..chunks_max {
            self.telling.turn.spend(UNITS_SEND);
            if !self.send_chunk(sink, id, buffers, now) {
                break;
            }
            // It has a line of its own, in which it goes on.
            if !is_of_past && self.conns.solo(id).is_some_and(Solo::is_told_past) {
                break;
            }
        }
        if was_behind && self.is_keeping_up(id) {
            self.arrived.brake.caught_up();
        }
        self.after_chunks(id, now);
    }

    fn is_keeping_up(&self, id: ConnId) -> bool {
        let solo = self.conns.solo(id);
        solo.is_some_and(|solo| self.keeps_up(solo))
    }

    /// Sends what is owed, or the next chunk of the outbox; false when there is nothing to send or no room for it.
    fn send_chunk<S: Sink>(
        &mut self,
        sink: &mut S,
        id: ConnId,
        buffers: &mut ChunkBuffers,
        now: Now,
    ) -> bool {
        let Some(conn) = self.conns.find_mut(id) else { return false };
        let Some(solo) = conn.solo.as_deref_mut() else { return false };
        if solo.blocked {
            return false;
        }
        buffers.chunk.clear();
        if !solo.owed.is_empty() {
            return self.send_owed(sink, id, now);
        }
        let to = conn.class.and_then(|class| self.classes.audience(class, id));
        let (epoch, large) = (self.shards.epoch(), self.telling.gathered.large());
        let filled = chunk::fill(conn, to, (epoch, now), large, buffers);
        self.stats.dropped += filled.dropped;
        self.stats.skipped += filled.skipped;
        self.stats.gaps += filled.gaps;
        self.stats.deliveries += filled.events;
        self.telling.turn.spend(filled.events * UNITS_ENCODED);
        if buffers.chunk.is_empty() {
            return self.send_owed(sink, id, now);
        }
        self.stats.sends += 1;
        self.telling.turn.spend((buffers.chunk.len() / UNIT_BYTES) as u64);
        match sink.send(id, &buffers.chunk) {
            Sent::Closed => {
                self.closed(id, now);
                false
            }
            Sent::Took(count) => {
                self.stats.bytes_sent += count as u64;
                let rest = &buffers.chunk[count..];
                let Some(solo) = self.conns.solo_mut(id) else {
                    return false;
                };
                if !rest.is_empty() {
                    let kept = Kept::new(self.telling.solos.outboxes(), rest.into());
                    solo.owed.push(Piece::Kept { kept, from: 0 });
                }
                solo.blocked = !rest.is_empty();
                solo.moved_ms = now.mono_ms;
                rest.is_empty()
            }
        }
    }

    /// Sends the first pieces of what is owed; false when there is no room for all of them.
    fn send_owed<S: Sink>(&mut self, sink: &mut S, id: ConnId, now: Now) -> bool {
        let Some(solo) = self.conns.solo_mut(id) else {
            return false;
        };
        let mut pieces = [&[][..]; PIECES_PER_SEND_MAX];
        let (count, bytes) = solo.owed.first(&mut pieces);
        let sent = match &pieces[..count] {
            [] => return false,
            [piece] => sink.send(id, piece),
            pieces => sink.send_pieces(id, pieces),
        };
        self.stats.sends += 1;
        self.telling.turn.spend((bytes / UNIT_BYTES) as u64);
        match sent {
            Sent::Closed => {
                self.closed(id, now);
                false
            }
            Sent::Took(count) => {
                self.stats.bytes_sent += count as u64;
                solo.owed.taken(count);
                solo.blocked = count < bytes;
                solo.moved_ms = now.mono_ms;
                !solo.blocked
            }
        }
    }

    /// What comes next for a connection whose chunks were sent.
    fn after_chunks(&mut self, id: ConnId, now: Now) {
        let Some(conn) = self.conns.find_mut(id) else { return };
        let class = conn.class.and_then(|class| self.classes.find(class));
        let is_told_apart = class.is_some_and(Class::is_told_apart);
        let has_class = class.is_some();
        let Some(solo) = conn.solo.as_deref_mut() else { return };
        if solo.is_unheard && solo.has_room() {
            solo.is_unheard = false;
            self.hear_later(id);
        }
        let Some(solo) = self.conns.solo_mut(id) else {
            return;
        };
        solo.count_past();
        let closing = solo.closing;
        let is_held = solo.is_held();
        if solo.is_done() {
            match closing {
                None if is_told_apart => solo.rest(),
                None => self.fall_in_step(id),
                Some(closing)
                    if closing.after_sent == AfterSent::Gone
                        && !self.conns.is_answer_awaited(id) =>
                {
                    self.remove(id);
                }
                Some(_) => {}
            }
            return;
        }
        if closing.is_none() {
            self.ask_for_next_pages(id, now);
        }
        let has_more = self.conns.solo(id).is_some_and(|solo| {
            !solo.owed.is_empty() || !solo.outbox.is_empty() || (has_class && solo.has_again())
        });
        if has_more && !is_held {
            self.mark_solo(id);
        }
    }
}
