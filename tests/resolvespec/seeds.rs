//! Clients come and go, read, write and listen, while whoever has the tables is slow, answers in another order, or fails: each request is answered once and in order, whoever writes is answered
//! before it hears of it, and what was heard of a table is what is read of it in the end.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::VecDeque;
use std::rc::Rc;

use fanwire::shard::PartyId;
use serde_json::Value;

use crate::scene;
use crate::scene::Client;
use crate::support::random::Random;
use crate::support::seeds;
use crate::support::tables;
use crate::support::world::World;
use crate::support::world::roomy;

/// A client that keeps what it hears.
struct Listener {
    client: Client,
    /// The ids of its requests that are not answered, and whether each makes a row.
    asked: VecDeque<(String, bool)>,
    next: u64,
    rows: BTreeMap<String, Value>,
    /// It has heard everything from the beginning.
    is_whole: bool,
}

impl Listener {
    /// One that speaks MQTT, of a version and with a quality of service, or none.
    fn open(world: &mut World, shard: usize, spoken: Option<(&str, u8)>, is_whole: bool) -> Self {
        let client = match spoken {
            None => Client::open(world, shard, "", 1 << 22),
            Some(spoken) => Client::publishing(world, shard, spoken, "", 1 << 22),
        };
        let (asked, rows) = (VecDeque::new(), BTreeMap::new());
        let mut listener = Self { client, asked, next: 0, rows, is_whole };
        listener.say(world, r#""type":"subscription","operation":"subscribe","entity":"users""#);
        listener
    }

    fn say(&mut self, world: &mut World, members: &str) {
        let id = format!("{}", self.next);
        self.next += 1;
        self.client.say(world, &format!(r#"{{"id":"{id}",{members}}}"#));
        self.asked.push_back((id, members.contains(r#""operation":"create""#)));
    }

    fn hear(&mut self, world: &mut World) {
        for told in self.client.told(world) {
            if told["type"] == "notification" {
                self.hear_row(&told);
                continue;
            }
            let (id, is_create) =
                self.asked.pop_front().expect("nobody is answered who did not ask");
            assert_eq!(told["id"], id, "answers come in the order of the questions: {told}");
            // Its own write is heard behind its answer.
            let written = &told["data"]["name"];
            if let (Some(name), true) = (written.as_str(), is_create) {
                let is_known = self.rows.values().any(|row| row["name"] == *name);
                assert!(!is_known, "{name} was heard before its writer was answered");
            }
        }
    }

    fn hear_row(&mut self, told: &Value) {
        let data = told["data"].clone();
        match told["operation"].as_str() {
            Some("delete") => drop(self.rows.remove(data["id"].as_str().unwrap())),
            Some("create" | "update") => drop(self.rows.insert(data["id"].to_string(), data)),
            _ => panic!("{told}"),
        }
    }
}

/// What a client speaks: MQTT, or ResolveSpec's own.
fn spoken(random: &mut Random) -> Option<(&'static str, u8)> {
    *random.pick(&[None, None, Some(("v4", 0)), Some(("v4", 1)), Some(("v5", 0)), Some(("v5", 1))])
}

/// What a client says, but for the id.
fn members(random: &mut Random, step: usize) -> String {
    let id = 1 + random.below(6);
    match random.below(6) {
        0 => r#""type":"request","operation":"read","entity":"users""#.to_owned(),
        1 => format!(r#""type":"request","operation":"read","entity":"users","record_id":"{id}""#),
        2 => {
            format!(r#""type":"request","operation":"delete","entity":"users","record_id":"{id}""#)
        }
        3 => format!(
            r#""type":"request","operation":"update","entity":"users","record_id":"{id}","data":{{"name":"x-{step}"}}"#
        ),
        4 => r#""type":"ping""#.to_owned(),
        _ => format!(
            r#""type":"request","operation":"create","entity":"users","data":{{"name":"new-{step}"}}"#
        ),
    }
}

fn run(seed: u64) {
    let mut random = Random::new(seed);
    let shards = 1 + u16::try_from(random.below(3)).unwrap();
    let settings = tables::with_tables(roomy(), &tables::schema(scene::TABLES), shards);
    let mut world = World::new(shards, &settings);
    let luck = Rc::new(RefCell::new(Some(Random::new(seed ^ 0xabcd))));
    assert_eq!(world.join(tables::moody_keeper(&settings, shards, &luck)), PartyId(shards));
    let whole = spoken(&mut random);
    let mut listeners = vec![Listener::open(&mut world, 0, whole, true)];
    world.settle();
    for step in 0..80 {
        match random.below(10) {
            0 if listeners.len() < 6 => {
                let shard = random.below(usize::from(shards));
                let spoken = spoken(&mut random);
                listeners.push(Listener::open(&mut world, shard, spoken, false));
            }
            1 if listeners.len() > 1 => {
                let gone = listeners.swap_remove(1 + random.below(listeners.len() - 1));
                world.vanish(gone.client.wire);
            }
            2 => world.advance(random.next() % 60),
            _ => {
                let index = random.below(listeners.len());
                let members = members(&mut random, step);
                listeners[index].say(&mut world, &members);
            }
        }
        if random.one_in(2) {
            world.settle();
        }
        for listener in &mut listeners {
            listener.hear(&mut world);
        }
    }
    *luck.borrow_mut() = None;
    // What was held is let go of with the next thing that is asked.
    for _ in 0..100 {
        let mut last = Listener::open(&mut world, 0, None, false);
        last.say(&mut world, r#""type":"request","operation":"read","entity":"posts""#);
        world.settle();
        last.hear(&mut world);
        assert!(last.asked.is_empty(), "who asks is answered");
        for listener in &mut listeners {
            listener.hear(&mut world);
        }
        if listeners.iter().all(|listener| listener.asked.is_empty()) {
            break;
        }
        world.vanish(last.client.wire);
    }
    let mut last = Client::open(&mut world, 0, "", 1 << 22);
    let read = last.request(&mut world, r#""operation":"read","entity":"users""#);
    let rows = read["data"].as_array().expect("it is answered").iter();
    let rows: BTreeMap<String, Value> =
        rows.map(|row| (row["id"].to_string(), row.clone())).collect();
    for listener in listeners {
        assert!(listener.asked.is_empty(), "everybody was answered: {:?}", listener.asked);
        if listener.is_whole {
            assert_eq!(listener.rows, rows);
        }
    }
}

#[test]
fn clients_are_answered_in_order_and_hear_what_is_written_whatever_those_who_have_the_tables_do() {
    seeds::hold(0..100, run);
}
