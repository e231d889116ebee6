//! The matcher against others, on the same filters and events, in one run.
//!
//! Places are boxes here, as four comparisons, since no rival knows circles. Every rival must find as many matches as we do. `a-tree` is
//! the A-Tree of SIGMOD 2021. The crate `be-tree` is not the BE-Tree of SIGMOD 2011 but a B-epsilon tree, a map from keys to
//! values, which holds no predicates and so has no place here. `linear` evaluates each filter with our own evaluation.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use a_tree::ATree;
use a_tree::AttributeDefinition;
use criterion::Criterion;
use criterion::criterion_group;
use criterion::criterion_main;

use fanwire::event::Event;
use fanwire::event::Interest;
use fanwire::event::Op;
use fanwire::event::HomeId;
use fanwire::event::TopicName;
use fanwire::event::TopicPattern;
use fanwire::event::fields;
use fanwire::event::fields::Scratch;
use fanwire::matcher::Filter;
use fanwire::matcher::Matcher;
use fanwire::matcher::PayerId;
use fanwire::matcher::SubscriptionIndex;

use wishes::Report;
use wishes::Wish;

#[path = "../support/wishes.rs"]
mod wishes;

const SEED: u64 = 0x0a1e_57ed;
const EVENTS: usize = 200;
const SIZES: [u32; 3] = [1_000, 10_000, 100_000];

/// The same test for all: both sides read `>=`, `<=`, `=` and `and`.
fn text_of(wish: &Wish) -> String {
    let (low, high) = wish.altitude;
    let (south, west) = (wish.centre.0 - wish.metres / 111_195.0, wish.centre.1 - wish.metres / 76_000.0);
    let (north, east) = (wish.centre.0 + wish.metres / 111_195.0, wish.centre.1 + wish.metres / 76_000.0);
    format!(
        "operator = \"{}\" and altitude >= {low:.1} and altitude <= {high:.1} and latitude >= {south:.5} and latitude <= {north:.5} \
         and longitude >= {west:.5} and longitude <= {east:.5}",
        wish.operator
    )
}

fn event_of(report: &Report, interest: &Interest, scratch: &mut Scratch) -> Event {
    let payload = report.to_json();
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
        before: None, meta: None }
}

fn a_tree_of(texts: &[String]) -> ATree<u32> {
    let mut tree = ATree::new(&[
        AttributeDefinition::string("operator"),
        AttributeDefinition::float("altitude"),
        AttributeDefinition::float("latitude"),
        AttributeDefinition::float("longitude"),
    ])
    .unwrap();
    for (id, text) in (0..).zip(texts) {
        tree.insert(&id, &text.replace('"', "'")).unwrap();
    }
    tree
}

fn a_tree_event(tree: &ATree<u32>, report: &Report) -> a_tree::Event {
    let fixed = |degrees: f64| (degrees * 1e5).round() as i64;
    let mut event = tree.make_event();
    event.with_string("operator", &report.operator).unwrap();
    event.with_float("altitude", fixed(report.altitude), 5).unwrap();
    event.with_float("latitude", fixed(report.latitude), 5).unwrap();
    event.with_float("longitude", fixed(report.longitude), 5).unwrap();
    event.build().unwrap()
}

fn rivals(criterion: &mut Criterion) {
    for count in SIZES {
        let mut random = fastrand::Rng::with_seed(SEED);
        let texts: Vec<String> = (0..count).map(|_| text_of(&Wish::random(&mut random))).collect();
        let filters: Vec<Filter> = texts.iter().map(|text| Filter::parse_text(text).unwrap()).collect();
        let mut matcher = Matcher::default();
        matcher.open_account(PayerId(0), 0);
        let topics = [TopicPattern::new("adsb/**").unwrap()];
        for (id, filter) in (0..).zip(&filters) {
            matcher.insert(SubscriptionIndex(id), PayerId(0), &topics, Some(filter));
        }
        let tree = a_tree_of(&texts);

        let mut scratch = Scratch::default();
        let interest = matcher.interest();
        let reports: Vec<Report> = (0..EVENTS).map(|_| Report::random(&mut random)).collect();
        let events: Vec<Event> = reports.iter().map(|report| event_of(report, &interest, &mut scratch)).collect();
        let others: Vec<a_tree::Event> = reports.iter().map(|report| a_tree_event(&tree, report)).collect();
        let mut out = Vec::new();
        for (event, other) in events.iter().zip(&others) {
            let before = out.len();
            matcher.matches(event, &mut out);
            assert_eq!(out.len() - before, tree.search(other).unwrap().matches().len(), "all find the same");
        }
        println!("rivals/{count}: {:.2} matches an event", out.len() as f64 / EVENTS as f64);

        let mut group = criterion.benchmark_group(format!("rivals/{count}"));
        group.sample_size(10).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
        let mut next = 0;
        let mut turn = || {
            next = (next + 1) % EVENTS;
            next
        };
        group.bench_function("fanwire", |bencher| {
            bencher.iter(|| {
                out.clear();
                matcher.matches(black_box(&events[turn()]), &mut out);
                out.len()
            });
        });
        group.bench_function("a-tree", |bencher| {
            bencher.iter(|| tree.search(black_box(&others[turn()])).unwrap().matches().len());
        });
        group.bench_function("linear", |bencher| {
            bencher.iter(|| {
                let event = black_box(&events[turn()]);
                filters.iter().filter(|filter| filter.evaluate_with(event, &mut scratch)).count()
            });
        });
        group.finish();
    }
}

criterion_group!(benches, rivals);
criterion_main!(benches);
