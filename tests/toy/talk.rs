//! What is said in the toy's dialect.

use std::sync::Arc;

use bytes::Bytes;
use fanwire::batch::Slow;
use fanwire::dialect::Answer;
use fanwire::dialect::Ask;
use fanwire::dialect::Context;
use fanwire::dialect::Next;
use fanwire::dialect::Outcome;
use fanwire::dialect::Published;
use fanwire::dialect::Request;
use fanwire::dialect::Respond;
use fanwire::dialect::Response;
use fanwire::dialect::Said;
use fanwire::dialect::Step;
use fanwire::dialect::Subscription;
use fanwire::dialect::Talk;
use fanwire::dialect::Then;
use fanwire::dialect::Ticket;
use fanwire::dialect::View;
use fanwire::dialect::Wish;
use fanwire::event::Ack;
use fanwire::event::Draft;
use fanwire::event::Fields;
use fanwire::event::Op;
use fanwire::event::TopicPattern;
use fanwire::position::Since;

/// A WebSocket's conversation.
#[derive(Debug)]
pub(super) struct Toy {
    pub(super) is_polite: bool,
}

/// A call's: what is said to this topic.
#[derive(Debug)]
pub(super) struct Saying {
    pub(super) topic: String,
}

/// A subscription to one topic by its name.
pub(super) fn wish(name: &str, view: &View) -> Option<Wish> {
    let topics = vec![TopicPattern::Exact(view.topic_of(name)?)];
    let slow = Slow::DropSilently;
    let subscription = Subscription { id: Arc::from(name), topics, slow, ..Default::default() };
    Some(Wish::new(Arc::new(subscription), Since::Now))
}

fn draft(name: &str, payload: &str, view: &View) -> Option<Draft> {
    Fields::check(payload.as_bytes()).ok()?;
    Some(Draft {
        topic: view.topic_of(name)?,
        key: Arc::from(""),
        op: Op::Event,
        payload: Bytes::copy_from_slice(payload.as_bytes()),
        fields: Fields::default(),
        ack: Ack::default(),
        meta: None,
    })
}

fn publish(name: &str, payload: &str, view: &View) -> Option<Step> {
    let ticket = Ticket::Id(Some(Arc::from(name)));
    let draft = draft(name, payload, view)?;
    Some(Step::Ask { ticket, what: Request::Publish(vec![draft]) })
}

/// Publishes no event at all; which is answered like any other question.
fn nothing(name: &str) -> Step {
    Step::Ask { ticket: Ticket::Id(Some(Arc::from(name))), what: Request::Publish(Vec::new()) }
}

fn placed(name: &str, published: &Published<'_>) -> String {
    match published {
        Published::Answered { results: [Ok(placed)], .. } => {
            format!("{name} has {}", placed.offset)
        }
        Published::Answered { results: [], .. } => format!("{name} has nothing"),
        published => format!("{name}: {published:?}"),
    }
}

impl Talk for Toy {
    fn open(&mut self, context: &Context<'_>, steps: &mut Vec<Step>) {
        if self.is_polite {
            steps.push(Step::say(format!("hello from {}", context.epoch).into_bytes()));
        }
    }

    fn hear(&mut self, said: Said<'_>, context: &Context<'_>, steps: &mut Vec<Step>) {
        let text = match said {
            Said::Text(text) => text,
            Said::Binary(bytes) | Said::Packet(bytes) => {
                return steps.push(Step::say(format!("{} bytes", bytes.len()).into_bytes()));
            }
            Said::NoPacket(what) => unreachable!("the toy has no packets: {what:?}"),
        };
        let step = match text.splitn(3, ' ').collect::<Vec<_>>()[..] {
            ["want", name] => wish(name, context.view).map(Step::Subscribe),
            ["say", name, payload] => publish(name, payload, context.view),
            ["say", name] => Some(nothing(name)),
            _ => None,
        };
        steps.push(step.unwrap_or_else(|| Step::say(&b"what?"[..])));
    }

    fn asker(&mut self) -> Option<&mut dyn Ask> {
        Some(self)
    }

    fn held_bytes(&self) -> usize {
        0
    }

    fn keep(&mut self) -> Option<fanwire::dialect::Kept> {
        None
    }
}

impl Ask for Toy {
    fn answered(
        &mut self,
        ticket: Ticket,
        answer: Answer<'_>,
        _context: &Context<'_>,
        steps: &mut Vec<Step>,
    ) {
        let said = match (ticket, answer) {
            (Ticket::Id(Some(name)), Answer::Published(published)) => placed(&name, &published),
            (ticket, answer) => format!("{ticket:?}: {answer:?}"),
        };
        steps.push(Step::say(said.into_bytes()));
    }
}

/// What is said of an outcome.
pub(super) fn put_outcome(outcome: &Outcome<'_>, out: &mut Vec<u8>) -> Option<&'static str> {
    let Outcome::Subscribed { id, .. } = outcome else { return None };
    out.extend_from_slice(format!("wanted {id}").as_bytes());
    Some("wanted")
}

impl Respond for Saying {
    fn respond(self: Box<Self>, body: &[u8], context: &Context<'_>) -> Next {
        let text = std::str::from_utf8(body).unwrap_or_default();
        let Some(draft) = draft(&self.topic, text, context.view) else {
            return Next::Reply(Response::error(400, "toy", "what?"));
        };
        let answer = move |published: Published<'_>, _: &Context<'_>| {
            Response::json(200, format!("{:?}", placed(&self.topic, &published)))
        };
        Next::Publish { drafts: vec![draft], then: Then(Box::new(answer)) }
    }
}
