//! The native protocol, `fanwire.v1`: `docs/dialects/native.md` is its specification, and this folder is that page as code.
//!
//! Invariant: the payload is copied as it is, never parsed or rewritten.

mod command;
mod decode;
mod doors;
mod encode;
mod members;
mod options;
mod talk;

pub use command::Command;
pub use command::Malformed;
pub use decode::command;
pub use doors::DOORS;
pub use options::parameter;
pub use options::parse_since;
pub use options::parse_since_text;
pub use talk::Conversation;
pub use talk::Stream;

use crate::dialect::BatchPart;
use crate::dialect::Dialect;
use crate::dialect::FLOOD;
use crate::dialect::Form;
use crate::dialect::Manners;
use crate::dialect::Silence;
use crate::dialect::Subs;
use crate::dialect::View;
use crate::event::Event;
use crate::event::Payload;
use crate::event::Text;

/// The name under which it is offered in `Sec-WebSocket-Protocol`.
pub const SUBPROTOCOL: &str = "fanwire.v1";

/// The protocol over WebSocket.
#[derive(Clone, Copy, Debug)]
pub struct Native;

impl Dialect for Native {
    fn encode(&self, event: &Event, payload: Payload<'_>, _view: &View, out: &mut Text) {
        encode::event_body(event, payload, out);
    }

    fn head(&self, form: Form, _event: &Event, _view: &View, subs: Subs<'_>, out: &mut Vec<u8>) {
        encode::event_head(form, subs, out);
    }

    fn apart(&self, _subs: Subs<'_>) -> u64 {
        0
    }

    fn batch(&self, part: BatchPart, _time_us: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(match part {
            BatchPart::Begin => br#"{"type":"batch","events":["#,
            BatchPart::Between => b",",
            BatchPart::End => b"]}",
        });
    }

    fn manners(&self) -> Manners {
        Manners {
            silence: Silence::Pinged,
            slow: Some((4008, "slow subscriber: reconnect and resume")),
            flood: FLOOD,
            hears_once_live: true,
        }
    }
}

/// The same events over SSE: a client says nothing, and there is one subscription, so nothing names it.
#[derive(Clone, Copy, Debug)]
pub struct NativeSse;

impl Dialect for NativeSse {
    fn encode(&self, event: &Event, payload: Payload<'_>, _view: &View, out: &mut Text) {
        encode::event_body(event, payload, out);
    }

    fn head(&self, _form: Form, _event: &Event, _view: &View, _subs: Subs<'_>, out: &mut Vec<u8>) {
        out.push(b'{');
    }

    fn apart(&self, _subs: Subs<'_>) -> u64 {
        0
    }

    fn batch(&self, part: BatchPart, time_us: u64, out: &mut Vec<u8>) {
        match part {
            // The stream's own line says what kind it is.
            BatchPart::Begin => out.extend_from_slice(br#"{"events":["#),
            BatchPart::Between | BatchPart::End => Native.batch(part, time_us, out),
        }
    }

    fn manners(&self) -> Manners {
        Manners { hears_once_live: false, ..Native.manners() }
    }
}
