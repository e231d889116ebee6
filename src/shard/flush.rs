//! What was gathered goes out, as one flight: one `send` for each member of each class, in slab order, some in each turn.
//!
//! Invariants: when a flight begins, nothing waits for any class; whoever is on its roll has not been sent it, and everybody else has, or is owed
//! it, or joined too late for it. Who leaves their class before their turn has come is owed what they had coming; a member whose socket took less
//! than all of it is solo and owed the rest. Per subscriber: no allocation, no copy, no formatting.

use std::collections::HashMap;

use bytes::Bytes;

use super::Sent;
use super::Shard;
use super::Sink;
use super::class::Class;
use super::class::ClassId;
use super::input::ConnId;
use super::roll::Roll;
use crate::batch::Frames;
use crate::clock::Now;
use crate::limits::UNIT_BYTES;
use crate::limits::UNITS_SEND;

/// What is on its way to members. Between two flights it is empty, but for buffers that are used again.
#[derive(Debug, Default)]
pub(super) struct Flight {
    frames: Frames,
    /// What the members of each class are sent, gathered where its frames do not lie side by side.
    gathered: Vec<u8>,
    spans: Vec<Spans>,
    /// Who has still to be sent it.
    due: Roll,
    unsent: Vec<Unsent>,
}

#[derive(Debug)]
struct Spans {
    frame_count: usize,
    /// What sending it to one member costs.
    units: u64,
    plain: Span,
    deflated: Option<Span>,
    /// The epoch of the class's stream, and whether what waits begins with its restart.
    epoch: u32,
    restarted: bool,
    /// What is not for members that joined while it was gathered.
    late: HashMap<ConnId, Late, foldhash::fast::RandomState>,
    /// What members did not take, once for all of them: of the plain bytes and of the deflated ones.
    kept: [Option<Bytes>; 2],
}

/// What a member that joined late is not sent.
#[derive(Clone, Copy, Debug, Default)]
struct Late {
    frames: usize,
    bytes: usize,
}

/// Bytes in the frame buffer or among those gathered.
#[derive(Clone, Copy, Debug)]
struct Span {
    gathered: bool,
    start: usize,
    end: usize,
}

/// What one member is sent.
#[derive(Clone, Copy, Debug)]
struct Part {
    span: Span,
    /// Which of `kept` it is.
    variant: usize,
    late: Late,
}

#[derive(Debug)]
struct Unsent {
    conn: ConnId,
    /// Bytes not taken; `None`: the connection is gone.
    rest: Option<Bytes>,
}

/// Bytes of scratch that are kept from flight to flight.
const KEPT_BYTES: usize = 1024 * 1024;

impl Flight {
    /// Whether anyone is still to be sent something.
    pub(super) fn is_underway(&self) -> bool {
        !self.spans.is_empty()
    }

    /// A connection is gone.
    pub(super) fn forget(&mut self, id: ConnId) {
        self.due.remove(id);
    }

    fn clear(&mut self) {
        self.spans.clear();
        self.frames.clear();
        self.gathered.clear();
        self.gathered.shrink_to(KEPT_BYTES);
    }
}

impl Shard {
    /// Begins to send everything that waits. Nothing may be underway.
    pub(super) fn launch(&mut self) {
        self.events_since_flush = 0;
        self.is_class_full = false;
        self.queued_bytes = 0;
        let places = self.conns.places();
        let flight = &mut self.flight;
        debug_assert!(!flight.is_underway(), "one flight at a time");
        std::mem::swap(&mut flight.frames, &mut self.frames);
        for id in self.dirty.drain(..) {
            // Everyone may have left since, and another class may have the place and stand in the list twice.
            let Some(class) = self.classes.find_mut(id) else { continue };
            if !std::mem::take(&mut class.is_dirty) || class.plain.is_empty() {
                continue;
            }
            class.due = u32::try_from(flight.spans.len()).expect("classes are bounded far below");
            flight.due.extend(&class.members, places);
            flight.spans.push(gather(class, &flight.frames, &mut flight.gathered));
        }
        if !flight.is_underway() {
            flight.clear();
        }
    }

    /// Sends on, while this turn has done less than `units_max`; false if some have not been sent it yet.
    pub(super) fn fly<S: Sink>(&mut self, sink: &mut S, units_max: u64, now: Now) -> bool {
        if !self.flight.is_underway() {
            return true;
        }
        let mut flight = std::mem::take(&mut self.flight);
        let Flight { frames, gathered, spans, due, unsent } = &mut flight;
        let bytes = (frames.all(), &gathered[..]);
        if let [only] = &mut spans[..] {
            while self.spent < units_max
                && let Some(conn) = due.pop()
            {
                self.spent += only.units;
                self.send_to_member(sink, conn, only, bytes, unsent);
            }
        } else {
            while self.spent < units_max
                && let Some(conn) = due.pop()
            {
                let Some(class) = self.conns.find(conn).and_then(|found| found.class) else {
                    continue;
                };
                let spans = &mut spans[self.classes.at(class).due as usize];
                self.spent += spans.units;
                self.send_to_member(sink, conn, spans, bytes, unsent);
            }
        }
        let is_over = due.is_empty();
        let mut unsent = std::mem::take(&mut flight.unsent);
        if is_over {
            flight.clear();
        }
        self.flight = flight;
        for unsent in unsent.drain(..) {
            self.settle(unsent, now);
        }
        self.flight.unsent = unsent;
        is_over
    }

    fn send_to_member<S: Sink>(
        &mut self,
        sink: &mut S,
        id: ConnId,
        spans: &mut Spans,
        (frames, gathered): (&[u8], &[u8]),
        unsent: &mut Vec<Unsent>,
    ) {
        // Only a class with a stream has to look at the connection itself, which is a cache miss for each.
        let part = spans.part(id, |epoch, begins| self.conns.is_synced(id, epoch, begins));
        let whole = part.span.of(frames, gathered);
        let bytes = &whole[part.late.bytes..];
        if bytes.is_empty() {
            return;
        }
        self.stats.sends += 1;
        self.stats.deliveries += (spans.frame_count - part.late.frames) as u64;
        match sink.send(id, bytes) {
            Sent::Took(count) if count == bytes.len() => self.stats.bytes_sent += count as u64,
            Sent::Took(count) => {
                self.stats.bytes_sent += count as u64;
                let rest = spans.keep(part, whole).slice(part.late.bytes + count..);
                unsent.push(Unsent { conn: id, rest: Some(rest) });
            }
            Sent::Closed => unsent.push(Unsent { conn: id, rest: None }),
        }
    }

    /// A member that could not be sent everything is no longer in step.
    fn settle(&mut self, unsent: Unsent, now: Now) {
        let Unsent { conn, rest } = unsent;
        match rest {
            None => self.closed(conn, now),
            Some(rest) => {
                self.go_solo(conn);
                if let Some(solo) =
                    self.conns.find_mut(conn).and_then(|conn| conn.solo.as_deref_mut())
                {
                    solo.owed.push_first(rest);
                    solo.blocked = true;
                    solo.moved_ms = now.mono_ms;
                }
            }
        }
    }

    /// Takes a member off the roll; what it has not been sent yet, and the epoch of its class's stream that it is in sync with after that.
    pub(super) fn leave_flight(&mut self, id: ConnId, class: ClassId, synced: u32) -> (Bytes, u32) {
        let Flight { frames, gathered, spans, due, .. } = &mut self.flight;
        if !due.remove(id) {
            return (Bytes::new(), synced);
        }
        let spans = &mut spans[self.classes.at(class).due as usize];
        let part = spans.part(id, |epoch, begins| begins || epoch == synced);
        let synced = if part.variant == 1 { spans.epoch } else { synced };
        self.stats.deliveries += (spans.frame_count - part.late.frames) as u64;
        let whole = part.span.of(frames.all(), gathered);
        (spans.keep(part, whole).slice(part.late.bytes..), synced)
    }
}

/// Takes what waits for a class's members.
fn gather(class: &mut Class, frames: &Frames, gathered: &mut Vec<u8>) -> Spans {
    let plain = span_of(frames, &class.plain, gathered);
    let deflated = class.stream.is_some().then(|| span_of(frames, &class.deflated, gathered));
    let (epoch, restarted) =
        class.stream.as_ref().map_or((0, false), |stream| (stream.epoch, stream.restarted));
    let late = std::mem::take(&mut class.late).into_iter();
    let late = late.map(|(conn, count)| {
        let missed = &class.plain[..count as usize];
        let bytes = missed.iter().map(|frame| frames.bytes(*frame).len()).sum();
        (conn, Late { frames: missed.len(), bytes })
    });
    let late = late.collect();
    let frame_count = class.plain.len();
    class.plain.clear();
    class.deflated.clear();
    if let Some(stream) = &mut class.stream {
        stream.restarted = false;
    }
    let units = UNITS_SEND + (class.waiting_bytes / UNIT_BYTES) as u64;
    class.waiting_bytes = 0;
    Spans { units, frame_count, plain, deflated, epoch, restarted, late, kept: [None, None] }
}

impl Spans {
    /// What a member is sent; `is_synced` says whether it has seen an epoch from its beginning, or does with these frames.
    fn part(&self, id: ConnId, is_synced: impl FnOnce(u32, bool) -> bool) -> Part {
        let late = if self.late.is_empty() {
            Late::default()
        } else {
            self.late.get(&id).copied().unwrap_or_default()
        };
        match self.deflated {
            Some(span) if is_synced(self.epoch, self.restarted && late.frames == 0) => {
                Part { span, variant: 1, late: Late { bytes: 0, ..late } }
            }
            _ => Part { span: self.plain, variant: 0, late },
        }
    }

    fn keep(&mut self, part: Part, whole: &[u8]) -> &Bytes {
        self.kept[part.variant].get_or_insert_with(|| Bytes::copy_from_slice(whole))
    }
}

fn span_of(frames: &Frames, ids: &[crate::batch::FrameId], gathered: &mut Vec<u8>) -> Span {
    if let Some((start, end)) = frames.contiguous(ids) {
        return Span { gathered: false, start, end };
    }
    let start = gathered.len();
    frames.gather(ids, gathered);
    Span { gathered: true, start, end: gathered.len() }
}

impl Span {
    fn of<'a>(self, frames: &'a [u8], gathered: &'a [u8]) -> &'a [u8] {
        let from = if self.gathered { gathered } else { frames };
        &from[self.start..self.end]
    }
}
