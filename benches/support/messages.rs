//! What peers say: a browser that opens a WebSocket, and telemetry, one message an aircraft.

use fanwire::wire::deflate::DeflateTerms;
use fanwire::wire::frame;
use fanwire::wire::frame::Coding;
use fanwire::wire::frame::OpCode;
use fanwire::wire::upgrade::Terms;

/// What a browser sends to open a WebSocket.
pub(crate) const UPGRADE: &[u8] = b"GET /v1/ws?token=abc HTTP/1.1\r\nHost: localhost:8080\r\nConnection: Upgrade\r\nPragma: no-cache\r\n\
    Cache-Control: no-cache\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)\r\n\
    Upgrade: websocket\r\nOrigin: http://localhost:8080\r\nSec-WebSocket-Version: 13\r\nAccept-Encoding: gzip, deflate, br\r\n\
    Accept-Language: en\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: fanwire.v1\r\n\
    Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";

pub(crate) const TERMS: Terms = Terms { protocols: &["fanwire.v1"], deflate: DeflateTerms::Any };

/// One aircraft's telemetry, about 160 bytes, different for each `index`.
pub(crate) fn telemetry(index: usize) -> Vec<u8> {
    format!(
        "{{\"icao24\":\"{:06x}\",\"callsign\":\"SWR{}\",\"latitude\":47.{:04},\"longitude\":8.{:04},\"altitude\":{},\"velocity\":{}.5,\"heading\":{},\"on_ground\":false}}",
        0x4b_1800 + index * 7 % 500,
        index % 97,
        index * 37 % 10_000,
        index * 91 % 10_000,
        3_000 + index * 13 % 9_000,
        100 + index % 150,
        index * 17 % 360,
    )
    .into_bytes()
}

/// `payload` as a client sends it in one frame.
pub(crate) fn masked(payload: &[u8], deflated: bool) -> Vec<u8> {
    let coding = if deflated { Coding::Deflated } else { Coding::Plain };
    let mut bytes = Vec::new();
    frame::put_message(&mut bytes, OpCode::Text, coding, payload);
    let header_bytes = bytes.len() - payload.len();
    bytes[1] |= 0x80;
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    fastwebsockets::unmask(&mut bytes[header_bytes..], mask);
    bytes.splice(header_bytes..header_bytes, mask);
    bytes
}
