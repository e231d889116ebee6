//! `POST /v1/admin/revoke`: tokens that are to open nothing any more, by their name, their user or their age.
//!
//! Invariant: only who shows the admin secret is heard; without one set, nobody is. Connections opened with a revoked token are closed 1008.

use super::super::Shard;
use super::super::input::ConnId;
use super::gather::Call;
use super::http::Http;
use crate::auth::Revoke;
use crate::batch::Item;
use crate::clock::Now;
use crate::wire::http::Connection;
use crate::wire::http::Head;
use crate::wire::http::Reply;

/// What may be asked for: `{"jti":…}`, `{"user":…,"issued_until_s":…}` or `{"issued_until_s":…}`.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    jti: Option<Box<str>>,
    user: Option<Box<str>>,
    /// Absent: until now.
    issued_until_s: Option<u64>,
}

impl Wish {
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
    pub(super) fn route_revoke(
        &mut self,
        id: ConnId,
        http: Box<Http>,
        head: &Head,
        now: Now,
    ) -> Box<Http> {
        let shown = head.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        let secret = self.settings.access.admin.clone();
        let Some(secret) = secret else {
            let message = "no admin secret is set, so nobody may";
            return self.refuse(id, http, head, 403, "forbidden", message, now);
        };
        if !shown.is_some_and(|shown| secret.opens_for(shown.trim().as_bytes())) {
            let message = "the admin secret is needed: Authorization: Bearer";
            return self.refuse(id, http, head, 401, "unauthorized", message, now);
        }
        let call = Call::Revoke { keep_alive: head.keep_alive };
        self.gather_body(id, http, head, call, now)
    }

    pub(super) fn carry_out_revocation(
        &mut self,
        id: ConnId,
        body: &[u8],
        keep_alive: bool,
        now: Now,
    ) {
        let connection = if keep_alive { Connection::KeepAlive } else { Connection::Close };
        let mut out = Vec::new();
        let wish = serde_json::from_slice::<Wish>(body).ok();
        match wish.and_then(|wish| wish.revoke(now.wall_us / 1_000_000)) {
            None => Reply::begin(&mut out, 400, connection).error(
                "bad_field",
                "what is revoked is said by jti, by user (and issued_until_s), or by issued_until_s",
            ),
            Some(what) => match self.revoke(&what, now) {
                Ok(()) => {
                    Reply::begin(&mut out, 200, connection)
                        .body("application/json", br#"{"revoked":true}"#);
                }
                Err(error) => {
                    Reply::begin(&mut out, 503, connection).error("full", &error.to_string());
                }
            },
        }
        self.push_item(id, Item::Raw(out.into()));
    }
}
