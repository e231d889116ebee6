//! `/v1/admin/…`: what an operator asks over HTTP, carried out or passed on, and answered.
//!
//! Invariant: only who shows the admin secret comes here (`Guard::Secret`); of a question that is wrong nothing is done.

use super::super::Shard;
use super::super::input::AdminRequest;
use super::super::input::ConnId;
use super::super::operator::Operator;
use super::super::tickets::draft_bytes;
use super::awaiting::AnswerAwaited;
use super::http::Http;
use super::http::State;
use super::operator_request::Deed;
use super::operator_request::OperatorRequest;
use crate::clock::Now;
use crate::dialect::Context;
use crate::dialect::Published;
use crate::dialect::Refusal;
use crate::dialect::RefusalCode;
use crate::dialect::Response;
use crate::dialect::Then;
use crate::dialect::ThenPublished;
use crate::dialect::own;
use crate::event::Draft;
use crate::event::TopicName;

/// Carries out a request whose body is there, or begins to.
pub(super) fn hear(
    shard: &mut Shard,
    (id, http): (ConnId, &mut Http),
    request: &OperatorRequest,
    body: &[u8],
    now: Now,
) {
    let response = match request.deed(body, (now, &shard.shards)) {
        Err(refusal) => Some(Response::refusal(400, &refusal)),
        Ok(Deed::Ask(whom, inquiry, form)) => {
            Operator::at(shard).ask(id, (whom, inquiry, form), now)
        }
        Ok(Deed::Publish(draft)) => return publish(shard, (id, http), draft, now),
        Ok(Deed::Order) => {
            let Some(conn) = shard.conns.conn_ref(id) else { return };
            let request = AdminRequest {
                path: request.path.clone(),
                if_none_match: None,
                body: body.to_vec(),
            };
            shard.intake.tickets.ask_outside(conn, request);
            None
        }
    };
    match response {
        Some(response) => shard.respond(id, http, &response, now),
        None => http.set_state(State::Awaiting(Box::new(AnswerAwaited::Outside))),
    }
}

/// Publishes for the operator, whom no grant and no rate binds.
fn publish(shard: &mut Shard, (id, http): (ConnId, &mut Http), draft: Draft, now: Now) {
    let mut drafts = vec![draft];
    let topics: Vec<TopicName> = drafts.iter().map(|draft| draft.topic.clone()).collect();
    let drafts_bytes = drafts.iter().map(draft_bytes).sum();
    shard.intake.heard(drafts_bytes);
    shard.intake.ingest.find_fields(&mut drafts);
    match shard.publish(id, drafts, now) {
        Some(results) => {
            let response = placed(&Published::Answered { topics: &topics, results: &results });
            shard.respond(id, http, &response, now);
        }
        None => {
            let then: ThenPublished =
                Then(Box::new(|published: Published<'_>, _: &Context<'_>| placed(&published)));
            let awaited =
                AnswerAwaited::Publish { dialect: own::DIALECT, topics, drafts_bytes, then };
            http.set_state(State::Awaiting(Box::new(awaited)));
        }
    }
}

/// What became of an operator's event.
fn placed(published: &Published<'_>) -> Response {
    match published {
        Published::Answered { results: [Ok(placed)], .. } => {
            let body = serde_json::json!({ "offset": placed.offset, "time_us": placed.time_us });
            Response::json(200, body.to_string())
        }
        Published::Answered { topics: [topic], results: [Err(code)] } => {
            let status = match code {
                RefusalCode::DiskFull => 507,
                RefusalCode::Full | RefusalCode::Unavailable | RefusalCode::ShuttingDown => 503,
                _ => 400,
            };
            Response::refusal(status, &Refusal::of_publish(*code, topic))
        }
        Published::Answered { .. } => Response::error(500, "internal", "an event has one answer"),
        Published::Barred { refusal, .. } => Response::refusal(403, refusal),
    }
}
