//! Costs that nobody is to feel: what is known and rests, and what is read of it again and again.

use super::Attack;
use super::AttackError;
use super::Figure;
use super::Scale;
use super::memory::publish_each;
use super::readers::Pace;
use super::server::Server;
use super::stage::Stage;
use crate::clock;
use crate::clock::MILLI;
use crate::clock::SECOND;
use crate::proc::Snapshot;
use crate::subject::Tools;

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

pub(super) const IDLE: Attack = Attack {
    name: "idle-topics",
    about: "up to 900,000 topics with an event each, of which nobody wants to know anything",
    run: idle,
};

pub(super) const LAST: Attack = Attack {
    name: "last-of-many-keys",
    about: "four subscribers that ask for the last event of each of up to 300,000 keys, again and again",
    run: last,
};

fn idle(tools: &Tools, scale: Scale) -> Result<Vec<Figure>, AttackError> {
    let known = scale.of(5_000, 900_000);
    let configuration = format!("topics_max = {}\n[history]\nage_s_max = 86400\n", 2 * known);
    let server = Server::start(tools, 1, &configuration)?;
    let refused = publish_each(&server, known, |number| {
        format!(
            "{{\"type\":\"publish\",\"id\":{number},\"topic\":\"names/{number}\",\"op\":\"event\",\"payload\":{{}}}}"
        )
    })?;
    clock::pause(SECOND);
    let before = Snapshot::take(&[server.pid()])?;
    let ns = scale.of(2, 10) * SECOND;
    clock::pause(ns);
    let spent = Snapshot::take(&[server.pid()])?.since(&before, 1);
    let share = spent.run_ns as f64 / ns as f64 * 100.0;
    Ok(vec![
        Figure::core_share(format!("of a core, {known} topics at rest"), share, 1.0),
        Figure::none("of their events refused", refused),
    ])
}

fn last(tools: &Tools, scale: Scale) -> Result<Vec<Figure>, AttackError> {
    let keys = scale.of(3_000, 300_000);
    let configuration = format!("[history]\ntopic_keys_max = {keys}\ntopic_events_max = 10\n");
    let server = Server::start(tools, 1, &configuration)?;
    let refused = publish_each(&server, keys, |number| {
        let topic = number % 10;
        format!(
            "{{\"type\":\"publish\",\"id\":{number},\"topic\":\"names/{topic}\",\"key\":\"{number}\",\"payload\":{{\"k\":{number}}}}}"
        )
    })?;
    let mut stage = Stage::new()?;
    let mut witness = server.native()?;
    witness.say("{\"type\":\"subscribe\",\"id\":1,\"topics\":[\"t/0\"]}")?;
    witness.wait_for("\"type\":\"live\"")?;
    stage.add(witness, Pace::Eager)?;
    stage.publish(server.native()?, 100, 200, 1);
    let is_over = AtomicBool::new(false);
    let (played, asked) = std::thread::scope(|scope| {
        let asking: Vec<_> = (0..4).map(|_| scope.spawn(|| ask_again(&server, &is_over))).collect();
        let played = stage.play(scale.of(3, 15) * SECOND);
        is_over.store(true, Ordering::Relaxed);
        let asked: Vec<_> = asking.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        (played, asked)
    });
    played?;
    let mut answers = 0;
    for asked in asked {
        answers += asked.map_err(|_| AttackError::Unanswered { wanted: "the last events" })??;
    }
    let (felt, latencies) = stage.end()?;
    let what = format!("another's events beside {keys} keys, p99");
    Ok(vec![
        Figure::time(what, latencies.at(0.99), 50.0),
        Figure::none("of its events it did not hear", felt.missing),
        Figure::none("of the keys' events refused", refused),
        Figure::none("never told all keys", u64::from(answers == 0)),
    ])
}

/// Asks for the last event of every key until it is enough; how often all of them came.
fn ask_again(server: &Server, is_over: &AtomicBool) -> Result<u64, AttackError> {
    let mut peer = server.native()?;
    let mut answers = 0;
    while !is_over.load(Ordering::Relaxed) {
        peer.say("{\"type\":\"subscribe\",\"id\":1,\"topics\":[\"names/*\"],\"since\":\"last\"}")?;
        peer.wait_for("\"type\":\"live\"")?;
        peer.say("{\"type\":\"unsubscribe\",\"id\":1}")?;
        peer.wait_for("\"type\":\"unsubscribed\"")?;
        answers += 1;
        // Two messages a turn, and a client may say a hundred a second.
        clock::pause(25 * MILLI);
    }
    Ok(answers)
}
