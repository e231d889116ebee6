//! From a request's head to what answers it: its door is looked up, who asks is found out, and then it is opened.
//!
//! Invariants: whatever is not a door's own business (methods, HEAD, OPTIONS, pages of other origins, an upgrade that is missing) is answered
//! here, for all doors alike. Never speaks a dialect.

use super::super::Shard;
use super::super::class::Transport;
use super::super::class::Voice;
use super::super::doors::Body;
use super::super::doors::Doorway;
use super::super::doors::Found;
use super::super::doors::body_bytes_max;
use super::super::doors::path_of;
use super::super::input::ConnId;
use super::AdminRequest;
use super::gather::Action;
use super::http::Http;
use super::http::Opening;
use super::http::State;
use super::http::refusal_body;
use super::identity::Entered;
use super::stream::Asked;
use super::stream::cursor_of;
use super::stream::last_id;
use crate::batch::Item;
use crate::clock::Now;
use crate::dialect::Call;
use crate::dialect::DialectId;
use crate::dialect::Door;
use crate::dialect::Kind;
use crate::dialect::LINES;
use crate::dialect::MediaType;
use crate::dialect::NotOpened;
use crate::dialect::NotTaken;
use crate::dialect::Port;
use crate::dialect::Refusal;
use crate::dialect::RefusalCode;
use crate::dialect::Setup;
use crate::dialect::Since;
use crate::dialect::Socket;
use crate::dialect::Stream;
use crate::dialect::Talk;
use crate::dialect::Wanted;
use crate::dialect::Wish;
use crate::dialect::native;
use crate::dialect::peat;
use crate::dialect::peat::connect;
use crate::limits::FILTER_REFUSED_STEPS;
use crate::limits::PREFLIGHT_KEPT_S;
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
     Last-Event-ID, X-User-Agent";

impl Shard {
    /// Answers a request, or turns the connection into what it asks for; `None` if it no longer is HTTP.
    pub(super) fn route(
        &mut self,
        id: ConnId,
        mut http: Box<Http>,
        head: &Head,
        now: Now,
    ) -> Option<Box<Http>> {
        http.set_answering(self.answering(head));
        let path = path_of(head);
        let doorway = Doorway::new(http.port(), &path, self.settings.echo);
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
        let is_counted = self.conns.find(id).is_none_or(|conn| conn.is_counted);
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

    /// What all that is answered to a request has in common. A body that nobody reads is not read to its end: the connection ends instead.
    fn answering(&self, head: &Head) -> Answering {
        let has_body = !matches!(head.framing, Framing::None | Framing::Length(0));
        let stays = head.keep_alive && !has_body;
        let origin = head.value(Name::Origin);
        let may_read = self.settings.access.origins.allows(origin, head.value(Name::Host), false);
        Answering {
            connection: if stays { Connection::KeepAlive } else { Connection::Close },
            head_only: head.method == Method::Head,
            origin: origin.filter(|_| may_read).map(Into::into),
            date: self.date,
        }
    }

    /// As `route`, once it is known who asks.
    pub(super) fn route_known(
        &mut self,
        id: ConnId,
        mut http: Box<Http>,
        head: &Head,
        door: &'static Door,
        now: Now,
    ) -> Option<Box<Http>> {
        match door.kind {
            Kind::WebSocket(socket) => self.open_socket(id, http, head, socket, now),
            Kind::Stream(stream) => self.open_stream(id, http, head, stream, now),
            Kind::Call(call, takes) => {
                match takes.find(head) {
                    Ok(media) => self.begin_call(id, &mut http, head, (call, media), now),
                    Err(fault) => self.refuse_media(id, &mut http, &fault, now),
                }
                Some(http)
            }
            Kind::Page => {
                let Some(conn) = self.conns.conn_ref(id) else { return Some(http) };
                let path = path_of(head).into_owned();
                let if_none_match = head
                    .headers("if-none-match")
                    .map(|tags| String::from_utf8_lossy(tags).into_owned())
                    .reduce(|tags, more| tags + "," + &more);
                self.admin.push_back((conn, AdminRequest { path, if_none_match }));
                http.set_state(State::Asked);
                Some(http)
            }
        }
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
            Socket::Echo => Opening::Echo,
            Socket::Native => match Asked::read_if_any(head) {
                Ok(asked) => Opening::Native { asked },
                Err(refusal) => {
                    self.refuse_for(id, &mut http, (400, &refusal), now);
                    return Some(http);
                }
            },
            Socket::Talk(open) => match open(head, &self.setup()) {
                Ok(opening) => Opening::Talk(opening),
                Err(problem) => {
                    self.refuse_opening(id, &mut http, &problem, now);
                    return Some(http);
                }
            },
        };
        self.route_websocket(id, http, head, opening, now)
    }

    fn setup(&self) -> Setup<'_> {
        Setup { views: &self.settings.views, hyperbeam: self.settings.hyperbeam.options }
    }

    fn refuse_opening(&mut self, id: ConnId, http: &mut Http, problem: &NotOpened, now: Now) {
        self.reply(id, http, now, |out, answering| {
            let reply = Reply::begin(out, 400, answering);
            match problem {
                NotOpened::BadField(message) => reply.error("bad_field", message),
                NotOpened::Said(body) => reply.body("application/json", body),
            }
        });
    }

    /// Begins an event stream, or says why there is none: while a status can still be said.
    fn open_stream(
        &mut self,
        id: ConnId,
        mut http: Box<Http>,
        head: &Head,
        stream: Stream,
        now: Now,
    ) -> Option<Box<Http>> {
        let transport = Transport::Sse { chunked: head.version == Version::Http11 };
        match stream {
            Stream::Native => {
                let checked = Asked::read(head).map_err(|refusal| (400, refusal)).and_then(
                    |asked| match self.confined_or_refused(id, asked.subscription()) {
                        Ok(_) => Ok(asked),
                        Err(refusal) if refusal.code == RefusalCode::Forbidden => {
                            Err((403, refusal))
                        }
                        Err(refusal) => Err((400, refusal)),
                    },
                );
                let asked = match checked {
                    Ok(asked) => asked,
                    Err((status, refusal)) => {
                        self.refuse_for(id, &mut http, (status, &refusal), now);
                        return Some(http);
                    }
                };
                let voice = Voice { dialect: DialectId::NativeSse, transport };
                let talk = Box::new(native::Stream);
                let back = self.begin_sse(id, http, head, (voice, talk), now);
                if back.is_none() {
                    self.subscribe_asked(id, &asked, now);
                }
                back
            }
            Stream::Wants(open) => {
                let Wanted { dialect, talk, mut wish, since_lost } = match open(head, &self.setup())
                {
                    Ok(opened) => opened,
                    Err(problem) => {
                        self.refuse_opening(id, &mut http, &problem, now);
                        return Some(http);
                    }
                };
                if wish.as_ref().is_some_and(|wish| self.is_barred(id, wish)) {
                    self.refuse_wish(id, &mut http, now);
                    return Some(http);
                }
                if let (Some(wish), Some(id)) = (&mut wish, last_id(head)) {
                    let since = cursor_of(&id).map_or(Since::Lost, Since::Cursor);
                    let is_here = since != Since::Lost && self.is_position_here(&since, now);
                    wish.since = if is_here { since } else { since_lost };
                }
                let voice = Voice { dialect, transport };
                let back = self.begin_sse(id, http, head, (voice, talk), now);
                if back.is_none() {
                    self.want_one(id, wish, now);
                }
                back
            }
        }
    }

    /// Whether nothing is left of what a client wants, once it is confined to what its token allows.
    fn is_barred(&self, id: ConnId, wish: &Wish) -> bool {
        let who = self.conns.find(id).and_then(|conn| conn.who.as_ref());
        who.is_none_or(|who| who.confine(&wish.subscription).is_none())
    }

    fn refuse_wish(&mut self, id: ConnId, http: &mut Http, now: Now) {
        self.reply(id, http, now, |out, answering| {
            let mut body = Vec::new();
            let message = "the token allows none of these collections with this query";
            connect::put_error("permission_denied", message, &mut body);
            Reply::begin(out, 403, answering).body("application/json", &body);
        });
    }

    /// Makes a connection an event stream; to HEAD the head is all there is, and the connection stays what it was.
    fn begin_sse(
        &mut self,
        id: ConnId,
        mut http: Box<Http>,
        head: &Head,
        spoken: (Voice, Box<dyn Talk>),
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
        self.begin_stream(id, reply, spoken, now);
        None
    }

    pub(super) fn want_one(&mut self, id: ConnId, wish: Option<Wish>, now: Now) {
        let wishes: Vec<Wish> = wish.into_iter().collect();
        self.want(id, &wishes, now);
    }

    /// Has a call's body gathered, or carries it out if it has none.
    fn begin_call(
        &mut self,
        id: ConnId,
        http: &mut Http,
        head: &Head,
        (call, media): (Call, Option<&MediaType>),
        now: Now,
    ) {
        let (bytes_max, action) = match call {
            Call::Publish => {
                return self.begin_upload(id, http, head, media == Some(&LINES), now);
            }
            Call::Topics => return self.gather_topics(id, http, head),
            Call::Subscribe if head.version != Version::Http11 => {
                // Its stream ends with a message, so it must be told from the connection's end.
                return self.refuse(id, http, 505, ("http_version", "a call needs HTTP/1.1"), now);
            }
            Call::Subscribe => {
                let version = head.value(Name::ConnectProtocolVersion);
                let terms = connect::Terms::of(media, version);
                (body_bytes_max(call), Action::Subscribe(terms))
            }
            Call::Cast => (body_bytes_max(call), Action::Cast),
            Call::Post => (body_bytes_max(call), Action::Post),
            Call::Revoke => (body_bytes_max(call), Action::Revoke),
        };
        let message_bytes_max = self.settings.message_bytes_max;
        let bytes_max = match bytes_max {
            Body::None => 0,
            Body::Bytes(bytes) => bytes,
            Body::Message(bytes) => bytes.min(message_bytes_max),
            Body::Lines => message_bytes_max,
        };
        self.gather_body(id, http, head, (bytes_max, action), now);
    }

    /// Says which types of bodies a call takes.
    fn refuse_media(&mut self, id: ConnId, http: &mut Http, fault: &NotTaken, now: Now) {
        let refusal = Refusal::of(RefusalCode::BadField, fault.field(), fault);
        self.reply(id, http, now, |out, answering| {
            let (name, value) = fault.remedy();
            Reply::begin(out, 415, answering)
                .header(name, &value)
                .body("application/json", &refusal_body(&refusal));
        });
    }

    /// Carries a call of the RPC out: its answer is a stream of changes, or of nothing but the error.
    pub(super) fn peat_call(
        &mut self,
        id: ConnId,
        http: &Http,
        terms: connect::Terms,
        body: &[u8],
        now: Now,
    ) {
        let mut reply = Vec::new();
        let content_type = terms.codec.content_type();
        Reply::stream(&mut reply, content_type, Version::Http11, http.answering());
        let voice = Voice { dialect: terms.codec.dialect(), transport: Transport::Connect };
        self.begin_stream(id, reply, (voice, Box::new(peat::Stream)), now);
        match connect::request(terms, body) {
            Ok(request) => {
                let wish = request.wish(&[], &self.settings.views.peat);
                self.want_one(id, wish, now);
            }
            Err(error) => self.end_call(id, Some(&error), now),
        }
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
                let message = "/ws is HyperBEAM's with ?topic=, Provisioning's with ?token= or ?events=; /hb/ws, /pv/ws and /v1/ws need no parameter";
                self.refuse(id, http, 404, ("not_found", message), now);
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

    /// Says what may be asked here, and, to a page of another origin, what it may send.
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

    /// Refuses a request with what is wrong with it.
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
        self.reply(id, http, now, |out, answering| {
            Reply::begin(out, status, answering).body("application/json", &refusal_body(refusal));
        });
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
        write(&mut out, &Answering { date: self.date, ..http.answering().clone() });
        self.push_item(id, Item::Raw(out.into()));
        if http.answering().stays() {
            http.set_state(State::Head);
        } else {
            http.set_state(State::Ended);
            self.close_after_sent(id, now);
        }
    }
}
