//! Rows on their way into a message: each as a record that is made once for all subscribers, and many of them as columns.
//!
//! A record is its table, the names of its columns and their values, all as their JSON, with their lengths before them; so making columns of records reads no JSON. Invariants: records of one
//! message have the same table and the same columns in the same order; a value's JSON survives byte for byte.

use crate::dialect::json;

/// Appends what a record begins with: its table.
pub(super) fn put_table(table: &str, out: &mut Vec<u8>) {
    let start = out.len();
    put_length(0, out);
    json::string(table, out);
    set_length(start, out);
}

/// Appends the rest of a record: a row, which is an object of JSON. What is no object has no columns.
pub(super) fn put_row(row: &[u8], out: &mut Vec<u8>) {
    let mut members = Members { rest: row.trim_ascii() };
    members.rest = members.rest.strip_prefix(b"{").unwrap_or_default();
    let mut columns = Columns::default();
    for (name, value) in members {
        columns.add(name, value);
    }
    columns.put(out);
}

/// A row's columns, as they are gathered.
#[derive(Debug, Default)]
pub(super) struct Columns {
    lengths: Vec<u8>,
    names: Vec<u8>,
    values: Vec<u8>,
    count: usize,
}

impl Columns {
    /// The next one: its name and its value, as JSON.
    pub(super) fn add(&mut self, name: &[u8], value: &[u8]) {
        put_length(name.len(), &mut self.names);
        self.names.extend_from_slice(name);
        put_length(value.len(), &mut self.lengths);
        self.values.extend_from_slice(value);
        self.count += 1;
    }

    /// Appends the rest of a record.
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        put_length(self.names.len(), out);
        out.extend_from_slice(&self.names);
        put_length(self.count, out);
        out.extend_from_slice(&self.lengths);
        out.extend_from_slice(&self.values);
    }
}

fn put_length(length: usize, out: &mut Vec<u8>) {
    let length = u32::try_from(length).expect("a row is far smaller than 4 GiB");
    out.extend_from_slice(&length.to_le_bytes());
}

/// Sets a length to that of what follows it.
fn set_length(at: usize, out: &mut [u8]) {
    if let Some((length, rest)) = out.get_mut(at..).and_then(|all| all.split_first_chunk_mut::<4>())
    {
        *length = u32::try_from(rest.len()).unwrap_or(u32::MAX).to_le_bytes();
    }
}

/// Takes a length.
fn take_length(from: &mut &[u8]) -> usize {
    let Some((length, rest)) = from.split_first_chunk::<4>() else { return 0 };
    *from = rest;
    u32::from_le_bytes(*length) as usize
}

/// Takes so many bytes.
fn take<'a>(count: usize, from: &mut &'a [u8]) -> &'a [u8] {
    let Some((taken, rest)) = from.split_at_checked(count) else { return std::mem::take(from) };
    *from = rest;
    taken
}

/// A record, taken apart.
#[derive(Clone, Copy, Debug)]
struct Record<'a> {
    table: &'a [u8],
    names: &'a [u8],
    /// What is left of the lengths of its values, and of its values.
    lengths: &'a [u8],
    values: &'a [u8],
}

impl<'a> Record<'a> {
    fn take(from: &mut &'a [u8]) -> Self {
        let table_bytes = take_length(from);
        let table = take(table_bytes, from);
        let name_bytes = take_length(from);
        let names = take(name_bytes, from);
        let count = take_length(from);
        let lengths = take(4 * count, from);
        let mut rest = lengths;
        let bytes = (0..count).map(|_| take_length(&mut rest)).sum();
        let values = take(bytes, from);
        Self { table, names, lengths, values }
    }

    fn next_value(&mut self) -> &'a [u8] {
        let length = take_length(&mut self.lengths);
        take(length, &mut self.values)
    }
}

//= rtbdp#4.3
//# A compatible server must only put rows with the identical key set into one `rows` frame (split, keep order).
/// Whether a record may be in one message with those before it.
pub(super) fn goes_with(before: &[u8], record: &[u8]) -> bool {
    let (one, other) = (Record::take(&mut &*before), Record::take(&mut &*record));
    one.table == other.table && one.names == other.names
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
    let mut names = first.names;
    let mut is_first = true;
    while !names.is_empty() {
        let name_bytes = take_length(&mut names);
        if !std::mem::replace(&mut is_first, false) {
            out.push(b',');
        }
        out.extend_from_slice(take(name_bytes, &mut names));
        out.extend_from_slice(if is_one { b":" } else { b":[" });
        for (index, record) in records.iter_mut().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            out.extend_from_slice(record.next_value());
        }
        if !is_one {
            out.push(b']');
        }
    }
    out.extend_from_slice(b"}}");
}

/// The members of an object of JSON, which was checked when it came in: names and values as they are written.
struct Members<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Members<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        self.skip_to(b'"')?;
        let name_bytes = string_bytes(self.rest);
        let name = take(name_bytes, &mut self.rest);
        self.skip_to(b':')?;
        let value_bytes = value_bytes(self.rest.get(1..)?);
        take(1, &mut self.rest);
        let value = take(value_bytes, &mut self.rest).trim_ascii();
        Some((name, value))
    }
}

impl Members<'_> {
    /// Skips to this byte, of which there is none in what is skipped.
    fn skip_to(&mut self, wanted: u8) -> Option<()> {
        let at = self.rest.iter().position(|byte| *byte == wanted)?;
        take(at, &mut self.rest);
        Some(())
    }
}

/// Bytes of the string that a text begins with, quotes included.
fn string_bytes(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

/// Bytes of the value that a text begins with, up to the comma or bracket behind it.
fn value_bytes(text: &[u8]) -> usize {
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => at += string_bytes(text.get(at..).unwrap_or_default()) - 1,
            b'{' | b'[' => depth += 1,
            b'}' | b']' | b',' if depth == 0 => return at,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
    text.len()
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
