//! Lives of a store, as homes have it by `history::asks`: runs are written, synced, refused and read back, the process is killed, the power goes, bits rot, and the number of
//! shards changes.
//!
//! After each start, and whenever something is read: what was answered as stored is told byte for byte, or is said to be lost with a reason that there was; nothing else is told; stamps
//! ascend; no offset that anybody may have seen is given twice.

mod readings;
mod sameness;

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
use fanwire::history::asks::Answer;
use fanwire::history::asks::Append;
use fanwire::history::asks::NoteAsk;
use fanwire::history::asks::Restored;
use fanwire::history::keeper::Keeper;
use fanwire::history::keeper::Setup;
use fanwire::history::keeper::Stepped;
use fanwire::history::keeper::StoredClass;
use fanwire::history::keeper::SyncPolicy;
use fanwire::history::log::LedgerBounds;
use fanwire::history::log::Limits;
use fanwire::history::log::Note;

use super::disk::Sim;
use super::random_meta;
use super::support::random::Random;
use super::support::seeds;
use sameness::check_before;
use sameness::lacks_before;
use sameness::place;

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
    /// Notes that were answered as kept: each has the name of its ticket.
    noted: BTreeSet<u64>,
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
            noted: BTreeSet::new(),
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
            ledger: LedgerBounds { bytes_max: 1 << 16, kept_s: None },
            sessions_bytes_max: (1 << 20, 1 << 20),
            now_s: 0,
        }
    }

    /// A start; checks what the homes are told, and then everything that is there.
    fn start(&mut self, disk: Sim) {
        self.shards = 1 + self.random.below(3) as u16;
        let setup = self.setup();
        let (keeper, opened) = Keeper::open(disk, setup).expect("the disk is sound");
        let names: BTreeSet<Box<str>> = keeper.remembered().map(|note| note.name).collect();
        for ticket in &self.noted {
            assert!(names.contains(&*ticket.to_string()), "note {ticket} was kept, and is gone");
        }
        for restored in &opened.restored {
            assert_eq!(restored.notes.len(), names.len(), "every home is told of all notes");
        }
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
                Answer::Stored { run, befores } => {
                    let mut befores = VecDeque::from(befores.into_vec());
                    while home.line.front().is_some_and(|(of, _)| *of <= run) {
                        let (of, mut events) = home.line.pop_front().unwrap();
                        for event in &mut events {
                            let found = befores.pop_front_if(|(us, _)| *us == event.time_us);
                            if lacks_before(event) {
                                let found = found.map(|(_, found)| found);
                                let is_sound = !self.is_rotten && !self.is_torn;
                                check_before(&self.stored, event, found.as_deref(), is_sound);
                                *event = Arc::new(Event { before: found, ..Event::clone(event) });
                            } else {
                                assert!(found.is_none(), "nobody asked: {event:?}");
                            }
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
                    assert!(befores.is_empty(), "of nothing that was written: {befores:?}");
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
                Answer::SessionKept { .. } => panic!("nobody has a session"),
                Answer::Noted { ticket, result: Ok(()) } => {
                    self.noted.insert(ticket);
                }
                Answer::Noted { .. } => {}
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
            let key: Arc<str> = Arc::from(format!("k{}", self.random.below(5)));
            // This home has forgotten everything that is stored.
            let mut line = home.line.iter().flat_map(|(_, events)| events).chain(&events);
            let of_key = |other: &&Arc<Event>| other.topic == topic && other.key == key;
            let known = line.rfind(of_key).filter(|known| known.op != Op::Delete);
            let before = known.filter(|_| is_delete).cloned();
            events.push(Arc::new(Event {
                topic,
                key,
                op: if is_delete { Op::Delete } else { Op::Upsert },
                home: HomeId::durable(shard, self.shards),
                offset,
                previous,
                time_us: home.stamped_us,
                payload: Bytes::from(text),
                fields: Fields::default(),
                before,
                meta: random_meta(&mut self.random),
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
                10 if self.random.one_in(3) => {
                    self.tickets += 1;
                    let name = self.tickets.to_string().into();
                    let note = Note { name, value: 0, until_s: 0 };
                    let ask = NoteAsk { shard: ShardId(0), ticket: self.tickets, note };
                    self.keeper.as_mut().unwrap().note(ask, &mut out);
                }
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
