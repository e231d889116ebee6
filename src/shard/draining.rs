//! How a shard stops: what was accepted is delivered, then everyone is sent away, and told or made to come back one after the other.
//!
//! Invariants: nothing is accepted that would not be delivered; each client is sent away after everything that it is owed. Clients that can be told when to come back are told at once, moments
//! spread evenly; the others are closed at such moments themselves. Never waits for a client longer than for any that is closed.

use std::collections::VecDeque;

use super::Shard;
use super::closes::CLOSE_ELSEWHERE;
use super::closes::CLOSE_GOING_AWAY;
use super::closes::CLOSE_MOVED;
use super::conns::Conn;
use super::input::ConnId;
use super::returns::Elsewhere;
use super::returns::Spread;
use super::session::Cut;
use super::session::Session;
use super::transport::Transport;
use crate::clock::Now;
use crate::dialect::Outcome;
use crate::limits::RETURN_MS_MIN;
use crate::limits::RETURNS_PER_S;

impl Shard {
    /// Begins to stop: nothing new is accepted, and what was accepted is delivered.
    pub fn stop(&mut self, now: Now) {
        // Before it stops, since nothing is published after that.
        if !self.life.is_stopping() && self.shards.here().0 == 0 {
            self.tell_log("info", "server", format_args!("the server stops"), now);
        }
        self.life.begin_stopping(now);
    }

    /// Whether a stopping shard has nobody left.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        let store = self.settings.durable.as_ref().map(|durable| durable.store);
        let is_handed_on = store.is_none_or(|store| self.outgoing.is_empty_to(store));
        let is_left = self.conns.len() == 0 && self.rights.names.is_empty();
        self.life.is_end_told() && is_left && is_handed_on
    }

    /// Once nothing is on its way any more, everyone is sent away, each at its time.
    pub(super) fn go_on_stopping(&mut self, now: Now) {
        if self.life.may_tell_end(now) {
            let is_settled = !self.has_work()
                && self.arrived.is_empty()
                && self.reads.is_empty()
                && self.outgoing.is_empty()
                && self.rights.keeping.is_empty()
                && self.durable.as_ref().is_none_or(|durable| durable.is_settled(now));
            if is_settled {
                self.send_away_all(now);
            }
        }
        while let Some(conn) = self.life.pop_told(now) {
            if self.conns.see(conn).is_some() {
                self.send_away(conn.id, now);
            }
        }
    }

    fn send_away_all(&mut self, now: Now) {
        let lasts =
            |session: &Session| matches!(session, Session::WebSocket(_) | Session::Sse { .. });
        let places = || (0..self.conns.places()).map(ConnId);
        let lasting = places().filter_map(|id| self.conns.find(id));
        let clients = lasting.filter(|conn| lasts(&conn.session)).count() as u64;
        let shards = u64::from(self.shards.count());
        let window_ms = |most_ms: u64| (clients * shards * 1000 / RETURNS_PER_S).min(most_ms);
        let spread = |most_ms: u64| {
            let (window_ms, shard) = (window_ms(most_ms), u64::from(self.shards.here().0));
            Spread { window_ms, clients: clients.max(1), shards, shard }
        };
        let (told, paced) =
            (spread(self.settings.returns.spread_ms), spread(self.settings.returns.paced_ms));
        let mut left = VecDeque::new();
        let mut client = 0;
        for index in 0..self.conns.places() {
            let id = ConnId(index);
            let Some(conn) = self.conns.conn_ref(id) else { continue };
            let after_ms = RETURN_MS_MIN + told.at_ms(client);
            let is_told = self.conns.find(id).is_some_and(Conn::is_told_to_return);
            match self.conns.find(id).map(|conn| &conn.session) {
                Some(Session::WebSocket(_)) if is_told => {
                    client += 1;
                    self.send_all_held(id, now);
                    self.say(id, &Outcome::Reconnect { after_ms });
                    self.send_away(id, now);
                }
                Some(Session::Sse { .. }) if is_told => {
                    client += 1;
                    self.say_retry(id, after_ms);
                    self.send_away(id, now);
                }
                Some(Session::WebSocket(_) | Session::Sse { .. }) => {
                    left.push_back((now.mono_ms + paced.at_ms(client), conn));
                    client += 1;
                }
                Some(Session::Http(http)) if http.is_coming() => {
                    self.cut_short(id, Cut::Stopping, now);
                }
                Some(Session::Http(_)) => self.close_after_sent(id, now),
                Some(Session::Busy | Session::Gone) | None => {}
            }
        }
        self.life.tell_end(left);
    }

    fn send_away(&mut self, id: ConnId, now: Now) {
        match self.conns.find(id).map(|conn| &conn.session) {
            Some(Session::WebSocket(_)) => {
                let voice = self.conns.voice_of(id);
                let knows = voice.is_some_and(|of| of.dialect.speaker().manners.says_elsewhere);
                match self.settings.returns.elsewhere.clone().filter(|_| knows) {
                    Some(Elsewhere { server, is_for_good }) => {
                        let code = if is_for_good { CLOSE_MOVED } else { CLOSE_ELSEWHERE };
                        self.close_politely(id, code, &server, now);
                    }
                    None => {
                        let reason = "the server is shutting down";
                        self.close_politely(id, CLOSE_GOING_AWAY, reason, now);
                    }
                }
            }
            Some(Session::Sse { .. }) => self.end_sse(id, now),
            _ => {}
        }
    }
}

impl Conn {
    /// Whether the connection's dialect, or the stream that it is spoken on, has a word for when to come back.
    fn is_told_to_return(&self) -> bool {
        let Some(voice) = self.voice else { return false };
        match self.session {
            Session::WebSocket(_) => voice.dialect.speaker().manners.says_reconnect,
            Session::Sse { .. } => matches!(voice.transport, Transport::Sse { .. }),
            Session::Http(_) | Session::Busy | Session::Gone => false,
        }
    }
}
