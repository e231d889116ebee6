//! Requests that end before they are complete: by silence, by the server's stop, by bytes that are no chunk, by their client's end, for want of room.
//!
//! Invariant: every end that can still be answered is answered, with the reason; and of an upload with what was taken, and up to where.

use super::super::Shard;
use super::super::input::ConnId;
use super::Session;
use super::http::Http;
use super::http::State;
use super::refusals::Cut;
use crate::clock::Now;
use crate::wire::http::Answering;

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
