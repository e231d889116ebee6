//! The outbox by itself: what leaves in which order, what is dropped and told of, and what a shard's outboxes hold together.

use bytes::Bytes;

use super::*;
use crate::event::HomeId;
use crate::event::Op;
use crate::limits::OUTBOX_SPARE_BYTES;

const DROP: Policy = Policy { drop_oldest: 1, latest: 0, silent: 0 };
const SILENT: Policy = Policy { drop_oldest: 1, latest: 0, silent: 1 };
const LATEST: Policy = Policy { drop_oldest: 0, latest: 1, silent: 0 };

fn event(key: &str, offset: u64) -> Arc<Event> {
    Arc::new(Event {
        topic: TopicName::new("t").unwrap(),
        key: Arc::from(key),
        op: Op::Upsert,
        home: HomeId(0),
        offset,
        previous: offset - 1,
        time_us: offset * 10,
        payload: Bytes::from_static(b"{}"),
        fields: crate::event::Fields::default(),
        before: None,
        meta: None,
    })
}

fn room_for(count: usize) -> usize {
    count * (ITEM_BYTES + event("k", 1).weight_bytes())
}

fn rest(outbox: &mut Outbox) -> Vec<u64> {
    let mut offsets = Vec::new();
    while let Some(item) = outbox.pop() {
        if let Item::Event { event, .. } = item {
            offsets.push(event.offset);
        }
    }
    offsets
}

#[test]
fn disconnect_is_told_when_full() {
    let mut outbox = Outbox::default();
    for offset in 1..=3 {
        assert_eq!(
            outbox.push_event(&event("k", offset), 1, &Policy::default(), room_for(3)),
            Pushed::Queued
        );
    }
    assert_eq!(outbox.push_event(&event("k", 4), 1, &Policy::default(), room_for(3)), Pushed::Full);
    assert_eq!(rest(&mut outbox), [1, 2, 3]);
    assert_eq!(outbox.bytes(), 0);
}

#[test]
fn drop_oldest_says_which_went() {
    let mut outbox = Outbox::default();
    for offset in 1..=10 {
        assert_eq!(outbox.push_event(&event("k", offset), 1, &DROP, room_for(3)), Pushed::Queued);
    }
    let gaps = outbox.take_gaps();
    assert_eq!(gaps.len(), 1);
    assert_eq!((gaps[0].0.from, gaps[0].0.to, gaps[0].0.reason), (1, 7, GapReason::Slow));
    assert_eq!(rest(&mut outbox), [8, 9, 10]);
    assert!(outbox.is_empty());
}

#[test]
fn a_subscription_is_told_of_one_gap_whoever_else_lost_what() {
    let policy = Policy { drop_oldest: 0b11, latest: 0, silent: 0 };
    let mut outbox = Outbox::default();
    // The last three stay.
    for (offset, subs) in (1..).zip([0b01, 0b11, 0b10, 0b11, 0b10, 0b01, 0b01, 0b01]) {
        assert_eq!(
            outbox.push_event(&event("k", offset), subs, &policy, room_for(3)),
            Pushed::Queued
        );
    }
    let mut told: Vec<_> =
        outbox.take_gaps().iter().map(|(gap, subs)| (*subs, gap.from, gap.to)).collect();
    told.sort_unstable();
    assert_eq!(told, [(0b01, 1, 4), (0b10, 2, 5)]);
    assert_eq!(rest(&mut outbox), [6, 7, 8]);
}

#[test]
fn latest_per_key_keeps_the_newest_and_counts_the_rest() {
    let mut outbox = Outbox::default();
    for offset in 1..=100 {
        let key = if offset % 2 == 0 { "a" } else { "b" };
        assert_eq!(outbox.push_event(&event(key, offset), 1, &LATEST, room_for(6)), Pushed::Queued);
    }
    let (skipped, subs) = outbox.take_skipped()[0];
    let kept = rest(&mut outbox);
    assert_eq!(kept, [99, 100]);
    assert_eq!((skipped.count, skipped.from_us, skipped.to_us, subs), (98, 10, 980, 1));
}

#[test]
fn a_subscription_that_does_not_get_the_newer_event_keeps_the_older() {
    let both = Policy { latest: 0b11, ..Policy::default() };
    let mut outbox = Outbox::default();
    for offset in 1..=4 {
        outbox.push_event(&event("k", offset), 0b11, &both, room_for(4));
    }
    outbox.push_event(&event("k", 5), 0b01, &both, room_for(4));
    let mut seen = Vec::new();
    while let Some(Item::Event { event, subs }) = outbox.pop() {
        seen.push((event.offset, subs));
    }
    assert_eq!(seen, [(4, 0b10), (5, 0b01)]);
}

#[test]
fn more_keys_than_room_is_full() {
    let mut outbox = Outbox::default();
    let pushed: Vec<_> = (1..=5)
        .map(|n| outbox.push_event(&event(&n.to_string(), n), 1, &LATEST, room_for(4)))
        .collect();
    assert_eq!(pushed[4], Pushed::Full);
}

fn large(offset: u64, bytes: usize) -> Arc<Event> {
    let payload = Bytes::from(vec![b' '; bytes]);
    Arc::new(Event { payload, ..(*event("k", offset)).clone() })
}

#[test]
fn what_is_told_of_the_past_takes_no_room_from_the_present() {
    for policy in [Policy::default(), DROP, LATEST, SILENT] {
        let mut outbox = Outbox::default();
        for offset in 1..=16 {
            let bytes = if offset % 8 == 0 { 1_040_000 } else { 31_000 };
            outbox.push(Item::Past { event: large(offset, bytes), subs: 1 });
        }
        for offset in 17..=18 {
            let event = event(&(offset % 2).to_string(), offset);
            let pushed = outbox.push_event(&event, 1, &policy, room_for(2));
            assert_eq!(pushed, Pushed::Queued, "{policy:?} {offset}");
        }
        assert_eq!(rest(&mut outbox), [17, 18], "{policy:?}");
        assert!(outbox.take_gaps().is_empty() && outbox.take_dropped() == 0);
        assert_eq!(outbox.bytes(), 0);
    }
}

#[test]
fn who_loses_the_oldest_in_silence_always_has_room_for_the_newest() {
    let mut outbox = Outbox::default();
    outbox.push(Item::Said { kind: "said", text: vec![b' '; 1 << 20].into() });
    for offset in 1..=3000 {
        // Topics without end, and events larger than the outbox.
        let topic = TopicName::new(&format!("t{offset}")).unwrap();
        let bytes = if offset % 10 == 0 { 1 << 20 } else { 1 };
        let event = Arc::new(Event { topic, ..(*large(offset, bytes)).clone() });
        assert_eq!(outbox.push_event(&event, 1, &SILENT, 10_000), Pushed::Queued);
        assert!(!outbox.has_notices(), "nothing is said of what is dropped");
    }
    let kept = rest(&mut outbox);
    assert_eq!(kept, [3000], "the last of them alone is more than there is room for");
    assert_eq!(outbox.take_dropped(), 2999);
}

#[test]
fn an_ended_subscription_takes_its_events_along() {
    let mut outbox = Outbox::default();
    outbox.push_event(&event("k", 1), 0b01, &DROP, room_for(9));
    outbox.push_event(&event("k", 2), 0b10, &DROP, room_for(9));
    outbox.change_subs(|subs| (subs >> 1) & 1);
    assert_eq!(rest(&mut outbox), [2]);
}

#[test]
fn a_shard_keeps_to_its_budget_and_leaves_room_for_the_next_one() {
    let budget = Budget::new(1 << 20);
    let mut outboxes: Vec<Outbox> = (0..200).map(|_| Outbox::within(&budget)).collect();
    let policy = Policy { drop_oldest: 1, ..Policy::default() };
    for round in 1..=3000_u64 {
        for (index, outbox) in outboxes.iter_mut().enumerate() {
            // One after another falls behind.
            if (index as u64) * 10 < round {
                let event = event("", round);
                assert_eq!(outbox.push_event(&event, 1, &policy, 1 << 20), Pushed::Queued);
            }
        }
        assert!(budget.held() <= 1 << 20, "{} are held", budget.held());
    }
    let least = outboxes.iter().map(Outbox::bytes).min().unwrap_or_default();
    assert!(least > (1 << 20) / 300, "everyone has a part: {least}");
    outboxes.truncate(1);
    assert_eq!(budget.held(), outboxes[0].bytes(), "what goes gives back what it held");
    while outboxes[0].pop().is_some() {}
    assert_eq!(budget.held(), 0);
}

#[test]
fn what_is_told_of_the_past_is_not_counted() {
    let budget = Budget::new(64 * 1024);
    let mut outbox = Outbox::within(&budget);
    for offset in 1..=1000 {
        outbox.push(Item::Event { event: event("", offset), subs: 1 });
    }
    assert_eq!(budget.held(), 0);
    let pushed = outbox.push_event(&event("", 1001), 1, &Policy::default(), usize::MAX);
    assert_eq!(pushed, Pushed::Queued, "a long past is no reason to be closed");
    drop(outbox);
    assert_eq!(budget.held(), 0);
}

#[test]
fn with_nothing_left_everyone_still_has_a_little() {
    let budget = Budget::new(0);
    let mut outbox = Outbox::within(&budget);
    let mut queued = 0;
    while outbox.push_event(&event("", queued + 1), 1, &Policy::default(), usize::MAX)
        == Pushed::Queued
    {
        queued += 1;
    }
    assert!(outbox.bytes() <= OUTBOX_SPARE_BYTES && outbox.bytes() > OUTBOX_SPARE_BYTES / 2);
}

#[test]
fn a_gap_begins_behind_the_event_before_it_where_offsets_have_holes() {
    let mut outbox = Outbox::default();
    let mut previous = 0;
    for offset in [4, 9, 15, 16, 30] {
        let event = Arc::new(Event { previous, ..(*event("k", offset)).clone() });
        assert_eq!(outbox.push_event(&event, 1, &DROP, room_for(2)), Pushed::Queued);
        previous = offset;
        if offset == 4 {
            assert_eq!(rest(&mut outbox), [4]);
        }
    }
    // 9 and 15 went: whoever was told of 4 last finds nothing between it and the gap.
    let gaps = outbox.take_gaps();
    assert_eq!((gaps.len(), gaps[0].0.from, gaps[0].0.to), (1, 5, 15));
    assert_eq!(rest(&mut outbox), [16, 30]);
}
