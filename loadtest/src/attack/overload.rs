//! Slowness and crowds: those who do not read, or hardly, and those who only want to know whether the server lives.

use super::Attack;
use super::AttackError;
use super::Figure;
use super::Scale;
use super::crowd::Crowd;
use super::crowd::Group;
use super::crowd::Turns;
use super::readers::Pace;
use super::server::Server;
use super::server::ask;
use super::stage::Stage;
use crate::clock;
use crate::clock::MILLI;
use crate::clock::SECOND;
use crate::latency::Latencies;
use crate::num;
use crate::proc::Snapshot;
use crate::subject::Tools;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

const EVENT_BYTES: usize = 900;
const KIB: u64 = 1024;
/// Events a second of the short form: all that come in its three seconds find room where they wait to be told, so that a server which gets no processor
/// meanwhile refuses none of them.
const SHORT_PER_SECOND_MAX: u64 = 1_000;
/// What each reader of a crowd asks for, and nothing else.
const PATH: &str = "/v1/ws?topic=t/0";

pub(super) const SLOW: Attack = Attack {
    name: "slow-readers",
    about: "one in seven to nine in ten of up to 10,000 subscribers read nothing, in bursts or 1 to 100 KiB/s, from the beginning, one by one or all at once, at half of the rate that the core can tell",
    run: slow,
};

pub(super) const HEALTH: Attack = Attack {
    name: "health-under-load",
    about: "a publisher as fast as it can, every subscriber there may be, and somebody who asks for /healthz",
    run: health,
};

/// Some readers, of which some are slow.
struct Mix {
    what: &'static str,
    readers: usize,
    slow_percent: usize,
    /// The paces that the slow ones have in turn.
    paces: &'static [Pace],
    turns: fn(u64) -> Turns,
}

const MOVING: &[Pace] = &[Pace::BytesPerSecond(8 * KIB), Pace::BytesPerSecond(40 * KIB)];
const NEVER: &[Pace] = &[Pace::Never];
const EVERYTHING: &[Pace] = &[
    Pace::Never,
    Pace::BytesPerSecond(KIB),
    Pace::BytesPerSecond(8 * KIB),
    Pace::BytesPerSecond(100 * KIB),
    Pace::Bursts { every_ns: SECOND },
];

const SHORT: [Mix; 2] = [
    Mix {
        what: "120, half of them turn slow one by one",
        readers: 120,
        slow_percent: 50,
        paces: EVERYTHING,
        turns: |ns| Turns::OneByOne { ns: ns / 2 },
    },
    Mix {
        what: "90, 34 % never read",
        readers: 90,
        slow_percent: 34,
        paces: NEVER,
        turns: |_| Turns::FromTheBeginning,
    },
];

const WHOLE: [Mix; 5] = [
    Mix {
        what: "240, 17 % read 8 or 40 KiB/s",
        readers: 240,
        slow_percent: 17,
        paces: MOVING,
        turns: |_| Turns::FromTheBeginning,
    },
    Mix {
        what: "240, 14 % never read",
        readers: 240,
        slow_percent: 14,
        paces: NEVER,
        turns: |_| Turns::FromTheBeginning,
    },
    Mix {
        what: "10,000, 17 % slow from the beginning",
        readers: 10_000,
        slow_percent: 17,
        paces: EVERYTHING,
        turns: |_| Turns::FromTheBeginning,
    },
    Mix {
        what: "10,000, half turn slow one by one",
        readers: 10_000,
        slow_percent: 50,
        paces: EVERYTHING,
        turns: |ns| Turns::OneByOne { ns: ns * 2 / 3 },
    },
    Mix {
        what: "10,000, 90 % turn slow all at once",
        readers: 10_000,
        slow_percent: 90,
        paces: EVERYTHING,
        turns: |ns| Turns::Together { ns: ns / 3 },
    },
];

impl Mix {
    fn eager(&self) -> usize {
        self.readers - self.readers * self.slow_percent / 100
    }

    fn groups(&self, ns: u64) -> Vec<Group> {
        let each = (self.readers - self.eager()) / self.paces.len();
        let slow = self.paces.iter().map(|pace| Group {
            count: each,
            pace: *pace,
            turns: (self.turns)(ns),
        });
        std::iter::once(Group::of(self.eager(), Pace::Eager)).chain(slow).collect()
    }
}

/// What those felt who kept up.
struct Heard {
    p99_ns: u64,
    missing: u64,
    closed: u64,
    refused: u64,
}

/// Has a crowd hear so many events a second for so long, from a server of its own.
fn hear(tools: &Tools, groups: &[Group], per_second: u64, ns: u64) -> Result<Heard, AttackError> {
    let server = Server::start(tools, 1, "")?;
    let mut stage = Stage::new()?;
    let crowd = Crowd::gather(server.addr, PATH, groups)?;
    stage.publish(server.native()?, per_second, EVENT_BYTES, 1);
    stage.add_crowd(crowd)?;
    stage.play(ns)?;
    let (felt, latencies) = stage.end()?;
    let refused = stage.refused();
    Ok(Heard { p99_ns: latencies.at(0.99), missing: felt.missing, closed: felt.closed, refused })
}

/// Events a second that keep one core half busy when so many readers keep up.
fn half_rate(tools: &Tools, readers: usize) -> Result<u64, AttackError> {
    /// Events a second that any core can tell to any crowd here, and for how long: enough to see what one costs.
    const TRIED_PER_SECOND: u64 = 8;
    let server = Server::start(tools, 1, "")?;
    let mut stage = Stage::new()?;
    let crowd = Crowd::gather(server.addr, PATH, &[Group::of(readers, Pace::Eager)])?;
    stage.publish(server.native()?, TRIED_PER_SECOND, EVENT_BYTES, 1);
    stage.add_crowd(crowd)?;
    stage.play(SECOND)?;
    let (before, said) = (Snapshot::take(&[server.pid()])?, stage.said());
    stage.play(2 * SECOND)?;
    let spent = Snapshot::take(&[server.pid()])?.since(&before, 1);
    let each_ns = spent.busiest_ns / (stage.said() - said).max(1);
    Ok((SECOND / 2 / each_ns.max(1)).max(1))
}

fn slow(tools: &Tools, scale: Scale) -> Result<Vec<Figure>, AttackError> {
    let ns = scale.of(3, 12) * SECOND;
    let mut figures = Vec::new();
    // By how many readers there are; and by how many of them keep up, when these are alone.
    let (mut rates, mut alone) = (BTreeMap::new(), BTreeMap::new());
    for mix in scale.of(&SHORT[..], &WHOLE[..]) {
        // A crowd that is a little smaller has no rate of its own.
        let of = mix.readers.next_power_of_two();
        let per_second = match rates.get(&of) {
            Some(rate) => *rate,
            None => half_rate(tools, mix.readers)?.min(scale.of(SHORT_PER_SECOND_MAX, u64::MAX)),
        };
        rates.insert(of, per_second);
        let key = (mix.eager(), per_second);
        let alone_ns = match alone.get(&key) {
            Some(ns) => *ns,
            None => hear(tools, &[Group::of(mix.eager(), Pace::Eager)], per_second, ns)?.p99_ns,
        };
        alone.insert(key, alone_ns);
        let heard = hear(tools, &mix.groups(ns), per_second, ns)?;
        // Below some milliseconds a ratio says more of the machine than of the server.
        let alone_ns = alone_ns.max(5 * MILLI);
        let what = format!("{} ({per_second} events/s)", mix.what);
        let late = format!("{what}: p99 of those who keep up, of theirs alone");
        figures.extend([
            Figure::ratio(late, heard.p99_ns, alone_ns, 2.0),
            Figure::none(format!("{what}: events that they did not hear"), heard.missing),
            Figure::none(format!("{what}: of them closed"), heard.closed),
            Figure::none(format!("{what}: publishes refused"), heard.refused),
        ]);
    }
    Ok(figures)
}

fn health(tools: &Tools, scale: Scale) -> Result<Vec<Figure>, AttackError> {
    let server = Server::start(tools, 1, "")?;
    let mut stage = Stage::new()?;
    let readers = scale.of(300, 18_000);
    stage.add_crowd(Crowd::gather(server.addr, PATH, &[Group::of(readers, Pace::Eager)])?)?;
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
                clock::pause(20 * MILLI);
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
    let what = format!("/healthz beside {readers} subscribers at full load, p99");
    Ok(vec![
        Figure::time(what, latencies.at(0.99), 50.0),
        Figure::none("never answered", u64::from(samples == 0)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mix_is_as_large_as_it_says() {
        for mix in SHORT.iter().chain(&WHOLE) {
            let groups = mix.groups(SECOND);
            let slow: usize = groups.iter().skip(1).map(|group| group.count).sum();
            let wanted = mix.readers * mix.slow_percent / 100;
            assert!(groups[0].count + wanted == mix.readers && slow <= wanted, "{}", mix.what);
            assert!(slow + mix.paces.len() > wanted && slow > 0, "{}: {slow}", mix.what);
        }
    }
}
