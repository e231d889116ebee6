//! Which tables a file has, and what they are like, for those that are taken by their names.
//!
//! Never changes anything.

use std::collections::BTreeSet;

use rusqlite::Connection;

use super::checked::Affinity;
use crate::backend::taking::FoundColumn;
use crate::backend::taking::FoundTable;
use crate::backend::taking::NamePattern;
use crate::limits::TABLES_LISTED_MAX;
use crate::tables::Type;

/// Tables of the file itself, and whether they have no row id; those of SQLite's own are none.
const TABLES: &str = "SELECT name, wr FROM pragma_table_list WHERE schema = 'main' AND type = 'table' \
     AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name LIMIT ?1";
const COLUMNS: &str =
    "SELECT name, type, \"notnull\", dflt_value IS NOT NULL, pk > 0 FROM pragma_table_info(?1)";
/// The first columns of indexes of all rows.
const INDEXED: &str = "SELECT i.name FROM pragma_index_list(?1) l, pragma_index_info(l.name) i \
     WHERE l.partial = 0 AND i.seqno = 0 AND i.name IS NOT NULL";

/// The tables that each pattern names; `None`: the file has too many to be looked through.
pub(super) fn find(
    connection: &Connection,
    patterns: &[NamePattern],
) -> rusqlite::Result<Option<Vec<Vec<FoundTable>>>> {
    let mut listed = connection.prepare(TABLES)?;
    let most = i64::try_from(TABLES_LISTED_MAX).unwrap_or(i64::MAX);
    let rows = listed.query_map([most.saturating_add(1)], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let all: Vec<(String, bool)> = rows.collect::<rusqlite::Result<_>>()?;
    if all.len() > TABLES_LISTED_MAX {
        return Ok(None);
    }
    let found = patterns.iter().map(|pattern| {
        let named = all.iter().filter(|(name, _)| pattern.takes(name));
        let tables = named.map(|(name, has_no_row_id)| of_table(connection, name, *has_no_row_id));
        tables.collect::<rusqlite::Result<Vec<FoundTable>>>()
    });
    found.collect::<rusqlite::Result<_>>().map(Some)
}

fn of_table(
    connection: &Connection,
    name: &str,
    has_no_row_id: bool,
) -> rusqlite::Result<FoundTable> {
    let mut indexed = connection.prepare(INDEXED)?;
    let indexed = indexed.query_map([name], |row| row.get(0))?;
    let indexed: BTreeSet<String> = indexed.collect::<rusqlite::Result<_>>()?;
    let mut columns = connection.prepare(COLUMNS)?;
    let column = |row: &rusqlite::Row<'_>| {
        let (column, declared): (String, String) = (row.get(0)?, row.get(1)?);
        let (is_not_null, has_default): (bool, bool) = (row.get(2)?, row.get(3)?);
        Ok(FoundColumn {
            kind: kind_of(&declared),
            is_key: row.get(4)?,
            is_required: is_not_null && !has_default,
            is_generated: false,
            is_indexed: indexed.contains(&column),
            name: column,
            declared,
        })
    };
    let columns = columns.query_map([name], column)?;
    let mut columns: Vec<FoundColumn> = columns.collect::<rusqlite::Result<_>>()?;
    // Such a column is the row id by another name.
    let mut key = columns.iter_mut().filter(|column| column.is_key);
    if let (Some(only), None, false) = (key.next(), key.next(), has_no_row_id) {
        only.is_generated = only.declared.eq_ignore_ascii_case("INTEGER");
    }
    Ok(FoundTable { name: name.to_owned(), alias: None, columns })
}

/// The type of ours that a column holds which is declared so; `None`: none compares as its values do.
fn kind_of(declared: &str) -> Option<Type> {
    let upper = declared.to_ascii_uppercase();
    let has = |word: &str| upper.contains(word);
    match Affinity::of(declared) {
        Affinity::Integer => Some(Type::Int),
        Affinity::Text => Some(Type::Text),
        Affinity::Blob => has("BLOB").then_some(Type::Bytes),
        Affinity::Real => Some(Type::Float),
        Affinity::Numeric if has("BOOL") => Some(Type::Bool),
        Affinity::Numeric => (has("NUM") || has("DEC")).then_some(Type::Float),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_taken_as_what_it_can_hold() {
        for (declared, kind) in [
            ("INTEGER", Some(Type::Int)),
            ("bigint", Some(Type::Int)),
            ("VARCHAR(30)", Some(Type::Text)),
            ("text", Some(Type::Text)),
            ("BLOB", Some(Type::Bytes)),
            ("", None),
            ("double precision", Some(Type::Float)),
            ("NUMERIC(10,2)", Some(Type::Float)),
            ("BOOLEAN", Some(Type::Bool)),
            ("DATETIME", None),
            ("JSON", None),
        ] {
            assert_eq!(kind_of(declared), kind, "{declared}");
        }
    }
}
