//! What the server says, taken apart just far enough to know where it stands, to hand it on and to print it.
//!
//! A printed line is the message as it came, member for member and byte for byte, but for `subs`: there is one subscription. Members that
//! this client does not know are printed too. Pure.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::Deserializer;
use serde::de::MapAccess;
use serde::de::Visitor;
use serde_json::value::RawValue;

use crate::client::position::Position;
use crate::client::told::Event;
use crate::client::told::Gap;
use crate::client::told::Skipped;
use crate::client::told::Told;

/// What a subscription or a request is called.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(crate) enum Id {
    Number(u64),
    Text(String),
}

/// One message.
#[derive(Debug)]
pub(crate) enum Message<'a> {
    Welcome {
        epoch: String,
    },
    /// One event, gap or skipped, or the events of a batch.
    Told(Vec<RawTold<'a>>),
    /// A subscription has been agreed to.
    Agreed {
        id: Id,
    },
    Live {
        id: Id,
        position: Position,
        replayed: u64,
    },
    Updated {
        id: Id,
    },
    /// A subscription has ended; with a reason if the client did not ask for it.
    Ended {
        id: Id,
        reason: Option<String>,
    },
    /// `published`, `pong` or `authenticated`: the answer to a request, if it had an id.
    Answer {
        id: Option<Id>,
        answer: Answer,
    },
    TokenExpiring,
    Error {
        id: Option<Id>,
        error: ClientError,
    },
    /// The server stops: come back after so many milliseconds.
    Reconnect {
        after_ms: u64,
    },
    /// Something that this client does not know.
    Other,
}

/// What a request is answered with; what an answer does not say is empty or 0.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Answer {
    pub(crate) topic: String,
    pub(crate) epoch: String,
    pub(crate) offset: u64,
    pub(crate) time_us: u64,
}

/// What a subscription is told, as it came.
#[derive(Debug)]
pub(crate) struct RawTold<'a> {
    pub(crate) kind: Kind,
    /// Empty for what is about no topic alone.
    pub(crate) topic: Cow<'a, str>,
    /// The event's, or the last one of the gap; 0 where there is none.
    pub(crate) offset: u64,
    members: Members<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Event,
    Gap,
    Skipped,
}

/// Something that the server refused, or that can no longer be answered.
///
/// `code` is one of the protocol's ([native](../../docs/dialects/native.md#error)), or `connection_lost` (sent, not answered: it may have been done or not),
/// `closed`, `queue_full`, `unsubscribed`, `token` (a subscription that a new token does not cover).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ClientError {
    /// What it is about, for programs.
    pub code: String,
    /// The member that is at fault, if one is.
    #[serde(default)]
    pub field: Option<Box<str>>,
    /// What it is about, for people.
    pub message: Box<str>,
}

impl ClientError {
    pub(crate) fn new(code: &str, message: impl Into<Box<str>>) -> Self {
        Self { code: code.to_owned(), field: None, message: message.into() }
    }

    pub(crate) fn closed() -> Self {
        Self::new("closed", "the client is closed")
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.field {
            Some(field) => write!(f, "{field}: {} ({})", self.message, self.code),
            None => write!(f, "{} ({})", self.message, self.code),
        }
    }
}

impl std::error::Error for ClientError {}

/// A message is not what the protocol's page says.
#[derive(Debug)]
pub(crate) struct NotProtocol(serde_json::Error);

impl fmt::Display for NotProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a message is not of the protocol fanwire.v1: {}", self.0)
    }
}

impl std::error::Error for NotProtocol {}

impl From<serde_json::Error> for NotProtocol {
    fn from(error: serde_json::Error) -> Self {
        Self(error)
    }
}

impl<'a> Message<'a> {
    /// Takes a message apart.
    pub(crate) fn parse(text: &'a [u8]) -> Result<Self, NotProtocol> {
        let members: Members<'a> = serde_json::from_slice(text)?;
        let kind: Cow<'_, str> = members.text("type")?;
        match &*kind {
            "event" => Ok(Self::Told(vec![RawTold::new(Kind::Event, members)?])),
            "gap" => Ok(Self::Told(vec![RawTold::new(Kind::Gap, members)?])),
            "skipped" => Ok(Self::Told(vec![RawTold::new(Kind::Skipped, members)?])),
            "batch" => {
                let events: Vec<Members<'a>> = serde_json::from_str(members.required("events")?)?;
                Ok(Self::Told(
                    events
                        .into_iter()
                        .map(|event| RawTold::new(Kind::Event, event))
                        .collect::<Result<_, _>>()?,
                ))
            }
            "welcome" => Ok(Self::Welcome { epoch: members.text("epoch")?.into_owned() }),
            "subscribed" => Ok(Self::Agreed { id: members.id()? }),
            "updated" => Ok(Self::Updated { id: members.id()? }),
            "unsubscribed" => {
                Ok(Self::Ended { id: members.id()?, reason: members.optional("reason")? })
            }
            "live" => Ok(Self::Live {
                id: members.id()?,
                position: Position {
                    epoch: members.text("epoch")?.into_owned(),
                    offsets: serde_json::from_str(members.required("offsets")?)?,
                    time_us: members.optional("time_us")?,
                    filter_changed: false,
                },
                replayed: members.optional("replayed")?.unwrap_or(0),
            }),
            "published" | "pong" | "authenticated" => Ok(Self::Answer {
                id: members.optional("id")?,
                answer: serde_json::from_slice(text)?,
            }),
            "token_expiring" => Ok(Self::TokenExpiring),
            "reconnect" => Ok(Self::Reconnect {
                after_ms: serde_json::from_str(members.required("after_ms")?)?,
            }),
            "error" => Ok(Self::Error {
                id: members.optional("id")?,
                error: serde_json::from_slice(text)?,
            }),
            _ => Ok(Self::Other),
        }
    }
}

impl<'a> RawTold<'a> {
    fn new(kind: Kind, members: Members<'a>) -> Result<Self, NotProtocol> {
        let (topic, offset) = match kind {
            Kind::Event => {
                (members.text("topic")?, serde_json::from_str(members.required("offset")?)?)
            }
            Kind::Gap => (members.text("topic")?, serde_json::from_str(members.required("to")?)?),
            Kind::Skipped => (Cow::Borrowed(""), 0),
        };
        Ok(Self { kind, topic, offset, members })
    }

    /// The subscriptions that it is for.
    pub(crate) fn subs(&self) -> Result<Vec<Id>, NotProtocol> {
        Ok(serde_json::from_str(self.members.required("subs")?)?)
    }

    /// The message as a value.
    pub(crate) fn value(&self) -> Result<Told, NotProtocol> {
        let members = &self.members;
        let number = |name| Ok::<u64, NotProtocol>(serde_json::from_str(members.required(name)?)?);
        Ok(match self.kind {
            Kind::Event => Told::Event(Event {
                topic: self.topic.clone().into_owned(),
                key: members.optional("key")?.unwrap_or_default(),
                op: members.text("op")?.into_owned(),
                offset: self.offset,
                time_us: number("time_us")?,
                payload: RawValue::from_string(members.required("payload")?.to_owned())?,
            }),
            Kind::Gap => Told::Gap(Gap {
                topic: self.topic.clone().into_owned(),
                from: number("from")?,
                to: self.offset,
                reason: members.text("reason")?.into_owned(),
            }),
            Kind::Skipped => Told::Skipped(Skipped {
                count: number("count")?,
                from_us: number("from_us")?,
                to_us: number("to_us")?,
            }),
        })
    }

    /// Appends it as one line of JSON.
    pub(crate) fn print(&self, line: &mut Vec<u8>) {
        line.extend_from_slice(match self.kind {
            Kind::Event => br#"{"type":"event""#,
            Kind::Gap => br#"{"type":"gap""#,
            Kind::Skipped => br#"{"type":"skipped""#,
        });
        for (name, value) in &self.members.0 {
            if name == "type" || name == "subs" {
                continue;
            }
            line.push(b',');
            line.extend_from_slice(serde_json::Value::from(&**name).to_string().as_bytes());
            line.push(b':');
            // A payload may have been published over several lines; outside of strings JSON does not tell a line's end from a space,
            // and inside of them it allows none.
            line.extend(
                value.get().bytes().map(|b| if matches!(b, b'\n' | b'\r') { b' ' } else { b }),
            );
        }
        line.extend_from_slice(b"}\n");
    }
}

/// The members of an object, in their order.
#[derive(Debug)]
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Members<'a> {
    fn raw(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.get())
    }

    fn required(&self, name: &'static str) -> Result<&'a str, NotProtocol> {
        self.raw(name).ok_or_else(|| NotProtocol(serde::de::Error::missing_field(name)))
    }

    fn optional<T: serde::de::DeserializeOwned>(
        &self,
        name: &str,
    ) -> Result<Option<T>, NotProtocol> {
        Ok(self.raw(name).map(serde_json::from_str).transpose()?)
    }

    fn id(&self) -> Result<Id, NotProtocol> {
        Ok(serde_json::from_str(self.required("id")?)?)
    }

    fn text(&self, name: &'static str) -> Result<Cow<'a, str>, NotProtocol> {
        Ok(serde_json::from_str::<Text<'a>>(self.required(name)?)?.0)
    }
}

/// A string that is borrowed where it needs no unescaping.
#[derive(Deserialize, Hash, PartialEq, Eq)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::with_capacity(8);
                while let Some((Text(name), value)) = map.next_entry()? {
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(text: &str) -> Vec<String> {
        let Message::Told(told) = Message::parse(text.as_bytes()).unwrap() else {
            panic!("{text} tells nothing")
        };
        let mut lines = Vec::new();
        told.iter().for_each(|told| told.print(&mut lines));
        String::from_utf8(lines).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn an_event_is_printed_as_it_came_but_for_its_subs() {
        let text = r#"{"type":"event","subs":[1],"topic":"a/b","key":"k\u00e9","op":"upsert","offset":4,"time_us":9,"payload":{"n":1.50, "s":"x\ny"}}"#;
        let line = r#"{"type":"event","topic":"a/b","key":"k\u00e9","op":"upsert","offset":4,"time_us":9,"payload":{"n":1.50, "s":"x\ny"}}"#;
        assert_eq!(printed(text), [line]);
        let several =
            "{\"type\":\"event\",\"topic\":\"t\",\"offset\":1,\"payload\":{\r\n  \"a\": 1\n}}";
        assert_eq!(
            printed(several),
            ["{\"type\":\"event\",\"topic\":\"t\",\"offset\":1,\"payload\":{    \"a\": 1 }}"]
        );
    }

    #[test]
    fn a_batch_is_one_line_an_event() {
        let text = r#"{"type":"batch","events":[{"subs":[1],"topic":"t","offset":1,"payload":{}},{"subs":[1],"topic":"u","offset":2,"payload":{"type":"x"}}]}"#;
        let lines = [
            r#"{"type":"event","topic":"t","offset":1,"payload":{}}"#,
            r#"{"type":"event","topic":"u","offset":2,"payload":{"type":"x"}}"#,
        ];
        assert_eq!(printed(text), lines);
    }

    #[test]
    fn what_is_missing_is_printed_too() {
        let gap =
            r#"{"type":"gap","subs":["map"],"topic":"t","from":17,"to":40,"reason":"evicted"}"#;
        assert_eq!(
            printed(gap),
            [r#"{"type":"gap","topic":"t","from":17,"to":40,"reason":"evicted"}"#]
        );
        let Message::Told(told) = Message::parse(gap.as_bytes()).unwrap() else { panic!("a gap") };
        assert_eq!((told[0].kind, &*told[0].topic, told[0].offset), (Kind::Gap, "t", 40));
        let skipped = r#"{"type":"skipped","subs":["map"],"count":120,"from_us":1,"to_us":2}"#;
        assert_eq!(printed(skipped), [r#"{"type":"skipped","count":120,"from_us":1,"to_us":2}"#]);
    }

    #[test]
    fn the_other_messages() {
        let live =
            br#"{"type":"live","id":1,"epoch":"e","offsets":{"t":4},"time_us":9,"replayed":40}"#;
        let Message::Live { position, replayed, .. } = Message::parse(live).unwrap() else {
            panic!("live")
        };
        assert_eq!(
            (position.epoch.as_str(), position.offsets["t"], position.time_us, replayed),
            ("e", 4, Some(9), 40)
        );
        let error = br#"{"type":"error","code":"bad_filter","field":"filter","message":"unexpected `<` at byte 4","id":1}"#;
        let Message::Error { error, .. } = Message::parse(error).unwrap() else { panic!("error") };
        assert_eq!(error.to_string(), "filter: unexpected `<` at byte 4 (bad_filter)");
        assert!(matches!(
            Message::parse(br#"{"type":"subscribed","id":1}"#).unwrap(),
            Message::Agreed { id: Id::Number(1) }
        ));
        let ended = br#"{"type":"unsubscribed","id":"map","reason":"token","later":{}}"#;
        let Message::Ended { id, reason } = Message::parse(ended).unwrap() else { panic!("ended") };
        assert_eq!((id, reason.as_deref()), (Id::Text("map".to_owned()), Some("token")));
        let pong = br#"{"type":"pong","time_us":7}"#;
        let Message::Answer { id, answer } = Message::parse(pong).unwrap() else { panic!("pong") };
        assert_eq!((id, answer.time_us), (None, 7));
        assert!(matches!(Message::parse(br#"{"type":"news"}"#).unwrap(), Message::Other));
        for text in [
            "",
            "[]",
            "{}",
            r#"{"type":1}"#,
            r#"{"type":"event","topic":"t"}"#,
            r#"{"type":"welcome"}"#,
        ] {
            assert!(Message::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
