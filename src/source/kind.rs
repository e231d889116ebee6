//! What a kind of source declares: its word, its settings, and what opens it. All kinds stand in one list, [`KINDS`](super::KINDS).
//!
//! To add a kind: its file, its line in the list, a page in `docs/sources`. Its settings stand in `[[source]]` beside those that every source has (`name`, `kind`, and what its messages become); the configuration reads
//! them by what is declared here, and lists them on its page. Invariant: a setting that is read was declared, with the type with which it is read.

use std::fmt;
use std::fs;
use std::path::Path;

use super::connector::Connector;
use crate::limits::SOURCE_SECRET_BYTES_MAX;

/// A kind of source.
pub struct Kind {
    /// `kind = "nats"`.
    pub name: &'static str,
    /// What it is, in whole sentences: for the page about the configuration.
    pub doc: &'static str,
    /// What may be set of it beside what may be set of every source.
    pub settings: &'static [Setting],
    /// Makes a connector that has not connected yet. Called when the server starts, when its configuration is checked and when it is read anew: it asks nobody, but reads files that are named.
    pub open: fn(&Values) -> Result<Box<dyn Connector>, Unfit>,
}

impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Kind {}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kind").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Something that may be set.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    pub name: &'static str,
    pub takes: Takes,
    /// What the setting means, in whole sentences.
    pub doc: &'static str,
}

/// Which values a setting may have, and which it has by itself.
#[derive(Clone, Copy, Debug)]
pub enum Takes {
    /// A string that has to be there.
    Required,
    Text {
        default: &'static str,
    },
    /// One of some words; the first by itself.
    Word {
        of: &'static [&'static str],
    },
    Switch {
        default: bool,
    },
    Number {
        min: u64,
        max: u64,
        default: u64,
        unit: &'static str,
    },
    /// Strings; none by themselves.
    List,
}

/// A value of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Text(String),
    Switch(bool),
    Number(u64),
    List(Vec<String>),
}

/// What is set of one source, of everything that its kind declares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Values {
    /// The source's name, for what it calls itself at its far end.
    pub source: String,
    values: Vec<(&'static str, Value)>,
}

/// A setting that a connector cannot be opened with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit {
    /// Which setting.
    pub setting: &'static str,
    pub why: String,
}

impl Unfit {
    /// Of a setting, and why.
    #[must_use]
    pub fn new(setting: &'static str, why: impl fmt::Display) -> Self {
        Self { setting, why: why.to_string() }
    }
}

impl Values {
    /// What a kind's settings are by themselves; what is required is empty.
    #[must_use]
    pub fn of(kind: &Kind, source: &str) -> Self {
        let default = |setting: &Setting| match setting.takes {
            Takes::Required => Value::Text(String::new()),
            Takes::Text { default } => Value::Text(default.to_owned()),
            Takes::Word { of } => Value::Text(of.first().copied().unwrap_or_default().to_owned()),
            Takes::Switch { default } => Value::Switch(default),
            Takes::Number { default, .. } => Value::Number(default),
            Takes::List => Value::List(Vec::new()),
        };
        let values = kind.settings.iter().map(|setting| (setting.name, default(setting)));
        Self { source: source.to_owned(), values: values.collect() }
    }

    /// Sets one that is declared.
    pub fn set(&mut self, name: &str, value: Value) {
        if let Some((_, slot)) = self.values.iter_mut().find(|(of, _)| *of == name) {
            *slot = value;
        }
    }

    /// A string; empty if it is none.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        match self.find(name) {
            Some(Value::Text(text)) => text,
            _ => "",
        }
    }

    #[must_use]
    pub fn switch(&self, name: &str) -> bool {
        matches!(self.find(name), Some(Value::Switch(true)))
    }

    #[must_use]
    pub fn number(&self, name: &str) -> u64 {
        match self.find(name) {
            Some(Value::Number(number)) => *number,
            _ => 0,
        }
    }

    #[must_use]
    pub fn list(&self, name: &str) -> &[String] {
        match self.find(name) {
            Some(Value::List(list)) => list,
            _ => &[],
        }
    }

    /// What stands in the file that a setting names (a password, a token), without white space at its end; `None`: the setting names none.
    ///
    /// # Errors
    /// The file cannot be read, or holds more than `SOURCE_SECRET_BYTES_MAX` bytes or something that is no text.
    pub fn secret(&self, name: &'static str) -> Result<Option<String>, Unfit> {
        let path = self.text(name);
        if path.is_empty() {
            return Ok(None);
        }
        let bytes = self.file(name)?.unwrap_or_default();
        let text = String::from_utf8(bytes)
            .map_err(|_| Unfit::new(name, format!("`{path}` is not UTF-8")))?;
        Ok(Some(text.trim_end().to_owned()))
    }

    /// The bytes of the file that a setting names (certificates); `None`: the setting names none.
    ///
    /// # Errors
    /// As of [`Values::secret`], but it may hold anything.
    pub fn file(&self, name: &'static str) -> Result<Option<Vec<u8>>, Unfit> {
        let path = self.text(name);
        if path.is_empty() {
            return Ok(None);
        }
        let unread = |error| Unfit::new(name, format!("`{path}` cannot be read: {error}"));
        let size = fs::metadata(Path::new(path)).map_err(unread)?.len();
        if size > SOURCE_SECRET_BYTES_MAX {
            let why = format!("`{path}` has {size} bytes, and may have {SOURCE_SECRET_BYTES_MAX}");
            return Err(Unfit::new(name, why));
        }
        fs::read(Path::new(path)).map(Some).map_err(unread)
    }

    fn find(&self, name: &str) -> Option<&Value> {
        self.values.iter().find(|(of, _)| *of == name).map(|(_, value)| value)
    }
}
