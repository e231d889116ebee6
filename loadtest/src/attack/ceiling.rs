//! The ceiling: everything of the other pages at once, at servers that may take 64 or 128 MiB.

use super::Attack;
use super::AttackError;
use super::Figure;
use super::Scale;
use super::input;
use super::memory;
use super::peer::Peer;
use super::readers::Pace;
use super::server::Server;
use super::stage::Stage;
use crate::clock::SECOND;
use crate::limits::READ_BYTES;
use crate::subject::Tools;

pub(super) const CEILING: Attack = Attack {
    name: "ceiling",
    about: "large events to many ids, pages of the past, answers and half messages that nobody takes or ends, bodies, rates, names, filters, expressions and compressed messages, all at once at servers of 64 and 128 MiB",
    run: ceiling,
};

/// MiB that each server may take, as it is told and as is measured; and its shards. The smallest is nearest to its bounds soonest.
const SERVERS: [(u64, u32); 3] = [(64, 1), (128, 1), (128, 2)];

/// Attackers for each MiB that are kept when others come: about as many as a server of 128 MiB lets in.
const CROWD_OF_MIB: u64 = 3;

fn ceiling(tools: &Tools, scale: Scale) -> Result<Vec<Figure>, AttackError> {
    let servers = scale.of(&SERVERS[..1], &SERVERS[..]);
    let figures: Result<Vec<_>, _> =
        servers.iter().map(|(mib, shards)| attack(tools, scale, *mib, *shards)).collect();
    Ok(figures?.into_iter().flatten().collect())
}

fn attack(tools: &Tools, scale: Scale, mib: u64, shards: u32) -> Result<Vec<Figure>, AttackError> {
    let server = Server::start(tools, shards, &format!("[memory]\nbytes_max = {}\n", mib << 20))?;
    let mut stage = Stage::new()?;
    let mut witness = server.native()?;
    witness.say("{\"type\":\"subscribe\",\"id\":\"w\",\"topics\":[\"t/*\"]}")?;
    witness.wait_for("\"type\":\"live\"")?;
    stage.add(witness, Pace::Eager)?;
    stage.publish(server.native()?, 100, 200, 4);
    stage.play(SECOND / 2)?;
    let mut crowd = Vec::new();
    let mut number = 0;
    for round in 0..scale.of(5, 60) {
        // Those who came first go: what they held is taken by others at once.
        let kept = usize::try_from(mib * CROWD_OF_MIB).unwrap_or(usize::MAX);
        crowd.drain(..crowd.len().saturating_sub(kept));
        gather(&server, &mut crowd, &mut number);
        // Whoever is refused has met a bound, which is what is wanted.
        if let Ok(mut publisher) = server.native() {
            drop(publisher.say(&memory::large_message()));
            crowd.push(publisher);
        }
        names(&server, &mut crowd, round, scale.of(300, 3_000));
        stage.play(SECOND / 2)?;
        go_on(&mut crowd);
    }
    stage.play(scale.of(1, 8) * SECOND)?;
    let (felt, _) = stage.end()?;
    let of = format!("{mib} MiB, {shards} shards");
    Ok(vec![
        Figure::bytes(format!("peak of the whole process ({of})"), server.peak()?, mib as f64),
        Figure::none(format!("a subscriber that reads was closed ({of})"), felt.closed),
        Figure::none(format!("of the events taken it did not hear ({of})"), felt.missing),
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

/// Some attackers of every kind. One that is refused has met its bound, which is what is wanted.
fn gather(server: &Server, crowd: &mut Vec<Peer>, number: &mut u32) {
    let kinds: [Kind; 10] =
        [unread, past, filters, expressions, paced, classes, unfinished, body, pipelined, inflated];
    for _ in 0..6 {
        *number += 1;
        for kind in kinds {
            crowd.extend(kind(server, *number));
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

/// Filters with expressions, each of its own.
fn expressions(server: &Server, number: u32) -> Result<Peer, AttackError> {
    let mut peer = small(server)?;
    for index in 0..64 {
        peer.say(&format!(
            "{{\"type\":\"subscribe\",\"id\":{index},\"topics\":[\"t/*\"],\"filter\":\"p =~ '^[a-z]{{40}}{number}x{index}.*(x|y)+$'\"}}"
        ))?;
    }
    Ok(peer)
}

/// Has events of many keys held back, and leaves to be told of.
fn paced(server: &Server, _: u32) -> Result<Peer, AttackError> {
    let mut peer = small(server)?;
    for (id, wish) in
        ["\"max_rate\":{\"hz\":0.01,\"per\":\"key\"}", "\"leave\":true,\"filter\":\"n >= 0\""]
            .iter()
            .enumerate()
    {
        peer.say(&format!(
            "{{\"type\":\"subscribe\",\"id\":{id},\"topics\":[\"names/*\",\"t/*\",\"large\"],{wish}}}"
        ))?;
    }
    Ok(peer)
}

/// Is told compressed messages, of a class of its own.
fn classes(server: &Server, number: u32) -> Result<Peer, AttackError> {
    let mut peer = Peer::connect(server.addr, Some(4096))?;
    peer.upgrade("/v1/ws", "Sec-WebSocket-Extensions: permessage-deflate\r\n")?;
    peer.say(&format!(
        "{{\"type\":\"subscribe\",\"id\":\"c{number}\",\"topics\":[\"t/*\",\"large\"],\"fields\":[\"p\",\"f{number}\"]}}"
    ))?;
    Ok(peer)
}

/// Half of a body.
fn body(server: &Server, _: u32) -> Result<Peer, AttackError> {
    let mut peer = Peer::connect(server.addr, None)?;
    peer.write(b"POST /v1/publish/large HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n{\"p\":\"")?;
    peer.write(&vec![b'x'; 900_000])?;
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
