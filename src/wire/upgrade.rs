//! The WebSocket handshake: RFC 6455 section 4.2 held to the letter, and the reply that completes it.
//!
//! Invariant: what follows the head of an accepted request is frames, beyond doubt. Never decides which path speaks which protocol.

use std::fmt;

use aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY;
use aws_lc_rs::digest::digest;

use crate::wire::deflate;
use crate::wire::deflate::Agreed;
use crate::wire::deflate::DeflateTerms;
use crate::wire::http::Answering;
use crate::wire::http::Framing;
use crate::wire::http::Head;
use crate::wire::http::Method;
use crate::wire::http::Reply;
use crate::wire::http::Version;
use crate::wire::http::fields;

/// The terms of an endpoint: the subprotocols and the compression that it agrees to.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// The endpoint's subprotocols. Empty: offers are ignored. Else an offer of none of these is refused.
    pub protocols: &'static [&'static str],
    /// Whether permessage-deflate may be agreed.
    pub deflate: DeflateTerms,
}

/// An accepted handshake: the connection may become a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upgrade {
    /// The subprotocol chosen: the first that was offered and that the endpoint has.
    pub protocol: Option<&'static str>,
    /// The compression agreed.
    pub deflate: Option<Agreed>,
    accept: [u8; ACCEPT_BYTES],
}

/// Why a request does not become a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpgradeError {
    /// The method is not GET.
    NotGet,
    /// The request is of HTTP/1.0.
    OldVersion,
    /// The request announces a body: the bytes behind its head would be both body and frames.
    HasBody,
    /// `Upgrade` does not list `websocket`: an ordinary request to an endpoint that only upgrades.
    NotAsked,
    /// `Connection` does not list `upgrade`.
    ConnectionKept,
    KeyMissing,
    KeyRepeated,
    /// The key is not 16 bytes in base64.
    KeyInvalid,
    /// `Sec-WebSocket-Version` is missing or is not 13.
    VersionUnsupported,
    VersionRepeated,
    /// Every subprotocol offered is unknown here.
    ProtocolUnknown,
    /// None is offered where one is needed.
    ProtocolMissing,
}

const KEY_BYTES: usize = 24;
const ACCEPT_BYTES: usize = 28;

//= rfc6455#1.3
//# "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

impl Upgrade {
    /// Judges a request by `terms`. That there is exactly one `Host` is already a condition of there being a `Head`.
    ///
    /// # Errors
    /// With the first condition that the request does not meet.
    pub fn check(head: &Head, terms: &Terms) -> Result<Self, UpgradeError> {
        if head.method != Method::Get {
            return Err(UpgradeError::NotGet);
        }
        if !head.wants_websocket() {
            return Err(UpgradeError::NotAsked);
        }
        if head.version < Version::Http11 {
            return Err(UpgradeError::OldVersion);
        }
        if !head.lists("connection", "upgrade") {
            return Err(UpgradeError::ConnectionKept);
        }
        if !matches!(head.framing, Framing::None | Framing::Length(0)) {
            return Err(UpgradeError::HasBody);
        }
        check_version(head)?;
        let key = read_key(head)?;
        let offers = head.headers("sec-websocket-extensions");
        Ok(Self {
            protocol: choose_protocol(head, terms.protocols)?,
            deflate: deflate::negotiate(terms.deflate, offers),
            accept: accept(key),
        })
    }

    /// Appends the reply that makes the connection a WebSocket.
    pub fn write_reply(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: ",
        );
        out.extend_from_slice(&self.accept);
        if let Some(protocol) = self.protocol {
            out.extend_from_slice(b"\r\nsec-websocket-protocol: ");
            out.extend_from_slice(protocol.as_bytes());
        }
        if let Some(agreed) = self.deflate {
            out.extend_from_slice(b"\r\nsec-websocket-extensions: ");
            agreed.put(out);
        }
        out.extend_from_slice(b"\r\n\r\n");
    }
}

impl UpgradeError {
    /// The status that answers the request.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::NotGet => 405,
            Self::NotAsked | Self::VersionUnsupported => 426,
            _ => 400,
        }
    }

    /// The error's code in the reply's body.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotGet => "method_not_allowed",
            Self::NotAsked | Self::VersionUnsupported => "upgrade_required",
            _ => "bad_upgrade",
        }
    }

    /// Appends the reply. The connection ends with it: what a confused client sends next may be frames.
    pub fn write_reply(self, out: &mut Vec<u8>, answering: &Answering) {
        let reply = Reply::begin(out, self.status(), &answering.last());
        let reply = match self.status() {
            405 => reply.header("allow", "GET"),
            //= rfc6455#4.2.2
            //# the server MUST abort processing the WebSocket handshake described here and instead send an appropriate HTTP error code
            //# (such as 426 Upgrade Required) and a |Sec-WebSocket-Version| header field indicating the version(s) the server is
            //# capable of understanding.
            426 => reply
                .header("connection", "upgrade")
                .header("upgrade", "websocket")
                .header("sec-websocket-version", "13"),
            _ => reply,
        };
        reply.error(self.code(), &self.to_string());
    }
}

impl fmt::Display for UpgradeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotGet => "a WebSocket is opened with GET",
            Self::OldVersion => "a WebSocket is opened with HTTP/1.1",
            Self::HasBody => "a request for a WebSocket has no body",
            Self::NotAsked => {
                "this is a WebSocket endpoint: header field Upgrade must list websocket"
            }
            Self::ConnectionKept => "header field Connection must list Upgrade",
            Self::KeyMissing => "header field Sec-WebSocket-Key is missing",
            Self::KeyRepeated => "header field Sec-WebSocket-Key is there more than once",
            Self::KeyInvalid => "header field Sec-WebSocket-Key is not 16 bytes in base64",
            Self::VersionUnsupported => "header field Sec-WebSocket-Version must be 13",
            Self::VersionRepeated => "header field Sec-WebSocket-Version is there more than once",
            Self::ProtocolMissing => {
                "Sec-WebSocket-Protocol is missing, and here a subprotocol is needed"
            }
            Self::ProtocolUnknown => "no subprotocol of Sec-WebSocket-Protocol is spoken here",
        })
    }
}

impl std::error::Error for UpgradeError {}

fn check_version(head: &Head) -> Result<(), UpgradeError> {
    let mut versions = head.headers("sec-websocket-version");
    let version = versions.next().ok_or(UpgradeError::VersionUnsupported)?;
    if versions.next().is_some() {
        return Err(UpgradeError::VersionRepeated);
    }
    if version == b"13" { Ok(()) } else { Err(UpgradeError::VersionUnsupported) }
}

//= rfc6455#4.2.1
//# A |Sec-WebSocket-Key| header field with a base64-encoded value that, when decoded, is 16 bytes in length.
fn read_key(head: &Head) -> Result<&[u8; KEY_BYTES], UpgradeError> {
    //= rfc6455#11.3.1
    //# The |Sec-WebSocket-Key| header field MUST NOT appear more than once in an HTTP request.
    let mut keys = head.headers("sec-websocket-key");
    let key = keys.next().ok_or(UpgradeError::KeyMissing)?;
    if keys.next().is_some() {
        return Err(UpgradeError::KeyRepeated);
    }
    let key: &[u8; KEY_BYTES] = key.try_into().map_err(|_| UpgradeError::KeyInvalid)?;
    let (digits, padding) = key.split_at(KEY_BYTES - 2);
    let valid = padding == b"=="
        && digits.iter().all(|digit| digit.is_ascii_alphanumeric() || matches!(digit, b'+' | b'/'));
    if valid { Ok(key) } else { Err(UpgradeError::KeyInvalid) }
}

/// The subprotocol that a request is answered with where these are spoken; `None`: none, or it is refused.
#[must_use]
pub fn chosen(head: &Head, spoken: &[&'static str]) -> Option<&'static str> {
    choose_protocol(head, spoken).ok().flatten()
}

/// Chooses a subprotocol: the first of the client's list, which is in the order of its preference, that the endpoint has.
fn choose_protocol(
    head: &Head,
    spoken: &[&'static str],
) -> Result<Option<&'static str>, UpgradeError> {
    if spoken.is_empty() {
        return Ok(None);
    }
    let mut offers = head.headers("sec-websocket-protocol").flat_map(fields::elements).peekable();
    if offers.peek().is_none() {
        return Ok(None);
    }
    offers
        .find_map(|offer| spoken.iter().find(|name| name.as_bytes() == offer))
        .map(|name| Some(*name))
        .ok_or(UpgradeError::ProtocolUnknown)
}

//= rfc6455#4.2.2
//# concatenating this value with the string "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", taking the SHA-1 hash of this concatenated value to
//# obtain a 20-byte value and base64-encoding
fn accept(key: &[u8; KEY_BYTES]) -> [u8; ACCEPT_BYTES] {
    let mut text = [0; KEY_BYTES + GUID.len()];
    text[..KEY_BYTES].copy_from_slice(key);
    text[KEY_BYTES..].copy_from_slice(GUID);
    // SHA-1 by the processor's own instructions takes a sixth of the time of portable code.
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, &text);
    encode(hash.as_ref())
}

/// Encodes 20 bytes in base64: six groups of 3 bytes, and 2 bytes with one `=`.
fn encode(bytes: &[u8]) -> [u8; ACCEPT_BYTES] {
    let mut text = [b'='; ACCEPT_BYTES];
    for (group, digits) in bytes.chunks(3).zip(text.chunks_mut(4)) {
        let at = |index: usize| u32::from(group.get(index).copied().unwrap_or_default());
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for (index, digit) in digits.iter_mut().enumerate().take(group.len() + 1) {
            *digit = BASE64[(bits >> (18 - 6 * index)) as usize & 63];
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::http::HttpDate;
    use crate::wire::http::parse_head;

    const TERMS: Terms =
        Terms { protocols: &["fanwire.v1", "fanwire.v2"], deflate: DeflateTerms::Any };

    const GOOD: [&str; 5] = [
        "Host: h",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
    ];

    fn check_line(line: &str, fields: &[&str]) -> Result<Upgrade, UpgradeError> {
        let input = format!("{line}\r\n{}\r\n\r\n", fields.join("\r\n"));
        let (head, _) = parse_head(input.as_bytes()).unwrap().unwrap();
        Upgrade::check(&head, &TERMS)
    }

    /// The good request with `changed` instead of the field of that name, which is added if there is none.
    fn check_with(changed: &[&str]) -> Result<Upgrade, UpgradeError> {
        let name = |field: &str| field.split(':').next().unwrap().to_ascii_lowercase();
        let kept = GOOD.iter().filter(|field| changed.iter().all(|new| name(new) != name(field)));
        let fields: Vec<&str> = kept.chain(changed).copied().collect();
        check_line("GET /v1/ws HTTP/1.1", &fields)
    }

    fn check_without(index: usize) -> Result<Upgrade, UpgradeError> {
        let mut fields = GOOD.to_vec();
        fields.remove(index);
        check_line("GET / HTTP/1.1", &fields)
    }

    #[test]
    fn the_handshake_of_the_rfc_is_answered_as_there() {
        let mut out = Vec::new();
        check_with(&[]).unwrap().write_reply(&mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
             sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
        );
    }

    #[test]
    fn names_and_lists_are_taken_in_any_case() {
        for fields in [
            &["UPGRADE: WebSocket"][..],
            &["Upgrade: h2c, websocket"],
            &["connection: keep-alive, upgrade"],
            &["Connection: keep-alive", "Connection: UPGRADE"],
            &["Content-Length: 0"],
        ] {
            assert!(check_with(fields).is_ok(), "{fields:?}");
        }
    }

    #[test]
    fn each_condition_is_held() {
        use UpgradeError::*;
        assert_eq!(check_without(1), Err(NotAsked));
        assert_eq!(check_without(2), Err(ConnectionKept));
        assert_eq!(check_without(3), Err(KeyMissing));
        assert_eq!(check_without(4), Err(VersionUnsupported));
        assert_eq!(check_line("POST / HTTP/1.1", &GOOD), Err(NotGet));
        assert_eq!(check_line("GET / HTTP/1.0", &GOOD), Err(OldVersion));
        let key = GOOD[3];
        for (fields, error) in [
            (&["Upgrade: websockets"][..], NotAsked),
            (&["Connection: close"], ConnectionKept),
            (&["Content-Length: 2"], HasBody),
            (&["Transfer-Encoding: chunked"], HasBody),
            (&[key, key], KeyRepeated),
            (&[key, "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="], KeyRepeated),
            (&["Sec-WebSocket-Key:"], KeyInvalid),
            (&["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ="], KeyInvalid),
            (&["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZSE="], KeyInvalid),
            (&["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZSEh"], KeyInvalid),
            (&["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j*Q=="], KeyInvalid),
            (&["Sec-WebSocket-Key: YQ=="], KeyInvalid),
            (&["Sec-WebSocket-Version: 8"], VersionUnsupported),
            (&["Sec-WebSocket-Version: 13, 8"], VersionUnsupported),
            (&["Sec-WebSocket-Version: 013"], VersionUnsupported),
            (&["Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 13"], VersionRepeated),
            (&["Sec-WebSocket-Protocol: chat, Fanwire.v1"], ProtocolUnknown),
        ] {
            assert_eq!(check_with(fields), Err(error), "{fields:?}");
        }
    }

    #[test]
    fn the_first_protocol_offered_that_is_spoken_is_chosen() {
        let chosen = |fields: &[&str]| check_with(fields).unwrap().protocol;
        assert_eq!(chosen(&[]), None);
        assert_eq!(chosen(&["Sec-WebSocket-Protocol:"]), None);
        assert_eq!(
            chosen(&["Sec-WebSocket-Protocol: x, fanwire.v2, fanwire.v1"]),
            Some("fanwire.v2")
        );
        let lines = ["Sec-WebSocket-Protocol: x", "Sec-WebSocket-Protocol: fanwire.v1"];
        assert_eq!(chosen(&lines), Some("fanwire.v1"));
        let mut out = Vec::new();
        check_with(&lines).unwrap().write_reply(&mut out);
        assert!(
            String::from_utf8(out).unwrap().contains("\r\nsec-websocket-protocol: fanwire.v1\r\n")
        );
    }

    #[test]
    fn compression_is_agreed_where_terms_allow() {
        let offers = "Sec-WebSocket-Extensions: permessage-deflate; bad, permessage-deflate; server_max_window_bits=10";
        let upgrade = check_with(&[offers]).unwrap();
        assert_eq!(upgrade.deflate.unwrap().server_window_bits, 10);
        let mut out = Vec::new();
        upgrade.write_reply(&mut out);
        let text = String::from_utf8(out).unwrap();
        assert!(
            text.ends_with("; client_no_context_takeover; server_max_window_bits=10\r\n\r\n"),
            "{text}"
        );
        let input = format!("GET / HTTP/1.1\r\n{}\r\n{offers}\r\n\r\n", GOOD.join("\r\n"));
        let (head, _) = parse_head(input.as_bytes()).unwrap().unwrap();
        let without = Terms { protocols: &[], deflate: DeflateTerms::None };
        assert_eq!(Upgrade::check(&head, &without).unwrap().deflate, None);
    }

    #[test]
    fn a_refusal_says_what_would_be_right() {
        let reply = |error: UpgradeError| {
            let mut out = Vec::new();
            error.write_reply(&mut out, &Answering::nobody(HttpDate::default()));
            String::from_utf8(out).unwrap()
        };
        assert!(
            reply(UpgradeError::VersionUnsupported)
                .starts_with("HTTP/1.1 426 Upgrade Required\r\n")
        );
        assert!(
            reply(UpgradeError::VersionUnsupported).contains("\r\nsec-websocket-version: 13\r\n")
        );
        assert!(reply(UpgradeError::NotGet).contains("\r\nallow: GET\r\n"));
        assert!(reply(UpgradeError::KeyInvalid).starts_with("HTTP/1.1 400 Bad Request\r\n"));
    }
}
