//! Queries and changes of rows as statements of SQL, with all values bound: the printer that in-memory evaluation is held to.
//!
//! Invariants: a statement's text is made of words that stand here and of names from the schema, in quotes; whatever a client said is a parameter. The same query prints the same text, but for
//! how many values are listed. Never talks to a database: what it prints is SQLite's SQL, with the function and the collation that the constants here name.

use std::fmt::Write as _;

use super::filter::Comparison;
use super::filter::Filter;
use super::filter::Test;
use super::query::Assigned;
use super::query::Query;
use super::query::Sort;
use super::schema::ColumnId;
use super::schema::Table;
use super::value::Type;
use super::value::Value;

/// The collation that compares texts as the decimal numbers that they write.
pub const DECIMAL_COLLATION: &str = "fw_decimal";
/// `fw_like(pattern, text, ignore_case)`: 1 if the text matches, as [`is_like`](super::like::is_like) says.
pub const LIKE_FUNCTION: &str = "fw_like";

/// A statement, and what is bound to its parameters `?1`, `?2`…, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statement {
    pub sql: String,
    pub params: Vec<Value>,
}

impl Statement {
    /// The rows of a query, their columns as asked for; behind them, if a row's number was asked for, that number.
    #[must_use]
    pub fn rows(table: &Table, query: &Query) -> Self {
        let mut statement = Self::default();
        let columns = query.columns_of(table);
        match &query.number_of {
            None => {
                statement.push("SELECT ");
                statement.push_columns(table, &columns);
                statement.push_from(table, &query.filter);
                statement.push_order(table, &query.sort);
                // What has no limit but an offset needs one; no table has more rows.
                let limit = query.limit.map_or(i64::MAX, clamped);
                if query.limit.is_some() || query.offset > 0 {
                    statement.push(" LIMIT ");
                    statement.push_param(Value::Int(limit));
                    statement.push(" OFFSET ");
                    statement.push_param(Value::Int(clamped(query.offset)));
                }
            }
            Some(key) => {
                statement.push("SELECT ");
                statement.push_columns(table, &columns);
                statement.push(", fw_number FROM (SELECT *, ROW_NUMBER() OVER (");
                statement.push_order(table, &query.sort);
                statement.push(") AS fw_number");
                statement.push_from(table, &query.filter);
                statement.push(") WHERE ");
                statement.push_filter(table, &Filter::of_key(table, key));
            }
        }
        statement
    }

    /// How many rows pass.
    #[must_use]
    pub fn count(table: &Table, filter: &Filter) -> Self {
        let mut statement = Self::default();
        statement.push("SELECT count(*)");
        statement.push_from(table, filter);
        statement
    }

    /// The whole row of a key.
    #[must_use]
    pub fn row(table: &Table, key: &[Value]) -> Self {
        let mut statement = Self::default();
        statement.push("SELECT ");
        statement.push_columns(table, &table.ids().collect::<Vec<_>>());
        statement.push_from(table, &Filter::of_key(table, key));
        statement
    }

    /// A new row; it is answered whole.
    #[must_use]
    pub fn insert(table: &Table, row: &Assigned) -> Self {
        let mut statement = Self::default();
        statement.push("INSERT INTO ");
        statement.push_name(&table.name);
        if row.is_empty() {
            statement.push(" DEFAULT VALUES");
        } else {
            statement.push(" (");
            let columns: Vec<ColumnId> = row.iter().map(|(column, _)| *column).collect();
            statement.push_columns(table, &columns);
            statement.push(") VALUES (");
            for (index, (_, value)) in row.iter().enumerate() {
                statement.push(if index > 0 { ", " } else { "" });
                statement.push_param(value.clone());
            }
            statement.push(")");
        }
        statement.push(" RETURNING ");
        statement.push_columns(table, &table.ids().collect::<Vec<_>>());
        statement
    }

    /// The row of a key with some columns changed; it is answered whole. `set` is not empty.
    #[must_use]
    pub fn update(table: &Table, key: &[Value], set: &Assigned) -> Self {
        let mut statement = Self::default();
        statement.push("UPDATE ");
        statement.push_name(&table.name);
        for (index, (column, value)) in set.iter().enumerate() {
            statement.push(if index > 0 { ", " } else { " SET " });
            statement.push_name(&table.column(*column).name);
            statement.push(" = ");
            statement.push_param(value.clone());
        }
        statement.push(" WHERE ");
        statement.push_filter(table, &Filter::of_key(table, key));
        statement.push(" RETURNING ");
        statement.push_columns(table, &table.ids().collect::<Vec<_>>());
        statement
    }

    /// The row of a key goes.
    #[must_use]
    pub fn delete(table: &Table, key: &[Value]) -> Self {
        let mut statement = Self::default();
        statement.push("DELETE FROM ");
        statement.push_name(&table.name);
        statement.push(" WHERE ");
        statement.push_filter(table, &Filter::of_key(table, key));
        statement
    }

    /// What makes a table that is not there, and what finds its rows.
    #[must_use]
    pub fn creating(table: &Table) -> Vec<String> {
        let mut statement = Self::default();
        statement.push("CREATE TABLE IF NOT EXISTS ");
        statement.push_name(&table.name);
        statement.push(" (");
        for id in table.ids() {
            let column = table.column(id);
            statement.push(if id.index() > 0 { ", " } else { "" });
            statement.push_name(&column.name);
            statement.push(" ");
            statement.push(declared_type(column.kind));
            if column.generated {
                statement.push(" PRIMARY KEY AUTOINCREMENT");
            } else if !column.nullable {
                statement.push(" NOT NULL");
            }
        }
        if !table.columns.iter().any(|column| column.generated) {
            statement.push(", PRIMARY KEY (");
            statement.push_columns(table, &table.key);
            statement.push(")");
        }
        statement.push(") STRICT");
        let mut all = vec![statement.sql];
        for id in table.ids() {
            let column = table.column(id);
            let is_first_of_key = table.key.first() == Some(&id);
            if (column.indexed || column.sorted) && !is_first_of_key {
                let mut statement = Self::default();
                statement.push("CREATE INDEX IF NOT EXISTS ");
                statement.push_name(&format!("fw {} {}", table.name, column.name));
                statement.push(" ON ");
                statement.push_name(&table.name);
                statement.push(" (");
                statement.push_ordered(table, id);
                statement.push(")");
                all.push(statement.sql);
            }
        }
        all
    }

    fn push(&mut self, words: &str) {
        self.sql.push_str(words);
    }

    /// A name of the schema, in quotes.
    fn push_name(&mut self, name: &str) {
        self.sql.push('"');
        self.sql.push_str(&name.replace('"', "\"\""));
        self.sql.push('"');
    }

    fn push_param(&mut self, value: Value) {
        self.params.push(value);
        write!(self.sql, "?{}", self.params.len()).expect("a String takes every write");
    }

    fn push_columns(&mut self, table: &Table, columns: &[ColumnId]) {
        for (index, column) in columns.iter().enumerate() {
            self.push(if index > 0 { ", " } else { "" });
            self.push_name(&table.column(*column).name);
        }
    }

    fn push_from(&mut self, table: &Table, filter: &Filter) {
        self.push(" FROM ");
        self.push_name(&table.name);
        if !filter.is_all() {
            self.push(" WHERE ");
            self.push_filter(table, filter);
        }
    }

    /// A column as it is compared and sorted by.
    fn push_ordered(&mut self, table: &Table, id: ColumnId) {
        let column = table.column(id);
        self.push_name(&column.name);
        if column.kind == Type::Decimal {
            self.push(" COLLATE ");
            self.push(DECIMAL_COLLATION);
        }
    }

    fn push_order(&mut self, table: &Table, sort: &[Sort]) {
        let of_key = table.key.iter().map(|column| Sort { column: *column, descending: false });
        let mut seen = Vec::new();
        for sort in sort.iter().copied().chain(of_key) {
            // What is ordered by once is not ordered by again.
            if seen.contains(&sort.column) {
                continue;
            }
            self.push(if seen.is_empty() { " ORDER BY " } else { ", " });
            seen.push(sort.column);
            self.push_ordered(table, sort.column);
            let is_nullable = table.column(sort.column).nullable;
            self.push(match (sort.descending, is_nullable) {
                (false, false) => "",
                (false, true) => " NULLS LAST",
                (true, false) => " DESC",
                (true, true) => " DESC NULLS FIRST",
            });
        }
    }

    fn push_filter(&mut self, table: &Table, filter: &Filter) {
        match filter {
            Filter::And(all) => self.push_all(table, all, (" AND ", "TRUE")),
            Filter::Or(any) => self.push_all(table, any, (" OR ", "FALSE")),
            Filter::Not(inner) => {
                self.push("(");
                self.push_filter(table, inner);
                self.push(") IS NOT TRUE");
            }
            Filter::Test { column, test } => self.push_test(table, *column, test),
        }
    }

    fn push_all(&mut self, table: &Table, all: &[Filter], (between, none): (&str, &str)) {
        if all.is_empty() {
            return self.push(none);
        }
        self.push("(");
        for (index, filter) in all.iter().enumerate() {
            self.push(if index > 0 { between } else { "" });
            // Each by itself, so that no operator binds more tightly than it is meant to.
            self.push("(");
            self.push_filter(table, filter);
            self.push(")");
        }
        self.push(")");
    }

    fn push_test(&mut self, table: &Table, id: ColumnId, test: &Test) {
        match test {
            Test::Null => {
                self.push_name(&table.column(id).name);
                self.push(" IS NULL");
            }
            Test::NotNull => {
                self.push_name(&table.column(id).name);
                self.push(" IS NOT NULL");
            }
            Test::Compare(comparison, value) => {
                self.push_ordered(table, id);
                self.push(operator(*comparison));
                self.push_param(value.clone());
            }
            Test::In(values) if values.is_empty() => self.push("FALSE"),
            Test::In(values) => {
                self.push_name(&table.column(id).name);
                self.push(" IN (");
                for (index, value) in values.iter().enumerate() {
                    self.push(if index > 0 { ", " } else { "" });
                    self.push_param(value.clone());
                }
                self.push(")");
            }
            Test::Like { pattern, ignore_case } => {
                self.push(LIKE_FUNCTION);
                self.push("(");
                self.push_param(Value::Text(pattern.clone()));
                self.push(", ");
                self.push_text_of(table, id);
                self.push(if *ignore_case { ", 1)" } else { ", 0)" });
            }
        }
    }

    /// A column's text.
    fn push_text_of(&mut self, table: &Table, id: ColumnId) {
        let column = table.column(id);
        let (before, behind) = match column.kind {
            Type::Bool => ("iif(", ", 'true', 'false')"),
            Type::Int => ("CAST(", " AS TEXT)"),
            _ => ("", ""),
        };
        if column.kind == Type::Bool {
            // A null is neither.
            self.push("CASE WHEN ");
            self.push_name(&column.name);
            self.push(" IS NOT NULL THEN ");
        }
        self.push(before);
        self.push_name(&column.name);
        self.push(behind);
        self.push(if column.kind == Type::Bool { " END" } else { "" });
    }
}

const fn operator(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Equal => " = ",
        Comparison::NotEqual => " <> ",
        Comparison::Less => " < ",
        Comparison::LessOrEqual => " <= ",
        Comparison::Greater => " > ",
        Comparison::GreaterOrEqual => " >= ",
    }
}

/// What a column is declared as.
const fn declared_type(kind: Type) -> &'static str {
    match kind {
        Type::Bool | Type::Int => "INTEGER",
        Type::Decimal | Type::Text | Type::Time | Type::Json => "TEXT",
        Type::Float => "REAL",
        Type::Bytes => "BLOB",
    }
}

fn clamped(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
