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
use crate::matcher::filter::Edge;
use crate::matcher::filter::Range;
use crate::matcher::filter::Rule;
use crate::matcher::filter::Scalar;
use crate::matcher::filter::Test;

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

/// Whether `values` (none: the field is missing) pass `test` by `rule`. `others` are the longitudes of a `Within`.
pub(super) fn answer(rule: Rule, test: &Test, values: &[Value<'_>], others: &[Value<'_>]) -> Truth {
    if rule == Rule::Sql {
        return answer_sql(test, values, others);
    }
    match test {
        Test::In(list) => is_any_in(rule, list, values).into(),
        Test::NotIn(list) => {
            let is_there =
                values.iter().any(|value| rule == Rule::JsonStrict || *value != Value::Null);
            (is_there && !is_any_in(rule, list, values)).into()
        }
        Test::Range(range) => values.iter().any(|value| is_in_range(rule, range, *value)).into(),
        Test::Like(pattern) if rule == Rule::Typed => {
            // The client lower-cases what it looks for, the origin does not lower-case what it looks in: both must be found.
            values
                .iter()
                .filter_map(text_form)
                .any(|text| pattern.matches(&text) || pattern.matches_lowered(&text))
                .into()
        }
        Test::Like(pattern) => texts(values).any(|text| pattern.matches(text)).into(),
        Test::Regex(regex) if rule == Rule::Typed => {
            values.iter().filter_map(text_form).any(|text| regex.is_match(&text)).into()
        }
        Test::Regex(regex) => texts(values).any(|text| regex.is_match(text)).into(),
        Test::Exists => (!values.is_empty()).into(),
        Test::Null => values.contains(&Value::Null).into(),
        Test::Within { area, .. } => {
            let places = || values.iter().zip(others);
            let is_inside =
                |(latitude, longitude): (&Value<'_>, &Value<'_>)| match (latitude, longitude) {
                    (Value::Number(latitude), Value::Number(longitude)) => {
                        area.contains(latitude.to_f64(), longitude.to_f64())
                    }
                    _ => false,
                };
            (values.len() == others.len() && places().any(is_inside)).into()
        }
    }
}

/// As [`answer`], where null and missing are unknown.
fn answer_sql(test: &Test, values: &[Value<'_>], others: &[Value<'_>]) -> Truth {
    let is_known = values.iter().any(|value| *value != Value::Null);
    match test {
        Test::Exists => return is_known.into(),
        Test::Null => return (!is_known).into(),
        Test::Within { .. } => return answer(Rule::Native, test, values, others),
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
        Test::Range(range) => {
            values.iter().any(|value| is_in_range(Rule::Sql, range, *value)).into()
        }
        Test::Like(pattern) => {
            values.iter().filter_map(text_form).any(|text| pattern.matches(&text)).into()
        }
        Test::Regex(regex) => {
            values.iter().filter_map(text_form).any(|text| regex.is_match(&text)).into()
        }
        Test::Exists | Test::Null | Test::Within { .. } => unreachable!("answered above"),
    }
}

fn texts<'a>(values: &[Value<'a>]) -> impl Iterator<Item = &'a str> {
    values.iter().filter_map(|value| if let Value::Text(text) = value { Some(*text) } else { None })
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
    values.iter().any(|value| list.iter().any(|scalar| equals(rule, scalar, *value)))
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

/// Numbers and texts that write numbers by value, other texts by bytes.
fn compare_loosely(scalar: &Scalar, value: Value<'_>) -> Option<Ordering> {
    let edge = match scalar {
        Scalar::Number(number) => Some(*number),
        Scalar::Text(text) => Number::parse(text),
        _ => None,
    };
    let number = match value {
        Value::Number(number) => Some(number),
        Value::Text(text) => Number::parse(text),
        _ => None,
    };
    match (edge, number, scalar, value) {
        (Some(edge), Some(number), _, _) => Some(number.cmp_value(edge)),
        (_, _, Scalar::Text(edge), Value::Text(text)) => Some(text.cmp(edge)),
        _ => None,
    }
}

/// The order of Java and JavaScript, which is not that of bytes between U+E000..U+FFFF and what lies beyond.
fn compare_utf16(one: &str, other: &str) -> Ordering {
    one.encode_utf16().cmp(other.encode_utf16())
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
