//! What a filter says, before it is put in order: the tree that notations and dialects build.
//!
//! Each test carries the rule by which it compares, so one tree can hold the wishes of any dialect. Nothing here evaluates.

use std::sync::Arc;

use crate::event::FieldPath;
use crate::event::Naming;
use crate::event::Number;
use crate::matcher::filter::Area;
use crate::matcher::filter::Regex;
use crate::matcher::filter::Wildcard;

/// A condition on an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Predicate {
    Test(Term),
    /// All of these hold; of none: every event passes.
    And(Vec<Self>),
    /// At least one of them; of none: no event.
    Or(Vec<Self>),
    Not(Box<Self>),
}

impl Predicate {
    /// Every event.
    #[must_use]
    pub const fn all() -> Self {
        Self::And(Vec::new())
    }

    /// No event.
    #[must_use]
    pub const fn none() -> Self {
        Self::Or(Vec::new())
    }

    /// The opposite.
    #[must_use]
    pub fn negated(self) -> Self {
        Self::Not(Box::new(self))
    }
}

/// One test of one field.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term {
    pub source: Source,
    pub rule: Rule,
    pub test: Test,
}

impl Term {
    /// A test by our own rule.
    #[must_use]
    pub const fn native(source: Source, test: Test) -> Self {
        Self { source, rule: Rule::Native, test }
    }
}

/// Where the values that are tested come from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// The topic's name.
    Topic,
    /// What a dialect calls the topic. No notation writes it.
    Name(Arc<Naming>),
    /// The event's key; missing if it is empty.
    Key,
    /// The operation's name.
    Op,
    Field(FieldPath),
    /// The first of these that is in the payload.
    First(Arc<[FieldPath]>),
}

/// How values compare. The same test by two rules may have two answers: `docs/FILTERS.md` has the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// Ours: numbers by value, texts by bytes, a missing field passes no comparison.
    #[default]
    Native,
    /// Types are strict: 1 is not 1.0; null equals null.
    JsonStrict,
    /// Numbers as doubles, texts by bytes, nothing else has an order.
    JsonOrder,
    /// Typed columns: integers as 64 bits, all else by its text, in UTF-16 order.
    Typed,
    /// SQL: null and missing are unknown, text is coerced to the column's type.
    Sql,
    /// A number equals the text that writes it.
    Loose,
    /// Texts are moments, and compare with microseconds since 1970, whatever offset they are written with. What is no moment passes nothing.
    Instant,
}

impl Rule {
    /// Whether a comparison with null means something by it.
    #[must_use]
    pub const fn knows_null(self) -> bool {
        matches!(self, Self::JsonStrict | Self::Typed | Self::Sql)
    }
}

/// A value to compare with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scalar {
    Null,
    Bool(bool),
    Number(Number),
    Text(Arc<str>),
    /// An array or object as canonical JSON: only `JsonStrict` finds one equal.
    Json(Arc<str>),
}

impl Scalar {
    /// A text.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::Text(Arc::from(text))
    }

    /// An integer.
    #[must_use]
    pub fn integer(value: i64) -> Self {
        Self::Number(Number::from_i64(value))
    }
}

/// What is asked of the values.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Test {
    /// Some value equals one of these. Of one: equality.
    In(Vec<Scalar>),
    /// There is a value, and none equals any of these. Of one: inequality. Of none: there is a value other than null.
    NotIn(Vec<Scalar>),
    Range(Range),
    /// Some text matches the pattern.
    Like(Wildcard),
    /// Some text holds a match.
    Regex(Regex),
    /// The field is there, be it null.
    Exists,
    /// Some value is null.
    Null,
    /// The source's latitudes, with these longitudes, hold a position in the area.
    Within {
        longitude: Source,
        area: Arc<Area>,
    },
}

impl Test {
    /// Equality.
    #[must_use]
    pub fn equals(value: Scalar) -> Self {
        Self::In(vec![value])
    }

    /// Inequality.
    #[must_use]
    pub fn differs(value: Scalar) -> Self {
        Self::NotIn(vec![value])
    }
}

/// From here to there; an edge that is absent is infinitely far.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Range {
    pub low: Option<Edge>,
    pub high: Option<Edge>,
}

/// One end of a range.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Edge {
    pub value: Scalar,
    pub inclusive: bool,
}

impl Range {
    /// More than `value`, or no less.
    #[must_use]
    pub const fn above(value: Scalar, inclusive: bool) -> Self {
        Self { low: Some(Edge { value, inclusive }), high: None }
    }

    /// Less than `value`, or no more.
    #[must_use]
    pub const fn below(value: Scalar, inclusive: bool) -> Self {
        Self { low: None, high: Some(Edge { value, inclusive }) }
    }

    /// From `low` to `high`, both included.
    #[must_use]
    pub const fn between(low: Scalar, high: Scalar) -> Self {
        Self {
            low: Some(Edge { value: low, inclusive: true }),
            high: Some(Edge { value: high, inclusive: true }),
        }
    }
}
