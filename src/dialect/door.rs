//! Doors: what a dialect answers over HTTP, stated as a table in its own folder.
//!
//! Invariant: what a table does not state is not answered. Methods, `Allow`, HEAD, OPTIONS, 404, 405, 415 and 426 follow from the tables, for all
//! dialects alike; no dialect answers them itself. Never sees a connection.

use std::fmt;

use crate::dialect::DialectId;
use crate::dialect::MediaType;
use crate::dialect::Refusal;
use crate::dialect::Respond;
use crate::dialect::Setup;
use crate::dialect::Step;
use crate::dialect::Takes;
use crate::dialect::Talk;
use crate::dialect::Uploading;
use crate::dialect::Wish;
use crate::position::Since;
use crate::wire::deflate::DeflateTerms;
use crate::wire::http::Head;
use crate::wire::http::Method;

/// Which listener a connection came in by: a protocol's own, where its paths mean what they mean at home, or the one that all share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Port {
    #[default]
    Shared,
    /// The own one of the protocol with this key.
    Own(&'static str),
    /// The one that only says where the same is to be had encrypted.
    Redirect,
}

impl Port {
    /// The port's word where listeners are handed from process to process.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Shared => "listen",
            Self::Own(key) => key,
            Self::Redirect => "redirect",
        }
    }
}

/// One route.
#[derive(Clone, Copy, Debug)]
pub struct Door {
    pub path: Path,
    pub method: Method,
    pub kind: Kind,
    pub guard: Guard,
    /// Where several dialects have the same path, on the listener that all share: the parameters of which a request has one if it means
    /// this door. Empty: every request does.
    pub told_by: &'static [&'static str],
    /// What the door is for, in one line of `docs/ROUTES.md`.
    pub purpose: &'static str,
}

/// Which paths a door is at, escapes resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    Exactly(&'static str),
    /// All that begin so; the name of what follows.
    Below(&'static str, &'static str),
    /// One of these.
    OneOf(&'static [&'static str]),
    /// This one, on the protocol's own listener only: elsewhere it is too common a name for one dialect.
    Own(&'static str),
    /// Any that no other door is at, on the protocol's own listener only.
    OwnRest,
}

impl Path {
    /// Whether the path is one of the protocol's own listener only.
    #[must_use]
    pub const fn is_own(self) -> bool {
        matches!(self, Self::Own(_) | Self::OwnRest)
    }

    /// Whether a door is at this path.
    #[must_use]
    pub fn is(self, path: &str) -> bool {
        match self {
            Self::Exactly(own) | Self::Own(own) => own == path,
            Self::OwnRest => true,
            Self::Below(start, _) => path.starts_with(start),
            Self::OneOf(own) => own.contains(&path),
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(path) | Self::Own(path) => f.write_str(path),
            Self::OwnRest => f.write_str("any"),
            Self::Below(start, rest) => write!(f, "{start}{{{rest}}}"),
            Self::OneOf(paths) => f.write_str(&paths.join(" ")),
        }
    }
}

/// What a route leads to.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A WebSocket.
    WebSocket(Socket),
    /// An event stream: a response without an end.
    Stream(OpensStream),
    /// A call: a request with a body, answered once that has come; an upload's body is published while it comes.
    Call(Call, Takes),
    /// A page that is made outside of the core: health, metrics, the dashboard.
    Page,
}

/// What is spoken on a WebSocket.
#[derive(Clone, Copy, Debug)]
pub enum Socket {
    /// A dialect's conversation, which this begins.
    Talk(fn(&Head, &Setup<'_>) -> Result<Opening, NotOpened>),
    /// Every message comes back. Only there if the operator has set `echo`.
    Echo,
}

/// Begins an event stream: reads its request's head.
pub type OpensStream = fn(&Head, &Setup<'_>) -> Result<Wanted, NotOpened>;

/// Begins an upload: reads its request's head, whose body is of this media type.
pub type OpensUpload = fn(&Head, Option<&'static MediaType>) -> Result<Uploading, NotOpened>;

/// What a call does.
#[derive(Clone, Copy, Debug)]
pub enum Call {
    /// Events, one or one a line for as long as the client likes. Published as they come.
    Upload(OpensUpload),
    /// A dialect's [`Respond`] is given the whole body, and answers.
    Respond {
        body: Body,
        opens: fn(&Head, Option<&'static MediaType>, &Setup<'_>) -> Result<Calling, NotOpened>,
        /// Whether the response is a stream, so that the connection lasts.
        lasts: bool,
    },
    /// Revokes tokens.
    Revoke,
    /// An operator asks.
    Operator(Inquire),
}

/// What an operator asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inquire {
    Connections,
    Slowest,
    Topics,
    Disconnect,
    Publish,
    Explain,
    /// Something that the process does: the path says what.
    Order,
}

/// What a call's body may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    None,
    /// A body of at most so many bytes.
    Bytes(usize),
    /// A body of at most so many bytes, and of at most `message_bytes_max`.
    Message(usize),
    /// Lines, each of at most `message_bytes_max` bytes.
    Lines,
}

/// A call whose body is still to come, and who answers it.
#[derive(Debug)]
pub struct Calling {
    pub dialect: DialectId,
    pub respond: Box<dyn Respond>,
}

/// Which clients a route lets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// All, pages of any site included.
    Nobody,
    /// Clients that show a token, or may be anonymous.
    Token,
    /// As `Token`; and a client that does neither may show a token later, and can do nothing until then.
    TokenOrLater,
    /// As `Token`; and, where `before_connect` is asked, clients of whom that says who they are, which can do nothing until then.
    TokenOrHook,
    /// Where keys are configured, clients that show a token, at once or later; where none are, clients that may be anonymous.
    TokenShown,
    /// Clients that show the admin secret.
    Secret,
    /// Anyone, or who shows the admin secret: as the settings say of figures.
    Figures,
}

impl Guard {
    /// Whether who a client is may be found out once it is in; `has_keys`: there are keys to check tokens with; `is_hooked`: a hook looks at clients that connect.
    #[must_use]
    pub const fn may_say_later(self, has_keys: bool, is_hooked: bool) -> bool {
        match self {
            Self::Token => false,
            Self::TokenOrHook => is_hooked,
            Self::Nobody | Self::TokenOrLater | Self::TokenShown | Self::Secret | Self::Figures => {
                has_keys
            }
        }
    }
}

/// A conversation that begins on a WebSocket.
#[derive(Debug)]
pub struct Opening {
    pub dialect: DialectId,
    pub talk: Box<dyn Talk>,
    /// The subprotocols of which the client may offer one.
    pub protocols: &'static [&'static str],
    /// Whether permessage-deflate may be agreed, and with which windows.
    pub deflate: DeflateTerms,
    /// What the URL asks for: steps that are taken right after `Talk::open`.
    pub first: Vec<Step>,
}

/// What an event stream is to tell.
#[derive(Debug)]
pub struct Wanted {
    pub dialect: DialectId,
    pub first: First,
    /// How it is said that a client's token leaves nothing of it, or that it goes beyond a bound.
    pub refused: fn(&Refusal) -> NotOpened,
}

/// What an event stream begins with.
#[derive(Debug)]
pub enum First {
    /// One subscription, all of whose topics must be allowed.
    Subscribe(Wish),
    /// What is left of this once it is confined to what the client may hear, which must be something. `None`: nothing, for of what was asked
    /// the dialect sees nothing. `since_lost`: where it begins for a client that comes back with a position that is none here.
    Want { wish: Option<Wish>, since_lost: Since },
}

/// A request that a dialect does not carry out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotOpened {
    /// Which parameter is wrong, and why: 400.
    BadField(String),
    /// What is wrong, or not allowed: 400, or 403.
    Refused(Refusal),
    /// The dialect's own words, as JSON.
    Said { status: u16, body: Vec<u8> },
    /// The answer needs HTTP/1.1: 505.
    NeedsChunks,
}

impl Door {
    /// Whether a connection lasts that comes through it: those are counted.
    #[must_use]
    pub const fn lasts(&self) -> bool {
        matches!(
            self.kind,
            Kind::WebSocket(_) | Kind::Stream(_) | Kind::Call(Call::Respond { lasts: true, .. }, _)
        )
    }

    /// Whether HEAD is answered as well: where GET is answered with something to read.
    #[must_use]
    pub fn has_head(&self) -> bool {
        self.method == Method::Get && !matches!(self.kind, Kind::WebSocket(_))
    }
}
