//! The members of a message, each taken at most once, so that what nobody took is known to be unknown.
//!
//! Never guesses: a text that is not JSON is refused with the byte at which it is not.

use std::fmt;

use serde_json::value::RawValue;

use super::options::bad;
use crate::dialect::Refusal;
use crate::dialect::RefusalCode;
use crate::dialect::json;
use crate::dialect::json::Word;

/// Reads a value of a type.
pub(super) fn read<'a, T: serde::Deserialize<'a>>(
    raw: &'a RawValue,
    field: &str,
    wanted: &str,
) -> Result<T, Refusal> {
    serde_json::from_str(raw.get())
        .map_err(|_| bad(field, format_args!("`{field}` must be {wanted}")))
}

/// An object's members in the order written, each taken at most once.
pub(super) struct Members<'a>(pub(super) Vec<(Word<'a>, &'a RawValue)>);

impl<'a> Members<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, Refusal> {
        json::members_by(text).map(Self).map_err(|e| {
            let refusal = format_args!("{} at byte {}", Reason(&e), e.column().saturating_sub(1));
            Refusal::new(RefusalCode::BadJson, refusal)
        })
    }

    pub(super) fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        let index = self.0.iter().position(|(Word(key), _)| key == name)?;
        Some(self.0.swap_remove(index).1)
    }

    pub(super) fn none_left(&self, of: &str) -> Result<(), Refusal> {
        match self.0.first() {
            None => Ok(()),
            Some((Word(name), _)) => Err(Refusal::of(
                RefusalCode::UnknownField,
                name,
                format_args!("`{of}` has no member `{name}`, or it stands twice"),
            )),
        }
    }
}

/// `serde_json`'s reason without its line and column, which say less than the byte does.
struct Reason<'a>(&'a serde_json::Error);

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        f.write_str(text.split(" at line ").next().unwrap_or(&text))
    }
}
