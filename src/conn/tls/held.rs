//! What connections of a core hold of records that have come or gone in part, and who lets go of theirs when it is too much.
//!
//! Invariant: between two turns all of it is at most `bytes_max`. Whoever has held something for the longest pays: a client that reads and writes
//! as others do holds a record for moments, one that stalls holds it for as long as it likes.

use std::collections::BTreeMap;

use super::secure::Secure;
use crate::shard::ConnId;

/// The budget.
#[derive(Debug, Default)]
pub(in crate::conn) struct Held {
    bytes_max: usize,
    bytes: usize,
    /// Who holds something, in the order in which they began to.
    holders: BTreeMap<u64, (ConnId, usize)>,
    last: u64,
}

impl Held {
    pub(in crate::conn) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, ..Self::default() }
    }

    /// Takes note of what a connection holds now.
    pub(in crate::conn) fn note(&mut self, conn: ConnId, secure: &mut Secure) {
        let bytes = secure.held_bytes();
        if bytes == 0 && secure.held_since == 0 {
            return;
        }
        self.forget(secure);
        if bytes == 0 {
            return;
        }
        self.last += u64::from(secure.held_since == 0);
        if secure.held_since == 0 {
            secure.held_since = self.last;
        }
        self.bytes += bytes;
        self.holders.insert(secure.held_since, (conn, bytes));
    }

    /// A connection holds nothing any more.
    pub(in crate::conn) fn release(&mut self, secure: &mut Secure) {
        self.forget(secure);
        secure.held_since = 0;
    }

    fn forget(&mut self, secure: &mut Secure) {
        if let Some((_, bytes)) = self.holders.remove(&secure.held_since) {
            self.bytes -= bytes;
        }
        if secure.held_bytes() == 0 {
            secure.held_since = 0;
        }
    }

    /// Who is to go, if all hold too much: whoever has for the longest. It no longer counts.
    pub(in crate::conn) fn pop_payer(&mut self) -> Option<ConnId> {
        if self.bytes <= self.bytes_max {
            return None;
        }
        let (_, (conn, bytes)) = self.holders.pop_first()?;
        self.bytes -= bytes;
        Some(conn)
    }
}
