//! A connection to a protocol's own listener whose first byte says that it is no HTTP: packets, without anything around them.
//!
//! Invariant: who its client is, is not known before its conversation asks.

use super::super::Shard;
use super::super::deadlines::seconds;
use super::super::input::ConnId;
use super::super::input::Port;
use super::super::transport::Transport;
use super::http::Http;
use super::packets::PacketInput;
use super::websocket::WebSocket;
use crate::clock::Now;
use crate::dialect::Packets;
use crate::dialect::Setup;
use crate::limits::PROVISIONING_AUTH_S;

impl Shard {
    /// The packets that a connection is, if its listener is that of a protocol which has some, and its first byte begins one.
    pub(super) fn packets_of(&self, http: &mut Http) -> Option<&'static Packets> {
        let Port::Own(key) = http.port() else { return None };
        let first = *http.input_mut().as_slice().first()?;
        let protocol = self.settings.views.protocols().find(|protocol| protocol.key == key)?;
        protocol.packets.filter(|packets| (packets.begins)(first))
    }

    /// Has a conversation hear packets.
    pub(super) fn begin_packets(
        &mut self,
        id: ConnId,
        mut http: Box<Http>,
        packets: &'static Packets,
        now: Now,
    ) {
        let message_bytes_max = self.settings.message_bytes_max;
        let views = std::sync::Arc::clone(&self.settings.views);
        let opening = (packets.opens)(&Setup { views: &views, message_bytes_max });
        let may_be_anyone = self.admits_without_request(id, http.port());
        let mut websocket = WebSocket::of_packets(PacketInput::new(packets, message_bytes_max));
        websocket.must_identify_by(seconds(now) + PROVISIONING_AUTH_S);
        if let Some(conn) = self.conns.find_mut(id) {
            conn.caller.may_be_anyone = may_be_anyone;
        }
        let input = std::mem::take(http.input_mut());
        self.begin_talk(id, websocket, Some(opening), (Transport::Bare, input), now);
    }
}
