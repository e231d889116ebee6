//! Topic -> the subjects that ask for it.
//!
//! A *subject* is one distinct pattern that some subscription names, counted by how many name it. Exact names are found by one hash,
//! patterns by a walk down a trie of segments, so an event costs what matches it and not what is subscribed.
//! Invariant: a trie node without a subject and without children does not exist. Never looks at subscriptions or filters.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::event::TopicName;
use crate::event::TopicPattern;

/// One distinct pattern, numbered densely; numbers of forgotten ones are used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct SubjectId(pub(super) u32);

impl SubjectId {
    pub(super) const fn index(self) -> usize {
        self.0 as usize
    }
}

/// All patterns that are asked for.
#[derive(Debug, Default)]
pub(super) struct Topics {
    exact: HashMap<TopicName, PatternUse, RandomState>,
    wild: HashMap<Arc<str>, PatternUse, RandomState>,
    trie: Trie,
    free: Vec<SubjectId>,
    next: u32,
}

#[derive(Debug)]
struct PatternUse {
    subject: SubjectId,
    uses: u32,
}

impl Topics {
    /// Counts one more use of a pattern and names its subject.
    pub(super) fn insert(&mut self, pattern: &TopicPattern) -> SubjectId {
        let known = match pattern {
            TopicPattern::Exact(name) => self.exact.get_mut(name),
            TopicPattern::Wild(text) => self.wild.get_mut(text),
        };
        if let Some(asked) = known {
            asked.uses += 1;
            return asked.subject;
        }
        let subject = self.fresh();
        let asked = PatternUse { subject, uses: 1 };
        match pattern {
            TopicPattern::Exact(name) => {
                self.exact.insert(name.clone(), asked);
            }
            TopicPattern::Wild(text) => {
                self.wild.insert(Arc::clone(text), asked);
                self.trie.insert(text, subject);
            }
        }
        subject
    }

    /// Counts one use less. Answers the subject if that was the last: its number is free from here on.
    pub(super) fn remove(&mut self, pattern: &TopicPattern) -> Option<SubjectId> {
        let asked = match pattern {
            TopicPattern::Exact(name) => self.exact.get_mut(name),
            TopicPattern::Wild(text) => self.wild.get_mut(text),
        }
        .expect("a subscription removes only the patterns it inserted");
        asked.uses -= 1;
        if asked.uses > 0 {
            return None;
        }
        let subject = asked.subject;
        match pattern {
            TopicPattern::Exact(name) => {
                self.exact.remove(name);
            }
            TopicPattern::Wild(text) => {
                self.wild.remove(text);
                self.trie.remove(text);
            }
        }
        self.free.push(subject);
        Some(subject)
    }

    /// Appends every subject whose pattern asks for `topic`, each once.
    pub(super) fn matches(&mut self, topic: &TopicName, out: &mut Vec<SubjectId>) {
        if let Some(asked) = self.exact.get(topic) {
            out.push(asked.subject);
        }
        if !self.wild.is_empty() {
            self.trie.matches(topic.as_str(), out);
        }
    }

    fn fresh(&mut self) -> SubjectId {
        self.free.pop().unwrap_or_else(|| {
            let subject = SubjectId(self.next);
            self.next += 1;
            subject
        })
    }
}

/// The patterns that have a wildcard, by segment. Node 0 is the root.
#[derive(Debug)]
struct Trie {
    nodes: Vec<SegmentNode>,
    free: Vec<usize>,
    /// Where the walk stands, kept for its memory: the nodes reached by the segments so far.
    reached: Vec<usize>,
    reached_next: Vec<usize>,
}

#[derive(Debug, Default)]
struct SegmentNode {
    named: HashMap<Box<str>, usize, RandomState>,
    /// The child for `*`.
    any: Option<usize>,
    /// The pattern that ends here.
    here: Option<SubjectId>,
    /// The pattern that goes on with `**`.
    rest: Option<SubjectId>,
}

impl SegmentNode {
    fn is_bare(&self) -> bool {
        self.named.is_empty() && self.any.is_none() && self.here.is_none() && self.rest.is_none()
    }
}

impl Default for Trie {
    fn default() -> Self {
        Self {
            nodes: vec![SegmentNode::default()],
            free: Vec::new(),
            reached: Vec::new(),
            reached_next: Vec::new(),
        }
    }
}

const ROOT: usize = 0;

impl Trie {
    fn insert(&mut self, pattern: &str, subject: SubjectId) {
        let mut at = ROOT;
        for segment in pattern.split('/') {
            if segment == "**" {
                self.nodes[at].rest = Some(subject);
                return;
            }
            at = match self.child(at, segment) {
                Some(child) => child,
                None => self.grow(at, segment),
            };
        }
        self.nodes[at].here = Some(subject);
    }

    fn remove(&mut self, pattern: &str) {
        let mut path = vec![(ROOT, "")];
        let mut at = ROOT;
        let mut is_rest = false;
        for segment in pattern.split('/') {
            if segment == "**" {
                is_rest = true;
                break;
            }
            at = self.child(at, segment).expect("only inserted patterns are removed");
            path.push((at, segment));
        }
        if is_rest {
            self.nodes[at].rest = None;
        } else {
            self.nodes[at].here = None;
        }
        self.prune(&path);
    }

    /// Takes away what the last node of `path` leaves without a reason to exist, upwards.
    fn prune(&mut self, path: &[(usize, &str)]) {
        for pair in path.windows(2).rev() {
            let [(parent, _), (child, segment)] = *pair else { return };
            if !self.nodes[child].is_bare() {
                return;
            }
            if segment == "*" {
                self.nodes[parent].any = None;
            } else {
                self.nodes[parent].named.remove(segment);
            }
            self.free.push(child);
        }
    }

    fn child(&self, at: usize, segment: &str) -> Option<usize> {
        let node = &self.nodes[at];
        if segment == "*" { node.any } else { node.named.get(segment).copied() }
    }

    fn grow(&mut self, at: usize, segment: &str) -> usize {
        let child = self.free.pop().unwrap_or_else(|| {
            self.nodes.push(SegmentNode::default());
            self.nodes.len() - 1
        });
        if segment == "*" {
            self.nodes[at].any = Some(child);
        } else {
            self.nodes[at].named.insert(Box::from(segment), child);
        }
        child
    }

    fn matches(&mut self, topic: &str, out: &mut Vec<SubjectId>) {
        self.reached.clear();
        self.reached.push(ROOT);
        for segment in topic.split('/') {
            self.reached_next.clear();
            for &at in &self.reached {
                let node = &self.nodes[at];
                out.extend(node.rest);
                self.reached_next.extend(node.any);
                self.reached_next.extend(node.named.get(segment));
            }
            std::mem::swap(&mut self.reached, &mut self.reached_next);
            if self.reached.is_empty() {
                return;
            }
        }
        for &at in &self.reached {
            out.extend(self.nodes[at].here);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> TopicPattern {
        TopicPattern::new(text).unwrap()
    }

    fn matched(topics: &mut Topics, topic: &str) -> Vec<SubjectId> {
        let mut out = Vec::new();
        topics.matches(&TopicName::new(topic).unwrap(), &mut out);
        out.sort_unstable();
        out
    }

    #[test]
    fn equal_patterns_are_one_subject_until_the_last_goes() {
        let mut topics = Topics::default();
        for text in ["a/b", "a/*", "a/**"] {
            let first = topics.insert(&pattern(text));
            assert_eq!(topics.insert(&pattern(text)), first);
            assert_eq!(topics.remove(&pattern(text)), None);
            assert_eq!(matched(&mut topics, "a/b"), [first]);
            assert_eq!(topics.remove(&pattern(text)), Some(first));
            assert_eq!(matched(&mut topics, "a/b"), []);
        }
        assert_eq!(
            topics.trie.free.len(),
            topics.trie.nodes.len() - 1,
            "no node outlives its pattern"
        );
    }

    #[test]
    fn the_index_finds_what_the_definition_says_while_patterns_come_and_go() {
        let seed = 0x5eed_0001_u64;
        let mut random = fastrand::Rng::with_seed(seed);
        let segments = ["a", "b", "c", "*"];
        let text = |random: &mut fastrand::Rng, wild: bool| {
            let count = random.usize(1..=4);
            let mut parts: Vec<&str> =
                (0..count).map(|_| segments[random.usize(..if wild { 4 } else { 3 })]).collect();
            if wild && random.u8(..4) == 0 {
                parts.push("**");
            }
            parts.join("/")
        };
        let mut topics = Topics::default();
        let mut live: Vec<(TopicPattern, SubjectId)> = Vec::new();
        for _ in 0..4000 {
            if live.is_empty() || random.u8(..5) < 3 {
                let wanted = pattern(&text(&mut random, true));
                let subject = topics.insert(&wanted);
                live.push((wanted, subject));
            } else {
                let (gone, subject) = live.swap_remove(random.usize(..live.len()));
                let last = !live.iter().any(|(other, _)| *other == gone);
                assert_eq!(topics.remove(&gone), last.then_some(subject), "seed {seed:#x}");
            }
            let topic = text(&mut random, false);
            let name = TopicName::new(&topic).unwrap();
            let mut expected: Vec<SubjectId> = live
                .iter()
                .filter(|(wanted, _)| wanted.matches(&name))
                .map(|(_, subject)| *subject)
                .collect();
            expected.sort_unstable();
            expected.dedup();
            assert_eq!(matched(&mut topics, &topic), expected, "seed {seed:#x} topic {topic}");
        }
    }
}
