//! Tables as dashboards have them: rows that arrive by the thousand, told in columns, and replays that many ask for at once.

use super::Measured;
use super::TablesTools;
use super::clients::Clients;
use super::server::Started;
use super::server::Subject;
use crate::attack::AttackError;
use crate::attack::Scale;
use crate::clock;
use crate::clock::SECOND;

use memchr::memmem;

/// Tables that rows arrive for.
const TABLES: usize = 20;
/// Rows that are published in one step, all of one table.
const STEP_ROWS: u64 = 25;

fn configuration() -> String {
    let mut out = "connections_max = 20000\nauth.messages_per_s = 1000000\nauth.publish_per_s = 1000000\n[tables]\nbackend = \"memory\"\n".to_owned();
    for table in 0..TABLES {
        out.push_str(&format!(
            "[[table]]\nname = \"t{table}\"\ncolumns = [\"name text key\", \"n int\", \"kind text\", \"seq_num int sorted\"]\nfrom = [\"feed/t{table}\"]\nwrites = false\n"
        ));
    }
    out
}

/// How rows are heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hear {
    /// In batches of columns, by rtbdp.
    Columns,
    /// Each as an event of its table's topic, by the native protocol.
    Events,
}

/// Rows that arrive at a steady rate and are heard by many, each of one table; rows that were delivered are counted.
pub(super) fn rows(hear: Hear, tools: &TablesTools, scale: Scale) -> Result<Measured, AttackError> {
    let server = Started::start(Subject::Fanwire, tools, &configuration())?;
    let count = scale.of(100, 10_000);
    let path = if hear == Hear::Columns { "/api" } else { "/v1/ws" };
    let mut clients = Clients::open(server.addr(), path, count)?;
    let subscribe = |who: usize| match hear {
        Hear::Columns => format!(
            r#"{{"subscribe":[{{"id":1,"table":"t{}"}}],"replay":[{{"id":7,"table":"t{}"}}]}}"#,
            who % TABLES,
            who % TABLES
        ),
        Hear::Events => {
            format!(r#"{{"type":"subscribe","id":1,"topics":["tables/t{}"]}}"#, who % TABLES)
        }
    };
    for who in 0..count {
        clients.say(who, &subscribe(who))?;
    }
    let mut joined = 0;
    clients.until("subscriptions", |_, message, _| {
        let parts: [&[u8]; 2] = [b"{\"replayed\":7}", b"\"type\":\"live\""];
        joined += usize::from(parts.iter().any(|part| memmem::find(message, part).is_some()));
        joined == count
    })?;
    let mut publisher = Clients::open(server.addr(), "/v1/ws", 1)?;
    let per_second = scale.of(500, tools.rows_per_s);
    let steps = scale.of(1, 5) * per_second / STEP_ROWS;
    let due = steps * STEP_ROWS * count as u64 / TABLES as u64;
    let (before, began_ns) = (server.snapshot()?, clock::now_ns());
    let (mut step, mut delivered, mut seq) = (0, 0, 0);
    let until_ns = began_ns + ROWS_NS_MAX;
    while delivered < due && clock::now_ns() < until_ns {
        let due_ns = began_ns + step * STEP_ROWS * SECOND / per_second;
        if step < steps && clock::now_ns() >= due_ns {
            for _ in 0..STEP_ROWS {
                seq += 1;
                let table = step % TABLES as u64;
                publisher.say(0, &format!(
                    r#"{{"type":"publish","id":{seq},"topic":"feed/t{table}","payload":{{"name":"row-{}","n":{seq},"kind":"push","seq_num":{seq}}}}}"#,
                    seq % 500
                ))?;
            }
            step += 1;
        }
        publisher.turn(0, &mut |_, _, _| {})?;
        clients.turn(1, &mut |_, message, _| delivered += rows_in(hear, message))?;
    }
    if delivered < due {
        return Err(AttackError::Unanswered { wanted: "every row, by everyone who listens" });
    }
    let run_ns = server.run_ns_since(&before)?;
    Ok(Measured { count: delivered, took_ns: clock::now_ns() - began_ns, run_ns })
}

/// What only a server that has stopped answering takes.
const ROWS_NS_MAX: u64 = 180 * SECOND;

/// Rows of one message.
fn rows_in(hear: Hear, message: &[u8]) -> u64 {
    match hear {
        Hear::Events => u64::from(memmem::find(message, b"\"type\":\"event\"").is_some()),
        Hear::Columns => {
            if memmem::find(message, b"\"row\":{").is_some() {
                return 1;
            }
            // One number for each row, with a comma between them.
            let Some(at) = memmem::find(message, b"\"seq_num\":[") else { return 0 };
            let list = message[at..].split(|byte| *byte == b']').next().unwrap_or_default();
            1 + memchr::memchr_iter(b',', list).count() as u64
        }
    }
}

/// Many replay the same thousand rows at once; those who were told all of them are counted.
pub(super) fn replays(tools: &TablesTools, scale: Scale) -> Result<Measured, AttackError> {
    let backend = configuration().replace("backend = \"memory\"\n", "");
    let server = Started::start(Subject::Fanwire, tools, &backend)?;
    let rows = 1_000;
    let mut publisher = Clients::open(server.addr(), "/v1/ws", 1)?;
    let mut watcher = Clients::open(server.addr(), "/v1/ws", 1)?;
    watcher.say(0, r#"{"type":"subscribe","id":1,"topics":["tables/t0"]}"#)?;
    watcher.until("a subscription", |_, message, _| {
        memmem::find(message, b"\"type\":\"live\"").is_some()
    })?;
    for seq in 1..=rows {
        publisher.say(0, &format!(
            r#"{{"type":"publish","id":{seq},"topic":"feed/t0","payload":{{"name":"row-{seq}","n":{seq},"kind":"push","seq_num":{seq}}}}}"#
        ))?;
        publisher.turn(0, &mut |_, _, _| {})?;
    }
    let mut written = 0;
    watcher.until("rows", |_, message, _| {
        written += rows_in(Hear::Events, message);
        written == rows
    })?;
    let count = scale.of(100, 1_000);
    let mut clients = Clients::open(server.addr(), "/api", count)?;
    let (before, began_ns) = (server.snapshot()?, clock::now_ns());
    for who in 0..count {
        clients.say(who, r#"{"replay":[{"id":7,"table":"t0","limit":1000}]}"#)?;
    }
    let (mut heard, mut done) = (vec![0; count], 0);
    clients.until("replays", |who, message, _| {
        let is_end = memmem::find(message, b"{\"replayed\":7}").is_some();
        if let Some(heard) = heard.get_mut(who) {
            *heard += rows_in(Hear::Columns, message);
        }
        done += usize::from(is_end);
        done == count
    })?;
    let took_ns = clock::now_ns() - began_ns;
    if heard.iter().any(|heard| *heard != rows) {
        return Err(AttackError::Unanswered { wanted: "a thousand rows for each" });
    }
    let run_ns = server.run_ns_since(&before)?;
    Ok(Measured { count: count as u64, took_ns, run_ns })
}
