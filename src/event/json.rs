//! JSON read strictly, one token at a time, with the place of every fault.
//!
//! The fast parser says whether a text is JSON, but not reliably where it stops being that, and it refuses numbers and escapes
//! that the grammar allows. This reader is the second opinion, and it reads filters. Invariants: it takes exactly what RFC 8259
//! calls JSON in UTF-8, down to `JSON_DEPTH_MAX` levels; it recurses nowhere. Never builds a tree.

use std::borrow::Cow;
use std::fmt;

use crate::event::number;
use crate::limits::JSON_DEPTH_MAX;

/// What is wrong with a text that should be JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonProblem {
    NotUtf8,
    /// The text ends before its value does.
    Unfinished,
    ValueExpected,
    /// A member's name, in double quotes.
    NameExpected,
    ColonExpected,
    /// A comma, or the end of the object or array.
    CommaExpected,
    Number,
    /// A backslash and something that it does not go with.
    Escape,
    ControlCharacter,
    /// Something after the value.
    Trailing,
    TooDeep,
    /// JSON, but not an object.
    NotAnObject,
}

impl fmt::Display for JsonProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotUtf8 => "not UTF-8",
            Self::Unfinished => "the text ends within a value",
            Self::ValueExpected => "a value is expected",
            Self::NameExpected => "a member's name in double quotes is expected",
            Self::ColonExpected => "a colon is expected",
            Self::CommaExpected => "a comma or the closing bracket is expected",
            Self::Number => "not a number of JSON",
            Self::Escape => "a backslash escape that JSON does not have",
            Self::ControlCharacter => "a control character inside a string",
            Self::Trailing => "something follows after the value",
            Self::TooDeep => return write!(f, "nested deeper than {JSON_DEPTH_MAX} levels"),
            Self::NotAnObject => "not an object",
        })
    }
}

/// What is wrong, and at which byte, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonError {
    pub at: usize,
    pub problem: JsonProblem,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.problem, self.at)
    }
}

impl std::error::Error for JsonError {}

/// One piece of a JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token<'a> {
    ObjectStart,
    ObjectEnd,
    ArrayStart,
    ArrayEnd,
    /// A member's name, still escaped, without its quotes.
    Name(&'a str),
    /// A string, still escaped, without its quotes.
    Text(&'a str),
    /// A number as it was written.
    Number(&'a str),
    Bool(bool),
    Null,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    Value,
    /// A value, or the end of the array that has just begun.
    FirstElement,
    Name,
    /// A name, or the end of the object that has just begun.
    FirstName,
    Colon,
    /// A comma, or the end of the innermost object or array.
    Comma,
    Nothing,
}

/// Reads one JSON value from start to end.
#[derive(Debug)]
pub struct Reader<'a> {
    text: &'a str,
    at: usize,
    expect: Expect,
    /// The objects (true) and arrays (false) that are open.
    open: Vec<bool>,
}

impl<'a> Reader<'a> {
    /// At the start of `text`.
    #[must_use]
    pub const fn new(text: &'a str) -> Self {
        Self { text, at: 0, expect: Expect::Value, open: Vec::new() }
    }

    /// The next token and the byte where it starts; `None` after the end of the value, once nothing but space follows.
    ///
    /// # Errors
    /// The first thing that is not JSON. After an error the reader is of no further use.
    pub fn next_token(&mut self) -> Result<Option<(usize, Token<'a>)>, JsonError> {
        loop {
            self.skip_space();
            let at = self.at;
            let Some(&byte) = self.text.as_bytes().get(at) else {
                return if self.expect == Expect::Nothing {
                    Ok(None)
                } else {
                    Err(self.fault(JsonProblem::Unfinished))
                };
            };
            match (self.expect, byte) {
                (Expect::Nothing, _) => return Err(self.fault(JsonProblem::Trailing)),
                (Expect::Colon, b':') => self.step(Expect::Value),
                (Expect::Colon, _) => return Err(self.fault(JsonProblem::ColonExpected)),
                (Expect::Comma, b',') => {
                    let in_object = self.open.last().copied().unwrap_or_default();
                    self.step(if in_object { Expect::Name } else { Expect::Value });
                }
                (Expect::FirstName | Expect::Comma, b'}') if self.open.last() == Some(&true) => {
                    return Ok(Some((at, self.close(Token::ObjectEnd))));
                }
                (Expect::FirstElement | Expect::Comma, b']')
                    if self.open.last() == Some(&false) =>
                {
                    return Ok(Some((at, self.close(Token::ArrayEnd))));
                }
                (Expect::Comma, _) => return Err(self.fault(JsonProblem::CommaExpected)),
                (Expect::Name | Expect::FirstName, b'"') => {
                    let name = self.string()?;
                    self.expect = Expect::Colon;
                    return Ok(Some((at, Token::Name(name))));
                }
                (Expect::Name | Expect::FirstName, _) => {
                    return Err(self.fault(JsonProblem::NameExpected));
                }
                (Expect::Value | Expect::FirstElement, _) => {
                    return self.value(byte).map(|token| Some((at, token)));
                }
            }
        }
    }

    fn value(&mut self, first: u8) -> Result<Token<'a>, JsonError> {
        let token = match first {
            b'{' => return self.enter(Token::ObjectStart, Expect::FirstName),
            b'[' => return self.enter(Token::ArrayStart, Expect::FirstElement),
            b'"' => Token::Text(self.string()?),
            b't' => self.word("true", Token::Bool(true))?,
            b'f' => self.word("false", Token::Bool(false))?,
            b'n' => self.word("null", Token::Null)?,
            b'-' | b'0'..=b'9' => Token::Number(self.number()?),
            _ => return Err(self.fault(JsonProblem::ValueExpected)),
        };
        self.expect = self.after_value();
        Ok(token)
    }

    fn enter(&mut self, token: Token<'a>, expect: Expect) -> Result<Token<'a>, JsonError> {
        if self.open.len() == JSON_DEPTH_MAX {
            return Err(self.fault(JsonProblem::TooDeep));
        }
        self.open.push(token == Token::ObjectStart);
        self.step(expect);
        Ok(token)
    }

    fn close(&mut self, token: Token<'a>) -> Token<'a> {
        self.open.pop();
        self.step(self.after_value());
        token
    }

    fn after_value(&self) -> Expect {
        if self.open.is_empty() { Expect::Nothing } else { Expect::Comma }
    }

    fn step(&mut self, expect: Expect) {
        self.at += 1;
        self.expect = expect;
    }

    fn word(&mut self, word: &str, token: Token<'a>) -> Result<Token<'a>, JsonError> {
        if !self.rest().starts_with(word) {
            return Err(self.fault(JsonProblem::ValueExpected));
        }
        self.at += word.len();
        Ok(token)
    }

    fn number(&mut self) -> Result<&'a str, JsonError> {
        let rest = self.rest();
        let token = number::token_bytes(rest.as_bytes()).and_then(|bytes| rest.get(..bytes));
        let token = token.ok_or_else(|| self.fault(JsonProblem::Number))?;
        self.at += token.len();
        if let Some(b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-') =
            self.text.as_bytes().get(self.at)
        {
            return Err(self.fault(JsonProblem::Number));
        }
        Ok(token)
    }

    /// The string that begins here, without its quotes.
    fn string(&mut self) -> Result<&'a str, JsonError> {
        let bytes = self.text.as_bytes();
        let start = self.at + 1;
        self.at = start;
        loop {
            match bytes.get(self.at) {
                None => return Err(self.fault(JsonProblem::Unfinished)),
                Some(b'"') => break,
                Some(b'\\') => self.at += self.escape_bytes()?,
                Some(0..0x20) => return Err(self.fault(JsonProblem::ControlCharacter)),
                Some(_) => self.at += 1,
            }
        }
        let string = self.text.get(start..self.at).unwrap_or_default();
        self.at += 1;
        Ok(string)
    }

    fn escape_bytes(&self) -> Result<usize, JsonError> {
        let rest = self.text.as_bytes().get(self.at + 1..).unwrap_or_default();
        match rest.first() {
            None => Err(JsonError { at: self.text.len(), problem: JsonProblem::Unfinished }),
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(2),
            Some(b'u')
                if rest.len() >= 5 && rest.iter().skip(1).take(4).all(u8::is_ascii_hexdigit) =>
            {
                Ok(6)
            }
            Some(_) => Err(self.fault(JsonProblem::Escape)),
        }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn skip_space(&mut self) {
        let rest = self.text.as_bytes().iter().skip(self.at);
        self.at += rest.take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count();
    }

    const fn fault(&self, problem: JsonProblem) -> JsonError {
        JsonError { at: self.at, problem }
    }
}

/// The text that a string token stands for. Half a surrogate pair, which the grammar allows, becomes U+FFFD.
#[must_use]
pub fn unescaped(token: &str) -> Cow<'_, str> {
    let Some((before, rest)) = token.split_once('\\') else { return Cow::Borrowed(token) };
    let mut out = String::with_capacity(token.len());
    out.push_str(before);
    let mut rest = rest;
    loop {
        rest = unescape_one(rest, &mut out);
        let Some((before, after)) = rest.split_once('\\') else { break };
        out.push_str(before);
        rest = after;
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Whether a string token holds half of a surrogate pair: the grammar allows it, but it stands for no text.
#[must_use]
pub fn has_half_pair(token: &str) -> bool {
    serde_json::from_str::<String>(&format!("\"{token}\"")).is_err()
}

/// Appends what the escape at the start of `rest` (after its backslash) stands for; answers what follows it.
fn unescape_one<'a>(rest: &'a str, out: &mut String) -> &'a str {
    let mut after = rest.chars();
    match after.next() {
        Some('b') => out.push('\u{8}'),
        Some('f') => out.push('\u{c}'),
        Some('n') => out.push('\n'),
        Some('r') => out.push('\r'),
        Some('t') => out.push('\t'),
        Some('u') => return unescape_unit(after.as_str(), out),
        Some(other) => out.push(other),
        None => {}
    }
    after.as_str()
}

/// `\u` and its four digits; two such if they are a pair.
fn unescape_unit<'a>(digits: &'a str, out: &mut String) -> &'a str {
    let unit = |text: &str| text.get(..4).and_then(|four| u16::from_str_radix(four, 16).ok());
    let rest = digits.get(4..).unwrap_or_default();
    let Some(first) = unit(digits) else { return rest };
    let second = rest.strip_prefix("\\u").and_then(unit);
    if let Some(second) = second
        && let Some(Ok(pair)) = char::decode_utf16([first, second]).next()
        && pair.len_utf16() == 2
    {
        out.push(pair);
        return rest.get(6..).unwrap_or_default();
    }
    out.push(char::from_u32(u32::from(first)).unwrap_or(char::REPLACEMENT_CHARACTER));
    rest
}

/// Appends `text` as a JSON string, quotes and all.
pub fn push_string(text: &str, out: &mut String) {
    use fmt::Write;
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if u32::from(control) < 0x20 => {
                write!(out, "\\u{:04x}", u32::from(control)).expect("a String takes every write");
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<usize, JsonError> {
        let mut reader = Reader::new(text);
        let mut count = 0;
        while reader.next_token()?.is_some() {
            count += 1;
        }
        Ok(count)
    }

    #[test]
    fn every_fault_has_its_place() {
        use JsonProblem as P;
        for (text, at, problem) in [
            ("", 0, P::Unfinished),
            ("  ", 2, P::Unfinished),
            ("{", 1, P::Unfinished),
            ("{\"a\":\"x", 7, P::Unfinished),
            ("{\"a\":\"x\\", 8, P::Unfinished),
            ("{\"a\" 1}", 5, P::ColonExpected),
            ("{a:1}", 1, P::NameExpected),
            ("{\"a\":1,}", 7, P::NameExpected),
            ("[1,]", 3, P::ValueExpected),
            ("[1 2]", 3, P::CommaExpected),
            ("[1}", 2, P::CommaExpected),
            ("{\"a\":01}", 6, P::Number),
            ("{\"a\":-}", 5, P::Number),
            ("{\"a\":1.}", 5, P::Number),
            ("{\"a\":\"\\q\"}", 6, P::Escape),
            ("{\"a\":\"\\u12g4\"}", 6, P::Escape),
            ("{\"a\":\"\u{1}\"}", 6, P::ControlCharacter),
            ("{} {}", 3, P::Trailing),
            ("{\"a\":tru}", 5, P::ValueExpected),
            ("\u{feff}{}", 0, P::ValueExpected),
        ] {
            assert_eq!(check(text), Err(JsonError { at, problem }), "{text:?}");
        }
        let deep = "[".repeat(JSON_DEPTH_MAX + 1);
        assert_eq!(check(&deep), Err(JsonError { at: JSON_DEPTH_MAX, problem: P::TooDeep }));
        assert!(
            check(&format!("{}{}", "[".repeat(JSON_DEPTH_MAX), "]".repeat(JSON_DEPTH_MAX))).is_ok()
        );
    }

    #[test]
    fn what_the_grammar_allows_is_taken() {
        for text in [
            "{}",
            " [ ] ",
            "1e400",
            "\"\\ud800\"",
            "[1,[2,{\"a\":[]}]]",
            "-0",
            "{\"a\":1,\"a\":2}",
            "null",
            "\"\u{7f}\"",
        ] {
            assert!(check(text).is_ok(), "{text:?}");
        }
    }

    #[test]
    fn strings_come_back_as_they_were_meant() {
        for (token, meant) in [
            ("plain", "plain"),
            ("a\\n\\t\\\"\\\\\\/b", "a\n\t\"\\/b"),
            ("\\u0041\\u00e9", "Aé"),
            ("\\ud83d\\ude00!", "😀!"),
            ("\\ud800", "\u{fffd}"),
            ("\\ud800\\u0041", "\u{fffd}A"),
            ("\\ude00\\ud83d", "\u{fffd}\u{fffd}"),
            ("é\\b\\f\\r", "é\u{8}\u{c}\r"),
        ] {
            assert_eq!(unescaped(token), meant);
            let mut written = String::new();
            push_string(meant, &mut written);
            let mut reader = Reader::new(&written);
            let Ok(Some((0, Token::Text(read)))) = reader.next_token() else { panic!("{written}") };
            assert_eq!(unescaped(read), meant);
        }
    }
}
