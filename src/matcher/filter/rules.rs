//! Whether the values of a field pass a test, by each of the seven rules.
//!
//! An array's elements are values of the field: a test passes if some value passes it. The rules of the dialects are those of the
//! systems they come from, down to their oddities; the tests at the end are the table. Never allocates but where a rule compares
//! a number by its text.

use std::borrow::Cow;
use std::cmp::Ordering;

use crate::event::Number;
use crate::event::fields::Value;
use crate::event::moment;
use crate::matcher::filter::Area;
use crate::matcher::filter::Edge;
use crate::matcher::filter::Range;
use crate::matcher::filter::Rule;
use crate::matcher::filter::Scalar;
use crate::matcher::filter::Test;
use crate::matcher::filter::Wildcard;
use crate::matcher::filter::cost;
use crate::matcher::filter::work::Work;

/// The answer of a test. Unknown is neither true nor, negated, true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Truth {
    True,
    False,
    Unknown,
}

impl From<bool> for Truth {
    fn from(value: bool) -> Self {
        if value { Self::True } else { Self::False }
    }
}

/// The values of a source, in the order of the payload.
#[derive(Clone, Copy, Debug)]
pub(in crate::matcher) struct Values<'a> {
    pub(in crate::matcher) list: &'a [Value<'a>],
    /// The number of the first of them among all values of the event.
    pub(in crate::matcher) first: usize,
}

/// Whether `values` (none: the field is missing) pass `test` by `rule`. `others` are the longitudes of a `Within`. What would take more steps
/// than the filter may is not done: then the answer is unknown.
pub(super) fn answer(
    rule: Rule,
    test: &Test,
    values: Values<'_>,
    others: Values<'_>,
    work: &Work,
) -> Truth {
    let list = values.list;
    let answer = match test {
        Test::Like(_) | Test::Regex(_) if rule == Rule::Sql && !is_known(list) => Truth::Unknown,
        Test::Like(pattern) => is_any_like(rule, pattern, values, work).into(),
        Test::Regex(regex) => texts(rule, list).any(|(_, text)| regex.is_match(&text, work)).into(),
        _ if !work.affords(steps(rule, test, list)) => Truth::Unknown,
        Test::Within { area, .. } => is_any_within(area, list, others.list).into(),
        _ if rule == Rule::Sql => answer_sql(test, list),
        _ => answer_plainly(rule, test, list).into(),
    };
    if work.is_spent() { Truth::Unknown } else { answer }
}

/// The steps that comparing takes, told beforehand.
fn steps(rule: Rule, test: &Test, values: &[Value<'_>]) -> usize {
    let of_each = match test {
        Test::In(list) | Test::NotIn(list) => cost::list_steps(rule, list),
        Test::Range(range) => cost::range_steps(rule, range),
        Test::Within { area, .. } => area.steps(),
        Test::Exists => return 0,
        Test::Null | Test::Like(_) | Test::Regex(_) => 1,
    };
    let bytes = |value: &Value<'_>| if let Value::Text(text) = value { text.len() } else { 0 };
    let read = match (rule, test) {
        (Rule::Loose | Rule::Instant, Test::In(list) | Test::NotIn(list)) => {
            cost::text_steps(rule, list, values.iter().map(bytes).sum())
        }
        (Rule::Loose | Rule::Instant, Test::Range(range)) => {
            cost::text_steps(rule, cost::ends(range), values.iter().map(bytes).sum())
        }
        _ => 0,
    };
    values.len() * of_each + read
}

fn answer_plainly(rule: Rule, test: &Test, values: &[Value<'_>]) -> bool {
    match test {
        Test::In(list) => is_any_in(rule, list, values),
        Test::NotIn(list) => {
            let is_there =
                values.iter().any(|value| rule == Rule::JsonStrict || *value != Value::Null);
            is_there && !is_any_in(rule, list, values)
        }
        Test::Range(range) => is_any_in_range(rule, range, values),
        Test::Exists => !values.is_empty(),
        Test::Null => values.contains(&Value::Null),
        Test::Like(_) | Test::Regex(_) | Test::Within { .. } => unreachable!("answered before"),
    }
}

/// As [`answer_plainly`], where null and missing are unknown.
fn answer_sql(test: &Test, values: &[Value<'_>]) -> Truth {
    let is_known = is_known(values);
    match test {
        Test::Exists => return is_known.into(),
        Test::Null => return (!is_known).into(),
        _ if !is_known => return Truth::Unknown,
        _ => {}
    }
    let unless_null = |list: &[Scalar], otherwise: Truth| {
        if list.contains(&Scalar::Null) { Truth::Unknown } else { otherwise }
    };
    match test {
        Test::In(list) if is_any_in(Rule::Sql, list, values) => Truth::True,
        Test::In(list) => unless_null(list, Truth::False),
        Test::NotIn(list) if is_any_in(Rule::Sql, list, values) => Truth::False,
        Test::NotIn(list) => unless_null(list, Truth::True),
        _ => answer_plainly(Rule::Sql, test, values).into(),
    }
}

fn is_known(values: &[Value<'_>]) -> bool {
    values.iter().any(|value| *value != Value::Null)
}

fn is_any_like(rule: Rule, pattern: &Wildcard, values: Values<'_>, work: &Work) -> bool {
    texts(rule, values.list).any(|(place, text)| {
        if pattern.is_folded() {
            return work.folded(values.first + place, &text, |text| pattern.fits(text, work));
        }
        // The client lower-cases what it looks for, the origin does not lower-case what it looks in: both must be found.
        pattern.fits(&text, work) || rule == Rule::Typed && pattern.fits_lowered(&text, work)
    })
}

fn is_any_within(area: &Area, latitudes: &[Value<'_>], longitudes: &[Value<'_>]) -> bool {
    let is_inside = |(latitude, longitude): (&Value<'_>, &Value<'_>)| match (latitude, longitude) {
        (Value::Number(latitude), Value::Number(longitude)) => {
            area.contains(latitude.to_f64(), longitude.to_f64())
        }
        _ => false,
    };
    latitudes.len() == longitudes.len() && latitudes.iter().zip(longitudes).any(is_inside)
}

/// What patterns and expressions look at by a rule, with its place: texts, or scalars by their text.
fn texts<'v, 'a>(
    rule: Rule,
    values: &'v [Value<'a>],
) -> impl Iterator<Item = (usize, Cow<'a, str>)> + use<'v, 'a> {
    let by_form = matches!(rule, Rule::Typed | Rule::Sql);
    values.iter().enumerate().filter_map(move |(place, value)| match value {
        Value::Text(text) => Some((place, Cow::Borrowed(*text))),
        _ if by_form => Some((place, text_form(value)?)),
        _ => None,
    })
}

/// A scalar as text, where the rule compares by it. A whole number written with a fraction keeps it: `1.0`.
pub(in crate::matcher) fn text_form<'a>(value: &Value<'a>) -> Option<Cow<'a, str>> {
    match value {
        Value::Text(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        Value::Bool(true) => Some(Cow::Borrowed("true")),
        Value::Bool(false) => Some(Cow::Borrowed("false")),
        Value::Null | Value::Other | Value::Json(_) => None,
    }
}

fn is_any_in(rule: Rule, list: &[Scalar], values: &[Value<'_>]) -> bool {
    if matches!(rule, Rule::Native | Rule::JsonStrict) {
        // The list is sorted in the order that this compares by.
        return values.iter().any(|value| match list {
            [one] => compare_types_and_values(rule, one, *value) == Some(Ordering::Equal),
            _ => list
                .binary_search_by(|scalar| {
                    compare_types_and_values(rule, scalar, *value).unwrap_or(Ordering::Less)
                })
                .is_ok(),
        });
    }
    values.iter().any(|value| match value {
        // Its number is read once, not for each of the list.
        Value::Text(text) if rule == Rule::Loose => {
            let number = Number::parse(text).map(Value::Number);
            list.iter().any(|scalar| match scalar {
                Scalar::Number(_) => number.is_some_and(|number| equals(rule, scalar, number)),
                _ => equals(rule, scalar, *value),
            })
        }
        _ => list.iter().any(|scalar| equals(rule, scalar, *value)),
    })
}

/// The order of [`Scalar`]s, with a value for the second; `None` for a value that equals no scalar.
fn compare_types_and_values(rule: Rule, scalar: &Scalar, value: Value<'_>) -> Option<Ordering> {
    let rank = |scalar: &Scalar| match scalar {
        Scalar::Null => 0,
        Scalar::Bool(_) => 1,
        Scalar::Number(_) => 2,
        Scalar::Text(_) => 3,
        Scalar::Json(_) => 4,
    };
    let rank_of_value = match value {
        Value::Null if rule == Rule::JsonStrict => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        Value::Text(_) => 3,
        Value::Json(_) => 4,
        Value::Null | Value::Other => return None,
    };
    Some(match (scalar, value) {
        (Scalar::Bool(one), Value::Bool(other)) => one.cmp(&other),
        (Scalar::Number(one), Value::Number(other)) if rule == Rule::JsonStrict => one.cmp(&other),
        (Scalar::Number(one), Value::Number(other)) => one.cmp_value(other),
        (Scalar::Text(one), Value::Text(other)) | (Scalar::Json(one), Value::Json(other)) => {
            (**one).cmp(other)
        }
        _ => rank(scalar).cmp(&rank_of_value),
    })
}

fn equals(rule: Rule, scalar: &Scalar, value: Value<'_>) -> bool {
    match rule {
        Rule::Native | Rule::JsonStrict => {
            compare_types_and_values(rule, scalar, value) == Some(Ordering::Equal)
        }
        Rule::JsonOrder => match (scalar, value) {
            (Scalar::Bool(one), Value::Bool(other)) => *one == other,
            _ => compare(rule, scalar, value) == Some(Ordering::Equal),
        },
        Rule::Typed => match (scalar, value) {
            (Scalar::Null, Value::Null) => true,
            (Scalar::Bool(one), Value::Bool(other)) => *one == other,
            _ => compare(rule, scalar, value) == Some(Ordering::Equal),
        },
        Rule::Instant => compare(rule, scalar, value) == Some(Ordering::Equal),
        Rule::Sql | Rule::Loose => match (scalar, value) {
            (Scalar::Null, _) | (_, Value::Null) => false,
            (Scalar::Bool(one), Value::Bool(other)) => *one == other,
            _ => compare(rule, scalar, value) == Some(Ordering::Equal),
        },
    }
}

/// How `value` stands to `scalar`, where the rule gives the two an order.
fn compare(rule: Rule, scalar: &Scalar, value: Value<'_>) -> Option<Ordering> {
    match (rule, scalar, value) {
        (Rule::Native | Rule::JsonStrict, Scalar::Number(edge), Value::Number(number)) => {
            Some(number.cmp_value(*edge))
        }
        (Rule::JsonOrder, Scalar::Number(edge), Value::Number(number)) => {
            number.to_f64().partial_cmp(&edge.to_f64())
        }
        (
            Rule::Native | Rule::JsonStrict | Rule::JsonOrder,
            Scalar::Text(edge),
            Value::Text(text),
        ) => Some(text.cmp(edge)),
        (Rule::Typed, Scalar::Number(edge), Value::Number(number)) if !number.is_float() => {
            Some(number.cmp_value(*edge))
        }
        (Rule::Typed, Scalar::Text(_), Value::Number(number)) if !number.is_float() => None,
        (Rule::Typed, Scalar::Text(edge), value) => {
            text_form(&value).map(|text| compare_utf16(&text, edge))
        }
        (Rule::Sql, Scalar::Number(edge), Value::Number(number)) => Some(number.cmp_value(*edge)),
        (Rule::Sql, Scalar::Text(edge), Value::Number(number)) => {
            Number::parse(edge).map(|edge| number.cmp_value(edge))
        }
        (Rule::Sql, Scalar::Number(edge), Value::Text(text)) => {
            Some(text.cmp(edge.to_string().as_str()))
        }
        (Rule::Sql, Scalar::Text(edge), Value::Text(text)) => Some(text.cmp(edge)),
        (Rule::Sql, Scalar::Text(edge), Value::Bool(value)) => {
            edge.parse::<bool>().ok().map(|edge| value.cmp(&edge))
        }
        (Rule::Loose, scalar, value) => compare_loosely(scalar, value),
        (Rule::Instant, Scalar::Number(edge), Value::Text(text)) => {
            moment::parse_us(text).map(|us| Number::from_i64(us).cmp_value(*edge))
        }
        _ => None,
    }
}

/// Two texts by bytes; a number and a text that writes one by value.
fn compare_loosely(scalar: &Scalar, value: Value<'_>) -> Option<Ordering> {
    match (scalar, value) {
        (Scalar::Text(edge), Value::Text(text)) => Some(text.cmp(edge)),
        (Scalar::Number(edge), Value::Number(number)) => Some(number.cmp_value(*edge)),
        (Scalar::Number(edge), Value::Text(text)) => {
            Number::parse(text).map(|number| number.cmp_value(*edge))
        }
        (Scalar::Text(edge), Value::Number(number)) => {
            Number::parse(edge).map(|edge| number.cmp_value(edge))
        }
        _ => None,
    }
}

/// The order of Java and JavaScript, which is not that of bytes between U+E000..U+FFFF and what lies beyond.
fn compare_utf16(one: &str, other: &str) -> Ordering {
    one.encode_utf16().cmp(other.encode_utf16())
}

fn is_any_in_range(rule: Rule, range: &Range, values: &[Value<'_>]) -> bool {
    values.iter().any(|value| is_in_range(rule, range, *value))
}

fn is_in_range(rule: Rule, range: &Range, value: Value<'_>) -> bool {
    let holds = |edge: &Edge, beyond: Ordering| {
        compare(rule, &edge.value, value)
            .is_some_and(|order| order == beyond || (edge.inclusive && order == Ordering::Equal))
    };
    range.low.as_ref().is_none_or(|low| holds(low, Ordering::Greater))
        && range.high.as_ref().is_none_or(|high| holds(high, Ordering::Less))
        && (range.low.is_some() || range.high.is_some())
}
