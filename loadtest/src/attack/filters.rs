//! Filters: expressions within every limit that are dear to compile, or dear to try.

use super::Attack;
use super::AttackError;
use super::Figure;
use super::Scale;
use super::peer::Peer;
use super::server::Server;
use crate::clock;
use crate::clock::MILLI;
use crate::clock::SECOND;
use crate::limits::READ_BYTES;
use crate::subject::Tools;

pub(super) const STALL: Attack = Attack {
    name: "dear-filters",
    about: "64 subscriptions of one connection, each of 60 wildcard tests or expressions that fail as late as can be; one event",
    run: stall,
};

pub(super) const COMPILE: Attack = Attack {
    name: "dear-expressions",
    about: "95 expressions of 16 KB a second that are compiled only to be refused",
    run: compile,
};

fn stall(tools: &Tools, _: Scale) -> Result<Vec<Figure>, AttackError> {
    let wildcard = format!("a ilike '%{}b%'", "_a".repeat(100));
    let tests = vec![wildcard; 60].join(" or ");
    let expression = "a =~ '[ab]*a[ab]{500}c'".to_owned();
    let mut figures = Vec::new();
    for (what, filter, text) in [
        ("60 wildcards, 1,000 letters", tests, "a".repeat(1_000)),
        ("an expression, 1 MB", expression, "a".repeat(1_000_000)),
        ("a wildcard, 1 MB", format!("a ilike '%{}b%'", "_a".repeat(120)), "a".repeat(1_000_000)),
    ] {
        let server = Server::start(tools, 1, "")?;
        let mut attacker = server.native()?;
        for id in 0..64 {
            let filter = filter.replace('\\', "\\\\").replace('"', "\\\"");
            attacker.say(&format!(
                "{{\"type\":\"subscribe\",\"id\":{id},\"topics\":[\"t\"],\"filter\":\"{filter} or b{id} = 1\"}}"
            ))?;
        }
        attacker.say("{\"type\":\"ping\",\"id\":1}")?;
        // Whether these are taken or refused, they have been looked at when the answer comes.
        drop(attacker.wait_for("\"type\":\"pong\""));
        let mut witness = server.native()?;
        witness.say("{\"type\":\"subscribe\",\"id\":1,\"topics\":[\"u\"]}")?;
        witness.wait_for("\"type\":\"live\"")?;
        let mut publisher = server.native()?;
        publisher.say(&format!(
            "{{\"type\":\"publish\",\"topic\":\"t\",\"payload\":{{\"a\":\"{text}\"}}}}"
        ))?;
        publisher.say("{\"type\":\"publish\",\"id\":1,\"topic\":\"u\",\"payload\":{}}")?;
        let took_ns = answer_ns(&mut witness, "\"type\":\"event\"")?;
        figures.push(Figure::time(format!("{what}: until others hear"), took_ns, 50.0));
    }
    Ok(figures)
}

fn compile(tools: &Tools, _: Scale) -> Result<Vec<Figure>, AttackError> {
    let server = Server::start(tools, 1, "")?;
    let mut attacker = server.native()?;
    let mut witness = server.native()?;
    let expression = "a?".repeat(7_500);
    let mut longest_ns = 0;
    for round in 0..5 {
        for id in 0..19 {
            attacker.say(&format!(
                "{{\"type\":\"subscribe\",\"id\":\"{round}.{id}\",\"topics\":[\"t\"],\"filter\":\"a =~ '{expression}'\"}}"
            ))?;
        }
        witness.say("{\"type\":\"ping\",\"id\":1}")?;
        longest_ns = longest_ns.max(answer_ns(&mut witness, "\"type\":\"pong\"")?);
    }
    Ok(vec![Figure::time("until another's ping is answered, longest of 5", longest_ns, 50.0)])
}

/// How long until a message contains this.
fn answer_ns(peer: &mut Peer, wanted: &str) -> Result<u64, AttackError> {
    let began_ns = clock::now_ns();
    let mut buffer = vec![0; READ_BYTES];
    let mut found = false;
    while !found && clock::now_ns() - began_ns < 60 * SECOND && peer.end.is_none() {
        peer.read(&mut buffer, READ_BYTES, &mut |message| {
            found |= memchr::memmem::find(message, wanted.as_bytes()).is_some();
        })?;
        if !found {
            clock::pause(MILLI / 10);
        }
    }
    if found {
        Ok(clock::now_ns() - began_ns)
    } else {
        Err(AttackError::Unanswered { wanted: "a message in a minute" })
    }
}
