//! What a client has asked that is not answered yet, and what has been read for it.
//!
//! Invariant: it holds all that it takes to answer, and says how many bytes that is. Never answers.

use crate::tables::Query;
use crate::tables::TableId;

/// What is not answered yet.
#[derive(Debug)]
pub(super) struct Asked {
    /// The request's.
    pub(super) id: String,
    pub(super) what: AskedFor,
}

#[derive(Debug)]
pub(super) enum AskedFor {
    List {
        query: Box<Query>,
        rows: String,
        count: u64,
    },
    One {
        query: Box<Query>,
        row: Option<String>,
    },
    /// What is said of the table, if its client may read it.
    Meta {
        about: String,
    },
    Write {
        table: TableId,
        operation: Operation,
    },
    Subscribe {
        about: String,
    },
}

impl Asked {
    /// Bytes of what was asked, and of what has been read for it.
    pub(super) fn held_bytes(&self) -> usize {
        let of_kind = match &self.what {
            AskedFor::List { query, rows, .. } => query.weight_bytes() + rows.capacity(),
            AskedFor::One { query, row } => {
                query.weight_bytes() + row.as_ref().map_or(0, String::capacity)
            }
            AskedFor::Meta { about } | AskedFor::Subscribe { about } => about.capacity(),
            AskedFor::Write { .. } => 0,
        };
        self.id.capacity() + of_kind
    }
}

/// What is done to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Create,
    Update,
    Delete,
}

impl Operation {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}
