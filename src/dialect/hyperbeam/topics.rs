//! The topics of a client, and the subscriptions that they are.
//!
//! Plain topics are packed into few subscriptions, each with many topics, because the connection has room for few. A derived topic or a
//! regular expression is a filter, and has a subscription of its own. Invariant: equal sets of topics make equal subscriptions.

use std::fmt;
use std::sync::Arc;

use crate::batch::Slow;
use crate::dialect::Setup;
use crate::dialect::Subscription;
use crate::dialect::View;
use crate::event::Arrays;
use crate::event::FieldPath;
use crate::event::Op;
use crate::event::TopicPattern;
use crate::limits::HYPERBEAM_FILTERED_MAX;
use crate::limits::HYPERBEAM_TOPIC_BYTES_MAX;
use crate::limits::HYPERBEAM_TOPICS_MAX;
use crate::limits::SUBSCRIPTION_TOPICS_MAX;
use crate::limits::TOPIC_BYTES_MAX;
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

impl Options {
    /// What is set.
    pub(super) fn of(setup: &Setup<'_>) -> Self {
        let is_on = |name| setup.views.is_on(&super::PROTOCOL, name);
        Self { derived: is_on(super::DERIVED_TOPICS), regex: is_on(super::REGEX_TOPICS) }
    }
}

const PROCESS: &str = "process:";
const HASHPATH: &str = "hashpath:";
const REGEX: &str = "re:";

/// What a derived topic's name begins with, and in which members a message has the rest of it: in the first that is there.
pub(super) const DERIVED: [(&str, &[&str]); 2] =
    [(PROCESS, &["process", "From-Process", "Target"]), (HASHPATH, &["hashpath"])];

/// Why a client cannot have the topics that it asks for. The origin knows no such limits, so the texts are ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopicsFault {
    TooMany,
    TooLong,
    /// The name is too long as its topic writes it.
    TooLongForTopic,
    TooManyFiltered,
    BadRegex,
}

impl fmt::Display for TopicsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany => write!(f, "A client has at most {HYPERBEAM_TOPICS_MAX} topics"),
            Self::TooLong => {
                write!(f, "A topic's name has at most {HYPERBEAM_TOPIC_BYTES_MAX} bytes")
            }
            Self::TooLongForTopic => write!(
                f,
                "A topic's name has at most {TOPIC_BYTES_MAX} bytes, its prefix and escapes counted"
            ),
            Self::TooManyFiltered => write!(
                f,
                "A client has at most {HYPERBEAM_FILTERED_MAX} derived topics and regular expressions"
            ),
            Self::BadRegex => write!(f, "Invalid regular expression"),
        }
    }
}

impl std::error::Error for TopicsFault {}

/// Topics as a URL names them.
///
/// # Errors
/// Why a client cannot have them.
//= hyperbeam#2.2
//# only the **first** `topic` parameter is read; split on `,`, each trimmed, empties dropped,
//# **not de-duplicated** in `subscribed_topics`
pub fn of_query(topic: &str, options: Options, view: &View) -> Result<Vec<String>, TopicsFault> {
    let names = topic.split(',').map(str::trim).filter(|name| !name.is_empty());
    let topics: Vec<String> = names.map(str::to_owned).collect();
    check(&topics, options, view).map(|()| topics)
}

/// Whether a client may have all of these.
pub(super) fn check(topics: &[String], options: Options, view: &View) -> Result<(), TopicsFault> {
    if topics.len() > HYPERBEAM_TOPICS_MAX {
        return Err(TopicsFault::TooMany);
    }
    if topics.iter().any(|topic| topic.len() > HYPERBEAM_TOPIC_BYTES_MAX) {
        return Err(TopicsFault::TooLong);
    }
    let (mut filtered, plain): (Vec<&String>, Vec<&String>) =
        topics.iter().partition(|topic| is_filtered(topic, options));
    if plain.iter().any(|topic| view.topic_for(topic).is_err()) {
        return Err(TopicsFault::TooLongForTopic);
    }
    filtered.sort_unstable();
    filtered.dedup();
    if filtered.len() > HYPERBEAM_FILTERED_MAX {
        return Err(TopicsFault::TooManyFiltered);
    }
    let mut size = 0;
    for topic in filtered {
        let Some(text) = topic.strip_prefix(REGEX).filter(|_| options.regex) else { continue };
        // All of a client's together take no longer to compile than those of one filter.
        let regex = Regex::beside(text, size).map_err(|_| TopicsFault::BadRegex)?;
        size += regex.size();
    }
    Ok(())
}

#[must_use]
pub fn is_filtered(name: &str, options: Options) -> bool {
    (options.derived && derived_name(name).is_some()) || (options.regex && name.starts_with(REGEX))
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
        if let Some(test) = test_of(name, options, view) {
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
    for (name, test) in filtered {
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

/// What a topic that is no plain one asks of a message: `Some(None)` if it is malformed and nothing has it, which `check` refuses.
#[expect(
    clippy::option_option,
    reason = "a plain topic, and one that nothing can have, are two things"
)]
fn test_of(name: &str, options: Options, view: &View) -> Option<Option<Predicate>> {
    let member = |names: &[&str], value: &str| {
        let paths: Option<Vec<FieldPath>> =
            names.iter().map(|name| FieldPath::new(&[name], Arrays::Whole).ok()).collect();
        let source = Source::First(Arc::from(paths?));
        let test = Test::equals(Scalar::text(value));
        Some(Predicate::Test(Term { source, rule: Rule::JsonStrict, test }))
    };
    if options.derived {
        for (prefix, names) in DERIVED {
            if let Some(value) = name.strip_prefix(prefix) {
                return Some(member(names, value));
            }
        }
    }
    let text = name.strip_prefix(REGEX).filter(|_| options.regex)?;
    let regex = Regex::new(text).ok();
    let source = Source::Name(Arc::clone(&view.naming));
    Some(regex.map(|regex| Predicate::Test(Term::native(source, Test::Regex(regex)))))
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
        let view = View::default();
        let asked = |topic: &str| of_query(topic, Options { derived: true, regex: true }, &view);
        assert_eq!(asked(" a ,,b,a").unwrap(), ["a", "b", "a"]);
        assert!(asked("").unwrap().is_empty());
    }

    #[test]
    fn what_is_too_much_is_said() {
        let both = Options { derived: true, regex: true };
        let many = |prefix: &str, count: usize| -> Vec<String> {
            (0..count).map(|n| format!("{prefix}{n}")).collect()
        };
        for (topics, options, expected) in [
            (many("t", 1024), both, Ok(())),
            (many("t", 1025), both, Err(TopicsFault::TooMany)),
            (vec!["x".repeat(1025)], both, Err(TopicsFault::TooLong)),
            (vec!["x".repeat(256)], both, Err(TopicsFault::TooLongForTopic)),
            (vec![format!("re:{}", "x".repeat(1000))], both, Ok(())),
            (vec![format!("process:{}", "x".repeat(1000))], both, Ok(())),
            (many("process:", 32), both, Ok(())),
            (many("process:", 33), both, Err(TopicsFault::TooManyFiltered)),
            (many("process:", 33), Options::default(), Ok(())),
            (vec!["re:(".to_owned()], both, Err(TopicsFault::BadRegex)),
            (vec!["re:(".to_owned()], Options::default(), Ok(())),
        ] {
            assert_eq!(check(&topics, options, &View::default()), expected, "{topics:?}");
        }
    }
}
