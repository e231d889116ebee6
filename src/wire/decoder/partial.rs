//! What a connection holds while a frame or a message has come only in part, and what a shard keeps to finish it.
//!
//! Invariant: a connection between two messages holds nothing. Memory follows bytes that arrived, never a length that was announced.

use fastwebsockets::OpCode;

use crate::limits::INFLATED_KEPT_BYTES_MAX;
use crate::limits::PARTIAL_SPARE_BYTES_MAX;
use crate::limits::PARTIAL_SPARES_MAX;
use crate::wire::decoder::header::CLIENT_HEADER_BYTES_MAX;
use crate::wire::decoder::header::Frame;
use crate::wire::decoder::violation::Violation;
use crate::wire::deflate::InflateError;
use crate::wire::deflate::Inflater;
use crate::wire::frame::CONTROL_BYTES_MAX;
use crate::wire::grow::extend;
use crate::wire::utf8::Text;

/// What has come of a header, a frame and a message that are not complete.
#[derive(Debug)]
pub(super) struct Partial {
    pub(super) header: InlineBytes<CLIENT_HEADER_BYTES_MAX>,
    pub(super) frame: Option<Frame>,
    pub(super) control: InlineBytes<CONTROL_BYTES_MAX>,
    pub(super) message: Option<Message>,
    /// A text message, as far as it has come.
    pub(super) text: Text,
    /// A binary or a deflated message, as far as it has come.
    pub(super) bytes: Vec<u8>,
}

/// A message of which at least the first header has come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message {
    pub(super) opcode: OpCode,
    pub(super) deflated: bool,
    pub(super) frame_count: u32,
}

/// A few bytes, held without an allocation.
#[derive(Debug)]
pub(super) struct InlineBytes<const N: usize> {
    bytes: [u8; N],
    count: usize,
}

/// What all decoders of a shard share: one inflater, and the buffers of messages that are done.
#[derive(Debug, Default)]
pub struct Inbound {
    /// Made when the first deflated message comes.
    inflater: Option<Inflater>,
    pub(super) text: Text,
    pub(super) bytes: Vec<u8>,
    #[expect(
        clippy::vec_box,
        reason = "the boxes are what is kept: they move to a decoder and back"
    )]
    spares: Vec<Box<Partial>>,
}

impl Partial {
    fn new() -> Self {
        Self {
            header: InlineBytes::new(),
            frame: None,
            control: InlineBytes::new(),
            message: None,
            text: Text::default(),
            bytes: Vec::new(),
        }
    }

    /// Whether no header, frame or message has come in part.
    pub(super) const fn is_idle(&self) -> bool {
        self.header.count == 0 && self.frame.is_none() && self.message.is_none()
    }

    /// Bytes of memory set aside for the message, used or not.
    pub(super) fn held_bytes(&self) -> usize {
        size_of::<Self>() + self.text.capacity() + self.bytes.capacity()
    }

    /// Bytes of the message so far; deflated ones if it is deflated.
    pub(super) fn message_bytes(&self) -> usize {
        self.text.len() + self.bytes.len()
    }

    /// Takes a piece of the message.
    pub(super) fn absorb(&mut self, message: Message, piece: &[u8]) -> Result<(), Violation> {
        if message.opcode == OpCode::Text && !message.deflated {
            self.text.push(piece)?;
        } else {
            extend(&mut self.bytes, piece);
        }
        Ok(())
    }

    fn clear(&mut self) {
        self.header.count = 0;
        self.frame = None;
        self.control.count = 0;
        self.message = None;
        self.text.clear();
        self.bytes.clear();
    }
}

impl<const N: usize> InlineBytes<N> {
    const fn new() -> Self {
        Self { bytes: [0; N], count: 0 }
    }

    /// Adds `bytes`, which the caller knows to fit.
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        let end = self.count + bytes.len();
        self.bytes[self.count..end].copy_from_slice(bytes);
        self.count = end;
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.count]
    }

    pub(super) const fn clear(&mut self) {
        self.count = 0;
    }
}

impl Inbound {
    pub(super) fn spare(&mut self) -> Box<Partial> {
        self.spares.pop().unwrap_or_else(|| Box::new(Partial::new()))
    }

    /// Takes back a buffer that a decoder no longer needs.
    pub(super) fn recycle(&mut self, mut partial: Box<Partial>) {
        let held_bytes = partial.text.capacity() + partial.bytes.capacity();
        if self.spares.len() < PARTIAL_SPARES_MAX && held_bytes <= PARTIAL_SPARE_BYTES_MAX {
            partial.clear();
            self.spares.push(partial);
        }
    }

    /// Frees the buffers that a large message left, so that they are not held for the life of the shard.
    #[inline]
    pub(super) fn forget_large(&mut self) {
        if self.text.capacity() > INFLATED_KEPT_BYTES_MAX {
            self.text = Text::default();
        }
        if self.bytes.capacity() > INFLATED_KEPT_BYTES_MAX {
            self.bytes = Vec::new();
        }
    }

    /// Inflates a text message into `self.text`.
    pub(super) fn inflate_text(
        &mut self,
        message: &[u8],
        bytes_max: u32,
    ) -> Result<&str, Violation> {
        let Self { inflater, text, .. } = self;
        text.clear();
        let inflater = inflater.get_or_insert_with(Inflater::new);
        inflater
            .inflate(message, bytes_max as usize, |piece| text.push(piece).map_err(Violation::from))
            .map_err(|error| with_limit(error, bytes_max))?;
        Ok(text.finish()?)
    }

    /// Inflates a binary message into `self.bytes`.
    pub(super) fn inflate_bytes(
        &mut self,
        message: &[u8],
        bytes_max: u32,
    ) -> Result<&[u8], Violation> {
        let Self { inflater, bytes, .. } = self;
        bytes.clear();
        let inflater = inflater.get_or_insert_with(Inflater::new);
        inflater
            .inflate(message, bytes_max as usize, |piece| {
                extend(bytes, piece);
                Ok::<(), Violation>(())
            })
            .map_err(|error| with_limit(error, bytes_max))?;
        Ok(bytes)
    }
}

impl From<InflateError> for Violation {
    fn from(error: InflateError) -> Self {
        Self::NotDeflated(error)
    }
}

/// A message that inflates beyond the limit is too large, not malformed.
const fn with_limit(violation: Violation, bytes_max: u32) -> Violation {
    match violation {
        Violation::NotDeflated(InflateError::TooLarge) => Violation::MessageTooLarge { bytes_max },
        other => other,
    }
}
