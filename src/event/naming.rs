//! Names that stand for topics: how one view of the server's topics calls them.
//!
//! Invariants: a name stands for one topic and a topic has one name. Any text is a name; only one that is too long for a topic, as its topic
//! writes it, stands for none. Never asks whether a topic is seen.

use std::borrow::Cow;

use crate::event::TopicError;
use crate::event::TopicName;
use crate::limits::TOPIC_SEGMENTS_MAX;

/// How topics are called. The default: as they are, but for what a topic cannot write.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Naming {
    /// Stands before a name to make its topic: `peat/`. Default: nothing, a topic is its own name.
    pub prefix: Box<str>,
    /// Topics with a name of their own, prefix or not.
    pub names: Vec<(Box<str>, TopicName)>,
}

impl Naming {
    /// The topic that a name stands for.
    ///
    /// # Errors
    /// If it is too long to be one.
    pub fn topic_for(&self, name: &str) -> Result<TopicName, TopicError> {
        if let Some((_, topic)) = self.names.iter().find(|(own, _)| **own == *name) {
            return Ok(topic.clone());
        }
        // What stands behind the last segment that there may be is one with it.
        let slashes_max = TOPIC_SEGMENTS_MAX.saturating_sub(1 + self.prefix.matches('/').count());
        TopicName::new(&format!("{}{}", self.prefix, escaped(name, slashes_max)))
    }

    /// The name of a topic.
    #[must_use]
    pub fn name_of<'t>(&'t self, topic: &'t TopicName) -> Cow<'t, str> {
        if let Some((name, _)) = self.names.iter().find(|(_, own)| own == topic) {
            return Cow::Borrowed(name);
        }
        let text = topic.as_str();
        unescaped(text.strip_prefix(&*self.prefix).unwrap_or(text))
    }
}

/// What a topic writes for the name that is empty.
const EMPTY: &str = "%";

/// A name as a topic may write it: what a topic cannot have is `%` and two hexadecimal digits, for each of its bytes.
fn escaped(name: &str, slashes_max: usize) -> Cow<'_, str> {
    let mut slashes = 0;
    let mut is_plain = |at: usize, character: char| match character {
        '*' => false,
        '/' if is_stray_slash(name.as_bytes(), at) => false,
        '/' => {
            slashes += 1;
            slashes <= slashes_max
        }
        '%' => name != EMPTY && escape_at(name.as_bytes(), at).is_none(),
        _ => !character.is_control(),
    };
    if name.is_empty() {
        return Cow::Borrowed(EMPTY);
    }
    let mut text: Option<String> = None;
    for (at, character) in name.char_indices() {
        let is_plain = is_plain(at, character);
        if !is_plain || text.is_some() {
            let text = text.get_or_insert_with(|| name.split_at(at).0.to_owned());
            if is_plain {
                text.push(character);
            } else {
                let mut bytes = [0; 4];
                let bytes = character.encode_utf8(&mut bytes).bytes();
                bytes.for_each(|byte| text.push_str(&format!("%{byte:02X}")));
            }
        }
    }
    text.map_or(Cow::Borrowed(name), Cow::Owned)
}

/// A slash that would leave an empty segment before it, or after it at the end.
fn is_stray_slash(name: &[u8], at: usize) -> bool {
    at == 0 || at + 1 == name.len() || name[at - 1] == b'/'
}

fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    if text == EMPTY {
        return Cow::Borrowed("");
    }
    let bytes = text.as_bytes();
    let mut name: Option<Vec<u8>> = None;
    let mut at = 0;
    while at < bytes.len() {
        let before = || bytes.split_at(at).0.to_vec();
        match escape_at(bytes, at) {
            Some((character, escape_bytes)) => {
                let mut utf8 = [0; 4];
                name.get_or_insert_with(before)
                    .extend_from_slice(character.encode_utf8(&mut utf8).as_bytes());
                at += escape_bytes;
            }
            None => {
                if let Some(name) = &mut name {
                    name.push(bytes[at]);
                }
                at += 1;
            }
        }
    }
    // Only whole characters were put in place of ASCII.
    name.and_then(|name| String::from_utf8(name).ok()).map_or(Cow::Borrowed(text), Cow::Owned)
}

/// The character that an escape at this place stands for, if it is one that `escaped` writes, and the bytes that the escape takes.
fn escape_at(bytes: &[u8], at: usize) -> Option<(char, usize)> {
    let byte = hex_at(bytes, at)?;
    if matches!(byte, b'*' | b'/' | b'%') || byte.is_ascii_control() {
        return Some((char::from(byte), 3));
    }
    // The control characters U+0080 to U+009F are two bytes in UTF-8.
    let second = hex_at(bytes, at + 3).filter(|_| byte == 0xC2)?;
    (0x80..=0x9F).contains(&second).then(|| (char::from(second), 6))
}

fn hex_at(bytes: &[u8], at: usize) -> Option<u8> {
    let [b'%', high, low] = *bytes.get(at..at + 3)? else { return None };
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    };
    Some(digit(high)? << 4 | digit(low)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_its_own_topic_where_it_can_be() {
        let naming = Naming::default();
        for name in ["aircraft", "fleet/drone-3/telemetry", "50%", "%x", "é", "process:x"] {
            let topic = naming.topic_for(name).unwrap();
            assert_eq!(topic.as_str(), name);
            assert_eq!(naming.name_of(&topic), name);
        }
    }

    #[test]
    fn what_a_topic_cannot_have_is_escaped_and_comes_back() {
        let naming = Naming::default();
        for (name, topic) in [
            ("a*b", "a%2Ab"),
            ("/a", "%2Fa"),
            ("a/", "a%2F"),
            ("a//b", "a/%2Fb"),
            ("a\tb", "a%09b"),
            ("a%2Ab", "a%252Ab"),
            ("/", "%2F"),
            ("", "%"),
            ("%", "%25"),
            ("a\u{85}b", "a%C2%85b"),
            ("a%C2%85b", "a%25C2%85b"),
            ("a\0", "a%00"),
            (
                "1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18",
                "1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16%2F17%2F18",
            ),
        ] {
            let found = naming.topic_for(name).unwrap();
            assert_eq!(found.as_str(), topic);
            assert_eq!(naming.name_of(&found), name);
        }
        assert_eq!(naming.topic_for(&"x".repeat(256)), Err(TopicError::TooLong { bytes: 256 }));
    }

    #[test]
    fn every_short_name_of_awkward_characters_is_a_topic_of_its_own() {
        const ALPHABET: [&str; 9] = ["a", "/", "*", "%", "2", "F", "5", "\u{85}", "\n"];
        let naming = Naming { prefix: "p/".into(), ..Naming::default() };
        let mut topics = std::collections::HashSet::new();
        let mut names = vec![String::new()];
        for length in 0..=4 {
            for name in &names {
                let topic = naming.topic_for(name).unwrap();
                assert_eq!(naming.name_of(&topic), *name, "{topic}");
                assert!(topics.insert(topic), "{name:?} shares its topic, {length}");
            }
            names = names
                .iter()
                .flat_map(|name| ALPHABET.iter().map(move |next| format!("{name}{next}")))
                .collect();
        }
        let deep = naming.topic_for(&["s"; 40].join("/")).unwrap();
        assert_eq!(deep.as_str().split('/').count(), TOPIC_SEGMENTS_MAX);
        assert_eq!(naming.name_of(&deep), ["s"; 40].join("/"));
    }
}
