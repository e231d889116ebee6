//! Texts with references in them: `fleet/{subject.1}/{/vehicle/id|unknown}`.
//!
//! Invariant: whatever text is read, a template is made of it or the place of what is wrong is named; what a reference means never depends on the message.

use super::pointer::Pointer;
use crate::limits::SOURCE_TEMPLATE_BYTES_MAX;

/// A text with references in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template(pub(super) Vec<Part>);

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Text(Box<str>),
    Reference(Reference),
}

/// What stands in braces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reference {
    pub(super) base: Base,
    /// Where in it, if it is taken for JSON.
    pub(super) pointer: Option<Pointer>,
    /// What stands for it where it is not there.
    pub(super) default: Option<Box<str>>,
    /// As it was written, for what is said of it.
    pub(super) said: Box<str>,
}

/// What is referred to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Base {
    /// The message's payload, or the part of it at hand where it is split.
    Payload,
    /// The whole payload, where it is split.
    Whole,
    /// The payload's bytes as a text, whether they are JSON or not.
    Text,
    /// What the message was sent under, or one part of that, counted from 0.
    Subject(Option<usize>),
    /// The same with `/` between its parts, as a topic has it.
    Path,
    Key,
    Header(Box<str>),
    /// When the message was made.
    Time,
    /// The source's name.
    Source,
}

/// What is wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TemplateError {
    /// The character, counted from 1.
    pub(super) at: usize,
    pub(super) why: String,
}

impl std::fmt::Display for TemplateError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (character {})", self.why, self.at)
    }
}

impl Template {
    /// Reads one.
    pub(super) fn new(text: &str) -> Result<Self, TemplateError> {
        if text.len() > SOURCE_TEMPLATE_BYTES_MAX {
            let why =
                format!("it may have {SOURCE_TEMPLATE_BYTES_MAX} bytes, and has {}", text.len());
            return Err(TemplateError { at: 1, why });
        }
        let mut parts = Vec::new();
        let mut constant = String::new();
        let mut rest = text;
        while let Some(place) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(place);
            constant.push_str(before);
            let wrong = |why: String| {
                let at = text.chars().count() - from.chars().count() + 1;
                TemplateError { at, why }
            };
            if let Some(after) = from.strip_prefix("{{").or_else(|| from.strip_prefix("}}")) {
                constant.extend(from.chars().next());
                rest = after;
                continue;
            }
            let Some(inside) = from.strip_prefix('{') else {
                return Err(wrong("a `}` that closes nothing; `}}` stands for one".to_owned()));
            };
            let Some((said, after)) = inside.split_once('}') else {
                return Err(wrong("a `{` that is not closed; `{{` stands for one".to_owned()));
            };
            if !constant.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut constant).into()));
            }
            parts.push(Part::Reference(Reference::new(said).map_err(wrong)?));
            rest = after;
        }
        constant.push_str(rest);
        if !constant.is_empty() {
            parts.push(Part::Text(constant.into()));
        }
        Ok(Self(parts))
    }

    /// The text that it is, if there is no reference in it.
    pub(super) fn constant(&self) -> Option<&str> {
        match &self.0[..] {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The one reference that it is, if there is nothing else in it.
    pub(super) fn reference(&self) -> Option<&Reference> {
        match &self.0[..] {
            [Part::Reference(reference)] => Some(reference),
            _ => None,
        }
    }
}

impl Reference {
    /// Reads what stands between the braces.
    pub(super) fn new(said: &str) -> Result<Self, String> {
        let (what, default) = match said.split_once('|') {
            Some((what, default)) => (what, Some(default.into())),
            None => (said, None),
        };
        let (name, pointer) = match what.find('/') {
            Some(place) => {
                let (name, pointer) = what.split_at(place);
                (name, Some(Pointer::new(pointer)?))
            }
            None => (what, None),
        };
        let base = match name.split_once('.') {
            Some(("subject", number)) => {
                let number = number.parse();
                Base::Subject(Some(number.map_err(|_| {
                    format!("`{name}`: which part of the subject must be a number from 0")
                })?))
            }
            Some(("header", header)) if !header.is_empty() => Base::Header(header.into()),
            _ => match name {
                "" if pointer.is_some() => Base::Payload,
                "payload" => Base::Payload,
                "whole" => Base::Whole,
                "text" => Base::Text,
                "subject" => Base::Subject(None),
                "path" => Base::Path,
                "key" => Base::Key,
                "time" => Base::Time,
                "source" => Base::Source,
                _ => {
                    return Err(format!(
                        "`{{{said}}}`: there is no `{name}`; there are `payload`, `whole`, `text`, `subject`, `subject.N`, `path`, `key`, `header.NAME`, `time`, `source`, and places in the payload (`/a/b`)"
                    ));
                }
            },
        };
        let is_json = matches!(base, Base::Payload | Base::Whole | Base::Key | Base::Header(_));
        if pointer.is_some() && !is_json {
            return Err(format!("`{{{said}}}`: there is nothing within `{name}`"));
        }
        Ok(Self { base, pointer, default, said: said.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_text_and_references() {
        let template = Template::new("a/{{x}}/{subject.2}-{key/0|none}{/b}").unwrap();
        let Template(parts) = &template;
        assert_eq!(parts.len(), 5);
        assert_eq!(parts[0], Part::Text("a/{x}/".into()));
        let Part::Reference(key) = &parts[3] else { panic!("{parts:?}") };
        assert_eq!((&key.base, key.default.as_deref()), (&Base::Key, Some("none")));
        assert_eq!(template.constant(), None);
        assert_eq!(Template::new("").unwrap().constant(), Some(""));
        assert_eq!(Template::new("x").unwrap().constant(), Some("x"));
        let header = Template::new("{header.ce-type/a}").unwrap();
        assert_eq!(header.reference().unwrap().base, Base::Header("ce-type".into()));
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (text, said) in [
            ("a{", "a `{` that is not closed; `{{` stands for one (character 2)"),
            ("ä}b", "a `}` that closes nothing; `}}` stands for one (character 2)"),
            (
                "{subject.x}",
                "`subject.x`: which part of the subject must be a number from 0 (character 1)",
            ),
            ("{time/a}", "`{time/a}`: there is nothing within `time` (character 1)"),
        ] {
            assert_eq!(Template::new(text).unwrap_err().to_string(), said, "{text}");
        }
        assert!(Template::new("{nothing}").unwrap_err().why.contains("there is no `nothing`"));
        assert!(Template::new("{}").is_err() && Template::new("{header.}").is_err());
        assert!(Template::new(&"x".repeat(SOURCE_TEMPLATE_BYTES_MAX + 1)).is_err());
    }
}
