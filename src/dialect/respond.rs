//! What a dialect is to a call over HTTP: it hears the whole body, once, and says what is answered.
//!
//! Invariants: a call is answered once; of what it asks it is told the answer to that question and nothing else, so there is no answer that
//! it could not have asked for. Never sees a socket.

use std::fmt;

use bytes::Bytes;

use crate::dialect::Context;
use crate::dialect::DialectId;
use crate::dialect::Published;
use crate::dialect::Refusal;
use crate::dialect::Setup;
use crate::dialect::Subscription;
use crate::dialect::View;
use crate::dialect::Wish;
use crate::event::Draft;
use crate::limits::RETRY_AFTER_S;

/// One call's side of a dialect.
pub trait Respond: fmt::Debug + Send {
    /// The body is there.
    fn respond(self: Box<Self>, body: &[u8], context: &Context<'_>) -> Next;
}

/// What comes next of a call.
#[derive(Debug)]
pub enum Next {
    /// This answers it.
    Reply(Response),
    /// Order these. Either all of them are asked for or, where one may not be published, none is.
    Publish { drafts: Vec<Draft>, then: ThenPublished },
    /// Find out which topics there are, on all shards together.
    List { listing: Listing, then: ThenListed },
    /// A stream of messages answers it.
    Stream { dialect: DialectId, content_type: &'static str, tells: Tells },
}

/// What a stream of messages tells.
#[derive(Debug)]
pub enum Tells {
    /// What this wants; `None`: nothing, for as long as its client likes.
    Wish(Option<Wish>),
    /// The stream ends, with this message.
    End(Box<[u8]>),
}

/// What is answered once it is known what became of drafts.
pub type ThenPublished = Then<dyn FnOnce(Published<'_>, &Context<'_>) -> Response + Send>;
/// What is answered once topics are known: in order, each once, those that the client may know of.
pub type ThenListed = Then<dyn FnOnce(&[String]) -> Response + Send>;

/// What is answered once it is known what became of a question.
pub struct Then<F: ?Sized>(pub Box<F>);

impl<F: ?Sized> fmt::Debug for Then<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Then")
    }
}

/// Which topics are listed.
#[derive(Clone, Copy, Debug)]
pub struct Listing {
    /// Whose subscribers' topics.
    pub dialect: DialectId,
    /// By which names a subscription of that dialect is listed.
    pub names_of: fn(&Subscription, &View) -> Vec<String>,
    /// Whether topics are listed as well that events were seen of.
    pub with_seen: bool,
    /// Whether a name says what others filter by: it is for whoever may hear all that the dialect sees.
    pub is_filter: fn(&str, &Setup<'_>) -> bool,
    /// At most so many names of each shard.
    pub names_max: usize,
}

/// An answer over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub content_type: &'static str,
    /// Further fields: name and value.
    pub headers: Vec<(&'static str, String)>,
    pub body: Bytes,
}

impl Response {
    /// An answer in JSON.
    #[must_use]
    pub fn json(status: u16, body: impl Into<Bytes>) -> Self {
        let (content_type, headers) = ("application/json", Vec::new());
        let response = Self { status, content_type, headers, body: body.into() };
        if matches!(status, 429 | 503 | 507) { response.with_retry() } else { response }
    }

    /// The response, with the time after which to try again.
    #[must_use]
    pub fn with_retry(self) -> Self {
        Self { headers: vec![("retry-after", RETRY_AFTER_S.to_string())], ..self }
    }

    /// `{"error":{"code":…,"message":…,"field":…}}`
    #[must_use]
    pub fn refusal(status: u16, refusal: &Refusal) -> Self {
        let mut error =
            serde_json::json!({ "code": refusal.code.name(), "message": refusal.message });
        if let Some(field) = &refusal.field {
            error["field"] = (**field).into();
        }
        Self::json(status, serde_json::json!({ "error": error }).to_string())
    }

    /// `{"error":{"code":…,"message":…}}`
    #[must_use]
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        let error = serde_json::json!({ "code": code, "message": message });
        Self::json(status, serde_json::json!({ "error": error }).to_string())
    }
}
