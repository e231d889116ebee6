//! A party is added by its thread, its messages and its id in the settings of those who ask it: nothing in `conn` or `shard` knows how many there
//! are, or which stand beside it.
//!
//! In the core's time, a keeper of keys among bystanders; and on threads, parties whose messages are the test's own.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fanwire::conn::Heard;
use fanwire::conn::Links;
use fanwire::conn::Party;
use fanwire::conn::weave;
use fanwire::shard::Access;
use fanwire::shard::Lane;
use fanwire::shard::Message;
use fanwire::shard::PartyId;
use fanwire::shard::Settings;

use crate::support::fits::with_tokens;
use crate::support::keys;
use crate::support::world::World;
use crate::support::world::party;
use crate::support::world::party::Manner;
use crate::support::world::roomy;

const SHARDS: u16 = 3;

/// Somebody who has nothing to say to the shards, and should not be told anything.
fn bystander() -> party::Party {
    party::Party::new(Manner::default(), |_| 0, |_| Vec::new())
}

/// What clients on all shards are told where so many parties stand before the keeper, and so many behind.
fn told(before: u16, behind: u16) -> Vec<String> {
    let mut access = Access { verifier: Some(Arc::new(keys::verifier(&[]))), ..Access::default() };
    access.keys = Some(PartyId(SHARDS + before));
    let mut world = World::new(SHARDS, &Settings { access: Arc::new(access), ..roomy() });
    for _ in 0..before {
        world.join(bystander());
    }
    assert_eq!(world.join(keys::keeper(SHARDS)), PartyId(SHARDS + before));
    for _ in 0..behind {
        world.join(bystander());
    }
    let first = with_tokens(r#"«{"sub":"bob","exp":3000}»"#);
    let mut told = Vec::new();
    let mut wires = Vec::new();
    let mut ask = |world: &mut World, shard: u16, request: String| {
        let wire = world.open(usize::from(shard), 1 << 20);
        world.say(wire, request.as_bytes());
        world.settle();
        wires.push(wire);
    };
    let sse =
        |token: &str| format!("GET /v1/sse?topic=**&token={token} HTTP/1.1\r\nHost: x\r\n\r\n");
    for shard in 0..SHARDS {
        ask(&mut world, shard, sse(&first));
    }
    // Nobody knows its key; who was asked for it tells all of them, and then every shard does.
    let second = keys::token_of_second(&world);
    ask(&mut world, 0, sse(&second));
    for shard in 0..SHARDS {
        ask(&mut world, shard, sse(&second));
        for topic in 0..4 {
            let post = format!(
                "POST /v1/publish/t{topic} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {second}\r\nContent-Length: 2\r\n\r\n{{}}"
            );
            ask(&mut world, shard, post);
        }
    }
    for wire in wires {
        told.push(String::from_utf8(world.read(wire, usize::MAX)).unwrap());
    }
    let heard: Vec<usize> = world.parties.iter().map(|party| party.heard).collect();
    let expected = (0..=before + behind).map(|index| usize::from(index == before));
    assert_eq!(heard, expected.collect::<Vec<_>>(), "who is asked is told, and nobody else");
    told
}

#[test]
fn shards_serve_alike_whoever_stands_beside_the_one_they_ask() {
    let alone = told(0, 0);
    let statuses: Vec<&str> = alone.iter().filter_map(|told| told.get(9..12)).collect();
    assert_eq!(statuses[..5], ["200", "200", "200", "401", "200"]);
    assert_eq!(statuses.iter().filter(|status| **status == "401").count(), 1, "{statuses:?}");
    assert!(alone[0].contains(r#""topic":"t3""#), "{}", alone[0]);
    for (before, behind) in [(0, 1), (1, 0), (2, 3), (7, 0)] {
        assert_eq!(told(before, behind), alone, "{before} before, {behind} behind");
    }
}

/// What the parties of the test say to one another.
#[derive(Debug, PartialEq, Eq)]
enum Note {
    Question { from: PartyId, number: u32 },
    Answer { from: PartyId, number: u32 },
}

impl Message for Note {
    fn lane(&self) -> Lane {
        match self {
            Self::Question { .. } => Lane::Data,
            Self::Answer { .. } => Lane::Control,
        }
    }

    fn weight_bytes(&self) -> usize {
        64
    }

    fn is_past(&self) -> bool {
        false
    }
}

/// Questions that each party asks each other one; several times what an inbox has room for.
const QUESTIONS: u32 = 2_000;
/// Bytes of a lane: room for fewer messages than it may have.
const INBOX_BYTES: usize = 64 * 100;

/// Asks everybody, answers everybody, and goes when everybody has been answered.
fn live(id: PartyId, party_count: u16, links: Links<Note>, unanswered: &AtomicUsize) {
    let mut party = Party::new(links);
    let others = || (0..party_count).map(PartyId).filter(|other| *other != id);
    for number in 0..QUESTIONS {
        for other in others() {
            party.pending(other).push(Note::Question { from: id, number });
        }
    }
    let mut asked = vec![0; usize::from(party_count)];
    let mut answered = vec![0; usize::from(party_count)];
    while unanswered.load(Ordering::Acquire) > 0 {
        match party.hear(Duration::from_millis(1)) {
            Heard::Message(Note::Question { from, number }) => {
                assert_eq!(number, asked[from.index()], "in the order asked");
                asked[from.index()] += 1;
                party.pending(from).push(Note::Answer { from: id, number });
            }
            Heard::Message(Note::Answer { from, number }) => {
                assert_eq!(number, answered[from.index()], "in the order answered");
                answered[from.index()] += 1;
                unanswered.fetch_sub(1, Ordering::AcqRel);
            }
            Heard::Nothing => {}
            Heard::Stop => panic!("nobody is told to stop"),
        }
    }
    for other in others() {
        assert_eq!((asked[other.index()], answered[other.index()]), (QUESTIONS, QUESTIONS));
    }
}

#[test]
fn parties_of_any_number_hear_each_other_in_order() {
    for party_count in [2, 3, 6] {
        let pairs = usize::from(party_count) * usize::from(party_count - 1);
        let unanswered = AtomicUsize::new(pairs * QUESTIONS as usize);
        let all = weave::<Note>(party_count, 0, INBOX_BYTES).unwrap();
        std::thread::scope(|scope| {
            for (id, links) in (0..party_count).map(PartyId).zip(all) {
                let unanswered = &unanswered;
                scope.spawn(move || live(id, party_count, links, unanswered));
            }
        });
        assert_eq!(unanswered.into_inner(), 0);
    }
}
