//! What is asked of a table, and what is to be written to it: closed, and in terms of the schema.
//!
//! Invariants: a query or write that was checked names only what is in the schema, compares only values of the columns' types and is not larger than it may be;
//! nothing in it is text of any language.

use super::error::ErrorCode;
use super::error::TableError;
use super::filter::Filter;
use super::schema::ColumnId;
use super::schema::RelationId;
use super::schema::Schema;
use super::schema::Table;
use super::schema::TableId;
use super::schema::Writes;
use super::value::Value;
use crate::limits::TABLE_PRELOAD_DEPTH_MAX;
use crate::limits::TABLE_PRELOADS_MAX;
use crate::limits::TABLE_ROW_BYTES_MAX;
use crate::limits::TABLE_SORTS_MAX;

/// Rows of one table, some columns of them, in an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    pub table: TableId,
    /// In the order in which they are answered; empty: all, in the table's order.
    pub columns: Vec<ColumnId>,
    pub filter: Filter,
    /// What is left open here is ordered by the key: the same query has the same order always.
    pub sort: Vec<Sort>,
    /// Most rows; `None`: all.
    pub limit: Option<u64>,
    /// Rows that are left out first.
    pub offset: u64,
    /// Whether the number of all rows that pass is answered, whatever `limit` and `offset` are.
    pub wants_total: bool,
    /// Of all rows that pass, in their order, only the one of this key is answered, and its number, from 1; `limit` and `offset` say nothing then.
    pub number_of: Option<Box<[Value]>>,
    pub preload: Vec<Preload>,
}

/// Sorted by a column: nulls come last, or first if it is descending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sort {
    pub column: ColumnId,
    pub descending: bool,
}

/// Related rows that come with each row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preload {
    /// A relation of the table whose rows they come with.
    pub relation: RelationId,
    /// Of the related table; empty: all.
    pub columns: Vec<ColumnId>,
    pub filter: Filter,
    pub sort: Vec<Sort>,
    /// Most rows with each row.
    pub limit: Option<u64>,
    pub preload: Vec<Self>,
}

impl Preload {
    /// All related rows.
    #[must_use]
    pub const fn all(relation: RelationId) -> Self {
        Self {
            relation,
            columns: Vec::new(),
            filter: Filter::all(),
            sort: Vec::new(),
            limit: None,
            preload: Vec::new(),
        }
    }
}

impl Query {
    /// All rows of a table.
    #[must_use]
    pub const fn all(table: TableId) -> Self {
        Self {
            table,
            columns: Vec::new(),
            filter: Filter::all(),
            sort: Vec::new(),
            limit: None,
            offset: 0,
            wants_total: false,
            number_of: None,
            preload: Vec::new(),
        }
    }

    /// The row of a key.
    #[must_use]
    pub fn one(schema: &Schema, table: TableId, key: &[Value]) -> Self {
        let filter = Filter::of_key(schema.table(table), key);
        Self { filter, limit: Some(1), ..Self::all(table) }
    }

    /// The columns of its rows.
    #[must_use]
    pub fn columns_of(&self, table: &Table) -> Vec<ColumnId> {
        if self.columns.is_empty() { table.ids().collect() } else { self.columns.clone() }
    }

    /// Looks whether it can be asked of this schema, and is not larger than a query may be.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn check(&self, schema: &Schema) -> Result<(), TableError> {
        let table = find(schema, self.table)?;
        check_columns(table, &self.columns)?;
        check_sort(table, &self.sort)?;
        self.filter.check(table)?;
        if let Some(key) = &self.number_of {
            check_key(table, key)?;
        }
        check_preloads(schema, table, &self.preload, 1, &mut 0)
    }
}

fn find(schema: &Schema, id: TableId) -> Result<&Table, TableError> {
    let found = schema.tables().find(|(of, _)| *of == id).map(|(_, table)| table);
    found.ok_or_else(|| TableError::new(ErrorCode::UnknownTable, "there is no such table"))
}

fn check_columns(table: &Table, columns: &[ColumnId]) -> Result<(), TableError> {
    let unknown = columns.iter().any(|column| column.index() >= table.columns.len());
    if unknown {
        return Err(TableError::new(ErrorCode::UnknownColumn, "there is no such column"));
    }
    if columns.len() > table.columns.len() {
        return Err(TableError::new(ErrorCode::TooLarge, "a column is asked for twice"));
    }
    Ok(())
}

fn check_sort(table: &Table, sort: &[Sort]) -> Result<(), TableError> {
    if sort.len() > TABLE_SORTS_MAX {
        return Err(TableError::new(
            ErrorCode::TooLarge,
            format!("rows are sorted by at most {TABLE_SORTS_MAX} columns"),
        ));
    }
    for sort in sort {
        check_columns(table, &[sort.column])?;
        let column = table.column(sort.column);
        if !column.kind.is_ordered() {
            let message = format!("a column of the type {} has no order", column.kind.name());
            return Err(TableError::new(ErrorCode::CannotFilter, message).at(&column.name));
        }
    }
    Ok(())
}

fn check_key(table: &Table, key: &[Value]) -> Result<(), TableError> {
    if key.len() != table.key.len() {
        return Err(TableError::new(
            ErrorCode::BadValue,
            format!("the key has {} columns", table.key.len()),
        ));
    }
    for (column, value) in table.key.iter().zip(key) {
        let column = table.column(*column);
        if value.is_null() || !value.is_of(column.kind) {
            let message = format!("it must be {}", column.kind);
            return Err(TableError::new(ErrorCode::BadValue, message).at(&column.name));
        }
    }
    Ok(())
}

fn check_preloads(
    schema: &Schema,
    table: &Table,
    preloads: &[Preload],
    depth: usize,
    count: &mut usize,
) -> Result<(), TableError> {
    for preload in preloads {
        *count += 1;
        if *count > TABLE_PRELOADS_MAX || depth > TABLE_PRELOAD_DEPTH_MAX {
            return Err(TableError::new(
                ErrorCode::TooLarge,
                format!(
                    "at most {TABLE_PRELOADS_MAX} relations are preloaded, {TABLE_PRELOAD_DEPTH_MAX} levels deep"
                ),
            ));
        }
        let relation = table.relations.get(preload.relation.index());
        let related = relation.and_then(|relation| schema.find(&relation.table));
        let Some(related) = related else {
            return Err(TableError::new(ErrorCode::UnknownRelation, "there is no such relation"));
        };
        let related = schema.table(related);
        check_columns(related, &preload.columns)?;
        check_sort(related, &preload.sort)?;
        preload.filter.check(related)?;
        check_preloads(schema, related, &preload.preload, depth + 1, count)?;
    }
    Ok(())
}

impl Query {
    /// Bytes that it keeps alive, about.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        let preloads: usize = self.preload.iter().map(Preload::weight_bytes).sum();
        size_of::<Self>() + self.filter.weight_bytes() + preloads
    }
}

impl Preload {
    fn weight_bytes(&self) -> usize {
        let preloads: usize = self.preload.iter().map(Self::weight_bytes).sum();
        size_of::<Self>() + self.filter.weight_bytes() + preloads
    }
}

/// A change of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    pub table: TableId,
    pub change: Change,
    /// Rows that may be touched, and what they must be like afterwards: what a token forces. A row beyond it is as if it were not there.
    pub within: Filter,
}

/// Values by their columns, each column at most once.
pub type Assigned = Vec<(ColumnId, Value)>;

/// What becomes of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A new row; what has no value is null, or what the database gives it.
    Create(Assigned),
    /// Some columns of the row of this key are others. The key stays.
    Update { key: Box<[Value]>, set: Assigned },
    /// A new row, or the row of the same key with these columns changed.
    Upsert(Assigned),
    /// The row of this key goes.
    Delete { key: Box<[Value]> },
}

impl Write {
    /// A change of any row.
    #[must_use]
    pub const fn new(table: TableId, change: Change) -> Self {
        Self { table, change, within: Filter::all() }
    }

    /// Bytes that it keeps alive, about.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        let values = |values: &Assigned| -> usize {
            let each = values.iter().map(|(_, value)| value.weight_bytes() + size_of::<Value>());
            each.sum()
        };
        let change = match &self.change {
            Change::Create(row) | Change::Upsert(row) => values(row),
            Change::Update { set, .. } => values(set),
            Change::Delete { .. } => 0,
        };
        size_of::<Self>() + self.within.weight_bytes() + change
    }

    /// Looks whether it can be done in this schema, and is not larger than a row may be.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn check(&self, schema: &Schema) -> Result<(), TableError> {
        let table = find(schema, self.table)?;
        if table.writes == Writes::Nobody {
            return Err(
                TableError::new(ErrorCode::ReadOnly, "this table is only read").at(&table.name)
            );
        }
        self.check_from_source(schema)
    }

    /// As [`Write::check`], for what no client has said.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn check_from_source(&self, schema: &Schema) -> Result<(), TableError> {
        let table = find(schema, self.table)?;
        self.within.check(table)?;
        match &self.change {
            Change::Create(row) => check_row(table, row),
            Change::Upsert(row) => {
                check_row(table, row)?;
                check_key(table, &key_of(table, row))
            }
            Change::Update { key, set } => {
                check_key(table, key)?;
                check_assigned(table, set)?;
                let named = set.iter().find(|(column, _)| table.is_key(*column));
                match named {
                    Some((column, value)) if !is_same_key(table, key, *column, value) => {
                        let column = table.column(*column);
                        Err(TableError::new(ErrorCode::BadValue, "a row's key cannot be changed")
                            .at(&column.name))
                    }
                    _ => Ok(()),
                }
            }
            Change::Delete { key } => check_key(table, key),
        }
    }
}

fn is_same_key(table: &Table, key: &[Value], column: ColumnId, value: &Value) -> bool {
    table.key.iter().zip(key).any(|(of, said)| *of == column && said == value)
}

/// The key among values; what is not there is null.
#[must_use]
pub fn key_of(table: &Table, row: &[(ColumnId, Value)]) -> Box<[Value]> {
    let find = |wanted: &ColumnId| {
        let found = row.iter().find(|(column, _)| column == wanted);
        found.map_or(Value::Null, |(_, value)| value.clone())
    };
    table.key.iter().map(find).collect()
}

/// A whole row: what must be there is.
fn check_row(table: &Table, row: &[(ColumnId, Value)]) -> Result<(), TableError> {
    check_assigned(table, row)?;
    for id in table.ids() {
        let column = table.column(id);
        let is_there = row.iter().any(|(of, _)| *of == id);
        if !is_there && !column.nullable && !column.generated {
            return Err(TableError::new(ErrorCode::BadValue, "it has no value").at(&column.name));
        }
    }
    Ok(())
}

fn check_assigned(table: &Table, row: &[(ColumnId, Value)]) -> Result<(), TableError> {
    let mut bytes = 0;
    for (index, (id, value)) in row.iter().enumerate() {
        check_columns(table, &[*id])?;
        let column = table.column(*id);
        bytes += value.weight_bytes();
        let wrong =
            |message: String| TableError::new(ErrorCode::BadValue, message).at(&column.name);
        if !value.is_of(column.kind) {
            return Err(wrong(format!("it must be {}", column.kind)));
        }
        if value.is_null() && !column.nullable && !column.generated {
            return Err(wrong("it may not be null".to_owned()));
        }
        if row.iter().take(index).any(|(of, _)| of == id) {
            return Err(wrong("it is given twice".to_owned()));
        }
    }
    if bytes > TABLE_ROW_BYTES_MAX {
        return Err(TableError::new(
            ErrorCode::TooLarge,
            format!("a row has at most {TABLE_ROW_BYTES_MAX} bytes"),
        ));
    }
    Ok(())
}
