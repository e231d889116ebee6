//! `kind = "http"`: a stream of events that is asked for over HTTP: server-sent events, or lines of JSON.
//!
//! Invariant: with ids the far end is asked to go on behind the last one whose event is stored (`Last-Event-ID`); without, whoever is asked again may have left something out, and that is a gap.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ureq::http::HeaderName;
use ureq::http::HeaderValue;

use super::connector::Batch;
use super::connector::Connected;
use super::connector::Connector;
use super::connector::Fault;
use super::connector::FaultKind;
use super::connector::Gap;
use super::connector::Message;
use super::connector::MessageId;
use super::connector::Resume;
use super::kind::Kind;
use super::kind::Setting;
use super::kind::Takes;
use super::kind::Unfit;
use super::kind::Values;
use super::lines::Line;
use super::lines::Lines;
use super::pull::Asking;
use super::pull::CA_FILE;
use super::pull::HEADERS;
use super::pull::Stream;
use super::pull::TOKEN_FILE;
use super::pull::Take;
use super::sse::Sse;
use super::sse::SseEvent;

pub(super) static KIND: Kind = Kind {
    name: "http",
    doc: "A stream over HTTP: server-sent events, whose subject is the event's type, or lines of JSON (NDJSON). It is encrypted unless the far end is on this machine. Where events have ids, their position is kept, the far end is asked to go on behind it (`Last-Event-ID`), and what it says again is recognised.",
    settings: &[
        Setting {
            name: "url",
            takes: Takes::Required,
            doc: "Where to ask: `https://…`, or `http://127.0.0.1:…`.",
        },
        Setting {
            name: "format",
            takes: Takes::Word { of: &["sse", "ndjson"] },
            doc: "What is answered.",
        },
        Setting {
            name: "at_end",
            takes: Takes::Word { of: &["again", "rest"] },
            doc: "What to do when the answer has ended: ask again, or never.",
        },
        Setting {
            name: "idle_s",
            takes: Takes::Number { min: 0, max: 86_400, default: 60, unit: "seconds" },
            doc: "After how long without a byte the connection counts as lost; 0: never.",
        },
        HEADERS,
        TOKEN_FILE,
        CA_FILE,
    ],
    open: |values| Ok(Box::new(Http::new(values)?)),
};

/// Asks for a stream.
struct Http {
    stream: Stream,
    reader: Reader,
    rests_at_end: bool,
    /// It was connected before.
    is_again: bool,
}

/// Makes messages of what is answered.
#[derive(Default)]
struct Reader {
    is_sse: bool,
    lines: Lines,
    sse: Sse,
}

impl Http {
    fn new(values: &Values) -> Result<Self, Unfit> {
        Ok(Self {
            stream: Stream::new(Asking::new(values, "", values.number("idle_s"))?),
            reader: Reader { is_sse: values.text("format") == "sse", ..Reader::default() },
            rests_at_end: values.text("at_end") == "rest",
            is_again: false,
        })
    }

    fn ended(&self, fault: Fault) -> Fault {
        match self.rests_at_end && fault.kind == FaultKind::Lost {
            true => Fault { kind: FaultKind::Ended, ..fault },
            false => fault,
        }
    }
}

impl Take for Reader {
    fn feed(&mut self, piece: &[u8]) {
        self.lines.feed(piece);
    }

    fn hand_out(&mut self, batch: &mut Batch) -> Result<(), Fault> {
        let before = self.sse.last_id().to_owned();
        while batch.has_room()
            && let Some(line) = self.lines.next()
        {
            match (line, self.is_sse) {
                (Line::Whole { bytes, .. }, true) => {
                    if let Some(event) = self.sse.line(bytes) {
                        put_event(event, batch);
                    }
                }
                (Line::Whole { bytes, .. }, false) if bytes.trim_ascii().is_empty() => {}
                (Line::Whole { bytes, .. }, false) => {
                    let payload = Bytes::copy_from_slice(bytes);
                    batch.push(Message { payload, ..Message::default() });
                }
                (Line::TooLong { at }, _) => {
                    let why = "the line is too long".to_owned();
                    batch.push_unusable(format!("byte {at} of the answer"), why);
                }
            }
        }
        if self.sse.last_id() != before {
            batch.goes_on_from(Resume(self.sse.last_id().as_bytes().into()));
        }
        Ok(())
    }
}

fn put_event(event: SseEvent, batch: &mut Batch) {
    let SseEvent { kind, data, id, is_cut } = event;
    if is_cut {
        let at = id.map_or_else(|| "an event".to_owned(), |id| format!("the event `{id}`"));
        return batch.push_unusable(at, "the event is too large".to_owned());
    }
    batch.push(Message {
        subject: Some(kind.map_or_else(|| Arc::from("message"), Arc::from)),
        payload: data.into(),
        id: id.map(|id| MessageId::new(id.as_bytes())),
        ..Message::default()
    });
}

impl Connector for Http {
    fn connect(&mut self, from: Option<&Resume>, within: Duration) -> Result<Connected, Fault> {
        let is_sse = self.reader.is_sse;
        let last_id = from.map(|resume| String::from_utf8_lossy(&resume.0).into_owned());
        let last_id = last_id.filter(|_| is_sse).unwrap_or_default();
        let (accept, content_type) = match is_sse {
            true => ("text/event-stream", "text/event-stream"),
            false => ("application/x-ndjson, application/json", ""),
        };
        let mut further = vec![(hyper::header::ACCEPT, HeaderValue::from_static(accept))];
        if !last_id.is_empty() {
            let value = HeaderValue::from_bytes(last_id.as_bytes());
            let value = value.map_err(|error| Fault::new(FaultKind::Protocol, error))?;
            further.push((HeaderName::from_static("last-event-id"), value));
        }
        self.stream.connect(&further, content_type, within)?;
        self.reader = Reader { is_sse, lines: Lines::default(), sse: Sse::after(&last_id) };
        let is_lost = std::mem::replace(&mut self.is_again, true) && last_id.is_empty();
        let why = || "nothing says what came while it was not connected".into();
        Ok(Connected { gap: is_lost.then(|| Gap { messages: 0, why: why() }) })
    }

    fn fetch(&mut self, batch: &mut Batch, within: Duration) -> Result<(), Fault> {
        self.stream.fetch(&mut self.reader, batch, within).map_err(|fault| {
            // A last line without an end counts; an event without one does not.
            if !self.reader.is_sse
                && let Some(Line::Whole { bytes, .. }) = self.reader.lines.end()
            {
                let payload = Bytes::copy_from_slice(bytes);
                batch.push(Message { payload, ..Message::default() });
            }
            self.ended(fault)
        })
    }

    fn stored(&mut self, _: Duration) -> Result<(), Fault> {
        Ok(())
    }

    fn lag(&self) -> Option<u64> {
        None
    }

    fn close(&mut self, _: Duration) {
        self.stream.close();
    }
}
