//! `SubscriptionQuery`: the tree by which a subscriber narrows what it hears, and every way in which it can be wrong.
//!
//! Invariant: a query that exists is within its limits and its values are JSON. Never evaluates: it becomes a filter for that.

use std::fmt;

use serde_json::value::RawValue;

use crate::dialect::json;
use crate::event::Arrays;
use crate::event::FieldPath;
use crate::event::Number;
use crate::event::Op;
use crate::event::fields::Scratch;
use crate::event::fields::canonical_json;
use crate::limits::PEAT_QUERY_CLAUSES_MAX;
use crate::limits::PEAT_QUERY_LEVELS_MAX;
use crate::matcher::Filter;
use crate::matcher::FilterProblem;
use crate::matcher::filter::Predicate;
use crate::matcher::filter::Range;
use crate::matcher::filter::Rule;
use crate::matcher::filter::Scalar;
use crate::matcher::filter::Source;
use crate::matcher::filter::Term;
use crate::matcher::filter::Test;

/// A condition on a document.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Query {
    All,
    Eq(Comparison),
    Lt(Comparison),
    Gt(Comparison),
    And(Vec<Self>),
    Or(Vec<Self>),
    Not(Box<Self>),
}

/// A top-level member, its name dots and all, and the JSON text of the value that it is compared with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Comparison {
    pub field: Box<str>,
    pub value: Box<str>,
}

/// Why there is no such query. The texts are the origin's where it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryError {
    NotJson { reason: Box<str> },
    NotAnObject { what: &'static str },
    NotAList,
    NotAString { member: &'static str },
    UnknownMember { member: Box<str> },
    SeveralVariants,
    NoVariant,
    EmptyField,
    BadValue { value: Box<str>, reason: Box<str> },
    TooDeep,
    TooManyClauses,
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("invalid subscription query: ")?;
        match self {
            Self::NotJson { reason } => write!(f, "{reason}"),
            Self::NotAnObject { what } => write!(f, "{what} is not an object"),
            Self::NotAList => write!(f, "clauses is not a list"),
            Self::NotAString { member } => write!(f, "{member} is not a string"),
            Self::UnknownMember { member } => write!(f, "unknown field `{member}`"),
            Self::SeveralVariants => {
                write!(f, "query node has more than one variant set (oneof q)")
            }
            //= peat-node#1.5
            //# Node with no variant → `query node has no variant set (oneof q is empty)`. Depth > 16 → `query nesting exceeds 16 levels`.
            Self::NoVariant => write!(f, "query node has no variant set (oneof q is empty)"),
            Self::EmptyField => write!(f, "query field path is empty"),
            Self::BadValue { value, reason } => {
                write!(f, "invalid JSON in query value `{value}`: {reason}")
            }
            Self::TooDeep => write!(f, "query nesting exceeds {PEAT_QUERY_LEVELS_MAX} levels"),
            Self::TooManyClauses => write!(f, "query has more than {PEAT_QUERY_CLAUSES_MAX} nodes"),
        }
    }
}

impl std::error::Error for QueryError {}

/// One node before it is checked, whichever encoding it came in.
pub(super) enum Node {
    All,
    Compare(Kind, String, String),
    Join(Joint, Vec<Self>),
    Not(Box<Self>),
    Empty,
}

/// Which comparison.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Eq,
    Lt,
    Gt,
}

/// How clauses are joined.
#[derive(Clone, Copy)]
pub(super) enum Joint {
    And,
    Or,
}

impl Query {
    /// Reads the proto3-JSON of a `SubscriptionQuery`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse_json(text: &str) -> Result<Self, QueryError> {
        let raw: &RawValue = serde_json::from_str(text)
            .map_err(|e| QueryError::NotJson { reason: e.to_string().into() })?;
        let node = node_of_json(raw, 1)?;
        Self::of_node(node, &mut 0)
    }

    pub(super) fn of_node(node: Node, count: &mut usize) -> Result<Self, QueryError> {
        *count += 1;
        if *count > PEAT_QUERY_CLAUSES_MAX {
            return Err(QueryError::TooManyClauses);
        }
        Ok(match node {
            Node::Empty => return Err(QueryError::NoVariant),
            Node::All => Self::All,
            Node::Compare(kind, field, value) => {
                let comparison = comparison(field, value)?;
                match kind {
                    Kind::Eq => Self::Eq(comparison),
                    Kind::Lt => Self::Lt(comparison),
                    Kind::Gt => Self::Gt(comparison),
                }
            }
            Node::Join(joint, nodes) => {
                let clauses: Result<_, _> =
                    nodes.into_iter().map(|node| Self::of_node(node, count)).collect();
                match joint {
                    Joint::And => Self::And(clauses?),
                    Joint::Or => Self::Or(clauses?),
                }
            }
            Node::Not(node) => Self::Not(Box::new(Self::of_node(*node, count)?)),
        })
    }
}

impl Query {
    /// The filter that this query is.
    ///
    /// # Errors
    /// If it is larger than a filter may be.
    //= peat-node#1.5
    //# **DELETE passes every query** (collection filter still applies).
    pub fn filter(&self) -> Result<Filter, FilterProblem> {
        let is_delete = Term {
            source: Source::Op,
            rule: Rule::JsonStrict,
            test: Test::equals(Scalar::text(Op::Delete.name())),
        };
        Filter::new(&Predicate::Or(vec![Predicate::Test(is_delete), self.predicate()]))
    }

    fn predicate(&self) -> Predicate {
        match self {
            // Every payload is JSON, so all of them match.
            Self::All => Predicate::all(),
            Self::Eq(comparison) => comparison.test(Rule::JsonStrict, Test::equals),
            Self::Lt(comparison) => {
                comparison.test(Rule::JsonOrder, |value| Test::Range(Range::below(value, false)))
            }
            Self::Gt(comparison) => {
                comparison.test(Rule::JsonOrder, |value| Test::Range(Range::above(value, false)))
            }
            Self::And(clauses) => Predicate::And(clauses.iter().map(Self::predicate).collect()),
            Self::Or(clauses) => Predicate::Or(clauses.iter().map(Self::predicate).collect()),
            Self::Not(clause) => clause.predicate().negated(),
        }
    }
}

impl Comparison {
    fn test(&self, rule: Rule, test: impl FnOnce(Scalar) -> Test) -> Predicate {
        let path = FieldPath::new(&[&*self.field], Arrays::Whole);
        let value = scalar(&self.value);
        match (path, value) {
            // Nothing but numbers and strings has an order, so nothing passes.
            (Ok(_), Scalar::Null | Scalar::Bool(_) | Scalar::Json(_))
                if rule == Rule::JsonOrder =>
            {
                Predicate::none()
            }
            (Ok(path), value) => {
                Predicate::Test(Term { source: Source::Field(path), rule, test: test(value) })
            }
            // A name longer than any that is looked for is missing from every payload.
            (Err(_), _) => Predicate::none(),
        }
    }
}

fn scalar(text: &str) -> Scalar {
    match serde_json::from_str::<serde_json::Value>(text) {
        Ok(serde_json::Value::Bool(value)) => Scalar::Bool(value),
        Ok(serde_json::Value::String(value)) => Scalar::text(&value),
        Ok(serde_json::Value::Number(_)) => {
            Number::parse(text.trim()).map_or(Scalar::Null, Scalar::Number)
        }
        Ok(serde_json::Value::Array(_) | serde_json::Value::Object(_)) => {
            canonical_json(text, &mut Scratch::default())
                .map_or(Scalar::Null, |text| Scalar::Json(text.into()))
        }
        Ok(serde_json::Value::Null) | Err(_) => Scalar::Null,
    }
}

fn comparison(field: String, value: String) -> Result<Comparison, QueryError> {
    if field.is_empty() {
        return Err(QueryError::EmptyField);
    }
    match serde_json::from_str::<serde_json::Value>(&value) {
        Ok(_) => Ok(Comparison { field: field.into(), value: value.into() }),
        Err(e) => Err(QueryError::BadValue { value: value.into(), reason: e.to_string().into() }),
    }
}

fn node_of_json(raw: &RawValue, level: usize) -> Result<Node, QueryError> {
    if level > PEAT_QUERY_LEVELS_MAX {
        return Err(QueryError::TooDeep);
    }
    let members = object(raw, "query node")?;
    // A member that is null is one that is not set.
    let mut set = members.iter().filter(|(_, value)| value.get() != "null");
    let Some((name, value)) = set.next() else { return Ok(Node::Empty) };
    if set.next().is_some() {
        return Err(QueryError::SeveralVariants);
    }
    match name.as_str() {
        "eq" => compare_of_json(Kind::Eq, value),
        "lt" => compare_of_json(Kind::Lt, value),
        "gt" => compare_of_json(Kind::Gt, value),
        "and" => Ok(Node::Join(Joint::And, clauses_of_json(value, level)?)),
        "or" => Ok(Node::Join(Joint::Or, clauses_of_json(value, level)?)),
        "not" => Ok(Node::Not(Box::new(node_of_json(value, level + 1)?))),
        "all" => {
            object(value, "all")?;
            Ok(Node::All)
        }
        _ => Err(QueryError::UnknownMember { member: name.as_str().into() }),
    }
}

fn compare_of_json(kind: Kind, raw: &RawValue) -> Result<Node, QueryError> {
    let (mut field, mut value) = (String::new(), String::new());
    for (name, raw) in object(raw, "comparison")? {
        let (place, member) = match name.as_str() {
            "field" => (&mut field, "field"),
            "value" => (&mut value, "value"),
            _ => return Err(QueryError::UnknownMember { member: name.into() }),
        };
        if raw.get() != "null" {
            *place = json::text_of(raw).ok_or(QueryError::NotAString { member })?;
        }
    }
    Ok(Node::Compare(kind, field, value))
}

fn clauses_of_json(raw: &RawValue, level: usize) -> Result<Vec<Node>, QueryError> {
    let mut nodes = Vec::new();
    for (name, list) in object(raw, "and/or")? {
        if name != "clauses" {
            return Err(QueryError::UnknownMember { member: name.into() });
        }
        if list.get() == "null" {
            continue;
        }
        let list: Vec<&RawValue> =
            serde_json::from_str(list.get()).map_err(|_| QueryError::NotAList)?;
        if list.len() > PEAT_QUERY_CLAUSES_MAX {
            return Err(QueryError::TooManyClauses);
        }
        for raw in list {
            nodes.push(node_of_json(raw, level + 1)?);
        }
    }
    Ok(nodes)
}

fn object<'a>(raw: &'a RawValue, what: &'static str) -> Result<json::Members<'a>, QueryError> {
    json::members(raw.get()).map_err(|_| QueryError::NotAnObject { what })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        Query::parse_json(text).unwrap_err().to_string()
    }

    fn nested(levels: usize) -> String {
        let mut text = r#"{"all":{}}"#.to_owned();
        for _ in 1..levels {
            text = format!(r#"{{"not":{text}}}"#);
        }
        text
    }

    #[test]
    fn each_fault_has_its_text() {
        for (text, reason) in [
            ("{}", "query node has no variant set (oneof q is empty)"),
            (r#"{"all":null}"#, "query node has no variant set (oneof q is empty)"),
            (r#"{"eq":{"value":"1"}}"#, "query field path is empty"),
            (
                r#"{"eq":{"field":"a","value":"vehicle"}}"#,
                "invalid JSON in query value `vehicle`: expected value at line 1 column 1",
            ),
            (
                r#"{"eq":{"field":"a"}}"#,
                "invalid JSON in query value ``: EOF while parsing a value at line 1 column 0",
            ),
            (
                r#"{"all":{},"not":{"all":{}}}"#,
                "query node has more than one variant set (oneof q)",
            ),
            (r#"{"ne":{}}"#, "unknown field `ne`"),
            (r#"{"eq":{"field":7,"value":"1"}}"#, "field is not a string"),
            (r#"{"and":{"clauses":{}}}"#, "clauses is not a list"),
            (r#"[]"#, "query node is not an object"),
            ("", "EOF while parsing a value at line 1 column 0"),
        ] {
            assert_eq!(refused(text), format!("invalid subscription query: {reason}"), "{text}");
        }
    }

    #[test]
    fn sixteen_levels_are_allowed_and_seventeen_are_not() {
        assert!(Query::parse_json(&nested(16)).is_ok());
        assert_eq!(
            refused(&nested(17)),
            "invalid subscription query: query nesting exceeds 16 levels"
        );
        assert!(refused(&nested(100)).contains("16 levels"));
    }

    #[test]
    fn a_tree_is_read_whole() {
        let text = r#"{"and":{"clauses":[{"eq":{"field":"a.b","value":"\"x\""}},{"or":{}},{"not":{"gt":{"field":"n","value":"5"}}}]}}"#;
        let comparison =
            |field: &str, value: &str| Comparison { field: field.into(), value: value.into() };
        assert_eq!(
            Query::parse_json(text),
            Ok(Query::And(vec![
                Query::Eq(comparison("a.b", "\"x\"")),
                Query::Or(Vec::new()),
                Query::Not(Box::new(Query::Gt(comparison("n", "5")))),
            ]))
        );
    }

    #[test]
    fn a_query_of_many_nodes_is_refused() {
        let clauses = vec![r#"{"all":{}}"#; PEAT_QUERY_CLAUSES_MAX].join(",");
        assert!(refused(&format!(r#"{{"and":{{"clauses":[{clauses}]}}}}"#)).contains("more than"));
    }
}
