//! `POST /v1/admin/revoke`: revokes tokens by their id, their user or the time of their issue.
//!
//! Invariants: only who shows the admin secret is heard; without one set, nobody is. Connections opened with a revoked token are closed 1008, at once. Where there is a data
//! folder the answer that says so comes once the revocation lies there, and survives the loss of power; what cannot be kept there holds all the same, and the answer says that it will not last.

use super::super::Shard;
use super::super::closes::CLOSE_POLICY;
use super::super::input::ConnId;
use super::Response;
use super::awaiting::AnswerAwaited;
use super::http::Http;
use super::http::State;
use crate::auth::Revoke;
use crate::clock::Now;
use crate::dialect::RefusalCode;
use crate::history::asks::NotNoted;
use crate::history::log::Note;
use crate::wire::http::Reply;

/// The answer when it is done.
const REVOKED: &[u8] = br#"{"revoked":true}"#;

/// The body of a revocation: `{"jti":…}`, `{"user":…,"issued_until_s":…}` or `{"issued_until_s":…}`.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct RevokeRequest {
    jti: Option<Box<str>>,
    user: Option<Box<str>>,
    /// Absent: until now.
    issued_until_s: Option<u64>,
}

impl RevokeRequest {
    fn revoke(self, now_s: u64) -> Option<Revoke> {
        match (self.jti, self.user, self.issued_until_s) {
            (Some(jti), None, None) => Some(Revoke::Token { jti }),
            (None, Some(user), until) => {
                Some(Revoke::User { user, issued_until_s: until.unwrap_or(now_s) })
            }
            (None, None, Some(at_s)) => Some(Revoke::IssuedUntil { at_s }),
            _ => None,
        }
    }
}

impl Shard {
    /// Closes the connections whose tokens were revoked: once for all revocations that have come, and before anything is fanned out or sent.
    pub(in super::super) fn close_revoked(&mut self, now: Now) {
        if !self.rights.tokens.take_revoking() {
            return;
        }
        for index in 0..self.conns.places() {
            let id = ConnId(index);
            let who = self.conns.find(id).and_then(|conn| conn.who.as_ref());
            if who.is_some_and(|who| self.rights.tokens.is_revoked(&who.principal)) {
                // Nothing that waits for it is told, not even what its class has batched by now.
                drop(self.leave_open_batch(id));
                self.close(id, CLOSE_POLICY, "token revoked", now);
            }
        }
    }

    pub(super) fn carry_out_revocation(
        &mut self,
        id: ConnId,
        http: &mut Http,
        body: &[u8],
        now: Now,
    ) {
        let request = serde_json::from_slice::<RevokeRequest>(body).ok();
        let what = request.and_then(|request| request.revoke(now.wall_us / 1_000_000));
        let done = what.as_ref().map(|what| self.revoke(what, now));
        if let (Some(what), Some(Ok(()))) = (&what, &done)
            && let (Some(conn), Some(durable)) = (self.conns.conn_ref(id), &mut self.durable)
        {
            let (name, value) = what.to_note();
            let until_s = what.counts_from_s(now.wall_us / 1_000_000);
            let note = Note { name: name.into(), value, until_s };
            let asker = (conn, self.shards.here());
            return match durable.note(asker, note, &mut self.outgoing, now) {
                Ok(()) => http.set_state(State::Awaiting(Box::new(AnswerAwaited::Outside))),
                Err(why) => self.respond(id, http, &noted(Err(why)), now),
            };
        }
        self.reply(id, http, now, |out, answering| match done {
            None => Reply::begin(out, 400, answering).error(
                "bad_field",
                "what is revoked is said by jti, by user (and issued_until_s), or by issued_until_s",
            ),
            Some(Ok(())) => {
                Reply::begin(out, 200, answering).body("application/json", REVOKED);
            }
            Some(Err(error)) => {
                Reply::begin(out, 503, answering).error("full", &error.to_string());
            }
        });
    }
}

/// The answer to somebody who had something revoked, by what became of it on the disk.
pub(in super::super) fn noted(result: Result<(), NotNoted>) -> Response {
    let Err(why) = result else { return Response::json(200, REVOKED) };
    let (status, code, reason) = match why {
        NotNoted::DiskFull => (507, RefusalCode::Full, "the disk is full"),
        NotNoted::Crowded => {
            (507, RefusalCode::Full, "as many revocations are kept as there is room for")
        }
        NotNoted::Busy => (503, RefusalCode::Full, "the store has too much to do"),
        NotNoted::Closing => (503, RefusalCode::ShuttingDown, "the server stops"),
        NotNoted::Silent => (503, RefusalCode::Unavailable, "the store does not answer"),
    };
    let message = format!("revoked, but only until the server restarts: {reason}; tell it again");
    tracing::warn!(reason, "a revocation holds, and may not outlast a restart");
    Response::error(status, code.name(), &message)
}
