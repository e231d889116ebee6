//! What the wire costs: heads, frames, deflating for a class, inflating for a publisher.

use std::hint::black_box;
use std::ops::ControlFlow;

use criterion::BatchSize;
use criterion::Criterion;
use criterion::Throughput;
use criterion::criterion_group;
use criterion::criterion_main;

use fanwire::wire::decoder::Decoder;
use fanwire::wire::decoder::Inbound;
use fanwire::wire::decoder::Incoming;
use fanwire::wire::deflate::Deflater;
use fanwire::wire::deflate::InflateError;
use fanwire::wire::deflate::Inflater;
use fanwire::wire::deflate::LEVEL_DEFAULT;
use fanwire::wire::deflate::WINDOW_BITS_MAX;
use fanwire::wire::frame;
use fanwire::wire::frame::Coding;
use fanwire::wire::frame::OpCode;
use fanwire::wire::http::parse_head;
use fanwire::wire::upgrade::Upgrade;

use messages::TERMS;
use messages::UPGRADE;
use messages::masked;
use messages::telemetry;

#[path = "support/messages.rs"]
mod messages;

fn heads(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("wire/head");
    group.bench_function("parse", |bencher| bencher.iter(|| parse_head(black_box(UPGRADE))));
    group.bench_function("upgrade", |bencher| {
        let (head, _) = parse_head(UPGRADE).expect("well formed").expect("complete");
        let mut out = Vec::with_capacity(512);
        bencher.iter(|| {
            out.clear();
            Upgrade::check(black_box(&head), &TERMS).expect("acceptable").write_reply(&mut out);
        });
    });
    group.finish();
}

fn decoding(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("wire/decode");
    let mut inbound = Inbound::default();
    let mut decoder = Decoder::new(1 << 20, true);
    let mut take = |incoming: Incoming<'_>| {
        black_box(incoming);
        ControlFlow::Continue(())
    };
    let mut deflated = Vec::new();
    Deflater::new(LEVEL_DEFAULT, WINDOW_BITS_MAX).compress(&[&telemetry(1)], &mut deflated);
    for (name, bytes) in [
        ("text/160B", masked(&telemetry(1), false)),
        ("text/16KiB", masked(&[b'a'; 16_384], false)),
        ("deflated/160B", masked(&deflated, true)),
    ] {
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter_batched_ref(
                || bytes.clone(),
                |bytes| decoder.feed(bytes, &mut inbound, &mut take),
                BatchSize::SmallInput,
            );
        });
    }
    let bytes = masked(&telemetry(1), false);
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("text/160B/in_two_parts", |bencher| {
        bencher.iter_batched_ref(
            || bytes.clone(),
            |bytes| {
                let (first, second) = bytes.split_at_mut(80);
                decoder.feed(first, &mut inbound, &mut take)?;
                decoder.feed(second, &mut inbound, &mut take)
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

fn encoding(criterion: &mut Criterion) {
    let payload = telemetry(1);
    let mut out = Vec::with_capacity(1_024);
    criterion.bench_function("wire/encode/160B", |bencher| {
        bencher.iter(|| {
            out.clear();
            frame::put_message(&mut out, OpCode::Text, Coding::Plain, black_box(&payload));
        });
    });
}

fn deflating(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("wire/deflate");
    let messages: Vec<Vec<u8>> = (0..1_024).map(telemetry).collect();
    let batch = messages[..100].concat();
    let mut out = Vec::with_capacity(1 << 16);
    for epoch in [1, 64, 256] {
        group.bench_function(format!("160B/reset_every_{epoch}"), |bencher| {
            let mut deflater = Deflater::new(LEVEL_DEFAULT, WINDOW_BITS_MAX);
            let mut index = 0;
            bencher.iter(|| {
                if index % epoch == 0 {
                    deflater.reset();
                }
                out.clear();
                deflater.compress(&[&messages[index % messages.len()]], &mut out);
                index += 1;
            });
        });
    }
    group.bench_function("batch_of_100/fresh", |bencher| {
        let mut deflater = Deflater::new(LEVEL_DEFAULT, WINDOW_BITS_MAX);
        bencher.iter(|| {
            deflater.reset();
            out.clear();
            deflater.compress(&[&batch], &mut out);
        });
    });
    group.finish();
}

fn inflating(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("wire/inflate");
    let batch: Vec<u8> = (0..100).flat_map(telemetry).collect();
    let mut inflater = Inflater::new();
    for (name, text) in [("160B", telemetry(1)), ("batch_of_100", batch)] {
        let mut message = Vec::new();
        Deflater::new(LEVEL_DEFAULT, WINDOW_BITS_MAX).compress(&[&text], &mut message);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                inflater.inflate(black_box(&message), 1 << 20, |piece| {
                    black_box(piece);
                    Ok::<(), InflateError>(())
                })
            });
        });
    }
    group.finish();
}

criterion_group!(benches, heads, decoding, encoding, deflating, inflating);
criterion_main!(benches);
