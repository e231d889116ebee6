//! `POST /pv/events`: one event, or many, published and acknowledged.
//!
//! Invariant: of one post all events are asked for or none is; what was refused is said, and of those beyond a rate none is taken.

use std::sync::Arc;

use bytes::Bytes;

use super::event::posted;
use crate::dialect::Answer;
use crate::dialect::Context;
use crate::dialect::DISK_FULL;
use crate::dialect::Outcome;
use crate::dialect::PublishResult;
use crate::dialect::RATE_LIMITED;
use crate::dialect::RefusalCode;
use crate::dialect::Request;
use crate::dialect::Response;
use crate::dialect::STORE_SILENT;
use crate::dialect::Said;
use crate::dialect::Step;
use crate::dialect::Talk;
use crate::dialect::Ticket;
use crate::dialect::View;
use crate::dialect::Voiced;
use crate::dialect::json;
use crate::event::Ack;
use crate::event::Draft;
use crate::event::Fields;
use crate::event::Op;

/// One post.
#[derive(Debug)]
pub(super) struct Posting {
    pub(super) event_bytes_max: usize,
}

impl Posting {
    fn drafts(&self, body: &[u8], view: &View) -> Result<Vec<Draft>, (u16, String)> {
        let text = std::str::from_utf8(body)
            .map_err(|_| (400, "the body is not JSON: it is not UTF-8".to_owned()))?;
        let posted = posted(text).map_err(|e| (400, e.to_string()))?;
        let mut drafts = Vec::with_capacity(posted.len());
        for event in posted {
            let topic = view.topic_of(&event.event_type).ok_or_else(|| {
                (400, format!("no topic can have the event type {:?}", event.event_type))
            })?;
            Fields::check(event.text.as_bytes()).map_err(|e| (400, e.to_string()))?;
            let most = self.event_bytes_max;
            if event.text.len() > most {
                let reason = format!("an event has more than {most} bytes (message_bytes_max)");
                return Err((413, reason));
            }
            drafts.push(Draft {
                topic,
                op: if event.key.is_empty() { Op::Event } else { Op::Upsert },
                key: Arc::from(event.key),
                payload: Bytes::from(event.text),
                fields: Fields::default(),
                ack: Ack::default(),
            });
        }
        Ok(drafts)
    }
}

impl Talk for Posting {
    fn open(&mut self, _context: &Context<'_>, steps: &mut Vec<Step>) {
        debug_assert!(steps.is_empty(), "a call begins with its body");
    }

    fn hear(&mut self, said: Said<'_>, context: &Context<'_>, steps: &mut Vec<Step>) {
        let body = match said {
            Said::Packet(body) | Said::Binary(body) => body,
            Said::Text(text) => text.as_bytes(),
        };
        steps.push(match self.drafts(body, context.view) {
            Ok(drafts) => Step::Ask { ticket: Ticket::Only, what: Request::Publish(drafts) },
            Err((status, reason)) => reply(status, error(&reason)),
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
        context: &Context<'_>,
        steps: &mut Vec<Step>,
    ) {
        steps.push(match answer {
            Answer::Published { results, .. } => published(results),
            Answer::NotPublished { topic, .. } => {
                let name = context.view.name_of(topic);
                reply(403, error(&format!("publishing {name} is not allowed")))
            }
            Answer::Identified { .. } | Answer::NotIdentified { .. } | Answer::Topics(_) => {
                unreachable!("a post publishes, and asks nothing else")
            }
        });
    }

    /// The answer has been given.
    fn ended(&mut self, _code: u16, _reason: &str, _out: &mut Vec<u8>) -> Voiced {
        Voiced::Silent
    }
}

/// What became of a post's events.
fn published(results: &[PublishResult]) -> Step {
    let accepted = results.iter().filter(|result| result.is_ok()).count();
    let Some(code) = results.iter().find_map(|result| result.as_ref().err()) else {
        return reply(200, format!(r#"{{"accepted":{accepted}}}"#).into_bytes());
    };
    let status = match code {
        RefusalCode::ShuttingDown | RefusalCode::Unavailable => 503,
        RefusalCode::DiskFull => 507,
        RefusalCode::BadTopic => 400,
        _ => 429,
    };
    let reason = match code {
        RefusalCode::RateLimited => RATE_LIMITED,
        RefusalCode::DiskFull => DISK_FULL,
        RefusalCode::Unavailable => STORE_SILENT,
        code => code.name(),
    };
    let mut body = error(reason);
    body.pop();
    body.extend_from_slice(format!(r#","accepted":{accepted}}}"#).as_bytes());
    reply(status, body)
}

fn reply(status: u16, body: Vec<u8>) -> Step {
    Step::Reply(Box::new(Response::json(status, body.into())))
}

/// `{"type":"error","error":…}`, as the dialect says it elsewhere.
fn error(reason: &str) -> Vec<u8> {
    let mut text = br#"{"type":"error","error":"#.to_vec();
    json::string(reason, &mut text);
    text.push(b'}');
    text
}
