//! The fields of a payload, found once, in the parse that checks it.
//!
//! The payload is copied to a scratch first, because the parser unescapes in place: the original bytes stay the payload. What the
//! parser refuses is read a second time, strictly, either for the place of the fault or, if the grammar does allow it (a number
//! beyond 64 bits, half a surrogate pair), to be softened into something the parser takes. Invariants: of members with the same
//! name the last one counts; [`Fields`] of an interest hold every value of every path in it. Never changes a payload.

use std::sync::Arc;

use simd_json::Buffers;
use simd_json::Node;
use simd_json::StaticNode;
use simd_json::Tape;

use crate::event::Interest;
use crate::event::Number;
use crate::event::finder::Finder;
use crate::event::finder::Found;
use crate::event::finder::FoundValue;
use crate::event::finder::node_count;
use crate::event::finder::push_canonical;
use crate::event::interest::Sought;
use crate::event::json;
use crate::event::json::JsonError;
use crate::event::json::JsonProblem;
use crate::event::json::Reader;
use crate::event::json::Token;
use crate::event::soften::soften;
use crate::limits::JSON_DEPTH_MAX;

/// Why a payload is refused: what is wrong with it, at which byte.
pub type PayloadError = JsonError;

/// One value of a field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    Null,
    Bool(bool),
    Number(Number),
    Text(&'a str),
    /// An object, or an array without elements: there, but equal to nothing.
    Other,
    /// An array or object taken as one value: as JSON with sorted names and without space.
    Json(&'a str),
}

/// What was found of an interest in one payload. The default is of no interest at all.
///
/// All are equal: they are drawn from the payload and add nothing to what an event is.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    sought: Sought,
    /// In the order of the interest's paths, then of the payload.
    found: Box<[Found]>,
    text: Box<str>,
}

impl PartialEq for Fields {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Fields {}

impl Fields {
    fn find(tape: &[Node<'_>], interest: &Interest, finder: &mut Finder) -> Self {
        if interest.is_empty() {
            return Self::default();
        }
        let (found, text) = finder.find(tape, interest);
        Self { sought: interest.sought(), found, text }
    }

    /// What was looked for.
    #[must_use]
    pub const fn sought(&self) -> &Sought {
        &self.sought
    }

    /// What was found: the place of the path in the interest, and a value; in the order of the paths. A path that is absent was
    /// not in the payload.
    pub fn iter(&self) -> impl Iterator<Item = (usize, Value<'_>)> {
        self.found.iter().map(|found| (found.path as usize, self.value(found.value)))
    }

    /// What was found for the path at `place` in the interest.
    pub fn of(&self, place: usize) -> impl Iterator<Item = Value<'_>> {
        let start = self.found.partition_point(|found| (found.path as usize) < place);
        let rest = self.found.get(start..).unwrap_or_default();
        rest.iter()
            .take_while(move |found| found.path as usize == place)
            .map(|found| self.value(found.value))
    }

    /// Bytes that this keeps alive beyond its own struct.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        size_of_val(&*self.found) + self.text.len() + self.sought.weight_bytes()
    }

    fn value(&self, kept: FoundValue) -> Value<'_> {
        let text =
            |start: u32, end: u32| self.text.get(start as usize..end as usize).unwrap_or_default();
        match kept {
            FoundValue::Null => Value::Null,
            FoundValue::Bool(value) => Value::Bool(value),
            FoundValue::Number(value) => Value::Number(value),
            FoundValue::Text { start, end } => Value::Text(text(start, end)),
            FoundValue::Other => Value::Other,
            FoundValue::Json { start, end } => Value::Json(text(start, end)),
        }
    }
}

/// The key that a publisher asked to be taken from a member of the payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyField {
    /// A string's text, or a number as it was written.
    Text(Arc<str>),
    Missing,
    /// Neither a string nor a number.
    NotScalar,
    /// A string with half of a surrogate pair: as text it would be U+FFFD, and with it every other one.
    NotText,
}

/// Memory that parsing needs, kept from one payload to the next. One per thread.
#[derive(Default)]
pub struct Scratch {
    text: Vec<u8>,
    buffers: Buffers,
    tape: Vec<Node<'static>>,
    finder: Finder,
}

impl std::fmt::Debug for Scratch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scratch").field("text_bytes", &self.text.capacity()).finish_non_exhaustive()
    }
}

/// Checks that `payload` is one JSON object.
///
/// # Errors
/// What is wrong with it, and at which byte.
pub fn check_payload(payload: &[u8], scratch: &mut Scratch) -> Result<(), PayloadError> {
    parse(payload, scratch, |_, _| ())
}

/// Checks that `payload` is one JSON object and finds what `interest` asks for.
///
/// # Errors
/// What is wrong with it, and at which byte.
pub fn extract(
    payload: &[u8],
    scratch: &mut Scratch,
    interest: &Interest,
) -> Result<Fields, PayloadError> {
    parse(payload, scratch, |tape, finder| Fields::find(tape, interest, finder))
}

/// As [`extract`], and takes the key from the member `key_field` of the payload.
///
/// # Errors
/// What is wrong with the payload, and at which byte.
pub fn extract_with_key(
    payload: &[u8],
    scratch: &mut Scratch,
    interest: &Interest,
    key_field: &str,
) -> Result<(Fields, KeyField), PayloadError> {
    parse(payload, scratch, |tape, finder| {
        (Fields::find(tape, interest, finder), key_of(payload, tape, key_field))
    })
}

impl Fields {
    /// Whether a payload is one that is taken. Its fields are found when it is published.
    ///
    /// # Errors
    /// What is wrong with it, and at which byte.
    pub fn check(payload: &[u8]) -> Result<(), PayloadError> {
        parse(payload, &mut Scratch::default(), |_, _| ())
    }
}

/// Parses `payload` and hands its tape to `use_tape`.
fn parse<R>(
    payload: &[u8],
    scratch: &mut Scratch,
    use_tape: impl FnOnce(&[Node<'_>], &mut Finder) -> R,
) -> Result<R, PayloadError> {
    let Scratch { text, buffers, tape: kept, finder } = scratch;
    text.clear();
    text.extend_from_slice(payload);
    let mut tape = Tape(std::mem::take(kept)).reset();
    if simd_json::fill_tape(text, buffers, &mut tape).is_err() {
        *kept = tape.reset().0;
        soften(payload, text)?;
        tape = Tape(std::mem::take(kept)).reset();
        simd_json::fill_tape(text, buffers, &mut tape).map_err(|error| JsonError {
            at: error.index().min(payload.len()),
            problem: JsonProblem::ValueExpected,
        })?;
    }
    let used = match tape.0.first() {
        Some(Node::Object { .. }) if is_shallow(&tape.0) => Ok(use_tape(&tape.0, finder)),
        Some(Node::Object { .. }) => Err(fault_of(payload)),
        _ => Err(JsonError { at: first_byte(payload), problem: JsonProblem::NotAnObject }),
    };
    *kept = tape.reset().0;
    used
}

/// Checks that a JSON object that was read by another reader lies no deeper than `JSON_DEPTH_MAX` levels.
///
/// # Errors
/// At which byte it does.
pub fn check_depth(payload: &str) -> Result<(), PayloadError> {
    let opens = payload.bytes().filter(|byte| matches!(byte, b'{' | b'[')).count();
    if opens <= JSON_DEPTH_MAX {
        return Ok(());
    }
    let mut reader = Reader::new(payload);
    while reader.next_token()?.is_some() {}
    Ok(())
}

/// The fault that the strict reader finds in a text that the parser let pass: it is too deep.
fn fault_of(payload: &[u8]) -> JsonError {
    let mut reader = Reader::new(std::str::from_utf8(payload).unwrap_or_default());
    loop {
        match reader.next_token() {
            Err(error) => return error,
            Ok(Some(_)) => {}
            Ok(None) => return JsonError { at: 0, problem: JsonProblem::TooDeep },
        }
    }
}

fn first_byte(payload: &[u8]) -> usize {
    payload.iter().take_while(|byte| byte.is_ascii_whitespace()).count()
}

/// Whether no value lies deeper than `JSON_DEPTH_MAX` levels. A payload of few values cannot.
fn is_shallow(tape: &[Node<'_>]) -> bool {
    if tape.len() <= JSON_DEPTH_MAX {
        return true;
    }
    let mut ends: Vec<usize> = Vec::new();
    for (at, node) in tape.iter().enumerate() {
        while ends.last().is_some_and(|end| *end <= at) {
            ends.pop();
        }
        if let Node::Object { count, .. } | Node::Array { count, .. } = node {
            ends.push(at + 1 + count);
            if ends.len() > JSON_DEPTH_MAX {
                return false;
            }
        }
    }
    true
}

/// The key in the top-level member `name`. A number's text is not on the tape, so it is read from the payload itself.
fn key_of(payload: &[u8], tape: &[Node<'_>], name: &str) -> KeyField {
    let Some(at) = last_member(tape, name) else { return KeyField::Missing };
    match tape.get(at) {
        Some(Node::String(text)) if text.contains('\u{fffd}') => match scalar_of(payload, name) {
            Some(Token::Text(token)) if json::has_half_pair(token) => KeyField::NotText,
            _ => KeyField::Text(Arc::from(*text)),
        },
        Some(Node::String(text)) => KeyField::Text(Arc::from(*text)),
        Some(Node::Static(StaticNode::I64(_) | StaticNode::U64(_) | StaticNode::F64(_))) => {
            match scalar_of(payload, name) {
                Some(Token::Number(text)) => KeyField::Text(Arc::from(text)),
                _ => KeyField::NotScalar,
            }
        }
        _ => KeyField::NotScalar,
    }
}

fn last_member(tape: &[Node<'_>], name: &str) -> Option<usize> {
    let Some(Node::Object { len, .. }) = tape.first() else { return None };
    let mut at = 1;
    let mut found = None;
    for _ in 0..*len {
        if matches!(tape.get(at), Some(Node::String(member)) if *member == name) {
            found = Some(at + 1);
        }
        at += 1 + node_count(tape, at + 1);
    }
    found
}

/// The last number or string that is the value of the top-level member `name`, as it was written.
fn scalar_of<'a>(payload: &'a [u8], name: &str) -> Option<Token<'a>> {
    let mut reader = Reader::new(std::str::from_utf8(payload).ok()?);
    let mut depth = 0_usize;
    let mut is_next = false;
    let mut found = None;
    while let Ok(Some((_, token))) = reader.next_token() {
        match token {
            Token::ObjectStart | Token::ArrayStart => depth += 1,
            Token::ObjectEnd | Token::ArrayEnd => depth -= 1,
            Token::Number(_) | Token::Text(_) if is_next => found = Some(token),
            _ => {}
        }
        is_next =
            depth == 1 && matches!(token, Token::Name(member) if json::unescaped(member) == name);
    }
    found
}

/// The canonical text of one JSON value of any kind, as [`Value::Json`] has it.
///
/// # Errors
/// What is wrong with `text`, and at which byte.
pub fn canonical_json(text: &str, scratch: &mut Scratch) -> Result<String, JsonError> {
    // Wrapped, since the parser's caller asks for an object; the places of faults are those of the text alone.
    soften(text.as_bytes(), &mut scratch.text)?;
    let wrapped = [b"{\"\":", text.as_bytes(), b"}"].concat();
    parse(&wrapped, scratch, |tape, _| {
        let mut out = String::new();
        push_canonical(tape, 2, &mut out);
        out
    })
}

#[cfg(test)]
mod tests;
