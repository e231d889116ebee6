//! What a client may say: who it is, what it wants to hear, and that it is there.
//!
//! Invariant: before it is known who the client is, nothing is wanted, so nothing is heard.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::filters::Filters;
use super::request::Endpoint;
use super::request::Request;
use super::selection::Selection;
use super::types;
use crate::dialect::Answer;
use crate::dialect::Ask;
use crate::dialect::Batch;
use crate::dialect::Context;
use crate::dialect::Kept;
use crate::dialect::Request as Question;
use crate::dialect::Said;
use crate::dialect::Step;
use crate::dialect::Subscription;
use crate::dialect::Talk;
use crate::dialect::Ticket;
use crate::dialect::Wish;
use crate::dialect::json;
use crate::limits::FILTER_REFUSED_STEPS;
use crate::limits::PROVISIONING_TYPES_MAX;
use crate::position::Since;

/// One client's conversation.
#[derive(Debug)]
pub struct Conversation {
    endpoint: Endpoint,
    selection: Selection,
    batch: Option<Batch>,
    tail: Option<u32>,
    is_known: bool,
}

impl Conversation {
    /// A conversation that begins with what the URL asks for.
    #[must_use]
    pub fn new(request: &Request) -> Self {
        Self {
            endpoint: request.endpoint,
            selection: Selection::of(request.endpoint.types(), &request.events, &request.filters),
            batch: request.batch,
            tail: request.tail,
            is_known: false,
        }
    }

    /// What is wanted from here on; of what is `new`, the past that was asked for. If it is too much, nothing changes.
    fn want(
        &mut self,
        selection: Selection,
        is_new: impl Fn(&Subscription) -> bool,
        context: &Context<'_>,
    ) -> Vec<Step> {
        let subscriptions = match selection.subscriptions(self.batch, context.view) {
            Ok(subscriptions) => subscriptions,
            Err(fault) => {
                // Finding that out took work.
                let pay = Step::Pay { steps: FILTER_REFUSED_STEPS };
                return vec![pay, Step::say(error(&fault.to_string()))];
            }
        };
        self.selection = selection;
        let tail = self.tail.take();
        let wish = |subscription: Arc<Subscription>| {
            let filters = self.selection.filters_of(&subscription.id);
            let since_us = filters.and_then(|filters| filters.since_us);
            let since = match (is_new(&subscription), since_us, tail) {
                (true, Some(since_us), _) => Since::Time(since_us),
                (true, None, Some(count)) => Since::Tail(count),
                _ => Since::Now,
            };
            Wish::new(subscription, since)
        };
        vec![Step::Want(subscriptions.into_iter().map(wish).collect())]
    }

    fn subscribe(
        &mut self,
        members: &json::Members<'_>,
        context: &Context<'_>,
    ) -> Result<Vec<Step>, String> {
        let events = self.events_of(members)?;
        let filters = json::member(members, "filters").filter(|raw| raw.get() != "null");
        let filters = filters.map(Filters::of_json).transpose().map_err(|e| e.to_string())?;
        let filters = filters.unwrap_or_default();
        let Ok(selection) = self.selection.with(&events, &filters) else {
            return Ok(vec![Step::say(too_many_types())]);
        };
        let before = self.selection.clone();
        let named = |id: &str| events.is_empty() || events.iter().any(|name| name == id);
        let is_new = |sub: &Subscription| {
            named(&sub.id)
                && (before.filters_of(&sub.id) != Some(&filters) || filters.since_us.is_some())
        };
        Ok(self.want(selection, is_new, context))
    }

    fn unsubscribe(
        &mut self,
        members: &json::Members<'_>,
        context: &Context<'_>,
    ) -> Result<Vec<Step>, String> {
        let events = self.events_of(members)?;
        match self.selection.without(&events) {
            Ok(selection) => Ok(self.want(selection, |_| false, context)),
            Err(_) => Ok(vec![Step::say(too_many_types())]),
        }
    }

    /// The types that a message names, if they are heard here.
    fn events_of(&self, members: &json::Members<'_>) -> Result<Vec<String>, String> {
        let events = events_of(members)?;
        match self.endpoint.types() {
            Some(types) if !events.iter().all(|name| types.contains(&name.as_str())) => {
                Err(format!("this endpoint has {} only", types.join(" and ")))
            }
            _ => Ok(events),
        }
    }

    fn heard(&mut self, text: &str, context: &Context<'_>) -> Result<Vec<Step>, String> {
        if serde_json::from_str::<&RawValue>(text).is_err() {
            return Err("invalid JSON".to_owned());
        }
        let members = json::members(text).map_err(|_| "message must be a JSON object")?;
        let kind = json::member(&members, "type").and_then(json::text_of);
        match kind.as_deref() {
            Some("auth") => match json::member(&members, "token").and_then(json::text_of) {
                Some(token) => {
                    let what = Question::Identify { token: token.into() };
                    Ok(vec![Step::Ask { ticket: Ticket::Only, what }])
                }
                None => Err("token is required".to_owned()),
            },
            Some("ping") => Ok(vec![Step::say(&br#"{"type":"pong"}"#[..])]),
            Some("subscribe" | "unsubscribe") if !self.is_known => {
                Err("authentication required".to_owned())
            }
            Some("subscribe") => self.subscribe(&members, context),
            Some("unsubscribe") => self.unsubscribe(&members, context),
            _ => Err("unknown message type".to_owned()),
        }
    }

    /// Begins to tell, since it is known who the client is: from here on the client hears what it asked for.
    fn begin(&mut self, context: &Context<'_>, steps: &mut Vec<Step>) {
        if !std::mem::replace(&mut self.is_known, true) {
            // What a URL may ask for was found out when it was read.
            steps.extend(self.want(self.selection.clone(), |_| true, context));
        }
    }
}

impl Talk for Conversation {
    fn open(&mut self, context: &Context<'_>, steps: &mut Vec<Step>) {
        if context.is_known {
            self.begin(context, steps);
        }
    }

    //= provisioning#5.7
    //# Malformed JSON or unknown type → `{"type":"error","error":"…"}` and stay open
    fn hear(&mut self, said: Said<'_>, context: &Context<'_>, steps: &mut Vec<Step>) {
        match self.heard(said.text(), context) {
            Ok(taken) => steps.extend(taken),
            Err(reason) => steps.push(Step::say(error(&reason))),
        }
    }

    fn asker(&mut self) -> Option<&mut dyn Ask> {
        Some(self)
    }

    fn held_bytes(&self) -> usize {
        self.selection.held_bytes()
    }

    fn keep(&mut self) -> Option<Kept> {
        None
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
        match answer {
            Answer::Identified { .. } => self.begin(context, steps),
            Answer::NotIdentified { reason } => steps.push(Step::say(error(reason))),
            Answer::Published(_)
            | Answer::Subscribed(_)
            | Answer::Claimed { .. }
            | Answer::Kept { .. }
            | Answer::Rows(_)
            | Answer::Written(_)
            | Answer::TableFailed(_)
            | Answer::Hooked(_) => {
                unreachable!("this conversation asks who its client is, and nothing else")
            }
        }
    }
}

fn events_of(members: &json::Members<'_>) -> Result<Vec<String>, String> {
    let Some(raw) = json::member(members, "events") else { return Ok(Vec::new()) };
    let names: Vec<String> =
        serde_json::from_str(raw.get()).map_err(|_| "events must be a list of strings")?;
    let mut events: Vec<String> = Vec::new();
    for name in names.iter().map(|name| types::of_name(name.trim())) {
        if !name.is_empty() && !events.iter().any(|own| own == name) {
            events.push(name.to_owned());
        }
    }
    Ok(events)
}

/// `{"type":"error","error":…}`
pub(super) fn error(reason: &str) -> Vec<u8> {
    let mut text = br#"{"type":"error","error":"#.to_vec();
    json::string(reason, &mut text);
    text.push(b'}');
    text
}

fn too_many_types() -> Box<[u8]> {
    format!(
        r#"{{"type":"error","error":"subscription limit exceeded","limit":{PROVISIONING_TYPES_MAX}}}"#
    )
    .into_bytes()
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Now;
    use crate::dialect::HookTerms;
    use crate::dialect::View;
    use crate::dialect::Views;
    use crate::tables::Schema;

    #[test]
    fn filters_that_are_too_much_are_said_and_change_nothing() {
        let none: [(&str, &str); 0] = [];
        let request = Request::of_query(Endpoint::Events, none).unwrap();
        let mut conversation = Conversation::new(&request);
        let view = View::default();
        let now = Now { mono_ms: 0, wall_us: 1 };
        let tables = Schema::default();
        let (views, tables) = (&Views::default(), &tables);
        let (view, epoch, hooks) = (&view, "e", HookTerms::default());
        let context = Context { view, views, now, epoch, is_known: true, serial: 1, tables, hooks };
        conversation.open(&context, &mut Vec::new());
        let before = conversation.selection.clone();
        let values = vec![format!("\"{}\"", "x".repeat(1000)); 100].join(",");
        let mut steps = Vec::new();
        let text = format!(r#"{{"type":"subscribe","events":["a"],"filters":{{"n":[{values}]}}}}"#);
        conversation.hear(Said::Text(&text), &context, &mut steps);
        let [Step::Pay { .. }, Step::Say { text: said, .. }] = &steps[..] else {
            panic!("an error that is paid for, and nothing else")
        };
        let said = String::from_utf8_lossy(said);
        assert!(
            said.starts_with(
                r#"{"type":"error","error":"the filters together are too much: filter costs"#
            ),
            "{said}"
        );
        assert_eq!(conversation.selection, before);
    }
}
