//! Tables as a database has them, for those that are taken by their names: which names are meant, and what is found.
//!
//! Invariant: what nobody names is not found. Never reads a database itself.

use crate::tables::Type;
use crate::tables::like::is_like;

/// A table's name, or a pattern of names in which `*` is any text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePattern {
    text: String,
    /// The same as a pattern of LIKE.
    like: String,
}

impl NamePattern {
    /// As an operator writes it.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut like = String::with_capacity(text.len());
        for c in text.chars() {
            match c {
                '*' => like.push('%'),
                '%' | '_' | '\\' => like.extend(['\\', c]),
                c => like.push(c),
            }
        }
        Self { text: text.to_owned(), like }
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is the name of one table.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        !self.text.contains('*')
    }

    /// Whether a name is meant.
    #[must_use]
    pub fn takes(&self, name: &str) -> bool {
        is_like(&self.like, name, false)
    }
}

/// A table as a database has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundTable {
    /// As it was asked for.
    pub name: String,
    /// What else it may be called.
    pub alias: Option<String>,
    pub columns: Vec<FoundColumn>,
}

/// A column of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundColumn {
    pub name: String,
    /// As the database calls its type.
    pub declared: String,
    /// The type of ours whose values it holds; `None`: none.
    pub kind: Option<Type>,
    /// The column is one of the primary key's.
    pub is_key: bool,
    /// The column is never null, and nothing gives it a value.
    pub is_required: bool,
    /// A row that comes without it is given the next number.
    pub is_generated: bool,
    pub is_indexed: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_text_and_everything_else_is_itself() {
        for (pattern, taken, not) in [
            ("public.users", &["public.users"][..], &["public.user", "public_users"][..]),
            ("public.*", &["public.users", "public."], &["publicXusers", "house.users"]),
            ("*_log", &["a_log", "_log"], &["alog", "a_logs", "axlog"]),
            ("a%b", &["a%b"], &["axb", "ab"]),
            (r"a\*", &[r"a\", r"a\b"], &["a*", "ab"]),
            ("*", &["anything", ""], &[]),
        ] {
            let pattern = NamePattern::new(pattern);
            for name in taken {
                assert!(pattern.takes(name), "{pattern:?} {name}");
            }
            for name in not {
                assert!(!pattern.takes(name), "{pattern:?} {name}");
            }
        }
        assert!(NamePattern::new("users").is_exact() && !NamePattern::new("user*").is_exact());
    }
}
