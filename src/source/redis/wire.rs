//! RESP2, the protocol of Redis and whatever speaks like it: commands as arrays of strings, and answers.
//!
//! Invariants: an answer is taken whole or not at all, and has at most so many bytes, parts and levels; what is none is an error, never a guess. Never does I/O.

use bytes::Buf as _;
use bytes::Bytes;
use bytes::BytesMut;

use crate::limits::REDIS_ANSWER_BYTES_MAX;
use crate::limits::REDIS_DEPTH_MAX;

/// `*`, a number of 64 bits, and the end of the line.
const LIST_LINE_BYTES_MAX: usize = 24;

/// An answer, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Simple(Bytes),
    Error(Bytes),
    Number(i64),
    Text(Bytes),
    Nothing,
    List(Vec<Self>),
}

impl Value {
    /// A string, of either kind.
    pub(super) fn text(&self) -> Option<&Bytes> {
        match self {
            Self::Text(text) | Self::Simple(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn list(&self) -> Option<&[Self]> {
        match self {
            Self::List(list) => Some(list),
            _ => None,
        }
    }

    /// A number, however it is written.
    pub(super) fn number(&self) -> Option<u64> {
        match self {
            Self::Number(number) => u64::try_from(*number).ok(),
            Self::Text(text) => std::str::from_utf8(text).ok()?.parse().ok(),
            _ => None,
        }
    }
}

/// Why there is no next answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// It is not the protocol; what it is instead, as far as it can be shown.
    Garbled(String),
    /// It has more than `REDIS_ANSWER_BYTES_MAX`.
    TooLong,
}

/// Where a part of an answer lies, before it is cut out of what was read.
enum Part {
    Leaf(fn(Bytes) -> Value, std::ops::Range<usize>),
    Whole(Value),
    List(Vec<Self>),
}

/// The next whole answer; `None`: more must come first. `least`: how many bytes it was found to need, so that it is not looked through again for each piece that comes.
pub(super) fn next_value(inbox: &mut BytesMut, least: &mut usize) -> Result<Option<Value>, Unread> {
    if inbox.is_empty() || inbox.len() < *least {
        return Ok(None);
    }
    let mut reader = Reader { bytes: inbox, at: 0 };
    match reader.part(0) {
        Ok(part) => {
            let end = reader.at;
            *least = 0;
            let whole = inbox.split_to(end).freeze();
            Ok(Some(cut(part, &whole)))
        }
        Err(Stop::More(needed)) if needed > REDIS_ANSWER_BYTES_MAX => Err(Unread::TooLong),
        Err(Stop::More(needed)) => {
            *least = needed;
            Ok(None)
        }
        Err(Stop::Garbled) => Err(garbled(inbox)),
    }
}

/// How many parts the list that comes next has, of which each is then read by itself; `Ok(Some(None))`: what comes next is no list.
pub(super) fn next_list(inbox: &mut BytesMut) -> Result<Option<Option<usize>>, Unread> {
    match inbox.first() {
        None => return Ok(None),
        Some(b'*') => {}
        Some(_) => return Ok(Some(None)),
    }
    let mut reader = Reader { bytes: inbox, at: 0 };
    let count = match reader.line() {
        Ok(line) => reader.number(line.start + 1..line.end),
        Err(Stop::More(needed)) if needed > LIST_LINE_BYTES_MAX => Err(Stop::Garbled),
        Err(Stop::More(_)) => return Ok(None),
        Err(Stop::Garbled) => Err(Stop::Garbled),
    };
    let Ok(count) = count else { return Err(garbled(inbox)) };
    // A list that is nothing is left to be read as a whole.
    let Ok(count) = usize::try_from(count) else { return Ok(Some(None)) };
    let end = reader.at;
    inbox.advance(end);
    Ok(Some(Some(count)))
}

/// The string that stands first in a list that has not come whole.
pub(super) fn first_text(inbox: &[u8]) -> Option<Bytes> {
    let mut reader = Reader { bytes: inbox, at: 0 };
    reader.line().ok()?;
    match reader.part(REDIS_DEPTH_MAX) {
        Ok(Part::Leaf(_, range)) => inbox.get(range).map(Bytes::copy_from_slice),
        _ => None,
    }
}

fn garbled(inbox: &[u8]) -> Unread {
    let shown = inbox.get(..inbox.len().min(64)).unwrap_or_default();
    Unread::Garbled(shown.escape_ascii().to_string())
}

fn cut(part: Part, whole: &Bytes) -> Value {
    match part {
        Part::Leaf(of, range) => of(whole.slice(range)),
        Part::Whole(value) => value,
        Part::List(parts) => Value::List(parts.into_iter().map(|part| cut(part, whole)).collect()),
    }
}

/// Why reading stops.
enum Stop {
    /// There must be at least so many bytes.
    More(usize),
    Garbled,
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn part(&mut self, depth: usize) -> Result<Part, Stop> {
        let line = self.line()?;
        let kind = self.bytes.get(line.start).copied().ok_or(Stop::Garbled)?;
        let rest = line.start + 1..line.end;
        match kind {
            b'+' => Ok(Part::Leaf(Value::Simple, rest)),
            b'-' => Ok(Part::Leaf(Value::Error, rest)),
            b':' => Ok(Part::Whole(Value::Number(self.number(rest)?))),
            b'$' => match usize::try_from(self.number(rest)?) {
                Err(_) => Ok(Part::Whole(Value::Nothing)),
                Ok(size) => self.text(size),
            },
            b'*' => match usize::try_from(self.number(rest)?) {
                Err(_) => Ok(Part::Whole(Value::Nothing)),
                Ok(_) if depth >= REDIS_DEPTH_MAX => Err(Stop::Garbled),
                Ok(count) => self.list(count, depth),
            },
            _ => Err(Stop::Garbled),
        }
    }

    fn list(&mut self, count: usize, depth: usize) -> Result<Part, Stop> {
        // The smallest part has four bytes: `:0\r\n`.
        self.needs(count.checked_mul(4).ok_or(Stop::Garbled)?)?;
        let mut parts = Vec::with_capacity(count);
        for _ in 0..count {
            parts.push(self.part(depth + 1)?);
        }
        Ok(Part::List(parts))
    }

    fn text(&mut self, size: usize) -> Result<Part, Stop> {
        self.needs(size.checked_add(2).ok_or(Stop::Garbled)?)?;
        let range = self.at..self.at + size;
        if self.bytes.get(range.end..range.end + 2) != Some(b"\r\n") {
            return Err(Stop::Garbled);
        }
        self.at = range.end + 2;
        Ok(Part::Leaf(Value::Text, range))
    }

    /// Stops unless so many bytes follow.
    fn needs(&self, count: usize) -> Result<(), Stop> {
        let end = self.at.checked_add(count).ok_or(Stop::Garbled)?;
        if self.bytes.len() < end { Err(Stop::More(end)) } else { Ok(()) }
    }

    /// The next line, without its end.
    fn line(&mut self) -> Result<std::ops::Range<usize>, Stop> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let first = rest.first();
        if first.is_some_and(|kind| !b"+-:$*".contains(kind)) {
            return Err(Stop::Garbled);
        }
        let Some(end) = memchr::memchr(b'\n', rest) else {
            return Err(Stop::More(self.bytes.len() + 1));
        };
        let start = self.at;
        self.at += end + 1;
        match end.checked_sub(1).filter(|end| rest.get(*end) == Some(&b'\r')) {
            Some(end) if end > 0 => Ok(start..start + end),
            _ => Err(Stop::Garbled),
        }
    }

    fn number(&self, range: std::ops::Range<usize>) -> Result<i64, Stop> {
        let text = self.bytes.get(range).and_then(|text| std::str::from_utf8(text).ok());
        text.and_then(|text| text.parse().ok()).ok_or(Stop::Garbled)
    }
}

/// Appends a command.
pub(super) fn put(words: &[&[u8]], out: &mut Vec<u8>) {
    out.extend(format!("*{}\r\n", words.len()).into_bytes());
    for word in words {
        out.extend(format!("${}\r\n", word.len()).into_bytes());
        out.extend(*word);
        out.extend(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &'static str) -> Value {
        Value::Text(Bytes::from_static(text.as_bytes()))
    }

    const WHOLE: &[u8] =
        b"*4\r\n$2\r\nhi\r\n:-7\r\n*2\r\n$0\r\n\r\n$-1\r\n*-1\r\n+OK\r\n-ERR no\r\n:3\r\n";

    #[test]
    fn answers_are_read_however_they_are_cut() {
        let list = Value::List(vec![
            text("hi"),
            Value::Number(-7),
            Value::List(vec![text(""), Value::Nothing]),
            Value::Nothing,
        ]);
        let simple = |text: &'static str| Bytes::from_static(text.as_bytes());
        let all =
            [list, Value::Simple(simple("OK")), Value::Error(simple("ERR no")), Value::Number(3)];
        for cut in 0..=WHOLE.len() {
            let (first, rest) = WHOLE.split_at(cut);
            let (mut inbox, mut least, mut found) = (BytesMut::from(first), 0, Vec::new());
            while let Some(value) = next_value(&mut inbox, &mut least).unwrap() {
                found.push(value);
            }
            inbox.extend_from_slice(rest);
            while let Some(value) = next_value(&mut inbox, &mut least).unwrap() {
                found.push(value);
            }
            assert_eq!(found, all, "{cut}");
            assert!(inbox.is_empty());
        }
    }

    #[test]
    fn what_is_no_answer_is_an_error_and_nothing_worse() {
        for garbage in [
            &b"HTTP/1.1 400"[..],
            b"\r\n",
            b"+OK\n",
            b":x\r\n",
            b"$x\r\n",
            b"$2\r\nabcd",
            b"*1\r\nxabc",
            b"$9223372036854775807\r\n",
            b"*9223372036854775807\r\n",
            &b"*1\r\n".repeat(REDIS_DEPTH_MAX + 1),
        ] {
            let found = next_value(&mut BytesMut::from(garbage), &mut 0);
            assert!(
                matches!(found, Err(Unread::Garbled(_) | Unread::TooLong)),
                "{}: {found:?}",
                garbage.escape_ascii()
            );
        }
        for long in ["$999999999\r\n", "*999999999\r\n"] {
            let found = next_value(&mut BytesMut::from(long), &mut 0);
            assert_eq!(found, Err(Unread::TooLong), "{long}");
        }
    }

    #[test]
    fn a_list_is_read_part_by_part() {
        let mut inbox = BytesMut::from(&b"*2\r\n*2\r\n$3\r\n1-0\r\n*9"[..]);
        assert_eq!(next_list(&mut inbox), Ok(Some(Some(2))));
        assert_eq!(first_text(&inbox), Some(Bytes::from_static(b"1-0")));
        assert_eq!(next_value(&mut inbox, &mut 0), Ok(None));
        for (bytes, found) in
            [("", None), ("*1", None), ("*-1\r\n", Some(None)), ("+a", Some(None))]
        {
            assert_eq!(next_list(&mut BytesMut::from(bytes)), Ok(found), "{bytes}");
        }
        for bytes in ["*x\r\n", "*1\n", "*11111111111111111111111111111"] {
            assert!(next_list(&mut BytesMut::from(bytes)).is_err(), "{bytes}");
        }
    }

    #[test]
    fn a_command_is_an_array_of_strings() {
        let mut out = Vec::new();
        put(&[b"GET", b"a b"], &mut out);
        assert_eq!(out, b"*2\r\n$3\r\nGET\r\n$3\r\na b\r\n");
    }
}
