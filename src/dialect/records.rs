//! Events on their way into a message of columns: each as a record that is made once for all subscribers alike, and taken apart again without reading JSON.
//!
//! A record is a few texts, which are its dialect's own, and then an object's members: their names and their values as their JSON, with lengths before them. Invariants:
//! what is put is what is taken; a value's JSON survives byte for byte; members stand in the order in which they were written. Never checks JSON: that was done as it came in.

/// Appends a text of a record, with its length before it; whatever writes it says when it ends.
pub fn put_text(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    put_length(0, out);
    write(out);
    if let Some((length, rest)) =
        out.get_mut(start..).and_then(|all| all.split_first_chunk_mut::<4>())
    {
        *length = u32::try_from(rest.len()).unwrap_or(u32::MAX).to_le_bytes();
    }
}

/// Takes a text of a record.
pub fn take_text<'a>(from: &mut &'a [u8]) -> &'a [u8] {
    let length = take_length(from);
    take(length, from)
}

fn put_length(length: usize, out: &mut Vec<u8>) {
    let length = u32::try_from(length).expect("a row is far smaller than 4 GiB");
    out.extend_from_slice(&length.to_le_bytes());
}

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

/// An object's members, as they are gathered.
#[derive(Debug, Default)]
pub struct Columns {
    lengths: Vec<u8>,
    names: Vec<u8>,
    values: Vec<u8>,
    count: usize,
}

impl Columns {
    /// Those of an object of JSON. What is no object has none.
    #[must_use]
    pub fn of(object: &[u8]) -> Self {
        let mut columns = Self::default();
        for (name, value) in members(object) {
            columns.add(name, value);
        }
        columns
    }

    /// The next one: its name and its value, as JSON.
    pub fn add(&mut self, name: &[u8], value: &[u8]) {
        put_length(name.len(), &mut self.names);
        self.names.extend_from_slice(name);
        put_length(value.len(), &mut self.lengths);
        self.values.extend_from_slice(value);
        self.count += 1;
    }

    /// Appends them to a record.
    pub fn put(&self, out: &mut Vec<u8>) {
        put_length(self.names.len(), out);
        out.extend_from_slice(&self.names);
        put_length(self.count, out);
        out.extend_from_slice(&self.lengths);
        out.extend_from_slice(&self.values);
    }
}

/// The members of a record, taken apart.
#[derive(Clone, Copy, Debug)]
pub struct RowMembers<'a> {
    /// The names, with lengths before them: equal where names and their order are.
    pub names: &'a [u8],
    lengths: &'a [u8],
    values: &'a [u8],
}

impl<'a> RowMembers<'a> {
    /// Takes what `Columns::put` has put.
    pub fn take(from: &mut &'a [u8]) -> Self {
        let name_bytes = take_length(from);
        let names = take(name_bytes, from);
        let count = take_length(from);
        let lengths = take(count.saturating_mul(4), from);
        let mut rest = lengths;
        let bytes = (0..count).map(|_| take_length(&mut rest)).sum();
        let values = take(bytes, from);
        Self { names, lengths, values }
    }

    /// The names, each as its JSON.
    pub fn names(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut names = self.names;
        std::iter::from_fn(move || (!names.is_empty()).then(|| take_text(&mut names)))
    }

    /// The values, in the order of the names.
    pub fn values(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let (mut lengths, mut values) = (self.lengths, self.values);
        std::iter::from_fn(move || {
            let length = (!lengths.is_empty()).then(|| take_length(&mut lengths))?;
            Some(take(length, &mut values))
        })
    }
}

/// The members of an object of JSON, names and values as they are written; none of what is no object.
pub fn members(object: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    Members { rest: object.trim_ascii().strip_prefix(b"{").unwrap_or_default() }
}

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

    fn texts<'a>(all: impl Iterator<Item = &'a [u8]>) -> Vec<&'a str> {
        all.map(|text| std::str::from_utf8(text).unwrap()).collect()
    }

    #[test]
    fn what_is_put_is_what_is_taken() {
        let mut record = Vec::new();
        put_text(&mut record, |out| out.extend_from_slice(b"one"));
        put_text(&mut record, |_| {});
        let object =
            r#" { "a\"\\" : {"x":[1,{"y":"],}"}]} ,"b":[ ],"c":-1e5 , "d":"\\\"","d":1.50 } "#;
        Columns::of(object.as_bytes()).put(&mut record);
        Columns::of(b"[1]").put(&mut record);
        let from = &mut &record[..];
        assert_eq!((take_text(from), take_text(from)), (&b"one"[..], &b""[..]));
        let row = RowMembers::take(from);
        assert_eq!(texts(row.names()), [r#""a\"\\""#, r#""b""#, r#""c""#, r#""d""#, r#""d""#]);
        assert_eq!(
            texts(row.values()),
            [r#"{"x":[1,{"y":"],}"}]}"#, "[ ]", "-1e5", r#""\\\"""#, "1.50"]
        );
        let row = RowMembers::take(from);
        assert_eq!((row.names().count(), row.values().count(), from.len()), (0, 0, 0));
    }
}
