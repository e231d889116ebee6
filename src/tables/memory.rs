//! Tables in memory: the rows, and the one evaluation that every other backend is held to.
//!
//! Invariants: rows are there once for each key, and take at most `bytes_max` bytes together: a write that would take more is refused. Rows do not outlast the process.
//! Never looks at a clock: a query takes as long as the rows that there are.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::answer::End;
use super::answer::Written;
use super::carry::OneRow;
use super::carry::beyond;
use super::carry::carry_out;
use super::effort::Effort;
use super::effort::ROW_STEPS;
use super::error::ErrorCode;
use super::error::TableError;
use super::filter::Comparison;
use super::filter::Filter;
use super::filter::Test;
use super::gather::Values;
use super::query::Assigned;
use super::query::Query;
use super::query::Sort;
use super::query::Write;
use super::schema::ColumnId;
use super::schema::Schema;
use super::schema::Table;
use super::value::Value;
use crate::limits::TABLE_ANSWERS_BYTES_MAX;
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
    ///
    /// # Errors
    /// If it takes more than it may, or there is no room for its answer.
    pub fn query(&self, query: &Query, effort: &Effort) -> Result<Found, TableError> {
        let table = self.schema.table(query.table);
        let rows = &self.tables[query.table.index()].by_key;
        let mut found: Vec<&Values> = Vec::new();
        let key = key_in(&query.filter, table);
        let one = key.as_ref().and_then(|key| rows.get(key));
        let all = key.is_none().then(|| rows.values()).into_iter().flatten();
        for row in one.into_iter().chain(all) {
            effort.take(ROW_STEPS);
            effort.check()?;
            if query.filter.passes_within(row, effort) {
                found.push(row);
            }
        }
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
        let (mut rows, mut bytes) = (Vec::with_capacity(found.len()), 0);
        for row in found.iter().map(chosen) {
            bytes +=
                row.iter().map(|value| size_of::<Value>() + value.weight_bytes()).sum::<usize>();
            if bytes > TABLE_ANSWERS_BYTES_MAX {
                return Err(TableError::new(
                    ErrorCode::Busy,
                    "there is more to answer than there is room for; ask for fewer rows",
                ));
            }
            rows.push(row);
        }
        let end = End { count: rows.len() as u64, total, number };
        Ok(Found { rows, end })
    }

    /// Carries out a write that was checked.
    ///
    /// # Errors
    /// If it cannot be: then nothing has changed.
    pub fn write(&mut self, write: &Write) -> Result<Written, TableError> {
        let schema = self.schema.clone();
        let rows = &mut self.tables[write.table.index()];
        let (bytes, bytes_max) = (&mut self.bytes, self.bytes_max);
        carry_out(&mut Puts { rows, bytes, bytes_max }, schema.table(write.table), write)
    }
}

/// One table's rows, and the room for them.
struct Puts<'a> {
    rows: &'a mut Rows,
    bytes: &'a mut usize,
    bytes_max: usize,
}

impl Puts<'_> {
    /// Takes the bytes of one row for those of another.
    fn exchange(&mut self, before: usize, after: usize) -> Result<(), TableError> {
        let then = *self.bytes - before + after;
        if then > self.bytes_max && after > before {
            let message = format!("the tables have no room beyond {} bytes", self.bytes_max);
            return Err(TableError::new(ErrorCode::Full, message));
        }
        *self.bytes = then;
        Ok(())
    }

    /// A new row: what has no value is null, or is generated.
    fn whole(&self, table: &Table, values: &Assigned) -> Result<Values, TableError> {
        let value_of = |id: ColumnId| {
            let column = table.column(id);
            let given = values.iter().find(|(of, _)| *of == id).map(|(_, value)| value.clone());
            match given.unwrap_or(Value::Null) {
                Value::Null if column.generated => {
                    let next = self.rows.generated.checked_add(1).map(Value::Int);
                    let full = || TableError::new(ErrorCode::Full, "no number is left");
                    next.ok_or_else(|| full().at(&column.name))
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

impl OneRow for Puts<'_> {
    fn find(&mut self, _table: &Table, key: &[Value]) -> Result<Option<Values>, TableError> {
        Ok(self.rows.by_key.get(key).cloned())
    }

    fn insert(
        &mut self,
        table: &Table,
        row: &Assigned,
        within: &Filter,
    ) -> Result<Values, TableError> {
        let row = self.whole(table, row)?;
        if !within.passes(&row) {
            return Err(beyond());
        }
        self.exchange(0, row_bytes(&row))?;
        for (column, value) in table.columns.iter().zip(&row) {
            if let (true, Value::Int(value)) = (column.generated, value) {
                self.rows.generated = self.rows.generated.max(*value);
            }
        }
        self.rows.by_key.insert(key_values(table, &row), row.clone());
        Ok(row)
    }

    fn update(
        &mut self,
        _table: &Table,
        key: &[Value],
        _set: &Assigned,
        before: &[Value],
        after: Values,
    ) -> Result<Values, TableError> {
        self.exchange(row_bytes(before), row_bytes(&after))?;
        self.rows.by_key.insert(key.into(), after.clone());
        Ok(after)
    }

    fn delete(&mut self, _: &Table, key: &[Value], before: &[Value]) -> Result<(), TableError> {
        self.exchange(row_bytes(before), 0)?;
        self.rows.by_key.remove(key);
        Ok(())
    }
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
#[must_use]
pub fn key_in(filter: &Filter, table: &Table) -> Option<Values> {
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
