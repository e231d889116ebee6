//! A condition on rows as a condition on their events: what a subscription passes is what a read finds.
//!
//! Invariant: an event of a row passes if, and only if, the row does; but decimals compare as doubles do, and where case is ignored it is that of all letters. A delete
//! says its key only, and always passes.

use crate::dialect::json;
use crate::event::Arrays;
use crate::event::FieldPath;
use crate::event::Number;
use crate::event::Op;
use crate::matcher::Filter as Live;
use crate::matcher::filter::Predicate;
use crate::matcher::filter::Range;
use crate::matcher::filter::Rule;
use crate::matcher::filter::Scalar;
use crate::matcher::filter::Source;
use crate::matcher::filter::Style;
use crate::matcher::filter::Term;
use crate::matcher::filter::Test as LiveTest;
use crate::matcher::filter::Wildcard;
use crate::tables::Column;
use crate::tables::Comparison;
use crate::tables::Filter;
use crate::tables::Table;
use crate::tables::Test;
use crate::tables::Type;
use crate::tables::Value;

/// The condition on events of rows that pass this one.
///
/// # Errors
/// What cannot be asked of an event, or that it is too much.
pub(super) fn filter(table: &Table, kept: &Filter) -> Result<Option<Live>, String> {
    kept.check(table).map_err(|error| error.to_string())?;
    if kept.is_all() {
        return Ok(None);
    }
    let is_delete = LiveTest::equals(Scalar::text(Op::Delete.name()));
    let any = vec![Predicate::Test(Term::native(Source::Op, is_delete)), predicate(table, kept)?];
    Live::new(&Predicate::Or(any)).map(Some).map_err(|problem| problem.to_string())
}

/// As [`filter`], for a condition that nobody may hear beyond: what could pass more events than rows is refused, and so a delete passes if the row that is gone did.
///
/// # Errors
/// As [`filter`].
pub(super) fn forced(table: &Table, kept: &Filter) -> Result<Vec<Live>, String> {
    kept.check(table).map_err(|error| error.to_string())?;
    if kept.is_all() {
        return Ok(Vec::new());
    }
    if let Some(column) = inexact(table, kept) {
        return Err(format!("{}: a hook's filter of this kind is of rows only", column.name));
    }
    let live = Live::new(&predicate(table, kept)?).map_err(|problem| problem.to_string())?;
    Ok(vec![live])
}

/// The first column whose test means another thing of an event: decimals compare as doubles there, and where case is ignored it is that of all letters.
fn inexact<'a>(table: &'a Table, kept: &Filter) -> Option<&'a Column> {
    match kept {
        Filter::And(all) | Filter::Or(all) => all.iter().find_map(|one| inexact(table, one)),
        Filter::Not(inner) => inexact(table, inner),
        Filter::Test { column, test } => {
            let column = table.column(*column);
            let is_inexact = match test {
                Test::Null | Test::NotNull => false,
                Test::Like { ignore_case, .. } => *ignore_case || column.kind != Type::Text,
                Test::Compare(..) | Test::In(_) => {
                    matches!(column.kind, Type::Decimal | Type::Bytes | Type::Json)
                }
            };
            is_inexact.then_some(column)
        }
    }
}

fn predicate(table: &Table, kept: &Filter) -> Result<Predicate, String> {
    let each = |all: &[Filter]| -> Result<Vec<Predicate>, String> {
        all.iter().map(|one| predicate(table, one)).collect()
    };
    Ok(match kept {
        Filter::And(all) => Predicate::And(each(all)?),
        Filter::Or(any) => Predicate::Or(each(any)?),
        Filter::Not(inner) => predicate(table, inner)?.negated(),
        Filter::Test { column, test } => of_test(table.column(*column), test)?,
    })
}

fn of_test(column: &Column, test: &Test) -> Result<Predicate, String> {
    let path = FieldPath::new(&[&*column.name], Arrays::Whole);
    let path = path.map_err(|error| format!("{}: {error}", column.name))?;
    let field =
        |rule, test| Predicate::Test(Term { source: Source::Field(path.clone()), rule, test });
    let native = |test| field(Rule::Native, test);
    Ok(match test {
        Test::Null => native(LiveTest::Null),
        Test::NotNull => native(LiveTest::Null).negated(),
        Test::Compare(_, Value::Null) => Predicate::none(),
        Test::In(values) => one_of(values.iter().filter_map(scalar).collect(), &native),
        Test::Like { pattern, ignore_case } => {
            let pattern = Wildcard::parse(pattern, Style::Sql, *ignore_case);
            let pattern =
                pattern.map_err(|_| format!("{}: the pattern is too long", column.name))?;
            // By this rule numbers and truth are looked at as their texts.
            field(Rule::Sql, LiveTest::Like(pattern))
        }
        Test::Compare(Comparison::Equal, value) => {
            one_of(scalar(value).into_iter().collect(), &native)
        }
        Test::Compare(Comparison::NotEqual, value) => {
            native(LiveTest::NotIn(scalar(value).into_iter().collect()))
        }
        Test::Compare(comparison, Value::Bool(value)) => {
            let passes = |one: &bool| {
                Test::Compare(*comparison, Value::Bool(*value)).passes(&Value::Bool(*one))
            };
            one_of([false, true].into_iter().filter(passes).map(Scalar::Bool).collect(), &native)
        }
        Test::Compare(comparison, value) => {
            let (rule, edge) = match (value, column.kind) {
                (Value::Time(time), _) => (Rule::Instant, Some(Scalar::integer(time.us()))),
                (_, Type::Bytes | Type::Json) => (Rule::Native, None),
                _ => (Rule::Native, scalar(value)),
            };
            let edge = edge.ok_or_else(|| {
                format!(
                    "{}: a subscription cannot compare values of the type {}",
                    column.name,
                    column.kind.name()
                )
            })?;
            field(rule, LiveTest::Range(range(*comparison, edge)))
        }
    })
}

fn one_of(values: Vec<Scalar>, native: &impl Fn(LiveTest) -> Predicate) -> Predicate {
    if values.is_empty() { Predicate::none() } else { native(LiveTest::In(values)) }
}

const fn range(comparison: Comparison, edge: Scalar) -> Range {
    match comparison {
        Comparison::Less => Range::below(edge, false),
        Comparison::LessOrEqual | Comparison::Equal | Comparison::NotEqual => {
            Range::below(edge, true)
        }
        Comparison::Greater => Range::above(edge, false),
        Comparison::GreaterOrEqual => Range::above(edge, true),
    }
}

/// The value as it stands in an event; `None`: null, which nothing equals.
fn scalar(value: &Value) -> Option<Scalar> {
    let mut text = String::new();
    value.put_json(&mut text);
    match value {
        Value::Null | Value::Json(_) => None,
        Value::Bool(said) => Some(Scalar::Bool(*said)),
        Value::Text(text) => Some(Scalar::Text(text.clone())),
        Value::Int(_) | Value::Decimal(_) | Value::Float(_) => {
            Number::parse(&text).map(Scalar::Number)
        }
        Value::Time(_) | Value::Bytes(_) => {
            serde_json::from_str::<json::Word<'_>>(&text).ok().map(|word| Scalar::text(&word.0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::Message;
    use super::super::query;
    use super::*;
    use crate::dialect::testing::event;
    use crate::event::Op;
    use crate::tables::payload_of;

    const KINDS: [Type; 8] = [
        Type::Int,
        Type::Text,
        Type::Bool,
        Type::Decimal,
        Type::Float,
        Type::Time,
        Type::Bytes,
        Type::Json,
    ];

    fn table() -> Table {
        let columns = KINDS.map(|kind| Column::new(kind.name(), kind));
        Table::new("t", columns.into()).unwrap()
    }

    const VALUES: [(Type, &[&str]); 8] = [
        (Type::Int, &["0", "-7", "9007199254740993", "9007199254740992", "null"]),
        (
            Type::Text,
            &["\"\"", "\"Ada\"", "\"ada\"", "\"a%\"", "\"\u{10000}\"", "\"\u{ffff}\"", "null"],
        ),
        (Type::Bool, &["true", "false", "null"]),
        (Type::Decimal, &["1.5", "-2", "9007199254740993", "null"]),
        (Type::Float, &["0.5", "-1e300", "2", "null"]),
        (
            Type::Time,
            &[
                "\"2026-01-10T12:00:00Z\"",
                "\"2026-01-10T12:00:00.5Z\"",
                "\"1969-12-31T23:59:59Z\"",
                "null",
            ],
        ),
        (Type::Bytes, &["\"AAEC\"", "\"\"", "null"]),
        (Type::Json, &["{\"a\":1}", "null"]),
    ];

    /// Whatever the operator, a row passes a subscription if a read would find it; or the subscription is refused.
    #[test]
    fn what_is_live_is_what_is_read() {
        let table = table();
        let operators = [
            "eq",
            "neq",
            "gt",
            "gte",
            "lt",
            "lte",
            "like",
            "ilike",
            "in",
            "between",
            "between_inclusive",
            "is_null",
            "is_not_null",
            "contains",
            "startswith",
            "endswith",
        ];
        let (mut asked, mut refused) = (0, Vec::new());
        for (kind, values) in VALUES {
            for operator in operators {
                for value in values {
                    let value = match operator {
                        "between" | "between_inclusive" => format!("[{value},{}]", values[0]),
                        _ => (*value).to_owned(),
                    };
                    let text = format!(
                        r#"{{"options":{{"filters":[{{"column":"{}","operator":"{operator}","value":{value}}}]}}}}"#,
                        kind.name()
                    );
                    let message = Message::read(&text).unwrap();
                    let Ok(kept) = query::filter(&table, &message.options.filters) else {
                        continue;
                    };
                    if kept.check(&table).is_err() {
                        assert!(filter(&table, &kept).is_err(), "{text}");
                        continue;
                    }
                    let Ok(live) = filter(&table, &kept) else {
                        refused.push(kind);
                        continue;
                    };
                    for row_value in values {
                        let id = table.find_column(kind.name()).unwrap();
                        let mut row: Vec<Value> = vec![Value::Null; KINDS.len()];
                        row[id.index()] = table.read_value(id, row_value).unwrap();
                        let payload = String::leak(payload_of(&table, &row));
                        let event = event("tables/t", "1", Op::Upsert, payload);
                        let passes = live.as_ref().is_none_or(|live| live.evaluate(&event));
                        assert_eq!(passes, kept.passes(&row), "{text} {row_value}");
                        asked += 1;
                    }
                }
            }
        }
        assert!(asked > 800, "{asked}");
        assert!(refused.iter().all(|kind| *kind == Type::Bytes), "{refused:?}");
    }

    #[test]
    fn a_delete_always_passes() {
        let table = table();
        let kept = Filter::equal(table.find_column("text").unwrap(), Value::Text("a".into()));
        let live = filter(&table, &kept).unwrap().unwrap();
        assert!(live.evaluate(&event("tables/t", "1", Op::Delete, r#"{"int":1}"#)));
        assert!(!live.evaluate(&event("tables/t", "1", Op::Upsert, r#"{"int":1}"#)));
    }
}
