//! What an operator asks for over HTTP, read: a question for shards, an event, or an order.
//!
//! Invariant: a body that says something else than it may is refused with the member that is wrong. Never carries anything out.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::value::RawValue;

use super::super::inquiry::ConnName;
use super::super::inquiry::Inquiry;
use super::super::operator::Form;
use super::super::operator::Whom;
use super::super::shards::Shards;
use crate::clock::Now;
use crate::dialect::Inquire;
use crate::dialect::Refusal;
use crate::dialect::RefusalCode;
use crate::dialect::own;
use crate::event::Draft;
use crate::event::ShardId;
use crate::event::TopicName;
use crate::limits::ADMIN_REASON_BYTES_MAX;
use crate::limits::ADMIN_ROWS_DEFAULT;
use crate::limits::ADMIN_ROWS_MAX;
use crate::wire::http::Head;

/// What an operator asks for, as far as a request's head says it.
#[derive(Debug)]
pub(in super::super) struct OperatorRequest {
    what: Inquire,
    pub(super) path: String,
    rows: Result<usize, Refusal>,
    after: Option<String>,
}

impl OperatorRequest {
    pub(in super::super) fn of(what: Inquire, path: &str, head: &Head) -> Self {
        let rows = match head.query_value("limit") {
            None => Ok(ADMIN_ROWS_DEFAULT),
            Some(text) => match text.parse() {
                Ok(rows @ 1..=ADMIN_ROWS_MAX) => Ok(rows),
                _ => Err(bad("limit", &format!("limit is a number from 1 to {ADMIN_ROWS_MAX}"))),
            },
        };
        let after = head.query_value("after").map(Cow::into_owned);
        Self { what, path: path.to_owned(), rows, after }
    }
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct DisconnectBody {
    connection: String,
    reason: Option<Box<str>>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct ExplainBody<'a> {
    connection: String,
    topic: Option<String>,
    offset: Option<u64>,
    #[serde(borrow)]
    event: Option<&'a RawValue>,
}

/// What is to be done with a request.
pub(super) enum Deed {
    Ask(Whom, Inquiry, Form),
    Publish(Draft),
    /// The process does it.
    Order,
}

fn bad(field: &str, message: &str) -> Refusal {
    Refusal::of(RefusalCode::BadField, field, message)
}

fn body_of<'a, T: serde::Deserialize<'a>>(body: &'a [u8], is: &str) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| {
        let text = error.to_string();
        let reason = text.split(" at line ").next().unwrap_or(&text);
        bad("body", &format!("the body is {is}: {reason}"))
    })
}

fn conn_of(text: &str) -> Result<ConnName, Refusal> {
    ConnName::parse(text).ok_or_else(|| {
        bad("connection", "a connection is named as /v1/admin/connections names it, like 0-17-2")
    })
}

fn event_of(raw: &RawValue) -> Result<Draft, Refusal> {
    own::event_of(raw.get())
}

impl OperatorRequest {
    pub(super) fn deed(&self, body: &[u8], (now, shards): (Now, &Shards)) -> Result<Deed, Refusal> {
        let rows = self.rows.clone()?;
        Ok(match self.what {
            Inquire::Connections => {
                let (shard, from) = self.page()?;
                let form = Form::List { name: "connections", rows, shard: Some(shard) };
                Deed::Ask(Whom::One(shard), Inquiry::Connections { from, rows }, form)
            }
            Inquire::Slowest => {
                let form = Form::List { name: "connections", rows, shard: None };
                Deed::Ask(Whom::All, Inquiry::Slowest { rows }, form)
            }
            Inquire::Topics => {
                let after = self.after.clone().unwrap_or_default().into();
                let form = Form::List { name: "topics", rows, shard: None };
                Deed::Ask(Whom::All, Inquiry::Topics { after, rows }, form)
            }
            Inquire::Disconnect => {
                let DisconnectBody { connection, reason } =
                    body_of(body, r#"{"connection":…,"reason":…}"#)?;
                let reason = reason.unwrap_or_else(|| "disconnected by the operator".into());
                if reason.len() > ADMIN_REASON_BYTES_MAX {
                    let message = format!("reason has at most {ADMIN_REASON_BYTES_MAX} bytes");
                    return Err(bad("reason", &message));
                }
                let ConnName { shard, conn } = conn_of(&connection)?;
                Deed::Ask(Whom::One(shard), Inquiry::Disconnect { conn, reason }, Form::One)
            }
            Inquire::Explain => {
                let (whom, inquiry) = explain(body, now, shards)?;
                Deed::Ask(whom, inquiry, Form::One)
            }
            Inquire::Publish => {
                let text =
                    std::str::from_utf8(body).map_err(|_| bad("body", "the body is no UTF-8"))?;
                Deed::Publish(own::event_of(text)?)
            }
            Inquire::Order => Deed::Order,
        })
    }

    /// Where a page of connections begins.
    fn page(&self) -> Result<(ShardId, u32), Refusal> {
        let Some(after) = &self.after else { return Ok((ShardId(0), 0)) };
        let parsed = after
            .split_once('-')
            .and_then(|(shard, place)| Some((ShardId(shard.parse().ok()?), place.parse().ok()?)));
        parsed.ok_or_else(|| bad("after", "after is what the page before says in `after`"))
    }
}

fn explain(body: &[u8], now: Now, shards: &Shards) -> Result<(Whom, Inquiry), Refusal> {
    let words = r#"{"connection":…} with "topic" and "offset", or with "event""#;
    let ExplainBody { connection, topic, offset, event } = body_of(body, words)?;
    let conn = conn_of(&connection)?;
    match (topic, offset, event) {
        (Some(topic), Some(offset), None) => {
            let topic = TopicName::new(&topic)
                .map_err(|error| Refusal::of(RefusalCode::BadTopic, "topic", error))?;
            let home = shards.homes().shard(shards.homes().of(&topic));
            Ok((Whom::One(home), Inquiry::Find { conn, topic, offset }))
        }
        (None, None, Some(event)) => {
            let draft = event_of(event)?;
            let home = shards.homes().of(&draft.topic);
            let event = Arc::new(draft.without_place(home, now.wall_us));
            let inquiry = Inquiry::Explain { conn: conn.conn, event, is_real: false };
            Ok((Whom::One(conn.shard), inquiry))
        }
        _ => Err(bad("body", &format!("the body is {words}"))),
    }
}
