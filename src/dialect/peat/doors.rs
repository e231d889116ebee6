//! peat-node's doors.

use super::Conversation;
use super::Request;
use super::RequestError;
use super::connect;
use crate::dialect::Body;
use crate::dialect::Call;
use crate::dialect::Calling;
use crate::dialect::Door;
use crate::dialect::First;
use crate::dialect::Guard;
use crate::dialect::Kind;
use crate::dialect::MediaType;
use crate::dialect::NotOpened;
use crate::dialect::Opening;
use crate::dialect::Path;
use crate::dialect::Setup;
use crate::dialect::Socket;
use crate::dialect::Takes;
use crate::dialect::Wanted;
use crate::limits::PEAT_REQUEST_BYTES_MAX;
use crate::wire::deflate::DeflateTerms;
use crate::wire::http::Head;
use crate::wire::http::Method;
use crate::wire::http::Name;
use crate::wire::http::Version;

/// peat-node's doors.
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
        kind: Kind::Stream(stream),
        guard: Guard::Token,
        told_by: &[],
        purpose: "the same",
    },
    Door {
        path: Path::Exactly(connect::PATH),
        method: Method::Post,
        kind: Kind::Call(CALL, Takes::OneOf(connect::TYPES)),
        guard: Guard::Token,
        told_by: &[],
        purpose: "the same, as a Connect call",
    },
];

fn open(head: &Head, _setup: &Setup<'_>) -> Result<Opening, NotOpened> {
    let request = Request::of_query(head.query_pairs()).map_err(|error| refused(&error))?;
    let talk = Box::new(Conversation::new(request));
    Ok(Opening {
        dialect: super::PEAT,
        talk,
        protocols: &[],
        deflate: DeflateTerms::Any,
        first: Vec::new(),
    })
}

fn stream(head: &Head, setup: &Setup<'_>) -> Result<Wanted, NotOpened> {
    let request = Request::of_query(head.query_pairs()).map_err(|error| refused(&error))?;
    let view = &setup.views.of_protocol(&super::PROTOCOL);
    Ok(Wanted {
        dialect: super::PEAT,
        first: First::Want { wish: request.wish(&[], view), since_lost: request.since_lost(view) },
        refused: |_| {
            let mut body = Vec::new();
            let message = "the token allows none of these collections with this query";
            connect::put_error("permission_denied", message, &mut body);
            NotOpened::Said { status: 403, body }
        },
    })
}

//= peat-node#1.8
//# Bad query → HTTP 400 with body
//# `{"code":"invalid_argument","message":"invalid subscription query: ..."}` (the Connect error shape).
fn refused(error: &RequestError) -> NotOpened {
    let mut body = Vec::new();
    connect::put_error("invalid_argument", &error.to_string(), &mut body);
    NotOpened::Said { status: 400, body }
}

const CALL: Call =
    Call::Respond { body: Body::Bytes(PEAT_REQUEST_BYTES_MAX), opens: call, lasts: true };

fn call(
    head: &Head,
    media: Option<&'static MediaType>,
    _setup: &Setup<'_>,
) -> Result<Calling, NotOpened> {
    if head.version != Version::Http11 {
        // Its stream ends with a message, so it must be told from the connection's end.
        return Err(NotOpened::NeedsChunks);
    }
    let terms = connect::Terms::of(media, head.value(Name::ConnectProtocolVersion));
    Ok(Calling {
        dialect: terms.codec.dialect(),
        respond: Box::new(super::call::Subscribe { terms }),
    })
}
