//! What was gathered goes out, as one flight: one `send` for each member of each class, in slab order, some in each turn.
//!
//! Invariants: when a flight begins, nothing waits for any class; whoever is on its roll has not been sent it, and everybody else has, or is owed
//! it, or joined too late for it. Who leaves their class before their turn has come is owed what they had coming; a member whose socket took less
//! than all of it is solo and owed the rest. Per subscriber: no allocation, no copy, no formatting.

use std::collections::HashMap;
use std::rc::Rc;

use super::class::Class;
use super::classes::Classes;
use super::conns::Conns;
use super::gathered::Gathered;
use super::input::ConnId;
use super::roll::Roll;
use super::sink::Sent;
use super::sink::Sink;
use super::stats::Stats;
use super::turn::Turn;
use crate::batch::Budget;
use crate::batch::FrameId;
use crate::batch::Frames;
use crate::batch::Kept;
use crate::batch::Owed;
use crate::batch::Piece;
use crate::limits::FLUSH_BYTES_MAX;
use crate::limits::PIECES_PER_SEND_MAX;
use crate::limits::UNIT_BYTES;
use crate::limits::UNITS_SEND;

/// What is on its way to members. Between two flights it is empty, but for buffers that are used again.
#[derive(Debug, Default)]
pub(super) struct Flight {
    frames: Frames,
    /// What the members of each class are sent, gathered where its frames do not lie side by side.
    gathered: Vec<u8>,
    /// Of each class beyond what may be gathered: the frames that are copied side by side as they are sent.
    scattered: Vec<Vec<FrameId>>,
    joined: Vec<u8>,
    spans: Vec<Spans>,
    /// Members that have still to be sent what flies.
    due: Roll,
    unsent: Vec<Unsent>,
}

#[derive(Debug)]
struct Spans {
    /// Events that a member is told of, if it did not join late.
    events: usize,
    /// Units that sending to one member costs.
    units: u64,
    plain: Span,
    deflated: Option<Span>,
    /// The epoch of the class's stream, and whether what waits begins with its restart.
    epoch: u32,
    restarted: bool,
    /// What is not for members that joined while it was gathered.
    late: HashMap<ConnId, Late, foldhash::fast::RandomState>,
    /// What members did not take, once for all of them: of the plain bytes and of the deflated ones.
    kept: [Option<Rc<Kept>>; 2],
    /// What goes behind the frames, in pieces.
    pieces: Vec<Piece>,
}

/// What a member that joined late is not sent.
#[derive(Clone, Copy, Debug, Default)]
struct Late {
    events: usize,
    bytes: usize,
}

/// Where the bytes of a span lie.
#[derive(Clone, Copy, Debug)]
enum Span {
    /// From here to there in the frame buffer.
    Frames(usize, usize),
    /// In the buffer of gathered bytes, from here to there.
    Gathered(usize, usize),
    /// In the frames of this list.
    Scattered(usize),
}

/// What spans are spans of.
struct Source<'a> {
    frames: &'a Frames,
    gathered: &'a [u8],
    scattered: &'a [Vec<FrameId>],
    joined: &'a mut Vec<u8>,
}

/// What one member is sent.
#[derive(Clone, Copy, Debug)]
struct MemberPart {
    span: Span,
    /// The index in `kept`: plain bytes, or deflated ones.
    variant: usize,
    late: Late,
}

/// A member that could not be sent everything.
#[derive(Debug)]
pub(super) struct Unsent {
    pub(super) conn: ConnId,
    /// What was not taken; `None`: the connection is gone.
    pub(super) rest: Option<Owed>,
    /// The socket took some of it, so a frame may have begun that must be ended.
    pub(super) is_begun: bool,
}

/// Bytes of either buffer that are kept from flight to flight.
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
        self.scattered.clear();
        for buffer in [&mut self.gathered, &mut self.joined] {
            buffer.clear();
            buffer.shrink_to(KEPT_BYTES);
        }
    }

    /// Takes what waits for a class's members.
    fn gather(&mut self, class: &mut Class) {
        class.end_frames(&self.frames);
        let plain = self.span_of(&class.waiting.plain);
        let deflated = class.stream.is_some().then(|| self.span_of(&class.waiting.deflated));
        let spans = Spans::of(class, plain, deflated, &self.frames);
        self.spans.push(spans);
    }

    fn span_of(&mut self, ids: &[FrameId]) -> Span {
        if let Some((start, end)) = self.frames.contiguous(ids) {
            return Span::Frames(start, end);
        }
        if self.gathered.len() >= FLUSH_BYTES_MAX {
            self.scattered.push(ids.to_vec());
            return Span::Scattered(self.scattered.len() - 1);
        }
        let start = self.gathered.len();
        self.frames.gather(ids, &mut self.gathered);
        Span::Gathered(start, self.gathered.len())
    }
}

/// What a flight needs of its shard.
pub(super) struct Ground<'a> {
    pub(super) conns: &'a mut Conns,
    pub(super) classes: &'a Classes,
    pub(super) turn: &'a mut Turn,
    pub(super) stats: &'a mut Stats,
    pub(super) outboxes: &'a Rc<Budget>,
}

impl Flight {
    /// Begins to send everything that was gathered to those of the slab's places. Nothing may be underway.
    pub(super) fn launch(&mut self, gathered: &mut Gathered, classes: &mut Classes, places: u32) {
        debug_assert!(!self.is_underway(), "one flight at a time");
        let mut frames = std::mem::take(&mut self.frames);
        let dirty = gathered.hand_over(&mut frames);
        self.frames = frames;
        for id in dirty {
            // Everyone may have left since, and another class may have the place and stand in the list twice.
            let Some(class) = classes.find_mut(id) else { continue };
            let is_empty = class.waiting.plain.is_empty() && class.waiting.large.is_none();
            if !std::mem::take(&mut class.is_dirty) || is_empty {
                continue;
            }
            class.due = u32::try_from(self.spans.len()).expect("classes are bounded far below");
            self.due.extend(&class.members, places);
            self.gather(class);
        }
        if !self.is_underway() {
            self.clear();
        }
    }

    /// Sends on, while this turn has done less than `units_max`; false if some have not been sent it yet.
    pub(super) fn fly<S: Sink>(
        &mut self,
        sink: &mut S,
        ground: &mut Ground<'_>,
        units_max: u64,
    ) -> bool {
        if !self.is_underway() {
            return true;
        }
        let Self { frames, gathered, scattered, joined, spans, due, unsent } = self;
        let source = &mut Source { frames, gathered, scattered, joined };
        while ground.turn.spent() < units_max
            && let Some(mut row) = due.take_row()
        {
            while ground.turn.spent() < units_max
                && let Some(conn) = row.pop()
            {
                let spans = match &mut spans[..] {
                    [only] => only,
                    many => {
                        let class = ground.conns.find(conn).and_then(|found| found.class);
                        let Some(class) = class.and_then(|class| ground.classes.find(class)) else {
                            continue;
                        };
                        &mut many[class.due as usize]
                    }
                };
                ground.turn.spend(spans.units);
                if spans.pieces.is_empty() {
                    ground.send_to_member(sink, conn, spans, source, unsent);
                } else {
                    ground.send_pieces_to_member(sink, conn, spans, source, unsent);
                }
            }
            due.put_back(&row);
        }
        let is_over = due.is_empty();
        if is_over {
            self.clear();
        }
        is_over
    }

    /// Members that could not be sent everything; the list is to be put back.
    pub(super) fn take_unsent(&mut self) -> Vec<Unsent> {
        std::mem::take(&mut self.unsent)
    }

    pub(super) fn put_back_unsent(&mut self, unsent: Vec<Unsent>) {
        self.unsent = unsent;
    }

    /// Takes a member of a class off the roll; what it has not been sent yet, of how many events that tells, and the epoch of its class's stream that
    /// it is in sync with after that.
    pub(super) fn leave(
        &mut self,
        id: ConnId,
        class: &Class,
        synced: u32,
        outboxes: &Rc<Budget>,
    ) -> (Owed, usize, u32) {
        let Self { frames, gathered, scattered, joined, spans, due, .. } = self;
        if !due.remove(id) {
            return (Owed::default(), 0, synced);
        }
        let spans = &mut spans[class.due as usize];
        let part = spans.part(id, |epoch, begins| begins || epoch == synced);
        let synced = if part.variant == 1 { spans.epoch } else { synced };
        let events = spans.events - part.late.events;
        let source = &mut Source { frames, gathered, scattered, joined };
        let whole = part.span.of(source);
        (spans.rest(part, whole, 0, outboxes), events, synced)
    }
}

impl Ground<'_> {
    #[inline]
    fn send_to_member<S: Sink>(
        &mut self,
        sink: &mut S,
        id: ConnId,
        spans: &mut Spans,
        source: &mut Source<'_>,
        unsent: &mut Vec<Unsent>,
    ) {
        // Only a class with a stream has to look at the connection itself, which is a cache miss for each.
        let part = spans.part(id, |epoch, begins| self.conns.is_synced(id, epoch, begins));
        let whole = part.span.of(source);
        let bytes = &whole[part.late.bytes..];
        if bytes.is_empty() {
            return;
        }
        self.stats.sends += 1;
        self.stats.deliveries += (spans.events - part.late.events) as u64;
        match sink.send(id, bytes) {
            Sent::Took(count) if count == bytes.len() => self.stats.bytes_sent += count as u64,
            Sent::Took(count) => {
                self.stats.bytes_sent += count as u64;
                let rest = Some(spans.rest(part, whole, count, self.outboxes));
                unsent.push(Unsent { conn: id, rest, is_begun: count > 0 });
            }
            Sent::Closed => unsent.push(Unsent::gone(id)),
        }
    }

    /// Sends a member what is partly in pieces: as many at a time as one call takes.
    fn send_pieces_to_member<S: Sink>(
        &mut self,
        sink: &mut S,
        id: ConnId,
        spans: &mut Spans,
        source: &mut Source<'_>,
        unsent: &mut Vec<Unsent>,
    ) {
        let part = spans.part(id, |epoch, begins| self.conns.is_synced(id, epoch, begins));
        let whole = part.span.of(source);
        self.stats.deliveries += (spans.events - part.late.events) as u64;
        let first = Some(&whole[part.late.bytes..]).filter(|bytes| !bytes.is_empty());
        let mut runs = first.into_iter().chain(spans.pieces.iter().map(Piece::bytes));
        let mut taken = 0;
        loop {
            let (mut count, mut bytes, mut next) = (0, 0, [&[][..]; PIECES_PER_SEND_MAX]);
            for (place, run) in next.iter_mut().zip(&mut runs) {
                *place = run;
                count += 1;
                bytes += run.len();
            }
            if count == 0 {
                return;
            }
            self.stats.sends += 1;
            let Sent::Took(of_these) = sink.send_pieces(id, &next[..count]) else {
                return unsent.push(Unsent::gone(id));
            };
            self.stats.bytes_sent += of_these as u64;
            taken += of_these;
            if of_these < bytes {
                break;
            }
        }
        let rest = Some(spans.rest(part, whole, taken, self.outboxes));
        unsent.push(Unsent { conn: id, rest, is_begun: taken > 0 });
    }
}

impl Spans {
    /// Of what waits for a class's members, which no longer waits.
    fn of(class: &mut Class, plain: Span, deflated: Option<Span>, frames: &Frames) -> Self {
        let (epoch, restarted) =
            class.stream.as_ref().map_or((0, false), |stream| (stream.epoch, stream.restarted));
        let late = std::mem::take(&mut class.waiting.late).into_iter();
        let late = late.map(|(conn, missed)| {
            let frames_missed = &class.waiting.plain[..missed.frames];
            let bytes = frames_missed.iter().map(|frame| frames.bytes(*frame).len()).sum();
            (conn, Late { events: missed.events, bytes })
        });
        let late = late.collect();
        let large = class.waiting.large.take().map(|large| *large).unwrap_or_default();
        let events = std::mem::take(&mut class.waiting.events);
        let bytes = class.waiting.bytes + large.pieces.iter().map(Piece::len).sum::<usize>();
        let units = UNITS_SEND + (bytes / UNIT_BYTES) as u64;
        class.waiting.plain.clear();
        class.waiting.bytes = 0;
        class.waiting.deflated.clear();
        if let Some(stream) = &mut class.stream {
            stream.restarted = false;
        }
        Self {
            units,
            events,
            plain,
            deflated,
            epoch,
            restarted,
            late,
            kept: [None, None],
            pieces: large.pieces,
        }
    }

    /// What a member is sent; `is_synced` says whether it has seen an epoch from its beginning, or does with these frames.
    #[inline]
    fn part(&self, id: ConnId, is_synced: impl FnOnce(u32, bool) -> bool) -> MemberPart {
        let late = if self.late.is_empty() {
            Late::default()
        } else {
            self.late.get(&id).copied().unwrap_or_default()
        };
        match self.deflated {
            Some(span) if is_synced(self.epoch, self.restarted && late.bytes == 0) => {
                MemberPart { span, variant: 1, late: Late { bytes: 0, ..late } }
            }
            _ => MemberPart { span: self.plain, variant: 0, late },
        }
    }

    /// What is left for a member whose socket took so many bytes: shared by all who are owed it.
    fn rest(
        &mut self,
        part: MemberPart,
        whole: &[u8],
        taken: usize,
        outboxes: &Rc<Budget>,
    ) -> Owed {
        let mut rest = Owed::default();
        let from = part.late.bytes + taken;
        if from < whole.len() {
            let kept = &mut self.kept[part.variant];
            let kept = kept.get_or_insert_with(|| Kept::new(outboxes, whole.into()));
            rest.push(Piece::Kept { kept: Rc::clone(kept), from });
        }
        rest.push_rest(&self.pieces, from.saturating_sub(whole.len()));
        rest
    }
}

impl Unsent {
    const fn gone(conn: ConnId) -> Self {
        Self { conn, rest: None, is_begun: false }
    }
}

impl Span {
    #[inline]
    fn of<'a>(self, source: &'a mut Source<'_>) -> &'a [u8] {
        match self {
            Self::Frames(start, end) => &source.frames.all()[start..end],
            Self::Gathered(start, end) => &source.gathered[start..end],
            Self::Scattered(list) => {
                source.joined.clear();
                source.frames.gather(&source.scattered[list], source.joined);
                source.joined
            }
        }
    }
}
