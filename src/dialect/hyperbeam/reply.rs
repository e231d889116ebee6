//! What the device says besides messages: welcome, answers, errors, and what it says of itself over HTTP.
//!
//! Every text is one JSON object with the members in the order of the specification's table.

use crate::clock::Now;
use crate::dialect::json;

const SUBSCRIBED: &str = "Successfully subscribed";
const ALREADY: &str = "Already subscribed to all requested topics";
const UNSUBSCRIBED: &str = "Successfully unsubscribed";
const NOT_SUBSCRIBED: &str = "Not subscribed to any of the requested topics";

/// A text that is being written.
struct Text(Vec<u8>);

impl Text {
    fn of_type(kind: &str) -> Self {
        let mut text = Self(Vec::with_capacity(128));
        text.0.extend_from_slice(br#"{"type":"#);
        json::string(kind, &mut text.0);
        text
    }

    fn message(mut self, message: &str) -> Self {
        self.0.extend_from_slice(br#","message":"#);
        json::string(message, &mut self.0);
        self
    }

    fn topics(mut self, member: &str, topics: &[String]) -> Self {
        self.0.push(b',');
        json::string(member, &mut self.0);
        self.0.push(b':');
        json::strings(topics.iter().map(String::as_str), &mut self.0);
        self
    }

    fn at(mut self, now: Now) -> Box<[u8]> {
        self.0.extend_from_slice(br#","timestamp":"#);
        json::number(now.wall_us / 1000, &mut self.0);
        self.0.push(b'}');
        self.0.into()
    }
}

pub(super) fn established(topics: &[String], now: Now) -> Box<[u8]> {
    Text::of_type("connection_established").topics("subscribed_topics", topics).at(now)
}

pub(super) fn subscribed(new: &[String], all: &[String], now: Now) -> Box<[u8]> {
    let text = Text::of_type("subscription_response");
    let text = if new.is_empty() {
        text.message(ALREADY)
    } else {
        text.message(SUBSCRIBED).topics("new_topics", new)
    };
    text.topics("subscribed_topics", all).at(now)
}

pub(super) fn unsubscribed(removed: &[String], all: &[String], now: Now) -> Box<[u8]> {
    let text = Text::of_type("unsubscription_response");
    let text = if removed.is_empty() {
        text.message(NOT_SUBSCRIBED)
    } else {
        text.message(UNSUBSCRIBED).topics("removed_topics", removed)
    };
    text.topics("subscribed_topics", all).at(now)
}

pub(super) fn pong(now: Now) -> Box<[u8]> {
    Text::of_type("pong").at(now)
}

pub(super) fn error(message: &str, now: Now) -> Box<[u8]> {
    Text::of_type("error").message(message).at(now)
}

/// The body of `GET /~websocket@1.0/info`.
pub(super) fn info(host: &str, topics: &[String]) -> Vec<u8> {
    let mut text = Vec::with_capacity(192);
    text.extend_from_slice(br#"{"uri":"#);
    json::string(&format!("ws://{host}/ws"), &mut text);
    text.extend_from_slice(br#","topics":"#);
    json::strings(topics.iter().map(String::as_str), &mut text);
    text.extend_from_slice(
        br#","device":"websocket@1.0","description":"Topics over WebSocket: subscribe at uri, publish with cast."}"#,
    );
    text
}
