//! How a subject is spoken to: what a subscriber says to join, what shows that it has, and how an event is published.
//!
//! A speech is plain data, made by a file in `subject/` and carried to the worker and publisher processes.
//! Invariant: whatever differs between subjects is in here; worker and publisher know no subject by name.

use crate::mqtt;

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
    /// MQTT's packets, without HTTP before them.
    Packets,
}

/// What a subscriber says after the handshake.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Tongue {
    /// The templates, as text messages.
    #[default]
    Text,
    /// The same as binary messages.
    Binary,
    /// MQTT's packets, as binary messages or as they are; `join` is the client's name.
    Mqtt,
}

/// What shows that a subscriber hears everything from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Joined {
    /// The handshake was answered.
    Upgraded,
    /// The subject said something that contains this.
    Says(String),
    /// MQTT's SUBACK.
    Acknowledged,
}

/// What a subscriber says. In `path` and `join`, `{topic}` is the first topic's name, `{numbers}` the topics' numbers
/// joined by commas, `{names}` their names likewise, `{topics}` their names as a JSON list, `{query}` the same as members of a query, `{index}` the subscriber's number and `{filter}` what the
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
    pub(crate) tongue: Tongue,
    /// Of MQTT: the quality of service that is asked for.
    pub(crate) qos: u8,
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
    /// MQTT over TCP: PUBLISH with this quality of service, 0 or 1.
    Mqtt { qos: u8 },
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
    /// A WebSocket that hears everything it asks for in `path` as soon as it is open.
    pub(crate) fn websocket(addr: SocketAddr, path: &str, topic: &str) -> Self {
        Self {
            addr,
            framing: Framing::WebSocket,
            path: path.to_owned(),
            protocol: None,
            deflate: false,
            join: String::new(),
            join_each: String::new(),
            join_end: String::new(),
            joined: Joined::Upgraded,
            refusal: None,
            tongue: Tongue::Text,
            qos: 0,
            topic: topic.to_owned(),
        }
    }

    /// The same for an event stream.
    pub(crate) fn stream(addr: SocketAddr, path: &str, topic: &str) -> Self {
        Self { framing: Framing::Stream, ..Self::websocket(addr, path, topic) }
    }

    /// MQTT over WebSocket.
    pub(crate) fn mqtt(addr: SocketAddr, path: &str, topic: &str) -> Self {
        Self {
            protocol: Some(mqtt::PROTOCOL.to_owned()),
            join: "fanwire-load-{index}".to_owned(),
            joined: Joined::Acknowledged,
            tongue: Tongue::Mqtt,
            ..Self::websocket(addr, path, topic)
        }
    }

    /// MQTT over TCP, with this quality of service.
    pub(crate) fn packets(addr: SocketAddr, topic: &str, qos: u8) -> Self {
        Self { framing: Framing::Packets, protocol: None, qos, ..Self::mqtt(addr, "", topic) }
    }

    /// NATS over WebSocket.
    pub(crate) fn nats(addr: SocketAddr, path: &str, topic: &str) -> Self {
        Self {
            join: "CONNECT {\"verbose\":false,\"pedantic\":false}\r\n".to_owned(),
            // A second SUB with the number of the first would be passed over.
            join_each: "SUB {topic} {numbers}\r\n".to_owned(),
            join_end: "PING\r\n".to_owned(),
            joined: Joined::Says("PONG".to_owned()),
            refusal: Some("-ERR".to_owned()),
            tongue: Tongue::Binary,
            ..Self::websocket(addr, path, topic)
        }
    }

    /// A topic's name.
    pub(crate) fn topic_name(&self, topic: u32) -> String {
        topic_name(&self.topic, topic)
    }

    /// A template for one subscriber.
    pub(crate) fn fill(&self, template: &str, index: u32, topics: &[u32], filter: &str) -> String {
        let first = topics.first().map(|&topic| self.topic_name(topic)).unwrap_or_default();
        let names: Vec<String> = topics.iter().map(|&topic| self.topic_name(topic)).collect();
        let quoted: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
        let query: Vec<String> = names.iter().map(|name| format!("topic={name}")).collect();
        let numbers: Vec<String> = topics.iter().map(u32::to_string).collect();
        template
            .replace("{topic}", &first)
            .replace("{topics}", &format!("[{}]", quoted.join(",")))
            .replace("{names}", &names.join(","))
            .replace("{query}", &query.join("&"))
            .replace("{numbers}", &numbers.join(","))
            .replace("{index}", &index.to_string())
            .replace("{filter}", filter)
    }

    /// Everything that one subscriber says after the handshake.
    pub(crate) fn joins(&self, index: u32, topics: &[u32], filter: &str) -> Vec<Vec<u8>> {
        if self.tongue == Tongue::Mqtt {
            let names: Vec<String> = topics.iter().map(|&topic| self.topic_name(topic)).collect();
            let client = self.fill(&self.join, index, topics, filter);
            return vec![mqtt::connect(&client), mqtt::subscribe(&names, self.qos)];
        }
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
        said.into_iter().map(String::into_bytes).collect()
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
        let addr = SocketAddr::from(([127, 0, 0, 1], 1));
        Listen {
            join: "{\"topics\":{topics},\"who\":{index}{filter}}".to_owned(),
            join_each: "SUB {topic}".to_owned(),
            join_end: "PING".to_owned(),
            ..Listen::websocket(addr, "/t/{numbers}", "bench/{n}")
        }
    }

    #[test]
    fn each_subscription_of_a_nats_client_has_a_number_of_its_own() {
        let it = Listen::nats(SocketAddr::from(([127, 0, 0, 1], 1)), "/", "bench.{n}");
        let said = it.joins(7, &[3, 5], "");
        assert_eq!(said[1..3], [b"SUB bench.3 3\r\n", b"SUB bench.5 5\r\n"]);
    }

    #[test]
    fn mqtt_says_packets() {
        let it = Listen::mqtt(SocketAddr::from(([127, 0, 0, 1], 1)), "/", "bench/{n}");
        let said = it.joins(7, &[3, 5], "");
        assert_eq!(said.len(), 2);
        assert!(said[0].ends_with(b"fanwire-load-7"));
        assert!(said[1].ends_with(b"bench/3\0\0\x07bench/5\0"));
    }

    #[test]
    fn templates_are_filled() {
        let it = listen();
        assert_eq!(it.fill(&it.path, 0, &[3, 5], ""), "/t/3,5");
        assert_eq!(it.fill("?in={names}", 0, &[3, 5], ""), "?in=bench/3,bench/5");
        assert_eq!(it.fill("?{query}", 0, &[3, 5], ""), "?topic=bench/3&topic=bench/5");
        let said = it.joins(7, &[3, 5], ",\"filter\":1");
        let said: Vec<_> = said.iter().map(|it| String::from_utf8_lossy(it)).collect();
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
