//! What readers are told in a life of a store, against what there should be.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use fanwire::event::Event;
use fanwire::event::HomeId;
use fanwire::event::Op;
use fanwire::event::ShardId;
use fanwire::event::TopicName;
use fanwire::event::TopicPattern;
use fanwire::history::Read;
use fanwire::history::Start;
use fanwire::history::asks::Answer;
use fanwire::history::asks::Lost;
use fanwire::history::asks::PageAsk;
use fanwire::history::asks::Restored;
use fanwire::history::asks::Why;

use super::Ended;
use super::Life;
use super::Place;
use super::sameness::covers;
use super::sameness::has_same_before;
use super::sameness::is_same;
use super::sameness::place;

/// What is asked for: everything from some place on, or what is newest.
enum Kind {
    All,
    Newest,
}

/// What a reading told.
#[derive(Default)]
struct Told {
    events: Vec<Arc<Event>>,
    lost: Vec<Lost>,
}

impl Life {
    /// The newest events of their keys that a start tells are exactly those, from a moment on.
    pub(super) fn check_last(&self, restored: &[Restored]) {
        for (index, restored) in restored.iter().enumerate() {
            let home = HomeId::durable(ShardId(index as u16), self.shards);
            let mut last: BTreeMap<(TopicName, Arc<str>), &Arc<Event>> = BTreeMap::new();
            for event in
                self.stored.values().filter(|event| self.all_homes().of(&event.topic) == home)
            {
                last.insert(event.topic_key(), event);
            }
            let told: BTreeSet<Place> = restored.last.iter().map(|event| place(event)).collect();
            assert_eq!(told.len(), restored.last.len());
            for event in last.values().filter(|event| event.op != Op::Delete) {
                let is_told = told.contains(&place(event));
                assert!(
                    is_told || event.time_us <= restored.last_after_us || self.is_rotten,
                    "{event:?} is the last of its key, and not told after {}",
                    restored.last_after_us
                );
            }
            for event in &restored.last {
                let known = last.get(&event.topic_key());
                assert!(
                    known.is_some_and(|known| is_same(known, event)) || self.is_rotten,
                    "{event:?} is told as the last of its key, which is {known:?}"
                );
            }
        }
    }

    /// Reads all that there is of every home: now it is known what of the open ones was written.
    pub(super) fn look_at_everything(&mut self) -> Result<(), Ended> {
        let mut there = BTreeSet::new();
        let mut lost = Vec::new();
        for shard in (0..self.shards).map(ShardId) {
            let told = self.read(shard, Start::OtherEpoch { topics: Vec::new() }, u64::MAX)?;
            there.extend(told.events.iter().map(|event| place(event)));
            lost.extend(told.lost);
            for event in &told.events {
                let Some(open) = self.open.remove(&place(event)) else { continue };
                let known = self.stored.entry(place(event)).or_insert_with(|| Arc::clone(event));
                let is_known = is_same(known, event) || is_same(&open, event);
                assert!(is_known, "{event:?} is not what was sent: {open:?}");
            }
        }
        if std::mem::take(&mut self.lost_power) {
            // What was not synced may be gone, and nobody promised otherwise; what is there stays.
            self.stored.retain(|place, _| {
                there.contains(place) || lost.iter().any(|lost| covers(lost, place))
            });
        }
        self.open.clear();
        let retention: Vec<Lost> = lost;
        for (place, event) in &self.stored {
            assert!(
                there.contains(place) || retention.iter().any(|lost| covers(lost, place)),
                "{event:?} is neither there nor said to be lost"
            );
        }
        Ok(())
    }

    /// All pages of a reading.
    fn read(&mut self, shard: ShardId, start: Start, until_us: u64) -> Result<Told, Ended> {
        let read = Arc::new(Read {
            topics: vec![TopicPattern::new("**").unwrap()],
            start,
            after_us: 0,
            page_bytes: 0,
            with_before: false,
        });
        let mut told = Told::default();
        let mut after_us = 0;
        loop {
            self.tickets += 1;
            let ask = PageAsk {
                shard,
                ticket: self.tickets,
                home: HomeId::durable(shard, self.shards),
                shard_count: self.shards,
                read: Arc::clone(&read),
                after_us,
                until_us,
                page_bytes: 1 + self.random.below(4_000),
            };
            let mut out = Vec::new();
            self.keeper.as_mut().unwrap().ask(ask, &mut out);
            let page = loop {
                let place = out.iter().position(|(_, answer)| matches!(answer, Answer::Page(_)));
                if let Some(place) = place {
                    let (of, answer) = out.remove(place);
                    let Answer::Page(page) = answer else { unreachable!("it is one") };
                    assert_eq!((of, page.ticket), (shard, self.tickets));
                    self.hear(out)?;
                    break page;
                }
                self.step(&mut out)?;
            };
            let Ok(stretch) = page.result else { return Err(Ended) };
            let end_us = stretch.more_after_us.unwrap_or(until_us);
            let mut last_us = after_us;
            for event in &stretch.events {
                assert!(event.time_us >= last_us && event.time_us > after_us, "out of order");
                assert!(event.time_us <= end_us.min(until_us), "behind the end of its stretch");
                last_us = event.time_us;
            }
            assert!(stretch.lost.is_sorted_by_key(|lost| lost.last_us));
            told.events.extend(stretch.events);
            told.lost.extend(stretch.lost);
            match stretch.more_after_us {
                Some(more_us) => {
                    assert!(more_us > after_us, "it goes on");
                    after_us = more_us;
                }
                None => break,
            }
        }
        let offsets: Vec<Place> = told.events.iter().map(|event| place(event)).collect();
        assert_eq!(offsets.iter().collect::<BTreeSet<_>>().len(), offsets.len(), "told twice");
        for lost in &told.lost {
            let may_be_rotten = self.is_rotten || self.is_torn;
            assert!(may_be_rotten || lost.why == Why::Retention, "{lost:?}, and nothing is rotten");
            for event in &told.events {
                assert!(
                    !covers(lost, &place(event))
                        || matches!(read.start, Start::Last { .. } | Start::Snapshot { .. }),
                    "{event:?} is told, and said to be lost"
                );
            }
        }
        Ok(told)
    }

    /// A way to begin, and what there should be of these events.
    fn choose(&mut self, here: &[Arc<Event>]) -> (Start, Vec<Arc<Event>>) {
        let some_us = self.wall_us.saturating_sub(self.random.below(1_500) as u64);
        match self.random.below(5) {
            0 => (Start::Earliest, here.to_vec()),
            1 => {
                let wanted = here.iter().filter(|event| event.time_us > some_us).cloned();
                (Start::AfterTime { time_us: some_us, mark: None }, wanted.collect())
            }
            2 => {
                let mut named: BTreeMap<TopicName, u64> = BTreeMap::new();
                for event in here.iter().filter(|_| self.random.one_in(8)) {
                    named.insert(event.topic.clone(), event.offset - 1);
                }
                let others_us = self.random.one_in(2).then_some(some_us);
                let wanted = here.iter().filter(|event| match named.get(&event.topic) {
                    Some(offset) => event.offset > *offset,
                    None => others_us.is_some_and(|time_us| event.time_us > time_us),
                });
                let wanted = wanted.cloned().collect();
                (Start::AfterOffsets { offsets: named.into_iter().collect(), others_us }, wanted)
            }
            3 => {
                let count = 1 + self.random.below(12) as u32;
                let mut wanted = Vec::new();
                let topics: BTreeSet<&TopicName> = here.iter().map(|event| &event.topic).collect();
                for topic in topics {
                    let of: Vec<_> = here.iter().filter(|event| event.topic == *topic).collect();
                    wanted.extend(
                        of.iter().rev().take(count as usize).map(|event| Arc::clone(event)),
                    );
                }
                (Start::Tail { count, counted_us: 0 }, wanted)
            }
            _ => {
                let mut last: BTreeMap<(TopicName, Arc<str>), &Arc<Event>> = BTreeMap::new();
                for event in here {
                    last.insert(event.topic_key(), event);
                }
                let last = last.values().filter(|event| event.op != Op::Delete);
                (
                    Start::Last { deleted_after_us: None },
                    last.map(|event| Arc::clone(event)).collect(),
                )
            }
        }
    }

    /// Whether the segment of an event was let go of.
    fn is_let_go(&mut self, shard: ShardId, event: &Event) -> Result<bool, Ended> {
        let everything = Start::OtherEpoch { topics: Vec::new() };
        let gone = self.read(shard, everything, u64::MAX)?.lost;
        let let_go = |lost: &Lost| covers(lost, &place(event)) && lost.why == Why::Retention;
        Ok(gone.iter().any(let_go))
    }

    /// A reading of some kind against what there should be.
    pub(super) fn check_reading(&mut self) -> Result<(), Ended> {
        // Nothing is written while it is read, so that what there should be is known.
        self.drain()?;
        let shard = ShardId(self.random.below(usize::from(self.shards)) as u16);
        let home = HomeId::durable(shard, self.shards);
        let until_us = match self.random.below(3) {
            0 => self.wall_us.saturating_sub(self.random.below(200) as u64),
            _ => u64::MAX,
        };
        let homes = self.all_homes();
        let here: Vec<Arc<Event>> =
            self.stored.values().filter(|event| homes.of(&event.topic) == home).cloned().collect();
        let (start, wanted) = self.choose(&here);
        let is_last = matches!(start, Start::Last { .. });
        let is_tail = matches!(start, Start::Tail { .. });
        let is_silent = matches!(start, Start::Earliest | Start::Tail { .. });
        let what = match start {
            Start::Last { .. } | Start::Tail { .. } => Kind::Newest,
            _ => Kind::All,
        };
        let said = format!("{start:?} until {until_us}");
        let mut told = self.read(shard, start, until_us)?;
        if is_silent {
            // What the retention let go of is none of it.
            let everything = Start::OtherEpoch { topics: Vec::new() };
            told.lost.extend(self.read(shard, everything, u64::MAX)?.lost);
        }
        let by_place: BTreeMap<Place, &Arc<Event>> =
            told.events.iter().map(|event| (place(event), event)).collect();
        let wanted: Vec<_> = wanted.into_iter().filter(|event| event.time_us <= until_us).collect();
        for event in &wanted {
            match by_place.get(&place(event)) {
                Some(found) => assert!(
                    is_same(found, event) && has_same_before(found, event),
                    "{said}: {found:?} and {event:?}"
                ),
                None => {
                    // With a rotten segment that was let go of goes what says that it was: then its last events are said to be let go of, too.
                    let is_let_go = is_last && self.is_rotten && self.is_let_go(shard, event)?;
                    let is_lost = told.lost.iter().any(|lost| {
                        let may_be = !is_last || is_let_go || lost.why == Why::Corrupt;
                        covers(lost, &place(event)) && may_be
                    });
                    // What cannot be read counts among the last so many, if something newer than this is lost.
                    let is_counted = is_tail
                        && told.lost.iter().any(|lost| {
                            let is_newer = lost.topic == event.topic && lost.last > event.offset;
                            is_newer && lost.why == Why::Corrupt
                        });
                    assert!(is_lost || is_counted, "{said}: {event:?} is missing");
                }
            }
        }
        // Where the newest cannot be read, what came before it is the last of its key, and of its topic.
        if !self.is_rotten || !matches!(what, Kind::Newest) {
            let wanted: BTreeSet<Place> = wanted.iter().map(|event| place(event)).collect();
            for event in &told.events {
                assert!(wanted.contains(&place(event)), "{said}: {event:?} was not asked for");
            }
        }
        Ok(())
    }
}
