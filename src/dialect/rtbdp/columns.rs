//! Rows on their way into a message: each as a record that is made once for all subscribers, and many of them as columns.
//!
//! A record is its table, as its JSON, and the row's columns. Invariant: records of one message have the same table and the same columns in the same order.

use crate::dialect::json;
use crate::dialect::records::Columns;
use crate::dialect::records::RowMembers;
use crate::dialect::records::put_text;
use crate::dialect::records::take_text;

/// Appends what a record begins with: its table.
pub(super) fn put_table(table: &str, out: &mut Vec<u8>) {
    put_text(out, |out| json::string(table, out));
}

/// Appends the rest of a record: a row, which is an object of JSON. What is no object has no columns.
pub(super) fn put_row(row: &[u8], out: &mut Vec<u8>) {
    Columns::of(row).put(out);
}

/// A record, taken apart.
#[derive(Clone, Copy, Debug)]
struct Record<'a> {
    table: &'a [u8],
    row: RowMembers<'a>,
}

impl<'a> Record<'a> {
    fn take(from: &mut &'a [u8]) -> Self {
        Self { table: take_text(from), row: RowMembers::take(from) }
    }
}

//= rtbdp#4.3
//# A compatible server must only put rows with the identical key set into one `rows` frame (split, keep order).
/// Whether a record may be in one message with those before it.
pub(super) fn goes_with(before: &[u8], record: &[u8]) -> bool {
    let (one, other) = (Record::take(&mut &*before), Record::take(&mut &*record));
    one.table == other.table && one.row.names == other.row.names
}

/// Appends what a message begins with that is one row.
pub(super) fn put_row_begin(table: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(br#"{"table":"#);
    json::string(table, out);
    out.extend_from_slice(br#","row":"#);
}

//= rtbdp#4.3
//# `row` when a batch holds exactly 1 row, `rows` (columnar: object of equal-length arrays) when ≥ 2, nothing when 0.
/// Appends the message of records.
pub(super) fn put_message(mut text: &[u8], out: &mut Vec<u8>) {
    let mut records = Vec::new();
    while !text.is_empty() {
        records.push(Record::take(&mut text));
    }
    let Some(first) = records.first().copied() else { return };
    out.extend_from_slice(br#"{"table":"#);
    out.extend_from_slice(first.table);
    let is_one = records.len() == 1;
    out.extend_from_slice(if is_one { br#","row":{"# } else { br#","rows":{"# });
    let mut values: Vec<_> = records.iter().map(|record| record.row.values()).collect();
    for (place, name) in first.row.names().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        out.extend_from_slice(name);
        out.extend_from_slice(if is_one { b":" } else { b":[" });
        for (index, values) in values.iter_mut().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            out.extend_from_slice(values.next().unwrap_or_default());
        }
        if !is_one {
            out.push(b']');
        }
    }
    out.extend_from_slice(b"}}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(table: &str, row: &str) -> Vec<u8> {
        let mut out = Vec::new();
        put_table(table, &mut out);
        put_row(row.as_bytes(), &mut out);
        out
    }

    fn message(rows: &[&str]) -> String {
        let text: Vec<u8> = rows.iter().flat_map(|row| record("t", row)).collect();
        let mut out = Vec::new();
        put_message(&text, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn one_row_is_a_row_and_several_are_columns() {
        assert_eq!(message(&[]), "");
        assert_eq!(message(&[r#"{"a":1,"b":"x"}"#]), r#"{"table":"t","row":{"a":1,"b":"x"}}"#);
        assert_eq!(
            message(&[r#"{"a":1,"b":"x"}"#, r#"{"a":null,"b":"y,\"}"}"#, r#"{"a":2.50,"b":""}"#]),
            r#"{"table":"t","rows":{"a":[1,null,2.50],"b":["x","y,\"}",""]}}"#
        );
        assert_eq!(message(&["{}"]), r#"{"table":"t","row":{}}"#);
        assert_eq!(message(&["[1]"]), r#"{"table":"t","row":{}}"#, "what is no row has no columns");
    }

    #[test]
    fn values_survive_byte_for_byte() {
        let row = r#" { "a\"\\" : {"x":[1,{"y":"],}"}]} ,"b":[ ],"c":-1e5 , "d":"\\\"" } "#;
        assert_eq!(
            message(&[row]),
            r#"{"table":"t","row":{"a\"\\":{"x":[1,{"y":"],}"}]},"b":[ ],"c":-1e5,"d":"\\\""}}"#
        );
    }

    #[test]
    fn only_rows_of_the_same_columns_go_together() {
        let first = record("t", r#"{"a":1,"b":2}"#);
        assert!(goes_with(&first, &record("t", r#"{"a":null,"b":"z"}"#)));
        for other in [r#"{"b":2,"a":1}"#, r#"{"a":1}"#, r#"{"a":1,"b":2,"c":3}"#, "{}"] {
            assert!(!goes_with(&first, &record("t", other)), "{other}");
        }
        assert!(!goes_with(&first, &record("u", r#"{"a":1,"b":2}"#)));
    }
}
