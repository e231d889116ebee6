//! What goes wrong with a connection, and what a client is told of it.
//!
//! Invariant: what a server says of an error goes to the log, and to the client only as [`DatabaseSaid`].

use std::fmt;
use std::io;

use super::wire::Garbled;
use super::wire::Said;
use super::wire::Unread;
use crate::limits::POSTGRES_MESSAGE_BYTES_MAX;
use crate::tables::DatabaseSaid;
use crate::tables::ErrorCode;
use crate::tables::TableError;

/// Why something was not carried out.
#[derive(Debug)]
pub(super) enum Failure {
    /// The connection is gone, or never came about.
    Lost(io::Error),
    /// What came is no message of the protocol, or none that belongs there.
    Garbled,
    /// What came is longer than anything may be.
    TooLong,
    /// The statement took longer than it may, or nobody wants its answer any more.
    Over,
    /// The server refused it.
    Said(Box<Said>),
    /// Nobody may log in so.
    Login(Box<str>),
    /// What was asked for ended by somebody who took it.
    Taken(Box<TableError>),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Lost(error)
    }
}

impl From<Garbled> for Failure {
    fn from(_: Garbled) -> Self {
        Self::Garbled
    }
}

impl From<Unread> for Failure {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::Garbled => Self::Garbled,
            Unread::TooLong => Self::TooLong,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(error) => write!(f, "{error}"),
            Self::Garbled => f.write_str("what it says is not PostgreSQL's protocol"),
            Self::TooLong => f.write_str("it says more at once than is taken"),
            Self::Over => f.write_str("it takes longer than it may"),
            Self::Said(said) => write!(f, "{} ({})", said.message, said.state),
            Self::Login(why) => f.write_str(why),
            Self::Taken(error) => write!(f, "{error}"),
        }
    }
}

impl Failure {
    /// Whoever took what was asked for has ended it.
    pub(super) fn taken(error: TableError) -> Self {
        Self::Taken(Box::new(error))
    }

    /// Whether the connection can be used no more.
    pub(super) fn is_final(&self) -> bool {
        match self {
            Self::Lost(_) | Self::Garbled | Self::TooLong | Self::Over | Self::Login(_) => true,
            Self::Said(said) => is_end(&said.state),
            Self::Taken(_) => false,
        }
    }

    /// Whether the same may go well a little later: nobody is there, or it starts, stops or is full.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Lost(error) => error.kind() != io::ErrorKind::Other,
            Self::Over => true,
            Self::Said(said) => said.state.starts_with("57P") || said.state == "53300",
            Self::Garbled | Self::TooLong | Self::Login(_) | Self::Taken(_) => false,
        }
    }

    /// What a client is told.
    pub(super) fn to_table_error(&self, sql: &str) -> TableError {
        match self {
            Self::Taken(error) => TableError::clone(error),
            Self::Over => TableError::new(ErrorCode::TooSlow, "it takes longer than it may"),
            Self::TooLong => TableError::new(
                ErrorCode::TooLarge,
                format!("a row of the database has more than {POSTGRES_MESSAGE_BYTES_MAX} bytes"),
            ),
            Self::Said(said) if !is_end(&said.state) => refused(said, sql),
            lost => {
                tracing::debug!(%lost, "a connection to the tables' database is lost");
                unavailable()
            }
        }
    }
}

/// What a client is told of what the server said.
fn refused(said: &Said, sql: &str) -> TableError {
    let (code, message) = meaning(&said.state);
    if code == ErrorCode::Failed {
        let Said { state, message, .. } = said;
        tracing::warn!(state, message, sql, "the tables' database has failed");
    }
    let separator = if said.detail.is_empty() { "" } else { ": " };
    let detail = format!("{}{separator}{}", said.message, said.detail);
    let database = DatabaseSaid { detail: detail.into(), sql: sql.into() };
    let error = TableError { database: Some(Box::new(database)), ..TableError::new(code, message) };
    match said.column.as_str() {
        "" => error,
        column => error.at(&column.into()),
    }
}

/// What is said while the database cannot be reached.
pub(super) fn unavailable() -> TableError {
    TableError::new(ErrorCode::Unavailable, "the database cannot be reached just now")
}

/// Whether a state ends the connection: the server is going, or coming, or has no room for us.
fn is_end(state: &str) -> bool {
    // 57P01 to 57P05: it shuts down, has crashed, starts, the database is dropped, we were idle for too long.
    state.starts_with("57P")
        || state.starts_with("08")
        || state.starts_with("28")
        || state == "53300"
}

/// What a state means, as PostgreSQL's appendix A names it.
fn meaning(state: &str) -> (ErrorCode, &'static str) {
    match state {
        "23505" => (ErrorCode::KeyExists, "there is a row of this key already"),
        // What somebody stopped has taken too long: it is we who stop, or the server's own limits.
        "57014" | "25P03" => (ErrorCode::TooSlow, "it takes longer than it may"),
        "40001" | "40P01" | "55P03" => {
            (ErrorCode::Busy, "somebody else writes to the database just now")
        }
        "53100" | "53200" | "2200H" => (ErrorCode::Full, "the database is full"),
        "42501" => (ErrorCode::Forbidden, "the database does not let this server do so"),
        "25006" => (ErrorCode::ReadOnly, "the database is only read"),
        "54000" => (ErrorCode::TooLarge, "a value is too long for an index of the database"),
        _ if state.starts_with("22") => {
            (ErrorCode::BadValue, "a value is none of its column's type in the database")
        }
        _ if state.starts_with("23")
            || state.starts_with("44")
            || state == "428C9"
            || state == "P0001" =>
        {
            (ErrorCode::Constraint, "the database does not allow such a row")
        }
        _ if state.starts_with("53") => {
            (ErrorCode::Busy, "the database has no room for more just now")
        }
        _ => (ErrorCode::Failed, "the database has failed"),
    }
}
