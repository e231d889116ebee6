//! One table as clients of ResolveSpec have it: rows by key, and rows that are written while others listen.

use super::Measured;
use super::TablesTools;
use super::clients::Clients;
use super::clients::Replies;
use super::server::Started;
use super::server::Subject;
use crate::attack::AttackError;
use crate::attack::Scale;
use crate::clock;
use crate::clock::SECOND;
use crate::filters::splitmix;

use memchr::memmem;

const CONFIGURATION: &str = r#"
connections_max = 4000
auth.messages_per_s = 1000000

[[table]]
name = "public.users"
columns = ["id int key generated", "name text", "team text", "score int"]
"#;

/// Clients that ask at the same time.
const CLIENTS: usize = 64;

fn is_answer(message: &[u8]) -> bool {
    memmem::find(message, b"\"type\":\"response\"").is_some()
}

/// Whether a response says that what was asked was done.
fn check(message: &[u8], part: &[u8]) -> Result<(), AttackError> {
    let is_done = memmem::find(message, b"\"success\":true").is_some();
    match is_done && memmem::find(message, part).is_some() {
        true => Ok(()),
        false => Err(AttackError::Unanswered { wanted: "a response that says what was asked for" }),
    }
}

fn create(number: u64) -> String {
    format!(
        r#"{{"id":"w{number}","type":"request","operation":"create","entity":"users","data":{{"name":"user-{number}","team":"red","score":{number}}}}}"#
    )
}

fn read(number: u64) -> String {
    format!(
        r#"{{"id":"r","type":"request","operation":"read","entity":"users","record_id":"{number}"}}"#
    )
}

/// Each client says the next as soon as the last is answered, until `is_over`; how many were answered.
fn closed_loop(
    clients: &mut Clients,
    part: &[u8],
    says: &mut dyn FnMut() -> String,
    is_over: &mut dyn FnMut(u64) -> bool,
) -> Result<u64, AttackError> {
    for who in 0..clients.len() {
        clients.say(who, &says())?;
    }
    let (mut answered, mut waiting) = (0, clients.len());
    let mut wrong = None;
    while waiting > 0 {
        clients.turn(20, &mut |who, message, replies: &mut Replies| {
            if !is_answer(message) {
                return;
            }
            wrong = wrong.take().or_else(|| check(message, part).err());
            answered += 1;
            match is_over(answered) {
                true => waiting -= 1,
                false => replies.push((who, says())),
            }
        })?;
        if let Some(error) = wrong {
            return Err(error);
        }
    }
    Ok(answered)
}

/// Reads by key.
pub(super) fn reads(
    subject: Subject,
    tools: &TablesTools,
    scale: Scale,
) -> Result<Measured, AttackError> {
    let server = Started::start(subject, tools, CONFIGURATION)?;
    let mut clients = Clients::open(server.addr(), "/ws", CLIENTS)?;
    let rows = scale.of(200, 10_000);
    let mut next = 0;
    let mut says = || {
        next += 1;
        create(next)
    };
    closed_loop(&mut clients, b"\"name\":\"user-", &mut says, &mut |answered| answered >= rows)?;
    let mut random: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut says = || {
        random = splitmix(random);
        read(1 + random % rows)
    };
    let until_ns = clock::now_ns() + scale.of(1, 5) * SECOND;
    let (before, began_ns) = (server.snapshot()?, clock::now_ns());
    let count = closed_loop(&mut clients, b"\"name\":\"user-", &mut says, &mut |_| {
        clock::now_ns() > until_ns
    })?;
    Ok(Measured {
        count,
        took_ns: clock::now_ns() - began_ns,
        run_ns: server.run_ns_since(&before)?,
    })
}

/// How those who listen have said what they want to hear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listen {
    /// Subscriptions of ResolveSpec, all the same.
    ResolveSpec,
    /// Subscriptions of the native protocol to the table's topic, each with an id of its own.
    Native,
}

/// Rows that are written, each by one of a few clients that wait for their response, while many listen: deliveries are counted, and what was written.
pub(super) fn writes(
    (subject, listen): (Subject, Listen),
    tools: &TablesTools,
    scale: Scale,
) -> Result<(Measured, u64), AttackError> {
    let server = Started::start(subject, tools, CONFIGURATION)?;
    let count = scale.of(50, 1_000);
    let (path, heard): (_, &[u8]) = match listen {
        Listen::ResolveSpec => ("/ws", b"\"type\":\"notification\""),
        Listen::Native => ("/v1/ws", b"\"type\":\"event\""),
    };
    let mut listeners = Clients::open(server.addr(), path, count)?;
    for who in 0..count {
        let said = match listen {
            Listen::ResolveSpec => {
                r#"{"id":"s","type":"subscription","operation":"subscribe","entity":"users"}"#
                    .to_owned()
            }
            Listen::Native => format!(
                r#"{{"type":"subscribe","id":"own-{who}","topics":["tables/public.users"]}}"#
            ),
        };
        listeners.say(who, &said)?;
    }
    let mut joined = 0;
    let (one, other): (&[u8], &[u8]) = (b"\"subscription_id\"", b"\"type\":\"live\"");
    listeners.until("subscriptions", |_, message, _| {
        let is_joined = [one, other].iter().any(|part| memmem::find(message, part).is_some());
        joined += usize::from(is_joined);
        joined == count
    })?;
    let mut writers = Clients::open(server.addr(), "/ws", WRITERS)?;
    let writes = scale.of(200, 10_000);
    let (mut said, mut answered, mut deliveries) = (0, 0, 0);
    let due = writes * count as u64;
    let (before, began_ns) = (server.snapshot()?, clock::now_ns());
    for who in 0..WRITERS {
        said += 1;
        writers.say(who, &create(said))?;
    }
    let mut written_ns = 0;
    let until_ns = began_ns + WRITES_NS_MAX;
    while (answered < writes || deliveries < due) && clock::now_ns() < until_ns {
        let mut wrong = None;
        writers.turn(0, &mut |who, message, replies: &mut Replies| {
            wrong = wrong.take().or_else(|| check(message, b"\"name\":\"user-").err());
            answered += 1;
            if said < writes {
                said += 1;
                replies.push((who, create(said)));
            }
        })?;
        if let Some(error) = wrong {
            return Err(error);
        }
        if answered == writes && written_ns == 0 {
            written_ns = clock::now_ns() - began_ns;
        }
        listeners.turn(u64::from(answered >= writes), &mut |_, message, _| {
            deliveries += u64::from(memmem::find(message, heard).is_some());
        })?;
    }
    let run_ns = server.run_ns_since(&before)?;
    let lost = due.saturating_sub(deliveries);
    if subject == Subject::Fanwire && lost > 0 {
        return Err(AttackError::Unanswered { wanted: "every row, by everyone who listens" });
    }
    Ok((Measured { count: deliveries, took_ns: written_ns.max(1), run_ns }, answered))
}

/// Clients that write at the same time.
const WRITERS: usize = 32;
/// What only a server that has stopped answering takes.
const WRITES_NS_MAX: u64 = 180 * SECOND;
