//! The small grammars that header fields share: tokens, comma-separated lists, quoted strings.
//!
//! Never allocates.

/// Whether `byte` may stand in a token.
//= rfc9110#5.6.2
//# tchar = "!" / "#" / "$" / "%" / "&" / "'" / "*" / "+" / "-" / "." / "^" / "_" / "`" / "|" / "~" / DIGIT / ALPHA
#[must_use]
pub const fn is_token_byte(byte: u8) -> bool {
    matches!(byte,
        b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~'
        | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z')
}

/// `text` without the spaces and tabs around it.
#[must_use]
pub fn trim(text: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = text.iter().position(|byte| !blank(byte)).unwrap_or(text.len());
    let end = text.iter().rposition(|byte| !blank(byte)).map_or(start, |last| last + 1);
    &text[start..end]
}

/// The elements of a comma-separated list, trimmed; empty ones are passed over. Does not know quoted strings.
//= rfc9110#5.6.1.2
//# A recipient MUST parse and ignore a reasonable number of empty list elements
pub fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(trim).filter(|element| !element.is_empty())
}

/// Splits `text` at each `separator` that is not within a quoted string.
pub fn split_unquoted(text: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let whole = rest?;
        let end = unquoted_position(whole, separator);
        rest = end.map(|end| &whole[end + 1..]);
        Some(trim(&whole[..end.unwrap_or(whole.len())]))
    })
}

fn unquoted_position(text: &[u8], wanted: u8) -> Option<usize> {
    let mut quoted = false;
    let mut escaped = false;
    for (at, &byte) in text.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if byte == wanted && !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_characters_are_those_of_the_rfc() {
        let tchar = b"!#$%&'*+-.^_`|~";
        for byte in 0..=u8::MAX {
            let expected = tchar.contains(&byte) || byte.is_ascii_alphanumeric();
            assert_eq!(is_token_byte(byte), expected, "{byte:#x}");
        }
    }

    #[test]
    fn lists_lose_blanks_and_empty_elements() {
        let list: Vec<&[u8]> = elements(b" a ,,\tb\t, ,c").collect();
        assert_eq!(list, [b"a", b"b", b"c"]);
        assert_eq!(elements(b" , ").count(), 0);
    }

    #[test]
    fn quoted_separators_do_not_split() {
        let parts: Vec<&[u8]> = split_unquoted(br#"a="x,\",y" , b"#, b',').collect();
        assert_eq!(parts, [br#"a="x,\",y""#.as_slice(), b"b"]);
        let parts: Vec<&[u8]> = split_unquoted(br#"a,"open, b"#, b',').collect();
        assert_eq!(parts, [b"a".as_slice(), br#""open, b"#]);
    }
}
