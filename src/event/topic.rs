//! Topic names and patterns, validated once where they enter.
//!
//! Invariants: a `TopicName` is 1..=`TOPIC_BYTES_MAX` bytes in 1..=`TOPIC_SEGMENTS_MAX` non-empty segments joined by `/`, without
//! control characters or `*`. A `TopicPattern` is the same, but a whole segment may be `*` and the last may be `**`.
//! Never allocates to match.

use std::borrow::Borrow;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;

use crate::limits::TOPIC_BYTES_MAX;
use crate::limits::TOPIC_SEGMENTS_MAX;

/// Why a text is not a topic or pattern; `at` counts bytes from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopicError {
    Empty,
    TooLong {
        bytes: usize,
    },
    TooManySegments {
        count: usize,
    },
    EmptySegment {
        at: usize,
    },
    ControlCharacter {
        at: usize,
    },
    /// `*` in a name, or inside a longer segment of a pattern.
    Wildcard {
        at: usize,
    },
    /// `**` before the last segment.
    RestNotLast {
        at: usize,
    },
}

impl fmt::Display for TopicError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "topic is empty"),
            Self::TooLong { bytes } => {
                write!(f, "topic has {bytes} bytes; at most {TOPIC_BYTES_MAX} are allowed")
            }
            Self::TooManySegments { count } => {
                write!(f, "topic has {count} segments; at most {TOPIC_SEGMENTS_MAX} are allowed")
            }
            Self::EmptySegment { at } => write!(f, "topic has an empty segment at byte {at}"),
            Self::ControlCharacter { at } => {
                write!(f, "topic has a control character at byte {at}")
            }
            Self::Wildcard { at } => {
                write!(f, "topic has a `*` at byte {at}, where none may stand")
            }
            Self::RestNotLast { at } => {
                write!(f, "topic has `**` at byte {at}; it may only be the last segment")
            }
        }
    }
}

impl std::error::Error for TopicError {}

/// The name of a topic. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicName(Arc<str>);

/// A key and its topic: what of which only the newest event is the last one.
pub type TopicKey = (TopicName, Arc<str>);

impl TopicName {
    /// Checks `text` and keeps a copy.
    ///
    /// # Errors
    /// What is wrong with it, and at which byte.
    pub fn new(text: &str) -> Result<Self, TopicError> {
        check(text, Wildcards::Refused)?;
        Ok(Self(Arc::from(text)))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An offset of a topic, which is told by a hash of its name: short enough to stand in the id of each event of a stream. Means something only to the
/// process that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    pub topic_hash: u32,
    pub offset: u64,
}

impl Mark {
    /// The mark of an offset of a topic.
    #[must_use]
    pub fn of(topic: &TopicName, offset: u64) -> Self {
        Self { topic_hash: short_hash(topic), offset }
    }

    /// The offset, if it is this topic's.
    #[must_use]
    pub fn offset_of(self, topic: &TopicName) -> Option<u64> {
        (self.topic_hash == short_hash(topic)).then_some(self.offset)
    }
}

fn short_hash(topic: &TopicName) -> u32 {
    let hash = foldhash::fast::FixedState::default().hash_one(topic.as_str());
    u32::try_from(hash >> 32).expect("32 bits are left")
}

/// Names are compared as their texts are, so that a table of names can be asked for a text.
impl Borrow<str> for TopicName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a subscriber may ask for: a name, or a pattern with `*` and `**`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TopicPattern {
    Exact(TopicName),
    /// At least one segment is `*`, or the last is `**`.
    Wild(Arc<str>),
}

impl PartialEq<TopicName> for TopicPattern {
    fn eq(&self, name: &TopicName) -> bool {
        matches!(self, Self::Exact(exact) if exact == name)
    }
}

impl TopicPattern {
    /// Checks `text` and keeps a copy.
    ///
    /// # Errors
    /// What is wrong with it, and at which byte.
    pub fn new(text: &str) -> Result<Self, TopicError> {
        check(text, Wildcards::WholeSegments)?;
        if text.contains('*') {
            Ok(Self::Wild(Arc::from(text)))
        } else {
            Ok(Self::Exact(TopicName(Arc::from(text))))
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Exact(name) => name.as_str(),
            Self::Wild(text) => text,
        }
    }

    /// Whether the pattern asks for this topic.
    #[must_use]
    pub fn matches(&self, topic: &TopicName) -> bool {
        match self {
            Self::Exact(name) => name == topic,
            Self::Wild(pattern) => wild_matches(pattern, topic.as_str()),
        }
    }
}

fn wild_matches(pattern: &str, topic: &str) -> bool {
    let mut wanted = pattern.split('/');
    let mut segments = topic.split('/');
    loop {
        match (wanted.next(), segments.next()) {
            (None, None) => return true,
            (Some("**"), Some(_)) => return true,
            (Some("*"), Some(_)) => {}
            (Some(want), Some(segment)) if want == segment => {}
            _ => return false,
        }
    }
}

/// What each of some patterns has in common with each of some others, in the order of the first.
#[must_use]
pub fn common(ones: &[TopicPattern], others: &[TopicPattern]) -> Vec<TopicPattern> {
    let each = ones.iter().flat_map(|one| others.iter().map(move |other| (one, other)));
    each.filter_map(|(one, other)| intersection(one, other)).collect()
}

/// The one pattern that matches what both match, if there is anything.
fn intersection(one: &TopicPattern, other: &TopicPattern) -> Option<TopicPattern> {
    let mut common: Vec<&str> = Vec::new();
    let (mut ones, mut others) = (one.as_str().split('/'), other.as_str().split('/'));
    let rest = loop {
        match (ones.next(), others.next()) {
            (None, None) => break None,
            (Some("**"), Some(next)) => break Some((next, others)),
            (Some(next), Some("**")) => break Some((next, ones)),
            (Some("*"), Some(segment)) | (Some(segment), Some("*")) => common.push(segment),
            (Some(one), Some(other)) if one == other => common.push(one),
            _ => return None,
        }
    };
    if let Some((next, rest)) = rest {
        common.push(next);
        common.extend(rest);
    }
    TopicPattern::new(&common.join("/")).ok()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wildcards {
    Refused,
    WholeSegments,
}

fn check(text: &str, wildcards: Wildcards) -> Result<(), TopicError> {
    if text.is_empty() {
        return Err(TopicError::Empty);
    }
    if text.len() > TOPIC_BYTES_MAX {
        return Err(TopicError::TooLong { bytes: text.len() });
    }
    // Those of Unicode, U+0080 to U+009F included.
    if let Some(at) = text.find(char::is_control) {
        return Err(TopicError::ControlCharacter { at });
    }
    let count = text.split('/').count();
    if count > TOPIC_SEGMENTS_MAX {
        return Err(TopicError::TooManySegments { count });
    }
    let mut at = 0;
    for (index, segment) in text.split('/').enumerate() {
        check_segment(segment, at, index + 1 == count, wildcards)?;
        at += segment.len() + 1;
    }
    Ok(())
}

fn check_segment(
    segment: &str,
    at: usize,
    last: bool,
    wildcards: Wildcards,
) -> Result<(), TopicError> {
    if segment.is_empty() {
        return Err(TopicError::EmptySegment { at });
    }
    let Some(star) = segment.find('*') else { return Ok(()) };
    match (wildcards, segment) {
        (Wildcards::WholeSegments, "*") => Ok(()),
        (Wildcards::WholeSegments, "**") if last => Ok(()),
        (Wildcards::WholeSegments, "**") => Err(TopicError::RestNotLast { at }),
        _ => Err(TopicError::Wildcard { at: at + star }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_refused_with_the_place_of_the_fault() {
        assert_eq!(TopicName::new(""), Err(TopicError::Empty));
        assert_eq!(TopicName::new("a//b"), Err(TopicError::EmptySegment { at: 2 }));
        assert_eq!(TopicName::new("/a"), Err(TopicError::EmptySegment { at: 0 }));
        assert_eq!(TopicName::new("a/"), Err(TopicError::EmptySegment { at: 2 }));
        assert_eq!(TopicName::new("a/b*"), Err(TopicError::Wildcard { at: 3 }));
        assert_eq!(TopicName::new("a\nb"), Err(TopicError::ControlCharacter { at: 1 }));
        assert_eq!(TopicName::new("é\u{85}b"), Err(TopicError::ControlCharacter { at: 2 }));
        assert_eq!(TopicPattern::new("a/*/\u{9f}"), Err(TopicError::ControlCharacter { at: 4 }));
        assert!(TopicName::new("a\u{a0}b").is_ok());
        assert_eq!(TopicName::new(&"x".repeat(256)), Err(TopicError::TooLong { bytes: 256 }));
        assert_eq!(
            TopicName::new(&["s"; 17].join("/")),
            Err(TopicError::TooManySegments { count: 17 })
        );
        assert!(TopicName::new(&["s"; 16].join("/")).is_ok());
        assert!(TopicName::new(&"x".repeat(255)).is_ok());
    }

    #[test]
    fn wildcards_stand_for_whole_segments_only() {
        assert_eq!(TopicPattern::new("a/**/b"), Err(TopicError::RestNotLast { at: 2 }));
        assert_eq!(TopicPattern::new("a/x*"), Err(TopicError::Wildcard { at: 3 }));
        assert_eq!(TopicPattern::new("a/***"), Err(TopicError::Wildcard { at: 2 }));
        assert!(matches!(TopicPattern::new("a/*/c"), Ok(TopicPattern::Wild(_))));
        assert!(matches!(TopicPattern::new("a/b"), Ok(TopicPattern::Exact(_))));
    }

    #[test]
    fn a_pattern_matches_what_its_page_says() {
        for (pattern, topic, expected) in [
            ("a/*", "a/b", true),
            ("a/*", "a", false),
            ("a/*", "a/b/c", false),
            ("a/**", "a/b/c", true),
            ("a/**", "a", false),
            ("**", "a/b", true),
            ("*/b", "a/b", true),
            ("*/b", "a/c", false),
            ("a/b", "a/b", true),
            ("a/b", "a/bb", false),
        ] {
            let matched =
                TopicPattern::new(pattern).unwrap().matches(&TopicName::new(topic).unwrap());
            assert_eq!(matched, expected, "{pattern} {topic}");
        }
    }

    #[test]
    fn an_intersection_matches_what_both_match() {
        for (one, other, expected) in [
            ("a/b", "a/b", Some("a/b")),
            ("a/b", "a/c", None),
            ("a/*", "a/b", Some("a/b")),
            ("*/b", "a/*", Some("a/b")),
            ("**", "a/*", Some("a/*")),
            ("a/**", "*/b/**", Some("a/b/**")),
            ("a/**", "a", None),
            ("**", "**", Some("**")),
            ("a/*/c", "a/**", Some("a/*/c")),
            ("a", "a/b", None),
        ] {
            let found =
                intersection(&TopicPattern::new(one).unwrap(), &TopicPattern::new(other).unwrap());
            assert_eq!(found.as_ref().map(TopicPattern::as_str), expected, "{one} {other}");
            assert_eq!(
                intersection(&TopicPattern::new(other).unwrap(), &TopicPattern::new(one).unwrap()),
                found,
                "{other} {one}"
            );
        }
    }
}
