//! Replies as lines: heads, then bodies however they are framed, so that a transcript reads the same whether the server chunks or not.

use std::collections::VecDeque;

use super::link::Link;

/// What of a reply comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Head,
    /// So many bytes of the body are still to come.
    Length(usize),
    /// A chunk's size is next.
    ChunkSize,
    /// So many bytes of a chunk, and the line end behind it.
    Chunk(usize),
    UntilEnd,
}

pub struct Http {
    link: Box<dyn Link>,
    bytes: Vec<u8>,
    part: Part,
    /// The chunk that is being read is the one that ends the body.
    is_last: bool,
    /// The body that is being read is no text, and says so.
    is_bytes: bool,
    /// What has been read of a body and ends in no line break yet.
    line: Vec<u8>,
    /// The head's lines so far.
    head: Vec<String>,
    /// For each request on its way, whether its reply has no body.
    asked: VecDeque<bool>,
}

impl Http {
    pub fn new(link: Box<dyn Link>) -> Self {
        Self {
            link,
            bytes: Vec::new(),
            part: Part::Head,
            is_last: false,
            is_bytes: false,
            line: Vec::new(),
            head: Vec::new(),
            asked: VecDeque::new(),
        }
    }

    /// Sends bytes; a line that begins like a request is remembered, for its reply's sake.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        let text = String::from_utf8_lossy(bytes);
        for line in text.split("\r\n").filter(|line| line.contains(" HTTP/1.")) {
            self.asked.push_back(line.starts_with("HEAD "));
        }
        self.link.send(bytes);
    }

    pub fn half_close(&mut self) {
        self.link.half_close();
    }

    /// The next line of a head or a body, without its end; none: the connection has ended. What every answer begins with, whatever it is, is
    /// held to here and passed over: when it was made, and that it differs by page.
    pub fn line(&mut self) -> Option<String> {
        let line = self.any_line()?;
        if self.head.len() == 1 && line.starts_with("HTTP/1.1 ") && !line.starts_with("HTTP/1.1 1")
        {
            let date = self.any_line().unwrap_or_default();
            let is_date = date.len() == "date: Sun, 06 Nov 1994 08:49:37 GMT".len();
            assert!(
                date.starts_with("date: ") && date.ends_with(" GMT") && is_date,
                "{line} {date}"
            );
            assert_eq!(self.any_line().as_deref(), Some("vary: origin"), "{line}");
        }
        Some(line)
    }

    fn any_line(&mut self) -> Option<String> {
        loop {
            if let Some(line) = self.next_line() {
                return Some(line);
            }
            let bytes = self.link.receive();
            if bytes.is_empty() {
                let rest = std::mem::take(&mut self.line);
                assert!(self.bytes.is_empty(), "cut off in {:?}: {:?}", self.part, self.bytes);
                return (!rest.is_empty()).then(|| self.text(rest));
            }
            self.bytes.extend_from_slice(&bytes);
        }
    }

    fn next_line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.line.iter().position(|byte| *byte == b'\n') {
                let rest = self.line.split_off(end + 1);
                self.line.pop();
                let line = std::mem::replace(&mut self.line, rest);
                return Some(self.text(line));
            }
            match self.part {
                Part::Head => {
                    let line = self.take_line()?;
                    if line.is_empty() {
                        self.begin_body();
                    } else {
                        self.head.push(line.to_ascii_lowercase());
                    }
                    return Some(line);
                }
                Part::Length(left) => {
                    if left == 0 {
                        return self.end_body();
                    }
                    let taken = self.take_body(left)?;
                    self.part = Part::Length(left - taken);
                }
                Part::UntilEnd => {
                    self.take_body(usize::MAX)?;
                }
                Part::ChunkSize => {
                    let size = self.take_line()?;
                    let size = usize::from_str_radix(&size, 16).unwrap();
                    self.is_last = size == 0;
                    self.part = Part::Chunk(size);
                }
                Part::Chunk(0) => {
                    let end = self.take_line()?;
                    assert!(end.is_empty(), "a chunk ends in a line break, not {end:?}");
                    self.part = Part::ChunkSize;
                    if self.is_last {
                        return self.end_body();
                    }
                }
                Part::Chunk(left) => {
                    let taken = self.take_body(left)?;
                    self.part = Part::Chunk(left - taken);
                }
            }
        }
    }

    fn take_line(&mut self) -> Option<String> {
        let end = self.bytes.windows(2).position(|two| two == b"\r\n")?;
        let rest = self.bytes.split_off(end + 2);
        let mut line = std::mem::replace(&mut self.bytes, rest);
        line.truncate(end);
        Some(text(line))
    }

    fn take_body(&mut self, most: usize) -> Option<usize> {
        let count = most.min(self.bytes.len());
        self.line.extend(self.bytes.drain(..count));
        (count > 0).then_some(count)
    }

    fn begin_body(&mut self) {
        let status = self.head[0].split(' ').nth(1).unwrap().to_owned();
        let value = |name: &str| {
            self.head.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
        };
        let length = value("content-length").map(|length| length.parse().unwrap());
        let is_bytes = value("content-type") == Some("application/octet-stream");
        let is_chunked = value("transfer-encoding") == Some("chunked");
        self.is_bytes = is_bytes;
        self.head.clear();
        // A head alone: one more of the same request's is to come.
        if status == "100" {
            return;
        }
        let is_bare = self.asked.pop_front().unwrap_or(false) || status == "304";
        self.part = match length {
            _ if is_bare => Part::Head,
            Some(length) => Part::Length(length),
            None if is_chunked => Part::ChunkSize,
            None => Part::UntilEnd,
        };
    }

    fn end_body(&mut self) -> Option<String> {
        self.part = Part::Head;
        let rest = std::mem::take(&mut self.line);
        (!rest.is_empty()).then(|| self.text(rest)).or_else(|| self.next_line())
    }

    /// A body's bytes as a text of the same length: only what says that it is no text may be none.
    fn text(&self, mut bytes: Vec<u8>) -> String {
        if self.is_bytes {
            bytes.iter_mut().filter(|byte| !byte.is_ascii()).for_each(|byte| *byte = b'?');
        }
        text(bytes)
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("replies are UTF-8")
}
