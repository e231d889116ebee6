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
