//! The Connect protocol as far as one server-streaming call needs it: envelopes, the end of a stream, errors.
//!
//! Never sees a socket: what is read is a body, what is written goes into a chunk.

use std::fmt;

use super::request::Request;
use super::request::RequestError;
use crate::dialect::DialectId;
use crate::dialect::MediaType;
use crate::dialect::json;

/// The call's path.
pub const PATH: &str = "/peat.sidecar.v1.PeatSidecar/Subscribe";

/// Bytes before each message: flags, and its length in four bytes.
const ENVELOPE_BYTES: usize = 5;
const FLAG_COMPRESSED: u8 = 1;
const FLAG_END: u8 = 2;

const JSON: MediaType = MediaType { name: "application/connect+json", aliases: &[] };
const PROTO: MediaType = MediaType { name: "application/connect+proto", aliases: &[] };
/// What a call's body may be in.
pub const TYPES: &[&MediaType] = &[&JSON, &PROTO];

/// How messages are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    Json,
    Proto,
}

impl Codec {
    /// The codec of a body of one of [`TYPES`]; JSON, if it is not said of which.
    #[must_use]
    pub fn of(media: Option<&MediaType>) -> Self {
        if media == Some(&PROTO) { Self::Proto } else { Self::Json }
    }

    /// The reply's `Content-Type`.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Json => JSON.name,
            Self::Proto => PROTO.name,
        }
    }

    /// Who writes its messages.
    #[must_use]
    pub const fn dialect(self) -> DialectId {
        match self {
            Self::Json => super::PEAT,
            Self::Proto => super::PEAT_PROTO,
        }
    }
}

/// What a call's head says of its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    pub codec: Codec,
    /// There is one version of the protocol; a call may leave out which it speaks.
    pub is_version_known: bool,
}

impl Terms {
    /// The terms of a call whose body is of this one of [`TYPES`] (JSON, if it is not said), and that says this version.
    #[must_use]
    pub fn of(media: Option<&MediaType>, protocol_version: Option<&str>) -> Self {
        let is_version_known = protocol_version.is_none_or(|one| one == "1");
        Self { codec: Codec::of(media), is_version_known }
    }
}

/// Why a call is not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallError {
    Request(RequestError),
    UnknownVersion,
    /// The body is not one whole enveloped message.
    BadEnvelope,
    Compressed,
    NotUtf8,
    /// Whoever calls is no longer let in.
    Unauthenticated {
        reason: Box<str>,
    },
    ShuttingDown,
}

impl CallError {
    /// The error's code in Connect.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Request(_) | Self::UnknownVersion | Self::BadEnvelope | Self::NotUtf8 => {
                "invalid_argument"
            }
            Self::Compressed => "unimplemented",
            Self::Unauthenticated { .. } => "unauthenticated",
            Self::ShuttingDown => "unavailable",
        }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(error) => error.fmt(f),
            Self::UnknownVersion => write!(f, "connect-protocol-version must be \"1\""),
            Self::BadEnvelope => write!(f, "the body is not one enveloped message"),
            Self::Compressed => write!(f, "compressed messages are not taken: only identity is"),
            Self::NotUtf8 => write!(f, "the message is not UTF-8"),
            Self::Unauthenticated { reason } => f.write_str(reason),
            Self::ShuttingDown => write!(f, "the server is shutting down"),
        }
    }
}

impl std::error::Error for CallError {}

/// Reads a call's body.
///
/// # Errors
/// Why it is not carried out.
pub fn request(terms: Terms, body: &[u8]) -> Result<Request, CallError> {
    if !terms.is_version_known {
        return Err(CallError::UnknownVersion);
    }
    let Some((&[flags, a, b, c, d], message)) = body.split_first_chunk::<ENVELOPE_BYTES>() else {
        return Err(CallError::BadEnvelope);
    };
    if u32::from_be_bytes([a, b, c, d]) as usize != message.len() || flags & FLAG_END != 0 {
        return Err(CallError::BadEnvelope);
    }
    if flags & FLAG_COMPRESSED != 0 {
        return Err(CallError::Compressed);
    }
    let request = match terms.codec {
        Codec::Proto => Request::of_proto(message),
        Codec::Json => {
            Request::of_json(std::str::from_utf8(message).map_err(|_| CallError::NotUtf8)?)
        }
    };
    request.map_err(CallError::Request)
}

/// Appends the envelope of a message of so many bytes, which follows.
pub fn put_envelope(message_bytes: usize, out: &mut Vec<u8>) {
    put_head(0, message_bytes, out);
}

/// Appends the message that ends every stream: with what went wrong, if something did.
pub fn put_end(error: Option<&CallError>, out: &mut Vec<u8>) {
    let mut text = Vec::new();
    match error {
        None => text.extend_from_slice(b"{}"),
        Some(error) => {
            text.extend_from_slice(br#"{"error":"#);
            put_error(error.code(), &error.to_string(), &mut text);
            text.push(b'}');
        }
    }
    put_head(FLAG_END, text.len(), out);
    out.extend_from_slice(&text);
}

/// Appends `{"code":…,"message":…}`.
pub fn put_error(code: &str, message: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(br#"{"code":"#);
    json::string(code, out);
    out.extend_from_slice(br#","message":"#);
    json::string(message, out);
    out.push(b'}');
}

fn put_head(flags: u8, message_bytes: usize, out: &mut Vec<u8>) {
    let length = u32::try_from(message_bytes).expect("a message is bounded far below 4 GiB");
    out.push(flags);
    out.extend_from_slice(&length.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    const IN_JSON: Terms = Terms { codec: Codec::Json, is_version_known: true };
    const IN_PROTO: Terms = Terms { codec: Codec::Proto, is_version_known: true };

    #[test]
    fn each_fault_has_its_text() {
        let refused = |body: &[u8]| request(IN_JSON, body).unwrap_err().to_string();
        assert_eq!(refused(&[0, 0, 0, 0, 1, 0xff]), "the message is not UTF-8");
        assert_eq!(
            refused(&[1, 0, 0, 0, 0]),
            "compressed messages are not taken: only identity is"
        );
        assert_eq!(refused(b"{}"), "the body is not one enveloped message");
    }

    #[test]
    fn a_body_is_one_envelope() {
        let body = b"\0\0\0\0\x15{\"collections\":[\"a\"]}";
        assert_eq!(request(IN_JSON, body).unwrap().collections, ["a"]);
        for body in
            [&b""[..], b"\0\0\0\0", b"\0\0\0\0\x03{}", b"\0\0\0\0\x01{}", b"\x02\0\0\0\x02{}"]
        {
            assert_eq!(request(IN_JSON, body), Err(CallError::BadEnvelope), "{body:?}");
        }
        assert_eq!(request(IN_JSON, b"\x01\0\0\0\x02{}"), Err(CallError::Compressed));
        assert!(request(IN_PROTO, b"\0\0\0\0\0").unwrap().collections.is_empty());
    }

    #[test]
    fn the_version_may_be_left_out_and_is_one_otherwise() {
        let terms = |version| Terms::of(Some(&JSON), version);
        assert_eq!(terms(None), IN_JSON);
        assert_eq!(terms(Some("1")), IN_JSON);
        let error = request(terms(Some("2")), b"\0\0\0\0\x02{}").unwrap_err();
        assert_eq!(
            (error.code(), &*error.to_string()),
            ("invalid_argument", "connect-protocol-version must be \"1\"")
        );
        assert_eq!(Terms::of(Some(&PROTO), None), IN_PROTO);
    }

    #[test]
    fn a_stream_ends_with_what_went_wrong() {
        let mut out = Vec::new();
        put_end(None, &mut out);
        assert_eq!(out, b"\x02\0\0\0\x02{}");
        out.clear();
        put_end(Some(&CallError::BadEnvelope), &mut out);
        assert_eq!(
            &out[5..],
            br#"{"error":{"code":"invalid_argument","message":"the body is not one enveloped message"}}"#
        );
    }
}
