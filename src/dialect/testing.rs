//! What the tests of dialects share: an event.

use std::sync::Arc;

use bytes::Bytes;

use crate::event::Event;
use crate::event::Fields;
use crate::event::HomeId;
use crate::event::Op;
use crate::event::TopicName;

/// An event of 2025-09-26T10:00:00Z.
pub(crate) fn event(topic: &str, key: &str, op: Op, payload: &'static str) -> Event {
    Event {
        topic: TopicName::new(topic).unwrap(),
        key: Arc::from(key),
        op,
        home: HomeId(0),
        offset: 1,
        previous: 0,
        time_us: 1_758_880_800_250_000,
        payload: Bytes::from_static(payload.as_bytes()),
        fields: Fields::default(),
        before: None,
        meta: None,
    }
}
