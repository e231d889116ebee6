//! A store in virtual time that keeps events in a list: what `history::asks` asks of one, word for word and as slowly as can be. It may be late, refuse,
//! fail, answer pages in another order, let go of what is old, or be gone.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use fanwire::clock::Now;
use fanwire::event::Event;
use fanwire::event::Op;
use fanwire::event::ShardId;
use fanwire::event::TopicName;
use fanwire::event::home_of;
use fanwire::history::Start;
use fanwire::history::asks::Answer;
use fanwire::history::asks::Append;
use fanwire::history::asks::Ask;
use fanwire::history::asks::Fault;
use fanwire::history::asks::Lost;
use fanwire::history::asks::NotNoted;
use fanwire::history::asks::NoteAsk;
use fanwire::history::asks::PageAnswer;
use fanwire::history::asks::PageAsk;
use fanwire::history::asks::Refusal;
use fanwire::history::asks::Restored;
use fanwire::history::asks::RestoredTopic;
use fanwire::history::asks::SessionAsk;
use fanwire::history::asks::Stretch;
use fanwire::history::asks::Why;
use fanwire::history::log::Note;
use fanwire::history::log::SessionRecord;
use fanwire::shard::Mesh;
use fanwire::shard::PartyId;

/// What is on its disk, and outlives it.
#[derive(Debug, Default)]
pub struct Kept {
    /// In the order in which they were stored.
    pub events: Vec<Arc<Event>>,
    /// What it let go of, or cannot read, of each topic: offset before, last offset, last stamp.
    pub lost: BTreeMap<TopicName, Vec<(u64, u64, u64, Why)>>,
    /// Offsets that may have been seen beyond the newest event of every topic.
    pub ahead: u64,
    /// What its ledger remembers.
    pub notes: Vec<Note>,
    /// What clients go on from.
    pub sessions: BTreeMap<Box<str>, Box<[u8]>>,
}

/// How it goes about it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ways {
    /// At most so long does it take to store a run, in milliseconds.
    pub store_ms: usize,
    /// At most so much longer does it take to sync.
    pub sync_ms: usize,
    /// At most so long for a page; pages overtake one another.
    pub page_ms: usize,
    /// One run in so many is refused; 0: none.
    pub refuses_one_in: usize,
    /// One page in so many fails; 0: none.
    pub fails_one_in: usize,
    /// One page in so many is never answered.
    pub forgets_one_in: usize,
    /// A page ends after so many events at most.
    pub page_events_max: usize,
    /// Why it keeps no notes, if it does not.
    pub notes_nothing: Option<NotNoted>,
    /// One session in so many finds no room; 0: none.
    pub unkept_one_in: usize,
    /// It looks for last events so many runs before it answers, and says so.
    pub lags: usize,
}

/// A number below the one given, by chance.
struct Chance(Box<dyn FnMut(usize) -> usize>);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        (self.0)(bound)
    }

    fn one_in(&mut self, times: usize) -> bool {
        times > 0 && self.below(times) == 0
    }
}

impl fmt::Debug for Chance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Chance")
    }
}

/// A store.
#[derive(Debug)]
pub struct Store {
    pub kept: Rc<RefCell<Kept>>,
    pub ways: Ways,
    chance: Chance,
    /// Answers, and when they are due: those about runs in order, pages in any.
    acks: Vec<(u64, PartyId, Answer)>,
    pages: Vec<(u64, PartyId, Answer)>,
    /// Of each shard the attempt whose runs are taken.
    attempts: BTreeMap<ShardId, u32>,
    /// Hears nothing and says nothing more.
    pub is_dead: bool,
    /// Takes nothing in for now: messages lie where they are.
    pub is_stuck: bool,
    pub page_count: usize,
}

impl Store {
    pub fn new(
        kept: Rc<RefCell<Kept>>,
        ways: Ways,
        chance: impl FnMut(usize) -> usize + 'static,
    ) -> Self {
        Self {
            kept,
            ways,
            chance: Chance(Box::new(chance)),
            acks: Vec::new(),
            pages: Vec::new(),
            attempts: BTreeMap::new(),
            is_dead: false,
            is_stuck: false,
            page_count: 0,
        }
    }

    pub fn hear(&mut self, message: Mesh, now: Now) {
        let Mesh::Store(ask) = message else { panic!("a store is asked, not told: {message:?}") };
        if self.is_dead {
            return;
        }
        match ask {
            Ask::Append(run) => self.append(&run, now),
            Ask::Page(ask) => self.page(&ask, now),
            Ask::Note(ask) => self.note(&ask, now),
            Ask::Session(ask) => self.session(*ask, now),
        }
    }

    fn append(&mut self, run: &Append, now: Now) {
        let attempt = self.attempts.entry(run.shard).or_default();
        if run.attempt < *attempt {
            return;
        }
        let to = PartyId::from(run.shard);
        let mut due_ms = now.mono_ms + self.chance.below(self.ways.store_ms + 1) as u64;
        due_ms = due_ms.max(self.acks.last().map_or(0, |(due_ms, ..)| *due_ms));
        let refuses = self.ways.refuses_one_in;
        if self.chance.one_in(refuses) {
            *attempt = run.attempt + 1;
            let (attempt, run, why) = (run.attempt, run.run, Refusal::Full);
            return self.acks.push((due_ms, to, Answer::Refused { attempt, run, why }));
        }
        let mut kept = self.kept.borrow_mut();
        let mut befores = Vec::new();
        for event in &run.events {
            let newest = kept.newest(&event.topic);
            assert_eq!(event.previous, newest.0, "an event names the one before: {event:?}");
            assert!(event.offset > newest.0, "no offset is given twice: {event:?}");
            let before = kept.before_of(event);
            let event = match &before {
                Some(before) => {
                    befores.push((event.time_us, Arc::clone(before)));
                    Arc::new(Event { before: Some(Arc::clone(before)), ..Event::clone(event) })
                }
                None => Arc::clone(event),
            };
            kept.events.push(event);
        }
        drop(kept);
        self.acks.push((due_ms, to, Answer::Stored { run: run.run, befores: befores.into() }));
        if run.wants_sync {
            let sync_ms = due_ms + self.chance.below(self.ways.sync_ms + 1) as u64;
            self.acks.push((sync_ms, to, Answer::Synced { run: run.run }));
        }
    }

    fn note(&mut self, ask: &NoteAsk, now: Now) {
        let due_ms = now.mono_ms + self.chance.below(self.ways.sync_ms + 1) as u64;
        let result = self.ways.notes_nothing.map_or(Ok(()), Err);
        if result.is_ok() {
            self.kept.borrow_mut().notes.push(ask.note.clone());
        }
        let answer = Answer::Noted { ticket: ask.ticket, result };
        self.pages.push((due_ms, PartyId::from(ask.shard), answer));
    }

    fn session(&mut self, ask: SessionAsk, now: Now) {
        let due_ms = now.mono_ms + self.chance.below(self.ways.sync_ms + 1) as u64;
        let unkept = self.ways.unkept_one_in;
        let SessionRecord { name, bytes } = ask.record;
        let is_kept = !self.chance.one_in(unkept);
        let result = if is_kept { Ok(()) } else { Err(NotNoted::DiskFull) };
        if is_kept {
            let sessions = &mut self.kept.borrow_mut().sessions;
            match bytes {
                Some(bytes) => drop(sessions.insert(name, bytes)),
                None => drop(sessions.remove(&name)),
            }
        }
        let answer = Answer::SessionKept { ticket: ask.ticket, result };
        self.pages.push((due_ms, PartyId::from(ask.shard), answer));
    }

    fn page(&mut self, ask: &PageAsk, now: Now) {
        self.page_count += 1;
        let forgets = self.ways.forgets_one_in;
        if self.chance.one_in(forgets) {
            return;
        }
        let fails = self.ways.fails_one_in;
        let result = if self.chance.one_in(fails) {
            Err(Fault::Failed)
        } else {
            let events_max = match self.ways.page_events_max {
                0 => usize::MAX,
                most => 1 + self.chance.below(most),
            };
            Ok(self.kept.borrow().read(ask, events_max, self.ways.lags))
        };
        let due_ms = now.mono_ms + self.chance.below(self.ways.page_ms + 1) as u64;
        let answer = Answer::Page(Box::new(PageAnswer { ticket: ask.ticket, result }));
        self.pages.push((due_ms, PartyId::from(ask.shard), answer));
    }

    /// What it says by now.
    pub fn answers(&mut self, now: Now) -> Vec<(PartyId, Mesh)> {
        if self.is_dead || self.is_stuck {
            return Vec::new();
        }
        let mut due = Vec::new();
        for answers in [&mut self.acks, &mut self.pages] {
            let (now_due, later) =
                answers.drain(..).partition(|(due_ms, ..)| *due_ms <= now.mono_ms);
            *answers = later;
            let mut now_due: Vec<(u64, PartyId, Answer)> = now_due;
            now_due.sort_by_key(|(due_ms, ..)| *due_ms);
            due.extend(now_due.into_iter().map(|(_, to, answer)| (to, Mesh::StoreSays(answer))));
        }
        due
    }

    /// It says to every shard that it has ended.
    pub fn close(&mut self, shard_count: u16) -> Vec<(PartyId, Mesh)> {
        self.is_dead = true;
        (0..shard_count).map(|shard| (PartyId(shard), Mesh::StoreSays(Answer::Closed))).collect()
    }
}

impl Kept {
    /// Of a delete whose home has forgotten the last event of its key this one.
    fn before_of(&self, event: &Event) -> Option<Arc<Event>> {
        let lacks = event.op == Op::Delete && event.before.is_none() && !event.key.is_empty();
        let of_key = |of: &&Arc<Event>| of.topic == event.topic && of.key == event.key;
        let last = self.events.iter().rev().find(of_key).filter(|_| lacks)?;
        (last.op != Op::Delete).then(|| Arc::new(Event { before: None, ..Event::clone(last) }))
    }

    /// A topic's newest offset and stamp, of those that are known.
    fn newest(&self, topic: &TopicName) -> (u64, u64) {
        let of = self.events.iter().rev().find(|event| event.topic == *topic);
        let lost = self.lost.get(topic).into_iter().flatten().map(|lost| (lost.1, lost.2));
        lost.chain(of.map(|event| (event.offset, event.time_us))).max().unwrap_or_default()
    }

    /// Lets go of the oldest so many events.
    pub fn let_go(&mut self, count: usize) {
        let gone: Vec<Arc<Event>> = self.events.drain(..count.min(self.events.len())).collect();
        for event in gone {
            let lost = self.lost.entry(event.topic.clone()).or_default();
            match lost.first_mut().filter(|floor| floor.3 == Why::Retention) {
                Some(floor) => (floor.1, floor.2) = (event.offset, event.time_us),
                None => lost.insert(0, (0, event.offset, event.time_us, Why::Retention)),
            }
            // What could not be read and would have gone by now has.
            lost.retain(|lost| lost.3 == Why::Retention || lost.1 > event.offset);
        }
    }

    /// Some event can no longer be read.
    pub fn rot(&mut self, index: usize) {
        let event = self.events.remove(index);
        let lost = self.lost.entry(event.topic.clone()).or_default();
        lost.push((event.previous, event.offset, event.time_us, Why::Corrupt));
        lost.sort_unstable_by_key(|lost| lost.1);
    }

    /// What a shard's home goes on from. `last_max`: as many last events of keys.
    pub fn restored(&self, shard: ShardId, shard_count: u16, last_max: usize) -> Restored {
        let is_here = |topic: &TopicName| home_of(topic, shard_count) == shard;
        let names = self.events.iter().map(|event| &event.topic).chain(self.lost.keys());
        let names: BTreeSet<&TopicName> = names.filter(|name| is_here(name)).collect();
        let topics = names.into_iter().map(|name| {
            let (newest, newest_us) = self.newest(name);
            RestoredTopic { topic: name.clone(), newest, ceiling: newest + self.ahead, newest_us }
        });
        let mut last: Vec<Arc<Event>> =
            self.last(u64::MAX).into_iter().filter(|event| is_here(&event.topic)).collect();
        let left = last.len().saturating_sub(last_max);
        let last_after_us = last[..left].last().map_or(0, |event| event.time_us);
        last.drain(..left);
        let stamps = self.events.iter().map(|event| event.time_us);
        let gone = self.lost.values().flatten().map(|lost| lost.2);
        let stamped_us = stamps.chain(gone).max().unwrap_or(0);
        let notes = self.notes.clone().into();
        let sessions = self.sessions.iter().map(|(name, bytes)| (name.clone(), bytes.clone()));
        let (topics, sessions) = (topics.collect(), sessions.collect());
        Restored { stamped_us, topics, ceiling: 0, last, last_after_us, notes, sessions }
    }

    /// The newest event of each key that is no delete, by stamp, as of a moment.
    fn last(&self, as_of_us: u64) -> Vec<Arc<Event>> {
        let mut last = BTreeMap::new();
        for event in self.events.iter().filter(|event| event.time_us <= as_of_us) {
            last.insert(event.topic_key(), Arc::clone(event));
        }
        let mut last: Vec<_> = last.into_values().filter(|event| event.op != Op::Delete).collect();
        last.sort_by_key(|event| event.time_us);
        last
    }

    fn read(&self, ask: &PageAsk, events_max: usize, lags: usize) -> Stretch {
        let is_asked = |topic: &TopicName| {
            home_of(topic, ask.shard_count) == ask.shard
                && ask.read.topics.iter().any(|pattern| pattern.matches(topic))
        };
        let newest_us = self.events.iter().rev().nth(lags).map_or(0, |event| event.time_us);
        let as_of_us = newest_us.max(ask.until_us);
        let mut events = self.belonging(ask, as_of_us);
        events.retain(|event| is_asked(&event.topic));
        events.retain(|event| event.time_us > ask.after_us && event.time_us <= ask.until_us);
        events.sort_by_key(|event| event.time_us);
        let mut stretch = Stretch { as_of_us, ..Stretch::default() };
        let mut bytes = 0;
        for event in events {
            let is_full = bytes >= ask.page_bytes || stretch.events.len() >= events_max;
            let last_us = stretch.events.last().map_or(0, |last: &Arc<Event>| last.time_us);
            if is_full && event.time_us > last_us {
                stretch.more_after_us = Some(last_us);
                break;
            }
            bytes += event.weight_bytes();
            let before = if ask.read.with_before { self.before(ask, &event) } else { None };
            let before = before.or_else(|| event.before.clone());
            stretch.events.push(Arc::new(Event { home: ask.home, before, ..Event::clone(&event) }));
        }
        let end_us = stretch.more_after_us.unwrap_or(ask.until_us);
        for (topic, lost) in self.lost.iter().filter(|(topic, _)| is_asked(topic)) {
            for (previous, last, last_us, why) in lost.iter().copied() {
                let tells = match ask.read.start {
                    Start::Last { .. } | Start::Snapshot { .. } | Start::Tail { .. } => {
                        why == Why::Corrupt
                    }
                    _ => true,
                };
                if tells && last_us > ask.after_us && last_us <= end_us {
                    let topic = topic.clone();
                    stretch.lost.push(Lost { topic, previous, last, last_us, why });
                }
            }
        }
        stretch.lost.sort_by_key(|lost| lost.last_us);
        stretch
    }

    /// What belongs to what is asked for, whatever its stamp.
    fn belonging(&self, ask: &PageAsk, as_of_us: u64) -> Vec<Arc<Event>> {
        let all = self.events.iter().cloned();
        match &ask.read.start {
            Start::Now => Vec::new(),
            Start::Earliest | Start::OtherEpoch { .. } => all.collect(),
            Start::AfterTime { time_us, .. } => {
                all.filter(|event| event.time_us > *time_us).collect()
            }
            Start::AfterOffsets { offsets, others_us } => {
                let is_wanted = |event: &Arc<Event>| match offsets
                    .iter()
                    .find(|(name, _)| *name == event.topic)
                {
                    Some((_, offset)) => event.offset > *offset,
                    None => others_us.is_some_and(|time_us| event.time_us > time_us),
                };
                all.filter(is_wanted).collect()
            }
            Start::Tail { count, counted_us } => {
                let mut counts: BTreeMap<&TopicName, u32> = BTreeMap::new();
                let mut wanted = Vec::new();
                for event in self.events.iter().rev() {
                    let counted = counts.entry(&event.topic).or_default();
                    if *counted_us > 0 && event.time_us > *counted_us {
                        wanted.push(Arc::clone(event));
                    } else if *counted < *count {
                        *counted += 1;
                        wanted.push(Arc::clone(event));
                    }
                }
                wanted
            }
            Start::Last { deleted_after_us } => {
                let is_told = |event: &Arc<Event>| {
                    event.op == Op::Delete && deleted_after_us.is_some_and(|us| event.time_us > us)
                };
                let mut last = self.last(as_of_us);
                last.extend(all.filter(is_told));
                last
            }
            Start::Snapshot { .. } => self.last(as_of_us),
        }
    }

    /// The event of a key before this one, if the reader may have had that.
    fn before(&self, ask: &PageAsk, event: &Arc<Event>) -> Option<Arc<Event>> {
        let of_key = |other: &&Arc<Event>| {
            other.topic == event.topic && other.key == event.key && other.offset < event.offset
        };
        let before = self.events.iter().rev().find(of_key)?;
        let may_have = before.op != Op::Delete && ask.read.start.is_before(before);
        (may_have && !event.key.is_empty())
            .then(|| Arc::new(Event { before: None, ..Event::clone(before) }))
    }
}
