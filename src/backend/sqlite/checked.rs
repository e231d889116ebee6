//! What a file's tables lack of what was declared, or have otherwise.
//!
//! Never changes anything.

use rusqlite::Connection;

use crate::tables::Schema;
use crate::tables::Table;
use crate::tables::Type;

/// What differs between the tables that are declared and those of a file, in words; nothing: they can be used.
///
/// # Errors
/// If the file cannot be read.
pub(super) fn differences(
    connection: &Connection,
    schema: &Schema,
) -> rusqlite::Result<Vec<String>> {
    let mut all = Vec::new();
    for (_, table) in schema.tables() {
        of_table(connection, table, &mut all)?;
    }
    Ok(all)
}

/// A column of the file: its name, its declared type, and its place in the key, from 1.
type FileColumn = (String, String, i64);

fn of_table(connection: &Connection, table: &Table, all: &mut Vec<String>) -> rusqlite::Result<()> {
    let mut columns = connection.prepare("SELECT name, type, pk FROM pragma_table_info(?1)")?;
    let found =
        columns.query_map([&*table.name], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let found: Vec<FileColumn> = found.collect::<rusqlite::Result<_>>()?;
    if found.is_empty() {
        all.push(format!("the database has no table `{}`", table.name));
        return Ok(());
    }
    for (id, column) in table.ids().zip(&table.columns) {
        let Some((_, kind, place)) = found.iter().find(|(name, ..)| *name == *column.name) else {
            all.push(format!("table `{}` has no column `{}`", table.name, column.name));
            continue;
        };
        if !holds(kind, column.kind) {
            all.push(format!(
                "column `{}` of table `{}` is {kind}, which holds no {}",
                column.name,
                table.name,
                column.kind.name()
            ));
        }
        if table.is_key(id) != (*place > 0) {
            let is = if table.is_key(id) { "no part" } else { "part" };
            all.push(format!(
                "column `{}` of table `{}` is {is} of its primary key",
                column.name, table.name
            ));
        }
    }
    Ok(())
}

/// As what SQLite keeps the values of a column, if it can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Affinity {
    Integer,
    Text,
    Blob,
    Real,
    Numeric,
}

impl Affinity {
    /// The affinity of a column that is declared so: SQLite's own rules, in their order.
    pub(super) fn of(declared: &str) -> Self {
        let declared = declared.to_ascii_uppercase();
        let has = |word: &str| declared.contains(word);
        if has("INT") {
            Self::Integer
        } else if has("CHAR") || has("CLOB") || has("TEXT") {
            Self::Text
        } else if has("BLOB") || declared.is_empty() {
            Self::Blob
        } else if has("REAL") || has("FLOA") || has("DOUB") {
            Self::Real
        } else {
            Self::Numeric
        }
    }
}

/// Whether a column that is declared so in SQLite can hold values of a type, and compares them as it must.
fn holds(declared: &str, kind: Type) -> bool {
    let affinity = Affinity::of(declared);
    match kind {
        Type::Bool | Type::Int => matches!(affinity, Affinity::Integer | Affinity::Numeric),
        Type::Float => matches!(affinity, Affinity::Real | Affinity::Numeric),
        Type::Decimal | Type::Text | Type::Time | Type::Json => affinity == Affinity::Text,
        Type::Bytes => affinity == Affinity::Blob,
    }
}
