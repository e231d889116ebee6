//! Where MQTT is spoken over HTTP: one WebSocket. On a listener of its own packets come without one, too.

use super::PROTOCOL;
use super::SESSION_S_MAX;
use super::SUBPROTOCOL;
use super::V4;
use super::talk::Conversation;
use crate::dialect::Door;
use crate::dialect::Guard;
use crate::dialect::Kind;
use crate::dialect::NotOpened;
use crate::dialect::Opening;
use crate::dialect::Path;
use crate::dialect::Setup;
use crate::dialect::Socket;
use crate::wire::deflate::DeflateTerms;
use crate::wire::http::Head;
use crate::wire::http::Method;

pub(super) const DOORS: &[Door] = &[Door {
    path: Path::Exactly("/mqtt"),
    method: Method::Get,
    kind: Kind::WebSocket(Socket::Talk(open)),
    // Its password is a token, and is shown in the first packet.
    guard: Guard::TokenOrLater,
    told_by: &[],
    purpose: "MQTT 3.1.1 and 5",
}];

fn open(_head: &Head, setup: &Setup<'_>) -> Result<Opening, NotOpened> {
    Ok(opening(setup))
}

/// A conversation that has not heard who its client is.
pub(super) fn opening(setup: &Setup<'_>) -> Opening {
    debug_assert!(setup.views.protocols().any(|spoken| std::ptr::eq(spoken, &raw const PROTOCOL)));
    Opening {
        dialect: V4,
        talk: Box::new(Conversation::new(
            setup.message_bytes_max,
            u32::try_from(setup.views.setting(&PROTOCOL, SESSION_S_MAX)).unwrap_or(u32::MAX),
        )),
        protocols: &[SUBPROTOCOL],
        deflate: DeflateTerms::None,
        first: Vec::new(),
    }
}
