//! Durable topics, in virtual time: who is told what and when, and what a store that is slow, full, silent or gone costs, and whom.

mod revocations;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use serde_json::Value;
use serde_json::json;

use fanwire::event::TopicPattern;
use fanwire::history::Retention;
use fanwire::shard::Durable;
use fanwire::shard::PartyId;
use fanwire::shard::Settings;

use crate::support::client::Client;
use crate::support::client::Told;
use crate::support::random::Random;
use crate::support::world::World;
use crate::support::world::roomy;
use crate::support::world::store::Kept;
use crate::support::world::store::Store;
use crate::support::world::store::Ways;

/// Milliseconds after which a publisher waits no longer for the store, and a reader for a page.
const RUN_MS: u64 = 30_000;
const PAGE_MS: u64 = 10_000;

struct Server {
    world: World,
    kept: Rc<RefCell<Kept>>,
}

impl Server {
    fn new(ways: Ways) -> Self {
        Self::begin(Rc::default(), ways, "d1_e1", 2)
    }

    /// A server on what a former one has stored.
    fn begin(kept: Rc<RefCell<Kept>>, ways: Ways, epoch: &str, shard_count: u16) -> Self {
        let topics = [TopicPattern::new("kept/**").unwrap()];
        let durable = Durable { store: PartyId(shard_count), topics: Arc::new(topics) };
        let retention = Retention { bytes_max: 6_000, ..roomy().retention };
        let settings = Settings { durable: Some(durable), retention, ..roomy() };
        let mut world = World::of_epoch(epoch, shard_count, &settings);
        let mut luck = Random::new(7);
        let store = Store::new(Rc::clone(&kept), ways, move |bound| luck.below(bound));
        world.join_store(store, usize::MAX);
        Self { world, kept }
    }

    /// One of which memory has let go of some, and who published it: forty events.
    fn with_past() -> (Self, Client) {
        let mut server = Self::new(Ways::default());
        let mut publisher = server.connect();
        for _ in 0..40 {
            server.publish(&publisher, "kept/a", "ordered");
        }
        server.pass(10);
        server.told(&mut publisher);
        (server, publisher)
    }

    fn store(&mut self) -> &mut Store {
        self.world.store.as_mut().unwrap()
    }

    fn close_store(&mut self) {
        for (to, message) in self.store().close(2) {
            self.world.shards[to.index()].inbox(message, self.world.now);
        }
    }

    fn connect(&mut self) -> Client {
        let mut client = Client::connect(&mut self.world, 0, 1 << 20, false);
        self.told(&mut client);
        client
    }

    /// Time passes, a tick every 100 ms.
    fn pass(&mut self, ms: u64) {
        for step in 0..ms {
            self.world.settle();
            self.world.advance(1);
            if step % 100 == 0 {
                self.world.tick();
            }
        }
        self.world.settle();
    }

    /// What a client is told until now, since it was last asked.
    fn told(&mut self, client: &mut Client) -> Vec<Told> {
        self.world.settle();
        while client.read(&mut self.world, usize::MAX) > 0 {
            self.world.settle();
        }
        std::mem::take(&mut client.told)
    }

    fn subscriber(&mut self, topic: &str, since: &Value) -> Client {
        let mut client = self.connect();
        let wish = json!({"type": "subscribe", "id": "s", "topics": [topic], "since": since});
        client.say(&mut self.world, &wish);
        self.told_nothing_wrong(&mut client);
        client
    }

    fn live(&mut self, topic: &str) -> Client {
        let mut client = self.connect();
        client.say(&mut self.world, &json!({"type": "subscribe", "id": "s", "topics": [topic]}));
        self.told_nothing_wrong(&mut client);
        client
    }

    fn told_nothing_wrong(&mut self, client: &mut Client) {
        self.world.settle();
        while client.read(&mut self.world, usize::MAX) > 0 {
            self.world.settle();
        }
        let is_error = |told: &Told| matches!(told, Told::Other(said) if said["type"] == "error");
        assert!(!client.told.iter().any(is_error), "{:?}", client.told);
    }

    fn publish(&mut self, client: &Client, topic: &str, ack: &str) {
        let message = json!({"type": "publish", "id": ack, "topic": topic, "ack": ack, "payload": {"pad": "x".repeat(200)}});
        client.say(&mut self.world, &message);
    }
}

/// Offsets of events, in order.
fn offsets(told: &[Told]) -> Vec<u64> {
    let offset = |told: &Told| match told {
        Told::Event(event) => Some(event.offset),
        _ => None,
    };
    told.iter().filter_map(offset).collect()
}

/// An offset, if it was said; or a code and a message.
type Answer = Result<Option<u64>, (String, String)>;

/// Answers to publishes: which was asked for, and the offset or what went wrong.
fn answers(told: &[Told]) -> Vec<(String, Answer)> {
    let answer = |told: &Told| {
        let Told::Other(said) = told else { return None };
        let id = said["id"].as_str().unwrap_or_default().to_owned();
        let text = |name: &str| said[name].as_str().unwrap_or_default().to_owned();
        match said["type"].as_str()? {
            "published" => Some((id, Ok(said["offset"].as_u64()))),
            "error" => Some((id, Err((text("code"), text("message"))))),
            _ => None,
        }
    };
    told.iter().filter_map(answer).collect()
}

fn gaps(told: &[Told]) -> Vec<(u64, u64, String)> {
    let gap = |told: &Told| match told {
        Told::Gap { from, to, reason, .. } => Some((*from, *to, reason.clone())),
        _ => None,
    };
    told.iter().filter_map(gap).collect()
}

fn is_live(told: &[Told]) -> bool {
    told.iter().any(|told| matches!(told, Told::Live { .. }))
}

const SLOW: Ways = Ways {
    store_ms: 20,
    sync_ms: 20,
    page_ms: 0,
    refuses_one_in: 0,
    fails_one_in: 0,
    forgets_one_in: 0,
    page_events_max: 0,
    lags: 0,
    notes_nothing: None,
    unkept_one_in: 0,
};

#[test]
fn nobody_hears_of_an_event_before_it_is_stored_and_its_publisher_hears_first() {
    let mut server = Server::new(SLOW);
    let mut publisher = server.live("kept/a");
    let mut other = server.live("kept/a");
    server.told(&mut publisher);
    server.told(&mut other);
    server.store().is_stuck = true;
    server.publish(&publisher, "kept/a", "ordered");
    server.pass(100);
    assert_eq!(server.told(&mut publisher), [], "neither an answer nor the event");
    assert_eq!(server.told(&mut other), []);
    server.store().is_stuck = false;
    server.pass(100);
    let told = server.told(&mut publisher);
    assert!(
        matches!(&told[..], [Told::Other(said), Told::Event(_)] if said["type"] == "published"),
        "{told:?}"
    );
    assert_eq!(offsets(&server.told(&mut other)), [1]);
}

#[test]
fn each_acknowledgement_comes_when_it_is_true() {
    let ways = Ways { store_ms: 0, ..SLOW };
    for (ack, is_stored, is_synced) in [
        ("none", false, false),
        ("ordered", true, false),
        ("stored", true, false),
        ("durable", true, true),
    ] {
        let mut server = Server::new(ways);
        let mut publisher = server.connect();
        server.store().is_stuck = true;
        server.publish(&publisher, "kept/a", ack);
        server.pass(1);
        let at_once = !answers(&server.told(&mut publisher)).is_empty();
        assert_eq!(at_once, !is_stored, "{ack}: before anything is stored");
        server.store().is_stuck = false;
        // Stored in this instant, synced in 20 ms at most.
        server.world.settle();
        let stored = server.kept.borrow().events.len();
        assert_eq!(stored, 1, "{ack}");
        let when_stored = !answers(&server.told(&mut publisher)).is_empty();
        assert_eq!(when_stored, is_stored && !is_synced, "{ack}: when it is stored");
        server.pass(25);
        let when_synced = answers(&server.told(&mut publisher));
        assert_eq!(!when_synced.is_empty(), is_synced, "{ack}: when it is synced");
    }
}

#[test]
fn who_does_not_want_to_know_is_told_no_offset_and_nothing_is_stored_of_other_topics() {
    let mut server = Server::new(Ways::default());
    let mut publisher = server.connect();
    for topic in ["kept/a", "passing"] {
        server.publish(&publisher, topic, "none");
        assert_eq!(
            answers(&server.told(&mut publisher)),
            [("none".to_owned(), Ok(None))],
            "{topic}"
        );
    }
    server.publish(&publisher, "passing", "ordered");
    assert_eq!(answers(&server.told(&mut publisher)), [("ordered".to_owned(), Ok(Some(2)))]);
    for ack in ["stored", "durable"] {
        server.publish(&publisher, "passing", ack);
        let text = "the topic is not durable: `ack` is `none` or `ordered`, for nothing of it outlives the process";
        let refused = Err(("not_durable".to_owned(), text.to_owned()));
        assert_eq!(answers(&server.told(&mut publisher)), [(ack.to_owned(), refused)]);
    }
    let message =
        json!({"type": "publish", "id": 1, "topic": "passing", "ack": "soon", "payload": {}});
    publisher.say(&mut server.world, &message);
    let told = answers(&server.told(&mut publisher));
    let text = "ack is `none`, `ordered`, `stored` or `durable`, not \"soon\"";
    assert_eq!(told[0].1, Err(("bad_field".to_owned(), text.to_owned())));
}

fn post(server: &mut Server, query: &str, body: &str) -> String {
    let wire = server.world.open(1, 1 << 20);
    let kind = if body.contains('\n') { "application/x-ndjson" } else { "application/json" };
    let request = format!(
        "POST /v1/publish/kept/a{query} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    server.world.say(wire, request.as_bytes());
    server.pass(60);
    let text = String::from_utf8(server.world.read(wire, 1 << 20)).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    format!("{} {body}", head.split(' ').nth(1).unwrap())
}

#[test]
fn a_full_disk_is_said_costs_no_subscriber_and_is_forgotten_when_there_is_room() {
    let mut server = Server::new(Ways { store_ms: 3, ..Ways::default() });
    let mut publisher = server.connect();
    let mut subscriber = server.live("**");
    server.told(&mut subscriber);
    server.publish(&publisher, "kept/a", "stored");
    server.pass(10);
    assert_eq!(answers(&server.told(&mut publisher))[0].1, Ok(Some(1)));
    server.store().ways.refuses_one_in = 1;
    // Several on their way at once, on the same home: none of them is stored.
    for _ in 0..3 {
        server.publish(&publisher, "kept/a", "stored");
    }
    server.pass(20);
    let text = "the disk is full: the topic is durable, and the event was not taken; try again when there is room";
    let refused = answers(&server.told(&mut publisher));
    assert_eq!(refused.len(), 3);
    for (_, answer) in refused {
        assert_eq!(answer, Err(("full".to_owned(), text.to_owned())));
    }
    let answer = post(&mut server, "?ack=stored", "{}");
    assert!(answer.starts_with("507 ") && answer.contains(text), "{answer}");
    let answer = post(&mut server, "", "{}\n{}\n");
    assert!(answer.starts_with("507 ") && answer.contains(r#""accepted":0"#), "{answer}");
    assert!(answer.contains(r#""line":1"#), "{answer}");
    server.publish(&publisher, "passing", "ordered");
    server.pass(1);
    assert_eq!(answers(&server.told(&mut publisher))[0].1, Ok(Some(1)), "others go on");
    server.store().ways.refuses_one_in = 0;
    let answer = post(&mut server, "?ack=durable", "{}");
    assert!(answer.starts_with("200 ") && answer.contains(r#""offset":2"#), "{answer}");
    assert_eq!(post(&mut server, "?ack=none", "{}"), r#"202 {"accepted":1,"topic":"kept/a"}"#);
    let told = server.told(&mut subscriber);
    assert_eq!(offsets(&told), [1, 1, 2, 3], "no offset was lost or given twice");
    assert!(gaps(&told).is_empty() && server.world.is_open(subscriber.wire));
}

#[test]
fn a_silent_store_costs_those_who_wait_for_it_and_nobody_else() {
    let (mut server, mut publisher) = Server::with_past();
    let mut others = server.live("**");
    server.told(&mut others);
    server.store().is_stuck = true;
    let mut reader = server.subscriber("kept/a", &json!("earliest"));
    let told = server.told(&mut reader);
    assert!(
        !is_live(&told) && offsets(&told).is_empty(),
        "the store has what comes first: {told:?}"
    );
    let mut waiting = server.connect();
    server.publish(&waiting, "kept/a", "ordered");
    // Whoever wants nothing of the past is live at once, and other topics are as quick as ever.
    let mut late = server.live("kept/a");
    assert!(is_live(&server.told(&mut late)));
    server.publish(&publisher, "passing", "ordered");
    assert_eq!(answers(&server.told(&mut publisher))[0].1, Ok(Some(1)));
    assert_eq!(offsets(&server.told(&mut others)), [1]);
    server.pass(PAGE_MS + 200);
    let told = server.told(&mut reader);
    let [(1, to, reason)] = &gaps(&told)[..] else { panic!("one gap: {told:?}") };
    assert_eq!(reason, "unavailable");
    assert!(is_live(&told));
    assert_eq!(offsets(&told), (to + 1..=40).collect::<Vec<_>>(), "and then all that memory holds");
    assert_eq!(server.told(&mut waiting), [], "a publisher waits longer");
    server.pass(RUN_MS - PAGE_MS);
    let text = "the store does not answer: the topic is durable, and whether the event is kept is not known";
    let unknown = Err(("unavailable".to_owned(), text.to_owned()));
    assert_eq!(answers(&server.told(&mut waiting)), [("ordered".to_owned(), unknown.clone())]);
    server.publish(&waiting, "kept/a", "ordered");
    assert_eq!(answers(&server.told(&mut waiting)), [("ordered".to_owned(), unknown)]);
    let answer = post(&mut server, "", "{}");
    assert!(answer.starts_with("503 "), "{answer}");
    // It comes to itself: what it was handed is stored and told, in order, and it is asked again.
    server.store().is_stuck = false;
    server.pass(10);
    assert_eq!(offsets(&server.told(&mut others)), [41]);
    server.publish(&waiting, "kept/a", "ordered");
    server.pass(10);
    assert_eq!(answers(&server.told(&mut waiting)), [("ordered".to_owned(), Ok(Some(42)))]);
    let mut reader = server.subscriber("kept/a", &json!("earliest"));
    server.pass(10);
    assert_eq!(offsets(&server.told(&mut reader)), (1..=42).collect::<Vec<_>>());
}

#[test]
fn a_store_that_ends_costs_readers_a_gap_and_publishers_their_answers() {
    let (mut server, mut publisher) = Server::with_past();
    server.store().is_stuck = true;
    server.publish(&publisher, "kept/a", "durable");
    let mut reader = server.subscriber("kept/a", &json!("earliest"));
    server.pass(1);
    server.close_store();
    server.pass(1);
    let told = server.told(&mut reader);
    assert!(is_live(&told));
    assert_eq!(gaps(&told)[0].2, "unavailable");
    assert_eq!(answers(&server.told(&mut publisher))[0].1.clone().unwrap_err().0, "unavailable");
    // Whoever comes later is told at once.
    let mut later = server.subscriber("kept/*", &json!("earliest"));
    let told = server.told(&mut later);
    assert!(is_live(&told) && gaps(&told)[0].2 == "unavailable", "{told:?}");
    server.publish(&publisher, "passing", "ordered");
    assert_eq!(answers(&server.told(&mut publisher))[0].1, Ok(Some(1)));
}

#[test]
fn a_new_process_goes_on_where_the_last_one_was_whatever_its_shards() {
    let kept: Rc<RefCell<Kept>> = Rc::default();
    let mut position = BTreeMap::new();
    let mut seen: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let mut since = json!("earliest");
    let mut time_us = None;
    for (life, shard_count) in [1_u16, 3, 2, 2].into_iter().enumerate() {
        let epoch = format!("d1_e{life}");
        let mut server = Server::begin(Rc::clone(&kept), SLOW, &epoch, shard_count);
        // Wall clocks go on, and this one goes back.
        server.world.advance(if life == 2 { 0 } else { 5_000 * life as u64 });
        let publisher = server.connect();
        let mut subscriber = server.subscriber("**", &since);
        for number in 0..30 {
            let topic = ["kept/a", "kept/b", "kept/c", "passing"][number % 4];
            server.publish(&publisher, topic, "stored");
            server.pass(3);
        }
        server.pass(500);
        for told in server.told(&mut subscriber) {
            match told {
                Told::Event(event) => {
                    position.insert(event.topic.clone(), event.offset);
                    seen.entry(event.topic).or_default().push(event.offset);
                }
                Told::Gap { topic, reason, .. } => {
                    // Of what nothing is kept nobody can go on.
                    assert_eq!((&*topic, &*reason), ("passing", "epoch"), "life {life}");
                    seen.remove("passing");
                }
                Told::Live { time_us: live_us, .. } => time_us = Some(live_us),
                Told::Other(said) => assert_ne!(said["type"], "error", "{said}"),
                told => panic!("{told:?}"),
            }
        }
        since = json!({"epoch": epoch, "offsets": position, "time_us": time_us});
        // The power went: offsets that somebody may have seen are left out.
        kept.borrow_mut().ahead = if life == 1 { 1_000 } else { 0 };
    }
    for topic in ["kept/a", "kept/b", "kept/c"] {
        let offsets = &seen[topic];
        assert!(offsets.is_sorted_by(|one, next| one < next), "{topic}: {offsets:?}");
        let all: Vec<u64> = kept
            .borrow()
            .events
            .iter()
            .filter(|event| event.topic.as_str() == topic)
            .map(|event| event.offset)
            .collect();
        assert_eq!(*offsets, all, "{topic}: each event once");
        assert!(all.iter().any(|offset| *offset > 1_000), "some were left out");
    }
}
