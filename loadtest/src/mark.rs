//! The mark that the publisher puts into each payload and a subscriber finds again, whatever the subject wraps around it.
//!
//! It is a JSON member of fixed width whose value is `fw~` + topic (6 hex digits) + number (10) + time (16) + `~`, so that
//! finding it is one comparison where it stood last time, and reading it needs no JSON parser. Nothing in it is ever escaped: a
//! subject may send the payload as a string within its own JSON.
//! Invariant: what `write` wrote, `find` reads back. Never looks at anything else in a message.

use memchr::memmem::Finder;

const MEMBER: &[u8] = b"\"fw\":\"";
const NEEDLE: &[u8] = b"fw~";
const END: &[u8] = b"~";
const TOPIC_DIGITS: usize = 6;
const NUMBER_DIGITS: usize = 10;
const TIME_DIGITS: usize = 16;

/// How long a mark is.
pub(crate) const MARK_BYTES: usize =
    NEEDLE.len() + TOPIC_DIGITS + NUMBER_DIGITS + TIME_DIGITS + END.len();

/// How long the member is that holds one.
pub(crate) const MEMBER_BYTES: usize = MEMBER.len() + MARK_BYTES + 1;

/// Which event this is, and when it was meant to be published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) topic: u32,
    /// Counts the events of the topic: 1, 2, 3 …
    pub(crate) number: u64,
    /// The moment the schedule meant, not the moment the publisher got round to it.
    pub(crate) intended_ns: u64,
}

/// Finds marks; made once, for it prepares its search.
#[derive(Debug)]
pub(crate) struct Marks {
    finder: Finder<'static>,
}

impl Marks {
    pub(crate) fn new() -> Self {
        Self { finder: Finder::new(NEEDLE) }
    }

    /// The first whole mark at or after `from`, and where it begins. `hint` is tried first.
    pub(crate) fn find(&self, bytes: &[u8], from: usize, hint: usize) -> Option<(Mark, usize)> {
        if hint >= from
            && let Some(mark) = read(bytes, hint)
        {
            return Some((mark, hint));
        }
        let mut from = from;
        while let Some(found) = self.finder.find(bytes.get(from..)?) {
            let at = from + found;
            if let Some(mark) = read(bytes, at) {
                return Some((mark, at));
            }
            from = at + NEEDLE.len();
        }
        None
    }
}

/// How many bytes at the end of `bytes`, in which no whole mark begins after the last one found, may be the beginning of
/// a mark whose rest is still to come.
pub(crate) fn cut_bytes(bytes: &[u8]) -> usize {
    let last = bytes.len().saturating_sub(MARK_BYTES - 1);
    for at in last..bytes.len() {
        let Some(rest) = bytes.get(at..) else { break };
        let known = rest.len().min(NEEDLE.len());
        if rest.get(..known) == NEEDLE.get(..known) {
            return rest.len();
        }
    }
    0
}

/// Appends the member, without a comma on either side.
pub(crate) fn write(out: &mut Vec<u8>, mark: Mark) {
    out.extend_from_slice(MEMBER);
    out.extend_from_slice(NEEDLE);
    hex(out, u64::from(mark.topic), TOPIC_DIGITS);
    hex(out, mark.number, NUMBER_DIGITS);
    hex(out, mark.intended_ns, TIME_DIGITS);
    out.extend_from_slice(END);
    out.push(b'"');
}

fn hex(out: &mut Vec<u8>, value: u64, digits: usize) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for place in (0..digits).rev() {
        let digit = (value >> (4 * place)) & 15;
        out.push(HEX[usize::from(u8::try_from(digit).unwrap_or(0))]);
    }
}

fn read(bytes: &[u8], at: usize) -> Option<Mark> {
    let mark = bytes.get(at..at.checked_add(MARK_BYTES)?)?;
    let digits = mark.strip_prefix(NEEDLE)?.strip_suffix(END)?;
    let (topic, rest) = digits.split_at_checked(TOPIC_DIGITS)?;
    let (number, time) = rest.split_at_checked(NUMBER_DIGITS)?;
    Some(Mark {
        topic: u32::try_from(unhex(topic)?).ok()?,
        number: unhex(number)?,
        intended_ns: unhex(time)?,
    })
}

fn unhex(digits: &[u8]) -> Option<u64> {
    let mut value = 0;
    for &digit in digits {
        let nibble = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        value = value << 4 | u64::from(nibble);
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(number: u64) -> Mark {
        Mark { topic: 0xabcd, number, intended_ns: 0x0123_4567_89ab_cdef }
    }

    fn text(number: u64) -> Vec<u8> {
        let mut out = b"{\"a\":1,".to_vec();
        write(&mut out, mark(number));
        out.extend_from_slice(b",\"b\":2}");
        out
    }

    #[test]
    fn what_was_written_is_found_with_and_without_the_right_hint() {
        let bytes = text(7);
        let marks = Marks::new();
        for hint in [0, 7, 13, 14, 9999] {
            assert_eq!(marks.find(&bytes, 0, hint), Some((mark(7), 13)), "hint {hint}");
        }
    }

    #[test]
    fn a_mark_in_a_payload_that_was_made_a_string_is_found() {
        let plain = String::from_utf8(text(5)).unwrap();
        let quoted = serde_json::to_string(&plain).unwrap();
        assert!(quoted.contains("\\\"fw\\\""));
        let found = Marks::new().find(quoted.as_bytes(), 0, 0);
        assert_eq!(found.map(|it| it.0), Some(mark(5)));
    }

    #[test]
    fn the_member_is_as_long_as_it_says() {
        let mut out = Vec::new();
        write(&mut out, mark(1));
        assert_eq!(out.len(), MEMBER_BYTES);
    }

    #[test]
    fn several_marks_are_found_in_turn() {
        let mut bytes = text(1);
        bytes.extend_from_slice(&text(2));
        let marks = Marks::new();
        let (first, at) = marks.find(&bytes, 0, 0).unwrap();
        let (second, next) = marks.find(&bytes, at + MARK_BYTES, 0).unwrap();
        assert_eq!((first.number, second.number), (1, 2));
        assert_eq!(marks.find(&bytes, next + MARK_BYTES, 0), None);
    }

    #[test]
    fn a_broken_mark_is_passed_over() {
        let mut bytes = b"\"fw~nothing of ours, but long enough to be one~\"".to_vec();
        bytes.extend_from_slice(&text(3));
        assert_eq!(Marks::new().find(&bytes, 0, 0).map(|it| it.0.number), Some(3));
    }

    #[test]
    fn a_cut_mark_is_found_once_its_rest_has_come() {
        let bytes = text(9);
        let marks = Marks::new();
        for cut in 0..=bytes.len() {
            let (head, tail) = bytes.split_at(cut);
            if marks.find(head, 0, 0).is_some() {
                continue;
            }
            let kept = cut_bytes(head);
            assert!(kept < MARK_BYTES);
            let mut joined = head[head.len() - kept..].to_vec();
            joined.extend_from_slice(tail);
            assert_eq!(marks.find(&joined, 0, 0).map(|it| it.0), Some(mark(9)), "cut at {cut}");
        }
    }
}
