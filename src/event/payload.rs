//! Payloads: one JSON object each, checked once where it enters, and the key that stands in one of its members.
//!
//! Invariant: the text is never changed; what is found is copied out.

use std::fmt;

use serde::de::Deserializer as _;
use serde::de::IgnoredAny;
use serde::de::MapAccess;
use serde::de::Visitor;
use serde_json::value::RawValue;

use crate::limits::KEY_BYTES_MAX;

/// Why bytes are not a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PayloadError {
    /// Not JSON, or not an object; `at` counts bytes from 0.
    NotAnObject {
        at: usize,
        reason: Box<str>,
    },
    NotUtf8 {
        at: usize,
    },
    /// The member that holds the key is missing.
    KeyMissing {
        field: Box<str>,
    },
    /// It is neither a string nor a number.
    KeyNotText {
        field: Box<str>,
    },
    KeyTooLong {
        field: Box<str>,
        bytes: usize,
    },
}

impl fmt::Display for PayloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnObject { at, reason } => write!(f, "{reason} at byte {at}"),
            Self::NotUtf8 { at } => write!(f, "not UTF-8 at byte {at}"),
            Self::KeyMissing { field } => {
                write!(f, "the payload has no member `{field}` to take the key from")
            }
            Self::KeyNotText { field } => {
                write!(f, "member `{field}`, the key, is neither a string nor a number")
            }
            Self::KeyTooLong { field, bytes } => {
                write!(
                    f,
                    "member `{field}`, the key, has {bytes} bytes; at most {KEY_BYTES_MAX} are allowed"
                )
            }
        }
    }
}

impl std::error::Error for PayloadError {}

/// Checks that `bytes` are one JSON object, and finds the text of its member `key_field`, if one is named: a string, or a number as it is written.
///
/// # Errors
/// What is wrong, and at which byte.
pub fn check(bytes: &[u8], key_field: Option<&str>) -> Result<Option<String>, PayloadError> {
    let text =
        std::str::from_utf8(bytes).map_err(|e| PayloadError::NotUtf8 { at: e.valid_up_to() })?;
    let mut json = serde_json::Deserializer::from_str(text);
    let found =
        json.deserialize_map(KeyVisitor { key_field }).and_then(|found| json.end().map(|()| found));
    let found = found.map_err(|e| not_an_object(text, &e))?;
    match (key_field, found) {
        (None, _) => Ok(None),
        (Some(field), None) => Err(PayloadError::KeyMissing { field: field.into() }),
        (Some(field), Some(raw)) => key_text(field, raw.get()).map(Some),
    }
}

fn key_text(field: &str, raw: &str) -> Result<String, PayloadError> {
    let key = match raw.as_bytes().first() {
        Some(b'"') => serde_json::from_str(raw).ok(),
        Some(b'-' | b'0'..=b'9') => Some(raw.to_owned()),
        _ => None,
    };
    let key: String = key.ok_or_else(|| PayloadError::KeyNotText { field: field.into() })?;
    if key.len() > KEY_BYTES_MAX {
        return Err(PayloadError::KeyTooLong { field: field.into(), bytes: key.len() });
    }
    Ok(key)
}

fn not_an_object(text: &str, error: &serde_json::Error) -> PayloadError {
    // Lines and columns count from 1; a payload may have many lines.
    let line_start: usize =
        text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    let reason = error.to_string();
    let reason = reason.split(" at line ").next().unwrap_or(&reason).into();
    PayloadError::NotAnObject { at: line_start + error.column().saturating_sub(1), reason }
}

struct KeyVisitor<'a> {
    key_field: Option<&'a str>,
}

impl<'de> Visitor<'de> for KeyVisitor<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(name) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            if Some(&*name) == self.key_field {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_a_string_or_a_number_as_written() {
        let payload = br#"{"a":1.50,"icao24":"4067f2","n":null}"#;
        assert_eq!(check(payload, Some("icao24")), Ok(Some("4067f2".into())));
        assert_eq!(check(payload, Some("a")), Ok(Some("1.50".into())));
        assert_eq!(check(payload, None), Ok(None));
        assert_eq!(check(payload, Some("n")), Err(PayloadError::KeyNotText { field: "n".into() }));
        assert_eq!(check(payload, Some("x")), Err(PayloadError::KeyMissing { field: "x".into() }));
    }

    #[test]
    fn what_is_no_object_is_refused_with_its_byte() {
        for (text, at) in [
            ("", 0),
            ("[]", 0),
            ("{\"a\":}", 5),
            ("{\n\"a\":\n]}", 7),
            ("{} {}", 3),
            ("{\"a\":1", 5),
        ] {
            let Err(PayloadError::NotAnObject { at: got, reason }) = check(text.as_bytes(), None)
            else {
                panic!("{text:?} was taken")
            };
            assert_eq!(got, at, "{text:?}: {reason}");
        }
        assert_eq!(check(b"{\"\xff\":1}", None), Err(PayloadError::NotUtf8 { at: 2 }));
    }
}
