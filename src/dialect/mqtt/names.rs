//! Topics as MQTT calls them: which topic of the server's a name is, which patterns a filter is, and back.
//!
//! Invariants: a name stands for one topic, and a topic has one name, level by level: so a wildcard stands for what it stands for in MQTT. What a topic
//! cannot write is `%` and two hexadecimal digits for each byte, the empty level `%`; what a name cannot hold (`+`, `#`, a `$` at its beginning) is written so in
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

/// Which characters of a level are written as escapes: `%` and two digits for each of their bytes. A `%` is one itself only where what follows would make
/// an escape of it, so that every text has one way to be written.
#[derive(Clone, Copy)]
struct Escapes {
    /// Whether a character is; and at the beginning of a whole name.
    needs: fn(char, bool) -> bool,
    /// A level that is empty is written as [`EMPTY`].
    writes_empty: bool,
}

/// What a topic's segment cannot hold.
const IN_TOPICS: Escapes = Escapes {
    needs: |character, _| character == '*' || character.is_control(),
    writes_empty: true,
};
/// What a name's level cannot hold. A `$` is the server's only at the beginning.
const IN_NAMES: Escapes = Escapes {
    needs: |character, begins| matches!(character, '+' | '#') || (character == '$' && begins),
    writes_empty: false,
};

impl Escapes {
    /// The character whose digits stand here, and where they end.
    fn special(self, level: &[u8], from: usize, begins: bool) -> Option<(char, usize)> {
        let (character, end) = match digits_at(level, from)? {
            // The control characters U+0080 to U+009F are two bytes in UTF-8.
            0xC2 if level.get(from + 2) == Some(&b'%') => {
                let second = digits_at(level, from + 3)?;
                let character = matches!(second, 0x80..=0x9F).then_some(char::from(second))?;
                (character, from + 5)
            }
            byte if byte.is_ascii() => (char::from(byte), from + 2),
            _ => return None,
        };
        (self.needs)(character, begins).then_some((character, end))
    }

    /// The character that an escape at this place stands for, and where it ends.
    fn escape_at(self, level: &[u8], at: usize, is_first: bool) -> Option<(char, usize)> {
        let begins = is_first && at == 0;
        if level.get(at) != Some(&b'%') {
            return None;
        }
        if digits_at(level, at + 1) != Some(b'%') {
            return self.special(level, at + 1, begins);
        }
        let mut behind = at + 3;
        while digits_at(level, behind) == Some(b'%') {
            behind += 2;
        }
        let is_whole = self.writes_empty && at == 0 && behind == level.len();
        let is_needed = is_whole || self.special(level, behind, begins).is_some();
        is_needed.then_some(('%', at + 3))
    }

    fn write(self, level: &str, is_first: bool) -> Cow<'_, str> {
        let is_escaped = |at: usize, character: char| match character {
            '%' => {
                self.escape_at(level.as_bytes(), at, is_first).is_some()
                    || (self.writes_empty && level == EMPTY)
            }
            character => (self.needs)(character, is_first && at == 0),
        };
        if !level.char_indices().any(|(at, character)| is_escaped(at, character)) {
            return Cow::Borrowed(level);
        }
        let mut out = String::with_capacity(level.len() + 8);
        for (at, character) in level.char_indices() {
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

    fn undo(self, level: &str, is_first: bool) -> Cow<'_, str> {
        if !level.contains('%') {
            return Cow::Borrowed(level);
        }
        let mut out = String::with_capacity(level.len());
        let mut behind = 0;
        for (at, character) in level.char_indices() {
            if at < behind {
                continue;
            }
            match self.escape_at(level.as_bytes(), at, is_first) {
                Some((character, end)) => {
                    out.push(character);
                    behind = end;
                }
                None => out.push(character),
            }
        }
        Cow::Owned(out)
    }
}

/// The byte that two digits at this place stand for.
fn digits_at(text: &[u8], at: usize) -> Option<u8> {
    let [high, low] = *text.get(at..at + 2)? else { return None };
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    };
    Some(digit(high)? << 4 | digit(low)?)
}

/// Where a level stands in its name.
#[derive(Clone, Copy)]
struct LevelPlace {
    is_first: bool,
    /// The only level of a name is not empty.
    is_only: bool,
}

impl LevelPlace {
    const fn at(index: usize, has_more: bool) -> Self {
        Self { is_first: index == 0, is_only: !has_more }
    }

    const fn in_topics(self) -> Escapes {
        Escapes { writes_empty: !self.is_only, ..IN_TOPICS }
    }
}

/// A level of a name as a segment of a topic.
fn segment(level: &str, place: LevelPlace) -> String {
    let plain = IN_NAMES.undo(level, place.is_first);
    match &*plain {
        "" => EMPTY.to_owned(),
        plain => place.in_topics().write(plain, place.is_first).into_owned(),
    }
}

/// A segment of a topic as a level of a name.
fn level(segment: &str, place: LevelPlace) -> String {
    let plain = match segment {
        EMPTY if !place.is_only => Cow::Borrowed(""),
        segment => place.in_topics().undo(segment, place.is_first),
    };
    IN_NAMES.write(&plain, place.is_first).into_owned()
}

/// Each part of a name or topic, and its place.
fn parts(text: &str) -> impl Iterator<Item = (&str, LevelPlace)> {
    let has_more = text.contains('/');
    text.split('/').enumerate().map(move |(index, part)| (part, LevelPlace::at(index, has_more)))
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
    let levels: Vec<String> = parts(name).map(|(level, place)| segment(level, place)).collect();
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
    let levels: Vec<String> = parts(text).map(|(segment, place)| level(segment, place)).collect();
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
    if !is_name || patterns.is_empty() {
        let segment = |(level, place): (&str, LevelPlace)| match level {
            "+" => "*".to_owned(),
            "#" => "**".to_owned(),
            level => segment(level, place),
        };
        let segments: Vec<String> = parts(filter).map(segment).collect();
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
            ("%", "%"),
            ("%/a", "%25/a"),
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
        let view = View { topics: topics.into(), naming: Arc::new(naming), ..View::default() };
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
