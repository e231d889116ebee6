//! Requests that end before they are complete: timeouts, the server's stop, malformed chunks, the client's end, an exhausted budget.
//!
//! Invariant: every request that can still be answered is answered, with the reason; an upload also with the number of events taken, and up to which line.

use super::super::Shard;
use super::super::input::ConnId;
use super::Session;
use super::http::Http;
use super::http::State;
use super::refusals::Cut;
use crate::clock::Now;
use crate::wire::http::Answering;

impl Shard {
    /// Ends a connection whose request did not arrive in time, or that had no request for too long.
    pub(in super::super) fn time_out(&mut self, id: ConnId, now: Now) {
        let Some(conn) = self.conns.find_mut(id) else { return };
        let Session::Http(http) = &mut conn.session else { return };
        if http.is_idle() {
            http.set_state(State::Ended);
            return self.close_after_sent(id, now);
        }
        self.cut_short(id, Cut::Late, now);
    }

    /// Takes note that the client has ended its sending side; its requests are carried out first.
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

    /// Ends the request whose client has ended its sending side.
    pub(super) fn cut_what_ended(&mut self, id: ConnId, http: &mut Http, now: Now) {
        if http.is_idle() || matches!(http.state_mut(), State::Ended) {
            return self.close_after_sent(id, now);
        }
        self.cut(id, http, Cut::Ended, now);
    }

    /// Ends the request of a connection before it is complete.
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
                    // The answer waits for the drafts that are under way.
                    return;
                }
                upload.answer(self.shards.epoch())
            }
            // A body for which the budget has no room is too large for now.
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
