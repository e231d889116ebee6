//! Queries and changes of rows as statements of SQL, with all values bound: the printer that in-memory evaluation is held to.
//!
//! Invariants: a statement's text is made of words that stand here and of names from the schema, in quotes; whatever a client said is a parameter. The same query prints the same text, but for
//! how many values are listed. Never talks to a database: what it prints is the SQL of an [`Engine`]; SQLite's needs the function and the collation that the constants here name.

mod creating;

mod engine;

mod printer;

use super::filter::Filter;
use super::query::Assigned;
use super::query::Query;
use super::schema::ColumnId;
use super::schema::Table;
use super::value::Value;

pub use engine::Engine;
pub use engine::Stored;
pub use engine::usual;
use printer::Printer;

/// The collation that compares texts as the decimal numbers that they write.
pub const DECIMAL_COLLATION: &str = "fw_decimal";
/// `fw_like(pattern, text, ignore_case)`: 1 if the text matches, as [`is_like`](super::like::is_like) says.
pub const LIKE_FUNCTION: &str = "fw_like";

/// A statement, and what is bound to its parameters `?1`, `?2`… or `$1`, `$2`…, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statement {
    pub sql: String,
    pub params: Vec<Value>,
}

/// A name in quotes, as it stands in SQL.
#[must_use]
pub fn quoted(name: &str) -> String {
    let mut sql = String::with_capacity(name.len() + 2);
    printer::push_quoted(name, &mut sql);
    sql
}

impl Statement {
    /// The rows of a query, their columns as asked for; behind them, if a row's number was asked for, that number.
    #[must_use]
    pub fn rows(engine: Engine<'_>, table: &Table, query: &Query) -> Self {
        let mut statement = Printer::new(engine, table);
        statement.push("SELECT ");
        statement.push_columns(query.columns_of(table));
        match &query.number_of {
            None => {
                statement.push_from(&query.filter);
                statement.push_order(&query.sort);
                if query.limit.is_some() || query.offset > 0 {
                    // What has no limit but an offset needs one; no table has more rows.
                    statement.push(" LIMIT ");
                    statement.push_number(query.limit.unwrap_or(u64::MAX));
                    statement.push(" OFFSET ");
                    statement.push_number(query.offset);
                }
            }
            Some(key) => {
                statement.push(", fw_number FROM (SELECT *, ROW_NUMBER() OVER (");
                statement.push_order(&query.sort);
                statement.push(") AS fw_number");
                statement.push_from(&query.filter);
                statement.push(") AS fw_rows WHERE ");
                statement.push_filter(&Filter::of_key(table, key));
            }
        }
        statement.done()
    }

    /// How many rows pass.
    #[must_use]
    pub fn count(engine: Engine<'_>, table: &Table, filter: &Filter) -> Self {
        let mut statement = Printer::new(engine, table);
        statement.push("SELECT count(*)");
        statement.push_from(filter);
        statement.done()
    }

    /// The whole row of a key, which nobody else may change until the transaction ends.
    #[must_use]
    pub fn row(engine: Engine<'_>, table: &Table, key: &[Value]) -> Self {
        let mut statement = Printer::new(engine, table);
        statement.push("SELECT ");
        statement.push_columns(table.ids());
        statement.push_from(&Filter::of_key(table, key));
        if matches!(engine, Engine::Postgres(_)) {
            statement.push(" FOR UPDATE");
        }
        statement.done()
    }

    /// A new row; it is answered whole.
    #[must_use]
    pub fn insert(engine: Engine<'_>, table: &Table, row: &Assigned) -> Self {
        let mut statement = Printer::new(engine, table);
        statement.push("INSERT INTO ");
        statement.push_table();
        // In SQLite a null is what is generated; PostgreSQL generates what is left out.
        let is_generated = |id: ColumnId, value: &Value| {
            value.is_null() && table.column(id).generated && matches!(engine, Engine::Postgres(_))
        };
        let row = || row.iter().filter(|(id, value)| !is_generated(*id, value));
        if row().next().is_none() {
            statement.push(" DEFAULT VALUES");
        } else {
            statement.push(" (");
            statement.push_columns(row().map(|(column, _)| *column));
            statement.push(") VALUES (");
            for (index, (id, value)) in row().enumerate() {
                statement.push(if index > 0 { ", " } else { "" });
                statement.push_put(*id, value.clone());
            }
            statement.push(")");
        }
        statement.push(" RETURNING ");
        statement.push_columns(table.ids());
        statement.done()
    }

    /// A new row, or the row of the same key with these columns changed; it is answered whole, and behind it whether it is new. PostgreSQL's words.
    #[must_use]
    pub fn upsert(engine: Engine<'_>, table: &Table, row: &Assigned) -> Self {
        let mut statement = Printer::new(engine, table);
        statement.push("INSERT INTO ");
        statement.push_table();
        statement.push(" (");
        statement.push_columns(row.iter().map(|(column, _)| *column));
        statement.push(") VALUES (");
        for (index, (id, value)) in row.iter().enumerate() {
            statement.push(if index > 0 { ", " } else { "" });
            statement.push_put(*id, value.clone());
        }
        statement.push(") ON CONFLICT (");
        statement.push_columns(table.key.iter().copied());
        statement.push(") DO UPDATE");
        // A row is locked and answered even if nothing of it changes.
        let others = || row.iter().map(|(id, _)| *id).filter(|id| !table.is_key(*id));
        let only_key = others().next().is_none();
        let set = others().chain(table.key.iter().copied().take(usize::from(only_key)));
        for (index, id) in set.enumerate() {
            statement.push(if index > 0 { ", " } else { " SET " });
            statement.push_column(id);
            statement.push(" = EXCLUDED.");
            statement.push_column(id);
        }
        statement.push(" RETURNING ");
        statement.push_columns(table.ids());
        statement.push(", xmax = 0");
        statement.done()
    }

    /// The row of a key with some columns changed; it is answered whole. `set` is not empty.
    #[must_use]
    pub fn update(engine: Engine<'_>, table: &Table, key: &[Value], set: &Assigned) -> Self {
        Self::update_within(engine, table, (key, &Filter::all()), set)
    }

    /// As [`Statement::update`], if the row passes a filter; else nothing is answered.
    #[must_use]
    pub fn update_within(
        engine: Engine<'_>,
        table: &Table,
        of: (&[Value], &Filter),
        set: &Assigned,
    ) -> Self {
        let mut statement = Printer::new(engine, table);
        statement.push("UPDATE ");
        statement.push_table();
        for (index, (id, value)) in set.iter().enumerate() {
            statement.push(if index > 0 { ", " } else { " SET " });
            statement.push_column(*id);
            statement.push(" = ");
            statement.push_put(*id, value.clone());
        }
        statement.push_of_key(of);
        statement.push(" RETURNING ");
        statement.push_columns(table.ids());
        statement.done()
    }

    /// The row of a key goes, if it passes a filter; it is answered whole, as it was.
    #[must_use]
    pub fn delete_within(engine: Engine<'_>, table: &Table, of: (&[Value], &Filter)) -> Self {
        let mut statement = Printer::new(engine, table);
        statement.push("DELETE FROM ");
        statement.push_table();
        statement.push_of_key(of);
        statement.push(" RETURNING ");
        statement.push_columns(table.ids());
        statement.done()
    }

    /// The row of a key goes.
    #[must_use]
    pub fn delete(engine: Engine<'_>, table: &Table, key: &[Value]) -> Self {
        let mut statement = Printer::new(engine, table);
        statement.push("DELETE FROM ");
        statement.push_table();
        statement.push(" WHERE ");
        statement.push_filter(&Filter::of_key(table, key));
        statement.done()
    }
}
