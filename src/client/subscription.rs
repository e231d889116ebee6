//! A client's handles: the client itself, and what is read of a subscription.
//!
//! Both ask the client's one task and are told by it; neither has a connection of its own.

use std::fmt;
use std::sync::Arc;
use std::sync::OnceLock;

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::client::driver::Command;
use crate::client::driver::Driver;
use crate::client::limits::COMMANDS_MAX;
use crate::client::message::Answer;
use crate::client::message::ClientError;
use crate::client::position::Position;
use crate::client::position::Progress;
use crate::client::position::Since;
use crate::client::standing;
use crate::client::standing::Answered;
use crate::client::standing::Item;
use crate::client::standing::Outlet;
use crate::client::standing::Pending;
use crate::client::told::Published;
use crate::client::told::Told;
use crate::client::wish::Options;
use crate::client::wish::Publish;
use crate::client::wish::Wish;

/// One server. Connects, and connects again whenever the connection is lost, until it is closed or its last clone is gone.
#[derive(Clone)]
pub struct Client {
    commands: flume::Sender<Command>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

impl Client {
    /// Connects, by a task of the `tokio` runtime in which this is called.
    #[must_use]
    pub fn connect(options: Options) -> Self {
        let (commands, to_driver) = flume::bounded(COMMANDS_MAX);
        tokio::spawn(Driver::new(options, to_driver).run());
        Self { commands }
    }

    /// Waits until the connection stands for the first time; answers the server's epoch.
    ///
    /// # Errors
    /// If the client is closed before, by the server or otherwise.
    pub async fn opened(&self) -> Result<String, ClientError> {
        self.ask(Command::Open).await
    }

    /// Subscribes. Whether the server agrees is told by [`Subscription::ready`], and by its end.
    ///
    /// # Errors
    /// If its id is in use, or the client is closed.
    pub async fn subscribe(&self, wish: Wish) -> Result<Subscription, ClientError> {
        let (queue, items) = standing::queue();
        let ended = Arc::new(OnceLock::new());
        let (agreed, ready) = flume::bounded(1);
        let outlet = Outlet { queue, ended: Arc::clone(&ended), agreed: Some(agreed) };
        let progress = Progress::new(wish.since.clone());
        let wish = Box::new(wish);
        let id = self.ask(|answered| Command::Subscribe { wish, outlet, answered }).await?;
        let client = self.clone();
        Ok(Subscription { id, items, ended, ready, progress, has_caught_up: false, client })
    }

    /// Publishes one event; answers once it has its place in the topic. It is never repeated: if the connection is lost before the answer, the code is
    /// `connection_lost`, and the event may have been taken or not.
    ///
    /// # Errors
    /// What the server says, or why there is no answer.
    pub async fn publish(&self, publish: Publish) -> Result<Published, ClientError> {
        let publish = Box::new(publish);
        let answer = self.ask(|answered| Command::Publish { publish, answered }).await?;
        let Answer { topic, epoch, offset, time_us } = answer;
        Ok(Published { topic, epoch, offset, time_us })
    }

    /// The server's time, in microseconds since 1970.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn ping(&self) -> Result<u64, ClientError> {
        Ok(self.ask(Command::Ping).await?.time_us)
    }

    /// Ends the connection for good. What is still unanswered fails with `closed`, and subscriptions end.
    pub async fn close(&self) {
        // Who is closed already cannot be asked.
        self.ask(Command::Close).await.ok();
    }

    async fn ask<T>(&self, command: impl FnOnce(Answered<T>) -> Command) -> Result<T, ClientError> {
        let (answered, answer) = flume::bounded(1);
        let asked = self.commands.send_async(command(answered)).await;
        asked.map_err(|_| ClientError::closed())?;
        answer.recv_async().await.unwrap_or_else(|_| Err(ClientError::closed()))
    }
}

/// What a client subscribed to. Ends on the server when it is dropped.
pub struct Subscription {
    id: String,
    items: flume::Receiver<Item>,
    ended: Arc<OnceLock<ClientError>>,
    ready: flume::Receiver<Result<(), ClientError>>,
    /// How far what was read has come.
    progress: Progress,
    /// The client is to be told that there is room again.
    has_caught_up: bool,
    client: Client,
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Changes a subscription while it is read elsewhere.
#[derive(Clone, Debug)]
pub struct Control {
    id: String,
    client: Client,
}

impl Subscription {
    /// What it is called.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What changes and ends it from elsewhere.
    #[must_use]
    pub fn control(&self) -> Control {
        Control { id: self.id.clone(), client: self.client.clone() }
    }

    /// Waits until the server has agreed; to be asked once.
    ///
    /// # Errors
    /// What the server says if it does not agree.
    pub async fn ready(&self) -> Result<(), ClientError> {
        self.ready.recv_async().await.unwrap_or(Ok(()))
    }

    /// The next that it is told, in order and once; nothing: it has ended because the application said so. Nothing is lost if this is dropped before it answers.
    ///
    /// # Errors
    /// Why it has ended otherwise; said once.
    pub async fn next(&mut self) -> Option<Result<Told, ClientError>> {
        loop {
            if self.has_caught_up {
                self.client.commands.send_async(Command::CaughtUp(self.id.clone())).await.ok();
                self.has_caught_up = false;
            }
            let Ok(item) = self.items.recv_async().await else { break };
            self.has_caught_up |= standing::has_just_caught_up(self.items.len());
            if let Some(told) = self.step(item) {
                return Some(Ok(told));
            }
        }
        // Whoever asks again is told that it has ended.
        let ended = std::mem::take(&mut self.ended);
        ended.get().cloned().map(Err)
    }

    fn step(&mut self, item: Item) -> Option<Told> {
        match item {
            Item::Began(epoch) => drop(self.progress.begin(&epoch)),
            Item::Moved { since, epoch } => {
                self.progress = Progress::new(since);
                self.progress.begin(&epoch);
            }
            Item::FilterChanged => self.progress.filter_changed(),
            Item::Skipped(told) => return Some(told),
            Item::Told { told, topic, offset } => {
                self.progress.printed(&topic, offset);
                return Some(told);
            }
            Item::Live { live, position } => {
                self.progress.live(position);
                return Some(Told::Live(live));
            }
        }
        None
    }

    /// Where what was read stands, to be kept and handed in as [`Since::Position`] another day; nowhere before the first replay has been read.
    #[must_use]
    pub const fn position(&self) -> Option<&Position> {
        self.progress.position()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        // Not answered, as nobody asks; if so much is asked already that there is no room, the next event for it ends it.
        let (answered, _) = flume::bounded(1);
        let pending = Pending { changes: None, answered };
        self.client.commands.try_send(Command::Change { id: self.id.clone(), pending }).ok();
    }
}

impl Control {
    /// Changes options from here on; null takes one away. Nothing is lost or told twice. Answers once the server has agreed.
    ///
    /// # Errors
    /// What the server says; then it goes on as it was.
    pub async fn update(&self, changes: Map<String, Value>) -> Result<(), ClientError> {
        self.ask(Some(changes)).await
    }

    /// Goes to another place in time, at this multiple of its pace if one is given, and else at the one that it has. What was told before counts no longer.
    ///
    /// # Errors
    /// What the server says; then it goes on as it was.
    pub async fn seek(&self, since: &Since, speed: Option<f64>) -> Result<(), ClientError> {
        let mut changes = Map::from_iter([("since".to_owned(), json!(since))]);
        changes.extend(speed.map(|speed| ("speed".to_owned(), speed.into())));
        self.update(changes).await
    }

    /// Ends it; answers when no further event can come.
    ///
    /// # Errors
    /// If the client is closed already.
    pub async fn unsubscribe(&self) -> Result<(), ClientError> {
        self.ask(None).await
    }

    async fn ask(&self, changes: Option<Map<String, Value>>) -> Result<(), ClientError> {
        let id = self.id.clone();
        let change = |answered| Command::Change { id, pending: Pending { changes, answered } };
        self.client.ask(change).await
    }
}
