//! The words of the short text notation.
//!
//! Never looks further than one word, never allocates but for quoted text.

use crate::event::json;
use crate::event::number;
use crate::matcher::filter::FilterError;
use crate::matcher::filter::FilterProblem;

/// One word.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token<'a> {
    /// A keyword or a plain member name.
    Word(&'a str),
    /// A member name in backticks.
    Name(String),
    /// What follows a dollar sign.
    Dollar(&'a str),
    Number(&'a str),
    Text(String),
    Symbol(&'static str),
    End,
}

/// Longer ones first, so that the first that fits is the right one.
const SYMBOLS: [&str; 14] =
    ["==", "!=", "<>", "<=", ">=", "=~", "=", "<", ">", "~", "(", ")", ",", "."];

/// Cuts a text into words.
#[derive(Debug)]
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    pub(super) const fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// What has not been cut yet.
    pub(super) fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// The next word and the byte where it starts.
    pub(super) fn next_token(&mut self) -> Result<(usize, Token<'a>), FilterError> {
        self.at += self.rest().len() - self.rest().trim_start().len();
        let (at, rest) = (self.at, self.rest());
        let Some(first) = rest.chars().next() else { return Ok((at, Token::End)) };
        let fault = |problem| FilterError { at, problem };
        let token = match first {
            '"' => return self.text().map(|text| (at, Token::Text(text))),
            '\'' => return self.raw(first).map(|text| (at, Token::Text(text))),
            '`' => return self.raw(first).map(|name| (at, Token::Name(name))),
            '$' => {
                let word = word_of(rest.get(1..).unwrap_or_default());
                self.at += 1 + word.len();
                return Ok((at, Token::Dollar(word)));
            }
            '-' | '0'..='9' => {
                let bytes = number::token_bytes(rest.as_bytes())
                    .ok_or_else(|| fault(FilterProblem::Number))?;
                Token::Number(rest.get(..bytes).unwrap_or_default())
            }
            _ if is_word_start(first) => Token::Word(word_of(rest)),
            _ => {
                let symbol = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol));
                Token::Symbol(symbol.ok_or_else(|| fault(FilterProblem::UnknownOperator))?)
            }
        };
        self.at += match &token {
            Token::Number(text) | Token::Word(text) => text.len(),
            Token::Symbol(symbol) => symbol.len(),
            _ => 0,
        };
        Ok((at, token))
    }

    /// A text between double quotes, with the escapes of JSON.
    fn text(&mut self) -> Result<String, FilterError> {
        let start = self.at + 1;
        let mut chars = self.text.get(start..).unwrap_or_default().char_indices();
        while let Some((offset, c)) = chars.next() {
            if c == '"' {
                self.at = start + offset + 1;
                let inner = self.text.get(start..start + offset).unwrap_or_default();
                return Ok(json::unescaped(inner).into_owned());
            }
            if c == '\\' {
                let is_escape = match chars.next().map(|(_, c)| c) {
                    Some('"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't') => true,
                    Some('u') => {
                        (0..4).all(|_| chars.next().is_some_and(|(_, c)| c.is_ascii_hexdigit()))
                    }
                    _ => false,
                };
                if !is_escape {
                    return Err(FilterError { at: start + offset, problem: FilterProblem::Escape });
                }
            }
        }
        Err(FilterError { at: self.at, problem: FilterProblem::Unclosed })
    }

    /// What stands between two of `quote` as it is; two of them stand for one.
    fn raw(&mut self, quote: char) -> Result<String, FilterError> {
        let mut raw = String::new();
        let mut chars = self.text.get(self.at + 1..).unwrap_or_default().char_indices().peekable();
        while let Some((offset, c)) = chars.next() {
            if c != quote {
                raw.push(c);
            } else if chars.next_if(|(_, next)| *next == quote).is_some() {
                raw.push(quote);
            } else {
                self.at += 1 + offset + 1;
                return Ok(raw);
            }
        }
        Err(FilterError { at: self.at, problem: FilterProblem::Unclosed })
    }
}

pub(super) fn is_word_start(c: char) -> bool {
    c == '_' || c.is_alphabetic()
}

pub(super) fn is_word_part(c: char) -> bool {
    c == '_' || c == '-' || c.is_alphanumeric()
}

fn word_of(rest: &str) -> &str {
    let end = rest.find(|c| !is_word_part(c)).unwrap_or(rest.len());
    rest.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Result<Vec<(usize, Token<'_>)>, FilterError> {
        let mut lexer = Lexer::new(text);
        let mut out = Vec::new();
        loop {
            let (at, token) = lexer.next_token()?;
            if token == Token::End {
                return Ok(out);
            }
            out.push((at, token));
        }
    }

    #[test]
    fn a_text_is_cut_into_words() {
        let cut: Vec<Token<'_>> =
            tokens("a.b-c<=-1.5e3 and `x``.y`!=\"it's \\u00e9\" 'it''s \\d' $key 30km")
                .unwrap()
                .into_iter()
                .map(|(_, token)| token)
                .collect();
        assert_eq!(
            cut,
            [
                Token::Word("a"),
                Token::Symbol("."),
                Token::Word("b-c"),
                Token::Symbol("<="),
                Token::Number("-1.5e3"),
                Token::Word("and"),
                Token::Name("x`.y".to_owned()),
                Token::Symbol("!="),
                Token::Text("it's é".to_owned()),
                Token::Text("it's \\d".to_owned()),
                Token::Dollar("key"),
                Token::Number("30"),
                Token::Word("km"),
            ]
        );
    }

    #[test]
    fn a_fault_has_its_place() {
        for (text, at, problem) in [
            ("a = \"x", 4, FilterProblem::Unclosed),
            ("a `x", 2, FilterProblem::Unclosed),
            ("a = \"x\\q\"", 6, FilterProblem::Escape),
            ("a = \"x\\u12\"", 6, FilterProblem::Escape),
            ("a & b", 2, FilterProblem::UnknownOperator),
            ("a = -", 4, FilterProblem::Number),
            ("a = 1.", 4, FilterProblem::Number),
        ] {
            assert_eq!(tokens(text), Err(FilterError { at, problem }), "{text}");
        }
    }
}
