//! Regular expressions: what each is charged is what it takes, compiled and with the caches that texts of an attacker's choice fill.

use std::sync::Arc;

use bytes::Bytes;

use fanwire::event::Event;
use fanwire::event::Fields;
use fanwire::event::HomeId;
use fanwire::event::Op;
use fanwire::event::TopicName;
use fanwire::matcher::Filter;

use crate::heap;
use crate::support::random::Random;

/// Expressions of which each is as large, in another way, as one may be.
const EXPRESSIONS: [&str; 6] = [
    "a",
    "[ab]*a[ab]{500}c",
    "(a|b)*a(a|b){12}x",
    "\\\\w{20}",
    "[a-z]{40}.*(x|y)+$",
    "(?i)(ab|ba|aab|bba|[ab]{3}x){60}",
];

fn event(number: u64, text: &str) -> Event {
    Event {
        topic: TopicName::new("t").unwrap(),
        key: Arc::from(""),
        op: Op::Upsert,
        home: HomeId(0),
        offset: number,
        previous: number.saturating_sub(1),
        time_us: number,
        payload: Bytes::from(format!("{{\"a\":\"{text}\"}}")),
        fields: Fields::default(),
        before: None,
        meta: None,
    }
}

#[test]
fn expressions_take_what_they_are_charged_once_their_caches_are_full() {
    for text in EXPRESSIONS {
        let mut random = Random::new(7);
        let before = heap::held();
        let filter = Filter::parse_text(&format!("a =~ '{text}'"))
            .unwrap_or_else(|problem| panic!("{text}: {problem}"));
        let mut most = 0;
        for number in 0..200 {
            let text: String =
                (0..400).map(|_| if random.below(2) == 0 { 'a' } else { 'b' }).collect();
            std::hint::black_box(filter.evaluate(&event(number, &text)));
            most = most.max(heap::held() - before);
        }
        let (most, weight) = (usize::try_from(most).unwrap(), filter.weight_bytes());
        assert!(most * 4 <= weight * 5, "{text}: {most} bytes held, {weight} charged");
    }
}
