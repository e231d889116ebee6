//! `kind = "peat"`: changes of a peat-node's documents, over its `Subscribe` call in the Connect protocol.
//!
//! A change is an envelope: flags, length, and JSON (`../shared/spec/sources.md`). Invariants: an envelope that is larger than a message may be ends the connection, as nothing behind it can be trusted; what the far end
//! says at the end of its stream is the fault's reason. A peat-node has no positions: who is connected again is told the present state of the collections that are named, and what was deleted meanwhile is a gap.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;
use ureq::http::HeaderName;
use ureq::http::HeaderValue;

use super::connector::Batch;
use super::connector::Connected;
use super::connector::Connector;
use super::connector::Fault;
use super::connector::FaultKind;
use super::connector::Gap;
use super::connector::Message;
use super::connector::Resume;
use super::kind::Kind;
use super::kind::Setting;
use super::kind::Takes;
use super::kind::Unfit;
use super::kind::Values;
use super::pull::Asking;
use super::pull::CA_FILE;
use super::pull::HEADERS;
use super::pull::Stream;
use super::pull::TOKEN_FILE;
use super::pull::Take;
use crate::limits::SOURCE_MESSAGE_BYTES_MAX;

pub(super) static KIND: Kind = Kind {
    name: "peat",
    doc: "Changes of a peat-node's documents: its call `Subscribe`, over HTTP/1.1 in the Connect protocol. The payload is the change (`collection`, `docId`, `changeType`, `jsonData`), the subject its collection, the key its document.",
    settings: &[
        Setting {
            name: "url",
            takes: Takes::Required,
            doc: "Where the node is: `http://127.0.0.1:50051`.",
        },
        Setting {
            name: "collections",
            takes: Takes::List,
            doc: "The collections to hear of; their present state is told first. Empty: all, without it.",
        },
        HEADERS,
        TOKEN_FILE,
        CA_FILE,
    ],
    open: |values| Ok(Box::new(Peat::new(values)?)),
};

/// What is asked for.
const PATH: &str = "/peat.sidecar.v1.PeatSidecar/Subscribe";
const CONTENT_TYPE: &str = "application/connect+json";
/// Bytes in front of a message: flags, and its length.
const HEAD_BYTES: usize = 5;
/// A flag: the message is compressed. Another: it is the stream's last.
const IS_COMPRESSED: u8 = 0x01;
const IS_END: u8 = 0x02;

/// Hears of changes.
struct Peat {
    stream: Stream,
    held: Envelopes,
    is_again: bool,
}

/// What has come of envelopes and was not handed out.
#[derive(Default)]
struct Envelopes(Vec<u8>);

/// What of a change says what it is about.
#[derive(Deserialize)]
struct Change {
    #[serde(default)]
    collection: String,
    #[serde(default, rename = "docId")]
    document: String,
}

/// The end of a stream.
#[derive(Default, Deserialize)]
struct End {
    error: Option<EndError>,
}

#[derive(Deserialize)]
struct EndError {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

impl Peat {
    fn new(values: &Values) -> Result<Self, Unfit> {
        let wanted = json!({ "collections": values.list("collections") }).to_string();
        let body = envelope(wanted.as_bytes());
        let asking = Asking::new(values, PATH, 0)?.posting(body);
        let stream = Stream::new(asking);
        Ok(Self { stream, held: Envelopes::default(), is_again: false })
    }
}

impl Take for Envelopes {
    fn feed(&mut self, piece: &[u8]) {
        self.0.extend_from_slice(piece);
    }

    fn hand_out(&mut self, batch: &mut Batch) -> Result<(), Fault> {
        let mut at = 0;
        let mut said = Ok(());
        while batch.has_room() {
            let rest = self.0.get(at..).unwrap_or_default();
            match next_envelope(rest) {
                Ok(Some((flags, message))) => {
                    at += HEAD_BYTES + message.len();
                    if flags & IS_END != 0 {
                        said = Err(end_of(message));
                        break;
                    }
                    batch.push(change_of(message));
                }
                Ok(None) => break,
                Err(fault) => {
                    said = Err(fault);
                    break;
                }
            }
        }
        self.0.drain(..at);
        said
    }
}

/// A message in its envelope.
fn envelope(message: &[u8]) -> Bytes {
    let mut out = vec![0];
    let count = u32::try_from(message.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&count.to_be_bytes());
    out.extend_from_slice(message);
    out.into()
}

/// The first message of what was read, and its flags; `None`: it has not come whole.
fn next_envelope(held: &[u8]) -> Result<Option<(u8, &[u8])>, Fault> {
    let Some((&[flags, one, two, three, four], rest)) = held.split_first_chunk::<HEAD_BYTES>()
    else {
        return Ok(None);
    };
    let protocol = |why: String| Fault::new(FaultKind::Protocol, why);
    let count = u32::from_be_bytes([one, two, three, four]) as usize;
    if flags & !IS_END != 0 {
        let what = if flags & IS_COMPRESSED != 0 { "is compressed" } else { "has unknown flags" };
        return Err(protocol(format!("a message {what}, which was not asked for")));
    }
    if count > SOURCE_MESSAGE_BYTES_MAX {
        let most = SOURCE_MESSAGE_BYTES_MAX;
        return Err(protocol(format!("a message has {count} bytes, and may have {most}")));
    }
    Ok(rest.get(..count).map(|message| (flags, message)))
}

fn change_of(message: &[u8]) -> Message {
    let change = serde_json::from_slice::<Change>(message).ok();
    let (subject, key) = match change {
        Some(Change { collection, document }) => {
            (Some(Arc::from(collection)), Some(Bytes::from(document)))
        }
        // The mapping says what is wrong with it.
        None => (None, None),
    };
    Message { subject, key, payload: Bytes::copy_from_slice(message), ..Message::default() }
}

fn end_of(message: &[u8]) -> Fault {
    let end: End = serde_json::from_slice(message).unwrap_or_default();
    let Some(EndError { code, message }) = end.error else {
        return Fault::new(FaultKind::Lost, "the far end has ended its stream");
    };
    let kind = match code.as_str() {
        "unauthenticated" | "permission_denied" => FaultKind::Denied,
        "invalid_argument" | "unimplemented" | "not_found" | "failed_precondition" => {
            FaultKind::Wrong
        }
        _ => FaultKind::Lost,
    };
    Fault::new(kind, format_args!("{code}: {message}"))
}

impl Connector for Peat {
    fn connect(&mut self, _: Option<&Resume>, within: Duration) -> Result<Connected, Fault> {
        let further = [
            (hyper::header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE)),
            (HeaderName::from_static("connect-protocol-version"), HeaderValue::from_static("1")),
        ];
        self.stream.connect(&further, CONTENT_TYPE, within)?;
        self.held = Envelopes::default();
        let is_lost = std::mem::replace(&mut self.is_again, true);
        let why = || "nothing says what was deleted while it was not connected".into();
        Ok(Connected { gap: is_lost.then(|| Gap { messages: 0, why: why() }) })
    }

    fn fetch(&mut self, batch: &mut Batch, within: Duration) -> Result<(), Fault> {
        self.stream.fetch(&mut self.held, batch, within)
    }

    fn stored(&mut self, _: Duration) -> Result<(), Fault> {
        Ok(())
    }

    fn lag(&self) -> Option<u64> {
        None
    }

    fn close(&mut self, _: Duration) {
        self.stream.close();
        self.held = Envelopes::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_has_come_when_all_of_it_has() {
        let change = br#"{"collection":"p","docId":"d0","changeType":"CHANGE_TYPE_DELETE"}"#;
        let whole = [&envelope(change)[..], &[2, 0, 0, 0, 2, b'{', b'}']].concat();
        for cut in 0..HEAD_BYTES + change.len() {
            assert_eq!(next_envelope(&whole[..cut]), Ok(None), "{cut}");
        }
        assert_eq!(next_envelope(&whole), Ok(Some((0, &change[..]))));
        let message = change_of(change);
        assert_eq!(
            (message.subject.as_deref(), message.key.as_deref()),
            (Some("p"), Some(&b"d0"[..]))
        );
        let end = &whole[HEAD_BYTES + change.len()..];
        assert_eq!(next_envelope(end), Ok(Some((2, &b"{}"[..]))));
        assert_eq!(end_of(b"{}").kind, FaultKind::Lost);
        assert_eq!(end_of(br#"{"error":{"code":"unauthenticated"}}"#).kind, FaultKind::Denied);
        assert_eq!(end_of(br#"{"error":{"code":"invalid_argument"}}"#).kind, FaultKind::Wrong);
    }

    #[test]
    fn what_is_no_envelope_ends_the_connection() {
        for bytes in [[1, 0, 0, 0, 0], [4, 0, 0, 0, 0], [0, 0xff, 0, 0, 0], *b"HTTP/"] {
            assert_eq!(next_envelope(&bytes).unwrap_err().kind, FaultKind::Protocol, "{bytes:?}");
        }
    }
}
