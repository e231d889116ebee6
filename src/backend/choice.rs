//! Where the rows are: one of the databases there are, all heard alike.
//!
//! Never knows who asks, or how what it says gets there.

use std::sync::Arc;

use super::link::Link;
#[cfg(feature = "postgres")]
use super::postgres::Postgres;
#[cfg(feature = "sqlite")]
use super::sqlite::Sqlite;
use crate::tables::Page;
use crate::tables::Query;
use crate::tables::asks::Ask;
use crate::tables::keeper::Keeper;
use crate::tables::keeper::Outcome;

/// Where the rows are.
#[derive(Debug)]
pub enum Backend {
    Memory(Box<Keeper>),
    #[cfg(feature = "sqlite")]
    Sqlite(Box<Sqlite>),
    #[cfg(feature = "postgres")]
    Postgres(Box<Postgres>),
}

impl Backend {
    /// Hears one thing; appends what is to be said at once.
    pub fn hear(&mut self, ask: Ask, out: &mut Vec<Outcome>) {
        match self {
            Self::Memory(keeper) => keeper.hear(ask, out),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(sqlite) => sqlite.hear(ask, out),
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => postgres.hear(ask, out),
        }
    }

    /// The whole answer to a query, if it takes so little that nobody else is asked for it.
    #[cfg_attr(not(feature = "sqlite"), expect(unused_variables, reason = "nobody answers so"))]
    pub(super) fn answer_at_once(&mut self, query: &Query) -> Option<Page> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(sqlite) => sqlite.answer_at_once(query),
            _ => None,
        }
    }

    /// Nothing more comes just now: what was put off is done. Appends what is to be said.
    #[cfg_attr(
        not(any(feature = "postgres", feature = "sqlite")),
        expect(clippy::ptr_arg, unused_variables, reason = "memory puts nothing off")
    )]
    pub fn settle(&mut self, out: &mut Vec<Outcome>) {
        match self {
            // It puts nothing off.
            Self::Memory(_) => {}
            #[cfg(feature = "sqlite")]
            Self::Sqlite(sqlite) => {
                sqlite.settle(out);
                sqlite.hand_out_ready(out);
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => {
                postgres.settle(out);
                postgres.hand_out_ready(out);
            }
        }
    }

    /// Whether there is something to be settled though nothing was heard.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        match self {
            Self::Memory(_) => false,
            #[cfg(feature = "sqlite")]
            Self::Sqlite(sqlite) => sqlite.is_ready(),
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => postgres.is_ready(),
        }
    }

    /// Whether it takes another thing that is to be written.
    pub(super) fn has_room(&self) -> bool {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => postgres.has_room(),
            // The others write before they hear the next.
            _ => true,
        }
    }

    /// The word for it, and whether it is there.
    pub(super) fn link(&self) -> (&'static str, Arc<Link>) {
        match self {
            Self::Memory(_) => ("memory", Arc::new(Link::fixed())),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => ("sqlite", Arc::new(Link::fixed())),
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => ("postgres", postgres.link()),
        }
    }

    /// Nothing more comes at all: what was taken in is done. Appends what is to be said.
    pub(super) fn finish(&mut self, out: &mut Vec<Outcome>) {
        self.settle(out);
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(postgres) => postgres.finish(out),
            // The others have put nothing off.
            _ => {}
        }
    }
}
