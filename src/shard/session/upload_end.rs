//! Requests that end before they are complete: by silence, by the server's stop, by bytes that are no chunk, by their client's end, for want of room.
//!
//! Invariant: every end that can still be answered is answered, with the reason; and of an upload with what was taken, and up to where.

use std::fmt;

use super::super::Shard;
use super::super::input::ConnId;
use super::Session;
use super::http::Http;
use super::http::State;
use crate::clock::Now;
use crate::dialect::Response;
use crate::wire::http::Answering;
use crate::wire::http::HttpError;

/// How a request ended too soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Cut {
    /// It took too long.
    Late,
    /// Its client says no more.
    Ended,
    /// The server stops.
    Stopping,
    /// Of all that is held of unfinished requests it holds the most, and there is no room.
    NoRoom,
    /// Its body is not what its head says.
    Broken(HttpError),
}

impl Cut {
    /// The status that answers it.
    pub(super) const fn status(self) -> u16 {
        match self {
            Self::Late => 408,
            Self::Ended => 400,
            Self::Stopping | Self::NoRoom => 503,
            Self::Broken(error) => error.status(),
        }
    }

    /// The word for it.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Late => "timeout",
            Self::Ended => "cut_off",
            Self::Stopping => "shutting_down",
            Self::NoRoom => "full",
            Self::Broken(error) => error.code(),
        }
    }

    /// What answers it, with this status.
    fn response(self, status: u16) -> Response {
        let response = Response::error(status, self.code(), &self.to_string());
        match self {
            Self::Stopping | Self::NoRoom => response.with_retry(),
            Self::Late | Self::Ended | Self::Broken(_) => response,
        }
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Late => "the request did not arrive in time",
            Self::Ended => "the request ended before it was complete",
            Self::Stopping => "the server is shutting down",
            Self::NoRoom => {
                "there is no room for unfinished requests, and this one holds the most; try again"
            }
            Self::Broken(error) => return error.fmt(f),
        })
    }
}

impl Shard {
    /// A request did not arrive in time, or nobody has anything to ask any more.
    pub(in super::super) fn time_out(&mut self, id: ConnId, now: Now) {
        let Some(conn) = self.conns.find_mut(id) else { return };
        let Session::Http(http) = &mut conn.session else { return };
        if http.is_idle() {
            http.set_state(State::Ended);
            return self.close_after_sent(id, now);
        }
        self.cut_short(id, Cut::Late, now);
    }

    /// The client says no more; what it has said is carried out first.
    pub(in super::super) fn http_ended(&mut self, id: ConnId, now: Now) {
        let Some(conn) = self.conns.find_mut(id) else { return };
        let Session::Http(http) = &mut conn.session else { return };
        http.end();
        if !http.is_owing()
            && let Session::Http(mut http) = std::mem::replace(&mut conn.session, Session::Busy)
        {
            self.cut_what_ended(id, &mut http, now);
            self.put_back(id, Session::Http(http));
        }
    }

    /// The client has ended, and so has what it was sending.
    pub(super) fn cut_what_ended(&mut self, id: ConnId, http: &mut Http, now: Now) {
        if http.is_idle() || matches!(http.state_mut(), State::Ended) {
            return self.close_after_sent(id, now);
        }
        self.cut(id, http, Cut::Ended, now);
    }

    /// Ends what a connection is sending before it is complete.
    pub(in super::super) fn cut_short(&mut self, id: ConnId, cut: Cut, now: Now) {
        let Some(conn) = self.conns.find_mut(id) else { return };
        let mut http = match std::mem::replace(&mut conn.session, Session::Busy) {
            Session::Http(http) => http,
            session => return self.put_back(id, session),
        };
        self.cut(id, &mut http, cut, now);
        self.put_back(id, Session::Http(http));
    }

    fn cut(&mut self, id: ConnId, http: &mut Http, cut: Cut, now: Now) {
        http.forget_input();
        let response = match http.state_mut() {
            State::Upload(upload) => {
                if upload.end_early(cut) {
                    // What is under way is answered for, too.
                    return;
                }
                upload.answer(self.shards.epoch())
            }
            // A body that there is no room for is a body that is too large for now.
            State::Gather(_) if cut == Cut::NoRoom => cut.response(413),
            // The request before this one is over, and whose this one is nobody knows.
            State::Head => {
                http.set_answering(Answering::nobody(self.life.date()));
                cut.response(cut.status())
            }
            _ => cut.response(cut.status()),
        };
        http.answers_last();
        self.respond(id, http, &response, now);
    }
}
