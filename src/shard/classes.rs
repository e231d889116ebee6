//! All classes of a shard, and what finds those that want an event.
//!
//! Invariant: the matcher knows the subscriptions of every class that is not asleep, each by a wish of its own, and of no other; a class's account is its own. Never
//! tells anybody anything.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use super::class::Class;
use super::class::ClassKey;
use super::class::StreamLease;
use super::conns::ClassId;
use super::conns::Conn;
use super::input::ConnId;
use super::spending::Spending;
use crate::clock::Now;
use crate::event::Event;
use crate::event::Interest;
use crate::limits::DEFLATE_STREAMS_MAX;
use crate::matcher::Matcher;
use crate::matcher::PayerId;
use crate::matcher::WishId;

/// Whose account it is that a class's filters spend from.
const fn payer(class: ClassId) -> PayerId {
    PayerId(class.0)
}

/// The classes of a shard, and what finds those that want an event.
#[derive(Debug, Default)]
pub(super) struct Classes {
    slots: Vec<Option<Box<Class>>>,
    free: Vec<u32>,
    by_key: HashMap<Arc<ClassKey>, ClassId, foldhash::fast::RandomState>,
    /// Of each wish, the class and which of its subscriptions it is.
    wishes: Vec<(ClassId, u8)>,
    wishes_free: Vec<u32>,
    matcher: Matcher,
    /// What connections have spent apart from their classes' accounts.
    pub(super) spending: Spending,
    /// Wishes that want the event at hand.
    wanted: Vec<WishId>,
    /// Deflate streams in use.
    streams: Rc<Cell<usize>>,
    bytes: usize,
}

impl Classes {
    pub(super) fn find_key(&self, key: &ClassKey) -> Option<ClassId> {
        self.by_key.get(key).copied()
    }

    /// Makes a class without connections, for one whose filters have taken so many steps in this second already.
    fn insert(&mut self, key: ClassKey, spent: u64) -> ClassId {
        let id = ClassId(self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            u32::try_from(self.slots.len() - 1).expect("classes are fewer than connections")
        }));
        let wishes: Vec<WishId> =
            (0..key.subs.len()).map(|index| self.new_wish(id, index)).collect();
        let key = Arc::new(key);
        self.by_key.insert(Arc::clone(&key), id);
        self.matcher.open_account(payer(id), spent);
        for (wish, sub) in wishes.iter().zip(&key.subs).filter(|_| !key.is_asleep) {
            self.matcher.insert(*wish, payer(id), &sub.topics, sub.filter.as_ref());
        }
        let class = Class::new(key, wishes);
        self.bytes += class.weight_bytes;
        self.slots[id.index()] = Some(Box::new(class));
        id
    }

    fn new_wish(&mut self, class: ClassId, index: usize) -> WishId {
        let place = (class, u8::try_from(index).expect("subscriptions are at most 64"));
        match self.wishes_free.pop() {
            Some(wish) => {
                self.wishes[wish as usize] = place;
                WishId(wish)
            }
            None => {
                self.wishes.push(place);
                WishId(
                    u32::try_from(self.wishes.len() - 1)
                        .expect("wishes are bounded by connections"),
                )
            }
        }
    }

    /// Takes a class out that has no connections.
    pub(super) fn remove(&mut self, id: ClassId) {
        let class = self.slots.get_mut(id.index()).and_then(Option::take);
        let Some(class) = class else { return };
        for wish in class.wishes.iter().filter(|_| !class.key.is_asleep) {
            self.matcher.remove(*wish);
        }
        self.by_key.remove(&class.key);
        self.bytes -= class.weight_bytes;
        self.wishes_free.extend(class.wishes.iter().map(|wish| wish.0));
        self.free.push(id.0);
    }

    /// Finds out which subscriptions want an event; how many do, and how many steps their filters took.
    pub(super) fn match_event(&mut self, event: &Event) -> (usize, u64) {
        self.matcher.matches(event, &mut self.wanted);
        (self.wanted.len(), self.matcher.steps_of_event())
    }

    /// Notes in each class that wants the event which of its subscriptions do, and adds it to the list. A class that is gone since wants nothing.
    pub(super) fn take_wanting(&mut self, classes: &mut Vec<ClassId>) {
        for wish in self.wanted.drain(..) {
            let (id, sub) = self.wishes[wish.0 as usize];
            let Some(class) = self.slots[id.index()].as_deref_mut() else { continue };
            if class.matched == 0 {
                classes.push(id);
            }
            class.matched |= 1 << sub;
        }
    }

    /// Begins a new second, if one has begun: the filters of every class may take as much again.
    pub(super) fn begin_second(&mut self, now: Now) {
        if self.spending.begin_second(now) {
            self.matcher.begin_second();
        }
    }

    /// Steps that the filters of a connection's class have taken in this second.
    fn steps(&self, conn: Option<&Conn>) -> u64 {
        let class = conn.and_then(|conn| conn.class);
        class.map_or(0, |class| self.matcher.steps(payer(class)))
    }

    /// A connection has spent so much that is not for an event; what its filters have taken in this second.
    pub(super) fn spend(&mut self, id: ConnId, conn: Option<&Conn>, steps: u64, now: Now) -> u64 {
        self.begin_second(now);
        self.spending.spend(id, steps);
        self.spending.spent(id, self.steps(conn))
    }

    /// The class of these subscriptions, for a connection that is about to enter it.
    pub(super) fn enter(&mut self, key: ClassKey, conn: ConnId) -> ClassId {
        let before = self.spending.before(conn);
        let id = self.find_key(&key).unwrap_or_else(|| self.insert(key, before));
        self.spending.set(conn, before, self.matcher.steps(payer(id)));
        id
    }

    /// A connection is about to leave its class: what it has spent goes with it.
    pub(super) fn leave(&mut self, id: ConnId, conn: Option<&Conn>) {
        let spent = self.spending.spent(id, self.steps(conn));
        self.spending.set(id, spent, 0);
    }

    /// Has a class pay for what looking at the last event took elsewhere.
    pub(super) fn charge(&mut self, id: ClassId, steps: u64) {
        self.matcher.charge(payer(id), steps);
    }

    /// The connections of the next class whose filters have taken what they may.
    pub(super) fn pop_spent(&mut self) -> Option<Vec<ConnId>> {
        while let Some(PayerId(id)) = self.matcher.pop_spent() {
            if let Some(class) = self.find(ClassId(id)) {
                return Some(class.conns().collect());
            }
        }
        None
    }

    /// The fields that the filters of all subscriptions read.
    pub(super) fn interest(&mut self) -> Interest {
        self.matcher.interest().bounded()
    }

    /// Another number whenever they may be others.
    pub(super) fn interest_version(&self) -> u64 {
        self.matcher.interest_version()
    }

    pub(super) fn at(&mut self, id: ClassId) -> &mut Class {
        self.slots[id.index()]
            .as_deref_mut()
            .expect("a connection or a wish names it, so it exists")
    }

    pub(super) fn find(&self, id: ClassId) -> Option<&Class> {
        self.slots.get(id.index())?.as_deref()
    }

    pub(super) fn find_mut(&mut self, id: ClassId) -> Option<&mut Class> {
        self.slots.get_mut(id.index())?.as_deref_mut()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Class> {
        self.slots.iter().flatten().map(|class| &**class)
    }

    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// The connection of a class that has no other.
    pub(super) fn only_conn(&self, id: ClassId) -> Option<ConnId> {
        let class = self.find(id)?;
        class.key.alone?;
        class.members.first().or_else(|| class.solos.first()).copied()
    }

    /// Bytes of all of them, with what finds their subscriptions.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Deflate streams in use.
    pub(super) fn streams(&self) -> usize {
        self.streams.get()
    }

    /// One more stream; `None`: there are as many as there may be.
    pub(super) fn lease_stream(&self) -> Option<StreamLease> {
        (self.streams.get() < DEFLATE_STREAMS_MAX).then(|| StreamLease::of(&self.streams))
    }
}
