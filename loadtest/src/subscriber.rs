//! One subscriber: from connecting to the last event, fed with whatever bytes its socket had.
//!
//! Invariant: bytes that are not understood yet are left with the caller (`take` says how many were), and a payload is
//! read in place. Does no I/O: what it wants to say is put into `Hearing::reply`.

use crate::inflate::Inflater;
use crate::latency::Latencies;
use crate::limits::HEAD_BYTES_MAX;
use crate::mark;
use crate::mark::MARK_BYTES;
use crate::mark::Mark;
use crate::mark::Marks;
use crate::mqtt;
use crate::speech::Framing;
use crate::speech::Joined;
use crate::speech::Listen;
use crate::speech::Tongue;
use crate::tally::Tally;
use crate::websocket;
use crate::websocket::Fault;
use crate::websocket::Header;

use memchr::memmem;

/// Of a refusal, so much is shown.
const REFUSAL_BYTES_MAX: usize = 300;

/// How far a subscriber has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Connecting,
    Upgrading,
    Joining,
    Live,
    Closed,
}

/// What all subscribers of a worker share while they listen.
#[derive(Debug)]
pub(crate) struct Hearing {
    pub(crate) listen: Listen,
    pub(crate) marks: Marks,
    pub(crate) latencies: Latencies,
    pub(crate) time_every: u64,
    pub(crate) inflate_every: u32,
    pub(crate) events: u64,
    /// `skipped` and `gap` notices: the subject says that it left events out.
    pub(crate) skipped: u64,
    pub(crate) now_ns: u64,
    /// What the subscriber that was just fed wants to say.
    pub(crate) reply: Vec<u8>,
    inflated: Vec<u8>,
    joint: Vec<u8>,
}

/// One subscriber, without its socket.
#[derive(Debug)]
pub(crate) struct Subscriber {
    pub(crate) index: u32,
    pub(crate) phase: Phase,
    pub(crate) tally: Tally,
    /// Compressed messages of this one are counted, not read.
    pub(crate) blind: bool,
    pub(crate) inflater: Option<Box<Inflater>>,
    join: Vec<Vec<u8>>,
    hint: usize,
    /// The end of a payload that may be the beginning of a mark.
    cut: Vec<u8>,
    /// The parts so far of a compressed message that comes in fragments.
    parts: Vec<u8>,
    compressed_parts: bool,
}

impl Hearing {
    pub(crate) fn new(listen: Listen, time_every: u64, inflate_every: u32) -> Self {
        Self {
            listen,
            marks: Marks::new(),
            latencies: Latencies::new(),
            time_every: time_every.max(1),
            inflate_every: inflate_every.max(1),
            events: 0,
            skipped: 0,
            now_ns: 0,
            reply: Vec::new(),
            inflated: Vec::new(),
            joint: Vec::new(),
        }
    }
}

impl Subscriber {
    pub(crate) fn new(index: u32, join: Vec<Vec<u8>>, tally: Tally) -> Self {
        Self {
            index,
            phase: Phase::Connecting,
            tally,
            blind: false,
            inflater: None,
            join,
            hint: 0,
            cut: Vec::new(),
            parts: Vec::new(),
            compressed_parts: false,
        }
    }

    /// What it says first where there is no handshake before it.
    pub(crate) fn opens(&mut self) -> Vec<u8> {
        self.phase = Phase::Joining;
        std::mem::take(&mut self.join).concat()
    }

    /// Understands as much of `bytes` as is whole; the answer is how much that was.
    pub(crate) fn take(&mut self, bytes: &[u8], hearing: &mut Hearing) -> Result<usize, Fault> {
        let mut taken = 0;
        if self.phase == Phase::Upgrading {
            taken = self.head(bytes, hearing)?;
            if taken == 0 {
                return Ok(0);
            }
        }
        let rest = bytes.get(taken..).unwrap_or_default();
        match hearing.listen.framing {
            Framing::WebSocket => Ok(taken + self.frames(rest, hearing)?),
            Framing::Packets => self.packets(bytes, hearing),
            Framing::Stream => {
                self.listen_for_join(rest, hearing)?;
                self.scan(rest, hearing);
                Ok(bytes.len())
            }
        }
    }

    fn head(&mut self, bytes: &[u8], hearing: &mut Hearing) -> Result<usize, Fault> {
        let Some(head) = websocket::head(bytes)? else {
            return if bytes.len() > HEAD_BYTES_MAX { Err(Fault::HeadTooLong) } else { Ok(0) };
        };
        match hearing.listen.framing {
            Framing::WebSocket => head.upgraded()?,
            Framing::Stream if head.status != 200 => return Err(Fault::Refused(head.status)),
            Framing::Stream | Framing::Packets => {}
        }
        if head.deflate {
            if self.index.is_multiple_of(hearing.inflate_every) {
                self.inflater = Some(Box::new(Inflater::new(head.reset)));
            } else {
                self.blind = true;
            }
        }
        for said in std::mem::take(&mut self.join) {
            let is_text = hearing.listen.tongue == Tongue::Text;
            let opcode = if is_text { websocket::TEXT } else { websocket::BINARY };
            websocket::client_frame(&mut hearing.reply, opcode, &said);
        }
        self.phase =
            if hearing.listen.joined == Joined::Upgraded { Phase::Live } else { Phase::Joining };
        Ok(head.head_bytes)
    }

    fn packets(&mut self, bytes: &[u8], hearing: &mut Hearing) -> Result<usize, Fault> {
        let mut rest = bytes;
        while let Some((kind, body, behind)) = mqtt::split(rest) {
            match mqtt::published(kind, body, &mut hearing.reply) {
                Some(payload) => self.scan(payload, hearing),
                None => {
                    let whole = rest.get(..rest.len() - behind.len()).unwrap_or_default();
                    self.listen_for_join(whole, hearing)?;
                }
            }
            rest = behind;
        }
        Ok(bytes.len() - rest.len())
    }

    fn frames(&mut self, bytes: &[u8], hearing: &mut Hearing) -> Result<usize, Fault> {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..)
            && let Some(header) = websocket::header(rest)?
        {
            let Some(payload) =
                rest.get(header.header_bytes..header.header_bytes + header.payload_bytes)
            else {
                break;
            };
            self.frame(header, payload, hearing)?;
            at += header.header_bytes + header.payload_bytes;
        }
        Ok(at)
    }

    fn frame(
        &mut self,
        header: Header,
        payload: &[u8],
        hearing: &mut Hearing,
    ) -> Result<(), Fault> {
        match header.opcode {
            websocket::PING => {
                websocket::client_frame(&mut hearing.reply, websocket::PONG, payload);
            }
            websocket::PONG => {}
            websocket::CLOSE => {
                let code =
                    payload.first_chunk::<2>().map_or(1005, |code| u16::from_be_bytes(*code));
                return Err(Fault::ClosedByServer(code));
            }
            _ if header.compressed || self.compressed_parts => {
                return self.compressed(header, payload, hearing);
            }
            _ => {
                self.listen_for_join(payload, hearing)?;
                self.scan(payload, hearing);
            }
        }
        Ok(())
    }

    fn compressed(
        &mut self,
        header: Header,
        payload: &[u8],
        hearing: &mut Hearing,
    ) -> Result<(), Fault> {
        self.compressed_parts = !header.fin;
        let Some(inflater) = &mut self.inflater else {
            if header.fin && self.phase == Phase::Live {
                self.tally.count();
                hearing.events += 1;
            } else if header.fin {
                // What cannot be read cannot be told from an event, so a blind subscriber is live when the subject
                // first says something compressed: replies are short, and are not compressed by anyone.
                self.phase = Phase::Live;
            }
            return Ok(());
        };
        let mut inflated = std::mem::take(&mut hearing.inflated);
        if header.fin && self.parts.is_empty() {
            inflater.message(payload, &mut inflated)?;
        } else {
            self.parts.extend_from_slice(payload);
            if !header.fin {
                hearing.inflated = inflated;
                return Ok(());
            }
            inflater.message(&std::mem::take(&mut self.parts), &mut inflated)?;
        }
        self.listen_for_join(&inflated, hearing)?;
        self.scan(&inflated, hearing);
        hearing.inflated = inflated;
        Ok(())
    }

    fn listen_for_join(&mut self, bytes: &[u8], hearing: &Hearing) -> Result<(), Fault> {
        if self.phase != Phase::Joining {
            return Ok(());
        }
        let contains = |needle: &str| memmem::find(bytes, needle.as_bytes()).is_some();
        if hearing.listen.refusal.as_deref().is_some_and(contains) {
            let text = bytes.get(..REFUSAL_BYTES_MAX.min(bytes.len())).unwrap_or_default();
            return Err(Fault::JoinRefused(String::from_utf8_lossy(text).into()));
        }
        let has_joined = match &hearing.listen.joined {
            Joined::Upgraded => true,
            Joined::Says(needle) => contains(needle),
            Joined::Acknowledged => match mqtt::answer(bytes) {
                Some(mqtt::Answer::Refused(code)) => {
                    return Err(Fault::JoinRefused(format!("MQTT code {code:#04x}").into()));
                }
                answer => answer.is_some(),
            },
        };
        if has_joined {
            self.phase = Phase::Live;
        }
        Ok(())
    }

    /// Every event in `bytes`, a payload or a piece of a stream.
    fn scan(&mut self, bytes: &[u8], hearing: &mut Hearing) {
        if !self.cut.is_empty() {
            self.scan_joint(bytes, hearing);
        }
        let mut from = 0;
        while let Some((mark, at)) = hearing.marks.find(bytes, from, self.hint) {
            if from == 0 {
                self.hint = at;
            }
            self.hear(mark, hearing);
            from = at + MARK_BYTES;
        }
        let rest = bytes.get(from..).unwrap_or_default();
        let cut = mark::cut_bytes(rest);
        self.cut.clear();
        self.cut.extend_from_slice(rest.get(rest.len() - cut..).unwrap_or_default());
        if from == 0
            && (memmem::find(bytes, b"\"skipped\"").is_some()
                || memmem::find(bytes, b"\"gap\"").is_some())
        {
            hearing.skipped += 1;
        }
    }

    /// The mark that began in the bytes before these, if it was one.
    fn scan_joint(&mut self, bytes: &[u8], hearing: &mut Hearing) {
        let mut joint = std::mem::take(&mut hearing.joint);
        joint.clear();
        joint.append(&mut self.cut);
        joint.extend_from_slice(bytes.get(..MARK_BYTES.min(bytes.len())).unwrap_or_default());
        if let Some((mark, 0)) = hearing.marks.find(&joint, 0, 0) {
            self.hear(mark, hearing);
        }
        hearing.joint = joint;
    }

    fn hear(&mut self, mark: Mark, hearing: &mut Hearing) {
        hearing.events += 1;
        self.tally.hear(mark.topic, mark.number);
        if (mark.number + u64::from(self.index)).is_multiple_of(hearing.time_every) {
            hearing.latencies.record(hearing.now_ns.saturating_sub(mark.intended_ns));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::net::SocketAddr;

    fn hearing(framing: Framing) -> Hearing {
        let listen = Listen {
            framing,
            deflate: true,
            joined: Joined::Says("\"live\"".to_owned()),
            refusal: Some("\"error\"".to_owned()),
            ..Listen::websocket(SocketAddr::from(([127, 0, 0, 1], 1)), "/", "bench/{n}")
        };
        Hearing { now_ns: 5_000_000, ..Hearing::new(listen, 1, 1) }
    }

    fn event(number: u64) -> Vec<u8> {
        let mut payload = b"{\"type\":\"event\",\"payload\":{".to_vec();
        mark::write(&mut payload, Mark { topic: 0, number, intended_ns: 1_000_000 });
        payload.extend_from_slice(b"}}");
        payload
    }

    fn transcript() -> Vec<u8> {
        let mut bytes =
            format!("HTTP/1.1 101 S\r\nSec-WebSocket-Accept: {}\r\n\r\n", websocket::ACCEPT)
                .into_bytes();
        websocket::server_frame(&mut bytes, websocket::TEXT, b"{\"type\":\"live\"}");
        websocket::server_frame(&mut bytes, websocket::PING, b"are you there");
        websocket::server_frame(&mut bytes, websocket::TEXT, &event(1));
        let mut batch = event(2);
        batch.extend_from_slice(&event(3));
        websocket::server_frame(&mut bytes, websocket::TEXT, &batch);
        bytes
    }

    #[test]
    fn a_transcript_is_understood_however_it_is_cut() {
        let bytes = transcript();
        for cut in 0..bytes.len() {
            let mut hearing = hearing(Framing::WebSocket);
            let mut it = Subscriber::new(0, Vec::new(), Tally::new(&[0], false));
            it.phase = Phase::Upgrading;
            let taken = it.take(&bytes[..cut], &mut hearing).unwrap();
            it.take(&bytes[taken..], &mut hearing).unwrap();
            assert_eq!((it.phase, hearing.events), (Phase::Live, 3), "cut at {cut}");
            assert!(it.tally.settle(&[3], false).none(), "cut at {cut}");
            assert_eq!(hearing.latencies.samples(), 3);
            assert!(!hearing.reply.is_empty(), "the ping is answered");
        }
    }

    #[test]
    fn a_stream_is_understood_however_it_is_cut() {
        let mut bytes = b"HTTP/1.1 200 OK\r\n\r\nevent: \"live\"\n\n".to_vec();
        let head = bytes.len();
        for number in 1..=3 {
            bytes.extend_from_slice(b"data: ");
            bytes.extend_from_slice(&event(number));
            bytes.extend_from_slice(b"\n\n");
        }
        for cut in head..bytes.len() {
            let mut hearing = hearing(Framing::Stream);
            let mut it = Subscriber::new(0, Vec::new(), Tally::new(&[0], false));
            it.phase = Phase::Upgrading;
            let taken = it.take(&bytes[..cut], &mut hearing).unwrap();
            it.take(&bytes[taken..], &mut hearing).unwrap();
            assert_eq!((it.phase, hearing.events), (Phase::Live, 3), "cut at {cut}");
        }
    }

    #[test]
    fn packets_are_understood_however_they_are_cut_and_acknowledged() {
        let mut bytes = b"\x20\x02\0\0\x90\x03\0\x01\x01".to_vec();
        for number in 1..=3 {
            mqtt::publish(&mut bytes, "bench/0", Some(7), &event(number));
        }
        for cut in 0..bytes.len() {
            let mut hearing = hearing(Framing::Packets);
            hearing.listen = Listen::packets(hearing.listen.addr, "bench/{n}", 1);
            let said = hearing.listen.joins(0, &[0], "");
            let mut it = Subscriber::new(0, said.clone(), Tally::new(&[0], false));
            assert_eq!(it.opens(), said.concat());
            let taken = it.take(&bytes[..cut], &mut hearing).unwrap();
            assert_eq!(it.take(&bytes[taken..], &mut hearing), Ok(bytes.len() - taken));
            assert_eq!((it.phase, hearing.events), (Phase::Live, 3), "cut at {cut}");
            assert_eq!(hearing.reply, b"\x40\x02\0\x07".repeat(3), "cut at {cut}");
        }
    }

    #[test]
    fn a_refusal_is_shown() {
        let mut hearing = hearing(Framing::WebSocket);
        let mut it = Subscriber::new(0, Vec::new(), Tally::new(&[0], false));
        it.phase = Phase::Joining;
        let mut bytes = Vec::new();
        websocket::server_frame(&mut bytes, websocket::TEXT, b"{\"error\":\"no\"}");
        assert_eq!(
            it.take(&bytes, &mut hearing),
            Err(Fault::JoinRefused("{\"error\":\"no\"}".into()))
        );
    }

    #[test]
    fn a_close_names_its_code() {
        let mut hearing = hearing(Framing::WebSocket);
        let mut it = Subscriber::new(0, Vec::new(), Tally::new(&[0], false));
        it.phase = Phase::Live;
        assert_eq!(it.take(&[0x88, 2, 0x0f, 0xa8], &mut hearing), Err(Fault::ClosedByServer(4008)));
    }
}
