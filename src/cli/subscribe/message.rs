//! What the server says, taken apart just far enough to print it and to know where it stands.
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

use crate::cli::subscribe::position::Position;

/// One message.
#[derive(Debug)]
pub(crate) enum Message<'a> {
    Welcome {
        epoch: String,
    },
    /// One event, gap or skipped, or the events of a batch.
    Told(Vec<Told<'a>>),
    Live {
        position: Position,
        replayed: u64,
    },
    Error(ServerError),
    /// The server stops: come back after so many milliseconds.
    Reconnect {
        after_ms: u64,
    },
    /// An answer that needs no reaction.
    Other,
}

/// Something to be printed.
#[derive(Debug)]
pub(crate) struct Told<'a> {
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

/// The server's objection.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct ServerError {
    pub(crate) code: String,
    #[serde(default)]
    pub(crate) field: Option<String>,
    pub(crate) message: String,
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.field {
            Some(field) => write!(f, "{field}: {} ({})", self.message, self.code),
            None => write!(f, "{} ({})", self.message, self.code),
        }
    }
}

impl std::error::Error for ServerError {}

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
            "event" => Ok(Self::Told(vec![Told::new(Kind::Event, members)?])),
            "gap" => Ok(Self::Told(vec![Told::new(Kind::Gap, members)?])),
            "skipped" => Ok(Self::Told(vec![Told::new(Kind::Skipped, members)?])),
            "batch" => {
                let events: Vec<Members<'a>> = serde_json::from_str(members.required("events")?)?;
                Ok(Self::Told(
                    events
                        .into_iter()
                        .map(|event| Told::new(Kind::Event, event))
                        .collect::<Result<_, _>>()?,
                ))
            }
            "welcome" => Ok(Self::Welcome { epoch: members.text("epoch")?.into_owned() }),
            "live" => Ok(Self::Live {
                position: Position {
                    epoch: members.text("epoch")?.into_owned(),
                    offsets: serde_json::from_str(members.required("offsets")?)?,
                    time_us: members.raw("time_us").map(serde_json::from_str).transpose()?,
                    filter_changed: false,
                },
                replayed: members
                    .raw("replayed")
                    .map(serde_json::from_str)
                    .transpose()?
                    .unwrap_or(0),
            }),
            "reconnect" => Ok(Self::Reconnect {
                after_ms: serde_json::from_str(members.required("after_ms")?)?,
            }),
            "error" => Ok(Self::Error(serde_json::from_slice(text)?)),
            _ => Ok(Self::Other),
        }
    }
}

impl<'a> Told<'a> {
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
        let Message::Live { position, replayed } = Message::parse(live).unwrap() else {
            panic!("live")
        };
        assert_eq!(
            (position.epoch.as_str(), position.offsets["t"], position.time_us, replayed),
            ("e", 4, Some(9), 40)
        );
        let error = br#"{"type":"error","code":"bad_filter","field":"filter","message":"unexpected `<` at byte 4","id":1}"#;
        let Message::Error(error) = Message::parse(error).unwrap() else { panic!("error") };
        assert_eq!(error.to_string(), "filter: unexpected `<` at byte 4 (bad_filter)");
        assert!(matches!(
            Message::parse(br#"{"type":"subscribed","id":1}"#).unwrap(),
            Message::Other
        ));
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
