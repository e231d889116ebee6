//! What a client may say: that it wants topics, that it no longer wants them, and that it is there.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::value::RawValue;

use super::reply;
use super::topics;
use super::topics::Options;
use super::topics::TopicsFault;
use crate::dialect::Ask;
use crate::dialect::Context;
use crate::dialect::Kept;
use crate::dialect::Said;
use crate::dialect::Step;
use crate::dialect::Talk;
use crate::dialect::Wish;
use crate::dialect::json;
use crate::limits::FILTER_REFUSED_STEPS;
use crate::limits::HYPERBEAM_TOPICS_MAX;
use crate::position::Since;

/// One client's conversation.
#[derive(Debug)]
pub struct Conversation {
    /// The topics as they are told: in the order of the URL, repeats and all, until the first change sorts them.
    topics: Vec<String>,
    options: Options,
}

impl Conversation {
    /// A conversation that begins with the topics that the URL names.
    #[must_use]
    pub fn new(topics: Vec<String>, options: Options) -> Self {
        Self { topics, options }
    }

    fn want(&self, context: &Context<'_>, steps: &mut Vec<Step>) {
        let subscriptions = topics::subscriptions(&self.topics, self.options, context.view);
        let wish = |subscription: Arc<_>| Wish::new(subscription, Since::Now);
        steps.push(Step::Want(subscriptions.into_iter().map(wish).collect()));
    }

    fn subscribe(&mut self, asked: &[String], context: &Context<'_>, steps: &mut Vec<Step>) {
        let mut known: BTreeSet<&str> = self.topics.iter().map(String::as_str).collect();
        let new: Vec<String> = asked
            .iter()
            .filter(|topic| known.insert(topic))
            .take(HYPERBEAM_TOPICS_MAX + 1)
            .cloned()
            .collect();
        //= hyperbeam#2.2
        //# After the first successful
        //# `subscribe` the list becomes sorted and de-duplicated.
        if !new.is_empty() {
            let mut topics = self.topics.clone();
            topics.extend(new.iter().cloned());
            topics.sort_unstable();
            topics.dedup();
            if let Err(fault) = topics::check(&topics, self.options, context.view) {
                if fault == TopicsFault::BadRegex {
                    // Others before it were compiled.
                    steps.push(Step::Pay { steps: FILTER_REFUSED_STEPS });
                }
                return steps.push(Step::say(reply::error(&fault.to_string(), context.now)));
            }
            self.topics = topics;
            self.want(context, steps);
        }
        steps.push(Step::say(reply::subscribed(&new, &self.topics, context.now)));
    }

    fn unsubscribe(&mut self, asked: &[String], context: &Context<'_>, steps: &mut Vec<Step>) {
        let mut known: BTreeSet<&str> = self.topics.iter().map(String::as_str).collect();
        let removed: Vec<String> =
            asked.iter().filter(|topic| known.remove(topic.as_str())).cloned().collect();
        if !removed.is_empty() {
            let gone: BTreeSet<&String> = removed.iter().collect();
            self.topics.retain(|topic| !gone.contains(topic));
            self.want(context, steps);
        }
        steps.push(Step::say(reply::unsubscribed(&removed, &self.topics, context.now)));
    }
}

impl Talk for Conversation {
    fn open(&mut self, context: &Context<'_>, steps: &mut Vec<Step>) {
        steps.push(Step::say(reply::established(&self.topics, context.now)));
        if !self.topics.is_empty() {
            self.want(context, steps);
        }
    }

    fn hear(&mut self, heard: Said<'_>, context: &Context<'_>, steps: &mut Vec<Step>) {
        match message_of(heard.text()) {
            Ok(Message::Subscribe(topics)) => self.subscribe(&topics, context, steps),
            Ok(Message::Unsubscribe(topics)) => self.unsubscribe(&topics, context, steps),
            Ok(Message::Ping) => steps.push(Step::say(reply::pong(context.now))),
            Err(message) => steps.push(Step::say(reply::error(message, context.now))),
        }
    }

    fn asker(&mut self) -> Option<&mut dyn Ask> {
        None
    }

    fn held_bytes(&self) -> usize {
        self.topics.iter().map(|topic| size_of::<String>() + topic.capacity()).sum()
    }

    fn keep(&mut self) -> Option<Kept> {
        None
    }
}

enum Message {
    Subscribe(Vec<String>),
    Unsubscribe(Vec<String>),
    Ping,
}

fn message_of(text: &str) -> Result<Message, &'static str> {
    if serde_json::from_str::<&RawValue>(text).is_err() {
        return Err("Invalid JSON");
    }
    let members = json::members(text).map_err(|_| "Message must be a JSON object")?;
    let kind = json::member(&members, "type").and_then(json::text_of);
    match kind.as_deref() {
        Some("subscribe") => topics_of(&members).map(Message::Subscribe),
        Some("unsubscribe") => topics_of(&members).map(Message::Unsubscribe),
        Some("ping") => Ok(Message::Ping),
        _ => Err("Unknown message type"),
    }
}

/// The topics that a message names; elements that are no strings name nothing.
fn topics_of(members: &json::Members<'_>) -> Result<Vec<String>, &'static str> {
    let Some(raw) = json::member(members, "topics") else { return Ok(Vec::new()) };
    let list: Vec<&RawValue> =
        serde_json::from_str(raw.get()).map_err(|_| "Topics must be a list")?;
    Ok(list.into_iter().filter_map(json::text_of).collect())
}
