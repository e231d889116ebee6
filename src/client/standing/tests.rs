//! What all clients do is the conformance script's; here stands what no other has: a reader that is slow, and answers that cross.

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use super::*;
use crate::client::message::Message;

struct Case {
    standing: Standing,
    items: flume::Receiver<Item>,
    ended: Arc<OnceLock<ClientError>>,
    said: Vec<String>,
}

fn subscribed(wish: Wish) -> Case {
    let (queue, items) = queue();
    let ended = Arc::new(OnceLock::new());
    let outlet = Outlet { queue, ended: Arc::clone(&ended), agreed: None };
    let mut standing = Standing::new("s".to_owned(), wish, outlet);
    let mut said = Vec::new();
    standing.begin("e", &mut said);
    standing.agreed();
    Case { standing, items, ended, said }
}

impl Case {
    fn tell(&mut self, offset: usize) {
        let text = json!({"type": "event", "subs": ["s"], "topic": "t", "op": "event", "offset": offset, "time_us": 1, "payload": {}});
        let text = text.to_string();
        let Message::Told(told) = Message::parse(text.as_bytes()).unwrap() else { panic!("told") };
        self.standing.tell(&told[0], &mut self.said).unwrap();
    }

    fn live(&mut self) {
        let position = Position { epoch: "e".to_owned(), time_us: Some(5), ..Position::default() };
        self.standing.live(position, 0);
    }

    fn ask(&mut self, changes: Option<Value>) -> flume::Receiver<Result<(), ClientError>> {
        let (answered, answer) = flume::bounded(1);
        let changes = changes.map(|changes| changes.as_object().unwrap().clone());
        assert!(self.standing.ask(Pending { changes, answered }, &mut self.said));
        answer
    }

    fn said(&mut self) -> Vec<Map<String, Value>> {
        let said = std::mem::take(&mut self.said);
        said.iter().map(|text| serde_json::from_str(text).unwrap()).collect()
    }

    /// The offsets that are read, so many items.
    fn read(&self, count: usize) -> Vec<u64> {
        let items = (0..count).map(|_| self.items.try_recv().unwrap());
        items
            .filter_map(|item| match item {
                Item::Told { offset, .. } => Some(offset),
                _ => None,
            })
            .collect()
    }
}

/// A subscription that is live, and of which as much waits to be read as may.
fn full() -> Case {
    let mut case = subscribed(Wish::of(["t"]));
    case.live();
    for offset in 1..=QUEUE_MAX - 2 {
        case.tell(offset);
    }
    case.said();
    case
}

#[test]
fn who_reads_slowly_is_told_the_rest_from_history() {
    let mut case = full();
    case.tell(QUEUE_MAX - 1);
    assert_eq!(Value::from(case.said()), json!([{"type": "unsubscribe", "id": "s"}]));
    // What was under way already is told later.
    case.tell(QUEUE_MAX);
    case.live();
    assert!(case.standing.ended(&mut case.said), "it goes on");
    case.standing.catch_up(&mut case.said);
    assert_eq!(case.said(), [], "nothing was read");
    let read = case.read(QUEUE_MAX / 2);
    assert_eq!(read.len(), QUEUE_MAX / 2 - 2, "events, behind the beginning and `live`");
    case.standing.catch_up(&mut case.said);
    let since = json!({"epoch": "e", "offsets": {"t": QUEUE_MAX - 2}, "time_us": 5});
    let wish = json!([{"type": "subscribe", "id": "s", "topics": ["t"], "since": since}]);
    assert_eq!(Value::from(case.said()), wish);
    case.tell(QUEUE_MAX - 1);
    assert_eq!(case.read(QUEUE_MAX / 2 + 2).last(), Some(&(QUEUE_MAX as u64 - 1)));
}

#[test]
fn a_connection_that_is_lost_meanwhile_is_no_other_case() {
    let mut case = full();
    case.tell(QUEUE_MAX - 1);
    assert!(case.standing.lose(), "it goes on");
    case.standing.begin("e", &mut case.said);
    assert_eq!(case.said().len(), 1, "nothing but the end is said while so much waits");
    case.read(QUEUE_MAX / 2);
    case.standing.catch_up(&mut case.said);
    assert_eq!(case.said()[0]["type"], "subscribe");
}

#[test]
fn what_is_asked_of_one_that_is_behind_is_said_when_it_goes_on() {
    let mut case = full();
    case.tell(QUEUE_MAX - 1);
    let answer = case.ask(Some(json!({"filter": "a = 1"})));
    assert_eq!(case.said().len(), 1, "the end alone");
    case.standing.ended(&mut case.said);
    case.read(QUEUE_MAX / 2);
    case.standing.catch_up(&mut case.said);
    let kinds: Vec<Value> = case.said().iter().map(|said| said["type"].clone()).collect();
    assert_eq!(kinds, ["subscribe", "update"]);
    case.standing.agreed();
    case.standing.updated();
    assert_eq!(answer.try_recv().unwrap(), Ok(()));
    assert_eq!(case.standing.options["filter"], "a = 1");
}

#[test]
fn one_that_ends_by_wish_is_not_begun_again() {
    let mut case = full();
    drop(case.ask(None));
    case.said();
    case.tell(QUEUE_MAX - 1);
    assert_eq!(case.said(), [], "the end was said once");
    assert!(!case.standing.ended(&mut case.said), "it has ended");
}

#[test]
fn the_end_of_another_one_with_this_id_is_not_its_own() {
    let mut case = subscribed(Wish::of(["t"]));
    case.standing.lose();
    case.standing.begin("e", &mut case.said);
    assert!(case.standing.ended(&mut case.said), "nothing was agreed to yet");
    case.standing.agreed();
    assert!(!case.standing.ended(&mut case.said));
}

#[test]
fn who_reads_nothing_and_changes_much_is_ended() {
    let mut case = full();
    case.standing.options.insert("leave".to_owned(), true.into());
    for _ in 0..QUEUE_MOVES_MAX {
        drop(case.ask(Some(json!({"filter": "a = 1"}))));
        case.standing.updated();
    }
    assert!(!case.standing.is_abandoned(), "as many moves wait as may");
    drop(case.ask(Some(json!({"filter": "a = 1"}))));
    case.standing.updated();
    assert!(case.standing.is_abandoned());
    assert_eq!(case.ended.get().unwrap().code, "queue_full");
}

#[test]
fn the_pace_of_the_past_is_kept_until_it_has_been_told() {
    let wish = Wish::of(["t"]).since(Since::EARLIEST).option("speed", 60).option("max_gap_ms", 5);
    let mut case = subscribed(wish);
    let begun = case.said().remove(0);
    assert_eq!((&begun["since"], &begun["speed"]), (&json!("earliest"), &json!(60)));
    drop(case.ask(Some(json!({"speed": 0, "max_gap_ms": null}))));
    case.standing.updated();
    let again = |case: &mut Case| {
        case.said();
        case.standing.lose();
        case.standing.begin("e", &mut case.said);
        case.standing.agreed();
        case.said().remove(0)
    };
    let paused = again(&mut case);
    assert_eq!((&paused["speed"], paused.get("max_gap_ms")), (&json!(0), None));
    drop(case.ask(Some(json!({"since": {"time_us": 7}, "speed": 10, "play_from": 9}))));
    case.standing.updated();
    let moved = again(&mut case);
    let told = (&moved["since"], &moved["speed"], &moved["play_from"]);
    assert_eq!(told, (&json!({"epoch": "e", "offsets": {}, "time_us": 6}), &json!(10), &json!(9)));
    case.live();
    assert_eq!(again(&mut case).get("speed"), None);
}

#[test]
fn a_filter_that_changes_with_leave_is_told_when_it_resumes() {
    let mut case = subscribed(Wish::of(["t"]).option("leave", true).filter("a = 1"));
    case.live();
    drop(case.ask(Some(json!({"filter": "a = 2"}))));
    case.standing.updated();
    case.said();
    case.standing.lose();
    case.standing.begin("e", &mut case.said);
    let said = case.said().remove(0);
    assert_eq!(
        (&said["since"]["filter_changed"], &said["filter"]),
        (&json!(true), &json!("a = 2"))
    );
}
