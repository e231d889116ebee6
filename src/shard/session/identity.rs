//! Who is on a connection: by the token that its request carries, by one that it shows later, or as anyone.
//!
//! Invariants: whoever is not known, and may not be anonymous, subscribes to nothing and publishes nothing; a token that was revoked or is
//! over opens nothing. A new token on an open connection must be the same user's, and never widens a running subscription.

use super::super::conns::Conns;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::sync::Arc;

use super::super::Shard;
use super::super::access::Who;
use super::super::closes::CLOSE_POLICY;
use super::super::input::ConnId;
use super::super::input::Mesh;
use super::super::lanes::Lane;
use super::super::solo::Shown;
use super::super::tokens::Tokens;
use super::http::Http;
use super::named;
use crate::auth::Principal;
use crate::auth::RevocationsFull;
use crate::auth::Revoke;
use crate::auth::TokenError;
use crate::batch::Counted;
use crate::clock::Now;
use crate::dialect::Answer;
use crate::dialect::Door;
use crate::dialect::Guard;
use crate::dialect::HOUSE;
use crate::dialect::Hook;
use crate::dialect::Outcome;
use crate::dialect::RefusalCode;
use crate::dialect::Step;
use crate::dialect::Subscription;
use crate::dialect::Ticket;
use crate::dialect::Wish;
use crate::limits::RETRY_AFTER_S;
use crate::position::Since;
use crate::wire::http::Head;
use crate::wire::http::Name;
use crate::wire::http::Reply;

/// Seconds before a token is over at which its bearer is told, where the dialect has a word for it.
pub(in super::super) const EXPIRY_WARNED_S: u64 = 30;

/// The close code of a token that is over.
const CLOSE_EXPIRED: u16 = 4001;

/// Why a subscription ended that its client did not end.
const NOT_COVERED: &str = "token";

/// Why a token opens nothing.
#[derive(Debug)]
pub(super) enum NotLetIn {
    Token(TokenError),
    Revoked,
    /// What the client showed in its handshake was revoked,
    CertificateRevoked,
    /// or has expired.
    CertificateOver,
    /// The token is another user's than the connection's.
    OtherUser,
    /// The filter that the token forces is none that this server understands.
    BadFilter,
    /// The server has no keys to check tokens with.
    NoKeys,
    /// `Authorization` has another scheme, or none.
    OtherScheme,
    /// The budget of tokens has no room for the claims.
    TooMuch,
    /// None was shown, and nobody comes in without one.
    Missing,
}

impl std::fmt::Display for NotLetIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Token(error) => error.fmt(f),
            Self::Revoked => write!(f, "the token was revoked"),
            Self::CertificateRevoked => write!(f, "the client's certificate was revoked"),
            Self::CertificateOver => write!(f, "the client's certificate is over"),
            Self::OtherUser => write!(f, "the token is another user's than the connection's"),
            Self::BadFilter => write!(f, "the token's filter cannot be read"),
            Self::NoKeys => write!(f, "this server has no keys to check a token with"),
            Self::TooMuch => {
                write!(f, "the server holds no more of tokens than it has memory for")
            }
            Self::Missing => write!(f, "a token is needed: as the password"),
            Self::OtherScheme => {
                write!(f, "header field Authorization is not `Bearer` and a token")
            }
        }
    }
}

/// Why nothing was revoked.
#[derive(Debug)]
pub(super) enum NotRevoked {
    Full(RevocationsFull),
    /// Too many orders to other shards have not reached them yet.
    Busy,
}

impl std::fmt::Display for NotRevoked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Full(error) => error.fmt(f),
            Self::Busy => write!(
                f,
                "other cores have not taken in what they were told before; nothing was revoked, try again"
            ),
        }
    }
}

/// Whether a request goes on, and for which user.
pub(super) enum Entered {
    Yes(Box<Http>),
    Refused(Box<Http>),
}

/// The wall-clock time in seconds since 1970.
fn wall_s(now: Now) -> u64 {
    now.wall_us / 1_000_000
}

/// The credentials that a request shows.
enum ShownBy {
    Nothing,
    Token(String),
    /// `Authorization` is not `Bearer` and a token: credentials that this server cannot check, which is not the same as none.
    OtherScheme,
}

impl ShownBy {
    fn by(head: &Head) -> Self {
        match head.value(Name::Authorization) {
            Some(value) => match bearer(value) {
                Some(token) => Self::Token(token.to_owned()),
                None => Self::OtherScheme,
            },
            None => match head.query_value("token") {
                Some(token) => Self::Token(token.into_owned()),
                None => Self::Nothing,
            },
        }
    }
}

/// The token behind `Bearer`.
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

impl Shard {
    /// Finds out who sends a request; refuses the request if the sender is unknown, or a page of an origin that is not allowed.
    pub(super) fn enter(
        &mut self,
        id: ConnId,
        mut http: Box<Http>,
        head: &Head,
        door: &Door,
        now: Now,
    ) -> Entered {
        match door.guard {
            Guard::Nobody => return Entered::Yes(http),
            Guard::Figures if !self.settings.access.hides_figures => return Entered::Yes(http),
            Guard::Secret | Guard::Figures => return self.enter_as_admin(id, http, head, now),
            Guard::Token | Guard::TokenOrLater | Guard::TokenShown | Guard::TokenOrHook => {}
        }
        if head.value(Name::Origin).is_some() && http.answering().origin.is_none() {
            let message = "pages of this origin may not connect (auth.origins)";
            self.refuse(id, &mut http, 403, ("forbidden", message), now);
            return Entered::Refused(http);
        }
        let access = Arc::clone(&self.settings.access);
        let (has_keys, shown) = (access.verifier.is_some(), ShownBy::by(head));
        let (port, peer) = (http.port(), self.conns.peer_of(id));
        let is_passed_on = self.conns.find(id).is_some_and(|conn| conn.caller.is_passed_on);
        let passed_on_by = head.passed_on_by().or_else(|| is_passed_on.then_some("PROXY"));
        let who = match shown {
            ShownBy::Token(token) if has_keys => match self.who(&token, now) {
                Ok(who) => Some(who),
                Err(error) => {
                    self.refuse_token(id, &mut http, door, &error, now);
                    return Entered::Refused(http);
                }
            },
            ShownBy::OtherScheme if has_keys => {
                self.refuse_token(id, &mut http, door, &NotLetIn::OtherScheme, now);
                return Entered::Refused(http);
            }
            _ if let Some(certified) = self.certified(id, now) => match certified {
                Ok(who) => Some(who),
                Err(error) => {
                    self.refuse_token(id, &mut http, door, &error, now);
                    return Entered::Refused(http);
                }
            },
            // A server with keys to check tokens asks its clients for one.
            _ if has_keys && door.guard == Guard::TokenShown => None,
            _ if access.admits_anonymous(port, peer, passed_on_by) => {
                self.rights.tokens.anonymous()
            }
            _ => None,
        };
        let is_hooked = self.settings.hooks.terms.asked.contains(Hook::BeforeConnect);
        let may_say_later = door.guard.may_say_later(has_keys, is_hooked);
        if who.is_none() && !may_say_later {
            let message = access.why_unknown(port, peer, passed_on_by);
            self.refuse(id, &mut http, 401, ("unauthorized", &message), now);
            return Entered::Refused(http);
        }
        if let Some(conn) = self.conns.find_mut(id) {
            let counted = who.as_deref().map_or(Some(Counted::default()), |who| {
                self.rights.tokens.count(who, &conn.caller.who_counted)
            });
            let Some(counted) = counted else {
                self.refuse_too_much(id, &mut http, now);
                return Entered::Refused(http);
            };
            conn.caller.who_counted = counted;
            conn.who = who;
        }
        Entered::Yes(http)
    }

    /// Refuses a token for whose claims the budget has no room.
    fn refuse_too_much(&mut self, id: ConnId, http: &mut Http, now: Now) {
        let error = NotLetIn::TooMuch.to_string();
        self.tell_log("warning", "auth", format_args!("a connection was refused: {error}"), now);
        self.reply(id, http, now, |out, answering| {
            Reply::begin(out, 503, answering)
                .header("retry-after", &RETRY_AFTER_S.to_string())
                .error(RefusalCode::Full.name(), &error);
        });
    }

    fn enter_as_admin(
        &mut self,
        id: ConnId,
        mut http: Box<Http>,
        head: &Head,
        now: Now,
    ) -> Entered {
        let shown = head.value(Name::Authorization).and_then(bearer);
        let Some(secret) = self.settings.access.admin.clone() else {
            let message = "no admin secret is set, so nobody may";
            self.refuse(id, &mut http, 403, ("forbidden", message), now);
            return Entered::Refused(http);
        };
        if !shown.is_some_and(|shown| secret.opens_for(shown.as_bytes())) {
            let message = "the admin secret is needed: Authorization: Bearer";
            self.refuse(id, &mut http, 401, ("unauthorized", message), now);
            return Entered::Refused(http);
        }
        Entered::Yes(http)
    }

    //= provisioning#5.7
    //# present but invalid/expired → 401 `Unauthorized`;
    fn refuse_token(
        &mut self,
        id: ConnId,
        http: &mut Http,
        door: &Door,
        error: &NotLetIn,
        now: Now,
    ) {
        tracing::debug!(conn = id.0, %error, "token refused");
        self.tell_log("warning", "auth", format_args!("token refused: {error}"), now);
        if door.guard != Guard::TokenShown {
            let message = error.to_string();
            return self.refuse(id, http, 401, ("unauthorized", &message), now);
        }
        self.reply(id, http, now, |out, answering| {
            Reply::begin(out, 401, answering)
                .header("www-authenticate", "Bearer")
                .body("text/plain; charset=utf-8", b"Unauthorized");
        });
    }

    /// Verifies a token: the user and the rights that it gives.
    fn who(&mut self, token: &str, now: Now) -> Result<Arc<Who>, NotLetIn> {
        let access = Arc::clone(&self.settings.access);
        let verifier = access.verifier.as_ref().ok_or(NotLetIn::NoKeys)?;
        let principal = verifier.verify(token, wall_s(now)).map_err(|error| {
            // The token's key may be one that the issuer has begun to use since the keys were fetched.
            if error.wants_newer_keys() {
                self.wish_keys(now);
            }
            NotLetIn::Token(error)
        })?;
        if self.rights.tokens.is_revoked(&principal) {
            return Err(NotLetIn::Revoked);
        }
        self.who_of(principal)
    }

    fn who_of(&self, principal: Principal) -> Result<Arc<Who>, NotLetIn> {
        let view = self.settings.views.of_protocol(HOUSE);
        let types = &self.settings.access.event_types;
        let who = Who::new(principal, types, view, self.rights.tokens.role_filters());
        who.map(Arc::new).map_err(|_| NotLetIn::BadFilter)
    }

    /// Who a connection is by its certificate; `None`: it has shown none that the operator knows.
    fn certified(&self, id: ConnId, now: Now) -> Option<Result<Arc<Who>, NotLetIn>> {
        let named = self.conns.find(id)?.caller.origin.as_deref()?.named.as_ref()?;
        let principal = self.settings.access.certified.principal(named)?;
        // A session that is resumed is not looked at again by whoever checks certificates.
        if principal.is_expired(wall_s(now)) {
            return Some(Err(NotLetIn::CertificateOver));
        }
        if self.rights.tokens.is_revoked(&principal) {
            return Some(Err(NotLetIn::CertificateRevoked));
        }
        Some(self.who_of(principal))
    }

    /// Asks the party that fetches keys for fresh ones, if there is one, and no more often than its pause allows.
    fn wish_keys(&mut self, now: Now) {
        if let Some(keeper) = self.settings.access.keys
            && self.rights.tokens.wish_keys(now.mono_ms)
            && self.outgoing.has_room(keeper, Lane::Control)
        {
            self.outgoing.to(keeper).push(Mesh::KeysWanted);
        }
    }

    /// Finds out who a conversation's client is by what it shows, and tells the conversation.
    pub(super) fn answer_identify(
        &mut self,
        id: ConnId,
        ticket: Ticket,
        shown: Shown<'_>,
        now: Now,
    ) -> Vec<Step> {
        let identified = match self.who_shows(id, shown, now) {
            Ok(Some(who)) => self.identify(id, who, now),
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        let who = self.conns.find(id).and_then(|conn| conn.who.as_deref());
        let expires_at_s = who.and_then(|who| who.principal.expires_at_s);
        let reason = identified.err().map(|error| error.to_string());
        let answer = match &reason {
            None => Answer::Identified { expires_at_s },
            Some(reason) => Answer::NotIdentified { reason },
        };
        self.answer_in_talk(id, ticket, answer, now)
    }

    /// Who a conversation's client is by what it shows; `None`: who was known already.
    fn who_shows(
        &mut self,
        id: ConnId,
        shown: Shown<'_>,
        now: Now,
    ) -> Result<Option<Arc<Who>>, NotLetIn> {
        let has_keys = self.settings.access.verifier.is_some();
        match shown {
            Shown::Token(token) => return self.who(token, now).map(Some),
            Shown::Perhaps(Some(token)) if has_keys => return self.who(token, now).map(Some),
            Shown::Perhaps(_) | Shown::Named(_) => {}
        }
        let Some(conn) = self.conns.find(id).filter(|conn| conn.who.is_none()) else {
            return Ok(None);
        };
        if let Shown::Named(identity) = shown {
            let principal = named::principal(identity, &self.settings.tables.schema, wall_s(now));
            if self.rights.tokens.is_revoked(&principal) {
                return Err(NotLetIn::Revoked);
            }
            return self.who_of(principal).map(Some);
        }
        let origin = conn.caller.origin.as_deref();
        let may_be_anyone = origin.is_some_and(|origin| origin.may_be_anyone);
        match self.certified(id, now) {
            Some(certified) => certified.map(Some),
            None => {
                let anyone = self.rights.tokens.anonymous().filter(|_| may_be_anyone);
                anyone.map(Some).ok_or(NotLetIn::Missing)
            }
        }
    }

    /// Somebody has shown who they are on an open connection.
    fn identify(&mut self, id: ConnId, who: Arc<Who>, now: Now) -> Result<(), NotLetIn> {
        let Some(conn) = self.conns.find_mut(id) else { return Ok(()) };
        if let Some(before) = &conn.who
            && before.principal.user.is_some()
            && !before.principal.may_become(&who.principal)
        {
            return Err(NotLetIn::OtherUser);
        }
        let Some(counted) = self.rights.tokens.count(&who, &conn.caller.who_counted) else {
            return Err(NotLetIn::TooMuch);
        };
        let was_named = conn.who.as_ref().is_some_and(|who| who.principal.user.is_some());
        let is_alike = conn.who.as_ref().is_some_and(|before| before.hears_alike(&who));
        conn.who = Some(who);
        conn.caller.who_counted = counted;
        conn.caller.is_warned = false;
        // A user whose name was known is counted already: so a connection has one question to the registrar at a time.
        if !was_named && let Some(Err(error)) = self.ask_registrar(id, now) {
            self.close(id, CLOSE_POLICY, &error.to_string(), now);
            return Ok(());
        }
        // Subscriptions that run and events that wait are confined by the new token on top of the old one.
        let running = self.subs_of(id).to_vec();
        let looks = !running.is_empty() && !is_alike;
        let steps = if looks { self.confine_waiting(id) } else { 0 };
        let wish =
            |subscription: &Arc<Subscription>| Wish::new(Arc::clone(subscription), Since::Now);
        let wishes: Vec<Wish> = running.iter().map(wish).collect();
        self.want(id, &wishes, now);
        let goes_on = |ended: &Subscription| self.subs_of(id).iter().any(|sub| sub.id == ended.id);
        let ended: Vec<_> = running.iter().filter(|sub| !goes_on(sub)).collect();
        for sub in ended {
            self.say(id, &Outcome::Unsubscribed { id: &sub.id, reason: Some(NOT_COVERED) });
        }
        self.charge_looking(id, steps, now);
        Ok(())
    }

    /// Has tokens revoked on every shard.
    pub(super) fn revoke(&mut self, what: &Revoke, now: Now) -> Result<(), NotRevoked> {
        if !self.outgoing.has_room_everywhere(Lane::Control) {
            return Err(NotRevoked::Busy);
        }
        self.rights.tokens.revoke(what.clone(), wall_s(now)).map_err(NotRevoked::Full)?;
        for shard in self.shards.others() {
            self.outgoing.to(shard).push(Mesh::Revoke(Box::new(what.clone())));
        }
        self.rights.tokens.close_revoked_soon();
        Ok(())
    }

    /// Whether a connection's token has expired or was revoked: drafts of the connection that wait are not published any more.
    pub(in super::super) fn has_lost_its_token(&self, id: ConnId, now: Now) -> bool {
        let Some(who) = self.conns.find(id).and_then(|conn| conn.who.as_ref()) else {
            return false;
        };
        let is_over = who.principal.expires_at_s.is_some_and(|at_s| wall_s(now) >= at_s);
        is_over || self.rights.tokens.is_revoked(&who.principal)
    }

    /// Looks once a second whether the connection's token has expired, or expires soon. True if the connection was closed for it.
    pub(in super::super) fn check_token(&mut self, id: ConnId, now: Now) -> bool {
        let Some(conn) = self.conns.find_mut(id) else { return false };
        let Some(expires_at_s) = conn.who.as_ref().and_then(|who| who.principal.expires_at_s)
        else {
            return false;
        };
        let now_s = wall_s(now);
        if now_s >= expires_at_s {
            drop(self.leave_open_batch(id));
            self.close(id, CLOSE_EXPIRED, "token expired", now);
            return true;
        }
        if now_s + EXPIRY_WARNED_S >= expires_at_s
            && !std::mem::replace(&mut conn.caller.is_warned, true)
        {
            self.say(id, &Outcome::Expiring { expires_at_s });
        }
        false
    }
}

impl Conns {
    /// The address from which a connection comes.
    fn peer_of(&self, id: ConnId) -> IpAddr {
        let nowhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        self.find(id).map_or(nowhere, |conn| conn.caller.peer)
    }
}

impl Tokens {
    /// Takes in a revocation that another shard has sent.
    pub(in super::super) fn take_in_revocation(&mut self, what: Revoke, now: Now) {
        if let Err(error) = self.revoke(what, wall_s(now)) {
            // The shard that took the request had room, and all shards remember the same revocations.
            tracing::error!(%error, "a revocation was not remembered here");
        }
        self.close_revoked_soon();
    }
}
