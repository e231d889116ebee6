//! Every way in which a request can be wrong, and the status that answers it.
//!
//! Invariant: after any of these the connection is closed, because where the next request begins is no longer known.

use std::fmt;

use crate::limits::BODY_OVERHEAD_BYTES_MAX;
use crate::limits::HEAD_BYTES_MAX;
use crate::limits::HEAD_FIELDS_MAX;
use crate::limits::REQUEST_LINE_BYTES_MAX;

/// The reason why a request is refused before its path is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpError {
    /// The request line is not `method SP target SP version CRLF`.
    BadRequestLine,
    /// The target is neither a path, nor a URL, nor `*`; or holds a `#`.
    BadTarget,
    /// A `%` of the target that no two hexadecimal digits follow, or `%00`.
    BadEscape { at: usize },
    /// The target's escapes do not spell UTF-8.
    TargetNotUtf8,
    /// The third word of the request line is not an HTTP version.
    BadVersion,
    /// An HTTP version that is not 1.0 or 1.1.
    UnsupportedVersion,
    /// A field's name has a character that no name may have, or none at all.
    BadFieldName,
    /// A field's value has a control character.
    BadFieldValue,
    /// White space within a field's name, or between it and its colon.
    SpaceInFieldName,
    /// A line that continues the one before it (obs-fold).
    FoldedField,
    /// A line that does not end in CR LF.
    BareLineFeed,
    /// HTTP/1.1 without `Host`.
    HostMissing,
    /// More than one `Host`.
    HostRepeated,
    /// A `Host` that is no host.
    HostInvalid,
    /// A field that this server reads and that has one value came more than once.
    FieldRepeated { name: &'static str },
    /// A field that this server reads has bytes that are no text.
    FieldNotText { name: &'static str },
    /// `Content-Length` is not a number.
    BadContentLength,
    /// More than one `Content-Length`, or a list in it.
    ContentLengthRepeated,
    /// The head has both `Content-Length` and `Transfer-Encoding`.
    LengthAndEncoding,
    /// `Transfer-Encoding` in HTTP/1.0, which does not have that field.
    EncodingInOldVersion,
    /// `Transfer-Encoding` is empty, or has `chunked` twice.
    BadTransferEncoding,
    /// A transfer coding other than `chunked`.
    UnknownTransferEncoding,
    /// `Expect` is not `100-continue`.
    UnknownExpectation,
    /// The request line is over its limit in bytes.
    RequestLineTooLong,
    /// The head is over its limit in bytes.
    HeadTooLarge,
    /// The head has too many fields.
    TooManyFields,
    /// A chunk's size is not a hexadecimal number of at most 16 digits.
    BadChunkSize,
    /// A chunk's extension has a control character, or its line does not end in CR LF.
    BadChunkLine,
    /// A chunk's data is not followed by CR LF.
    BadChunkEnd,
    /// A trailer that is not a field.
    BadTrailer,
    /// Chunk extensions and trailers over their limit.
    BodyOverheadTooLarge,
    /// The body is over the caller's limit.
    BodyTooLarge { limit: u64 },
}

impl HttpError {
    /// The status that answers the request.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::BodyTooLarge { .. } => 413,
            Self::RequestLineTooLong => 414,
            Self::UnknownExpectation => 417,
            Self::HeadTooLarge | Self::TooManyFields | Self::BodyOverheadTooLarge => 431,
            Self::UnknownTransferEncoding => 501,
            Self::UnsupportedVersion => 505,
            _ => 400,
        }
    }

    /// The error's code in the reply's body.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self.status() {
            413 => "too_large",
            414 => "target_too_long",
            417 => "unknown_expectation",
            431 => "head_too_large",
            501 => "unknown_transfer_coding",
            505 => "unsupported_version",
            _ => "bad_request",
        }
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::BadRequestLine => "request line is not `method target version`",
            Self::BadTarget => "request target is not a path",
            Self::BadEscape { at } => {
                return write!(f, "request target has a bad percent escape at byte {at}");
            }
            Self::TargetNotUtf8 => "request target is not UTF-8 once its escapes are resolved",
            Self::BadVersion => "request line does not end in an HTTP version",
            Self::UnsupportedVersion => "HTTP version is not 1.0 or 1.1",
            Self::BadFieldName => "a header field's name is missing or has an impossible character",
            Self::BadFieldValue => "a header field's value has a control character",
            Self::SpaceInFieldName => "white space in a header field's name or before its colon",
            Self::FoldedField => "a header field is continued on the next line",
            Self::BareLineFeed => "a line of the head does not end in CR LF",
            Self::HostMissing => "header field Host is missing",
            Self::HostRepeated => "header field Host is there more than once",
            Self::HostInvalid => "header field Host is not a host",
            Self::FieldRepeated { name } => {
                return write!(f, "header field {name} is there more than once");
            }
            Self::FieldNotText { name } => {
                return write!(f, "header field {name} is not text that can be read");
            }
            Self::BadContentLength => "header field Content-Length is not a number",
            Self::ContentLengthRepeated => "header field Content-Length is there more than once",
            Self::LengthAndEncoding => "both Content-Length and Transfer-Encoding are given",
            Self::EncodingInOldVersion => "HTTP/1.0 has no Transfer-Encoding",
            Self::BadTransferEncoding => "header field Transfer-Encoding is malformed",
            Self::UnknownTransferEncoding => "the only transfer coding known is chunked",
            Self::UnknownExpectation => "the only expectation known is 100-continue",
            Self::RequestLineTooLong => {
                return write!(f, "request line is longer than {REQUEST_LINE_BYTES_MAX} bytes");
            }
            Self::HeadTooLarge => {
                return write!(f, "request head is larger than {HEAD_BYTES_MAX} bytes");
            }
            Self::TooManyFields => {
                return write!(f, "request head has more than {HEAD_FIELDS_MAX} fields");
            }
            Self::BadChunkSize => "a chunk's size is not a hexadecimal number",
            Self::BadChunkLine => "a chunk's first line is malformed",
            Self::BadChunkEnd => "a chunk's data is not followed by CR LF",
            Self::BadTrailer => "a trailer field is malformed",
            Self::BodyOverheadTooLarge => {
                return write!(
                    f,
                    "chunk extensions and trailers are larger than {BODY_OVERHEAD_BYTES_MAX} bytes"
                );
            }
            Self::BodyTooLarge { limit } => {
                return write!(f, "body is larger than {limit} bytes");
            }
        };
        f.write_str(text)
    }
}

impl std::error::Error for HttpError {}
