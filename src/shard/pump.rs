//! Solo connections are sent what they are owed: a chunk at a time, so that none of them holds the others up.
//!
//! Invariant: a frame once begun is ended before anything else is sent; gaps and notices stand before what follows them.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use super::Sent;
use super::Shard;
use super::Sink;
use super::class::Class;
use super::class::Voice;
use super::codec::Codec;
use super::encoded::Encoded;
use super::input::ConnId;
use super::large;
use super::solo::AfterSent;
use super::solo::Reached;
use super::solo::Solo;
use super::voice;
use super::voice::SseId;
use crate::batch::Item;
use crate::batch::Kept;
use crate::batch::LargeEvents;
use crate::batch::Outbox;
use crate::batch::Owed;
use crate::batch::Piece;
use crate::clock::Now;
use crate::dialect::BatchPart;
use crate::dialect::Form;
use crate::dialect::Outcome;
use crate::dialect::Subs;
use crate::dialect::Talk;
use crate::dialect::Voiced;
use crate::event::Event;
use crate::event::Mark;
use crate::limits::BATCH_BYTES_MAX;
use crate::limits::PIECES_PER_SEND_MAX;
use crate::limits::SOLO_CHUNK_BYTES;
use crate::limits::UNIT_BYTES;
use crate::limits::UNITS_ENCODED;
use crate::limits::UNITS_SEND;

/// Chunks that one connection may be sent in one flush.
const CHUNKS_MAX: usize = 4;

/// Solo connections to be looked at: in it stands who is not blocked and has something to be sent, once.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// Who subscribes to nothing, and so waits for one answer: it does not stand in line behind megabytes.
    askers: VecDeque<ConnId>,
    /// Subscribers, from now on.
    pub(super) listeners: VecDeque<ConnId>,
    /// Subscribers whose turn it is: nothing new is fanned out before they have had it.
    round: VecDeque<ConnId>,
    /// Subscribers for whom only the past waits: what is new does not wait for them.
    past: VecDeque<ConnId>,
}

impl Queue {
    /// Puts a connection in the line where it belongs, unless it stands there.
    pub(super) fn push(&mut self, id: ConnId, solo: &mut Solo, is_listener: bool) {
        if solo.dirty || solo.blocked {
            return;
        }
        if is_listener && solo.is_told_past() {
            if !std::mem::replace(&mut solo.is_past_due, true) {
                self.past.push_back(id);
            }
            return;
        }
        solo.dirty = true;
        if is_listener { &mut self.listeners } else { &mut self.askers }.push_back(id);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.askers.is_empty()
            && self.listeners.is_empty()
            && self.round.is_empty()
            && self.past.is_empty()
    }

    /// Whether subscribers whose turn it is are still to be looked at.
    pub(super) fn is_underway(&self) -> bool {
        !self.round.is_empty()
    }
}

/// Buffers that live from chunk to chunk.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    chunk: Vec<u8>,
    batch: Vec<u8>,
    encoded: Encoded,
}

impl Scratch {
    pub(super) fn new(codec: &Rc<Codec>) -> Self {
        Self { encoded: Encoded::new(codec), ..Self::default() }
    }
}

/// The id of a message that is no place to come back to.
const NOWHERE: Reached<'_> = (&[], None);

/// What a connection's chunk is made with.
struct Filling<'a> {
    voice: Voice,
    talk: &'a mut Option<Box<dyn Talk>>,
    class: Option<&'a Class>,
    epoch: &'a str,
    scratch: &'a mut Scratch,
    /// Of the batch message that is being filled: events in it, and how many it may have.
    batch_events: u16,
    batch_events_max: u16,
    /// Of a stream: how far it has come with the last event of the batch.
    batch_cursor: Vec<u64>,
    batch_mark: Option<Mark>,
    events: u64,
}

impl Shard {
    /// Sends solo connections that have something to send, and can take it, their next chunks: each once, as far as this turn's work goes.
    pub(super) fn pump<S: Sink>(&mut self, sink: &mut S, now: Now) {
        let mut scratch = std::mem::take(&mut self.pump_scratch);
        // One of each kind at least, whatever else this turn did.
        for at in 0..self.queue.askers.len() {
            if at > 0 && self.is_spent() {
                break;
            }
            let Some(id) = self.queue.askers.pop_front() else { break };
            self.pump_one(sink, id, CHUNKS_MAX, &mut scratch, now);
        }
        if self.queue.round.is_empty() {
            std::mem::swap(&mut self.queue.round, &mut self.queue.listeners);
        }
        for at in 0..self.queue.round.len() {
            if at > 0 && self.is_spent() {
                break;
            }
            let Some(id) = self.queue.round.pop_front() else { break };
            self.pump_one(sink, id, CHUNKS_MAX, &mut scratch, now);
        }
        self.pump_past(sink, &mut scratch, now);
        self.pump_scratch = scratch;
    }

    /// Tells of the past: a chunk in each turn, and more while nothing new waits to be told.
    fn pump_past<S: Sink>(&mut self, sink: &mut S, scratch: &mut Scratch, now: Now) {
        for at in 0..self.queue.past.len() {
            let is_awaited = self.may_tell();
            if at > 0 && (is_awaited || self.is_spent()) {
                break;
            }
            let Some(id) = self.queue.past.pop_front() else { break };
            let solo = self.conns.find_mut(id).and_then(|conn| conn.solo.as_deref_mut());
            // Something new may wait for it by now, and it stands in the other line.
            if solo.is_some_and(|solo| std::mem::take(&mut solo.is_past_due) && !solo.dirty) {
                let chunks_max = if is_awaited { 1 } else { CHUNKS_MAX };
                self.pump_one(sink, id, chunks_max, scratch, now);
            }
        }
    }

    fn pump_one<S: Sink>(
        &mut self,
        sink: &mut S,
        id: ConnId,
        chunks_max: usize,
        scratch: &mut Scratch,
        now: Now,
    ) {
        let Some(solo) = self.conns.find_mut(id).and_then(|conn| conn.solo.as_deref_mut()) else {
            return;
        };
        solo.dirty = false;
        let is_of_past = solo.is_told_past();
        let was_behind = self.brake.is_on() && !self.is_keeping_up(id);
        for _ in 0..chunks_max {
            self.turn.spend(UNITS_SEND);
            if !self.send_chunk(sink, id, scratch, now) {
                break;
            }
            // It has a line of its own, in which it goes on.
            if !is_of_past && self.is_told_past(id) {
                break;
            }
        }
        if was_behind && self.is_keeping_up(id) {
            self.brake.caught_up();
        }
        self.after_chunks(id, now);
    }

    fn is_told_past(&self, id: ConnId) -> bool {
        let solo = self.conns.find(id).and_then(|conn| conn.solo.as_deref());
        solo.is_some_and(Solo::is_told_past)
    }

    fn is_keeping_up(&self, id: ConnId) -> bool {
        let solo = self.conns.find(id).and_then(|conn| conn.solo.as_deref());
        solo.is_some_and(|solo| self.keeps_up(solo))
    }

    /// Sends what is owed, or the next chunk of the outbox; false when there is nothing to send or no room for it.
    fn send_chunk<S: Sink>(
        &mut self,
        sink: &mut S,
        id: ConnId,
        scratch: &mut Scratch,
        now: Now,
    ) -> bool {
        let Some(conn) = self.conns.find_mut(id) else { return false };
        let Some(solo) = conn.solo.as_deref_mut() else { return false };
        if solo.blocked {
            return false;
        }
        scratch.chunk.clear();
        if !solo.owed.is_empty() {
            return self.send_owed(sink, id, now);
        }
        self.fill_chunk(id, scratch);
        if scratch.chunk.is_empty() {
            return self.send_owed(sink, id, now);
        }
        self.stats.sends += 1;
        self.turn.spend((scratch.chunk.len() / UNIT_BYTES) as u64);
        match sink.send(id, &scratch.chunk) {
            Sent::Closed => {
                self.closed(id, now);
                false
            }
            Sent::Took(count) => {
                self.stats.bytes_sent += count as u64;
                let rest = &scratch.chunk[count..];
                let Some(solo) = self.conns.find_mut(id).and_then(|conn| conn.solo.as_deref_mut())
                else {
                    return false;
                };
                if !rest.is_empty() {
                    let kept = Kept::new(&self.outboxes, rest.into());
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
        let Some(solo) = self.conns.find_mut(id).and_then(|conn| conn.solo.as_deref_mut()) else {
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
        self.turn.spend((bytes / UNIT_BYTES) as u64);
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

    fn fill_chunk(&mut self, id: ConnId, scratch: &mut Scratch) {
        let Some(conn) = self.conns.find_mut(id) else { return };
        let Some(solo) = conn.solo.as_deref_mut() else { return };
        let Some(voice) = conn.voice else {
            return fill_raw(&mut solo.outbox, &mut scratch.chunk);
        };
        let class = conn.class.and_then(|class| self.classes.find(class));
        let mut filling = Filling {
            voice,
            talk: &mut conn.talk,
            class,
            epoch: &self.epoch,
            scratch,
            batch_events: 0,
            batch_events_max: 0,
            batch_cursor: Vec::new(),
            batch_mark: None,
            events: 0,
        };
        self.stats.dropped += solo.outbox.take_dropped();
        while solo.owed.is_empty()
            && filling.scratch.chunk.len() + filling.scratch.batch.len() < SOLO_CHUNK_BYTES
        {
            self.stats.skipped += filling.end_before_large(&mut solo.outbox);
            if solo.outbox.large_next().is_some() && !filling.scratch.chunk.is_empty() {
                break;
            }
            let Some(item) = solo.outbox.pop() else { break };
            match item {
                Item::Event { event, subs } if event.is_large() => {
                    solo.note_sent(&event);
                    let reached =
                        if solo.is_telling { NOWHERE } else { (&solo.cursor[..], solo.mark) };
                    filling.large(&event, subs, reached, &mut self.large, &mut solo.owed);
                }
                Item::Past { event, subs } if event.is_large() => {
                    filling.large(&event, subs, NOWHERE, &mut self.large, &mut solo.owed);
                }
                Item::Event { event, subs } => {
                    self.stats.skipped += filling.announce(&mut solo.outbox);
                    solo.note_sent(&event);
                    let reached =
                        if solo.is_telling { NOWHERE } else { (&solo.cursor[..], solo.mark) };
                    filling.event(&event, subs, reached);
                }
                Item::Past { event, subs } => filling.event(&event, subs, NOWHERE),
                Item::Said { kind, text } => {
                    if kind == "live" {
                        self.stats.skipped += filling.announce(&mut solo.outbox);
                    }
                    filling.said(kind, &text, (&solo.cursor, solo.mark));
                }
                Item::Raw(bytes) => filling.raw(&bytes),
                Item::Reached { homes, mark } => {
                    solo.is_telling = false;
                    solo.mark = mark.or(solo.mark);
                    for (home, time_us) in homes {
                        if let Some(sent) = solo.cursor.get_mut(usize::from(home)) {
                            *sent = time_us.max(*sent);
                        }
                    }
                }
            }
        }
        if solo.owed.is_empty() && !solo.outbox.has_items() {
            self.stats.skipped += filling.announce(&mut solo.outbox);
        }
        filling.end_batch();
        self.stats.deliveries += filling.events;
        self.turn.spend(filling.events * UNITS_ENCODED);
    }

    /// What comes next for a connection whose chunks were sent.
    fn after_chunks(&mut self, id: ConnId, now: Now) {
        let Some(conn) = self.conns.find_mut(id) else { return };
        let Some(solo) = conn.solo.as_deref_mut() else { return };
        if solo.is_unheard && solo.has_room() {
            solo.is_unheard = false;
            self.hear_later(id);
        }
        let Some(solo) = self.conns.find_mut(id).and_then(|conn| conn.solo.as_deref_mut()) else {
            return;
        };
        solo.count_past();
        let closing = solo.closing;
        if solo.is_done() {
            match closing {
                None => self.fall_in_step(id),
                Some(closing)
                    if closing.after_sent == AfterSent::Gone && !self.is_answer_awaited(id) =>
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
        let has_more = self.conns.find(id).and_then(|conn| conn.solo.as_deref());
        if has_more.is_some_and(|solo| !solo.owed.is_empty() || !solo.outbox.is_empty()) {
            self.mark_solo(id);
        }
    }
}

fn fill_raw(outbox: &mut Outbox, chunk: &mut Vec<u8>) {
    while chunk.len() < SOLO_CHUNK_BYTES {
        match outbox.pop() {
            Some(Item::Raw(bytes)) => chunk.extend_from_slice(&bytes),
            Some(_) => {}
            None => return,
        }
    }
}

impl<'a> Filling<'a> {
    const fn id_at<'i>(&self, (times_us, mark): Reached<'i>) -> SseId<'i>
    where
        'a: 'i,
    {
        SseId { epoch: self.epoch, times_us, mark }
    }

    /// Says what was dropped or passed over, before the events that follow; returns how many were passed over.
    fn announce(&mut self, outbox: &mut Outbox) -> u64 {
        if !outbox.has_notices() {
            return 0;
        }
        self.end_batch();
        for (gap, set) in &outbox.take_gaps() {
            self.say(*set, |subs| Outcome::Gap { subs, gap });
        }
        let mut count = 0;
        for (skipped, set) in outbox.take_skipped() {
            self.say(set, |subs| Outcome::Skipped { subs, skipped });
            count += skipped.count;
        }
        count
    }

    /// A large event is a chunk of its own: what stands before it is said; returns how many events were passed over.
    fn end_before_large(&mut self, outbox: &mut Outbox) -> u64 {
        let Some(next) = outbox.large_next() else { return 0 };
        let is_past = matches!(next, Item::Past { .. });
        let count = if is_past { 0 } else { self.announce(outbox) };
        self.end_batch();
        count
    }

    fn large(
        &mut self,
        event: &Arc<Event>,
        subs: u64,
        reached: Reached<'_>,
        events: &mut LargeEvents,
        owed: &mut Owed,
    ) {
        let Some(class) = self.class else { return };
        self.events += 1;
        let id = Some(self.id_at(reached));
        let encoded = &mut self.scratch.encoded;
        encoded.begin();
        encoded.keep_parts();
        for piece in large::pieces(encoded, events, class, event, subs, id) {
            owed.push(piece);
        }
        encoded.end();
    }

    fn event(&mut self, event: &Event, subs: u64, reached: Reached<'_>) {
        let Some(class) = self.class else { return };
        self.events += 1;
        let scratch = &mut *self.scratch;
        scratch.encoded.begin();
        let Some(batch) = voice::batch_of(class, subs) else {
            self.end_batch();
            let id = Some(self.id_at(reached));
            let scratch = &mut *self.scratch;
            for subs in voice::messages(class, subs) {
                let (text, deflaters) = scratch.encoded.text(class, event, subs, Form::Single);
                let alone = voice::is_deflated_alone(class, text.len()).then_some(deflaters);
                voice::frame_event(self.voice, alone, &[text], id, &mut scratch.chunk);
            }
            return;
        };
        let speaker = self.voice.dialect.speaker();
        let part = if self.batch_events == 0 { BatchPart::Begin } else { BatchPart::Between };
        speaker.put_run(part, event.time_us, &mut scratch.batch);
        let (text, _) = scratch.encoded.text(class, event, subs, Form::InBatch);
        scratch.batch.extend_from_slice(text);
        self.batch_events_max = if self.batch_events == 0 {
            batch.events_max
        } else {
            self.batch_events_max.min(batch.events_max)
        };
        self.batch_events += 1;
        let (times_us, mark) = reached;
        self.batch_cursor.clear();
        self.batch_cursor.extend_from_slice(times_us);
        self.batch_mark = mark;
        if self.batch_events >= self.batch_events_max || self.scratch.batch.len() >= BATCH_BYTES_MAX
        {
            self.end_batch();
        }
    }

    fn end_batch(&mut self) {
        if self.batch_events == 0 {
            return;
        }
        self.batch_events = 0;
        let scratch = &mut *self.scratch;
        self.voice.dialect.speaker().put_run(BatchPart::End, 0, &mut scratch.batch);
        let is_alone =
            self.class.is_some_and(|class| voice::is_deflated_alone(class, scratch.batch.len()));
        let alone = is_alone.then_some(scratch.encoded.deflaters());
        let sse_id =
            SseId { epoch: self.epoch, times_us: &self.batch_cursor, mark: self.batch_mark };
        voice::frame_batch(self.voice, alone, &scratch.batch, sse_id, &mut scratch.chunk);
        scratch.batch.clear();
    }

    fn said(&mut self, kind: &str, text: &[u8], reached: Reached<'_>) {
        self.end_batch();
        let id = Some(self.id_at(reached));
        voice::frame_said(self.voice, kind, text, id, &mut self.scratch.chunk);
    }

    fn say<'s>(&mut self, set: u64, outcome: impl FnOnce(Subs<'s>) -> Outcome<'s>)
    where
        'a: 's,
    {
        let of = self.class.map_or(&[][..], |class| &class.key.subs[..]);
        let mut text = Vec::new();
        let Some(talk) = self.talk.as_deref_mut() else { return };
        if let Voiced::As(kind) = talk.told(&outcome(Subs { of, set }), &mut text) {
            voice::frame_said(self.voice, kind, &text, None, &mut self.scratch.chunk);
        }
    }

    fn raw(&mut self, bytes: &[u8]) {
        self.end_batch();
        self.scratch.chunk.extend_from_slice(bytes);
    }
}
