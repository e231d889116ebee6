//! Equal queries of one moment are read once: whoever asks what is being read already, and of a table to which nothing was written since, is handed the same pages.
//!
//! Invariants: a query that is heard after a write is never answered with what was read before it; an asker is handed all pages in order, each when it wants one; of pages that are kept for others no more than
//! `TABLE_SHARED_BYTES_MAX` is held, and beyond that nobody joins. Pure: it is told what is asked and what was read.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::collections::VecDeque;

use super::choice::Backend;
use crate::event::ShardId;
use crate::limits::TABLE_SHARED_BYTES_MAX;
use crate::tables::Query;
use crate::tables::TableId;
use crate::tables::asks::Answer;
use crate::tables::asks::Ask;
use crate::tables::asks::Asker;
use crate::tables::keeper::Outcome;

/// No shard: askers of it are reads.
const READS: ShardId = ShardId(u16::MAX);

/// Somebody who is handed what is read.
#[derive(Debug)]
struct Follower {
    asker: Asker,
    /// Which page it is handed next.
    at: usize,
    is_wanting: bool,
}

/// A query that is being read.
#[derive(Debug)]
struct Read {
    query: Box<Query>,
    /// What was written to its table before it.
    writes: u64,
    /// Pages that somebody may still want.
    pages: VecDeque<Answer>,
    bytes: usize,
    /// How many pages before these nobody wants any more.
    gone: usize,
    /// The backend was asked for a page, and has not answered.
    is_asked: bool,
    is_done: bool,
    followers: Vec<Follower>,
}

/// Who is handed what.
#[derive(Debug, Default)]
pub(super) struct Sharing {
    reads: BTreeMap<u64, Read>,
    of: HashMap<Asker, u64, foldhash::fast::RandomState>,
    next: u64,
    /// How often each table was written to.
    writes: HashMap<TableId, u64, foldhash::fast::RandomState>,
    bytes: usize,
}

impl Sharing {
    /// Hears one thing; what of it is for the backend, if anything. Appends what is said at once.
    pub(super) fn hear(&mut self, ask: Ask, out: &mut Vec<Outcome>) -> Option<Ask> {
        match ask {
            Ask::Query { asker, query } => self.query(asker, query, out),
            Ask::More { asker } => {
                let id = *self.of.get(&asker)?;
                let read = self.reads.get_mut(&id)?;
                let mut followers = read.followers.iter_mut();
                followers.find(|of| of.asker == asker)?.is_wanting = true;
                self.serve(id, out)
            }
            Ask::Leave { asker } => {
                let id = self.of.remove(&asker)?;
                let read = self.reads.get_mut(&id)?;
                read.followers.retain(|of| of.asker != asker);
                self.serve(id, out)
            }
            Ask::Write { .. } | Ask::Rows { .. } => {
                self.count_writes(&ask);
                Some(ask)
            }
        }
    }

    fn count_writes(&mut self, ask: &Ask) {
        let mut count = |table: TableId| *self.writes.entry(table).or_default() += 1;
        match ask {
            Ask::Write { write, .. } => count(write.table),
            Ask::Rows { rows } => rows.iter().for_each(|(table, _)| count(*table)),
            _ => {}
        }
    }

    fn query(&mut self, asker: Asker, query: Box<Query>, out: &mut Vec<Outcome>) -> Option<Ask> {
        let writes = self.writes.get(&query.table).copied().unwrap_or_default();
        let follower = Follower { asker, at: 0, is_wanting: true };
        // What comes with rows is of other tables, whose writes are not looked at.
        let can_join = query.preload.is_empty() && self.bytes <= TABLE_SHARED_BYTES_MAX;
        let is_same = |read: &Read| read.gone == 0 && read.writes == writes && read.query == query;
        let found = self.reads.iter_mut().filter(|_| can_join);
        let found = found.map(|(id, read)| (*id, read)).find(|(_, read)| is_same(read));
        if let Some((id, read)) = found {
            read.followers.push(follower);
            self.of.insert(asker, id);
            return self.serve(id, out);
        }
        self.next += 1;
        let read = Read {
            query: query.clone(),
            writes,
            pages: VecDeque::new(),
            bytes: 0,
            gone: 0,
            is_asked: true,
            is_done: false,
            followers: vec![follower],
        };
        self.reads.insert(self.next, read);
        self.of.insert(asker, self.next);
        Some(Ask::Query { asker: Asker { shard: READS, conn: self.next }, query })
    }

    /// Hears what the backend says; what it is to be asked next. Appends what is said of it.
    pub(super) fn say(&mut self, outcome: Outcome, out: &mut Vec<Outcome>) -> Option<Ask> {
        let Outcome::Answer(Asker { shard: READS, conn: id }, answer) = outcome else {
            out.push(outcome);
            return None;
        };
        // Whoever wanted it may have left.
        let read = self.reads.get_mut(&id)?;
        read.is_asked = false;
        read.is_done = is_last(&answer);
        read.bytes += answer.weight_bytes();
        self.bytes += answer.weight_bytes();
        read.pages.push_back(answer);
        self.serve(id, out)
    }

    /// Hands out what is there and wanted of a read; what the backend is to be asked next.
    fn serve(&mut self, id: u64, out: &mut Vec<Outcome>) -> Option<Ask> {
        let asker = Asker { shard: READS, conn: id };
        let read = self.reads.get_mut(&id)?;
        let (pages, gone, of) = (&read.pages, read.gone, &mut self.of);
        read.followers.retain_mut(|follower| {
            let page = pages.get(follower.at - gone).filter(|_| follower.is_wanting);
            let Some(page) = page else { return true };
            out.push(Outcome::Answer(follower.asker, page.clone()));
            (follower.at, follower.is_wanting) = (follower.at + 1, false);
            if is_last(page) {
                of.remove(&follower.asker);
            }
            !is_last(page)
        });
        if read.followers.is_empty() {
            let is_done = read.is_done;
            self.bytes -= read.bytes;
            self.reads.remove(&id);
            return (!is_done).then_some(Ask::Leave { asker });
        }
        // What is large is kept for those who are there, and for nobody who comes later.
        let slowest = read.followers.iter().map(|of| of.at).min().unwrap_or_default();
        let is_open = self.bytes <= TABLE_SHARED_BYTES_MAX && read.followers.len() > 1;
        while !is_open && read.gone < slowest {
            let bytes = read.pages.pop_front().map_or(0, |page| page.weight_bytes());
            (read.gone, read.bytes) = (read.gone + 1, read.bytes - bytes);
            self.bytes -= bytes;
        }
        let end = read.gone + read.pages.len();
        let is_wanted = read.followers.iter().any(|of| of.is_wanting && of.at == end);
        // Whoever is ahead waits for the others while they keep too much.
        let has_room = self.bytes <= TABLE_SHARED_BYTES_MAX || slowest == end;
        if !is_wanted || read.is_asked || read.is_done || !has_room {
            return None;
        }
        read.is_asked = true;
        Some(Ask::More { asker })
    }
}

fn is_last(answer: &Answer) -> bool {
    !matches!(answer, Answer::Page(page) if page.end.is_none())
}

/// A backend whose equal queries are read once.
#[derive(Debug)]
pub(super) struct SharedBackend {
    backend: Backend,
    sharing: Sharing,
    /// What the backend has said and nobody was told.
    said: Vec<Outcome>,
}

impl SharedBackend {
    pub(super) fn new(backend: Backend) -> Self {
        Self { backend, sharing: Sharing::default(), said: Vec::new() }
    }

    pub(super) const fn backend(&self) -> &Backend {
        &self.backend
    }

    /// Hears one thing; appends what is to be said at once.
    pub(super) fn hear(&mut self, ask: Ask, out: &mut Vec<Outcome>) {
        // What is read at once is not worth looking for somebody to share it with.
        if let Ask::Query { asker, query } = &ask
            && let Some(page) = self.backend.answer_at_once(query)
        {
            out.push(Outcome::Answer(*asker, Answer::Page(page)));
            return;
        }
        if let Some(ask) = self.sharing.hear(ask, out) {
            self.backend.hear(ask, &mut self.said);
        }
        self.hand_out(out);
    }

    /// Nothing more comes just now: what was put off is done. Appends what is to be said.
    pub(super) fn settle(&mut self, out: &mut Vec<Outcome>) {
        self.backend.settle(&mut self.said);
        self.hand_out(out);
    }

    /// Nothing more comes at all: what was taken in is done. Appends what is to be said.
    pub(super) fn finish(&mut self, out: &mut Vec<Outcome>) {
        self.backend.finish(&mut self.said);
        self.hand_out(out);
    }

    fn hand_out(&mut self, out: &mut Vec<Outcome>) {
        while !self.said.is_empty() {
            for outcome in std::mem::take(&mut self.said) {
                if let Some(ask) = self.sharing.say(outcome, out) {
                    self.backend.hear(ask, &mut self.said);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::Change;
    use crate::tables::End;
    use crate::tables::Page;
    use crate::tables::Row;
    use crate::tables::Value;
    use crate::tables::Write;

    fn asker(conn: u64) -> Asker {
        Asker { shard: ShardId(0), conn }
    }

    fn query(conn: u64) -> Ask {
        let query = Query { limit: Some(1000), ..Query::all(TableId(0)) };
        Ask::Query { asker: asker(conn), query: Box::new(query) }
    }

    fn page(first: i64, is_last: bool) -> Answer {
        let rows: Vec<Row> =
            (first..first + 2).map(|id| Row::new([Value::Int(id)].into())).collect();
        let end = is_last.then_some(End { count: 4, total: None, number: None });
        Answer::Page(Page { rows: rows.into(), end })
    }

    fn read(of: &Ask) -> Asker {
        match of {
            Ask::Query { asker, .. } | Ask::More { asker } | Ask::Leave { asker } => *asker,
            other => panic!("{other:?}"),
        }
    }

    /// What each asker was handed, in order.
    fn handed(out: &mut Vec<Outcome>) -> Vec<(u64, Answer)> {
        let handed = |outcome| match outcome {
            Outcome::Answer(asker, answer) => (asker.conn, answer),
            Outcome::Told(told) => panic!("{told:?}"),
        };
        out.drain(..).map(handed).collect()
    }

    #[test]
    fn a_thousand_equal_queries_of_one_moment_are_one_read() {
        let (mut sharing, mut out) = (Sharing::default(), Vec::new());
        let asks: Vec<Ask> =
            (0..1000).filter_map(|conn| sharing.hear(query(conn), &mut out)).collect();
        let [Ask::Query { asker: reading, .. }] = asks[..] else { panic!("{asks:?}") };
        assert!(out.is_empty());
        assert!(sharing.say(Outcome::Answer(reading, page(1, false)), &mut out).is_none());
        let first = handed(&mut out);
        assert_eq!(first, (0..1000).map(|conn| (conn, page(1, false))).collect::<Vec<_>>());
        // The next page is asked for once, by whoever wants it first; whoever comes late is handed all of them.
        let more: Vec<Ask> = (0..1000)
            .filter_map(|conn| sharing.hear(Ask::More { asker: asker(conn) }, &mut out))
            .collect();
        assert!(matches!(more[..], [Ask::More { asker }] if asker == reading), "{more:?}");
        assert!(sharing.hear(query(1000), &mut out).is_none());
        assert_eq!(handed(&mut out), [(1000, page(1, false))]);
        assert!(sharing.say(Outcome::Answer(reading, page(3, true)), &mut out).is_none());
        assert_eq!(handed(&mut out).len(), 1000);
        assert!(sharing.hear(Ask::More { asker: asker(1000) }, &mut out).is_none());
        assert_eq!(handed(&mut out), [(1000, page(3, true))]);
        assert!(sharing.reads.is_empty() && sharing.of.is_empty() && sharing.bytes == 0);
    }

    #[test]
    fn what_was_written_since_is_read_again() {
        let (mut sharing, mut out) = (Sharing::default(), Vec::new());
        let write = |table| {
            let change = Change::Delete { key: [Value::Int(1)].into() };
            Ask::Write { asker: asker(9), write: Box::new(Write::new(TableId(table), change)) }
        };
        let first = sharing.hear(query(0), &mut out).unwrap();
        assert!(sharing.hear(write(1), &mut out).is_some());
        assert!(sharing.hear(query(1), &mut out).is_none(), "another table was written to");
        assert!(sharing.hear(write(0), &mut out).is_some());
        let second = sharing.hear(query(2), &mut out).unwrap();
        assert_ne!(read(&first), read(&second));
        assert!(sharing.hear(query(3), &mut out).is_none());
        let other = Query { limit: Some(7), ..Query::all(TableId(0)) };
        let other = Ask::Query { asker: asker(4), query: Box::new(other) };
        assert!(sharing.hear(other, &mut out).is_some(), "another query");
        sharing.say(Outcome::Answer(read(&second), page(1, true)), &mut out);
        assert_eq!(handed(&mut out), [(2, page(1, true)), (3, page(1, true))]);
    }

    #[test]
    fn whoever_leaves_takes_nothing_from_the_others() {
        let (mut sharing, mut out) = (Sharing::default(), Vec::new());
        let reading = read(&sharing.hear(query(0), &mut out).unwrap());
        assert!(sharing.hear(query(1), &mut out).is_none());
        assert!(sharing.hear(Ask::Leave { asker: asker(0) }, &mut out).is_none());
        sharing.say(Outcome::Answer(reading, page(1, false)), &mut out);
        assert_eq!(handed(&mut out), [(1, page(1, false))]);
        let left = sharing.hear(Ask::Leave { asker: asker(1) }, &mut out).unwrap();
        assert!(matches!(left, Ask::Leave { asker } if asker == reading));
        assert!(sharing.reads.is_empty() && sharing.of.is_empty() && sharing.bytes == 0);
        // What comes all the same is nobody's.
        assert!(sharing.say(Outcome::Answer(reading, page(3, true)), &mut out).is_none());
        assert!(out.is_empty());
    }
}
