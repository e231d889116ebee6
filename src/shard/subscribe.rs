//! Who is in which class, in step or solo: subscribing, ending, and changing between the two.
//!
//! Invariants: a connection changes class only while it is solo, so nothing that it is owed is lost on the way; it falls in step only when it
//! has been sent everything, and then exactly after what its class has already gathered.

use super::conns::Conns;
use std::borrow::Cow;
use std::sync::Arc;

use super::Shard;
use super::class::ClassKey;
use super::class::weight_of;
use super::closes::CLOSE_POLICY;
use super::input::ConnId;
use super::names::Holding;
use super::playing::check_seek;
use super::sharing::Sharing;
use super::solo::ReplayTarget;
use super::solo::Solo;
use super::transport::Voice;
use super::want::Part;
use crate::batch::Item;
use crate::clock::Now;
use crate::dialect::Change;
use crate::dialect::Outcome;
use crate::dialect::Refusal;
use crate::dialect::RefusalCode;
use crate::dialect::SubId;
use crate::dialect::Subs;
use crate::dialect::Subscription;
use crate::dialect::Wish;
use crate::limits::SUBSCRIPTIONS_MAX;
use crate::position::Gap;
use crate::position::Playback;
use crate::position::Seek;
use crate::position::Since;

impl Shard {
    /// Takes a subscription on, and starts to tell it of the past that it asked for.
    pub(super) fn subscribe(&mut self, id: ConnId, wish: &Wish, now: Now) {
        let Wish { subscription, since, playback } = wish;
        if !self.charge_making(id, subscription.filter.as_ref(), now) {
            return;
        }
        if let Err(refusal) =
            self.subscribe_or_refuse(id, subscription, ((since, *playback), Part::Refused), now)
        {
            self.say(id, &Outcome::Refused { id: Some(&subscription.id), refusal: &refusal });
            let has_words = |voice: Voice| voice.dialect.speaker().outcome.is_some();
            if !self.conns.voice_of(id).is_some_and(has_words) {
                // Who could not be told would wait for events that never come.
                self.close(id, CLOSE_POLICY, &refusal.message, now);
            }
        }
    }

    /// Subscribes; what refuses the subscription is handed back, and not said.
    fn subscribe_or_refuse(
        &mut self,
        id: ConnId,
        subscription: &Arc<Subscription>,
        (past, part): ((&Since, Option<Playback>), Part),
        now: Now,
    ) -> Result<(), Refusal> {
        let mut subs = self.subs_of(id).to_vec();
        if subs.iter().any(|sub| sub.id == subscription.id) {
            return Err(Refusal::of(
                RefusalCode::DuplicateId,
                "id",
                "a subscription of this connection has this id already",
            ));
        }
        let most = self.settings.bounds.subscriptions_max.min(SUBSCRIPTIONS_MAX);
        if subs.len() >= most {
            let message =
                format_args!("the connection has {most} subscriptions, and may not have more");
            return Err(Refusal::new(RefusalCode::TooManySubscriptions, message));
        }
        let subscription = &self.confined_or_refused(id, subscription, part)?;
        let sub = u8::try_from(subs.len()).expect("subscriptions are at most 64");
        subs.push(Arc::clone(subscription));
        self.fit(id, &subs)?;
        Holding::at(self).began(id, &subscription.id);
        self.stats.add_sub(self.conns.voice_of(id));
        let numbered = &subscription.numbered;
        self.say(id, &Outcome::Subscribed { id: &subscription.id, numbered });
        // Its dialect may have no word for that.
        self.go_solo(id);
        self.enter_class(id, subs);
        if subscription.is_alone() {
            self.begin_shaping(id, sub, subscription, now);
        }
        // Who is told no more than whether it runs hears from now on; others are told where the present begins.
        let is_live = part == Part::Taken;
        if !is_live || *past.0 != Since::Now {
            self.begin_replay(id, ReplayTarget { sub, is_live }, subscription, past, now);
        }
        if is_live && let Some(solo) = self.conns.solo_mut(id) {
            solo.begin_states(sub, now);
        }
        self.sleep_or_wake(id);
        Ok(())
    }

    /// Takes a subscription on, in the place of the one with its id if there is one: that one loses nothing.
    pub(super) fn subscribe_or_replace(
        &mut self,
        id: ConnId,
        wish: &Wish,
        now: Now,
    ) -> Result<(), Refusal> {
        let asked = &wish.subscription;
        if !self.charge_making(id, asked.filter.as_ref(), now) {
            // It cannot pay, and is being closed.
            return Ok(());
        }
        let mut subs = self.subs_of(id).to_vec();
        let Some(index) = subs.iter().position(|sub| sub.id == asked.id) else {
            return self.subscribe_or_refuse(
                id,
                asked,
                ((&wish.since, wish.playback), Part::Taken),
                now,
            );
        };
        let confined = self.confined_or_refused(id, asked, Part::Taken)?;
        subs[index] = Arc::clone(&confined);
        self.fit(id, &subs)?;
        let sub = u8::try_from(index).expect("subscriptions are at most 64");
        self.begin_shaping(id, sub, &confined, now);
        if self.wants_of(id).is_empty() {
            // What was held filled its outbox, and it is being closed.
            return Ok(());
        }
        self.go_solo(id);
        self.enter_class(id, subs);
        if wish.since != Since::Now {
            self.begin_replay(
                id,
                ReplayTarget { sub, is_live: true },
                &confined,
                (&wish.since, wish.playback),
                now,
            );
        }
        Ok(())
    }

    /// Changes a running subscription, from here on.
    pub(super) fn update(
        &mut self,
        id: ConnId,
        sub_id: &SubId,
        (change, seek): (Change, &Seek),
        now: Now,
    ) {
        let mut subs = self.subs_of(id).to_vec();
        let Some(index) = subs.iter().position(|sub| sub.id == *sub_id) else {
            return self.refuse_unknown(id, sub_id);
        };
        let changed = match change.apply(&subs[index]) {
            Ok(changed) => Arc::new(changed),
            Err(refusal) => {
                return self.say(id, &Outcome::Refused { id: Some(sub_id), refusal: &refusal });
            }
        };
        // A change of filter takes the place of the confined one, so it is confined anew.
        let changed = match self.confined_or_refused(id, &changed, Part::Refused) {
            Ok(confined) => confined,
            Err(refusal) => {
                return self.say(id, &Outcome::Refused { id: Some(sub_id), refusal: &refusal });
            }
        };
        let former = std::mem::replace(&mut subs[index], Arc::clone(&changed));
        if let Err(refusal) = self.fit(id, &subs) {
            return self.say(id, &Outcome::Refused { id: Some(sub_id), refusal: &refusal });
        }
        let sub = u8::try_from(index).expect("subscriptions are at most 64");
        if let Err(refusal) = check_seek(self.conns.solo(id), sub, seek) {
            return self.say(id, &Outcome::Refused { id: Some(sub_id), refusal: &refusal });
        }
        self.begin_shaping(id, sub, &changed, now);
        if former.filter != changed.filter
            && let Some(solo) = self.conns.solo_mut(id)
        {
            solo.refiltered(sub);
        }
        if self.wants_of(id).is_empty() {
            // What was held filled its outbox, and it is being closed.
            return;
        }
        self.go_solo(id);
        self.enter_class(id, subs);
        self.say(id, &Outcome::Updated { id: sub_id });
        if !seek.is_empty() {
            self.seek(id, sub, &changed, seek, now);
        }
    }

    /// Ends a subscription; nothing of it comes after the answer.
    pub(super) fn unsubscribe(&mut self, id: ConnId, sub_id: &SubId) {
        let mut subs = self.subs_of(id).to_vec();
        let Some(index) = subs.iter().position(|sub| sub.id == *sub_id) else {
            return self.refuse_unknown(id, sub_id);
        };
        subs.remove(index);
        self.go_solo(id);
        self.forget(id, index);
        self.enter_class(id, subs);
        self.say(id, &Outcome::Unsubscribed { id: sub_id, reason: None });
    }

    /// Takes one subscription, by its place, out of what a solo connection is still owed.
    pub(super) fn forget(&mut self, id: ConnId, index: usize) {
        self.stats.take_subs(self.conns.voice_of(id), 1);
        let sub = u8::try_from(index).expect("subscriptions are at most 64");
        self.telling.shapings.end(&mut self.conns, id, sub);
        if let Some(solo) = self.conns.solo_mut(id) {
            let below = (1 << index) - 1;
            let without = |set: u64| (set & below) | ((set >> 1) & !below);
            solo.outbox.change_subs(without);
            if let Some(window) = &mut solo.window {
                window.change_subs(without);
            }
            let was_awaited = solo.is_live_awaited();
            solo.replays.retain_mut(|replay| replay.forget(index));
            let is_freed = was_awaited && !solo.is_live_awaited();
            solo.count_past();
            if is_freed {
                self.hear_later(id);
            }
        }
        self.telling.plays.plan(&mut self.conns, id);
    }

    /// Whether the shard has room for a connection with these subscriptions.
    fn fit(&mut self, id: ConnId, subs: &[Arc<Subscription>]) -> Result<(), Refusal> {
        let (held, most) = (self.classes.bytes(), self.settings.memory.subscriptions_bytes_max);
        let Some(voice) = self.conns.voice_of(id) else { return Ok(()) };
        // The least that it can come to, first: nearly always there is room, and no key has to be made.
        let weight = weight_of(subs);
        if held + weight <= most {
            return Ok(());
        }
        // What is refused takes its time, too.
        self.intake.subscribed(subs.len());
        let (subs, is_alone) = (subs.to_vec(), subs.iter().any(|sub| sub.is_alone()));
        let key = ClassKey { voice, subs, alone: None, is_asleep: false, is_mixed: false };
        let added = if is_alone { weight } else { self.classes.bytes_added(&key) };
        let former = self.conns.find(id).and_then(|conn| conn.class);
        let former = former.and_then(|class| self.classes.find(class));
        let freed = former
            .filter(|class| class.members.len() + class.solos.len() == 1)
            .map_or(0, |class| class.weight_bytes);
        if added == 0 || held - freed + added <= most {
            return Ok(());
        }
        Err(Refusal::of(
            RefusalCode::TooManySubscriptions,
            "filter",
            "the server holds as many subscriptions as it has memory for",
        ))
    }

    fn refuse_unknown(&mut self, id: ConnId, sub_id: &SubId) {
        let refusal = Refusal::of(
            RefusalCode::UnknownId,
            "id",
            "no subscription of this connection has this id",
        );
        self.say(id, &Outcome::Refused { id: Some(sub_id), refusal: &refusal });
    }

    /// A connection's subscriptions, as it calls them, in the order in which they were made.
    pub(super) fn subs_of(&self, id: ConnId) -> Cow<'_, [Arc<Subscription>]> {
        let class = self.conns.find(id).and_then(|conn| conn.class);
        class.map_or(Cow::Borrowed(&[]), |class| self.classes.subs_of(class, id))
    }

    /// What a connection asks for, in the same order, whatever it calls it.
    pub(super) fn wants_of(&self, id: ConnId) -> &[Arc<Subscription>] {
        let class = self.conns.find(id).and_then(|conn| conn.class);
        class.and_then(|class| self.classes.find(class)).map_or(&[], |class| &class.key.subs)
    }

    /// Says something to one connection, after everything that it is already owed.
    pub(super) fn say(&mut self, id: ConnId, outcome: &Outcome<'_>) {
        //= rfc6455#5.5.1
        //# The application MUST NOT send any more data frames after sending a Close frame.
        if self.conns.is_closing(id) {
            return;
        }
        match outcome {
            Outcome::Refused { refusal, .. } => self.stats.tally.refuse(refusal.code, 1),
            Outcome::Gap { .. } => self.stats.gaps += 1,
            _ => {}
        }
        if let Some(item) = self.conns.told(id, outcome) {
            self.push_item(id, item);
        }
    }

    /// Queues something for one connection.
    pub(super) fn push_item(&mut self, id: ConnId, item: Item) {
        self.go_solo(id);
        if let Some(solo) = self.conns.solo_mut(id) {
            solo.outbox.push(item);
            self.mark_solo(id);
        }
    }

    /// Has the next flush look at a solo connection.
    pub(super) fn mark_solo(&mut self, id: ConnId) {
        let Some(conn) = self.conns.find_mut(id) else { return };
        let is_subscriber = conn.class.is_some();
        let Some(solo) = conn.solo.as_deref_mut() else { return };
        self.telling.solos.mark(id, solo, is_subscriber);
    }

    /// Takes a connection out of step: what its class has gathered for it so far is now owed to it alone.
    pub(super) fn go_solo(&mut self, id: ConnId) {
        let Some(conn) = self.conns.find(id) else { return };
        if conn.solo.is_some() {
            return;
        }
        let cursor = if conn.voice.is_some_and(Voice::is_sse) {
            self.cursor_before_held(id)
        } else {
            Vec::new()
        };
        let Some(conn) = self.conns.find_mut(id) else { return };
        let outbox = self.telling.solos.outbox();
        let past = self.telling.past_room.begin();
        let solo = Box::new(Solo { outbox, cursor, past, ..Solo::default() });
        let synced = std::mem::replace(&mut conn.synced, 0);
        let class = conn.class;
        conn.solo = Some(solo);
        let Some(class) = class else { return };
        self.telling.gathered.close_batch(&mut self.classes, class);
        let class = self.classes.at(class);
        let outboxes = self.telling.solos.outboxes();
        let (mut owed, flying, synced) = self.telling.flight.leave(id, class, synced, outboxes);
        let waiting = self.telling.gathered.owe(&mut owed, (id, synced), class, outboxes);
        self.stats.deliveries += (flying + waiting) as u64;
        class.remove_member(id, &mut self.conns);
        class.insert_solo(id, &mut self.conns);
        if let Some(solo) = self.conns.solo_mut(id) {
            solo.owed = owed;
        }
        self.mark_solo(id);
    }

    /// Puts a solo connection in step with its class, which has nothing more to make good for it.
    pub(super) fn fall_in_step(&mut self, id: ConnId) {
        let Some(conn) = self.conns.find_mut(id) else { return };
        conn.solo = None;
        let Some(class) = conn.class else { return };
        self.telling.gathered.close_batch(&mut self.classes, class);
        let class = self.classes.at(class);
        class.remove_solo(id, &mut self.conns);
        class.insert_member(id, &mut self.conns);
    }

    /// Moves a solo connection to the class of these subscriptions.
    pub(super) fn enter_class(&mut self, id: ConnId, subs: Vec<Arc<Subscription>>) {
        let Some(voice) = self.conns.voice_of(id) else { return };
        Sharing::at(self).changed(id, &subs);
        self.leave_class(id);
        if subs.is_empty() {
            return;
        }
        self.intake.subscribed(subs.len());
        let is_alone = subs.iter().any(|sub| sub.is_alone());
        let alone = if is_alone { self.conns.conn_ref(id) } else { None };
        let is_asleep = self.conns.solo(id).is_some_and(|solo| solo.is_all_past(subs.len()));
        let key = ClassKey { voice, subs, alone, is_asleep, is_mixed: false };
        let (class, follows) = self.classes.enter(key, id);
        self.classes.at(class).insert_solo(id, &mut self.conns);
        if let Some(conn) = self.conns.find_mut(id) {
            debug_assert!(conn.solo.is_some(), "a connection changes class while it is solo");
            conn.class = Some(class);
        }
        if let Some(follower) = follows {
            let subs = self.subs_of(follower).into_owned();
            self.enter_class(follower, subs);
            self.mark_solo(follower);
        }
    }

    /// Takes a connection out of its class, and ends the class with its last one.
    pub(super) fn leave_class(&mut self, id: ConnId) {
        self.classes.leave(id, self.conns.find(id));
        let Some(conn) = self.conns.find_mut(id) else { return };
        let is_solo = conn.solo.is_some();
        let Some(class_id) = conn.class.take() else { return };
        let class = self.classes.at(class_id);
        if is_solo {
            class.remove_solo(id, &mut self.conns);
        } else {
            self.telling.flight.forget(id);
            if let (1, Some(open)) = (class.members.len(), &class.open) {
                self.telling.gathered.forget_batch(open.due_ms, class_id);
            }
            class.remove_member(id, &mut self.conns);
        }
        if class.is_empty() {
            self.classes.remove(class_id);
        }
    }

    /// Says that events of some of a connection's subscriptions are not coming.
    pub(super) fn say_gap(&mut self, id: ConnId, set: u64, gap: &Gap) {
        let Some(voice) = self.conns.voice_of(id) else { return };
        self.stats.gaps += 1;
        let mut text = Vec::new();
        let kind = {
            let subs = self.subs_of(id);
            let outcome = Outcome::Gap { subs: Subs { of: &subs, names: None, set }, gap };
            voice.dialect.speaker().put_outcome(&outcome, &mut text)
        };
        if let Some(kind) = kind {
            self.push_item(id, Item::Said { kind, text: text.into() });
        }
    }
}

impl Conns {
    pub(super) fn voice_of(&self, id: ConnId) -> Option<Voice> {
        self.find(id).and_then(|conn| conn.voice)
    }
}
