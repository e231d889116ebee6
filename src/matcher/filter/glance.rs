//! A look at a payload's bytes that tells of most events, without a parse, that a filter cannot pass them.
//!
//! Why it is sound: in a payload without a backslash every member's name stands as it is, between quotes. If a name stands there once, its member's value is the one value that a path which
//! ends in that name can find, or, if the member lies elsewhere, the path finds none; if it stands there not at all, none. A test that neither passes fails, and with it every `and` that it is a member
//! of. Invariant: says `true` only of an event that the whole evaluation would refuse. Never says that one passes.

use memchr::memchr;
use memchr::memmem;

use super::Rule;
use super::Source;
use super::Test;
use super::canonical::Expr;
use super::canonical::Literal;
use super::rules;
use super::rules::Truth;
use super::rules::Values;
use super::work::Work;
use crate::event::Number;
use crate::event::fields::Value;
use crate::limits::GLANCE_NUMBER_BYTES_MAX;

/// One test that every event passes that the filter passes, and the name that it looks for.
#[derive(Debug)]
pub(super) struct Glance {
    /// The last step of the path between quotes.
    name: memmem::Finder<'static>,
    literal: Literal,
}

/// What a glance finds behind a name.
enum Behind<'a> {
    /// The name is no member's.
    Nothing,
    Value(Value<'a>),
    /// Only a parse can tell.
    Unclear,
}

impl Glance {
    /// The test to look for first, if the filter has one that can be looked for.
    pub(super) fn of(expr: &Expr) -> Option<Self> {
        let members = match expr {
            Expr::And(members) => members,
            Expr::Literal(_) => std::slice::from_ref(expr),
            Expr::Constant(_) | Expr::Or(_) => return None,
        };
        members.iter().find_map(|member| match member {
            Expr::Literal(literal) => Self::of_literal(literal),
            _ => None,
        })
    }

    /// A comparison by our own rule: what is missing passes none.
    fn of_literal(literal: &Literal) -> Option<Self> {
        let term = &literal.term;
        let compares = matches!(term.test, Test::In(_) | Test::Range(_));
        let Source::Field(path) = &term.source else { return None };
        let step = path.steps().last()?;
        let is_plain = step.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\');
        if literal.negated || term.rule != Rule::Native || !compares || !is_plain {
            return None;
        }
        let name = memmem::Finder::new(format!("\"{step}\"").as_bytes()).into_owned();
        Some(Self { name, literal: literal.clone() })
    }

    /// Whether a payload holds nothing that passes the test. Takes the steps of the test, not of the look.
    pub(super) fn refuses(&self, payload: &[u8], work: &Work) -> bool {
        let seen = self.look(payload);
        let list = match &seen {
            Behind::Nothing => &[][..],
            Behind::Value(value) => std::slice::from_ref(value),
            Behind::Unclear => return false,
        };
        let none = Values { list: &[], first: 0 };
        let (own, term) = (Work::default(), &self.literal.term);
        let answer = rules::answer(term.rule, &term.test, Values { list, first: 0 }, none, &own);
        if own.is_spent() || answer == Truth::True {
            return false;
        }
        work.take(usize::try_from(own.steps()).unwrap_or(usize::MAX));
        true
    }

    fn look<'a>(&self, payload: &'a [u8]) -> Behind<'a> {
        if memchr(b'\\', payload).is_some() {
            return Behind::Unclear;
        }
        let Some(at) = self.name.find(payload) else { return Behind::Nothing };
        let behind = payload.get(at + self.name.needle().len()..).unwrap_or_default();
        if self.name.find(behind).is_some() {
            return Behind::Unclear;
        }
        match behind.trim_ascii_start() {
            [b':', value @ ..] => value_of(value.trim_ascii_start()),
            // A text that reads like the name.
            _ => Behind::Nothing,
        }
    }
}

/// The value that a text without a backslash begins with.
fn value_of(text: &[u8]) -> Behind<'_> {
    let read = match text {
        [b'"', rest @ ..] => until(rest, |byte| byte == b'"').map(Value::Text),
        [b'-' | b'0'..=b'9', ..] => {
            let token = until(text, |byte| {
                matches!(byte, b',' | b'}' | b']') || byte.is_ascii_whitespace()
            });
            // Of a longer one the parser knows what becomes of it.
            let token = token.filter(|token| token.len() <= GLANCE_NUMBER_BYTES_MAX);
            token.and_then(Number::parse).map(Value::Number)
        }
        _ => None,
    };
    read.map_or(Behind::Unclear, Behind::Value)
}

/// What stands before the first byte of a kind.
fn until(text: &[u8], is_end: impl Fn(u8) -> bool) -> Option<&str> {
    let end = text.iter().position(|byte| is_end(*byte))?;
    text.get(..end).and_then(|text| std::str::from_utf8(text).ok())
}
