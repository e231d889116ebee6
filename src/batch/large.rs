//! Large events that somebody is being sent or is owed, and the texts they were made into where no part of their payload can be sent as it is:
//! each exists once in a shard, and goes with the last who is owed it.
//!
//! Invariant: the budget of the shard's outboxes counts each event and each text once. Never decides what a text is.

use std::rc::Rc;
use std::rc::Weak;
use std::sync::Arc;

use super::budget::Budget;
use super::budget::Counted;
use super::kept::Kept;
use crate::event::Event;
use crate::event::HomeId;
use crate::event::Op;
use crate::event::Projection;
use crate::limits::LARGE_TEXTS_BYTES_MAX;

/// Texts that are kept for a moment without anybody who is owed them, for the next one who is told the same.
const RECENT_MAX: usize = 2;

/// What an event was made into. Of one home no two events have the same stamp, but for one and its twin that says that its key leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextOf {
    pub home: HomeId,
    pub time_us: u64,
    pub op: Op,
    pub encoding: Encoding,
    pub fields: Option<Arc<Projection>>,
    pub form: TextForm,
}

/// One of the ways in which events are written, named by whoever writes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoding(pub &'static str);

/// What was done to a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextForm {
    /// The text as it was written, in one run.
    Whole,
    /// The text cut into an event stream's lines.
    Lines,
    /// The text deflated in a fresh window of so many bits.
    Deflated(u8),
}

/// A large event that is held on to.
#[derive(Debug)]
pub struct LargeEvent {
    event: Arc<Event>,
    _counted: Counted,
}

impl LargeEvent {
    /// The event.
    #[must_use]
    pub fn event(&self) -> &Event {
        &self.event
    }
}

/// The large events of a shard.
#[derive(Debug)]
pub struct LargeEvents {
    budget: Rc<Budget>,
    events: Vec<Weak<LargeEvent>>,
    texts: Vec<(TextOf, Weak<Kept>)>,
    recent: Vec<Rc<Kept>>,
}

impl LargeEvents {
    /// None yet; what there will be is counted by this budget.
    #[must_use]
    pub fn within(budget: &Rc<Budget>) -> Self {
        Self {
            budget: Rc::clone(budget),
            events: Vec::new(),
            texts: Vec::new(),
            recent: Vec::new(),
        }
    }

    /// The one that stands for this event.
    pub fn of(&mut self, event: &Arc<Event>) -> Rc<LargeEvent> {
        let is_this = |large: &Rc<LargeEvent>| Arc::ptr_eq(&large.event, event);
        if let Some(large) = self.events.iter().rev().filter_map(Weak::upgrade).find(is_this) {
            return large;
        }
        self.events.retain(|large| large.strong_count() > 0);
        let mut counted = Counted::of(&self.budget);
        counted.take(event.weight_bytes());
        let event = Arc::clone(event);
        let large = Rc::new(LargeEvent { event, _counted: counted });
        self.events.push(Rc::downgrade(&large));
        large
    }

    /// Whether a text of so many bytes may be made for those who could be sent the event in another way.
    #[must_use]
    pub fn has_room(&self, bytes: usize) -> bool {
        let kept = self.texts.iter().filter_map(|(_, text)| text.upgrade());
        kept.map(|text| text.bytes().len()).sum::<usize>() + bytes <= LARGE_TEXTS_BYTES_MAX
    }

    /// What an event was made into before, if somebody still has it.
    #[must_use]
    pub fn find(&self, of: &TextOf) -> Option<Rc<Kept>> {
        let known = self.texts.iter().rev().filter(|(known, _)| known == of);
        known.filter_map(|(_, text)| text.upgrade()).next()
    }

    /// Keeps what an event was made into for as long as anybody has it.
    pub fn keep(&mut self, of: TextOf, text: Vec<u8>) -> Rc<Kept> {
        let text = Kept::new(&self.budget, text.into());
        // A choice of fields is seldom made twice.
        if of.fields.is_none() {
            if self.recent.len() == RECENT_MAX {
                self.recent.remove(0);
            }
            self.recent.push(Rc::clone(&text));
        }
        self.texts.retain(|(_, text)| text.strong_count() > 0);
        self.texts.push((of, Rc::downgrade(&text)));
        text
    }

    /// Lets go of what nobody is owed.
    pub fn forget_recent(&mut self) {
        self.recent.clear();
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::event::Fields;
    use crate::event::TopicName;

    fn event(time_us: u64) -> Arc<Event> {
        Arc::new(Event {
            topic: TopicName::new("t").unwrap(),
            key: Arc::from(""),
            op: Op::Upsert,
            home: HomeId(0),
            offset: 1,
            previous: 0,
            time_us,
            payload: Bytes::from(vec![b'x'; 100_000]),
            fields: Fields::default(),
            before: None,
            meta: None,
        })
    }

    fn whole(event: &Event) -> TextOf {
        TextOf {
            home: event.home,
            time_us: event.time_us,
            op: event.op,
            encoding: Encoding("a dialect"),
            fields: None,
            form: TextForm::Whole,
        }
    }

    #[test]
    fn an_event_is_counted_once_and_until_nobody_holds_it() {
        let budget = Budget::new(1 << 20);
        let mut events = LargeEvents::within(&budget);
        let (one, other) = (event(1), event(2));
        let held = [events.of(&one), events.of(&one), events.of(&other)];
        assert_eq!(budget.held(), one.weight_bytes() + other.weight_bytes());
        drop(held);
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn a_text_is_found_while_somebody_has_it_and_counted_once() {
        let budget = Budget::new(1 << 20);
        let mut events = LargeEvents::within(&budget);
        let (one, other) = (event(1), event(2));
        let text = events.keep(whole(&one), vec![b'y'; 1000]);
        assert!(Rc::ptr_eq(&events.find(&whole(&one)).unwrap(), &text));
        assert!(events.find(&whole(&other)).is_none());
        assert!(events.find(&TextOf { op: Op::Leave, ..whole(&one) }).is_none());
        assert_eq!(budget.held(), 1000);
        assert!(events.has_room(LARGE_TEXTS_BYTES_MAX - 1000));
        assert!(!events.has_room(LARGE_TEXTS_BYTES_MAX - 999));
        events.forget_recent();
        drop(text);
        assert!(events.find(&whole(&one)).is_none());
        assert_eq!(budget.held(), 0);
        assert!(events.has_room(LARGE_TEXTS_BYTES_MAX));
    }
}
