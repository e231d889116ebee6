//! Conversations: the conversation of a connection is called, and the steps that it returns are taken.
//!
//! Invariants: steps are taken in their order; a connection that is being closed takes none. Publishes are not taken here: they travel with
//! those that stand beside them (`hearing.rs`).

use super::super::Shard;
use super::super::conns::Conn;
use super::super::conns::Conns;
use super::super::input::ConnId;
use super::super::solo::Shown;
use super::super::tally::Tally;
use crate::batch::Item;
use crate::clock::Now;
use crate::dialect::Answer;
use crate::dialect::Context;
use crate::dialect::DialectId;
use crate::dialect::Request;
use crate::dialect::Step;
use crate::dialect::Talk;
use crate::dialect::Ticket;
use crate::event::Draft;

/// Whether the next step is a publish.
pub(super) fn begins_with_publish(steps: &[Step]) -> bool {
    matches!(steps.first(), Some(Step::Ask { what: Request::Publish(_), .. }))
}

/// Whether the next step has the connection subscribe.
pub(super) fn begins_with_subscribe(steps: &[Step]) -> bool {
    matches!(
        steps.first(),
        Some(
            Step::Subscribe(_)
                | Step::Want(_)
                | Step::Update { .. }
                | Step::Ask { what: Request::Subscribe(_) | Request::Resume(_), .. }
        )
    )
}

/// Whether the next step is a question whose answer is awaited: a publish, or something asked of another party.
pub(super) fn begins_with_question(steps: &[Step]) -> bool {
    begins_with_publish(steps) || asks_outside(steps) || begins_with_claim(steps)
}

/// Whether the next step is about the name of a client: it is claimed, or what is kept under it.
pub(super) fn begins_with_claim(steps: &[Step]) -> bool {
    matches!(steps.first(), Some(Step::Ask { what: Request::Claim { .. } | Request::Keep, .. }))
}

/// Whether the next step is something asked of another party: of tables, or of whoever answers hooks.
pub(super) fn asks_outside(steps: &[Step]) -> bool {
    matches!(
        steps.first(),
        Some(Step::Ask { what: Request::Query(_) | Request::Write(_) | Request::Hook(_), .. })
    )
}

/// Has a client spoken to in another dialect from here on.
fn speak(conns: &mut Conns, tally: &mut Tally, id: ConnId, dialect: DialectId) {
    if let Some(voice) = conns.find_mut(id).and_then(|of| of.voice.as_mut()) {
        tally.of(voice.dialect).connections -= 1;
        tally.of(dialect).connections += 1;
        voice.dialect = dialect;
    }
}

impl Conn {
    /// Keeps what its conversation says of its client.
    fn agree(&mut self, step: Step) {
        let origin = self.caller.origin_mut();
        match step {
            Step::Silence { after_s } => origin.silent_s_max = Some(after_s),
            Step::Window { most, bytes_max } => {
                (origin.window_max, origin.packet_bytes_max) = (most, bytes_max);
            }
            Step::Will(will) => origin.will = will,
            Step::AtEnd(call) => origin.at_end = Some(call),
            _ => unreachable!("it is about nothing that is kept"),
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

    /// The steps that a connection's conversation wants to be taken; none if the connection is being closed.
    pub(super) fn converse(
        &mut self,
        id: ConnId,
        now: Now,
        ask: impl FnOnce(&mut dyn Talk, &Context<'_>, &mut Vec<Step>),
    ) -> Vec<Step> {
        let mut steps = Vec::new();
        if let Some(conn) = self.conns.find_mut(id) {
            conn.converse(&self.settings, (&self.shards, id), now, |talk, context| {
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
                Step::Tell(draft) => tell_alone(self, id, *draft, now),
                Step::Want(wishes) => self.want(id, &wishes, now),
                Step::Subscribe(wish) => self.subscribe(id, &wish, now),
                Step::Update { id: sub, change, seek } => {
                    let filter = change.filter.as_ref().and_then(Option::as_ref);
                    if self.charge_making(id, filter, now) {
                        self.update(id, &sub, (*change, &seek), now);
                    }
                }
                Step::Unsubscribe { id: sub } => self.unsubscribe(id, &sub),
                Step::Uncounted => {}
                // A connection over its budget is being closed then.
                Step::Pay { steps } => drop(self.charge(id, steps, now)),
                Step::Speak(dialect) => {
                    let (conns, tally) = (&mut self.conns, &mut self.stats.tally);
                    speak(conns, tally, id, dialect);
                }
                step @ (Step::Silence { .. }
                | Step::Window { .. }
                | Step::Will(_)
                | Step::AtEnd(_)) => {
                    if let Some(conn) = self.conns.find_mut(id) {
                        conn.agree(step);
                    }
                }
                Step::Acknowledged { number, is_done } => self.acknowledged(id, number, is_done),
                Step::Close { code, reason } => self.close_as_said(id, code, reason, now),
                Step::Abort => self.remove(id),
                Step::Ask { ticket, what } => {
                    let answered = self.answer_at_once(id, ticket, what, now);
                    steps.splice(0..0, answered).for_each(drop);
                }
            }
        }
        steps
    }

    /// Answers a question that needs nobody else; returns the steps that the conversation wants to be taken then.
    fn answer_at_once(&mut self, id: ConnId, ticket: Ticket, what: Request, now: Now) -> Vec<Step> {
        match what {
            Request::Identify { token } => {
                self.answer_identify(id, ticket, Shown::Token(&token), now)
            }
            Request::Enter { token } => {
                self.answer_identify(id, ticket, Shown::Perhaps(token.as_deref()), now)
            }
            Request::Admit(identity) => {
                self.answer_identify(id, ticket, Shown::Named(&identity), now)
            }
            Request::Subscribe(wishes) => {
                let wishes = wishes.iter();
                let results: Vec<_> =
                    wishes.map(|wish| self.subscribe_or_replace(id, wish, now)).collect();
                let refused = results.iter().filter_map(|result| result.as_ref().err());
                refused.for_each(|refusal| self.stats.tally.refuse(refusal.code, 1));
                self.answer_in_talk(id, ticket, Answer::Subscribed(&results), now)
            }
            Request::Resume(wishes) => {
                let results = self.go_on_named(id, &wishes, now);
                self.answer_in_talk(id, ticket, Answer::Subscribed(&results), now)
            }
            Request::Publish(_)
            | Request::Query(_)
            | Request::Write(_)
            | Request::Hook(_)
            | Request::Keep
            | Request::Claim { .. } => unreachable!("what is awaited is told apart before this"),
        }
    }

    /// The steps that a connection's conversation wants to be taken, now that one of its questions is answered.
    pub(super) fn answer_in_talk(
        &mut self,
        id: ConnId,
        ticket: Ticket,
        answer: Answer<'_>,
        now: Now,
    ) -> Vec<Step> {
        if let Answer::TableFailed(error) = &answer {
            self.stats.tally.fail_table(error.code);
        }
        self.converse(id, now, |talk, context, steps| {
            let asker = talk.asker().expect("who asks hears the answer");
            asker.answered(ticket, answer, context, steps);
        })
    }
}

/// Tells a connection an event that is for it alone, if it has subscribed to its topic.
fn tell_alone(shard: &mut Shard, id: ConnId, draft: Draft, now: Now) {
    let class = shard.conns.find(id).and_then(|conn| conn.class);
    let class = class.and_then(|class| shard.classes.find(class));
    if let Some(item) = class.and_then(|class| class.own_item(draft, now)) {
        shard.push_item(id, item);
    }
}

impl Conns {
    /// Whether a connection's last message has been sent.
    pub(in super::super) fn is_closing(&self, id: ConnId) -> bool {
        self.find(id).is_some_and(Conn::is_closing)
    }
}
