//! A store that fails in every way: those who read the past are told each event once or an exact gap, and those who do not notice nothing.
//!
//! What was stored where is known from what publishers were answered. Nothing is compared with another server here.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::Value;
use serde_json::json;

use super::EPOCH;
use super::Side;
use super::TOPICS;
use super::forgetful;
use super::heard;
use super::slow;
use crate::support::client::Client;
use crate::support::client::Told;
use crate::support::random::Random;
use crate::support::world::World;
use crate::support::world::store::Store;
use crate::support::world::store::Ways;

/// One server whose store fails in every way, and what was stored there.
struct Faulty {
    side: Side,
    random: Random,
    /// What was said with each event that has its place.
    truth: BTreeMap<(String, u64), String>,
    asked: Vec<(String, String)>,
    said: u64,
}

impl Faulty {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let ways = Ways { refuses_one_in: 6, fails_one_in: 4, forgets_one_in: 6, ..slow() };
        let mut world = World::of_epoch(EPOCH, 2, &forgetful(&mut random, 2));
        let mut luck = Random::new(seed ^ 77);
        world.join_store(Store::new(Rc::default(), ways, move |bound| luck.below(bound)), 0);
        let side = Side::new(world, EPOCH);
        Self { side, random, truth: BTreeMap::new(), asked: Vec::new(), said: 0 }
    }

    fn publish(&mut self) {
        self.said += 1;
        let topic = *self.random.pick(&TOPICS);
        let payload = json!({"said": self.said, "padding": "x".repeat(self.random.below(300))});
        let message =
            json!({"type": "publish", "id": self.said, "topic": topic, "payload": payload});
        self.side.publisher.say(&mut self.side.world, &message);
        self.asked.push((topic.to_owned(), self.said.to_string()));
    }

    /// What became of what was said: answers come in order.
    fn take_answers(&mut self) {
        for told in std::mem::take(&mut self.side.publisher.told) {
            let Told::Other(message) = told else { continue };
            match message["type"].as_str() {
                Some("published") => {
                    let (topic, said) = self.asked.remove(0);
                    let place = (topic, message["offset"].as_u64().unwrap());
                    assert!(self.truth.insert(place, said).is_none(), "an offset is given once");
                }
                Some("error") => {
                    assert_eq!(message["code"], "full", "{message}");
                    self.asked.remove(0);
                }
                _ => {}
            }
        }
    }

    /// So many tenths of a second, with a tick in each.
    fn pass_tenths(&mut self, count: usize) {
        for _ in 0..count {
            self.side.rest(1);
            self.side.world.advance(99);
            self.side.world.tick();
        }
        self.side.rest(1);
    }

    fn subscribe(&mut self, since: Option<Value>) -> Client {
        let client = Client::connect(&mut self.side.world, self.random.below(2), 1 << 20, false);
        let mut wish = json!({"type": "subscribe", "id": "s", "topics": ["**"]});
        if let Some(since) = since {
            wish["since"] = since;
        }
        client.say(&mut self.side.world, &wish);
        client
    }

    /// Whoever was told this missed nothing in silence since its first word on each topic; `is_unharmed`: and nothing at all.
    fn check(&self, all: &[Told], is_unharmed: bool) -> BTreeMap<String, u64> {
        let mut newest: BTreeMap<String, u64> = BTreeMap::new();
        let mut is_live = false;
        for told in all {
            match told {
                Told::Event(event) => {
                    let place = (event.topic.clone(), event.offset);
                    let said: Value = serde_json::from_str(&event.payload).unwrap();
                    assert_eq!(
                        self.truth.get(&place),
                        Some(&said["said"].to_string()),
                        "{event:?}"
                    );
                    if let Some(before) = newest.insert(event.topic.clone(), event.offset) {
                        let all = heard(all);
                        let lines = &all.topics[&event.topic];
                        assert_eq!(event.offset, before + 1, "a gap in silence: {lines:?}");
                    }
                }
                Told::Gap { topic, from, to, reason, .. } => {
                    assert!(!is_unharmed, "{told:?}");
                    assert!(["evicted", "corrupt", "unavailable"].contains(&&**reason), "{told:?}");
                    if let Some(before) = newest.insert(topic.clone(), *to) {
                        assert_eq!(
                            *from,
                            before + 1,
                            "{told:?}: it begins where the last event ended"
                        );
                    }
                }
                Told::Live { .. } => is_live = true,
                Told::Other(message) => assert_ne!(message["type"], "error", "{message}"),
                Told::Skipped { .. } | Told::Close(_) => panic!("{told:?}"),
            }
        }
        assert!(is_live, "whatever happens, the present begins");
        newest
    }
}

/// Whatever the store does, those who read the past are told each event once or an exact gap, and those who do not notice nothing.
pub(crate) fn with_faults(seed: u64) {
    let mut faulty = Faulty::new(seed);
    let mut unharmed = faulty.subscribe(None);
    let mut readers = Vec::new();
    for round in 0..12 {
        for _ in 0..faulty.random.below(25) {
            faulty.publish();
            if faulty.random.one_in(3) {
                faulty.side.rest(2);
            }
        }
        faulty.side.rest(30);
        faulty.pass_tenths(1);
        faulty.take_answers();
        let store = faulty.side.world.store.as_mut().unwrap();
        let count = store.kept.borrow().events.len();
        if faulty.random.one_in(3) {
            store.kept.borrow_mut().let_go(faulty.random.below(count / 3 + 1));
        }
        if count > 40 && faulty.random.one_in(3) {
            // Only what memory need not have: what is there is told from there.
            store.kept.borrow_mut().rot(faulty.random.below(count / 4));
        }
        if round > 3 {
            let time_us = faulty.side.world.now.wall_us - 1000 * faulty.random.below(1_000) as u64;
            let since = faulty.random.pick(&[json!("earliest"), json!(time_us)]).clone();
            readers.push(faulty.subscribe(Some(since)));
        }
    }
    // Pages that were never answered are given up after ten seconds, one after the other.
    for _ in 0..8 {
        faulty.pass_tenths(110);
        for reader in readers.iter_mut().chain([&mut unharmed]) {
            reader.read(&mut faulty.side.world, usize::MAX);
        }
    }
    faulty.take_answers();
    assert_eq!(faulty.asked, [], "every publish is answered");
    let newest = |topic: &str| {
        faulty.truth.keys().filter(|(of, _)| of == topic).map(|(_, offset)| *offset).max()
    };
    for (told, is_unharmed) in
        readers.iter().map(|reader| (&reader.told, false)).chain([(&unharmed.told, true)])
    {
        for (topic, reached) in faulty.check(told, is_unharmed) {
            assert_eq!(Some(reached), newest(&topic), "{topic}: told to the end");
        }
    }
}
