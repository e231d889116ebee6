//! Inflating messages of clients, the one place where that is done: a message at a time, a step at a time, never beyond the cap.
//!
//! Invariants: what comes out is handed on before more is made, so a bomb costs one step beyond the cap; every call ends, whatever the
//! bytes. Nothing is remembered between two messages.

use std::fmt;

use flate2::Decompress;
use flate2::FlushDecompress;
use flate2::Status;

use crate::limits::INFLATE_STEP_BYTES;
use crate::limits::INFLATE_STREAMS_MAX;

/// What follows a message's bytes: the tail that the sender removed, and an empty final block. A stream that does not end exactly there
/// was cut short.
//= rfc7692#7.2.2
//# Append 4 octets of 0x00 0x00 0xff 0xff to the tail end of the payload of the message.
const TAIL: [u8; 9] = [0x00, 0x00, 0xff, 0xff, 0x01, 0x00, 0x00, 0xff, 0xff];

/// Inflates messages whose senders keep no context. One serves all connections of a shard; takes about 80 KB.
#[derive(Debug)]
pub struct Inflater {
    stream: Decompress,
    step: Box<[u8]>,
}

/// Why a message does not inflate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InflateError {
    /// The bytes are no deflate stream.
    Corrupt,
    /// The message ends within a block.
    Truncated,
    /// The message inflates to more bytes than the caller takes.
    TooLarge,
    /// The message consists of too many streams.
    TooManyStreams,
}

impl Default for Inflater {
    fn default() -> Self {
        Self::new()
    }
}

impl Inflater {
    /// An inflater for any window.
    #[expect(clippy::disallowed_methods, reason = "this is the capped inflater")]
    #[must_use]
    pub fn new() -> Self {
        Self { stream: Decompress::new(false), step: vec![0; INFLATE_STEP_BYTES].into() }
    }

    /// Inflates one message, handing `sink` what comes out, piece by piece, `bytes_max` bytes at most.
    ///
    /// # Errors
    /// When the message is malformed or too large, or when `sink` refuses a piece.
    pub fn inflate<E: From<InflateError>>(
        &mut self,
        message: &[u8],
        bytes_max: usize,
        mut sink: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        // RFC 7692 sends an empty message as one byte; no byte at all can mean nothing else.
        if message.is_empty() {
            return Ok(());
        }
        let mut made_bytes = 0;
        let mut stream_count = 1;
        self.stream.reset(false);
        for source in [message, &TAIL] {
            let mut rest = source;
            while !rest.is_empty() {
                // One byte of room beyond the cap tells a message that reaches it from one that passes it.
                let room = self.step.len().min(bytes_max - made_bytes + 1);
                let (status, taken, made) = self.step(rest, room)?;
                made_bytes += made;
                if made_bytes > bytes_max {
                    return Err(InflateError::TooLarge.into());
                }
                sink(&self.step[..made])?;
                rest = &rest[taken..];
                if status == Status::StreamEnd {
                    // In the message itself: some senders end it with a final block and leave out the byte that should follow.
                    if rest.is_empty() {
                        return Ok(());
                    }
                    //= rfc7692#7.2.3.4
                    //# On platforms on which the flush method using an empty DEFLATE block with no compression is not available,
                    //# implementors can choose to flush data using DEFLATE blocks with "BFINAL" set to 1.
                    stream_count += 1;
                    if stream_count > INFLATE_STREAMS_MAX {
                        return Err(InflateError::TooManyStreams.into());
                    }
                    self.stream.reset(false);
                } else if taken == 0 && made == 0 {
                    return Err(InflateError::Corrupt.into());
                }
            }
        }
        Err(InflateError::Truncated.into())
    }

    /// Calls the library once: the stream's state, the bytes taken and the bytes made.
    fn step(&mut self, source: &[u8], room: usize) -> Result<(Status, usize, usize), InflateError> {
        let (in_before, out_before) = (self.stream.total_in(), self.stream.total_out());
        let status = self
            .stream
            .decompress(source, &mut self.step[..room], FlushDecompress::None)
            .map_err(|_| InflateError::Corrupt)?;
        let taken = self.stream.total_in() - in_before;
        let made = self.stream.total_out() - out_before;
        let within = |count: u64| usize::try_from(count).expect("counts bytes of a slice");
        Ok((status, within(taken), within(made)))
    }
}

impl fmt::Display for InflateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Corrupt => "a deflated message is corrupt",
            Self::Truncated => "a deflated message ends within a block",
            Self::TooLarge => "a deflated message is too large once inflated",
            Self::TooManyStreams => "a deflated message has too many final blocks",
        })
    }
}

impl std::error::Error for InflateError {}
