//! Tables in memory: the rows, and the one evaluation that every other backend is held to.
//!
//! Invariants: rows are there once for each key, and take at most `bytes_max` bytes together: a write that would take more is refused. Rows do not outlast the process.
//! Never looks at a clock: a query takes as long as the rows that there are.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::answer::End;
use super::answer::What;
use super::answer::Written;
use super::error::ErrorCode;
use super::error::TableError;
use super::filter::Comparison;
use super::filter::Filter;
use super::filter::Test;
use super::gather::Values;
use super::query::Assigned;
use super::query::Change;
use super::query::Query;
use super::query::Sort;
use super::query::Write;
use super::query::key_of;
use super::schema::ColumnId;
use super::schema::Schema;
use super::schema::Table;
use super::value::Type;
use super::value::Value;
use crate::limits::TABLE_MEMORY_ROW_BYTES;

/// All tables of a schema.
#[derive(Debug)]
pub struct Memory {
    schema: Schema,
    tables: Vec<Rows>,
    bytes: usize,
    bytes_max: usize,
}

#[derive(Debug, Default)]
struct Rows {
    by_key: BTreeMap<Values, Values>,
    /// The largest generated value so far.
    generated: i64,
}

/// All rows of an answer, and what else was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    pub rows: Vec<Values>,
    pub end: End,
}

impl Memory {
    /// Empty tables, which may take so many bytes together.
    #[must_use]
    pub fn new(schema: Schema, bytes_max: usize) -> Self {
        let tables = schema.tables().map(|_| Rows::default()).collect();
        Self { schema, tables, bytes: 0, bytes_max }
    }

    /// Bytes that its rows take, about.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The rows of a query that was checked; without what is preloaded.
    #[must_use]
    pub fn query(&self, query: &Query) -> Found {
        let table = self.schema.table(query.table);
        let rows = &self.tables[query.table.index()].by_key;
        let mut found: Vec<&Values> = match key_in(&query.filter, table) {
            Some(key) => {
                rows.get(&key).into_iter().filter(|row| query.filter.passes(row)).collect()
            }
            None => rows.values().filter(|row| query.filter.passes(row)).collect(),
        };
        // By key they are in order already, and a stable sort leaves them so.
        found.sort_by(|one, other| order(&query.sort, one, other));
        let total = query.wants_total.then_some(found.len() as u64);
        let mut number = None;
        if let Some(key) = &query.number_of {
            let at = found.iter().position(|row| key_values(table, row) == *key);
            number = at.map(|at| at as u64 + 1);
            found = at.and_then(|at| found.get(at).copied()).into_iter().collect();
        } else {
            let offset = usize::try_from(query.offset).unwrap_or(usize::MAX);
            found.drain(..offset.min(found.len()));
            let limit = query
                .limit
                .map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
            found.truncate(limit);
        }
        let columns = query.columns_of(table);
        let chosen = |row: &&Values| -> Values {
            columns.iter().map(|column| row[column.index()].clone()).collect()
        };
        let rows: Vec<Values> = found.iter().map(chosen).collect();
        let end = End { count: rows.len() as u64, total, number };
        Found { rows, end }
    }

    /// Carries out a write that was checked.
    ///
    /// # Errors
    /// If it cannot be: then nothing has changed.
    pub fn write(&mut self, write: &Write) -> Result<Written, TableError> {
        let schema = self.schema.clone();
        let table = schema.table(write.table);
        let rows = &self.tables[write.table.index()];
        let (key, before, after) = match &write.change {
            Change::Create(values) => {
                let row = self.whole(write, table, values)?;
                let key = key_values(table, &row);
                if rows.by_key.contains_key(&key) {
                    return Err(TableError::new(
                        ErrorCode::KeyExists,
                        "there is a row of this key already",
                    ));
                }
                (key, None, Some(row))
            }
            Change::Upsert(values) => {
                let key = key_of(table, values);
                let before = rows.by_key.get(&key).cloned();
                let after = match &before {
                    Some(row) => changed(row, values),
                    None => self.whole(write, table, values)?,
                };
                (key, before, Some(after))
            }
            Change::Update { key, set } => {
                let before = rows.by_key.get(key).filter(|row| write.within.passes(row)).cloned();
                let Some(row) = before else { return Err(not_found()) };
                let after = changed(&row, set);
                (key.clone(), Some(row), Some(after))
            }
            Change::Delete { key } => {
                let before = rows.by_key.get(key).filter(|row| write.within.passes(row)).cloned();
                if before.is_none() {
                    return Ok(Written { what: What::NotThere, row: None });
                }
                (key.clone(), before, None)
            }
        };
        let is_within = |row: &Values| write.within.passes(row);
        if !before.iter().chain(&after).all(is_within) {
            return Err(forbidden());
        }
        self.put(write, key, before.as_ref(), after.as_ref())?;
        let what = match (&before, &after) {
            (None, _) => What::Created,
            (Some(_), Some(_)) => What::Updated,
            (Some(_), None) => What::Deleted,
        };
        Ok(Written { what, row: after.or(before) })
    }

    fn put(
        &mut self,
        write: &Write,
        key: Values,
        before: Option<&Values>,
        after: Option<&Values>,
    ) -> Result<(), TableError> {
        let bytes = |row: Option<&Values>| row.map_or(0, |row| row_bytes(row));
        let then = self.bytes - bytes(before) + bytes(after);
        if then > self.bytes_max && then > self.bytes {
            return Err(TableError::new(
                ErrorCode::Full,
                format!("the tables have no room beyond {} bytes", self.bytes_max),
            ));
        }
        self.bytes = then;
        let rows = &mut self.tables[write.table.index()];
        match after {
            Some(row) => {
                let table = self.schema.table(write.table);
                for (column, value) in table.columns.iter().zip(row) {
                    if let (true, Value::Int(value)) = (column.generated, value) {
                        rows.generated = rows.generated.max(*value);
                    }
                }
                rows.by_key.insert(key, row.clone());
            }
            None => drop(rows.by_key.remove(&key)),
        }
        Ok(())
    }

    /// A new row: what has no value is null, or is generated.
    fn whole(&self, write: &Write, table: &Table, values: &Assigned) -> Result<Values, TableError> {
        let generated = self.tables[write.table.index()].generated;
        let value_of = |id: ColumnId| {
            let column = table.column(id);
            let given = values.iter().find(|(of, _)| *of == id).map(|(_, value)| value.clone());
            match given.unwrap_or(Value::Null) {
                Value::Null if column.generated && column.kind == Type::Int => {
                    let next = generated.checked_add(1).map(Value::Int);
                    next.ok_or_else(|| {
                        TableError::new(ErrorCode::Full, "no number is left").at(&column.name)
                    })
                }
                Value::Null if !column.nullable => {
                    Err(TableError::new(ErrorCode::BadValue, "it has no value").at(&column.name))
                }
                value => Ok(value),
            }
        };
        table.ids().map(value_of).collect()
    }
}

fn not_found() -> TableError {
    TableError::new(ErrorCode::NotFound, "there is no such row")
}

fn forbidden() -> TableError {
    TableError::new(ErrorCode::Forbidden, "this row is beyond what may be written")
}

/// A row with some columns changed.
fn changed(row: &[Value], set: &[(ColumnId, Value)]) -> Values {
    let mut row = row.to_vec();
    for (column, value) in set {
        row[column.index()] = value.clone();
    }
    row.into()
}

fn row_bytes(row: &[Value]) -> usize {
    // The key's values are there twice.
    TABLE_MEMORY_ROW_BYTES
        + 2 * size_of_val(row)
        + row.iter().map(Value::weight_bytes).sum::<usize>()
}

/// A row's key.
#[must_use]
pub fn key_values(table: &Table, row: &[Value]) -> Values {
    table.key.iter().map(|column| row[column.index()].clone()).collect()
}

/// Which of two rows comes first.
#[must_use]
pub fn order(sort: &[Sort], one: &[Value], other: &[Value]) -> Ordering {
    for Sort { column, descending } in sort {
        let (one, other) = (&one[column.index()], &other[column.index()]);
        let ascending = match (one.is_null(), other.is_null()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) => one.cmp(other),
        };
        let ordering = if *descending { ascending.reverse() } else { ascending };
        if ordering.is_ne() {
            return ordering;
        }
    }
    Ordering::Equal
}

/// The one key that a filter means, if it says the whole of it.
fn key_in(filter: &Filter, table: &Table) -> Option<Values> {
    let of_column = |wanted: &ColumnId| {
        let tests = match filter {
            Filter::And(all) => &all[..],
            test => std::slice::from_ref(test),
        };
        tests.iter().find_map(|test| match test {
            Filter::Test { column, test: Test::Compare(Comparison::Equal, value) }
                if column == wanted =>
            {
                Some(value.clone())
            }
            _ => None,
        })
    };
    table.key.iter().map(of_column).collect()
}
