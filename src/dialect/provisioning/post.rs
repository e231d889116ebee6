//! `POST /pv/events`: one event, or many, published and acknowledged.
//!
//! Invariant: of one post all events are asked for or none is; what was refused is said, and of those beyond a rate none is taken.

use std::sync::Arc;

use bytes::Bytes;

use super::event::posted;
use super::talk::error;
use crate::dialect::Context;
use crate::dialect::DISK_FULL;
use crate::dialect::Next;
use crate::dialect::Published;
use crate::dialect::RATE_LIMITED;
use crate::dialect::RefusalCode;
use crate::dialect::Respond;
use crate::dialect::Response;
use crate::dialect::STORE_SILENT;
use crate::dialect::Then;
use crate::dialect::View;
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
                meta: None,
            });
        }
        Ok(drafts)
    }
}

impl Respond for Posting {
    fn respond(self: Box<Self>, body: &[u8], context: &Context<'_>) -> Next {
        match self.drafts(body, context.view) {
            Ok(drafts) => Next::Publish { drafts, then: Then(Box::new(answer)) },
            Err((status, reason)) => Next::Reply(Response::json(status, error(&reason))),
        }
    }
}

/// What became of a post's events.
fn answer(published: Published<'_>, context: &Context<'_>) -> Response {
    let results = match published {
        Published::Answered { results, .. } => results,
        Published::Barred { topic, .. } => {
            let name = context.view.name_of(topic);
            return Response::json(403, error(&format!("publishing {name} is not allowed")));
        }
    };
    let accepted = results.iter().filter(|result| result.is_ok()).count();
    let Some(code) = results.iter().find_map(|result| result.as_ref().err()) else {
        return Response::json(200, format!(r#"{{"accepted":{accepted}}}"#));
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
    Response::json(status, body)
}
