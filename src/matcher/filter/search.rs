//! Whether a text fits a pattern with wildcards, in time that grows with the text and not with the product of both.
//!
//! Runs (`%`) cut a pattern into parts. The first part stands at the text's beginning, the last at its end, and those between are
//! looked for one behind the other: the leftmost place is as good as any, since what comes after only needs room. A part of plain
//! text is found by substring search; one with single characters (`_`) by the *shift-and* algorithm, which keeps one bit for
//! each character of the part that may just have been reached. Invariant: each byte of the text is read once by each of these, at
//! no more than `PATTERN_CHARS_MAX / 64` words a character. Never allocates to match.

use memchr::memmem;

use crate::limits::PATTERN_CHARS_MAX;
use crate::matcher::filter::Piece;
use crate::matcher::filter::work::Work;

/// Words of a set of places in a part.
const WORDS: usize = PATTERN_CHARS_MAX.div_ceil(u64::BITS as usize);
/// Bytes of a text that substring search reads in one step.
const FIND_BYTES_PER_STEP: usize = 4;

type Places = [u64; WORDS];

/// Of a part with single characters: where each character may stand.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Masks {
    /// Words that are in use.
    words: usize,
    /// The place of the part's last character.
    last: usize,
    /// Where any character may stand: also the places of characters that the part does not name.
    any: Places,
    /// Sorted by character.
    named: Box<[(char, Places)]>,
}

impl Masks {
    fn new(part: &[Piece]) -> Self {
        let mut any = Places::default();
        let mut named: Vec<(char, Places)> = Vec::new();
        let mut place = 0;
        for piece in part {
            let Piece::Text(text) = piece else {
                set(&mut any, place);
                place += 1;
                continue;
            };
            for c in text.chars() {
                match named.binary_search_by_key(&c, |(c, _)| *c) {
                    Ok(at) => set(&mut named[at].1, place),
                    Err(at) => {
                        let mut places = Places::default();
                        set(&mut places, place);
                        named.insert(at, (c, places));
                    }
                }
                place += 1;
            }
        }
        for (_, places) in &mut named {
            places.iter_mut().zip(any).for_each(|(places, any)| *places |= any);
        }
        let last = place.saturating_sub(1);
        Self { words: last / 64 + 1, last, any, named: named.into_boxed_slice() }
    }

    fn of(&self, c: char) -> &Places {
        match self.named.binary_search_by_key(&c, |(c, _)| *c) {
            Ok(at) => &self.named[at].1,
            Err(_) => &self.any,
        }
    }

    /// The byte behind the leftmost place in `text` where the part fits.
    fn find_end(&self, text: &str) -> Option<usize> {
        let mut reached = Places::default();
        for (at, c) in text.char_indices() {
            let may = self.of(c);
            let mut carried = 1;
            for (word, may) in reached.iter_mut().zip(may).take(self.words) {
                let next = (*word << 1) | carried;
                carried = *word >> 63;
                *word = next & may;
            }
            if reached[self.last / 64] >> (self.last % 64) & 1 == 1 {
                return Some(at + c.len_utf8());
            }
        }
        None
    }
}

const fn set(places: &mut Places, place: usize) {
    places[place / 64] |= 1 << (place % 64);
}

fn parts(pieces: &[Piece]) -> impl Iterator<Item = &[Piece]> {
    pieces.split(|piece| *piece == Piece::AnyRun)
}

/// The parts with a run on either side.
fn inner_parts(pieces: &[Piece]) -> impl Iterator<Item = &[Piece]> {
    let count = parts(pieces).count();
    parts(pieces).take(count - 1).skip(1)
}

/// What the parts that are looked for need, in their order; those of plain text need nothing.
pub(super) fn masks(pieces: &[Piece]) -> Box<[Masks]> {
    let with_ones = inner_parts(pieces).filter(|part| part.contains(&Piece::AnyOne));
    with_ones.map(Masks::new).collect()
}

/// Steps that it takes for a text of so many bytes, at most.
pub(super) fn steps(pieces: &[Piece], masks: &[Masks], text_bytes: usize) -> u64 {
    // What one part has read the next does not read again, so the dearest may have read all of it.
    let words = masks.iter().map(|masks| masks.words).max().unwrap_or_default();
    let searched = if words > 0 {
        text_bytes * words
    } else if inner_parts(pieces).next().is_some() {
        text_bytes / FIND_BYTES_PER_STEP
    } else {
        0
    };
    (pieces.len() + searched) as u64
}

/// Whether the pattern fits the whole of `text`.
pub(super) fn fits(pieces: &[Piece], masks: &[Masks], text: &str, work: &Work) -> bool {
    work.take(pieces.len());
    let mut parts = parts(pieces);
    let Some(first) = parts.next() else { return text.is_empty() };
    let Some(mut rest) = without_start(text, first) else { return false };
    let Some(mut part) = parts.next() else { return rest.is_empty() };
    let mut masks = masks.iter();
    for next in parts {
        let end = if part.contains(&Piece::AnyOne) {
            let masks = masks.next().expect("each part with single characters has its masks");
            let end = masks.find_end(rest);
            work.take(end.unwrap_or(rest.len()) * masks.words);
            end
        } else {
            let end = find_end(rest, part);
            work.take(end.unwrap_or(rest.len()) / FIND_BYTES_PER_STEP);
            end
        };
        let Some(after) = end.and_then(|end| rest.get(end..)) else { return false };
        rest = after;
        part = next;
    }
    has_end(rest, part)
}

/// The byte behind the leftmost place where a part of plain text stands.
fn find_end(text: &str, part: &[Piece]) -> Option<usize> {
    let [Piece::Text(wanted)] = part else { return Some(0) };
    let start = memmem::find(text.as_bytes(), wanted.as_bytes())?;
    Some(start + wanted.len())
}

fn without_start<'a>(text: &'a str, part: &[Piece]) -> Option<&'a str> {
    part.iter().try_fold(text, |rest, piece| match piece {
        Piece::Text(wanted) => rest.strip_prefix(&**wanted),
        Piece::AnyOne => {
            let mut chars = rest.chars();
            chars.next().map(|_| chars.as_str())
        }
        Piece::AnyRun => unreachable!("runs stand between parts"),
    })
}

fn has_end(text: &str, part: &[Piece]) -> bool {
    let rest = part.iter().rev().try_fold(text, |rest, piece| match piece {
        Piece::Text(wanted) => rest.strip_suffix(&**wanted),
        Piece::AnyOne => {
            let mut chars = rest.chars();
            chars.next_back().map(|_| chars.as_str())
        }
        Piece::AnyRun => unreachable!("runs stand between parts"),
    });
    rest.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matcher::filter::Style;
    use crate::matcher::filter::Wildcard;

    fn steps_taken(pattern: &str, text: &str) -> (bool, u64) {
        let pattern = Wildcard::parse(pattern, Style::Sql, false).unwrap();
        let work = Work::default();
        let fits = pattern.fits(text, &work);
        assert!(work.steps() <= pattern.steps(text.len()), "known beforehand");
        (fits, work.steps())
    }

    #[test]
    fn a_text_is_read_once_whatever_the_pattern() {
        let text = "a".repeat(100_000);
        for (pattern, words) in [
            ("%_b_%".to_owned(), 1),
            (format!("%{}b%", "_a".repeat(60)), 2),
            (format!("%a_{}b_%", "a_".repeat(120)), 4),
        ] {
            let (fits, steps) = steps_taken(&pattern, &text);
            assert!(!fits && steps <= words * 100_000 + 300, "{pattern}: {steps} steps");
        }
        let (fits, steps) = steps_taken(&"%aaab".repeat(50), &text);
        assert!(!fits && steps <= 100_000, "{steps} steps");
        let (fits, steps) = steps_taken(&format!("{}%", "a%".repeat(100)), &text);
        assert!(fits && steps <= 1_000, "{steps} steps: each part is found at once");
    }

    #[test]
    fn parts_may_be_longer_than_a_word() {
        for length in [63, 64, 65, 127, 128, 129, 200] {
            let part: String = (0..length).map(|n| if n % 7 == 3 { '_' } else { 'é' }).collect();
            let text = format!("xé{}y", "é".repeat(length));
            assert!(steps_taken(&format!("x%{part}%y"), &text).0, "{length}");
            let broken = text.replacen(&"é".repeat(length), &"é".repeat(length - 2), 1);
            assert!(!steps_taken(&format!("x%{part}%y"), &broken).0, "{length}");
        }
    }
}
