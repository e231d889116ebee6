//! HyperBEAM's doors.

use super::Conversation;
use super::Options;
use super::calls::Casting;
use super::calls::Info;
use super::of_query;
use crate::dialect::Body;
use crate::dialect::Call;
use crate::dialect::Calling;
use crate::dialect::Door;
use crate::dialect::Guard;
use crate::dialect::Kind;
use crate::dialect::MediaType;
use crate::dialect::NotOpened;
use crate::dialect::Opening;
use crate::dialect::Path;
use crate::dialect::Setup;
use crate::dialect::Socket;
use crate::dialect::Takes;
use crate::limits::HYPERBEAM_CAST_BYTES_MAX;
use crate::wire::deflate::DeflateTerms;
use crate::wire::http::Head;
use crate::wire::http::Method;
use crate::wire::http::Name;

/// HyperBEAM's doors.
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
        kind: Kind::Call(INFO, Takes::Anything),
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
        kind: Kind::Call(CAST, Takes::Anything),
        guard: Guard::Token,
        told_by: &[],
        purpose: "casts a message",
    },
];

fn open(head: &Head, setup: &Setup<'_>) -> Result<Opening, NotOpened> {
    let topic = head.query_value("topic").unwrap_or_default();
    let topics = of_query(&topic, Options::of(setup), setup.views.of_protocol(&super::PROTOCOL))
        .map_err(|fault| NotOpened::BadField(fault.to_string()))?;
    let talk = Box::new(Conversation::new(topics, Options::of(setup)));
    Ok(Opening {
        dialect: super::HYPERBEAM,
        talk,
        protocols: &[],
        deflate: DeflateTerms::None,
        first: Vec::new(),
    })
}

const INFO: Call = Call::Respond { body: Body::None, opens: info, lasts: false };
const CAST: Call =
    Call::Respond { body: Body::Message(HYPERBEAM_CAST_BYTES_MAX), opens: cast, lasts: false };

fn info(
    head: &Head,
    _media: Option<&'static MediaType>,
    setup: &Setup<'_>,
) -> Result<Calling, NotOpened> {
    let host = head.value(Name::Host).filter(|host| !host.is_empty()).unwrap_or("localhost");
    let with_seen = setup.views.is_on(&super::PROTOCOL, super::INFO_SEEN);
    Ok(Calling { dialect: super::HYPERBEAM, respond: Box::new(Info::new(host, with_seen)) })
}

fn cast(
    _head: &Head,
    _media: Option<&'static MediaType>,
    setup: &Setup<'_>,
) -> Result<Calling, NotOpened> {
    Ok(Calling { dialect: super::HYPERBEAM, respond: Box::new(Casting::new(Options::of(setup))) })
}
