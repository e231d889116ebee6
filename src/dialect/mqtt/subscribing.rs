//! What a client subscribes to, and how that is answered.
//!
//! Invariants: of each filter of a packet it is said, in order, what was granted or why not; a filter that is named again takes the place of the one
//! before, which loses nothing. Who asks for the same of the same filter is in one class.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;

use super::names;
use super::reasons;
use crate::batch::Slow;
use crate::dialect::Delivery;
use crate::dialect::Refusal;
use crate::dialect::Request;
use crate::dialect::Step;
use crate::dialect::Subscription;
use crate::dialect::Ticket;
use crate::dialect::View;
use crate::dialect::Wish;
use crate::position::Since;
use crate::wire::mqtt::Options;
use crate::wire::mqtt::PropertyId;
use crate::wire::mqtt::QoS;
use crate::wire::mqtt::Reason;
use crate::wire::mqtt::Subscribe;
use crate::wire::mqtt::Unsubscribe;
use crate::wire::mqtt::Version;
use crate::wire::mqtt::put_suback;
use crate::wire::mqtt::put_unsuback;
use crate::wire::mqtt::topic;

/// A client's subscriptions.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    filters: BTreeSet<Arc<str>>,
    /// SUBSCRIBE that is being carried out.
    awaited: Option<Box<Awaited>>,
}

/// SUBSCRIBE that is to be answered: of each filter, in order.
#[derive(Debug)]
struct Awaited {
    id: u16,
    filters: Vec<Filter>,
}

#[derive(Debug)]
enum Filter {
    /// It is asked for.
    Asked(Arc<str>),
    /// It is known what becomes of it.
    Known(Reason),
}

/// What becomes of one filter.
enum Verdict {
    Wish(Wish),
    /// Nothing that there is has such a topic.
    Nothing,
    Refused(Reason),
}

impl Subscriptions {
    pub(super) fn subscribe(
        &mut self,
        subscribe: &Subscribe<'_>,
        view: &View,
        steps: &mut Vec<Step>,
    ) {
        let number = subscribe.properties.number(PropertyId::SubscriptionId);
        let number = number.and_then(NonZeroU32::new);
        let (mut filters, mut wishes) = (Vec::new(), Vec::new());
        for (filter, options) in subscribe.filters.iter() {
            filters.push(match verdict(filter, options, number, view) {
                Verdict::Wish(wish) => {
                    let id = Arc::clone(&wish.subscription.id);
                    wishes.push(wish);
                    Filter::Asked(id)
                }
                Verdict::Nothing => {
                    self.filters.insert(filter.into());
                    Filter::Known(GRANTED)
                }
                Verdict::Refused(reason) => Filter::Known(reason),
            });
        }
        self.awaited = Some(Box::new(Awaited { id: subscribe.id, filters }));
        steps.push(Step::Ask { ticket: Ticket::Only, what: Request::Subscribe(wishes) });
    }

    /// It is known what became of what was asked for.
    pub(super) fn answered(
        &mut self,
        results: &[Result<(), Refusal>],
        version: Version,
        steps: &mut Vec<Step>,
    ) {
        let Some(awaited) = self.awaited.take() else { return };
        let mut results = results.iter();
        let mut reasons = Vec::with_capacity(awaited.filters.len());
        for filter in awaited.filters {
            reasons.push(match filter {
                Filter::Known(reason) => reason,
                Filter::Asked(filter) => match results.next() {
                    Some(Err(refusal)) => reasons::of_subscribe(refusal.code),
                    _ => {
                        self.filters.insert(filter);
                        GRANTED
                    }
                },
            });
        }
        let mut out = Vec::new();
        put_suback(version, awaited.id, &reasons, &mut out);
        steps.push(Step::say(out));
    }

    pub(super) fn unsubscribe(
        &mut self,
        unsubscribe: &Unsubscribe<'_>,
        version: Version,
        steps: &mut Vec<Step>,
    ) {
        let mut reasons = Vec::new();
        for (filter, _) in unsubscribe.filters.iter() {
            reasons.push(match self.filters.take(filter) {
                Some(id) => {
                    steps.push(Step::Unsubscribe { id });
                    Reason::SUCCESS
                }
                None if !topic::is_filter(filter) => Reason::TOPIC_FILTER_INVALID,
                None => Reason::NO_SUBSCRIPTION_EXISTED,
            });
        }
        let mut out = Vec::new();
        put_unsuback(version, unsubscribe.id, &reasons, &mut out);
        steps.push(Step::say(out));
    }
}

/// Messages are delivered at most once.
const GRANTED: Reason = Reason(QoS::AtMostOnce as u8);

fn verdict(filter: &str, options: Options, number: Option<NonZeroU32>, view: &View) -> Verdict {
    if topic::shared(filter).is_some() {
        return Verdict::Refused(Reason::SHARED_NOT_SUPPORTED);
    }
    if !topic::is_filter(filter) {
        return Verdict::Refused(Reason::TOPIC_FILTER_INVALID);
    }
    if options.no_local {
        return Verdict::Refused(Reason::IMPLEMENTATION_SPECIFIC);
    }
    let topics = match names::patterns_of(filter, view) {
        Ok(topics) if topics.is_empty() => return Verdict::Nothing,
        Ok(topics) => topics,
        Err(_) => return Verdict::Refused(Reason::TOPIC_FILTER_INVALID),
    };
    let subscription = Subscription {
        id: filter.into(),
        topics,
        slow: Slow::DropSilently,
        delivery: Delivery { qos: 0, retain_as_published: options.retain_as_published, number },
        ..Subscription::default()
    };
    Verdict::Wish(Wish { subscription: Arc::new(subscription), since: Since::Now })
}
