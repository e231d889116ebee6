//! The last bytes that a connection is sent, as its dialect and its transport have them.
//!
//! Invariant: where there are no frames around packets, a connection is closed once they are sent; a WebSocket waits for its client's own farewell.

use super::conns::Conns;
use super::input::ConnId;
use super::solo::AfterSent;
use super::transport::Transport;
use super::voice;
use crate::wire::frame;

/// Appends what a client is told before it is closed with this code and reason; what happens once that is sent.
pub(super) fn put(
    conns: &Conns,
    id: ConnId,
    (code, reason): (u16, &str),
    out: &mut Vec<u8>,
) -> AfterSent {
    let (mut code, voice) = (code, conns.voice_of(id));
    if let Some(voice) = voice
        && let Some(farewell) = voice.dialect.speaker().farewell
    {
        let mut said = Vec::new();
        let bytes_max = conns.find(id).map_or(0, |conn| conn.caller.packet_bytes_max());
        code = farewell(code, reason, bytes_max, &mut said);
        if !said.is_empty() {
            voice::frame_said(voice, "", &said, None, out);
        }
    }
    if voice.is_some_and(|voice| voice.transport == Transport::Bare) {
        return AfterSent::Gone;
    }
    frame::put_close(out, code, reason);
    AfterSent::Awaited
}
