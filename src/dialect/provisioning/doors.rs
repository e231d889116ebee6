//! The Provisioning Platform's doors.

use super::Conversation;
use super::Endpoint;
use super::Request;
use super::post::Posting;
use crate::dialect::Body;
use crate::dialect::Call;
use crate::dialect::Calling;
use crate::dialect::Door;
use crate::dialect::Guard;
use crate::dialect::JSON;
use crate::dialect::Kind;
use crate::dialect::MediaType;
use crate::dialect::NotOpened;
use crate::dialect::Opening;
use crate::dialect::Path;
use crate::dialect::Setup;
use crate::dialect::Socket;
use crate::dialect::Takes;
use crate::limits::PROVISIONING_POST_BYTES_MAX;
use crate::wire::deflate::DeflateTerms;
use crate::wire::http::Head;
use crate::wire::http::Method;

/// One of the WebSockets.
const fn socket(
    path: &'static str,
    opens: fn(&Head, &Setup<'_>) -> Result<Opening, NotOpened>,
    told_by: &'static [&'static str],
    purpose: &'static str,
) -> Door {
    Door {
        path: Path::Exactly(path),
        method: Method::Get,
        kind: Kind::WebSocket(Socket::Talk(opens)),
        guard: Guard::TokenShown,
        told_by,
        purpose,
    }
}

/// Provisioning's doors.
pub const DOORS: &[Door] = &[
    //= model#9
    //# on a shared port disambiguate: `?topic=` → 001, `?token=`/`events=` → 004, else 002; explicit aliases
    //# `/hb/ws /rs/ws /rt /pv/ws`
    socket("/ws", events, &["token", "events"], "events of all types"),
    socket("/pv/ws", events, &[], "the same"),
    //= model#9
    //# 004 `/metrics` as WebSocket vs Prometheus GET | Upgrade header decides
    socket("/metrics", metrics, &[], "figures"),
    socket("/pv/metrics", metrics, &[], "the same"),
    socket("/logs", logs, &[], "log entries"),
    socket("/pv/logs", logs, &[], "the same"),
    Door {
        path: Path::Exactly("/pv/events"),
        method: Method::Post,
        kind: Kind::Call(POST, Takes::OneOf(&[&JSON])),
        guard: Guard::Token,
        told_by: &[],
        purpose: "publishes one event, or many",
    },
];

fn events(head: &Head, _setup: &Setup<'_>) -> Result<Opening, NotOpened> {
    open(head, Endpoint::Events)
}

fn metrics(head: &Head, _setup: &Setup<'_>) -> Result<Opening, NotOpened> {
    open(head, Endpoint::Metrics)
}

fn logs(head: &Head, _setup: &Setup<'_>) -> Result<Opening, NotOpened> {
    open(head, Endpoint::Logs)
}

fn open(head: &Head, endpoint: Endpoint) -> Result<Opening, NotOpened> {
    let request = Request::of_query(endpoint, head.query_pairs())
        .map_err(|error| NotOpened::BadField(error.to_string()))?;
    let talk = Box::new(Conversation::new(&request));
    let deflate = if request.compression { DeflateTerms::Any } else { DeflateTerms::None };
    Ok(Opening { dialect: super::PROVISIONING, talk, protocols: &[], deflate, first: Vec::new() })
}

const POST: Call =
    Call::Respond { body: Body::Bytes(PROVISIONING_POST_BYTES_MAX), opens: post, lasts: false };

fn post(
    _head: &Head,
    _media: Option<&'static MediaType>,
    setup: &Setup<'_>,
) -> Result<Calling, NotOpened> {
    let respond = Box::new(Posting { event_bytes_max: setup.message_bytes_max });
    Ok(Calling { dialect: super::PROVISIONING, respond })
}
