//! Conversations: a connection's is asked, and its steps are taken.
//!
//! Invariants: steps are taken in their order; a connection that is being closed takes none. Publishes are not taken here: they travel with
//! those that stand beside them (`hearing.rs`).

use super::super::Shard;
use super::super::conns::Conn;
use super::super::conns::Conns;
use super::super::input::ConnId;
use super::super::settings::Settings;
use super::super::solo::AfterSent;
use crate::batch::Item;
use crate::clock::Now;
use crate::dialect::Answer;
use crate::dialect::Context;
use crate::dialect::Outcome;
use crate::dialect::Request;
use crate::dialect::Step;
use crate::dialect::Talk;
use crate::dialect::Ticket;
use crate::dialect::Wish;
use crate::wire::frame;

/// Whether the next step is a publish.
pub(super) fn begins_with_publish(steps: &[Step]) -> bool {
    matches!(steps.first(), Some(Step::Ask { what: Request::Publish(_), .. }))
}

/// Whether the next step is a question whose answer is awaited: a publish, or something asked of tables.
pub(super) fn begins_with_question(steps: &[Step]) -> bool {
    begins_with_publish(steps) || begins_with_table(steps)
}

/// Whether the next step is something asked of tables.
pub(super) fn begins_with_table(steps: &[Step]) -> bool {
    matches!(steps.first(), Some(Step::Ask { what: Request::Query(_) | Request::Write(_), .. }))
}

impl Conn {
    /// Has its conversation speak, unless its last words have been said.
    pub(super) fn converse(
        &mut self,
        settings: &Settings,
        epoch: &str,
        now: Now,
        ask: impl FnOnce(&mut dyn Talk, &Context<'_>),
    ) {
        if self.is_closing() {
            return;
        }
        if let (Some(voice), Some(talk)) = (self.voice, self.talk.as_deref_mut()) {
            let (view, is_known) = (settings.views.of(voice.dialect), self.who.is_some());
            let tables = &settings.tables.schema;
            ask(talk, &Context { now, view, epoch, is_known, tables });
        }
    }
}

impl Shard {
    /// Opens a connection's conversation; `first`: what its URL asks for. What is returned begins with a question.
    pub(super) fn talk_open(&mut self, id: ConnId, first: Vec<Step>, now: Now) -> Vec<Step> {
        let mut steps = self.converse(id, now, |talk, context, steps| talk.open(context, steps));
        steps.extend(first);
        self.take_steps(id, steps, now)
    }

    /// What a connection's conversation wants to be done; nothing if it is being closed.
    pub(super) fn converse(
        &mut self,
        id: ConnId,
        now: Now,
        ask: impl FnOnce(&mut dyn Talk, &Context<'_>, &mut Vec<Step>),
    ) -> Vec<Step> {
        let mut steps = Vec::new();
        if let Some(conn) = self.conns.find_mut(id) {
            conn.converse(&self.settings, self.shards.epoch(), now, |talk, context| {
                ask(talk, context, &mut steps);
            });
        }
        steps
    }

    /// Takes steps in their order, up to a question whose answer is awaited; what is left of them.
    pub(super) fn take_steps(&mut self, id: ConnId, mut steps: Vec<Step>, now: Now) -> Vec<Step> {
        while !steps.is_empty() && !begins_with_question(&steps) {
            if self.conns.is_closing(id) {
                steps.clear();
                break;
            }
            match steps.remove(0) {
                Step::Say { kind, text } => self.push_item(id, Item::Said { kind, text }),
                Step::Want(wishes) => self.want(id, &wishes, now),
                Step::Subscribe(wish) => {
                    let Wish { subscription, since, playback } = &wish;
                    if self.charge_making(id, subscription.filter.as_ref(), now)
                        && let Err(refusal) =
                            self.subscribe(id, subscription, Some((since, *playback)), now)
                    {
                        let id_of = Some(&subscription.id);
                        self.say(id, &Outcome::Refused { id: id_of, refusal: &refusal });
                    }
                }
                Step::Update { id: sub, change, seek } => {
                    let filter = change.filter.as_ref().and_then(Option::as_ref);
                    if self.charge_making(id, filter, now) {
                        self.update(id, &sub, (*change, &seek), now);
                    }
                }
                Step::Unsubscribe { id: sub } => self.unsubscribe(id, &sub),
                // Who cannot pay is being closed then.
                Step::Pay { steps } => drop(self.charge(id, steps, now)),
                Step::Close { code, reason } => {
                    let mut bytes = Vec::new();
                    frame::put_close(&mut bytes, code, reason);
                    self.close_with(id, &bytes, AfterSent::Awaited, now);
                }
                Step::Ask { ticket, what: Request::Identify { token } } => {
                    let answered = self.answer_identify(id, ticket, &token, now);
                    steps.splice(0..0, answered).for_each(drop);
                }
                Step::Ask { ticket, what: Request::Subscribe(subscription) } => {
                    if self.charge_making(id, subscription.filter.as_ref(), now) {
                        let subscribed = self.subscribe(id, &subscription, None, now);
                        if let Err(refusal) = &subscribed {
                            self.stats.tally.refuse(refusal.code, 1);
                        }
                        let answer = Answer::Subscribed(subscribed.as_ref().copied());
                        let answered = self.answer_in_talk(id, ticket, answer, now);
                        steps.splice(0..0, answered).for_each(drop);
                    }
                }
                Step::Ask {
                    what: Request::Publish(_) | Request::Query(_) | Request::Write(_),
                    ..
                } => unreachable!("what is awaited is told apart before this"),
            }
        }
        steps
    }

    fn answer_identify(&mut self, id: ConnId, ticket: Ticket, token: &str, now: Now) -> Vec<Step> {
        let identified = self.identify(id, token, now);
        let who = self.conns.find(id).and_then(|conn| conn.who.as_deref());
        let expires_at_s = who.and_then(|who| who.principal.expires_at_s);
        let reason = identified.err().map(|error| error.to_string());
        let answer = match &reason {
            None => Answer::Identified { expires_at_s },
            Some(reason) => Answer::NotIdentified { reason },
        };
        self.answer_in_talk(id, ticket, answer, now)
    }

    /// What a connection's conversation wants to be done, now that something it asked is answered.
    pub(super) fn answer_in_talk(
        &mut self,
        id: ConnId,
        ticket: Ticket,
        answer: Answer<'_>,
        now: Now,
    ) -> Vec<Step> {
        self.converse(id, now, |talk, context, steps| {
            let asker = talk.asker().expect("who asks hears the answer");
            asker.answered(ticket, answer, context, steps);
        })
    }
}

impl Conns {
    /// Whether a connection's last words have been said.
    pub(in super::super) fn is_closing(&self, id: ConnId) -> bool {
        self.find(id).is_some_and(Conn::is_closing)
    }
}
