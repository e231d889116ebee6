//! What of a table a token lets its bearer read and write: whoever may subscribe to its topic may read it, whoever may publish to its topic may write it, and what
//! is forced on subscriptions is forced on both.
//!
//! Invariant: a forced filter means the same of a row as of the row's event, exactly; one that cannot be said so of a table closes that table to its bearer. Never widens.

use super::access::Who;
use crate::event::TopicPattern;
use crate::matcher::Filter as EventFilter;
use crate::matcher::filter::Edge;
use crate::matcher::filter::Predicate;
use crate::matcher::filter::Rule;
use crate::matcher::filter::Scalar;
use crate::matcher::filter::Source;
use crate::matcher::filter::Term;
use crate::matcher::filter::Test;
use crate::tables::Comparison;
use crate::tables::ErrorCode;
use crate::tables::Filter;
use crate::tables::Float;
use crate::tables::Preload;
use crate::tables::Query;
use crate::tables::Schema;
use crate::tables::Table;
use crate::tables::TableError;
use crate::tables::Time;
use crate::tables::Type;
use crate::tables::Value;
use crate::tables::Write;

impl Who {
    /// Narrows a query to what they may see, what it preloads included.
    pub(super) fn confine_query(
        &self,
        schema: &Schema,
        query: &mut Query,
    ) -> Result<(), TableError> {
        let table = schema.table(query.table);
        narrow(&mut query.filter, self.readable(table)?);
        self.confine_preloads(schema, table, &mut query.preload)
    }

    fn confine_preloads(
        &self,
        schema: &Schema,
        table: &Table,
        preloads: &mut [Preload],
    ) -> Result<(), TableError> {
        for preload in preloads {
            let related = &table.relations[preload.relation.index()].table;
            let related = schema.find(related).expect("a schema's relations lead to its tables");
            let related = schema.table(related);
            narrow(&mut preload.filter, self.readable(related)?);
            self.confine_preloads(schema, related, &mut preload.preload)?;
        }
        Ok(())
    }

    /// Narrows a write to rows that they may see, before and after.
    pub(super) fn confine_write(
        &self,
        schema: &Schema,
        write: &mut Write,
    ) -> Result<(), TableError> {
        let table = schema.table(write.table);
        if !self.principal.may_publish(&table.topic) || self.is_barred(&table.topic) {
            return Err(forbidden(table, "writing to this table is not allowed"));
        }
        narrow(&mut write.within, self.forced_on(table)?);
        Ok(())
    }

    fn readable(&self, table: &Table) -> Result<Filter, TableError> {
        let topic = TopicPattern::Exact(table.topic.clone());
        if !self.principal.may_subscribe(&topic) || self.is_barred(&table.topic) {
            return Err(forbidden(table, "reading this table is not allowed"));
        }
        self.forced_on(table)
    }

    /// What is forced, as a filter of rows.
    fn forced_on(&self, table: &Table) -> Result<Filter, TableError> {
        let all: Option<Vec<Filter>> =
            self.forced().iter().map(|forced| filter_of(forced, table)).collect();
        all.map(Filter::And).ok_or_else(|| {
            forbidden(table, "a filter that your token forces cannot be applied to this table")
        })
    }
}

fn forbidden(table: &Table, message: &'static str) -> TableError {
    TableError::new(ErrorCode::Forbidden, message).at(&table.name)
}

fn narrow(filter: &mut Filter, forced: Filter) {
    if !forced.is_all() {
        let asked = std::mem::replace(filter, Filter::all());
        *filter = asked.and(forced);
    }
}

/// The filter of rows that passes a row if, and only if, this one passes the row's event. `None`: there is none.
fn filter_of(forced: &EventFilter, table: &Table) -> Option<Filter> {
    of_predicate(&forced.to_predicate(), table)
}

fn of_predicate(predicate: &Predicate, table: &Table) -> Option<Filter> {
    let each = |all: &[Predicate]| -> Option<Vec<Filter>> {
        all.iter().map(|one| of_predicate(one, table)).collect()
    };
    Some(match predicate {
        Predicate::And(all) => Filter::And(each(all)?),
        Predicate::Or(any) => Filter::Or(each(any)?),
        Predicate::Not(inner) => Filter::Not(Box::new(of_predicate(inner, table)?)),
        Predicate::Test(term) => of_term(term, table)?,
    })
}

fn of_term(term: &Term, table: &Table) -> Option<Filter> {
    let (Source::Field(path), Rule::Native) = (&term.source, term.rule) else { return None };
    let [name] = path.steps() else { return None };
    // A row's event has members of the columns' names, and no others.
    let Some(column) = table.find_column(name) else {
        return matches!(
            term.test,
            Test::In(_)
                | Test::NotIn(_)
                | Test::Range(_)
                | Test::Like(_)
                | Test::Exists
                | Test::Null
        )
        .then(Filter::none);
    };
    let kind = table.column(column).kind;
    let one_of = |list: &[Scalar]| -> Option<Filter> {
        let values: Option<Vec<Equal>> = list.iter().map(|scalar| equal_to(scalar, kind)).collect();
        let values = values?.into_iter().filter_map(|equal| match equal {
            Equal::To(value) => Some(value),
            Equal::Never => None,
        });
        let values: Vec<Value> = values.collect();
        Some(if values.is_empty() { Filter::none() } else { Filter::one_of(column, values) })
    };
    Some(match &term.test {
        Test::In(list) => one_of(list)?,
        Test::NotIn(list) => {
            Filter::And(vec![Filter::not_null(column), Filter::Not(Box::new(one_of(list)?))])
        }
        Test::Range(range) => {
            let low = range.low.as_ref().map(|edge| {
                let comparison =
                    if edge.inclusive { Comparison::GreaterOrEqual } else { Comparison::Greater };
                (edge, comparison)
            });
            let high = range.high.as_ref().map(|edge| {
                let comparison =
                    if edge.inclusive { Comparison::LessOrEqual } else { Comparison::Less };
                (edge, comparison)
            });
            let edges = low.into_iter().chain(high);
            let edges: Option<Vec<Filter>> = edges
                .map(|(Edge { value, .. }, comparison)| {
                    let value = ordered(value, kind)?;
                    Some(Filter::compare(column, comparison, value))
                })
                .collect();
            Filter::And(edges?)
        }
        Test::Like(pattern) if kind == Type::Text && !pattern.is_folded() => {
            Filter::like(column, &pattern.to_sql(), false)
        }
        Test::Exists => Filter::all(),
        Test::Null => Filter::null(column),
        Test::Like(_) | Test::Regex(_) | Test::Within { .. } => return None,
    })
}

/// The value of a column that equals a scalar.
enum Equal {
    To(Value),
    Never,
}

/// `None`: some values do in one way of comparing, and not in the other.
fn equal_to(scalar: &Scalar, kind: Type) -> Option<Equal> {
    Some(match (scalar, kind) {
        (Scalar::Bool(said), Type::Bool) => Equal::To(Value::Bool(*said)),
        (Scalar::Text(text), Type::Text) if text.contains('\0') => Equal::Never,
        (Scalar::Text(text), Type::Text) => Equal::To(Value::Text(text.clone())),
        (Scalar::Text(text), Type::Time) => match Time::parse(text) {
            Some(time) if time.to_string() == **text => Equal::To(Value::Time(time)),
            _ => Equal::Never,
        },
        (Scalar::Number(_), Type::Int | Type::Float) => {
            ordered(scalar, kind).map_or(Equal::Never, Equal::To)
        }
        // Beyond a double's digits, and within JSON, they compare otherwise there.
        (_, Type::Decimal | Type::Bytes | Type::Json) => return None,
        (
            Scalar::Null | Scalar::Bool(_) | Scalar::Number(_) | Scalar::Text(_) | Scalar::Json(_),
            _,
        ) => Equal::Never,
    })
}

/// The value of a column that is ordered as a scalar is; `None`: there is none.
fn ordered(scalar: &Scalar, kind: Type) -> Option<Value> {
    match (scalar, kind) {
        (Scalar::Text(text), Type::Text) if !text.contains('\0') => Some(Value::Text(text.clone())),
        (Scalar::Number(number), Type::Int) => {
            let text = number.plain().to_string();
            text.parse().ok().map(Value::Int)
        }
        (Scalar::Number(number), Type::Float) if number.lack() == 0 => {
            Float::new(number.to_f64()).map(Value::Float)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use crate::event::Event;
    use crate::event::Fields;
    use crate::event::HomeId;
    use crate::event::Op;
    use crate::tables::Column;

    fn table() -> Table {
        let columns = vec![
            Column::key("id", Type::Int),
            Column::new("team", Type::Text),
            Column::new("level", Type::Int),
            Column::new("ratio", Type::Float),
            Column::new("on", Type::Bool),
            Column::new("at", Type::Time),
            Column::new("worth", Type::Decimal),
            Column::new("more", Type::Json),
        ];
        Table::new("t", columns).unwrap()
    }

    fn event(payload: &str) -> Event {
        Event {
            topic: table().topic,
            key: Arc::from("1"),
            op: Op::Upsert,
            home: HomeId(0),
            offset: 1,
            previous: 0,
            time_us: 1,
            payload: Bytes::copy_from_slice(payload.as_bytes()),
            fields: Fields::default(),
            before: None,
            meta: None,
        }
    }

    const VALUES: [(&str, &[&str]); 5] = [
        ("team", &["null", r#""red""#, r#""Red""#, r#""""#, r#""r%d""#, r#""7""#]),
        ("level", &["null", "7", "-1", "9007199254740993", "9007199254740992"]),
        ("ratio", &["null", "7", "0.5", "9007199254740992", "1e300"]),
        ("on", &["null", "true", "false"]),
        ("at", &["null", r#""2026-01-10T12:00:00Z""#]),
    ];

    const FILTERS: [&str; 36] = [
        r#"team = "red""#,
        r#"team != "red""#,
        r#"team in ("red", 7)"#,
        r#"team not in ("red", "Red")"#,
        "team is null",
        "not (team is null)",
        "team exists",
        r#"team like "r\\%d""#,
        r#"not (team = "red")"#,
        r#"not (team != "red")"#,
        r#"team > "a""#,
        r#"team <= "red" and not (team < "Red")"#,
        r#"team ~ "r*""#,
        r#"not (team ~ "r*d")"#,
        "team = 7",
        "level = 7",
        "level = 7.0",
        r#"level = "7""#,
        "level != 7",
        "level >= 9007199254740993",
        "level < 9007199254740993",
        "level > 0 or on = true",
        "level = 1.5",
        "ratio = 7",
        "ratio > 0.5",
        "ratio <= 9007199254740992",
        "ratio != 0.5",
        "on = true",
        "on != true",
        "not (on = false)",
        r#"at = "2026-01-10T12:00:00Z""#,
        r#"at = "2026-01-10T13:00:00+01:00""#,
        "nothing = 1",
        "not (nothing = 1)",
        "nothing != 1",
        r#"team = "red" and (level = 7 or not (on = true))"#,
    ];

    /// Every filter here passes the rows whose events it passes, and no others.
    #[test]
    fn a_forced_filter_means_the_same_of_a_row_as_of_its_event() {
        let table = table();
        let mut both = [0, 0];
        for text in FILTERS {
            let forced =
                EventFilter::parse_text(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            let filter = filter_of(&forced, &table).unwrap_or_else(|| panic!("{text} can be put"));
            filter.check(&table).unwrap();
            for (at, (name, values)) in VALUES.iter().enumerate() {
                for value in *values {
                    for (_, others) in VALUES.iter().skip(at + 1) {
                        let members = VALUES.iter().map(|(of, known)| {
                            let said = if of == name {
                                value
                            } else {
                                known.get(others.len() % known.len()).unwrap()
                            };
                            format!(r#""{of}":{said}"#)
                        });
                        let members: Vec<String> = members.collect();
                        let payload = format!(
                            r#"{{"id":1,{},"worth":null,"more":{{"team":"red"}}}}"#,
                            members.join(",")
                        );
                        let assigned =
                            table.read_object(&payload, crate::tables::Unknown::Refused).unwrap();
                        let row: Vec<Value> =
                            assigned.into_iter().map(|(_, value)| value).collect();
                        let expected = forced.evaluate(&event(&payload));
                        assert_eq!(filter.passes(&row), expected, "{text} {payload}");
                        both[usize::from(expected)] += 1;
                    }
                }
            }
        }
        assert!(both.iter().all(|count| *count > 100), "{both:?}");
    }

    #[test]
    fn what_cannot_be_said_of_rows_closes_the_table() {
        let table = table();
        for text in [
            "worth = 1",
            "worth > 1",
            r#"at > "2026""#,
            r#"more.team = "red""#,
            "more = 1",
            "level > 1.5",
            r#"team > 7"#,
            r#"$topic = "tables/t""#,
        ] {
            let Ok(forced) = EventFilter::parse_text(text) else { continue };
            assert!(filter_of(&forced, &table).is_none(), "{text}");
        }
    }
}
