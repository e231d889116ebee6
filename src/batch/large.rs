//! Large events that somebody is being sent or is owed, and the texts they were made into where no part of their payload can be sent as it is:
//! each exists once in a shard, and goes with the last who is owed it.
//!
//! Invariant: the budget of the shard's outboxes counts each event and each text once. Never decides what a text is.

use std::cell::Cell;
use std::cell::RefCell;
use std::rc::Rc;
use std::rc::Weak;
use std::sync::Arc;

use super::budget::Budget;
use super::budget::Counted;
use crate::dialect::DialectId;
use crate::event::Event;
use crate::event::Projection;
use crate::limits::LARGE_TEXTS_BYTES_MAX;

/// Texts that are kept for a moment without anybody who is owed them, for the next one who is told the same.
const RECENT_MAX: usize = 2;

/// What an event was made into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextOf {
    pub dialect: DialectId,
    pub fields: Option<Arc<Projection>>,
    pub form: TextForm,
}

/// What was done to a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextForm {
    /// It was written in one run.
    Whole,
    /// It was cut into an event stream's lines.
    Lines,
    /// It was deflated in a fresh window of so many bits.
    Deflated(u8),
}

/// A text that exists once.
#[derive(Debug)]
pub struct LargeText {
    bytes: Box<[u8]>,
    all_bytes: Rc<Cell<usize>>,
    _counted: Counted,
}

impl LargeText {
    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for LargeText {
    fn drop(&mut self) {
        self.all_bytes.set(self.all_bytes.get() - self.bytes.len());
    }
}

/// A large event that is held on to.
#[derive(Debug)]
pub struct LargeEvent {
    event: Arc<Event>,
    texts: RefCell<Vec<(TextOf, Weak<LargeText>)>>,
    _counted: Counted,
}

/// The large events of a shard.
#[derive(Debug)]
pub struct LargeEvents {
    budget: Rc<Budget>,
    events: Vec<Weak<LargeEvent>>,
    recent: Vec<Rc<LargeText>>,
    texts_bytes: Rc<Cell<usize>>,
}

impl LargeEvents {
    /// None yet; what there will be is counted by this budget.
    #[must_use]
    pub fn within(budget: &Rc<Budget>) -> Self {
        Self {
            budget: Rc::clone(budget),
            events: Vec::new(),
            recent: Vec::new(),
            texts_bytes: Rc::default(),
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
        let large = Rc::new(LargeEvent { event, texts: RefCell::default(), _counted: counted });
        self.events.push(Rc::downgrade(&large));
        large
    }

    /// Whether a text of so many bytes may be made for those who could be sent the event in another way.
    #[must_use]
    pub fn has_room(&self, bytes: usize) -> bool {
        self.texts_bytes.get() + bytes <= LARGE_TEXTS_BYTES_MAX
    }

    /// What an event was made into before, if somebody still has it.
    #[must_use]
    pub fn find(&self, large: &LargeEvent, of: &TextOf) -> Option<Rc<LargeText>> {
        let texts = large.texts.borrow();
        texts.iter().find(|(known, _)| known == of).and_then(|(_, text)| text.upgrade())
    }

    /// Keeps what an event was made into for as long as anybody has it.
    pub fn keep(&mut self, large: &LargeEvent, of: TextOf, text: Vec<u8>) -> Rc<LargeText> {
        let mut counted = Counted::of(&self.budget);
        counted.take(text.len());
        self.texts_bytes.set(self.texts_bytes.get() + text.len());
        let all_bytes = Rc::clone(&self.texts_bytes);
        let text = Rc::new(LargeText { bytes: text.into(), all_bytes, _counted: counted });
        // A choice of fields is seldom made twice.
        if of.fields.is_none() {
            if self.recent.len() == RECENT_MAX {
                self.recent.remove(0);
            }
            self.recent.push(Rc::clone(&text));
        }
        let mut texts = large.texts.borrow_mut();
        texts.retain(|(_, text)| text.strong_count() > 0);
        texts.push((of, Rc::downgrade(&text)));
        text
    }

    /// Lets go of what nobody is owed.
    pub fn forget_recent(&mut self) {
        self.recent.clear();
    }
}
