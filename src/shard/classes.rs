//! All classes of a shard, and what finds those that want an event.
//!
//! Invariant: the matcher knows the subscriptions of every class that is not asleep, each by an index of its own, and of no other; a class's account is its own. Never
//! tells anybody anything.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use super::class::Audience;
use super::class::Class;
use super::class::ClassKey;
use super::class::StreamLease;
use super::class::weight_of;
use super::conns::ClassId;
use super::conns::Conn;
use super::input::ConnId;
use super::mixed;
use super::mixed::Mixed;
use super::spending::Spending;
use crate::clock::Now;
use crate::dialect::Subscription;
use crate::event::Event;
use crate::event::Interest;
use crate::limits::DEFLATE_STREAMS_MAX;
use crate::matcher::Matcher;
use crate::matcher::PayerId;
use crate::matcher::SubscriptionIndex;

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
    /// By index: the class, and which of its subscriptions it is.
    subscriptions: Vec<(ClassId, u8)>,
    indices_free: Vec<u32>,
    matcher: Matcher,
    /// What connections have spent apart from their classes' accounts.
    pub(super) spending: Spending,
    /// Subscriptions that want the event at hand.
    wanted: Vec<SubscriptionIndex>,
    /// Mixed classes: their connections ask for the same and call it otherwise.
    mixed: Mixed,
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
        let indices: Vec<SubscriptionIndex> =
            (0..key.subs.len()).map(|sub| self.new_index(id, sub)).collect();
        let key = Arc::new(key);
        self.by_key.insert(Arc::clone(&key), id);
        self.mixed.class_made(&key);
        self.matcher.open_account(payer(id), spent);
        for (index, sub) in known(&key, &indices) {
            self.matcher.insert(index, payer(id), &sub.topics, sub.filter.as_ref());
        }
        let class = Class::new(key, indices);
        self.bytes += class.weight_bytes;
        self.slots[id.index()] = Some(Box::new(class));
        id
    }

    fn new_index(&mut self, class: ClassId, sub: usize) -> SubscriptionIndex {
        let place = (class, u8::try_from(sub).expect("subscriptions are at most 64"));
        match self.indices_free.pop() {
            Some(index) => {
                self.subscriptions[index as usize] = place;
                SubscriptionIndex(index)
            }
            None => {
                self.subscriptions.push(place);
                SubscriptionIndex(
                    u32::try_from(self.subscriptions.len() - 1)
                        .expect("indices are bounded by connections"),
                )
            }
        }
    }

    /// Takes a class out that has no connections.
    pub(super) fn remove(&mut self, id: ClassId) {
        let class = self.slots.get_mut(id.index()).and_then(Option::take);
        let Some(class) = class else { return };
        for (index, _) in known(&class.key, &class.indices) {
            self.matcher.remove(index);
        }
        self.by_key.remove(&class.key);
        self.mixed.class_gone(id, &class.key);
        self.bytes -= class.weight_bytes;
        self.indices_free.extend(class.indices.iter().map(|index| index.0));
        self.free.push(id.0);
    }

    /// Finds out which subscriptions want an event; how many do, and how many steps their filters took.
    pub(super) fn match_event(&mut self, event: &Event) -> (usize, u64) {
        self.matcher.matches(event, &mut self.wanted);
        (self.wanted.len(), self.matcher.steps_of_event())
    }

    /// Notes in each class that wants the event which of its subscriptions do, and adds it to the list. A class that is gone since wants nothing.
    pub(super) fn take_wanting(&mut self, classes: &mut Vec<ClassId>) {
        for index in self.wanted.drain(..) {
            let (id, sub) = self.subscriptions[index.0 as usize];
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

    /// The class of these subscriptions, for a connection that is about to enter it; and the connection of a mixed class, if there is one, that calls
    /// them the same, so that it is to follow into this class.
    pub(super) fn enter(&mut self, key: ClassKey, conn: ConnId) -> (ClassId, Option<ConnId>) {
        let before = self.spending.before(conn);
        let (id, follows) = match self.find_key(&key) {
            Some(id) => (id, None),
            None if self.mixed.is_known(&key) => self.enter_mixed(key, conn, before),
            None => (self.insert(key, before), None),
        };
        self.spending.set(conn, before, self.matcher.steps(payer(id)));
        (id, follows)
    }

    /// Enters a connection where there are classes that ask for the same and none that calls it so.
    fn enter_mixed(
        &mut self,
        key: ClassKey,
        conn: ConnId,
        before: u64,
    ) -> (ClassId, Option<ConnId>) {
        let (mixed, names) = (key.mixed(), key.names());
        let found = self.find_key(&mixed);
        let alike = found.and_then(|id| self.mixed.conn_of(id, &names));
        if alike.is_some() {
            return (self.insert(key, before), alike);
        }
        let id = found.unwrap_or_else(|| self.insert(mixed, before));
        self.bytes += self.mixed.enter(id, conn, names);
        (id, None)
    }

    /// Bytes that a connection would add that enters with this key.
    pub(super) fn bytes_added(&self, key: &ClassKey) -> usize {
        if self.find_key(key).is_some() {
            return 0;
        }
        let own = weight_of(&key.subs);
        if !self.mixed.is_known(key) {
            return own;
        }
        let names = key.names();
        match self.find_key(&key.mixed()) {
            Some(id) if self.mixed.conn_of(id, &names).is_some() => own,
            Some(_) => mixed::weight_of(&names),
            None => own + mixed::weight_of(&names),
        }
    }

    /// A class's subscriptions, as one of its connections calls them.
    pub(super) fn subs_of(&self, id: ClassId, conn: ConnId) -> Cow<'_, [Arc<Subscription>]> {
        let Some(class) = self.find(id) else { return Cow::Borrowed(&[]) };
        let Some(names) = self.mixed.names_of(id, conn) else {
            return Cow::Borrowed(&class.key.subs);
        };
        class.key.subs.iter().zip(names).map(|(sub, name)| Arc::new(sub.called(name))).collect()
    }

    /// A class, as one of its connections is told of it that is not in step.
    pub(super) fn audience(&self, id: ClassId, conn: ConnId) -> Option<Audience<'_>> {
        Some(Audience { class: self.find(id)?, names: self.mixed.names_of(id, conn) })
    }

    /// A connection is about to leave its class: what it has spent goes with it.
    pub(super) fn leave(&mut self, id: ConnId, conn: Option<&Conn>) {
        if let Some(class) = conn.and_then(|conn| conn.class) {
            self.bytes -= self.mixed.leave(class, id);
        }
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

    /// The version of the fields that filters read: another number whenever they may be others.
    pub(super) fn interest_version(&self) -> u64 {
        self.matcher.interest_version()
    }

    pub(super) fn at(&mut self, id: ClassId) -> &mut Class {
        self.slots[id.index()]
            .as_deref_mut()
            .expect("a connection or an index names it, so it exists")
    }

    pub(super) fn find(&self, id: ClassId) -> Option<&Class> {
        self.slots.get(id.index())?.as_deref()
    }

    pub(super) fn find_mut(&mut self, id: ClassId) -> Option<&mut Class> {
        self.slots.get_mut(id.index())?.as_deref_mut()
    }

    /// Every class with its subscriptions as they are called, a mixed one once for each of its connections.
    pub(super) fn iter_named(
        &self,
    ) -> impl Iterator<Item = (&Class, Cow<'_, [Arc<Subscription>]>)> {
        let with_ids = (0..).map(ClassId).zip(&self.slots);
        let classes = with_ids.filter_map(|(id, class)| Some((id, class.as_deref()?)));
        classes.flat_map(move |(id, class)| {
            let is_mixed = class.key.is_mixed;
            let alike = (!is_mixed).then(|| (class, Cow::Borrowed(&class.key.subs[..])));
            let each = is_mixed.then(|| class.conns()).into_iter().flatten();
            alike.into_iter().chain(each.map(move |conn| (class, self.subs_of(id, conn))))
        })
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

    /// Bytes of all classes, with what finds their subscriptions.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Deflate streams in use.
    pub(super) fn streams(&self) -> usize {
        self.streams.get()
    }

    /// One more deflate stream; `None`: there are as many as there may be.
    pub(super) fn lease_stream(&self) -> Option<StreamLease> {
        (self.streams.get() < DEFLATE_STREAMS_MAX).then(|| StreamLease::of(&self.streams))
    }
}

/// Those of a class's subscriptions that the matcher knows: not what lies in the past, nor what is shared with others, who are handed each event.
fn known<'c>(
    key: &'c ClassKey,
    indices: &'c [SubscriptionIndex],
) -> impl Iterator<Item = (SubscriptionIndex, &'c Arc<Subscription>)> {
    let is_known = |sub: &Subscription| !key.is_asleep && !sub.topics.is_empty();
    indices.iter().copied().zip(&key.subs).filter(move |(_, sub)| is_known(sub))
}
