//! The topics that someone may subscribe or publish to.
//!
//! Invariant: a wanted pattern is allowed exactly if every topic that it can match is matched by some granted
//! pattern. Both ways: nothing is let through that was not granted, and nothing is refused because two grants
//! cover it only together.

use super::principal::COUNTS_BYTES;
use crate::event::TopicName;
use crate::event::TopicPattern;
use crate::limits::TOPIC_SEGMENTS_MAX;

/// A union of patterns. Empty: nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants(Vec<TopicPattern>);

impl Grants {
    /// Exactly what these patterns match.
    #[must_use]
    pub fn new(patterns: Vec<TopicPattern>) -> Self {
        Self(patterns)
    }

    /// The patterns.
    #[must_use]
    pub fn patterns(&self) -> &[TopicPattern] {
        &self.0
    }

    /// Whether this topic is granted.
    #[must_use]
    pub fn covers_topic(&self, topic: &TopicName) -> bool {
        self.0.iter().any(|grant| grant.matches(topic))
    }

    /// Whether every topic that `wanted` can match is granted.
    ///
    /// The topics that a pattern matches fall apart by their number of segments, of which there are few.
    /// Among those of one number, `wanted` matches some whose segments under a wildcard are words that stand
    /// in no grant; a grant matches such a topic only by wildcards in those places, and then matches all that
    /// `wanted` does. So for each number one grant must do alone, and it is enough to look for it.
    #[must_use]
    pub fn covers(&self, wanted: &TopicPattern) -> bool {
        // Nearly everyone's grant, and it covers whatever there is.
        if self.0.iter().any(|grant| grant.as_str() == "**") {
            return true;
        }
        let wanted = wanted.as_str();
        let written = wanted.split('/').count();
        let longest = if is_open(wanted) { TOPIC_SEGMENTS_MAX } else { written };
        (written..=longest)
            .all(|count| self.0.iter().any(|grant| covers_length(grant.as_str(), wanted, count)))
    }

    /// Bytes that it holds beside itself.
    pub(super) fn held_bytes(&self) -> usize {
        let texts = self.0.iter().map(|pattern| COUNTS_BYTES + pattern.as_str().len());
        self.0.capacity() * size_of::<TopicPattern>() + texts.sum::<usize>()
    }

    /// Adds the patterns of `other`.
    pub(super) fn add(&mut self, other: &Self) {
        self.0.extend(
            other.0.iter().filter(|pattern| !self.0.contains(pattern)).cloned().collect::<Vec<_>>(),
        );
    }
}

/// Whether the pattern ends in `**` and so matches topics of many lengths.
fn is_open(pattern: &str) -> bool {
    pattern.rsplit('/').next() == Some("**")
}

/// Whether `grant` matches every topic of `count` segments that `wanted` does.
fn covers_length(grant: &str, wanted: &str, count: usize) -> bool {
    let written = grant.split('/').count();
    let reaches = if is_open(grant) { count >= written } else { count == written };
    reaches
        && segments(grant, count)
            .zip(segments(wanted, count))
            .all(|(grant, wanted)| grant == "*" || grant == wanted)
}

/// A pattern's segments, made `count` long: each that a final `**` stands for is a `*`.
fn segments(pattern: &str, count: usize) -> impl Iterator<Item = &str> {
    let written = pattern.split('/').map(|segment| if segment == "**" { "*" } else { segment });
    written.chain(std::iter::repeat("*")).take(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grants(patterns: &[&str]) -> Grants {
        Grants::new(patterns.iter().map(|text| TopicPattern::new(text).unwrap()).collect())
    }

    fn covers(granted: &[&str], wanted: &str) -> bool {
        grants(granted).covers(&TopicPattern::new(wanted).unwrap())
    }

    #[test]
    fn one_grant_covers_what_it_should() {
        for (granted, wanted, expected) in [
            ("**", "**", true),
            ("**", "a/*/c", true),
            ("a/**", "a/b", true),
            ("a/**", "a/**", true),
            ("a/**", "a/*/**", true),
            ("a/**", "a", false),
            ("a/**", "**", false),
            ("a/**", "*/b", false),
            ("a/*", "a/b", true),
            ("a/*", "a/*", true),
            ("a/*", "a/**", false),
            ("a/*/**", "a/**", false),
            ("*", "**", false),
            ("*/b", "a/b", true),
            ("a/b", "a/*", false),
            ("a/b", "a/b", true),
            ("a/b", "a/b/c", false),
            ("a/b", "ab", false),
        ] {
            assert_eq!(covers(&[granted], wanted), expected, "{granted} covers {wanted}");
        }
    }

    #[test]
    fn two_grants_cover_together_what_neither_does_alone() {
        assert!(covers(&["a/*", "a/*/**"], "a/**"));
        assert!(covers(&["*", "*/*", "*/*/**"], "**"));
        assert!(!covers(&["*", "*/*/**", "a/*"], "**"));
        assert!(!covers(&["a/x", "a/y"], "a/*"));
        assert!(!covers(&[], "a"));
    }

    #[test]
    fn at_the_deepest_place_two_stars_are_one() {
        let prefix = ["s"; TOPIC_SEGMENTS_MAX - 1].join("/");
        assert!(covers(&[&format!("{prefix}/*")], &format!("{prefix}/**")));
    }

    /// What `covers` must agree with: every topic over `words` of at most `TOPIC_SEGMENTS_MAX` segments would
    /// be too many, so the patterns are short and the topics two segments longer than any of them; beyond
    /// that lengths no longer differ.
    fn every_topic(words: &[&str], longest: usize) -> Vec<TopicName> {
        let mut topics: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        let mut last = topics.clone();
        for _ in 1..longest {
            last = last
                .iter()
                .flat_map(|topic| words.iter().map(move |word| format!("{topic}/{word}")))
                .collect();
            topics.extend(last.iter().cloned());
        }
        topics.iter().map(|topic| TopicName::new(topic).unwrap()).collect()
    }

    fn random_pattern(random: &mut fastrand::Rng) -> TopicPattern {
        let count = 1 + random.usize(..3);
        let mut segments: Vec<&str> =
            (0..count).map(|_| ["a", "b", "*"][random.usize(..3)]).collect();
        if random.usize(..3) == 0 {
            *segments.last_mut().unwrap() = "**";
        }
        TopicPattern::new(&segments.join("/")).unwrap()
    }

    #[test]
    fn a_pattern_is_covered_exactly_if_each_of_its_topics_is() {
        // `c` stands in no pattern: it is the word that only a wildcard matches.
        let topics = every_topic(&["a", "b", "c"], 5);
        let (mut yes, mut no) = (0, 0);
        for seed in 0..3_000_u64 {
            let mut random = fastrand::Rng::with_seed(seed);
            let granted: Vec<TopicPattern> =
                (0..random.usize(..5)).map(|_| random_pattern(&mut random)).collect();
            let wanted = random_pattern(&mut random);
            let grants = Grants::new(granted);
            let expected = topics
                .iter()
                .filter(|topic| wanted.matches(topic))
                .all(|topic| grants.covers_topic(topic));
            assert_eq!(
                grants.covers(&wanted),
                expected,
                "seed {seed}: {grants:?} covers {wanted:?}"
            );
            if expected { yes += 1 } else { no += 1 }
        }
        assert!(yes > 300 && no > 300, "the seeds say too little: {yes} covered, {no} not");
    }
}
