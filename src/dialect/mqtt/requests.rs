//! Another protocol's messages, published: what is said to `PREFIX/CLIENT/request` is heard by its conversation, and what that says is told to the
//! same connection as a message to `PREFIX/CLIENT/response`, and events of its subscriptions as messages to `PREFIX/CLIENT/notify/NAME`.
//!
//! Invariants: a request is heard once it has its place as the message that it is, and once the one before it is answered; nobody but the connection that asked
//! is told anything of it; and it only what it has subscribed to. Never knows what is said.

use std::collections::VecDeque;
use std::sync::Arc;

use super::asking::Asking;
use super::kept;
use super::message::put_correlation;
use super::names;
use super::publishing::Terms;
use super::subscribing::Subscriptions;
use super::told_in;
use crate::batch::Slow;
use crate::dialect::Answer;
use crate::dialect::BY_TOPIC;
use crate::dialect::Context;
use crate::dialect::Correspond;
use crate::dialect::Delivery;
use crate::dialect::Refusal;
use crate::dialect::Request;
use crate::dialect::Said;
use crate::dialect::Step;
use crate::dialect::SubId;
use crate::dialect::Subs;
use crate::dialect::Subscription;
use crate::dialect::Ticket;
use crate::dialect::Wish;
use crate::dialect::hook::Credentials;
use crate::event::Ack;
use crate::event::Draft;
use crate::event::Fields;
use crate::event::Meta;
use crate::event::Op;
use crate::position::Since;
use crate::wire::mqtt::QoS;

/// What stands between the topic of a subscription's events and what its protocol calls it. No topic filter holds it.
const BEHIND_TOPIC: char = '\0';

/// What questions of the conversation are known by.
const HOSTED: u32 = 1 << 31;
/// What is above the numbers of notices, where it is asked for their events.
const NOTICE: u32 = 1 << 30;

/// Which subscriptions are told as another protocol writes it, each in a message of its own.
pub(super) fn told_apart(subs: Subs<'_>) -> u64 {
    let of_others = subs.of.iter().enumerate().filter(|(_, sub)| sub.told_in.is_some());
    of_others.fold(0, |set, (index, _)| set | 1 << index)
}

/// Of such a subscription the topic that it is told by, and what its protocol calls it.
pub(super) fn told_by(subs: Subs<'_>) -> (&str, &str) {
    let id = subs.ids().next().map_or("", |id| id);
    id.split_once(BEHIND_TOPIC).unwrap_or((id, ""))
}

/// What a client hears its messages with: how it is spoken to, and what it has subscribed to.
#[derive(Clone, Copy)]
pub(super) struct Ears<'a> {
    pub(super) terms: Terms,
    pub(super) filters: &'a Subscriptions,
}

/// One connection's conversation in the other protocol.
#[derive(Debug)]
pub(super) struct Requests {
    talk: Box<dyn Correspond>,
    /// Requests that are heard once the one before them is answered. No more than travelled together: until it is, nothing more of the connection is read.
    waiting: VecDeque<Asking>,
    answering: Option<Answering>,
    notices: Vec<Notice>,
    /// How many there have been.
    noticed: u16,
}

/// A request that is being answered.
#[derive(Debug)]
struct Answering {
    asking: Asking,
    /// What the conversation calls what it has asked.
    ticket: Ticket,
    /// The subscription that it has asked for.
    notice: Option<Notice>,
}

/// A subscription of the conversation's.
#[derive(Debug)]
struct Notice {
    /// With its topic before what its protocol calls it.
    subscription: Subscription,
    number: u16,
    /// What asked for the subscription, and how many there had been before it.
    asked: (Box<[u8]>, u64),
    /// With which quality of service it is told; `None`: no filter is to its topic, so it is not.
    told: Option<QoS>,
}

impl Notice {
    /// Of a subscription of the client whose topics begin so.
    fn of(subscription: &Subscription, asking: (&Asking, u64), number: u16) -> Self {
        let (Asking { base, payload, .. }, count) = asking;
        let name = (BY_TOPIC.name_of)(&subscription.id);
        let id = format!("{base}/notify/{name}{BEHIND_TOPIC}{}", subscription.id);
        Self {
            subscription: Subscription { id: id.into(), ..subscription.clone() },
            number,
            asked: (payload.clone(), count),
            told: None,
        }
    }

    fn topic(&self) -> &str {
        self.subscription.id.split(BEHIND_TOPIC).next().unwrap_or_default()
    }

    /// As it is asked for, if it is told so.
    fn wish(&self, qos: QoS, terms: Terms) -> Wish {
        let slow = match qos {
            QoS::AtMostOnce => Slow::DropSilently,
            QoS::AtLeastOnce | QoS::ExactlyOnce => Slow::Disconnect,
        };
        let bytes_max = terms.packet_bytes_max;
        let subscription = Subscription {
            delivery: Delivery { qos: qos as u8, bytes_max, ..Delivery::default() },
            told_in: Some(told_in(terms.version)),
            slow,
            ..self.subscription.clone()
        };
        Wish::new(Arc::new(subscription), Since::Now)
    }
}

impl Requests {
    /// Bytes that it holds: what waits, what is answered, and what its conversation remembers. What subscriptions hold is counted with them.
    pub(super) fn held_bytes(&self) -> usize {
        let waiting: usize = self.waiting.iter().map(Asking::held_bytes).sum();
        let answering = self.answering.as_ref().map_or(0, |of| of.asking.held_bytes());
        let notices = self
            .notices
            .iter()
            .map(|of| size_of::<Notice>() + of.subscription.id.len() + of.asked.0.len());
        size_of::<Self>() + waiting + answering + notices.sum::<usize>() + self.talk.held_bytes()
    }

    /// A conversation that has heard nothing.
    pub(super) fn new(context: &Context<'_>, shown: Option<Credentials>) -> Self {
        let mut talk = (BY_TOPIC.opens)(context.views);
        if let Some(shown) = shown {
            talk.shows(shown);
        }
        Self { talk, waiting: VecDeque::new(), answering: None, notices: Vec::new(), noticed: 0 }
    }

    /// What would make its subscriptions anew: those that are told, as packets.
    pub(super) fn packets(&self) -> impl Iterator<Item = Vec<u8>> {
        self.notices.iter().filter(|notice| notice.told.is_some()).map(|notice| {
            let (said, count) = &notice.asked;
            let base = notice.topic().rsplit_once("/notify/").map_or("", |(base, _)| base);
            let mut out = Vec::new();
            kept::put_request((*count, base, said), &mut out);
            out
        })
    }

    /// The client goes on with a session that had these; what it is told of them.
    pub(super) fn resume(
        &mut self,
        packets: &[&[u8]],
        (ears, context): (Ears<'_>, &Context<'_>),
    ) -> Vec<Wish> {
        let mut wishes = Vec::new();
        for (count, base, said) in packets.iter().filter_map(|packet| kept::request_of(packet)) {
            let asking = Asking { base: base.into(), payload: said.into(), correlation: None };
            self.talk.hears_from(base);
            self.talk.goes_on_behind(count);
            let mut steps = Vec::with_capacity(1);
            self.talk.hear(Said::Binary(said), &as_seen(context), &mut steps);
            let Some(Step::Ask { ticket, what: Request::Subscribe(asked) }) = steps.pop() else {
                continue;
            };
            if let (Some(wish), Some(asker)) = (asked.first(), self.talk.asker()) {
                // It was answered before.
                let answer = Answer::Subscribed(&[Ok(())]);
                asker.answered(ticket, answer, &as_seen(context), &mut Vec::new());
                self.noticed = self.noticed.wrapping_add(1);
                let mut notice = Notice::of(&wish.subscription, (&asking, count), self.noticed);
                notice.told = ears.filters.qos_of(notice.topic()).map(|qos| at_most(qos, context));
                wishes.extend(notice.told.map(|qos| notice.wish(qos, ears.terms)));
                self.notices.push(notice);
            }
        }
        wishes
    }

    /// It is known which of those that are told go on.
    pub(super) fn resumed(&mut self, results: &[Result<(), Refusal>]) {
        let told = self.notices.iter_mut().filter(|notice| notice.told.is_some());
        for (notice, _) in told.zip(results).filter(|(_, result)| result.is_err()) {
            notice.told = None;
        }
    }

    /// Whether a question is the conversation's, or about its subscriptions.
    pub(super) const fn has_asked(ticket: &Ticket) -> bool {
        matches!(ticket, Ticket::Number(number) if *number & (HOSTED | NOTICE) != 0)
    }

    /// A request has its place.
    pub(super) fn hear(
        &mut self,
        asking: Asking,
        ears: Ears<'_>,
        context: &Context<'_>,
        steps: &mut Vec<Step>,
    ) {
        self.waiting.push_back(asking);
        self.go_on(ears, context, steps);
    }

    fn go_on(&mut self, ears: Ears<'_>, context: &Context<'_>, steps: &mut Vec<Step>) {
        while self.answering.is_none()
            && let Some(asking) = self.waiting.pop_front()
        {
            self.talk.hears_from(&asking.base);
            let mut said = Vec::with_capacity(1);
            self.talk.hear(Said::Binary(&asking.payload), &as_seen(context), &mut said);
            self.take(said, asking, (ears, context), steps);
        }
    }

    /// Something that was asked is answered.
    pub(super) fn answered(
        &mut self,
        ticket: &Ticket,
        answer: Answer<'_>,
        (ears, context): (Ears<'_>, &Context<'_>),
        steps: &mut Vec<Step>,
    ) {
        if let Ticket::Number(number) = ticket
            && number & HOSTED == 0
        {
            return self.notice_answered(number & !NOTICE, &answer);
        }
        let Some(mut answering) = self.answering.take() else { return };
        let notice = answering.notice.take();
        if let (Some(mut notice), Answer::Subscribed([Ok(())])) = (notice, &answer) {
            // It runs, so that it is known that it may; who has not subscribed to its topic is not told.
            match ears.filters.qos_of(notice.topic()) {
                None => steps.push(Step::Unsubscribe { id: Arc::clone(&notice.subscription.id) }),
                told => notice.told = told.map(|qos| at_most(qos, context)),
            }
            self.notices.push(notice);
            keep_first(ears, steps);
        }
        let is_last = !matches!(&answer, Answer::Rows(page) if page.end.is_none());
        let mut said = Vec::with_capacity(1);
        if let Some(asker) = self.talk.asker() {
            asker.answered(answering.ticket.clone(), answer, &as_seen(context), &mut said);
        }
        if said.is_empty() && !is_last {
            // More is to come.
            self.answering = Some(answering);
            return;
        }
        self.take(said, answering.asking, (ears, context), steps);
        self.go_on(ears, context, steps);
    }

    /// Does what the conversation wants to be done for a request.
    fn take(
        &mut self,
        said: Vec<Step>,
        asking: Asking,
        (ears, context): (Ears<'_>, &Context<'_>),
        steps: &mut Vec<Step>,
    ) {
        let mut asks = None;
        for step in said {
            match step {
                Step::Say { text, .. } => steps.extend(tell(&asking, text, context)),
                Step::Ask { ticket, what: Request::Subscribe(wishes) } => {
                    let (mut notice, mut own) = (None, Vec::new());
                    for wish in wishes {
                        self.noticed = self.noticed.wrapping_add(1);
                        let count = self.talk.subscription_count().saturating_sub(1);
                        let noted = Notice::of(&wish.subscription, (&asking, count), self.noticed);
                        let qos = ears.filters.qos_of(noted.topic()).unwrap_or_default();
                        own.push(noted.wish(at_most(qos, context), ears.terms));
                        notice = Some(noted);
                    }
                    asks = Some((ticket, notice));
                    let what = Request::Subscribe(own);
                    steps.push(Step::Ask { ticket: Ticket::Number(HOSTED), what });
                }
                Step::Ask { ticket, what } => {
                    asks = Some((ticket, None));
                    steps.push(Step::Ask { ticket: Ticket::Number(HOSTED), what });
                }
                Step::Unsubscribe { id } => {
                    steps.extend(self.forget(&id));
                    keep_first(ears, steps);
                }
                step => steps.push(step),
            }
        }
        if let Some((ticket, notice)) = asks {
            self.answering = Some(Answering { asking, ticket, notice });
        }
    }

    /// A subscription of the conversation's ends.
    fn forget(&mut self, id: &SubId) -> Option<Step> {
        let is_it = |notice: &Notice| {
            let own = notice.subscription.id.split_once(BEHIND_TOPIC);
            own.is_some_and(|(_, own)| *own == **id)
        };
        let place = self.notices.iter().position(is_it)?;
        let gone = self.notices.remove(place);
        gone.told.map(|_| Step::Unsubscribe { id: gone.subscription.id })
    }

    /// The client has subscribed to something, or no longer does: its notices are told accordingly.
    pub(super) fn filters_changed(
        &mut self,
        ears: Ears<'_>,
        context: &Context<'_>,
        steps: &mut Vec<Step>,
    ) {
        for notice in &mut self.notices {
            let told = ears.filters.qos_of(notice.topic()).map(|qos| at_most(qos, context));
            match told {
                _ if told == notice.told => {}
                None => steps.push(Step::Unsubscribe { id: Arc::clone(&notice.subscription.id) }),
                Some(qos) => {
                    let ticket = Ticket::Number(NOTICE | u32::from(notice.number));
                    let what = Request::Subscribe(vec![notice.wish(qos, ears.terms)]);
                    steps.push(Step::Ask { ticket, what });
                }
            }
            notice.told = told;
        }
    }

    /// A notice that may not be told is tried again with the next change of filters.
    fn notice_answered(&mut self, number: u32, answer: &Answer<'_>) {
        if let Answer::Subscribed([Err(_)]) = answer {
            let of_number = |notice: &&mut Notice| u32::from(notice.number) == number;
            if let Some(notice) = self.notices.iter_mut().find(of_number) {
                notice.told = None;
            }
        }
    }
}

/// Has the session kept as it is, if it lasts, before its client is told of that.
fn keep_first(ears: Ears<'_>, steps: &mut Vec<Step>) {
    if ears.filters.is_kept {
        steps.push(Step::Ask { ticket: Ticket::Only, what: Request::Keep });
    }
}

/// What the conversation sees: events as its own protocol does.
fn as_seen<'a>(context: &Context<'a>) -> Context<'a> {
    Context { view: context.views.of_protocol(BY_TOPIC.protocol), ..*context }
}

/// A quality of service, as far as the operator goes.
fn at_most(qos: QoS, context: &Context<'_>) -> QoS {
    let most = context.views.setting(BY_TOPIC.protocol, BY_TOPIC.qos);
    QoS::of(u8::try_from(most).unwrap_or(u8::MAX).min(qos as u8)).unwrap_or(qos)
}

/// Tells the client what its request is answered with, if that has a topic.
fn tell(asking: &Asking, text: Box<[u8]>, context: &Context<'_>) -> Option<Step> {
    let topic = names::topic_of(&format!("{}/response", asking.base), context.view).ok()?;
    let mut properties = Vec::new();
    put_correlation(asking.correlation.as_deref(), &mut properties);
    //= resolvespec#3B
    //# QoS 1 for request, response, notification by default (configurable 0..2); **retain flag always false**.
    let qos = at_most(QoS::ExactlyOnce, context) as u8;
    let properties = properties.into();
    let meta = Meta { qos, properties, ..Meta::default() };
    Some(Step::Tell(Box::new(Draft {
        topic,
        key: Arc::from(""),
        op: Op::Event,
        payload: text.into(),
        fields: Fields::default(),
        ack: Ack::None,
        meta: Some(Arc::new(meta)),
    })))
}
