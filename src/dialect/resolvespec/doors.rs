//! ResolveSpec's doors, and where its messages are published.

use super::talk::Conversation;
use crate::dialect::ByTopic;
use crate::dialect::Door;
use crate::dialect::Guard;
use crate::dialect::Hook;
use crate::dialect::Kind;
use crate::dialect::NotOpened;
use crate::dialect::Opening;
use crate::dialect::Path;
use crate::dialect::Setup;
use crate::dialect::Socket;
use crate::dialect::Views;
use crate::dialect::hook::Credentials;
use crate::wire::deflate::DeflateTerms;
use crate::wire::http::Head;
use crate::wire::http::Method;
use crate::wire::http::Name;

const fn socket(path: Path, purpose: &'static str) -> Door {
    let kind = Kind::WebSocket(Socket::Talk(open));
    Door { path, method: Method::Get, kind, guard: Guard::TokenOrHook, told_by: &[], purpose }
}

/// All of them.
pub const DOORS: &[Door] = &[
    //= model#9
    //# on a shared port disambiguate: `?topic=` → 001, `?token=`/`events=` → 004, else 002; explicit aliases
    //# `/hb/ws /rs/ws /rt /pv/ws`
    socket(Path::Exactly("/ws"), "rows of tables, read, written and heard"),
    socket(Path::Exactly("/rs/ws"), "the same"),
    //= resolvespec#3A.1
    //# Whatever path the host mounts; every document uses **`/ws`** on **8080**.
    socket(Path::OwnRest, "the same"),
];

fn open(head: &Head, setup: &Setup<'_>) -> Result<Opening, NotOpened> {
    let conversation = conversation(setup.views);
    let conversation = match setup.hooks.asked.contains(Hook::BeforeConnect) {
        true => conversation.showing(Credentials {
            authorization: head.value(Name::Authorization).map(Into::into),
            token: head.query_value("token").map(Into::into),
            ..Credentials::default()
        }),
        false => conversation,
    };
    Ok(Opening {
        dialect: super::RESOLVESPEC,
        talk: Box::new(conversation),
        //= resolvespec#3A.1
        //# `CheckOrigin` always true, no subprotocol, **no compression** offered or accepted
        protocols: &[],
        deflate: DeflateTerms::None,
        first: Vec::new(),
    })
}

fn conversation(views: &Views) -> Conversation {
    Conversation::new(!views.is_on(&super::PROTOCOL, super::LEGACY_UNFILTERED))
}

/// How it is published.
pub static BY_TOPIC: ByTopic = ByTopic {
    protocol: &super::PROTOCOL,
    opens: |views| Box::new(conversation(views)),
    encode: super::encode,
    head: super::put_head_of,
    name_of: |id| super::ids::parts_of(id).0,
    qos: super::QOS,
};
