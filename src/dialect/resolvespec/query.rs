//! From what a client says of a table to what is asked of it: the table by its names, and filters, order, columns and preloads by the schema's.
//!
//! Invariant: whatever names nothing in the schema is refused with its name. Nothing of a client's text goes further than a value.

use super::message::Filter as Said;
use super::message::Options;
use super::message::Sort as SaidSort;
use crate::dialect::View;
use crate::tables::ColumnId;
use crate::tables::Comparison;
use crate::tables::ErrorCode;
use crate::tables::Filter;
use crate::tables::Operator;
use crate::tables::Preload;
use crate::tables::Query;
use crate::tables::Schema;
use crate::tables::Sort;
use crate::tables::Table;
use crate::tables::TableError;
use crate::tables::TableId;
use crate::tables::Type;
use crate::tables::Value;

/// The schema's name that is meant where a client says none.
const DEFAULT_SCHEMA: &str = "public";

//= resolvespec#3A.4
//# Model lookup: `"schema.entity"`, then bare `"entity"`. The README registers `public.users` but its own
//# JS/Python clients send no schema, which gives `model_not_found` on the real server; **[choice]** default
//# schema `public` when absent so the published snippets work.
/// The table that is meant, if it is there and seen.
pub(super) fn find<'a>(
    tables: &'a Schema,
    view: &View,
    (schema, entity): (&str, &str),
) -> Option<(TableId, &'a Table)> {
    let schema = if schema.is_empty() { DEFAULT_SCHEMA } else { schema };
    let of = |wanted: &str| view.find_table(tables, wanted);
    of(&format!("{schema}.{entity}")).or_else(|| of(entity))
}

/// What a list of rows, or a row and its number, is asked by.
pub(super) fn list(
    schema: &Schema,
    id: TableId,
    options: &Options<'_>,
) -> Result<Query, TableError> {
    let table = schema.table(id);
    let is_numbered = !options.fetch_row_number.is_empty();
    let number_of = is_numbered.then(|| table.read_key(&options.fetch_row_number)).transpose()?;
    //= resolvespec#3A.4
    //# Sort: `direction` exactly `desc` → DESC, anything else ASC (case-insensitive only for
    //# fetch_row_number).
    let sort = |said: &SaidSort| {
        let descending = match is_numbered {
            true => said.direction.eq_ignore_ascii_case("desc"),
            false => said.direction == "desc",
        };
        Ok(Sort { column: column(table, &said.column)?, descending })
    };
    let positive = |number: Option<i64>| number.and_then(|number| u64::try_from(number).ok());
    Ok(Query {
        filter: filter(table, &options.filters)?,
        sort: options.sort.iter().map(sort).collect::<Result<_, TableError>>()?,
        limit: positive(options.limit).filter(|limit| *limit > 0),
        offset: positive(options.offset).unwrap_or(0),
        wants_total: !is_numbered,
        number_of,
        ..shown(schema, id, options)?
    })
}

/// What the row of a key is asked by.
pub(super) fn one(
    schema: &Schema,
    id: TableId,
    (record_id, options): (&str, &Options<'_>),
) -> Result<Query, TableError> {
    let table = schema.table(id);
    let filter = Filter::of_key(table, &table.read_key(record_id)?);
    Ok(Query { filter, limit: Some(1), ..shown(schema, id, options)? })
}

/// All rows, with the columns and the related rows that are wanted.
fn shown(schema: &Schema, id: TableId, options: &Options<'_>) -> Result<Query, TableError> {
    let table = schema.table(id);
    let mut columns: Vec<ColumnId> = Vec::new();
    for name in &options.columns {
        let column = column(table, name)?;
        if !columns.contains(&column) {
            columns.push(column);
        }
    }
    let mut preload = Vec::new();
    for path in &options.preload {
        add_preload(schema, table, path, &mut preload)?;
    }
    Ok(Query { columns, preload, ..Query::all(id) })
}

fn column(table: &Table, name: &str) -> Result<ColumnId, TableError> {
    table.find_column(name).ok_or_else(|| TableError::unknown_column(name))
}

/// Adds a relation, or `posts.comments`: relations of related rows. One that is there already is not added again.
fn add_preload(
    schema: &Schema,
    table: &Table,
    path: &str,
    preloads: &mut Vec<Preload>,
) -> Result<(), TableError> {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    let unknown = || {
        TableError::new(ErrorCode::UnknownRelation, "there is no such relation").at(&name.into())
    };
    // The origin's clients say them as its program does, `Posts`, and read them as they are written, `posts`.
    let any_case = || {
        let mut all = (0..).map(crate::tables::RelationId).zip(&table.relations);
        all.find(|(_, relation)| relation.name.eq_ignore_ascii_case(name)).map(|(id, _)| id)
    };
    let id = table.find_relation(name).or_else(any_case).ok_or_else(unknown)?;
    let place = preloads.iter().position(|preload| preload.relation == id);
    let place = place.unwrap_or_else(|| {
        preloads.push(Preload::all(id));
        preloads.len() - 1
    });
    let Some(rest) = rest else { return Ok(()) };
    let related = table.relations.get(id.index()).and_then(|relation| schema.find(&relation.table));
    let related = schema.table(related.ok_or_else(unknown)?);
    let inner = preloads.get_mut(place).ok_or_else(unknown)?;
    add_preload(schema, related, rest, &mut inner.preload)
}

//= resolvespec#3A.5
//# `logic_operator` belongs to the *later* filter: a run `f0, f1(OR), f2(OR)` becomes `(f0 OR f1 OR f2)`,
//# runs are ANDed; `f0, f1, f2(OR)` = `f0 AND (f1 OR f2)`. Case-insensitive "OR"; everything else is AND.
/// The condition that a list of them makes.
pub(super) fn filter(table: &Table, said: &[Said<'_>]) -> Result<Filter, TableError> {
    let conditions: Result<Vec<_>, _> =
        said.iter().map(|own| Ok((own.is_alternative, condition(table, own)?))).collect();
    Ok(joined(conditions?))
}

/// Conditions, each with whether it or the one before it is enough, as one.
pub(super) fn joined(conditions: Vec<(bool, Filter)>) -> Filter {
    let mut runs: Vec<Vec<Filter>> = Vec::new();
    for (index, (is_alternative, condition)) in conditions.into_iter().enumerate() {
        if index == 0 || !is_alternative {
            runs.push(Vec::new());
        }
        //= resolvespec#3A.5
        //# **empty array or null → the condition is dropped
        //# (matches everything)**
        if let (Some(run), false) = (runs.last_mut(), condition.is_all()) {
            run.push(condition);
        }
    }
    let runs = runs.into_iter().filter(|run| !run.is_empty());
    let run = |mut run: Vec<Filter>| match run.len() {
        1 => run.remove(0),
        _ => Filter::Or(run),
    };
    Filter::And(runs.map(run).collect())
}

//= resolvespec#3A.5
//# unknown operator → treated as `=`; operator names are case-sensitive except that `IN/LIKE/ILIKE` are
//# *recognised* case-insensitively, but `"LIKE"` (upper case) then maps to `=` on the text cast
fn condition(table: &Table, said: &Said<'_>) -> Result<Filter, TableError> {
    let id = column(table, &said.column)?;
    let kind = table.column(id).kind;
    let equal = Operator::Compare(Comparison::Equal);
    let operator = match Operator::from_name(&said.operator) {
        Some(operator) => operator,
        None if said.operator.eq_ignore_ascii_case("in") => Operator::In,
        None => equal,
    };
    let is_text = matches!(
        operator,
        Operator::Like { .. } | Operator::Contains | Operator::StartsWith | Operator::EndsWith
    );
    //= resolvespec#3A.5
    //# comparisons with `null` follow SQL (`col = NULL` never true)
    if said.value == "null" && (is_text || matches!(operator, Operator::Between { .. })) {
        return Ok(Filter::none());
    }
    let casts =
        said.operator.eq_ignore_ascii_case("like") || said.operator.eq_ignore_ascii_case("ilike");
    if operator == equal && casts && kind != Type::Text {
        // What does not read as a value of the column is the text of none.
        let read = Type::Text.read(said.value).ok().and_then(|value| match value {
            Value::Text(text) => kind.of_text(&text).ok(),
            other => Some(other),
        });
        return Ok(read.map_or(Filter::none(), |value| Filter::equal(id, value)));
    }
    operator.filter(table, id, said.value)
}

#[cfg(test)]
mod tests {
    use super::super::message::Message;
    use super::*;
    use crate::tables::Column;

    fn table() -> Table {
        let columns = vec![
            Column::key("id", Type::Int),
            Column::new("name", Type::Text),
            Column::new("age", Type::Int),
        ];
        Table::new("public.users", columns).unwrap()
    }

    fn passes(filters: &str, row: &[Value; 3]) -> bool {
        let text = format!(r#"{{"options":{{"filters":{filters}}}}}"#);
        filter(&table(), &Message::read(&text).unwrap().options.filters).unwrap().passes(row)
    }

    fn row(name: &str, age: i64) -> [Value; 3] {
        [Value::Int(1), Value::Text(name.into()), Value::Int(age)]
    }

    #[test]
    fn a_run_of_alternatives_is_one_condition() {
        let a = r#"{"column":"name","operator":"eq","value":"Ada"}"#;
        let b = r#"{"column":"age","operator":"gt","value":30}"#;
        let c = r#"{"column":"age","operator":"lt","value":10,"logic_operator":"or"}"#;
        let chain = format!("[{a},{b},{c}]");
        for (filters, name, age, expected) in [
            (&*chain, "Ada", 31, true),
            (&*chain, "Ada", 9, true),
            (&*chain, "Ada", 20, false),
            (&*chain, "Bob", 9, false),
            (&*format!("[{c},{a}]"), "Ada", 9, true),
            (&*format!("[{c},{a}]"), "Ada", 20, false),
            ("[]", "Bob", 1, true),
        ] {
            assert_eq!(passes(filters, &row(name, age)), expected, "{filters} {name} {age}");
        }
    }

    #[test]
    fn what_is_dropped_of_a_run_is_no_alternative() {
        let none = r#"{"column":"name","operator":"in","value":[],"logic_operator":"OR"}"#;
        let old = r#"{"column":"age","operator":"gt","value":30}"#;
        assert!(!passes(&format!("[{old},{none}]"), &row("Ada", 7)));
        assert!(passes(&format!("[{none}]"), &row("Ada", 7)));
        assert!(passes(r#"[{"column":"name","operator":"in","value":null}]"#, &row("Ada", 7)));
    }

    #[test]
    fn operators_are_those_of_the_origin() {
        for (operator, value, expected) in [
            ("eq", "7", true),
            ("eq", "\"7\"", true),
            ("eq", "null", false),
            ("neq", "null", false),
            ("gibberish", "7", true),
            ("GT", "7", true),
            ("GT", "6", false),
            ("in", "7", true),
            ("IN", "[6,7]", true),
            ("LIKE", "\"7\"", true),
            ("ILike", "\"%\"", false),
            ("between", "[7,9]", false),
            ("between", "null", false),
            ("between_inclusive", "[7,9]", true),
            ("is_null", "null", false),
            ("is_not_null", "null", true),
        ] {
            let filters =
                format!(r#"[{{"column":"age","operator":"{operator}","value":{value}}}]"#);
            assert_eq!(passes(&filters, &row("Ada", 7)), expected, "{filters}");
        }
        for (operator, value, expected) in [
            ("like", "\"A%\"", true),
            ("like", "\"a%\"", false),
            ("ilike", "\"a_A\"", true),
            ("like", "null", false),
            ("LIKE", "\"A%\"", false),
            ("contains", "\"D\"", true),
            ("startswith", "\"a\"", true),
            ("endswith", "\"d\"", false),
        ] {
            let filters =
                format!(r#"[{{"column":"name","operator":"{operator}","value":{value}}}]"#);
            assert_eq!(passes(&filters, &row("Ada", 7)), expected, "{filters}");
        }
    }
}
