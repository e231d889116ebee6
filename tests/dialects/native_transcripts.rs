//! The native protocol, conversation by conversation: `tests/fixtures/native` against the core alone and against real servers on every
//! driver, with and without compression. `tests/clients/js/transcripts.test.mjs` runs the same files once more, through Node.

use crate::support::fits::with_tokens_from;
use crate::support::frames::Frame;
use crate::support::link;
use crate::support::link::Core;
use crate::support::link::Host;
use crate::support::link::Real;
use crate::support::script;
use crate::support::script::Names;
use crate::support::script::Transcript;
use crate::support::script::What;
use crate::support::websocket::WebSocket;
use fanwire::config::DriverChoice;

/// What every conversation begins with.
const WELCOME: &str =
    r#"{"type":"welcome","protocol":"fanwire.v1","server":"fanwire/@version","epoch":"@epoch"}"#;

fn open(host: &mut dyn Host, deflate: bool, names: &mut Names) -> WebSocket {
    let mut client = WebSocket::open(host, deflate);
    match client.hear() {
        Some(Frame::Text(text)) if names.matches(WELCOME, &text) => client,
        other => panic!("not welcome: {other:?}"),
    }
}

/// The client, somebody else who publishes, and the server that both are connected to.
///
/// The server goes last: it need not wait for clients that have gone already.
struct Stage<'a> {
    client: WebSocket,
    other: WebSocket,
    names: Names,
    deflate: bool,
    place: String,
    transcript: &'a Transcript,
    host: Box<dyn Host>,
}

impl<'a> Stage<'a> {
    fn new(mut host: Box<dyn Host>, deflate: bool, on: &str, transcript: &'a Transcript) -> Self {
        let mut names = Names::default();
        let client = open(&mut *host, deflate, &mut names);
        let other = open(&mut *host, false, &mut names);
        let place = format!("{}: {} ({on}, deflate {deflate})", transcript.file, transcript.title);
        Self { client, other, names, deflate, place, transcript, host }
    }

    fn play(mut self) {
        let steps = &self.transcript.steps;
        for step in steps {
            let place = format!("{}, line {}", self.place, step.line);
            match &step.what {
                What::Says(text) => {
                    let text = with_tokens_from(text, self.host.now_s());
                    self.say(&self.names.fill(&text), &place);
                }
                What::Hears(expected) => self.hear(expected, &place),
                What::Published { times, topic, key, op, payload } => {
                    for _ in 0..*times {
                        self.publish(topic, key, op.as_deref(), payload, &place);
                    }
                }
                What::Reconnects => {
                    self.client = open(&mut *self.host, self.deflate, &mut self.names);
                }
                What::Happens(what) if what == "the server stops" => self.host.stop(),
                What::Happens(what) if what == "many subscribers fall behind" => self.host.crowd(),
                What::Happens(what) if what == "the client has 64 subscriptions" => {
                    self.subscribe_often(64, &place);
                }
                What::Happens(what) => panic!("{place}: nobody knows how {what:?} is done"),
            }
        }
    }

    fn subscribe_often(&mut self, times: usize, place: &str) {
        for number in 0..times {
            self.client.say(&format!(r#"{{"type":"subscribe","id":"s{number}","topics":["t"]}}"#));
            self.hear(&format!(r#"{{"type":"subscribed","id":"s{number}"}}"#), place);
            self.hear(
                &format!(
                    r#"{{"type":"live","id":"s{number}","epoch":"@epoch","offsets":{{"t":0}},"time_us":@_,"replayed":0}}"#
                ),
                place,
            );
        }
    }

    /// A text message, or what stands before the first space: `close`, `binary`, `ping`, `raw`.
    fn say(&mut self, text: &str, place: &str) {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        match word {
            "close" if rest.is_empty() => self.client.send(8, b""),
            "close" => {
                let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
                let mut payload = code.parse::<u16>().unwrap().to_be_bytes().to_vec();
                payload.extend_from_slice(reason.as_bytes());
                self.client.send(8, &payload);
            }
            "binary" => self.client.send(2, rest.as_bytes()),
            "ping" => self.client.send(9, rest.as_bytes()),
            "raw" => {
                let bytes = rest.split(' ').map(|hex| u8::from_str_radix(hex, 16));
                let bytes: Result<Vec<u8>, _> = bytes.collect();
                self.client.send_raw(&bytes.unwrap_or_else(|e| panic!("{place}: {e}")));
            }
            _ => self.client.say(text),
        }
    }

    fn hear(&mut self, expected: &str, place: &str) {
        let heard = match self.client.hear() {
            Some(Frame::Text(text)) => text,
            Some(Frame::Close(None, _)) => "close".to_owned(),
            Some(Frame::Close(Some(code), reason)) => {
                format!("close {code} {reason}").trim_end().to_owned()
            }
            Some(Frame::Pong(payload)) => format!("pong {}", String::from_utf8_lossy(&payload)),
            Some(other) => format!("{other:?}"),
            None => "end".to_owned(),
        };
        let is_same = self.names.matches(expected, &heard);
        assert!(is_same, "\n{place}\n expected {expected}\n    heard {heard}\n{:?}", self.names);
    }

    fn publish(&mut self, topic: &str, key: &str, op: Option<&str>, payload: &str, place: &str) {
        // By hand: the payload must stay as it is written.
        let op = op.map(|op| format!(r#","op":"{op}""#)).unwrap_or_default();
        self.other.say(&format!(
            r#"{{"type":"publish","id":1,"topic":"{topic}","key":"{key}"{op},"payload":{payload}}}"#
        ));
        match self.other.hear() {
            Some(Frame::Text(text)) if text.starts_with(r#"{"type":"published""#) => {}
            other => panic!("{place}: not published: {other:?}"),
        }
    }
}

#[test]
fn the_core_keeps_to_every_transcript() {
    script::play_all(&script::read("native"), |transcript| {
        // Where every byte counts, it must not be compressed.
        let may_deflate = !transcript.settings.iter().any(|(key, _)| key == "deflate");
        for deflate in if may_deflate { &[false, true][..] } else { &[false][..] } {
            let host = Box::new(Core::new(&transcript.settings));
            Stage::new(host, *deflate, "the core", transcript).play();
        }
    });
}

#[test]
fn a_server_that_speaks_tls_keeps_to_every_transcript() {
    let mut transcripts = script::read("native");
    transcripts.retain(|transcript| !transcript.says("only-core"));
    script::play_all(&transcripts, |transcript| {
        let host = Box::new(Real::start_secured(DriverChoice::Epoll, &transcript.settings));
        Stage::new(host, false, "TLS", transcript).play();
    });
}

#[test]
fn real_servers_keep_to_every_transcript() {
    let mut transcripts = script::read("native");
    transcripts.retain(|transcript| !transcript.says("only-core"));
    for driver in link::drivers() {
        script::play_all(&transcripts, |transcript| {
            let host = Box::new(Real::start(driver, &transcript.settings));
            Stage::new(host, false, &format!("{driver:?}"), transcript).play();
        });
    }
}

/// The text that a client hears next.
fn heard(client: &mut WebSocket) -> String {
    match client.hear() {
        Some(Frame::Text(text)) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_subprotocol_says_in_which_form_events_are_told() {
    let mut host = Core::new(&[]);
    let mut names = Names::default();
    let compact = "fanwire.v1.compact, fanwire.v1";
    let both = "fanwire.v1, fanwire.v1.compact";
    let cases = [
        (compact, "", "fanwire.v1.compact", r#"[0,0,"k",1,@_,{"n":1}]"#),
        (compact, "&compact=false", "fanwire.v1.compact", LONG),
        (both, "", "fanwire.v1", LONG),
        (both, "&compact=true", "fanwire.v1", r#"[0,0,"k",1,@_,{"n":1}]"#),
    ];
    for (number, (offered, more, chosen, event)) in cases.into_iter().enumerate() {
        let target = format!("/v1/ws?topic=t{number}{more}");
        let mut client = WebSocket::open_as(&mut host, false, &target, offered);
        let welcome = WELCOME.replace("fanwire.v1", chosen);
        assert!(names.matches(&welcome, &heard(&mut client)), "{offered}");
        let agreed = match event == LONG {
            true => r#"{"type":"subscribed","id":0}"#.to_owned(),
            false => format!(r#"{{"type":"subscribed","id":0,"topics":["t{number}"]}}"#),
        };
        assert_eq!(heard(&mut client), agreed, "{offered} {more}");
        assert!(heard(&mut client).starts_with(r#"{"type":"live""#));
        let publish =
            format!(r#"{{"type":"publish","topic":"t{number}","key":"k","payload":{{"n":1}}}}"#);
        client.say(&publish);
        let (told, expected) =
            (heard(&mut client), event.replace(r#""t""#, &format!(r#""t{number}""#)));
        assert!(names.matches(&expected, &told), "{offered} {more}: {told}");
    }
}

/// An event in the long form.
const LONG: &str = r#"{"type":"event","subs":[0],"topic":"t","key":"k","op":"upsert","offset":1,"time_us":@_,"payload":{"n":1}}"#;
