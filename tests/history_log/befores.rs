//! Deletes whose home has forgotten what they take: the store knows, and they are written and told with it.

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
use fanwire::history::asks::PageAsk;
use fanwire::history::keeper::Keeper;
use fanwire::history::keeper::Setup;
use fanwire::history::keeper::Stepped;
use fanwire::history::keeper::StoredClass;
use fanwire::history::keeper::SyncPolicy;
use fanwire::history::log::LedgerBounds;
use fanwire::history::log::Limits;
use fanwire::limits::STORE_BEFORES_BYTES_MAX;
use fanwire::limits::STORE_BEFORES_MAX;

use super::disk::Sim;

const HOME: HomeId = HomeId::durable(ShardId(0), 1);

/// A store, and the home of one topic that remembers nothing of it.
struct Scene {
    keeper: Keeper<Sim>,
    run: u64,
    offset: u64,
}

fn setup(limits: Limits) -> Setup {
    let pattern = TopicPattern::new("**").unwrap();
    Setup {
        classes: vec![StoredClass {
            topics: vec!["**".to_owned()],
            patterns: vec![pattern.clone()],
            limits,
            sync: SyncPolicy::Always,
        }],
        homes: Homes::new(1, [pattern].into()),
        boot: "a".to_owned(),
        random: 7,
        shelves_bytes_max: 0,
        keys_bytes_max: 1 << 20,
        carried_bytes_max: 1 << 20,
        last_bytes_max: 0,
        ledger: LedgerBounds { bytes_max: 1 << 16, kept_s: None },
        sessions_bytes_max: (1 << 20, 1 << 20),
        now_s: 0,
    }
}

impl Scene {
    fn new(limits: Limits) -> Self {
        let keeper = Keeper::open(Sim::new(1), setup(limits)).unwrap().0;
        Self { keeper, run: 0, offset: 0 }
    }

    fn event(&mut self, op: Op, key: &str, payload: String) -> Arc<Event> {
        self.offset += 1;
        Arc::new(Event {
            topic: TopicName::new("fleet").unwrap(),
            key: Arc::from(key),
            op,
            home: HOME,
            offset: self.offset,
            previous: self.offset - 1,
            time_us: 1_000 + self.offset,
            payload: Bytes::from(payload),
            fields: Fields::default(),
            before: None,
            meta: None,
        })
    }

    fn append(&mut self, events: Vec<Arc<Event>>) {
        self.run += 1;
        let (shard, run) = (ShardId(0), self.run);
        let events = events.into();
        self.keeper.append(Append { shard, run, attempt: 0, events, wants_sync: false });
    }

    /// What the store answers to all that waits: of each delete its stamp and the offset that it follows on.
    fn stored(&mut self) -> Vec<(u64, u64)> {
        let mut out = Vec::new();
        while let Stepped::Did = self.keeper.step((self.run, self.run), |_| true, &mut out).unwrap()
        {
        }
        let mut told = Vec::new();
        for (_, answer) in out {
            let Answer::Stored { befores, .. } = answer else { continue };
            told.extend(befores.iter().map(|(time_us, before)| (*time_us, before.offset)));
        }
        told
    }

    fn say(&mut self, op: Op, keys: &[&str]) -> Vec<(u64, u64)> {
        let of = |key: &&str| self.event(op, key, format!(r#"{{"of":"{key}"}}"#));
        let events = keys.iter().map(of).collect();
        self.append(events);
        self.stored()
    }

    fn blocks_read(&self) -> u64 {
        self.keeper.figures().blocks_read
    }

    /// Of every delete that is kept its offset, and that of what it took.
    fn kept(&mut self) -> Vec<(u64, Option<u64>)> {
        let read = Read {
            topics: vec![TopicPattern::new("**").unwrap()],
            start: Start::Earliest,
            after_us: 0,
            page_bytes: 0,
            with_before: false,
        };
        let ask = PageAsk {
            shard: ShardId(0),
            ticket: 0,
            home: HOME,
            shard_count: 1,
            read: Arc::new(read),
            after_us: 0,
            until_us: u64::MAX,
            page_bytes: 64 << 20,
        };
        let mut out = Vec::new();
        self.keeper.ask(ask, &mut out);
        while let Stepped::Did = self.keeper.step((self.run, 0), |_| true, &mut out).unwrap() {}
        let Some((_, Answer::Page(page))) = out.pop() else { panic!("it was asked: {out:?}") };
        let events = page.result.unwrap().events;
        let deletes = events.iter().filter(|event| event.op == Op::Delete);
        deletes
            .map(|event| (event.offset, event.before.as_ref().map(|before| before.offset)))
            .collect()
    }
}

#[test]
fn a_delete_follows_on_the_last_event_of_its_key_and_says_so_for_good() {
    let mut scene = Scene::new(Limits::default());
    scene.say(Op::Upsert, &["a", "b", "c"]);
    scene.say(Op::Upsert, &["a"]);
    assert_eq!(scene.say(Op::Delete, &["a", "b", "never", ""]), [(1_005, 4), (1_006, 2)]);
    assert_eq!(scene.say(Op::Delete, &["a"]), [], "it is gone already");
    scene.say(Op::Upsert, &["a"]);
    // The home had both in its line: what the second one takes it knows itself, and the third one takes nothing.
    let run = [(Op::Delete, "a"), (Op::Upsert, "a"), (Op::Delete, "a")];
    let run = run.map(|(op, key)| scene.event(op, key, "{}".to_owned())).to_vec();
    scene.append(run);
    assert_eq!(scene.stored(), [(1_011, 10)]);
    // Another life, in which nothing is held in memory but the table of keys.
    let disk = scene.keeper.close(0, &mut Vec::new()).unwrap();
    scene.keeper = Keeper::open(disk, setup(Limits::default())).unwrap().0;
    assert_eq!(scene.say(Op::Delete, &["c"]), [(1_014, 3)]);
    let kept = [(5, Some(4)), (6, Some(2)), (7, None), (8, None), (9, None), (11, Some(10))];
    assert_eq!(scene.kept(), [&kept[..], &[(13, None), (14, Some(3))]].concat());
}

#[test]
fn what_the_retention_has_let_go_of_is_still_known_by_the_delete() {
    let limits = Limits { segment_bytes: 1, topic_events_max: 1, ..Limits::default() };
    let mut scene = Scene::new(limits);
    scene.say(Op::Upsert, &["a"]);
    for _ in 0..5 {
        scene.say(Op::Upsert, &["b"]);
        scene.run += 2_000_000;
    }
    scene.run = 6;
    assert!(scene.keeper.figures().segments_let_go > 0, "the first one is gone");
    assert_eq!(scene.say(Op::Delete, &["a"]), [(1_007, 1)]);
}

#[test]
fn a_group_looks_up_no_more_than_it_may_and_each_block_is_read_once() {
    let mut scene = Scene::new(Limits::default());
    let names: Vec<String> = (0..3 * STORE_BEFORES_MAX).map(|number| number.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    scene.say(Op::Upsert, &names);
    let read = scene.blocks_read();
    for name in &names {
        let event = scene.event(Op::Delete, name, "{}".to_owned());
        scene.append(vec![event]);
    }
    let groups = scene.keeper.figures().groups;
    let told = scene.stored();
    assert_eq!(told.len(), names.len(), "all of them are found");
    assert_eq!(scene.keeper.figures().groups - groups, 3, "in groups of so many");
    // A shelf without room holds the block that was read last.
    assert_eq!(scene.blocks_read() - read, 1, "they lie in one block");
}

#[test]
fn what_is_found_for_one_run_is_bounded_in_bytes() {
    let mut scene = Scene::new(Limits::default());
    let names = ["a", "b", "c", "d", "e", "f"];
    for name in names {
        let event = scene.event(Op::Upsert, name, " ".repeat(1_000_000));
        scene.append(vec![event]);
        scene.stored();
    }
    let told = scene.say(Op::Delete, &names);
    assert_eq!(told.len(), STORE_BEFORES_BYTES_MAX / 1_000_000, "{told:?}");
    assert_eq!(scene.kept().iter().filter(|(_, before)| before.is_some()).count(), told.len());
}
