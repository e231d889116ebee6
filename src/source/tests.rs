//! A source between a scripted far end, a scripted home and a scripted store: what is said to whom, and in which order.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use flume::Receiver;
use flume::Sender;

use super::*;
use crate::clock::Clock;
use crate::conn::Doorbell;
use crate::conn::Heard;
use crate::conn::Party;
use crate::conn::weave;
use crate::dialect::Placed;
use crate::dialect::RefusalCode;
use crate::event::Ack;
use crate::event::HomeId;
use crate::event::Homes;
use crate::event::TopicPattern;
use crate::history::asks;
use crate::shard::Lane;
use crate::shard::Mesh;
use crate::shard::PartyId;
use crate::shard::PublishRun;
use crate::shard::PublishedRun;

/// Long enough for anything that happens at all.
const LONG: Duration = Duration::from_secs(20);
/// The third party; the first is a shard, and the second the store.
const SOURCE: PartyId = PartyId(2);

/// What was asked of the far end.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Connect(Option<Resume>),
    Fetch,
    Stored,
    Close,
}

/// A far end that says in each batch what it is given, and tells what it is asked.
struct Script {
    asked: Sender<Asked>,
    batches: Receiver<Result<Vec<u64>, FaultKind>>,
    stored: Receiver<Result<(), FaultKind>>,
}

impl Script {
    fn note(&self, asked: Asked) {
        // The test may have seen enough.
        self.asked.send(asked).ok();
    }
}

fn fault(kind: FaultKind) -> Fault {
    Fault::new(kind, "so it was scripted")
}

impl Connector for Script {
    fn connect(&mut self, from: Option<&Resume>, _: Duration) -> Result<Connected, Fault> {
        self.note(Asked::Connect(from.cloned()));
        Ok(Connected::default())
    }

    fn fetch(&mut self, batch: &mut Batch, within: Duration) -> Result<(), Fault> {
        let Ok(said) = self.batches.recv_timeout(within) else { return Ok(()) };
        self.note(Asked::Fetch);
        for number in said.map_err(fault)? {
            batch.push(Message {
                payload: format!("{{\"n\":{number}}}").into(),
                id: Some(MessageId::numbered("", number)),
                ..Message::default()
            });
            batch.goes_on_from(Resume(number.to_string().into_bytes().into()));
        }
        Ok(())
    }

    fn stored(&mut self, _: Duration) -> Result<(), Fault> {
        // What is sent when this is noted is for the next one.
        let said = self.stored.try_recv().unwrap_or(Ok(()));
        self.note(Asked::Stored);
        said.map_err(fault)
    }

    fn lag(&self) -> Option<u64> {
        Some(7)
    }

    fn close(&mut self, _: Duration) {
        self.note(Asked::Close);
    }
}

/// When something has not come that should have.
fn until_us() -> u64 {
    Clock::system_us() + u64::try_from(LONG.as_micros()).unwrap()
}

/// A source whose neighbours are this test.
struct Scene {
    shard: Party<Mesh>,
    store: Party<Mesh>,
    asked: Receiver<Asked>,
    batches: Sender<Result<Vec<u64>, FaultKind>>,
    stored: Sender<Result<(), FaultKind>>,
    renew: Sender<Option<Box<Spec>>>,
    figures: Arc<Figures>,
    doorbell: Arc<Doorbell>,
    thread: Option<JoinHandle<()>>,
}

impl Scene {
    fn new(past: Past) -> Self {
        let mut parties: Vec<Party<Mesh>> =
            weave(3, 1, usize::MAX).unwrap().into_iter().map(Party::new).collect();
        let party = parties.pop().unwrap();
        let (store, shard) = (parties.pop().unwrap(), parties.pop().unwrap());
        let (asked_of, asked) = flume::bounded(64);
        let (batches, batches_of) = flume::bounded(64);
        let (stored, stored_of) = flume::bounded(64);
        let (renew, renewed) = flume::bounded(1);
        let text = MappingText { topic: "kept/a".to_owned(), ..MappingText::default() };
        let spec = Spec {
            name: "it".to_owned(),
            connector: Box::new(Script { asked: asked_of, batches: batches_of, stored: stored_of }),
            mapping: Mapping::new("it", &text).unwrap(),
            ack: Ack::Durable,
            stops_at_faults: false,
            is_required: true,
        };
        let homes = Homes::new(1, Arc::new([TopicPattern::new("kept/**").unwrap()]));
        let (store_id, clock) = (Some(PartyId(1)), Clock::start());
        let seat = Seat { party, id: SOURCE, homes, store: store_id, clock };
        let figures = Arc::new(Figures::new("it", "script", true));
        let source = SourceParty::new(seat, spec, past, (renewed, Arc::clone(&figures)));
        let doorbell = source.doorbell();
        let thread = std::thread::Builder::new().spawn(move || source.run()).unwrap();
        let thread = Some(thread);
        Self { shard, store, asked, batches, stored, renew, figures, doorbell, thread }
    }

    fn say(&self, numbers: impl IntoIterator<Item = u64>) {
        self.batches.send(Ok(numbers.into_iter().collect())).unwrap();
    }

    fn asked(&self) -> Asked {
        self.asked.recv_timeout(LONG).unwrap()
    }

    /// The run that the home is handed next: which numbers are in it.
    fn run(&mut self) -> (PublishRun, Vec<u64>) {
        let until_us = until_us();
        loop {
            match self.shard.hear(LONG) {
                Heard::Message(Mesh::Publish(run)) => {
                    let number = |payload: &[u8]| {
                        let text = std::str::from_utf8(payload).unwrap();
                        text.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap()
                    };
                    let numbers = run.drafts.iter().map(|draft| number(&draft.payload)).collect();
                    return (*run, numbers);
                }
                // A bell may ring for nothing.
                Heard::Nothing if Clock::system_us() < until_us => {}
                heard => panic!("{heard:?}"),
            }
        }
    }

    /// The home answers for each event of a run alike.
    fn answer(&mut self, run: &PublishRun, result: Result<Placed, RefusalCode>) {
        let results = vec![result; run.drafts.len()];
        let (publisher, home) = (run.publisher.conn, run.home);
        let answer = PublishedRun { publisher, home, results };
        self.shard.pending(run.publisher.shard.into()).push(Mesh::Published(Box::new(answer)));
        self.shard.hand_on();
    }

    /// The position that the store is handed next; it is kept.
    fn keep(&mut self) -> Position {
        let until_us = until_us();
        loop {
            match self.store.hear(LONG) {
                Heard::Message(Mesh::Store(asks::Ask::Session(ask))) => {
                    assert_eq!(&*ask.record.name, "source it");
                    let answer = asks::Answer::SessionKept { ticket: ask.ticket, result: Ok(()) };
                    self.store.pending(ask.shard.into()).push(Mesh::StoreSays(answer));
                    self.store.hand_on();
                    return Position::from_bytes(&ask.record.bytes.unwrap()).unwrap();
                }
                // A bell may ring for nothing.
                Heard::Nothing if Clock::system_us() < until_us => {}
                heard => panic!("{heard:?}"),
            }
        }
    }

    /// A batch is taken, and all of it stored.
    fn take(&mut self, numbers: &[u64]) {
        let (run, said) = self.run();
        assert_eq!(said, numbers);
        self.answer(&run, PLACED);
        self.keep();
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.doorbell.ring_to_stop();
        if let Some(thread) = self.thread.take() {
            assert!(thread.join().is_ok() || std::thread::panicking());
        }
    }
}

const PLACED: Result<Placed, RefusalCode> = Ok(Placed { offset: 1, time_us: 1 });

fn resume(text: &str) -> Resume {
    Resume(text.as_bytes().into())
}

#[test]
fn nothing_is_fetched_nor_acknowledged_before_all_is_stored_however_often_a_home_is_full() {
    let mut scene = Scene::new(Past::default());
    assert_eq!(scene.asked(), Asked::Connect(None));
    scene.say(1..=3);
    scene.say(4..=4);
    assert_eq!(scene.asked(), Asked::Fetch);
    // The moment after which what is stored is recognised, before anything is.
    assert!(scene.shard.take(Lane::Data).is_none());
    assert_eq!(scene.keep().resume, resume(""));
    for _ in 0..5 {
        let (run, numbers) = scene.run();
        assert_eq!(numbers, [1, 2, 3], "the same again, whole and in order");
        assert!(run.drafts.iter().all(|draft| draft.ack == Ack::Durable));
        assert_eq!(run.home, HomeId(1));
        scene.answer(&run, Err(RefusalCode::Full));
    }
    let (run, _) = scene.run();
    // The far end has more to say, and is asked for nothing.
    assert!(scene.asked.is_empty() && scene.batches.len() == 1);
    scene.answer(&run, PLACED);
    assert_eq!(scene.keep().resume, resume("3"));
    assert_eq!((scene.asked(), scene.asked()), (Asked::Stored, Asked::Fetch));
    scene.take(&[4]);
    assert_eq!(scene.asked(), Asked::Stored);
    let figures = &scene.figures;
    assert_eq!((figures.count(Count::Full), figures.count(Count::Events)), (5, 4));
    assert_eq!((figures.lag(), figures.is_missed()), (Some(7), false));
}

#[test]
fn who_is_lost_is_connected_again_behind_what_is_stored() {
    let mut scene = Scene::new(Past::default());
    scene.say(1..=2);
    scene.keep();
    scene.take(&[1, 2]);
    scene.batches.send(Err(FaultKind::Lost)).unwrap();
    let expected = [Asked::Connect(None), Asked::Fetch, Asked::Stored, Asked::Fetch, Asked::Close];
    for asked in expected {
        assert_eq!(scene.asked(), asked);
    }
    assert_eq!(scene.asked(), Asked::Connect(Some(resume("2"))));
    assert_eq!(scene.figures.faults().find(|(_, count)| *count > 0), Some((FaultKind::Lost, 1)));
}

#[test]
fn what_was_stored_before_is_recognised_and_not_told_again() {
    let mut recognised = Recognised::default();
    for number in [6, 7] {
        let id = MessageId::numbered("", number);
        assert!(recognised.note(id.as_bytes()));
    }
    let position = Some(Position { after_us: 1, resume: resume("5") });
    let mut scene = Scene::new(Past { position, recognised });
    assert_eq!(scene.asked(), Asked::Connect(Some(resume("5"))));
    scene.say(6..=9);
    scene.take(&[8, 9]);
    assert_eq!((scene.asked(), scene.asked()), (Asked::Fetch, Asked::Stored));
    // The far end could not be told: all of it comes again.
    scene.stored.send(Err(FaultKind::Lost)).unwrap();
    scene.say(10..=11);
    scene.take(&[10, 11]);
    scene.say(10..=12);
    scene.take(&[12]);
    assert_eq!(scene.figures.count(Count::Duplicates), 4);
}

#[test]
fn what_was_not_stored_when_it_is_to_stop_is_not_acknowledged() {
    let mut scene = Scene::new(Past::default());
    scene.say(1..=2);
    scene.keep();
    let (run, _) = scene.run();
    scene.doorbell.ring_to_stop();
    // The shards stop, too.
    scene.answer(&run, Err(RefusalCode::ShuttingDown));
    scene.thread.take().unwrap().join().unwrap();
    let asked: Vec<Asked> = scene.asked.drain().collect();
    assert_eq!(asked, [Asked::Connect(None), Asked::Fetch, Asked::Close]);
    assert!(scene.figures.is_missed());
}

#[test]
fn what_is_answered_when_it_is_to_stop_is_kept_and_acknowledged() {
    let mut scene = Scene::new(Past::default());
    scene.say(1..=2);
    scene.keep();
    let (run, _) = scene.run();
    scene.doorbell.ring_to_stop();
    scene.answer(&run, PLACED);
    assert_eq!(scene.keep().resume, resume("2"));
    scene.thread.take().unwrap().join().unwrap();
    assert!(scene.asked.drain().any(|asked| asked == Asked::Stored));
}

#[test]
fn one_that_is_not_there_any_more_rests_and_is_missed_by_nobody() {
    let scene = Scene::new(Past::default());
    assert_eq!(scene.asked(), Asked::Connect(None));
    scene.renew.send(None).unwrap();
    scene.doorbell.ring();
    assert_eq!(scene.asked(), Asked::Close);
    scene.say(1..=1);
    assert!(!scene.figures.is_up());
    drop(scene);
}
