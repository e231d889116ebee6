//! One client's conversation: what it asked and is not answered yet, and its subscriptions.
//!
//! Invariants: one thing is asked at a time, and answered before the next one is heard; a subscription's id says nothing of its client, so those who subscribe to the same are told the same.

use std::sync::Arc;

use super::asked::AskedFor;
use super::asked::Operation;
use super::asked::Refused;
use super::asked::RequestAwaited;
use super::asked::read;
use super::confined::Confined;
use super::going::Going;
use super::hooked::Noted;
use super::hooked::Underway;
use super::ids::parts_of;
use super::ids::uuid_of;
use super::message::Message;
use super::query;
use super::reply;
use super::told;
use super::topics;
use crate::dialect::Answer;
use crate::dialect::Ask;
use crate::dialect::Context;
use crate::dialect::Correspond;
use crate::dialect::Hook;
use crate::dialect::Kept;
use crate::dialect::Request;
use crate::dialect::Said;
use crate::dialect::Step;
use crate::dialect::SubId;
use crate::dialect::Subscription;
use crate::dialect::Talk;
use crate::dialect::Ticket;
use crate::dialect::Wish;
use crate::dialect::hook::Call;
use crate::dialect::hook::Credentials;
use crate::limits::FILTER_REFUSED_STEPS;
use crate::limits::SUBSCRIPTIONS_MAX;
use crate::position::Since;
use crate::tables::Filter;
use crate::tables::Query;

/// One client's conversation.
#[derive(Debug)]
pub struct Conversation {
    /// Whether a subscription's filters say what it hears.
    is_filtered: bool,
    /// Whose messages are published: what the client's topics begin with.
    pub(super) base: Option<Box<str>>,
    /// Whether the hooks of a connection have been asked of one whose messages are published, which connects with its first.
    pub(super) is_in: bool,
    subscribed: Vec<Subscribed>,
    /// How many subscriptions there have been.
    subscriptions: u64,
    pub(super) asked: Option<RequestAwaited>,
    /// `None`: no hook has said anything of this connection.
    pub(super) noted: Option<Box<Noted>>,
}

/// One of its subscriptions.
#[derive(Debug)]
struct Subscribed {
    id: SubId,
    /// Whether there is anything that it can hear: it may name a table that is not there.
    is_heard: bool,
}

impl Conversation {
    /// A conversation; whether subscriptions hear only what passes their filters.
    #[must_use]
    pub const fn new(is_filtered: bool) -> Self {
        Self {
            is_filtered,
            base: None,
            is_in: false,
            subscribed: Vec::new(),
            subscriptions: 0,
            asked: None,
            noted: None,
        }
    }

    /// The same with a client that has shown this of who it is, for `before_connect` to look at.
    #[must_use]
    pub fn showing(mut self, shown: Credentials) -> Self {
        self.shows(shown);
        self
    }

    pub(super) fn heard(&mut self, text: &str, context: &Context<'_>, steps: &mut Vec<Step>) {
        let now = context.now;
        let mut fail = |id: &str, code: &str, message: &str| {
            steps.push(Step::say(reply::failure(id, code, message, now)));
        };
        //= resolvespec#3A.3
        //# `invalid_message` | `Failed to parse message` (id `""`) | JSON/type error
        let Ok(mut message) = Message::read(text) else {
            return fail("", "invalid_message", "Failed to parse message");
        };
        let is_published = self.base.is_some();
        if is_published {
            topics::adapt(&mut message);
        }
        let id = &*message.id;
        if !message.is_valid() {
            return fail(id, "invalid_message", "Message validation failed");
        }
        if is_published && !self.is_in && context.hooks.ask_of_connections() {
            return self.connect((id, Some(text.into())), context, steps);
        }
        match &*message.kind {
            "request" | "subscription" if context.hooks.asked.is_empty() => {
                let going =
                    Going { message: &message, confined: Confined::default(), underway: None };
                self.carry_out(&going, context, steps);
            }
            "request" | "subscription" => {
                self.go_on(Underway::new(text, is_published), context, steps);
            }
            "ping" if is_published => steps.push(Step::say(topics::pong(id))),
            "ping" => steps.push(Step::say(reply::pong(id, now))),
            kind => {
                let message = format!("Unknown message type: {kind}");
                fail(id, "invalid_message_type", &message);
            }
        }
    }

    /// Asks the next hook before a request, or carries it out.
    pub(super) fn go_on(
        &mut self,
        mut underway: Underway,
        context: &Context<'_>,
        steps: &mut Vec<Step>,
    ) {
        let known = self.noted.as_ref().map(|noted| &noted.confined);
        let confined = known.map_or_else(Confined::default, Clone::clone).and(&underway.confined);
        let Ok(message) = underway.message() else {
            let failure =
                reply::failure("", "invalid_message", "Failed to parse message", context.now);
            return steps.push(Step::say(failure));
        };
        let Some(hook) = underway.next(&message, context.hooks) else {
            let going = Going { message: &message, confined, underway: Some(&underway) };
            return self.carry_out(&going, context, steps);
        };
        let seen = (context.tables, context.view);
        let call = underway.call(hook, &message, (&confined, seen));
        let id = message.id.clone();
        underway.asked = Some(hook);
        self.asked =
            Some(RequestAwaited { id, what: AskedFor::Before(Box::new(underway)), behind: None });
        steps.push(self.ask_hook(call));
    }

    /// Asks a hook, with what is noted of the connection.
    pub(super) fn ask_hook(&self, call: Call) -> Step {
        let noted = self.noted.as_ref().and_then(|noted| noted.metadata.clone());
        let call = match noted {
            Some(metadata) => Call { metadata, ..call },
            None => call,
        };
        Step::Ask { ticket: Ticket::Only, what: Request::Hook(Box::new(call)) }
    }

    fn carry_out(&mut self, going: &Going<'_>, context: &Context<'_>, steps: &mut Vec<Step>) {
        let message = going.message;
        let done = match &*message.kind {
            "request" => self.request(going, context).map(|step| steps.push(step)),
            _ => self.subscription(going, context, steps),
        };
        if let Err(Refused { code, message: why, steps: took }) = done {
            if took > 0 {
                steps.push(Step::Pay { steps: took });
            }
            steps.push(Step::say(reply::failure(&message.id, code, &why, context.now)));
        }
    }

    fn request(&mut self, going: &Going<'_>, context: &Context<'_>) -> Result<Step, Refused> {
        let (message, confined) = (going.message, &going.confined);
        let names = (&*message.schema, &*message.entity);
        let tables = context.tables;
        let Some((table, of)) = query::find(tables, context.view, names) else {
            let message = format!("Model not found: {}.{}", message.schema, message.entity);
            return Err(Refused::new("model_not_found", message));
        };
        let refused = |error| Refused::of_table("read", &error);
        let (what, request) = match &*message.operation {
            "read" => {
                let (mut query, is_list) = read(message, tables, table).map_err(refused)?;
                let held = going.held(of)?;
                confined.narrow(tables, &mut query, held).map_err(refused)?;
                let query = Box::new(query);
                let what = match is_list {
                    true => AskedFor::List { query: query.clone(), rows: String::new(), count: 0 },
                    false => AskedFor::One { query: query.clone(), row: None },
                };
                (what, Request::Query(query))
            }
            "create" => going.write((table, of), Operation::Create, context)?,
            "update" => going.write((table, of), Operation::Update, context)?,
            "delete" => going.write((table, of), Operation::Delete, context)?,
            //= resolvespec#3A.4
            //# `{"schema","entity","table_name":"public.users","columns":[names],"primary_key":"id"}`
            "meta" => {
                // Only who may read a table is told of it.
                let mut query = Query { limit: Some(0), ..Query::all(table) };
                let masked = confined.of(tables, table).map_err(refused)?.masked;
                confined.narrow(tables, &mut query, Filter::all()).map_err(refused)?;
                let name = context.view.table_name(of);
                let about = told::about(message, (of, &name), &masked);
                (AskedFor::Meta { about }, Request::Query(Box::new(query)))
            }
            other => {
                let message = format!("Unknown operation: {other}");
                return Err(Refused::new("invalid_operation", message));
            }
        };
        Ok(self.ask(going, what, request, context))
    }

    fn ask(
        &mut self,
        going: &Going<'_>,
        what: AskedFor,
        request: Request,
        context: &Context<'_>,
    ) -> Step {
        let behind = going.behind(context).map(Box::new);
        self.asked = Some(RequestAwaited { id: going.message.id.clone(), what, behind });
        Step::Ask { ticket: Ticket::Only, what: request }
    }

    fn subscription(
        &mut self,
        going: &Going<'_>,
        context: &Context<'_>,
        steps: &mut Vec<Step>,
    ) -> Result<(), Refused> {
        match &*going.message.operation {
            "subscribe" => self.subscribe(going, context, steps),
            "unsubscribe" => self.unsubscribe(going, context, steps),
            other => {
                let message = format!("Unknown subscription operation: {other}");
                Err(Refused::new("invalid_subscription_operation", message))
            }
        }
    }

    //= resolvespec#3A.6
    //# → response data `{"entity":"users","schema":"public","subscription_id":"<uuid v4>"}` (`schema` is `""` if
    //# absent). Entity is not validated (may be empty or unregistered)
    fn subscribe(
        &mut self,
        going: &Going<'_>,
        context: &Context<'_>,
        steps: &mut Vec<Step>,
    ) -> Result<(), Refused> {
        let message = going.message;
        if self.subscribed.len() >= SUBSCRIPTIONS_MAX {
            return Err(Refused::new(
                INVALID_SUBSCRIPTION,
                format!(
                    "the connection has {SUBSCRIPTIONS_MAX} subscriptions, and may not have more"
                ),
            ));
        }
        going.check_masks(context)?;
        let names = (&*message.schema, &*message.entity);
        let found = query::find(context.tables, context.view, names);
        let heard = match found {
            Some((id, table)) => {
                going.heard((id, table), self.is_filtered, context).map_err(|why| {
                    // It was read, and made as far as it goes.
                    let steps = FILTER_REFUSED_STEPS;
                    let why = format!("failed to subscribe: {why}");
                    Refused { steps, ..Refused::new(INVALID_SUBSCRIPTION, why) }
                })?
            }
            None => Subscription::default(),
        };
        let name = found.map(|(_, table)| context.view.table_name(table)).unwrap_or_default();
        let filter_text = heard.filter.as_ref().map(ToString::to_string).unwrap_or_default();
        let uuid = uuid_of(&(&*name, filter_text, self.subscriptions));
        self.subscriptions += 1;
        let id: SubId = format!("{uuid}/{name}").into();
        let about = told::subscribed(message, &uuid, self.base.as_deref());
        self.subscribed.push(Subscribed { id: Arc::clone(&id), is_heard: found.is_some() });
        let what = AskedFor::Subscribe { about };
        if found.is_none() {
            let behind = going.behind(context).map(Box::new);
            self.asked = Some(RequestAwaited { id: message.id.clone(), what, behind });
            self.answer(&Answer::Subscribed(&[Ok(())]), context, steps);
            return Ok(());
        }
        let wish = Wish::new(Arc::new(Subscription { id, ..heard }), Since::Now);
        let request = Request::Subscribe(vec![wish]);
        let step = self.ask(going, what, request, context);
        steps.push(step);
        Ok(())
    }

    fn unsubscribe(
        &mut self,
        going: &Going<'_>,
        context: &Context<'_>,
        steps: &mut Vec<Step>,
    ) -> Result<(), Refused> {
        let message = going.message;
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
        match place.map(|place| self.subscribed.remove(place)) {
            Some(gone) if gone.is_heard => steps.push(Step::Unsubscribe { id: gone.id }),
            Some(_) => {}
            None if is_published => {}
            None => {
                let message = format!("Subscription not found: {wanted}");
                return Err(Refused::new("subscription_not_found", message));
            }
        }
        let behind = going.behind(context).map(Box::new);
        let what = AskedFor::Subscribe { about };
        self.asked = Some(RequestAwaited { id: message.id.clone(), what, behind });
        // Nothing of it comes behind this.
        self.answer(&Answer::Subscribed(&[Ok(())]), context, steps);
        Ok(())
    }

    /// A subscription that was asked for is refused.
    pub(super) fn forget_last(&mut self) {
        self.subscribed.pop();
    }
}

/// The code of what the origin never refuses.
pub(super) const INVALID_SUBSCRIPTION: &str = "invalid_subscription";

impl Talk for Conversation {
    fn open(&mut self, context: &Context<'_>, steps: &mut Vec<Step>) {
        let is_asked = context.hooks.asked.contains(Hook::BeforeConnect);
        debug_assert!(context.is_known || is_asked, "the guard of the doors lets nobody else in");
        self.connect(("", None), context, steps);
    }

    //= resolvespec#3A.1
    //# text and
    //# binary both parsed as JSON
    fn hear(&mut self, said: Said<'_>, context: &Context<'_>, steps: &mut Vec<Step>) {
        self.heard(said.text(), context, steps);
    }

    fn asker(&mut self) -> Option<&mut dyn Ask> {
        Some(self)
    }

    fn held_bytes(&self) -> usize {
        let subscribed: usize =
            self.subscribed.iter().map(|own| size_of::<Subscribed>() + own.id.len()).sum();
        let noted = self.noted.as_ref().map_or(0, |noted| noted.held_bytes());
        subscribed + noted + self.asked.as_ref().map_or(0, RequestAwaited::held_bytes)
    }

    fn keep(&mut self) -> Option<Kept> {
        None
    }
}

impl Correspond for Conversation {
    fn hears_from(&mut self, base: &str) {
        self.base = Some(base.into());
    }

    fn shows(&mut self, shown: Credentials) {
        self.noted.get_or_insert_default().shown = Some(Box::new(shown));
    }

    fn subscription_count(&self) -> u64 {
        self.subscriptions
    }

    fn goes_on_behind(&mut self, subscription_count: u64) {
        self.subscriptions = subscription_count;
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
        self.answer(&answer, context, steps);
    }
}
