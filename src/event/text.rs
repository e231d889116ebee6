//! What an event is made into: text that was written, and parts of its payload that stay where they are.
//!
//! Invariant: a part is a slice of the payload itself, so a text of a large event owns little more than the words between its parts. A text that
//! was not told to keep parts is one run of bytes, and as cheap as a `Vec`.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;

use crate::limits::PART_BYTES_MIN;

/// Text, and parts of a payload within it.
#[derive(Clone, Debug, Default)]
pub struct Text {
    /// What was written; parts stand between its bytes.
    pub bytes: Vec<u8>,
    parts: Vec<Part>,
    /// The payload whose parts are kept.
    source: Option<Bytes>,
}

/// A part of the payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// How many written bytes stand before it.
    at: usize,
    pub bytes: Bytes,
    pub coding: Coding,
}

/// What a part is in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// The text's bytes as they are.
    Plain,
    /// A JSON string that holds it, quotes and escapes included.
    JsonString,
}

/// A run of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run<'a> {
    Written(&'a [u8]),
    Part(&'a Part),
}

/// A payload as some subscribers want it.
#[derive(Clone, Copy, Debug)]
pub enum Payload<'a> {
    /// All of it.
    Whole(&'a Bytes),
    /// The members that they chose.
    Chosen(&'a Text),
}

impl Text {
    /// An empty text that is one run of bytes.
    #[inline]
    pub fn clear(&mut self) {
        self.bytes.clear();
        // Parts are only kept of a source.
        if self.source.is_some() {
            self.parts.clear();
            self.source = None;
        }
    }

    /// An empty text in which parts of this payload stay where they are, if they have [`PART_BYTES_MIN`] bytes at least.
    pub fn clear_for(&mut self, payload: &Bytes) {
        self.clear();
        self.source = Some(payload.clone());
    }

    /// Has room for so many bytes, where all of them will be written.
    pub fn reserve(&mut self, bytes: usize) {
        if self.source.is_none() {
            self.bytes.reserve(bytes);
        }
    }

    /// A place to which it can be cut back.
    #[must_use]
    pub fn mark(&self) -> (usize, usize) {
        (self.bytes.len(), self.parts.len())
    }

    /// Cuts it back to a place.
    pub fn truncate(&mut self, (bytes, parts): (usize, usize)) {
        self.bytes.truncate(bytes);
        self.parts.truncate(parts);
    }

    /// Appends bytes, of the payload perhaps.
    #[inline]
    pub fn put(&mut self, bytes: &[u8]) {
        if self.keep(bytes, Coding::Plain) {
            return;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Appends a part of the payload, if it is one that is kept in place.
    #[inline]
    pub fn keep(&mut self, bytes: &[u8], coding: Coding) -> bool {
        self.source.is_some() && bytes.len() >= PART_BYTES_MIN && self.keep_part(bytes, coding)
    }

    fn keep_part(&mut self, bytes: &[u8], coding: Coding) -> bool {
        let Some(source) = &self.source else { return false };
        let start = bytes.as_ptr().addr().wrapping_sub(source.as_ptr().addr());
        if start > source.len() || bytes.len() > source.len() - start {
            return false;
        }
        let bytes = source.slice(start..start + bytes.len());
        self.parts.push(Part { at: self.bytes.len(), bytes, coding });
        true
    }

    /// Appends another text, and keeps its parts where they are if they are parts here.
    fn put_all(&mut self, text: &Self) {
        for run in text.runs() {
            match run {
                Run::Written(bytes) => self.bytes.extend_from_slice(bytes),
                Run::Part(part) => self.put(&part.bytes),
            }
        }
    }

    /// The text's runs, in order; none is empty.
    pub fn runs(&self) -> impl Iterator<Item = Run<'_>> {
        let starts = std::iter::once(0).chain(self.parts.iter().map(|part| part.at));
        let ends = self.parts.iter().map(|part| part.at).chain([self.bytes.len()]);
        let written = starts.zip(ends).map(|(start, end)| Range { start, end });
        let parts = self.parts.iter().map(Some).chain([None]);
        written.zip(parts).flat_map(|(range, part)| {
            let written = &self.bytes[range];
            let written = (!written.is_empty()).then_some(Run::Written(written));
            written.into_iter().chain(part.map(Run::Part))
        })
    }

    /// Bytes of all its runs, each part as it is.
    #[must_use]
    pub fn whole_bytes(&self) -> usize {
        self.bytes.len() + self.parts.iter().map(|part| part.bytes.len()).sum::<usize>()
    }

    /// Whether the text is one run of bytes.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.parts.is_empty()
    }
}

impl<'a> Payload<'a> {
    /// Appends it.
    #[inline]
    pub fn put_into(self, out: &mut Text) {
        match self {
            Self::Whole(bytes) => out.put(bytes),
            Self::Chosen(text) => out.put_all(text),
        }
    }

    /// All of it in one run.
    #[must_use]
    pub fn contiguous(self) -> Cow<'a, [u8]> {
        match self {
            Self::Whole(bytes) => Cow::Borrowed(bytes),
            Self::Chosen(text) if text.is_plain() => Cow::Borrowed(&text.bytes),
            Self::Chosen(text) => {
                let mut whole = Vec::new();
                for run in text.runs() {
                    whole.extend_from_slice(match run {
                        Run::Written(bytes) => bytes,
                        Run::Part(part) => &part.bytes,
                    });
                }
                Cow::Owned(whole)
            }
        }
    }

    /// Bytes of it that have to be written at most.
    #[must_use]
    pub fn len(self) -> usize {
        match self {
            Self::Whole(bytes) => bytes.len(),
            Self::Chosen(text) => text.bytes.len(),
        }
    }

    /// Whether there is nothing of it.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(text: &Text) -> Vec<(bool, Vec<u8>)> {
        text.runs()
            .map(|run| match run {
                Run::Written(bytes) => (false, bytes.to_vec()),
                Run::Part(part) => (true, part.bytes.to_vec()),
            })
            .collect()
    }

    #[test]
    fn a_large_part_stays_where_it_is_and_all_else_is_written() {
        let payload = Bytes::from(vec![b'p'; 2 * PART_BYTES_MIN]);
        let mut text = Text::default();
        text.clear_for(&payload);
        text.put(b"<");
        text.put(&payload[1..=PART_BYTES_MIN]);
        text.put(&payload[..10]);
        text.put(&vec![b'x'; PART_BYTES_MIN]);
        text.put(&payload);
        let some = vec![b'p'; PART_BYTES_MIN];
        let between = [vec![b'p'; 10], vec![b'x'; PART_BYTES_MIN]].concat();
        let all = payload.to_vec();
        assert_eq!(
            runs(&text),
            [(false, b"<".to_vec()), (true, some), (false, between), (true, all)]
        );
        let Run::Part(part) = text.runs().nth(1).unwrap() else { panic!("it was copied") };
        assert_eq!(part.bytes.as_ptr(), payload[1..].as_ptr());
    }

    #[test]
    fn without_a_source_everything_is_written() {
        let payload = Bytes::from(vec![b'p'; 2 * PART_BYTES_MIN]);
        let mut text = Text::default();
        text.clear_for(&payload);
        text.put(&payload);
        text.clear();
        text.put(&payload);
        assert_eq!(runs(&text), [(false, payload.to_vec())]);
        assert!(text.is_plain());
    }

    #[test]
    fn a_chosen_payload_keeps_its_parts() {
        let payload = Bytes::from(vec![b'p'; PART_BYTES_MIN]);
        let (mut chosen, mut text) = (Text::default(), Text::default());
        chosen.clear_for(&payload);
        chosen.put(b"{");
        chosen.put(&payload);
        chosen.put(b"}");
        text.clear_for(&payload);
        text.put(b"[");
        Payload::Chosen(&chosen).put_into(&mut text);
        let expected = [(false, b"[{".to_vec()), (true, payload.to_vec()), (false, b"}".to_vec())];
        assert_eq!(runs(&text), expected);
        let whole = [b"{", &payload[..], b"}"].concat();
        assert_eq!(*Payload::Chosen(&chosen).contiguous(), *whole);
    }
}
