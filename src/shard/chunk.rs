//! What a solo connection is sent next: a chunk of frames, filled from its outbox.
//!
//! Invariants: gaps and notices stand before what follows them; a large event is no part of a chunk, but owed in pieces. Never sends anything.

use super::class::Class;
use super::codec::Codec;
use super::conns::Conn;
use super::encoded::Encoded;
use super::large;
use super::runs::Runs;
use super::solo::Reached;
use super::transport::Voice;
use super::voice;
use super::voice::SseId;
use crate::batch::Item;
use crate::batch::LargeEvents;
use crate::batch::Outbox;
use crate::batch::Owed;
use crate::dialect::Form;
use crate::dialect::Outcome;
use crate::dialect::Run;
use crate::dialect::Subs;
use crate::event::Event;
use crate::event::Mark;
use crate::limits::SOLO_CHUNK_BYTES;
use std::rc::Rc;
use std::sync::Arc;

/// Buffers that live from chunk to chunk.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub(super) chunk: Vec<u8>,
    batch: Runs,
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
    class: Option<&'a Class>,
    epoch: &'a str,
    scratch: &'a mut Scratch,
    /// Of the batch that is being filled: how many events a message of it may have.
    batch_events_max: u16,
    /// Of a stream: how far it has come with the last event of the batch.
    batch_cursor: Vec<u64>,
    batch_mark: Option<Mark>,
    events: u64,
    gaps: u64,
}

/// What became of a connection's events as its chunk was filled.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Filled {
    /// Those in the chunk.
    pub(super) events: u64,
    pub(super) skipped: u64,
    pub(super) dropped: u64,
    /// Gaps that were told of.
    pub(super) gaps: u64,
}

/// Fills the scratch with a solo connection's next chunk, or has it owed the pieces of its next large event.
pub(super) fn fill(
    conn: &mut Conn,
    class: Option<&Class>,
    epoch: &str,
    large: &mut LargeEvents,
    scratch: &mut Scratch,
) -> Filled {
    let mut filled = Filled::default();
    let Some(solo) = conn.solo.as_deref_mut() else { return filled };
    let Some(voice) = conn.voice else {
        fill_raw(&mut solo.outbox, &mut scratch.chunk);
        return filled;
    };
    let mut filling = Filling {
        voice,
        class,
        epoch,
        scratch,
        batch_events_max: u16::MAX,
        batch_cursor: Vec::new(),
        batch_mark: None,
        events: 0,
        gaps: 0,
    };
    filled.dropped = solo.outbox.take_dropped();
    while solo.owed.is_empty()
        && filling.scratch.chunk.len() + filling.scratch.batch.bytes() < SOLO_CHUNK_BYTES
    {
        filled.skipped += filling.end_before_large(&mut solo.outbox);
        if solo.outbox.large_next().is_some() && !filling.scratch.chunk.is_empty() {
            break;
        }
        let Some(item) = solo.outbox.pop() else { break };
        match item {
            Item::Event { event, subs } if event.is_large() => {
                solo.note_sent(&event);
                let reached = if solo.is_telling { NOWHERE } else { (&solo.cursor[..], solo.mark) };
                filling.large(&event, subs, reached, large, &mut solo.owed);
            }
            Item::Past { event, subs } if event.is_large() => {
                filling.large(&event, subs, NOWHERE, large, &mut solo.owed);
            }
            Item::Event { event, subs } => {
                filled.skipped += filling.announce(&mut solo.outbox);
                solo.note_sent(&event);
                let reached = if solo.is_telling { NOWHERE } else { (&solo.cursor[..], solo.mark) };
                filling.event(&event, subs, reached);
            }
            Item::Past { event, subs } => filling.event(&event, subs, NOWHERE),
            Item::Said { kind, text } => {
                if kind == "live" {
                    filled.skipped += filling.announce(&mut solo.outbox);
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
        filled.skipped += filling.announce(&mut solo.outbox);
    }
    filling.end_batch();
    (filled.events, filled.gaps) = (filling.events, filling.gaps);
    filled
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
            self.gaps += 1;
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
        let run = self.voice.dialect.speaker().run();
        if matches!(run, Run::PerTopic(_)) {
            let (text, _) = scratch.encoded.text(class, event, subs, Form::InBatch);
            if !scratch.batch.takes(run, event, text) {
                self.end_batch();
            }
        }
        let scratch = &mut *self.scratch;
        let (text, _) = scratch.encoded.text(class, event, subs, Form::InBatch);
        scratch.batch.add(run, event, text);
        self.batch_events_max = self.batch_events_max.min(batch.events_max);
        let (times_us, mark) = reached;
        self.batch_cursor.clear();
        self.batch_cursor.extend_from_slice(times_us);
        self.batch_mark = mark;
        if self.scratch.batch.is_full(self.batch_events_max) {
            self.end_batch();
        }
    }

    fn end_batch(&mut self) {
        if self.scratch.batch.is_empty() {
            return;
        }
        self.batch_events_max = u16::MAX;
        let (voice, class) = (self.voice, self.class);
        let Scratch { chunk, batch, encoded } = &mut *self.scratch;
        let sse_id =
            SseId { epoch: self.epoch, times_us: &self.batch_cursor, mark: self.batch_mark };
        batch.end(voice.dialect.speaker().run(), |text| {
            let is_alone = class.is_some_and(|class| voice::is_deflated_alone(class, text.len()));
            let alone = is_alone.then_some(encoded.deflaters());
            voice::frame_batch(voice, alone, text, sse_id, chunk);
        });
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
        let outcome = outcome(Subs { of, set });
        if let Some(kind) = self.voice.dialect.speaker().put_outcome(&outcome, &mut text) {
            voice::frame_said(self.voice, kind, &text, None, &mut self.scratch.chunk);
        }
    }

    fn raw(&mut self, bytes: &[u8]) {
        self.end_batch();
        self.scratch.chunk.extend_from_slice(bytes);
    }
}
