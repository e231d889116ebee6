//! What is kept of answers, and what is on its way: queries for which a server is asked, and rows as they come.
//!
//! Invariants: a table's generation rises before anybody is told of a write, or answered; what is kept is of the generations that its tables had when it was asked for, and is kept only if they still have them.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::bytes;
use super::generations::Generation;
use super::generations::Generations;
use super::generations::tagged;
use super::generations::untagged;
use super::memory::Memory;
use super::plan::Part;
use super::plan::Plan;
use super::plan::Wanted;
use super::plan::is_counted;
use super::server::LookupOutcome;
use super::servers::Servers;
use super::settings::CacheUse;
use super::settings::Kept;
use crate::clock::Clock;
use crate::conn::Doorbell;
use crate::event::TopicName;
use crate::limits::CACHE_VALUE_BYTES_MAX;
use crate::tables::CacheFigures;
use crate::tables::End;
use crate::tables::Page;
use crate::tables::Query;
use crate::tables::Schema;
use crate::tables::TableId;
use crate::tables::asks::Answer;
use crate::tables::asks::Ask;
use crate::tables::asks::Asker;
use crate::tables::keeper::Outcome;

/// A query that is on its way.
#[derive(Debug)]
enum Underway {
    /// A server is asked whether it has it.
    Looking { id: u64, query: Box<Query>, wanted: Wanted },
    /// The query's rows are read.
    Reading(RowsComing),
}

/// What is done with rows as they come.
#[derive(Debug)]
struct RowsComing {
    total: Total,
    /// What is kept of it, and the generations that it is of.
    keeps: Option<(Wanted, Vec<Generation>)>,
}

/// What is said to be the number of all rows that pass.
#[derive(Clone, Copy, Debug)]
enum Total {
    /// What was read, if that was wanted.
    AsRead,
    /// As many as are answered.
    Counted,
    /// What was kept.
    Kept(u64),
}

/// What is kept, where, and what is underway to it.
#[derive(Debug)]
pub(super) struct Cache {
    plan: Plan,
    generations: Generations,
    memory: Option<Memory>,
    servers: Servers,
    underway: HashMap<Asker, Underway, foldhash::fast::RandomState>,
    lookups: u64,
    /// Tables that askers write, the first of which is answered first.
    writing: HashMap<Asker, VecDeque<TableId>, foldhash::fast::RandomState>,
    /// Tables that events were heard for since writes were carried out last.
    fed: Vec<TableId>,
    topics: HashMap<TopicName, Vec<TableId>, foldhash::fast::RandomState>,
    clock: Clock,
    counts: CacheFigures,
}

impl Cache {
    pub(super) fn new(
        schema: &Schema,
        how: &CacheUse,
        (doorbell, clock): (Arc<Doorbell>, Clock),
    ) -> io::Result<Self> {
        let plan = Plan::new(schema, how.whole.clone());
        let generations = Generations::new(schema.tables().count());
        let mut topics: HashMap<_, Vec<_>, _> = HashMap::default();
        for (id, table) in schema.tables() {
            topics.entry(table.topic.clone()).or_default().push(id);
        }
        let memory = match how.kept {
            Kept::Memory { bytes_max } => Some(Memory::new(bytes_max, how.ttl_s * 1000)),
            Kept::Redis { .. } | Kept::Memcached { .. } => None,
        };
        let keys = (Arc::clone(&plan.keys), generations.clone());
        let servers = Servers::start(how, keys, (doorbell, clock))?;
        Ok(Self {
            plan,
            generations,
            memory,
            servers,
            underway: HashMap::default(),
            lookups: 0,
            writing: HashMap::default(),
            fed: Vec::new(),
            topics,
            clock,
            counts: CacheFigures::default(),
        })
    }

    /// Hears one thing; what the tables are to hear instead, if anything.
    pub(super) fn hear(&mut self, ask: Ask, out: &mut Vec<Outcome>) -> Option<Ask> {
        match &ask {
            Ask::Query { .. } => {}
            Ask::Leave { asker } => drop(self.underway.remove(asker)),
            Ask::Write { asker, write } => {
                self.writing.entry(*asker).or_default().push_back(write.table);
            }
            Ask::Rows { rows } => {
                for (table, _) in rows {
                    if !self.fed.contains(table) {
                        self.fed.push(*table);
                    }
                }
            }
            Ask::More { .. } => {}
        }
        match ask {
            Ask::Query { asker, query } => self.query(asker, query, out),
            other => Some(other),
        }
    }

    fn query(&mut self, asker: Asker, query: Box<Query>, out: &mut Vec<Outcome>) -> Option<Ask> {
        let Some(wanted) = self.plan.wanted(&query, &self.generations) else {
            return Some(self.read(asker, query, Total::AsRead, None));
        };
        if let Some(memory) = &mut self.memory {
            let counts = wanted.written.iter();
            let generations: Vec<_> = counts.map(|count| Generation::new(0, *count)).collect();
            let kept = memory.find(&wanted.key, self.clock.now().mono_ms);
            let kept = kept.and_then(|value| untagged(&generations, value));
            let kept = kept.and_then(|value| Kind::read(wanted.part, value));
            return self.answer(asker, query, (wanted, Some(generations)), kept, out);
        }
        self.lookups += 1;
        let id = self.lookups;
        if self.servers.look((asker, id), &wanted) {
            self.underway.insert(asker, Underway::Looking { id, query, wanted });
            return None;
        }
        self.counts.unanswered += 1;
        Some(self.read(asker, query, Total::AsRead, None))
    }

    /// What was kept is answered, or the tables are asked.
    fn answer(
        &mut self,
        asker: Asker,
        query: Box<Query>,
        (wanted, generations): (Wanted, Option<Vec<Generation>>),
        kept: Option<Kind>,
        out: &mut Vec<Outcome>,
    ) -> Option<Ask> {
        match kept {
            Some(Kind::Answer(page)) => {
                self.counts.hits += 1;
                out.push(Outcome::Answer(asker, Answer::Page(page)));
                None
            }
            Some(Kind::Total(total)) => {
                self.counts.hits += 1;
                Some(self.read(asker, query, Total::Kept(total), None))
            }
            None => {
                self.counts.misses += 1;
                let keeps = generations.map(|generations| (wanted, generations));
                Some(self.read(asker, query, Total::AsRead, keeps))
            }
        }
    }

    /// Has rows read; no number is asked for that is known.
    fn read(
        &mut self,
        asker: Asker,
        mut query: Box<Query>,
        total: Total,
        keeps: Option<(Wanted, Vec<Generation>)>,
    ) -> Ask {
        let total = if is_counted(&query) { Total::Counted } else { total };
        if !matches!(total, Total::AsRead) {
            query.wants_total = false;
        }
        if keeps.is_some() || !matches!(total, Total::AsRead) {
            self.underway.insert(asker, Underway::Reading(RowsComing { total, keeps }));
        }
        Ask::Query { asker, query }
    }

    /// The next lookup that has an answer, or waits for one no longer: what the tables are to hear of it.
    pub(super) fn next_found(&mut self, out: &mut Vec<Outcome>) -> Option<Ask> {
        loop {
            let LookupOutcome { asker, id, value, generations } = self.servers.next()?;
            let is_meant = matches!(
                self.underway.get(&asker),
                Some(Underway::Looking { id: looking, .. }) if *looking == id
            );
            let Some(Underway::Looking { query, wanted, .. }) =
                is_meant.then(|| self.underway.remove(&asker)).flatten()
            else {
                continue;
            };
            let generations = generations.filter(|_| wanted.is_current(&self.generations));
            if generations.is_none() {
                self.counts.unanswered += 1;
                return Some(self.read(asker, query, Total::AsRead, None));
            }
            let of = generations.as_deref().unwrap_or_default();
            let kept = value.as_deref().and_then(|value| untagged(of, value));
            let kept = kept.and_then(|value| Kind::read(wanted.part, value));
            let next = self.answer(asker, query, (wanted, generations), kept, out);
            if next.is_some() {
                return next;
            }
        }
    }

    /// Sees what the tables say, before anybody else does.
    pub(super) fn see(&mut self, said: &mut [Outcome]) {
        for outcome in said {
            match outcome {
                Outcome::Told(told) => {
                    for table in self.topics.get(&told.draft.topic).into_iter().flatten() {
                        self.generations.written(*table);
                    }
                    self.tell();
                    if let Some((asker, _)) = &told.answer {
                        let asker = *asker;
                        self.written(asker);
                    }
                }
                Outcome::Answer(asker, Answer::Page(page)) => self.page(*asker, page),
                Outcome::Answer(asker, Answer::Written(_)) => self.written(*asker),
                // A write that fails may have been done all the same.
                Outcome::Answer(asker, Answer::Failed(_)) => {
                    self.underway.remove(asker);
                    self.written(*asker);
                }
            }
        }
    }

    /// An asker is told what became of its write.
    fn written(&mut self, asker: Asker) {
        let Some(tables) = self.writing.get_mut(&asker) else { return };
        tables.iter().for_each(|table| self.generations.written(*table));
        tables.pop_front();
        if tables.is_empty() {
            self.writing.remove(&asker);
        }
        self.tell();
    }

    /// All writes that were heard have been carried out, those of events among them, of which nobody is told that they failed.
    pub(super) fn settled(&mut self) {
        if !self.fed.is_empty() {
            self.fed.drain(..).for_each(|table| self.generations.written(table));
            self.tell();
        }
    }

    /// Servers are to know of what was written.
    fn tell(&self) {
        self.servers.written();
    }

    /// Rows come: what is known of their number is said, and what is to be kept is kept.
    fn page(&mut self, asker: Asker, page: &mut Page) {
        let Some(Underway::Reading(reading)) = self.underway.get_mut(&asker) else { return };
        let Some(end) = &mut page.end else {
            // An answer of several pages is not kept, its total is.
            reading.keeps.take_if(|(wanted, _)| wanted.part == Part::Answer);
            return;
        };
        match reading.total {
            Total::AsRead => {}
            Total::Counted => end.total = Some(end.count),
            Total::Kept(total) => end.total = Some(total),
        }
        let Some(Underway::Reading(RowsComing { keeps: Some(keeps), .. })) =
            self.underway.remove(&asker)
        else {
            return;
        };
        let (wanted, generations) = keeps;
        let end = *end;
        self.keep(&wanted, &generations, (page, end));
    }

    fn keep(&mut self, wanted: &Wanted, generations: &[Generation], (page, end): (&Page, End)) {
        if !wanted.is_current(&self.generations) {
            return;
        }
        let mut answer = Vec::new();
        match (wanted.part, end.total) {
            (Part::Answer, _) => bytes::put_page(&page.rows, end, &mut answer),
            (Part::Total, Some(total)) => bytes::put_total(total, &mut answer),
            (Part::Total, None) => return,
        }
        if answer.len() > CACHE_VALUE_BYTES_MAX {
            return;
        }
        let value = tagged(generations, &answer);
        let is_kept = match &mut self.memory {
            Some(memory) => {
                memory.keep(wanted.key, value, self.clock.now().mono_ms);
                true
            }
            None => self.servers.keep(wanted.key, value),
        };
        self.counts.kept += u64::from(is_kept);
    }

    pub(super) fn is_ready(&self) -> bool {
        self.servers.is_ready()
    }

    /// How long it may be left alone at most.
    pub(super) fn rest(&self, most: Duration) -> Duration {
        self.servers.rest(most)
    }

    pub(super) fn figures(&self) -> CacheFigures {
        let memory = self.memory.as_ref();
        CacheFigures {
            evicted: memory.map_or(0, Memory::evicted),
            entries: memory.map_or(0, |memory| memory.entries() as u64),
            bytes: memory.map_or(0, |memory| memory.bytes() as u64),
            failures: self.servers.failures(),
            servers_up: self.servers.up(),
            ..self.counts
        }
    }
}

/// What was kept.
enum Kind {
    Answer(Page),
    Total(u64),
}

impl Kind {
    fn read(part: Part, bytes: &[u8]) -> Option<Self> {
        match part {
            Part::Answer => bytes::read_page(bytes).map(Self::Answer),
            Part::Total => bytes::read_total(bytes).map(Self::Total),
        }
    }
}
