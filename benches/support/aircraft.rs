//! Many filters in a matcher, and events for them: `wishes` at random, the same every time.

use std::sync::Arc;

use fanwire::event::Event;
use fanwire::event::HomeId;
use fanwire::event::Interest;
use fanwire::event::Op;
use fanwire::event::TopicName;
use fanwire::event::TopicPattern;
use fanwire::event::fields;
use fanwire::event::fields::Scratch;
use fanwire::matcher::Filter;
use fanwire::matcher::Matcher;
use fanwire::matcher::PayerId;
use fanwire::matcher::SubscriptionIndex;

use crate::wishes::Report;
use crate::wishes::Wish;

pub(crate) const SEED: u64 = 0x0a1e_57ed;
pub(crate) const EVENTS: usize = 1000;
/// Who pays for all filters.
pub(crate) const PAYER: PayerId = PayerId(0);

pub(crate) fn matcher_of(
    count: u32,
    make: fn(&mut fastrand::Rng) -> Wish,
) -> (Matcher, Vec<Filter>) {
    let mut random = fastrand::Rng::with_seed(SEED);
    let mut matcher = Matcher::default();
    matcher.open_account(PAYER, 0);
    let topics = [TopicPattern::new("adsb/**").unwrap()];
    let filters: Vec<Filter> =
        (0..count).map(|_| Filter::parse_text(&make(&mut random).to_text()).unwrap()).collect();
    for (id, filter) in (0..).zip(&filters) {
        matcher.insert(SubscriptionIndex(id), PAYER, &topics, Some(filter));
    }
    (matcher, filters)
}

fn event_of(payload: String, interest: &Interest, scratch: &mut Scratch) -> Event {
    let fields = fields::extract(payload.as_bytes(), scratch, interest).unwrap();
    Event {
        topic: TopicName::new("adsb/ch").unwrap(),
        key: Arc::from("4067f2"),
        op: Op::Upsert,
        home: HomeId(0),
        offset: 1,
        previous: 0,
        time_us: 1,
        payload: payload.into(),
        fields,
        before: None,
        meta: None,
    }
}

pub(crate) fn events(interest: &Interest) -> Vec<Event> {
    let mut random = fastrand::Rng::with_seed(SEED + 1);
    let mut scratch = Scratch::default();
    (0..EVENTS)
        .map(|_| event_of(Report::random(&mut random).to_json(), interest, &mut scratch))
        .collect()
}
