//! One standing wish, as the connection sees it: what it asks for, how far it has come, and what waits to be read of it.
//!
//! It outlives connections: with each new one it asks anew for what follows its position. Invariant: what is put into its queue is in order and each once. Of
//! what is not read `QUEUE_MAX` wait; then it ends on the server, as if its connection alone were lost, and goes on once half of that has been read. Answers
//! come in the order of the requests. Pure: says what is to be said, and never waits.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::OnceLock;

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::client::limits::GAPS_MAX;
use crate::client::limits::QUEUE_MAX;
use crate::client::limits::QUEUE_MOVES_MAX;
use crate::client::message::ClientError;
use crate::client::message::NotProtocol;
use crate::client::message::RawTold;
use crate::client::position::Position;
use crate::client::position::Progress;
use crate::client::position::Since;
use crate::client::told::Gap;
use crate::client::told::Live;
use crate::client::told::Told;
use crate::client::wish::Wish;

/// Members of `update` that are about the past: where to begin, and at which pace it is told.
const TIMES: [&str; 4] = ["since", "speed", "play_from", "max_gap_ms"];

/// How somebody who asked is answered.
pub(super) type Answered<T> = flume::Sender<Result<T, ClientError>>;

/// What waits to be read, and what it does to the reader's position.
#[derive(Debug)]
pub(super) enum Item {
    /// A connection of this epoch asks for what follows.
    Began(String),
    /// An event or a gap that ends at an offset of a topic.
    Told {
        told: Told,
        topic: String,
        offset: u64,
    },
    Skipped(Told),
    Live {
        live: Live,
        position: Position,
    },
    /// The subscription goes on at another place in time.
    Moved {
        since: Since,
        epoch: String,
    },
    FilterChanged,
}

/// What an update or the end of the subscription waits for. No changes: the end.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) changes: Option<Map<String, Value>>,
    pub(super) answered: Answered<()>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// There is no connection, or the reader is behind.
    Waiting,
    Replaying,
    Live,
}

/// The queue's writing end, and what is told at its end.
#[derive(Debug)]
pub(super) struct Outlet {
    pub(super) queue: flume::Sender<Item>,
    pub(super) ended: Arc<OnceLock<ClientError>>,
    pub(super) agreed: Option<Answered<()>>,
}

/// One standing wish.
#[derive(Debug)]
pub(super) struct Standing {
    id: String,
    options: Map<String, Value>,
    /// While the past is told at a pace.
    playback: Option<Map<String, Value>>,
    progress: Progress,
    outlet: Outlet,
    pending: VecDeque<Pending>,
    stage: Stage,
    /// Of the connection, if there is one.
    epoch: Option<String>,
    /// The server has agreed on this connection.
    is_agreed: bool,
    is_behind: bool,
    /// The subscription was ended on the server because its reader is behind, and the server has not answered yet.
    is_ending: bool,
    /// What was told to be missing since it was last live.
    gaps: Vec<Gap>,
}

/// How a queue of this kind is made.
pub(super) fn queue() -> (flume::Sender<Item>, flume::Receiver<Item>) {
    flume::bounded(QUEUE_MAX + QUEUE_MOVES_MAX)
}

/// Whether a reader who has left so much unread may be told more.
pub(super) const fn has_caught_up(unread: usize) -> bool {
    unread <= QUEUE_MAX / 2
}

/// Whether that is so since the last item was taken out.
pub(super) const fn has_just_caught_up(unread: usize) -> bool {
    unread == QUEUE_MAX / 2
}

impl Standing {
    pub(super) fn new(id: String, wish: Wish, outlet: Outlet) -> Self {
        let mut options = wish.options;
        let mut times = Map::new();
        for name in TIMES {
            times.extend(options.remove(name).map(|value| (name.to_owned(), value)));
        }
        Self {
            id,
            options,
            playback: times.contains_key("speed").then_some(times),
            progress: Progress::new(wish.since),
            outlet,
            pending: VecDeque::new(),
            stage: Stage::Waiting,
            epoch: None,
            is_agreed: false,
            is_behind: false,
            is_ending: false,
            gaps: Vec::new(),
        }
    }

    /// There is a connection: asks for what follows the position, then for what was asked meanwhile.
    pub(super) fn begin(&mut self, epoch: &str, say: &mut Vec<String>) {
        self.epoch = Some(epoch.to_owned());
        self.is_ending = false;
        self.is_behind = !has_caught_up(self.outlet.queue.len());
        if self.is_behind {
            return;
        }
        let since = self.progress.begin(epoch);
        self.put(Item::Began(epoch.to_owned()));
        self.stage = Stage::Replaying;
        self.is_agreed = false;
        let mut said = self.options.clone();
        said.insert("type".to_owned(), "subscribe".into());
        said.insert("id".to_owned(), self.id.clone().into());
        if since != Since::Live {
            said.insert("since".to_owned(), json!(since));
        }
        said.extend(
            self.playback.iter().flatten().map(|(name, value)| (name.clone(), value.clone())),
        );
        say.push(Value::from(said).to_string());
        let pending = self.pending.iter().filter_map(|pending| pending.changes.as_ref());
        say.extend(pending.map(|changes| self.update_of(changes)));
    }

    /// The connection is lost. An update that was not answered is made again with the next; the end of a subscription needs no answer. False: it has ended.
    pub(super) fn lose(&mut self) -> bool {
        self.stage = Stage::Waiting;
        self.epoch = None;
        self.is_ending = false;
        self.pending.iter().all(|pending| pending.changes.is_some())
    }

    /// Changes options, or ends it. Answers what is to be said now, if there is a connection; false: it has ended already.
    pub(super) fn ask(&mut self, pending: Pending, say: &mut Vec<String>) -> bool {
        let is_waiting = self.stage == Stage::Waiting;
        if is_waiting && pending.changes.is_none() {
            pending.answered.try_send(Ok(())).ok();
            return false;
        }
        if !is_waiting {
            say.push(match &pending.changes {
                Some(changes) => self.update_of(changes),
                None => self.unsubscribe(),
            });
        }
        self.pending.push_back(pending);
        true
    }

    fn update_of(&self, changes: &Map<String, Value>) -> String {
        let mut said = changes.clone();
        said.insert("type".to_owned(), "update".into());
        said.insert("id".to_owned(), self.id.clone().into());
        Value::from(said).to_string()
    }

    fn unsubscribe(&self) -> String {
        json!({"type": "unsubscribe", "id": self.id}).to_string()
    }

    /// The end: whoever waits is told, and whoever reads once he has read the rest.
    pub(super) fn end(mut self, error: Option<&ClientError>) {
        let unsubscribed = || ClientError::new("unsubscribed", "the subscription has ended");
        if let Some(error) = error {
            self.outlet.ended.set(error.clone()).ok();
        }
        if let Some(agreed) = self.outlet.agreed.take() {
            agreed.try_send(Err(error.cloned().unwrap_or_else(unsubscribed))).ok();
        }
        for Pending { changes, answered } in self.pending.drain(..) {
            let outcome = match changes {
                None => Ok(()),
                Some(_) => Err(error.cloned().unwrap_or_else(unsubscribed)),
            };
            answered.try_send(outcome).ok();
        }
    }

    /// Takes an event, gap or skipped.
    pub(super) fn tell(
        &mut self,
        heard: &RawTold<'_>,
        say: &mut Vec<String>,
    ) -> Result<(), NotProtocol> {
        if self.is_behind || !self.has_room(say) {
            return Ok(());
        }
        let told = heard.value()?;
        if matches!(told, Told::Skipped(_)) {
            self.put(Item::Skipped(told));
            return Ok(());
        }
        let (topic, offset) = (heard.topic.clone().into_owned(), heard.offset);
        if self.progress.has_seen(&topic, offset) {
            return Ok(());
        }
        if let Told::Gap(gap) = &told
            && self.stage != Stage::Live
            && self.gaps.len() < GAPS_MAX
        {
            self.gaps.push(gap.clone());
        }
        self.progress.printed(&topic, offset);
        self.put(Item::Told { told, topic, offset });
        Ok(())
    }

    /// Whether there is room for what the server tells; if not, it ends there until there is. One that ends by the application's wish is not begun again.
    fn has_room(&mut self, say: &mut Vec<String>) -> bool {
        if self.outlet.queue.len() < QUEUE_MAX {
            return true;
        }
        if self.pending.iter().all(|pending| pending.changes.is_some()) {
            say.push(self.unsubscribe());
            self.is_behind = true;
            self.is_ending = true;
            self.stage = Stage::Waiting;
        }
        false
    }

    /// The reader may have caught up.
    pub(super) fn catch_up(&mut self, say: &mut Vec<String>) {
        if !self.is_behind || self.is_ending || !has_caught_up(self.outlet.queue.len()) {
            return;
        }
        match self.epoch.clone() {
            Some(epoch) => self.begin(&epoch, say),
            None => self.is_behind = false,
        }
    }

    pub(super) fn agreed(&mut self) {
        self.is_agreed = true;
        if let Some(agreed) = self.outlet.agreed.take() {
            agreed.try_send(Ok(())).ok();
        }
    }

    pub(super) fn live(&mut self, position: Position, replayed: u64) {
        if self.is_behind {
            return;
        }
        self.progress.live(position.clone());
        self.playback = None;
        self.stage = Stage::Live;
        let gaps = std::mem::take(&mut self.gaps);
        self.put(Item::Live { live: Live { gaps, replayed }, position });
    }

    /// The server says that it has ended. False: and so it has.
    pub(super) fn ended(&mut self, say: &mut Vec<String>) -> bool {
        if self.is_ending {
            self.is_ending = false;
            self.catch_up(say);
            return true;
        }
        // What was said of another one with this id comes before anything is agreed to.
        !self.is_agreed
    }

    /// The server has agreed to an update.
    pub(super) fn updated(&mut self) {
        let Some(Pending { changes, answered }) = self.pending.pop_front() else { return };
        self.merge(changes.unwrap_or_default());
        answered.try_send(Ok(())).ok();
    }

    /// The server refuses an update, or the subscription itself; false: then it has ended. Answers come in the order of the requests: while there is an
    /// update under way, the subscription itself was agreed to.
    pub(super) fn refused(&mut self, error: &ClientError) -> bool {
        let Some(pending) = self.pending.pop_front_if(|_| self.is_agreed) else { return false };
        pending.answered.try_send(Err(error.clone())).ok();
        true
    }

    fn merge(&mut self, mut changes: Map<String, Value>) {
        let mut times = Map::new();
        for name in TIMES {
            times.extend(changes.remove(name).map(|value| (name.to_owned(), value)));
        }
        if let Some(since) = times.get("since") {
            self.go_to(since.clone(), times.get("play_from").cloned());
        }
        let is_last = times.get("since").is_some_and(|since| since == "last");
        match times.get("speed") {
            _ if is_last => self.playback = None,
            Some(Value::Null) => self.playback = None,
            Some(speed) => {
                let playback = self.playback.get_or_insert_default();
                if let Some(play_from) = times.get("play_from") {
                    playback.entry("play_from").or_insert_with(|| play_from.clone());
                }
                playback.insert("speed".to_owned(), speed.clone());
            }
            None => {}
        }
        if let (Some(playback), Some(gap)) = (&mut self.playback, times.remove("max_gap_ms")) {
            set(playback, "max_gap_ms", gap);
        }
        if changes.contains_key("filter") && self.options.get("leave") == Some(&Value::Bool(true)) {
            self.progress.filter_changed();
            self.put(Item::FilterChanged);
        }
        for (name, value) in changes {
            set(&mut self.options, &name, value);
        }
    }

    /// The subscription goes on at another place in time; what it was told before counts no longer.
    fn go_to(&mut self, since: Value, play_from: Option<Value>) {
        let since = match since.as_str().map(Since::parse) {
            Some(Ok(since)) => since,
            _ => serde_json::from_value(since).unwrap_or_default(),
        };
        let epoch = self.epoch.clone().unwrap_or_default();
        self.progress = Progress::new(since.clone());
        self.progress.begin(&epoch);
        self.stage = Stage::Replaying;
        self.gaps.clear();
        self.put(Item::Moved { since, epoch });
        if let Some(playback) = &mut self.playback {
            set(playback, "play_from", play_from.unwrap_or(Value::Null));
        }
    }

    /// There is always room for what the server tells, as `has_room` was asked, and for as many moves as may wait. Who is not there any more is told nothing.
    fn put(&mut self, item: Item) {
        if let Err(flume::TrySendError::Full(_)) = self.outlet.queue.try_send(item) {
            let full = ClientError::new(
                "queue_full",
                "nothing is read of the subscription, and much is changed of it",
            );
            self.outlet.ended.set(full).ok();
        }
    }

    /// Whether nobody can read it any more.
    pub(super) fn is_abandoned(&self) -> bool {
        self.outlet.queue.is_disconnected() || self.outlet.ended.get().is_some()
    }
}

/// Sets an option; null takes it away.
fn set(options: &mut Map<String, Value>, name: &str, value: Value) {
    if value.is_null() {
        options.remove(name);
    } else {
        options.insert(name.to_owned(), value);
    }
}

#[cfg(test)]
mod tests;
