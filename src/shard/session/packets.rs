//! Packets of a protocol that has them, from bytes that come as they are or in a WebSocket's binary messages.
//!
//! Invariants: any split of the bytes gives the same packets; no more is held than one packet in part and one message of a WebSocket's; after what is no
//! packet nothing more is looked at. Never reads a packet: its protocol says where it ends, and its conversation what it means.

use super::unread::Unread;
use crate::dialect::NoPacket;
use crate::dialect::Packets;
use crate::dialect::Said;

/// What has come of packets and was not heard.
#[derive(Debug)]
pub(super) struct PacketInput {
    of: &'static Packets,
    bytes_max: usize,
    unread: Unread,
    has_ended: bool,
}

impl PacketInput {
    /// Nothing yet, of packets of at most so many bytes.
    pub(super) fn new(of: &'static Packets, bytes_max: usize) -> Self {
        Self { of, bytes_max, unread: Unread::default(), has_ended: false }
    }

    fn length(&self, bytes: &[u8]) -> Result<Option<usize>, NoPacket> {
        (self.of.length)(bytes, self.bytes_max)
    }

    /// Whether something can be heard without any more bytes.
    pub(super) fn has_next(&self) -> bool {
        let bytes = self.unread.as_slice();
        !self.has_ended
            && !bytes.is_empty()
            && match self.length(bytes) {
                Ok(Some(count)) => count <= bytes.len(),
                Ok(None) => false,
                Err(_) => true,
            }
    }

    /// Bytes that it holds.
    pub(super) fn held_bytes(&self) -> usize {
        self.unread.held_bytes()
    }

    /// Bytes of a packet that have come in part.
    pub(super) fn come_bytes(&self) -> usize {
        self.unread.as_slice().len()
    }

    /// Adds bytes that came in a message.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if !self.has_ended {
            self.unread.extend(bytes);
        }
    }

    /// Has the next thing heard that these bytes complete; how many of them were taken, and what came of it.
    pub(super) fn next<T>(
        &mut self,
        bytes: &[u8],
        hear: &mut impl FnMut(Said<'_>) -> T,
    ) -> (usize, Option<T>) {
        if self.has_ended {
            return (bytes.len(), None);
        }
        let mut taken = 0;
        loop {
            let lies_whole = self.unread.is_empty();
            let rest = bytes.get(taken..).unwrap_or_default();
            let held = if lies_whole { rest } else { self.unread.as_slice() };
            let wanted = match self.length(held) {
                Ok(wanted) => wanted,
                Err(no_packet) => {
                    self.end();
                    return (bytes.len(), Some(hear(Said::NoPacket(no_packet))));
                }
            };
            if let Some(count) = wanted
                && let Some(packet) = held.get(..count)
            {
                let heard = hear(Said::Packet(packet));
                if lies_whole {
                    taken += count;
                } else {
                    self.unread.take(count);
                }
                return (taken, Some(heard));
            }
            if rest.is_empty() {
                return (taken, None);
            }
            // Of a header whose end has not come each byte may be the last one; of a packet it is known how many are missing.
            let missing = wanted.map_or(1, |count| count - held.len());
            let missing = if lies_whole { rest.len() } else { missing.min(rest.len()) };
            self.unread.extend(rest.get(..missing).unwrap_or_default());
            taken += missing;
        }
    }

    /// Nothing more is heard.
    pub(super) fn end(&mut self) {
        self.has_ended = true;
        self.unread = Unread::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::mqtt;
    use crate::limits::INPUT_GROWTH_BYTES_MIN;

    /// What is heard of bytes in pieces of this size.
    fn heard(bytes: &[u8], piece: usize, is_framed: bool) -> Vec<String> {
        let mut input = PacketInput::new(mqtt::PROTOCOL.packets.unwrap(), 200);
        let mut all = Vec::new();
        for piece in bytes.chunks(piece) {
            let mut rest = if is_framed { &[][..] } else { piece };
            if is_framed {
                input.push(piece);
            }
            loop {
                let (taken, said) = input.next(rest, &mut |said| format!("{said:?}"));
                rest = &rest[taken..];
                let is_over = rest.is_empty() && !input.has_next();
                all.extend(said);
                if is_over {
                    break;
                }
            }
            assert!(input.held_bytes() <= 400 + INPUT_GROWTH_BYTES_MIN);
        }
        all
    }

    #[test]
    fn any_split_gives_the_same_packets() {
        let long = [&[0x30, 0x96, 0x01][..], &[7; 150]].concat();
        let bytes =
            [&[0xc0, 0][..], &long, &[0x40, 2, 0, 1], &[0xe0, 0], &long, &[0xc0, 0]].concat();
        let whole = heard(&bytes, bytes.len(), false);
        assert_eq!(whole.len(), 6);
        for piece in [1, 2, 3, 5, 7, 100, bytes.len()] {
            assert_eq!(heard(&bytes, piece, false), whole, "{piece}");
            assert_eq!(heard(&bytes, piece, true), whole, "{piece} framed");
        }
    }

    #[test]
    fn what_is_no_packet_is_said_once_and_ends_it() {
        for (bytes, what) in
            [(&[0xc0, 0, 0x00, 9, 9][..], "Malformed"), (&[0xc0, 0, 0x30, 0xff, 1, 9], "TooLong")]
        {
            for piece in [1, 2, 3, 6] {
                let all = heard(bytes, piece, false);
                assert_eq!(all.len(), 2, "{all:?}");
                assert_eq!(all[1], format!("NoPacket({what})"));
                assert_eq!(heard(bytes, piece, true), all);
            }
        }
    }
}
