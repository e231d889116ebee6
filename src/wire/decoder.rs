//! What a WebSocket client sends: frames in, whole messages out, RFC 6455 to the letter.
//!
//! A message that lies whole in the read buffer is handed out where it lies. Only what is cut by the end of a buffer or by
//! fragmentation is gathered, in memory that goes back to the shard with the message's end.
//!
//! Invariants: any split of the bytes gives the same messages and the same violation; a decoder between two messages is 16 bytes and
//! owns nothing; after a close frame or a violation nothing more is said. Who calls may pause after any message: what follows it is
//! neither looked at nor inflated before it is asked for. Never answers anything: the caller sends pongs and closes.

mod header;

mod partial;

mod violation;

use std::ops::ControlFlow;

use fastwebsockets::CloseCode;
use fastwebsockets::OpCode;

use crate::limits::MESSAGE_BYTES_MAX;
use crate::limits::MESSAGE_FRAMES_MAX;
use crate::wire::decoder::header::Frame;
use crate::wire::decoder::partial::Message;
use crate::wire::decoder::partial::Partial;

pub use partial::Inbound;
pub use violation::Violation;

/// A message or control frame of a client, or what ends its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incoming<'a> {
    Text(&'a str),
    Binary(&'a [u8]),
    Ping(&'a [u8]),
    Pong(&'a [u8]),
    /// A close frame: the last that a client sends.
    Close {
        code: Option<u16>,
        reason: &'a str,
    },
}

/// The decoder of one connection: the frame and the message in which its bytes stand.
#[derive(Debug)]
pub struct Decoder {
    partial: Option<Box<Partial>>,
    bytes_max: u32,
    may_deflate: bool,
    ended: bool,
}

const _: () = assert!(size_of::<Decoder>() <= 24);

/// How a feed went on, short of a violation: `Break` when the client has sent its close frame, or the caller wants no more for now.
type Flow = ControlFlow<()>;

impl Decoder {
    /// A decoder for messages of at most `bytes_max` bytes (never more than `MESSAGE_BYTES_MAX`), deflated ones only if that was agreed.
    #[must_use]
    pub fn new(bytes_max: usize, may_deflate: bool) -> Self {
        let bytes_max = u32::try_from(bytes_max.min(MESSAGE_BYTES_MAX))
            .expect("limits: a message's length fits in 32 bits");
        Self { partial: None, bytes_max, may_deflate, ended: false }
    }

    /// Feeds the next bytes, unmasked in place, and calls `on` for each message or control frame that the bytes complete; returns how many bytes were taken.
    ///
    /// When `on` breaks, the bytes that follow are left as they came, to be fed later. After a close frame all bytes are taken and forgotten.
    ///
    /// # Errors
    /// At the first byte that breaks a rule. What was complete before it has been handed out.
    pub fn feed(
        &mut self,
        bytes: &mut [u8],
        inbound: &mut Inbound,
        on: &mut impl FnMut(Incoming<'_>) -> Flow,
    ) -> Result<usize, Violation> {
        let count = bytes.len();
        if self.ended {
            return Ok(count);
        }
        let mut rest = bytes;
        let flow = self.run(&mut rest, inbound, on);
        let left = rest.len();
        inbound.forget_large();
        self.ended |= flow.is_err();
        let done = self.ended || self.partial.as_ref().is_some_and(|partial| partial.is_idle());
        if done && let Some(partial) = self.partial.take() {
            inbound.recycle(partial);
        }
        flow?;
        Ok(if self.ended { count } else { count - left })
    }

    /// Bytes of memory that the decoder holds for a message that has come in part, used or not.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.partial.as_ref().map_or(0, |partial| partial.held_bytes())
    }

    /// Bytes that have come of a message that is not complete; deflated ones if the message is deflated.
    #[must_use]
    pub fn message_bytes(&self) -> usize {
        self.partial.as_ref().map_or(0, |partial| partial.message_bytes())
    }

    /// Whether a close frame, a violation or the caller has ended the decoding.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether the decoder stands between two messages, owning nothing.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        self.partial.is_none()
    }

    /// Gives the decoder's memory back to the shard, when the connection has gone.
    pub fn release(&mut self, inbound: &mut Inbound) {
        self.ended = true;
        if let Some(partial) = self.partial.take() {
            inbound.recycle(partial);
        }
    }

    fn run(
        &mut self,
        bytes: &mut &mut [u8],
        inbound: &mut Inbound,
        on: &mut impl FnMut(Incoming<'_>) -> Flow,
    ) -> Result<(), Violation> {
        while !bytes.is_empty() {
            let begun = self.partial.as_mut().and_then(|partial| partial.frame.take());
            let mut frame = match begun {
                Some(frame) => frame,
                None => match self.read_header(bytes, inbound)? {
                    Some(frame) => frame,
                    None => break,
                },
            };
            let piece = frame.take(bytes);
            let flow = if frame.fresh && frame.left == 0 && self.stands_alone(&frame) {
                self.hand_out(&frame, piece, inbound, on)?
            } else {
                self.gather(frame, piece, inbound, on)?
            };
            self.ended = frame.opcode == OpCode::Close && frame.left == 0;
            if flow.is_break() || self.ended {
                break;
            }
        }
        Ok(())
    }

    /// The next frame's header, off the front of `bytes`; `None` if they end within it.
    fn read_header(
        &mut self,
        bytes: &mut &mut [u8],
        inbound: &mut Inbound,
    ) -> Result<Option<Frame>, Violation> {
        let gathering =
            self.partial.as_ref().is_some_and(|partial| !partial.header.as_slice().is_empty());
        if !gathering {
            if let Some((frame, header_bytes)) = Frame::read(bytes, self.may_deflate)? {
                let (_, rest) = std::mem::take(bytes).split_at_mut(header_bytes);
                *bytes = rest;
                self.admit(&frame)?;
                return Ok(Some(frame));
            }
            let partial = self.partial.get_or_insert_with(|| inbound.spare());
            let begun = std::mem::take(bytes);
            partial.header.extend(begun);
            return Ok(None);
        }
        let partial = self.partial.get_or_insert_with(|| inbound.spare());
        while let Some((next, rest)) = std::mem::take(bytes).split_first_mut() {
            *bytes = rest;
            partial.header.extend(std::slice::from_ref(next));
            if let Some((frame, _)) = Frame::read(partial.header.as_slice(), self.may_deflate)? {
                partial.header.clear();
                self.admit(&frame)?;
                return Ok(Some(frame));
            }
        }
        Ok(None)
    }

    /// Checks a frame against the frames before it and against the limits, before a byte of the frame is taken.
    fn admit(&self, frame: &Frame) -> Result<(), Violation> {
        if frame.is_control() {
            return Ok(());
        }
        let message = self.partial.as_ref().and_then(|partial| partial.message);
        match (frame.opcode, message) {
            (OpCode::Continuation, None) => return Err(Violation::NothingToContinue),
            (OpCode::Text | OpCode::Binary, Some(_)) => return Err(Violation::MessageInterrupted),
            (_, Some(message)) if message.frame_count >= MESSAGE_FRAMES_MAX => {
                return Err(Violation::TooManyFrames);
            }
            _ => {}
        }
        let so_far = self.partial.as_ref().map_or(0, |partial| partial.message_bytes());
        let deflated = message.map_or(frame.deflated, |message| message.deflated);
        let bytes_max = u64::from(self.bytes_max);
        // Deflating bytes that do not compress adds an eighth at worst; the limit is for the inflated length, which is checked later.
        let arriving_max = if deflated { bytes_max + bytes_max / 8 + 64 } else { bytes_max };
        if frame.left > arriving_max.saturating_sub(so_far as u64) {
            return Err(Violation::MessageTooLarge { bytes_max: self.bytes_max });
        }
        Ok(())
    }

    /// Whether a frame is a whole message, or a control frame.
    fn stands_alone(&self, frame: &Frame) -> bool {
        let within_message = self.partial.as_ref().is_some_and(|partial| partial.message.is_some());
        frame.is_control() || frame.fin && !within_message
    }

    /// Hands out a frame that lies whole in the read buffer.
    fn hand_out(
        &self,
        frame: &Frame,
        payload: &[u8],
        inbound: &mut Inbound,
        on: &mut impl FnMut(Incoming<'_>) -> Flow,
    ) -> Result<Flow, Violation> {
        Ok(on(match frame.opcode {
            OpCode::Text if frame.deflated => {
                Incoming::Text(inbound.inflate_text(payload, self.bytes_max)?)
            }
            OpCode::Text => {
                let text = simdutf8::basic::from_utf8(payload);
                Incoming::Text(text.map_err(|_| Violation::TextNotUtf8)?)
            }
            OpCode::Binary if frame.deflated => {
                Incoming::Binary(inbound.inflate_bytes(payload, self.bytes_max)?)
            }
            OpCode::Binary => Incoming::Binary(payload),
            OpCode::Ping => Incoming::Ping(payload),
            OpCode::Pong => Incoming::Pong(payload),
            OpCode::Close => read_close(payload)?,
            OpCode::Continuation => unreachable!("a continuation does not stand alone"),
        }))
    }

    /// Adds a piece of payload to its frame and message, and hands out the message that the piece completes.
    fn gather(
        &mut self,
        mut frame: Frame,
        piece: &[u8],
        inbound: &mut Inbound,
        on: &mut impl FnMut(Incoming<'_>) -> Flow,
    ) -> Result<Flow, Violation> {
        let mut partial = self.partial.take().unwrap_or_else(|| inbound.spare());
        let mut flow = Flow::Continue(());
        if frame.is_control() {
            partial.control.extend(piece);
            if frame.left == 0 {
                flow = self.hand_out(&frame, partial.control.as_slice(), inbound, on)?;
                partial.control.clear();
            }
        } else {
            let message = match partial.message {
                Some(message) => {
                    Message { frame_count: message.frame_count + u32::from(frame.fresh), ..message }
                }
                None => Message { opcode: frame.opcode, deflated: frame.deflated, frame_count: 1 },
            };
            partial.message = Some(message);
            partial.absorb(message, piece)?;
            if frame.left == 0 && frame.fin {
                flow = self.finish(&mut partial, message, inbound, on)?;
            }
        }
        if frame.left > 0 {
            frame.fresh = false;
            partial.frame = Some(frame);
        }
        self.partial = Some(partial);
        Ok(flow)
    }

    /// Hands out a gathered message.
    fn finish(
        &self,
        partial: &mut Partial,
        message: Message,
        inbound: &mut Inbound,
        on: &mut impl FnMut(Incoming<'_>) -> Flow,
    ) -> Result<Flow, Violation> {
        let flow = on(match (message.opcode, message.deflated) {
            (OpCode::Text, true) => {
                Incoming::Text(inbound.inflate_text(&partial.bytes, self.bytes_max)?)
            }
            (OpCode::Text, false) => Incoming::Text(partial.text.finish()?),
            (_, true) => Incoming::Binary(inbound.inflate_bytes(&partial.bytes, self.bytes_max)?),
            (_, false) => Incoming::Binary(&partial.bytes),
        });
        partial.message = None;
        partial.text.clear();
        partial.bytes.clear();
        Ok(flow)
    }
}

/// The code and the reason of a close frame.
//= rfc6455#5.5.1
//# If there is a body, the first two bytes of the body MUST be a 2-byte unsigned integer (in network byte order) representing a status
//# code
fn read_close(payload: &[u8]) -> Result<Incoming<'_>, Violation> {
    if payload.is_empty() {
        return Ok(Incoming::Close { code: None, reason: "" });
    }
    let (&code, reason) = payload.split_first_chunk::<2>().ok_or(Violation::CloseCodeCut)?;
    let code = u16::from_be_bytes(code);
    // 1014 (bad gateway) is registered, but younger than the package that knows the others.
    if code != 1014 && !CloseCode::from(code).is_allowed() {
        return Err(Violation::CloseCodeInvalid { code });
    }
    let reason = simdutf8::basic::from_utf8(reason).map_err(|_| Violation::CloseReasonNotUtf8)?;
    Ok(Incoming::Close { code: Some(code), reason })
}

#[cfg(test)]
mod tests;
