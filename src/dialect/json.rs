//! Pieces of JSON text, written by hand where messages are short, fixed and on the hot path, and members of an object in their order.
//!
//! Invariant: what is appended is one valid JSON value.

use std::borrow::Cow;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::Deserializer;
use serde::de::MapAccess;
use serde::de::Visitor;
use serde_json::value::RawValue;

/// A JSON string. Names are nearly always plain, so that case is one copy.
pub fn string(text: &str, out: &mut Vec<u8>) {
    if text.bytes().all(|b| b >= 0x20 && b != b'"' && b != b'\\') {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        serde_json::to_writer(out, text)
            .expect("a string always has a JSON text, and a Vec takes every write");
    }
}

/// A number.
pub fn number(value: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// A list of strings.
pub fn strings<'a>(texts: impl IntoIterator<Item = &'a str>, out: &mut Vec<u8>) {
    out.push(b'[');
    for (index, text) in texts.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        string(text, out);
    }
    out.push(b']');
}

/// A string of a text, without a copy unless something in it is escaped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Word<'a>(#[serde(borrow)] pub Cow<'a, str>);

/// An object's members in the order written, their values as they are written. A name may stand twice.
pub type Members<'a> = Vec<(String, &'a RawValue)>;

/// The members of an object.
///
/// # Errors
/// If `text` is not JSON, or not an object.
pub fn members(text: &str) -> Result<Members<'_>, serde_json::Error> {
    members_by(text)
}

/// The members of an object, with names of a type of the caller's: [`Word`] is not copied.
///
/// # Errors
/// If `text` is not JSON, or not an object.
pub fn members_by<'a, N: Deserialize<'a>>(
    text: &'a str,
) -> Result<Vec<(N, &'a RawValue)>, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_str(text);
    let members = json.deserialize_map(MembersVisitor(PhantomData))?;
    json.end().map(|()| members)
}

/// The value of the last member of this name.
#[must_use]
pub fn member<'a>(members: &Members<'a>, name: &str) -> Option<&'a RawValue> {
    members.iter().rev().find(|(own, _)| own == name).map(|(_, value)| *value)
}

/// A value's text, if it is a string.
#[must_use]
pub fn text_of(value: &RawValue) -> Option<String> {
    if value.get().starts_with('"') { serde_json::from_str(value.get()).ok() } else { None }
}

/// A string that holds half of a surrogate pair: the grammar allows it, but it stands for no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotText;

/// As [`text_of`], for a value that is to name a thing: a string that stands for no text is told from a value that is no string.
#[must_use]
pub fn key_text_of(value: &RawValue) -> Option<Result<String, NotText>> {
    let is_string = value.get().starts_with('"');
    is_string.then(|| serde_json::from_str(value.get()).map_err(|_| NotText))
}

struct MembersVisitor<N>(PhantomData<N>);

impl<'de, N: Deserialize<'de>> Visitor<'de> for MembersVisitor<N> {
    type Value = Vec<(N, &'de RawValue)>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::with_capacity(8);
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_keep_their_order_and_their_text() {
        let members = members(r#" {"b": 1.50 ,"a":{ },"b":"x\u00e9"} "#).unwrap();
        let texts: Vec<_> = members.iter().map(|(name, raw)| (&**name, raw.get())).collect();
        assert_eq!(texts, [("b", "1.50"), ("a", "{ }"), ("b", r#""x\u00e9""#)]);
        assert_eq!(text_of(member(&members, "b").unwrap()).as_deref(), Some("xé"));
        assert_eq!(text_of(member(&members, "a").unwrap()), None);
    }

    #[test]
    fn strings_are_escaped_where_they_must_be() {
        let mut out = Vec::new();
        strings(["a", "q\"\\\n\u{1}", "\u{2028}"], &mut out);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "[\"a\",\"q\\\"\\\\\\n\\u0001\",\"\u{2028}\"]");
    }
}
