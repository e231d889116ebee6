//! Event streams: an endless reply over HTTP, how it is kept awake and how it ends.
//!
//! Invariant: a stream's client sends nothing more, so no input waits here.

use super::super::Shard;
use super::super::closes::CLOSE_GOING_AWAY;
use super::super::conns::Conn;
use super::super::deadlines::seconds;
use super::super::input::ConnId;
use super::super::transport::Transport;
use super::super::transport::Voice;
use super::Session;
use crate::batch::Item;
use crate::clock::Now;
use crate::wire::sse;

impl Shard {
    /// Makes a connection an event stream.
    pub(super) fn begin_stream(&mut self, id: ConnId, head: Vec<u8>, voice: Voice, now: Now) {
        self.push_item(id, Item::Raw(head.into()));
        let Some(conn) = self.conns.find_mut(id) else { return };
        conn.session = Session::Sse { said_s: seconds(now) };
        conn.voice = Some(voice);
        self.stats.tally.of(voice.dialect).connections += 1;
        self.count_held(id);
    }

    /// Sends a byte that means nothing, which shows whether a stream's client is there.
    pub(in super::super) fn probe(&mut self, id: ConnId) {
        if self.conns.voice_of(id).is_some_and(|voice| voice.transport == Transport::Messages) {
            let mut probe = Vec::new();
            sse::put_probe(&mut probe);
            self.push_item(id, Item::Raw(probe.into()));
        } else {
            self.say_comment(id);
        }
    }

    /// Sends a comment, so that proxies keep an idle stream.
    pub(in super::super) fn say_comment(&mut self, id: ConnId) {
        let mut comment = Vec::new();
        sse::put_comment(&mut comment, "");
        if let Some(bytes) = self.conns.find(id).and_then(|conn| conn.sse_bytes(&comment)) {
            self.push_item(id, Item::Raw(bytes.into()));
        }
    }

    /// Tells an event stream's client when to come back.
    pub(in super::super) fn say_retry(&mut self, id: ConnId, after_ms: u64) {
        let mut retry = Vec::new();
        sse::put_retry(&mut retry, u32::try_from(after_ms).unwrap_or(u32::MAX));
        if let Some(bytes) = self.conns.find(id).and_then(|conn| conn.sse_bytes(&retry)) {
            self.push_item(id, Item::Raw(bytes.into()));
        }
    }

    /// Ends a stream behind everything that waits to be sent on it.
    pub(in super::super) fn end_sse(&mut self, id: ConnId, now: Now) {
        let mut bytes = Vec::new();
        if let Some(conn) = self.conns.find(id) {
            conn.put_stream_end(CLOSE_GOING_AWAY, "", &mut bytes);
        }
        self.push_item(id, Item::Raw(bytes.into()));
        self.close_after_sent(id, now);
    }
}

impl Conn {
    /// Appends what tells a stream's client that it has ended: a close code and its reason say why, as they would on a WebSocket.
    pub(in super::super) fn put_stream_end(&self, code: u16, reason: &str, out: &mut Vec<u8>) {
        let Some(voice) = self.voice else { return };
        match voice.transport {
            Transport::Messages => {
                let mut last = Vec::new();
                if !self.is_closing() {
                    (voice.dialect.speaker().envelopes().put_end)(code, reason, &mut last);
                    sse::put_chunk(out, &last);
                }
                out.extend_from_slice(sse::LAST_CHUNK);
            }
            Transport::Sse { chunked: true } => out.extend_from_slice(sse::LAST_CHUNK),
            Transport::Sse { chunked: false } | Transport::WebSocket { .. } | Transport::Bare => {}
        }
    }

    /// A text of an event stream, as it is sent.
    fn sse_bytes(&self, text: &[u8]) -> Option<Vec<u8>> {
        let voice = self.voice?;
        let mut bytes = Vec::new();
        match voice.transport {
            Transport::Sse { chunked: true } => sse::put_chunk(&mut bytes, text),
            // The reply of a call has messages only, and no comments.
            Transport::Messages => return None,
            _ => bytes.extend_from_slice(text),
        }
        Some(bytes)
    }
}
