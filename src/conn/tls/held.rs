//! What connections of a core hold of records that have come or gone in part, and who lets go of theirs when it is too much.
//!
//! Invariant: between two turns all of it is at most `bytes_max`. Whoever has held something for the longest pays: a client that reads and writes
//! as others do holds a record for moments, one that stalls holds it for as long as it likes.

use std::collections::BTreeMap;

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

    /// Takes note of what a connection holds now; `since` is the connection's own mark of when it began to.
    pub(in crate::conn) fn note(&mut self, conn: ConnId, since: &mut u64, bytes: usize) {
        if let Some((_, before)) = self.holders.remove(since) {
            self.bytes -= before;
        }
        if bytes == 0 {
            *since = 0;
            return;
        }
        if *since == 0 {
            self.last += 1;
            *since = self.last;
        }
        self.bytes += bytes;
        self.holders.insert(*since, (conn, bytes));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_held_something_for_the_longest_pays() {
        let mut held = Held::new(100);
        let mut since = [0; 5];
        for (conn, since) in (0..).map(ConnId).zip(&mut since) {
            held.note(conn, since, 20);
        }
        assert_eq!(held.pop_payer(), None);
        // The first lets go of its own and begins anew: now it is the last. The second holds more, for as long as before.
        held.note(ConnId(0), &mut since[0], 0);
        held.note(ConnId(0), &mut since[0], 20);
        held.note(ConnId(1), &mut since[1], 50);
        assert_eq!(held.pop_payer(), Some(ConnId(1)));
        assert_eq!(held.pop_payer(), None);
        held.note(ConnId(3), &mut since[3], 90);
        assert_eq!(held.pop_payer(), Some(ConnId(2)));
        assert_eq!(held.pop_payer(), Some(ConnId(3)));
        assert_eq!((held.pop_payer(), held.bytes), (None, 40));
        // One that has paid is noted once more when it is put away.
        held.note(ConnId(3), &mut since[3], 0);
        for place in [0, 4] {
            held.note(ConnId(0), &mut since[place], 0);
        }
        assert_eq!((held.bytes, held.holders.len()), (0, 0));
    }
}
