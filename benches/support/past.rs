//! Events that have their place in a topic, and a history with room for them.

use std::sync::Arc;

use bytes::Bytes;

use fanwire::event::Event;
use fanwire::event::Fields;
use fanwire::event::HomeId;
use fanwire::event::Op;
use fanwire::event::TopicName;
use fanwire::history::Retention;

pub(crate) const PAYLOAD: &str = r#"{"icao24":"4b1800","callsign":"SWR7KL","latitude":47.4502,"longitude":8.5618,"altitude":38000.0,"velocity":231.5,"heading":271}"#;

pub(crate) fn event(number: u64) -> Arc<Event> {
    Arc::new(Event {
        topic: TopicName::new("adsb/ch").expect("it is a topic"),
        key: Arc::from(format!("{:06x}", 0x4b_1800 + number % 500)),
        op: Op::Upsert,
        home: HomeId(0),
        offset: number,
        previous: number - 1,
        time_us: 1_786_600_000_000_000 + number,
        payload: Bytes::from_static(PAYLOAD.as_bytes()),
        fields: Fields::default(),
        before: None,
        meta: None,
    })
}

pub(crate) const ROOMY: Retention = Retention {
    topic_events_max: 10_000,
    topic_bytes_max: 1 << 30,
    age_us_max: 1 << 50,
    topic_keys_max: 10_000,
    bytes_max: 1 << 30,
    last_bytes_max: 1 << 30,
    topics_bytes_max: 1 << 30,
};
