//! The index against the plain definition: whatever comes and goes, an event goes to the subscriptions whose topics and filter it passes.

use std::collections::BTreeMap;

use super::*;
use crate::event::Op;
use crate::event::fields;
use crate::matcher::arbitrary::Arbitrary;
use crate::matcher::arbitrary::event;

const TOPICS: [&str; 6] = ["a/b", "a/c", "a/*", "a/**", "**", "b"];

/// Each subscription pays for itself.
fn insert(
    matcher: &mut Matcher,
    subscription: SubscriptionIndex,
    topics: &[TopicPattern],
    filter: Option<&Filter>,
) {
    let payer = PayerId(subscription.0);
    matcher.open_account(payer, 0);
    matcher.insert(subscription, payer, topics, filter);
}

fn pattern(text: &str) -> TopicPattern {
    TopicPattern::new(text).unwrap()
}

fn matched(matcher: &mut Matcher, event: &Event) -> Vec<SubscriptionIndex> {
    let mut out = Vec::new();
    matcher.matches(event, &mut out);
    out.sort_unstable();
    out
}

/// A matcher, and the list of subscriptions that it should behave like.
#[derive(Default)]
struct Pair {
    matcher: Matcher,
    plain: BTreeMap<SubscriptionIndex, (Vec<TopicPattern>, Option<Filter>)>,
}

impl Pair {
    fn insert(
        &mut self,
        subscription: SubscriptionIndex,
        topics: Vec<TopicPattern>,
        filter: Option<Filter>,
    ) {
        insert(&mut self.matcher, subscription, &topics, filter.as_ref());
        self.plain.insert(subscription, (topics, filter));
    }

    fn remove(&mut self, subscription: SubscriptionIndex) {
        self.matcher.remove(subscription);
        self.plain.remove(&subscription);
    }

    /// How many subscriptions the event goes to, which both agree on.
    fn check(&mut self, event: &Event, context: &str) -> usize {
        // Brute force looks everything up once; the index has to get by with what the event comes with.
        let mut whole = event.clone();
        let all = Interest::of(
            self.plain.values().filter_map(|(_, filter)| filter.as_ref()).flat_map(Filter::paths),
        );
        whole.fields = fields::extract(&event.payload, &mut Scratch::default(), &all).unwrap();
        let wants = |(topics, filter): &(Vec<TopicPattern>, Option<Filter>)| {
            topics.iter().any(|topic| topic.matches(&event.topic))
                && filter.as_ref().is_none_or(|filter| filter.evaluate(&whole))
        };
        let expected: Vec<SubscriptionIndex> = self
            .plain
            .iter()
            .filter(|(_, subscription)| wants(subscription))
            .map(|(id, _)| *id)
            .collect();
        let found = matched(&mut self.matcher, event);
        if found != expected {
            let differs = |id: &&SubscriptionIndex| found.contains(id) != expected.contains(id);
            let subscription =
                self.plain.keys().find(|id| differs(id)).and_then(|id| self.plain.get(id));
            let filter =
                subscription.and_then(|(_, filter)| filter.as_ref()).map(Filter::to_string);
            let payload = String::from_utf8_lossy(&event.payload).into_owned();
            panic!("{context}: found {found:?}, expected {expected:?}, say {filter:?}\n{payload}");
        }
        expected.len()
    }
}

/// As an event comes: without fields, with those of the present interest, or with those of an earlier or another one.
fn with_fields(arbitrary: &mut Arbitrary, interests: &[Interest], mut event: Event) -> Event {
    if arbitrary.0.u8(..4) > 0 && !interests.is_empty() {
        let interest = &interests[arbitrary.0.usize(..interests.len())];
        event.fields = fields::extract(&event.payload, &mut Scratch::default(), interest).unwrap();
    }
    event
}

fn compare_with_brute_force(seed: u64, rounds: u32, population: usize, depth: usize) {
    let mut arbitrary = Arbitrary::with_seed(seed);
    let mut pair = Pair::default();
    let mut free: Vec<u32> = (0..u32::try_from(population).unwrap()).collect();
    let mut interests = Vec::new();
    let mut total = 0;
    for round in 0..rounds {
        let grows = arbitrary.0.usize(..population) > pair.plain.len();
        if grows && let Some(id) = free.pop() {
            let topics =
                (0..arbitrary.0.usize(1..3)).map(|_| pattern(arbitrary.one_of(&TOPICS))).collect();
            let repeated = pair.plain.values().next().and_then(|(_, filter)| filter.clone());
            let filter = match arbitrary.0.u8(..10) {
                0 => None,
                1 => repeated,
                _ => Filter::new(&arbitrary.predicate(depth)).ok(),
            };
            pair.insert(SubscriptionIndex(id), topics, filter);
        } else if !pair.plain.is_empty() {
            let which = arbitrary.0.usize(..pair.plain.len());
            let id = *pair.plain.keys().nth(which).unwrap();
            pair.remove(id);
            free.push(id.0);
        }
        if arbitrary.0.u8(..16) == 0 {
            interests.push(pair.matcher.interest());
        }
        if population > 1000 && round % 8 > 0 {
            continue;
        }
        let topic = arbitrary.one_of(&["a/b", "a/c", "b", "c/d"]);
        let event = arbitrary.event(topic);
        let event = with_fields(&mut arbitrary, &interests, event);
        total += pair.check(&event, &format!("seed {seed:#x} round {round}"));
    }
    assert!(total > rounds as usize, "only {total} matches in all");
    while let Some(id) = pair.plain.keys().next().copied() {
        pair.remove(id);
    }
    assert_is_bare(&pair.matcher);
}

/// Nothing outlives the last subscription.
fn assert_is_bare(matcher: &Matcher) {
    assert!(
        matcher.subjects.iter().all(|subject| subject.plain.is_none() && subject.tree.is_none())
    );
    assert!(matcher.groups.is_bare());
    assert!(matcher.filters.is_bare());
    assert!(matcher.forest.is_bare());
}

#[test]
fn the_index_finds_what_brute_force_finds() {
    for seed in 0..12 {
        compare_with_brute_force(0x5eed_1000 + seed, 600, 60, 2);
    }
}

#[test]
fn the_index_finds_what_brute_force_finds_when_nodes_split() {
    for seed in 0..3 {
        compare_with_brute_force(0x5eed_2000 + seed, 2500, 1500, 1);
    }
}

/// Vehicles and fences, as in life: every test has an index structure, so that cells, splits and removal are what is tested.
#[test]
fn fences_are_found_while_they_come_and_go() {
    let seed = 0x5eed_3000_u64;
    let mut arbitrary = Arbitrary::with_seed(seed);
    let mut pair = Pair::default();
    let mut total = 0;
    for round in 0..3600_u32 {
        let random = &mut arbitrary.0;
        if round < 1600 || random.bool() {
            let kinds = ["car", "bus", "tram", "ship"];
            let filter = match random.u8(..6) {
                0 => format!(
                    "kind = '{}' and speed > {}",
                    kinds[random.usize(..4)],
                    random.u8(..120)
                ),
                1 => format!(
                    "kind in ('{}', '{}') and id ~ 'v-{}*'",
                    kinds[random.usize(..4)],
                    kinds[random.usize(..4)],
                    random.u8(..30)
                ),
                2 => format!("id = 'v-{}' or id = 'v-{}'", random.u8(..100), random.u8(..100)),
                3 => format!(
                    "id suffix '{}' and speed between {} and 60",
                    random.u8(..100),
                    random.u8(..60)
                ),
                _ => format!(
                    "within(lat, lon, circle({:.4}, {:.4}, {}m)) and speed >= {}",
                    random.f64() * 4.0 - 2.0,
                    random.f64() * 4.0 + if random.bool() { 177.0 } else { -1.0 } - 1.0,
                    random.u32(1000..40_000),
                    random.u8(..100)
                ),
            };
            pair.insert(
                SubscriptionIndex(round),
                vec![pattern("fleet/**")],
                Some(Filter::parse_text(&filter).unwrap()),
            );
        } else {
            let which = random.usize(..pair.plain.len());
            let id = *pair.plain.keys().nth(which).unwrap();
            pair.remove(id);
        }
        if round % 6 == 0 {
            let random = &mut arbitrary.0;
            let lon = random.f64() * 4.0 + if random.bool() { 177.0 } else { -1.0 };
            let payload = format!(
                r#"{{"kind":"{}","id":"v-{}","speed":{},"lat":{:.5},"lon":{:.5}}}"#,
                ["car", "bus", "tram", "ship"][random.usize(..4)],
                random.u8(..100),
                if random.u8(..8) == 0 {
                    format!("[{},{}]", random.u8(..120), random.u8(..120))
                } else {
                    random.u8(..120).to_string()
                },
                random.f64() * 4.0 - 2.0,
                if lon > 180.0 { lon - 360.0 } else { lon },
            );
            total += pair.check(
                &event("fleet/north", "", Op::Upsert, &payload),
                &format!("seed {seed:#x} round {round}"),
            );
        }
    }
    assert!(total > 2000, "{total}");
    assert!(pair.matcher.forest.node_count() > 20, "the tree was split");
    while let Some(id) = pair.plain.keys().next().copied() {
        pair.remove(id);
    }
    assert_is_bare(&pair.matcher);
}

#[test]
fn equal_filters_are_one_with_many_subscriptions() {
    let mut matcher = Matcher::default();
    let filters = ["a = 1 and b = 2", "b = 2.0 and a = 1", "not (not b = 2 or not a = 1)"];
    for (id, filter) in (0..).zip(filters) {
        insert(
            &mut matcher,
            SubscriptionIndex(id),
            &[pattern("t"), pattern("*"), pattern("t")],
            Some(&Filter::parse_text(filter).unwrap()),
        );
    }
    assert_eq!(matcher.filters.count(), 1);
    assert_eq!(matcher.groups.count(), 2);
    let both = event("t", "", Op::Event, r#"{"a":1,"b":2}"#);
    assert_eq!(
        matched(&mut matcher, &both),
        [SubscriptionIndex(0), SubscriptionIndex(1), SubscriptionIndex(2)],
        "each subscription is told once"
    );
    matcher.remove(SubscriptionIndex(1));
    assert_eq!(matched(&mut matcher, &both), [SubscriptionIndex(0), SubscriptionIndex(2)]);
    assert_eq!(matched(&mut matcher, &event("t", "", Op::Event, r#"{"a":1}"#)), []);
}

#[test]
fn the_interest_is_what_live_filters_read() {
    let mut matcher = Matcher::default();
    let before = matcher.interest_version();
    insert(
        &mut matcher,
        SubscriptionIndex(0),
        &[pattern("t")],
        Some(
            &Filter::parse_text("a.b = 1 and $key = 'x' and within(y, x, box(0, 0, 1, 1))")
                .unwrap(),
        ),
    );
    assert_ne!(matcher.interest_version(), before);
    let interest = matcher.interest();
    assert_eq!(interest.paths().len(), 3);
    let version = matcher.interest_version();
    insert(
        &mut matcher,
        SubscriptionIndex(1),
        &[pattern("t")],
        Some(&Filter::parse_text("x < 1").unwrap()),
    );
    assert_eq!(matcher.interest_version(), version, "nothing new is read");
    matcher.remove(SubscriptionIndex(0));
    assert_eq!(matcher.interest().paths().len(), 1);
    assert!(matcher.interest_version() > version);
}

#[test]
fn a_filter_too_rich_for_the_index_is_still_evaluated() {
    let mut matcher = Matcher::default();
    let rich: Vec<String> = (0..100).map(|n| format!("a{n} = {n} and b{n} > 1")).collect();
    insert(
        &mut matcher,
        SubscriptionIndex(0),
        &[pattern("t")],
        Some(&Filter::parse_text(&rich.join(" or ")).unwrap()),
    );
    assert_eq!(
        matched(&mut matcher, &event("t", "", Op::Event, r#"{"a77":77,"b77":2}"#)),
        [SubscriptionIndex(0)]
    );
    assert_eq!(matched(&mut matcher, &event("t", "", Op::Event, r#"{"a77":77,"b77":1}"#)), []);
}
