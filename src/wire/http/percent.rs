//! Percent escapes of a request target.
//!
//! Invariant: a target is checked once, when its head is parsed, so that resolving its escapes later cannot fail.

use std::borrow::Cow;

use crate::wire::http::error::HttpError;

/// Checks the escapes of `target`: each is two hexadecimal digits and not NUL, and the target without its escapes is UTF-8.
pub(super) fn check(target: &str) -> Result<(), HttpError> {
    let bytes = target.as_bytes();
    let mut rest = bytes;
    while let Some(skip) = rest.iter().position(|&byte| byte == b'%') {
        let at = bytes.len() - rest.len() + skip;
        match escaped(&bytes[at..]) {
            None | Some(0) => return Err(HttpError::BadEscape { at }),
            Some(_) => rest = &bytes[at + 3..],
        }
    }
    if bytes.contains(&b'%') && std::str::from_utf8(&resolve(bytes, Plus::IsItself)).is_err() {
        return Err(HttpError::TargetNotUtf8);
    }
    Ok(())
}

/// The meaning of a `+`: a space in a query (as HTML forms write it), itself in a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plus {
    IsItself,
    IsSpace,
}

/// Resolves the escapes of `text`; borrowed if there are none.
pub(super) fn decode(text: &str, plus: Plus) -> Cow<'_, str> {
    let plain = !text.bytes().any(|byte| byte == b'%' || (byte == b'+' && plus == Plus::IsSpace));
    if plain {
        return Cow::Borrowed(text);
    }
    let resolved = resolve(text.as_bytes(), plus);
    // Splitting a checked target at `&`, `=` or `/` leaves each part well formed, for those are never part of an escape or of a
    // longer character; but what an escape spells may itself be cut by such a split, as in `%c3/%bc`.
    Cow::Owned(String::from_utf8_lossy(&resolved).into_owned())
}

/// `text` without its escapes; what is none stays as it is.
#[must_use]
pub fn unescaped(text: &str) -> Cow<'_, str> {
    decode(text, Plus::IsItself)
}

/// A form's text (`application/x-www-form-urlencoded`) without its escapes.
#[must_use]
pub fn form_decoded(text: &str) -> Cow<'_, str> {
    decode(text, Plus::IsSpace)
}

fn resolve(bytes: &[u8], plus: Plus) -> Vec<u8> {
    let mut resolved = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match (byte, escaped(&bytes[at..])) {
            (b'%', Some(value)) => {
                resolved.push(value);
                at += 3;
                continue;
            }
            (b'+', _) if plus == Plus::IsSpace => resolved.push(b' '),
            _ => resolved.push(byte),
        }
        at += 1;
    }
    resolved
}

/// The byte that an escape at the start of `bytes` stands for.
fn escaped(bytes: &[u8]) -> Option<u8> {
    let &[b'%', high, low, ..] = bytes else { return None };
    Some(hex(high)? << 4 | hex(low)?)
}

pub(super) const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_resolved() {
        assert_eq!(decode("a%2Fb%c3%bc+c", Plus::IsItself), "a/bü+c");
        assert_eq!(decode("a+b%2b", Plus::IsSpace), "a b+");
        assert!(matches!(decode("plain", Plus::IsSpace), Cow::Borrowed("plain")));
        assert!(matches!(decode("a+b", Plus::IsItself), Cow::Borrowed("a+b")));
    }

    #[test]
    fn malformed_escapes_are_found_where_they_are() {
        for (target, at) in [("/%", 1), ("/a%2", 2), ("/%41%zz", 4), ("/%4g", 1), ("/a%00", 2)] {
            assert_eq!(check(target), Err(HttpError::BadEscape { at }), "{target}");
        }
        for target in ["/%ff", "/%c3", "/%c3(", "/%ed%a0%80"] {
            assert_eq!(check(target), Err(HttpError::TargetNotUtf8), "{target}");
        }
        for target in ["/", "/%c3%bc", "/%41?b=%20%25", "/%F0%9F%9A%81"] {
            assert_eq!(check(target), Ok(()), "{target}");
        }
    }
}
