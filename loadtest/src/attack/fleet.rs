//! A fleet that speaks MQTT: those who sleep, what they leave retained, and those who flood with all that a client may have the server remember.
//!
//! Invariant: who is measured speaks another dialect, on connections of its own.

use super::Attack;
use super::AttackError;
use super::Figure;
use super::Scale;
use super::Unit;
use super::past::live;
use super::server::Server;
use crate::clock;
use crate::clock::SECOND;
use crate::latency::Latencies;
use crate::mqtt;
use crate::subject;
use crate::subject::Tools;

use std::io::ErrorKind;
use std::io::Read as _;
use std::io::Write as _;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

pub(super) const SLEEPERS: Attack = Attack {
    name: "mqtt-sleepers",
    about: "up to 100,000 MQTT clients that subscribe and go, whose sessions last; then more of them than there is room for",
    run: sleepers,
};

pub(super) const RETAINED: Attack = Attack {
    name: "mqtt-retained",
    about: "up to a million retained topics, of which one client wants all at once",
    run: retained,
};

pub(super) const FLOOD: Attack = Attack {
    name: "mqtt-flood",
    about: "MQTT clients with the largest wills, filters and aliases that they may have, and packets and CONNECTs that do not end",
    run: flood,
};

/// How long a client waits for what the server owes it.
const PATIENCE: Duration = Duration::from_secs(30);
/// The budget of what clients have the server remember, in the flood.
const INPUT_BYTES_MAX: u64 = 16 << 20;
/// The budget of their subscriptions, in the flood: a hundred clients with sixty filters each have room in it.
const SUBSCRIPTIONS_BYTES_MAX: u64 = 16 << 20;
/// The budgets of what is published in the flood, 32 messages by each of those with aliases and a will of each that is sent away: of events, and of the last ones.
const HISTORY_BYTES_MAX: u64 = 4 << 20;
/// Bytes that the budgets may be exceeded by: connections themselves, what the allocator keeps, and what the measured ones take.
const SLACK_BYTES: u64 = 16 << 20;
/// Seconds that a server has to close whoever has not sent CONNECT: ten by its own rule, and some to do it.
const CLOSE_S_MAX: u64 = 15;
/// The same in the short form, on a machine that may be busy with anything; that it is ten is held in virtual time.
const SHORT_CLOSE_S_MAX: u64 = 60;

/// One client of MQTT, which waits for what it is owed.
struct Client {
    stream: TcpStream,
    unread: Vec<u8>,
    /// So much of it was heard.
    heard: usize,
}

impl Client {
    fn connect(addr: SocketAddr, said: &[&[u8]]) -> Result<Self, AttackError> {
        let mut stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO))
            .map_err(std::io::Error::from)?;
        stream.write_all(&said.concat())?;
        Ok(Self { stream, unread: Vec::new(), heard: 0 })
    }

    /// The next packet's first byte and what follows its length; `None`: the server has closed.
    fn hear(&mut self) -> Result<Option<(u8, Vec<u8>)>, AttackError> {
        let mut buffer = [0; 16 * 1024];
        loop {
            if let Some((kind, body, rest)) = mqtt::split(&self.unread[self.heard..]) {
                self.heard = self.unread.len() - rest.len();
                return Ok(Some((kind, body.to_vec())));
            }
            self.unread.drain(..self.heard);
            self.heard = 0;
            match self.stream.read(&mut buffer) {
                Ok(0) => return Ok(None),
                Ok(count) => self.unread.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Reads up to a packet of this kind, and answers what wants it.
    fn wait_for(&mut self, wanted: u8) -> Result<Vec<u8>, AttackError> {
        let mut replies = Vec::new();
        while let Some((kind, body)) = self.hear()? {
            mqtt::published(kind, &body, &mut replies);
            if kind & 0xf0 == wanted {
                self.stream.write_all(&replies)?;
                return Ok(body);
            }
        }
        Err(AttackError::Unanswered { wanted: "an MQTT packet" })
    }

    /// Whether the server has closed it by now.
    fn is_closed(&mut self) -> Result<bool, AttackError> {
        self.stream.set_nonblocking(true)?;
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Ok(true),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(_) => return Ok(true),
            }
        }
    }
}

const CONNACK: u8 = 0x20;
const SUBACK: u8 = 0x90;

/// A server with a listener of MQTT's own.
fn start(tools: &Tools, configuration: &str) -> Result<(Server, SocketAddr), AttackError> {
    let port = subject::free_port()?;
    let configuration = format!("{configuration}\n[mqtt]\nlisten = '127.0.0.1:{port}'\n");
    Ok((Server::start(tools, 1, &configuration)?, subject::local(port)))
}

/// A client subscribes to what all are told, and goes.
fn fall_asleep(addr: SocketAddr, number: u64) -> Result<(), AttackError> {
    let connect = mqtt::connect_to_stay(&format!("vehicle-{number}"));
    let subscribe = mqtt::subscribe(&["fleet/+/orders".to_owned()], 1);
    let mut client = Client::connect(addr, &[&connect, &subscribe])?;
    client.wait_for(SUBACK)?;
    client.stream.write_all(&mqtt::DISCONNECT)?;
    // The server closes once it has put the session to sleep.
    while client.hear()?.is_some() {}
    Ok(())
}

/// How many of the messages that it missed a client does not hear when it is back; all of them if its session is gone.
fn wake_up(addr: SocketAddr, number: u64, missed: u64) -> Result<u64, AttackError> {
    let connect = mqtt::connect_to_stay(&format!("vehicle-{number}"));
    let mut client = Client::connect(addr, &[&connect])?;
    if client.wait_for(CONNACK)?.first() != Some(&1) {
        return Ok(missed);
    }
    let mut replies = Vec::new();
    for heard in 0..missed {
        match client.hear()? {
            Some((kind, body)) if kind & 0xf0 == 0x30 => {
                mqtt::published(kind, &body, &mut replies);
            }
            _ => return Ok(missed - heard),
        }
    }
    // What is not acknowledged stays with the session, which grows by all of it.
    replies.extend(mqtt::DISCONNECT);
    client.stream.write_all(&replies)?;
    while client.hear()?.is_some() {}
    Ok(0)
}

fn sleepers(tools: &Tools, scale: Scale) -> Result<Vec<Figure>, AttackError> {
    let count = scale.of(2_000, 100_000);
    let missed = scale.of(10, 50);
    let (server, addr) = start(tools, "")?;
    // What grows with the first ones grows once.
    for number in 0..500 {
        fall_asleep(addr, count + number)?;
    }
    let before = server.resident()?;
    for number in 0..count {
        fall_asleep(addr, number)?;
    }
    let asleep = server.resident()?.saturating_sub(before);
    for number in 0..missed {
        server.ask(&post(
            "fleet/all/orders",
            &format!("{{\"n\":{number},\"p\":\"{}\"}}", "x".repeat(900)),
        ))?;
    }
    let grown = server.resident()?.saturating_sub(before).saturating_sub(asleep);
    let mut unheard = 0;
    for number in (0..count).step_by(20) {
        unheard += wake_up(addr, number, missed)?;
    }
    // The same where there is room for a fifth of them.
    let (small, small_addr) = start(tools, "[memory]\nsessions_bytes_max = 262144")?;
    let (quiet, missed_quiet) = live(&small, SECOND, None)?;
    let before = small.resident()?;
    let is_over = AtomicBool::new(false);
    let (busy, crowd) = std::thread::scope(|scope| {
        let crowd = scope.spawn(|| {
            let slept = (0..3_000).try_for_each(|number| fall_asleep(small_addr, number));
            is_over.store(true, Ordering::Relaxed);
            slept
        });
        (live(&small, 120 * SECOND, Some(&is_over)), crowd.join())
    });
    let (busy, missed_busy) = busy?;
    crowd.map_err(|_| AttackError::Unanswered { wanted: "sessions" })??;
    let crowded_out = small.metric("fanwire_sessions_crowded_out_total")?;
    let held = small.resident()?.saturating_sub(before);
    let slack = scale.of(4.0, 1.0);
    Ok(vec![
        Figure::counted(
            format!("bytes of each of {count} sleeping sessions"),
            asleep as f64 / count as f64,
            // 40 MB for 100,000 of them.
            400.0 * slack,
            Unit::Count,
        ),
        Figure::bytes(format!("more for {missed} messages that all of them miss"), grown, 4.0),
        Figure::none("messages that one in twenty did not hear when it came back", unheard),
        Figure::none(
            "not one ended of more sessions than there is room for",
            u64::from(crowded_out < 1.0),
        ),
        Figure::bytes("held for them all the same", held, 8.0),
        Figure::time("live p99 meanwhile", busy.at(0.99), 50.0),
        Figure::none("of the live events not heard", missed_quiet + missed_busy),
        slowed(&busy, &quiet),
    ])
}

fn retained(tools: &Tools, scale: Scale) -> Result<Vec<Figure>, AttackError> {
    let count: u64 = scale.of(20_000, 1_000_000);
    let configuration = format!(
        "topics_max = {}\n[history]\nlast_bytes_max = {}\nbytes_max = 67108864\n",
        count + 1000,
        2_u64 << 30
    );
    let (server, addr) = start(tools, &configuration)?;
    let before = server.resident()?;
    let unacknowledged = retain_each(addr, count)?;
    let each = server.resident()?.saturating_sub(before) as f64 / count as f64;
    let (quiet, missed_quiet) = live(&server, scale.of(1, 5) * SECOND, None)?;
    let is_over = AtomicBool::new(false);
    let began_ns = clock::now_ns();
    let (busy, told) = std::thread::scope(|scope| {
        let told = scope.spawn(|| {
            let told = hear_all(addr, count);
            is_over.store(true, Ordering::Relaxed);
            told
        });
        let busy = live(&server, 300 * SECOND, Some(&is_over));
        (busy, told.join())
    });
    let took_ns = clock::now_ns() - began_ns;
    let (busy, missed_busy) = busy?;
    let told = told.map_err(|_| AttackError::Unanswered { wanted: "retained messages" })??;
    Ok(vec![
        Figure::none("of what was to be retained not acknowledged", unacknowledged),
        Figure::counted(
            format!("bytes of each of {count} retained topics"),
            each,
            2048.0,
            Unit::Count,
        ),
        Figure::none("of them not told to who subscribes to all", count.saturating_sub(told)),
        Figure::time("until all were", took_ns, 60_000.0),
        Figure::time("live p99 meanwhile", busy.at(0.99), 50.0),
        slowed(&busy, &quiet),
        Figure::none("of the live events not heard", missed_quiet + missed_busy),
    ])
}

/// Publishes a message to be retained to each of so many topics; how many are not acknowledged.
fn retain_each(addr: SocketAddr, count: u64) -> Result<u64, AttackError> {
    let mut client = Client::connect(addr, &[&mqtt::connect("retainer")])?;
    client.wait_for(CONNACK)?;
    let (mut said, mut answered) = (0, 0);
    let mut out = Vec::new();
    while answered < count {
        out.clear();
        while said < count && said - answered < 200 {
            let id = u16::try_from(said % 60_000 + 1).unwrap_or(1);
            let (topic, payload) =
                (format!("kept/{}/{said}", said % 97), format!("{{\"n\":{said}}}"));
            mqtt::publish_retained(&mut out, &topic, id, payload.as_bytes());
            said += 1;
        }
        client.stream.write_all(&out)?;
        if client.hear()?.is_none() {
            break;
        }
        answered += 1;
        let (more, whole) = mqtt::acknowledged(&client.unread[client.heard..]);
        client.heard += whole;
        answered += more;
    }
    Ok(count - answered)
}

/// Subscribes to everything; how many retained messages are told.
fn hear_all(addr: SocketAddr, count: u64) -> Result<u64, AttackError> {
    let subscribe = mqtt::subscribe(&["kept/#".to_owned()], 0);
    let mut client = Client::connect(addr, &[&mqtt::connect("all"), &subscribe])?;
    let mut told = 0;
    while told < count {
        match client.hear() {
            // RETAIN is set.
            Ok(Some((kind, _))) => told += u64::from(kind & 0xf1 == 0x31),
            Ok(None) => break,
            Err(AttackError::Io(error)) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(told)
}

fn flood(tools: &Tools, scale: Scale) -> Result<Vec<Figure>, AttackError> {
    let each = scale.of(100, 1_000);
    let close_s = scale.of(SHORT_CLOSE_S_MAX, CLOSE_S_MAX);
    let configuration = format!(
        "[memory]\ninput_bytes_max = {INPUT_BYTES_MAX}\nsubscriptions_bytes_max = {SUBSCRIPTIONS_BYTES_MAX}\n\
         [history]\nbytes_max = {HISTORY_BYTES_MAX}\nlast_bytes_max = {HISTORY_BYTES_MAX}\n"
    );
    let (server, addr) = start(tools, &configuration)?;
    let (quiet, missed_quiet) = live(&server, scale.of(1, 3) * SECOND, None)?;
    let before = server.resident()?;
    server.forget_peak()?;
    let is_over = AtomicBool::new(false);
    let (busy, left) = std::thread::scope(|scope| {
        let left = scope.spawn(|| {
            let left = flood_with(addr, each, close_s);
            is_over.store(true, Ordering::Relaxed);
            left
        });
        (live(&server, 120 * SECOND, Some(&is_over)), left.join())
    });
    let (busy, missed_busy) = busy?;
    let (unended, kept) = left.map_err(|_| AttackError::Unanswered { wanted: "a flood" })??;
    let peak = server.peak()?.saturating_sub(before);
    let budgets = INPUT_BYTES_MAX + SUBSCRIPTIONS_BYTES_MAX + 2 * HISTORY_BYTES_MAX;
    let most = (budgets + SLACK_BYTES) as f64 / f64::from(1 << 20);
    Ok(vec![
        Figure::bytes(format!("held for {} of them", 4 * each), peak, most),
        Figure::none(
            "no one closed of those who hold more than there is room for",
            u64::from(kept == 3 * each),
        ),
        Figure::none(format!("still there without CONNECT after {close_s} s"), unended),
        Figure::time("live p99 meanwhile", busy.at(0.99), 50.0),
        slowed(&busy, &quiet),
        Figure::none("of the live events not heard", missed_quiet + missed_busy),
    ])
}

/// So many of each kind; how many of those without CONNECT are there after so many seconds, and how many of the others.
fn flood_with(addr: SocketAddr, each: u64, close_s: u64) -> Result<(u64, u64), AttackError> {
    let mut silent = Vec::new();
    let mut others = Vec::new();
    let will = "w".repeat(4000);
    // 250 bytes each, as many as one may have.
    let filters: Vec<String> = (0..60).map(|number| format!("{number:0>250}")).collect();
    let mut aliases = Vec::new();
    // Nobody subscribes to them: what it takes to tell many is not what this asks.
    (1..=32).for_each(|alias| put_alias(&mut aliases, alias, &format!("{alias:a>250}")));
    let half = [&[0x30, 0x80, 0x80, 0x20][..], &vec![b'x'; 300_000]].concat();
    for number in 0..each {
        // The first bytes of CONNECT, and never the rest.
        silent.push(Client::connect(addr, &[&[0x10, 0x20, 0x00]])?);
        let name = format!("will-{number}");
        let said = mqtt::connect_with_will(&name, &format!("w/{number}"), will.as_bytes());
        others.push(Client::connect(addr, &[&said, &mqtt::subscribe(&filters, 1)])?);
        others.push(Client::connect(addr, &[&connect_5(&format!("alias-{number}")), &aliases])?);
        let mut part = Client::connect(addr, &[&mqtt::connect(&format!("half-{number}"))])?;
        // A server that has closed it by now takes no more.
        drop(part.stream.write_all(&half));
        others.push(part);
    }
    let until_ns = clock::now_ns() + close_s * SECOND;
    let mut unended = each;
    while unended > 0 && clock::now_ns() < until_ns {
        clock::pause(SECOND / 5);
        unended = still_open(&mut silent)?;
    }
    Ok((unended, still_open(&mut others)?))
}

fn still_open(clients: &mut [Client]) -> Result<u64, AttackError> {
    let mut open = 0;
    for client in clients {
        open += u64::from(!client.is_closed()?);
    }
    Ok(open)
}

/// CONNECT of version 5, clean, without properties.
fn connect_5(client: &str) -> Vec<u8> {
    let mut said = mqtt::connect(client);
    // The version, and no properties behind the keep-alive.
    said[8] = 5;
    said.insert(12, 0);
    said[1] += 1;
    said
}

/// Appends a PUBLISH of version 5 that gives a topic an alias.
fn put_alias(out: &mut Vec<u8>, alias: u16, topic: &str) {
    let properties = [3, 0x23, alias.to_be_bytes()[0], alias.to_be_bytes()[1]];
    mqtt::publish(out, topic, None, &properties);
}

/// How late live events are beside an attack, by how late they were before it.
fn slowed(busy: &Latencies, quiet: &Latencies) -> Figure {
    Figure::ratio("live p99 meanwhile, by that before", busy.at(0.99), quiet.at(0.99), 2.0)
}

fn post(topic: &str, body: &str) -> String {
    format!(
        "POST /v1/publish/{topic} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_5_is_said_as_the_standard_has_it() {
        assert_eq!(connect_5("c"), b"\x10\x0e\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x01c");
        let mut out = Vec::new();
        put_alias(&mut out, 7, "t");
        assert_eq!(out, b"\x30\x07\x00\x01t\x03\x23\x00\x07");
    }
}
