//! Every way in which a client can break RFC 6455 or our limits, and the close code that answers it.

use std::fmt;

use crate::limits::MESSAGE_FRAMES_MAX;
use crate::wire::deflate::InflateError;
use crate::wire::utf8::NotUtf8;

/// A rule of RFC 6455 or a limit that a client broke. The connection is closed with [`Violation::code`] and the text of `Display` as the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// RSV2 or RSV3 is set, or RSV1 although no extension was agreed.
    ReservedBits,
    /// RSV1 on a continuation or a control frame.
    DeflatedBitMisplaced,
    /// An opcode that means nothing.
    BadOpcode { opcode: u8 },
    /// A frame from a client without a mask.
    Unmasked,
    /// A control frame of more than 125 bytes.
    ControlTooLong,
    /// A control frame without FIN.
    ControlFragmented,
    /// A length in more bytes than it needs.
    LengthNotMinimal,
    /// A length of 64 bits.
    LengthTooLarge,
    /// A continuation frame without a message that it continues.
    NothingToContinue,
    /// A new message before the end of the fragmented one.
    MessageInterrupted,
    /// A close frame with half a code.
    CloseCodeCut,
    /// A close code that must not be sent.
    CloseCodeInvalid { code: u16 },
    /// A close frame's reason is not UTF-8.
    CloseReasonNotUtf8,
    /// A text message is not UTF-8.
    TextNotUtf8,
    /// A message is over the limit in bytes, as it came or inflated.
    MessageTooLarge { bytes_max: u32 },
    /// A message has too many frames.
    TooManyFrames,
    /// A deflated message does not inflate.
    NotDeflated(InflateError),
}

impl Violation {
    /// The close code that answers the violation.
    //= rfc6455#7.4.1
    //# 1002 indicates that an endpoint is terminating the connection due to a protocol error.
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::TextNotUtf8 | Self::CloseReasonNotUtf8 | Self::NotDeflated(_) => 1007,
            Self::MessageTooLarge { .. } | Self::TooManyFrames => 1009,
            _ => 1002,
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::ReservedBits => "a reserved bit is set",
            Self::DeflatedBitMisplaced => "RSV1 on a frame that does not begin a message",
            Self::BadOpcode { opcode } => return write!(f, "opcode {opcode} is not known"),
            Self::Unmasked => "a client's frames must be masked",
            Self::ControlTooLong => "a control frame is longer than 125 bytes",
            Self::ControlFragmented => "a control frame is fragmented",
            Self::LengthNotMinimal => "a frame's length is not minimal",
            Self::LengthTooLarge => "a frame's length has its highest bit set",
            Self::NothingToContinue => "a continuation without a message",
            Self::MessageInterrupted => "a new message before the last one ended",
            Self::CloseCodeCut => "a close frame of one byte",
            Self::CloseCodeInvalid { code } => {
                return write!(f, "close code {code} must not be sent");
            }
            Self::CloseReasonNotUtf8 => "a close reason is not UTF-8",
            Self::TextNotUtf8 => "a text message is not UTF-8",
            Self::MessageTooLarge { bytes_max } => {
                return write!(f, "a message is larger than {bytes_max} bytes");
            }
            Self::TooManyFrames => {
                return write!(f, "a message has more than {MESSAGE_FRAMES_MAX} frames");
            }
            Self::NotDeflated(error) => return error.fmt(f),
        };
        f.write_str(text)
    }
}

impl std::error::Error for Violation {}

impl From<NotUtf8> for Violation {
    fn from(_: NotUtf8) -> Self {
        Self::TextNotUtf8
    }
}
