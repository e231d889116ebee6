//! HyperBEAM's doors.

use super::Conversation;
use super::of_query;
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
use crate::dialect::Takes;
use crate::wire::http::Head;
use crate::wire::http::Method;

/// All of them.
pub const DOORS: &[Door] = &[
    //= model#9
    //# on a shared port disambiguate: `?topic=` → 001, `?token=`/`events=` → 004, else 002; explicit aliases
    //# `/hb/ws /rs/ws /rt /pv/ws`
    Door {
        path: Path::Exactly("/ws"),
        method: Method::Get,
        kind: Kind::WebSocket(Socket::Talk(open)),
        guard: Guard::Token,
        told_by: &["topic"],
        purpose: "messages of topics",
    },
    Door {
        path: Path::Exactly("/hb/ws"),
        method: Method::Get,
        kind: Kind::WebSocket(Socket::Talk(open)),
        guard: Guard::Token,
        told_by: &[],
        purpose: "the same",
    },
    Door {
        path: Path::Exactly("/~websocket@1.0/info"),
        method: Method::Get,
        kind: Kind::Call(Call::Topics, Takes::Anything),
        guard: Guard::Token,
        told_by: &[],
        purpose: "which topics there are",
    },
    Door {
        path: Path::Exactly("/~websocket@1.0/cast"),
        method: Method::Post,
        //= hyperbeam#2.2
        //# on decode error or empty body the base
        //# message itself is used. Always answers `OK` immediately
        kind: Kind::Call(Call::Cast, Takes::Anything),
        guard: Guard::Token,
        told_by: &[],
        purpose: "casts a message",
    },
];

fn open(head: &Head, setup: &Setup<'_>) -> Result<Opening, NotOpened> {
    let topic = head.query_value("topic").unwrap_or_default();
    let topics = of_query(&topic, setup.hyperbeam, &setup.views.hyperbeam)
        .map_err(|fault| NotOpened::BadField(fault.to_string()))?;
    let talk = Box::new(Conversation::new(topics, setup.hyperbeam));
    Ok(Opening { dialect: DialectId::HyperBeam, talk, may_deflate: false })
}
