//! Where the dialects live: which path and which parameters mean which of them.
//!
//! Invariant: a request is judged by its own bytes and its listener alone. Never speaks a dialect.

use std::borrow::Cow;

use super::super::Shard;
use super::super::class::Transport;
use super::super::class::Voice;
use super::super::input::ConnId;
use super::super::input::Port;
use super::gather::Call;
use super::http::Http;
use super::http::Opening;
use super::stream::cursor_of;
use super::stream::last_id;
use crate::clock::Now;
use crate::dialect::DialectId;
use crate::dialect::Since;
use crate::dialect::Wish;
use crate::dialect::hyperbeam;
use crate::dialect::peat;
use crate::dialect::peat::connect;
use crate::dialect::provisioning;
use crate::wire::http::Head;
use crate::wire::http::Method;
use crate::wire::http::Reply;
use crate::wire::http::Version;
use crate::wire::sse;

/// A request's path, escapes resolved: what every decision about it is made by, lest an escape lead past one of them.
pub(super) fn path_of(head: &Head) -> Cow<'_, str> {
    head.path_after("").unwrap_or_default()
}

/// Whether a listener has this path at all: a dialect's own has its origin's paths and its health, and nothing else.
//= model#9
//# one listener per dialect port by default
pub(super) fn is_here(port: Port, head: &Head) -> bool {
    let path = path_of(head);
    let is_health =
        !head.wants_websocket() && matches!(&*path, "/healthz" | "/readyz" | "/metrics");
    is_health
        || match port {
            Port::Shared => true,
            Port::Peat => matches!(&*path, "/ws/subscribe" | "/sse/subscribe" | connect::PATH),
            Port::HyperBeam => {
                matches!(&*path, "/ws" | "/hb/ws") || path.starts_with("/~websocket@1.0/")
            }
            Port::Provisioning => is_provisioning(port, head) || path == "/pv/events",
        }
}

//= model#9
//# on a shared port disambiguate: `?topic=` → 001, `?token=`/`events=` → 004, else 002; explicit aliases
//# `/hb/ws /rs/ws /rt /pv/ws`
fn is_hyperbeam(port: Port, head: &Head) -> bool {
    match port {
        Port::HyperBeam => true,
        Port::Peat | Port::Provisioning => false,
        Port::Shared => head.query_value("topic").is_some(),
    }
}

/// Whether a request is for one of Provisioning's WebSockets.
//= model#9
//# 004 `/metrics` as WebSocket vs Prometheus GET | Upgrade header decides
pub(super) fn is_provisioning(port: Port, head: &Head) -> bool {
    match &*path_of(head) {
        "/pv/ws" | "/pv/metrics" | "/pv/logs" => true,
        "/metrics" => head.wants_websocket(),
        "/logs" => !matches!(port, Port::Peat | Port::HyperBeam),
        "/ws" => match port {
            Port::Provisioning => true,
            Port::Peat | Port::HyperBeam => false,
            Port::Shared => {
                !is_hyperbeam(port, head)
                    && (head.query_value("token").is_some() || head.query_value("events").is_some())
            }
        },
        _ => false,
    }
}

/// Whether a client may connect without a token and show one later.
pub(super) fn may_identify_late(port: Port, head: &Head) -> bool {
    head.path() == "/v1/ws" || is_provisioning(port, head)
}

/// Whether a request's connection is to last: those are counted.
pub(super) fn is_lasting(head: &Head) -> bool {
    let path = path_of(head);
    head.wants_websocket() || path == "/v1/sse" || path == "/sse/subscribe" || path == connect::PATH
}

/// What became of a request: it was none of the dialects', or it was taken and leaves HTTP, or goes on.
pub(super) enum Routed {
    Other(Box<Http>),
    Taken(Option<Box<Http>>),
}

impl Shard {
    /// Takes a request that is some dialect's.
    pub(super) fn route_dialects(
        &mut self,
        id: ConnId,
        http: Box<Http>,
        head: &Head,
        now: Now,
    ) -> Routed {
        let path = path_of(head);
        let taken = match &*path {
            "/hb/ws" => self.route_hyperbeam(id, http, head, now),
            "/ws" if is_hyperbeam(http.port(), head) => self.route_hyperbeam(id, http, head, now),
            "/~websocket@1.0/info" if head.method == Method::Get => {
                Some(self.gather_topics(id, http, head))
            }
            "/~websocket@1.0/cast" if head.method == Method::Post => {
                let call = Call::Cast { keep_alive: head.keep_alive };
                Some(self.gather_body(id, http, head, call, now))
            }
            "/~websocket@1.0/info" => Some(self.refuse_method(id, http, head, "GET", now)),
            "/~websocket@1.0/cast" => Some(self.refuse_method(id, http, head, "POST", now)),
            "/v1/admin/revoke" if head.method == Method::Post => {
                Some(self.route_revoke(id, http, head, now))
            }
            "/v1/admin/revoke" => Some(self.refuse_method(id, http, head, "POST", now)),
            "/pv/events" if head.method == Method::Post => {
                let call = Call::Events { keep_alive: head.keep_alive };
                Some(self.gather_body(id, http, head, call, now))
            }
            "/pv/events" => Some(self.refuse_method(id, http, head, "POST", now)),
            _ if is_provisioning(http.port(), head) => self.route_provisioning(id, http, head, now),
            "/ws" => {
                let message = "/ws is HyperBEAM's with ?topic=, Provisioning's with ?token= or ?events=; /hb/ws, /pv/ws and /v1/ws need no parameter";
                Some(self.refuse(id, http, head, 404, "not_found", message, now))
            }
            "/ws/subscribe" => self.route_peat(id, http, head, now),
            "/sse/subscribe" => self.route_peat_sse(id, http, head, now),
            connect::PATH => Some(self.route_peat_call(id, http, head, now)),
            _ => return Routed::Other(http),
        };
        Routed::Taken(taken)
    }

    fn route_hyperbeam(
        &mut self,
        id: ConnId,
        http: Box<Http>,
        head: &Head,
        now: Now,
    ) -> Option<Box<Http>> {
        let options = self.settings.hyperbeam.options;
        let topic = head.query_value("topic").unwrap_or_default();
        let view = &self.settings.views.hyperbeam;
        let topics = match hyperbeam::of_query(&topic, options, view) {
            Ok(topics) => topics,
            Err(fault) => {
                return Some(self.reply_refusal(id, http, head, now, |out, connection| {
                    Reply::begin(out, 400, connection).error("bad_field", &fault.to_string());
                }));
            }
        };
        let talk = Box::new(hyperbeam::Conversation::new(topics, options));
        let dialect = DialectId::HyperBeam;
        self.route_websocket(
            id,
            http,
            head,
            Opening::Talk { dialect, talk, may_deflate: false },
            now,
        )
    }

    fn route_provisioning(
        &mut self,
        id: ConnId,
        http: Box<Http>,
        head: &Head,
        now: Now,
    ) -> Option<Box<Http>> {
        let endpoint = match &*path_of(head) {
            "/metrics" | "/pv/metrics" => provisioning::Endpoint::Metrics,
            "/logs" | "/pv/logs" => provisioning::Endpoint::Logs,
            _ => provisioning::Endpoint::Events,
        };
        match provisioning::Request::of_query(endpoint, head.query_pairs()) {
            Ok(request) => {
                let talk = Box::new(provisioning::Conversation::new(&request));
                let dialect = DialectId::Provisioning;
                let may_deflate = request.compression;
                self.route_websocket(
                    id,
                    http,
                    head,
                    Opening::Talk { dialect, talk, may_deflate },
                    now,
                )
            }
            Err(error) => Some(self.reply_refusal(id, http, head, now, |out, connection| {
                Reply::begin(out, 400, connection).error("bad_field", &error.to_string());
            })),
        }
    }

    fn route_peat(
        &mut self,
        id: ConnId,
        http: Box<Http>,
        head: &Head,
        now: Now,
    ) -> Option<Box<Http>> {
        match peat::Request::of_query(head.query_pairs()) {
            Ok(request) => {
                let talk = Box::new(peat::Conversation::new(request));
                let opening = Opening::Talk { dialect: DialectId::Peat, talk, may_deflate: true };
                self.route_websocket(id, http, head, opening, now)
            }
            Err(error) => Some(self.refuse_peat(id, http, head, &error, now)),
        }
    }

    //= peat-node#1.8
    //# Bad query → HTTP 400 with body
    //# `{"code":"invalid_argument","message":"invalid subscription query: ..."}` (the Connect error shape).
    fn refuse_peat(
        &mut self,
        id: ConnId,
        http: Box<Http>,
        head: &Head,
        error: &peat::RequestError,
        now: Now,
    ) -> Box<Http> {
        self.reply_refusal(id, http, head, now, |out, connection| {
            let mut body = Vec::new();
            connect::put_error("invalid_argument", &error.to_string(), &mut body);
            Reply::begin(out, 400, connection).body("application/json", &body);
        })
    }

    fn route_peat_sse(
        &mut self,
        id: ConnId,
        http: Box<Http>,
        head: &Head,
        now: Now,
    ) -> Option<Box<Http>> {
        if head.method != Method::Get {
            return Some(self.refuse_method(id, http, head, "GET", now));
        }
        let request = match peat::Request::of_query(head.query_pairs()) {
            Ok(request) => request,
            Err(error) => return Some(self.refuse_peat(id, http, head, &error, now)),
        };
        let view = &self.settings.views.peat;
        let mut wish = request.wish(&[], view);
        if let (Some(wish), Some(id)) = (&mut wish, last_id(head)) {
            let cursor = cursor_of(&id).map_or(Since::Lost, Since::Cursor);
            let is_here = cursor != Since::Lost && self.is_position_here(&cursor, now);
            // There is no word for a gap: what a position was lost for is told the present state instead.
            wish.since = if is_here { cursor } else { request.since_lost(view) };
        }
        let mut reply = Vec::new();
        sse::put_head(&mut reply, head.version, head.header("origin"));
        let transport = Transport::Sse { chunked: head.version == Version::Http11 };
        self.begin_stream(id, reply, Voice { dialect: DialectId::Peat, transport }, now);
        self.want_one(id, wish, now);
        None
    }

    fn route_peat_call(&mut self, id: ConnId, http: Box<Http>, head: &Head, now: Now) -> Box<Http> {
        if head.method != Method::Post {
            return self.refuse_method(id, http, head, "POST", now);
        }
        if head.version != Version::Http11 {
            // Its stream ends with a message, so it must be told from the connection's end.
            return self.refuse(id, http, head, 505, "http_version", "a call needs HTTP/1.1", now);
        }
        let version = head.header("connect-protocol-version");
        let Some(terms) = connect::Terms::of(head.header("content-type"), version) else {
            return self.reply_refusal(id, http, head, now, |out, connection| {
                let types = "application/connect+json, application/connect+proto";
                Reply::begin(out, 415, connection).header("accept-post", types).empty();
            });
        };
        self.gather_body(id, http, head, Call::Peat { terms }, now)
    }

    /// Carries a call of the RPC out: its answer is a stream of changes, or of nothing but the error.
    pub(super) fn peat_call(&mut self, id: ConnId, terms: connect::Terms, body: &[u8], now: Now) {
        let mut reply = Vec::new();
        reply.extend_from_slice(b"HTTP/1.1 200 OK\r\ncontent-type: ");
        reply.extend_from_slice(terms.codec.content_type().as_bytes());
        reply.extend_from_slice(
            b"\r\ncache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n",
        );
        let voice = Voice { dialect: terms.codec.dialect(), transport: Transport::Connect };
        self.begin_stream(id, reply, voice, now);
        match connect::request(terms, body) {
            Ok(request) => {
                let wish = request.wish(&[], &self.settings.views.peat);
                self.want_one(id, wish, now);
            }
            Err(error) => self.end_call(id, Some(&error), now),
        }
    }

    fn want_one(&mut self, id: ConnId, wish: Option<Wish>, now: Now) {
        let wishes: Vec<Wish> = wish.into_iter().collect();
        self.want(id, &wishes, now);
    }

    /// There is nothing here for this method, but for another.
    fn refuse_method(
        &mut self,
        id: ConnId,
        http: Box<Http>,
        head: &Head,
        allowed: &str,
        now: Now,
    ) -> Box<Http> {
        let message = "there is nothing here for this method";
        self.reply_refusal(id, http, head, now, |out, connection| {
            Reply::begin(out, 405, connection)
                .header("allow", allowed)
                .error("method_not_allowed", message);
        })
    }
}
