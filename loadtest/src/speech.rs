//! How a subject is spoken to: what a subscriber says to join, what shows that it has, and how an event is published.
//!
//! A speech is plain data, made by a file in `subject/` and carried to the worker and publisher processes.
//! Invariant: whatever differs between subjects is in here; worker and publisher know no subject by name.

use std::net::SocketAddr;

use serde::Deserialize;
use serde::Serialize;

/// How events come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Framing {
    /// WebSocket frames.
    WebSocket,
    /// A response that does not end; marks are looked for in its bytes.
    Stream,
}

/// What shows that a subscriber hears everything from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Joined {
    /// The handshake was answered.
    Upgraded,
    /// The subject said something that contains this.
    Says(String),
}

/// What a subscriber says. In `path` and `join`, `{topic}` is the first topic's name, `{numbers}` the topics' numbers
/// joined by commas, `{topics}` their names as a JSON list, `{query}` the same as members of a query, `{index}` the subscriber's number and `{filter}` what the
/// scenario gives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Listen {
    pub(crate) addr: SocketAddr,
    pub(crate) framing: Framing,
    pub(crate) path: String,
    pub(crate) protocol: Option<String>,
    pub(crate) deflate: bool,
    /// Said once after the handshake; empty: nothing.
    pub(crate) join: String,
    /// Said after `join` for each topic, with that topic as `{topic}`.
    pub(crate) join_each: String,
    /// Said last.
    pub(crate) join_end: String,
    pub(crate) joined: Joined,
    /// What the subject's answer contains if it will not have the subscriber.
    pub(crate) refusal: Option<String>,
    /// Whether what is said goes as binary messages.
    pub(crate) binary: bool,
    /// How a topic is called: `{n}` is its number.
    pub(crate) topic: String,
}

/// How an event is published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outlet {
    /// `POST path`, kept alive and pipelined. With `lines`, events of one burst for one topic go as one NDJSON body.
    Http { path: String, lines: bool },
    /// A text message for each event; `text` has `{topic}` and `{payload}`.
    WebSocket { path: String, protocol: Option<String>, text: String },
    /// NATS over TCP: `PUB`.
    Nats,
    /// The floor's own: topic number and length, four bytes each, then the message to send on as it is.
    Floor,
}

/// Where and how events go in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Say {
    pub(crate) addr: SocketAddr,
    pub(crate) outlet: Outlet,
    pub(crate) topic: String,
}

impl Listen {
    /// A topic's name.
    pub(crate) fn topic_name(&self, topic: u32) -> String {
        topic_name(&self.topic, topic)
    }

    /// A template for one subscriber.
    pub(crate) fn fill(&self, template: &str, index: u32, topics: &[u32], filter: &str) -> String {
        let first = topics.first().map(|&topic| self.topic_name(topic)).unwrap_or_default();
        let names: Vec<String> =
            topics.iter().map(|&topic| format!("\"{}\"", self.topic_name(topic))).collect();
        let query: Vec<String> =
            topics.iter().map(|&topic| format!("topic={}", self.topic_name(topic))).collect();
        let numbers: Vec<String> = topics.iter().map(u32::to_string).collect();
        template
            .replace("{topic}", &first)
            .replace("{topics}", &format!("[{}]", names.join(",")))
            .replace("{query}", &query.join("&"))
            .replace("{numbers}", &numbers.join(","))
            .replace("{index}", &index.to_string())
            .replace("{filter}", filter)
    }

    /// Everything that one subscriber says after the handshake.
    pub(crate) fn joins(&self, index: u32, topics: &[u32], filter: &str) -> Vec<String> {
        let mut said = Vec::new();
        if !self.join.is_empty() {
            said.push(self.fill(&self.join, index, topics, filter));
        }
        if !self.join_each.is_empty() {
            said.extend(
                topics.iter().map(|topic| self.fill(&self.join_each, index, &[*topic], filter)),
            );
        }
        if !self.join_end.is_empty() {
            said.push(self.fill(&self.join_end, index, topics, filter));
        }
        said
    }
}

/// `template` with the topic's number put in.
pub(crate) fn topic_name(template: &str, topic: u32) -> String {
    template.replace("{n}", &topic.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen() -> Listen {
        Listen {
            addr: SocketAddr::from(([127, 0, 0, 1], 1)),
            framing: Framing::WebSocket,
            path: "/t/{numbers}".to_owned(),
            protocol: None,
            deflate: false,
            join: "{\"topics\":{topics},\"who\":{index}{filter}}".to_owned(),
            join_each: "SUB {topic}".to_owned(),
            join_end: "PING".to_owned(),
            joined: Joined::Upgraded,
            refusal: None,
            binary: false,
            topic: "bench/{n}".to_owned(),
        }
    }

    #[test]
    fn templates_are_filled() {
        let it = listen();
        assert_eq!(it.fill(&it.path, 0, &[3, 5], ""), "/t/3,5");
        assert_eq!(it.fill("?{query}", 0, &[3, 5], ""), "?topic=bench/3&topic=bench/5");
        let said = it.joins(7, &[3, 5], ",\"filter\":1");
        assert_eq!(
            said,
            [
                "{\"topics\":[\"bench/3\",\"bench/5\"],\"who\":7,\"filter\":1}",
                "SUB bench/3",
                "SUB bench/5",
                "PING"
            ]
        );
    }
}
