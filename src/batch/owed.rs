//! Bytes that a connection must still be sent before anything else: the rest of what its socket did not take.
//!
//! Invariant: no piece is empty. A piece that many connections are owed lies in memory once; each knows how far it has come.

use std::collections::VecDeque;
use std::rc::Rc;

use bytes::Buf;
use bytes::Bytes;

use super::kept::Kept;
use super::large::LargeEvent;
use crate::limits::PIECES_PER_SEND_MAX;

/// A run of bytes of a frame.
#[derive(Clone, Debug)]
pub enum Piece {
    /// Words of its own, or of its class.
    Bytes(Bytes),
    /// A part of a large event's payload.
    Part { bytes: Bytes, of: Rc<LargeEvent> },
    /// Bytes that others are owed too, from this one on.
    Kept { kept: Rc<Kept>, from: usize },
}

impl Piece {
    /// The piece's bytes, in one run.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) | Self::Part { bytes, .. } => bytes,
            Self::Kept { kept, from } => &kept.bytes()[*from..],
        }
    }

    /// How many bytes it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes().len()
    }

    /// Whether the piece has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes().is_empty()
    }

    fn advance(&mut self, count: usize) {
        match self {
            Self::Bytes(bytes) | Self::Part { bytes, .. } => bytes.advance(count),
            Self::Kept { from, .. } => *from += count,
        }
    }
}

/// What one connection is owed, in order.
#[derive(Debug, Default)]
pub struct Owed(VecDeque<Piece>);

impl Owed {
    /// Whether nothing is owed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes owed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.iter().map(Piece::len).sum()
    }

    /// The pieces that go next: how many they are, and how many bytes.
    pub fn first<'a>(&'a self, pieces: &mut [&'a [u8]; PIECES_PER_SEND_MAX]) -> (usize, usize) {
        let (mut count, mut bytes) = (0, 0);
        for (place, piece) in pieces.iter_mut().zip(&self.0) {
            *place = piece.bytes();
            count += 1;
            bytes += place.len();
        }
        (count, bytes)
    }

    /// So many bytes of the first pieces were taken.
    pub fn taken(&mut self, mut count: usize) {
        while let Some(first) = self.0.front_mut() {
            if count < first.len() {
                return first.advance(count);
            }
            count -= first.len();
            self.0.pop_front();
        }
    }

    /// Adds a piece that goes after all others.
    pub fn push(&mut self, piece: Piece) {
        if !piece.is_empty() {
            self.0.push_back(piece);
        }
    }

    /// Adds what is left of pieces of which so many bytes were taken; goes after all others.
    pub fn push_rest(&mut self, pieces: &[Piece], mut taken: usize) {
        for piece in pieces {
            let of_this = taken.min(piece.len());
            taken -= of_this;
            if of_this < piece.len() {
                let mut rest = piece.clone();
                rest.advance(of_this);
                self.0.push_back(rest);
            }
        }
    }

    /// Adds what goes before all others.
    pub fn push_all_first(&mut self, mut first: Self) {
        first.0.append(&mut self.0);
        *self = first;
    }
}

#[cfg(test)]
mod tests {
    use super::super::budget::Budget;
    use super::*;

    fn next(owed: &Owed) -> String {
        let mut pieces = [&[][..]; PIECES_PER_SEND_MAX];
        let (count, bytes) = owed.first(&mut pieces);
        let text = pieces[..count].concat();
        assert_eq!(text.len(), bytes);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn pieces_are_taken_in_order_and_in_part() {
        let mut owed = Owed::default();
        owed.push(Piece::Bytes(Bytes::from_static(b"later")));
        let kept = Kept::new(&Budget::new(100), Box::from(*b"at first"));
        let mut first = Owed::default();
        first.push(Piece::Kept { kept, from: 3 });
        owed.push_all_first(first);
        owed.push(Piece::Bytes(Bytes::new()));
        assert_eq!(owed.len(), 10);
        owed.taken(3);
        assert_eq!(next(&owed), "stlater");
        owed.taken(4);
        assert_eq!(next(&owed), "ter");
        owed.taken(3);
        assert!(owed.is_empty() && next(&owed).is_empty());
    }

    #[test]
    fn of_pieces_that_were_taken_in_part_the_rest_is_owed() {
        let pieces = [b"head".as_slice(), b"", b"body", b"tail"]
            .map(|bytes| Piece::Bytes(Bytes::from_static(bytes)));
        for taken in 0..=12 {
            let mut owed = Owed::default();
            owed.push_rest(&pieces, taken);
            assert_eq!(next(&owed), String::from_utf8_lossy(&b"headbodytail"[taken..]));
        }
    }
}
