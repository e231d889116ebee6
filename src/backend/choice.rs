//! Where the rows are: one of the databases there are, all heard alike.
//!
//! Never knows who asks, or how what it says gets there.

use super::sqlite::Sqlite;
use crate::tables::asks::Ask;
use crate::tables::keeper::Keeper;
use crate::tables::keeper::Outcome;

/// Where the rows are.
#[derive(Debug)]
pub enum Backend {
    Memory(Box<Keeper>),
    Sqlite(Box<Sqlite>),
}

impl Backend {
    /// Hears one thing; appends what is to be said at once.
    pub fn hear(&mut self, ask: Ask, out: &mut Vec<Outcome>) {
        match self {
            Self::Memory(keeper) => keeper.hear(ask, out),
            Self::Sqlite(sqlite) => sqlite.hear(ask, out),
        }
    }

    /// Nothing more comes just now: what was put off is done. Appends what is to be said.
    pub fn settle(&mut self, out: &mut Vec<Outcome>) {
        match self {
            // It puts nothing off.
            Self::Memory(_) => {}
            Self::Sqlite(sqlite) => {
                sqlite.settle(out);
                sqlite.hand_out_ready(out);
            }
        }
    }

    /// Whether there is something to be settled though nothing was heard.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        match self {
            Self::Memory(_) => false,
            Self::Sqlite(sqlite) => sqlite.is_ready(),
        }
    }
}
