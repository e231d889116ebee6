//! Text patterns in which a run of characters, or one character, may be anything.
//!
//! Globs (`SWR*`), SQL patterns (`SWR%`), prefix, suffix and contains are one and the same: a list of pieces. Invariants: no two
//! texts or runs stand next to each other, a single character stands before a run, so equal patterns have equal pieces. A
//! folded pattern compares without regard to case, character by character as Unicode lower-cases them. Never allocates to match.

use crate::limits::PATTERN_CHARS_MAX;

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
}

/// Which characters are wild in a written pattern. A backslash before any character takes its meaning away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `*` and `?`.
    Glob,
    /// `%` and `_`.
    Sql,
}

/// The pattern has more than `PATTERN_CHARS_MAX` characters.
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
        let mut chars = 0;
        for piece in pieces {
            match (kept.last_mut(), piece) {
                (_, Piece::Text(text)) if text.is_empty() => continue,
                (Some(Piece::Text(before)), Piece::Text(text)) => {
                    chars += text.chars().count();
                    *before = Box::from([&**before, &*text].concat());
                }
                (Some(Piece::AnyRun), Piece::AnyRun) => {}
                (Some(Piece::AnyRun), Piece::AnyOne) => {
                    kept.pop();
                    kept.extend([Piece::AnyOne, Piece::AnyRun]);
                    chars += 1;
                }
                (_, piece) => {
                    chars += if let Piece::Text(text) = &piece { text.chars().count() } else { 1 };
                    kept.push(piece);
                }
            }
        }
        if chars > PATTERN_CHARS_MAX {
            return Err(PatternTooLong);
        }
        if fold {
            for piece in &mut kept {
                if let Piece::Text(text) = piece {
                    *text = folded(text).collect();
                }
            }
        }
        Ok(Self { pieces: kept.into_boxed_slice(), fold })
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

    /// As it is written in SQL's style.
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

    /// Whether it matches the whole of `text`.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        match &*self.pieces {
            [Piece::Text(start), Piece::AnyRun] if !self.fold => text.starts_with(&**start),
            [Piece::AnyRun, Piece::Text(end)] if !self.fold => text.ends_with(&**end),
            [Piece::AnyRun, Piece::Text(part), Piece::AnyRun] if !self.fold => {
                text.contains(&**part)
            }
            pieces if self.fold => matches_chars(pieces, folded(text)),
            pieces => matches_chars(pieces, text.chars()),
        }
    }

    /// Whether it matches the whole of `text` with its capitals made small.
    #[must_use]
    pub fn matches_lowered(&self, text: &str) -> bool {
        matches_chars(&self.pieces, folded(text))
    }
}

/// The characters of `text`, lower-cased one by one.
pub(in crate::matcher) fn folded(text: &str) -> impl Iterator<Item = char> + Clone {
    text.chars().flat_map(char::to_lowercase)
}

/// Goes forward greedily; where it fails, it goes back to the last run and lets that take one character more. Earlier runs
/// need no second thought: what they could reach, the last one reaches too.
fn matches_chars(pieces: &[Piece], text: impl Iterator<Item = char> + Clone) -> bool {
    let mut left = pieces;
    let mut at = text;
    let mut retry = None;
    loop {
        if let [Piece::AnyRun, after @ ..] = left {
            if after.is_empty() {
                return true;
            }
            retry = Some((after, at.clone()));
            left = after;
            continue;
        }
        let mut ahead = at.clone();
        let fits = match left {
            [] => ahead.next().is_none(),
            [Piece::Text(wanted), ..] => wanted.chars().all(|c| ahead.next() == Some(c)),
            _ => ahead.next().is_some(),
        };
        if fits {
            let [_, rest @ ..] = left else { return true };
            left = rest;
            at = ahead;
            continue;
        }
        let Some((after, mut from)) = retry else { return false };
        if from.next().is_none() {
            return false;
        }
        retry = Some((after, from.clone()));
        left = after;
        at = from;
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
            let pattern: Vec<char> = (0..random.usize(..8))
                .map(|_| ['a', 'b', '*', '?', 'é'][random.usize(..5)])
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
        assert!(glob("*push*").matches_lowered("A PUSH"));
    }

    #[test]
    fn a_pattern_has_a_limit() {
        assert_eq!(Wildcard::prefix(&"x".repeat(PATTERN_CHARS_MAX + 1)), Err(PatternTooLong));
        assert!(Wildcard::prefix(&"x".repeat(PATTERN_CHARS_MAX - 1)).is_ok());
    }
}
