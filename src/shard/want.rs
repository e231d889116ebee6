//! A connection's subscriptions, exchanged as a whole: what dialects ask for whose clients say all that they want, and not what changes.
//!
//! Invariant: a subscription that stays loses nothing and is told nothing twice; one that ends, ends in silence.

use super::conns::Conns;
use std::sync::Arc;

use super::Shard;
use super::input::ConnId;
use super::session::WHO_FIRST;
use super::settings::Bounds;
use super::settings::Settings;
use super::solo::ReplayTarget;
use crate::clock::Now;
use crate::dialect::HOUSE;
use crate::dialect::Refusal;
use crate::dialect::RefusalCode;
use crate::dialect::Subscription;
use crate::dialect::Wish;
use crate::event::TopicPattern;
use crate::limits::FILTER_BYTES_MAX;
use crate::limits::SUBSCRIPTIONS_MAX;
use crate::position::Since;

/// What becomes of a subscription a part of which is granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The subscription is refused, and what is not granted is named.
    Refused,
    /// The part that is granted is taken.
    Taken,
}

impl Shard {
    /// From here on a connection has these subscriptions, by id, and no others.
    pub(super) fn want(&mut self, id: ConnId, wishes: &[Wish], now: Now) {
        assert!(wishes.len() <= SUBSCRIPTIONS_MAX, "a dialect keeps to the limit");
        let wishes = &self.conns.confined(id, wishes);
        let mut subs = self.subs_of(id).to_vec();
        if is_same(&subs, wishes) {
            return;
        }
        for wish in wishes.iter().filter(|wish| !subs.contains(&wish.subscription)) {
            if !self.charge_making(id, wish.subscription.filter.as_ref(), now) {
                return;
            }
        }
        self.go_solo(id);
        for index in (0..subs.len()).rev() {
            if !wishes.iter().any(|wish| wish.subscription.id == subs[index].id) {
                subs.remove(index);
                self.forget(id, index);
            }
        }
        let mut told = Vec::new();
        for wish in wishes {
            let place = subs.iter().position(|sub| sub.id == wish.subscription.id);
            match place {
                Some(index) => subs[index] = Arc::clone(&wish.subscription),
                None => {
                    subs.push(Arc::clone(&wish.subscription));
                    self.stats.add_sub(self.conns.voice_of(id));
                }
            }
            let sub = u8::try_from(place.unwrap_or(subs.len() - 1)).expect("they are at most 64");
            told.push((ReplayTarget { sub, is_live: place.is_some() }, wish));
        }
        self.enter_class(id, subs);
        let is_stream = self.conns.voice_of(id).is_some_and(super::transport::Voice::is_sse);
        for (target, wish) in told {
            // Without a past to tell and without a position to name, the next event is the first one.
            if wish.since != Since::Now || is_stream {
                self.begin_replay(
                    id,
                    target,
                    &wish.subscription,
                    (&wish.since, wish.playback),
                    now,
                );
            }
        }
        self.sleep_or_wake(id);
        // It may have nothing to be told, and falls in step then.
        self.mark_solo(id);
    }
}

impl Shard {
    /// As `confined`, for a subscription that a client is told of: what it may not ask for is refused.
    pub(super) fn confined_or_refused(
        &self,
        id: ConnId,
        asked: &Arc<Subscription>,
        part: Part,
    ) -> Result<Arc<Subscription>, Refusal> {
        let Some(who) = self.conns.find(id).and_then(|conn| conn.who.as_ref()) else {
            return Err(Refusal::new(RefusalCode::Forbidden, WHO_FIRST));
        };
        self.settings.within_bounds(asked)?;
        let is_granted = |topic| who.principal.may_subscribe(topic);
        let missing = asked.patterns().find(|topic| !is_granted(topic));
        let confined = match part {
            Part::Refused if missing.is_some() => None,
            _ => who.confine(asked),
        };
        confined.ok_or_else(|| match missing {
            // By its name: topics no longer stand as they were said.
            Some(topic) => {
                let message = format_args!("{} is not allowed", topic.as_str());
                Refusal::of(RefusalCode::Forbidden, "topics", message)
            }
            None => self.settings.why_barred(asked),
        })
    }
}

impl Shard {}

fn is_same(subs: &[Arc<Subscription>], wishes: &[Wish]) -> bool {
    subs.len() == wishes.len()
        && subs
            .iter()
            .zip(wishes)
            .all(|(sub, wish)| *sub == wish.subscription && wish.since == Since::Now)
}

impl Conns {
    /// What is left of wishes to whoever is on the connection: nothing while that is not known.
    fn confined(&self, id: ConnId, wishes: &[Wish]) -> Vec<Wish> {
        let Some(who) = self.find(id).and_then(|conn| conn.who.as_ref()) else {
            return Vec::new();
        };
        let confined = wishes.iter().filter_map(|wish| {
            let subscription = who.confine(&wish.subscription)?;
            Some(Wish { subscription, ..wish.clone() })
        });
        confined.collect()
    }
}

impl Settings {
    /// Why nothing is left of a subscription whose topics are granted: each is of a type of event that needs a role, and the first is named.
    pub(super) fn why_barred(&self, asked: &Subscription) -> Refusal {
        let event_types = &self.access.event_types;
        let roles = asked.patterns().next().and_then(|topic| match topic {
            TopicPattern::Exact(name) => {
                let name = self.views.of_protocol(HOUSE).name_of(name);
                event_types.roles_for(&name).map(|roles| roles.join(" or "))
            }
            TopicPattern::Wild(_) => None,
        });
        let topic = asked.patterns().next().map_or("", TopicPattern::as_str);
        let message = match roles.as_deref() {
            None | Some("") => format!("{topic} is for nobody (event_types)"),
            Some(roles) => format!("{topic} needs the role {roles} (event_types)"),
        };
        Refusal::of(RefusalCode::Forbidden, "topics", message)
    }

    /// Whether a subscription is within what the operator allows.
    fn within_bounds(&self, asked: &Subscription) -> Result<(), Refusal> {
        let Bounds { topic_bytes_max, filter_bytes_max, .. } = self.bounds;
        let is_long = |topic: &&str| topic.len() > topic_bytes_max;
        if let Some(topic) = asked.patterns().map(TopicPattern::as_str).find(is_long) {
            let bytes = topic.len();
            let message = format_args!(
                "topic_bytes_max: {topic} has {bytes} bytes; at most {topic_bytes_max} are allowed"
            );
            return Err(Refusal::of(RefusalCode::BadTopic, "topics", message));
        }
        // What fits every text that is read at all need not be written again to be measured.
        let is_bounded = filter_bytes_max < FILTER_BYTES_MAX;
        let filter = asked.filter.as_ref().filter(|_| is_bounded);
        if filter.is_some_and(|filter| filter.to_string().len() > filter_bytes_max) {
            let message = format_args!("filter_bytes_max: at most {filter_bytes_max} bytes");
            return Err(Refusal::of(RefusalCode::BadFilter, "filter", message));
        }
        Ok(())
    }
}
