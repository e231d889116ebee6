//! A predicate in its one form, so that filters that are equal by the laws of logic are, mostly, equal to the byte.
//!
//! Negations are pushed down to the tests (exact also where an answer may be unknown), nested `and` and `or` are flattened, sorted
//! and rid of duplicates, lists are merged, what cannot be told apart is written one way, constants and what a sibling implies
//! go. Invariants: no `And` holds an `And`, no `Or` an `Or`; both have at least two members, sorted, without duplicates; lists of
//! values are sorted without duplicates. Filters that are equal for deeper reasons stay two, which costs time only.

use std::sync::Arc;

use crate::limits::FILTER_LIST_MAX;
use crate::matcher::filter::Edge;
use crate::matcher::filter::FilterProblem;
use crate::matcher::filter::Predicate;
use crate::matcher::filter::Range;
use crate::matcher::filter::Rule;
use crate::matcher::filter::Scalar;
use crate::matcher::filter::Term;
use crate::matcher::filter::Test;

/// A predicate in its one form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::matcher) enum Expr {
    Constant(bool),
    Literal(Literal),
    And(Box<[Self]>),
    Or(Box<[Self]>),
}

/// A test, or its opposite.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::matcher) struct Literal {
    pub(in crate::matcher) term: Arc<Term>,
    /// Passes if the test's answer is false; one that is unknown passes neither way.
    pub(in crate::matcher) negated: bool,
    /// Where the filter's list of sources has the term's, and the longitudes' of a `Within` (else the same).
    pub(in crate::matcher) source: u16,
    pub(in crate::matcher) other: u16,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    And,
    Or,
}

impl Kind {
    const fn opposite(self) -> Self {
        match self {
            Self::And => Self::Or,
            Self::Or => Self::And,
        }
    }

    /// What an empty list of this kind is, and what leaves no trace in a longer one.
    const fn neutral(self) -> bool {
        matches!(self, Self::And)
    }
}

/// Puts a predicate of at most so many levels in its one form.
///
/// # Errors
/// If it is larger than the limits allow, or a test is one that nothing could pass by mistake.
pub(super) fn canonical(predicate: &Predicate, levels: usize) -> Result<Expr, FilterProblem> {
    check_depth(predicate, levels)?;
    ordered(predicate, false)
}

/// Whether a tree has no more levels than so many below its root.
fn check_depth(predicate: &Predicate, levels: usize) -> Result<(), FilterProblem> {
    let inner = || levels.checked_sub(1).ok_or(FilterProblem::TooDeep);
    match predicate {
        Predicate::Test(_) => Ok(()),
        Predicate::And(members) | Predicate::Or(members) => {
            members.iter().try_for_each(|member| check_depth(member, inner()?))
        }
        Predicate::Not(member) => check_depth(member, inner()?),
    }
}

fn ordered(predicate: &Predicate, negated: bool) -> Result<Expr, FilterProblem> {
    let (kind, members) = match predicate {
        Predicate::Test(term) => return literal(term, negated),
        Predicate::Not(inner) => return ordered(inner, !negated),
        Predicate::And(members) => (Kind::And, members),
        Predicate::Or(members) => (Kind::Or, members),
    };
    let kind = if negated { kind.opposite() } else { kind };
    let members: Result<Vec<Expr>, FilterProblem> =
        members.iter().map(|member| ordered(member, negated)).collect();
    Ok(join(kind, members?))
}

/// A test in its one form.
pub(super) fn literal(term: &Term, negated: bool) -> Result<Expr, FilterProblem> {
    let Term { source, rule, test } = term.clone();
    let test = match test {
        Test::In(list) => {
            let list = sorted_list(rule, list)?;
            if list.is_empty() {
                return Ok(Expr::Constant(negated));
            }
            Test::In(list)
        }
        Test::NotIn(list) => Test::NotIn(sorted_list(rule, list)?),
        Test::Range(range) => match range_test(rule, range)? {
            Some(test) => test,
            None if rule == Rule::Sql => Test::Range(never()),
            None => return Ok(Expr::Constant(negated)),
        },
        Test::Like(pattern) if rule == Rule::Native => match pattern.literal() {
            Some(text) => Test::equals(Scalar::text(text)),
            None => Test::Like(pattern),
        },
        test => test,
    };
    Ok(Expr::Literal(Literal {
        term: Arc::new(Term { source, rule, test }),
        negated,
        source: 0,
        other: 0,
    }))
}

fn sorted_list(rule: Rule, mut list: Vec<Scalar>) -> Result<Vec<Scalar>, FilterProblem> {
    for scalar in &mut list {
        *scalar = plain(rule, std::mem::replace(scalar, Scalar::Null));
    }
    list.sort_unstable();
    list.dedup();
    if list.len() > FILTER_LIST_MAX {
        return Err(FilterProblem::ListTooLong { count: list.len() });
    }
    if !rule.knows_null() && list.first() == Some(&Scalar::Null) {
        return Err(FilterProblem::Null);
    }
    Ok(list)
}

/// The one way to write a value where the rule cannot tell 1 from 1.0.
fn plain(rule: Rule, scalar: Scalar) -> Scalar {
    match scalar {
        Scalar::Number(number) if rule != Rule::JsonStrict => Scalar::Number(number.plain()),
        other => other,
    }
}

/// A range in its one form; `None` if nothing can lie in it.
fn range_test(rule: Rule, range: Range) -> Result<Option<Test>, FilterProblem> {
    let edge = |edge: Edge| Edge { value: plain(rule, edge.value), inclusive: edge.inclusive };
    let range = Range { low: range.low.map(edge), high: range.high.map(edge) };
    let of_order = |edge: &Option<Edge>| {
        edge.as_ref().is_none_or(|edge| matches!(edge.value, Scalar::Number(_) | Scalar::Text(_)))
    };
    if !of_order(&range.low)
        || !of_order(&range.high)
        || (range.low.is_none() && range.high.is_none())
    {
        return Err(FilterProblem::Edge);
    }
    let (Some(low), Some(high)) = (&range.low, &range.high) else {
        return Ok(Some(Test::Range(range)));
    };
    let order = match (&low.value, &high.value) {
        (Scalar::Number(low), Scalar::Number(high)) => low.cmp_value(*high),
        (Scalar::Text(low), Scalar::Text(high)) => low.cmp(high),
        _ => return Err(FilterProblem::Edge),
    };
    // Only by our own rule is it certain that what lies between equal edges equals them, and what lies between crossed ones does not exist.
    Ok(match order {
        _ if rule != Rule::Native => Some(Test::Range(range)),
        std::cmp::Ordering::Greater => None,
        std::cmp::Ordering::Equal if low.inclusive && high.inclusive => {
            Some(Test::equals(low.value.clone()))
        }
        std::cmp::Ordering::Equal => None,
        std::cmp::Ordering::Less => Some(Test::Range(range)),
    })
}

/// A range of SQL that no value lies in, though a null leaves it unknown.
fn never() -> Range {
    Range::between(Scalar::integer(1), Scalar::integer(0))
}

/// Joins members that are in their one form.
fn join(kind: Kind, members: Vec<Expr>) -> Expr {
    let mut flat: Vec<Expr> = Vec::with_capacity(members.len());
    for member in members {
        match (kind, member) {
            (_, Expr::Constant(value)) if value == kind.neutral() => {}
            (_, Expr::Constant(value)) => return Expr::Constant(value),
            (Kind::And, Expr::And(inner)) | (Kind::Or, Expr::Or(inner)) => flat.extend(inner),
            (_, other) => flat.push(other),
        }
    }
    let mut flat = merge_lists(kind, flat);
    flat.sort_unstable();
    flat.dedup();
    if flat.iter().any(|member| is_contradicted(member, &flat)) {
        return Expr::Constant(!kind.neutral());
    }
    drop_implied(kind, &mut flat);
    match flat.len() {
        0 => Expr::Constant(kind.neutral()),
        1 => flat.pop().expect("it has one member"),
        _ if kind == Kind::And => Expr::And(flat.into_boxed_slice()),
        _ => Expr::Or(flat.into_boxed_slice()),
    }
}

/// `a = 1 or a = 2` is `a in (1, 2)`, and likewise for `and` and the opposites.
fn merge_lists(kind: Kind, members: Vec<Expr>) -> Vec<Expr> {
    let mut kept: Vec<Expr> = Vec::with_capacity(members.len());
    for member in members {
        let merged = kept.iter_mut().any(|known| match (known, &member) {
            (Expr::Literal(known), Expr::Literal(literal)) => merge_into(kind, known, literal),
            _ => false,
        });
        if !merged {
            kept.push(member);
        }
    }
    kept
}

fn merge_into(kind: Kind, known: &mut Literal, literal: &Literal) -> bool {
    if known.negated != literal.negated
        || known.term.source != literal.term.source
        || known.term.rule != literal.term.rule
    {
        return false;
    }
    let (list, is_in) = match (&known.term.test, &literal.term.test) {
        (Test::In(one), Test::In(other)) => ([one.as_slice(), other].concat(), true),
        (Test::NotIn(one), Test::NotIn(other)) => ([one.as_slice(), other].concat(), false),
        _ => return false,
    };
    // Some value is among these or those: one list for `or`. No value is among these, nor those: one list for `and`.
    let fits = (kind == Kind::Or) == (is_in != known.negated);
    let Ok(list) = sorted_list(known.term.rule, list) else { return false };
    if fits {
        let test = if is_in { Test::In(list) } else { Test::NotIn(list) };
        known.term =
            Arc::new(Term { source: known.term.source.clone(), rule: known.term.rule, test });
    }
    fits
}

/// Whether the opposite stands beside it, where one of the two must hold.
fn is_contradicted(member: &Expr, sorted: &[Expr]) -> bool {
    let Expr::Literal(literal) = member else { return false };
    if literal.negated || literal.term.rule == Rule::Sql {
        return false;
    }
    sorted.binary_search(&Expr::Literal(Literal { negated: true, ..literal.clone() })).is_ok()
}

/// `x or (x and y)` is `x`; `x and (x or y)` too.
fn drop_implied(kind: Kind, sorted: &mut Vec<Expr>) {
    let all = sorted.clone();
    sorted.retain(|member| match (kind, member) {
        (Kind::And, Expr::Or(inner)) | (Kind::Or, Expr::And(inner)) => {
            !inner.iter().any(|part| all.binary_search(part).is_ok())
        }
        _ => true,
    });
}
