//! Runs of events that have their places, lie with the store, and that nobody has heard of yet.
//!
//! Invariants: a run leaves the line when it is stored or refused, in order; a topic's next offset follows on the newest in the line. Bounded by
//! `STORE_LINE_EVENTS_MAX` and `STORE_LINE_BYTES_MAX`, but for one run. Never sends anything.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::sync::Arc;

use super::super::input::Address;
use super::super::input::weight_of;
use super::super::publish::PublishResult;
use crate::event::Ack;
use crate::event::Event;
use crate::event::TopicKey;
use crate::event::TopicName;
use crate::limits::STORE_LINE_BYTES_MAX;
use crate::limits::STORE_LINE_EVENTS_MAX;

/// Whoever is to be told what became of a run.
#[derive(Debug)]
pub(in super::super) struct Asker {
    pub(in super::super) publisher: Address,
    pub(in super::super) results: Vec<PublishResult>,
    pub(in super::super) ack: Ack,
}

/// Events that the store keeps or refuses together.
#[derive(Debug)]
pub(super) struct StoreRun {
    pub(super) number: u64,
    pub(super) events: Vec<Arc<Event>>,
    /// Who is to be answered; `None`: that was done already, or nobody asked.
    pub(super) asker: Option<Asker>,
    /// When the run was handed to the store, in milliseconds since the start.
    pub(super) since_ms: u64,
}

type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// The runs of a durable home, oldest first.
#[derive(Debug, Default)]
pub(super) struct Line {
    runs: VecDeque<StoreRun>,
    /// Of each topic with events in the line its name as they share it, its newest offset, and the run that has it.
    newest: Map<TopicName, (TopicName, u64, u64)>,
    /// Of each key the newest event in the line, and its run.
    keys: Map<TopicKey, (Arc<Event>, u64)>,
    events: usize,
    bytes: usize,
}

impl Line {
    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    pub(super) fn has_room(&self) -> bool {
        self.events < STORE_LINE_EVENTS_MAX && self.bytes < STORE_LINE_BYTES_MAX
    }

    /// When the oldest run was handed to the store.
    pub(super) fn oldest_ms(&self) -> Option<u64> {
        self.runs.front().map(|run| run.since_ms)
    }

    /// The stamp of the oldest event.
    pub(super) fn first_us(&self) -> Option<u64> {
        self.runs.front()?.events.first().map(|event| event.time_us)
    }

    /// Topics with events in the line.
    pub(super) fn topic_count(&self) -> usize {
        self.newest.len()
    }

    /// A topic's name, as its events share it, and its newest offset, if the line has any of it.
    pub(super) fn newest_of(&self, topic: &TopicName) -> Option<(TopicName, u64)> {
        self.newest.get(topic).map(|(name, offset, _)| (name.clone(), *offset))
    }

    /// The newest event of a key, if the line has any of it.
    pub(super) fn newest_of_key(&self, topic: &TopicName, key: &Arc<str>) -> Option<&Arc<Event>> {
        self.keys.get(&(topic.clone(), Arc::clone(key))).map(|(event, _)| event)
    }

    /// An event was ordered that belongs to the run that is made now.
    pub(super) fn note(&mut self, event: &Arc<Event>, run: u64) {
        self.newest.insert(event.topic.clone(), (event.topic.clone(), event.offset, run));
        if !event.key.is_empty() {
            let key = event.topic_key();
            self.keys.insert(key, (Arc::clone(event), run));
        }
    }

    /// A run is handed to the store.
    pub(super) fn push(&mut self, run: StoreRun) {
        self.events += run.events.len();
        self.bytes += weight_of(&run.events);
        self.runs.push_back(run);
    }

    /// The next run of those up to a number. `befores`: what the store knew of keys that the home did not know any more, by the stamps of the deletes; they are taken from it.
    pub(super) fn pop_stored(
        &mut self,
        upto: u64,
        befores: &mut VecDeque<(u64, Arc<Event>)>,
    ) -> Option<StoreRun> {
        let mut run = self.runs.pop_front_if(|run| run.number <= upto)?;
        self.events -= run.events.len();
        self.bytes -= weight_of(&run.events);
        for event in &mut run.events {
            if let Some((_, before)) = befores.pop_front_if(|(of_us, _)| *of_us == event.time_us) {
                *event = Arc::new(Event { before: Some(before), ..Event::clone(event) });
            }
        }
        for event in &run.events {
            if self.newest.get(&event.topic).is_some_and(|(_, _, of)| *of <= run.number) {
                self.newest.remove(&event.topic);
            }
            if !event.key.is_empty() {
                let key = event.topic_key();
                if self.keys.get(&key).is_some_and(|(_, of)| *of <= run.number) {
                    self.keys.remove(&key);
                }
            }
        }
        Some(run)
    }

    /// Takes out every run, since none of them will be stored.
    pub(super) fn refuse(&mut self) -> impl Iterator<Item = StoreRun> + use<> {
        let line = std::mem::take(self);
        line.runs.into_iter()
    }

    /// Takes the askers of runs that were handed to the store before a moment: the askers wait no longer, the runs do.
    pub(super) fn take_late(&mut self, before_ms: u64) -> Vec<Asker> {
        let late = self.runs.iter_mut().take_while(|run| run.since_ms < before_ms);
        late.filter_map(|run| run.asker.take()).collect()
    }
}
