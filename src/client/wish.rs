//! What is asked for: a subscription, a publish, and where the server is.
//!
//! Options are handed on as the protocol has them, so that a server's newer ones can be asked for by name. Pure.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use serde::Serialize;
use serde_json::Map;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::client::connect::Trust;
use crate::client::connect::Way;
use crate::client::endpoint::Endpoint;
use crate::client::endpoint::EndpointError;
use crate::client::limits::SILENCE_USUAL;
use crate::client::limits::STEADY_USUAL;
use crate::client::message::ClientError;
use crate::client::position::Since;
use crate::client::told::State;

/// What fetches a token; its error says why there is none.
pub(crate) type Fetched = Pin<Box<dyn Future<Output = Result<String, String>> + Send>>;

/// Who the client is.
pub(crate) enum Token {
    Same(String),
    Fetched(Box<dyn FnMut() -> Fetched + Send>),
}

/// A server, and how to be its client.
pub struct Options {
    pub(crate) endpoint: Endpoint,
    pub(crate) trust: Trust,
    pub(crate) token: Option<Token>,
    pub(crate) silence: Duration,
    pub(crate) steady: Duration,
    pub(crate) on_state: Box<dyn FnMut(&State) + Send>,
    pub(crate) on_error: Box<dyn FnMut(&ClientError) + Send>,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl Options {
    /// `http://host:port`, `wss://host`, or the full `ws://host:port/v1/ws`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(url: &str) -> Result<Self, EndpointError> {
        Ok(Self {
            endpoint: Endpoint::parse(url)?,
            trust: Trust::default(),
            token: None,
            silence: SILENCE_USUAL,
            steady: STEADY_USUAL,
            on_state: Box::new(|_| {}),
            on_error: Box::new(|_| {}),
        })
    }

    /// The way to the server; files are read anew each time.
    pub(crate) fn way(&self) -> io::Result<Way> {
        Way::new(self.endpoint.clone(), &self.trust)
    }

    /// Whom to trust with an encrypted connection.
    #[must_use]
    pub fn trust(self, trust: Trust) -> Self {
        Self { trust, ..self }
    }

    /// A token that is shown to each connection.
    #[must_use]
    pub fn token(self, token: impl Into<String>) -> Self {
        Self { token: Some(Token::Same(token.into())), ..self }
    }

    /// What fetches tokens: asked for each connection, when the server says that the token ends soon, and when it has refused one.
    #[must_use]
    pub fn fetch_token<Fetch, Fetching>(self, mut fetch: Fetch) -> Self
    where
        Fetch: FnMut() -> Fetching + Send + 'static,
        Fetching: Future<Output = Result<String, String>> + Send + 'static,
    {
        let fetch = Box::new(move || -> Fetched { Box::pin(fetch()) });
        Self { token: Some(Token::Fetched(fetch)), ..self }
    }

    /// Is told each change of the client's state.
    #[must_use]
    pub fn on_state(self, tell: impl FnMut(&State) + Send + 'static) -> Self {
        Self { on_state: Box::new(tell), ..self }
    }

    /// Is told errors of the server's that belong to nothing that was asked.
    #[must_use]
    pub fn on_error(self, tell: impl FnMut(&ClientError) + Send + 'static) -> Self {
        Self { on_error: Box::new(tell), ..self }
    }

    /// After so long without a message (usually 20 s) the client asks whether the server is there, and after so long again it gives the connection up.
    #[must_use]
    pub fn silence(self, silence: Duration) -> Self {
        Self { silence, ..self }
    }

    /// A connection that has been open for so long (usually 5 s) has not failed: waits begin anew with the next.
    #[must_use]
    pub fn steady(self, steady: Duration) -> Self {
        Self { steady, ..self }
    }
}

/// A subscription that is to be made.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    pub(crate) id: Option<String>,
    pub(crate) since: Since,
    /// The protocol's members, `id` and `since` aside.
    pub(crate) options: Map<String, Value>,
}

impl Wish {
    /// Events of any of these topics and patterns.
    #[must_use]
    pub fn of<Topic: Into<String>>(topics: impl IntoIterator<Item = Topic>) -> Self {
        let topics: Vec<Value> = topics.into_iter().map(|topic| topic.into().into()).collect();
        Self::default().option("topics", Value::from(topics))
    }

    /// What it is called on its connection; chosen if it is not said. Clients that want the same do well to call it the same.
    #[must_use]
    pub fn id(self, id: impl Into<String>) -> Self {
        Self { id: Some(id.into()), ..self }
    }

    /// Where to begin; with what happens from now on if it is not said.
    #[must_use]
    pub fn since(self, since: Since) -> Self {
        Self { since, ..self }
    }

    /// Only events whose payload passes: built, the text `altitude < 10000`, or the other notation as a value ([FILTERS](../../docs/FILTERS.md)).
    #[must_use]
    pub fn filter(self, filter: impl Into<Value>) -> Self {
        self.option("filter", filter)
    }

    /// Any option of the protocol's, by its name: `slow`, `max_rate`, `fields`, `leave`, `batch`, `speed`, …
    #[must_use]
    pub fn option(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.options.insert(name.to_owned(), value.into());
        self
    }
}

/// An event that is to be published.
#[derive(Clone, Debug, Serialize)]
pub struct Publish {
    r#type: &'static str,
    id: u64,
    topic: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    op: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ack: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Box<RawValue>>,
}

impl Publish {
    /// An event about nothing in particular, without a payload; only a delete may stay so.
    #[must_use]
    pub fn to(topic: impl Into<String>) -> Self {
        let (key, op, ack, payload) = (None, None, None, None);
        Self { r#type: "publish", id: 0, topic: topic.into(), key, op, ack, payload }
    }

    /// The publish as a message. The payload's text stays as it is.
    pub(crate) fn said(self, id: u64) -> String {
        serde_json::to_string(&Self { id, ..self })
            .unwrap_or_else(|error| unreachable!("strings and numbers are JSON: {error}"))
    }

    /// Which thing it is about.
    #[must_use]
    pub fn key(self, key: impl Into<String>) -> Self {
        Self { key: Some(key.into()), ..self }
    }

    /// `upsert`, `delete` or `event`.
    #[must_use]
    pub fn op(self, op: impl Into<String>) -> Self {
        Self { op: Some(op.into()), ..self }
    }

    /// When it is answered: `none`, `ordered`, `stored` or `durable`.
    #[must_use]
    pub fn ack(self, ack: impl Into<String>) -> Self {
        Self { ack: Some(ack.into()), ..self }
    }

    /// What is said, which must become a JSON object.
    ///
    /// # Errors
    /// If it cannot be written as JSON.
    pub fn payload<T: Serialize + ?Sized>(self, payload: &T) -> Result<Self, serde_json::Error> {
        Ok(Self { payload: Some(serde_json::value::to_raw_value(payload)?), ..self })
    }
}
