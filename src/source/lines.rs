//! A stream of bytes in lines, with the place of each.
//!
//! Invariants: a line is handed out once, without the end of line (LF, or CR and LF); one that is longer than a message may be is passed over and said so once; no more than one line and one piece of what was read are held.

use crate::limits::SOURCE_MESSAGE_BYTES_MAX;

/// A line of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// Where it begins, counted in bytes from the stream's beginning, and what it is.
    Whole { at: u64, bytes: &'a [u8] },
    /// It was longer than it may be.
    TooLong { at: u64 },
}

/// What of a stream was read and not handed out.
#[derive(Debug, Default)]
pub(super) struct Lines {
    held: Vec<u8>,
    /// Bytes of it that were handed out.
    done: usize,
    /// Bytes of it in which no end of line was found, behind those.
    searched: usize,
    /// Where the first held byte lies in the stream.
    at: u64,
    /// The beginning of a line that is passed over.
    too_long: Option<u64>,
}

impl Lines {
    /// Of a stream of which so many bytes lie before what is read.
    pub(super) fn from(at: u64) -> Self {
        Self { at, ..Self::default() }
    }

    /// Where the next line begins: everything before it was handed out.
    pub(super) const fn at(&self) -> u64 {
        match self.too_long {
            Some(at) => at,
            None => self.at + self.done as u64,
        }
    }

    /// Puts bytes behind the others. To be called only when `next` has nothing.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.at += self.done as u64;
        self.held.drain(..self.done);
        self.done = 0;
        self.held.extend_from_slice(bytes);
    }

    /// The next whole line; `None`: there is none yet.
    pub(super) fn next(&mut self) -> Option<Line<'_>> {
        let rest = self.held.get(self.done + self.searched..).unwrap_or_default();
        let Some(place) = memchr::memchr(b'\n', rest) else {
            self.searched = self.held.len() - self.done;
            if self.searched > SOURCE_MESSAGE_BYTES_MAX {
                self.pass_over();
            }
            return None;
        };
        let (begin, end) = (self.done, self.done + self.searched + place);
        let at = self.at + begin as u64;
        self.done = end + 1;
        self.searched = 0;
        if let Some(at) = self.too_long.take() {
            return Some(Line::TooLong { at });
        }
        let bytes = self.held.get(begin..end).unwrap_or_default();
        if bytes.len() > SOURCE_MESSAGE_BYTES_MAX {
            return Some(Line::TooLong { at });
        }
        Some(Line::Whole { at, bytes: bytes.strip_suffix(b"\r").unwrap_or(bytes) })
    }

    /// What stands behind the last end of line, when the stream has ended.
    pub(super) fn end(&mut self) -> Option<Line<'_>> {
        let begin = self.done;
        let at = self.at + begin as u64;
        self.done = self.held.len();
        self.searched = 0;
        if let Some(at) = self.too_long.take() {
            return Some(Line::TooLong { at });
        }
        let bytes = self.held.get(begin..).unwrap_or_default();
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        (!bytes.is_empty()).then_some(Line::Whole { at, bytes })
    }

    /// Lets go of a line that is longer than it may be, and of what follows of it.
    fn pass_over(&mut self) {
        let begin = self.at + self.done as u64;
        self.too_long.get_or_insert(begin);
        self.at += self.held.len() as u64;
        self.held = Vec::new();
        (self.done, self.searched) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(line: Option<Line<'_>>) -> Option<(u64, String)> {
        match line? {
            Line::Whole { at, bytes } => Some((at, String::from_utf8(bytes.to_vec()).unwrap())),
            Line::TooLong { at } => Some((at, "(too long)".to_owned())),
        }
    }

    #[test]
    fn lines_come_with_their_places_however_they_are_cut() {
        let text = b"one\r\n\ntwo\nthree";
        for step in 1..=text.len() {
            let mut lines = Lines::from(100);
            let mut all = Vec::new();
            for piece in text.chunks(step) {
                lines.feed(piece);
                while let Some(line) = said(lines.next()) {
                    all.push(line);
                }
            }
            assert_eq!(lines.at(), 110);
            all.extend(said(lines.end()));
            let wanted = [(100, "one"), (105, ""), (106, "two"), (110, "three")];
            let wanted: Vec<_> = wanted.map(|(at, text)| (at, text.to_owned())).into();
            assert_eq!(all, wanted, "{step}");
            assert_eq!((lines.at(), said(lines.end())), (115, None));
        }
    }

    #[test]
    fn a_line_without_end_is_passed_over_and_holds_nothing() {
        let mut lines = Lines::from(0);
        lines.feed(b"a\n");
        assert_eq!(said(lines.next()), Some((0, "a".to_owned())));
        let piece = vec![b'x'; 1024 * 1024];
        for _ in 0..3 * SOURCE_MESSAGE_BYTES_MAX / piece.len() {
            lines.feed(&piece);
            assert_eq!(said(lines.next()), None);
            assert!(lines.held.len() <= SOURCE_MESSAGE_BYTES_MAX + piece.len());
            assert_eq!(lines.at(), 2, "it is asked for again from its beginning");
        }
        lines.feed(b"x\nb\n");
        assert_eq!(said(lines.next()), Some((2, "(too long)".to_owned())));
        let at = 2 + 3 * SOURCE_MESSAGE_BYTES_MAX as u64 + 2;
        assert_eq!(said(lines.next()), Some((at, "b".to_owned())));
    }
}
