//! All doors there are: each dialect's table, the server's own, and which door a request means.
//!
//! Invariants: a request is judged by its own bytes and its listener alone; what it is guarded by and what it opens are of one and the same
//! door. Never carries anything out.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::dashboard;
use crate::dialect::Body;
use crate::dialect::Call;
use crate::dialect::Door;
use crate::dialect::Guard;
use crate::dialect::Inquire;
use crate::dialect::JSON;
use crate::dialect::Kind;
use crate::dialect::PROTOCOLS;
use crate::dialect::Path;
use crate::dialect::Port;
use crate::dialect::Protocol;
use crate::dialect::Socket;
use crate::dialect::Takes;
use crate::dialect::Views;
use crate::limits::ADMIN_BYTES_MAX;
use crate::limits::ADMIN_EVENT_BYTES_MAX;
use crate::limits::REVOKE_BYTES_MAX;
use crate::wire::http::Head;
use crate::wire::http::Method;

const fn page(path: Path, purpose: &'static str) -> Door {
    Door {
        path,
        method: Method::Get,
        kind: Kind::Page,
        guard: Guard::Nobody,
        told_by: &[],
        purpose,
    }
}

const HEALTH: &[Door] = &[
    page(Path::Exactly("/healthz"), "whether it lives"),
    page(Path::Exactly("/readyz"), "whether it takes connections"),
    Door { guard: Guard::Figures, ..page(Path::Exactly("/metrics"), "figures for Prometheus") },
];

/// A question of an operator's.
const fn asks(path: &'static str, what: Inquire, purpose: &'static str) -> Door {
    Door {
        path: Path::Exactly(path),
        method: Method::Get,
        kind: Kind::Call(Call::Operator(what), Takes::Anything),
        guard: Guard::Secret,
        told_by: &[],
        purpose,
    }
}

/// Something that an operator wants to be done, or that takes a body to ask.
const fn tells(path: &'static str, what: Inquire, purpose: &'static str) -> Door {
    let kind = Kind::Call(Call::Operator(what), Takes::OneOf(&[&JSON]));
    Door { method: Method::Post, kind, ..asks(path, what, purpose) }
}

const ITS_OWN: &[Door] = &[
    page(Path::OneOf(&dashboard::PATHS), "the live page"),
    page(
        Path::OneOf(&dashboard::DOCUMENT_PATHS),
        "what this page says, as documents; and their viewer",
    ),
    page(Path::Below(dashboard::VIEWER, "type"), "the viewer in another layout"),
    Door {
        path: Path::Exactly("/v1/admin/revoke"),
        method: Method::Post,
        kind: Kind::Call(Call::Revoke, Takes::OneOf(&[&JSON])),
        guard: Guard::Secret,
        told_by: &[],
        purpose: "revokes tokens",
    },
    asks("/v1/admin/connections", Inquire::Connections, "connections, page by page"),
    asks("/v1/admin/slowest", Inquire::Slowest, "the connections that are owed the most"),
    asks("/v1/admin/topics", Inquire::Topics, "topics, page by page"),
    tells("/v1/admin/disconnect", Inquire::Disconnect, "closes a connection"),
    tells("/v1/admin/publish", Inquire::Publish, "publishes an event, whatever tokens may"),
    tells("/v1/admin/explain", Inquire::Explain, "why an event is or is not delivered"),
    tells("/v1/admin/drain", Inquire::Order, "stops the server, as SIGTERM does"),
    tells("/v1/admin/reload", Inquire::Order, "reads the configuration anew, as SIGHUP does"),
    tells(
        "/v1/admin/upgrade",
        Inquire::Order,
        "starts the program anew, hands the listeners over, and stops",
    ),
    tells("/v1/admin/log", Inquire::Order, "changes what is logged until the next reload"),
    Door {
        path: Path::Exactly("/echo"),
        method: Method::Get,
        kind: Kind::WebSocket(Socket::Echo),
        guard: Guard::Nobody,
        told_by: &[],
        purpose: "every message comes back; only with `echo = true`",
    },
];

/// All doors of these protocols and of the server, in the order in which they are looked at.
fn doors_at(views: &Views, port: Port) -> impl Iterator<Item = &'static Door> {
    let is_here = move |protocol: &&'static Protocol| match port {
        Port::Shared => true,
        Port::Own(key) => protocol.key == key,
        Port::Redirect => false,
    };
    let of_protocols = views.protocols().filter(is_here).flat_map(|protocol| protocol.doors);
    let own = if port == Port::Shared { ITS_OWN } else { &[] };
    of_protocols.chain(HEALTH).chain(own)
}

/// A request's path, escapes resolved: what every decision about it is made by, lest an escape lead past one of them.
pub(super) fn path_of(head: &Head) -> Cow<'_, str> {
    head.path_after("").unwrap_or_default()
}

/// What a request means.
#[derive(Clone, Copy, Debug)]
pub(super) enum Found {
    Door(&'static Door),
    /// The method is none that there is.
    UnknownMethod,
    /// Nothing is at this path.
    Nowhere,
    /// Nothing is at this path for a WebSocket.
    NoSocket,
    /// Several WebSockets are, and nothing says which is meant.
    Undecided,
    /// Something is, for other methods.
    OtherMethods,
    /// A WebSocket is, and it was not asked for.
    NotUpgraded,
    /// The request asks what may be asked (OPTIONS).
    Options,
}

/// What is at one path of one listener.
#[derive(Clone, Copy, Debug)]
pub(super) struct Doorway<'a> {
    port: Port,
    path: &'a str,
    views: &'a Views,
    has_echo: bool,
}

impl<'a> Doorway<'a> {
    pub(super) const fn new(port: Port, path: &'a str, views: &'a Views, has_echo: bool) -> Self {
        Self { port, path, views, has_echo }
    }

    fn doors(self) -> impl Iterator<Item = &'static Door> {
        let is_on = move |door: &&Door| {
            self.has_echo || !matches!(door.kind, Kind::WebSocket(Socket::Echo))
        };
        let is_here = move |door: &&Door| self.port != Port::Shared || !door.path.is_own();
        let doors = doors_at(self.views, self.port);
        doors.filter(is_on).filter(is_here).filter(move |door| door.path.is(self.path))
    }

    /// Finds the door that a request means.
    pub(super) fn find(self, head: &Head) -> Found {
        let is_socket = |door: &&Door| matches!(door.kind, Kind::WebSocket(_));
        let method = if head.method == Method::Head { Method::Get } else { head.method };
        if head.method == Method::Unknown {
            return Found::UnknownMethod;
        }
        if self.doors().next().is_none() {
            return Found::Nowhere;
        }
        if head.method == Method::Options {
            return Found::Options;
        }
        if head.wants_websocket() && head.method == Method::Get {
            if !self.doors().any(|door| is_socket(&door)) {
                return Found::NoSocket;
            }
            let mut sockets = self.doors().filter(is_socket);
            return sockets
                .find(|door| self.is_meant(door, head))
                .map_or(Found::Undecided, Found::Door);
        }
        let mut others = self.doors().filter(|door| !is_socket(door));
        match others.find(|door| door.method == method) {
            Some(door) => Found::Door(door),
            None if head.method == Method::Get && self.doors().any(|door| is_socket(&door)) => {
                Found::NotUpgraded
            }
            None => Found::OtherMethods,
        }
    }

    /// On a dialect's own listener its paths mean it alone; elsewhere a request's parameters say whether it means a door.
    fn is_meant(self, door: &Door, head: &Head) -> bool {
        self.port != Port::Shared
            || door.told_by.is_empty()
            || door.told_by.iter().any(|name| head.query_value(name).is_some())
    }

    /// What would say which of several WebSockets is meant.
    pub(super) fn why_undecided(self) -> String {
        let told = self.views.protocols().filter_map(|protocol| {
            let mut doors = protocol.doors.iter().filter(|door| door.path.is(self.path));
            let names: Vec<String> =
                doors.next()?.told_by.iter().map(|name| format!("?{name}=")).collect();
            (!names.is_empty()).then(|| format!("{}'s with {}", protocol.name, names.join(" or ")))
        });
        let told: Vec<String> = told.collect();
        let is_other = |door: &&Door| {
            matches!((door.path, door.kind), (Path::Exactly(path), Kind::WebSocket(_))
                if door.told_by.is_empty() && path.ends_with(self.path))
        };
        let others = self.views.protocols().flat_map(|protocol| protocol.doors).filter(is_other);
        let mut others: Vec<String> = others.map(|door| door.path.to_string()).collect();
        others.sort_unstable();
        let last = others.pop().unwrap_or_default();
        let (path, told, others) = (self.path, told.join(", "), others.join(", "));
        format!("{path} is {told}; {others} and {last} need no parameter")
    }

    /// Whether something is here for this method.
    pub(super) fn takes(self, method: Method) -> bool {
        self.methods().contains(&method)
    }

    fn methods(self) -> Vec<Method> {
        let mut methods: Vec<Method> = Vec::new();
        for door in self.doors() {
            let head = door.has_head().then_some(Method::Head);
            for method in [Some(door.method), head].into_iter().flatten() {
                if !methods.contains(&method) {
                    methods.push(method);
                }
            }
        }
        methods.push(Method::Options);
        methods
    }

    /// What there is here, as the field `Allow` has it.
    //= rfc9110#10.2.1
    //# The "Allow" header field lists the set of methods advertised as supported by the target resource.
    pub(super) fn allow(self) -> String {
        let methods: Vec<&str> = self.methods().into_iter().map(Method::as_str).collect();
        methods.join(", ")
    }
}

/// `docs/ROUTES.md`, as the tables have it.
#[must_use]
pub fn routes_page() -> String {
    let mut page = String::from(ROUTES_BEGIN);
    for protocol in PROTOCOLS {
        let at = match protocol.guest.is_some() {
            true => format!("On `listen` and on `{}.listen`.", protocol.key),
            false => "On `listen`.".to_owned(),
        };
        put_table(&mut page, protocol.name, &at, protocol.doors);
    }
    put_table(&mut page, "Health", "On every listener.", HEALTH);
    put_table(&mut page, "The server itself", "On `listen`.", ITS_OWN);
    page
}

const ROUTES_BEGIN: &str = "\
# Routes

Every path that the server answers, made from the tables that it answers by (`UPDATE_ROUTES=1 cargo test --test dialects routes` writes this page).

What follows from the tables, for every route alike:

- HEAD is answered with what GET would have been, but for the body. OPTIONS is answered 204 with `Allow`; asked by a page of an
  [allowed origin](CONFIG.md), it says what that page may send.
- A path that is not here is 404, another method 405 with `Allow`, a method that nobody knows 501, a WebSocket's path without an upgrade 426.
- A body of another type than the route takes is 415 with `Accept-Post`, one that is encoded as a whole (`Content-Encoding`) 415 with `Accept-Encoding`. Where JSON is taken, a body
  without `Content-Type`, and one that says it is a form, as `curl -d` does, counts as JSON; so `application/json` need not be said.
- Every answer has `Date` and `Vary: Origin`; one to a page of an allowed origin has `Access-Control-Allow-Origin`, errors included.
- Who gets in, and what 401 and 403 mean: [SECURITY.md](SECURITY.md).
";

fn put_table(page: &mut String, name: &str, at: &str, doors: &[Door]) {
    let written = write!(
        page,
        "\n## {name}\n\n{at}\n\n| path | methods | is | who gets in | for |\n| --- | --- | --- | --- | --- |\n"
    );
    debug_assert!(written.is_ok(), "a string takes everything");
    doors.iter().for_each(|door| put_row(page, door));
}

fn put_row(page: &mut String, door: &Door) {
    let path = match door.path {
        Path::Exactly(path) => format!("`{path}`"),
        Path::Own(path) => format!("on its own listener `{path}`"),
        Path::OwnRest => "on its own listener any other".to_owned(),
        Path::Below(start, rest) => format!("`{start}{{{rest}}}`"),
        Path::OneOf(paths) => {
            paths.iter().map(|path| format!("`{path}`")).collect::<Vec<_>>().join(" ")
        }
    };
    let told_by = match door.told_by {
        [] => String::new(),
        names => {
            let names: Vec<String> = names.iter().map(|name| format!("`?{name}=`")).collect();
            format!(", on `listen` with {}", names.join(" or "))
        }
    };
    let method = if door.has_head() { "GET, HEAD" } else { door.method.as_str() };
    let kind = match door.kind {
        Kind::WebSocket(_) => "a WebSocket".to_owned(),
        Kind::Stream(_) => "an event stream".to_owned(),
        Kind::Page => "a page".to_owned(),
        Kind::Call(call, takes) => body_in_words(call, takes),
    };
    let guard = match door.guard {
        Guard::Nobody => "anyone",
        Guard::Token => "a token, or anonymous",
        Guard::TokenOrLater => "a token, at once or later, or anonymous",
        Guard::TokenOrHook => "a token, anonymous, or as `hooks.before_connect` says",
        Guard::TokenShown => "where keys are set a token, at once or later; else anonymous",
        Guard::Secret => "the admin secret",
        Guard::Figures => "anyone; with `auth.metrics = \"secret\"` the admin secret",
    };
    let purpose = door.purpose;
    let written = writeln!(page, "| {path}{told_by} | {method} | {kind} | {guard} | {purpose} |");
    debug_assert!(written.is_ok(), "a string takes everything");
}

/// What a call's body may be, in words.
fn body_in_words(call: Call, takes: Takes) -> String {
    let types = match takes {
        Takes::Anything => "of any type".to_owned(),
        Takes::OneOf(_) => format!("`{}`", takes.names("` or `")),
    };
    match body_of(call) {
        Body::None => "a call without a body".to_owned(),
        Body::Bytes(bytes) => format!("a call with a body of at most {bytes} bytes, {types}"),
        Body::Message(bytes) => {
            format!("a call with a body of at most `message_bytes_max`, and {bytes} bytes, {types}")
        }
        Body::Lines => format!(
            "an upload: one object of at most `message_bytes_max`, or lines of at most that without end, {types}"
        ),
    }
}

/// What a call's body may be.
pub(super) const fn body_of(call: Call) -> Body {
    match call {
        Call::Respond { body, .. } => body,
        Call::Revoke => Body::Bytes(REVOKE_BYTES_MAX),
        Call::Operator(Inquire::Connections | Inquire::Slowest | Inquire::Topics) => Body::None,
        Call::Operator(Inquire::Disconnect | Inquire::Order) => Body::Bytes(ADMIN_BYTES_MAX),
        Call::Operator(Inquire::Publish | Inquire::Explain) => Body::Message(ADMIN_EVENT_BYTES_MAX),
        Call::Upload(_) => Body::Lines,
    }
}
