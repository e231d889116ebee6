//! What a key takes: which values are possible, and where in the configuration they are put.
//!
//! Invariant: a value that is none of those that are possible is put nowhere. Never knows which keys there are.

use std::net::SocketAddr;

use toml::Spanned;
use toml::de::DeValue;

use super::Config;
use super::error::Problem;
use super::listen::Listen;
use crate::limits::LISTENS_MAX;

/// Something that may be set of the server; what may be set of a dialect is declared in its folder (`dialects`).
pub(super) struct Key {
    /// With its table's name in front: `history.age_s_max`.
    pub(super) name: &'static str,
    pub(super) takes: Takes<Config>,
    /// The default as it would be written in the file.
    pub(super) default: &'static str,
    pub(super) unit: &'static str,
    pub(super) doc: &'static str,
}

/// What kind of value a key has, which ones are possible, and where in `C` it is put.
pub(super) enum Takes<C> {
    Address(fn(&mut C) -> &mut SocketAddr),
    /// An address, or an empty string for none.
    AddressOrNone(fn(&mut C) -> &mut Option<SocketAddr>),
    /// Addresses, each with what is spoken there if that is said: one, a list of them, or an empty string for none.
    Listens(fn(&mut C) -> &mut Vec<Listen>),
    Switch(fn(&mut C) -> &mut bool),
    Number {
        min: u64,
        max: u64,
        field: fn(&mut C) -> &mut u64,
    },
    Text {
        field: fn(&mut C) -> &mut String,
    },
    /// A string that not every text is.
    Checked {
        values: &'static str,
        check: fn(&str) -> Result<(), String>,
        field: fn(&mut C) -> &mut String,
    },
    List(fn(&mut C) -> &mut Vec<String>),
    Choice {
        of: &'static [&'static str],
        set: fn(&mut C, &str),
    },
}

impl<C> Takes<C> {
    /// Which values are possible, as the page says it.
    pub(super) fn values(&self, unit: &str) -> String {
        match self {
            Self::Address(_) | Self::AddressOrNone(_) | Self::Listens(_) => unit.to_owned(),
            Self::Text { .. } => "a string".to_owned(),
            Self::Checked { values, .. } => (*values).to_owned(),
            Self::List(_) => "a list of strings".to_owned(),
            Self::Switch(_) => "`true`, `false`".to_owned(),
            Self::Number { min, max, .. } => format!("{min} to {max} {unit}"),
            Self::Choice { of, .. } => {
                of.iter().map(|word| format!("`\"{word}\"`")).collect::<Vec<_>>().join(", ")
            }
        }
    }

    /// Whether what stands on the command line is a word, which needs no quotes there.
    pub(super) fn is_word(&self, text: &str) -> bool {
        match self {
            Self::Address(_)
            | Self::AddressOrNone(_)
            | Self::Text { .. }
            | Self::Checked { .. }
            | Self::Choice { .. } => true,
            // A list of addresses is no address, which may begin with a bracket as well.
            Self::Listens(_) => !text.starts_with("['") && !text.starts_with("[\""),
            Self::Switch(_) | Self::Number { .. } | Self::List(_) => false,
        }
    }
}

/// Puts a value where it belongs.
///
/// # Errors
/// If it is none of those that are possible.
pub(super) fn put<C>(config: &mut C, takes: &Takes<C>, value: &DeValue<'_>) -> Result<(), Problem> {
    let wrong = |wanted| Problem::WrongType { wanted, found: type_name(value) };
    match takes {
        Takes::Address(field) => {
            let DeValue::String(text) = value else { return Err(wrong("a string")) };
            *field(config) =
                text.parse().map_err(|_| Problem::NotAnAddress { found: text.as_ref().into() })?;
        }
        Takes::AddressOrNone(field) => {
            let DeValue::String(text) = value else { return Err(wrong("a string")) };
            *field(config) = match text.as_ref() {
                "" => None,
                text => {
                    Some(text.parse().map_err(|_| Problem::NotAnAddress { found: text.into() })?)
                }
            };
        }
        Takes::Listens(field) => {
            let texts = match value {
                DeValue::String(text) if text.is_empty() => Vec::new(),
                DeValue::String(text) => vec![text.as_ref().to_owned()],
                DeValue::Array(_) => strings(value, 0).map_err(|(_, problem)| problem)?,
                _ => return Err(wrong("a string or a list of strings")),
            };
            if texts.len() > LISTENS_MAX {
                let reason = format!("at most {LISTENS_MAX} addresses are listened on").into();
                return Err(Problem::Unusable { reason });
            }
            let read = texts.iter().map(|text| {
                Listen::read(text)
                    .ok_or_else(|| Problem::NotAnAddress { found: text.as_str().into() })
            });
            *field(config) = read.collect::<Result<_, _>>()?;
        }
        Takes::List(field) => {
            *field(config) = strings(value, 0).map_err(|(_, problem)| problem)?;
        }
        Takes::Text { field } => {
            let DeValue::String(text) = value else { return Err(wrong("a string")) };
            text.as_ref().clone_into(field(config));
        }
        Takes::Checked { check, field, .. } => {
            let DeValue::String(text) = value else { return Err(wrong("a string")) };
            check(text).map_err(|reason| Problem::Unusable { reason: reason.into() })?;
            text.as_ref().clone_into(field(config));
        }
        Takes::Switch(field) => {
            let DeValue::Boolean(on) = value else { return Err(wrong("true or false")) };
            *field(config) = *on;
        }
        Takes::Number { min, max, field } => {
            let DeValue::Integer(number) = value else { return Err(wrong("a whole number")) };
            // What does not even fit 64 bits is out of range all the same.
            let parsed = u64::from_str_radix(number.as_str(), number.radix()).ok();
            let in_range = parsed.filter(|number| (*min..=*max).contains(number));
            let out_of_range =
                || Problem::OutOfRange { found: number.to_string().into(), min: *min, max: *max };
            *field(config) = in_range.ok_or_else(out_of_range)?;
        }
        Takes::Choice { of, set } => {
            let DeValue::String(word) = value else { return Err(wrong("a string")) };
            if !of.contains(&word.as_ref()) {
                return Err(Problem::NotOneOf { found: word.as_ref().into(), of });
            }
            set(config, word);
        }
    }
    Ok(())
}

/// A list of strings; an error comes with where it is, if it has a place of its own.
pub(super) fn strings(value: &DeValue<'_>, at: usize) -> Result<Vec<String>, (usize, Problem)> {
    let wrong = |value: &DeValue<'_>, at| {
        let wanted = "a list of strings";
        (at, Problem::WrongType { wanted, found: type_name(value) })
    };
    let DeValue::Array(list) = value else { return Err(wrong(value, at)) };
    let text = |value: &Spanned<DeValue<'_>>| match value.get_ref() {
        DeValue::String(text) => Ok(text.as_ref().to_owned()),
        other => Err(wrong(other, value.span().start)),
    };
    list.iter().map(text).collect()
}

pub(super) const fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
