//! Server-sent events as they come: lines become events (WHATWG HTML, *Server-sent events*, section *Interpreting an event stream*).
//!
//! Invariants: an event is one that has data; the id of an event is the last one that was said; what of an event is larger than a message may be is passed over and said so. Pure.

use crate::limits::SOURCE_MESSAGE_BYTES_MAX;

/// An event that has come whole.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SseEvent {
    /// Its type; `None`: `message`.
    pub(super) kind: Option<String>,
    pub(super) data: Vec<u8>,
    /// The id that it came with, if it came with one.
    pub(super) id: Option<String>,
    /// It was larger than it may be, and this is its beginning.
    pub(super) is_cut: bool,
}

/// An event of which some lines have come.
#[derive(Debug, Default)]
pub(super) struct Sse {
    kind: Option<String>,
    data: Vec<u8>,
    has_data: bool,
    id: Option<String>,
    is_cut: bool,
    /// The id that was said last, by an event that has come whole.
    last_id: String,
}

impl Sse {
    /// A stream that is asked to go on behind an id; empty: from where it likes.
    pub(super) fn after(last_id: &str) -> Self {
        Self { last_id: last_id.to_owned(), ..Self::default() }
    }

    /// The id that was said last; empty: none was, or it was taken back.
    pub(super) fn last_id(&self) -> &str {
        &self.last_id
    }

    /// Takes a line; an event, if it is the end of one.
    pub(super) fn line(&mut self, line: &[u8]) -> Option<SseEvent> {
        if line.is_empty() {
            return self.end();
        }
        let (field, value) = match memchr::memchr(b':', line) {
            // A comment.
            Some(0) => return None,
            Some(place) => {
                let (field, rest) = line.split_at(place);
                let value = rest.get(1..).unwrap_or_default();
                (field, value.strip_prefix(b" ").unwrap_or(value))
            }
            None => (line, &b""[..]),
        };
        let text = || String::from_utf8_lossy(value).into_owned();
        match field {
            b"event" => self.kind = Some(text()).filter(|kind| !kind.is_empty()),
            b"data" => self.push(value),
            b"id" if !value.contains(&0) => self.id = Some(text()),
            // `retry` is the supervisor's affair.
            _ => {}
        }
        None
    }

    fn push(&mut self, value: &[u8]) {
        if self.data.len() + 1 + value.len() > SOURCE_MESSAGE_BYTES_MAX {
            self.is_cut = true;
            return;
        }
        if self.has_data {
            self.data.push(b'\n');
        }
        self.has_data = true;
        self.data.extend_from_slice(value);
    }

    fn end(&mut self) -> Option<SseEvent> {
        let Self { kind, data, has_data, id, is_cut, last_id } = std::mem::take(self);
        self.last_id = id.clone().unwrap_or(last_id);
        (has_data || is_cut).then_some(SseEvent { kind, data, id, is_cut })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(text: &str) -> (Vec<SseEvent>, String) {
        let mut sse = Sse::after("0");
        let events = text.split('\n').filter_map(|line| sse.line(line.as_bytes())).collect();
        (events, sse.last_id().to_owned())
    }

    fn event(kind: Option<&str>, data: &str, id: Option<&str>) -> SseEvent {
        let (kind, id) = (kind.map(str::to_owned), id.map(str::to_owned));
        SseEvent { kind, data: data.into(), id, is_cut: false }
    }

    #[test]
    fn lines_become_events() {
        let text = ": hello\nid: 1\nevent: add\ndata: {\"a\":\ndata:1}\n\nid\nretry: 10\n\ndata\n\ndata:  x\nid: 7\n\nevent: no\n\n";
        let (told, last_id) = events(text);
        assert_eq!(
            told,
            [
                event(Some("add"), "{\"a\":\n1}", Some("1")),
                event(None, "", None),
                event(None, " x", Some("7")),
            ]
        );
        assert_eq!(last_id, "7");
        assert_eq!(events("data: x\nid: 9").1, "0", "it has not come whole");
        assert_eq!(events("id: 3\n\n").1, "3", "without data it is no event, and yet a place");
        assert_eq!(events("id:\n\n").1, "");
        assert_eq!(events("id: a\u{0}b\ndata: x\n\n").1, "0");
    }

    #[test]
    fn what_does_not_end_holds_little() {
        let mut sse = Sse::default();
        let line = [&b"data:"[..], &vec![b'x'; SOURCE_MESSAGE_BYTES_MAX / 3]].concat();
        for _ in 0..10 {
            assert_eq!(sse.line(&line), None);
            assert!(sse.data.len() <= SOURCE_MESSAGE_BYTES_MAX);
        }
        assert!(sse.line(b"").unwrap().is_cut);
        assert_eq!(sse.line(b"data: y"), None);
        assert_eq!(sse.line(b"").unwrap(), event(None, "y", None));
    }
}
