//! Rows of tables that have changed and of which nobody has been told yet: there was no room to tell them.
//!
//! Invariant: they are told in the order in which they came. Bounded by what one turn takes in: while some wait here, the shard takes nothing else of its inbox's data lane.

use std::collections::VecDeque;

use crate::event::Draft;

/// The news of rows that have changed and of which nobody was told, oldest first.
#[derive(Debug, Default)]
pub(super) struct Untold(VecDeque<Draft>);

impl Untold {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn push(&mut self, draft: Draft) {
        self.0.push_back(draft);
    }

    pub(super) fn pop(&mut self) -> Option<Draft> {
        self.0.pop_front()
    }
}
