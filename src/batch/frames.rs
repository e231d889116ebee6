//! The frames of everything that happened since the last flush, each once, contiguous in one buffer.
//!
//! Invariant: a `FrameId` is valid until the next `clear`. Classes hold ids; the bytes are here.

use std::ops::Range;

/// A frame since the last flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameId(u32);

/// The frames since the last flush.
#[derive(Debug, Default)]
pub struct Frames {
    bytes: Vec<u8>,
    /// Where each frame ends; it begins where the one before it ends.
    ends: Vec<usize>,
}

/// Bytes of buffer that are kept from flush to flush; what a burst took beyond it is given back.
const KEPT_BYTES: usize = 1024 * 1024;

impl Frames {
    /// Adds the frame that `write` appends.
    pub fn add(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> FrameId {
        let id = FrameId(u32::try_from(self.ends.len()).expect("a flush holds far fewer frames"));
        write(&mut self.bytes);
        self.ends.push(self.bytes.len());
        id
    }

    /// A frame's bytes.
    #[must_use]
    pub fn bytes(&self, id: FrameId) -> &[u8] {
        &self.bytes[self.range(id)]
    }

    fn range(&self, id: FrameId) -> Range<usize> {
        let index = id.0 as usize;
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        start..self.ends[index]
    }

    /// Appends the bytes of many frames to `out`, frames that lie side by side in one copy.
    pub fn gather(&self, ids: &[FrameId], out: &mut Vec<u8>) {
        let mut ids = ids.iter();
        let Some(first) = ids.next() else { return };
        let mut run = self.range(*first);
        for id in ids {
            let next = self.range(*id);
            if next.start == run.end {
                run.end = next.end;
            } else {
                out.extend_from_slice(&self.bytes[run]);
                run = next;
            }
        }
        out.extend_from_slice(&self.bytes[run]);
    }

    /// Where the bytes of many frames begin and end, if they lie side by side. Ids ascend in the order in which they are given.
    #[must_use]
    pub fn contiguous(&self, ids: &[FrameId]) -> Option<(usize, usize)> {
        let (first, last) = (*ids.first()?, *ids.last()?);
        let side_by_side = last.0.checked_sub(first.0)? as usize + 1 == ids.len();
        side_by_side.then(|| (self.range(first).start, self.range(last).end))
    }

    /// Every frame's bytes, one after the other.
    #[must_use]
    pub fn all(&self) -> &[u8] {
        &self.bytes
    }

    /// Bytes held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Forgets every frame; their ids are no longer valid.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.bytes.shrink_to(KEPT_BYTES);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_gathered_in_the_order_asked_for() {
        let mut frames = Frames::default();
        let ids: Vec<_> = [b"one", b"two", b"six"]
            .iter()
            .map(|b| frames.add(|out| out.extend_from_slice(*b)))
            .collect();
        let mut out = Vec::new();
        frames.gather(&[ids[0], ids[1]], &mut out);
        frames.gather(&[ids[2], ids[0]], &mut out);
        assert_eq!(out, b"onetwosixone");
        assert_eq!(frames.contiguous(&ids[1..]), Some((3, 9)));
        assert_eq!(frames.contiguous(&[ids[0], ids[2]]), None);
        assert_eq!(frames.bytes(ids[1]), b"two");
    }
}
