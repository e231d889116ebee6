//! A message as a mapping looks at it: what each reference finds in it.
//!
//! Invariant: what a reference finds is text of the message as it stands there; where nothing stands, and no default is given, that is a fault with the reference's own words.

use std::borrow::Cow;

use super::MapFault;
use super::template::Base;
use super::template::Part;
use super::template::Reference;
use super::template::Template;
use crate::event::json::push_string;
use crate::event::json::unescaped;
use crate::event::moment::put_seconds;
use crate::source::connector::Message;

/// A message, or one part of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    pub(super) source: &'a str,
    pub(super) message: &'a Message,
    /// `None`: the payload is not UTF-8.
    pub(super) whole: Option<&'a str>,
    /// The part at hand, where the payload is split.
    pub(super) part: Option<&'a str>,
    pub(super) time_us: u64,
}

/// What a reference finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    Nothing,
    Text(Cow<'a, str>),
    /// A value of JSON, as it is written.
    Json(&'a str),
}

impl<'a> View<'a> {
    /// What a reference finds, its default not looked at.
    pub(super) fn find(&self, reference: &Reference) -> Result<Found<'a>, MapFault> {
        let found = match &reference.base {
            Base::Payload => self.json(self.part.or(self.whole), reference),
            Base::Whole => self.json(self.whole, reference),
            Base::Text => self.text(self.part.or(self.whole), reference),
            Base::Key => self.bytes(self.message.key.as_deref(), reference),
            Base::Header(name) => {
                let mut headers = self.message.headers.iter();
                let found = headers.find(|(of, _)| of.eq_ignore_ascii_case(name));
                self.bytes(found.map(|(_, value)| &**value), reference)
            }
            Base::Subject(None) => Ok(said(self.message.subject.as_deref())),
            Base::Subject(Some(index)) => {
                let subject = self.message.subject.as_deref();
                Ok(said(subject.and_then(|subject| parts(subject).nth(*index))))
            }
            Base::Path => Ok(match self.message.subject.as_deref() {
                Some(subject) => {
                    let path: Vec<&str> = parts(subject).collect();
                    Found::Text(path.join("/").into())
                }
                None => Found::Nothing,
            }),
            Base::Time => {
                let mut text = Vec::new();
                put_seconds(self.time_us, &mut text);
                Ok(Found::Text(String::from_utf8(text).unwrap_or_default().into()))
            }
            Base::Source => Ok(said(Some(self.source))),
        };
        found.map_err(|why| MapFault::new(format!("`{{{}}}`: {why}", reference.said)))
    }

    fn json(&self, text: Option<&'a str>, reference: &Reference) -> Result<Found<'a>, String> {
        let Some(text) = text else { return Err("the payload is not UTF-8".to_owned()) };
        let trimmed = text.trim_ascii();
        match &reference.pointer {
            _ if trimmed.is_empty() => Ok(Found::Nothing),
            None => Ok(Found::Json(trimmed)),
            Some(pointer) => {
                let found = pointer.find(text).map_err(|error| format!("not JSON: {error}"))?;
                Ok(found.map_or(Found::Nothing, Found::Json))
            }
        }
    }

    fn text(&self, text: Option<&'a str>, _: &Reference) -> Result<Found<'a>, String> {
        let text = text.ok_or_else(|| "the payload is not UTF-8".to_owned())?;
        Ok(Found::Text(text.into()))
    }

    fn bytes(&self, bytes: Option<&'a [u8]>, reference: &Reference) -> Result<Found<'a>, String> {
        let Some(bytes) = bytes else { return Ok(Found::Nothing) };
        let text = std::str::from_utf8(bytes).map_err(|_| "not UTF-8".to_owned())?;
        match &reference.pointer {
            None => Ok(Found::Text(text.into())),
            Some(_) => self.json(Some(text), reference),
        }
    }

    /// What a template makes of it, as a text.
    pub(super) fn text_of(&self, template: &Template) -> Result<String, MapFault> {
        let mut out = String::new();
        for part in &template.0 {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Reference(reference) => out.push_str(&self.text_found(reference)?),
            }
        }
        Ok(out)
    }

    /// What one reference finds, as a text: of a JSON string what it stands for, of a number or a truth as it is written.
    fn text_found<'s>(&'s self, reference: &'s Reference) -> Result<Cow<'s, str>, MapFault> {
        let missing = || match &reference.default {
            Some(default) => Ok(Cow::Borrowed(&**default)),
            None => Err(MapFault::new(format!("`{{{}}}` is not there", reference.said))),
        };
        match self.find(reference)? {
            Found::Nothing | Found::Json("null") => missing(),
            Found::Text(text) => Ok(text),
            Found::Json(raw) => match raw.bytes().next() {
                Some(b'{' | b'[') => {
                    let kind = if raw.starts_with('{') { "an object" } else { "an array" };
                    Err(MapFault::new(format!("`{{{}}}` is {kind}, and no text", reference.said)))
                }
                Some(b'"') => Ok(string_of(raw)),
                _ => Ok(raw.into()),
            },
        }
    }

    /// What a template makes of it, as a value of JSON, behind what is there; false: there is no value, as its one reference finds nothing and defaults to nothing.
    pub(super) fn push_json(
        &self,
        template: &Template,
        out: &mut String,
    ) -> Result<bool, MapFault> {
        let Some(reference) = template.reference() else {
            push_string(&self.text_of(template)?, out);
            return Ok(true);
        };
        match (self.find(reference)?, reference.default.as_deref()) {
            (Found::Json(raw), _) => out.push_str(raw),
            (Found::Text(text), _) => push_string(&text, out),
            (Found::Nothing, Some("")) => return Ok(false),
            (Found::Nothing, Some(default)) if is_literal(default) => out.push_str(default),
            (Found::Nothing, Some(default)) => push_string(default, out),
            (Found::Nothing, None) => {
                return Err(MapFault::new(format!("`{{{}}}` is not there", reference.said)));
            }
        }
        Ok(true)
    }
}

/// The text that a JSON string stands for.
pub(super) fn string_of(raw: &str) -> Cow<'_, str> {
    let inside = raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    unescaped(inside.unwrap_or(raw))
}

/// Whether a default is a number, a truth or null, and stands without quotes.
fn is_literal(text: &str) -> bool {
    matches!(text, "true" | "false" | "null")
        || serde_json::from_str::<serde_json::Number>(text).is_ok()
}

fn said(text: Option<&str>) -> Found<'_> {
    text.map_or(Found::Nothing, |text| Found::Text(text.into()))
}

/// The parts of a subject, whatever its far end separates them by.
fn parts(subject: &str) -> impl Iterator<Item = &str> {
    subject.split(['/', '.', ':'])
}
