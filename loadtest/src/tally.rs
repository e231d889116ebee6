//! What one subscriber has heard of each of its topics, and what that says about loss, repetition and order.
//!
//! Numbers of a topic count 1, 2, 3 …, so a jump is a loss until the number comes late, which is then disorder, and a
//! number that is not missing is a duplicate. Invariant: heard + lost = sent + duplicates, unless gaps are allowed.
//! Never guesses: a subscriber whose messages are not read (`blind`) is only counted.

use crate::limits::MISSING_RANGES_MAX;

use serde::Deserialize;
use serde::Serialize;

/// The faults of many subscribers, added up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Faults {
    pub(crate) lost: u64,
    pub(crate) duplicate: u64,
    pub(crate) disordered: u64,
    /// Events of a topic that the subscriber did not ask for.
    pub(crate) foreign: u64,
}

impl Faults {
    pub(crate) fn add(&mut self, other: Self) {
        self.lost += other.lost;
        self.duplicate += other.duplicate;
        self.disordered += other.disordered;
        self.foreign += other.foreign;
    }

    pub(crate) fn none(&self) -> bool {
        *self == Self::default()
    }
}

#[derive(Debug)]
struct Heard {
    topic: u32,
    next: u64,
    /// Ranges, ends included, jumped over so far.
    missing: Vec<(u64, u64)>,
}

/// One subscriber's account.
#[derive(Debug)]
pub(crate) struct Tally {
    heard: Vec<Heard>,
    events: u64,
    faults: Faults,
    gaps_allowed: bool,
}

impl Tally {
    pub(crate) fn new(topics: &[u32], gaps_allowed: bool) -> Self {
        let heard = topics.iter().map(|&topic| Heard { topic, next: 1, missing: Vec::new() });
        Self { heard: heard.collect(), events: 0, faults: Faults::default(), gaps_allowed }
    }

    /// An event that could be read.
    pub(crate) fn hear(&mut self, topic: u32, number: u64) {
        self.events += 1;
        let Some(heard) = self.heard.iter_mut().find(|it| it.topic == topic) else {
            self.faults.foreign += 1;
            return;
        };
        if number == heard.next {
            heard.next += 1;
        } else if number > heard.next {
            if !self.gaps_allowed {
                self.faults.lost += number - heard.next;
                heard.missing.push((heard.next, number - 1));
                if heard.missing.len() > MISSING_RANGES_MAX {
                    heard.missing.remove(0);
                }
            }
            heard.next = number + 1;
        } else if heard.fill(number) {
            self.faults.lost -= 1;
            self.faults.disordered += 1;
        } else if self.gaps_allowed && number + 1 != heard.next {
            self.faults.disordered += 1;
        } else {
            self.faults.duplicate += 1;
        }
    }

    /// An event that was not looked into.
    pub(crate) fn count(&mut self) {
        self.events += 1;
    }

    /// The account, once the last number of each topic is known. A blind one is held to the sum only.
    pub(crate) fn settle(&self, sent: &[u64], blind: bool) -> Faults {
        let mut faults = self.faults;
        if self.gaps_allowed {
            return faults;
        }
        let of = |heard: &Heard| {
            usize::try_from(heard.topic).ok().and_then(|it| sent.get(it)).copied().unwrap_or(0)
        };
        if blind {
            let due: u64 = self.heard.iter().map(of).sum();
            faults.lost = due.saturating_sub(self.events);
            faults.duplicate = self.events.saturating_sub(due);
            return faults;
        }
        for heard in &self.heard {
            faults.lost += (of(heard) + 1).saturating_sub(heard.next);
        }
        faults
    }
}

impl Heard {
    /// Whether `number` was missing; it no longer is.
    fn fill(&mut self, number: u64) -> bool {
        let Some(at) = self.missing.iter().position(|&(from, to)| (from..=to).contains(&number))
        else {
            return false;
        };
        let (from, to) = self.missing.swap_remove(at);
        if from < number {
            self.missing.push((from, number - 1));
        }
        if number < to {
            self.missing.push((number + 1, to));
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(numbers: &[u64], sent: u64) -> Faults {
        let mut tally = Tally::new(&[0], false);
        for &number in numbers {
            tally.hear(0, number);
        }
        tally.settle(&[sent], false)
    }

    #[test]
    fn all_in_order_is_no_fault() {
        assert!(heard(&[1, 2, 3], 3).none());
        assert!(heard(&[], 0).none());
    }

    #[test]
    fn a_hole_and_a_missing_end_are_lost() {
        assert_eq!(heard(&[1, 4], 6), Faults { lost: 4, ..Faults::default() });
        assert_eq!(heard(&[], 2), Faults { lost: 2, ..Faults::default() });
    }

    #[test]
    fn a_late_one_is_disorder_and_a_second_one_a_duplicate() {
        assert_eq!(heard(&[1, 4, 3, 2], 4), Faults { disordered: 2, ..Faults::default() });
        assert_eq!(heard(&[1, 1, 2, 2], 2), Faults { duplicate: 2, ..Faults::default() });
        assert_eq!(
            heard(&[1, 3, 2, 2], 3),
            Faults { disordered: 1, duplicate: 1, ..Faults::default() }
        );
    }

    #[test]
    fn topics_are_told_apart() {
        let mut tally = Tally::new(&[1, 2], false);
        for (topic, number) in [(1, 1), (2, 1), (2, 2), (1, 2), (9, 1)] {
            tally.hear(topic, number);
        }
        assert_eq!(tally.settle(&[0, 2, 2], false), Faults { foreign: 1, ..Faults::default() });
    }

    #[test]
    fn with_a_filter_gaps_are_no_loss_but_order_still_counts() {
        let mut tally = Tally::new(&[0], true);
        for number in [3, 7, 7, 5] {
            tally.hear(0, number);
        }
        assert_eq!(
            tally.settle(&[9], false),
            Faults { duplicate: 1, disordered: 1, ..Faults::default() }
        );
    }

    #[test]
    fn a_blind_one_is_held_to_the_count() {
        let mut tally = Tally::new(&[0], false);
        tally.count();
        tally.hear(0, 9);
        assert_eq!(tally.settle(&[3], true).lost, 1);
    }
}
