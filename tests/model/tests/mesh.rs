//! No message is lost, none overtakes another of its lane, and nobody sleeps through a ring, in whatever order threads take their steps.
//!
//! Loom runs each model in every order in which its threads can be interrupted (at most so many times each, `LOOM_MAX_PREEMPTIONS`), and with every
//! value that the memory model lets a load return. A sleeper who is not woken is a deadlock, which loom reports.

use std::sync::Arc;
use std::time::Duration;

use fanwire_model::clock::Now;
use fanwire_model::conn::Doorbell;
use fanwire_model::conn::Heard;
use fanwire_model::conn::Links;
use fanwire_model::conn::Party;
use fanwire_model::conn::World;
use fanwire_model::conn::sleep_unless;
use fanwire_model::conn::take_in;
use fanwire_model::conn::weave;
use fanwire_model::shard::Lane;
use fanwire_model::shard::Message;
use fanwire_model::shard::PartyId;
use fanwire_model::shard::Pending;
use loom::sync::atomic::AtomicBool;
use loom::sync::atomic::Ordering;
use loom::thread;

const LONG: Duration = Duration::MAX;

/// A message: its lane, who says it, and its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Note(Lane, u16, u32);

impl Message for Note {
    fn lane(&self) -> Lane {
        self.0
    }

    fn weight_bytes(&self) -> usize {
        1
    }

    fn is_past(&self) -> bool {
        false
    }
}

fn model(preemptions: usize, run: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(preemptions);
    builder.check(run);
}

fn pair(inbox_bytes_max: usize) -> (Links<Note>, Links<Note>) {
    let mut links = weave(2, 1, inbox_bytes_max).expect("the model has descriptors");
    let second = links.pop().expect("there are two");
    (links.pop().expect("there are two"), second)
}

/// Tells all of them, however often the inbox is full.
fn tell(links: &Links<Note>, to: PartyId, notes: &[Note]) {
    let mut pending = Pending::default();
    for note in notes {
        pending.push(*note);
    }
    while links.peers[to.index()].hand_on(&mut pending).is_stuck {
        thread::yield_now();
    }
}

/// The next message. A bell may have rung for what was heard before; whoever waits without an end and is not woken is a deadlock.
fn hear(party: &mut Party<Note>) -> Note {
    loop {
        match party.hear(LONG) {
            Heard::Message(note) => return note,
            Heard::Stop => panic!("nobody orders it to stop"),
            Heard::Nothing => {}
        }
    }
}

#[test]
fn whoever_sleeps_is_woken_by_what_came_before_the_ring() {
    model(3, || {
        let bell = Arc::new(Doorbell::new().unwrap());
        // No lock that would put the two threads in order: the fences alone do.
        let come = Arc::new(AtomicBool::new(false));
        let ringer = {
            let (bell, come) = (Arc::clone(&bell), Arc::clone(&come));
            thread::spawn(move || {
                come.store(true, Ordering::Relaxed);
                bell.ring();
            })
        };
        while !come.load(Ordering::Relaxed) {
            sleep_unless(&bell, || come.load(Ordering::Relaxed));
        }
        ringer.join().unwrap();
    });
}

#[test]
fn two_who_ring_wake_a_sleeper_for_both() {
    model(2, || {
        let bell = Arc::new(Doorbell::new().unwrap());
        let come = Arc::new([AtomicBool::new(false), AtomicBool::new(false)]);
        let ringers = [0, 1].map(|index| {
            let (bell, come) = (Arc::clone(&bell), Arc::clone(&come));
            thread::spawn(move || {
                let come: &[AtomicBool; 2] = &come;
                come[index].store(true, Ordering::Relaxed);
                bell.ring();
            })
        });
        for flag in &*come {
            while !flag.load(Ordering::Relaxed) {
                sleep_unless(&bell, || flag.load(Ordering::Relaxed));
            }
        }
        ringers.into_iter().for_each(|ringer| ringer.join().unwrap());
    });
}

#[test]
fn the_order_to_stop_is_heard_by_whoever_falls_asleep() {
    model(3, || {
        let (_, links) = pair(64);
        let bell = Arc::clone(&links.doorbell);
        let stopper = thread::spawn(move || bell.ring_to_stop());
        assert_eq!(Party::new(links).hear(LONG), Heard::Stop);
        stopper.join().unwrap();
    });
}

#[test]
fn a_party_hears_everything_each_lane_in_order() {
    model(2, || {
        let (teller, hearer) = pair(64);
        let telling = thread::spawn(move || {
            tell(&teller, PartyId(1), &[Note(Lane::Data, 0, 1), Note(Lane::Control, 0, 1)]);
            tell(&teller, PartyId(1), &[Note(Lane::Data, 0, 2), Note(Lane::Control, 0, 2)]);
        });
        let mut party = Party::new(hearer);
        let mut last = [0; 2];
        for _ in 0..4 {
            let Note(lane, _, number) = hear(&mut party);
            let last = &mut last[usize::from(lane == Lane::Data)];
            assert_eq!(number, *last + 1);
            *last = number;
        }
        telling.join().unwrap();
    });
}

#[test]
fn what_finds_no_room_arrives_later_and_in_order() {
    model(2, || {
        // Room for one message a lane.
        let (teller, hearer) = pair(1);
        let telling = thread::spawn(move || {
            tell(&teller, PartyId(1), &[1, 2, 3].map(|number| Note(Lane::Data, 0, number)));
        });
        let mut party = Party::new(hearer);
        for number in 1..=3 {
            assert_eq!(hear(&mut party), Note(Lane::Data, 0, number));
        }
        telling.join().unwrap();
    });
}

#[test]
fn two_who_tell_the_same_party_lose_nothing_and_leave_no_bytes_behind() {
    model(2, || {
        let mut links = weave::<Note>(3, 1, 1).expect("the model has descriptors");
        let hearer = links.pop().expect("there are three");
        let telling = (0..).zip(links).map(|(from, links)| {
            thread::spawn(move || tell(&links, PartyId(2), &[Note(Lane::Data, from, 0)]))
        });
        let telling: Vec<_> = telling.collect();
        let peer = hearer.peers[2].clone();
        let mut party = Party::new(hearer);
        let mut heard = [0; 2];
        for _ in 0..2 {
            let Note(_, from, _) = hear(&mut party);
            heard[usize::from(from)] += 1;
        }
        assert_eq!(heard, [1, 1]);
        telling.into_iter().for_each(|telling| telling.join().unwrap());
        // The lane takes as much as one that was never used.
        let mut pending = Pending::default();
        pending.push(Note(Lane::Data, 2, 0));
        assert!(!peer.hand_on(&mut pending).is_stuck);
    });
}

/// A shard that is told, and what it knew when it was told data.
#[derive(Debug, Default)]
struct Told {
    control: u32,
    data: u32,
}

impl World for Told {
    type Message = Note;

    fn wants_inbox(&self) -> bool {
        true
    }

    fn inbox(&mut self, Note(lane, _, number): Note, _now: Now) {
        let last = if lane == Lane::Control { &mut self.control } else { &mut self.data };
        assert_eq!(number, *last + 1);
        *last = number;
    }
}

#[test]
fn a_turn_ends_with_all_that_was_said_in_control_before_its_data() {
    model(2, || {
        let (teller, hearer) = pair(64);
        let telling = thread::spawn(move || {
            for number in [1, 2] {
                tell(&teller, PartyId(1), &[Note(Lane::Control, 0, number)]);
                tell(&teller, PartyId(1), &[Note(Lane::Data, 0, number)]);
            }
        });
        let mut told = Told::default();
        while told.data < 2 {
            take_in(&mut told, &mut |lane| hearer.inbox.take(lane), Now);
            assert!(told.control >= told.data, "{told:?}");
            let has_come = || Lane::ALL.iter().any(|lane| !hearer.inbox.is_empty(*lane));
            if told.data < 2 {
                sleep_unless(&hearer.doorbell, has_come);
            }
        }
        telling.join().unwrap();
    });
}
