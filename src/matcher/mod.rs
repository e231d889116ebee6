//! Event -> the subscriptions that want it.
//!
//! Owned by one shard, so there is no lock in it. Cost grows with what matches, not with what is subscribed. Never looks at a
//! connection or a dialect.

#[cfg(test)]
mod arbitrary;

pub mod filter;

mod topics;

use crate::event::Event;
use crate::event::TopicPattern;
pub use crate::matcher::filter::Filter;
pub use crate::matcher::filter::FilterError;
pub use crate::matcher::filter::FilterProblem;
use crate::matcher::topics::SubjectId;
use crate::matcher::topics::Topics;

/// One wish of the shard (a class's subscription), numbered densely by the shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WishId(pub u32);

impl WishId {
    const fn index(self) -> usize {
        self.0 as usize
    }
}

/// The wishes of one shard.
#[derive(Debug, Default)]
pub struct Matcher {
    topics: Topics,
    /// By wish id; `None` where an id is free.
    wishes: Vec<Option<Wish>>,
    /// By subject: who asks for it, and which of its topics that is.
    askers: Vec<Vec<(WishId, usize)>>,
    /// By wish id: the number of the last event that was found for it, so that each is told once.
    told: Vec<u64>,
    event_number: u64,
    /// Kept for its memory.
    subjects: Vec<SubjectId>,
}

#[derive(Debug)]
struct Wish {
    topics: Box<[Ask]>,
}

/// One topic of a wish: its subject, and where the wish stands among that subject's askers.
#[derive(Debug)]
struct Ask {
    pattern: TopicPattern,
    subject: SubjectId,
    place: usize,
}

impl Matcher {
    /// Adds a wish for events of any of `topics`. The id must be free.
    pub fn insert(&mut self, wish: WishId, topics: &[TopicPattern]) {
        if self.wishes.len() <= wish.index() {
            self.wishes.resize_with(wish.index() + 1, || None);
            self.told.resize(wish.index() + 1, 0);
        }
        assert!(
            self.wishes[wish.index()].is_none(),
            "the shard numbers its wishes: {wish:?} is in use"
        );
        let mut topics: Vec<&TopicPattern> = topics.iter().collect();
        topics.sort_unstable();
        topics.dedup();
        let asks = topics
            .iter()
            .enumerate()
            .map(|(which, pattern)| self.ask(wish, which, pattern))
            .collect();
        self.wishes[wish.index()] = Some(Wish { topics: asks });
    }

    fn ask(&mut self, wish: WishId, which: usize, pattern: &TopicPattern) -> Ask {
        let subject = self.topics.insert(pattern);
        if self.askers.len() <= subject.index() {
            self.askers.resize_with(subject.index() + 1, Vec::new);
        }
        let askers = &mut self.askers[subject.index()];
        askers.push((wish, which));
        Ask { pattern: pattern.clone(), subject, place: askers.len() - 1 }
    }

    /// Forgets a wish; an unknown id is a fault of the caller.
    pub fn remove(&mut self, wish: WishId) {
        let known = self
            .wishes
            .get_mut(wish.index())
            .and_then(Option::take)
            .expect("the shard removes what it inserted");
        for which in 0..known.topics.len() {
            let Ask { subject, place, .. } = known.topics[which];
            let askers = &mut self.askers[subject.index()];
            askers.swap_remove(place);
            if let Some(&(moved, moved_which)) = askers.get(place)
                && let Some(Some(moved)) = self.wishes.get_mut(moved.index())
            {
                moved.topics[moved_which].place = place;
            }
            self.topics.remove(&known.topics[which].pattern);
        }
    }

    /// Appends to `out` every wish that wants `event`, each once, in no particular order.
    pub fn matches(&mut self, event: &Event, out: &mut Vec<WishId>) {
        self.event_number += 1;
        self.subjects.clear();
        self.topics.matches(&event.topic, &mut self.subjects);
        for subject in &self.subjects {
            for &(wish, _) in &self.askers[subject.index()] {
                let told = &mut self.told[wish.index()];
                if *told != self.event_number {
                    *told = self.event_number;
                    out.push(wish);
                }
            }
        }
    }
}
