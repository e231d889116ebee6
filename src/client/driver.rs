//! What outlives connections: subscriptions, requests, and when to come back. Carries what handles ask to the connection, and hands on what it says.
//!
//! Invariants: a request is answered or fails, and is never repeated; whoever reads a subscription is never waited for. Pure but for the queues' ends: says what
//! is to be said, and knows no connection.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::collections::VecDeque;
use std::time::Duration;

use serde_json::json;

use crate::client::end::End;
use crate::client::limits::REQUESTS_MAX;
use crate::client::message::Answer;
use crate::client::message::ClientError;
use crate::client::message::Id;
use crate::client::message::Message;
use crate::client::message::NotProtocol;
use crate::client::standing::Answered;
use crate::client::standing::Outlet;
use crate::client::standing::Pending;
use crate::client::standing::Standing;
use crate::client::told::Cause;
use crate::client::told::Lost;
use crate::client::told::State;
use crate::client::wait::Backoff;
use crate::client::wait::entropy;
use crate::client::wish::Options;
use crate::client::wish::Publish;
use crate::client::wish::Token;
use crate::client::wish::Wish;

/// What handles ask of the client.
#[derive(Debug)]
pub(super) enum Command {
    /// Is answered once the connection stands for the first time, with its epoch.
    Open(Answered<String>),
    /// Answers what the subscription is called.
    Subscribe {
        wish: Box<Wish>,
        outlet: Outlet,
        answered: Answered<String>,
    },
    Change {
        id: String,
        pending: Pending,
    },
    /// The reader has read half of what waited.
    CaughtUp(String),
    Publish {
        publish: Box<Publish>,
        answered: Answered<Answer>,
    },
    Ping(Answered<Answer>),
    Close(Answered<()>),
}

/// Requests, by their ids.
#[derive(Debug, Default)]
struct Requests {
    answers: HashMap<u64, Answered<Answer>>,
    /// Requests that wait for a connection, as they are said.
    unsent: VecDeque<(u64, String)>,
    last_id: u64,
}

/// The client.
pub(super) struct Driver {
    pub(super) options: Options,
    pub(super) commands: flume::Receiver<Command>,
    standing: BTreeMap<String, Standing>,
    requests: Requests,
    pub(super) backoff: Backoff,
    /// When a server that stops has said to come back, from then.
    pub(super) advice: Option<Duration>,
    openers: Vec<Answered<String>>,
    /// Of the open connection.
    epoch: Option<String>,
}

impl Driver {
    pub(super) fn new(options: Options, commands: flume::Receiver<Command>) -> Self {
        Self {
            options,
            commands,
            standing: BTreeMap::new(),
            requests: Requests::default(),
            backoff: Backoff::new(entropy()),
            advice: None,
            openers: Vec::new(),
            epoch: None,
        }
    }

    /// What handles ask.
    pub(super) fn commands(&self) -> flume::Receiver<Command> {
        self.commands.clone()
    }

    /// Does what a handle asks; none: the last one is gone. What is to be said over an open connection is added. Something: the end.
    pub(super) fn take(&mut self, command: Option<Command>, say: &mut Vec<String>) -> Option<End> {
        match command {
            None => return Some(End::Closed(None)),
            Some(Command::Close(answered)) => return Some(End::Closed(Some(answered))),
            Some(Command::Open(answered)) => match &self.epoch {
                Some(epoch) => drop(answered.try_send(Ok(epoch.clone()))),
                None => self.openers.push(answered),
            },
            Some(Command::Subscribe { wish, outlet, answered }) => {
                self.subscribe(*wish, outlet, &answered, say);
            }
            Some(Command::Change { id, pending }) => self.change(&id, pending, say),
            Some(Command::CaughtUp(id)) => {
                if let Some(standing) = self.standing.get_mut(&id) {
                    standing.catch_up(say);
                }
            }
            Some(Command::Publish { publish, answered }) => {
                self.request(answered, say, |id| publish.said(id));
            }
            Some(Command::Ping(answered)) => {
                self.request(answered, say, |id| json!({"type": "ping", "id": id}).to_string());
            }
        }
        None
    }

    fn subscribe(
        &mut self,
        wish: Wish,
        outlet: Outlet,
        answered: &Answered<String>,
        say: &mut Vec<String>,
    ) {
        // Clients that want the same call it the same then, and a server writes what it tells them once for all.
        let free =
            || (1..).map(|number| format!("s{number}")).find(|id| !self.standing.contains_key(id));
        let id = wish.id.clone().or_else(free).unwrap_or_default();
        if self.standing.contains_key(&id) {
            let error = ClientError::new(
                "duplicate_id",
                format!("a subscription with the id {id:?} is there already"),
            );
            answered.try_send(Err(error)).ok();
            return;
        }
        let mut standing = Standing::new(id.clone(), wish, outlet);
        if let Some(epoch) = &self.epoch {
            standing.begin(epoch, say);
        }
        self.standing.insert(id.clone(), standing);
        answered.try_send(Ok(id)).ok();
    }

    fn change(&mut self, id: &str, pending: Pending, say: &mut Vec<String>) {
        let Some(standing) = self.standing.get_mut(id) else {
            let outcome = match pending.changes {
                None => Ok(()),
                Some(_) => Err(ClientError::new("unsubscribed", "the subscription has ended")),
            };
            pending.answered.try_send(outcome).ok();
            return;
        };
        if !standing.ask(pending, say) {
            self.end_one(id, None);
        }
    }

    /// Asks something that is answered, now or with the next connection.
    fn request(
        &mut self,
        answered: Answered<Answer>,
        say: &mut Vec<String>,
        said: impl FnOnce(u64) -> String,
    ) {
        if self.requests.answers.len() >= REQUESTS_MAX {
            let full =
                ClientError::new("queue_full", format!("{REQUESTS_MAX} requests wait already"));
            answered.try_send(Err(full)).ok();
            return;
        }
        let id = self.new_request(answered);
        let text = said(id);
        if self.epoch.is_some() {
            say.push(text);
        } else {
            self.requests.unsent.push_back((id, text));
        }
    }

    /// The id of a request that is about to be made.
    pub(super) fn new_request(&mut self, answered: Answered<Answer>) -> u64 {
        self.requests.last_id += 1;
        self.requests.answers.insert(self.requests.last_id, answered);
        self.requests.last_id
    }

    /// The server is there, and knows who the client is.
    pub(super) fn open(&mut self, epoch: String) -> Vec<String> {
        self.tell_state(&State::Open { epoch: epoch.clone() });
        let mut say = Vec::new();
        for standing in self.standing.values_mut() {
            standing.begin(&epoch, &mut say);
        }
        say.extend(self.requests.unsent.drain(..).map(|(_, text)| text));
        for opener in self.openers.drain(..) {
            opener.try_send(Ok(epoch.clone())).ok();
        }
        self.epoch = Some(epoch);
        say
    }

    /// A connection has lasted.
    pub(super) fn steady(&mut self) {
        self.backoff.reset();
    }

    /// Takes a message that is not the talk's own.
    pub(super) fn hear(
        &mut self,
        message: Message<'_>,
        say: &mut Vec<String>,
    ) -> Result<(), NotProtocol> {
        match message {
            Message::Told(told) => {
                for told in &told {
                    for id in told.subs()? {
                        if let Some((id, standing)) = self.named(&id) {
                            standing.tell(told, say)?;
                            let is_abandoned = standing.is_abandoned();
                            self.end_if(&id, is_abandoned, say);
                        }
                    }
                }
            }
            Message::Agreed { id } => self.with(&id, Standing::agreed),
            Message::Live { id, position, replayed } => {
                self.with(&id, |it| it.live(position, replayed));
            }
            Message::Updated { id } => {
                if let Some((id, standing)) = self.named(&id) {
                    standing.updated();
                    let is_abandoned = standing.is_abandoned();
                    self.end_if(&id, is_abandoned, say);
                }
            }
            Message::Ended { id, reason } => {
                if let Some((id, standing)) = self.named(&id)
                    && !standing.ended(say)
                {
                    let why = "the new token does not cover the subscription";
                    self.end_one(&id, reason.map(|reason| ClientError::new(&reason, why)).as_ref());
                }
            }
            Message::Answer { id, answer } => self.settle(id.as_ref(), Ok(answer)),
            Message::Error { id, error } => self.object(id.as_ref(), error),
            Message::Reconnect { after_ms } => self.advice = Some(Duration::from_millis(after_ms)),
            Message::Welcome { .. } | Message::TokenExpiring | Message::Other => {}
        }
        Ok(())
    }

    fn named(&mut self, id: &Id) -> Option<(String, &mut Standing)> {
        let Id::Text(id) = id else { return None };
        Some((id.clone(), self.standing.get_mut(id)?))
    }

    fn with(&mut self, id: &Id, act: impl FnOnce(&mut Standing)) {
        if let Some((_, standing)) = self.named(id) {
            act(standing);
        }
    }

    /// Ends a subscription that nobody reads any more.
    fn end_if(&mut self, id: &str, is_abandoned: bool, say: &mut Vec<String>) {
        if is_abandoned {
            say.push(json!({"type": "unsubscribe", "id": id}).to_string());
            self.end_one(id, None);
        }
    }

    fn end_one(&mut self, id: &str, error: Option<&ClientError>) {
        if let Some(standing) = self.standing.remove(id) {
            standing.end(error);
        }
    }

    fn settle(&mut self, id: Option<&Id>, outcome: Result<Answer, ClientError>) {
        if let Some(Id::Number(id)) = id
            && let Some(answered) = self.requests.answers.remove(id)
        {
            answered.try_send(outcome).ok();
        }
    }

    fn object(&mut self, id: Option<&Id>, error: ClientError) {
        match id {
            Some(Id::Number(number)) if self.requests.answers.contains_key(number) => {
                self.settle(id, Err(error));
            }
            Some(Id::Text(name)) if self.standing.contains_key(name) => {
                let is_update = self.standing.get_mut(name).is_some_and(|it| it.refused(&error));
                if !is_update {
                    self.end_one(name, Some(&error));
                }
            }
            _ => (self.options.on_error)(&error),
        }
    }

    /// The connection is lost.
    pub(super) fn lose(&mut self, lost: &Lost) {
        self.epoch = None;
        let why =
            format!("the connection was lost ({} {}) before the answer", lost.code, lost.reason);
        let error = ClientError::new("connection_lost", why);
        let unsent: Vec<u64> = self.requests.unsent.iter().map(|(id, _)| *id).collect();
        for (_, answered) in self.requests.answers.extract_if(|id, _| !unsent.contains(id)) {
            answered.try_send(Err(error.clone())).ok();
        }
        let ended: Vec<String> = (self.standing.iter_mut())
            .filter_map(|(id, standing)| (!standing.lose()).then(|| id.clone()))
            .collect();
        ended.iter().for_each(|id| self.end_one(id, None));
    }

    /// Nobody waits any longer.
    pub(super) fn end(&mut self, error: Option<&ClientError>) {
        let told = error.cloned().unwrap_or_else(ClientError::closed);
        for (_, answered) in self.requests.answers.drain() {
            answered.try_send(Err(told.clone())).ok();
        }
        for opener in self.openers.drain(..) {
            opener.try_send(Err(told.clone())).ok();
        }
        for (_, standing) in std::mem::take(&mut self.standing) {
            standing.end(error);
        }
    }

    /// The application closes the client.
    pub(super) fn close(mut self, answered: Option<Answered<()>>) {
        self.end(None);
        let lost = Lost { cause: Cause::Closed, code: 1000, reason: String::new() };
        self.tell_state(&State::Closed { lost });
        if let Some(answered) = answered {
            answered.try_send(Ok(())).ok();
        }
    }

    /// Tells the application.
    pub(super) fn tell_state(&mut self, state: &State) {
        (self.options.on_state)(state);
    }

    /// Whether there may be another token than the last.
    pub(super) const fn has_other_tokens(&self) -> bool {
        matches!(self.options.token, Some(Token::Fetched(_)))
    }
}
