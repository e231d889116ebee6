//! Tables that are taken as the database has them, by their names: which there are, which of their columns, and what is left out.
//!
//! Invariants: a table that stands in the configuration by its name is what that says, whatever a pattern means; what an operator names and is not there stops the start, and what a pattern means
//! and cannot be used is left out, and said.

use super::databases;
use super::written::unusable;
use crate::backend::FoundColumn;
use crate::backend::FoundTable;
use crate::backend::NamePattern;
use crate::config::Config;
use crate::config::ConfigError;
use crate::config::TableConfig;
use crate::limits::TABLES_TAKEN_MAX;
use crate::tables::Column;
use crate::tables::ColumnId;
use crate::tables::Schema;
use crate::tables::Table;

/// A table that is taken.
#[derive(Debug)]
pub(super) struct Taken {
    /// Which of the tables of the configuration names it.
    pub(super) index: usize,
    pub(super) name: String,
    pub(super) columns: Vec<Column>,
    pub(super) key: Vec<ColumnId>,
}

/// Tables that are taken, in the order of the configuration.
#[derive(Debug, Default)]
pub(super) struct Taking {
    pub(super) tables: Vec<Taken>,
    /// What is taken and what is left out, in words.
    pub(super) said: Vec<String>,
}

/// The tables that are taken from the database, which is read if any are.
///
/// # Errors
/// If it cannot be, or lacks what is named.
pub(super) fn taken(config: &Config) -> Result<Taking, ConfigError> {
    let mut taking = Taking::default();
    let named = || {
        let all = config.tables.declared.iter().enumerate();
        all.filter(|(_, said)| said.columns.is_empty())
    };
    let patterns: Vec<NamePattern> =
        named().map(|(_, said)| NamePattern::new(&said.name)).collect();
    if patterns.is_empty() {
        return Ok(taking);
    }
    let found = databases::find(config, &patterns)?;
    for ((index, said), found) in named().zip(found) {
        let (before, found_any) = (taking.tables.len(), !found.is_empty());
        for table in found {
            if said.is_pattern() && is_left(config, said, &table, &taking) {
                continue;
            }
            taking.take(config, index, table)?;
        }
        let reason = match taking.tables.len() {
            count if count > TABLES_TAKEN_MAX => {
                format!("more than {TABLES_TAKEN_MAX} tables would be taken")
            }
            count if count == before => {
                let left = if found_any { "that can be taken" } else { "of that name" };
                format!("the database has no table {left}: `{}`", said.name)
            }
            _ => continue,
        };
        return Err(unusable(config, &format!("table[{index}].name"), reason));
    }
    Ok(taking)
}

/// Whether a table is not meant though its name matches: it stands in the configuration by itself, is excepted, or was taken already.
fn is_left(config: &Config, said: &TableConfig, table: &FoundTable, taking: &Taking) -> bool {
    let is_it = |name: &str| table.name == name || table.alias.as_deref() == Some(name);
    let stands = |other: &TableConfig| !other.is_pattern() && is_it(&other.name);
    let is_excepted = |pattern: &String| {
        let pattern = NamePattern::new(pattern);
        std::iter::once(&table.name).chain(&table.alias).any(|name| pattern.takes(name))
    };
    config.tables.declared.iter().any(stands)
        || said.except.iter().any(is_excepted)
        || taking.tables.iter().any(|taken| is_it(&taken.name))
}

impl Taking {
    fn take(
        &mut self,
        config: &Config,
        index: usize,
        found: FoundTable,
    ) -> Result<(), ConfigError> {
        let FoundTable { name, columns, .. } = found;
        let (columns, left): (Vec<FoundColumn>, Vec<FoundColumn>) =
            columns.into_iter().partition(|column| column.kind.is_some());
        let key: Vec<ColumnId> = (0..)
            .map(ColumnId)
            .zip(&columns)
            .filter(|(_, column)| column.is_key)
            .map(|(id, _)| id)
            .collect();
        let left_of_key = left.iter().find(|column| column.is_key);
        let columns: Vec<Column> =
            columns.iter().filter_map(|column| of_column(column, key.len())).collect();
        let reason = match left_of_key {
            Some(column) => Some(format!(
                "its key has the column `{}`, which is {}",
                column.name, column.declared
            )),
            None => problem(&name, &columns, &key),
        };
        if let Some(reason) = reason {
            if !config.tables.declared[index].is_pattern() {
                return Err(unusable(config, &format!("table[{index}].name"), reason));
            }
            self.said.push(format!("table `{name}` is left out: {reason}"));
            return Ok(());
        }
        let words: Vec<String> = columns
            .iter()
            .zip((0..).map(ColumnId))
            .map(|(column, id)| words(column, key.contains(&id)))
            .collect();
        self.said.push(format!("table `{name}` is taken: {}", words.join(", ")));
        for FoundColumn { name: column, declared, .. } in left {
            let declared = if declared.is_empty() { "of no type" } else { &declared };
            self.said.push(format!(
                "column `{column}` of table `{name}` is left out: it is {declared}, and no type here is compared as that is"
            ));
        }
        self.tables.push(Taken { index, name, columns, key });
        Ok(())
    }
}

fn of_column(found: &FoundColumn, key_columns: usize) -> Option<Column> {
    let kind = found.kind?;
    Some(Column {
        nullable: !found.is_key && !found.is_required,
        indexed: found.is_key || found.is_indexed,
        generated: found.is_generated && found.is_key && key_columns == 1,
        ..Column::new(&found.name, kind)
    })
}

/// Why such a table cannot be, if it cannot.
fn problem(name: &str, columns: &[Column], key: &[ColumnId]) -> Option<String> {
    let usual = match Table::new(name, columns.to_vec()) {
        Ok(usual) => usual,
        Err(error) => return Some(error.to_string()),
    };
    let table = Table { key: key.to_vec(), ..usual };
    Schema::new(vec![table]).err().map(|error| error.problem.to_string())
}

/// A column as an operator would declare it.
fn words(column: &Column, is_key: bool) -> String {
    let mut words = format!("{} {}", column.name, column.kind.name());
    for (word, is_so) in [
        (" key", is_key),
        (" generated", column.generated),
        (" required", !column.nullable && !is_key),
        (" indexed", column.indexed && !is_key),
    ] {
        words.push_str(if is_so { word } else { "" });
    }
    words
}
