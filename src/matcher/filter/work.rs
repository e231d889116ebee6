//! What evaluating filters takes, in steps; and what is done once for an event, not once for each test of it.
//!
//! A *step* is what reading a byte of a text with one simple test takes, a nanosecond or so. Steps are counted, not timed: the same
//! filter takes the same steps for the same event on every machine. Invariants: no test takes much longer than its steps say;
//! a filter that has taken `most` steps passes nothing more of the event. Never looks at the time.

use std::cell::Cell;
use std::cell::RefCell;

use crate::limits::FILTER_EVENT_STEPS_MAX;
use crate::matcher::filter::fold::push_folded;

/// What the filters that are asked about one event have taken so far.
#[derive(Debug)]
pub(in crate::matcher) struct Work {
    steps: Cell<u64>,
    /// At so many the filter that is being asked has taken what it may.
    most: Cell<u64>,
    folded: RefCell<Folded>,
}

/// The folded texts of an event, by the place of the value, one behind the other.
#[derive(Debug, Default)]
struct Folded {
    text: String,
    /// From here to there in `text`; `None`: not folded yet.
    spans: Vec<Option<(usize, usize)>>,
}

impl Default for Work {
    fn default() -> Self {
        Self {
            steps: Cell::new(0),
            most: Cell::new(FILTER_EVENT_STEPS_MAX),
            folded: RefCell::default(),
        }
    }
}

impl Work {
    /// Forgets the last event, but for the memory.
    pub(in crate::matcher) fn begin_event(&mut self) {
        self.steps.set(0);
        let folded = self.folded.get_mut();
        folded.text.clear();
        folded.spans.clear();
    }

    /// Another filter is asked.
    #[inline]
    pub(in crate::matcher) fn begin_filter(&self) {
        self.most.set(self.steps.get() + FILTER_EVENT_STEPS_MAX);
    }

    /// Counts steps.
    #[inline]
    pub(in crate::matcher) fn take(&self, steps: usize) {
        self.steps.set(self.steps.get() + steps as u64);
    }

    /// Steps taken for this event.
    #[inline]
    pub(in crate::matcher) fn steps(&self) -> u64 {
        self.steps.get()
    }

    /// Whether the filter that is being asked has taken all that it may.
    #[inline]
    pub(in crate::matcher) fn is_spent(&self) -> bool {
        self.steps.get() > self.most.get()
    }

    /// Whether the filter may take so many steps more. If not, they count as taken: the filter is spent.
    pub(super) fn affords(&self, steps: usize) -> bool {
        self.take(steps);
        !self.is_spent()
    }

    /// What `read` says of `text`, which is the event's value number `place`, folded.
    pub(in crate::matcher) fn folded<T>(
        &self,
        place: usize,
        text: &str,
        read: impl FnOnce(&str) -> T,
    ) -> T {
        let folded = &mut *self.folded.borrow_mut();
        if folded.spans.len() <= place {
            folded.spans.resize(place + 1, None);
        }
        let (start, end) = *folded.spans[place].get_or_insert_with(|| {
            let start = folded.text.len();
            push_folded(text, &mut folded.text);
            (start, folded.text.len())
        });
        read(folded.text.get(start..end).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_folded_once_for_an_event() {
        let mut work = Work::default();
        assert_eq!(work.folded(3, "STRASSE", str::to_owned), "strasse");
        assert_eq!(work.folded(3, "not looked at again", str::to_owned), "strasse");
        assert_eq!(work.folded(0, "Ä", str::to_owned), "ä");
        work.begin_event();
        assert_eq!(work.folded(3, "B", str::to_owned), "b");
    }

    #[test]
    fn each_filter_may_take_as_much() {
        let work = Work::default();
        work.begin_filter();
        work.take(usize::try_from(FILTER_EVENT_STEPS_MAX).unwrap());
        assert!(!work.is_spent());
        assert!(!work.affords(1));
        work.begin_filter();
        assert!(work.affords(1));
        assert_eq!(work.steps(), FILTER_EVENT_STEPS_MAX + 2);
    }
}
