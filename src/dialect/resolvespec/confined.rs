//! What hooks leave of the tables to a connection, or to one request: rows by conditions, and columns.
//!
//! Invariants: rules only narrow, and all of them hold; a table that a rule cannot be put to is closed. What is masked is not there: it is neither read nor written, and nothing is asked by it.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::message::Filter as Said;
use super::query;
use crate::dialect::View;
use crate::dialect::hook::Json;
use crate::dialect::hook::Verdict;
use crate::dialect::json;
use crate::tables::Change;
use crate::tables::ColumnId;
use crate::tables::ErrorCode;
use crate::tables::Filter;
use crate::tables::Operator;
use crate::tables::Preload;
use crate::tables::Query;
use crate::tables::Schema;
use crate::tables::Table;
use crate::tables::TableError;
use crate::tables::TableId;
use crate::tables::Write;

/// Which tables there are, and how clients call them.
pub(super) type Seen<'a> = (&'a Schema, &'a View);

/// All rules that hold.
#[derive(Clone, Debug, Default)]
pub(super) struct Confined(Vec<Arc<Rules>>);

/// What one verdict says of rows and columns.
#[derive(Debug)]
struct Rules {
    filters: Vec<Wherever<Condition>>,
    masks: Vec<Wherever<Box<str>>>,
    /// The rules say what is masked, be it nothing.
    says_masks: bool,
    /// Bytes of what was said.
    said_bytes: usize,
}

/// Where a list holds.
#[derive(Debug)]
enum Wherever<T> {
    /// Of every table.
    Everywhere(Vec<T>),
    /// Of these tables, each by its own list.
    ByTable(Vec<(TableId, Vec<T>)>),
}

impl<T> Wherever<T> {
    /// The list of a table; `None`: there is none of it.
    fn of(&self, id: TableId) -> Option<&[T]> {
        match self {
            Self::Everywhere(list) => Some(list),
            Self::ByTable(lists) => {
                lists.iter().find(|(of, _)| *of == id).map(|(_, list)| &list[..])
            }
        }
    }
}

/// One condition, as it was written.
#[derive(Debug)]
struct Condition {
    column: String,
    operator: String,
    value: Box<str>,
    is_alternative: bool,
}

/// What is left of one table.
#[derive(Debug)]
pub(super) struct Narrowed {
    pub(super) filter: Filter,
    pub(super) masked: Vec<ColumnId>,
}

impl Confined {
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Both these rules and those.
    pub(super) fn and(&self, others: &Self) -> Self {
        Self(self.0.iter().chain(&others.0).cloned().collect())
    }

    /// Bytes that they hold; those that requests share with their connection are counted with each.
    pub(super) fn held_bytes(&self) -> usize {
        self.0.iter().map(|rules| size_of::<Rules>() + rules.said_bytes).sum()
    }

    /// Whether any of them says what is masked.
    pub(super) fn says_masks(&self) -> bool {
        self.0.iter().any(|rules| rules.says_masks)
    }

    /// Takes in what a verdict says.
    ///
    /// # Errors
    /// What is wrong with it; then nothing of it holds, and nothing else may be done.
    pub(super) fn take(&mut self, verdict: &Verdict, seen: Seen<'_>) -> Result<(), String> {
        if verdict.filters.is_empty() && verdict.masks.is_none() {
            return Ok(());
        }
        let said = verdict.filters.iter().chain(verdict.masks.iter().flatten());
        let said_bytes = said.map(|text| text.as_str().len()).sum();
        let filters = verdict.filters.iter().map(|text| conditions(text, seen));
        let masks = verdict.masks.iter().flatten().map(|text| masks(text, seen));
        self.0.push(Arc::new(Rules {
            filters: filters.collect::<Result<_, _>>()?,
            masks: masks.collect::<Result<_, _>>()?,
            says_masks: verdict.masks.is_some(),
            said_bytes,
        }));
        Ok(())
    }

    /// What is left of a table.
    ///
    /// # Errors
    /// If it is closed.
    pub(super) fn of(&self, tables: &Schema, id: TableId) -> Result<Narrowed, TableError> {
        let table = tables.table(id);
        let closed = || {
            TableError::new(ErrorCode::Forbidden, "reading this table is not allowed")
                .at(&table.name)
        };
        let mut narrowed = Narrowed { filter: Filter::all(), masked: Vec::new() };
        for rules in &self.0 {
            for filters in &rules.filters {
                let list = filters.of(id).ok_or_else(closed)?;
                let conditions: Result<Vec<_>, String> =
                    list.iter().map(|own| own.filter(table)).collect();
                let filter = query::joined(conditions.map_err(|_| closed())?);
                narrowed.filter = narrowed.filter.and(filter);
            }
            let masked = rules.masks.iter().filter_map(|masks| masks.of(id)).flatten();
            for column in masked.filter_map(|name| table.find_column(name)) {
                if !narrowed.masked.contains(&column) {
                    narrowed.masked.push(column);
                }
            }
        }
        Ok(narrowed)
    }

    /// Narrows a query, what it preloads included; `held`: a condition on its rows besides.
    ///
    /// # Errors
    /// If it asks by what is not there, or of a table that is closed.
    pub(super) fn narrow(
        &self,
        tables: &Schema,
        query: &mut Query,
        held: Filter,
    ) -> Result<(), TableError> {
        if !self.is_empty() {
            let table = tables.table(query.table);
            let Narrowed { filter, masked } = self.of(tables, query.table)?;
            check_filter(table, &query.filter, &masked)?;
            let sorted = query.sort.iter().map(|sort| sort.column);
            check(table, sorted.chain(query.columns.iter().copied()), &masked)?;
            narrow_columns(table, &mut query.columns, &masked);
            and(&mut query.filter, filter);
            self.narrow_preloads(tables, (table, &masked), &mut query.preload)?;
        }
        and(&mut query.filter, held);
        Ok(())
    }

    fn narrow_preloads(
        &self,
        tables: &Schema,
        (table, masked): (&Table, &[ColumnId]),
        preloads: &mut [Preload],
    ) -> Result<(), TableError> {
        for preload in preloads {
            let Some(relation) = table.relations.get(preload.relation.index()) else { continue };
            let unknown = || {
                TableError::new(ErrorCode::UnknownRelation, "there is no such relation")
                    .at(&relation.name)
            };
            let id = tables.find(&relation.table).ok_or_else(unknown)?;
            let related = tables.table(id);
            let narrowed = self.of(tables, id)?;
            // Which rows belong together says what stands in the columns that lead from one to the other.
            let there = related.find_column(&relation.there);
            let is_masked = masked.contains(&relation.here)
                || there.is_some_and(|there| narrowed.masked.contains(&there));
            if is_masked {
                return Err(unknown());
            }
            narrow_columns(related, &mut preload.columns, &narrowed.masked);
            and(&mut preload.filter, narrowed.filter);
            self.narrow_preloads(tables, (related, &narrowed.masked), &mut preload.preload)?;
        }
        Ok(())
    }

    /// Narrows a write to rows that are left, before and after; the columns that its answer is without. `keeps`: what is masked stands in it by another hand than the client's.
    ///
    /// # Errors
    /// If the table is closed.
    pub(super) fn narrow_write(
        &self,
        tables: &Schema,
        write: &mut Write,
        (held, keeps): (Filter, bool),
    ) -> Result<Vec<ColumnId>, TableError> {
        let Narrowed { filter, masked } = self.of(tables, write.table)?;
        and(&mut write.within, filter);
        and(&mut write.within, held);
        if !keeps
            && let Change::Create(values)
            | Change::Upsert(values)
            | Change::Update { set: values, .. } = &mut write.change
        {
            values.retain(|(column, _)| !masked.contains(column));
        }
        Ok(masked)
    }
}

fn and(filter: &mut Filter, other: Filter) {
    if !other.is_all() {
        let asked = std::mem::replace(filter, Filter::all());
        *filter = asked.and(other);
    }
}

fn narrow_columns(table: &Table, columns: &mut Vec<ColumnId>, masked: &[ColumnId]) {
    if columns.is_empty() && !masked.is_empty() {
        *columns = table.ids().filter(|column| !masked.contains(column)).collect();
    }
}

/// Whether nothing is asked by what is not there.
///
/// # Errors
/// The column that is not there.
pub(super) fn check_filter(
    table: &Table,
    filter: &Filter,
    masked: &[ColumnId],
) -> Result<(), TableError> {
    match filter {
        Filter::And(all) | Filter::Or(all) => {
            all.iter().try_for_each(|one| check_filter(table, one, masked))
        }
        Filter::Not(inner) => check_filter(table, inner, masked),
        Filter::Test { column, .. } => check(table, [*column], masked),
    }
}

fn check(
    table: &Table,
    columns: impl IntoIterator<Item = ColumnId>,
    masked: &[ColumnId],
) -> Result<(), TableError> {
    let named = columns.into_iter().find(|column| masked.contains(column));
    named.map_or(Ok(()), |column| Err(TableError::unknown_column(&table.column(column).name)))
}

impl Condition {
    fn of(said: &Said<'_>) -> Self {
        let Said { column, operator, value, is_alternative } = said;
        Self {
            column: column.clone(),
            operator: operator.clone(),
            value: (*value).into(),
            is_alternative: *is_alternative,
        }
    }

    /// As what a client says; but what is unknown is no equality, and a list of nothing passes nothing: a mistake must not open what it was to close.
    fn filter(&self, table: &Table) -> Result<(bool, Filter), String> {
        let column = table.find_column(&self.column);
        let column = column.ok_or_else(|| format!("there is no column `{}`", self.column))?;
        let operator = Operator::from_name(&self.operator);
        let operator =
            operator.ok_or_else(|| format!("there is no operator `{}`", self.operator))?;
        let is_about_null = matches!(operator, Operator::Empty | Operator::NotEmpty);
        if &*self.value == "null" && !is_about_null {
            return Ok((self.is_alternative, Filter::none()));
        }
        let filter = operator.filter(table, column, &self.value);
        let filter = filter.map_err(|error| error.to_string())?;
        filter.check(table).map_err(|error| error.to_string())?;
        let filter = if filter.is_all() { Filter::none() } else { filter };
        Ok((self.is_alternative, filter))
    }
}

/// The table that a hook names.
fn table_of<'a>((tables, view): Seen<'a>, name: &str) -> Result<(TableId, &'a Table), String> {
    let names = name.split_once('.').unwrap_or(("", name));
    query::find(tables, view, names).ok_or_else(|| format!("there is no table `{name}`"))
}

/// A list, or an object with a list for each table.
fn lists<T>(
    text: &Json,
    what: &str,
    seen: Seen<'_>,
    mut read: impl FnMut(&RawValue, Option<&Table>) -> Result<T, String>,
) -> Result<Wherever<T>, String> {
    let mut list = |text: &str, table: Option<&Table>| -> Result<Vec<T>, String> {
        let elements: Vec<&RawValue> = serde_json::from_str(text)
            .map_err(|_| format!("`{what}` must be a list, or an object of lists"))?;
        elements.into_iter().map(|element| read(element, table)).collect()
    };
    if !text.is_object() {
        return Ok(Wherever::Everywhere(list(text.as_str(), None)?));
    }
    let members = json::members(text.as_str()).map_err(|error| format!("`{what}`: {error}"))?;
    let mut all: Vec<(TableId, Vec<T>)> = Vec::new();
    for (name, value) in &members {
        let (id, table) = table_of(seen, name)?;
        if all.iter().any(|(of, _)| *of == id) {
            return Err(format!("`{what}` names the table `{name}` twice"));
        }
        all.push((id, list(value.get(), Some(table))?));
    }
    Ok(Wherever::ByTable(all))
}

fn conditions(text: &Json, seen: Seen<'_>) -> Result<Wherever<Condition>, String> {
    lists(text, "filters", seen, |element, table| {
        let members = json::members(element.get())
            .map_err(|_| "a condition of `filters` must be an object".to_owned())?;
        let unknown = members.iter().find(|(name, _)| {
            !["column", "operator", "value", "logic_operator"].contains(&name.as_str())
        });
        if let Some((name, _)) = unknown {
            return Err(format!("`{name}` is no member of a condition"));
        }
        let is_text = |name: &str| {
            let value = json::member(&members, name);
            value.is_none_or(|value| value.get().starts_with('"'))
        };
        if let Some(name) =
            ["column", "operator", "logic_operator"].into_iter().find(|name| !is_text(name))
        {
            return Err(format!("`{name}` of a condition must be a string"));
        }
        let condition = Condition::of(&Said::of(&members));
        match table {
            Some(table) => condition.filter(table).map(|_| ())?,
            None if Operator::from_name(&condition.operator).is_none() => {
                return Err(format!("there is no operator `{}`", condition.operator));
            }
            None => {}
        }
        Ok(condition)
    })
}

fn masks(text: &Json, seen: Seen<'_>) -> Result<Wherever<Box<str>>, String> {
    lists(text, "mask", seen, |element, table| {
        let name = json::text_of(element);
        let name = name.ok_or_else(|| "`mask` must name columns".to_owned())?;
        if let Some(table) = table
            && table.find_column(&name).is_none()
        {
            return Err(format!("there is no column `{name}`"));
        }
        let is_key =
            |table: &Table| table.find_column(&name).is_some_and(|column| table.is_key(column));
        let in_a_key = match table {
            Some(table) => is_key(table),
            None => seen.0.tables().any(|(_, table)| is_key(table)),
        };
        if in_a_key {
            return Err(format!("`{name}` is of a key, which every notification names"));
        }
        Ok(name.into())
    })
}

#[cfg(test)]
mod tests;
