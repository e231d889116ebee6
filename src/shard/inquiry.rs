//! What an operator wants to know of a shard or have done there, and what it finds: the words that shards pass to one another for that.
//!
//! Invariant: an answer has at most `ADMIN_ROWS_MAX` rows, whatever is asked. Never carries anything out.

use std::sync::Arc;

use super::input::ConnRef;
use crate::event::Event;
use crate::event::ShardId;
use crate::event::TopicName;

/// A connection as an operator names it: shard, place and generation with `-` between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnName {
    pub shard: ShardId,
    pub conn: ConnRef,
}

/// A question for one shard.
#[derive(Clone, Debug)]
pub enum Inquiry {
    /// Connections from this place on, at most so many.
    Connections { from: u32, rows: usize },
    /// The connections that are owed the most, at most so many.
    Slowest { rows: usize },
    /// Topics at home there, behind this name, at most so many.
    Topics { after: Box<str>, rows: usize },
    /// A connection is to be closed, and told why.
    Disconnect { conn: ConnRef, reason: Box<str> },
    /// An event at home there, about which the shard of this connection is asked then.
    Find { conn: ConnName, topic: TopicName, offset: u64 },
    /// What becomes of an event on this connection.
    Explain { conn: ConnRef, event: Arc<Event>, is_real: bool },
}

/// What a shard has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    pub rows: Vec<Finding>,
    /// Of connections: the place at which the next page begins.
    pub next: Option<u32>,
    /// What there is not, of what was asked about.
    pub missing: Option<&'static str>,
}

/// One row of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Rows that are owed the most come first.
    pub owed_bytes: u64,
    /// What rows are sorted by if they are owed alike.
    pub name: String,
    /// The row as JSON.
    pub json: String,
}

impl Findings {
    /// Something that was asked about is not there.
    pub(super) fn missing(what: &'static str) -> Self {
        Self { missing: Some(what), ..Self::default() }
    }

    /// Bytes that it takes.
    pub(super) fn weight_bytes(&self) -> usize {
        let row = |row: &Finding| size_of::<Finding>() + row.name.len() + row.json.len();
        self.rows.iter().map(row).sum()
    }
}

impl ConnName {
    /// Reads one; `None`: it is none.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let (shard, id, generation) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let id = super::input::ConnId(id.parse().ok()?);
        let conn = ConnRef { id, generation: generation.parse().ok()? };
        Some(Self { shard: ShardId(shard.parse().ok()?), conn })
    }
}

impl std::fmt::Display for ConnName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { shard, conn } = self;
        write!(f, "{}-{}-{}", shard.0, conn.id.0, conn.generation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_named_as_it_is_read() {
        for text in ["0-0-1", "63-4294967295-4294967295"] {
            assert_eq!(ConnName::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "1-2", "1-2-3-4", "1-2-x", "70000-1-1", "-1-2-3", "1--2-3"] {
            assert_eq!(ConnName::parse(text), None, "{text}");
        }
    }
}
