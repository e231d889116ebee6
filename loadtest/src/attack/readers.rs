//! Those who hear: each reads at a pace of its own, all in one thread.
//!
//! Invariants: a reader with a pace reads that much and no more; every event carries its number and the moment it was due, so that lateness
//! and losses are seen by whoever hears it. Who turns slow in the midst of it counts as slow from the beginning.

use super::AttackError;
use super::peer::Peer;
use crate::clock;
use crate::clock::MILLI;
use crate::clock::SECOND;
use crate::latency::Latencies;
use crate::limits::READ_BYTES;
use crate::num;

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::collections::BinaryHeap;

use memchr::memmem;
use rustix::event::epoll;
use rustix::event::epoll::Event;
use rustix::event::epoll::EventData;
use rustix::event::epoll::EventFlags;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use serde::Deserialize;
use serde::Serialize;

/// How fast a reader reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Pace {
    /// Whatever comes, at once.
    Eager,
    BytesPerSecond(u64),
    /// Nothing for so long, then all that has come.
    Bursts {
        every_ns: u64,
    },
    Never,
}

/// How often a reader with so many bytes a second reads.
const PACED_EVERY_NS: u64 = 100 * MILLI;

/// Reads of one burst at most.
const BURST_READS_MAX: u32 = 64;

/// Readiness reports taken from the kernel at a time.
const READY: usize = 256;

/// A subscriber.
#[derive(Debug)]
struct Reader {
    peer: Peer,
    pace: Pace,
    /// It reads whatever comes: always, or until it takes its pace.
    is_heard: bool,
    heard: Heard,
}

/// Which events a reader has heard. Those of one topic come in their order; between topics that several shards order there is none, so an
/// event is missing only if it does not come later, either.
#[derive(Debug, Default)]
struct Heard {
    /// The number of the newest one.
    newest: u64,
    /// Those before it that have not come.
    passed_over: BTreeSet<u64>,
}

impl Heard {
    fn note(&mut self, number: u64) {
        if number > self.newest {
            self.passed_over.extend(self.newest + 1..number);
            self.newest = number;
        } else {
            self.passed_over.remove(&number);
        }
    }

    /// How many of so many events, which have numbers from 1 on, have not come.
    fn missing_of(&self, said: u64) -> u64 {
        num::count(self.passed_over.len()) + said.saturating_sub(self.newest)
    }
}

/// What readers have felt who read eagerly.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Felt {
    pub(crate) closed: u64,
    /// Events that were passed over, or had not come by the end.
    pub(crate) missing: u64,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Readers {
    epoll: OwnedFd,
    readers: Vec<Reader>,
    /// When each of those with a pace reads next, or turns slow.
    due: BinaryHeap<Reverse<(u64, usize)>>,
    /// Of those who read eagerly: from when an event was due to when it was heard.
    pub(crate) latencies: Latencies,
    /// Events that were due before this are not timed.
    timed_from_ns: u64,
    buffer: Vec<u8>,
}

impl Readers {
    pub(crate) fn new() -> Result<Self, AttackError> {
        Ok(Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            readers: Vec::new(),
            due: BinaryHeap::new(),
            latencies: Latencies::new(),
            timed_from_ns: 0,
            buffer: vec![0; READ_BYTES],
        })
    }

    /// Takes in a subscriber that has joined.
    pub(crate) fn add(&mut self, peer: Peer, pace: Pace) -> Result<(), AttackError> {
        let place = self.push(peer, pace);
        match pace {
            Pace::Eager => self.listen(place)?,
            _ => self.due.push(Reverse((clock::now_ns(), place))),
        }
        Ok(())
    }

    /// The same of one that reads eagerly until it is told when to take its pace; its number.
    pub(crate) fn add_turning(&mut self, peer: Peer, pace: Pace) -> Result<usize, AttackError> {
        let place = self.push(peer, pace);
        self.listen(place)?;
        Ok(place)
    }

    /// Events are timed that are due from this moment on.
    pub(crate) fn time_from(&mut self, at_ns: u64) {
        self.latencies.clear();
        self.timed_from_ns = at_ns;
    }

    /// From this moment on one has its pace.
    pub(crate) fn turn_slow(&mut self, place: usize, at_ns: u64) {
        self.due.push(Reverse((at_ns, place)));
    }

    fn push(&mut self, peer: Peer, pace: Pace) -> usize {
        self.readers.push(Reader { peer, pace, is_heard: false, heard: Heard::default() });
        self.readers.len() - 1
    }

    fn listen(&mut self, place: usize) -> Result<(), AttackError> {
        let Some(reader) = self.readers.get_mut(place) else { return Ok(()) };
        reader.is_heard = true;
        let data = EventData::new_u64(num::count(place));
        Ok(epoll::add(&self.epoll, &reader.peer, data, EventFlags::IN)?)
    }

    /// Lets everyone read what is there for it, after at most a millisecond.
    pub(crate) fn turn(&mut self) -> Result<(), AttackError> {
        let nothing = Event { flags: EventFlags::empty(), data: EventData::new_u64(0) };
        let mut ready = [nothing; READY];
        let wait = clock::timespec(MILLI);
        let found = match epoll::wait(&self.epoll, ready.as_mut_slice(), Some(&wait)) {
            Err(Errno::INTR) => 0,
            found => found?,
        };
        let now_ns = clock::now_ns();
        for ready in ready.iter().take(found) {
            let Some(reader) = self.readers.get_mut(num::index(ready.data.u64())) else { continue };
            let timed = (&mut self.latencies, self.timed_from_ns);
            let latencies = (reader.pace == Pace::Eager).then_some(timed);
            reader.hear(&mut self.buffer, READ_BYTES, now_ns, latencies)?;
            if reader.peer.end.is_some() {
                epoll::delete(&self.epoll, &reader.peer)?;
            }
        }
        while let Some(Reverse((due_ns, place))) = self.due.peek().copied()
            && due_ns <= now_ns
        {
            self.due.pop();
            if let Some(next_ns) = self.read_paced(place, now_ns)? {
                self.due.push(Reverse((next_ns, place)));
            }
        }
        Ok(())
    }

    /// Has one with a pace read; when it reads again.
    fn read_paced(&mut self, place: usize, now_ns: u64) -> Result<Option<u64>, AttackError> {
        let Some(reader) = self.readers.get_mut(place) else { return Ok(None) };
        if reader.peer.end.is_some() {
            return Ok(None);
        }
        if std::mem::replace(&mut reader.is_heard, false) {
            epoll::delete(&self.epoll, &reader.peer)?;
        }
        match reader.pace {
            Pace::Eager | Pace::Never => Ok(None),
            Pace::BytesPerSecond(bytes) => {
                let share = num::index(bytes * PACED_EVERY_NS / SECOND).max(1);
                reader.hear(&mut self.buffer, share, now_ns, None)?;
                Ok(Some(now_ns + PACED_EVERY_NS))
            }
            Pace::Bursts { every_ns } => {
                for _ in 0..BURST_READS_MAX {
                    if reader.hear(&mut self.buffer, READ_BYTES, now_ns, None)? == 0 {
                        break;
                    }
                }
                Ok(Some(now_ns + every_ns))
            }
        }
    }

    /// Whether all who read eagerly have heard so many events but for those that were refused, or are closed.
    pub(crate) fn have_heard(&self, said: u64, refused: u64) -> bool {
        let mut eager = self.readers.iter().filter(|it| it.pace == Pace::Eager);
        eager.all(|it| it.heard.missing_of(said) <= refused || it.peer.end.is_some())
    }

    /// What those have felt who read eagerly, when so many events were said.
    pub(crate) fn felt(&self, said: u64) -> Felt {
        let mut felt = Felt::default();
        for reader in self.readers.iter().filter(|it| it.pace == Pace::Eager) {
            felt.closed += u64::from(reader.peer.end.is_some());
            felt.missing += reader.heard.missing_of(said);
        }
        felt
    }
}

impl Reader {
    /// Reads once; how many bytes came.
    fn hear(
        &mut self,
        buffer: &mut [u8],
        bytes_max: usize,
        now_ns: u64,
        mut timed: Option<(&mut Latencies, u64)>,
    ) -> Result<usize, AttackError> {
        let heard = &mut self.heard;
        self.peer.read(buffer, bytes_max, &mut |message| {
            let (Some(number), Some(due_ns)) =
                (member(message, b"\"n\":"), member(message, b"\"due\":"))
            else {
                return;
            };
            heard.note(number);
            if let Some((latencies, from_ns)) = &mut timed
                && due_ns >= *from_ns
            {
                latencies.record(now_ns.saturating_sub(due_ns));
            }
        })
    }
}

/// A whole number behind a member's name.
fn member(message: &[u8], name: &[u8]) -> Option<u64> {
    let at = memmem::find(message, name)? + name.len();
    let digits = message.get(at..)?.iter().take_while(|byte| byte.is_ascii_digit());
    let mut value = None;
    for digit in digits {
        value =
            Some(value.unwrap_or(0_u64).saturating_mul(10).saturating_add(u64::from(digit - b'0')));
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_late_from_another_shard_is_not_missing() {
        let mut heard = Heard::default();
        for number in [2, 1, 3, 6, 5, 5] {
            heard.note(number);
        }
        assert_eq!(heard.missing_of(6), 1, "4 alone");
        assert_eq!(heard.missing_of(8), 3, "and 7 and 8");
        heard.note(4);
        assert_eq!(heard.missing_of(6), 0);
    }

    #[test]
    fn a_member_is_read_wherever_it_stands() {
        let text = br#"{"subs":[1],"payload":{"n":42,"due":1234567890123,"p":"x"}}"#;
        assert_eq!(member(text, b"\"n\":"), Some(42));
        assert_eq!(member(text, b"\"due\":"), Some(1_234_567_890_123));
        assert_eq!(member(text, b"\"q\":"), None);
    }
}
