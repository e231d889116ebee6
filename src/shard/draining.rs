//! How a shard stops: what was accepted is delivered, then everyone is sent away, and told or made to come back one after the other.
//!
//! Invariants: nothing is accepted that would not be delivered; each client is sent away after everything that it is owed. Clients that can be told when to come back are told at once, moments
//! spread evenly; the others are closed at such moments themselves. Never waits for a client longer than for any that is closed.

use std::collections::VecDeque;

use super::Shard;
use super::class::Transport;
use super::input::ConnId;
use super::input::ConnRef;
use super::lifecycle::CLOSE_GOING_AWAY;
use super::session::Cut;
use super::session::Session;
use crate::clock::Now;
use crate::dialect::Outcome;
use crate::limits::RETURN_MS_MIN;
use crate::limits::RETURNS_PER_S;

/// How long a stopping shard waits for events that are still on their way between shards.
const STOP_SETTLE_MS: u64 = 50;

/// How far a shard has come with stopping.
#[derive(Debug)]
pub(super) enum Stopping {
    /// What was accepted is still being delivered; then, at this time at the earliest, connections are told.
    Settling { until_ms: u64 },
    /// Everyone is sent away but these, whose time has not come, in its order.
    Telling { left: VecDeque<(u64, ConnRef)> },
}

/// What an operator has set about when clients that are sent away come back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Returns {
    /// Over how many milliseconds they are spread at most.
    pub spread_ms: u64,
    /// The same for those that are closed one after the other, because their dialect has no word for it.
    pub paced_ms: u64,
}

/// The moments at which the clients of one shard come back, in the order of their places.
#[derive(Clone, Copy, Debug)]
struct Spread {
    window_ms: u64,
    clients: u64,
    shards: u64,
    shard: u64,
}

impl Spread {
    /// When this one comes back, in milliseconds from now. Shards alternate, so that all clients together are spread evenly.
    const fn at_ms(self, client: u64) -> u64 {
        let place = client * self.shards + self.shard;
        self.window_ms * place / (self.clients * self.shards)
    }
}

impl Stopping {
    pub(super) fn due_ms(&self) -> Option<u64> {
        match self {
            Self::Settling { until_ms } => Some(*until_ms),
            Self::Telling { left } => left.front().map(|(at_ms, _)| *at_ms),
        }
    }
}

impl Shard {
    /// Begins to stop: nothing new is accepted, and what was accepted is delivered.
    pub fn stop(&mut self, now: Now) {
        if self.stopping.is_none() {
            if self.id.0 == 0 {
                self.tell_log("info", "server", format_args!("the server stops"), now);
            }
            self.stopping = Some(Stopping::Settling { until_ms: now.mono_ms + STOP_SETTLE_MS });
        }
    }

    /// Whether nothing new is accepted.
    pub(super) const fn is_stopping(&self) -> bool {
        self.stopping.is_some()
    }

    /// Whether a stopping shard has nobody left.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        let is_told = matches!(&self.stopping, Some(Stopping::Telling { left }) if left.is_empty());
        is_told && self.conns.len() == 0
    }

    /// Once nothing is on its way any more, everyone is sent away, each at its time.
    pub(super) fn go_on_stopping(&mut self, now: Now) {
        match &self.stopping {
            None => {}
            Some(Stopping::Settling { until_ms }) => {
                let is_settled = !self.has_work()
                    && self.arrived.is_empty()
                    && self.reads.is_empty()
                    && self.outgoing.is_empty();
                if now.mono_ms >= *until_ms && is_settled {
                    self.send_away_all(now);
                }
            }
            Some(Stopping::Telling { .. }) => self.send_away_due(now),
        }
    }

    fn send_away_all(&mut self, now: Now) {
        let lasts =
            |session: &Session| matches!(session, Session::WebSocket(_) | Session::Sse { .. });
        let places = || (0..self.conns.places()).map(ConnId);
        let lasting = places().filter_map(|id| self.conns.find(id));
        let clients = lasting.filter(|conn| lasts(&conn.session)).count() as u64;
        let shards = u64::from(self.shard_count);
        let window_ms = |most_ms: u64| (clients * shards * 1000 / RETURNS_PER_S).min(most_ms);
        let spread = |most_ms: u64| {
            let (window_ms, shard) = (window_ms(most_ms), u64::from(self.id.0));
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
            let is_told = self.is_told_to_return(id);
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
        self.stopping = Some(Stopping::Telling { left });
        self.send_away_due(now);
    }

    /// Whether its dialect, or the stream that it is spoken on, has a word for when to come back.
    fn is_told_to_return(&self, id: ConnId) -> bool {
        let Some(voice) = self.voice_of(id) else { return false };
        match self.conns.find(id).map(|conn| &conn.session) {
            Some(Session::WebSocket(_)) => voice.dialect.speaker().manners.says_reconnect,
            Some(Session::Sse { .. }) => matches!(voice.transport, Transport::Sse { .. }),
            _ => false,
        }
    }

    fn send_away_due(&mut self, now: Now) {
        while let Some(Stopping::Telling { left }) = &mut self.stopping
            && let Some((_, conn)) = left.pop_front_if(|(at_ms, _)| *at_ms <= now.mono_ms)
        {
            if self.conns.see(conn).is_some() {
                self.send_away(conn.id, now);
            }
        }
    }

    fn send_away(&mut self, id: ConnId, now: Now) {
        match self.conns.find(id).map(|conn| &conn.session) {
            Some(Session::WebSocket(_)) => {
                self.close_politely(id, CLOSE_GOING_AWAY, "the server is shutting down", now);
            }
            Some(Session::Sse { .. }) => self.end_sse(id, now),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_of_all_shards_together_come_back_one_after_the_other() {
        let shards = 3;
        let at = |shard| {
            let spread = Spread { window_ms: 9000, clients: 100, shards, shard };
            (0..100).map(move |client| spread.at_ms(client))
        };
        let mut all: Vec<u64> = (0..shards).flat_map(at).collect();
        all.sort_unstable();
        let expected: Vec<u64> = (0..300).map(|place| place * 30).collect();
        assert_eq!(all, expected);
    }
}
