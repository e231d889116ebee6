//! The stage of an attack: one publisher at a steady rate, and readers beside it in the same thread, in processes of their own, or both.
//!
//! Invariant: the publisher publishes when an event is due, whatever became of those before (open loop).

use super::AttackError;
use super::crowd::Crowd;
use super::peer::Peer;
use super::readers::Felt;
use super::readers::Pace;
use super::readers::Readers;
use crate::clock;
use crate::clock::SECOND;
use crate::latency::Latencies;
use crate::limits::READ_BYTES;

use memchr::memmem;

/// How long readers may take to hear the rest: what has not come by then counts as lost, so no machine may be too slow for it.
pub(super) const REST_NS_MAX: u64 = 60 * SECOND;

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
    taken: u64,
    pub(crate) refused: u64,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Stage {
    readers: Readers,
    crowd: Option<Crowd>,
    pub(crate) publisher: Option<Publisher>,
    buffer: Vec<u8>,
}

impl Stage {
    pub(crate) fn new() -> Result<Self, AttackError> {
        Ok(Self {
            readers: Readers::new()?,
            crowd: None,
            publisher: None,
            buffer: vec![0; READ_BYTES],
        })
    }

    /// Takes in a subscriber that has joined.
    pub(crate) fn add(&mut self, peer: Peer, pace: Pace) -> Result<(), AttackError> {
        self.readers.add(peer, pace).map(drop)
    }

    /// Takes in subscribers that read in processes of their own; what they feel counts from here on.
    pub(crate) fn add_crowd(&mut self, mut crowd: Crowd) -> Result<(), AttackError> {
        crowd.begin()?;
        self.crowd = Some(crowd);
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
            self.turn()?;
        }
        Ok(())
    }

    fn turn(&mut self) -> Result<(), AttackError> {
        if let Some(publisher) = &mut self.publisher {
            publisher.turn(&mut self.buffer)?;
        }
        self.readers.turn()
    }

    /// Publishes nothing more, and lets the eager ones hear what is still on its way, until they have heard all that was taken; what they have felt, and
    /// from when each event was due to when each of them heard it.
    pub(crate) fn end(&mut self) -> Result<(Felt, Latencies), AttackError> {
        let until_ns = clock::now_ns() + REST_NS_MAX;
        if let Some(publisher) = &mut self.publisher {
            publisher.due_ns = u64::MAX;
        }
        while clock::now_ns() < until_ns {
            self.turn()?;
            let Some(publisher) = &self.publisher else { break };
            if publisher.is_answered()
                && self.readers.have_heard(publisher.said - publisher.refused)
            {
                break;
            }
        }
        let taken = self.said() - self.refused();
        let mut felt = self.readers.felt(taken);
        let mut latencies = Latencies::new();
        latencies.add(&self.readers.latencies.counts());
        if let Some(crowd) = &mut self.crowd {
            let (theirs, counts) = crowd.settle(taken)?;
            felt.closed += theirs.closed;
            felt.missing += theirs.missing;
            counts.iter().for_each(|counts| latencies.add(counts));
        }
        Ok((felt, latencies))
    }

    /// Events that were published, whatever became of them.
    pub(crate) fn said(&self) -> u64 {
        self.publisher.as_ref().map_or(0, |publisher| publisher.said)
    }

    /// Of them, those that were refused.
    pub(crate) fn refused(&self) -> u64 {
        self.publisher.as_ref().map_or(0, |publisher| publisher.refused)
    }
}

impl Publisher {
    /// Whether it is known what became of each event.
    fn is_answered(&self) -> bool {
        self.taken + self.refused >= self.said
    }

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
