//! A bookmark as it lies in the folder of a store: bytes, and back.
//!
//! Invariants: what was written is read as it was; whatever other bytes are read are a bookmark or nothing. Never knows where it lies.

use std::sync::Arc;

use super::bookmark::Begun;
use super::bookmark::Bookmark;
use super::bookmark::Flying;
use super::bookmark::InFlight;
use super::bookmark::Underway;
use crate::clock::Now;
use crate::dialect::SubId;
use crate::dialect::Will;
use crate::history::log::Taker;
use crate::history::log::put_draft;
use crate::history::log::put_event;
use crate::history::log::put_run;
use crate::history::log::put_varint;
use crate::history::log::take_draft;
use crate::history::log::take_event;
use crate::limits::SESSION_RECORD_BYTES_MAX;

/// Its client is there: how long it is kept counts from the end of the process.
const IS_HELD: u8 = 0b0001;
const IS_MET: u8 = 0b0010;
const HAS_WILL: u8 = 0b0100;
const HAS_IN_FLIGHT: u8 = 0b1000;
const ALL: u8 = IS_HELD | IS_MET | HAS_WILL | HAS_IN_FLIGHT;

/// The bytes of a bookmark, left at this moment or still held by its client; `None`: they are more than there may be.
pub(super) fn written(bookmark: &Bookmark, is_held: bool, now: Now) -> Option<Box<[u8]>> {
    let Bookmark { words, homes, begun, untold, in_flight, will, lasts_s, is_met, is_durable: _ } =
        bookmark;
    let flag = |is_set: bool, bit: u8| if is_set { bit } else { 0 };
    let mut out = vec![
        flag(is_held, IS_HELD)
            | flag(*is_met, IS_MET)
            | flag(will.is_some(), HAS_WILL)
            | flag(in_flight.is_some(), HAS_IN_FLIGHT),
    ];
    put_varint(&mut out, now.wall_us / 1_000_000);
    put_varint(&mut out, u64::from(*lasts_s));
    put_run(&mut out, words);
    put_moments(&mut out, homes);
    put_varint(&mut out, begun.len() as u64);
    for (id, homes) in begun.iter() {
        put_run(&mut out, id.as_bytes());
        put_moments(&mut out, homes);
    }
    put_ids(&mut out, untold);
    if let Some(Underway { subs, of }) = in_flight.as_deref() {
        put_ids(&mut out, subs);
        put_varint(&mut out, u64::from(of.last));
        put_varint(&mut out, of.flying.len() as u64);
        for Flying { number, event, subs, qos, is_past } in &of.flying {
            put_varint(&mut out, u64::from(*number));
            put_varint(&mut out, *subs);
            out.push(*qos << 1 | u8::from(*is_past));
            put_event(&mut out, event);
        }
        put_varint(&mut out, of.received.len() as u64);
        of.received.iter().for_each(|number| put_varint(&mut out, u64::from(*number)));
    }
    if let Some(will) = will {
        put_varint(&mut out, u64::from(will.delay_s));
        put_draft(&mut out, &will.draft);
    }
    (out.len() <= SESSION_RECORD_BYTES_MAX).then(|| out.into())
}

/// Whether these are the bytes of a bookmark whose client has gone.
pub(super) fn is_left(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|flags| flags & IS_HELD == 0)
}

/// A bookmark that was kept.
#[derive(Debug)]
pub(super) struct FoundBookmark {
    pub(super) bookmark: Box<Bookmark>,
    /// Its time is not over.
    pub(super) goes_on: bool,
    /// Its client was there when it was written.
    pub(super) was_held: bool,
}

/// The bookmark of these bytes, as it is at this moment: what is left of its time and its will's is from now on.
pub(super) fn read(bytes: &[u8], now: Now) -> Option<FoundBookmark> {
    let mut taker = Taker(bytes);
    let flags = taker.byte()?;
    if flags & !ALL != 0 {
        return None;
    }
    let left_s = taker.varint()?;
    let lasts_s = u32::try_from(taker.varint()?).ok()?;
    let words = taker.run(SESSION_RECORD_BYTES_MAX)?.into();
    let homes = take_moments(&mut taker)?;
    let begun = take_list(&mut taker, |taker| Some((take_id(taker)?, take_moments(taker)?)))?;
    let begun: Box<[Begun]> = begun.into();
    let untold = take_list(&mut taker, take_id)?.into();
    let in_flight = match flags & HAS_IN_FLIGHT {
        0 => None,
        _ => Some(Box::new(take_underway(&mut taker)?)),
    };
    let away_s = match flags & IS_HELD {
        0 => u32::try_from((now.wall_us / 1_000_000).saturating_sub(left_s)).unwrap_or(u32::MAX),
        _ => 0,
    };
    let will = match flags & HAS_WILL {
        0 => None,
        _ => {
            let delay_s = u32::try_from(taker.varint()?).ok()?.saturating_sub(away_s);
            Some(Box::new(Will { draft: take_draft(&mut taker)?, delay_s }))
        }
    };
    if !taker.is_empty() {
        return None;
    }
    let is_met = flags & IS_MET != 0;
    let (goes_on, lasts_s) = (lasts_s > away_s, lasts_s.saturating_sub(away_s));
    let is_durable = true;
    let bookmark =
        Bookmark { words, homes, begun, untold, in_flight, will, lasts_s, is_met, is_durable };
    Some(FoundBookmark { bookmark: Box::new(bookmark), goes_on, was_held: flags & IS_HELD != 0 })
}

fn put_moments(out: &mut Vec<u8>, homes: &[u64]) {
    put_varint(out, homes.len() as u64);
    homes.iter().for_each(|at_us| put_varint(out, *at_us));
}

fn put_ids(out: &mut Vec<u8>, ids: &[SubId]) {
    put_varint(out, ids.len() as u64);
    ids.iter().for_each(|id| put_run(out, id.as_bytes()));
}

fn take_list<'a, T>(
    taker: &mut Taker<'a>,
    mut take: impl FnMut(&mut Taker<'a>) -> Option<T>,
) -> Option<Vec<T>> {
    let count = usize::try_from(taker.varint()?).ok()?;
    // Each takes a byte at least.
    let mut all = Vec::with_capacity(count.min(taker.0.len()));
    for _ in 0..count {
        all.push(take(taker)?);
    }
    Some(all)
}

fn take_moments(taker: &mut Taker<'_>) -> Option<Box<[u64]>> {
    take_list(taker, Taker::varint).map(Into::into)
}

fn take_id(taker: &mut Taker<'_>) -> Option<SubId> {
    taker.text(SESSION_RECORD_BYTES_MAX).map(Into::into)
}

fn take_number(taker: &mut Taker<'_>) -> Option<u16> {
    u16::try_from(taker.varint()?).ok()
}

fn take_underway(taker: &mut Taker<'_>) -> Option<Underway> {
    let subs = take_list(taker, take_id)?.into();
    let last = take_number(taker)?;
    let flying = take_list(taker, |taker| {
        let (number, subs, how) = (take_number(taker)?, taker.varint()?, taker.byte()?);
        let event = Arc::new(take_event(taker)?);
        (how >> 1 <= 2).then_some(Flying {
            number,
            event,
            subs,
            qos: how >> 1,
            is_past: how & 1 == 1,
        })
    })?;
    let received = take_list(taker, take_number)?;
    Some(Underway { subs, of: InFlight { last, flying, received } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::testing::event;
    use crate::event::Ack;
    use crate::event::Draft;
    use crate::event::Op;

    fn at(wall_s: u64) -> Now {
        Now { mono_ms: 5, wall_us: wall_s * 1_000_000 }
    }

    fn full() -> Bookmark {
        let flying = |number, qos| Flying {
            number,
            event: Arc::new(event("kept/a", "k", Op::Upsert, "{\"x\":1}")),
            subs: 0b101,
            qos,
            is_past: qos == 1,
        };
        let of = InFlight { last: 9, flying: vec![flying(8, 1), flying(9, 2)], received: vec![7] };
        let subs: Box<[SubId]> = ["a/#", "b"].map(SubId::from).into();
        let lies = event("gone", "", Op::Event, "{}");
        let draft = Draft {
            topic: lies.topic,
            key: lies.key,
            op: lies.op,
            payload: lies.payload,
            fields: lies.fields,
            ack: Ack::Ordered,
            meta: None,
        };
        Bookmark {
            words: (*b"\0\0\x82").into(),
            homes: [1, 1_786_600_000_000_001].into(),
            begun: [(SubId::from("b"), Box::from([2, 3]))].into(),
            untold: [SubId::from("b")].into(),
            in_flight: Some(Box::new(Underway { subs, of })),
            will: Some(Box::new(Will { draft, delay_s: 30 })),
            lasts_s: 100,
            is_met: true,
            is_durable: true,
        }
    }

    #[test]
    fn a_bookmark_comes_back_and_what_is_cut_is_none() {
        let bookmark = full();
        let bytes = written(&bookmark, true, at(1000)).unwrap();
        let found = read(&bytes, at(5000)).unwrap();
        assert!(found.goes_on && found.was_held, "its time begins now");
        assert_eq!(format!("{:?}", found.bookmark), format!("{bookmark:?}"));
        for cut in 0..bytes.len() {
            assert!(read(&bytes[..cut], at(5000)).is_none(), "cut to {cut}");
        }
    }

    #[test]
    fn time_passes_while_the_server_is_down() {
        let bytes = written(&full(), false, at(1000)).unwrap();
        let at_s = |now_s| {
            let found = read(&bytes, at(now_s)).unwrap();
            let will = found.bookmark.will.map(|will| will.delay_s);
            (found.goes_on, found.bookmark.lasts_s, will)
        };
        assert_eq!(at_s(1010), (true, 90, Some(20)));
        assert_eq!(at_s(1099), (true, 1, Some(0)));
        assert_eq!(at_s(1100), (false, 0, Some(0)));
        assert_eq!(at_s(10), (true, 100, Some(30)), "a clock that was set back takes nothing away");
    }

    #[test]
    fn what_is_too_large_is_not_written() {
        let words = vec![7; SESSION_RECORD_BYTES_MAX].into();
        assert!(written(&Bookmark { words, ..Bookmark::default() }, false, at(0)).is_none());
    }
}
