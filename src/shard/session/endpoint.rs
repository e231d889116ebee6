//! From a request's head to what answers it: its door is looked up, who asks is found out, and then it is opened.
//!
//! Invariants: whatever is not a door's own business (methods, HEAD, OPTIONS, pages of other origins, an upgrade that is missing) is answered
//! here, for all doors alike. Never speaks a dialect.

use std::sync::Arc;

use super::super::Shard;
use super::super::doors::Doorway;
use super::super::doors::Found;
use super::super::doors::body_of;
use super::super::doors::path_of;
use super::super::input::AdminRequest;
use super::super::input::ConnId;
use super::super::settings::Settings;
use super::super::transport::Transport;
use super::super::transport::Voice;
use super::super::want::Part;
use super::awaiting::Action;
use super::awaiting::AnswerAwaited;
use super::http::Http;
use super::http::State;
use super::identity::Entered;
use super::operator_request::OperatorRequest;
use crate::batch::Item;
use crate::clock::Now;
use crate::dialect::Body;
use crate::dialect::Call;
use crate::dialect::DialectId;
use crate::dialect::Door;
use crate::dialect::First;
use crate::dialect::Guard;
use crate::dialect::Kind;
use crate::dialect::MediaType;
use crate::dialect::NotOpened;
use crate::dialect::OpensStream;
use crate::dialect::Port;
use crate::dialect::Refusal;
use crate::dialect::RefusalCode;
use crate::dialect::Response;
use crate::dialect::Setup;
use crate::dialect::Socket;
use crate::dialect::Step;
use crate::dialect::Wanted;
use crate::dialect::cursor_of;
use crate::dialect::last_id;
use crate::limits::FILTER_REFUSED_STEPS;
use crate::limits::PREFLIGHT_KEPT_S;
use crate::position::Since;
use crate::wire::http::Answering;
use crate::wire::http::Connection;
use crate::wire::http::Framing;
use crate::wire::http::Head;
use crate::wire::http::Method;
use crate::wire::http::Name;
use crate::wire::http::Reply;
use crate::wire::http::Version;
use crate::wire::sse;
use crate::wire::upgrade::UpgradeError;

/// Fields that a page of an allowed origin may send: those that are read here, and those that clients in browsers add themselves.
const FIELDS_ALLOWED: &str = "Authorization, Cache-Control, Connect-Protocol-Version, Connect-Timeout-Ms, Content-Type, Fanwire-Key, If-None-Match, \
     Last-Event-ID, Traceparent, X-User-Agent";

/// Seconds after which a request that a stopping server has refused may be made again.
const RETRY_AFTER_STOP: &str = "1";

impl Shard {
    /// Answers a request, or turns the connection into what it asks for; `None` if it no longer is HTTP.
    pub(super) fn route(
        &mut self,
        id: ConnId,
        mut http: Box<Http>,
        head: &Head,
        now: Now,
    ) -> Option<Box<Http>> {
        http.set_answering(answering(self, id, head));
        if http.port() == Port::Redirect {
            self.redirect(id, &mut http, head, now);
            return Some(http);
        }
        if let Err(error) = self.find_client(id, head) {
            http.answers_last();
            let message = error.to_string();
            self.refuse(id, &mut http, 400, ("bad_field", &message), now);
            return Some(http);
        }
        let path = path_of(head);
        let views = Arc::clone(&self.settings.views);
        let doorway = Doorway::new(http.port(), &path, &views, self.settings.echo);
        let door = match doorway.find(head) {
            Found::Door(door) => door,
            Found::Options => {
                self.answer_options(id, &mut http, head, doorway, now);
                return Some(http);
            }
            found => {
                self.refuse_route(id, &mut http, found, (doorway, &path), now);
                return Some(http);
            }
        };
        let mut http = match self.enter(id, http, head, door, now) {
            Entered::Yes(http) => http,
            Entered::Refused(http) => return Some(http),
        };
        let is_counted = self.conns.find(id).is_none_or(|conn| conn.caller.is_counted);
        if is_counted || !door.lasts() || http.answering().head_only {
            return self.route_known(id, http, head, door, now);
        }
        match self.ask_registrar(id, now) {
            Some(Ok(())) => self.route_known(id, http, head, door, now),
            Some(Err(error)) => {
                self.refuse_entry(id, &mut http, error, now);
                Some(http)
            }
            None => {
                http.set_state(State::Entering(Box::new((head.clone(), door))));
                Some(http)
            }
        }
    }

    /// Routes a request whose sender is known.
    pub(super) fn route_known(
        &mut self,
        id: ConnId,
        mut http: Box<Http>,
        head: &Head,
        door: &'static Door,
        now: Now,
    ) -> Option<Box<Http>> {
        let is_work = !matches!(door.kind, Kind::Page) && door.guard != Guard::Secret;
        if is_work && self.life.is_stopping() {
            self.refuse_work(id, &mut http, now);
            return Some(http);
        }
        match door.kind {
            Kind::WebSocket(socket) => self.open_socket(id, http, head, socket, now),
            Kind::Stream(stream) => self.open_stream(id, http, head, stream, now),
            Kind::Call(call, takes) => match takes.find(head) {
                Ok(media) => self.begin_call(id, http, head, (call, media), now),
                Err(fault) => {
                    self.refuse_media(id, &mut http, &fault, now);
                    Some(http)
                }
            },
            Kind::Page => {
                let Some(conn) = self.conns.conn_ref(id) else { return Some(http) };
                let path = path_of(head).into_owned();
                let if_none_match = head
                    .headers("if-none-match")
                    .map(|tags| String::from_utf8_lossy(tags).into_owned())
                    .reduce(|tags, more| tags + "," + &more);
                self.intake
                    .tickets
                    .ask_outside(conn, AdminRequest { path, if_none_match, body: Vec::new() });
                http.set_state(State::Awaiting(Box::new(AnswerAwaited::Outside)));
                Some(http)
            }
        }
    }

    /// Refuses a request because the server stops.
    fn refuse_work(&mut self, id: ConnId, http: &mut Http, now: Now) {
        http.answers_last();
        self.reply(id, http, now, |out, answering| {
            Reply::begin(out, 503, answering)
                .header("retry-after", RETRY_AFTER_STOP)
                .error("shutting_down", "the server is shutting down");
        });
    }

    fn open_socket(
        &mut self,
        id: ConnId,
        mut http: Box<Http>,
        head: &Head,
        socket: Socket,
        now: Now,
    ) -> Option<Box<Http>> {
        let opening = match socket {
            Socket::Echo => None,
            Socket::Talk(open) => match open(head, &self.settings.setup()) {
                Ok(opening) => Some(opening),
                Err(problem) => {
                    self.refuse_opening(id, &mut http, &problem, now);
                    return Some(http);
                }
            },
        };
        self.route_websocket(id, http, head, opening, now)
    }

    pub(super) fn refuse_opening(
        &mut self,
        id: ConnId,
        http: &mut Http,
        problem: &NotOpened,
        now: Now,
    ) {
        match problem {
            NotOpened::BadField(message) => {
                self.reply(id, http, now, |out, answering| {
                    Reply::begin(out, 400, answering).error("bad_field", message);
                });
            }
            NotOpened::Refused(refusal) => {
                let status = if refusal.code == RefusalCode::Forbidden { 403 } else { 400 };
                self.refuse_for(id, http, (status, refusal), now);
            }
            NotOpened::Said { status, body } => self.reply(id, http, now, |out, answering| {
                Reply::begin(out, *status, answering).body("application/json", body);
            }),
            NotOpened::NeedsChunks => {
                self.refuse(id, http, 505, ("http_version", "a call needs HTTP/1.1"), now);
            }
        }
    }

    /// Begins an event stream, or says why there is none: while a status can still be said.
    fn open_stream(
        &mut self,
        id: ConnId,
        mut http: Box<Http>,
        head: &Head,
        open: OpensStream,
        now: Now,
    ) -> Option<Box<Http>> {
        let opened = open(head, &self.settings.setup())
            .and_then(|wanted| self.begins(id, head, wanted, now));
        let (dialect, step) = match opened {
            Ok(opened) => opened,
            Err(problem) => {
                self.refuse_opening(id, &mut http, &problem, now);
                return Some(http);
            }
        };
        let transport = Transport::Sse { chunked: head.version == Version::Http11 };
        let back = self.begin_sse(id, http, head, Voice { dialect, transport }, now);
        if back.is_none() {
            let rest = self.take_steps(id, vec![step], now);
            debug_assert!(rest.is_empty(), "a stream asks nothing");
        }
        back
    }

    /// The first steps of an event stream, if its client may hear what it asks for.
    fn begins(
        &self,
        id: ConnId,
        head: &Head,
        wanted: Wanted,
        now: Now,
    ) -> Result<(DialectId, Step), NotOpened> {
        let Wanted { dialect, first, refused } = wanted;
        let step = match first {
            First::Subscribe(wish) => {
                self.confined_or_refused(id, &wish.subscription, Part::Refused)
                    .map_err(|e| refused(&e))?;
                Step::Subscribe(wish)
            }
            First::Want { mut wish, since_lost } => {
                if let Some(wish) = wish.as_ref().filter(|wish| self.conns.is_barred(id, wish)) {
                    return Err(refused(&self.settings.why_barred(&wish.subscription)));
                }
                if let (Some(wish), Some(id)) = (&mut wish, last_id(head)) {
                    let since = cursor_of(&id).map_or(Since::Lost, Since::Cursor);
                    let is_here = since != Since::Lost && self.is_position_here(&since, now);
                    wish.since = if is_here { since } else { since_lost };
                }
                Step::Want(wish.into_iter().collect())
            }
        };
        Ok((dialect, step))
    }

    /// Makes a connection an event stream; to HEAD the head is all there is, and the connection stays what it was.
    fn begin_sse(
        &mut self,
        id: ConnId,
        mut http: Box<Http>,
        head: &Head,
        voice: Voice,
        now: Now,
    ) -> Option<Box<Http>> {
        if http.answering().head_only {
            let version = head.version;
            self.reply(id, &mut http, now, |out, answering| {
                Reply::stream(out, sse::CONTENT_TYPE, version, answering);
            });
            return Some(http);
        }
        let mut reply = Vec::new();
        Reply::stream(&mut reply, sse::CONTENT_TYPE, head.version, http.answering());
        self.begin_stream(id, reply, voice, now);
        None
    }

    /// Has a call's body gathered, or carries it out if it has none.
    fn begin_call(
        &mut self,
        id: ConnId,
        mut http: Box<Http>,
        head: &Head,
        (call, media): (Call, Option<&'static MediaType>),
        now: Now,
    ) -> Option<Box<Http>> {
        let (body, action) = match call {
            Call::Upload(opens) => {
                self.begin_upload(id, &mut http, head, (opens, media), now);
                return Some(http);
            }
            Call::Respond { body, opens, .. } => match opens(head, media, &self.settings.setup()) {
                Ok(calling) if body == Body::None => return self.call(id, http, calling, &[], now),
                Ok(calling) => (body, Action::Call(calling)),
                Err(problem) => {
                    self.refuse_opening(id, &mut http, &problem, now);
                    return Some(http);
                }
            },
            Call::Revoke => (body_of(call), Action::Revoke),
            Call::Operator(what) => {
                let asked = OperatorRequest::of(what, &path_of(head), head);
                (body_of(call), Action::Operator(Box::new(asked)))
            }
        };
        let message_bytes_max = self.settings.message_bytes_max;
        let bytes_max = match body {
            Body::None => 0,
            Body::Bytes(bytes) => bytes,
            Body::Message(bytes) => bytes.min(message_bytes_max),
            Body::Lines => message_bytes_max,
        };
        self.gather_body(id, &mut http, head, (bytes_max, action), now);
        Some(http)
    }

    /// Answers a request that means no door.
    fn refuse_route(
        &mut self,
        id: ConnId,
        http: &mut Http,
        found: Found,
        (doorway, path): (Doorway<'_>, &str),
        now: Now,
    ) {
        let own = http.port() != Port::Shared;
        match found {
            Found::Door(_) | Found::Options => unreachable!("these are not refused"),
            Found::UnknownMethod => {
                //= rfc9110#9.1
                //# An origin server that receives a request method that is unrecognized or not implemented SHOULD respond with the
                //# 501 (Not Implemented) status code.
                let message = "there is no such method";
                self.refuse(id, http, 501, ("unknown_method", message), now);
            }
            Found::Nowhere => {
                let message = match own {
                    true => "there is nothing here: this port is one dialect's own".to_owned(),
                    false => format!("there is nothing at {path}"),
                };
                self.refuse(id, http, 404, ("not_found", &message), now);
            }
            Found::NoSocket => {
                let message = format!("there is no WebSocket at {path}");
                self.refuse(id, http, 404, ("not_found", &message), now);
            }
            Found::Undecided => {
                let message = doorway.why_undecided();
                self.refuse(id, http, 404, ("not_found", &message), now);
            }
            Found::NotUpgraded => self.refuse_upgrade(id, http, UpgradeError::NotAsked, now),
            Found::OtherMethods => {
                let allow = doorway.allow();
                let message = format!("this path has no such method; it has {allow}");
                self.reply(id, http, now, |out, answering| {
                    //= rfc9110#15.5.6
                    //# The origin server MUST generate an Allow header field in a 405 response
                    Reply::begin(out, 405, answering)
                        .header("allow", &allow)
                        .error("method_not_allowed", &message);
                });
            }
        }
    }

    /// Answers OPTIONS: the methods of a path and, to a page of another origin, the fields that the page may send.
    fn answer_options(
        &mut self,
        id: ConnId,
        http: &mut Http,
        head: &Head,
        doorway: Doorway<'_>,
        now: Now,
    ) {
        let allow = doorway.allow();
        let wanted = head.value(Name::AccessControlRequestMethod);
        let is_refused = wanted.is_some() && http.answering().origin.is_none();
        if is_refused && head.value(Name::Origin).is_some() {
            let message = "pages of this origin may not connect (auth.origins)";
            return self.refuse(id, http, 403, ("forbidden", message), now);
        }
        let is_preflight = wanted.is_some() && http.answering().origin.is_some();
        let takes = wanted.is_some_and(|name| doorway.takes(Method::from_name(name)));
        self.reply(id, http, now, |out, answering| {
            let mut reply = Reply::begin(out, 204, answering).header("allow", &allow);
            if is_preflight && takes {
                reply = reply
                    .header("access-control-allow-methods", &allow)
                    .header("access-control-allow-headers", FIELDS_ALLOWED)
                    .header("access-control-max-age", &PREFLIGHT_KEPT_S.to_string());
            }
            reply.empty();
        });
    }

    /// Refuses a request with a word and a reason.
    pub(super) fn refuse(
        &mut self,
        id: ConnId,
        http: &mut Http,
        status: u16,
        (code, message): (&str, &str),
        now: Now,
    ) {
        self.reply(id, http, now, |out, answering| {
            let reply = Reply::begin(out, status, answering);
            let reply = match status {
                //= rfc9110#11.6.1
                //# A server generating a 401 (Unauthorized) response MUST send a WWW-Authenticate header field
                401 => reply.header("www-authenticate", "Bearer"),
                // Where nothing is, something may be tomorrow.
                404 => reply.header("Cache-Control", "no-store"),
                _ => reply,
            };
            reply.error(code, message);
        });
    }

    /// Refuses a request with the error found in it.
    pub(super) fn refuse_for(
        &mut self,
        id: ConnId,
        http: &mut Http,
        (status, refusal): (u16, &Refusal),
        now: Now,
    ) {
        if refusal.code == RefusalCode::BadFilter && !self.charge(id, FILTER_REFUSED_STEPS, now) {
            http.ends();
        }
        self.respond(id, http, &Response::refusal(status, refusal), now);
    }

    /// Answers the request that a connection is at. The connection ends with it, or is ready for the next.
    pub(super) fn reply(
        &mut self,
        id: ConnId,
        http: &mut Http,
        now: Now,
        write: impl FnOnce(&mut Vec<u8>, &Answering),
    ) {
        let mut out = Vec::new();
        write(&mut out, &Answering { date: self.life.date(), ..http.answering().clone() });
        self.stats.tally.answer(&out);
        self.push_item(id, Item::Raw(out.into()));
        if http.answering().stays() {
            http.set_state(State::Head);
        } else {
            http.set_state(State::Ended);
            self.close_after_sent(id, now);
        }
    }
}

impl Settings {
    /// The conditions on which doors depend.
    pub(in super::super) fn setup(&self) -> Setup<'_> {
        let (views, message_bytes_max) = (&*self.views, self.message_bytes_max);
        Setup { views, message_bytes_max, hooks: self.hooks.terms }
    }
}

/// What all that is answered to a request has in common. A body that nobody reads is not read to its end: the connection ends instead.
fn answering(shard: &Shard, id: ConnId, head: &Head) -> Answering {
    let has_body = !matches!(head.framing, Framing::None | Framing::Length(0));
    let stays = head.keep_alive && !has_body;
    let origin = head.value(Name::Origin);
    let access = &shard.settings.access;
    let is_encrypted = shard.conns.find(id).is_some_and(|conn| conn.caller.is_encrypted);
    let may_read = access.origins.allows(origin, head.value(Name::Host), is_encrypted);
    Answering {
        connection: if stays { Connection::KeepAlive } else { Connection::Close },
        head_only: head.method == Method::Head,
        origin: origin.filter(|_| may_read).map(Into::into),
        hsts_s: access.listeners.hsts_s(is_encrypted),
        date: shard.life.date(),
    }
}
