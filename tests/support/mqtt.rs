//! MQTT packets as text and back, for transcripts: it shares no code with the server's codec.
//!
//! ```text
//! connect v5 c clean keep=10 user=u password=p session=60 will=t:payload:q1:retain
//! publish a/b q1 id=7 dup retain type=text/plain user:k=v : payload     `:x ff00`: in hexadecimal
//! puback 7 rc=10, pubrec, pubrel, pubcomp
//! subscribe 1 sub=9 a/#=1 b=2,nl,rap,rh1
//! unsubscribe 1 a/#
//! ping, disconnect rc=04, auth
//! ```
//!
//! What is heard reads alike; spaces in texts are underscores, reason codes two hexadecimal digits, and left out where they are 0.

use std::collections::VecDeque;

/// What a property holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    One,
    Two,
    Four,
    Varint,
    Text,
    Binary,
}

/// Properties by their words here.
const PROPERTIES: [(u8, &str, Holds); 26] = [
    (0x01, "format", Holds::One),
    (0x02, "expiry", Holds::Four),
    (0x03, "type", Holds::Text),
    (0x08, "response", Holds::Text),
    (0x09, "correlation", Holds::Binary),
    (0x0b, "sub", Holds::Varint),
    (0x11, "session", Holds::Four),
    (0x12, "assigned", Holds::Text),
    (0x13, "server-keep", Holds::Two),
    (0x15, "method", Holds::Text),
    (0x16, "data", Holds::Binary),
    (0x17, "problem", Holds::One),
    (0x18, "delay", Holds::Four),
    (0x19, "want-info", Holds::One),
    (0x1a, "info", Holds::Text),
    (0x1c, "server", Holds::Text),
    (0x1f, "reason", Holds::Text),
    (0x21, "receive", Holds::Two),
    (0x22, "aliases", Holds::Two),
    (0x23, "alias", Holds::Two),
    (0x24, "max-qos", Holds::One),
    (0x25, "retains", Holds::One),
    (0x27, "max-packet", Holds::Four),
    (0x28, "wildcards", Holds::One),
    (0x29, "sub-ids", Holds::One),
    (0x2a, "shares", Holds::One),
];

/// One client's side: the version that it speaks, and bytes that are no whole packet yet.
#[derive(Debug, Default)]
pub struct Client {
    is_v4: bool,
    bytes: Vec<u8>,
    packets: VecDeque<String>,
}

fn put_text(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend(u16::try_from(bytes.len()).expect("a text is short").to_be_bytes());
    out.extend(bytes);
}

fn put_varint(mut value: usize, out: &mut Vec<u8>) {
    loop {
        let low = u8::try_from(value % 128).unwrap();
        value /= 128;
        out.push(if value > 0 { low | 0x80 } else { low });
        if value == 0 {
            return;
        }
    }
}

fn hex(text: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(text.get(at..at + 2).unwrap(), 16).unwrap();
    (0..text.len() / 2).map(|pair| digit(2 * pair)).collect()
}

/// The words that are properties, written; the others.
fn properties<'t>(words: &[&'t str]) -> (Vec<u8>, Vec<&'t str>) {
    let (mut out, mut rest) = (Vec::new(), Vec::new());
    for word in words {
        if let Some(pair) = word.strip_prefix("user:") {
            let (name, value) = pair.split_once('=').unwrap();
            out.push(0x26);
            put_text(name.as_bytes(), &mut out);
            put_text(value.replace('_', " ").as_bytes(), &mut out);
            continue;
        }
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        let Some((id, _, holds)) = PROPERTIES.iter().find(|(_, of, _)| *of == name) else {
            rest.push(*word);
            continue;
        };
        out.push(*id);
        let number = || value.parse::<u32>().unwrap();
        match holds {
            Holds::One => out.push(u8::try_from(number()).unwrap()),
            Holds::Two => out.extend(u16::try_from(number()).unwrap().to_be_bytes()),
            Holds::Four => out.extend(number().to_be_bytes()),
            Holds::Varint => put_varint(number() as usize, &mut out),
            Holds::Text => put_text(value.as_bytes(), &mut out),
            Holds::Binary => put_text(&hex(value), &mut out),
        }
    }
    (out, rest)
}

fn payload(text: &str) -> Vec<u8> {
    match text.strip_prefix("x ") {
        Some(digits) => hex(digits),
        None => text.trim_start().as_bytes().to_vec(),
    }
}

fn value<'t>(words: &[&'t str], name: &str) -> Option<&'t str> {
    words.iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
}

impl Client {
    fn put_properties(&self, properties: &[u8], out: &mut Vec<u8>) {
        if !self.is_v4 {
            put_varint(properties.len(), out);
            out.extend(properties);
        }
    }

    /// A packet's bytes.
    pub fn written(&mut self, text: &str) -> Vec<u8> {
        let (line, message) = text.split_once(" :").unwrap_or((text, ""));
        let words: Vec<&str> = line.split_whitespace().collect();
        let (kind, words) = words.split_first().expect("a packet has a kind");
        if *kind == "connect" {
            self.is_v4 = words[0] == "v4";
        }
        let (properties, words) = properties(words);
        let id = |at: usize| words[at].parse::<u16>().expect("a packet identifier").to_be_bytes();
        let mut body = Vec::new();
        let first = match *kind {
            "connect" => self.connect(&words, &properties, &mut body),
            "publish" => {
                let qos = words.iter().find_map(|word| word.strip_prefix('q')?.parse().ok());
                let qos: u8 = qos.unwrap_or(0);
                let topic = if words[0] == "-" { "" } else { words[0] };
                put_text(topic.replace("\\s", " ").as_bytes(), &mut body);
                if qos > 0 {
                    let id: u16 = value(&words, "id").unwrap().parse().unwrap();
                    body.extend(id.to_be_bytes());
                }
                self.put_properties(&properties, &mut body);
                body.extend(payload(message));
                let has = |word: &str| u8::from(words.contains(&word));
                0x30 | has("dup") << 3 | qos << 1 | has("retain")
            }
            "puback" | "pubrec" | "pubrel" | "pubcomp" => {
                body.extend(id(0));
                self.ending(&words, &properties, &mut body);
                match *kind {
                    "puback" => 0x40,
                    "pubrec" => 0x50,
                    "pubrel" => 0x62,
                    _ => 0x70,
                }
            }
            "subscribe" => {
                body.extend(id(0));
                self.put_properties(&properties, &mut body);
                for word in &words[1..] {
                    let (filter, options) = word.rsplit_once('=').unwrap();
                    put_text(filter.replace("\\s", " ").as_bytes(), &mut body);
                    body.push(options.split(',').map(option).sum());
                }
                0x82
            }
            "unsubscribe" => {
                body.extend(id(0));
                self.put_properties(&properties, &mut body);
                words[1..]
                    .iter()
                    .for_each(|word| put_text(word.replace("\\s", " ").as_bytes(), &mut body));
                0xa2
            }
            "ping" => 0xc0,
            "disconnect" | "auth" => {
                self.ending(&words, &properties, &mut body);
                if *kind == "auth" { 0xf0 } else { 0xe0 }
            }
            other => panic!("there is no packet called {other}"),
        };
        let mut out = vec![first];
        put_varint(body.len(), &mut out);
        out.extend(body);
        out
    }

    fn ending(&self, words: &[&str], properties: &[u8], body: &mut Vec<u8>) {
        let reason = value(words, "rc").map(|code| u8::from_str_radix(code, 16).unwrap());
        if reason.is_some() || !properties.is_empty() {
            body.push(reason.unwrap_or(0));
        }
        if !properties.is_empty() {
            self.put_properties(properties, body);
        }
    }

    fn connect(&self, words: &[&str], properties: &[u8], body: &mut Vec<u8>) -> u8 {
        put_text(b"MQTT", body);
        body.push(if !self.is_v4 { 5 } else { 4 });
        let user = value(words, "user");
        let password = value(words, "password");
        let will: Option<Vec<&str>> = value(words, "will").map(|will| will.split(':').collect());
        let mut flags = u8::from(words.contains(&"clean")) << 1;
        if let Some(will) = &will {
            let qos: u8 =
                will.iter().find_map(|it| it.strip_prefix('q')?.parse().ok()).unwrap_or(0);
            flags |= 0b100 | qos << 3 | u8::from(will.contains(&"retain")) << 5;
        }
        flags |= u8::from(password.is_some()) << 6 | u8::from(user.is_some()) << 7;
        body.push(flags);
        let keep = value(words, "keep").map_or(0, |keep| keep.parse::<u16>().unwrap());
        body.extend(keep.to_be_bytes());
        // The will's delay stands with the will.
        let delay = properties.iter().position(|byte| *byte == 0x18 && will.is_some());
        let (own, of_will) = match delay {
            Some(at) => {
                ([&properties[..at], &properties[at + 5..]].concat(), &properties[at..at + 5])
            }
            None => (properties.to_vec(), &[][..]),
        };
        self.put_properties(&own, body);
        let id = if words[1] == "-" { "" } else { words[1] };
        put_text(id.as_bytes(), body);
        if let Some(will) = &will {
            self.put_properties(of_will, body);
            put_text(will[0].as_bytes(), body);
            put_text(will[1].replace('_', " ").as_bytes(), body);
        }
        for text in [user, password].into_iter().flatten() {
            put_text(text.as_bytes(), body);
        }
        0x10
    }

    /// Takes what has come.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        while let Some((header, whole)) = length(&self.bytes) {
            let packet: Vec<u8> = self.bytes.drain(..whole).collect();
            let text = self.read(packet[0], &packet[header..]);
            self.packets.push_back(text);
        }
    }

    /// The next packet.
    pub fn next(&mut self) -> Option<String> {
        self.packets.pop_front()
    }

    fn read(&self, first: u8, bytes: &[u8]) -> String {
        let mut taker = Taker(bytes);
        let mut words = vec![
            match first >> 4 {
                2 => "connack",
                3 => "publish",
                4 => "puback",
                5 => "pubrec",
                6 => "pubrel",
                7 => "pubcomp",
                9 => "suback",
                11 => "unsuback",
                13 => "pong",
                14 => "disconnect",
                _ => "(no packet of a server's)",
            }
            .to_owned(),
        ];
        let reason = |code: u8, words: &mut Vec<String>| {
            if code != 0 {
                words.push(format!("rc={code:02x}"));
            }
        };
        match first >> 4 {
            2 => {
                words.extend((taker.byte() == 1).then(|| "present".to_owned()));
                reason(taker.byte(), &mut words);
                self.properties(&mut taker, &mut words);
            }
            3 => {
                words.push(taker.text().replace(' ', "\\s"));
                let qos = first >> 1 & 3;
                if qos > 0 {
                    words.push(format!("q{qos}"));
                    words.push(format!("id={}", taker.two()));
                }
                words.extend((first & 8 != 0).then(|| "dup".to_owned()));
                words.extend((first & 1 != 0).then(|| "retain".to_owned()));
                self.properties(&mut taker, &mut words);
                let said = std::str::from_utf8(taker.0).map(str::to_owned);
                let said = said.unwrap_or_else(|_| {
                    format!(
                        "x {}",
                        taker.0.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
                    )
                });
                return format!("{} : {said}", words.join(" ")).trim_end().to_owned();
            }
            4..=7 | 14 => {
                if first >> 4 != 14 {
                    words.push(taker.two().to_string());
                }
                if !taker.0.is_empty() {
                    reason(taker.byte(), &mut words);
                }
                if !taker.0.is_empty() {
                    self.properties(&mut taker, &mut words);
                }
            }
            9 | 11 => {
                words.push(taker.two().to_string());
                self.properties(&mut taker, &mut words);
                words.extend(taker.0.iter().map(|code| format!("{code:02x}")));
                taker.0 = &[];
            }
            _ => {}
        }
        assert!(taker.0.is_empty(), "{words:?} has a tail: {:?}", taker.0);
        words.join(" ")
    }

    fn properties(&self, taker: &mut Taker<'_>, words: &mut Vec<String>) {
        if self.is_v4 || taker.0.is_empty() {
            return;
        }
        let count = taker.varint();
        let (mut own, rest) = (Taker(&taker.0[..count]), &taker.0[count..]);
        taker.0 = rest;
        while !own.0.is_empty() {
            let id = own.byte();
            if id == 0x26 {
                let (name, value) = (own.text(), own.text());
                words.push(format!("user:{name}={}", value.replace(' ', "_")));
                continue;
            }
            let (_, name, holds) = PROPERTIES
                .iter()
                .find(|(of, ..)| *of == id)
                .unwrap_or_else(|| panic!("{words:?}: there is no property {id:#x}"));
            let value = match holds {
                Holds::One => own.byte().to_string(),
                Holds::Two => own.two().to_string(),
                Holds::Four => (u32::from(own.two()) << 16 | u32::from(own.two())).to_string(),
                Holds::Varint => own.varint().to_string(),
                Holds::Text => own.text().replace(' ', "_"),
                Holds::Binary => {
                    let count = own.two() as usize;
                    let (bytes, rest) = own.0.split_at(count);
                    own.0 = rest;
                    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
                }
            };
            words.push(format!("{name}={value}"));
        }
    }
}

fn option(word: &str) -> u8 {
    match word {
        "nl" => 4,
        "rap" => 8,
        "rh1" => 16,
        "rh2" => 32,
        qos => qos.parse().expect("a quality of service"),
    }
}

/// Bytes of the header and of the whole packet, once it is there.
fn length(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut taker = Taker(bytes.get(1..)?);
    let ends = taker.0.iter().take(4).any(|byte| byte & 0x80 == 0);
    ends.then_some(())?;
    let remaining = taker.varint();
    let header = bytes.len() - taker.0.len();
    (bytes.len() >= header + remaining).then_some((header, header + remaining))
}

struct Taker<'a>(&'a [u8]);

impl Taker<'_> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().expect("a byte");
        self.0 = rest;
        *first
    }

    fn two(&mut self) -> u16 {
        u16::from(self.byte()) << 8 | u16::from(self.byte())
    }

    fn varint(&mut self) -> usize {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = self.byte();
            value |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                return value;
            }
        }
    }

    fn text(&mut self) -> String {
        let count = usize::from(self.two());
        let (text, rest) = self.0.split_at(count);
        self.0 = rest;
        String::from_utf8(text.to_vec()).expect("a text is UTF-8")
    }
}
