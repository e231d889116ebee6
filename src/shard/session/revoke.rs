//! `POST /v1/admin/revoke`: tokens that are to open nothing any more, by their name, their user or their age.
//!
//! Invariant: only who shows the admin secret is heard; without one set, nobody is. Connections opened with a revoked token are closed 1008.

use super::super::Shard;
use super::super::input::ConnId;
use super::http::Http;
use crate::auth::Revoke;
use crate::clock::Now;
use crate::wire::http::Reply;

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
    pub(super) fn carry_out_revocation(
        &mut self,
        id: ConnId,
        http: &mut Http,
        body: &[u8],
        now: Now,
    ) {
        let request = serde_json::from_slice::<RevokeRequest>(body).ok();
        let done = request
            .and_then(|request| request.revoke(now.wall_us / 1_000_000))
            .map(|what| self.revoke(&what, now));
        self.reply(id, http, now, |out, answering| match done {
            None => Reply::begin(out, 400, answering).error(
                "bad_field",
                "what is revoked is said by jti, by user (and issued_until_s), or by issued_until_s",
            ),
            Some(Ok(())) => {
                Reply::begin(out, 200, answering).body("application/json", br#"{"revoked":true}"#);
            }
            Some(Err(error)) => {
                Reply::begin(out, 503, answering).error("full", &error.to_string());
            }
        });
    }
}
