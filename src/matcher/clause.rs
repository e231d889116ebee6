//! What an event must be like for a filter to have a chance, in the index's terms.
//!
//! A filter is taken apart into *clauses*, alternatives of which each is an `and` of tests; a clause becomes its *needs*: for each
//! dimension that its tests look at, the codes that an event must have. Invariant: an event that passes the filter meets every need
//! of at least one clause. The reverse does not hold: who meets them is evaluated. Never evaluates.

use std::sync::Arc;

use regex_syntax::hir::Hir;
use regex_syntax::hir::HirKind;
use regex_syntax::hir::Look;

use crate::limits::FILTER_CLAUSES_MAX;
use crate::matcher::dimensions::Codes;
use crate::matcher::dimensions::DimId;
use crate::matcher::dimensions::Dimensions;
use crate::matcher::dimensions::GRAM_BYTES;
use crate::matcher::dimensions::Hashing;
use crate::matcher::dimensions::ORDER_MAX;
use crate::matcher::dimensions::View;
use crate::matcher::dimensions::affix_bytes;
use crate::matcher::dimensions::number_code;
use crate::matcher::dimensions::order_code;
use crate::matcher::facts::SlotId;
use crate::matcher::filter::Expr;
use crate::matcher::filter::Literal;
use crate::matcher::filter::Piece;
use crate::matcher::filter::Range;
use crate::matcher::filter::Rule;
use crate::matcher::filter::Scalar;
use crate::matcher::filter::Test;
use crate::matcher::filter::Wildcard;

/// Of a longer list of values only the first and last code are kept.
const POINTS_MAX: usize = 64;

/// One alternative of a filter: every need must be met. Sorted so that the need that fewest events are likely to meet comes first.
#[derive(Clone, Debug, Default)]
pub(super) struct Clause {
    pub(super) needs: Box<[Need]>,
}

/// The codes that an event must have in one dimension.
#[derive(Clone, Debug)]
pub(super) struct Need {
    pub(super) dim: DimId,
    /// From the least to the greatest.
    pub(super) codes: Codes,
    /// If it is several ranges: each of them.
    pub(super) parts: Box<[Codes]>,
}

impl Need {
    /// The ranges.
    pub(super) fn parts(&self) -> &[Codes] {
        if self.parts.is_empty() { std::slice::from_ref(&self.codes) } else { &self.parts }
    }

    /// Whether each range is one code.
    pub(super) fn is_points(&self) -> bool {
        self.parts().iter().all(|part| part.is_point())
    }
}

/// One alternative of one filter. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct ClauseRef {
    pub(super) clauses: Arc<[Clause]>,
    pub(super) which: u32,
}

impl ClauseRef {
    pub(super) fn clause(&self) -> &Clause {
        &self.clauses[self.which as usize]
    }

    /// What the clause needs in one dimension, if anything.
    pub(super) fn need(&self, dim: DimId) -> Option<&Need> {
        self.clause().needs.iter().find(|need| need.dim == dim)
    }
}

/// Takes a filter apart. `slots` has the slot of each of its sources. Counts one use of each dimension that it answers with.
pub(super) fn clauses_of(
    expr: &Expr,
    slots: &[SlotId],
    dimensions: &mut Dimensions,
) -> Vec<Clause> {
    let alternatives = alternatives(expr).unwrap_or_else(|| vec![certain(expr)]);
    alternatives.iter().map(|literals| clause(literals, slots, dimensions)).collect()
}

/// Gives back what [`clauses_of`] counted.
pub(super) fn release(clauses: &[Clause], dimensions: &mut Dimensions) {
    for need in clauses.iter().flat_map(|clause| &clause.needs) {
        dimensions.remove(need.dim);
    }
}

/// The filter as alternatives of literals; `None` if they would be too many.
fn alternatives(expr: &Expr) -> Option<Vec<Vec<&Literal>>> {
    match expr {
        Expr::Constant(true) => Some(vec![Vec::new()]),
        Expr::Constant(false) => Some(Vec::new()),
        Expr::Literal(literal) => Some(vec![vec![literal]]),
        Expr::Or(members) => {
            let mut all = Vec::new();
            for member in members {
                all.extend(alternatives(member)?);
                if all.len() > FILTER_CLAUSES_MAX {
                    return None;
                }
            }
            Some(all)
        }
        Expr::And(members) => {
            let mut all: Vec<Vec<&Literal>> = vec![Vec::new()];
            for member in members {
                let more = match alternatives(member) {
                    Some(more) if all.len() * more.len() <= FILTER_CLAUSES_MAX => more,
                    // What is left out makes a need less, not a match less.
                    _ => continue,
                };
                all = all
                    .iter()
                    .flat_map(|one| more.iter().map(move |other| [one.as_slice(), other].concat()))
                    .collect();
            }
            Some(all)
        }
    }
}

/// The literals that any event that passes must pass.
fn certain(expr: &Expr) -> Vec<&Literal> {
    match expr {
        Expr::Literal(literal) => vec![literal],
        Expr::And(members) => members.iter().flat_map(certain).collect(),
        Expr::Or(_) | Expr::Constant(_) => Vec::new(),
    }
}

/// A need before its dimension has a number.
struct Draft {
    slot: SlotId,
    view: View,
    parts: Vec<Codes>,
}

fn clause(literals: &[&Literal], slots: &[SlotId], dimensions: &mut Dimensions) -> Clause {
    let mut drafts: Vec<Draft> = Vec::new();
    for literal in literals {
        draft_needs(literal, slots, &dimensions.hashing, &mut drafts);
    }
    let mut needs: Vec<Need> = Vec::with_capacity(drafts.len());
    for Draft { slot, view, parts } in drafts {
        let Some(dim) = dimensions.insert(slot, view) else { continue };
        let need = need(dim, parts);
        match needs.iter_mut().find(|known| known.dim == dim) {
            None => needs.push(need),
            Some(known) => {
                dimensions.remove(dim);
                both(known, need, view);
            }
        }
    }
    needs.sort_by_key(breadth);
    Clause { needs: needs.into_boxed_slice() }
}

fn need(dim: DimId, mut parts: Vec<Codes>) -> Need {
    parts.sort_unstable();
    parts.dedup();
    let lo = parts.iter().map(|part| part.lo).min().unwrap_or_default();
    let hi = parts.iter().map(|part| part.hi).max().unwrap_or_default();
    let keeps_parts = parts.len() > 1 && parts.len() <= POINTS_MAX;
    Need {
        dim,
        codes: Codes { lo, hi },
        parts: if keeps_parts { parts.into_boxed_slice() } else { Box::default() },
    }
}

/// Makes one need of two in the same dimension.
///
/// Of an array of numbers one element may pass the one test and another the other, so what both leave is the codes between the
/// larger of the lower and the smaller of the upper ends, crossed or not. Words have no order: the need with fewer of them stays.
fn both(known: &mut Need, other: Need, view: View) {
    let is_ordered = matches!(view, View::Number | View::Order);
    if is_ordered && known.parts.is_empty() && other.parts.is_empty() {
        known.codes = Codes {
            lo: known.codes.lo.max(other.codes.lo),
            hi: known.codes.hi.min(other.codes.hi),
        };
    } else if breadth(&other) < breadth(known) {
        *known = other;
    }
}

/// How many codes it takes, roughly: the fewer, the fewer events are likely to meet it.
fn breadth(need: &Need) -> u64 {
    need.parts().iter().map(|part| u64::from(part.hi.saturating_sub(part.lo)) + 1).sum()
}

fn draft_needs(literal: &Literal, slots: &[SlotId], hashing: &Hashing, out: &mut Vec<Draft>) {
    if literal.negated {
        return;
    }
    let slot = slots[usize::from(literal.source)];
    let mut push = |slot, view, parts: Vec<Codes>| out.push(Draft { slot, view, parts });
    let rule = literal.term.rule;
    let by_text = !matches!(rule, Rule::Typed | Rule::Sql);
    match &literal.term.test {
        Test::In(list) => {
            let view = match rule {
                Rule::Native | Rule::JsonStrict => View::Word,
                Rule::Typed => View::Form,
                Rule::Sql | Rule::Loose => View::Loose,
                Rule::JsonOrder | Rule::Instant => return,
            };
            let codes: Option<Vec<Codes>> =
                list.iter().map(|scalar| word_code(scalar, view, hashing)).collect();
            if let Some(codes) = codes {
                push(slot, view, codes);
            }
        }
        Test::Range(range) => {
            if let Some((view, codes)) = range_codes(range, rule) {
                push(slot, view, vec![codes]);
            }
        }
        Test::Like(pattern) if by_text => {
            for (view, code) in pattern_codes(pattern, hashing) {
                push(slot, view, vec![Codes::point(code)]);
            }
        }
        Test::Regex(regex) if by_text => {
            let Some(hir) = regex.hir() else { return };
            if let Some((view, code)) = regex_codes(&hir, hashing) {
                push(slot, view, vec![Codes::point(code)]);
            }
        }
        Test::Within { area, .. } => {
            let bounds = area.bounds();
            let codes = |(lo, hi): (f64, f64)| Codes { lo: number_code(lo), hi: number_code(hi) };
            push(slot, View::Number, vec![codes((bounds.south, bounds.north))]);
            let longitudes = bounds.parts().iter().copied().map(codes).collect();
            push(slots[usize::from(literal.other)], View::Number, longitudes);
        }
        Test::NotIn(_) | Test::Like(_) | Test::Regex(_) | Test::Exists | Test::Null => {}
    }
}

fn word_code(scalar: &Scalar, view: View, hashing: &Hashing) -> Option<Codes> {
    let code = match (view, scalar) {
        (_, Scalar::Null | Scalar::Json(_)) => return None,
        (_, Scalar::Bool(value)) => hashing.bool(*value),
        (View::Form, Scalar::Number(number)) => hashing.text(&number.to_string()),
        (_, Scalar::Number(number)) => hashing.number(*number),
        (View::Loose, Scalar::Text(text)) => hashing.loose(text),
        (_, Scalar::Text(text)) => hashing.text(text),
    };
    Some(Codes::point(code))
}

/// Where the rule only lets numbers, or only texts, lie in a range.
fn range_codes(range: &Range, rule: Rule) -> Option<(View, Codes)> {
    let edge = range.low.as_ref().or(range.high.as_ref())?;
    let view = match (&edge.value, rule) {
        (Scalar::Number(_), Rule::Native | Rule::JsonStrict | Rule::JsonOrder | Rule::Typed) => {
            View::Number
        }
        (Scalar::Text(_), Rule::Native | Rule::JsonStrict | Rule::JsonOrder) => View::Order,
        _ => return None,
    };
    let code = |scalar: &Scalar| match scalar {
        Scalar::Number(number) => number_code(number.to_f64()),
        Scalar::Text(text) => order_code(text),
        _ => 0,
    };
    let lo = range.low.as_ref().map_or(0, |edge| code(&edge.value));
    let highest = if view == View::Number { u32::MAX - 1 } else { ORDER_MAX };
    let hi = range.high.as_ref().map_or(highest, |edge| code(&edge.value));
    Some((view, Codes { lo, hi }))
}

fn pattern_codes(pattern: &Wildcard, hashing: &Hashing) -> Vec<(View, u32)> {
    let mut codes = Vec::new();
    if !pattern.is_folded() {
        if let Some(Piece::Text(text)) = pattern.pieces().first() {
            codes.extend(prefix_code(text, hashing));
        }
        if let Some(Piece::Text(text)) = pattern.pieces().last() {
            codes.extend(suffix_code(text, hashing));
        }
    }
    if codes.is_empty() {
        let texts = pattern
            .pieces()
            .iter()
            .filter_map(|piece| if let Piece::Text(text) = piece { Some(&**text) } else { None });
        let longest = texts.max_by_key(|text| text.len()).unwrap_or_default();
        codes.extend(gram_code(longest.as_bytes(), pattern.is_folded(), hashing));
    }
    codes
}

fn prefix_code(text: &str, hashing: &Hashing) -> Option<(View, u32)> {
    let length = affix_bytes(text.len())?;
    let bytes = text.as_bytes().get(..length.into())?;
    Some((View::Prefix(length), hashing.affix(bytes)))
}

fn suffix_code(text: &str, hashing: &Hashing) -> Option<(View, u32)> {
    let length = affix_bytes(text.len())?;
    let bytes = text.as_bytes().get(text.len() - usize::from(length)..)?;
    Some((View::Suffix(length), hashing.affix(bytes)))
}

/// The last gram: names that are counted differ at their ends.
fn gram_code(bytes: &[u8], is_folded: bool, hashing: &Hashing) -> Option<(View, u32)> {
    let gram = bytes.len().checked_sub(GRAM_BYTES).and_then(|at| bytes.get(at..))?;
    Some((if is_folded { View::GramFolded } else { View::Gram }, hashing.affix(gram)))
}

/// What every text that a regular expression finds something in must hold: a beginning if it is anchored, else three bytes in a row.
fn regex_codes(hir: &Hir, hashing: &Hashing) -> Option<(View, u32)> {
    if let HirKind::Concat(parts) = hir.kind()
        && let [anchor, first, ..] = parts.as_slice()
        && *anchor.kind() == HirKind::Look(Look::Start)
        && let HirKind::Literal(literal) = first.kind()
        && let Ok(text) = std::str::from_utf8(&literal.0)
    {
        return prefix_code(text, hashing);
    }
    gram_code(required(hir), false, hashing)
}

/// The longest run of bytes that is in everything that it matches.
fn required(hir: &Hir) -> &[u8] {
    match hir.kind() {
        HirKind::Literal(literal) => &literal.0,
        HirKind::Capture(capture) => required(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => required(&repetition.sub),
        HirKind::Concat(parts) => {
            parts.iter().map(required).max_by_key(|bytes| bytes.len()).unwrap_or_default()
        }
        _ => &[],
    }
}
