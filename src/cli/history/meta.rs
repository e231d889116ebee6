//! What a publisher said of an event besides its payload, as a member of a line of NDJSON: `export` writes it, `import` reads it.
//!
//! Invariant: what was exported comes back byte for byte. Bytes of a dialect's own are Base64, and a publisher, of which all 64 bits count, is hexadecimal.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::Serialize;

use crate::event::Meta;
use crate::event::Origin;
use crate::event::TraceContext;
use crate::limits::META_BYTES_MAX;
use crate::limits::SOURCE_ID_BYTES_MAX;

/// As it stands in a line; what is left out is nothing.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MetaLine {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    publisher: Option<String>,
    #[serde(default)]
    qos: u8,
    #[serde(default)]
    retained: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expiry_s: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    traceparent: Option<String>,
    /// Of which message of which source: the source's number in hexadecimal, and the message's id in Base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    origin: Option<(String, String)>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    properties: String,
}

/// What is wrong with it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum MetaFault {
    Publisher(String),
    QoS(u8),
    Trace(String),
    Origin,
    Properties,
}

impl fmt::Display for MetaFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Publisher(said) => {
                write!(f, "meta.publisher is {said:?}; it is a number of 64 bits in hexadecimal")
            }
            Self::QoS(said) => write!(f, "meta.qos is {said}; it may be 0, 1 or 2"),
            Self::Trace(said) => {
                write!(f, "meta.traceparent is {said:?}, which is none (W3C Trace Context)")
            }
            Self::Origin => write!(
                f,
                "meta.origin must be a number of 64 bits in hexadecimal and Base64 of at most {SOURCE_ID_BYTES_MAX} bytes and 4"
            ),
            Self::Properties => {
                write!(f, "meta.properties must be Base64 of at most {META_BYTES_MAX} bytes")
            }
        }
    }
}

impl MetaLine {
    pub(super) fn of(meta: &Meta) -> Self {
        let Meta { publisher, qos, is_retained, expiry_s, trace, ref origin, ref properties } =
            *meta;
        let of = |origin: &Origin| (format!("{:x}", origin.source), STANDARD.encode(&origin.id));
        Self {
            publisher: (publisher != 0).then(|| format!("{publisher:x}")),
            qos,
            retained: is_retained,
            expiry_s,
            traceparent: trace.map(|trace| trace.to_text()),
            origin: origin.as_deref().map(of),
            properties: STANDARD.encode(properties),
        }
    }

    pub(super) fn read(self) -> Result<Meta, MetaFault> {
        let Self { publisher, qos, retained, expiry_s, traceparent, origin, properties } = self;
        let number = |text: &str| u64::from_str_radix(text, 16).ok();
        let publisher = match publisher {
            None => 0,
            Some(text) => number(&text).ok_or(MetaFault::Publisher(text))?,
        };
        if qos > 2 {
            return Err(MetaFault::QoS(qos));
        }
        let trace = match traceparent {
            None => None,
            Some(text) => {
                let trace = TraceContext::parse(text.as_bytes());
                Some(trace.ok_or(MetaFault::Trace(text))?)
            }
        };
        let origin = match origin {
            None => None,
            Some((source, id)) => {
                let id = STANDARD.decode(id).ok();
                let id = id.filter(|id| id.len() <= SOURCE_ID_BYTES_MAX + 4);
                let origin = number(&source).zip(id);
                let (source, id) = origin.ok_or(MetaFault::Origin)?;
                Some(Box::new(Origin { source, id: id.into() }))
            }
        };
        let properties = STANDARD.decode(properties).ok();
        let properties = properties.filter(|bytes| bytes.len() <= META_BYTES_MAX);
        let properties = properties.ok_or(MetaFault::Properties)?.into();
        Ok(Meta { publisher, qos, is_retained: retained, expiry_s, trace, origin, properties })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_comes_back_and_what_it_cannot_be_is_named() {
        let full = Meta {
            publisher: u64::MAX,
            qos: 2,
            is_retained: true,
            expiry_s: Some(60),
            trace: TraceContext::parse(b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
            origin: Some(Box::new(Origin { source: 16, id: (*b"\xff1").into() })),
            properties: (*b"\x03\x00\xff").into(),
        };
        let text = serde_json::to_string(&MetaLine::of(&full)).unwrap();
        assert_eq!(
            text,
            r#"{"publisher":"ffffffffffffffff","qos":2,"retained":true,"expiry_s":60,"traceparent":"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01","origin":["10","/zE="],"properties":"AwD/"}"#
        );
        for meta in [full, Meta::default()] {
            let text = serde_json::to_string(&MetaLine::of(&meta)).unwrap();
            let line: MetaLine = serde_json::from_str(&text).unwrap();
            assert_eq!(line.read(), Ok(meta), "{text}");
        }
        for (text, wanted) in [
            (r#"{"publisher":"x"}"#, MetaFault::Publisher("x".to_owned())),
            (r#"{"qos":3}"#, MetaFault::QoS(3)),
            (r#"{"traceparent":"00-x"}"#, MetaFault::Trace("00-x".to_owned())),
            (r#"{"origin":["x",""]}"#, MetaFault::Origin),
            (r#"{"origin":["1","?"]}"#, MetaFault::Origin),
            (r#"{"properties":"?"}"#, MetaFault::Properties),
        ] {
            let line: MetaLine = serde_json::from_str(text).unwrap();
            assert_eq!(line.read(), Err(wanted), "{text}");
        }
    }
}
