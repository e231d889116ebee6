//! What is said in the toy's dialect.

use std::sync::Arc;

use bytes::Bytes;
use fanwire::batch::Slow;
use fanwire::dialect::Answer;
use fanwire::dialect::Context;
use fanwire::dialect::Outcome;
use fanwire::dialect::Request;
use fanwire::dialect::Response;
use fanwire::dialect::Said;
use fanwire::dialect::Step;
use fanwire::dialect::Subscription;
use fanwire::dialect::Talk;
use fanwire::dialect::Ticket;
use fanwire::dialect::View;
use fanwire::dialect::Voiced;
use fanwire::dialect::Wish;
use fanwire::event::Ack;
use fanwire::event::Draft;
use fanwire::event::Fields;
use fanwire::event::Op;
use fanwire::event::TopicPattern;
use fanwire::position::Since;

/// A WebSocket's conversation, and an event stream's.
#[derive(Debug)]
pub(super) struct Toy;

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
    Some(Wish { subscription: Arc::new(subscription), since: Since::Now })
}

fn publish(name: &str, payload: &str, view: &View) -> Option<Step> {
    Fields::check(payload.as_bytes()).ok()?;
    let draft = Draft {
        topic: view.topic_of(name)?,
        key: Arc::from(""),
        op: Op::Event,
        payload: Bytes::copy_from_slice(payload.as_bytes()),
        fields: Fields::default(),
        ack: Ack::default(),
    };
    let ticket = Ticket::Id(Some(Arc::from(name)));
    Some(Step::Ask { ticket, what: Request::Publish(vec![draft]) })
}

fn placed(ticket: &Ticket, answer: &Answer<'_>) -> String {
    match (ticket, answer) {
        (Ticket::Id(Some(name)), Answer::Published { results, .. }) => match results {
            [Ok(placed)] => format!("{name} has {}", placed.offset),
            results => format!("{name}: {results:?}"),
        },
        (ticket, answer) => format!("{ticket:?}: {answer:?}"),
    }
}

impl Talk for Toy {
    fn open(&mut self, context: &Context<'_>, steps: &mut Vec<Step>) {
        steps.push(Step::say(format!("hello from {}", context.epoch).into_bytes()));
    }

    fn hear(&mut self, said: Said<'_>, context: &Context<'_>, steps: &mut Vec<Step>) {
        let text = match said {
            Said::Text(text) => text,
            Said::Binary(bytes) | Said::Packet(bytes) => {
                return steps.push(Step::say(format!("{} bytes", bytes.len()).into_bytes()));
            }
        };
        let step = match text.splitn(3, ' ').collect::<Vec<_>>()[..] {
            ["want", name] => wish(name, context.view).map(Step::Subscribe),
            ["say", name, payload] => publish(name, payload, context.view),
            _ => None,
        };
        steps.push(step.unwrap_or_else(|| Step::say(&b"what?"[..])));
    }

    fn told(&mut self, outcome: &Outcome<'_>, out: &mut Vec<u8>) -> Voiced {
        match outcome {
            Outcome::Subscribed { id } => {
                out.extend_from_slice(format!("wanted {id}").as_bytes());
                Voiced::As("wanted")
            }
            _ => Voiced::Silent,
        }
    }

    fn answered(
        &mut self,
        ticket: Ticket,
        answer: Answer<'_>,
        _context: &Context<'_>,
        steps: &mut Vec<Step>,
    ) {
        steps.push(Step::say(placed(&ticket, &answer).into_bytes()));
    }

    fn ended(&mut self, code: u16, _reason: &str, out: &mut Vec<u8>) -> Voiced {
        out.extend_from_slice(format!("data: bye {code}\n\n").as_bytes());
        Voiced::As("end")
    }
}

impl Talk for Saying {
    fn open(&mut self, _context: &Context<'_>, steps: &mut Vec<Step>) {
        assert!(steps.is_empty(), "a call begins with its body");
    }

    fn hear(&mut self, said: Said<'_>, context: &Context<'_>, steps: &mut Vec<Step>) {
        let step = publish(&self.topic, said.text(), context.view);
        let refused = || Step::Reply(Box::new(Response::error(400, "toy", "what?")));
        steps.push(step.unwrap_or_else(refused));
    }

    fn told(&mut self, _outcome: &Outcome<'_>, _out: &mut Vec<u8>) -> Voiced {
        Voiced::Silent
    }

    fn answered(
        &mut self,
        ticket: Ticket,
        answer: Answer<'_>,
        _context: &Context<'_>,
        steps: &mut Vec<Step>,
    ) {
        let body = format!("{:?}", placed(&ticket, &answer)).into_bytes().into();
        steps.push(Step::Reply(Box::new(Response::json(200, body))));
    }

    fn ended(&mut self, _code: u16, _reason: &str, _out: &mut Vec<u8>) -> Voiced {
        Voiced::Silent
    }
}
