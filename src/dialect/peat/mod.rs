//! peat-node's subscription: `/ws/subscribe`, `/sse/subscribe` and the Connect call behind them. `docs/dialects/peat.md` is its page.
//!
//! One message a change, no acknowledgement, no marker, no gap: what is dropped is dropped in silence. Invariants: a frame is the
//! proto3-JSON of `DocumentChange` in declaration order; the payload is copied as text, never parsed or rewritten.

mod change;
pub mod connect;
mod doors;
mod proto;
mod query;
mod request;
mod talk;

pub use doors::DOORS;
pub use proto::ProtoError;
pub use query::Comparison;
pub use query::Query;
pub use query::QueryError;
pub use request::Request;
pub use request::RequestError;
pub use request::Snapshot;
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

/// Changes as proto3-JSON.
#[derive(Clone, Copy, Debug)]
pub struct Peat;

/// Changes as protobuf.
#[derive(Clone, Copy, Debug)]
pub struct PeatProto;

impl Dialect for Peat {
    fn encode(&self, event: &Event, payload: Payload<'_>, view: &View, out: &mut Text) {
        change::json(event, payload, &view.name_of(&event.topic), out);
    }

    fn head(&self, _form: Form, _event: &Event, _view: &View, _subs: Subs<'_>, _out: &mut Vec<u8>) {
    }

    fn apart(&self, _subs: Subs<'_>) -> u64 {
        0
    }

    fn batch(&self, _part: BatchPart, _time_us: u64, _out: &mut Vec<u8>) {}

    fn manners(&self) -> Manners {
        MANNERS
    }
}

impl Dialect for PeatProto {
    fn encode(&self, event: &Event, payload: Payload<'_>, view: &View, out: &mut Text) {
        change::proto(event, payload, &view.name_of(&event.topic), out);
    }

    fn head(&self, _form: Form, _event: &Event, _view: &View, _subs: Subs<'_>, _out: &mut Vec<u8>) {
    }

    fn apart(&self, _subs: Subs<'_>) -> u64 {
        0
    }

    fn batch(&self, _part: BatchPart, _time_us: u64, _out: &mut Vec<u8>) {}

    fn manners(&self) -> Manners {
        MANNERS
    }
}

/// Its clients never say anything that they must, so they are pinged and never closed for silence alone.
const MANNERS: Manners =
    Manners { silence: Silence::Pinged, slow: None, flood: FLOOD, hears_once_live: false };
