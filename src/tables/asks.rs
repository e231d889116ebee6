//! What is asked of whoever has the tables, and what it answers.
//!
//! It is a party: it answers when it likes, in any order, or never. Invariants: an asker has at most one question at a time; after each page but the last the asker says [`Ask::More`] when
//! it has room, or [`Ask::Leave`] when it wants no more. A write is answered once, whatever becomes of it.

use std::sync::Arc;

use super::answer::Page;
use super::answer::Written;
use super::error::TableError;
use super::query::Query;
use super::query::Write;
use super::schema::TableId;
use crate::event::Draft;
use crate::event::Event;
use crate::event::ShardId;

/// Who asks: a connection of a shard, by whatever the shard calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Asker {
    pub shard: ShardId,
    pub conn: u64,
}

/// To whoever has the tables.
#[derive(Debug)]
pub enum Ask {
    /// Rows, please. It was checked.
    Query { asker: Asker, query: Box<Query> },
    /// The next page.
    More { asker: Asker },
    /// No further page is wanted, nor any other answer.
    Leave { asker: Asker },
    /// Change this row. It was checked.
    Write { asker: Asker, write: Box<Write> },
    /// Events of topics that rows come from, of one home and in its order; nobody is answered.
    Rows { rows: Vec<(TableId, Arc<Event>)> },
}

impl Ask {
    /// Bytes that it keeps alive, about.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        match self {
            Self::Query { query, .. } => query.weight_bytes(),
            Self::Write { write, .. } => write.weight_bytes(),
            Self::Rows { rows } => rows.iter().map(|(_, event)| event.weight_bytes()).sum(),
            Self::More { .. } | Self::Leave { .. } => 0,
        }
    }
}

/// From it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Rows: the first page, or the next one.
    Page(Page),
    /// What became of a write.
    Written(Written),
    /// What was asked cannot be answered, or not to its end.
    Failed(TableError),
}

/// A row has changed: to the home of its table's topic, which answers whoever wrote it and then tells everybody.
#[derive(Debug)]
pub struct Told {
    /// Who is answered first, if anybody waits for it.
    pub answer: Option<(Asker, Written)>,
    pub draft: Draft,
}

impl Answer {
    /// Bytes that it keeps alive, about.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        match self {
            Self::Page(page) => page.weight_bytes(),
            Self::Written(written) => {
                let row = written.row.as_deref().unwrap_or_default();
                size_of_val(row) + row.iter().map(super::value::Value::weight_bytes).sum::<usize>()
            }
            Self::Failed(_) => 0,
        }
    }
}
