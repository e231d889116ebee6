//! The session of a connection: HTTP until a request makes it a WebSocket or an event stream.
//!
//! Invariants: what a session cannot use yet is bounded (one read, and the connection is not read while it waits), and all sessions of a shard share a budget for it;
//! a client's fault ends in one answer or one close code, on its own connection.

mod answered;
mod asking;
mod awaiting;
mod bare;
mod calls;
mod endpoint;
mod gather;
mod hearing;
mod http;
mod identity;
mod named;
mod naming;
mod operator;
mod operator_request;
mod packets;
mod patience;
mod redirect;
mod refusals;
mod revoke;
mod stream;
mod talk;
mod unheard;
mod unread;
mod upload;
mod upload_end;
mod uploading;
mod waits;
mod websocket;

pub(super) use asking::Reply;
pub(super) use http::Http;
pub(super) use patience::Patience;
pub(super) use refusals::Cut;
pub(super) use refusals::WHO_FIRST;
pub(super) use revoke::noted;
pub(super) use websocket::WebSocket;

pub use redirect::CHALLENGE_PATH;

pub use crate::dialect::Response;

use super::Shard;
use super::input::ConnId;
use super::input::ConnRef;
use super::input::Port;
use super::publish::PublishResult;
use crate::clock::Now;
use crate::limits::UNITS_EVENT;

const CLOSE_TOO_LARGE: u16 = 1009;

/// An event stream that says nothing for so many seconds says a comment, so that proxies keep it.
pub(super) const SSE_COMMENT_S: u32 = 15;

/// The state of a connection by its protocol.
#[derive(Debug)]
pub(super) enum Session {
    Http(Box<Http>),
    /// A client that a conversation hears: on a WebSocket, or in packets without frames around them.
    WebSocket(WebSocket),
    /// An event stream, whose client sends nothing more; `said_s`: when a comment was last sent, in seconds since the start.
    Sse {
        said_s: u32,
    },
    /// The session is lent out while its bytes are carried out.
    Busy,
    /// The connection has ended; its socket is about to be closed.
    Gone,
}

impl Session {
    pub(super) fn new(port: Port) -> Self {
        Self::Http(Box::new(Http::new(port)))
    }

    /// Looks once a second whether a request or a message has been coming in part for too long.
    pub(super) fn is_late(&mut self, patience: Patience) -> bool {
        match self {
            Self::Http(http) => http.is_late(patience),
            Self::WebSocket(websocket) => websocket.is_message_late(patience),
            Self::Sse { .. } | Self::Busy | Self::Gone => false,
        }
    }

    /// Bytes of memory that the session holds of what its client has sent.
    pub(super) fn held_bytes(&self) -> usize {
        match self {
            Self::Http(http) => http.held_bytes(),
            Self::WebSocket(websocket) => websocket.held_bytes(),
            Self::Sse { .. } | Self::Busy | Self::Gone => 0,
        }
    }
}

impl Shard {
    /// Gives a connection its session back, unless it has ended or become something else meanwhile.
    fn put_back(&mut self, id: ConnId, session: Session) {
        if let Some(conn) = self.conns.find_mut(id)
            && matches!(conn.session, Session::Busy)
        {
            conn.session = session;
            self.count_held(id);
        }
    }

    /// Ends what has come in part on a connection, because the budget of input has no room.
    pub(super) fn let_go(&mut self, id: ConnId, now: Now) {
        let Some(conn) = self.conns.find_mut(id) else { return };
        match &mut conn.session {
            Session::WebSocket(websocket) => {
                websocket.release(self.intake.inbound());
                let reason = "no room for what clients have said, and this one holds the most";
                self.close(id, CLOSE_TOO_LARGE, reason, now);
                // From here on its conversation remembers nothing.
                if let Some(conn) = self.conns.find_mut(id) {
                    conn.talk = None;
                }
                self.count_held(id);
            }
            // The bytes that the session holds are being carried out.
            Session::Http(http) if http.is_published() => {}
            Session::Http(_) => self.cut_short(id, Cut::NoRoom, now),
            Session::Sse { .. } | Session::Busy | Session::Gone => {}
        }
    }

    /// Whether a connection is to be read: not while it waits for an answer that it asked for, and not while it does not take its answers.
    /// Who is told no may look away: `poll_resumed` names the connection once it is yes again.
    #[must_use]
    pub fn wants_input(&mut self, id: ConnId) -> bool {
        let Some(conn) = self.conns.find_mut(id) else { return false };
        let waits = match &conn.session {
            Session::Http(http) => http.is_owing(),
            Session::WebSocket(websocket) => websocket.is_waiting(),
            Session::Sse { .. } | Session::Busy | Session::Gone => false,
        };
        let is_owed_much = match conn.solo.as_deref_mut() {
            Some(solo) => {
                solo.is_unheard |= !solo.has_room();
                solo.is_unheard || solo.is_live_awaited()
            }
            None => false,
        };
        !waits && !is_owed_much
    }

    /// What became of a connection's drafts, once all home shards have answered.
    pub(super) fn published(&mut self, id: ConnId, results: &[PublishResult], now: Now) {
        let Some(conn) = self.conns.find_mut(id) else { return };
        match std::mem::replace(&mut conn.session, Session::Busy) {
            Session::Http(http) => self.upload_published(id, http, results, now),
            Session::WebSocket(websocket) => self.websocket_published(id, websocket, results, now),
            session => self.put_back(id, session),
        }
        self.conns.resume(id);
        self.make_room(now);
    }

    /// Tries again with uploads that found everything full.
    pub(super) fn retry_held(&mut self, now: Now) {
        while let Some(conn) = self.intake.pop_retry(now) {
            self.telling.turn.spend(UNITS_EVENT);
            if self.conns.find_ref(conn).is_some() {
                self.retry_upload(conn.id, now);
            }
            if self.telling.turn.is_spent() {
                break;
            }
        }
    }

    /// Answers an admin request that `poll_admin` gave out.
    pub fn answer(&mut self, conn: ConnRef, response: &Response, now: Now) {
        if self.conns.find_ref(conn).is_some() {
            self.http_answered(conn.id, response, now);
        }
    }
}
