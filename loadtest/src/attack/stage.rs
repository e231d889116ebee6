//! The stage of an attack: readers at the pace of each, and one publisher at a steady rate, in one thread.
//!
//! Invariants: a reader with a pace reads that much and no more; the publisher publishes when an event is due, whatever became of those before (open
//! loop); every event carries its number and the moment it was due, so that lateness and losses are seen by whoever hears it.

use super::AttackError;
use super::peer::Peer;
use crate::clock;
use crate::clock::MILLI;
use crate::clock::SECOND;
use crate::latency::Latencies;
use crate::limits::READ_BYTES;
use crate::num;

use std::collections::BTreeSet;

use memchr::memmem;
use rustix::event::epoll;
use rustix::event::epoll::Event;
use rustix::event::epoll::EventData;
use rustix::event::epoll::EventFlags;
use rustix::fd::OwnedFd;
use rustix::io::Errno;

/// How fast a reader reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Whatever comes, at once.
    Eager,
    BytesPerSecond(u64),
    Never,
}

/// How often a reader with a pace reads.
const PACED_EVERY_NS: u64 = 50 * MILLI;

/// Readiness reports taken from the kernel at a time.
const READY: usize = 256;

/// A subscriber.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) peer: Peer,
    pace: Pace,
    due_ns: u64,
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

/// What readers of one kind have felt.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Felt {
    pub(crate) closed: u64,
    /// Events that were passed over, or had not come by the end.
    pub(crate) missing: u64,
}

/// Who publishes.
#[derive(Debug)]
pub(crate) struct Publisher {
    peer: Peer,
    every_ns: u64,
    due_ns: u64,
    padding: String,
    /// Where the next event goes; `{}` is its number.
    topics: u64,
    pub(crate) said: u64,
    pub(crate) taken: u64,
    pub(crate) refused: u64,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Stage {
    epoll: OwnedFd,
    pub(crate) readers: Vec<Reader>,
    pub(crate) publisher: Option<Publisher>,
    /// Of those who read eagerly: from when an event was due to when it was heard.
    pub(crate) latencies: Latencies,
    buffer: Vec<u8>,
}

impl Stage {
    pub(crate) fn new() -> Result<Self, AttackError> {
        Ok(Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            readers: Vec::new(),
            publisher: None,
            latencies: Latencies::new(),
            buffer: vec![0; READ_BYTES],
        })
    }

    /// Takes in a subscriber that has joined.
    pub(crate) fn add(&mut self, peer: Peer, pace: Pace) -> Result<(), AttackError> {
        if pace == Pace::Eager {
            let place = EventData::new_u64(num::count(self.readers.len()));
            epoll::add(&self.epoll, &peer, place, EventFlags::IN)?;
        }
        self.readers.push(Reader { peer, pace, due_ns: 0, heard: Heard::default() });
        Ok(())
    }

    /// So many events a second of so many bytes, to `t/0`, `t/1`, … in turn.
    pub(crate) fn publish(&mut self, peer: Peer, per_second: u64, bytes: usize, topics: u64) {
        self.publisher = Some(Publisher {
            peer,
            every_ns: SECOND / per_second.max(1),
            due_ns: 0,
            padding: "x".repeat(bytes.saturating_sub(60)),
            topics: topics.max(1),
            said: 0,
            taken: 0,
            refused: 0,
        });
    }

    /// Lets everyone go on for so long.
    pub(crate) fn play(&mut self, ns: u64) -> Result<(), AttackError> {
        let until_ns = clock::now_ns() + ns;
        if let Some(publisher) = &mut self.publisher {
            publisher.due_ns = publisher.due_ns.max(clock::now_ns());
        }
        while clock::now_ns() < until_ns {
            if let Some(publisher) = &mut self.publisher {
                publisher.turn(&mut self.buffer)?;
            }
            self.read_eager()?;
            self.read_paced()?;
        }
        Ok(())
    }

    /// Lets the eager ones hear what is still on its way: until they have heard all that was taken, at most so long.
    pub(crate) fn drain(&mut self, ns: u64) -> Result<(), AttackError> {
        let until_ns = clock::now_ns() + ns;
        if let Some(publisher) = &mut self.publisher {
            publisher.due_ns = u64::MAX;
        }
        while clock::now_ns() < until_ns {
            let (mut said, mut refused, mut is_answered) = (0, 0, true);
            if let Some(publisher) = &mut self.publisher {
                publisher.turn(&mut self.buffer)?;
                (said, refused) = (publisher.said, publisher.refused);
                is_answered = publisher.taken + refused >= said;
            }
            self.read_eager()?;
            self.read_paced()?;
            let mut eager = self.readers.iter().filter(|it| it.pace == Pace::Eager);
            let has_all = |it: &Reader| it.heard.missing_of(said) <= refused;
            if is_answered && eager.all(|it| has_all(it) || it.peer.end.is_some()) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// What those with such a pace have felt; what they missed counts for eager ones only, who can hear everything.
    pub(crate) fn felt(&self, of: impl Fn(Pace) -> bool) -> Felt {
        let said = self.publisher.as_ref().map_or(0, |publisher| publisher.said);
        let mut felt = Felt::default();
        for reader in self.readers.iter().filter(|reader| of(reader.pace)) {
            felt.closed += u64::from(reader.peer.end.is_some());
            if reader.pace == Pace::Eager {
                felt.missing += reader.heard.missing_of(said);
            }
        }
        felt
    }

    fn read_eager(&mut self) -> Result<(), AttackError> {
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
            reader.hear(&mut self.buffer, READ_BYTES, now_ns, Some(&mut self.latencies))?;
            if reader.peer.end.is_some() {
                epoll::delete(&self.epoll, &reader.peer)?;
            }
        }
        Ok(())
    }

    fn read_paced(&mut self) -> Result<(), AttackError> {
        let now_ns = clock::now_ns();
        for reader in &mut self.readers {
            let Pace::BytesPerSecond(bytes) = reader.pace else { continue };
            if now_ns < reader.due_ns {
                continue;
            }
            reader.due_ns = now_ns + PACED_EVERY_NS;
            let share = num::index(bytes * PACED_EVERY_NS / SECOND).max(1);
            reader.hear(&mut self.buffer, share, now_ns, None)?;
        }
        Ok(())
    }
}

impl Reader {
    fn hear(
        &mut self,
        buffer: &mut [u8],
        bytes_max: usize,
        now_ns: u64,
        mut latencies: Option<&mut Latencies>,
    ) -> Result<(), AttackError> {
        let heard = &mut self.heard;
        self.peer.read(buffer, bytes_max, &mut |message| {
            let (Some(number), Some(due_ns)) =
                (member(message, b"\"n\":"), member(message, b"\"due\":"))
            else {
                return;
            };
            heard.note(number);
            if let Some(latencies) = &mut latencies {
                latencies.record(now_ns.saturating_sub(due_ns));
            }
        })?;
        Ok(())
    }
}

impl Publisher {
    /// Publishes what is due, and hears what became of it.
    fn turn(&mut self, buffer: &mut [u8]) -> Result<(), AttackError> {
        let now_ns = clock::now_ns();
        // Bounded by what the socket takes: a server that does not read makes the publisher wait, and its events late.
        while self.due_ns <= now_ns && self.peer.unsaid_bytes() == 0 {
            self.said += 1;
            let (number, due_ns, padding) = (self.said, self.due_ns, &self.padding);
            let topic = number % self.topics;
            let text = format!(
                "{{\"type\":\"publish\",\"id\":{number},\"topic\":\"t/{topic}\",\"payload\":{{\"n\":{number},\"due\":{due_ns},\"p\":\"{padding}\"}}}}"
            );
            self.peer.say(&text)?;
            self.due_ns += self.every_ns;
        }
        self.peer.go_on()?;
        let (taken, refused) = (&mut self.taken, &mut self.refused);
        self.peer.read(buffer, READ_BYTES, &mut |message| {
            *taken += u64::from(memmem::find(message, b"\"type\":\"published\"").is_some());
            *refused += u64::from(memmem::find(message, b"\"type\":\"error\"").is_some());
        })?;
        if self.peer.end.is_some() {
            return Err(AttackError::Unanswered { wanted: "a publisher's connection that lives" });
        }
        Ok(())
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
