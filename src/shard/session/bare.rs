//! A connection to a protocol's own listener whose first byte says that it is no HTTP: packets, without anything around them.
//!
//! Invariant: who its client is, is not known before its conversation asks.

use super::super::conns::Conn;
use super::super::deadlines::seconds;
use super::super::input::Port;
use super::super::settings::Settings;
use super::packets::PacketInput;
use super::websocket::WebSocket;
use crate::clock::Now;
use crate::dialect::Opening;
use crate::dialect::Packets;
use crate::dialect::Setup;
use crate::limits::PROVISIONING_AUTH_S;

/// The packets that a connection by this listener is, if that is the one of a protocol which has some, and its first byte begins one.
pub(super) fn packets_at(
    settings: &Settings,
    port: Port,
    first: Option<&u8>,
) -> Option<&'static Packets> {
    let (Port::Own(key), Some(first)) = (port, first) else { return None };
    let protocol = settings.views.protocols().find(|protocol| protocol.key == key)?;
    protocol.packets.filter(|packets| (packets.begins)(*first))
}

/// What hears such a connection's packets.
pub(super) fn open(
    settings: &Settings,
    conn: Option<&mut Conn>,
    port: Port,
    packets: &'static Packets,
    now: Now,
) -> (WebSocket, Opening) {
    let message_bytes_max = settings.message_bytes_max;
    if let Some(conn) = conn {
        // Whom a trusted proxy speaks for it has to say.
        let is_passed_on = conn.caller.is_passed_on || conn.caller.proxy().is_some();
        let (peer, passed_on_by) = (conn.caller.peer, is_passed_on.then_some("PROXY"));
        let may_be_anyone = settings.access.admits_anonymous(port, peer, passed_on_by);
        conn.caller.origin_mut().may_be_anyone = may_be_anyone;
    }
    let mut websocket = WebSocket::of_packets(PacketInput::new(packets, message_bytes_max));
    websocket.must_identify_by(seconds(now) + PROVISIONING_AUTH_S);
    let (views, hooks) = (&*settings.views, settings.hooks.terms);
    (websocket, (packets.opens)(&Setup { views, message_bytes_max, hooks }))
}
