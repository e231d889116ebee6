//! The ceiling: everything of the other pages at once, at a server that may take 128 MiB.

use super::Attack;
use super::AttackError;
use super::Figure;
use super::Scale;
use super::input;
use super::memory;
use super::peer::Peer;
use super::server::Server;
use super::stage::Pace;
use super::stage::Stage;
use crate::clock::SECOND;
use crate::limits::READ_BYTES;
use crate::subject::Tools;

pub(super) const CEILING: Attack = Attack {
    name: "ceiling",
    about: "large events to many ids, pages of the past, answers and half messages that nobody takes or ends, names, filters and compressed publishes, all at once at a server of 128 MiB",
    run: ceiling,
};

/// Bytes that the server may take, as it is told and as is measured.
const BYTES_MAX: u64 = 128 << 20;

fn ceiling(tools: &Tools, scale: Scale) -> Result<Vec<Figure>, AttackError> {
    let server = Server::start(tools, 1, &format!("[memory]\nbytes_max = {BYTES_MAX}\n"))?;
    let mut stage = Stage::new()?;
    let mut witness = server.native()?;
    witness.say("{\"type\":\"subscribe\",\"id\":\"w\",\"topics\":[\"t/*\"]}")?;
    witness.wait_for("\"type\":\"live\"")?;
    stage.add(witness, Pace::Eager)?;
    stage.publish(server.native()?, 100, 200, 4);
    stage.play(SECOND / 2)?;
    let mut crowd = Vec::new();
    for round in 0..scale.of(2, 10) {
        gather(&server, &mut crowd, round, scale);
        for _ in 0..4 {
            let mut publisher = server.native()?;
            publisher.say(&memory::large_message())?;
            crowd.push(publisher);
            names(&server, &mut crowd, round, scale.of(500, 5_000));
            stage.play(SECOND / 2)?;
            go_on(&mut crowd);
        }
    }
    stage.play(scale.of(1, 8) * SECOND)?;
    stage.drain(10 * SECOND)?;
    let felt = stage.felt(|pace| pace == Pace::Eager);
    let refused = stage.publisher.as_ref().map_or(0, |publisher| publisher.refused);
    let most = BYTES_MAX as f64 / f64::from(1 << 20);
    Ok(vec![
        Figure::bytes("peak of the whole process", server.peak()?, most),
        Figure::none("a subscriber that reads was closed", felt.closed),
        Figure::none("of the events taken it did not hear", felt.missing.saturating_sub(refused)),
    ])
}

/// What the socket of each did not take before.
fn go_on(crowd: &mut [Peer]) {
    for peer in crowd {
        // Whoever was closed has met its bound.
        drop(peer.go_on());
    }
}

/// Makes an attacker of some kind.
type Kind = fn(&Server, u32) -> Result<Peer, AttackError>;

/// Attackers of every kind. One that is refused has met its bound, which is what is wanted.
fn gather(server: &Server, crowd: &mut Vec<Peer>, round: u32, scale: Scale) {
    let kinds: [Kind; 6] = [unread, past, filters, unfinished, pipelined, inflated];
    for number in 0..scale.of(30, 60) {
        for kind in kinds {
            crowd.extend(kind(server, round * 1000 + number));
        }
    }
}

/// Hears large events under an id of its own, and does not read.
fn unread(server: &Server, number: u32) -> Result<Peer, AttackError> {
    let mut peer = small(server)?;
    peer.say(&format!("{{\"type\":\"subscribe\",\"id\":\"u{number}\",\"topics\":[\"large\"]}}"))?;
    Ok(peer)
}

/// Asks for all of the past, and does not read.
fn past(server: &Server, number: u32) -> Result<Peer, AttackError> {
    let mut peer = small(server)?;
    for topics in ["\"large\"", "\"t/*\"", "\"names/*\""] {
        peer.say(&format!(
            "{{\"type\":\"subscribe\",\"id\":{topics},\"topics\":[{topics}],\"since\":\"earliest\",\"fields\":[\"p\",\"f{number}\"]}}"
        ))?;
    }
    Ok(peer)
}

/// As many filters as a client may have, each on fields of its own.
fn filters(server: &Server, number: u32) -> Result<Peer, AttackError> {
    let mut peer = small(server)?;
    for index in 0..64 {
        let tests: Vec<String> =
            (0..40).map(|field| format!("f{number}.g{index}x{field} > 5")).collect();
        let filter = tests.join(" or ");
        peer.say(&format!(
            "{{\"type\":\"subscribe\",\"id\":{index},\"topics\":[\"t/*\"],\"filter\":\"{filter}\"}}"
        ))?;
    }
    Ok(peer)
}

fn unfinished(server: &Server, _: u32) -> Result<Peer, AttackError> {
    let mut peer = server.native()?;
    input::begin_message(&mut peer)?;
    Ok(peer)
}

fn pipelined(server: &Server, _: u32) -> Result<Peer, AttackError> {
    let mut peer = Peer::connect(server.addr, Some(4096))?;
    peer.write(input::calls("/").as_bytes())?;
    Ok(peer)
}

fn inflated(server: &Server, _: u32) -> Result<Peer, AttackError> {
    let mut peer = Peer::connect(server.addr, Some(4096))?;
    peer.upgrade("/v1/ws", input::DEFLATE)?;
    peer.write(&input::deflated_burst())?;
    Ok(peer)
}

/// A client whose socket takes little.
fn small(server: &Server) -> Result<Peer, AttackError> {
    let mut peer = Peer::connect(server.addr, Some(4096))?;
    peer.upgrade("/v1/ws", "")?;
    Ok(peer)
}

/// One event of each of so many new topics, said at once.
fn names(server: &Server, crowd: &mut Vec<Peer>, round: u32, count: u32) {
    let Ok(mut peer) = server.native() else { return };
    let at = crowd.len();
    for name in 0..count {
        let text = format!(
            "{{\"type\":\"publish\",\"topic\":\"names/{round}x{at}x{name}\",\"op\":\"event\",\"payload\":{{\"n\":0}}}}"
        );
        if peer.say(&text).is_err() {
            return;
        }
    }
    // What it is answered is read once, so that it may go on.
    let mut buffer = vec![0; READ_BYTES];
    drop(peer.read(&mut buffer, READ_BYTES, &mut |_| {}));
    crowd.push(peer);
}
