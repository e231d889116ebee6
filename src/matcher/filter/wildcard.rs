//! Text patterns in which a run of characters, or one character, may be anything.
//!
//! Globs (`SWR*`), SQL patterns (`SWR%`), prefix, suffix and contains are one and the same: a list of pieces. Invariants: no two
//! texts or runs stand next to each other, a single character stands before a run, so equal patterns have equal pieces. A
//! folded pattern compares without regard to case: its texts are folded, and so is what it is compared with.

use crate::limits::PATTERN_CHARS_MAX;
use crate::matcher::filter::fold::folded;
use crate::matcher::filter::search;
use crate::matcher::filter::search::Masks;
use crate::matcher::filter::work::Work;

/// One piece of a pattern.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Piece {
    Text(Box<str>),
    /// Exactly one character.
    AnyOne,
    /// Any number of characters, none included.
    AnyRun,
}

/// A pattern for a whole text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wildcard {
    pieces: Box<[Piece]>,
    fold: bool,
    /// What looking for parts with single characters in them needs, in their order. Follows from the pieces.
    masks: Box<[Masks]>,
}

/// Which characters are wild in a written pattern. A backslash before any character takes its meaning away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `*` and `?`.
    Glob,
    /// `%` and `_`.
    Sql,
}

/// The pattern has more than `PATTERN_CHARS_MAX` characters; if it is folded, when it has been.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PatternTooLong;

impl Wildcard {
    /// Reads a written pattern.
    ///
    /// # Errors
    /// If it is too long.
    pub fn parse(text: &str, style: Style, fold: bool) -> Result<Self, PatternTooLong> {
        let (run, one) = match style {
            Style::Glob => ('*', '?'),
            Style::Sql => ('%', '_'),
        };
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            let wild = if c == run { Piece::AnyRun } else { Piece::AnyOne };
            if c == run || c == one {
                pieces.push(Piece::Text(Box::from(std::mem::take(&mut literal))));
                pieces.push(wild);
            } else if c == '\\' {
                literal.push(chars.next().unwrap_or('\\'));
            } else {
                literal.push(c);
            }
        }
        pieces.push(Piece::Text(Box::from(literal)));
        Self::new(pieces, fold)
    }

    /// Makes a pattern of pieces.
    ///
    /// # Errors
    /// If it is too long.
    pub fn new(pieces: Vec<Piece>, fold: bool) -> Result<Self, PatternTooLong> {
        let mut kept: Vec<Piece> = Vec::with_capacity(pieces.len());
        for piece in pieces {
            match (kept.last_mut(), piece) {
                (_, Piece::Text(text)) if text.is_empty() => continue,
                (Some(Piece::Text(before)), Piece::Text(text)) => {
                    *before = Box::from([&**before, &*text].concat());
                }
                (Some(Piece::AnyRun), Piece::AnyRun) => {}
                (Some(Piece::AnyRun), Piece::AnyOne) => {
                    kept.pop();
                    kept.extend([Piece::AnyOne, Piece::AnyRun]);
                }
                (_, piece) => kept.push(piece),
            }
        }
        let mut chars = 0;
        for piece in &mut kept {
            if let Piece::Text(text) = piece
                && fold
            {
                *text = folded(text).collect();
            }
            chars += if let Piece::Text(text) = &piece { text.chars().count() } else { 1 };
        }
        if chars > PATTERN_CHARS_MAX {
            return Err(PatternTooLong);
        }
        let masks = search::masks(&kept);
        Ok(Self { pieces: kept.into_boxed_slice(), fold, masks })
    }

    /// A text that begins with `text`.
    ///
    /// # Errors
    /// If it is too long.
    pub fn prefix(text: &str) -> Result<Self, PatternTooLong> {
        Self::new(vec![Piece::Text(Box::from(text)), Piece::AnyRun], false)
    }

    /// A text that ends with `text`.
    ///
    /// # Errors
    /// If it is too long.
    pub fn suffix(text: &str) -> Result<Self, PatternTooLong> {
        Self::new(vec![Piece::AnyRun, Piece::Text(Box::from(text))], false)
    }

    /// A text in which `text` stands somewhere.
    ///
    /// # Errors
    /// If it is too long.
    pub fn contains(text: &str, fold: bool) -> Result<Self, PatternTooLong> {
        Self::new(vec![Piece::AnyRun, Piece::Text(Box::from(text)), Piece::AnyRun], fold)
    }

    /// The pieces, in order.
    #[must_use]
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// Whether case is disregarded.
    #[must_use]
    pub const fn is_folded(&self) -> bool {
        self.fold
    }

    /// The one text that it matches, if it has nothing wild and minds case.
    #[must_use]
    pub fn literal(&self) -> Option<&str> {
        match &*self.pieces {
            [] if !self.fold => Some(""),
            [Piece::Text(text)] if !self.fold => Some(text),
            _ => None,
        }
    }

    /// The pattern as it is written in SQL's style.
    #[must_use]
    pub fn to_sql(&self) -> String {
        let mut out = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::AnyOne => out.push('_'),
                Piece::AnyRun => out.push('%'),
                Piece::Text(text) => {
                    for c in text.chars() {
                        if matches!(c, '%' | '_' | '\\') {
                            out.push('\\');
                        }
                        out.push(c);
                    }
                }
            }
        }
        out
    }

    /// Whether the pattern matches the whole of `text`.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let work = Work::default();
        if self.fold {
            work.folded(0, text, |text| self.fits(text, &work))
        } else {
            self.fits(text, &work)
        }
    }

    /// Whether the pattern matches the whole of `text`, which has been folded if the pattern is.
    pub(in crate::matcher) fn fits(&self, text: &str, work: &Work) -> bool {
        search::fits(&self.pieces, &self.masks, text, work)
    }

    /// Whether the pattern matches the whole of `text` with its capitals made small.
    pub(in crate::matcher) fn fits_lowered(&self, text: &str, work: &Work) -> bool {
        work.take(text.len());
        let small: String = text.chars().flat_map(char::to_lowercase).collect();
        self.fits(&small, work)
    }

    /// Steps that it takes for a text of so many bytes, at most.
    #[must_use]
    pub fn steps(&self, text_bytes: usize) -> u64 {
        search::steps(&self.pieces, &self.masks, text_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glob(text: &str) -> Wildcard {
        Wildcard::parse(text, Style::Glob, false).unwrap()
    }

    /// The definition, by recursion over characters.
    fn defined(pattern: &[char], text: &[char]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            (['*', rest @ ..], _) => {
                defined(rest, text) || (!text.is_empty() && defined(pattern, &text[1..]))
            }
            (['?', rest @ ..], [_, after @ ..]) => defined(rest, after),
            ([c, rest @ ..], [d, after @ ..]) if c == d => defined(rest, after),
            _ => false,
        }
    }

    #[test]
    fn it_matches_what_the_definition_says() {
        let seed = 0x5eed_0004_u64;
        let mut random = fastrand::Rng::with_seed(seed);
        let mut matched = 0;
        for _ in 0..50_000 {
            let pattern: Vec<char> = (0..random.usize(..10))
                .map(|_| ['a', 'b', '*', '?', 'é', '*', '?'][random.usize(..7)])
                .collect();
            let text: Vec<char> =
                (0..random.usize(..8)).map(|_| ['a', 'b', 'é'][random.usize(..3)]).collect();
            let expected = defined(&pattern, &text);
            let (pattern, text): (String, String) =
                (pattern.iter().collect(), text.iter().collect());
            assert_eq!(glob(&pattern).matches(&text), expected, "seed {seed:#x} {pattern} {text}");
            matched += usize::from(expected);
        }
        assert!(matched > 1000, "{matched}");
    }

    #[test]
    fn equal_patterns_are_one_however_written() {
        let sql = |text| Wildcard::parse(text, Style::Sql, false).unwrap();
        assert_eq!(glob("SWR*"), sql("SWR%"));
        assert_eq!(glob("SWR*"), Wildcard::prefix("SWR").unwrap());
        assert_eq!(glob("a**b"), glob("a*b"));
        assert_eq!(glob("a*?b"), glob("a?*b"));
        assert_eq!(glob("a*?*?b"), glob("a??*b"));
        assert_eq!(glob("*x*"), Wildcard::contains("x", false).unwrap());
        assert_eq!(glob("a\\*b").literal(), Some("a*b"));
        assert_eq!(sql(&glob("50%\\_\\*").to_sql()), glob("50%\\_\\*"));
        assert_eq!(
            Wildcard::parse("ABC*", Style::Glob, true),
            Wildcard::parse("abc*", Style::Glob, true)
        );
    }

    #[test]
    fn folding_disregards_case() {
        assert!(Wildcard::contains("ÄPFEL", true).unwrap().matches("grüne Äpfel!"));
        assert!(Wildcard::parse("straSSe_", Style::Sql, true).unwrap().matches("STRASSE1"));
        assert!(!glob("abc").matches("ABC"));
        assert!(glob("*push*").fits_lowered("A PUSH", &Work::default()));
    }

    #[test]
    fn a_pattern_has_a_limit() {
        assert_eq!(Wildcard::prefix(&"x".repeat(PATTERN_CHARS_MAX + 1)), Err(PatternTooLong));
        assert!(Wildcard::prefix(&"x".repeat(PATTERN_CHARS_MAX - 1)).is_ok());
    }
}
