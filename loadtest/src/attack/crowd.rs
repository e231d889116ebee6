//! Thousands of readers, in processes of their own: one may not hold as many sockets as a server.
//!
//! Both ends of the line are here: the attack's, which starts them, and theirs. Invariants: a process holds at most `READERS_PER_PROCESS_MAX`;
//! what they feel counts from `Order::Measure` on; they end when the attack does.

use super::AttackError;
use super::peer::Peer;
use super::readers::Felt;
use super::readers::Pace;
use super::readers::Readers;
use super::stage::REST_NS_MAX;
use crate::child;
use crate::child::Orders;
use crate::clock;
use crate::clock::SECOND;
use crate::crew::Crew;
use crate::crew::CrewError;
use crate::latency::Counts;
use crate::message::Order;
use crate::message::Plan;
use crate::message::Word;
use crate::num;

use std::io;
use std::net::SocketAddr;

use serde::Deserialize;
use serde::Serialize;

/// Readers of one process.
const READERS_PER_PROCESS_MAX: usize = 9_000;

/// How long all of them may take to join.
const JOIN_NS_MAX: u64 = 300 * SECOND;

/// Enough of the kernel's buffer that a slow one is slow, and not merely late.
const SLOW_RECEIVE_BYTES: usize = 16 * 1024;

/// What a process of readers is to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CrowdPlan {
    pub(crate) addr: SocketAddr,
    /// Where each opens its WebSocket: what is asked for there is all that it asks for.
    pub(crate) path: String,
    pub(crate) groups: Vec<Group>,
}

/// Readers that are alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Group {
    pub(crate) count: usize,
    pub(crate) pace: Pace,
    pub(crate) turns: Turns,
}

/// When readers take their pace; until then they read eagerly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Turns {
    FromTheBeginning,
    /// All of them so long after the beginning.
    Together {
        ns: u64,
    },
    /// One after the other, the last so long after the beginning.
    OneByOne {
        ns: u64,
    },
}

impl Group {
    /// So many that have their pace from the beginning.
    pub(crate) const fn of(count: usize, pace: Pace) -> Self {
        Self { count, pace, turns: Turns::FromTheBeginning }
    }

    /// The part of one of so many processes.
    fn part(self, process: usize, processes: usize) -> Self {
        let count = (self.count + process) / processes;
        Self { count, ..self }
    }
}

/// What a process of readers has felt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CrowdFelt {
    felt: Felt,
    latencies: Counts,
}

/// The attack's end.
#[derive(Debug)]
pub(crate) struct Crowd {
    crew: Crew,
    processes: usize,
}

impl Crowd {
    /// Has all of them join.
    pub(crate) fn gather(
        addr: SocketAddr,
        path: &str,
        groups: &[Group],
    ) -> Result<Self, AttackError> {
        let readers: usize = groups.iter().map(|group| group.count).sum();
        let processes = readers.div_ceil(READERS_PER_PROCESS_MAX).max(1);
        let mut crew = Crew::default();
        for process in 0..processes {
            let groups = groups.iter().map(|group| group.part(process, processes)).collect();
            let plan = CrowdPlan { addr, path: path.to_owned(), groups };
            crew.start("readers", &Plan::Crowd(plan), &[])?;
        }
        let mut crowd = Self { crew, processes };
        // What is said before would be read with the plan.
        crowd.await_all("readers to begin", REST_NS_MAX, |word| matches!(word, Word::Ready))?;
        crowd.order(&Order::Connect)?;
        crowd.await_all("readers to join", JOIN_NS_MAX, |word| {
            matches!(word, Word::Joined { .. })
        })?;
        Ok(crowd)
    }

    /// From here on it counts what they feel.
    pub(crate) fn begin(&mut self) -> Result<(), AttackError> {
        self.order(&Order::Measure)
    }

    /// So many events were taken: has them hear the rest, and say what they have felt.
    pub(crate) fn settle(&mut self, taken: u64) -> Result<(Felt, Vec<Counts>), AttackError> {
        self.order(&Order::Settle { sent: vec![taken] })?;
        let words = self.await_all("what readers felt", 2 * REST_NS_MAX, |word| {
            matches!(word, Word::Felt(_))
        })?;
        let (mut felt, mut latencies) = (Felt::default(), Vec::new());
        for word in words {
            if let Word::Felt(theirs) = word {
                felt.closed += theirs.felt.closed;
                felt.missing += theirs.felt.missing;
                latencies.push(theirs.latencies);
            }
        }
        Ok((felt, latencies))
    }

    fn order(&mut self, order: &Order) -> Result<(), AttackError> {
        for process in 0..self.processes {
            self.crew.order(process, order)?;
        }
        Ok(())
    }

    /// One such word of each process.
    fn await_all(
        &mut self,
        wanted: &'static str,
        ns: u64,
        is_wanted: impl Fn(&Word) -> bool,
    ) -> Result<Vec<Word>, AttackError> {
        let until_ns = clock::now_ns() + ns;
        let mut words = Vec::new();
        while words.len() < self.processes {
            if clock::now_ns() > until_ns {
                return Err(CrewError::Late { wanted }.into());
            }
            let said = self.crew.listen(SECOND / 10)?;
            words.extend(said.into_iter().map(|(_, word)| word).filter(|word| is_wanted(word)));
        }
        Ok(words)
    }
}

/// The readers' end.
pub(crate) fn run(plan: &CrowdPlan) -> io::Result<()> {
    hear(plan).map_err(|error| match error {
        AttackError::Io(error) => error,
        error => io::Error::other(error.to_string()),
    })
}

fn hear(plan: &CrowdPlan) -> Result<(), AttackError> {
    let mut orders = Orders::default();
    let mut readers = Readers::new()?;
    let mut turning: Vec<(usize, u64)> = Vec::new();
    child::say(&Word::Ready)?;
    loop {
        match orders.next(&clock::timespec(0))? {
            Some(Order::Connect) => {
                let began_ns = clock::now_ns();
                for group in &plan.groups {
                    join(plan, *group, &mut readers, &mut turning)?;
                }
                child::say(&Word::Joined { ns: clock::now_ns() - began_ns })?;
            }
            Some(Order::Measure) => {
                let now_ns = clock::now_ns();
                // Until all turn slow together everyone keeps up, which is not what is asked about.
                let together = plan.groups.iter().filter_map(|group| match group.turns {
                    Turns::Together { ns } => Some(ns),
                    Turns::FromTheBeginning | Turns::OneByOne { .. } => None,
                });
                readers.time_from(now_ns + together.max().unwrap_or(0));
                for (place, after_ns) in turning.drain(..) {
                    readers.turn_slow(place, now_ns + after_ns);
                }
            }
            Some(Order::Settle { sent }) => {
                let taken = sent.iter().sum();
                let until_ns = clock::now_ns() + REST_NS_MAX;
                while !readers.have_heard(taken) && clock::now_ns() < until_ns {
                    readers.turn()?;
                }
                let (felt, latencies) = (readers.felt(taken), readers.latencies.counts());
                return Ok(child::say(&Word::Felt(CrowdFelt { felt, latencies }))?);
            }
            Some(_) | None => {}
        }
        readers.turn()?;
    }
}

/// Has a group join; who turns slow later is noted with when.
fn join(
    plan: &CrowdPlan,
    group: Group,
    readers: &mut Readers,
    turning: &mut Vec<(usize, u64)>,
) -> Result<(), AttackError> {
    let receive_bytes = (group.pace != Pace::Eager).then_some(SLOW_RECEIVE_BYTES);
    for index in 0..group.count {
        let mut peer = Peer::connect(plan.addr, receive_bytes)?;
        peer.upgrade(&plan.path, "")?;
        peer.wait_for("\"type\":\"live\"")?;
        let after_ns = match group.turns {
            Turns::FromTheBeginning => {
                readers.add(peer, group.pace)?;
                continue;
            }
            Turns::Together { ns } => ns,
            Turns::OneByOne { ns } => num::count(index + 1) * ns / num::count(group.count),
        };
        turning.push((readers.add_turning(peer, group.pace)?, after_ns));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_all_processes_are_the_whole() {
        for (count, processes) in [(18_000, 2), (10_001, 2), (7, 3), (1, 4)] {
            let group = Group::of(count, Pace::Eager);
            let parts = (0..processes).map(|process| group.part(process, processes).count);
            assert_eq!(parts.sum::<usize>(), count, "{count} in {processes}");
        }
    }
}
