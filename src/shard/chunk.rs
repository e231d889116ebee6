//! What a solo connection is sent next: a chunk of frames, filled from its outbox.
//!
//! Invariants: gaps and notices stand before what follows them; a large event is no part of a chunk, but owed in pieces. Never sends anything.

use super::bookmark::Flying;
use super::class::Audience;
use super::class::Class;
use super::codec::Codec;
use super::conns::Conn;
use super::encoded;
use super::encoded::Encoded;
use super::large;
use super::runs::Runs;
use super::solo::Reached;
use super::solo::Solo;
use super::transport::Voice;
use super::voice;
use super::voice::SseId;
use super::window::Window;
use crate::batch::Item;
use crate::batch::LargeEvents;
use crate::batch::Outbox;
use crate::batch::Owed;
use crate::clock::Now;
use crate::dialect::Form;
use crate::dialect::Outcome;
use crate::dialect::Subs;
use crate::dialect::Told;
use crate::event::Event;
use crate::event::Mark;
use crate::limits::SOLO_CHUNK_BYTES;
use std::rc::Rc;
use std::sync::Arc;

/// Buffers that live from chunk to chunk.
#[derive(Debug, Default)]
pub(super) struct ChunkBuffers {
    pub(super) chunk: Vec<u8>,
    batch: Runs,
    encoded: Encoded,
}

impl ChunkBuffers {
    pub(super) fn new(codec: &Rc<Codec>) -> Self {
        Self { encoded: Encoded::new(codec), ..Self::default() }
    }

    /// Lets go of the event that was told last.
    pub(super) fn end(&mut self) {
        self.encoded.begin();
    }
}

/// The id of a message that is no place to come back to.
const NOWHERE: Reached<'_> = (&[], None);

/// What a connection's chunk is made with.
struct Filling<'a> {
    voice: Voice,
    to: Option<Audience<'a>>,
    epoch: &'a str,
    /// How the event at hand is told.
    told: Told,
    /// The event was larger than its client takes.
    is_passed_over: bool,
    buffers: &'a mut ChunkBuffers,
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
    /// The events in the chunk.
    pub(super) events: u64,
    pub(super) skipped: u64,
    pub(super) dropped: u64,
    /// Gaps that were told of.
    pub(super) gaps: u64,
}

/// Fills the buffer of chunks with a solo connection's next chunk, or has it owed the pieces of its next large event.
pub(super) fn fill(
    conn: &mut Conn,
    to: Option<Audience<'_>>,
    (epoch, now): (&str, Now),
    large: &mut LargeEvents,
    buffers: &mut ChunkBuffers,
) -> Filled {
    let mut filled = Filled::default();
    let Some(solo) = conn.solo.as_deref_mut() else { return filled };
    let window_max = conn.caller.window_max();
    let Some(voice) = conn.voice else {
        fill_raw(&mut solo.outbox, &mut buffers.chunk);
        return filled;
    };
    let mut filling = Filling {
        voice,
        to,
        epoch,
        told: Told::default(),
        is_passed_over: false,
        buffers,
        batch_events_max: u16::MAX,
        batch_cursor: Vec::new(),
        batch_mark: None,
        events: 0,
        gaps: 0,
    };
    filled.dropped = solo.outbox.take_dropped();
    while solo.owed.is_empty()
        && filling.buffers.chunk.len() + filling.buffers.batch.bytes() < SOLO_CHUNK_BYTES
    {
        filled.skipped += filling.end_before_large(&mut solo.outbox);
        if is_large_next(solo) && !filling.buffers.chunk.is_empty() {
            break;
        }
        let Some((item, told)) = next_item(solo, to, window_max, now) else { break };
        let Some(item) = item else { continue };
        filling.told = told;
        filled.skipped += filling.take(item, solo, large);
        //= mqtt-v5.0#3.1.2.11.4
        //# Where a Packet is too large to send, the Server MUST discard it without sending it and then behave as if it had completed
        //# sending that Application Message
        if std::mem::take(&mut filling.is_passed_over)
            && let Some(window) = solo.window.as_deref_mut()
        {
            window.acknowledged(filling.told.number);
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

/// Whether what goes next is a large event.
fn is_large_next(solo: &Solo) -> bool {
    let again = solo.window.as_deref().and_then(Window::again);
    let again = again.filter(|_| !solo.outbox.is_answer_next());
    again.is_some_and(|again| again.event.is_large()) || solo.outbox.large_next().is_some()
}

/// The next item that may go, and how it is told: where events are to be acknowledged, some may have to wait for that, and others do not wait for them. No item: its
/// time is over, or its client does not take it.
fn next_item(
    solo: &mut Solo,
    to: Option<Audience<'_>>,
    window_max: u16,
    now: Now,
) -> Option<(Option<Item>, Told)> {
    let told = Told { now_us: now.wall_us, ..Told::default() };
    let is_numbered = |to: &Audience<'_>| to.class.is_numbered() || solo.window.is_some();
    let Some(to) = to.filter(is_numbered) else {
        let item = solo.outbox.pop()?;
        let told = Told { is_past: matches!(item, Item::Past { .. }), ..told };
        return Some((Some(item).filter(|item| !is_expired(item, now)), told));
    };
    let (class, share) = (to.class, solo.outbox.share());
    let window = solo.window.get_or_insert_with(|| Box::new(Window::new(window_max, share)));
    // What it is answered stands before all of that: that it goes on, first of all.
    if let Some(again) = window.again().filter(|_| !solo.outbox.is_answer_next()) {
        return Some(next_again(&again.clone(), window, class, told));
    }
    let item = match window.is_full() && !solo.outbox.is_answer_next() {
        // Each message has a number of its own.
        false => solo.outbox.pop_part(|_, subs| voice::messages(to, subs).next().unwrap_or(0)),
        true => solo.outbox.pop_passing(&mut window.held_until, |item| qos_of(class, item) == 0),
    }?;
    let mut told = Told { is_past: matches!(item, Item::Past { .. }), ..told };
    if is_expired(&item, now) {
        return Some((None, told));
    }
    let qos = qos_of(class, &item);
    if let Some((event, subs)) = item.event()
        && qos > 0
        && !class.is_too_large(event.payload.len())
    {
        told.qos = qos;
        told.number = window.number(event, subs, (qos, told.is_past));
    }
    Some((Some(item), told))
}

/// What was in flight when the connection before this one ended, under its old number.
fn next_again(
    again: &Flying,
    window: &mut Window,
    class: &Class,
    told: Told,
) -> (Option<Item>, Told) {
    let Flying { number, qos, is_past, subs, .. } = *again;
    let (event, told) =
        (Arc::clone(&again.event), Told { number, qos, is_past, is_again: true, ..told });
    if event.is_expired(told.now_us) || class.is_too_large(event.payload.len()) {
        window.acknowledged(number);
        return (None, told);
    }
    window.sent_again();
    let item = match is_past {
        true => Item::Past { event, subs },
        false => Item::Event { event, subs },
    };
    (Some(item), told)
}

fn is_expired(item: &Item, now: Now) -> bool {
    item.event().is_some_and(|(event, _)| event.is_expired(now.wall_us))
}

/// The quality of service that an item is told with.
fn qos_of(class: &Class, item: &Item) -> u8 {
    item.event().map_or(0, |(event, set)| Audience::in_step(class).subs(set).qos_of(event))
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

    /// Adds an item; how many events were passed over before it.
    fn take(&mut self, item: Item, solo: &mut Solo, large: &mut LargeEvents) -> u64 {
        let mut skipped = 0;
        match item {
            Item::Event { event, subs } if event.is_large() => {
                solo.note_sent(&event);
                let reached = if solo.is_telling { NOWHERE } else { (&solo.cursor[..], solo.mark) };
                self.large(&event, subs, reached, large, &mut solo.owed);
            }
            Item::Past { event, subs } | Item::Own { event, subs } if event.is_large() => {
                self.large(&event, subs, NOWHERE, large, &mut solo.owed);
            }
            Item::Event { event, subs } => {
                skipped += self.announce(&mut solo.outbox);
                solo.note_sent(&event);
                let reached = if solo.is_telling { NOWHERE } else { (&solo.cursor[..], solo.mark) };
                self.event(&event, subs, reached);
            }
            Item::Past { event, subs } | Item::Own { event, subs } => {
                self.event(&event, subs, NOWHERE);
            }
            Item::Said { kind, text } => {
                if kind == "live" {
                    skipped += self.announce(&mut solo.outbox);
                }
                self.said(kind, &text, (&solo.cursor, solo.mark));
            }
            Item::Raw(bytes) => self.raw(&bytes),
            Item::Reserved => unreachable!("it leaves once it is filled"),
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
        skipped
    }

    /// A large event is a chunk of its own: what stands before it is said; returns how many events were passed over.
    fn end_before_large(&mut self, outbox: &mut Outbox) -> u64 {
        let Some(next) = outbox.large_next() else { return 0 };
        let is_past = matches!(next, Item::Past { .. } | Item::Own { .. });
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
        let Some(to) = self.to else { return };
        if to.class.is_too_large(event.payload.len()) {
            return;
        }
        self.events += 1;
        let id = Some(self.id_at(reached));
        let encoded = &mut self.buffers.encoded;
        encoded.begin();
        encoded.keep_parts();
        for piece in large::pieces(encoded, events, to, event, (subs, self.told), id) {
            owed.push(piece);
        }
        encoded.end();
    }

    fn event(&mut self, event: &Arc<Event>, subs: u64, reached: Reached<'_>) {
        let Some(to) = self.to else { return };
        let class = to.class;
        self.events += 1;
        let buffers = &mut *self.buffers;
        buffers.encoded.begin_with(event);
        let Some(batch) = voice::batch_of(class, subs) else {
            self.end_batch();
            let id = Some(self.id_at(reached));
            let buffers = &mut *self.buffers;
            for subs in voice::messages(to, subs) {
                let (text, deflaters) =
                    buffers.encoded.text(to, event, subs, (Form::Single, self.told));
                if class.is_too_large(text.len()) {
                    self.is_passed_over = true;
                    continue;
                }
                let alone = voice::is_deflated_alone(class, text.len()).then_some(deflaters);
                voice::frame_event(self.voice, alone, &[text], id, &mut buffers.chunk);
            }
            return;
        };
        let dialect = encoded::dialect_of(class, subs, Form::InBatch);
        if !buffers.batch.takes_any(dialect) {
            let (text, _) = buffers.encoded.text(to, event, subs, (Form::InBatch, self.told));
            if !buffers.batch.takes(dialect, event, text) {
                self.end_batch();
            }
        }
        let buffers = &mut *self.buffers;
        let (text, _) = buffers.encoded.text(to, event, subs, (Form::InBatch, self.told));
        buffers.batch.add(dialect, event, text);
        self.batch_events_max = self.batch_events_max.min(batch.events_max);
        let (times_us, mark) = reached;
        self.batch_cursor.clear();
        self.batch_cursor.extend_from_slice(times_us);
        self.batch_mark = mark;
        if self.buffers.batch.is_full(self.batch_events_max) {
            self.end_batch();
        }
    }

    fn end_batch(&mut self) {
        if self.buffers.batch.is_empty() {
            return;
        }
        self.batch_events_max = u16::MAX;
        let (voice, class) = (self.voice, self.to.map(|to| to.class));
        let ChunkBuffers { chunk, batch, encoded } = &mut *self.buffers;
        let sse_id =
            SseId { epoch: self.epoch, times_us: &self.batch_cursor, mark: self.batch_mark };
        batch.end(|kind, text| {
            let is_alone = class.is_some_and(|class| voice::is_deflated_alone(class, text.len()));
            let alone = is_alone.then_some(encoded.deflaters());
            voice::frame_batch(voice, alone, (kind, text), sse_id, chunk);
        });
    }

    fn said(&mut self, kind: &str, text: &[u8], reached: Reached<'_>) {
        self.end_batch();
        let id = Some(self.id_at(reached));
        voice::frame_said(self.voice, kind, text, id, &mut self.buffers.chunk);
    }

    fn say<'s>(&mut self, set: u64, outcome: impl FnOnce(Subs<'s>) -> Outcome<'s>)
    where
        'a: 's,
    {
        let nobody = Subs { of: &[], names: None, set };
        let mut text = Vec::new();
        let outcome = outcome(self.to.map_or(nobody, |to| to.subs(set)));
        if let Some(kind) = self.voice.dialect.speaker().put_outcome(&outcome, &mut text) {
            voice::frame_said(self.voice, kind, &text, None, &mut self.buffers.chunk);
        }
    }

    fn raw(&mut self, bytes: &[u8]) {
        self.end_batch();
        self.buffers.chunk.extend_from_slice(bytes);
    }
}
