//! One client's conversation: what it asked and is not answered yet, and its subscriptions.
//!
//! Invariants: one thing is asked at a time, and answered before the next one is heard; a subscription's id says nothing of its client, so those who subscribe to the same are told the same.

use std::sync::Arc;

use super::asked::Asked;
use super::asked::AskedFor;
use super::asked::Operation;
use super::ids::parts_of;
use super::ids::uuid_of;
use super::live;
use super::message::Message;
use super::query;
use super::reply;
use super::told;
use super::topics;
use crate::batch::Slow;
use crate::dialect::Answer;
use crate::dialect::Ask;
use crate::dialect::Context;
use crate::dialect::Correspond;
use crate::dialect::RefusalCode;
use crate::dialect::Request;
use crate::dialect::Said;
use crate::dialect::Step;
use crate::dialect::SubId;
use crate::dialect::Subscription;
use crate::dialect::Talk;
use crate::dialect::Ticket;
use crate::dialect::Wish;
use crate::event::TopicPattern;
use crate::limits::FILTER_REFUSED_STEPS;
use crate::limits::RESOLVESPEC_ANSWER_BYTES_MAX;
use crate::limits::SUBSCRIPTIONS_MAX;
use crate::position::Since;
use crate::tables::Change;
use crate::tables::ErrorCode;
use crate::tables::Query;
use crate::tables::Schema;
use crate::tables::Table;
use crate::tables::TableError;
use crate::tables::TableId;
use crate::tables::Unknown;
use crate::tables::Write;

/// One client's conversation.
#[derive(Debug)]
pub struct Conversation {
    /// Whether a subscription's filters say what it hears.
    is_filtered: bool,
    /// Whose messages are published: what the client's topics begin with.
    base: Option<Box<str>>,
    subscribed: Vec<Subscribed>,
    /// How many subscriptions there have been.
    subscriptions: u64,
    asked: Option<Asked>,
    /// Steps that refusing the message at hand took.
    refused_steps: u64,
}

/// One of its subscriptions.
#[derive(Debug)]
struct Subscribed {
    id: SubId,
    /// Whether there is anything that it can hear: it may name a table that is not there.
    is_heard: bool,
}

/// Why a request is not carried out.
struct Refused {
    code: &'static str,
    message: String,
    /// Steps that finding it out took, if they count.
    steps: u64,
}

impl Refused {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), steps: 0 }
    }

    /// As it is said of what tables do not do, for `read`, `create` and so on.
    fn of_table(verb: &str, error: &TableError) -> Self {
        let code = match verb {
            "create" => "create_error",
            "update" => "update_error",
            "delete" => "delete_error",
            _ => "read_error",
        };
        Self::new(code, table_message(verb, error))
    }
}

//= resolvespec#3A.4
//# Read by a missing id: Bun → `read_error` (`failed to read record: sql: no rows in result set`)
fn table_message(verb: &str, error: &TableError) -> String {
    match error.code {
        ErrorCode::NotFound => format!("failed to {verb} record: sql: no rows in result set"),
        _ => format!("failed to {verb} record: {error}"),
    }
}

impl Conversation {
    /// A conversation; whether subscriptions hear only what passes their filters.
    #[must_use]
    pub const fn new(is_filtered: bool) -> Self {
        Self {
            is_filtered,
            base: None,
            subscribed: Vec::new(),
            subscriptions: 0,
            asked: None,
            refused_steps: 0,
        }
    }

    fn carry_out(&mut self, text: &str, context: &Context<'_>) -> Step {
        let now = context.now;
        let fail =
            |id: &str, code: &str, message: &str| Step::say(reply::failure(id, code, message, now));
        //= resolvespec#3A.3
        //# `invalid_message` | `Failed to parse message` (id `""`) | JSON/type error
        let Ok(mut message) = Message::read(text) else {
            return fail("", "invalid_message", "Failed to parse message");
        };
        if self.base.is_some() {
            topics::adapt(&mut message);
        }
        let id = &*message.id;
        if !message.is_valid() {
            return fail(id, "invalid_message", "Message validation failed");
        }
        let done = match &*message.kind {
            "request" => self.request(&message, context),
            "subscription" => self.subscription(&message, context),
            "ping" if self.base.is_some() => Ok(Step::say(topics::pong(id))),
            "ping" => Ok(Step::say(reply::pong(id, now))),
            kind => {
                let message = format!("Unknown message type: {kind}");
                Err(Refused::new("invalid_message_type", message))
            }
        };
        done.unwrap_or_else(|Refused { code, message, steps }| {
            self.refused_steps = steps;
            fail(id, code, &message)
        })
    }

    fn request(&mut self, message: &Message<'_>, context: &Context<'_>) -> Result<Step, Refused> {
        let names = (&*message.schema, &*message.entity);
        let Some((table, of)) = query::find(context.tables, context.view, names) else {
            let message = format!("Model not found: {}.{}", message.schema, message.entity);
            return Err(Refused::new("model_not_found", message));
        };
        let (what, request) = match &*message.operation {
            "read" => read(message, context.tables, table)
                .map_err(|error| Refused::of_table("read", &error))?,
            "create" => write(message, (table, of), Operation::Create)?,
            "update" => write(message, (table, of), Operation::Update)?,
            "delete" => write(message, (table, of), Operation::Delete)?,
            //= resolvespec#3A.4
            //# `{"schema","entity","table_name":"public.users","columns":[names],"primary_key":"id"}`
            "meta" => {
                // Only who may read a table is told of it.
                let query = Query { limit: Some(0), ..Query::all(table) };
                let about = told::about(message, of, &context.view.table_name(of));
                (AskedFor::Meta { about }, Request::Query(Box::new(query)))
            }
            other => {
                let message = format!("Unknown operation: {other}");
                return Err(Refused::new("invalid_operation", message));
            }
        };
        Ok(self.ask(message, what, request))
    }

    fn ask(&mut self, message: &Message<'_>, what: AskedFor, request: Request) -> Step {
        self.asked = Some(Asked { id: message.id.clone(), what });
        Step::Ask { ticket: Ticket::Only, what: request }
    }

    fn subscription(
        &mut self,
        message: &Message<'_>,
        context: &Context<'_>,
    ) -> Result<Step, Refused> {
        match &*message.operation {
            "subscribe" => self.subscribe(message, context),
            "unsubscribe" => self.unsubscribe(message, context),
            other => {
                let message = format!("Unknown subscription operation: {other}");
                Err(Refused::new("invalid_subscription_operation", message))
            }
        }
    }

    //= resolvespec#3A.6
    //# → response data `{"entity":"users","schema":"public","subscription_id":"<uuid v4>"}` (`schema` is `""` if
    //# absent). Entity is not validated (may be empty or unregistered)
    fn subscribe(&mut self, message: &Message<'_>, context: &Context<'_>) -> Result<Step, Refused> {
        if self.subscribed.len() >= SUBSCRIPTIONS_MAX {
            return Err(Refused::new(
                INVALID_SUBSCRIPTION,
                format!(
                    "the connection has {SUBSCRIPTIONS_MAX} subscriptions, and may not have more"
                ),
            ));
        }
        let names = (&*message.schema, &*message.entity);
        let found = query::find(context.tables, context.view, names);
        let filter = match found {
            Some((_, table)) if self.is_filtered => query::filter(table, &message.options.filters)
                .map_err(|error| error.to_string())
                .and_then(|kept| live::filter(table, &kept))
                .map_err(|why| Refused {
                    // It was read, and made as far as it goes.
                    steps: FILTER_REFUSED_STEPS,
                    ..Refused::new(INVALID_SUBSCRIPTION, format!("failed to subscribe: {why}"))
                })?,
            _ => None,
        };
        let name = found.map(|(_, table)| context.view.table_name(table)).unwrap_or_default();
        let filter_text = filter.as_ref().map(ToString::to_string).unwrap_or_default();
        let uuid = uuid_of(&(&*name, filter_text, self.subscriptions));
        self.subscriptions += 1;
        let id: SubId = format!("{uuid}/{name}").into();
        let about = told::subscribed(message, &uuid, self.base.as_deref());
        self.subscribed.push(Subscribed { id: Arc::clone(&id), is_heard: found.is_some() });
        let Some((_, table)) = found else {
            return Ok(Step::say(reply::success(&message.id, &about, None, context.now)));
        };
        let subscription = Subscription {
            id,
            topics: vec![TopicPattern::Exact(table.topic.clone())],
            filter,
            //= resolvespec#3A.1
            //# when full, `SendJSON` fails and the message
            //# (response or notification) is **dropped silently**
            slow: Slow::DropSilently,
            ..Subscription::default()
        };
        let wish = Wish::new(Arc::new(subscription), Since::Now);
        let request = Request::Subscribe(vec![wish]);
        Ok(self.ask(message, AskedFor::Subscribe { about }, request))
    }

    fn unsubscribe(
        &mut self,
        message: &Message<'_>,
        context: &Context<'_>,
    ) -> Result<Step, Refused> {
        let wanted = &*message.subscription_id;
        let is_published = self.base.is_some();
        if wanted.is_empty() {
            let (code, message) = match is_published {
                true => topics::NO_SUBSCRIPTION_ID,
                false => ("missing_subscription_id", "Subscription ID is required for unsubscribe"),
            };
            return Err(Refused::new(code, message));
        }
        let about = told::unsubscribed(wanted);
        let place = self.subscribed.iter().position(|own| parts_of(&own.id).0 == wanted);
        let Some(place) = place else {
            if is_published {
                return Ok(Step::say(reply::success(&message.id, &about, None, context.now)));
            }
            let message = format!("Subscription not found: {wanted}");
            return Err(Refused::new("subscription_not_found", message));
        };
        let gone = self.subscribed.remove(place);
        if !gone.is_heard {
            return Ok(Step::say(reply::success(&message.id, &about, None, context.now)));
        }
        self.asked = Some(Asked { id: message.id.clone(), what: AskedFor::Subscribe { about } });
        Ok(Step::Unsubscribe { id: gone.id })
    }

    /// What is said now that something asked is answered; `None`: more is to come.
    fn answer(&mut self, answer: &Answer<'_>, context: &Context<'_>) -> Option<Box<[u8]>> {
        let (tables, now) = (context.tables, context.now);
        let Asked { id, what } = self.asked.as_mut()?;
        let said = match (what, answer) {
            (AskedFor::List { query, rows, count }, Answer::Rows(page)) => {
                told::put_rows(tables, query, page, rows);
                *count += page.rows.len() as u64;
                let end = page.end?;
                if rows.len() > RESOLVESPEC_ANSWER_BYTES_MAX {
                    let message = format!(
                        "failed to read record: the answer has more than {RESOLVESPEC_ANSWER_BYTES_MAX} bytes; ask for fewer rows with `limit`"
                    );
                    reply::failure(id, "read_error", &message, now)
                } else {
                    let total = end.total.unwrap_or(*count);
                    let metadata = format!(r#"{{"total":{total},"count":{count}}}"#);
                    reply::success(id, &format!("[{rows}]"), Some(&metadata), now)
                }
            }
            (AskedFor::One { query, row }, Answer::Rows(page)) => {
                if row.is_none() && !page.rows.is_empty() {
                    let mut text = String::new();
                    told::put_rows(tables, query, page, &mut text);
                    *row = Some(text);
                }
                let number = page.end?.number;
                match row {
                    Some(row) => told::one_read(id, (row, number), tables.table(query.table), now),
                    None => {
                        let error = TableError::new(ErrorCode::NotFound, "");
                        reply::failure(id, "read_error", &table_message("read", &error), now)
                    }
                }
            }
            (AskedFor::Meta { about }, Answer::Rows(page)) => {
                page.end?;
                reply::success(id, about, None, now)
            }
            (AskedFor::Write { table, .. }, Answer::Written(written)) => {
                let data = told::written_data(tables.table(*table), written);
                reply::success(id, &data, None, now)
            }
            (AskedFor::Subscribe { about }, Answer::Subscribed([Ok(())])) => {
                reply::success(id, about, None, now)
            }
            (AskedFor::Subscribe { .. }, Answer::Subscribed([Err(refusal)])) => {
                let code = match refusal.code {
                    RefusalCode::Forbidden => "unauthorized",
                    _ => INVALID_SUBSCRIPTION,
                };
                reply::failure(id, code, &refusal.message, now)
            }
            (what, Answer::TableFailed(error)) => {
                let verb = match what {
                    AskedFor::Write { operation, .. } => operation.name(),
                    _ => "read",
                };
                let Refused { code, message, .. } = Refused::of_table(verb, error);
                let is_meta = matches!(what, AskedFor::Meta { .. });
                match self.base {
                    None => reply::table_failure(id, code, (&message, error), now),
                    Some(_) => reply::failure(id, topics::code(code, is_meta), &message, now),
                }
            }
            _ => unreachable!("what is asked is answered by its kind"),
        };
        if matches!(answer, Answer::Subscribed([Err(_)])) {
            self.subscribed.pop();
        }
        self.asked = None;
        Some(said)
    }
}

/// The code of what the origin never refuses.
const INVALID_SUBSCRIPTION: &str = "invalid_subscription";

/// What is read: a list, a row, or a row and its number.
fn read(
    message: &Message<'_>,
    tables: &Schema,
    table: TableId,
) -> Result<(AskedFor, Request), TableError> {
    let options = &message.options;
    let is_list = message.record_id.is_empty() && options.fetch_row_number.is_empty();
    let query = match &*message.record_id {
        "" => query::list(tables, table, options)?,
        record_id => query::one(tables, table, (record_id, options))?,
    };
    let query = Box::new(query);
    let what = match is_list {
        true => AskedFor::List { query: query.clone(), rows: String::new(), count: 0 },
        false => AskedFor::One { query: query.clone(), row: None },
    };
    Ok((what, Request::Query(query)))
}

/// What is written.
fn write(
    message: &Message<'_>,
    (id, table): (TableId, &Table),
    operation: Operation,
) -> Result<(AskedFor, Request), Refused> {
    let refuse = |error: &TableError| Refused::of_table(operation.name(), error);
    let missing = |what: &str| refuse(&TableError::new(ErrorCode::BadValue, what));
    let key = || match &*message.record_id {
        "" => Err(missing("record_id is required")),
        record_id => table.read_key(record_id).map_err(|error| refuse(&error)),
    };
    let values = || {
        let data = message.data.filter(|data| data.get().starts_with('{'));
        let data = data.ok_or_else(|| missing("data must be an object"))?;
        table.read_object(data.get(), Unknown::Ignored).map_err(|error| refuse(&error))
    };
    let change = match operation {
        Operation::Create => Change::Create(values()?),
        Operation::Update => Change::Update { key: key()?, set: values()? },
        Operation::Delete => Change::Delete { key: key()? },
    };
    let what = AskedFor::Write { table: id, operation };
    Ok((what, Request::Write(Box::new(Write::new(id, change)))))
}

impl Talk for Conversation {
    fn open(&mut self, context: &Context<'_>, _steps: &mut Vec<Step>) {
        // The client speaks first.
        debug_assert!(context.is_known, "the guard of the doors lets nobody else in");
    }

    //= resolvespec#3A.1
    //# text and
    //# binary both parsed as JSON
    fn hear(&mut self, said: Said<'_>, context: &Context<'_>, steps: &mut Vec<Step>) {
        let step = self.carry_out(said.text(), context);
        let is_unsubscribe = matches!(step, Step::Unsubscribe { .. });
        match std::mem::take(&mut self.refused_steps) {
            0 => {}
            refused => steps.push(Step::Pay { steps: refused }),
        }
        steps.push(step);
        if is_unsubscribe {
            // Nothing of it comes behind this.
            let answer = Answer::Subscribed(&[Ok(())]);
            steps.extend(self.answer(&answer, context).map(Step::say));
        }
    }

    fn asker(&mut self) -> Option<&mut dyn Ask> {
        Some(self)
    }

    fn held_bytes(&self) -> usize {
        let subscribed: usize =
            self.subscribed.iter().map(|own| size_of::<Subscribed>() + own.id.len()).sum();
        subscribed + self.asked.as_ref().map_or(0, Asked::held_bytes)
    }
}

impl Correspond for Conversation {
    fn hears_from(&mut self, base: &str) {
        self.base = Some(base.into());
    }
}

impl Ask for Conversation {
    fn answered(
        &mut self,
        _ticket: Ticket,
        answer: Answer<'_>,
        context: &Context<'_>,
        steps: &mut Vec<Step>,
    ) {
        steps.extend(self.answer(&answer, context).map(Step::say));
    }
}
