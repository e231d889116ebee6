//! The native protocol, `fanwire.v1`: `docs/dialects/native.md` is its specification, and this folder is that page as code.
//!
//! Invariant: the payload is copied as it is, never parsed or rewritten.

mod decode;
mod encode;

pub use decode::parse_since;

use crate::dialect::BatchPart;
use crate::dialect::Command;
use crate::dialect::Dialect;
use crate::dialect::Form;
use crate::dialect::Malformed;
use crate::dialect::Outcome;
use crate::dialect::Subs;
use crate::event::Event;

/// The name under which it is offered in `Sec-WebSocket-Protocol`.
pub const SUBPROTOCOL: &str = "fanwire.v1";

/// The protocol over WebSocket.
#[derive(Clone, Copy, Debug)]
pub struct Native;

impl Dialect for Native {
    fn decode(&self, text: &str) -> Result<Command, Malformed> {
        decode::command(text)
    }

    fn reply(&self, outcome: &Outcome<'_>, out: &mut Vec<u8>) {
        encode::outcome(outcome, out);
    }

    fn encode(&self, event: &Event, payload: &[u8], out: &mut Vec<u8>) {
        encode::event_body(event, payload, out);
    }

    fn head(&self, form: Form, subs: Subs<'_>, out: &mut Vec<u8>) {
        encode::event_head(form, subs, out);
    }

    fn batch(&self, part: BatchPart, out: &mut Vec<u8>) {
        out.extend_from_slice(match part {
            BatchPart::Begin => br#"{"type":"batch","events":["#,
            BatchPart::Between => b",",
            BatchPart::End => b"]}",
        });
    }
}

/// The same events over SSE: a client says nothing, and there is one subscription, so nothing names it.
#[derive(Clone, Copy, Debug)]
pub struct NativeSse;

impl Dialect for NativeSse {
    fn decode(&self, text: &str) -> Result<Command, Malformed> {
        decode::command(text)
    }

    fn reply(&self, outcome: &Outcome<'_>, out: &mut Vec<u8>) {
        encode::outcome_sse(outcome, out);
    }

    fn encode(&self, event: &Event, payload: &[u8], out: &mut Vec<u8>) {
        encode::event_body(event, payload, out);
    }

    fn head(&self, _form: Form, _subs: Subs<'_>, out: &mut Vec<u8>) {
        out.push(b'{');
    }

    fn batch(&self, part: BatchPart, out: &mut Vec<u8>) {
        Native.batch(part, out);
    }
}
