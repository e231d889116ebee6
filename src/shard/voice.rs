//! How a class's messages become frames: WebSocket or SSE, plain or deflated, one by one or in a batch.
//!
//! Invariant: of each message that waits for a class there is one frame that anyone can read and, if the class has a deflate stream, one
//! for those in sync with it. Never decides who is sent what.

use super::batches::OpenBatch;
use super::class::Audience;
use super::class::Class;
use super::codec::Deflaters;
use super::transport::Deflate;
use super::transport::Transport;
use super::transport::Voice;
use crate::batch::FrameId;
use crate::batch::Frames;
use crate::clock::Now;
use crate::dialect::Batch;
use crate::dialect::BatchForm;
use crate::dialect::DialectId;
use crate::event::Event;
use crate::event::Mark;
use crate::limits::CLASS_BYTES_MAX;
use crate::limits::DEFLATE_ALONE_BYTES_MIN;
use crate::wire::frame::Coding;
use crate::wire::frame::Header;
use crate::wire::frame::OpCode;
use crate::wire::sse;

/// What an SSE event's id is made of: the epoch, and up to which stamp of each home shard everything was sent.
#[derive(Clone, Copy)]
pub(super) struct SseId<'a> {
    pub(super) epoch: &'a str,
    pub(super) times_us: &'a [u64],
    /// The last event that was sent, if it is known.
    pub(super) mark: Option<Mark>,
}

/// The mark of an event, for those voices whose ids hold one.
pub(super) fn mark_of(voice: Voice, event: &Event) -> Option<Mark> {
    voice.is_sse().then(|| Mark::of(&event.topic, event.offset))
}

/// Whether a message of so many bytes is deflated on its own for this class.
pub(super) fn is_deflated_alone(class: &Class, bytes: usize) -> bool {
    bytes >= DEFLATE_ALONE_BYTES_MIN
        && class.stream.is_none()
        && window_bits(class.key.voice).is_some()
}

/// The window that a client of this voice inflates with; `None`: nothing is deflated for it.
pub(super) fn window_bits(voice: Voice) -> Option<u8> {
    match voice.transport {
        Transport::WebSocket {
            deflate: Deflate::Takeover { window_bits } | Deflate::Alone { window_bits },
        } => Some(window_bits),
        Transport::WebSocket { deflate: Deflate::Off }
        | Transport::Sse { .. }
        | Transport::Messages
        | Transport::Bare => None,
    }
}

/// Appends an event's frame; its text is `parts` joined. `alone`: a WebSocket's is deflated with these.
pub(super) fn frame_event(
    voice: Voice,
    alone: Option<&Deflaters>,
    parts: &[&[u8]],
    sse_id: Option<SseId<'_>>,
    out: &mut Vec<u8>,
) {
    match (voice.transport, alone) {
        (Transport::WebSocket { .. }, Some(deflaters)) => {
            let start = out.len();
            deflaters.deflate(window_bits(voice).unwrap_or(15), parts, out);
            put_header_before(start, voice.opcode(), out);
        }
        (Transport::WebSocket { .. }, None) => frame_plain(voice, parts, out),
        (Transport::Sse { chunked }, _) => frame_sse(chunked, None, sse_id, parts, out),
        (Transport::Messages, _) => frame_message(voice, parts, out),
        (Transport::Bare, _) => put_bare(parts, out),
    }
}

/// Appends the frame of a message of several events. Over SSE it is of a kind of its own, and its id is that of its last event.
pub(super) fn frame_batch(
    voice: Voice,
    alone: Option<&Deflaters>,
    (kind, text): (&str, &[u8]),
    sse_id: SseId<'_>,
    out: &mut Vec<u8>,
) {
    match voice.transport {
        Transport::Sse { chunked } => frame_sse(chunked, Some(kind), Some(sse_id), &[text], out),
        Transport::WebSocket { .. } | Transport::Messages | Transport::Bare => {
            frame_event(voice, alone, &[text], None, out);
        }
    }
}

/// Appends the frame of a message that is no event; `kind` is what SSE calls it.
pub(super) fn frame_said(
    voice: Voice,
    kind: &str,
    text: &[u8],
    sse_id: Option<SseId<'_>>,
    out: &mut Vec<u8>,
) {
    match voice.transport {
        Transport::WebSocket { .. } => frame_plain(voice, &[text], out),
        Transport::Sse { chunked } => frame_sse(chunked, Some(kind), sse_id, &[text], out),
        Transport::Messages => frame_message(voice, &[text], out),
        Transport::Bare => put_bare(&[text], out),
    }
}

fn frame_plain(voice: Voice, parts: &[&[u8]], out: &mut Vec<u8>) {
    let bytes = parts.iter().map(|part| part.len()).sum();
    out.extend_from_slice(Header::whole(voice.opcode(), Coding::Plain, bytes).as_bytes());
    put_bare(parts, out);
}

fn put_bare(parts: &[&[u8]], out: &mut Vec<u8>) {
    for part in parts {
        out.extend_from_slice(part);
    }
}

/// Puts the header before a deflated message, whose length is known only when it is there.
fn put_header_before(start: usize, opcode: OpCode, out: &mut Vec<u8>) {
    let header = Header::whole(opcode, Coding::Deflated, out.len() - start);
    out.splice(start..start, header.as_bytes().iter().copied());
}

fn frame_sse(
    chunked: bool,
    kind: Option<&str>,
    id: Option<SseId<'_>>,
    parts: &[&[u8]],
    out: &mut Vec<u8>,
) {
    let id = id.and_then(sse_cursor).unwrap_or_default();
    let data = parts.concat();
    let event = sse::Event { id: &id, event: kind.unwrap_or_default(), data: &data };
    if !chunked {
        return event.put(out);
    }
    let mut text = Vec::with_capacity(data.len() + 128);
    event.put(&mut text);
    sse::put_chunk(out, &text);
}

fn frame_message(voice: Voice, parts: &[&[u8]], out: &mut Vec<u8>) {
    let mut enveloped = Vec::new();
    put_envelope(voice, parts.iter().map(|part| part.len()).sum(), &mut enveloped);
    for part in parts {
        enveloped.extend_from_slice(part);
    }
    sse::put_chunk(out, &enveloped);
}

/// Appends what stands before a message of so many bytes in a stream of messages.
pub(super) fn put_envelope(voice: Voice, bytes: usize, out: &mut Vec<u8>) {
    (voice.dialect.speaker().envelopes().put)(bytes, out);
}

/// `epoch.t1.t2…-hash.offset`, each number in base 36, without what is behind the hyphen if no event is known; nothing while one of the times is not.
pub(super) fn sse_cursor(SseId { epoch, times_us, mark }: SseId<'_>) -> Option<String> {
    if times_us.is_empty() || times_us.contains(&0) {
        return None;
    }
    let mut text = String::with_capacity(epoch.len() + times_us.len() * 12 + 20);
    text.push_str(epoch);
    for time_us in times_us {
        text.push('.');
        push_base36(*time_us, &mut text);
    }
    if let Some(Mark { topic_hash, offset }) = mark {
        text.push('-');
        push_base36(u64::from(topic_hash), &mut text);
        text.push('.');
        push_base36(offset, &mut text);
    }
    Some(text)
}

fn push_base36(mut value: u64, text: &mut String) {
    let mut digits = [0_u8; 13];
    let mut count = 0;
    loop {
        digits[count] =
            b"0123456789abcdefghijklmnopqrstuvwxyz"[usize::try_from(value % 36).unwrap_or(0)];
        value /= 36;
        count += 1;
        if value == 0 {
            break;
        }
    }
    text.extend(digits[..count].iter().rev().map(|digit| char::from(*digit)));
}

/// The subscriptions of each message that an event is told in: one for all, but for those that the dialect keeps apart.
pub(super) fn messages(to: Audience<'_>, subs: u64) -> impl Iterator<Item = u64> + use<> {
    let apart = to.class.key.voice.dialect.speaker().apart(to.subs(subs));
    let mut rest = apart & subs;
    let each = std::iter::from_fn(move || {
        let next = rest & rest.wrapping_neg();
        rest &= !next;
        (next != 0).then_some(next)
    });
    let together = subs & !apart;
    // For none of them is what goes on after its subscription has ended.
    (together != 0 || subs == 0).then_some(together).into_iter().chain(each)
}

/// The batch that an event for these subscriptions goes into: the strictest of theirs, and none if one of them wants it alone.
pub(super) fn batch_of(class: &Class, subs: u64) -> Option<Batch> {
    let mut strictest: Option<Batch> = None;
    for (index, sub) in class.key.subs.iter().enumerate() {
        if subs & (1 << index) == 0 {
            continue;
        }
        let batch = sub.batch?;
        strictest = Some(strictest.map_or(batch, |so_far| Batch {
            events_max: so_far.events_max.min(batch.events_max),
            delay_ms: so_far.delay_ms.min(batch.delay_ms),
            form: if so_far.form == batch.form { batch.form } else { BatchForm::Rows },
        }));
    }
    strictest
}

/// Adds an event's text to a class's open batch; true if its deadline is new.
pub(super) fn fill_batch(
    open: &mut OpenBatch,
    dialect: DialectId,
    batch: Batch,
    (event, text): (&Event, &[u8]),
    now: Now,
) -> bool {
    let due_ms = now.mono_ms + u64::from(batch.delay_ms);
    open.runs.add(dialect, event, text);
    open.events_max = open.events_max.min(batch.events_max);
    let is_sooner = due_ms < open.due_ms;
    open.due_ms = open.due_ms.min(due_ms);
    is_sooner
}

pub(super) fn is_batch_full(class: &Class) -> bool {
    class.open.as_ref().is_some_and(|open| open.runs.is_full(open.events_max))
}

/// Adds a frame to those that wait, and what those in sync read instead; true once so much waits that it must go out.
pub(super) fn push_frame(
    class: &mut Class,
    frame: FrameId,
    frames: &mut Frames,
    deflaters: &Deflaters,
) -> bool {
    class.waiting.plain.push(frame);
    class.waiting.bytes += frames.bytes(frame).len();
    let is_full = class.waiting.bytes >= CLASS_BYTES_MAX;
    let opcode = class.key.voice.opcode();
    let Some(stream) = &mut class.stream else { return is_full };
    let mut deflated = Vec::new();
    let plain = payload_of(frames.bytes(frame));
    if plain.len() < class.key.voice.dialect.speaker().manners.deflate_bytes_min {
        // The stream knows nothing of it, and neither does whoever inflates.
        class.waiting.deflated.push(frame);
        return is_full;
    }
    stream.deflater.compress(&[plain], &mut deflated);
    deflaters.count(plain.len(), deflated.len());
    put_header_before(0, opcode, &mut deflated);
    stream.messages += 1;
    class.waiting.deflated.push(frames.add(|out| out.extend_from_slice(&deflated)));
    is_full
}

/// A plain frame without its header.
fn payload_of(frame: &[u8]) -> &[u8] {
    let header_bytes = match frame[1] & 0x7f {
        126 => 4,
        127 => 10,
        _ => 2,
    };
    &frame[header_bytes..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_said_only_when_all_of_it_is_known() {
        let said = |times_us: &[u64], mark| sse_cursor(SseId { epoch: "e", times_us, mark });
        assert_eq!(said(&[35, 36], None).as_deref(), Some("e.z.10"));
        assert_eq!(said(&[35, 0], None), None);
        let mark = Some(Mark { topic_hash: 36, offset: 37 });
        assert_eq!(said(&[35], mark).as_deref(), Some("e.z-10.11"));
        assert_eq!(u64::from_str_radix("10", 36), Ok(36));
    }

    #[test]
    fn the_payload_of_a_frame_is_found_at_every_length() {
        for bytes in [0, 1, 125, 126, 65_535, 65_536] {
            let text = vec![b'x'; bytes];
            let transport = Transport::WebSocket { deflate: Deflate::Off };
            let voice = Voice { dialect: crate::dialect::native::NATIVE, transport };
            let mut frame = Vec::new();
            frame_plain(voice, &[&text], &mut frame);
            assert_eq!(payload_of(&frame).len(), bytes);
        }
    }
}
