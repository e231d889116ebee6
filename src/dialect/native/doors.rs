//! The native protocol's doors.

use super::COMPACT_SUBPROTOCOL;
use super::Conversation;
use super::SUBPROTOCOLS;
use super::compact::Wording;
use super::upload;
use super::url;
use crate::dialect::Call;
use crate::dialect::Door;
use crate::dialect::First;
use crate::dialect::Guard;
use crate::dialect::JSON;
use crate::dialect::Kind;
use crate::dialect::LINES;
use crate::dialect::NotOpened;
use crate::dialect::Opening;
use crate::dialect::Path;
use crate::dialect::Setup;
use crate::dialect::Socket;
use crate::dialect::Step;
use crate::dialect::Takes;
use crate::dialect::Talk;
use crate::dialect::Wanted;
use crate::wire::deflate::DeflateTerms;
use crate::wire::http::Head;
use crate::wire::http::Method;
use crate::wire::upgrade::chosen;

/// The native protocol's doors.
pub const DOORS: &[Door] = &[
    Door {
        path: Path::Exactly("/v1/ws"),
        method: Method::Get,
        kind: Kind::WebSocket(Socket::Talk(open)),
        guard: Guard::TokenOrLater,
        told_by: &[],
        purpose: "subscribes and publishes",
    },
    Door {
        path: Path::Exactly("/v1/sse"),
        method: Method::Get,
        kind: Kind::Stream(stream),
        guard: Guard::Token,
        told_by: &[],
        purpose: "one subscription, stated in the URL",
    },
    Door {
        path: Path::Below(upload::PATH, "topic"),
        method: Method::Post,
        kind: Kind::Call(Call::Upload(upload::open), Takes::OneOf(&[&JSON, &LINES])),
        guard: Guard::Token,
        told_by: &[],
        purpose: "publishes one object, or one a line",
    },
];

fn open(head: &Head, _setup: &Setup<'_>) -> Result<Opening, NotOpened> {
    let is_compact = chosen(head, SUBPROTOCOLS) == Some(COMPACT_SUBPROTOCOL);
    let asked = url::wish_if_any(head, is_compact).map_err(NotOpened::Refused)?;
    let talk: Box<dyn Talk> = match is_compact {
        true => Box::new(Conversation::<true>),
        false => Box::new(Conversation::<false>),
    };
    Ok(Opening {
        dialect: super::NATIVE,
        talk,
        protocols: SUBPROTOCOLS,
        deflate: DeflateTerms::Any,
        first: asked.map(Step::Subscribe).into_iter().collect(),
    })
}

fn stream(head: &Head, _setup: &Setup<'_>) -> Result<Wanted, NotOpened> {
    let wish = url::wish(head, Wording::OverSse).map_err(NotOpened::Refused)?;
    Ok(Wanted {
        dialect: super::NATIVE_SSE,
        first: First::Subscribe(wish),
        refused: |refusal| NotOpened::Refused(refusal.clone()),
    })
}
