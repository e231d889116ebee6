//! A client's filters, as conditions on live rows and as conditions on rows that are kept.
//!
//! Invariants: fields are of two kinds, whole numbers and texts, and are compared with values of their kind only: a filter that compares otherwise is none; a live row passes if the row that is
//! kept would, so that what is live and what is replayed are one.

use super::message::Branch;
use super::message::Scalar;
use super::message::ValueFilter;
use crate::event::Arrays;
use crate::event::FieldPath;
use crate::matcher::filter::Edge;
use crate::matcher::filter::Predicate;
use crate::matcher::filter::Range;
use crate::matcher::filter::Rule;
use crate::matcher::filter::Scalar as LiveScalar;
use crate::matcher::filter::Source;
use crate::matcher::filter::Term;
use crate::matcher::filter::Test;
use crate::matcher::filter::Wildcard;
use crate::tables::Column;
use crate::tables::ColumnId;
use crate::tables::Comparison;
use crate::tables::Filter;
use crate::tables::Table;
use crate::tables::Type;
use crate::tables::Value;

/// Any of these, of each of which all hold.
pub(super) type Branches = [Branch];

/// A field of a table, and what is asked of it.
pub(super) struct FieldTest<'a> {
    pub(super) id: ColumnId,
    pub(super) column: &'a Column,
    pub(super) filter: &'a ValueFilter,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Int,
    Text,
}

/// Which fields may be asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fields {
    All,
    /// Fields by which rows that are kept are found.
    Found,
}

//= rtbdp#4.5
//# Allowed fields: `subscribe` → any field of the table, including `old_row_number` etc.; `replay` → only keys/indexed
//# fields that exist in the database (not `max_rank`, `old_*`, plain columns).
/// The fields of a branch. `None`: one of them is not there, or cannot be compared so.
pub(super) fn asked<'a>(
    table: &'a Table,
    branch: &'a [(Box<str>, ValueFilter)],
    fields: Fields,
) -> Option<Vec<FieldTest<'a>>> {
    let ask = |(name, filter): &'a (Box<str>, ValueFilter)| {
        let id = table.find_column(name)?;
        let column = table.column(id);
        let is_found = column.indexed || column.sorted || table.is_key(id);
        if fields == Fields::Found && (column.live_only || !is_found) {
            return None;
        }
        let kind = match column.kind {
            Type::Int => Kind::Int,
            Type::Text | Type::Time => Kind::Text,
            _ => return None,
        };
        kind.applies_to(filter).then_some(FieldTest { id, column, filter })
    };
    branch.iter().map(ask).collect()
}

impl Kind {
    //= rtbdp#4.5
    //# Filter values must be JSON integer for int fields and string for string
    //# fields (`applicableTo`), else the whole subscription is rejected
    fn applies_to(self, filter: &ValueFilter) -> bool {
        let is_of = |scalar: &Scalar| match scalar {
            Scalar::Int(_) => self == Self::Int,
            Scalar::Text(_) => self == Self::Text,
            Scalar::Null | Scalar::Other => false,
        };
        let opt = filter.opt.as_deref().unwrap_or_default();
        let is_only_null = matches!(opt, [Scalar::Null]);
        (is_only_null || opt.iter().all(is_of))
            && filter.start.iter().chain(&filter.end).all(is_of)
            && (filter.substr.is_none() || self == Self::Text)
    }
}

/// The condition on live rows.
pub(super) fn live(table: &Table, branches: Option<&Branches>) -> Option<Predicate> {
    let Some(branches) = branches else { return Some(Predicate::all()) };
    let branch = |branch: &Branch| {
        let fields = asked(table, branch, Fields::All)?;
        let tests: Option<Vec<_>> = fields.iter().map(live_field).collect();
        Some(Predicate::And(tests?.into_iter().flatten().collect()))
    };
    branches.iter().map(branch).collect::<Option<_>>().map(Predicate::Or)
}

fn live_field(asked: &FieldTest<'_>) -> Option<Vec<Predicate>> {
    let path = FieldPath::new(&[&*asked.column.name], Arrays::Whole).ok()?;
    let source = Source::Field(path);
    let test = |test| Predicate::Test(Term { source: source.clone(), rule: Rule::Typed, test });
    let filter = asked.filter;
    let mut tests = Vec::new();
    if let Some(opt) = &filter.opt {
        let values: Vec<LiveScalar> = opt.iter().map(live_scalar).collect();
        tests.push(if values.is_empty() { Predicate::none() } else { test(Test::In(values)) });
    }
    let edge = |value, inclusive| Edge { value: live_scalar(value), inclusive };
    let low = filter.start.as_ref().map(|value| edge(value, true));
    let high = filter.end.as_ref().map(|value| edge(value, filter.inclusive));
    if low.is_some() || high.is_some() {
        tests.push(test(Test::Range(Range { low, high })));
    }
    if let Some(text) = &filter.substr {
        // Whether in the text as it is or in lower case, the rule sees to.
        tests.push(test(Test::Like(Wildcard::contains(text, false).ok()?)));
    }
    Some(tests)
}

fn live_scalar(scalar: &Scalar) -> LiveScalar {
    match scalar {
        Scalar::Int(number) => LiveScalar::integer(*number),
        Scalar::Text(text) => LiveScalar::text(text),
        Scalar::Null | Scalar::Other => LiveScalar::Null,
    }
}

/// The condition on rows that are kept.
pub(super) fn kept(table: &Table, branches: Option<&Branches>) -> Option<Filter> {
    let Some(branches) = branches else { return Some(Filter::all()) };
    let branch = |branch: &Branch| {
        let fields = asked(table, branch, Fields::Found)?;
        let tests: Option<Vec<_>> = fields.iter().map(kept_field).collect();
        Some(Filter::And(tests?.into_iter().flatten().collect()))
    };
    branches.iter().map(branch).collect::<Option<_>>().map(Filter::Or)
}

/// What is asked of one field.
pub(super) fn kept_field(asked: &FieldTest<'_>) -> Option<Vec<Filter>> {
    let (id, kind, filter) = (asked.id, asked.column.kind, asked.filter);
    let mut tests = Vec::new();
    match filter.opt.as_deref() {
        None => {}
        Some([Scalar::Null]) => tests.push(Filter::null(id)),
        Some([]) => tests.push(Filter::none()),
        Some(opt) => {
            let values: Option<Vec<Value>> =
                opt.iter().map(|value| kept_value(value, kind)).collect();
            tests.push(Filter::one_of(id, values?));
        }
    }
    if let Some(start) = &filter.start {
        tests.push(Filter::compare(id, Comparison::GreaterOrEqual, kept_value(start, kind)?));
    }
    if let Some(end) = &filter.end {
        let comparison = if filter.inclusive { Comparison::LessOrEqual } else { Comparison::Less };
        tests.push(Filter::compare(id, comparison, kept_value(end, kind)?));
    }
    if let Some(text) = &filter.substr {
        if kind != Type::Text || text.contains('\0') {
            return None;
        }
        tests.push(Filter::around(id, text, (true, true), true));
    }
    Some(tests)
}

/// A value of the column; `None`: it has none that is this one.
fn kept_value(scalar: &Scalar, kind: Type) -> Option<Value> {
    match scalar {
        Scalar::Int(number) => Some(Value::Int(*number)),
        Scalar::Text(text) => kind.of_text(text).ok(),
        Scalar::Null | Scalar::Other => None,
    }
}
