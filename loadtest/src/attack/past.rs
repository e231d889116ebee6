//! Those who come back all at once, from the same minute of a history on a disk: what others feel of it, and how often a block is read for them.
//!
//! Invariant: memory holds none of that minute, so whoever is told of it is told from the disk.

use super::Attack;
use super::AttackError;
use super::Figure;
use super::Scale;
use super::Unit;
use super::memory::publish_each;
use super::peer::Peer;
use super::readers::Pace;
use super::server::Server;
use super::stage::Stage;
use crate::clock;
use crate::clock::MILLI;
use crate::clock::SECOND;
use crate::latency::Latencies;
use crate::limits::READ_BYTES;
use crate::subject::Tools;

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use memchr::memmem;

pub(super) const RESUME: Attack = Attack {
    name: "resume-storm",
    about: "up to 10,000 subscribers that resume at once from the same minute of a history on a disk",
    run: resume,
};

/// Events of the minute that everyone asks for.
const MINUTE_EVENTS: u64 = 200;
/// Bytes of history that memory may hold, and bytes of events that push the minute out of it.
const MEMORY_BYTES: u64 = 4 << 20;
/// Events that are published behind the minute; of 500 bytes each they are more than memory holds.
const LATER_EVENTS: u64 = 16_000;
/// Blocks in which the minute may lie: one for each group that was written, of which a run of publishes in flight makes no more than this.
const BLOCKS_MAX: f64 = MINUTE_EVENTS as f64;

fn resume(tools: &Tools, scale: Scale) -> Result<Vec<Figure>, AttackError> {
    let count = scale.of(200, 10_000);
    let configuration = format!(
        "data_dir = 'data'\n[history]\nbytes_max = {MEMORY_BYTES}\n[[history.durable]]\ntopics = ['past/*']\n"
    );
    let server = Server::start(tools, 1, &configuration)?;
    let pad = "x".repeat(100);
    let refused = publish_each(&server, MINUTE_EVENTS, |number| event(number, "past/0", &pad))?;
    let pad = "x".repeat(400);
    let refused =
        refused + publish_each(&server, LATER_EVENTS, |number| event(number, "past/1", &pad))?;
    let mut peers = Vec::with_capacity(count);
    for _ in 0..count {
        peers.push(server.native()?);
    }
    let (quiet, missed_quiet) = live(&server, scale.of(1, 5) * SECOND, None)?;
    let before = server.metric("fanwire_store_blocks_read_total")?;
    let is_over = AtomicBool::new(false);
    let (busy, told) = std::thread::scope(|scope| {
        let told = scope.spawn(|| {
            let told = resume_all(peers);
            is_over.store(true, Ordering::Relaxed);
            told
        });
        let busy = live(&server, 120 * SECOND, Some(&is_over));
        (busy, told.join())
    });
    let (busy, missed_busy) = busy?;
    let untold = told.map_err(|_| AttackError::Unanswered { wanted: "a minute of the past" })??;
    let blocks = server.metric("fanwire_store_blocks_read_total")? - before;
    let what = format!("live p99 while {count} resume, by that before");
    Ok(vec![
        Figure::ratio(what, busy.at(0.99), quiet.at(0.99), 2.0),
        Figure::time("the same", busy.at(0.99), 50.0),
        Figure::counted("blocks read for all of them", blocks, BLOCKS_MAX, Unit::Count),
        Figure::none("not told all of the minute", untold),
        Figure::none("of the live events not heard", missed_quiet + missed_busy),
        Figure::none("of the events refused", refused),
    ])
}

fn event(number: u64, topic: &str, pad: &str) -> String {
    format!(
        "{{\"type\":\"publish\",\"id\":{number},\"topic\":\"{topic}\",\"op\":\"event\",\"payload\":{{\"n\":{number},\"p\":\"{pad}\"}}}}"
    )
}

/// What one reader of live events feels for so long, or until it is over; and how many it did not hear.
pub(super) fn live(
    server: &Server,
    ns: u64,
    is_over: Option<&AtomicBool>,
) -> Result<(Latencies, u64), AttackError> {
    let mut stage = Stage::new()?;
    let mut witness = server.native()?;
    witness.say("{\"type\":\"subscribe\",\"id\":1,\"topics\":[\"t/0\"]}")?;
    witness.wait_for("\"type\":\"live\"")?;
    stage.add(witness, Pace::Eager)?;
    stage.publish(server.native()?, 200, 200, 1);
    let until_ns = clock::now_ns() + ns;
    while clock::now_ns() < until_ns && !is_over.is_some_and(|over| over.load(Ordering::Relaxed)) {
        stage.play(20 * MILLI)?;
    }
    let (felt, latencies) = stage.end()?;
    Ok((latencies, felt.missing + felt.closed))
}

/// All of them ask at once; how many were not told the whole minute within two.
fn resume_all(mut peers: Vec<Peer>) -> Result<u64, AttackError> {
    const ASK: &str =
        "{\"type\":\"subscribe\",\"id\":1,\"topics\":[\"past/0\"],\"since\":\"earliest\"}";
    let mut buffer = vec![0; READ_BYTES];
    let mut heard = vec![(0, false); peers.len()];
    for peer in &mut peers {
        peer.say(ASK)?;
    }
    let until_ns = clock::now_ns() + 120 * SECOND;
    let is_told = |heard: &(u64, bool)| heard.0 >= MINUTE_EVENTS && heard.1;
    while clock::now_ns() < until_ns && !heard.iter().all(is_told) {
        let mut bytes = 0;
        for (peer, heard) in peers.iter_mut().zip(&mut heard).filter(|(_, heard)| !is_told(heard)) {
            peer.go_on()?;
            bytes += peer.read(&mut buffer, READ_BYTES, &mut |message| {
                heard.0 += u64::from(memmem::find(message, b"\"type\":\"event\"").is_some());
                heard.1 |= memmem::find(message, b"\"type\":\"live\"").is_some();
            })?;
        }
        if bytes == 0 {
            clock::pause(MILLI);
        }
    }
    Ok(heard.iter().filter(|heard| !is_told(heard)).count() as u64)
}
