//! The last bytes that a connection is sent, as its dialect and its transport have them.
//!
//! Invariant: where there are no frames around packets, a connection is closed once they are sent; a WebSocket waits for its client's own farewell.

use super::solo::AfterSent;
use super::transport::Transport;
use super::transport::Voice;
use super::voice;
use crate::wire::frame;

/// Appends what a client is told before it is closed with this code and reason; what happens once that is sent.
pub(super) fn put(voice: Option<Voice>, code: u16, reason: &str, out: &mut Vec<u8>) -> AfterSent {
    let mut code = code;
    if let Some(voice) = voice
        && let Some(farewell) = voice.dialect.speaker().farewell
    {
        let mut said = Vec::new();
        code = farewell(code, reason, &mut said);
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
