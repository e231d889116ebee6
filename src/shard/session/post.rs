//! `POST /pv/events`: one event of the Provisioning dialect, or many, published and acknowledged.
//!
//! Invariant: of one post all events are asked for or none is; what was refused is said, and of those beyond a rate none is taken.

use std::sync::Arc;

use bytes::Bytes;

use super::super::Shard;
use super::super::input::ConnId;
use super::super::publish::draft_bytes;
use super::PublishResult;
use super::http::Http;
use super::http::State;
use crate::clock::Now;
use crate::dialect::RATE_LIMITED;
use crate::dialect::RefusalCode;
use crate::dialect::json;
use crate::dialect::provisioning;
use crate::event::Draft;
use crate::event::Op;
use crate::limits::RETRY_AFTER_S;
use crate::wire::http::Reply;

impl Shard {
    /// Publishes what was posted; its answer waits for home shards that have not answered yet.
    pub(super) fn post(&mut self, id: ConnId, http: &mut Http, body: &[u8], now: Now) {
        match self.drafts_of_post(id, body) {
            Ok(drafts) => {
                let drafts_bytes = drafts.iter().map(draft_bytes).sum();
                self.heard_bytes += drafts_bytes;
                match self.publish(id, drafts, now) {
                    Some(results) => self.answer_post(id, http, &results, now),
                    None => http.set_state(State::Posting { drafts_bytes }),
                }
            }
            Err((status, reason)) => self.reply_post(id, http, (status, &error(&reason)), now),
        }
    }

    fn drafts_of_post(&mut self, id: ConnId, body: &[u8]) -> Result<Vec<Draft>, (u16, String)> {
        let text = std::str::from_utf8(body)
            .map_err(|_| (400, "the body is not JSON: it is not UTF-8".to_owned()))?;
        let posted = provisioning::posted(text).map_err(|e| (400, e.to_string()))?;
        let mut drafts = Vec::with_capacity(posted.len());
        for event in posted {
            let topic = self.settings.views.provisioning.topic_of(&event.event_type);
            let topic = topic.ok_or_else(|| {
                (400, format!("no topic can have the event type {:?}", event.event_type))
            })?;
            if !self.may_publish(id, &topic) {
                return Err((403, format!("publishing {} is not allowed", event.event_type)));
            }
            let fields = self.ingest.take(event.text.as_bytes());
            let fields = fields.map_err(|e| (400, e.to_string()))?;
            let most = self.settings.message_bytes_max;
            if event.text.len() > most {
                let reason = format!("an event has more than {most} bytes (message_bytes_max)");
                return Err((413, reason));
            }
            drafts.push(Draft {
                topic,
                op: if event.key.is_empty() { Op::Event } else { Op::Upsert },
                key: Arc::from(event.key),
                payload: Bytes::from(event.text),
                fields,
            });
        }
        Ok(drafts)
    }

    /// Says what became of a post's events.
    pub(super) fn answer_post(
        &mut self,
        id: ConnId,
        http: &mut Http,
        results: &[PublishResult],
        now: Now,
    ) {
        let accepted = results.iter().filter(|result| result.is_ok()).count();
        match results.iter().find_map(|result| result.as_ref().err()) {
            None => {
                let body = format!(r#"{{"accepted":{accepted}}}"#);
                self.reply_post(id, http, (200, body.as_bytes()), now);
            }
            Some(code) => {
                let status = match code {
                    RefusalCode::ShuttingDown => 503,
                    RefusalCode::BadTopic => 400,
                    _ => 429,
                };
                let reason =
                    if *code == RefusalCode::RateLimited { RATE_LIMITED } else { code.name() };
                let mut body = error(reason);
                body.pop();
                body.extend_from_slice(format!(r#","accepted":{accepted}}}"#).as_bytes());
                self.reply_post(id, http, (status, &body), now);
            }
        }
    }

    fn reply_post(&mut self, id: ConnId, http: &mut Http, (status, body): (u16, &[u8]), now: Now) {
        self.reply(id, http, now, |out, answering| {
            let mut reply = Reply::begin(out, status, answering);
            if matches!(status, 429 | 503) {
                reply = reply.header("retry-after", &RETRY_AFTER_S.to_string());
            }
            reply.body("application/json", body);
        });
    }
}

/// `{"type":"error","error":…}`, as the dialect says it elsewhere.
fn error(reason: &str) -> Vec<u8> {
    let mut text = br#"{"type":"error","error":"#.to_vec();
    json::string(reason, &mut text);
    text.push(b'}');
    text
}
