//! What a client subscribes to, and how that is answered.
//!
//! Invariants: of each filter of a packet it is said, in order, what was granted or why not; a filter that is named again takes the place of the one
//! before, which loses nothing. Who asks for the same of the same filter is in one class.

use std::num::NonZeroU32;
use std::sync::Arc;

use super::kept;
use super::names;
use super::publishing::Terms as Answering;
use super::reasons;
use crate::batch::Slow;
use crate::dialect::Delivery;
use crate::dialect::Refusal;
use crate::dialect::Request;
use crate::dialect::Share;
use crate::dialect::Step;
use crate::dialect::Subscription;
use crate::dialect::Ticket;
use crate::dialect::View;
use crate::dialect::Wish;
use crate::dialect::terms::bad;
use crate::dialect::terms::term;
use crate::limits::FILTER_REFUSED_STEPS;
use crate::limits::MQTT_FILTER_BYTES_MAX;
use crate::limits::SUBSCRIPTIONS_MAX;
use crate::matcher::Filter;
use crate::matcher::filter::Predicate;
use crate::position::Since;
use crate::wire::http::percent;
use crate::wire::mqtt::Options;
use crate::wire::mqtt::Packet;
use crate::wire::mqtt::Property;
use crate::wire::mqtt::PropertyId;
use crate::wire::mqtt::QoS;
use crate::wire::mqtt::Reason;
use crate::wire::mqtt::RetainHandling;
use crate::wire::mqtt::Subscribe;
use crate::wire::mqtt::Unsubscribe;
use crate::wire::mqtt::Version;
use crate::wire::mqtt::put_suback;
use crate::wire::mqtt::put_unsuback;
use crate::wire::mqtt::read;
use crate::wire::mqtt::topic;

/// A client's subscriptions.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    /// Filters that were granted, in order: most clients have one, for which a tree is ten times as large.
    filters: Vec<(Arc<str>, Held)>,
    /// Bytes of them.
    filter_bytes: usize,
    /// They outlast the connection.
    pub(super) is_kept: bool,
    /// A filter of QoS 2 was granted to this connection, or to the session before it.
    is_once: bool,
    /// SUBSCRIBE that is being carried out.
    awaited: Option<Box<Awaited>>,
    /// Those that a session is to go on with, while that is asked for.
    going_on: Box<[Arc<str>]>,
}

/// What is known of a filter that was granted.
#[derive(Debug)]
struct Held {
    qos: QoS,
    /// The SUBSCRIBE that would make it anew, where that is kept.
    packet: Box<[u8]>,
}

/// Bytes of a filter in its list, besides its text.
const FILTER_BYTES: usize = size_of::<(Arc<str>, Held)>() + 24;

/// SUBSCRIBE that is to be answered: of each filter, in order.
#[derive(Debug)]
struct Awaited {
    id: u16,
    filters: Vec<Filtered>,
    /// Why one was not taken, in words.
    why: Option<Box<str>>,
}

#[derive(Debug)]
enum Filtered {
    /// It is asked for.
    Asked(Arc<str>, QoS, Box<[u8]>),
    /// It is known what becomes of it.
    Known(Reason),
}

/// What becomes of one filter.
enum Verdict {
    Wish(Wish),
    /// What is asked of its events cannot be read.
    Wrong(Refusal),
    /// Nothing that there is has such a topic.
    Nothing,
    Refused(Reason),
}

impl Subscriptions {
    /// The quality of service with which a topic is told; `None`: no filter is to it. What filters ask of the content is not looked at.
    pub(super) fn qos_of(&self, topic: &str) -> Option<QoS> {
        let to_it = self.filters.iter().filter(|(filter, _)| names::matches(filter, topic));
        to_it.map(|(_, held)| held.qos).max()
    }

    pub(super) fn subscribe(
        &mut self,
        subscribe: &Subscribe<'_>,
        (answering, view): (Answering, &View),
        steps: &mut Vec<Step>,
    ) {
        let terms = PacketTerms::of(subscribe, answering);
        let (mut filters, mut wishes, mut why) = (Vec::new(), Vec::new(), None);
        for (filter, options) in subscribe.filters.iter() {
            let is_new = self.place(filter).is_err();
            let packet = || match self.is_kept {
                true => kept::alone(subscribe, filter, options),
                false => Box::default(),
            };
            filters.push(match terms.verdict(filter, options, is_new, view) {
                Verdict::Wrong(refusal) => {
                    why.get_or_insert(refusal.message);
                    // Reading it took work.
                    steps.push(Step::Pay { steps: FILTER_REFUSED_STEPS });
                    Filtered::Known(Reason::IMPLEMENTATION_SPECIFIC)
                }
                Verdict::Wish(wish) => {
                    let id = Arc::clone(&wish.subscription.id);
                    wishes.push(wish);
                    Filtered::Asked(id, options.qos, packet())
                }
                Verdict::Nothing if is_new && self.filters.len() >= SUBSCRIPTIONS_MAX => {
                    Filtered::Known(Reason::QUOTA_EXCEEDED)
                }
                Verdict::Nothing => {
                    let packet = packet();
                    self.insert(filter.into(), Held { qos: options.qos, packet });
                    Filtered::Known(granted(options.qos))
                }
                Verdict::Refused(reason) => Filtered::Known(reason),
            });
        }
        self.awaited = Some(Box::new(Awaited { id: subscribe.id, filters, why }));
        steps.push(Step::Ask { ticket: Ticket::Only, what: Request::Subscribe(wishes) });
    }

    /// Bytes of the filters.
    pub(super) fn held_bytes(&self) -> usize {
        let awaited = self
            .awaited
            .as_ref()
            .map_or(0, |awaited| size_of::<Awaited>() + size_of_val(&*awaited.filters));
        self.filter_bytes + awaited
    }

    /// Whether one of those that are asked for is shared.
    pub(super) fn awaits_share(&self) -> bool {
        let shares =
            |of: &Filtered| matches!(of, Filtered::Asked(id, ..) if topic::shared(id).is_some());
        self.awaited.as_ref().is_some_and(|awaited| awaited.filters.iter().any(shares))
    }

    /// Whether something is told exactly once.
    pub(super) const fn is_once(&self) -> bool {
        self.is_once
    }

    fn insert(&mut self, filter: Arc<str>, held: Held) {
        self.is_once |= held.qos == QoS::ExactlyOnce;
        let (own_bytes, packet_bytes) = (FILTER_BYTES + filter.len(), held.packet.len());
        self.filter_bytes += packet_bytes;
        match self.place(&filter) {
            Ok(place) => {
                let before = std::mem::replace(&mut self.filters[place].1, held);
                self.filter_bytes -= before.packet.len();
            }
            Err(place) => {
                self.filters.reserve_exact(1);
                self.filters.insert(place, (filter, held));
                self.filter_bytes += own_bytes;
            }
        }
    }

    /// Where a filter is, or would be.
    fn place(&self, filter: &str) -> Result<usize, usize> {
        self.filters.binary_search_by(|(of, _)| (**of).cmp(filter))
    }

    /// A filter is none of the client's any more; what it is called, if it was one.
    fn remove(&mut self, filter: &str) -> Option<Arc<str>> {
        let (filter, held) = self.filters.remove(self.place(filter).ok()?);
        self.filter_bytes -= FILTER_BYTES + filter.len() + held.packet.len();
        Some(filter)
    }

    /// It is known what became of what was asked for.
    pub(super) fn answered(
        &mut self,
        results: &[Result<(), Refusal>],
        terms: Answering,
        steps: &mut Vec<Step>,
    ) {
        let Some(mut awaited) = self.awaited.take() else { return };
        let mut results = results.iter();
        let mut reasons = Vec::with_capacity(awaited.filters.len());
        for filter in awaited.filters {
            reasons.push(match filter {
                Filtered::Known(reason) => reason,
                Filtered::Asked(filter, qos, packet) => match results.next() {
                    Some(Err(refusal)) => {
                        awaited.why.get_or_insert_with(|| refusal.message.clone());
                        reasons::of_subscribe(refusal.code)
                    }
                    _ => {
                        self.insert(filter, Held { qos, packet });
                        granted(qos)
                    }
                },
            });
        }
        let (mut properties, mut out) = (Vec::new(), Vec::new());
        if let Some(why) = awaited.why.filter(|_| terms.wants_reasons) {
            Property::Text(PropertyId::ReasonString, &why).put(&mut properties);
        }
        put_suback(terms.version, awaited.id, (&reasons, &properties), &mut out);
        //= mqtt-v5.0#3.9.2.1.2
        //# The Server MUST NOT send this Property if it would increase the size of the SUBACK packet beyond the Maximum Packet Size
        if !terms.takes(out.len()) {
            out.clear();
            put_suback(terms.version, awaited.id, (&reasons, &[]), &mut out);
        }
        steps.push(Step::say(out));
    }

    /// What would make each of them anew.
    pub(super) fn packets(&self) -> impl Iterator<Item = &[u8]> {
        self.filters.iter().map(|(_, held)| &*held.packet)
    }

    /// The client goes on with a session that has these, and wants them to be there.
    pub(super) fn go_on(
        &mut self,
        packets: &[&[u8]],
        (answering, view): (Answering, &View),
    ) -> Vec<Wish> {
        let mut wishes = Vec::new();
        for packet in packets {
            let Ok(Packet::Subscribe(subscribe)) = read(packet, Some(Version::V5)) else {
                continue;
            };
            let terms = PacketTerms::of(&subscribe, answering);
            for (filter, options) in subscribe.filters.iter() {
                match terms.verdict(filter, options, false, view) {
                    Verdict::Wish(wish) => wishes.push(wish),
                    Verdict::Nothing => {}
                    // What it could ask for when it was made is no longer granted.
                    Verdict::Wrong(_) | Verdict::Refused(_) => continue,
                }
                let held = Held { qos: options.qos, packet: (*packet).into() };
                self.insert(filter.into(), held);
            }
        }
        self.going_on = wishes.iter().map(|wish| Arc::clone(&wish.subscription.id)).collect();
        wishes
    }

    /// It is known which of them go on; what is left are results of others.
    pub(super) fn gone_on<'r>(
        &mut self,
        results: &'r [Result<(), Refusal>],
    ) -> &'r [Result<(), Refusal>] {
        let going_on = std::mem::take(&mut self.going_on);
        let (results, others) = results.split_at(going_on.len().min(results.len()));
        for (filter, result) in going_on.iter().zip(results) {
            if result.is_err() {
                self.remove(filter);
            }
        }
        others
    }

    pub(super) fn unsubscribe(
        &mut self,
        unsubscribe: &Unsubscribe<'_>,
        version: Version,
        steps: &mut Vec<Step>,
    ) {
        let mut reasons = Vec::new();
        for (filter, _) in unsubscribe.filters.iter() {
            reasons.push(match self.remove(filter) {
                Some(id) => {
                    steps.push(Step::Unsubscribe { id });
                    Reason::SUCCESS
                }
                None if !topic::is_filter(filter) => Reason::TOPIC_FILTER_INVALID,
                None => Reason::NO_SUBSCRIPTION_EXISTED,
            });
        }
        if self.is_kept {
            steps.push(Step::Ask { ticket: Ticket::Only, what: Request::Keep });
        }
        let mut out = Vec::new();
        put_unsuback(version, unsubscribe.id, &reasons, &mut out);
        steps.push(Step::say(out));
    }
}

/// What SUBACK says of a filter that is taken on.
const fn granted(qos: QoS) -> Reason {
    Reason(qos as u8)
}

/// What stands before an expression and a topic filter, in clients that cannot say it in a property.
const FILTERED: &str = "$filter/";

/// What a packet says of all of its filters.
struct PacketTerms {
    number: Option<NonZeroU32>,
    /// Subscriptions may be shared.
    shares: bool,
    /// Who asks, as a hash.
    publisher: u64,
    /// Bytes of the largest packet that it takes; 0: any.
    packet_bytes_max: u32,
    /// Its `filter`, `fields` and `max_rate`, or what is wrong with them.
    asked: Result<Subscription, Refusal>,
}

impl PacketTerms {
    fn of(subscribe: &Subscribe<'_>, answering: Answering) -> Self {
        let Answering { shares, publisher, packet_bytes_max, .. } = answering;
        let number = subscribe.properties.number(PropertyId::SubscriptionId);
        let mut subscription = Subscription::default();
        let mut asked = Ok(());
        for property in subscribe.properties.iter() {
            if let (Ok(()), Property::User(name, text)) = (&asked, property) {
                asked = term(name, text, &mut subscription).map(drop);
            }
        }
        let asked = asked.map(|()| subscription);
        let number = number.and_then(NonZeroU32::new);
        Self { number, shares, publisher, packet_bytes_max, asked }
    }

    /// What becomes of one filter of the packet.
    fn verdict(&self, filter: &str, options: Options, is_new: bool, view: &View) -> Verdict {
        if filter.len() > MQTT_FILTER_BYTES_MAX {
            return Verdict::Refused(Reason::TOPIC_FILTER_INVALID);
        }
        let shared = topic::shared(filter);
        if shared.is_some() && !self.shares {
            return Verdict::Refused(Reason::SHARED_NOT_SUPPORTED);
        }
        //= mqtt-v5.0#4.8.2
        //# The ShareName MUST NOT contain the characters "/", "+" or "#", but MUST be followed by a "/" character. This "/" character MUST be
        //# followed by a Topic Filter
        if shared.is_some_and(|(group, _)| !topic::is_group(group)) {
            return Verdict::Refused(Reason::TOPIC_FILTER_INVALID);
        }
        let asked = match &self.asked {
            Ok(asked) => asked.clone(),
            Err(refusal) => return Verdict::Wrong(refusal.clone()),
        };
        let said = shared.map_or(filter, |(_, said)| said);
        let (names, asked) = match said.strip_prefix(FILTERED).map(|rest| rest.split_once('/')) {
            None => (said, asked),
            Some(None) => return Verdict::Refused(Reason::TOPIC_FILTER_INVALID),
            Some(Some((expression, names))) => match with_expression(asked, expression) {
                Ok(asked) => (names, asked),
                Err(refusal) => return Verdict::Wrong(refusal),
            },
        };
        if !topic::is_filter(names) {
            return Verdict::Refused(Reason::TOPIC_FILTER_INVALID);
        }
        if shared.is_some() && asked.max_rate.is_some() {
            let what =
                "those who share a subscription are told each message, and not so many a second";
            return Verdict::Wrong(bad("max_rate", what));
        }
        let topics = match names::patterns_of(names, view) {
            Ok(topics) if topics.is_empty() => return Verdict::Nothing,
            Ok(topics) => topics,
            Err(_) => return Verdict::Refused(Reason::TOPIC_FILTER_INVALID),
        };
        let retain_as_published = options.retain_as_published;
        let without = if options.no_local { self.publisher } else { 0 };
        let number = self.number;
        let delivery = Delivery {
            qos: options.qos as u8,
            retain_as_published,
            number,
            without,
            bytes_max: self.packet_bytes_max,
        };
        // Of what is to be acknowledged nothing is dropped.
        let slow = match options.qos {
            QoS::AtMostOnce => Slow::DropSilently,
            QoS::AtLeastOnce | QoS::ExactlyOnce => Slow::Disconnect,
        };
        let (topics, share) = match shared {
            None => (topics, None),
            Some(_) => (Vec::new(), Some(Arc::new(Share { topics }))),
        };
        let subscription =
            Subscription { id: filter.into(), topics, share, delivery, slow, ..asked };
        // Whoever begins to share is told nothing that is retained: others of its group may have heard that.
        let wants_states = match options.retain_handling {
            _ if shared.is_some() => false,
            RetainHandling::Always => true,
            RetainHandling::IfNew => is_new,
            RetainHandling::Never => false,
        };
        let since = match wants_states {
            true => Since::States(subscription.topics.clone()),
            false => Since::Now,
        };
        Verdict::Wish(Wish { subscription: Arc::new(subscription), since, playback: None })
    }
}

/// A subscription that is to pass an expression, too, which stands in a level of a topic filter: `/`, `+`, `#` and `%` in it are `%2F`, `%2B`, `%23` and
/// `%25`.
fn with_expression(mut asked: Subscription, expression: &str) -> Result<Subscription, Refusal> {
    let text = percent::unescaped(expression);
    let of_packet = asked.filter.take();
    term("filter", &text, &mut asked)?;
    if let (Some(one), Some(other)) = (of_packet, &asked.filter) {
        let both = Predicate::And(vec![one.to_predicate(), other.to_predicate()]);
        asked.filter = Some(Filter::new(&both).map_err(|error| bad("filter", error))?);
    }
    Ok(asked)
}
