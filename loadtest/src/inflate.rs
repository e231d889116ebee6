//! Inflating the messages of one sampled subscriber, with the window that it shares with the server.
//!
//! Invariant: a sampled subscriber inflates every compressed message from its first one on, for with context takeover
//! each refers to those before it. Inflating stops at `INFLATED_BYTES_MAX`.

use crate::limits::INFLATED_BYTES_MAX;
use crate::websocket::Fault;

use flate2::Decompress;
use flate2::FlushDecompress;

//= rfc7692#7.2.2
//# Append 4 octets of 0x00 0x00 0xff 0xff to the tail end of the payload of the message.
const TAIL: &[u8] = &[0, 0, 0xff, 0xff];

const STEP_BYTES: usize = 16 * 1024;

/// One server's stream of compressed messages.
#[derive(Debug)]
pub(crate) struct Inflater {
    stream: Decompress,
    reset: bool,
}

impl Inflater {
    /// `reset`: the server begins each message with an empty window.
    #[expect(
        clippy::disallowed_methods,
        reason = "the tool shares nothing with the server, and has its own cap"
    )]
    pub(crate) fn new(reset: bool) -> Self {
        Self { stream: Decompress::new(false), reset }
    }

    /// Fills `out` with what `message` says.
    pub(crate) fn message(&mut self, message: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        out.clear();
        self.feed(message, out)?;
        self.feed(TAIL, out)?;
        if self.reset {
            self.stream.reset(false);
        }
        Ok(())
    }

    fn feed(&mut self, mut input: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        loop {
            if out.len() > INFLATED_BYTES_MAX {
                return Err(Fault::InflatesTooLarge);
            }
            out.reserve(STEP_BYTES);
            let (read, room) = (self.stream.total_in(), out.capacity() - out.len());
            let written = out.len();
            self.stream
                .decompress_vec(input, out, FlushDecompress::Sync)
                .map_err(|_| Fault::BadDeflate)?;
            let taken = usize::try_from(self.stream.total_in() - read).unwrap_or(usize::MAX);
            input = input.get(taken..).ok_or(Fault::BadDeflate)?;
            let gained = out.len() - written;
            if gained == room {
                continue;
            }
            if input.is_empty() {
                return Ok(());
            }
            if taken == 0 && gained == 0 {
                return Err(Fault::BadDeflate);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use flate2::Compress;
    use flate2::Compression;
    use flate2::FlushCompress;

    fn deflated(stream: &mut Compress, text: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(text.len() + 128);
        stream.compress_vec(text, &mut out, FlushCompress::Sync).unwrap();
        assert!(out.ends_with(TAIL));
        out.truncate(out.len() - TAIL.len());
        out
    }

    #[test]
    fn messages_that_refer_to_the_ones_before_come_out_whole() {
        let mut server = Compress::new(Compression::fast(), false);
        let mut client = Inflater::new(false);
        let mut out = Vec::new();
        for number in 0..200 {
            let text =
                format!("{{\"altitude\":{number},\"callsign\":\"SWR123\"}}").repeat(1 + number * 7);
            let message = deflated(&mut server, text.as_bytes());
            client.message(&message, &mut out).unwrap();
            assert_eq!(out, text.as_bytes(), "message {number}");
        }
    }

    #[test]
    fn what_is_not_deflate_is_a_fault() {
        let mut out = Vec::new();
        assert_eq!(Inflater::new(false).message(&[0xff; 40], &mut out), Err(Fault::BadDeflate));
    }
}
