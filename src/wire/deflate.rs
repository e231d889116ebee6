//! permessage-deflate, RFC 7692: what is agreed, how a message is deflated once for many, and how one is inflated safely.
//!
//! Invariants: no state per connection in either direction, for we always answer `client_no_context_takeover`, and what we deflate is
//! shared by a class; inflating stops at a cap, always. Never touches a frame.

mod inflate;

mod negotiate;

use flate2::Compress;
use flate2::Compression;
use flate2::FlushCompress;

pub use inflate::InflateError;
pub use inflate::Inflater;
pub use negotiate::Agreed;
pub use negotiate::DeflateTerms;
pub use negotiate::WINDOW_BITS_MAX;
pub use negotiate::WINDOW_BITS_MIN;
pub use negotiate::negotiate;

/// The 4 bytes in which a sync flush ends, and which a message on the wire leaves out.
pub(super) const SYNC_TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// Bytes that one stored block can hold.
const STORED_BYTES_MAX: usize = 0xffff;

/// The compression level: on small telemetry level 6 saves another 2 % of the bytes for ten times the work.
pub const LEVEL_DEFAULT: u32 = 1;
/// The level for messages of many events: columns of real telemetry take 16.8 bytes an event where level 1, whose codes are fixed, takes 25.4; for 0.5 us an event instead of
/// 0.3, once for all subscribers alike. Level 6 saves another byte.
pub const LEVEL_BATCHES: u32 = 3;

/// Deflates messages for a class of connections.
///
/// A deflater that is reset before each message gives messages that anyone can inflate. Without a reset each message refers to those before it, and
/// only a client that was sent all messages since the last reset can inflate the next.
#[derive(Debug)]
pub struct Deflater {
    stream: Compress,
}

impl Deflater {
    /// A deflater whose window is `window_bits` wide: what [`Agreed::server_window_bits`] says.
    ///
    /// A deflater takes about 300 KB of memory (200 KB at 9 bits): one per class, or one per shard and window for fresh messages.
    #[must_use]
    pub fn new(level: u32, window_bits: u8) -> Self {
        assert!(
            (WINDOW_BITS_MIN..=WINDOW_BITS_MAX).contains(&window_bits),
            "a deflate window has 9 to 15 bits"
        );
        let stream = Compress::new_with_window_bits(Compression::new(level), false, window_bits);
        Self { stream }
    }

    /// Forgets all messages so far: the next one stands alone.
    pub fn reset(&mut self) {
        self.stream.reset();
    }

    /// Appends one deflated message, whose text is `parts` in a row.
    pub fn compress(&mut self, parts: &[&[u8]], out: &mut Vec<u8>) {
        //= rfc7692#7.2.3.6
        //# a message whose payload is empty ... the one-byte 0x00
        // An empty block stands for an empty message: the stream does not flush twice without bytes in between.
        let Some(last) = parts.iter().rposition(|part| !part.is_empty()) else {
            out.push(0x00);
            return;
        };
        let start = out.len();
        for part in &parts[..last] {
            self.run(part, FlushCompress::None, out);
        }
        self.run(parts[last], FlushCompress::Sync, out);
        //= rfc7692#7.2.1
        //# Remove 4 octets (that are 0x00 0x00 0xff 0xff) from the tail end.
        assert!(out[start..].ends_with(&SYNC_TAIL), "a sync flush ends in an empty stored block");
        out.truncate(out.len() - SYNC_TAIL.len());
    }

    fn run(&mut self, part: &[u8], flush: FlushCompress, out: &mut Vec<u8>) {
        let mut rest = part;
        loop {
            // Room for all that `rest` can become, so that one call is the rule: a stored block costs five bytes in 64 KiB, a fixed one
            // an eighth at worst. No more than that, for it is filled with zeros first; `compress_vec` would do so with all the
            // room that `out` has, which for a shard's frames is a megabyte.
            let start = out.len();
            out.resize(start + rest.len() + rest.len() / 8 + 64, 0);
            let (taken_before, made_before) = (self.stream.total_in(), self.stream.total_out());
            self.stream
                .compress(rest, &mut out[start..], flush)
                .expect("deflate fails only when its stream is misused, and this is its one user");
            let taken = count(self.stream.total_in() - taken_before);
            let end = start + count(self.stream.total_out() - made_before);
            rest = &rest[taken..];
            // A flush is complete once it leaves room.
            let has_room = end < out.len();
            out.truncate(end);
            if rest.is_empty() && has_room {
                return;
            }
        }
    }
}

fn count(bytes: u64) -> usize {
    usize::try_from(bytes).expect("no more is taken or made than there was")
}

/// Appends `head` as stored blocks that do not end the message, to stand before a body that was deflated in a fresh context: together they
/// are one valid message, and only the head differs between subscribers.
//= rfc1951#3.2.4
//# Any bits of input up to the next byte boundary are ignored. The rest of the block now consists of the following information: LEN NLEN
//# LEN bytes of literal data
pub fn stored_head(head: &[u8], out: &mut Vec<u8>) {
    for block in head.chunks(STORED_BYTES_MAX) {
        let length = u16::try_from(block.len()).expect("a chunk is no longer than a stored block");
        out.push(0x00);
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&(!length).to_le_bytes());
        out.extend_from_slice(block);
    }
}

/// Appends stored blocks behind a message's bytes, which end it in place of what they ended in.
pub fn stored_tail(tail: &[u8], out: &mut Vec<u8>) {
    if tail.is_empty() {
        return;
    }
    out.extend_from_slice(&SYNC_TAIL);
    stored_head(tail, out);
    out.push(0x00);
}

#[cfg(test)]
mod tests;
