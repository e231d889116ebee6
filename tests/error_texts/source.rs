//! The texts that source code can say: its string literals that are sentences, but for those of assertions, logs and the like.
//!
//! Invariant: a new error's text is found without anybody listing it. Reads Rust as far as that needs: comments, literals, and what stands before one.

#![expect(clippy::string_slice, reason = "source is cut where ASCII stands")]

use std::sync::LazyLock;

use regex::Regex;

/// What stands right before a literal that nobody is told: assertions, reasons of lints, lines of the log, purposes of routes.
static UNTOLD: LazyLock<Regex> = LazyLock::new(|| {
    let before = r"(\.expect\(|unreachable!\(|reason = |assert(_eq|_ne)?!\([^;]*|panic!\(|tracing::\w+!\([^;]*|purpose: |tell_log(_of)?\([^;]*|\#\[[^\]]*)\s*$";
    Regex::new(before).expect("it is one")
});

/// A text of the source, as it is written there, and what stands before it.
struct Literal<'a> {
    text: &'a str,
    before: &'a str,
}

/// The length of a string literal that `rest` begins with, and where its text lies in it.
fn literal_at(rest: &str) -> Option<(usize, usize, usize)> {
    let bytes = rest.as_bytes();
    if bytes[0] == b'"' {
        let mut end = 1;
        while bytes[end] != b'"' {
            end += if bytes[end] == b'\\' { 2 } else { 1 };
        }
        return Some((end + 1, 1, end));
    }
    let hashes = rest.strip_prefix('r')?.bytes().take_while(|byte| *byte == b'#').count();
    let start = hashes + 2;
    if bytes.get(start - 1) != Some(&b'"') {
        return None;
    }
    let close = format!("\"{}", "#".repeat(hashes));
    let end = start + rest[start..].find(&close)?;
    Some((end + close.len(), start, end))
}

fn literals(code: &str) -> Vec<Literal<'_>> {
    let character = Regex::new(r"^'(\\[^']*|[^\\'])'").expect("it is one");
    let mut found = Vec::new();
    let mut at = 0;
    let mut is_word = false;
    while let Some(next) = code[at..].chars().next() {
        let rest = &code[at..];
        if rest.starts_with("//") {
            at += rest.find('\n').unwrap_or(rest.len());
        } else if let Some(quoted) = character.find(rest).filter(|_| next == '\'') {
            at += quoted.len();
        } else if let Some((length, start, end)) =
            literal_at(rest).filter(|_| next == '"' || !is_word)
        {
            found.push(Literal { text: &rest[start..end], before: &code[..at] });
            at += length;
        } else {
            at += next.len_utf8();
        }
        is_word = next.is_alphanumeric() || next == '_';
    }
    found
}

/// A text as a person reads it: without escapes, and `…` for what is filled in.
fn readable(text: &str) -> String {
    let joined = Regex::new(r"\\\n\s*").expect("it is one").replace_all(text, "");
    let plain = joined.replace("\\\"", "\"").replace("{{", "\u{1}").replace("}}", "\u{2}");
    let filled = Regex::new(r"\{[^{}]*\}").expect("it is one").replace_all(&plain, "…");
    filled.replace('\u{1}', "{").replace('\u{2}', "}")
}

/// The texts that this code can say, in its order, each once.
pub(super) fn texts(code: &str) -> Vec<String> {
    let code = code.split_once("#[cfg(test)]\nmod tests").map_or(code, |(code, _)| code);
    let mut texts: Vec<String> = Vec::new();
    for Literal { text, before } in literals(code) {
        let is_sentence =
            text.contains(' ') && text.starts_with(|c: char| c.is_alphabetic() || "`{".contains(c));
        let near: String =
            before.chars().rev().take(200).collect::<Vec<_>>().into_iter().rev().collect();
        if is_sentence && !UNTOLD.is_match(&near) {
            let text = readable(text);
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
    }
    texts
}

#[test]
fn what_is_told_is_told_from_what_is_not() {
    let code = r##"
        // "a comment's text"
        #[expect(lint, reason = "a reason of a lint")]
        fn f<'a>() -> &'a str {
            assert!(is, "an assertion's text");
            let quote = '"';
            write!(f, "topic has {bytes} bytes; \
                at most {MAX} are allowed");
            Err(r#"raw "texts" of {{two}}"#)
        }
        "word"
        #[cfg(test)]
mod tests { "a test's text" }
    "##;
    assert_eq!(texts(code), ["topic has … bytes; at most … are allowed", "raw \"texts\" of {two}"]);
}
