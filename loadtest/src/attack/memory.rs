//! Memory: what one client can make the server hold by what it says, beyond what is configured.

use super::Attack;
use super::AttackError;
use super::Figure;
use super::Scale;
use super::Unit;
use super::peer::Peer;
use super::readers::Pace;
use super::server::Server;
use super::server::within;
use super::stage::Stage;
use crate::clock;
use crate::clock::SECOND;
use crate::subject::Tools;

pub(super) const LARGE: Attack = Attack {
    name: "large-event",
    about: "500 subscribers that each chose another id, another selection of fields, or do not read; one event of 1 MB",
    run: large,
};

pub(super) const CHURN: Attack = Attack {
    name: "interest-churn",
    about: "a subscriber that adds and removes a filter on 250 new fields 40 times a second, beside a publisher",
    run: churn,
};

pub(super) const TOPICS: Attack = Attack {
    name: "topic-names",
    about: "events of more topics than the server may know, each of them once",
    run: topics,
};

/// Bytes of the one event's payload.
const LARGE_BYTES: usize = 1_000_000;
const SUBSCRIBERS: usize = 500;

fn large(tools: &Tools, _: Scale) -> Result<Vec<Figure>, AttackError> {
    let mut figures = Vec::new();
    for (what, path, options, pace) in [
        ("ids of their own", "/v1/ws", "", Pace::Eager),
        ("ids of their own, not reading", "/v1/ws", "", Pace::Never),
        ("fields of their own, not reading", "/v1/ws", "fields", Pace::Never),
        ("event streams", "/v1/sse?topic=large", "", Pace::Never),
    ] {
        let server = Server::start(tools, 1, "")?;
        let mut stage = Stage::new()?;
        for index in 0..SUBSCRIBERS {
            stage.add(subscriber(&server, index, path, options)?, pace)?;
        }
        let resident = server.resident()?;
        server.forget_peak()?;
        let reply = server.ask(&large_event())?;
        let taken = reply.text.contains("\"accepted\":1");
        stage.play(2 * SECOND)?;
        let grown = server.peak()?.saturating_sub(resident);
        figures.push(Figure::bytes(format!("{what}: peak of one event of 1 MB"), grown, 32.0));
        figures.push(Figure::none(format!("{what}: not taken"), u64::from(!taken)));
    }
    Ok(figures)
}

fn subscriber(
    server: &Server,
    index: usize,
    path: &str,
    options: &str,
) -> Result<Peer, AttackError> {
    let mut peer = Peer::connect(server.addr, None)?;
    if path != "/v1/ws" {
        peer.write(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes())?;
        return Ok(peer);
    }
    peer.upgrade(path, "")?;
    let fields = if options.is_empty() {
        String::new()
    } else {
        format!(",\"fields\":[\"p\",\"f{index}\"]")
    };
    peer.say(&format!(
        "{{\"type\":\"subscribe\",\"id\":\"map-{index}\",\"topics\":[\"large\"]{fields}}}"
    ))?;
    peer.wait_for("\"type\":\"live\"")?;
    Ok(peer)
}

/// The payload of a large event.
fn large_payload() -> String {
    format!("{{\"p\":\"{}\"}}", "x".repeat(LARGE_BYTES))
}

/// A message that publishes one.
pub(super) fn large_message() -> String {
    let payload = large_payload();
    format!("{{\"type\":\"publish\",\"topic\":\"large\",\"op\":\"event\",\"payload\":{payload}}}")
}

fn large_event() -> String {
    let body = large_payload();
    format!(
        "POST /v1/publish/large HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn churn(tools: &Tools, scale: Scale) -> Result<Vec<Figure>, AttackError> {
    let server = Server::start(tools, 1, "[history]\ntopic_events_max = 20000\n")?;
    let mut churner = server.native()?;
    let mut stage = Stage::new()?;
    stage.publish(server.native()?, scale.of(2_000, 4_000), 200, 1);
    // History is full, and whatever else grows once has grown, before anything is counted.
    stage.play(scale.of(10, 8) * SECOND)?;
    let resident = server.resident()?;
    let seconds = scale.of(4, 20);
    let mut buffer = vec![0; crate::limits::READ_BYTES];
    for turn in 0..seconds * 40 {
        let tests: Vec<String> = (0..250).map(|field| format!("f{turn}.g{field} > 5")).collect();
        let filter = tests.join(" or ");
        churner.say(&format!(
            "{{\"type\":\"subscribe\",\"id\":{turn},\"topics\":[\"t/*\"],\"filter\":\"{filter}\"}}"
        ))?;
        churner.say(&format!("{{\"type\":\"unsubscribe\",\"id\":{turn}}}"))?;
        stage.play(SECOND / 40)?;
        churner.read(&mut buffer, crate::limits::READ_BYTES, &mut |_| {})?;
    }
    let grown = server.resident()?.saturating_sub(resident);
    let lost = u64::from(churner.end.is_some());
    Ok(vec![
        Figure::bytes(format!("growth in {seconds} s"), grown, 16.0),
        Figure::none("the churner was closed before its end", lost),
    ])
}

fn topics(tools: &Tools, scale: Scale) -> Result<Vec<Figure>, AttackError> {
    let known = scale.of(20_000, 400_000);
    // All are named before the first is forgotten.
    let age_s = scale.of(4, 20);
    let configuration =
        format!("topics_max = {known}\n[history]\nage_s_max = {age_s}\ntopic_keys_max = 0\n");
    let server = Server::start(tools, 1, &configuration)?;
    let before = server.resident()?;
    let mut refused = 0;
    for round in 0..2 {
        refused = publish_each(&server, known, |number| {
            format!(
                "{{\"type\":\"publish\",\"id\":{number},\"topic\":\"names/{round}/{number}\",\"op\":\"event\",\"payload\":{{}}}}"
            )
        })?;
        // The page of metrics is behind by a second at most: it has to have seen them before it can see them gone. Where it has not seen them by the time
        // that all are forgotten, it is behind no more.
        let known_of = || server.metric("fanwire_topics");
        within(age_s * SECOND, || Ok(known_of()? >= 1.0))?;
        let is_empty = within((60 + age_s) * SECOND, || Ok(known_of()? < 1.0))?;
        if !is_empty {
            refused += known;
        }
    }
    let reply = server.ask(
        "POST /v1/publish/one/more HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 7\r\n\r\n{\"a\":1}",
    )?;
    let each = server.peak()?.saturating_sub(before) as f64 / known as f64;
    Ok(vec![
        Figure::counted("bytes of a topic at the peak", each, 2048.0, Unit::Count),
        Figure::none("of the second so many names refused", refused),
        Figure::none("one more refused when all are forgotten", u64::from(reply.status != 200)),
    ])
}

/// Says so many messages that publish, each by its number; how many were refused.
pub(super) fn publish_each(
    server: &Server,
    count: u64,
    message: impl Fn(u64) -> String,
) -> Result<u64, AttackError> {
    let mut peer = server.native()?;
    let mut buffer = vec![0; crate::limits::READ_BYTES];
    let (mut said, mut answered, mut refused) = (0, 0, 0);
    let until_ns = clock::now_ns() + 120 * SECOND;
    while answered < count && clock::now_ns() < until_ns && peer.end.is_none() {
        while said < count && said - answered < 200 && peer.unsaid_bytes() == 0 {
            peer.say(&message(said))?;
            said += 1;
        }
        peer.go_on()?;
        peer.read(&mut buffer, crate::limits::READ_BYTES, &mut |message| {
            answered += 1;
            refused += u64::from(memchr::memmem::find(message, b"\"type\":\"error\"").is_some());
        })?;
    }
    if answered < count {
        return Err(AttackError::Unanswered { wanted: "what became of each publish" });
    }
    Ok(refused)
}
