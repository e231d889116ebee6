//! Unread input: bytes that came on a connection and cannot be carried out yet, such as half a head or a request that waits for its turn.
//!
//! Invariants: taking bytes off the front moves no other; once all are taken no memory is owned. Holds the bytes of one read, and the rest of the read before.

use crate::wire::grow;

#[derive(Debug, Default)]
pub(super) struct Unread {
    bytes: Vec<u8>,
    /// Number of bytes at the front that were taken.
    taken: usize,
}

impl Unread {
    /// The bytes that are not taken yet.
    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes[self.taken..]
    }

    /// The bytes that are not taken yet, to be changed in place.
    pub(super) fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.bytes[self.taken..]
    }

    pub(super) fn is_empty(&self) -> bool {
        self.taken == self.bytes.len()
    }

    /// Adds the bytes of the next read.
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        if self.taken > 0 {
            self.bytes.drain(..self.taken);
            self.taken = 0;
        }
        grow::extend(&mut self.bytes, bytes);
    }

    /// Takes so many bytes off the front.
    pub(super) fn take(&mut self, count: usize) {
        self.taken += count;
        if self.is_empty() {
            *self = Self::default();
        }
    }

    /// Bytes of memory set aside, used or not.
    pub(super) fn held_bytes(&self) -> usize {
        self.bytes.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_gone_and_what_comes_stands_behind_the_rest() {
        let mut unread = Unread::default();
        unread.extend(b"one two");
        unread.take(4);
        unread.extend(b" three");
        assert_eq!(unread.as_slice(), b"two three");
        unread.as_mut_slice()[0] = b'T';
        unread.take(4);
        assert_eq!(unread.as_slice(), b"three");
        assert!(unread.held_bytes() >= 5 && !unread.is_empty());
        unread.take(5);
        assert!(unread.is_empty());
        assert_eq!(unread.held_bytes(), 0);
    }
}
