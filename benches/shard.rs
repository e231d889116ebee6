//! What a shard costs: an event from a publisher's bytes to the last subscriber's socket, and the pieces on the way.
//!
//! Sockets take everything and cost nothing here, so this is what user space adds to the system calls (`docs/PERFORMANCE.md`).

#[path = "support/past.rs"]
mod past;

#[path = "../tests/support/scene.rs"]
mod scene;

use std::hint::black_box;

use criterion::BatchSize;
use criterion::Criterion;
use criterion::Throughput;
use criterion::criterion_group;
use criterion::criterion_main;

use fanwire::batch::Item;
use fanwire::batch::Outbox;
use fanwire::batch::Policy;
use fanwire::batch::Slow;
use fanwire::dialect::View;
use fanwire::dialect::native::NATIVE;
use fanwire::event::Payload;
use fanwire::event::Text;
use fanwire::event::TopicPattern;
use fanwire::history::Memory;
use fanwire::history::Read;
use fanwire::history::Start;
use fanwire::limits::PAGE_BYTES_MAX;

use past::PAYLOAD;
use past::ROOMY;
use past::event;
use scene::Scene;
use scene::masked;

fn fan_out(c: &mut Criterion) {
    let mut group = c.benchmark_group("shard/fan_out");
    let publish = format!(r#"{{"type":"publish","topic":"t","key":"k","payload":{PAYLOAD}}}"#);
    let frame = masked(&publish);
    for subscribers in [1_000, 10_000] {
        for (name, deflate, options) in [
            ("plain", false, ""),
            ("deflate", true, ""),
            ("filter", false, r#","filter":"altitude > 10000""#),
        ] {
            let mut scene = Scene::new(subscribers, deflate, options);
            group.throughput(Throughput::Elements(subscribers as u64));
            group.bench_function(format!("{name}/{subscribers}"), |b| {
                b.iter_batched(
                    || frame.clone(),
                    |mut frame| scene.publish(&mut frame),
                    BatchSize::SmallInput,
                );
            });
            assert!(scene.sink.bytes > 0, "nobody was sent anything");
        }
    }
    group.finish();
}

fn encode(c: &mut Criterion) {
    let (event, view, mut out) = (event(1), View::default(), Text::default());
    c.bench_function("dialect/native/encode", |b| {
        b.iter(|| {
            out.clear();
            let payload = Payload::Whole(&event.payload);
            (NATIVE.speaker().encode)(&event, payload, &view, &mut out);
            black_box(&out);
        });
    });
}

fn history(c: &mut Criterion) {
    let mut memory = Memory::new(ROOMY);
    let mut number = 0;
    c.bench_function("history/append", |b| {
        b.iter_batched(
            || {
                number += 1;
                event(number)
            },
            |event| memory.append(&event),
            BatchSize::SmallInput,
        );
    });
    let mut memory = Memory::new(ROOMY);
    for number in 1..=10_000 {
        memory.append(&event(number));
    }
    let topics = vec![TopicPattern::new("adsb/*").expect("it is a pattern")];
    for (name, start) in
        [("earliest", Start::Earliest), ("last", Start::Last { deleted_after_us: None })]
    {
        let read = Read {
            topics: topics.clone(),
            start,
            after_us: 0,
            page_bytes: PAGE_BYTES_MAX,
            with_before: false,
        };
        c.bench_function(&format!("history/read_page/{name}"), |b| {
            b.iter(|| black_box(memory.read(&read)));
        });
    }
}

fn outbox(c: &mut Criterion) {
    const EVENTS: u64 = 1_000;
    let events: Vec<_> = (1..=EVENTS).map(event).collect();
    let mut group = c.benchmark_group("outbox/push_pop");
    group.throughput(Throughput::Elements(EVENTS));
    for (name, slow) in [
        ("disconnect", Slow::Disconnect),
        ("drop_oldest", Slow::DropOldest),
        ("latest_per_key", Slow::LatestPerKey),
    ] {
        let policy = Policy::of(std::iter::once(slow));
        group.bench_function(name, |b| {
            b.iter_batched_ref(
                Outbox::default,
                |outbox| {
                    for event in &events {
                        black_box(outbox.push_event(event, 1, &policy, 128 * 1024));
                    }
                    while let Some(Item::Event { event, .. }) = outbox.pop() {
                        black_box(event);
                    }
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, fan_out, encode, history, outbox);
criterion_main!(benches);
