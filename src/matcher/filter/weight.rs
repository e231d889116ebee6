//! Bytes that a filter takes, with what finds it in an index.
//!
//! Invariant: never less than it takes, so that a budget of filters bounds their memory. What two filters share is counted for both.

use super::Filter;
use super::Predicate;
use super::Scalar;
use super::Source;
use super::Test;
use super::canonical::Expr;
use crate::event::FieldPath;
use crate::limits::PATTERN_CHARS_MAX;

/// Bytes of a filter without its tests.
const FILTER_BYTES: usize = 1024;
/// Bytes of a test: in the filter, in the index by its field, in the clauses that lead to the filter.
const TERM_BYTES: usize = 768;
/// Bytes of a value of a list: in the filter and in the index.
const SCALAR_BYTES: usize = 160;
/// Bytes of a pattern with wildcards at most: a piece for each character.
const PATTERN_BYTES: usize = 28 * PATTERN_CHARS_MAX;

impl Filter {
    /// Bytes that it takes, with its place in an index.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        FILTER_BYTES + of_expr(&self.0.expr)
    }
}

impl Predicate {
    /// Bytes that it takes by itself, before a filter is made of it.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        let inner = match self {
            Self::Test(term) => {
                let values = match &term.test {
                    Test::In(list) | Test::NotIn(list) => size_of_val(&**list),
                    _ => 0,
                };
                let paths: usize = term.source.paths().map(FieldPath::weight_bytes).sum();
                paths + values + of_texts(&term.test)
            }
            Self::And(members) | Self::Or(members) => {
                let spare = (members.capacity() - members.len()) * size_of::<Self>();
                spare + members.iter().map(Self::weight_bytes).sum::<usize>()
            }
            Self::Not(inner) => inner.weight_bytes(),
        };
        size_of::<Self>() + inner
    }
}

/// Bytes of a test's texts, and of what is made of them.
fn of_texts(test: &Test) -> usize {
    let text = |scalar: &Scalar| match scalar {
        Scalar::Null | Scalar::Bool(_) | Scalar::Number(_) => 0,
        Scalar::Text(text) | Scalar::Json(text) => text.len(),
    };
    match test {
        Test::In(list) | Test::NotIn(list) => list.iter().map(text).sum(),
        Test::Range(range) => {
            [&range.low, &range.high].into_iter().flatten().map(|edge| text(&edge.value)).sum()
        }
        Test::Like(_) | Test::Regex(_) | Test::Within { .. } => of_test(test),
        Test::Exists | Test::Null => 0,
    }
}

fn of_expr(expr: &Expr) -> usize {
    match expr {
        Expr::Constant(_) => 0,
        Expr::And(members) | Expr::Or(members) => {
            members.iter().map(|member| size_of::<Expr>() + of_expr(member)).sum()
        }
        Expr::Literal(literal) => {
            TERM_BYTES + of_source(&literal.term.source) + of_test(&literal.term.test)
        }
    }
}

fn of_source(source: &Source) -> usize {
    // In the filter, among the slots, and in the interests of this shard and of those who merge it.
    source.paths().map(|path| 4 * path.weight_bytes()).sum()
}

fn of_test(test: &Test) -> usize {
    match test {
        Test::In(list) | Test::NotIn(list) => list.iter().map(of_scalar).sum(),
        Test::Range(range) => {
            [&range.low, &range.high].into_iter().flatten().map(|edge| of_scalar(&edge.value)).sum()
        }
        Test::Like(_) => PATTERN_BYTES,
        Test::Regex(regex) => regex.weight_bytes(),
        Test::Within { longitude, area } => of_source(longitude) + area.weight_bytes(),
        Test::Exists | Test::Null => 0,
    }
}

fn of_scalar(scalar: &Scalar) -> usize {
    match scalar {
        Scalar::Null | Scalar::Bool(_) | Scalar::Number(_) => SCALAR_BYTES,
        Scalar::Text(text) | Scalar::Json(text) => SCALAR_BYTES + 2 * text.len(),
    }
}
