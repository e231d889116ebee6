//! What was gathered for classes since the last flight began: frames, pieces of large events, batches that are still open.
//!
//! Invariants: a class for which something waits stands in the list of those that the next flight looks at; whatever was fanned out is gathered,
//! so how far the shard has come is how far a stream has that is sent all of it. Never sends anything, and never decides who is told.

use std::rc::Rc;
use std::sync::Arc;

use super::batches::Batches;
use super::class::Audience;
use super::class::Class;
use super::class::Stream;
use super::classes::Classes;
use super::codec::Codec;
use super::conns::ClassId;
use super::encoded;
use super::encoded::Encoded;
use super::input::ConnId;
use super::large;
use super::transport::Deflate;
use super::transport::Transport;
use super::turn::Turn;
use super::voice;
use super::voice::SseId;
use crate::batch::Budget;
use crate::batch::Frames;
use crate::batch::Kept;
use crate::batch::LargeEvents;
use crate::batch::Owed;
use crate::batch::Piece;
use crate::clock::Now;
use crate::dialect::Form;
use crate::dialect::Told;
use crate::event::Event;
use crate::event::HomeId;
use crate::limits::DEFLATE_EPOCH_MESSAGES;
use crate::limits::FLUSH_BYTES_MAX;
use crate::limits::FLUSH_FRAMES_MAX;
use crate::limits::UNITS_EVENT;
use crate::wire::deflate::Deflater;

/// What waits for the next flight.
#[derive(Debug)]
pub(super) struct Gathered {
    epoch: Arc<str>,
    /// Up to which stamp of each home shard everything was fanned out here.
    cursor: Vec<u64>,
    frames: Frames,
    large: LargeEvents,
    codec: Rc<Codec>,
    /// Classes for which something waits.
    dirty: Vec<ClassId>,
    batches: Batches,
    /// The last epoch of a deflate stream that was given out.
    stream_epoch: u32,
    /// Events that were fanned out.
    events: usize,
    /// Bytes of events that were queued for solo connections: the sum over events, not over connections.
    queued_bytes: usize,
    /// So much waits for some class that it must go out.
    is_class_full: bool,
}

impl Gathered {
    /// Nothing yet, of that many homes; large events share the budget, and open batches have one of their own.
    pub(super) fn new(
        epoch: Arc<str>,
        home_count: usize,
        codec: &Rc<Codec>,
        (outboxes, batches_bytes_max): (&Rc<Budget>, usize),
    ) -> Self {
        Self {
            epoch,
            // Not 0, which would be "not known": of a home that has told nothing yet, nothing is missing.
            cursor: vec![1; home_count],
            frames: Frames::default(),
            large: LargeEvents::within(outboxes),
            codec: Rc::clone(codec),
            dirty: Vec::new(),
            batches: Batches::new(batches_bytes_max),
            stream_epoch: 0,
            events: 0,
            queued_bytes: 0,
            is_class_full: false,
        }
    }

    /// An event is fanned out.
    pub(super) fn begin_event(&mut self, event: &Event) {
        self.cursor[event.home.index()] = event.time_us;
        self.events += 1;
        self.batches.end_event();
    }

    /// A home goes on from what a store holds: of what was told up to here, nothing is missing to whoever begins now.
    pub(super) fn restore(&mut self, home: HomeId, time_us: u64) {
        self.cursor[home.index()] = time_us.max(1);
    }

    /// Up to which stamp of each home shard everything was fanned out here.
    pub(super) fn cursor(&self) -> &[u64] {
        &self.cursor
    }

    pub(super) const fn large(&mut self) -> &mut LargeEvents {
        &mut self.large
    }

    /// So many bytes were queued for solo connections.
    pub(super) const fn queued(&mut self, bytes: usize) {
        self.queued_bytes += bytes;
    }

    /// Whether anything was queued for solo connections.
    pub(super) const fn has_queued(&self) -> bool {
        self.queued_bytes > 0
    }

    /// Whether nothing waits for any class.
    pub(super) const fn is_empty(&self) -> bool {
        self.dirty.is_empty()
    }

    /// Whether what was gathered must go out before the next event is taken. `queued_max`: bytes that may be queued for solo connections.
    pub(super) fn is_due(&self, queued_max: usize) -> bool {
        self.is_class_full
            || self.is_full()
            || self.events >= FLUSH_FRAMES_MAX
            || self.queued_bytes >= queued_max
    }

    /// Whether a flight holds as many bytes of frames as it may; what is gathered beyond them is in pieces.
    pub(super) fn is_full(&self) -> bool {
        self.frames.len() >= FLUSH_BYTES_MAX
    }

    /// Adds an event to what a class's members are sent next: encoded once per event and kind of class, deflated once per class.
    pub(super) fn append(
        &mut self,
        classes: &mut Classes,
        id: ClassId,
        (event, subs): (&Arc<Event>, u64),
        encoded: &mut Encoded,
        now: Now,
    ) {
        if classes.at(id).is_too_large(event.payload.len()) {
            return;
        }
        if event.is_large() || self.is_full() {
            return self.append_pieces(classes, id, (event, subs), encoded);
        }
        if let Some(batch) = voice::batch_of(classes.at(id), subs) {
            let (text, _) = encoded.text(
                Audience::in_step(classes.at(id)),
                event,
                subs,
                (Form::InBatch, Told::default()),
            );
            let class = classes.at(id);
            let dialect = encoded::dialect_of(class, subs, Form::InBatch);
            if class.open.as_ref().is_some_and(|open| !open.runs.takes(dialect, event, text)) {
                self.close_batch(classes, id);
            }
            let class = classes.at(id);
            let due_before_ms = class.open.as_ref().map(|open| open.due_ms);
            let open = class.open.get_or_insert_with(|| Box::new(self.batches.open()));
            if voice::fill_batch(open, dialect, batch, (event, text), now) {
                self.batches.put_forward(due_before_ms, open.due_ms, id);
            }
            open.push(self.batches.hold(event, subs));
            if voice::is_batch_full(class) {
                self.close_batch(classes, id);
            }
            return self.end_batches_early(classes);
        }
        self.close_batch(classes, id);
        self.begin_frames(classes, id);
        let class = classes.at(id);
        let mark = voice::mark_of(class.key.voice, event);
        let sse_id = SseId { epoch: &self.epoch, times_us: &self.cursor, mark };
        let mut is_told = false;
        for subs in voice::messages(Audience::in_step(class), subs) {
            let frame = encoded.frame(class, event, subs, sse_id, &mut self.frames);
            if class.is_too_large(self.frames.bytes(frame).len()) {
                continue;
            }
            is_told = true;
            self.is_class_full |=
                voice::push_frame(class, frame, &mut self.frames, &self.codec.deflaters);
        }
        class.waiting.events += usize::from(is_told);
    }

    /// Ends those batches that are due next, while all of them hold more than they may and there is room for their frames: a batch that is ended early is
    /// smaller, and nothing of it is lost.
    fn end_batches_early(&mut self, classes: &mut Classes) {
        while !self.is_full()
            && let Some(class) = self.batches.pop_to_give_way()
        {
            if classes.find(class).is_some() {
                self.close_batch(classes, class);
            }
        }
    }

    /// Appends an event in pieces, for a class whose dialect can leave the payload where it is.
    fn append_pieces(
        &mut self,
        classes: &mut Classes,
        id: ClassId,
        (event, subs): (&Arc<Event>, u64),
        encoded: &mut Encoded,
    ) {
        self.close_batch(classes, id);
        self.begin_frames(classes, id);
        encoded.keep_parts();
        let class = classes.at(id);
        let mark = voice::mark_of(class.key.voice, event);
        let sse_id = Some(SseId { epoch: &self.epoch, times_us: &self.cursor, mark });
        let pieces = large::pieces(
            encoded,
            &mut self.large,
            Audience::in_step(class),
            event,
            (subs, Told::default()),
            sse_id,
        );
        class.push_pieces(pieces, &self.frames);
        self.is_class_full = true;
    }

    /// Prepares a class for its first frame since the last flight: it will have to be looked at, and its stream may start anew.
    fn begin_frames(&mut self, classes: &mut Classes, id: ClassId) {
        let class = classes.at(id);
        if !class.is_dirty {
            class.is_dirty = true;
            self.dirty.push(id);
        }
        if !class.waiting.plain.is_empty() {
            return;
        }
        let Transport::WebSocket { deflate: Deflate::Takeover { window_bits } } =
            class.key.voice.transport
        else {
            return;
        };
        if class.stream.is_none()
            && let Some(lease) = classes.lease_stream()
        {
            let level = classes.at(id).deflate_level();
            let deflater = Box::new(Deflater::new(level, window_bits));
            let stream = Stream {
                _lease: lease,
                deflater,
                epoch: self.stream_epoch,
                messages: DEFLATE_EPOCH_MESSAGES,
                restarted: false,
            };
            classes.at(id).stream = Some(stream);
        }
        let class = classes.at(id);
        let Some(stream) = &mut class.stream else { return };
        stream.restarted = stream.messages >= DEFLATE_EPOCH_MESSAGES;
        if stream.restarted {
            // Unique in the shard, so that no connection is in sync by chance with a class it was never in.
            self.stream_epoch = self.stream_epoch.wrapping_add(1).max(1);
            stream.epoch = self.stream_epoch;
            stream.messages = 0;
            stream.deflater.reset();
        }
    }

    /// Ends a class's open batch, if there is one, and queues it as one frame.
    pub(super) fn close_batch(&mut self, classes: &mut Classes, id: ClassId) {
        let class = classes.at(id);
        let Some(mut open) = class.open.take() else { return };
        self.batches.forget(open.due_ms, id);
        let voice = class.key.voice;
        self.begin_frames(classes, id);
        let class = classes.at(id);
        class.waiting.events += open.told.len();
        // Whatever was fanned out before now, and is for this class, is in the batch or before it.
        let mark = open.told.last().and_then(|event| voice::mark_of(voice, event));
        let sse_id = SseId { epoch: &self.epoch, times_us: &self.cursor, mark };
        let (codec, frames) = (&self.codec, &mut self.frames);
        let is_class_full = &mut self.is_class_full;
        open.runs.end(|kind, text| {
            let alone = voice::is_deflated_alone(class, text.len()).then_some(&codec.deflaters);
            let frame =
                frames.add(|out| voice::frame_batch(voice, alone, (kind, text), sse_id, out));
            *is_class_full |= voice::push_frame(class, frame, frames, &codec.deflaters);
        });
    }

    /// Ends the batches whose time has come, as long as the flight is not full and there is time in this turn.
    pub(super) fn close_due_batches(&mut self, classes: &mut Classes, turn: &mut Turn, now: Now) {
        while !self.is_full()
            && let Some(class) = self.batches.pop_due(now.mono_ms)
        {
            let is_due =
                |class: &Class| class.open.as_ref().is_some_and(|open| open.due_ms <= now.mono_ms);
            if classes.find(class).is_some_and(is_due) {
                turn.spend(UNITS_EVENT);
                self.close_batch(classes, class);
            }
            if turn.is_spent() {
                break;
            }
        }
    }

    /// A class's open batch is gone without having been ended.
    pub(super) fn forget_batch(&mut self, due_ms: u64, class: ClassId) {
        self.batches.forget(due_ms, class);
    }

    /// When a batch is ended at the latest.
    pub(super) fn due_ms(&self) -> Option<u64> {
        self.batches.due_ms()
    }

    /// Hands over all frames, and the classes that they wait for; what is gathered from now on is for the flight after this one.
    pub(super) fn hand_over(
        &mut self,
        frames: &mut Frames,
    ) -> impl Iterator<Item = ClassId> + use<'_> {
        self.events = 0;
        self.is_class_full = false;
        self.queued_bytes = 0;
        std::mem::swap(frames, &mut self.frames);
        self.dirty.drain(..)
    }

    /// Adds to what a member of a class is owed what waits for its class; says of how many events that tells. The member is about to be told apart from
    /// its class, and has seen every message of the epoch `synced` of the class's stream.
    pub(super) fn owe(
        &self,
        owed: &mut Owed,
        (id, synced): (ConnId, u32),
        class: &mut Class,
        outboxes: &Rc<Budget>,
    ) -> usize {
        class.end_frames(&self.frames);
        let missed = class.missed(id);
        let is_synced = class.stream.as_ref().is_some_and(|stream| {
            missed.frames == 0
                && !class.waiting.deflated.is_empty()
                && (stream.restarted || stream.epoch == synced)
        });
        let frames = if is_synced {
            &class.waiting.deflated[..]
        } else {
            &class.waiting.plain[missed.frames..]
        };
        let mut bytes = Vec::new();
        self.frames.gather(frames, &mut bytes);
        if !bytes.is_empty() {
            owed.push(Piece::Kept { kept: Kept::new(outboxes, bytes.into()), from: 0 });
        }
        let large = class.waiting.large.as_deref();
        owed.push_rest(large.map_or(&[], |large| &large.pieces), 0);
        class.waiting.events - missed.events
    }
}
