//! How one dialect sees the server's events: which topics, under which names.
//!
//! Invariants: a name stands for one topic and a topic has one name, so that what is published under a name by one dialect is heard under
//! the same name by its subscribers; a name that no topic can have stands for none. Configuration makes views, nothing changes them.

use std::borrow::Cow;

use crate::dialect::DialectId;
use crate::event::TopicName;
use crate::event::TopicPattern;

/// One dialect's view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// What `all` means, and beyond which nothing is seen.
    pub topics: Vec<TopicPattern>,
    /// Stands before a name to make its topic: `peat/`. Default: nothing, a topic is its own name.
    pub prefix: Box<str>,
    /// Topics with a name of their own, prefix or not.
    pub names: Vec<(Box<str>, TopicName)>,
    /// Whether deletes are seen, in dialects that have no word for them.
    pub deletes: bool,
}

impl Default for View {
    fn default() -> Self {
        let everything = TopicPattern::new("**").expect("it is a pattern");
        Self { topics: vec![everything], prefix: "".into(), names: Vec::new(), deletes: false }
    }
}

impl View {
    /// The topic that a name stands for; `None`: no event can have it, or none that is seen.
    #[must_use]
    pub fn topic_of(&self, name: &str) -> Option<TopicName> {
        let named = self.names.iter().find(|(own, _)| **own == *name);
        let topic = match named {
            Some((_, topic)) => topic.clone(),
            None => TopicName::new(&format!("{}{}", self.prefix, escaped(name))).ok()?,
        };
        self.sees(&topic).then_some(topic)
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

    /// Whether events of this topic are seen.
    #[must_use]
    pub fn sees(&self, topic: &TopicName) -> bool {
        self.topics.iter().any(|pattern| pattern.matches(topic))
    }
}

/// The views of all dialects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Views {
    pub native: View,
    pub peat: View,
    pub hyperbeam: View,
    pub provisioning: View,
}

impl Views {
    /// The view of one dialect.
    #[must_use]
    pub fn of(&self, dialect: DialectId) -> &View {
        match dialect {
            DialectId::Native | DialectId::NativeSse => &self.native,
            DialectId::Peat | DialectId::PeatProto => &self.peat,
            DialectId::HyperBeam => &self.hyperbeam,
            DialectId::Provisioning => &self.provisioning,
        }
    }
}

/// A name as a topic may write it: what a topic cannot have is `%` and two hexadecimal digits.
fn escaped(name: &str) -> Cow<'_, str> {
    let is_plain = |(at, character): (usize, char)| match character {
        '*' => false,
        '/' => !is_stray_slash(name.as_bytes(), at),
        '%' => escape_at(name.as_bytes(), at).is_none(),
        _ => !character.is_control(),
    };
    if name.char_indices().all(is_plain) {
        return Cow::Borrowed(name);
    }
    let mut text = String::with_capacity(name.len() + 8);
    for (at, character) in name.char_indices() {
        if is_plain((at, character)) {
            text.push(character);
        } else {
            // No control character lies beyond U+009F.
            text.push_str(&format!("%{:02X}", u32::from(character)));
        }
    }
    Cow::Owned(text)
}

/// A slash that would leave an empty segment before it, or after it at the end.
fn is_stray_slash(name: &[u8], at: usize) -> bool {
    at == 0 || at + 1 == name.len() || name[at - 1] == b'/'
}

fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let (mut name, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        match escape_at(bytes, at) {
            Some(character) => {
                name.extend_from_slice(character.encode_utf8(&mut [0; 2]).as_bytes());
                at += 3;
            }
            None => {
                name.push(bytes[at]);
                at += 1;
            }
        }
    }
    // Only characters were put in place of ASCII.
    String::from_utf8(name).map_or(Cow::Borrowed(text), Cow::Owned)
}

/// The character that an escape at this place stands for, if it is one that `escaped` writes.
fn escape_at(bytes: &[u8], at: usize) -> Option<char> {
    let [b'%', high, low] = *bytes.get(at..at + 3)? else { return None };
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    };
    let character = char::from(digit(high)? << 4 | digit(low)?);
    (matches!(character, '*' | '/' | '%') || character.is_control()).then_some(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_its_own_topic_where_it_can_be() {
        let view = View::default();
        for name in ["aircraft", "fleet/drone-3/telemetry", "50%", "é", "process:x"] {
            let topic = view.topic_of(name).unwrap();
            assert_eq!(topic.as_str(), name);
            assert_eq!(view.name_of(&topic), name);
        }
    }

    #[test]
    fn what_a_topic_cannot_have_is_escaped_and_comes_back() {
        let view = View::default();
        for (name, topic) in [
            ("a*b", "a%2Ab"),
            ("/a", "%2Fa"),
            ("a/", "a%2F"),
            ("a//b", "a/%2Fb"),
            ("a\tb", "a%09b"),
            ("a%2Ab", "a%252Ab"),
            ("/", "%2F"),
        ] {
            let found = view.topic_of(name).unwrap();
            assert_eq!(found.as_str(), topic);
            assert_eq!(view.name_of(&found), name);
        }
        assert_eq!(view.topic_of(""), None);
        assert_eq!(view.topic_of(&"x".repeat(256)), None);
    }

    #[test]
    fn prefix_and_names_are_undone() {
        let view = View {
            topics: vec![
                TopicPattern::new("peat/**").unwrap(),
                TopicPattern::new("adsb/ch").unwrap(),
            ],
            prefix: "peat/".into(),
            names: vec![("aircraft".into(), TopicName::new("adsb/ch").unwrap())],
            deletes: true,
        };
        assert_eq!(view.topic_of("tracks").unwrap().as_str(), "peat/tracks");
        assert_eq!(view.topic_of("aircraft").unwrap().as_str(), "adsb/ch");
        assert_eq!(view.name_of(&TopicName::new("peat/tracks").unwrap()), "tracks");
        assert_eq!(view.name_of(&TopicName::new("adsb/ch").unwrap()), "aircraft");
    }
}
