//! Connections that had to wait for others: who has no time in a turn is gone on with at its end, or in the next.
//!
//! Invariants: each waits in the line once; who published or subscribed in a turn stands behind those who found no time in it.

use super::super::Shard;
use super::super::input::ConnId;
use super::super::input::ConnRef;
use super::super::intake::Lack;
use super::Session;
use crate::clock::Now;

impl Shard {
    /// Whether this turn takes what a connection says, of which the intake lacks nothing, or this; if not, the connection has its turn in the next.
    pub(super) fn has_time(&mut self, id: ConnId, lack: Option<Lack>) -> bool {
        if let Some(lack) = lack {
            self.stand_in_line(id, lack);
        }
        lack.is_none()
    }

    /// Has a connection gone on with at the end of this turn, or the next.
    pub(in super::super) fn hear_later(&mut self, id: ConnId) {
        self.stand_in_line(id, Lack::Other);
    }

    fn stand_in_line(&mut self, id: ConnId, lack: Lack) {
        let Some(conn) = self.conns.find_mut(id) else { return };
        if !std::mem::replace(&mut conn.is_heard_later, true) {
            self.intake.hear_later(ConnRef { id, generation: conn.generation }, lack);
        }
    }

    /// Goes on with each connection that had to wait for others, once. Who published or subscribed in this turn has the next one behind those who found no time in it.
    pub(in super::super) fn hear_on(&mut self, now: Now) {
        let mut served = 0;
        for _ in 0..self.intake.begin_hearing() {
            let Some((conn, lack)) = self.intake.pop_unheard() else { return };
            if lack == Lack::Subscriptions && !self.intake.has_time_to_subscribe() {
                self.intake.hear_later(conn, lack);
                continue;
            }
            if let Some(found) = self.conns.find_ref(conn) {
                found.is_heard_later = false;
                let heard_before = self.intake.carried_out();
                self.go_on(conn.id, now);
                let waits_again =
                    self.conns.find_ref(conn).is_some_and(|found| found.is_heard_later);
                served += usize::from(waits_again && self.intake.carried_out() > heard_before);
            }
        }
        self.intake.end_hearing(served);
    }

    /// Goes on with the messages of a connection.
    fn go_on(&mut self, id: ConnId, now: Now) {
        let Some(conn) = self.conns.find_mut(id) else { return };
        match std::mem::replace(&mut conn.session, Session::Busy) {
            Session::Http(http) => self.http_go_on(id, http, now),
            Session::WebSocket(websocket) => self.websocket_go_on(id, websocket, now),
            session => self.put_back(id, session),
        }
        self.conns.resume(id);
        self.make_room(now);
    }
}
