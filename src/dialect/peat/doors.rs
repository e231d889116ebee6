//! peat-node's doors.

use super::Conversation;
use super::Request;
use super::RequestError;
use super::connect;
use crate::dialect::Call;
use crate::dialect::DialectId;
use crate::dialect::Door;
use crate::dialect::Guard;
use crate::dialect::Kind;
use crate::dialect::NotOpened;
use crate::dialect::Opening;
use crate::dialect::Path;
use crate::dialect::Setup;
use crate::dialect::Socket;
use crate::dialect::Stream;
use crate::dialect::Takes;
use crate::dialect::Wanted;
use crate::wire::http::Head;
use crate::wire::http::Method;

/// All of them.
pub const DOORS: &[Door] = &[
    Door {
        path: Path::Exactly("/ws/subscribe"),
        method: Method::Get,
        kind: Kind::WebSocket(Socket::Talk(open)),
        guard: Guard::Token,
        told_by: &[],
        purpose: "changes of collections",
    },
    Door {
        path: Path::Exactly("/sse/subscribe"),
        method: Method::Get,
        kind: Kind::Stream(Stream::Wants(stream)),
        guard: Guard::Token,
        told_by: &[],
        purpose: "the same",
    },
    Door {
        path: Path::Exactly(connect::PATH),
        method: Method::Post,
        kind: Kind::Call(Call::Subscribe, Takes::OneOf(connect::TYPES)),
        guard: Guard::Token,
        told_by: &[],
        purpose: "the same, as a Connect call",
    },
];

fn open(head: &Head, _setup: &Setup<'_>) -> Result<Opening, NotOpened> {
    let request = Request::of_query(head.query_pairs()).map_err(|error| refused(&error))?;
    let talk = Box::new(Conversation::new(request));
    Ok(Opening { dialect: DialectId::Peat, talk, may_deflate: true })
}

fn stream(head: &Head, setup: &Setup<'_>) -> Result<Wanted, NotOpened> {
    let request = Request::of_query(head.query_pairs()).map_err(|error| refused(&error))?;
    let view = &setup.views.peat;
    Ok(Wanted {
        dialect: DialectId::Peat,
        talk: Box::new(super::Stream),
        wish: request.wish(&[], view),
        since_lost: request.since_lost(view),
    })
}

//= peat-node#1.8
//# Bad query → HTTP 400 with body
//# `{"code":"invalid_argument","message":"invalid subscription query: ..."}` (the Connect error shape).
fn refused(error: &RequestError) -> NotOpened {
    let mut body = Vec::new();
    connect::put_error("invalid_argument", &error.to_string(), &mut body);
    NotOpened::Said(body)
}
