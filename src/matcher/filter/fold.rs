//! Full case folding, as Unicode defines it for comparing without regard to case.
//!
//! Folding is not lower-casing: `ß`, `ẞ` and `SS` fold alike, so do `σ`, `ς` and `Σ`, `ſ` and `s`. Invariants: folding folds each
//! character by itself, folding twice changes nothing, and what Unicode's `CaseFolding.txt` (statuses C and F) folds alike folds
//! alike here; the folded characters themselves may be others. Never looks at a language: `ı` and `i` stay apart.

/// The characters of `text`, folded.
pub(in crate::matcher) fn folded(text: &str) -> impl Iterator<Item = char> + Clone {
    text.chars().flat_map(fold)
}

/// Appends `text`, folded, to `out`.
pub(in crate::matcher) fn push_folded(text: &str, out: &mut String) {
    if text.is_ascii() {
        let start = out.len();
        out.push_str(text);
        if let Some(added) = out.get_mut(start..) {
            added.make_ascii_lowercase();
        }
    } else {
        out.extend(folded(text));
    }
}

/// Capitals of small letters are what differs least: `ς` and `σ` have one, that of `ß` is `SS`. Made small first, since `ẞ` and
/// `İ` have no other capital, and made small at last. Only `ı` has a capital that is another letter's.
fn fold(c: char) -> impl Iterator<Item = char> + Clone {
    let (plain, wide) = if c.is_ascii() || c == 'ı' {
        (Some(c.to_ascii_lowercase()), None)
    } else {
        let small = c.to_lowercase().flat_map(char::to_uppercase).flat_map(char::to_lowercase);
        (None, Some(small))
    };
    plain.into_iter().chain(wide.into_iter().flatten())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fold_of(text: &str) -> String {
        let mut out = String::new();
        push_folded(text, &mut out);
        assert_eq!(out, folded(text).collect::<String>(), "{text}");
        out
    }

    #[test]
    fn what_differs_by_case_alone_folds_alike() {
        //= unicode CaseFolding.txt
        //# 00DF; F; 0073 0073; # LATIN SMALL LETTER SHARP S
        //# 017F; C; 0073; # LATIN SMALL LETTER LONG S
        //# 03C2; C; 03C3; # GREEK SMALL LETTER FINAL SIGMA
        //# 1E9E; F; 0073 0073; # LATIN CAPITAL LETTER SHARP S
        //# 212A; C; 006B; # KELVIN SIGN
        //# FB03; F; 0066 0066 0069; # LATIN SMALL LIGATURE FFI
        //# 0130; F; 0069 0307; # LATIN CAPITAL LETTER I WITH DOT ABOVE
        //# 13F8; C; 13F0; # CHEROKEE SMALL LETTER YE
        for (one, other) in [
            ("STRASSE", "straße"),
            ("ẞ", "ss"),
            ("ſtrasse", "Strasse"),
            ("ὈΔΥΣΣΕΎΣ", "ὀδυσσεύς"),
            ("οδος", "ΟΔΟΣ"),
            ("K", "k"),
            ("ﬃ", "FFI"),
            ("İ", "i\u{307}"),
            ("ᏸ", "Ᏸ"),
            ("ÄPFEL", "äpfel"),
            ("ᾳ", "ΑΙ"),
            ("ǅ", "ǆ"),
        ] {
            assert_eq!(fold_of(one), fold_of(other), "{one} {other}");
        }
    }

    #[test]
    fn what_differs_otherwise_stays_apart() {
        for (one, other) in [("ı", "i"), ("ı", "I"), ("é", "e"), ("ss", "s"), ("ö", "oe")] {
            assert_ne!(fold_of(one), fold_of(other), "{one} {other}");
        }
    }

    #[test]
    fn folding_twice_changes_nothing() {
        for c in '\0'..=char::MAX {
            let once: String = fold(c).collect();
            assert_eq!(folded(&once).collect::<String>(), once, "U+{:04X}", u32::from(c));
        }
    }
}
