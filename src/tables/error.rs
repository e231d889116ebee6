//! Why something asked of a table is refused or went wrong: a code for programs, and words that say what and where.
//!
//! Invariant: what a message says is ours or the schema's, and a value that the client sent itself; what a database says of itself goes to the log, and
//! to the client only as [`TableError::database`], which a dialect may leave out.

use std::fmt;
use std::sync::Arc;

/// Why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    UnknownTable,
    UnknownColumn,
    UnknownRelation,
    /// A value is none of its column's type.
    BadValue,
    /// A column cannot be tested or sorted by in this way.
    CannotFilter,
    /// The table is only read.
    ReadOnly,
    /// The client may not read or write this table, or this row.
    Forbidden,
    /// There is no such row.
    NotFound,
    /// There is a row of this key already.
    KeyExists,
    /// What the database demands of its rows does not hold.
    Constraint,
    /// What is asked for is larger than may be.
    TooLarge,
    /// There is no room for more rows.
    Full,
    /// The query or write took longer than it may.
    TooSlow,
    /// More is asked just now than is answered; try again.
    Busy,
    /// The database is not there; try again.
    Unavailable,
    /// The database failed.
    Failed,
}

impl ErrorCode {
    pub const ALL: [Self; 16] = [
        Self::UnknownTable,
        Self::UnknownColumn,
        Self::UnknownRelation,
        Self::BadValue,
        Self::CannotFilter,
        Self::ReadOnly,
        Self::Forbidden,
        Self::NotFound,
        Self::KeyExists,
        Self::Constraint,
        Self::TooLarge,
        Self::Full,
        Self::TooSlow,
        Self::Busy,
        Self::Unavailable,
        Self::Failed,
    ];

    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::UnknownTable => "unknown_table",
            Self::UnknownColumn => "unknown_column",
            Self::UnknownRelation => "unknown_relation",
            Self::BadValue => "bad_value",
            Self::CannotFilter => "cannot_filter",
            Self::ReadOnly => "read_only",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::KeyExists => "key_exists",
            Self::Constraint => "constraint",
            Self::TooLarge => "too_large",
            Self::Full => "full",
            Self::TooSlow => "too_slow",
            Self::Busy => "busy",
            Self::Unavailable => "unavailable",
            Self::Failed => "failed",
        }
    }

    /// Whether the same may be answered a little later.
    #[must_use]
    pub const fn is_passing(self) -> bool {
        matches!(self, Self::TooSlow | Self::Busy | Self::Unavailable)
    }
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableError {
    pub code: ErrorCode,
    /// In words, without a full stop.
    pub message: Arc<str>,
    /// The column, relation or table that it is about.
    pub place: Option<Arc<str>>,
    /// `Some`: a database has failed or refused, and this is what it says.
    pub database: Option<Box<DatabaseSaid>>,
}

/// What a database says of a statement that it did not carry out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatabaseSaid {
    /// As it says it.
    pub detail: Box<str>,
    /// The statement, with its parameters as `?1` or `$1`: never a value.
    pub sql: Box<str>,
}

impl TableError {
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<Arc<str>>) -> Self {
        Self { code, message: message.into(), place: None, database: None }
    }

    /// The same, and which column, relation or table it is about.
    #[must_use]
    pub fn at(self, place: &Arc<str>) -> Self {
        Self { place: Some(Arc::clone(place)), ..self }
    }

    /// There is no such table.
    #[must_use]
    pub fn unknown_table(name: &str) -> Self {
        Self::new(ErrorCode::UnknownTable, "there is no such table").at(&name.into())
    }

    /// There is no such column.
    #[must_use]
    pub fn unknown_column(name: &str) -> Self {
        Self::new(ErrorCode::UnknownColumn, "there is no such column").at(&name.into())
    }
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for TableError {}
