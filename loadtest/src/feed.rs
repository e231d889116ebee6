//! What is published: padding of a given size, or the lines of a telemetry file, each with its mark in front.
//!
//! Invariant: every payload is a JSON object with exactly one mark. A file is read once, before anything is measured.

use crate::limits::FEED_LINE_BYTES_MAX;
use crate::limits::FEED_LINES_MAX;
use crate::mark;
use crate::mark::MEMBER_BYTES;
use crate::mark::Mark;

use std::fmt;
use std::fs::File;
use std::io;
use std::io::BufRead as _;
use std::io::BufReader;
use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;

/// Where payloads come from.
#[derive(Debug)]
pub(crate) struct Feed {
    /// What follows the mark, closing brace included.
    tails: Vec<Vec<u8>>,
    at: usize,
}

/// Why a telemetry file is no feed.
#[derive(Debug)]
pub(crate) enum FeedError {
    Unreadable(io::Error),
    LineTooLong { line: usize },
    NotAnObject { line: usize },
    Empty,
}

impl fmt::Display for FeedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => write!(f, "telemetry cannot be read: {error}"),
            Self::LineTooLong { line } => write!(f, "line {line} of the telemetry is too long"),
            Self::NotAnObject { line } => {
                write!(f, "line {line} of the telemetry is not a JSON object with members")
            }
            Self::Empty => write!(f, "the telemetry has no lines"),
        }
    }
}

impl std::error::Error for FeedError {}

impl Feed {
    /// Payloads of `bytes` bytes, or of the shortest length a mark fits in.
    pub(crate) fn padding(bytes: usize) -> Self {
        const AROUND: &[u8] = b"{,\"pad\":\"\"}";
        let pad = bytes.saturating_sub(MEMBER_BYTES + AROUND.len());
        let mut tail = b",\"pad\":\"".to_vec();
        // Something that is neither one letter, which deflates to nothing, nor noise, which no telemetry is.
        tail.extend((0..pad).map(|at| b"altitude-38000-track-270-speed-451-"[at % 35]));
        tail.extend_from_slice(b"\"}");
        Self { tails: vec![tail], at: 0 }
    }

    /// The lines of an NDJSON file, gzipped if its name says so.
    pub(crate) fn file(path: &Path) -> Result<Self, FeedError> {
        let file = File::open(path).map_err(FeedError::Unreadable)?;
        if path.extension().is_some_and(|it| it == "gz") {
            Self::lines(GzDecoder::new(file))
        } else {
            Self::lines(file)
        }
    }

    fn lines(from: impl Read) -> Result<Self, FeedError> {
        let mut tails = Vec::new();
        for (at, line) in BufReader::new(from).split(b'\n').take(FEED_LINES_MAX).enumerate() {
            let line = line.map_err(FeedError::Unreadable)?;
            if line.is_empty() {
                continue;
            }
            if line.len() > FEED_LINE_BYTES_MAX {
                return Err(FeedError::LineTooLong { line: at + 1 });
            }
            let Some(members) = line.strip_prefix(b"{").filter(|it| it.starts_with(b"\"")) else {
                return Err(FeedError::NotAnObject { line: at + 1 });
            };
            tails.push([b",", members].concat());
        }
        if tails.is_empty() { Err(FeedError::Empty) } else { Ok(Self { tails, at: 0 }) }
    }

    /// Appends the next payload.
    pub(crate) fn next(&mut self, mark: Mark, out: &mut Vec<u8>) {
        out.push(b'{');
        mark::write(out, mark);
        if let Some(tail) = self.tails.get(self.at) {
            out.extend_from_slice(tail);
        }
        self.at = (self.at + 1) % self.tails.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: Mark = Mark { topic: 1, number: 2, intended_ns: 3 };

    #[test]
    fn padding_has_the_size_asked_for_and_is_json() {
        for bytes in [0, 60, 150, 1000] {
            let mut out = Vec::new();
            Feed::padding(bytes).next(MARK, &mut out);
            assert_eq!(out.len(), bytes.max(54));
            assert!(serde_json::from_slice::<serde_json::Value>(&out).is_ok());
        }
    }

    #[test]
    fn lines_take_turns_and_keep_their_members() {
        let mut feed = Feed::lines(&b"{\"a\":1}\n\n{\"b\":2}\n"[..]).unwrap();
        for name in ["a", "b", "a"] {
            let mut out = Vec::new();
            feed.next(MARK, &mut out);
            let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
            assert!(value.get(name).is_some() && value.get("fw").is_some());
        }
    }

    #[test]
    fn what_is_no_object_is_refused_with_its_line() {
        assert!(matches!(
            Feed::lines(&b"{\"a\":1}\n[]\n"[..]),
            Err(FeedError::NotAnObject { line: 2 })
        ));
        assert!(matches!(Feed::lines(&b"{}"[..]), Err(FeedError::NotAnObject { line: 1 })));
        assert!(matches!(Feed::lines(&b"\n"[..]), Err(FeedError::Empty)));
    }
}
