//! A frame's header, as a client must send it.
//!
//! Invariant: everything that is wrong whatever came before is found here, at the first byte that shows it. Never looks at a payload.

use fastwebsockets::OpCode;

use crate::wire::decoder::violation::Violation;
use crate::wire::frame::CONTROL_BYTES_MAX;
use crate::wire::frame::FIN;
use crate::wire::frame::LENGTH_16;
use crate::wire::frame::LENGTH_64;
use crate::wire::frame::RSV1;

/// Bytes of the longest header that a client sends: 2, 8 of length and 4 of mask.
pub(super) const CLIENT_HEADER_BYTES_MAX: usize = 14;

const RESERVED: u8 = 0x70;
const OPCODE: u8 = 0x0f;
const MASKED: u8 = 0x80;

/// A frame whose payload is arriving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) opcode: OpCode,
    pub(super) fin: bool,
    pub(super) deflated: bool,
    /// Whether no byte of the payload has been taken yet.
    pub(super) fresh: bool,
    /// Bytes of payload still to come.
    pub(super) left: u64,
    /// The mask, rotated so that its first byte is for the next byte of payload.
    mask: [u8; 4],
}

impl Frame {
    /// Reads a header at the start of `bytes`: the frame and the header's length in bytes; `None` if the header is not all there and nothing
    /// is wrong with the part that is.
    #[inline]
    pub(super) fn read(
        bytes: &[u8],
        may_deflate: bool,
    ) -> Result<Option<(Self, usize)>, Violation> {
        let Some((&first, rest)) = bytes.split_first() else { return Ok(None) };
        let fin = first & FIN != 0;
        let opcode = read_opcode(first, fin, may_deflate)?;
        let Some((&second, rest)) = rest.split_first() else { return Ok(None) };
        //= rfc6455#5.1
        //# The server MUST close the connection upon receiving a frame that is not masked.
        if second & MASKED == 0 {
            return Err(Violation::Unmasked);
        }
        let short = second & !MASKED;
        if is_control(opcode) && usize::from(short) > CONTROL_BYTES_MAX {
            return Err(Violation::ControlTooLong);
        }
        let Some((left, rest)) = read_length(short, rest)? else { return Ok(None) };
        let Some((&mask, rest)) = rest.split_first_chunk::<4>() else { return Ok(None) };
        let deflated = first & RSV1 != 0;
        let frame = Self { opcode, fin, deflated, fresh: true, left, mask };
        Ok(Some((frame, bytes.len() - rest.len())))
    }

    /// Cuts the next piece of this frame's payload off `bytes` and unmasks it.
    #[inline]
    pub(super) fn take<'b>(&mut self, bytes: &mut &'b mut [u8]) -> &'b mut [u8] {
        let count = usize::try_from(self.left).map_or(bytes.len(), |left| left.min(bytes.len()));
        let (piece, rest) = std::mem::take(bytes).split_at_mut(count);
        *bytes = rest;
        fastwebsockets::unmask(piece, self.mask);
        self.mask.rotate_left(count % 4);
        self.left -= count as u64;
        piece
    }

    pub(super) const fn is_control(&self) -> bool {
        is_control(self.opcode)
    }
}

const fn is_control(opcode: OpCode) -> bool {
    matches!(opcode, OpCode::Close | OpCode::Ping | OpCode::Pong)
}

#[inline]
fn read_opcode(first: u8, fin: bool, may_deflate: bool) -> Result<OpCode, Violation> {
    let number = first & OPCODE;
    let opcode = OpCode::try_from(number).map_err(|_| Violation::BadOpcode { opcode: number })?;
    match first & RESERVED {
        0 => {}
        RSV1 if may_deflate => {
            //= rfc7692#6.1
            //# An endpoint MUST NOT set the "Per-Message Compressed" bit of control frames and non-first fragments of a data message.
            if !matches!(opcode, OpCode::Text | OpCode::Binary) {
                return Err(Violation::DeflatedBitMisplaced);
            }
        }
        //= rfc6455#5.2
        //# If a nonzero value is received and none of the negotiated extensions defines the meaning of such a nonzero value, the
        //# receiving endpoint MUST _Fail the WebSocket Connection_.
        _ => return Err(Violation::ReservedBits),
    }
    if is_control(opcode) && !fin {
        return Err(Violation::ControlFragmented);
    }
    Ok(opcode)
}

/// The payload's length, which is `short` or announced by it, and the bytes that follow the length.
#[inline]
fn read_length(short: u8, bytes: &[u8]) -> Result<Option<(u64, &[u8])>, Violation> {
    match short {
        LENGTH_16 => {
            let Some((&length, rest)) = bytes.split_first_chunk::<2>() else { return Ok(None) };
            let length = u16::from_be_bytes(length);
            if length < u16::from(LENGTH_16) {
                return Err(Violation::LengthNotMinimal);
            }
            Ok(Some((u64::from(length), rest)))
        }
        LENGTH_64 => {
            //= rfc6455#5.2
            //# the most significant bit MUST be 0
            if bytes.first().is_some_and(|first| first & 0x80 != 0) {
                return Err(Violation::LengthTooLarge);
            }
            let Some((&length, rest)) = bytes.split_first_chunk::<8>() else { return Ok(None) };
            let length = u64::from_be_bytes(length);
            if length <= u64::from(u16::MAX) {
                return Err(Violation::LengthNotMinimal);
            }
            Ok(Some((length, rest)))
        }
        _ => Ok(Some((u64::from(short), bytes))),
    }
}
