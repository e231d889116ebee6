//! The decoder of a request's body, by length or in chunks: handed on without being held.
//!
//! Invariants: any split of the input gives the same bytes and the same error; nothing is buffered, a piece of the body is a range
//! of the caller's input. Never decides what is too long: the caller's limit does.

use std::ops::Range;

use crate::limits::BODY_OVERHEAD_BYTES_MAX;
use crate::wire::http::error::HttpError;
use crate::wire::http::fields;
use crate::wire::http::head::Framing;
use crate::wire::http::percent;

/// The decoder of one request's body, and where in the body it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodyDecoder {
    state: State,
    /// Bytes of the body that may still come.
    budget: u64,
    limit: u64,
    /// Bytes of chunk extensions and trailers so far.
    overhead_bytes: usize,
}

/// The result of one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// Bytes of the input that were consumed. The bytes behind a finished body are the next request's.
    pub consumed: usize,
    /// The next piece of the body, as a range of the input; may be empty.
    pub data: Range<usize>,
    /// The body is complete.
    pub done: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Data {
        left: u64,
        after: After,
    },
    Size {
        digits: u8,
        size: u64,
    },
    /// Blanks after the size: only an extension or nothing may follow.
    SizeBlank {
        size: u64,
    },
    Extension {
        size: u64,
    },
    SizeEnd {
        size: u64,
    },
    DataCr,
    DataLf,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerEnd,
    LastLf,
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    Done,
    Chunk,
}

impl BodyDecoder {
    /// A decoder for a body of at most `limit` bytes.
    ///
    /// # Errors
    /// If the head already announces more.
    pub const fn new(framing: Framing, limit: u64) -> Result<Self, HttpError> {
        let state = match framing {
            Framing::None | Framing::Length(0) => State::Done,
            Framing::Length(length) if length > limit => {
                return Err(HttpError::BodyTooLarge { limit });
            }
            Framing::Length(length) => State::Data { left: length, after: After::Done },
            Framing::Chunked => State::Size { digits: 0, size: 0 },
        };
        Ok(Self { state, budget: limit, limit, overhead_bytes: 0 })
    }

    /// Whether the body is complete.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Consumes the framing up to and including the next piece of data. Is called again with the rest of the input until `done`, or until
    /// everything is consumed.
    ///
    /// # Errors
    /// When the chunks are malformed or a limit is passed; nothing of the connection can be understood after that.
    pub fn decode(&mut self, input: &[u8]) -> Result<Decoded, HttpError> {
        let mut consumed = 0;
        while let Some(&byte) = input.get(consumed) {
            match self.state {
                State::Done => break,
                State::Data { left, after } => {
                    let start = consumed;
                    let available = input.len() - start;
                    let take = usize::try_from(left).map_or(available, |left| left.min(available));
                    let left = left - take as u64;
                    self.state = match (left, after) {
                        (0, After::Done) => State::Done,
                        (0, After::Chunk) => State::DataCr,
                        _ => State::Data { left, after },
                    };
                    let end = start + take;
                    return Ok(Decoded { consumed: end, data: start..end, done: self.is_done() });
                }
                _ => self.state = self.step(byte)?,
            }
            consumed += 1;
        }
        Ok(Decoded { consumed, data: consumed..consumed, done: self.is_done() })
    }

    /// Consumes one byte of framing.
    fn step(&mut self, byte: u8) -> Result<State, HttpError> {
        let next = match (self.state, byte) {
            (State::Size { digits, size }, _) => self.step_size(digits, size, byte)?,
            (State::SizeBlank { size } | State::Extension { size }, b'\r') => {
                // The grammar has no blanks behind a size but those before an extension.
                if matches!(self.state, State::SizeBlank { .. }) {
                    return Err(HttpError::BadChunkLine);
                }
                State::SizeEnd { size }
            }
            (State::SizeBlank { size }, b' ' | b'\t') => {
                self.overhead(State::SizeBlank { size })?
            }
            (State::SizeBlank { size }, b';') => self.overhead(State::Extension { size })?,
            (State::Extension { size }, b'\t' | b' '..=b'~' | 0x80..) => {
                self.overhead(State::Extension { size })?
            }
            (State::SizeEnd { size: 0 }, b'\n') => State::TrailerStart,
            (State::SizeEnd { size }, b'\n') => self.begin_chunk(size)?,
            (State::SizeBlank { .. } | State::Extension { .. } | State::SizeEnd { .. }, _) => {
                return Err(HttpError::BadChunkLine);
            }
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Size { digits: 0, size: 0 },
            (State::DataCr | State::DataLf, _) => return Err(HttpError::BadChunkEnd),
            (state, _) => self.step_trailer(state, byte)?,
        };
        Ok(next)
    }

    fn step_size(&mut self, digits: u8, size: u64, byte: u8) -> Result<State, HttpError> {
        match (byte, percent::hex(byte)) {
            // 16 digits are 64 bits; a seventeenth would overflow, even if it is a leading zero.
            (_, Some(digit)) if digits < 16 => {
                Ok(State::Size { digits: digits + 1, size: size << 4 | u64::from(digit) })
            }
            (b'\r', _) if digits > 0 => Ok(State::SizeEnd { size }),
            (b';', _) if digits > 0 => self.overhead(State::Extension { size }),
            (b' ' | b'\t', _) if digits > 0 => self.overhead(State::SizeBlank { size }),
            _ => Err(HttpError::BadChunkSize),
        }
    }

    fn begin_chunk(&mut self, size: u64) -> Result<State, HttpError> {
        self.budget =
            self.budget.checked_sub(size).ok_or(HttpError::BodyTooLarge { limit: self.limit })?;
        Ok(State::Data { left: size, after: After::Chunk })
    }

    /// Checks the syntax of a trailer and forgets it: no trailer means anything to this server.
    fn step_trailer(&mut self, state: State, byte: u8) -> Result<State, HttpError> {
        match (state, byte) {
            (State::TrailerStart, b'\r') => Ok(State::LastLf),
            (State::LastLf, b'\n') => Ok(State::Done),
            (State::TrailerName, b':') => self.overhead(State::TrailerValue),
            (State::TrailerStart | State::TrailerName, _) if fields::is_token_byte(byte) => {
                self.overhead(State::TrailerName)
            }
            (State::TrailerValue, b'\r') => Ok(State::TrailerEnd),
            (State::TrailerValue, b'\t' | b' '..=b'~' | 0x80..) => {
                self.overhead(State::TrailerValue)
            }
            (State::TrailerEnd, b'\n') => Ok(State::TrailerStart),
            _ => Err(HttpError::BadTrailer),
        }
    }

    fn overhead(&mut self, next: State) -> Result<State, HttpError> {
        self.overhead_bytes += 1;
        if self.overhead_bytes > BODY_OVERHEAD_BYTES_MAX {
            return Err(HttpError::BodyOverheadTooLarge);
        }
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::testing::splits;

    /// Feeds `parts` one after the other; the body, and what was not consumed of the part in which it ended.
    fn run(
        framing: Framing,
        limit: u64,
        parts: &[&[u8]],
    ) -> Result<(Vec<u8>, bool, usize), HttpError> {
        let mut decoder = BodyDecoder::new(framing, limit)?;
        let mut body = Vec::new();
        let mut used = 0;
        for part in parts {
            let mut rest = *part;
            while !rest.is_empty() && !decoder.is_done() {
                let decoded = decoder.decode(rest)?;
                assert!(decoded.consumed > 0, "stuck");
                body.extend_from_slice(&rest[decoded.data.clone()]);
                rest = &rest[decoded.consumed..];
                used += decoded.consumed;
            }
        }
        Ok((body, decoder.is_done(), used))
    }

    fn at_every_split(
        framing: Framing,
        limit: u64,
        input: &[u8],
    ) -> Result<(Vec<u8>, bool, usize), HttpError> {
        let whole = run(framing, limit, &[input]);
        splits(input, |parts| assert_eq!(run(framing, limit, parts), whole, "{parts:?}"));
        whole
    }

    #[test]
    fn length_delimits_exactly() {
        let (body, done, used) = at_every_split(Framing::Length(5), 10, b"helloGET /").unwrap();
        assert_eq!((body.as_slice(), done, used), (b"hello".as_slice(), true, 5));
        let (body, done, _) = at_every_split(Framing::Length(5), 10, b"hel").unwrap();
        assert_eq!((body.as_slice(), done), (b"hel".as_slice(), false));
        assert!(BodyDecoder::new(Framing::None, 0).unwrap().is_done());
        assert!(BodyDecoder::new(Framing::Length(0), 0).unwrap().is_done());
        assert_eq!(
            BodyDecoder::new(Framing::Length(11), 10),
            Err(HttpError::BodyTooLarge { limit: 10 })
        );
    }

    #[test]
    fn chunks_are_joined() {
        let input = b"5\r\nhello\r\n00A;a=\"b\";c\r\n, wonderfu\r\n7 \t;x\r\nl world\r\n0;last\r\nT: v\r\nU:\r\n\r\nNEXT";
        let (body, done, used) = at_every_split(Framing::Chunked, 100, input).unwrap();
        assert_eq!(body, b"hello, wonderful world");
        assert!(done);
        assert_eq!(used, input.len() - 4);
    }

    #[test]
    fn malformed_chunks_are_refused() {
        for (input, error) in [
            (&b"\r\n"[..], HttpError::BadChunkSize),
            (b"g\r\n", HttpError::BadChunkSize),
            (b"-1\r\n", HttpError::BadChunkSize),
            (b"0x5\r\nhello\r\n", HttpError::BadChunkSize),
            (b" 5\r\nhello\r\n", HttpError::BadChunkSize),
            (b"5\nhello", HttpError::BadChunkSize),
            (b"00000000000000001\r\n", HttpError::BadChunkSize),
            (b"5 \r\nhello", HttpError::BadChunkLine),
            (b"5 5\r\nhello", HttpError::BadChunkLine),
            (b"5;\x01\r\nhello", HttpError::BadChunkLine),
            (b"5;a\nhello", HttpError::BadChunkLine),
            (b"5\rhello", HttpError::BadChunkLine),
            (b"5\r\nhello5\r\n", HttpError::BadChunkEnd),
            (b"5\r\nhello\n5\r\n", HttpError::BadChunkEnd),
            (b"5\r\nhello\r5\r\n", HttpError::BadChunkEnd),
            (b"0\r\n folded\r\n\r\n", HttpError::BadTrailer),
            (b"0\r\nno colon\r\n\r\n", HttpError::BadTrailer),
            (b"0\r\na:\x00\r\n\r\n", HttpError::BadTrailer),
            (b"0\r\n\n", HttpError::BadTrailer),
            (b"0\r\n\rx", HttpError::BadTrailer),
            (b"ffffffffffffffff\r\n", HttpError::BodyTooLarge { limit: 100 }),
            (b"64\r\n", HttpError::BodyTooLarge { limit: 99 }),
        ] {
            let limit = if let HttpError::BodyTooLarge { limit } = error { limit } else { 100 };
            let found = at_every_split(Framing::Chunked, limit, input);
            assert_eq!(found, Err(error), "{:?}", String::from_utf8_lossy(input));
        }
    }

    #[test]
    fn chunks_add_up_to_the_limit() {
        let input = b"3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n";
        assert!(at_every_split(Framing::Chunked, 6, input).unwrap().1);
        assert_eq!(
            at_every_split(Framing::Chunked, 5, input),
            Err(HttpError::BodyTooLarge { limit: 5 })
        );
    }

    #[test]
    fn extensions_and_trailers_are_bounded_over_the_whole_body() {
        let extension = "x".repeat(BODY_OVERHEAD_BYTES_MAX / 2);
        let chunk = format!("1;{extension}\r\na\r\n");
        let twice = format!("{chunk}{chunk}0\r\n\r\n");
        assert_eq!(
            run(Framing::Chunked, 9, &[twice.as_bytes()]),
            Err(HttpError::BodyOverheadTooLarge)
        );
        let trailers = format!("0\r\n{}", "a: b\r\n".repeat(BODY_OVERHEAD_BYTES_MAX));
        assert_eq!(
            run(Framing::Chunked, 9, &[trailers.as_bytes()]),
            Err(HttpError::BodyOverheadTooLarge)
        );
    }
}
