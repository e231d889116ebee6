//! Where events lie, and whether two of them are the same: of what was sent, what was stored and what is told.

use std::collections::BTreeMap;
use std::sync::Arc;

use fanwire::event::Event;
use fanwire::event::Op;
use fanwire::history::asks::Lost;

use super::Place;

pub(super) fn place(event: &Event) -> Place {
    (event.topic.clone(), event.offset)
}

pub(super) fn covers(lost: &Lost, (topic, offset): &Place) -> bool {
    lost.topic == *topic && lost.previous < *offset && *offset <= lost.last
}

pub(super) fn is_same(one: &Event, other: &Event) -> bool {
    let of = |event: &Event| (event.op, event.offset, event.time_us, event.meta.clone());
    (&one.topic, &one.key, &one.payload, of(one))
        == (&other.topic, &other.key, &other.payload, of(other))
}

/// Whether both say the same of what their key had.
pub(super) fn has_same_before(one: &Event, other: &Event) -> bool {
    let of = |event: &Event| {
        let before = event.before.as_ref()?;
        Some((before.op, before.offset, before.time_us, before.payload.clone()))
    };
    of(one) == of(other)
}

/// Whether it is a delete of a key that its home knew nothing of.
pub(super) fn lacks_before(event: &Event) -> bool {
    event.op == Op::Delete && event.before.is_none()
}

/// What the store has found to be the last event of a deleted key is that, whatever memory has forgotten.
pub(super) fn check_before(
    stored: &BTreeMap<Place, Arc<Event>>,
    event: &Event,
    found: Option<&Event>,
    is_sound: bool,
) {
    let of_topic = stored.range((event.topic.clone(), 0)..place(event)).rev();
    let last = of_topic.map(|(_, last)| last).find(|last| last.key == event.key);
    match (found, last.filter(|last| last.op != Op::Delete)) {
        (None, None) => {}
        (Some(found), Some(last)) if is_same(found, last) => {}
        (found, last) => assert!(!is_sound, "{event:?} follows on {last:?}, not on {found:?}"),
    }
}
