//! The native protocol's doors.

use crate::dialect::Call;
use crate::dialect::Door;
use crate::dialect::Guard;
use crate::dialect::JSON;
use crate::dialect::Kind;
use crate::dialect::LINES;
use crate::dialect::Path;
use crate::dialect::Socket;
use crate::dialect::Stream;
use crate::dialect::Takes;
use crate::wire::http::Method;

/// All of them.
pub const DOORS: &[Door] = &[
    Door {
        path: Path::Exactly("/v1/ws"),
        method: Method::Get,
        kind: Kind::WebSocket(Socket::Native),
        guard: Guard::TokenOrLater,
        told_by: &[],
        purpose: "subscribes and publishes",
    },
    Door {
        path: Path::Exactly("/v1/sse"),
        method: Method::Get,
        kind: Kind::Stream(Stream::Native),
        guard: Guard::Token,
        told_by: &[],
        purpose: "one subscription, stated in the URL",
    },
    Door {
        path: Path::Below("/v1/publish/", "topic"),
        method: Method::Post,
        kind: Kind::Call(Call::Publish, Takes::OneOf(&[&JSON, &LINES])),
        guard: Guard::Token,
        told_by: &[],
        purpose: "publishes one object, or one a line",
    },
];
