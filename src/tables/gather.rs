//! From rows as a backend reads them to rows of an answer: the columns that were asked for, and what is preloaded.
//!
//! Invariant: whatever the backend, the same rows come with the same rows: a backend only ever answers queries without preloads.

use std::collections::BTreeMap;

use super::answer::Row;
use super::error::ErrorCode;
use super::error::TableError;
use super::filter::Filter;
use super::query::Preload;
use super::query::Query;
use super::query::Sort;
use super::schema::ColumnId;
use super::schema::Schema;
use super::schema::Table;
use super::value::Value;
use crate::limits::TABLE_FILTER_VALUES_MAX;
use crate::limits::TABLE_PRELOADED_ROWS_MAX;

/// A row as a backend reads it: the columns that were asked of it.
pub type Values = Box<[Value]>;

/// Answers a query that has no preloads with all of its rows.
pub type Answers<'a> = dyn FnMut(&Query) -> Result<Vec<Values>, TableError> + 'a;

/// The columns that a backend reads for an answer: those that were asked for, and behind them those that preloads need.
#[must_use]
pub fn columns_read(table: &Table, asked: &[ColumnId], preloads: &[Preload]) -> Vec<ColumnId> {
    let mut columns: Vec<ColumnId> =
        if asked.is_empty() { table.ids().collect() } else { asked.to_vec() };
    for preload in preloads {
        let here = table.relations[preload.relation.index()].here;
        if !columns.contains(&here) {
            columns.push(here);
        }
    }
    columns
}

/// Rows of an answer, made of rows that have the columns [`columns_read`] says.
///
/// # Errors
/// If a related table cannot be read, or too many rows are related.
pub fn gather(
    schema: &Schema,
    table: &Table,
    (asked, preloads): (&[ColumnId], &[Preload]),
    rows: Vec<Values>,
    answers: &mut Answers<'_>,
) -> Result<Vec<Row>, TableError> {
    let mut left = TABLE_PRELOADED_ROWS_MAX;
    gather_within(schema, table, (asked, preloads), rows, (answers, &mut left))
}

fn gather_within(
    schema: &Schema,
    table: &Table,
    (asked, preloads): (&[ColumnId], &[Preload]),
    rows: Vec<Values>,
    (answers, left): (&mut Answers<'_>, &mut usize),
) -> Result<Vec<Row>, TableError> {
    if preloads.is_empty() {
        return Ok(rows.into_iter().map(Row::new).collect());
    }
    let columns = columns_read(table, asked, preloads);
    let width = if asked.is_empty() { table.columns.len() } else { asked.len() };
    let mut gathered: Vec<Row> = Vec::with_capacity(rows.len());
    let mut keys: Vec<Vec<Value>> = vec![Vec::with_capacity(rows.len()); preloads.len()];
    for row in rows {
        for (preload, keys) in preloads.iter().zip(&mut keys) {
            let here = table.relations[preload.relation.index()].here;
            let at = columns.iter().position(|column| *column == here);
            let value = at.and_then(|at| row.get(at)).cloned().unwrap_or(Value::Null);
            keys.push(value);
        }
        let mut values = row.into_vec();
        values.truncate(width);
        gathered.push(Row::new(values.into()));
    }
    for (preload, keys) in preloads.iter().zip(keys) {
        let related = related(schema, table, preload, &keys, (&mut *answers, &mut *left))?;
        for (row, key) in gathered.iter_mut().zip(&keys) {
            row.related.push(related.get(key).cloned().unwrap_or_default());
        }
    }
    Ok(gathered)
}

/// The related rows of each value, in their order.
fn related(
    schema: &Schema,
    table: &Table,
    preload: &Preload,
    keys: &[Value],
    (answers, left): (&mut Answers<'_>, &mut usize),
) -> Result<BTreeMap<Value, Vec<Row>>, TableError> {
    let relation = &table.relations[preload.relation.index()];
    let id = schema.find(&relation.table).expect("a schema's relations lead to its tables");
    let other = schema.table(id);
    let there = other.find_column(&relation.there).expect("a schema's relations lead to columns");
    let mut wanted: Vec<Value> = keys.iter().filter(|key| !key.is_null()).cloned().collect();
    wanted.sort_unstable();
    wanted.dedup();
    let mut columns = columns_read(other, &preload.columns, &preload.preload);
    // By its value rows are told apart; it stands last, and is taken off again.
    columns.push(there);
    let most = match (preload.limit, relation.is_many) {
        (Some(limit), true) => usize::try_from(limit).unwrap_or(usize::MAX),
        (None, true) => usize::MAX,
        (_, false) => 1,
    };
    let mut found: BTreeMap<Value, Vec<Values>> = BTreeMap::new();
    let chunk = TABLE_FILTER_VALUES_MAX / 2;
    for keys in wanted.chunks(chunk) {
        let filter = preload.filter.clone().and(Filter::one_of(there, keys.to_vec()));
        let limit = u64::try_from(*left).unwrap_or(u64::MAX).saturating_add(1);
        let sort: Vec<Sort> = preload.sort.clone();
        let query =
            Query { columns: columns.clone(), filter, sort, limit: Some(limit), ..Query::all(id) };
        let rows = answers(&query)?;
        if rows.len() > *left {
            return Err(TableError::new(
                ErrorCode::TooLarge,
                format!("more than {TABLE_PRELOADED_ROWS_MAX} rows come with the rows of a page"),
            )
            .at(&relation.name));
        }
        *left -= rows.len();
        for row in rows {
            let mut values = row.into_vec();
            let Some(key) = values.pop() else { continue };
            let of_key = found.entry(key).or_default();
            if of_key.len() < most {
                of_key.push(values.into());
            }
        }
    }
    let mut gathered = BTreeMap::new();
    for (key, rows) in found {
        let asked = (&preload.columns[..], &preload.preload[..]);
        let rows = gather_within(schema, other, asked, rows, (&mut *answers, &mut *left))?;
        gathered.insert(key, rows);
    }
    Ok(gathered)
}
