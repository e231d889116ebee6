//! The registrar's answers: requests that waited to learn whether their client may have one more connection.
//!
//! Invariant: an answer for a request that is no longer waiting for it changes nothing.

use super::super::Shard;
use super::super::closes::CLOSE_POLICY;
use super::super::input::ConnId;
use super::Session;
use super::http::Http;
use super::http::State;
use crate::auth::LimitError;
use crate::clock::Now;
use crate::dialect::RefusalCode;
use crate::limits::RETRY_AFTER_S;
use crate::wire::http::Reply;

impl Shard {
    //= provisioning#5.7
    //# 11th connection of a user → 429 before upgrade;
    pub(super) fn refuse_entry(
        &mut self,
        id: ConnId,
        http: &mut Http,
        error: LimitError,
        now: Now,
    ) {
        let message = format_args!("a connection was refused: {error}");
        self.tell_log_of(Some(id), "warning", "limits", message, now);
        let (status, code) = match error {
            LimitError::Busy => (503, RefusalCode::Full.name()),
            _ => (429, "too_many_connections"),
        };
        self.reply(id, http, now, |out, answering| {
            Reply::begin(out, status, answering)
                .header("retry-after", &RETRY_AFTER_S.to_string())
                .error(code, &error.to_string());
        });
    }

    /// Takes in the registrar's answer; the request that waited for the answer goes on.
    pub(in super::super) fn session_entered(
        &mut self,
        id: ConnId,
        result: Result<(), LimitError>,
        now: Now,
    ) {
        let Some(conn) = self.conns.find_mut(id) else { return };
        let mut http = match std::mem::replace(&mut conn.session, Session::Busy) {
            Session::Http(http) => http,
            session => {
                self.put_back(id, session);
                if let Err(error) = result {
                    self.close(id, CLOSE_POLICY, &error.to_string(), now);
                }
                return;
            }
        };
        if !matches!(http.state_mut(), State::Entering(_)) {
            return self.put_back(id, Session::Http(http));
        }
        let State::Entering(entering) = http.take_state() else { unreachable!("it is one") };
        let (head, door) = *entering;
        let has_ended = self.lives_on(id);
        let back = match result {
            Ok(()) => self.route_known(id, http, &head, door, now),
            Err(error) => {
                self.refuse_entry(id, &mut http, error, now);
                Some(http)
            }
        };
        if let Some(http) = back {
            self.http_go_on(id, http, now);
        }
        if has_ended {
            self.ended(id, now);
        }
        self.conns.resume(id);
    }
}
