//! Filters: members and the values that they may have, compared loosely and looked up where this dialect's events keep them.

use std::fmt;
use std::sync::Arc;

use serde_json::value::RawValue;

use crate::dialect::json;
use crate::event::Arrays;
use crate::event::FieldPath;
use crate::event::Number;
use crate::event::moment;
use crate::limits::FILTER_LIST_MAX;
use crate::limits::PROVISIONING_FILTERS_MAX;
use crate::matcher::FilterProblem;
use crate::matcher::filter::Predicate;
use crate::matcher::filter::Range;
use crate::matcher::filter::Rule;
use crate::matcher::filter::Scalar;
use crate::matcher::filter::Source;
use crate::matcher::filter::Term;
use crate::matcher::filter::Test;
use crate::matcher::filter::Wildcard;

/// What a client filters by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters {
    /// Of each member, the values of which one is wanted.
    members: Vec<(Box<str>, Vec<Scalar>)>,
    /// A text that a log entry's message must hold, in any case.
    search: Option<Box<str>>,
    /// Only what happened then or later, in microseconds since 1970.
    pub since_us: Option<u64>,
}

/// Why filters are not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FilterFault {
    NotAnObject,
    NotAScalar {
        member: Box<str>,
    },
    TooMany,
    ListTooLong {
        member: Box<str>,
    },
    NameTooLong,
    BadSince {
        text: Box<str>,
    },
    SearchTooLong,
    /// All filters together are more than a filter may be.
    TooLarge {
        problem: Box<FilterProblem>,
    },
}

impl fmt::Display for FilterFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnObject => write!(f, "filters must be an object"),
            Self::NotAScalar { member } => {
                write!(f, "filter `{member}` must be a scalar or a list of scalars")
            }
            Self::TooMany => write!(f, "more than {PROVISIONING_FILTERS_MAX} filters"),
            Self::ListTooLong { member } => {
                write!(f, "filter `{member}` has more than {FILTER_LIST_MAX} values")
            }
            Self::NameTooLong => write!(f, "a filter's name is too long"),
            Self::BadSince { text } if text.trim().is_empty() => {
                write!(f, "since is not an ISO 8601 time: it is empty")
            }
            Self::BadSince { text } => write!(f, "since is not an ISO 8601 time: {text}"),
            Self::SearchTooLong => write!(f, "search is too long"),
            Self::TooLarge { problem } => write!(f, "the filters together are too much: {problem}"),
        }
    }
}

impl std::error::Error for FilterFault {}

impl Filters {
    /// Bytes of its names and values.
    pub(super) fn held_bytes(&self) -> usize {
        let value = |value: &Scalar| match value {
            Scalar::Text(text) | Scalar::Json(text) => size_of::<Scalar>() + text.len(),
            Scalar::Null | Scalar::Bool(_) | Scalar::Number(_) => size_of::<Scalar>(),
        };
        let member = |(name, values): &(Box<str>, Vec<Scalar>)| {
            let values: usize = values.iter().map(value).sum();
            size_of::<(Box<str>, Vec<Scalar>)>() + name.len() + values
        };
        let members: usize = self.members.iter().map(member).sum();
        members + self.search.as_ref().map_or(0, |text| text.len())
    }

    /// Reads the member `filters` of a message.
    ///
    /// # Errors
    /// Which filter is not understood.
    pub fn of_json(raw: &RawValue) -> Result<Self, FilterFault> {
        let mut filters = Self::default();
        for (name, raw) in json::members(raw.get()).map_err(|_| FilterFault::NotAnObject)? {
            if name == "since" {
                filters.set_since(&json::text_of(raw).unwrap_or_else(|| raw.get().to_owned()))?;
                continue;
            }
            let values = if raw.get().starts_with('[') {
                let list: Vec<&RawValue> = serde_json::from_str(raw.get())
                    .map_err(|_| FilterFault::NotAScalar { member: name.as_str().into() })?;
                list.into_iter().map(|raw| scalar(&name, raw)).collect::<Result<_, _>>()?
            } else {
                vec![scalar(&name, raw)?]
            };
            filters.add(&name, values)?;
        }
        Ok(filters)
    }

    /// Adds a parameter of a URL: values with commas between them. A `level` stands for all its spellings.
    ///
    /// # Errors
    /// What is not understood of it.
    pub fn add_parameter(&mut self, name: &str, text: &str) -> Result<(), FilterFault> {
        let values = text.split(',').map(str::trim).filter(|value| !value.is_empty());
        let values: Vec<Scalar> = match name {
            "level" => values.flat_map(spellings).map(|level| Scalar::text(&level)).collect(),
            _ => values.map(Scalar::text).collect(),
        };
        if values.is_empty() { Ok(()) } else { self.add(name, values) }
    }

    fn add(&mut self, name: &str, values: Vec<Scalar>) -> Result<(), FilterFault> {
        if self.members.len() >= PROVISIONING_FILTERS_MAX {
            return Err(FilterFault::TooMany);
        }
        if values.len() > FILTER_LIST_MAX {
            return Err(FilterFault::ListTooLong { member: name.into() });
        }
        FieldPath::new(&["metadata", name], Arrays::Through)
            .map_err(|_| FilterFault::NameTooLong)?;
        self.members.push((name.into(), values));
        Ok(())
    }

    /// From when on.
    ///
    /// # Errors
    /// If it is not a time.
    pub fn set_since(&mut self, text: &str) -> Result<(), FilterFault> {
        let since_us =
            moment::since_us(text).ok_or_else(|| FilterFault::BadSince { text: text.into() })?;
        self.since_us = Some(since_us);
        Ok(())
    }

    /// A text that messages must hold.
    ///
    /// # Errors
    /// If it is longer than a pattern may be.
    pub fn set_search(&mut self, text: &str) -> Result<(), FilterFault> {
        Wildcard::contains(text, true).map_err(|_| FilterFault::SearchTooLong)?;
        self.search = (!text.is_empty()).then(|| text.into());
        Ok(())
    }

    /// What an event must be.
    pub(super) fn predicates(&self) -> Vec<Predicate> {
        let mut tests: Vec<Predicate> = Vec::new();
        for (name, values) in &self.members {
            // Nothing equals null loosely, so it is as if it were not in the list.
            let values: Vec<Scalar> =
                values.iter().filter(|value| **value != Scalar::Null).cloned().collect();
            tests.push(match source(name).filter(|_| !values.is_empty()) {
                Some(source) => {
                    Predicate::Test(Term { source, rule: Rule::Loose, test: Test::In(values) })
                }
                None => Predicate::none(),
            });
        }
        if let Some(search) = &self.search {
            let pattern = Wildcard::contains(search, true).ok();
            let term = pattern.zip(source("message")).map(|(pattern, source)| {
                Predicate::Test(Term { source, rule: Rule::Loose, test: Test::Like(pattern) })
            });
            tests.push(term.unwrap_or_else(Predicate::none));
        }
        tests.extend(self.since_us.and_then(not_before));
        tests
    }
}

/// The filter that an event which says when it happened does not say an earlier moment, to the second. Without a time of its own it happened when it came.
//= provisioning#5.7
//# `since`: live events with `timestamp` ≥ since
fn not_before(since_us: u64) -> Option<Predicate> {
    let member = |name| FieldPath::new(&[name], Arrays::Whole).ok().map(Source::Field);
    // Events say their time in whole seconds, most of them: one of the same second is not before it.
    let second = Scalar::integer(i64::try_from(since_us / 1_000_000 * 1_000_000).ok()?);
    let is_before = Predicate::Test(Term {
        source: member("timestamp")?,
        rule: Rule::Instant,
        test: Test::Range(Range::below(second, false)),
    });
    let is_event = Predicate::Test(Term {
        source: member("event_type")?,
        rule: Rule::JsonOrder,
        test: Test::Exists,
    });
    Some(Predicate::And(vec![is_event, is_before]).negated())
}

/// How a level of a log entry may be written: in any of these words, small, large or with a capital.
const LEVELS: [&[&str]; 6] = [
    &["trace"],
    &["debug"],
    &["info", "information"],
    &["warn", "warning"],
    &["error", "err"],
    &["critical", "fatal"],
];

/// Each way to write the level that someone asks for by one of them.
fn spellings(level: &str) -> Vec<String> {
    let small = level.to_lowercase();
    let same = LEVELS.iter().find(|words| words.contains(&small.as_str()));
    let words: Vec<&str> = same.map_or_else(|| vec![small.as_str()], |words| words.to_vec());
    let mut all = vec![level.to_owned()];
    for word in words {
        let mut letters = word.chars();
        let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
        all.extend([word.to_owned(), word.to_uppercase(), first + letters.as_str()]);
    }
    all.sort_unstable();
    all.dedup();
    all
}

fn scalar(name: &str, raw: &RawValue) -> Result<Scalar, FilterFault> {
    let text = raw.get();
    match text.as_bytes().first() {
        Some(b'"') => json::text_of(raw).map(|text| Scalar::text(&text)),
        Some(b't') => Some(Scalar::Bool(true)),
        Some(b'f') => Some(Scalar::Bool(false)),
        Some(b'n') => Some(Scalar::Null),
        Some(b'-' | b'0'..=b'9') => Number::parse(text).map(Scalar::Number),
        _ => None,
    }
    .ok_or_else(|| FilterFault::NotAScalar { member: name.into() })
}

/// Where a member is looked for.
//= provisioning#5.7
//# key looked up in `data`, then `metadata`, then `data` with the noun prefix stripped (`task_name` → `name`).
fn source(name: &str) -> Option<Source> {
    let stripped = name.split_once('_').map(|(_, rest)| rest).filter(|rest| !rest.is_empty());
    let mut paths = vec![vec!["data", name], vec!["metadata", name]];
    paths.extend(stripped.map(|rest| vec!["data", rest]));
    // A payload that is not an event of this dialect is the data of one.
    paths.push(vec![name]);
    paths.extend(stripped.map(|rest| vec![rest]));
    let paths: Option<Vec<FieldPath>> =
        paths.iter().map(|steps| FieldPath::new(steps, Arrays::Through).ok()).collect();
    Some(Source::First(Arc::from(paths?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::testing::event;
    use crate::event::Op;
    use crate::matcher::Filter;

    fn filters(text: &str) -> Result<Filters, FilterFault> {
        let raw: &RawValue = serde_json::from_str(text).unwrap();
        Filters::of_json(raw)
    }

    fn passes(text: &str, payload: &'static str) -> bool {
        let predicate = Predicate::And(filters(text).unwrap().predicates());
        Filter::new(&predicate).unwrap().evaluate(&event("X", "", Op::Event, payload))
    }

    #[test]
    fn members_are_looked_up_where_events_keep_them() {
        for (text, payload, expected) in [
            (r#"{"status":"Failed"}"#, r#"{"data":{"status":"Failed"}}"#, true),
            (r#"{"status":"Failed"}"#, r#"{"data":{"status":"Running"}}"#, false),
            (r#"{"infra":"aws"}"#, r#"{"data":{},"metadata":{"infra":"aws"}}"#, true),
            (r#"{"infra":"aws"}"#, r#"{"data":{"infra":"x"},"metadata":{"infra":"aws"}}"#, false),
            (r#"{"task_name":"deploy"}"#, r#"{"data":{"name":"deploy"}}"#, true),
            (r#"{"task_name":"deploy"}"#, r#"{"data":{"task_name":"no","name":"deploy"}}"#, false),
            (r#"{"altitude":38000}"#, r#"{"altitude":38000.0}"#, true),
            (r#"{"n":1}"#, r#"{"data":{"n":"1"}}"#, true),
            (r#"{"n":"1"}"#, r#"{"data":{"n":1}}"#, true),
            (r#"{"n":["a",2]}"#, r#"{"data":{"n":2}}"#, true),
            (r#"{"n":["a",2]}"#, r#"{"data":{"n":3}}"#, false),
            (r#"{"n":1}"#, r#"{"data":{}}"#, false),
            (r#"{"n":null}"#, r#"{"data":{"n":null}}"#, false),
            (r#"{}"#, r#"{}"#, true),
        ] {
            assert_eq!(passes(text, payload), expected, "{text} {payload}");
        }
    }

    #[test]
    fn a_level_is_the_same_however_it_is_written() {
        assert_eq!(spellings("Warn"), ["WARN", "WARNING", "Warn", "Warning", "warn", "warning"]);
        assert_eq!(spellings("notice"), ["NOTICE", "Notice", "notice"]);
        assert_eq!(spellings("ß"), ["SS", "ß"]);
    }

    #[test]
    fn what_happened_before_does_not_pass_though_it_comes_now() {
        let since = r#"{"since":"2025-09-26T10:00:00.5Z"}"#;
        for (payload, expected) in [
            (r#"{"event_type":"x","timestamp":"2025-09-26T09:59:59Z","data":1}"#, false),
            (r#"{"event_type":"x","timestamp":"2025-09-26T10:00:00Z","data":1}"#, true),
            (r#"{"event_type":"x","timestamp":"2025-09-26T10:00:00.250Z","data":1}"#, true),
            (r#"{"event_type":"x","timestamp":"2025-09-26T10:00:00+00:00","data":1}"#, true),
            (r#"{"event_type":"x","timestamp":"2025-09-26T05:30:00-05:00","data":1}"#, true),
            (r#"{"event_type":"x","timestamp":"20250926T120000+0200","data":1}"#, true),
            (r#"{"event_type":"x","timestamp":"2025-09-26T11:00:00+02:00","data":1}"#, false),
            (r#"{"event_type":"x","timestamp":"2025-09-26 09:59:59,9","data":1}"#, false),
            (r#"{"event_type":"x","timestamp":"soon","data":1}"#, true),
            (r#"{"event_type":"x","timestamp":7,"data":1}"#, true),
            (r#"{"event_type":"x","data":1}"#, true),
            (r#"{"timestamp":"2024-01-01T00:00:00Z"}"#, true),
        ] {
            assert_eq!(passes(since, payload), expected, "{payload}");
        }
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (text, fault) in [
            ("[]", "filters must be an object"),
            (r#"{"a":{}}"#, "filter `a` must be a scalar or a list of scalars"),
            (r#"{"a":[[]]}"#, "filter `a` must be a scalar or a list of scalars"),
            (r#"{"since":"yesterday"}"#, "since is not an ISO 8601 time: yesterday"),
            (r#"{"since":""}"#, "since is not an ISO 8601 time: it is empty"),
            (r#"{"since":true}"#, "since is not an ISO 8601 time: true"),
            (r#"{"since":[5]}"#, "since is not an ISO 8601 time: [5]"),
            (r#"{"since":5.5}"#, "since is not an ISO 8601 time: 5.5"),
        ] {
            assert_eq!(filters(text).unwrap_err().to_string(), fault, "{text}");
        }
        assert_eq!(
            filters(r#"{"since":"1970-01-01T00:00:01Z"}"#).unwrap().since_us,
            Some(1_000_000)
        );
        assert_eq!(
            filters(r#"{"since":1758880800000000}"#).unwrap().since_us,
            Some(1_758_880_800_000_000)
        );
    }
}
