//! HyperBEAM's WebSocket device: topics that are cast to, and clients that name the topics they want. `docs/dialects/hyperbeam.md` is its page.
//!
//! Invariants: a message is told once per topic, a topic's name is compared byte for byte, and every reply has the time in milliseconds.
//! Errors never close the connection. Nothing is replayed and no gap is announced: the dialect has no words for it.

mod cast;
mod doors;
mod reply;
mod talk;
mod topics;

pub use cast::Cast;
pub use cast::cast;
pub use doors::DOORS;
pub use reply::info;
pub use talk::Conversation;
pub use topics::Options;
pub use topics::TopicsFault;
pub use topics::is_filtered;
pub use topics::of_query;

use crate::dialect::BatchPart;
use crate::dialect::Dialect;
use crate::dialect::FLOOD;
use crate::dialect::Form;
use crate::dialect::Manners;
use crate::dialect::Silence;
use crate::dialect::Subs;
use crate::dialect::View;
use crate::dialect::json;
use crate::event::Event;
use crate::event::Payload;
use crate::event::Text;

/// The dialect.
#[derive(Clone, Copy, Debug)]
pub struct HyperBeam;

impl Dialect for HyperBeam {
    //= hyperbeam#2.2
    //# `{"type":"message","topic":"a","data":<the cast message as JSON>,"timestamp":…}`
    fn encode(&self, event: &Event, payload: Payload<'_>, _view: &View, out: &mut Text) {
        out.reserve(payload.len() + 64);
        out.bytes.extend_from_slice(br#","data":"#);
        payload.put_into(out);
        out.bytes.extend_from_slice(br#","timestamp":"#);
        json::number(event.time_us / 1000, &mut out.bytes);
        out.bytes.push(b'}');
    }

    fn head(&self, _form: Form, event: &Event, view: &View, subs: Subs<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(br#"{"type":"message","topic":"#);
        match subs.ids().next().and_then(|id| topics::derived_name(id)) {
            Some(name) => json::string(name, out),
            None => json::string(&view.name_of(&event.topic), out),
        }
    }

    /// A derived topic is one more topic that a message has, and is told of on its own.
    fn apart(&self, subs: Subs<'_>) -> u64 {
        let is_derived = |id: &std::sync::Arc<str>| topics::derived_name(id).is_some();
        let all = subs.of.iter().enumerate();
        all.filter(|(_, sub)| is_derived(&sub.id)).fold(0, |set, (index, _)| set | 1 << index)
    }

    fn batch(&self, _part: BatchPart, _time_us: u64, _out: &mut Vec<u8>) {}

    //= hyperbeam#2.2
    //# WebSocket idle timeout 60 s without client data → close 1000 with
    //# empty reason
    fn manners(&self) -> Manners {
        Manners { silence: Silence::Closed, slow: None, flood: FLOOD, hears_once_live: false }
    }
}
