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
use crate::dialect::Context;
use crate::dialect::Listing;
use crate::dialect::Next;
use crate::dialect::Published;
use crate::dialect::RATE_LIMITED;
use crate::dialect::RefusalCode;
use crate::dialect::Respond;
use crate::dialect::Response;
use crate::dialect::Setup;
use crate::dialect::Subscription;
use crate::dialect::Then;
use crate::dialect::View;
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
            meta: None,
        })
    }
}

impl Respond for Casting {
    fn respond(self: Box<Self>, body: &[u8], context: &Context<'_>) -> Next {
        match self.draft(body, context.view) {
            Some(draft) => Next::Publish {
                drafts: vec![draft],
                then: Then(Box::new(|published, _| answer(published))),
            },
            None => Next::Reply(accepted()),
        }
    }
}

fn answer(published: Published<'_>) -> Response {
    match published {
        Published::Answered { results, .. } if results.contains(&Err(RefusalCode::RateLimited)) => {
            Response::error(429, RefusalCode::RateLimited.name(), RATE_LIMITED)
        }
        Published::Answered { .. } | Published::Barred { .. } => accepted(),
    }
}

fn accepted() -> Response {
    Response {
        status: 200,
        content_type: "text/plain; charset=utf-8",
        headers: Vec::new(),
        body: Bytes::from_static(b"OK"),
    }
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

impl Respond for Info {
    //= model#9
    //# `info.topics` = topics with subscribers by default, plus seen topics with a switch
    fn respond(self: Box<Self>, _body: &[u8], _context: &Context<'_>) -> Next {
        let listing = Listing {
            dialect: super::HYPERBEAM,
            names_of,
            with_seen: self.with_seen,
            is_filter: |name, setup: &Setup<'_>| is_filtered(name, Options::of(setup)),
            names_max: HYPERBEAM_INFO_TOPICS_MAX,
        };
        let answer = move |topics: &[String]| Response::json(200, reply::info(&self.host, topics));
        Next::List { listing, then: Then(Box::new(answer)) }
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
