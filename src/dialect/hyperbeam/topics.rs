//! The topics of a client, and the subscriptions that they are.
//!
//! Plain topics are packed into few subscriptions, each with many topics, because the connection has room for few. A derived topic or a
//! regular expression is a filter, and has a subscription of its own. Invariant: equal sets of topics make equal subscriptions.

use std::sync::Arc;

use crate::dialect::Slow;
use crate::dialect::Subscription;
use crate::dialect::View;
use crate::event::Arrays;
use crate::event::FieldPath;
use crate::event::Op;
use crate::event::TopicPattern;
use crate::limits::HYPERBEAM_FILTERED_MAX;
use crate::limits::HYPERBEAM_TOPICS_MAX;
use crate::limits::SUBSCRIPTION_TOPICS_MAX;
use crate::matcher::Filter;
use crate::matcher::filter::Predicate;
use crate::matcher::filter::Regex;
use crate::matcher::filter::Rule;
use crate::matcher::filter::Scalar;
use crate::matcher::filter::Source;
use crate::matcher::filter::Term;
use crate::matcher::filter::Test;

/// What goes beyond the origin, by switch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `process:<id>` and `hashpath:<h>` are topics of every message that has such a member.
    pub derived: bool,
    /// `re:<regex>` stands for every topic that it matches.
    pub regex: bool,
}

const PROCESS: &str = "process:";
const HASHPATH: &str = "hashpath:";
const REGEX: &str = "re:";

/// In which members a message names its process: the first that is there.
const PROCESS_MEMBERS: [&str; 3] = ["process", "From-Process", "Target"];
const HASHPATH_MEMBERS: [&str; 1] = ["hashpath"];

/// Topics as a URL names them.
//= hyperbeam#2.2
//# only the **first** `topic` parameter is read; split on `,`, each trimmed, empties dropped,
//# **not de-duplicated** in `subscribed_topics`
#[must_use]
pub fn of_query(topic: &str) -> Vec<String> {
    let names = topic.split(',').map(str::trim).filter(|name| !name.is_empty());
    names.take(HYPERBEAM_TOPICS_MAX).map(str::to_owned).collect()
}

/// The derived topic that a subscription is for, if it is one.
pub(super) fn derived_name(id: &str) -> Option<&str> {
    (id.starts_with(PROCESS) || id.starts_with(HASHPATH)).then_some(id)
}

/// The subscriptions that a client's topics are.
pub(super) fn subscriptions(
    topics: &[String],
    options: Options,
    view: &View,
) -> Vec<Arc<Subscription>> {
    let (mut plain, mut filtered) = (Vec::new(), Vec::new());
    for name in topics {
        if let Some(test) = test_of(name, options) {
            filtered.push((name, test));
        } else if let Some(topic) = view.topic_of(name) {
            plain.push(TopicPattern::Exact(topic));
        }
    }
    plain.sort_unstable();
    plain.dedup();
    filtered.sort_unstable_by(|one, other| one.0.cmp(other.0));
    filtered.dedup_by(|one, other| one.0 == other.0);
    let mut subscriptions = Vec::new();
    for (index, topics) in plain.chunks(SUBSCRIPTION_TOPICS_MAX).enumerate() {
        subscriptions.push(subscription(&index.to_string(), topics.to_vec(), None, view));
    }
    for (name, test) in filtered.into_iter().take(HYPERBEAM_FILTERED_MAX) {
        if let Some(test) = test {
            subscriptions.push(subscription(name, view.topics.clone(), Some(test), view));
        }
    }
    subscriptions.into_iter().flatten().collect()
}

fn subscription(
    id: &str,
    topics: Vec<TopicPattern>,
    test: Option<Predicate>,
    view: &View,
) -> Option<Arc<Subscription>> {
    let mut tests: Vec<Predicate> = test.into_iter().collect();
    if !view.deletes {
        let value = Scalar::text(Op::Delete.name());
        tests.push(Predicate::Test(Term::native(Source::Op, Test::differs(value))));
    }
    let filter = match tests.is_empty() {
        true => None,
        false => Some(Filter::new(&Predicate::And(tests)).ok()?),
    };
    let slow = Slow::DropSilently;
    Some(Arc::new(Subscription {
        id: Arc::from(id),
        topics,
        filter,
        slow,
        ..Subscription::default()
    }))
}

/// What a topic that is no plain one asks of a message: `Some(None)` if it is malformed and nothing has it.
#[expect(
    clippy::option_option,
    reason = "a plain topic, and one that nothing can have, are two things"
)]
fn test_of(name: &str, options: Options) -> Option<Option<Predicate>> {
    let member = |names: &[&str], value: &str| {
        let paths: Option<Vec<FieldPath>> =
            names.iter().map(|name| FieldPath::new(&[name], Arrays::Whole).ok()).collect();
        let source = Source::First(Arc::from(paths?));
        let test = Test::equals(Scalar::text(value));
        Some(Predicate::Test(Term { source, rule: Rule::JsonStrict, test }))
    };
    if options.derived {
        if let Some(id) = name.strip_prefix(PROCESS) {
            return Some(member(&PROCESS_MEMBERS, id));
        }
        if let Some(hash) = name.strip_prefix(HASHPATH) {
            return Some(member(&HASHPATH_MEMBERS, hash));
        }
    }
    let text = name.strip_prefix(REGEX).filter(|_| options.regex)?;
    let regex = Regex::new(text).ok();
    Some(regex.map(|regex| Predicate::Test(Term::native(Source::Topic, Test::Regex(regex)))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(topics: &[&str], options: Options) -> Vec<(String, usize)> {
        let topics: Vec<String> = topics.iter().map(|topic| (*topic).to_owned()).collect();
        subscriptions(&topics, options, &View::default())
            .iter()
            .map(|sub| (sub.id.to_string(), sub.topics.len()))
            .collect()
    }

    #[test]
    fn plain_topics_share_subscriptions() {
        assert_eq!(made(&["b", "a", "a"], Options::default()), [("0".into(), 2)]);
        let many: Vec<String> = (0..100).map(|n| format!("t{n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(made(&many, Options::default()), [("0".into(), 64), ("1".into(), 36)]);
        assert_eq!(made(&[], Options::default()), []);
    }

    #[test]
    fn what_is_switched_off_is_a_plain_topic() {
        assert_eq!(made(&["process:x", "re:a"], Options::default()), [("0".into(), 2)]);
        let on = Options { derived: true, regex: true };
        assert_eq!(
            made(&["process:x", "re:a", "re:(", "b"], on),
            [("0".into(), 1), ("process:x".into(), 1), ("re:a".into(), 1)]
        );
    }

    #[test]
    fn a_url_names_topics_with_commas() {
        assert_eq!(of_query(" a ,,b,a"), ["a", "b", "a"]);
        assert!(of_query("").is_empty());
    }
}
