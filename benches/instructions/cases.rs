//! What is counted: each step that an event or a connection goes through, with inputs that are the same every time.
//!
//! A case sets up, does its work once to warm up, and does it again in `measured`: `operations` is how often it is done in there.

use std::hint::black_box;
use std::ops::ControlFlow;

use fanwire::batch::Item;
use fanwire::batch::Outbox;
use fanwire::batch::Policy;
use fanwire::batch::Slow;
use fanwire::dialect::DialectId;
use fanwire::dialect::View;
use fanwire::dialect::hyperbeam;
use fanwire::dialect::native;
use fanwire::dialect::peat;
use fanwire::dialect::provisioning;
use fanwire::event::Payload;
use fanwire::event::Text;
use fanwire::event::TopicPattern;
use fanwire::event::fields;
use fanwire::event::fields::Scratch;
use fanwire::history::Memory;
use fanwire::history::Read;
use fanwire::history::Start;
use fanwire::limits::PAGE_BYTES_MAX;
use fanwire::matcher::Filter;
use fanwire::matcher::SubscriptionIndex;
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

use crate::aircraft;
use crate::callgrind::measured;
use crate::messages;
use crate::messages::TERMS;
use crate::messages::UPGRADE;
use crate::past;
use crate::past::PAYLOAD;
use crate::past::ROOMY;
use crate::scene::Scene;
use crate::scene::masked;
use crate::wishes::Report;
use crate::wishes::Wish;

/// One of them.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) operations: u32,
    pub(crate) run: fn(),
}

const fn case(name: &'static str, operations: u32, run: fn()) -> Case {
    Case { name, operations, run }
}

const SUBSCRIBERS: u32 = 1_000;

/// Matchers that each event meets: every one has hash maps with seeds of their own, and one alone may be lucky by some percent.
const MATCHERS: u32 = 4;

/// All of them, in the order of the data.
pub(crate) const CASES: &[Case] = &[
    case("wire/head/parse", 100, head_parse),
    case("wire/head/upgrade", 100, head_upgrade),
    case("wire/decode/text_160B", 100, || decode(false)),
    case("wire/decode/deflated_160B", 100, || decode(true)),
    case("wire/inflate/160B", 100, inflate),
    case("fields/check", 100, fields_check),
    case("fields/extract_4_of_9", 100, fields_extract),
    case("history/append", 1_000, history_append),
    case("history/read_page", 10, history_read),
    case("matcher/three_terms_2500", MATCHERS * 1_000, || matching(Wish::random)),
    case("matcher/in_vain_2500", MATCHERS * 1_000, || matching(Wish::random_in_vain)),
    case("matcher/circle_and_band_2500", MATCHERS * 1_000, || matching(Wish::random_of_anyone)),
    case("matcher/callsign_2500", MATCHERS * 1_000, || matching(Wish::random_of_callsign)),
    case("matcher/subscribe_and_unsubscribe", 500, subscribing),
    case("dialect/native/encode", 100, || encode(native::NATIVE)),
    case("dialect/peat/encode", 100, || encode(peat::PEAT)),
    case("dialect/hyperbeam/encode", 100, || encode(hyperbeam::HYPERBEAM)),
    case("dialect/provisioning/encode", 100, || encode(provisioning::PROVISIONING)),
    case("wire/frame/160B", 100, frame_message),
    case("wire/deflate/160B_shared_window", 256, deflate),
    case("outbox/push_pop", 1_000, outbox),
    // Per subscriber: everything from a publisher's bytes to the sink.
    case("shard/fan_out/plain", 20 * SUBSCRIBERS, || fan_out(false, "")),
    case("shard/fan_out/deflate", 20 * SUBSCRIBERS, || fan_out(true, "")),
    case("shard/fan_out/filter", 20 * SUBSCRIBERS, || {
        fan_out(false, r#","filter":"altitude > 10000""#);
    }),
    // Per event: what does not grow with the subscribers.
    case("shard/event_for_one", 100, event_for_one),
    case("shard/join", SUBSCRIBERS, join),
];

fn head_parse() {
    let mut run = || {
        for _ in 0..100 {
            black_box(parse_head(black_box(UPGRADE))).ok();
        }
    };
    run();
    measured(&mut run);
}

fn head_upgrade() {
    let (head, _) = parse_head(UPGRADE).unwrap().unwrap();
    let mut out = Vec::with_capacity(512);
    let mut run = || {
        for _ in 0..100 {
            out.clear();
            Upgrade::check(black_box(&head), &TERMS).unwrap().write_reply(&mut out);
        }
    };
    run();
    measured(&mut run);
}

fn decode(is_deflated: bool) {
    let text = messages::telemetry(1);
    let mut message = Vec::new();
    if is_deflated {
        Deflater::new(LEVEL_DEFAULT, WINDOW_BITS_MAX).compress(&[&text], &mut message);
    } else {
        message = text;
    }
    let bytes = messages::masked(&message, is_deflated);
    let (mut decoder, mut inbound) = (Decoder::new(1 << 20, true), Inbound::default());
    let mut take = |incoming: Incoming<'_>| {
        black_box(incoming);
        ControlFlow::Continue(())
    };
    // A decoder unmasks in place, so each needs bytes of its own.
    let mut copies = vec![bytes; 200];
    let (warm, counted) = copies.split_at_mut(100);
    let mut run = |copies: &mut [Vec<u8>]| {
        for bytes in copies {
            assert!(decoder.feed(bytes, &mut inbound, &mut take).is_ok());
        }
    };
    run(warm);
    measured(&mut || run(counted));
}

fn inflate() {
    let mut message = Vec::new();
    Deflater::new(LEVEL_DEFAULT, WINDOW_BITS_MAX)
        .compress(&[&messages::telemetry(1)], &mut message);
    let mut inflater = Inflater::new();
    let mut run = || {
        for _ in 0..100 {
            let inflated = inflater.inflate(black_box(&message), 1 << 20, |piece| {
                black_box(piece);
                Ok::<(), InflateError>(())
            });
            inflated.unwrap();
        }
    };
    run();
    measured(&mut run);
}

fn payload() -> String {
    Report::random(&mut fastrand::Rng::with_seed(aircraft::SEED)).to_json()
}

fn fields_check() {
    let (payload, mut scratch) = (payload(), Scratch::default());
    let mut run = || {
        for _ in 0..100 {
            fields::check_payload(black_box(payload.as_bytes()), &mut scratch).unwrap();
        }
    };
    run();
    measured(&mut run);
}

fn fields_extract() {
    let (payload, mut scratch) = (payload(), Scratch::default());
    let (mut matcher, _) = aircraft::matcher_of(1, Wish::random);
    let interest = matcher.interest();
    let mut run = || {
        for _ in 0..100 {
            let found = fields::extract(black_box(payload.as_bytes()), &mut scratch, &interest);
            black_box(found.unwrap());
        }
    };
    run();
    measured(&mut run);
}

fn history_append() {
    let mut memory = Memory::new(ROOMY);
    let events: Vec<_> = (1..=2_000).map(past::event).collect();
    let (warm, counted) = events.split_at(1_000);
    let mut run = |events: &[_]| events.iter().for_each(|event| memory.append(event));
    run(warm);
    measured(&mut || run(counted));
}

fn history_read() {
    let mut memory = Memory::new(ROOMY);
    for number in 1..=10_000 {
        memory.append(&past::event(number));
    }
    let topics = vec![TopicPattern::new("adsb/*").unwrap()];
    let read = Read {
        topics,
        start: Start::Earliest,
        after_us: 0,
        page_bytes: PAGE_BYTES_MAX,
        with_before: false,
    };
    let mut run = || {
        for _ in 0..10 {
            black_box(memory.read(&read));
        }
    };
    run();
    measured(&mut run);
}

fn matching(make: fn(&mut fastrand::Rng) -> Wish) {
    let mut matchers: Vec<_> = (0..MATCHERS).map(|_| aircraft::matcher_of(2_500, make).0).collect();
    let events = aircraft::events(&matchers[0].interest());
    assert_eq!(events.len(), aircraft::EVENTS);
    let mut out = Vec::new();
    let mut run = || {
        for matcher in &mut matchers {
            for event in &events {
                out.clear();
                matcher.matches(black_box(event), &mut out);
            }
        }
    };
    run();
    measured(&mut run);
}

fn subscribing() {
    let (mut matcher, _) = aircraft::matcher_of(10_000, Wish::random);
    let mut random = fastrand::Rng::with_seed(aircraft::SEED + 2);
    let topics = [TopicPattern::new("adsb/**").unwrap()];
    let new: Vec<Filter> = (0..500)
        .map(|_| Filter::parse_text(&Wish::random(&mut random).to_text()).unwrap())
        .collect();
    let mut run = || {
        for filter in &new {
            matcher.insert(SubscriptionIndex(10_000), aircraft::PAYER, &topics, Some(filter));
            matcher.remove(SubscriptionIndex(10_000));
        }
    };
    run();
    measured(&mut run);
}

fn encode(dialect: DialectId) {
    let (event, view, mut out) = (past::event(1), View::default(), Text::default());
    out.reserve(1024);
    let mut run = || {
        for _ in 0..100 {
            out.clear();
            let payload = Payload::Whole(&event.payload);
            (dialect.speaker().encode)(black_box(&event), payload, &view, &mut out);
        }
    };
    run();
    measured(&mut run);
}

fn frame_message() {
    let (payload, mut out) = (messages::telemetry(1), Vec::with_capacity(1_024));
    let mut run = || {
        for _ in 0..100 {
            out.clear();
            frame::put_message(&mut out, OpCode::Text, Coding::Plain, black_box(&payload));
        }
    };
    run();
    measured(&mut run);
}

fn deflate() {
    let messages: Vec<Vec<u8>> = (0..256).map(messages::telemetry).collect();
    let mut deflater = Deflater::new(LEVEL_DEFAULT, WINDOW_BITS_MAX);
    let mut out = Vec::with_capacity(1 << 16);
    let mut run = || {
        for (at, message) in messages.iter().enumerate() {
            if at % 64 == 0 {
                deflater.reset();
            }
            out.clear();
            deflater.compress(&[message], &mut out);
        }
    };
    run();
    measured(&mut run);
}

fn outbox() {
    let events: Vec<_> = (1..=1_000).map(past::event).collect();
    let policy = Policy::of(std::iter::once(Slow::DropOldest));
    let mut run = || {
        let mut outbox = Outbox::default();
        for event in &events {
            black_box(outbox.push_event(event, 1, &policy, 128 * 1024));
        }
        while let Some(Item::Event { event, .. }) = outbox.pop() {
            black_box(event);
        }
    };
    run();
    measured(&mut run);
}

fn publishing() -> Vec<u8> {
    masked(&format!(r#"{{"type":"publish","topic":"t","key":"k","payload":{PAYLOAD}}}"#))
}

fn fan_out(deflate: bool, options: &str) {
    let mut scene = Scene::new(SUBSCRIBERS as usize, deflate, options);
    let mut frames = vec![publishing(); 40];
    let (warm, counted) = frames.split_at_mut(20);
    warm.iter_mut().for_each(|frame| scene.publish(frame));
    let sends = scene.sink.sends;
    measured(&mut || counted.iter_mut().for_each(|frame| scene.publish(frame)));
    assert_eq!(scene.sink.sends - sends, u64::from(20 * SUBSCRIBERS), "each heard each");
}

fn event_for_one() {
    let mut scene = Scene::new(1, false, "");
    let mut frames = vec![publishing(); 200];
    let (warm, counted) = frames.split_at_mut(100);
    warm.iter_mut().for_each(|frame| scene.publish(frame));
    measured(&mut || counted.iter_mut().for_each(|frame| scene.publish(frame)));
    assert!(scene.sink.bytes > 0, "nobody was sent anything");
}

/// Opened, upgraded, subscribed.
fn join() {
    drop(Scene::new(100, false, ""));
    let mut scene = None;
    measured(&mut || scene = Some(Scene::new(SUBSCRIBERS as usize, false, "")));
    assert!(scene.is_some_and(|it| it.sink.sends > 0), "nobody was answered");
}
