//! Payloads that are no JSON object: any bytes, as one member of an object whose name says so.
//!
//! Why: an event has one kind of payload, so whatever carries, keeps and tells events carries these as well, and a client that reads JSON sees what they are.
//! Invariant: every payload of a publisher whose payloads are bytes has one form here, and comes back byte for byte; a text that has this form by itself is
//! wrapped like any other bytes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use crate::event::Fields;
use crate::limits::PAYLOAD_BYTES_MAX;

/// What stands before the Base64, and what behind it.
const OPEN: &[u8] = br#"{"$base64":""#;
const CLOSE: &[u8] = br#""}"#;

/// Bytes that are too many for a payload: in this form it would be larger than one may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge;

/// The Base64 of a payload of this form.
fn base64_of(payload: &[u8]) -> Option<&[u8]> {
    payload.strip_prefix(OPEN)?.strip_suffix(CLOSE)
}

/// Whether a payload looks like bytes: no filter looks into it.
#[inline]
#[must_use]
pub fn is_opaque(payload: &[u8]) -> bool {
    base64_of(payload).is_some_and(|base64| !base64.contains(&b'"'))
}

/// What a publisher of bytes has published.
#[must_use]
pub fn opened(payload: &[u8]) -> Option<Vec<u8>> {
    STANDARD.decode(base64_of(payload)?).ok()
}

/// Bytes as a payload: as they are if they are a JSON object, and else in this form.
///
/// # Errors
/// If they are too many.
pub fn payload_of(bytes: &[u8]) -> Result<Bytes, TooLarge> {
    let is_plain =
        bytes.first().is_some_and(|first| matches!(first, b'{' | b' ' | b'\t' | b'\r' | b'\n'))
            && !is_opaque(bytes)
            && Fields::check(bytes).is_ok();
    if is_plain {
        return Ok(Bytes::copy_from_slice(bytes));
    }
    let base64_bytes = bytes.len().div_ceil(3) * 4;
    if OPEN.len() + base64_bytes + CLOSE.len() > PAYLOAD_BYTES_MAX {
        return Err(TooLarge);
    }
    let mut payload = vec![0; OPEN.len() + base64_bytes + CLOSE.len()];
    let (open, rest) = payload.split_at_mut(OPEN.len());
    let (base64, close) = rest.split_at_mut(base64_bytes);
    open.copy_from_slice(OPEN);
    close.copy_from_slice(CLOSE);
    STANDARD.encode_slice(bytes, base64).map_err(|_| TooLarge)?;
    Ok(payload.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_as_they_were() {
        let own = br#"{"$base64":"aGk="}"#;
        for bytes in [&b""[..], b"hello", b"\xff\x00", b"[1]", b"1", b"{", b"{}x", own] {
            let payload = payload_of(bytes).unwrap();
            assert!(is_opaque(&payload), "{bytes:?}");
            assert!(Fields::check(&payload).is_ok(), "it is one JSON object");
            assert_eq!(opened(&payload).as_deref(), Some(bytes));
        }
        assert_eq!(payload_of(b"hi").unwrap(), &br#"{"$base64":"aGk="}"#[..]);
    }

    #[test]
    fn an_object_stays_as_it_is() {
        for text in ["{}", " {\"a\":1.50}\n", r#"{"$base64":"a","b":"c"}"#, r#"{"$base64":1}"#] {
            assert_eq!(payload_of(text.as_bytes()).unwrap(), text.as_bytes());
            assert!(!is_opaque(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn what_would_be_too_large_is_refused() {
        let most = (PAYLOAD_BYTES_MAX - OPEN.len() - CLOSE.len()) / 4 * 3;
        assert!(payload_of(&vec![0; most]).unwrap().len() <= PAYLOAD_BYTES_MAX);
        assert_eq!(payload_of(&vec![0; most + 1]), Err(TooLarge));
    }
}
