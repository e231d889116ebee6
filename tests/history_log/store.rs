//! Lives of a store, as homes have it by `history::asks`: runs are written, synced, refused and read back, the process is killed, the power goes, bits rot, and the number of
//! shards changes.
//!
//! After each start, and whenever something is read: what was answered as stored is told byte for byte, or is said to be lost with a reason that there was; nothing else is told; stamps
//! ascend; no offset that anybody may have seen is given twice.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use fanwire::event::Event;
use fanwire::event::Fields;
use fanwire::event::HomeId;
use fanwire::event::Homes;
use fanwire::event::Op;
use fanwire::event::ShardId;
use fanwire::event::TopicName;
use fanwire::event::TopicPattern;
use fanwire::history::Read;
use fanwire::history::Start;
use fanwire::history::asks::Answer;
use fanwire::history::asks::Append;
use fanwire::history::asks::Lost;
use fanwire::history::asks::PageAsk;
use fanwire::history::asks::Restored;
use fanwire::history::asks::Why;
use fanwire::history::keeper::Keeper;
use fanwire::history::keeper::Setup;
use fanwire::history::keeper::Stepped;
use fanwire::history::keeper::StoredClass;
use fanwire::history::keeper::SyncPolicy;
use fanwire::history::log::Limits;

use super::disk::Sim;
use super::support::random::Random;
use super::support::seeds;

/// Nobody knows what is on a disk that failed.
#[derive(Debug)]
struct Ended;

/// A home, as its shard has it.
#[derive(Default)]
struct Home {
    run: u64,
    attempt: u32,
    stamped_us: u64,
    /// Behind it a topic begins that is not known.
    ceiling: u64,
    /// What was sent and not answered: run and events.
    line: VecDeque<(u64, Vec<Arc<Event>>)>,
    /// What was stored and not synced: run and events.
    unsynced: VecDeque<(u64, Vec<Arc<Event>>)>,
    /// Of each topic the newest offset, and that behind which the next one lies; of what was answered, and of what was sent.
    confirmed: BTreeMap<TopicName, (u64, u64)>,
    topics: BTreeMap<TopicName, (u64, u64)>,
}

type Place = (TopicName, u64);

struct Life {
    random: Random,
    keeper: Option<Keeper<Sim>>,
    shards: u16,
    homes: Vec<Home>,
    boot: u32,
    now_us: u64,
    wall_us: u64,
    limits: [Limits; 2],
    /// Everything that was stored and may not be missing.
    stored: BTreeMap<Place, Arc<Event>>,
    /// What was sent and never answered: it may be there or not.
    open: BTreeMap<Place, Arc<Event>>,
    /// The newest offset of each topic that anybody may have seen.
    seen: BTreeMap<TopicName, u64>,
    /// Bits change in this life, and one has.
    rots: bool,
    is_rotten: bool,
    lost_power: bool,
    /// The power went once: of what was not synced then something may stand behind something that does not.
    is_torn: bool,
    tickets: u64,
}

const PATTERNS: [&str; 2] = ["a/**", "**"];

fn patterns() -> Vec<TopicPattern> {
    PATTERNS.iter().map(|pattern| TopicPattern::new(pattern).unwrap()).collect()
}

impl Life {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let lets_go = random.one_in(2);
        let mut limits = || Limits {
            segment_bytes: 1 << (9 + random.below(5)),
            bytes_max: if lets_go && random.one_in(2) {
                3_000 + random.below(20_000) as u64
            } else {
                u64::MAX
            },
            age_us_max: if lets_go && random.one_in(3) {
                1 + random.below(2_000) as u64
            } else {
                u64::MAX
            },
            topic_events_max: if lets_go && random.one_in(2) {
                1 + random.below(30) as u64
            } else {
                u64::MAX
            },
        };
        let limits = [limits(), limits()];
        Self {
            keeper: None,
            shards: 1,
            homes: Vec::new(),
            boot: 0,
            now_us: 0,
            wall_us: 1_000,
            limits,
            stored: BTreeMap::new(),
            open: BTreeMap::new(),
            seen: BTreeMap::new(),
            rots: random.one_in(3),
            is_rotten: false,
            lost_power: false,
            is_torn: false,
            tickets: 0,
            random,
        }
    }

    fn all_homes(&self) -> Homes {
        Homes::new(self.shards, patterns().into())
    }

    fn setup(&mut self) -> Setup {
        let classes = PATTERNS.iter().zip(patterns()).zip(self.limits);
        let mut sync = || match self.random.below(3) {
            0 => SyncPolicy::Always,
            1 => SyncPolicy::Every { us: 1 + self.random.below(50) as u64 },
            _ => SyncPolicy::Off,
        };
        let classes = classes.map(|((topics, pattern), limits)| StoredClass {
            topics: vec![(*topics).to_owned()],
            patterns: vec![pattern],
            limits,
            sync: sync(),
        });
        Setup {
            classes: classes.collect(),
            homes: Homes::new(self.shards, patterns().into()),
            boot: format!("boot {}", self.boot),
            random: 0x1234_5678_9abc_def0,
            shelves_bytes_max: 1 << (8 + self.random.below(12)),
            keys_bytes_max: 1 << 20,
            carried_bytes_max: 1 << 20,
            last_bytes_max: 512 * self.random.below(40),
        }
    }

    /// A start; checks what the homes are told, and then everything that is there.
    fn start(&mut self, disk: Sim) {
        self.shards = 1 + self.random.below(3) as u16;
        let setup = self.setup();
        let (keeper, opened) = Keeper::open(disk, setup).expect("the disk is sound");
        self.keeper = Some(keeper);
        self.homes = opened.restored.iter().map(|restored| self.restored(restored)).collect();
        for (topic, seen) in &self.seen {
            let known = self.homes.iter().find_map(|home| home.topics.get(topic));
            let ceiling = known.map_or(opened.restored[0].ceiling, |(_, ceiling)| *ceiling);
            assert!(
                ceiling >= *seen,
                "{topic:?}: {seen} was seen, and it goes on behind {ceiling}"
            );
        }
        self.wall_us = self.wall_us.max(self.homes[0].stamped_us);
        self.look_at_everything().expect("the disk is sound");
        self.check_last(&opened.restored);
    }

    fn restored(&self, restored: &Restored) -> Home {
        let (stamped_us, ceiling) = (restored.stamped_us, restored.ceiling);
        let mut home = Home { stamped_us, ceiling, ..Home::default() };
        for topic in &restored.topics {
            assert!(topic.newest <= topic.ceiling);
            let seen = self.seen.get(&topic.topic).copied().unwrap_or(0);
            assert!(topic.ceiling >= seen, "{topic:?}: {seen} was seen");
            assert!(topic.newest_us <= restored.stamped_us);
            home.topics.insert(topic.topic.clone(), (topic.newest, topic.ceiling));
        }
        home.confirmed.clone_from(&home.topics);
        home
    }

    /// The newest events of their keys that a start tells are exactly those, from a moment on.
    fn check_last(&self, restored: &[Restored]) {
        for (index, restored) in restored.iter().enumerate() {
            let home = HomeId::durable(ShardId(index as u16), self.shards);
            let mut last: BTreeMap<(TopicName, Arc<str>), &Arc<Event>> = BTreeMap::new();
            for event in
                self.stored.values().filter(|event| self.all_homes().of(&event.topic) == home)
            {
                last.insert((event.topic.clone(), Arc::clone(&event.key)), event);
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
                let known = last.get(&(event.topic.clone(), Arc::clone(&event.key)));
                assert!(
                    known.is_some_and(|known| is_same(known, event)) || self.is_rotten,
                    "{event:?} is told as the last of its key, which is {known:?}"
                );
            }
        }
    }

    /// Reads all that there is of every home: now it is known what of the open ones was written.
    fn look_at_everything(&mut self) -> Result<(), Ended> {
        let mut there = BTreeSet::new();
        let mut lost = Vec::new();
        for shard in (0..self.shards).map(ShardId) {
            let told = self.read(shard, Start::OtherEpoch { topics: Vec::new() }, u64::MAX)?;
            there.extend(told.events.iter().map(|event| place(event)));
            lost.extend(told.lost);
            for event in &told.events {
                let Some(open) = self.open.remove(&place(event)) else { continue };
                let known = self.stored.entry(place(event)).or_insert_with(|| Arc::clone(&open));
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
                    last.insert((event.topic.clone(), Arc::clone(&event.key)), event);
                }
                let last = last.values().filter(|event| event.op != Op::Delete);
                (
                    Start::Last { deleted_after_us: None },
                    last.map(|event| Arc::clone(event)).collect(),
                )
            }
        }
    }

    /// A reading of some kind against what there should be.
    fn check_reading(&mut self) -> Result<(), Ended> {
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
                Some(found) => assert!(is_same(found, event), "{said}: {found:?} and {event:?}"),
                None => {
                    let is_lost = told.lost.iter().any(|lost| {
                        covers(lost, &place(event)) && (!is_last || lost.why == Why::Corrupt)
                    });
                    assert!(is_lost, "{said}: {event:?} is missing");
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

    /// Everything that waits is written and synced.
    fn drain(&mut self) -> Result<(), Ended> {
        let mut out = Vec::new();
        while let Stepped::Did = self.step(&mut out)? {}
        self.hear(out)
    }

    fn step(&mut self, out: &mut Vec<(ShardId, Answer)>) -> Result<Stepped, Ended> {
        let keeper = self.keeper.as_mut().unwrap();
        keeper.step((self.now_us, self.wall_us), |_| true, out).map_err(|_| Ended)
    }

    fn hear(&mut self, answers: Vec<(ShardId, Answer)>) -> Result<(), Ended> {
        for (shard, answer) in answers {
            let home = &mut self.homes[shard.index()];
            match answer {
                Answer::Stored { run } => {
                    while home.line.front().is_some_and(|(of, _)| *of <= run) {
                        let (of, events) = home.line.pop_front().unwrap();
                        for event in &events {
                            let seen =
                                self.seen.insert(event.topic.clone(), event.offset).unwrap_or(0);
                            assert!(event.offset > seen, "{event:?} was given before: {seen}");
                            home.confirmed
                                .insert(event.topic.clone(), (event.offset, event.offset));
                            self.open.remove(&place(event));
                            self.stored.insert(place(event), Arc::clone(event));
                        }
                        home.unsynced.push_back((of, events));
                    }
                }
                Answer::Synced { run } => {
                    assert!(home.line.front().is_none_or(|(of, _)| *of > run), "not stored");
                    while home.unsynced.front().is_some_and(|(of, _)| *of <= run) {
                        home.unsynced.pop_front();
                    }
                }
                Answer::Refused { attempt, run, .. } => {
                    assert_eq!(attempt, home.attempt, "said once");
                    assert_eq!(
                        home.line.front().map(|(of, _)| *of),
                        Some(run),
                        "from the first on"
                    );
                    for (_, events) in home.line.drain(..) {
                        for event in events {
                            self.open.remove(&place(&event));
                        }
                    }
                    home.attempt += 1;
                    home.topics.clone_from(&home.confirmed);
                }
                Answer::Page(_) => panic!("nobody asked"),
                Answer::Closed => {}
            }
        }
        Ok(())
    }

    /// A home sends a run.
    fn append(&mut self) {
        let homes = self.all_homes();
        let shard = ShardId(self.random.below(usize::from(self.shards)) as u16);
        let home = &mut self.homes[shard.index()];
        let mut events = Vec::new();
        let most = if self.random.one_in(9) { 40 } else { 4 };
        for _ in 0..=self.random.below(most) {
            let name = format!("{}/{}", ["a", "b"][self.random.below(2)], self.random.below(6));
            let topic = TopicName::new(&name).unwrap();
            if homes.shard(homes.of(&topic)) != shard {
                continue;
            }
            home.stamped_us = self.wall_us.max(home.stamped_us + 1);
            self.wall_us += self.random.below(3) as u64;
            let (previous, ceiling) = home.topics.get(&topic).copied().unwrap_or((0, home.ceiling));
            let offset = ceiling + 1;
            home.topics.insert(topic.clone(), (offset, offset));
            let is_delete = self.random.one_in(6);
            let text = format!(
                r#"{{"n":{},"pad":"{}"}}"#,
                self.random.next(),
                "x".repeat(self.random.below(200))
            );
            events.push(Arc::new(Event {
                topic,
                key: Arc::from(format!("k{}", self.random.below(5))),
                op: if is_delete { Op::Delete } else { Op::Upsert },
                home: HomeId::durable(shard, self.shards),
                offset,
                previous,
                time_us: home.stamped_us,
                payload: Bytes::from(text),
                fields: Fields::default(),
                before: None,
            }));
        }
        if events.is_empty() {
            return;
        }
        home.run += 1;
        for event in &events {
            self.open.insert(place(event), Arc::clone(event));
        }
        home.line.push_back((home.run, events.clone()));
        let append = Append {
            shard,
            run: home.run,
            attempt: home.attempt,
            events: events.into(),
            wants_sync: self.random.one_in(4),
        };
        self.keeper.as_mut().unwrap().append(append);
    }

    /// From a start to an end.
    fn run(&mut self) -> Result<(), Ended> {
        let mut out = Vec::new();
        for _ in 0..self.random.below(60) {
            self.now_us += self.random.below(30) as u64;
            if self.random.one_in(50) {
                self.now_us += 1_000_000;
            }
            if self.random.one_in(20) {
                // The clock goes back.
                self.wall_us = self.wall_us.saturating_sub(self.random.below(500) as u64);
            }
            match self.random.below(12) {
                0..=4 => self.append(),
                5..=9 => {
                    self.step(&mut out)?;
                    self.hear(std::mem::take(&mut out))?;
                }
                10 if self.random.one_in(3) => self.check_reading()?,
                11 if self.rots && self.random.one_in(4) => self.rot(),
                _ => {
                    let disk = self.keeper.as_mut().unwrap().disk_mut();
                    if self.random.one_in(4) {
                        disk.room = self.random.below(3_000);
                    } else if self.random.one_in(2) {
                        disk.room = usize::MAX;
                    }
                }
            }
        }
        Ok(())
    }

    /// A bit of some segment changes.
    fn rot(&mut self) {
        // The end of a write that was never synced is cut off whether it is torn or rotten.
        if self.keeper.as_ref().unwrap().figures().unsynced_events > 0 {
            return;
        }
        let disk = self.keeper.as_mut().unwrap().disk_mut();
        let mut names = disk.names();
        // What is not synced is not on the disk, where bits rot.
        names.retain(|name| name.ends_with(".log") && disk.synced_len(name) > 0);
        if names.is_empty() {
            return;
        }
        let name = &names[self.random.below(names.len())];
        let bit = self.random.below(disk.synced_len(name) * 8);
        disk.flip(name, bit);
        // Of two in one block nobody could say what it held.
        (self.rots, self.is_rotten) = (false, true);
    }

    /// The process or the machine is gone.
    fn crash(&mut self, mut disk: Sim, loses_power: bool) -> Sim {
        disk.room = usize::MAX;
        let unsynced = self.homes.iter_mut().flat_map(|home| home.unsynced.drain(..));
        let unsynced: Vec<Arc<Event>> = unsynced.flat_map(|(_, events)| events).collect();
        if loses_power {
            disk.lose_power();
            self.boot += 1;
            self.is_torn = true;
            for event in unsynced {
                // It may be there or not.
                if let Some(event) = self.stored.remove(&place(&event)) {
                    self.open.insert(place(&event), event);
                }
            }
        } else {
            disk.revive();
        }
        disk
    }
}

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

fn place(event: &Event) -> Place {
    (event.topic.clone(), event.offset)
}

fn covers(lost: &Lost, (topic, offset): &Place) -> bool {
    lost.topic == *topic && lost.previous < *offset && *offset <= lost.last
}

fn is_same(one: &Event, other: &Event) -> bool {
    (&one.topic, &one.key, one.op, one.offset, one.time_us, &one.payload)
        == (&other.topic, &other.key, other.op, other.offset, other.time_us, &other.payload)
}

fn live(seed: u64) {
    let mut life = Life::new(seed);
    let mut disk = Sim::new(seed ^ 0x5eed);
    for _ in 0..5 {
        life.start(disk);
        match life.random.below(6) {
            0 => {
                life.keeper.as_mut().unwrap().disk_mut().fails_in =
                    Some(life.random.below(80) as u64);
            }
            1 | 2 => {
                life.keeper.as_mut().unwrap().disk_mut().killed_in =
                    Some(life.random.below(80) as u64);
            }
            _ => {}
        }
        let ended = life.run();
        let mut keeper = life.keeper.take().unwrap();
        let failed = keeper.disk_mut().fails_in == Some(0) && ended.is_err();
        if ended.is_ok() && life.random.one_in(3) {
            keeper.disk_mut().room = usize::MAX;
            keeper.disk_mut().fails_in = None;
            keeper.disk_mut().killed_in = None;
            // Taken as a copy: closing consumes it.
            let mut out = Vec::new();
            disk = keeper.close(life.now_us, &mut out).expect("the disk is sound");
            life.hear(out).unwrap();
            for home in &mut life.homes {
                assert!(
                    home.line.is_empty() && home.unsynced.is_empty(),
                    "all is synced at the end"
                );
            }
            continue;
        }
        let loses_power = life.random.one_in(2) || failed;
        disk = life.crash(keeper.into_disk(), loses_power);
        life.lost_power = loses_power;
    }
}

#[test]
fn whatever_happens_homes_are_told_what_was_stored_and_what_is_lost() {
    seeds::hold(1..1_001, live);
}
