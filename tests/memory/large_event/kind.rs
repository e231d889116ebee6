//! How the subscribers of a large event speak, what they ask for, and what their bytes say.

use crate::support::frames::Frame;
use crate::support::frames::Reader;

pub(crate) const SUBSCRIBERS: usize = 500;

/// How the subscribers speak, and what differs between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ids {
        differ: bool,
    },
    /// Ids that differ, and an event that is just not large.
    Smaller,
    /// Filters that differ, and several events, of which those for most do not lie side by side.
    Apart,
    TwoSubscriptions,
    Fields,
    Batch,
    Rate,
    Past,
    Sse {
        lines: bool,
    },
    Peat,
    PeatSse,
    PeatConnect,
    Provisioning {
        batch: bool,
    },
    HyperBeam,
    Deflate {
        takeover: bool,
        fields: bool,
        batch: bool,
    },
}

/// Letters that deflate finds little in.
fn noise(seed: usize, bytes: usize) -> String {
    let mut state = seed as u64 * 2 + 1;
    let letters = (0..bytes).map(|_| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        LETTERS[(state >> 58) as usize]
    });
    String::from_utf8(letters.collect()).unwrap()
}

const LETTERS: [u8; 64] = *b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

pub(crate) const MEMBERS: usize = 10;

/// An object of a megabyte: one large member that everybody asks for, and nine to choose from.
pub(crate) fn payload(lines: bool, share: usize) -> String {
    let end = if lines { "\r\n" } else { "" };
    let text = |index: usize, bytes: usize| {
        if lines {
            let line = format!("{end} 1{index}{},", "7".repeat(14));
            let row = line.repeat(bytes / line.len());
            format!("[{row}1{end}]")
        } else {
            format!(r#""\"{}""#, noise(index, bytes))
        }
    };
    let members: Vec<String> = (0..MEMBERS)
        .map(|index| {
            let bytes = if index == 0 { 400_000 } else { 64_000 } / share;
            format!(r#""m{index}":{}"#, text(index, bytes))
        })
        .collect();
    format!(r#"{{{end}"n":1000,{}{end}}}"#, members.join(","))
}

impl Kind {
    pub(crate) fn has_lines(self) -> bool {
        matches!(self, Self::Sse { lines: true })
    }

    pub(crate) fn has_fields(self) -> bool {
        matches!(self, Self::Fields | Self::Deflate { fields: true, .. })
    }

    pub(crate) fn is_stream(self) -> bool {
        matches!(self, Self::Sse { .. } | Self::PeatSse | Self::PeatConnect)
    }

    /// The members that a subscriber asks for.
    pub(crate) fn members(self, index: usize) -> Vec<usize> {
        let of = |member: &usize| *member == 0 || (index + 1) >> (member - 1) & 1 == 1;
        (0..MEMBERS).filter(of).collect()
    }

    pub(crate) fn request(self, index: usize) -> Vec<u8> {
        let socket = |target: &str, more: &str| {
            format!(
                "GET {target} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
            )
            .into_bytes()
        };
        let get = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n").into_bytes();
        match self {
            Self::Sse { .. } => get("/v1/sse?topic=t"),
            Self::Peat => socket("/ws/subscribe", ""),
            Self::PeatSse => get("/sse/subscribe"),
            Self::PeatConnect => {
                let mut request = b"POST /peat.sidecar.v1.PeatSidecar/Subscribe HTTP/1.1\r\nHost: x\r\nContent-Type: application/connect+json\r\nContent-Length: 7\r\n\r\n".to_vec();
                request.extend_from_slice(b"\0\0\0\0\x02{}");
                request
            }
            Self::Provisioning { batch: false } => socket("/pv/ws", ""),
            Self::Provisioning { batch: true } => socket("/pv/ws?batch_size=10", ""),
            Self::HyperBeam => socket(&format!("/hb/ws?topic=t,own{index}"), ""),
            Self::Deflate { takeover: true, .. } => {
                socket("/v1/ws", "Sec-WebSocket-Extensions: permessage-deflate\r\n")
            }
            Self::Deflate { takeover: false, .. } => socket(
                "/v1/ws",
                "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n",
            ),
            _ => socket("/v1/ws", ""),
        }
    }

    pub(crate) fn subscriptions(self, index: usize) -> Vec<String> {
        let id = self.id(index);
        if self == Self::Apart {
            // The last one hears what nobody else does.
            let topics = if index + 1 == SUBSCRIBERS { r#""other""# } else { r#""t","u""# };
            let filter = format!("n != {index}");
            return vec![format!(
                r#"{{"type":"subscribe","id":{id},"topics":[{topics}],"filter":"{filter}"}}"#
            )];
        }
        let one = |more: &str| format!(r#"{{"type":"subscribe","id":{id},"topics":["t"]{more}}}"#);
        let fields: Vec<String> =
            self.members(index).iter().map(|m| format!(r#""m{m}""#)).collect();
        let fields = format!(r#","fields":[{}]"#, fields.join(","));
        let batch = r#","batch":{"max_events":10,"max_delay_ms":50}"#;
        match self {
            Self::Ids { .. }
            | Self::Smaller
            | Self::Deflate { fields: false, batch: false, .. } => vec![one("")],
            Self::TwoSubscriptions => {
                vec![one(""), one("").replace(&id, r#""both""#)]
            }
            Self::Fields | Self::Deflate { fields: true, .. } => vec![one(&fields)],
            Self::Batch | Self::Deflate { batch: true, .. } => vec![one(batch)],
            Self::Rate => vec![one(r#","max_rate":{"per":"key","hz":1}"#)],
            Self::Past => vec![one(r#","since":"earliest""#)],
            _ => Vec::new(),
        }
    }

    pub(crate) fn id(self, index: usize) -> String {
        match self {
            Self::Ids { differ: false } | Self::Apart => r#""same""#.to_owned(),
            _ => format!(r#""subscription-{index}""#),
        }
    }

    /// The messages that bytes hold, one text each.
    pub(crate) fn messages(self, index: usize, bytes: &[u8]) -> Vec<String> {
        if self.is_stream() {
            return stream_messages(self, bytes);
        }
        let mut reader = Reader::new(matches!(self, Self::Deflate { .. }));
        reader.push(bytes);
        let mut texts = Vec::new();
        while let Some(frame) = reader.next() {
            match frame {
                Frame::Text(text) => texts.push(text),
                other => panic!("{self:?}, subscriber {index}: {other:?}"),
            }
        }
        texts
    }
}

fn stream_messages(kind: Kind, bytes: &[u8]) -> Vec<String> {
    let mut body = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let end = rest.windows(2).position(|two| two == b"\r\n").expect("a chunk's size");
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        body.extend_from_slice(&rest[end + 2..end + 2 + size]);
        assert_eq!(&rest[end + 2 + size..end + 4 + size], b"\r\n");
        rest = &rest[end + 4 + size..];
    }
    let mut texts = Vec::new();
    if kind == Kind::PeatConnect {
        let mut rest = &body[..];
        while let Some((head, after)) = rest.split_first_chunk::<5>() {
            let length = u32::from_be_bytes(head[1..].try_into().unwrap()) as usize;
            texts.push(String::from_utf8(after[..length].to_vec()).unwrap());
            rest = &after[length..];
        }
        return texts;
    }
    for event in String::from_utf8(body).unwrap().split_terminator("\n\n") {
        let data: Vec<&str> =
            event.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
        let has_id = event.lines().last().is_some_and(|line| line.starts_with("id: e1."));
        assert_eq!(
            has_id,
            matches!(kind, Kind::Sse { .. }) || kind == Kind::PeatSse,
            "{}",
            &event[event.len() - 40..]
        );
        texts.push(data.join("\n"));
    }
    texts
}
