//! What a client is told of rows, tables and subscriptions, as JSON: the `data` of answers.
//!
//! Invariant: rows stand as their values are written, and no more of them than fits an answer, by a row.

use super::message::Message;
use crate::dialect::json;
use crate::limits::RESOLVESPEC_ANSWER_BYTES_MAX;
use crate::tables::ColumnId;
use crate::tables::Page;
use crate::tables::Query;
use crate::tables::Row;
use crate::tables::Schema;
use crate::tables::Table;
use crate::tables::Value;
use crate::tables::What;
use crate::tables::Written;
use crate::tables::payload_of;

/// What a write is answered with.
pub(super) fn written_data(
    (tables, table): (&Schema, &Table),
    masked: &[ColumnId],
    written: &Written,
) -> String {
    match (written.what, &written.row) {
        (What::Created | What::Updated, Some(row)) if masked.is_empty() => payload_of(table, row),
        (What::Created | What::Updated, Some(row)) => {
            let shown = table.ids().zip(row).filter(|(column, _)| !masked.contains(column));
            let (columns, values): (Vec<ColumnId>, Vec<Value>) =
                shown.map(|(column, value)| (column, value.clone())).unzip();
            let mut out = String::new();
            Row::new(values.into()).put_json(tables, table, (&columns, &[]), &mut out);
            out
        }
        _ => r#"{"deleted":true}"#.to_owned(),
    }
}

/// Appends rows as JSON, with commas between them, as far as there is room.
pub(super) fn put_rows(tables: &Schema, query: &Query, page: &Page, rows: &mut String) {
    let table = tables.table(query.table);
    let columns = query.columns_of(table);
    for row in page.rows.iter() {
        if rows.len() > RESOLVESPEC_ANSWER_BYTES_MAX {
            return;
        }
        if !rows.is_empty() {
            rows.push(',');
        }
        row.put_json(tables, table, (&columns, &query.preload), rows);
    }
}

//= resolvespec#3A.4
//# `fetch_row_number`: 1-based `ROW_NUMBER()` of that primary key under filters+sort; sets
//# the record's `RowNumber` field if it has one
/// The row, and what is said of it.
pub(super) fn one_read((row, number): (&str, Option<u64>), table: &Table) -> (String, String) {
    let Some(number) = number else { return (row.to_owned(), r#"{"total":1}"#.to_owned()) };
    let is_number = |name: &str| name.replace('_', "").eq_ignore_ascii_case("rownumber");
    let field = table.columns.iter().find(|column| is_number(&column.name));
    let mut numbered = String::from(row);
    if let Some(field) = field
        && let Ok(members) = json::members(row)
    {
        let mut out = vec![b'{'];
        for (index, (name, value)) in members.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            json::string(name, &mut out);
            out.push(b':');
            let number = number.to_string();
            let is_field = **name == *field.name;
            out.extend_from_slice(if is_field {
                number.as_bytes()
            } else {
                value.get().as_bytes()
            });
        }
        out.push(b'}');
        numbered = String::from_utf8_lossy(&out).into_owned();
    }
    let metadata = format!(r#"{{"total":1,"row_number":{number}}}"#);
    (numbered, metadata)
}

/// What is said of a table, but for columns that are masked.
pub(super) fn about(
    message: &Message<'_>,
    (table, name): (&Table, &str),
    masked: &[ColumnId],
) -> String {
    let mut out = br#"{"schema":"#.to_vec();
    json::string(&message.schema, &mut out);
    out.extend_from_slice(br#","entity":"#);
    json::string(&message.entity, &mut out);
    out.extend_from_slice(br#","table_name":"#);
    json::string(name, &mut out);
    out.extend_from_slice(br#","columns":"#);
    let shown = table.ids().filter(|column| !masked.contains(column));
    json::strings(shown.map(|column| &*table.column(column).name), &mut out);
    out.extend_from_slice(br#","primary_key":"#);
    let key: Vec<&str> = table.key.iter().map(|id| &*table.column(*id).name).collect();
    json::string(&key.join(","), &mut out);
    out.push(b'}');
    String::from_utf8_lossy(&out).into_owned()
}

/// What is said of a new subscription.
//= resolvespec#3B
//# subscribe response data has also `"notify_topic":"spec/{cid}/notify/{sid}"`
pub(super) fn subscribed(message: &Message<'_>, uuid: &str, base: Option<&str>) -> String {
    let mut out = br#"{"entity":"#.to_vec();
    json::string(&message.entity, &mut out);
    out.extend_from_slice(br#","schema":"#);
    json::string(&message.schema, &mut out);
    out.extend_from_slice(br#","subscription_id":"#);
    json::string(uuid, &mut out);
    if let Some(base) = base {
        out.extend_from_slice(br#","notify_topic":"#);
        json::string(&format!("{base}/notify/{uuid}"), &mut out);
    }
    out.push(b'}');
    String::from_utf8_lossy(&out).into_owned()
}

/// What is said of a subscription that is over.
pub(super) fn unsubscribed(uuid: &str) -> String {
    let mut out = br#"{"subscription_id":"#.to_vec();
    json::string(uuid, &mut out);
    out.extend_from_slice(br#","unsubscribed":true}"#);
    String::from_utf8_lossy(&out).into_owned()
}
