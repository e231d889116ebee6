//! Places in a JSON text, as RFC 6901 names them, and the text that stands there, uncut and unchanged.
//!
//! Invariants: of members with the same name the last one counts, as everywhere here; what is found is a slice of the text that was looked into. Never builds a tree, and recurses no deeper than a pointer is long.

use crate::event::json::JsonError;
use crate::event::json::JsonProblem;
use crate::event::json::Reader;
use crate::event::json::Token;
use crate::event::json::unescaped;
use crate::limits::SOURCE_POINTER_STEPS_MAX;

/// A place in a JSON text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pointer(Box<[Box<str>]>);

impl Pointer {
    /// The place that a text names: empty, or `/` and the name of a member or the number of an element, again and again; `~1` is a `/` in a name, `~0` a `~`.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self(Box::default()));
        }
        let Some(rest) = text.strip_prefix('/') else {
            return Err(format!("`{text}` must begin with `/`"));
        };
        let steps: Box<[Box<str>]> =
            rest.split('/').map(|step| step.replace("~1", "/").replace("~0", "~").into()).collect();
        if steps.len() > SOURCE_POINTER_STEPS_MAX {
            let most = SOURCE_POINTER_STEPS_MAX;
            return Err(format!("`{text}` has {} steps, and may have {most}", steps.len()));
        }
        Ok(Self(steps))
    }

    /// What stands there; `None`: nothing does.
    ///
    /// # Errors
    /// The text is not JSON: what is wrong with it, and at which byte.
    pub(super) fn find<'a>(&self, text: &'a str) -> Result<Option<&'a str>, JsonError> {
        let mut walk = Walk { text, reader: Reader::new(text) };
        let found = walk.value(Some(&self.0))?;
        // Nothing may stand behind it.
        match walk.reader.next_token()? {
            None => Ok(found),
            Some((at, _)) => Err(JsonError { at, problem: JsonProblem::Trailing }),
        }
    }
}

/// The elements of an array, at most so many; `None`: it is none, or has more.
///
/// # Errors
/// The text is not JSON.
pub(super) fn elements(text: &str, most: usize) -> Result<Option<Vec<&str>>, JsonError> {
    let mut walk = Walk { text, reader: Reader::new(text) };
    let (_, Token::ArrayStart) = walk.next()? else { return Ok(None) };
    let mut found = Vec::new();
    loop {
        let (at, token) = walk.next()?;
        if token == Token::ArrayEnd {
            return Ok(Some(found));
        }
        if found.len() >= most {
            return Ok(None);
        }
        found.extend(walk.rest((at, token), Some(&[]))?);
    }
}

/// A way through a text.
struct Walk<'a> {
    text: &'a str,
    reader: Reader<'a>,
}

/// What is still to be gone of a pointer; `None`: this is not the way.
type Steps<'s> = Option<&'s [Box<str>]>;

impl<'a> Walk<'a> {
    fn next(&mut self) -> Result<(usize, Token<'a>), JsonError> {
        let unfinished = JsonError { at: self.text.len(), problem: JsonProblem::Unfinished };
        self.reader.next_token()?.ok_or(unfinished)
    }

    /// Goes through the next value; what stands in it where the steps lead.
    fn value(&mut self, steps: Steps<'_>) -> Result<Option<&'a str>, JsonError> {
        let begun = self.next()?;
        self.rest(begun, steps)
    }

    /// As `value`, of one whose first token was read.
    fn rest(
        &mut self,
        (at, token): (usize, Token<'a>),
        steps: Steps<'_>,
    ) -> Result<Option<&'a str>, JsonError> {
        match (token, steps) {
            (Token::ObjectStart, Some([step, more @ ..])) => self.members(step, more),
            (Token::ArrayStart, Some([step, more @ ..])) => self.places(step, more),
            _ => {
                let end = self.end_of(at, token)?;
                let is_there = steps.is_some_and(<[_]>::is_empty);
                Ok(self.text.get(at..end).filter(|_| is_there))
            }
        }
    }

    fn members(&mut self, step: &str, more: &[Box<str>]) -> Result<Option<&'a str>, JsonError> {
        let mut found = None;
        loop {
            match self.next()?.1 {
                Token::Name(name) if unescaped(name) == step => found = self.value(Some(more))?,
                Token::Name(_) => {
                    self.value(None)?;
                }
                _ => return Ok(found),
            }
        }
    }

    fn places(&mut self, step: &str, more: &[Box<str>]) -> Result<Option<&'a str>, JsonError> {
        // `01` and `+1` are no places.
        let place = step.parse::<usize>().ok().filter(|place| place.to_string() == *step);
        let mut found = None;
        for index in 0.. {
            let begun = self.next()?;
            if begun.1 == Token::ArrayEnd {
                break;
            }
            let is_way = place == Some(index);
            let inner = self.rest(begun, is_way.then_some(more))?;
            if is_way {
                found = inner;
            }
        }
        Ok(found)
    }

    /// The byte behind a value whose first token was read.
    fn end_of(&mut self, at: usize, token: Token<'a>) -> Result<usize, JsonError> {
        let mut depth = 0_usize;
        let (mut at, mut token) = (at, token);
        loop {
            let bytes = match token {
                Token::ObjectStart | Token::ArrayStart => {
                    depth += 1;
                    1
                }
                Token::ObjectEnd | Token::ArrayEnd => {
                    depth = depth.saturating_sub(1);
                    1
                }
                Token::Name(text) | Token::Text(text) => text.len() + 2,
                Token::Number(text) => text.len(),
                Token::Bool(true) | Token::Null => 4,
                Token::Bool(false) => 5,
            };
            if depth == 0 {
                return Ok(at + bytes);
            }
            (at, token) = self.next()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found<'a>(text: &'a str, pointer: &str) -> Option<&'a str> {
        Pointer::new(pointer).unwrap().find(text).unwrap()
    }

    #[test]
    fn each_place_is_found_as_it_is_written() {
        let text =
            r#" {"a":{"b":[1.50,{"c":"x\u0041"},[] ]},"":7,"a/b":true,"m~n":null,"d":false} "#;
        for (pointer, raw) in [
            ("", text.trim()),
            ("/a/b/0", "1.50"),
            ("/a/b/1", r#"{"c":"x\u0041"}"#),
            ("/a/b/1/c", r#""x\u0041""#),
            ("/a/b/2", "[]"),
            ("/", "7"),
            ("/a~1b", "true"),
            ("/m~0n", "null"),
            ("/d", "false"),
        ] {
            assert_eq!(found(text, pointer), Some(raw), "{pointer}");
        }
        for pointer in ["/b", "/a/b/3", "/a/b/00", "/a/b/+1", "/a/b/-", "/d/x", "/a/b/0/0"] {
            assert_eq!(found(text, pointer), None, "{pointer}");
        }
        assert_eq!(found(r#"{"a":1,"a":2}"#, "/a"), Some("2"), "the last one counts");
        assert_eq!(found(r#"{"a":{"b":1},"a":2}"#, "/a/b"), None);
        assert_eq!(found(r#"{"\u0061":1}"#, "/a"), Some("1"));
    }

    #[test]
    fn what_is_not_json_is_named_with_its_place() {
        for (text, at) in [("{\"a\":1", 6), ("{\"a\":1} x", 8), ("", 0), ("{\"a\" 1}", 5)] {
            let error = Pointer::new("/a").unwrap().find(text).unwrap_err();
            assert_eq!(error.at, at, "{text}");
        }
        assert!(Pointer::new("a").is_err());
        assert!(Pointer::new(&"/a".repeat(SOURCE_POINTER_STEPS_MAX + 1)).is_err());
    }

    #[test]
    fn an_array_falls_into_its_elements() {
        let text = r#"[{"a":[1]}, "x" ,2,[]]"#;
        let all = vec![r#"{"a":[1]}"#, "\"x\"", "2", "[]"];
        assert_eq!(elements(text, 4).unwrap(), Some(all));
        assert_eq!(elements(text, 3).unwrap(), None);
        assert_eq!(elements("[]", 0).unwrap(), Some(vec![]));
        assert_eq!(elements("{}", 9).unwrap(), None);
        assert!(elements("[1", 9).is_err());
    }
}
