//! Bytes that a connection must still be sent before anything else: the rest of what its socket did not take.
//!
//! Invariant: no piece is empty. A piece that many connections are owed lies in memory once; each knows how far it has come.

use std::collections::VecDeque;

use bytes::Buf;
use bytes::Bytes;

/// What one connection is owed, in order.
#[derive(Debug, Default)]
pub struct Owed(VecDeque<Bytes>);

impl Owed {
    /// Whether nothing is owed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes owed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    /// The piece that goes next. Cheap: the bytes are shared, not copied.
    #[must_use]
    pub fn first(&self) -> Option<Bytes> {
        self.0.front().cloned()
    }

    /// So many bytes of the first piece were taken.
    pub fn taken(&mut self, count: usize) {
        let Some(first) = self.0.front_mut() else { return };
        first.advance(count);
        if first.is_empty() {
            self.0.pop_front();
        }
    }

    /// Adds a piece that goes after all others.
    pub fn push(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.0.push_back(bytes);
        }
    }

    /// Adds a piece that goes before all others.
    pub fn push_first(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.0.push_front(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_taken_in_order_and_in_part() {
        let mut owed = Owed::default();
        owed.push(Bytes::from_static(b"later"));
        owed.push_first(Bytes::from_static(b"first"));
        owed.push(Bytes::new());
        assert_eq!(owed.len(), 10);
        owed.taken(3);
        assert_eq!(owed.first().unwrap(), "st");
        owed.taken(2);
        assert_eq!(owed.first().unwrap(), "later");
        owed.taken(5);
        assert!(owed.is_empty() && owed.first().is_none());
    }
}
