//! Patterns of SQL's LIKE, as every backend here reads them.
//!
//! `%` is any text, `_` any one character, a backslash takes the next character as it is; a backslash at the end is itself. Where case is ignored it is that of the
//! letters A to Z: what else is a letter's other case depends on a database's locale. Invariant: linear in pattern times text at worst, which is why patterns are
//! short (`TABLE_PATTERN_BYTES_MAX`), and never recurses.

use super::effort::Effort;

/// A piece of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    Any,
    One,
    Char(char),
}

fn next_piece(pattern: &str) -> Option<(Piece, &str)> {
    let mut chars = pattern.chars();
    let piece = match chars.next()? {
        '%' => Piece::Any,
        '_' => Piece::One,
        '\\' => match chars.next() {
            Some(escaped) => Piece::Char(escaped),
            None => Piece::Char('\\'),
        },
        other => Piece::Char(other),
    };
    Some((piece, chars.as_str()))
}

/// Whether a text matches a pattern.
#[must_use]
pub fn is_like(pattern: &str, text: &str, ignore_case: bool) -> bool {
    is_like_within(pattern, text, ignore_case, &Effort::endless())
}

/// The same, and what it takes.
pub(super) fn is_like_within(
    pattern: &str,
    text: &str,
    ignore_case: bool,
    effort: &Effort,
) -> bool {
    let mut steps = 0;
    let is_like = is_like_counted(pattern, text, ignore_case, &mut steps);
    effort.take(steps);
    is_like
}

fn is_like_counted(pattern: &str, text: &str, ignore_case: bool, steps: &mut u64) -> bool {
    let same =
        |one: char, other: char| one == other || (ignore_case && one.eq_ignore_ascii_case(&other));
    let (mut pattern, mut text) = (pattern, text);
    // Where to go on if what follows the last `%` does not fit here.
    let mut again: Option<(&str, &str)> = None;
    loop {
        *steps += 1;
        let first = text.chars().next();
        match (next_piece(pattern), first) {
            (Some((Piece::Any, rest)), _) => {
                pattern = rest;
                again = Some((rest, text));
                continue;
            }
            (Some((Piece::One, rest)), Some(c)) => {
                (pattern, text) = (rest, after(text, c));
                continue;
            }
            (Some((Piece::Char(wanted), rest)), Some(c)) if same(wanted, c) => {
                (pattern, text) = (rest, after(text, c));
                continue;
            }
            (None, None) => return true,
            _ => {}
        }
        let Some((rest, from)) = again else { return false };
        let Some(skipped) = from.chars().next() else { return false };
        let from = after(from, skipped);
        (pattern, text) = (rest, from);
        again = Some((rest, from));
    }
}

fn after(text: &str, first: char) -> &str {
    text.get(first.len_utf8()..).unwrap_or_default()
}

/// Appends a text so that a pattern means just that.
pub fn put_literal(text: &str, pattern: &mut String) {
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
}

/// The same pattern for a database that refuses a backslash at the end.
#[must_use]
pub fn closed(pattern: &str) -> String {
    let backslashes = pattern.bytes().rev().take_while(|byte| *byte == b'\\').count();
    let mut closed = pattern.to_owned();
    if backslashes % 2 == 1 {
        closed.push('\\');
    }
    closed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_as_sql_says() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("%", "", true),
            ("a%", "abc", true),
            ("a%", "Abc", false),
            ("%b%", "abc", true),
            ("_b_", "abc", true),
            ("_b_", "ab", false),
            ("%b", "abab", true),
            ("%ab%ab%", "ab", false),
            ("a\\%", "a%", true),
            ("a\\%", "ab", false),
            ("a\\_c", "abc", false),
            ("\\\\", "\\", true),
            ("\\", "\\", true),
            ("_", "é", true),
            ("%é", "caffé", true),
            ("%%%%%%%%%%a", "bbbbbbbbbbbbbbb", false),
        ] {
            assert_eq!(is_like(pattern, text, false), expected, "{pattern} {text}");
            assert_eq!(is_like(&closed(pattern), text, false), expected, "{pattern} {text}");
        }
        assert!(is_like("A%C", "abc", true));
        assert!(!is_like("É", "é", true), "only A to Z have another case");
    }

    #[test]
    fn a_literal_means_itself() {
        for text in ["", "a", "50%", "a_b", "c:\\d", "\\", "%_\\%"] {
            let mut pattern = String::new();
            put_literal(text, &mut pattern);
            assert!(is_like(&pattern, text, false), "{text}");
            assert!(!is_like(&pattern, &format!("{text}x"), false), "{text}");
        }
    }
}
