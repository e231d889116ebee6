//! Topics as MQTT calls them: which topic of the server's a name is, which patterns a filter is, and back.
//!
//! Invariants: a name stands for one topic, and a topic has one name, level by level: so a wildcard stands for what it stands for in MQTT. What a topic
//! cannot write is `%` and two hexadecimal digits, the empty level `%`; what a name cannot hold (`+`, `#`, a `$` at its beginning) is written so in
//! the name. Names that begin with `$` stand for none: they are the server's, and this one has none.

use std::borrow::Cow;

use crate::dialect::View;
use crate::event::TopicError;
use crate::event::TopicName;
use crate::event::TopicPattern;
use crate::event::topic;
use crate::wire::mqtt::topic::is_reserved;

/// What a topic writes for a level that is empty.
const EMPTY: &str = "%";

/// Characters that are written as escapes, and the bytes that such an escape may stand for.
#[derive(Clone, Copy)]
struct Escapes {
    needs: fn(char) -> bool,
}

/// What a topic's segment cannot hold.
const IN_TOPICS: Escapes =
    Escapes { needs: |character| character == '*' || character.is_control() };
/// What a name's level cannot hold.
const IN_NAMES: Escapes = Escapes { needs: |character| matches!(character, '+' | '#' | '$') };

impl Escapes {
    /// The character that an escape at the start of a text stands for, and what follows it.
    fn read(self, text: &str) -> Option<(char, &str)> {
        let mut bytes = [0_u8; 4];
        let (mut count, mut rest) = (0, text);
        while count < bytes.len() {
            let (byte, after) = hex(rest)?;
            bytes[count] = byte;
            count += 1;
            rest = after;
            if let Ok(read) = std::str::from_utf8(&bytes[..count]) {
                let character = read.chars().next()?;
                return ((self.needs)(character) || character == '%').then_some((character, rest));
            }
        }
        None
    }

    fn write(self, text: &str, must: impl Fn(usize, char) -> bool) -> Cow<'_, str> {
        let is_escaped = |at: usize, character: char| {
            let is_taken = || text.get(at..).is_some_and(|rest| self.read(rest).is_some());
            must(at, character) || (character == '%' && (is_taken() || text == EMPTY))
        };
        if !text.char_indices().any(|(at, character)| is_escaped(at, character)) {
            return Cow::Borrowed(text);
        }
        let mut out = String::with_capacity(text.len() + 8);
        for (at, character) in text.char_indices() {
            if is_escaped(at, character) {
                let mut utf8 = [0; 4];
                let bytes = character.encode_utf8(&mut utf8).bytes();
                bytes.for_each(|byte| out.push_str(&format!("%{byte:02X}")));
            } else {
                out.push(character);
            }
        }
        Cow::Owned(out)
    }

    fn undo(self, text: &str) -> Cow<'_, str> {
        if !text.contains('%') {
            return Cow::Borrowed(text);
        }
        let (mut out, mut rest) = (String::with_capacity(text.len()), text);
        while let Some(character) = rest.chars().next() {
            let (character, after) = match self.read(rest) {
                Some(read) => read,
                None => (character, rest.get(character.len_utf8()..).unwrap_or_default()),
            };
            out.push(character);
            rest = after;
        }
        Cow::Owned(out)
    }
}

/// The byte of `%` and two digits at the start of a text, and what follows them.
fn hex(text: &str) -> Option<(u8, &str)> {
    let digits = text.strip_prefix('%')?.get(..2)?;
    let is_digit = |digit: u8| matches!(digit, b'0'..=b'9' | b'A'..=b'F');
    let byte = digits.bytes().all(is_digit).then(|| u8::from_str_radix(digits, 16).ok())??;
    Some((byte, text.get(3..)?))
}

/// A level of a name as a segment of a topic.
fn segment(level: &str) -> String {
    let plain = IN_NAMES.undo(level);
    match &*plain {
        "" => EMPTY.to_owned(),
        plain => IN_TOPICS.write(plain, |_, character| (IN_TOPICS.needs)(character)).into_owned(),
    }
}

/// A segment of a topic as a level of a name.
fn level(segment: &str, is_first: bool) -> String {
    let plain = match segment {
        EMPTY => Cow::Borrowed(""),
        segment => IN_TOPICS.undo(segment),
    };
    // A `$` is the server's only at the beginning.
    let must = |at: usize, character: char| match character {
        '$' => is_first && at == 0,
        character => (IN_NAMES.needs)(character),
    };
    IN_NAMES.write(&plain, must).into_owned()
}

/// The topic that a name stands for.
///
/// # Errors
/// If it is too long to be one, or has too many levels.
pub(super) fn topic_of(name: &str, view: &View) -> Result<TopicName, TopicError> {
    let named = view.naming.names.iter().find(|(own, _)| **own == *name);
    if let Some((_, topic)) = named {
        return Ok(topic.clone());
    }
    let prefix = &view.naming.prefix;
    if prefix.is_empty() && !name.contains(['%', '*']) {
        // Nearly every name is its own topic.
        if let Ok(topic) = TopicName::new(name) {
            return Ok(topic);
        }
    }
    let levels: Vec<String> = name.split('/').map(segment).collect();
    TopicName::new(&format!("{prefix}{}", levels.join("/")))
}

/// The name of a topic.
pub(super) fn name_of<'t>(topic: &'t TopicName, view: &'t View) -> Cow<'t, str> {
    let naming = &*view.naming;
    if let Some((name, _)) = naming.names.iter().find(|(_, own)| own == topic) {
        return Cow::Borrowed(name);
    }
    let text = topic.as_str();
    let text = text.strip_prefix(&*naming.prefix).unwrap_or(text);
    if !text.contains(['%', '+', '#']) && !is_reserved(text) {
        return Cow::Borrowed(text);
    }
    let levels: Vec<String> =
        text.split('/').enumerate().map(|(index, segment)| level(segment, index == 0)).collect();
    Cow::Owned(levels.join("/"))
}

/// The patterns of topics that a filter means, of those that are seen; none: no topic that there is, or is seen.
///
/// # Errors
/// If it is too long to be one, or has too many levels.
pub(super) fn patterns_of(filter: &str, view: &View) -> Result<Vec<TopicPattern>, TopicError> {
    if is_reserved(filter) {
        return Ok(Vec::new());
    }
    let named = view.naming.names.iter().filter(|(name, _)| matches(filter, name));
    let mut patterns: Vec<TopicPattern> =
        named.map(|(_, topic)| TopicPattern::Exact(topic.clone())).collect();
    let is_name = !filter.contains(['+', '#']);
    if !(is_name && !patterns.is_empty()) {
        let segment = |level: &str| match level {
            "+" => "*".to_owned(),
            "#" => "**".to_owned(),
            level => segment(level),
        };
        let segments: Vec<String> = filter.split('/').map(segment).collect();
        let prefix = &view.naming.prefix;
        patterns.push(TopicPattern::new(&format!("{prefix}{}", segments.join("/")))?);
        //= mqtt-v5.0#4.7.1.2
        //# The multi-level wildcard represents the parent and any number of child levels.
        if let Some((_, parent)) = segments.split_last().filter(|(last, _)| *last == "**")
            && !parent.is_empty()
        {
            patterns.push(TopicPattern::new(&format!("{prefix}{}", parent.join("/")))?);
        }
    }
    Ok(topic::common(&patterns, &view.topics))
}

/// Whether a filter means a name.
pub(super) fn matches(filter: &str, name: &str) -> bool {
    let (mut wanted, mut levels) = (filter.split('/'), name.split('/'));
    loop {
        match (wanted.next(), levels.next()) {
            (None, None) | (Some("#"), _) => return true,
            (Some("+"), Some(_)) => {}
            (Some(want), Some(level)) if want == level => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::event::Naming;

    #[test]
    fn a_name_stands_for_one_topic_and_back() {
        let view = View::default();
        for (name, topic) in [
            ("a/b", "a/b"),
            ("/a", "%/a"),
            ("a//b", "a/%/b"),
            ("a/", "a/%"),
            ("/", "%/%"),
            ("*", "%2A"),
            ("%", "%25"),
            ("%2A", "%252A"),
            ("50%", "50%"),
            ("a$b/$c", "a$b/$c"),
            ("a/\u{7f}", "a/%7F"),
            ("a/\u{85}", "a/%C2%85"),
            ("%2B", "+"),
            ("%252B", "%2B"),
            ("%24SYS/x", "$SYS/x"),
            ("é ü", "é ü"),
        ] {
            assert_eq!(topic_of(name, &view).unwrap().as_str(), topic, "{name}");
            let topic = TopicName::new(topic).unwrap();
            assert_eq!(name_of(&topic, &view), name);
        }
    }

    #[test]
    fn any_topic_has_a_name_and_any_name_a_topic() {
        let view = View::default();
        let parts = ["%", "2", "A", "5", "25", "2B", "+", "#", "$", "*", "/", "a", "\u{85}", "C2"];
        let mut random = 5_u64;
        let mut next = || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            usize::try_from(random >> 33).unwrap()
        };
        for _ in 0..20_000 {
            let count = 1 + next() % 8;
            let text: String = (0..count).map(|_| parts[next() % parts.len()]).collect();
            if crate::wire::mqtt::topic::is_name(&text) && !is_reserved(&text) {
                let topic = topic_of(&text, &view).unwrap();
                assert_eq!(name_of(&topic, &view), text, "{topic}");
            }
            if let Ok(topic) = TopicName::new(&text) {
                let name = name_of(&topic, &view).into_owned();
                assert!(crate::wire::mqtt::topic::is_name(&name) && !is_reserved(&name), "{name}");
                assert_eq!(topic_of(&name, &view).unwrap(), topic, "{name}");
            }
        }
    }

    #[test]
    fn a_filter_means_what_the_standard_says() {
        let view = View::default();
        for (filter, name, expected) in [
            ("sport/#", "sport", true),
            ("sport/#", "sport/a/b", true),
            ("sport/#", "sports", false),
            ("#", "a/b", true),
            ("#", "/", true),
            ("+", "a", true),
            ("+", "/a", false),
            ("/+", "/a", true),
            ("+/+", "/a", true),
            ("a/+/b", "a//b", true),
            ("a/+", "a", false),
            ("a/+/#", "a/b", true),
            ("a*b", "a*b", true),
            ("a*b", "axb", false),
        ] {
            let topic = topic_of(name, &view).unwrap();
            let patterns = patterns_of(filter, &view).unwrap();
            assert_eq!(patterns.iter().any(|of| of.matches(&topic)), expected, "{filter} {name}");
            assert_eq!(matches(filter, name), expected, "{filter} {name}");
        }
        assert_eq!(patterns_of("$SYS/#", &view), Ok(Vec::new()));
        assert!(patterns_of(&["a"; 17].join("/"), &view).is_err());
    }

    #[test]
    fn a_view_has_names_and_an_edge() {
        let naming = Naming {
            prefix: "m/".into(),
            names: vec![("sky/ch".into(), TopicName::new("adsb/ch").unwrap())],
        };
        let topics = ["m/**", "adsb/ch"].map(|topic| TopicPattern::new(topic).unwrap());
        let view = View { topics: topics.into(), naming: Arc::new(naming), deletes: true };
        let texts = |filter: &str| -> Vec<String> {
            patterns_of(filter, &view).unwrap().iter().map(|of| of.as_str().to_owned()).collect()
        };
        assert_eq!(texts("sky/ch"), ["adsb/ch"]);
        assert_eq!(texts("sky/#"), ["adsb/ch", "m/sky/**", "m/sky"]);
        assert_eq!(texts("#"), ["adsb/ch", "m/**"]);
        assert_eq!(topic_of("x/y", &view).unwrap().as_str(), "m/x/y");
        assert_eq!(name_of(&TopicName::new("adsb/ch").unwrap(), &view), "sky/ch");
        assert_eq!(name_of(&TopicName::new("m/x").unwrap(), &view), "x");
    }
}
