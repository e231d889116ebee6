//! Slowness and crowds: those who do not read, or hardly, and those who only want to know whether the server lives.

use super::Attack;
use super::AttackError;
use super::Figure;
use super::Scale;
use super::Unit;
use super::peer::Peer;
use super::server::Server;
use super::server::ask;
use super::stage::Pace;
use super::stage::Stage;
use crate::clock;
use crate::clock::MILLI;
use crate::clock::SECOND;
use crate::latency::Latencies;
use crate::num;
use crate::subject::Tools;

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

/// Enough of the kernel's buffer that a slow one is slow, and not merely late.
const SLOW_RECEIVE_BYTES: usize = 16 * 1024;
const EVENT_BYTES: usize = 900;
const KIB: u64 = 1024;

pub(super) const SLOW: Attack = Attack {
    name: "slow-readers",
    about: "one in six to nine in ten subscribers read 8 to 40 KiB/s, at half of the rate that the core can tell",
    run: slow,
};

pub(super) const UNREAD: Attack = Attack {
    name: "never-readers",
    about: "subscribers that never read, beside those that do",
    run: unread,
};

pub(super) const HEALTH: Attack = Attack {
    name: "health-under-load",
    about: "a publisher as fast as it can, every subscriber there may be, and somebody who asks for /healthz",
    run: health,
};

fn join(server: &Server, stage: &mut Stage, count: usize, pace: Pace) -> Result<(), AttackError> {
    for _ in 0..count {
        let receive_bytes = (pace != Pace::Eager).then_some(SLOW_RECEIVE_BYTES);
        let mut peer = Peer::connect(server.addr, receive_bytes)?;
        peer.upgrade("/v1/ws?topic=t/0", "")?;
        peer.wait_for("\"type\":\"live\"")?;
        stage.add(peer, pace)?;
    }
    Ok(())
}

/// The p99 of those who keep up, at such a rate, for so long, with such others beside them; and what else is to be said of it.
fn beside(
    tools: &Tools,
    scale: Scale,
    eager: usize,
    others: &[(usize, Pace)],
    per_second: u64,
) -> Result<(u64, Stage), AttackError> {
    let server = Server::start(tools, 1, "")?;
    let mut stage = Stage::new()?;
    join(&server, &mut stage, eager, Pace::Eager)?;
    for (count, pace) in others {
        join(&server, &mut stage, *count, *pace)?;
    }
    stage.publish(server.native()?, per_second, EVENT_BYTES, 1);
    stage.play(scale.of(4, 15) * SECOND)?;
    stage.drain(10 * SECOND)?;
    Ok((stage.latencies.at(0.99), stage))
}

fn figures(what: &str, alone_ns: u64, p99_ns: u64, stage: &Stage, scale: Scale) -> Vec<Figure> {
    let felt = stage.felt(|pace| pace == Pace::Eager);
    let refused = stage.publisher.as_ref().map_or(0, |publisher| publisher.refused);
    // Below some milliseconds a ratio says more of the machine than of the server.
    let floor_ns = scale.of(200, 5) * MILLI;
    let ratio = p99_ns as f64 / alone_ns.max(floor_ns) as f64;
    vec![
        Figure::new(
            format!("{what}: p99 of those who keep up, of theirs alone"),
            ratio,
            2.0,
            Unit::Times,
        ),
        Figure::none(format!("{what}: events that they did not hear"), felt.missing),
        Figure::none(format!("{what}: of them closed"), felt.closed),
        Figure::none(format!("{what}: publishes refused"), refused),
    ]
}

fn slow(tools: &Tools, scale: Scale) -> Result<Vec<Figure>, AttackError> {
    let eager = scale.of(50, 200);
    let per_second = scale.of(100, 300);
    let (alone_ns, _) = beside(tools, scale, eager, &[], per_second)?;
    let mut all = Vec::new();
    for (what, share) in [("17 % slow", 5), ("half slow", 1)] {
        let each = eager / share / 2;
        let others =
            [(each, Pace::BytesPerSecond(8 * KIB)), (each, Pace::BytesPerSecond(40 * KIB))];
        let (p99_ns, stage) = beside(tools, scale, eager, &others, per_second)?;
        all.extend(figures(what, alone_ns, p99_ns, &stage, scale));
    }
    let each = eager * 9 / 3;
    let others = [
        (each, Pace::BytesPerSecond(KIB)),
        (each, Pace::BytesPerSecond(8 * KIB)),
        (each, Pace::BytesPerSecond(100 * KIB)),
    ];
    let (p99_ns, stage) = beside(tools, scale, eager, &others, per_second)?;
    all.extend(figures("90 % slow", alone_ns, p99_ns, &stage, scale));
    Ok(all)
}

fn unread(tools: &Tools, scale: Scale) -> Result<Vec<Figure>, AttackError> {
    let eager = scale.of(50, 200);
    let per_second = scale.of(100, 300);
    let (alone_ns, _) = beside(tools, scale, eager, &[], per_second)?;
    let others = [(scale.of(40, 400), Pace::Never)];
    let (p99_ns, stage) = beside(tools, scale, eager, &others, per_second)?;
    Ok(figures("some never read", alone_ns, p99_ns, &stage, scale))
}

fn health(tools: &Tools, scale: Scale) -> Result<Vec<Figure>, AttackError> {
    let server = Server::start(tools, 1, "")?;
    let mut stage = Stage::new()?;
    join(&server, &mut stage, scale.of(500, 18_000), Pace::Eager)?;
    // Far beyond what the core can tell: it is never idle.
    stage.publish(server.native()?, scale.of(2_000, 5_000), 150, 1);
    let addr = server.addr;
    let is_over = AtomicBool::new(false);
    let (played, asked) = std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut latencies = Latencies::new();
            while !is_over.load(Ordering::Relaxed) {
                let request =
                    "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
                let reply = ask(addr, request)?;
                latencies.record(reply.took_ns);
                clock::pause(50 * MILLI);
            }
            Ok::<_, AttackError>(latencies)
        });
        let played = stage.play(scale.of(3, 15) * SECOND);
        is_over.store(true, Ordering::Relaxed);
        (played, asking.join())
    });
    played?;
    let latencies = asked.map_err(|_| AttackError::Unanswered { wanted: "/healthz" })??;
    let samples = num::whole(latencies.samples() as f64);
    Ok(vec![
        Figure::time("/healthz at full load, p99", latencies.at(0.99), scale.millis(50.0)),
        Figure::none("never answered", u64::from(samples == 0)),
    ])
}
