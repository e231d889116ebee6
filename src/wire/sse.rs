//! Server-sent events: an endless reply, event by event.
//!
//! Invariants: what is data stays data, whatever its bytes; every event ends in an empty line. Events are encoded without chunk sizes, so
//! that one encoding serves clients of either HTTP version; [`put_chunk`] adds them. Never remembers what was sent.

/// An event to be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Event<'a> {
    /// The event's id, which a client that comes back names in `Last-Event-ID`. Empty: no `id` line, and the id of the event before holds.
    pub id: &'a str,
    /// The event's type. Empty: no `event` line, which a browser takes for `message`.
    pub event: &'a str,
    pub data: &'a [u8],
}

impl Event<'_> {
    /// Appends the event.
    pub fn put(&self, out: &mut Vec<u8>) {
        self.put_before_data(out);
        put_data(out, self.data);
        self.put_after_data(out);
    }

    /// Appends the lines that stand before the data.
    pub fn put_before_data(&self, out: &mut Vec<u8>) {
        if !self.event.is_empty() {
            put_line(out, b"event: ", self.event.as_bytes());
        }
        out.extend_from_slice(DATA);
    }

    /// Appends the lines that stand behind the data.
    pub fn put_after_data(&self, out: &mut Vec<u8>) {
        out.push(b'\n');
        if !self.id.is_empty() {
            // A browser ignores an id with a NUL and would resume from the id before: no id has one.
            debug_assert!(!self.id.contains('\0'), "an event's id has no NUL");
            put_line(out, b"id: ", self.id.as_bytes());
        }
        out.push(b'\n');
    }
}

/// Whether text is more than one line of data.
#[must_use]
pub fn has_lines(text: &[u8]) -> bool {
    text.iter().any(|byte| matches!(byte, b'\r' | b'\n'))
}

/// Appends the data of an event: each of its lines but the first begins with `data: ` again.
pub fn put_data(out: &mut Vec<u8>, text: &[u8]) {
    put_broken(out, DATA, text);
}

/// Appends a comment, which keeps the connection awake and tells the client nothing.
pub fn put_comment(out: &mut Vec<u8>, comment: &str) {
    put_lines(out, b": ", comment.as_bytes());
    out.push(b'\n');
}

/// Appends a `retry` line: how many milliseconds a client should wait before it comes back.
pub fn put_retry(out: &mut Vec<u8>, retry_ms: u32) {
    put_line(out, b"retry: ", retry_ms.to_string().as_bytes());
    out.push(b'\n');
}

/// Appends `bytes` as one chunk of a chunked body; nothing if there are none, for an empty chunk would end the body.
pub fn put_chunk(out: &mut Vec<u8>, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    put_chunk_head(out, bytes.len());
    out.extend_from_slice(bytes);
    out.extend_from_slice(CHUNK_END);
}

/// Appends a chunk's size line, which stands before its bytes; a chunk has one byte at least.
pub fn put_chunk_head(out: &mut Vec<u8>, bytes: usize) {
    out.extend_from_slice(format!("{bytes:x}\r\n").as_bytes());
}

/// The line break that stands behind a chunk's bytes.
pub const CHUNK_END: &[u8] = b"\r\n";

const DATA: &[u8] = b"data: ";

/// Appends a leading zero of the next chunk's size: a byte that means nothing to the peer, and shows whether the peer is there.
//= rfc9112#7.1
//# chunk-size = 1*HEXDIG
pub fn put_probe(out: &mut Vec<u8>) {
    out.push(b'0');
}

/// The media type of an event stream.
pub const CONTENT_TYPE: &str = "text/event-stream";

/// The last chunk, which ends a chunked body.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Appends a field as one line; a line break in its value becomes a space.
fn put_line(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend(value.iter().map(|&byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte }));
    out.push(b'\n');
}

/// A line for each line of `text`, which may end in LF, CR LF or CR: a browser takes all three for an end.
fn put_lines(out: &mut Vec<u8>, name: &[u8], text: &[u8]) {
    out.extend_from_slice(name);
    put_broken(out, name, text);
    out.push(b'\n');
}

fn put_broken(out: &mut Vec<u8>, name: &[u8], text: &[u8]) {
    let mut rest = text;
    loop {
        let end = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
        let (line, after) = rest.split_at(end.unwrap_or(rest.len()));
        out.extend_from_slice(line);
        rest = match after {
            [] => return,
            [b'\r', b'\n', after @ ..] | [_, after @ ..] => after,
        };
        out.push(b'\n');
        out.extend_from_slice(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::http::BodyDecoder;
    use crate::wire::http::Framing;
    use crate::wire::testing::Random;

    fn written(event: Event<'_>) -> String {
        let mut out = Vec::new();
        event.put(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn events_have_the_lines_that_they_need() {
        let event = Event { id: "7", event: "gap", data: b"{}" };
        assert_eq!(written(event), "event: gap\ndata: {}\nid: 7\n\n");
        assert_eq!(written(Event { data: b"x", ..Event::default() }), "data: x\n\n");
        assert_eq!(written(Event::default()), "data: \n\n");
        let event = Event { data: b"a\nb\r\nc\rd\n", ..Event::default() };
        assert_eq!(written(event), "data: a\ndata: b\ndata: c\ndata: d\ndata: \n\n");
        let event = Event { id: "1\n2", event: "a\rb", data: b"" };
        assert_eq!(written(event), "event: a b\ndata: \nid: 1 2\n\n");
    }

    #[test]
    fn comments_and_retry() {
        let mut out = Vec::new();
        put_comment(&mut out, "still\nhere");
        put_retry(&mut out, 1_500);
        assert_eq!(out, b": still\n: here\n\nretry: 1500\n\n");
    }

    #[test]
    fn chunks_are_read_back_by_our_own_decoder() {
        let mut out = Vec::new();
        for piece in [&b"data: a\n\n"[..], b"", &[b'x'; 300]] {
            put_chunk(&mut out, piece);
        }
        out.extend_from_slice(LAST_CHUNK);
        let mut decoder = BodyDecoder::new(Framing::Chunked, 1_000).unwrap();
        let mut body = Vec::new();
        let mut rest = &out[..];
        while !decoder.is_done() {
            let decoded = decoder.decode(rest).unwrap();
            body.extend_from_slice(&rest[decoded.data.clone()]);
            rest = &rest[decoded.consumed..];
        }
        assert_eq!(body, [&b"data: a\n\n"[..], &[b'x'; 300]].concat());
    }

    #[test]
    fn data_comes_back_line_by_line_as_a_browser_reads_it() {
        let seed = 0x55e;
        let mut random = Random(seed);
        for round in 0..2_000 {
            let data: Vec<u8> =
                (0..random.below(12)).map(|_| b"ab: \n\r"[random.below(6)]).collect();
            let text = written(Event { data: &data, ..Event::default() });
            let lines: Vec<&str> =
                text.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
            let expected =
                String::from_utf8(data).unwrap().replace("\r\n", "\n").replace('\r', "\n");
            assert_eq!(lines.join("\n"), expected, "seed {seed:#x}, round {round}");
        }
    }
}
