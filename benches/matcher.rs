//! The matcher: what an event costs among many filters, and what coming and going costs.
//!
//! `support/wishes.rs` says what is matched against what, and how selective it is. The same filters and events against other
//! crates: `benches/rivals`.

#![expect(clippy::print_stdout, reason = "how selective the filters are belongs to the numbers")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up has nothing to measure")]

use std::hint::black_box;

use criterion::BatchSize;
use criterion::Criterion;
use criterion::criterion_group;
use criterion::criterion_main;

use fanwire::event::Fields;
use fanwire::event::TopicPattern;
use fanwire::event::fields;
use fanwire::event::fields::Scratch;
use fanwire::matcher::Filter;
use fanwire::matcher::SubscriptionIndex;

use aircraft::EVENTS;
use aircraft::PAYER;
use aircraft::SEED;
use aircraft::events;
use aircraft::matcher_of;
use wishes::Report;
use wishes::Wish;

#[path = "support/aircraft.rs"]
mod aircraft;

#[path = "support/wishes.rs"]
mod wishes;

const SIZES: [u32; 3] = [1_000, 10_000, 100_000];

type Make = fn(&mut fastrand::Rng) -> Wish;

fn matching(criterion: &mut Criterion) {
    let populations: [(&str, Make); 4] = [
        ("three_terms", Wish::random),
        ("in_vain", Wish::random_in_vain),
        ("circle_and_band", Wish::random_of_anyone),
        ("callsign", Wish::random_of_callsign),
    ];
    for (name, make) in populations {
        let mut group = criterion.benchmark_group(format!("matcher/{name}"));
        for count in SIZES {
            let (mut matcher, _) = matcher_of(count, make);
            let events = events(&matcher.interest());
            let mut out = Vec::new();
            for event in &events {
                matcher.matches(event, &mut out);
            }
            println!(
                "matcher/{name}/{count}: {:.2} matches an event",
                out.len() as f64 / EVENTS as f64
            );
            let mut next = 0;
            group.bench_function(count.to_string(), |bencher| {
                bencher.iter(|| {
                    out.clear();
                    matcher.matches(black_box(&events[next % EVENTS]), &mut out);
                    next += 1;
                    out.len()
                });
            });
        }
        group.finish();
    }
}

fn linear(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("matcher/linear");
    group.sample_size(10);
    for count in SIZES {
        let (mut matcher, filters) = matcher_of(count, Wish::random);
        let events = events(&matcher.interest());
        let mut scratch = Scratch::default();
        let mut next = 0;
        group.bench_function(count.to_string(), |bencher| {
            bencher.iter(|| {
                next += 1;
                let event = black_box(&events[next % EVENTS]);
                filters.iter().filter(|filter| filter.evaluate_with(event, &mut scratch)).count()
            });
        });
    }
    group.finish();
}

fn subscribing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("matcher/among_100000");
    let (mut matcher, _) = matcher_of(100_000, Wish::random);
    let mut random = fastrand::Rng::with_seed(SEED + 2);
    let topics = [TopicPattern::new("adsb/**").unwrap()];
    let new: Vec<Filter> = (0..5000)
        .map(|_| Filter::parse_text(&Wish::random(&mut random).to_text()).unwrap())
        .collect();
    let mut next = 0;
    group.bench_function("subscribe_and_unsubscribe", |bencher| {
        bencher.iter(|| {
            next += 1;
            matcher.insert(
                SubscriptionIndex(100_000),
                PAYER,
                &topics,
                Some(&new[next % new.len()]),
            );
            matcher.remove(SubscriptionIndex(100_000));
        });
    });
    let texts: Vec<String> = (0..1000).map(|_| Wish::random(&mut random).to_text()).collect();
    group.bench_function("parse", |bencher| {
        bencher.iter(|| {
            next += 1;
            Filter::parse_text(black_box(&texts[next % texts.len()])).unwrap()
        });
    });
    group.finish();
    criterion.bench_function("matcher/build/10000", |bencher| {
        bencher.iter_batched(|| (), |()| matcher_of(10_000, Wish::random), BatchSize::PerIteration);
    });
}

fn extracting(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fields");
    let payload = Report::random(&mut fastrand::Rng::with_seed(SEED)).to_json();
    let mut scratch = Scratch::default();
    let (mut matcher, _) = matcher_of(1, Wish::random);
    let interest = matcher.interest();
    group.bench_function("check", |bencher| {
        bencher
            .iter(|| fields::check_payload(black_box(payload.as_bytes()), &mut scratch).unwrap());
    });
    group.bench_function("extract_4_of_9", |bencher| {
        bencher.iter(|| -> Fields {
            fields::extract(black_box(payload.as_bytes()), &mut scratch, &interest).unwrap()
        });
    });
    group.finish();
}

criterion_group!(benches, extracting, matching, subscribing, linear);
criterion_main!(benches);
