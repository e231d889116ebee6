//! What a connection to a database is for, whichever database it is.
//!
//! Never opens one: how a purpose is kept to is each backend's own.

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Read,
    Write,
}
