//! Why an event was or was not delivered on a connection: what its subscriber may hear, its topics, its filter term by term, its rate, its queue.
//!
//! Invariant: what is told is how things are now; a subscription that was made or changed since the event is judged as it is. Looking changes nothing.

use std::sync::Arc;

use serde_json::Value;
use serde_json::json;

use super::super::Shard;
use super::super::access::Who;
use super::super::conns::Conn;
use super::super::input::ConnRef;
use super::super::pace::Pace;
use super::super::sight::Sight;
use super::super::sight::sight;
use super::rows;
use crate::batch::Outbox;
use crate::clock::Now;
use crate::dialect::RatePer;
use crate::dialect::Subscription;
use crate::event::Event;
use crate::event::Op;
use crate::event::fields::Scratch;
use crate::matcher::filter::Explained;

/// All of it, as JSON; `None`: there is no such connection.
pub(super) fn explain(
    shard: &Shard,
    conn: ConnRef,
    event: &Arc<Event>,
    is_real: bool,
    now: Now,
) -> Option<String> {
    let found = shard.conns.see(conn)?;
    let subs = shard.subs_of(conn.id);
    let each: Vec<(Verdict, Value)> = subs
        .iter()
        .enumerate()
        .map(|(place, sub)| Looking { conn: found, event, sub, place, now }.whole(is_real))
        .collect();
    let best = each.iter().map(|(verdict, _)| *verdict).max().unwrap_or(Verdict::NoSubscription);
    let who = found.who.as_deref();
    let explained = json!({
        "connection": rows::name_of(shard, conn.id),
        "event": { "topic": event.topic.as_str(), "key": &*event.key, "op": event.op.name(), "offset": is_real.then_some(event.offset) },
        "verdict": best.word(),
        "because": best.because(),
        "may_hear": who.is_some_and(|who| may_hear(who, event)),
        "subscriptions": each.into_iter().map(|(_, told)| told).collect::<Vec<Value>>(),
    });
    Some(explained.to_string())
}

/// Whether a token covers the event's topic.
fn may_hear(who: &Who, event: &Event) -> bool {
    who.principal.may_hear(&event.topic) && !who.is_barred(&event.topic)
}

/// What becomes of an event, from the worst to the best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    NoSubscription,
    Topic,
    Permission,
    Filter,
    /// One of several is told.
    Shared,
    Past,
    Rate,
    Queue,
    Sent,
}

impl Verdict {
    const fn word(self) -> &'static str {
        match self {
            Self::NoSubscription => "no_subscription",
            Self::Topic => "topic",
            Self::Permission => "permission",
            Self::Filter => "filter",
            Self::Shared => "shared",
            Self::Past => "past",
            Self::Rate => "rate",
            Self::Queue => "queue",
            Self::Sent => "sent",
        }
    }

    const fn because(self) -> &'static str {
        match self {
            Self::NoSubscription => "the connection subscribes to nothing",
            Self::Topic => "none of its topics matches the event's",
            Self::Permission => "its token lets it see nothing of the event",
            Self::Filter => "its filter does not let the event pass",
            Self::Past => "it is still told of the past, in which the event has its place",
            Self::Rate => {
                "its rate holds the event until its window ends, unless a newer one takes its place"
            }
            Self::Queue => {
                "the event waits, because its client has yet to take what it was sent before"
            }
            Self::Shared => "it is told to one of those who share the subscription, in turn",
            Self::Sent => "nothing stands in its way: it is sent as soon as it is published",
        }
    }
}

/// One subscription of a connection, and the event.
struct Looking<'a> {
    conn: &'a Conn,
    event: &'a Arc<Event>,
    sub: &'a Arc<Subscription>,
    place: usize,
    now: Now,
}

impl Looking<'_> {
    fn whole(&self, is_real: bool) -> (Verdict, Value) {
        let matching = self.sub.patterns().find(|topic| topic.matches(&self.event.topic));
        let filter = self.sub.filter.as_ref().map(|filter| filter.explain(self.event));
        let forced = &self.sub.forced;
        let seen = sight(forced, self.event, &mut Scratch::default(), &mut 0);
        let verdict = if matching.is_none() {
            Verdict::Topic
        } else if seen == Sight::Nothing || self.is_hidden() || !self.may_hear() {
            Verdict::Permission
        } else if filter.as_ref().is_some_and(|filter| !filter.passes) {
            Verdict::Filter
        } else if self.sub.share.is_some() {
            Verdict::Shared
        } else if self.is_past() {
            Verdict::Past
        } else if self.pace().is_some_and(|pace| self.is_held_back(pace)) {
            Verdict::Rate
        } else if self.waits() {
            Verdict::Queue
        } else {
            Verdict::Sent
        };
        let solo = self.conn.solo.as_deref();
        let topics: Vec<&str> = self.sub.patterns().map(|topic| topic.as_str()).collect();
        let told = json!({
            "id": &*self.sub.id,
            "verdict": verdict.word(),
            "because": verdict.because(),
            "topics": topics,
            "matching": matching.map(|topic| topic.as_str()),
            "forced": forced.filters.iter().map(|filter| tree(&filter.explain(self.event))).collect::<Vec<Value>>(),
            "filter": filter.as_ref().map(tree),
            "rate": self.sub.max_rate.map(|rate| json!({
                "every_ms": rate.every_ms,
                "per": match rate.per { RatePer::Key => "key", RatePer::Subscription => "subscription" },
                "window_ends_in_ms": self.pace().map(|pace| pace.ends_ms.saturating_sub(self.now.mono_ms)),
                "holds": self.pace().map(|pace| pace.held.len()),
            })),
            "queue": {
                "in_step": solo.is_none(),
                "bytes": solo.map_or(0, |solo| solo.unread_bytes()),
                "blocked": solo.is_some_and(|solo| solo.blocked),
                "told_past": self.is_past(),
                "holds_it": is_real && solo.is_some_and(|solo| holds(&solo.outbox, self.event)),
            },
        });
        (verdict, told)
    }

    /// Whether what its tokens force hides the event. Where the subscription's own filter holds that too, nobody else looks at it; of a delete what counts is what it took.
    fn is_hidden(&self) -> bool {
        let mut forced = self.sub.forced.filters.iter();
        self.event.op != Op::Delete && forced.any(|filter| !filter.explain(self.event).passes)
    }

    fn may_hear(&self) -> bool {
        self.conn.who.as_deref().is_some_and(|who| may_hear(who, self.event))
    }

    fn is_past(&self) -> bool {
        let solo = self.conn.solo.as_deref();
        solo.is_some_and(|solo| solo.not_live(self.event.home) & (1 << self.place) != 0)
    }

    fn waits(&self) -> bool {
        self.conn.solo.as_deref().is_some_and(|solo| solo.unread_bytes() > 0)
    }

    fn pace(&self) -> Option<&Pace> {
        let shaping = self.conn.shaping.as_deref()?;
        let shaped = shaping.subs.iter().find(|of| usize::from(of.sub) == self.place)?;
        shaped.pace.as_ref()
    }

    /// Whether the event would not go at once, as `Pace::offer` decides it.
    fn is_held_back(&self, pace: &Pace) -> bool {
        if !pace.held.is_empty() {
            return true;
        }
        let is_over = self.now.mono_ms >= pace.ends_ms;
        !is_over
            && match pace.rate.per {
                RatePer::Key => pace.sent.contains(&self.event.topic_key()),
                RatePer::Subscription => !pace.sent.is_empty(),
            }
    }
}

/// What each test of a filter says.
fn tree(explained: &Explained) -> Value {
    let Explained { text, passes, found, of } = explained;
    let mut told = json!({ "test": text, "passes": passes });
    if let Some(found) = found {
        told["found"] = found.clone().into();
    }
    if !of.is_empty() {
        told["of"] = of.iter().map(tree).collect();
    }
    told
}

/// Whether an event waits in an outbox.
fn holds(outbox: &Outbox, wanted: &Event) -> bool {
    let is_it = |event: &Event| event.offset == wanted.offset && event.topic == wanted.topic;
    outbox.events().any(|(event, ..)| is_it(event))
}
