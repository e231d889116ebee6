//! Input: what is said slowly, never to its end, all at once, or much larger than it looks.

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
use crate::num;
use crate::subject::Tools;
use crate::websocket;

use flate2::Compress;
use flate2::Compression;
use flate2::FlushCompress;

pub(super) const DRIP: Attack = Attack {
    name: "dripping-bodies",
    about: "calls whose heads or bodies come a byte at a time, for ever",
    run: drip,
};

pub(super) const PIPELINE: Attack = Attack {
    name: "pipelined-calls",
    about: "64 KiB of GETs at once on each of 40 connections that do not read the answers",
    run: pipeline,
};

pub(super) const INFLATE: Attack = Attack {
    name: "inflated-publishes",
    about: "64 KiB of compressed publishes at once, a thousandfold of that inflated, on each of 8 connections",
    run: inflate,
};

pub(super) const UNFINISHED: Attack = Attack {
    name: "unfinished-messages",
    about: "300 connections that each send 1 MiB of a message that never ends",
    run: unfinished,
};

/// How long is dripped at most: many times what the server may take to end it.
const DRIP_S_MAX: u64 = 60;

/// Bytes that an attack of this page may add to the server, in MiB.
const GROWTH_MIB: f64 = 64.0;

fn drip(tools: &Tools, scale: Scale) -> Result<Vec<Figure>, AttackError> {
    let timeout_s = scale.of(1, 2);
    let server = Server::start(tools, 1, &format!("request_timeout_s = {timeout_s}\n"))?;
    let begun = [
        "GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
        "POST /v1/publish/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n{\"a\":\"",
        "POST /v1/publish/a HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n10000\r\n{\"a\":\"",
        "POST /pv/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n{\"a\":\"",
        "POST /v1/admin/revoke HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4000\r\n\r\n{\"a\":\"",
    ];
    let mut peers = Vec::new();
    for head in begun {
        let mut peer = Peer::connect(server.addr, None)?;
        peer.write(head.as_bytes())?;
        peers.push(peer);
    }
    let mut socket = server.native()?;
    // A text message of 100,000 bytes, of which one comes at a time.
    socket.write(&[0x81, 0x80 | 127, 0, 0, 0, 0, 0, 1, 0x86, 0xa0, 0, 0, 0, 0, b'{'])?;
    peers.push(socket);
    let until_ns = clock::now_ns() + DRIP_S_MAX * SECOND;
    let mut buffer = vec![0; READ_BYTES];
    while clock::now_ns() < until_ns && peers.iter().any(|peer| !is_over(peer)) {
        for peer in &mut peers {
            if !is_over(peer) {
                peer.write(b"x")?;
            }
            peer.read(&mut buffer, READ_BYTES, &mut |_| {})?;
        }
        clock::pause(100 * MILLI);
    }
    let left = peers.iter().filter(|peer| !is_over(peer)).count();
    Ok(vec![Figure::none(
        format!("still open after {DRIP_S_MAX} s of dripping, request_timeout_s = {timeout_s}"),
        num::count(left),
    )])
}

/// Closed, or answered: what is dripped after that is read by nobody.
fn is_over(peer: &Peer) -> bool {
    peer.end.is_some() || peer.unread().starts_with(b"HTTP/1.1 4")
}

fn pipeline(tools: &Tools, _: Scale) -> Result<Vec<Figure>, AttackError> {
    let server = Server::start(tools, 1, "")?;
    let resident = server.resident()?;
    server.forget_peak()?;
    let mut peers = Vec::new();
    for path in ["/metrics", "/", "/fanwire.js", "/healthz"] {
        let calls = calls(path);
        for _ in 0..10 {
            let mut peer = Peer::connect(server.addr, Some(4096))?;
            peer.write(calls.as_bytes())?;
            peers.push(peer);
        }
    }
    clock::pause(2 * SECOND);
    let grown = server.peak()?.saturating_sub(resident);
    Ok(vec![Figure::bytes("growth of 40 connections", grown, GROWTH_MIB)])
}

/// 64 KiB of requests, about.
pub(super) fn calls(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").repeat(64 * 1024 / 45)
}

fn inflate(tools: &Tools, _: Scale) -> Result<Vec<Figure>, AttackError> {
    // What history keeps is not what is asked about.
    let server = Server::start(tools, 1, "[history]\ntopic_events_max = 1\n")?;
    let burst = deflated_burst();
    let resident = server.resident()?;
    server.forget_peak()?;
    let mut peers = Vec::new();
    for _ in 0..8 {
        let mut peer = Peer::connect(server.addr, Some(4096))?;
        peer.upgrade("/v1/ws", DEFLATE)?;
        peer.write(&burst)?;
        peers.push(peer);
    }
    clock::pause(3 * SECOND);
    let grown = server.peak()?.saturating_sub(resident);
    Ok(vec![Figure::bytes("growth of 8 connections", grown, GROWTH_MIB)])
}

/// Asks for compressed messages.
pub(super) const DEFLATE: &str =
    "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover\r\n";

/// 64 KiB of compressed publishes.
pub(super) fn deflated_burst() -> Vec<u8> {
    let payload = format!(
        "{{\"type\":\"publish\",\"topic\":\"a\",\"op\":\"event\",\"payload\":{{\"p\":\"{}\"}}}}",
        "x".repeat(60_000)
    );
    let message = deflated(payload.as_bytes());
    message.repeat(64 * 1024 / message.len().max(1))
}

/// A compressed text message in a masked frame.
fn deflated(text: &[u8]) -> Vec<u8> {
    let mut stream = Compress::new(Compression::best(), false);
    let mut body = Vec::with_capacity(text.len() + 128);
    let compressed = stream.compress_vec(text, &mut body, FlushCompress::Sync);
    debug_assert!(compressed.is_ok(), "the buffer is larger than the text");
    body.truncate(body.len().saturating_sub(4));
    let mut frame = Vec::new();
    websocket::client_frame(&mut frame, websocket::TEXT, &body);
    if let Some(first) = frame.first_mut() {
        *first |= 0x40;
    }
    frame
}

/// Sends nearly 1 MiB of a message that has that much.
pub(super) fn begin_message(peer: &mut Peer) -> Result<(), AttackError> {
    peer.write(&[0x81, 0x80 | 127, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0])?;
    peer.write(&vec![b'x'; (1 << 20) - 14])
}

fn unfinished(tools: &Tools, _: Scale) -> Result<Vec<Figure>, AttackError> {
    let server =
        Server::start(tools, 1, "[memory]\nbytes_max = 536870912\ninput_bytes_max = 33554432\n")
            .or_else(|_| Server::start(tools, 1, ""))?;
    let resident = server.resident()?;
    server.forget_peak()?;
    let mut peers = Vec::new();
    for _ in 0..300 {
        let mut peer = server.native()?;
        begin_message(&mut peer)?;
        peers.push(peer);
    }
    let until_ns = clock::now_ns() + 10 * SECOND;
    while clock::now_ns() < until_ns
        && peers.iter().any(|it| it.unsaid_bytes() > 0 && it.end.is_none())
    {
        for peer in &mut peers {
            peer.go_on()?;
        }
        clock::pause(10 * MILLI);
    }
    let grown = server.peak()?.saturating_sub(resident);
    Ok(vec![Figure::bytes("growth of 300 connections", grown, GROWTH_MIB)])
}
