//! Questions of connections that somebody else has still to answer: other shards, in one table whatever was asked, or whoever answers outside of the core.
//!
//! Invariants: a connection has at most one question here, so what is under way is bounded by what one may ask at once; an answer that
//! nobody waits for any more changes nothing.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::collections::VecDeque;

use super::input::AdminRequest;
use super::input::ConnId;
use super::input::ConnRef;
use super::operator::FindingsAwaited;
use crate::dialect::Listing;
use crate::dialect::PublishResult;
use crate::dialect::RefusalCode;
use crate::event::Draft;
use crate::event::HomeId;
use crate::limits::DRAFT_BYTES;

/// What is being waited for.
#[derive(Debug)]
pub(super) enum Question {
    /// How many of these drafts may be published.
    Allowance(Vec<Draft>),
    /// Offsets for drafts that are on their way to their homes.
    Places(RunUnderway),
    /// Topics of the other shards.
    Topics(TopicsAwaited),
    /// What shards have found for an operator.
    Operator(FindingsAwaited),
    /// What was asked of whoever has the tables.
    Table,
    /// What was asked of whoever answers hooks.
    Hook,
}

/// Bytes that a draft takes until it has its place and its publisher was told, about.
pub(super) fn draft_bytes(draft: &Draft) -> usize {
    let meta_bytes = draft.meta.as_ref().map_or(0, |meta| meta.weight_bytes());
    DRAFT_BYTES + draft.topic.as_str().len() + draft.key.len() + draft.payload.len() + meta_bytes
}

/// A run of drafts on its way to one or several homes.
#[derive(Debug)]
pub(super) struct RunUnderway {
    /// The home of each draft, in order.
    pub(super) homes: Vec<HomeId>,
    /// The results that each home has sent.
    pub(super) results: Vec<(HomeId, VecDeque<PublishResult>)>,
    pub(super) awaited: usize,
    /// Further drafts of the run, which its publisher may not publish just now.
    pub(super) refused: usize,
}

impl RunUnderway {
    /// The results in the order of the drafts.
    pub(super) fn into_results(mut self) -> Vec<PublishResult> {
        let mut in_order = Vec::with_capacity(self.homes.len());
        for home in &self.homes {
            let results = self.results.iter_mut().find(|(of, _)| of == home);
            let result = results.and_then(|(_, results)| results.pop_front());
            in_order.push(result.expect("a home answers every draft of a run"));
        }
        in_order.extend((0..self.refused).map(|_| Err(RefusalCode::RateLimited)));
        in_order
    }
}

/// Topics that are being gathered.
#[derive(Debug)]
pub(super) struct TopicsAwaited {
    pub(super) listing: Listing,
    pub(super) awaited: u16,
    pub(super) topics: BTreeSet<String>,
}

/// All questions of a shard's connections.
#[derive(Debug, Default)]
pub(super) struct Tickets {
    open: HashMap<ConnId, Question, foldhash::fast::RandomState>,
    /// Requests that are answered outside of the core, and nobody has fetched.
    outside: VecDeque<(ConnRef, AdminRequest)>,
}

impl Tickets {
    /// A connection waits from here on.
    pub(super) fn open(&mut self, id: ConnId, question: Question) {
        let former = self.open.insert(id, question);
        debug_assert!(former.is_none(), "a connection asks when it has been answered");
    }

    /// A request that is answered outside of the core.
    pub(super) fn ask_outside(&mut self, conn: ConnRef, request: AdminRequest) {
        self.outside.push_back((conn, request));
    }

    pub(super) fn pop_outside(&mut self) -> Option<(ConnRef, AdminRequest)> {
        self.outside.pop_front()
    }

    /// What a connection waits for, to be looked at.
    pub(super) fn find(&self, id: ConnId) -> Option<&Question> {
        self.open.get(&id)
    }

    /// What a connection waits for.
    pub(super) fn find_mut(&mut self, id: ConnId) -> Option<&mut Question> {
        self.open.get_mut(&id)
    }

    /// The connection is answered, or has ended.
    pub(super) fn close(&mut self, id: ConnId) -> Option<Question> {
        self.open.remove(&id)
    }
}
