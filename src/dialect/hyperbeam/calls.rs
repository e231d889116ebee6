//! HyperBEAM's calls: casting, and telling which topics there are.
//!
//! Invariants: a cast is answered `OK` whatever becomes of it, unless its publisher has published too many lately; the topics of all shards
//! are told, each once, and of those that say what others filter by only to whoever may hear everything.

use std::sync::Arc;

use bytes::Bytes;

use super::Options;
use super::cast::Cast;
use super::cast::cast;
use super::is_filtered;
use super::reply;
use crate::dialect::Answer;
use crate::dialect::Context;
use crate::dialect::Listing;
use crate::dialect::Outcome;
use crate::dialect::RATE_LIMITED;
use crate::dialect::RefusalCode;
use crate::dialect::Request;
use crate::dialect::Response;
use crate::dialect::Said;
use crate::dialect::Setup;
use crate::dialect::Step;
use crate::dialect::Subscription;
use crate::dialect::Talk;
use crate::dialect::Ticket;
use crate::dialect::View;
use crate::dialect::Voiced;
use crate::event::Ack;
use crate::event::Draft;
use crate::event::Fields;
use crate::event::Op;
use crate::event::TopicPattern;
use crate::limits::HYPERBEAM_INFO_TOPICS_MAX;

/// Casts one message.
#[derive(Debug)]
pub(super) struct Casting {
    options: Options,
}

impl Casting {
    pub(super) fn new(options: Options) -> Self {
        Self { options }
    }

    fn draft(&self, body: &[u8], view: &View) -> Option<Draft> {
        let text = std::str::from_utf8(body).ok()?;
        let Cast { topic, key } = cast(text, self.options)?;
        Fields::check(body).ok()?;
        Some(Draft {
            topic: view.topic_of(&topic)?,
            key: Arc::from(key),
            op: Op::Event,
            payload: Bytes::copy_from_slice(body),
            fields: Fields::default(),
            ack: Ack::default(),
        })
    }
}

impl Talk for Casting {
    fn open(&mut self, _context: &Context<'_>, steps: &mut Vec<Step>) {
        debug_assert!(steps.is_empty(), "a call begins with its body");
    }

    fn hear(&mut self, said: Said<'_>, context: &Context<'_>, steps: &mut Vec<Step>) {
        let draft = match said {
            Said::Packet(body) | Said::Binary(body) => self.draft(body, context.view),
            Said::Text(text) => self.draft(text.as_bytes(), context.view),
        };
        steps.push(match draft {
            Some(draft) => Step::Ask { ticket: Ticket::Only, what: Request::Publish(vec![draft]) },
            None => accepted(),
        });
    }

    /// There is nobody to tell but by the answer.
    fn told(&mut self, _outcome: &Outcome<'_>, _out: &mut Vec<u8>) -> Voiced {
        Voiced::Silent
    }

    fn answered(
        &mut self,
        _ticket: Ticket,
        answer: Answer<'_>,
        _context: &Context<'_>,
        steps: &mut Vec<Step>,
    ) {
        steps.push(match answer {
            Answer::Published { results, .. }
                if results.contains(&Err(RefusalCode::RateLimited)) =>
            {
                Step::Reply(Box::new(Response::error(
                    429,
                    RefusalCode::RateLimited.name(),
                    RATE_LIMITED,
                )))
            }
            _ => accepted(),
        });
    }

    /// The answer has been given.
    fn ended(&mut self, _code: u16, _reason: &str, _out: &mut Vec<u8>) -> Voiced {
        Voiced::Silent
    }
}

fn accepted() -> Step {
    Step::Reply(Box::new(Response {
        status: 200,
        content_type: "text/plain; charset=utf-8",
        headers: Vec::new(),
        body: Bytes::from_static(b"OK"),
    }))
}

/// Tells which topics there are.
#[derive(Debug)]
pub(super) struct Info {
    /// What the client calls this server.
    host: String,
    with_seen: bool,
}

impl Info {
    pub(super) fn new(host: &str, with_seen: bool) -> Self {
        Self { host: host.to_owned(), with_seen }
    }
}

impl Talk for Info {
    fn open(&mut self, _context: &Context<'_>, steps: &mut Vec<Step>) {
        debug_assert!(steps.is_empty(), "a call begins with its body");
    }

    //= model#9
    //# `info.topics` = topics with subscribers by default, plus seen topics with a switch
    fn hear(&mut self, _said: Said<'_>, _context: &Context<'_>, steps: &mut Vec<Step>) {
        let listing = Listing {
            dialect: super::HYPERBEAM,
            names_of,
            with_seen: self.with_seen,
            is_filter: |name, setup: &Setup<'_>| is_filtered(name, Options::of(setup)),
            names_max: HYPERBEAM_INFO_TOPICS_MAX,
        };
        steps.push(Step::Ask { ticket: Ticket::Only, what: Request::Topics(listing) });
    }

    /// There is nobody to tell but by the answer.
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
        let Answer::Topics(topics) = answer else {
            unreachable!("topics are asked for, and nothing else: {ticket:?}")
        };
        let body = reply::info(&self.host, topics).into();
        steps.push(Step::Reply(Box::new(Response::json(200, body))));
    }

    /// The answer has been given.
    fn ended(&mut self, _code: u16, _reason: &str, _out: &mut Vec<u8>) -> Voiced {
        Voiced::Silent
    }
}

/// The names that a subscription is known by: its topics', or, if it is for a derived topic, that.
fn names_of(subscription: &Subscription, view: &View) -> Vec<String> {
    if !subscription.id.bytes().all(|byte| byte.is_ascii_digit()) {
        return vec![subscription.id.to_string()];
    }
    let exact = subscription.topics.iter().filter_map(|topic| match topic {
        TopicPattern::Exact(name) => Some(view.name_of(name).into_owned()),
        TopicPattern::Wild(_) => None,
    });
    exact.collect()
}
