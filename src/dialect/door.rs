//! Doors: what a dialect answers over HTTP, stated as a table in its own folder.
//!
//! Invariant: what a table does not state is not answered. Methods, `Allow`, HEAD, OPTIONS, 404, 405, 415 and 426 follow from the tables, for all
//! dialects alike; no dialect answers them itself. Never sees a connection.

use crate::dialect::DialectId;
use crate::dialect::Setup;
use crate::dialect::Since;
use crate::dialect::Takes;
use crate::dialect::Talk;
use crate::dialect::Wish;
use crate::wire::http::Head;
use crate::wire::http::Method;

/// Which listener a connection came in by: a dialect's own, where its paths mean what they mean at home, or the one that all share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Port {
    #[default]
    Shared,
    Peat,
    HyperBeam,
    Provisioning,
}

impl Port {
    pub const ALL: [Self; 4] = [Self::Shared, Self::Peat, Self::HyperBeam, Self::Provisioning];

    /// Its place in the list of all.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
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
    /// What it is for, in one line of `docs/ROUTES.md`.
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
}

impl Path {
    /// Whether a door is at this path.
    #[must_use]
    pub fn is(self, path: &str) -> bool {
        match self {
            Self::Exactly(own) => own == path,
            Self::Below(start, _) => path.starts_with(start),
            Self::OneOf(own) => own.contains(&path),
        }
    }
}

/// What is behind a door.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A WebSocket.
    WebSocket(Socket),
    /// An endless answer.
    Stream(Stream),
    /// An answer, once the body is there; or, of an upload, while it comes.
    Call(Call, Takes),
    /// An answer that is made outside of the core.
    Page,
}

/// Who opens a WebSocket.
#[derive(Clone, Copy, Debug)]
pub enum Socket {
    /// The native protocol, perhaps with a first subscription in the URL.
    Native,
    /// A dialect that remembers what was said.
    Talk(fn(&Head, &Setup<'_>) -> Result<Opening, NotOpened>),
    /// Every message comes back. Only there if the operator has set `echo`.
    Echo,
}

/// Who begins an event stream.
#[derive(Clone, Copy, Debug)]
pub enum Stream {
    /// The native protocol: the URL states the one subscription.
    Native,
    /// A dialect that wants something, or, if it sees nothing of what was asked for, nothing.
    Wants(fn(&Head, &Setup<'_>) -> Result<Wanted, NotOpened>),
}

/// What is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Events for the topic in the path: one, or one a line for as long as the client likes.
    Publish,
    /// A message for whoever has its topic.
    Cast,
    /// Which topics there are.
    Topics,
    /// Events of the Provisioning dialect.
    Post,
    /// A subscription over Connect, answered with a stream.
    Subscribe,
    /// Tokens that are to open nothing any more.
    Revoke,
}

/// Who gets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// Anyone, pages of any site included.
    Nobody,
    /// Who shows a token, or may be anonymous.
    Token,
    /// The same; and who does neither may show a token later, and can do nothing until then.
    TokenOrLater,
    /// Where there are keys, who shows a token, at once or later; where there are none, who may be anonymous.
    TokenShown,
    /// Who shows the admin secret.
    Secret,
}

/// A conversation that begins.
#[derive(Debug)]
pub struct Opening {
    pub dialect: DialectId,
    pub talk: Box<dyn Talk>,
    /// Whether permessage-deflate may be agreed.
    pub may_deflate: bool,
}

/// What an event stream is to tell.
#[derive(Debug)]
pub struct Wanted {
    pub dialect: DialectId,
    pub talk: Box<dyn Talk>,
    /// `None`: nothing, for of what was asked the dialect sees nothing.
    pub wish: Option<Wish>,
    /// Where it begins for a client that comes back with a position that is none here.
    pub since_lost: Since,
}

/// A request that a dialect does not understand; it is answered 400.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotOpened {
    /// Which parameter, and why.
    BadField(String),
    /// The dialect's own words, as JSON.
    Said(Vec<u8>),
}

impl Door {
    /// Whether a connection lasts that comes through it: those are counted.
    #[must_use]
    pub const fn lasts(&self) -> bool {
        matches!(self.kind, Kind::WebSocket(_) | Kind::Stream(_) | Kind::Call(Call::Subscribe, _))
    }

    /// Whether HEAD is answered as well: where GET is answered with something to read.
    #[must_use]
    pub fn has_head(&self) -> bool {
        self.method == Method::Get && !matches!(self.kind, Kind::WebSocket(_))
    }
}
