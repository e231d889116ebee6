//! rtbdp's doors.

use std::sync::Arc;

use super::login;
use super::login::Login;
use super::talk::Conversation;
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
use crate::limits::RTBDP_LOGIN_BYTES_MAX;
use crate::wire::deflate::DeflateTerms;
use crate::wire::http::Head;
use crate::wire::http::Method;

const fn socket(path: Path, purpose: &'static str) -> Door {
    let kind = Kind::WebSocket(Socket::Talk(open));
    Door { path, method: Method::Get, kind, guard: Guard::Token, told_by: &[], purpose }
}

const fn login(path: Path, method: Method, call: Call, purpose: &'static str) -> Door {
    let kind = Kind::Call(call, Takes::Anything);
    Door { path, method, kind, guard: Guard::Nobody, told_by: &[], purpose }
}

const LOOK: Call = Call::Respond { body: Body::None, opens: look, lasts: false };
const SAY: Call =
    Call::Respond { body: Body::Bytes(RTBDP_LOGIN_BYTES_MAX), opens: say, lasts: false };

/// All of them.
pub const DOORS: &[Door] = &[
    socket(Path::Exactly("/api"), "rows of tables, live and replayed"),
    socket(Path::Exactly("/rt"), "the same"),
    login(Path::Exactly("/rt/login"), Method::Get, LOOK, "asks for the secret"),
    login(Path::Exactly("/rt/login"), Method::Post, SAY, "gives a cookie for the secret"),
    login(Path::Own("/login"), Method::Get, LOOK, "asks for the secret"),
    login(Path::Own("/login"), Method::Post, SAY, "gives a cookie for the secret"),
    //= rtbdp#4.1
    //# **Any path** is accepted (the client uses `/` or,
    //# behind a proxy, `/api`). No subprotocol, no origin check.
    socket(Path::OwnRest, "rows of tables, live and replayed"),
];

fn open(head: &Head, setup: &Setup<'_>) -> Result<Opening, NotOpened> {
    let secret = &setup.views.of_protocol(&super::PROTOCOL).secret;
    let is_barred = secret.as_ref().is_some_and(|secret| !login::is_shown(secret, head));
    Ok(Opening {
        dialect: super::RTBDP,
        talk: Box::new(Conversation::new(is_barred)),
        protocols: &[],
        //= rtbdp#4.1
        //# an offer with
        //# `server_max_window_bits` < 15 is
        //# declined
        deflate: DeflateTerms::LargestWindow,
        first: Vec::new(),
    })
}

fn calling(head: &Head, setup: &Setup<'_>, is_said: bool) -> Calling {
    let secret = setup.views.of_protocol(&super::PROTOCOL).secret.as_ref().map(Arc::clone);
    let url = head.query_value("url").unwrap_or_default().into();
    Calling { dialect: super::RTBDP, respond: Box::new(Login { secret, is_said, url }) }
}

fn look(
    head: &Head,
    _media: Option<&'static MediaType>,
    setup: &Setup<'_>,
) -> Result<Calling, NotOpened> {
    Ok(calling(head, setup, false))
}

fn say(
    head: &Head,
    _media: Option<&'static MediaType>,
    setup: &Setup<'_>,
) -> Result<Calling, NotOpened> {
    Ok(calling(head, setup, true))
}
