//! What is said on a connection of the native protocol: commands are heard, and every one is answered.
//!
//! Invariant: a conversation remembers nothing, so an idle connection owns no memory for it; what an answer needs stands in its ticket.

use super::COMPACT_SUBPROTOCOL;
use super::SUBPROTOCOL;
use super::command::Command;
use super::command::Malformed;
use super::decode::command;
use super::encode;
use crate::dialect::Answer;
use crate::dialect::Ask;
use crate::dialect::Context;
use crate::dialect::Kept;
use crate::dialect::PublishResult;
use crate::dialect::Published;
use crate::dialect::Refusal;
use crate::dialect::RefusalCode;
use crate::dialect::Request;
use crate::dialect::Said;
use crate::dialect::Step;
use crate::dialect::SubId;
use crate::dialect::Talk;
use crate::dialect::Ticket;
use crate::dialect::Wish;
use crate::event::TopicName;
use crate::limits::FILTER_REFUSED_STEPS;

/// The close code for a message that is not text.
const CLOSE_NOT_TEXT: u16 = 1003;

/// A WebSocket's conversation. `COMPACT`: its subscriptions are told events in the compact form unless they ask for the other one. A type for each, so
/// that a conversation has nothing to remember.
#[derive(Clone, Copy, Debug)]
pub struct Conversation<const COMPACT: bool>;

impl<const COMPACT: bool> Talk for Conversation<COMPACT> {
    fn open(&mut self, context: &Context<'_>, steps: &mut Vec<Step>) {
        steps.reserve_exact(1);
        let subprotocol = if COMPACT { COMPACT_SUBPROTOCOL } else { SUBPROTOCOL };
        steps.push(said("welcome", encode::welcome(subprotocol, context.epoch)));
    }

    fn hear(&mut self, said_: Said<'_>, context: &Context<'_>, steps: &mut Vec<Step>) {
        let Said::Text(text) = said_ else {
            return steps
                .push(Step::Close { code: CLOSE_NOT_TEXT, reason: "this protocol is text" });
        };
        match command(text, COMPACT) {
            Ok(command) => carry_out(command, context, steps),
            Err(Malformed { id, refusal }) => {
                // A filter was read as far as it goes.
                if refusal.code == RefusalCode::BadFilter {
                    steps.push(Step::Pay { steps: FILTER_REFUSED_STEPS });
                }
                steps.push(refused(id.as_ref(), &refusal));
            }
        }
    }

    fn asker(&mut self) -> Option<&mut dyn Ask> {
        Some(self)
    }

    fn held_bytes(&self) -> usize {
        0
    }

    fn keep(&mut self) -> Option<Kept> {
        None
    }
}

impl<const COMPACT: bool> Ask for Conversation<COMPACT> {
    fn answered(
        &mut self,
        ticket: Ticket,
        answer: Answer<'_>,
        context: &Context<'_>,
        steps: &mut Vec<Step>,
    ) {
        let id = match &ticket {
            Ticket::Id(id) => id.as_ref(),
            Ticket::Only | Ticket::Number(_) => None,
        };
        match answer {
            Answer::Published(Published::Answered { topics, results }) => {
                let placed = topics.iter().zip(results);
                steps
                    .extend(placed.filter_map(|(topic, result)| {
                        published(id, topic, *result, context.epoch)
                    }));
            }
            Answer::Published(Published::Barred { topic: _, refusal }) => {
                steps.push(refused(id, refusal));
            }
            Answer::Identified { expires_at_s } => {
                let text = encode::authenticated(id, expires_at_s);
                steps.push(said("authenticated", text));
            }
            Answer::NotIdentified { reason } => {
                let refusal = Refusal::of(RefusalCode::Forbidden, "token", reason);
                steps.push(refused(id, &refusal));
            }
            Answer::Subscribed(_) => {
                unreachable!("what becomes of subscriptions is told as outcomes")
            }
            Answer::Claimed { .. }
            | Answer::Kept { .. }
            | Answer::Rows(_)
            | Answer::Written(_)
            | Answer::TableFailed(_)
            | Answer::Hooked(_) => {
                unreachable!("this conversation asks nothing of tables")
            }
        }
    }
}

fn said(kind: &'static str, text: Vec<u8>) -> Step {
    Step::Say { kind, text: text.into() }
}

fn refused(id: Option<&SubId>, refusal: &Refusal) -> Step {
    let mut text = Vec::new();
    encode::refused(id, refusal, &mut text);
    said("error", text)
}

fn carry_out(command: Command, context: &Context<'_>, steps: &mut Vec<Step>) {
    steps.push(match command {
        Command::Subscribe { subscription, since, playback } => {
            Step::Subscribe(Wish { subscription, since, playback })
        }
        Command::Update { id, change, seek } => Step::Update { id, change, seek },
        Command::Unsubscribe { id } => Step::Unsubscribe { id },
        Command::Ping { id } => said("pong", encode::pong(id.as_ref(), context.now)),
        Command::Publish { id, draft } => {
            Step::Ask { ticket: Ticket::Id(id), what: Request::Publish(vec![draft]) }
        }
        Command::Authenticate { id, token } => {
            Step::Ask { ticket: Ticket::Id(id), what: Request::Identify { token } }
        }
    });
}

/// What is said of an event that was published; nothing if it has its place and nobody wants to know.
fn published(
    id: Option<&SubId>,
    topic: &TopicName,
    result: PublishResult,
    epoch: &str,
) -> Option<Step> {
    match (result, id) {
        (Ok(placed), Some(id)) => {
            Some(said("published", encode::published(id, topic, placed, epoch)))
        }
        (Ok(_), None) => None,
        (Err(code), id) => Some(refused(id, &Refusal::of_publish(code, topic))),
    }
}
