//! Who has a name when, what is left under it and for how long, and who pays for a flood.

use super::*;
use crate::dialect::testing::event;
use crate::event::Ack;
use crate::event::Op;
use crate::event::ShardId;
use crate::shard::ConnId;
use crate::shard::ConnRef;

fn at(id: u32) -> Address {
    Address { shard: ShardId(0), conn: ConnRef { id: ConnId(id), generation: 1 } }
}

fn claimant(id: u32, is_clean: bool) -> Claimant {
    Claimant { address: at(id), is_clean }
}

fn name(client: &str) -> ClientName {
    ClientName::new(Some("ada"), client)
}

fn bookmark(lasts_s: u32, will: Option<(&str, u32)>) -> Option<Box<Bookmark>> {
    let will = will.map(|(topic, delay_s)| {
        let event = event(topic, "", Op::Event, "{}");
        let (key, payload) = (event.key.clone(), event.payload.clone());
        let (fields, ack) = (event.fields.clone(), Ack::Ordered);
        let draft =
            Draft { topic: event.topic, key, op: Op::Event, payload, fields, ack, meta: None };
        Box::new(Will { draft, delay_s })
    });
    Some(Box::new(Bookmark { lasts_s, will, ..Bookmark::default() }))
}

fn now(mono_ms: u64) -> Now {
    Now { mono_ms, wall_us: 0 }
}

fn claims() -> Claims {
    Claims::within(1 << 20)
}

/// Who has the name, and whether something was left for it.
fn granted(settled: &Settled) -> Option<(Address, bool)> {
    settled.granted.as_ref().map(|(address, left)| (*address, left.is_some()))
}

fn wills(settled: &Settled) -> Vec<&str> {
    settled.wills.iter().map(|draft| draft.topic.as_str()).collect()
}

#[test]
fn the_last_one_has_the_name_once_the_one_before_has_let_go() {
    let mut claims = claims();
    assert_eq!(granted(&claims.claim(name("c"), claimant(1, false))), Some((at(1), false)));
    let second = claims.claim(name("c"), claimant(2, false));
    assert_eq!((second.taken_over.as_slice(), granted(&second)), (&[at(1)][..], None));
    let third = claims.claim(name("c"), claimant(3, false));
    assert_eq!((third.taken_over.as_slice(), granted(&third)), (&[at(2)][..], None));
    // Whoever was outdone lets go of nothing.
    assert_eq!(granted(&claims.release(name("c"), at(2), None, now(0))), None);
    let released = claims.release(name("c"), at(1), bookmark(60, Some(("w", 5))), now(0));
    assert_eq!(granted(&released), Some((at(3), true)), "it goes on from where the first one was");
    assert!(released.wills.is_empty(), "its client is there again");
    assert_eq!(granted(&claims.release(name("c"), at(3), None, now(0))), None);
    assert_eq!(claims.left(), (0, 0));
    assert!(claims.names.is_empty());
}

#[test]
fn whoever_comes_and_goes_before_its_turn_takes_nothing_along() {
    let mut claims = claims();
    claims.claim(name("c"), claimant(1, false));
    claims.claim(name("c"), claimant(2, false));
    assert_eq!(granted(&claims.release(name("c"), at(2), None, now(0))), None);
    assert_eq!(granted(&claims.release(name("c"), at(1), bookmark(60, None), now(0))), None);
    assert_eq!(granted(&claims.claim(name("c"), claimant(4, false))), Some((at(4), true)));
}

#[test]
fn a_clean_start_ends_what_was_left_and_publishes_its_will() {
    let mut claims = claims();
    claims.claim(name("c"), claimant(1, false));
    claims.release(name("c"), at(1), bookmark(60, Some(("w", 30))), now(0));
    let clean = claims.claim(name("c"), claimant(2, true));
    assert_eq!((granted(&clean), wills(&clean)), (Some((at(2), false)), vec!["w"]));
    let third = claims.claim(name("c"), claimant(3, true));
    assert_eq!(third.taken_over, [at(2)]);
    let released = claims.release(name("c"), at(2), bookmark(60, Some(("v", 30))), now(0));
    assert_eq!((granted(&released), wills(&released)), (Some((at(3), false)), vec!["v"]));
}

#[test]
fn wills_and_bookmarks_have_their_time() {
    let mut claims = claims();
    for (client, lasts_s, delay_s) in [("early", 60, 5), ("late", 10, 60), ("silent", 20, 0)] {
        claims.claim(name(client), claimant(1, false));
        let will = (delay_s > 0).then_some((client, delay_s));
        claims.release(name(client), at(1), bookmark(lasts_s, will), now(0));
    }
    assert_eq!(claims.left().0, 3);
    assert!(claims.look(now(4_999)).wills.is_empty());
    assert_eq!(wills(&claims.look(now(5_000))), ["early"]);
    assert_eq!(claims.left().0, 3, "its session goes on");
    assert_eq!(wills(&claims.look(now(10_000))), ["late"], "with its session, whatever its delay");
    claims.look(now(20_000));
    assert_eq!(claims.left().0, 1);
    assert_eq!(granted(&claims.claim(name("early"), claimant(2, false))), Some((at(2), true)));
    assert_eq!(granted(&claims.claim(name("silent"), claimant(3, false))), Some((at(3), false)));
    assert_eq!((claims.left(), claims.due_ms()), ((0, 0), None));
    assert!(claims.held.by_owner.is_empty());
}

#[test]
fn a_flood_costs_the_user_that_floods() {
    let each = bookmark(60, None).unwrap().weight_bytes(&name("m000"));
    let mut claims = Claims::within(200 * each);
    let mine = ClientName::new(Some("bob"), "mine");
    claims.claim(mine.clone(), claimant(0, false));
    claims.release(mine.clone(), at(0), bookmark(10, None), now(0));
    let mut crowded_out = 0;
    for index in 0..1000 {
        let name = name(&format!("m{index:03}"));
        claims.claim(name.clone(), claimant(1, false));
        crowded_out += claims.release(name, at(1), bookmark(60, None), now(index)).crowded_out;
        assert!(claims.left().1 <= 200 * each);
    }
    assert!(crowded_out >= 800, "{crowded_out}");
    assert_eq!(granted(&claims.claim(mine, claimant(2, false))), Some((at(2), true)));
    let last = claims.claim(name("m999"), claimant(3, false));
    assert_eq!(granted(&last), Some((at(3), true)), "those that end first gave way");
}
