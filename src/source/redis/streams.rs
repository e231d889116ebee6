//! Streams of Redis, read in their order and gone on with where we were.
//!
//! Plain reads, no consumer group: a group hands each entry to one of its members, and we want all of them. Invariants: one read is underway at a time, and the next is asked for only when all its entries were taken; entries are
//! taken one by one as they come, so that an answer may be larger than what is held of it.

use std::time::Duration;

use super::connection::Connection;
use super::connection::Server;
use super::connection::refused;
use super::connection::unread;
use super::place::EntryId;
use super::place::Place;
use super::place::Places;
use super::place::Stream;
use super::wire;
use super::wire::Unread;
use super::wire::Value;
use crate::limits::REDIS_BLOCK_MS;
use crate::limits::REDIS_READ_ENTRIES_MAX;
use crate::source::Batch;
use crate::source::Connected;
use crate::source::Connector;
use crate::source::Fault;
use crate::source::FaultKind;
use crate::source::Gap;
use crate::source::Message;
use crate::source::MessageId;
use crate::source::Resume;
use crate::source::broker::Deadline;
use crate::source::broker::Name;
use crate::source::broker::garbled;
use crate::source::broker::lost;
use bytes::Bytes;

/// What is read.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) streams: Vec<String>,
    pub(super) begins_first: bool,
    /// The field that is the payload; empty: all of them together.
    pub(super) field: String,
}

/// How far an answer has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Nothing was asked.
    Idle,
    /// Nothing of it has come.
    Start,
    /// So many streams are still to come.
    Streams(usize),
    /// The two parts of a stream come next, and so many streams behind it.
    Stream(usize),
    /// Its name was read.
    Named(usize),
    /// So many entries of it, and so many streams behind it.
    Entries(usize, usize),
}

pub(super) struct Streams {
    server: Server,
    reading: Reading,
    connection: Option<Connection>,
    places: Places,
    at: At,
    /// The stream whose entries come.
    stream: String,
    name: Name,
    is_new: bool,
}

impl Streams {
    pub(super) fn new(server: Server, reading: Reading) -> Self {
        let (places, stream) = (Places::default(), String::new());
        let name = Name::default();
        Self { server, reading, connection: None, places, at: At::Idle, stream, name, is_new: true }
    }

    fn deadline(&self, within: Duration) -> Deadline {
        Deadline::new(self.server.target.clock, within)
    }

    /// Where to begin in each stream, and what is lost by that.
    fn begin(
        &self,
        connection: &mut Connection,
        from: Option<&Places>,
        until: &Deadline,
    ) -> Result<(Places, Option<Gap>), Fault> {
        let (mut places, mut gaps) = (Places::default(), Vec::new());
        for name in &self.reading.streams {
            let stream = match connection.ask(&[b"XINFO", b"STREAM", name.as_bytes()], until) {
                Ok(answer) => {
                    let why = || garbled(format_args!("it says of `{name}` what cannot be read"));
                    Stream::read(&answer).ok_or_else(why)?
                }
                // There will be one.
                Err(fault) if fault.why.contains("no such key") => Stream::default(),
                Err(fault) => {
                    return Err(Fault::new(fault.kind, format_args!("`{name}`: {}", fault.why)));
                }
            };
            let known = from.and_then(|places| places.0.get(name));
            let begin = match known {
                Some(at) => {
                    let (begin, gap) = stream.go_on(*at);
                    gaps.extend(gap.map(|gap| (name, gap)));
                    begin
                }
                None if self.reading.begins_first => {
                    let count = stream.added.map(|added| added.saturating_sub(stream.length));
                    Place { id: EntryId::default(), count }
                }
                None => stream.end(),
            };
            places.0.insert(name.clone(), begin);
        }
        let is_counted = gaps.iter().all(|(_, gap)| gap.messages > 0);
        let messages = gaps.iter().map(|(_, gap)| gap.messages).sum();
        let words: Vec<String> =
            gaps.iter().map(|(name, gap)| format!("`{name}`: {}", gap.why)).collect();
        let gap =
            Gap { messages: if is_counted { messages } else { 0 }, why: words.join("; ").into() };
        Ok((places, (!gaps.is_empty()).then_some(gap)))
    }

    /// Asks for what comes next in each stream.
    fn read(&mut self) -> Result<(), Fault> {
        let Some(connection) = &mut self.connection else { return Err(super::not_connected()) };
        let (count, block) = (REDIS_READ_ENTRIES_MAX.to_string(), REDIS_BLOCK_MS.to_string());
        let ids: Vec<String> = self.places.0.values().map(|at| at.id.to_string()).collect();
        let mut words: Vec<&[u8]> =
            vec![b"XREAD", b"COUNT", count.as_bytes(), b"BLOCK", block.as_bytes(), b"STREAMS"];
        words.extend(self.places.0.keys().map(|name| name.as_bytes()));
        words.extend(ids.iter().map(|id| id.as_bytes()));
        self.at = At::Start;
        connection.say(&words)
    }

    /// Takes what comes next of an answer; `false`: more must come first.
    fn step(&mut self, batch: &mut Batch) -> Result<bool, Fault> {
        let Some(connection) = &mut self.connection else { return Err(super::not_connected()) };
        match self.at {
            At::Idle => {
                self.read()?;
                Ok(true)
            }
            At::Start => {
                let list = wire::next_list(&mut connection.pipe.inbox).map_err(unread)?;
                match list {
                    None => return Ok(false),
                    Some(Some(count)) => self.at = At::Streams(count),
                    Some(None) => match connection.held()? {
                        None => return Ok(false),
                        // Nothing has come for as long as it was to wait.
                        Some(Value::Nothing) => self.at = At::Idle,
                        Some(Value::Error(why)) => return Err(refused(&why)),
                        Some(_) => return Err(unexpected()),
                    },
                }
                Ok(true)
            }
            At::Streams(0) => {
                self.at = At::Idle;
                Ok(true)
            }
            At::Streams(left) => {
                match wire::next_list(&mut connection.pipe.inbox).map_err(unread)? {
                    None => return Ok(false),
                    Some(Some(2)) => self.at = At::Stream(left - 1),
                    Some(_) => return Err(unexpected()),
                }
                Ok(true)
            }
            At::Stream(left) => {
                let Some(name) = connection.held()? else { return Ok(false) };
                let name = name.text().and_then(|name| std::str::from_utf8(name).ok());
                let known = name.filter(|name| self.places.0.contains_key(*name));
                known.ok_or_else(unexpected)?.clone_into(&mut self.stream);
                self.at = At::Named(left);
                Ok(true)
            }
            At::Named(left) => {
                match wire::next_list(&mut connection.pipe.inbox).map_err(unread)? {
                    None => return Ok(false),
                    Some(Some(count)) => self.at = At::Entries(count, left),
                    Some(None) => return Err(unexpected()),
                }
                Ok(true)
            }
            At::Entries(0, left) => {
                self.at = At::Streams(left);
                Ok(true)
            }
            At::Entries(count, left) => self.entry(batch, (count, left)),
        }
    }

    fn entry(&mut self, batch: &mut Batch, (count, left): (usize, usize)) -> Result<bool, Fault> {
        let Some(connection) = &mut self.connection else { return Err(super::not_connected()) };
        let entry = match wire::next_value(&mut connection.pipe.inbox, &mut connection.least) {
            Ok(None) => return Ok(false),
            Ok(Some(entry)) => entry,
            Err(Unread::TooLong) => {
                // What is behind it can only be read on another connection, past this one.
                let id = wire::first_text(&connection.pipe.inbox);
                let id = id.as_deref().and_then(EntryId::parse).ok_or_else(unexpected)?;
                self.pass(id)?;
                batch.push_unusable(format!("`{}` {id}", self.stream), super::too_large());
                return Err(lost(&"an entry is too large, and is passed over"));
            }
            Err(why) => return Err(unread(why)),
        };
        self.at = At::Entries(count - 1, left);
        let parts = entry.list().unwrap_or_default();
        let [id, fields] = parts else { return Err(unexpected()) };
        let id = id.text().and_then(|id| EntryId::parse(id)).ok_or_else(unexpected)?;
        self.pass(id)?;
        // An entry that was deleted in between has no fields.
        let Some(fields) = fields.list() else { return Ok(true) };
        match message(fields, &self.reading.field) {
            Ok(message) => batch.push(Message {
                subject: Some(self.name.of(self.stream.as_bytes())),
                time_us: Some(id.ms.saturating_mul(1000)),
                id: Some(MessageId::new(format!("{id} {}", self.stream).as_bytes())),
                ..message
            }),
            Err(why) => batch.push_unusable(format!("`{}` {id}", self.stream), why),
        }
        Ok(true)
    }

    /// Notes that an entry was taken.
    fn pass(&mut self, id: EntryId) -> Result<(), Fault> {
        let Some(place) = self.places.0.get_mut(&self.stream) else { return Err(unexpected()) };
        if id <= place.id {
            return Err(garbled(format_args!(
                "entry {id} of `{}` comes behind {}",
                self.stream, place.id
            )));
        }
        place.id = id;
        place.count = place.count.map(|count| count.saturating_add(1));
        Ok(())
    }
}

impl Connector for Streams {
    fn connect(&mut self, from: Option<&Resume>, within: Duration) -> Result<Connected, Fault> {
        (self.connection, self.at) = (None, At::Idle);
        let until = self.deadline(within);
        let places = match from {
            None => None,
            Some(resume) => Some(Places::read(resume).ok_or_else(|| {
                Fault::new(
                    FaultKind::Wrong,
                    "where it was is no place in streams: is its `kind` another than before?",
                )
            })?),
        };
        let mut connection = Connection::open(&mut self.server, &until)?;
        let (places, gap) = self.begin(&mut connection, places.as_ref(), &until)?;
        self.is_new = true;
        (self.places, self.connection) = (places, Some(connection));
        Ok(Connected { gap })
    }

    fn fetch(&mut self, batch: &mut Batch, within: Duration) -> Result<(), Fault> {
        let until = self.deadline(within);
        let result = self.take(batch, &until);
        if std::mem::take(&mut self.is_new) || !batch.is_empty() {
            batch.goes_on_from(self.places.write());
        }
        result
    }

    fn stored(&mut self, _within: Duration) -> Result<(), Fault> {
        Ok(())
    }

    fn lag(&self) -> Option<u64> {
        None
    }

    fn close(&mut self, _within: Duration) {
        (self.connection, self.at) = (None, At::Idle);
    }
}

impl Streams {
    fn take(&mut self, batch: &mut Batch, until: &Deadline) -> Result<(), Fault> {
        loop {
            if self.at == At::Idle && !batch.is_empty() {
                // Asked for now, it is there when it is fetched.
                return self.read();
            }
            if !batch.has_room() {
                return Ok(());
            }
            if self.step(batch)? {
                continue;
            }
            let Some(connection) = &mut self.connection else { return Err(super::not_connected()) };
            if batch.is_empty() && connection.fill(until)? {
                continue;
            }
            if batch.is_empty() || !connection.pipe.fill_ready()? {
                return Ok(());
            }
        }
    }
}

/// The message of an entry: one field, with the others as its headers; or all of them, as an object of strings.
fn message(fields: &[Value], payload: &str) -> Result<Message, String> {
    let texts: Option<Vec<&Bytes>> = fields.iter().map(Value::text).collect();
    let texts = texts.unwrap_or_default();
    let pairs = || texts.chunks_exact(2).filter_map(|pair| Some((*pair.first()?, *pair.last()?)));
    let name = |name: &Bytes| String::from_utf8_lossy(name).into_owned();
    if payload.is_empty() {
        return Ok(Message { payload: object(&pairs()), ..Message::default() });
    }
    let found = pairs().find(|(field, _)| field.as_ref() == payload.as_bytes());
    let (_, found) = found.ok_or_else(|| format!("it has no field `{payload}`"))?;
    let others = pairs().filter(|(field, _)| field.as_ref() != payload.as_bytes());
    let headers = others.map(|(field, value)| (name(field).into(), value.clone())).collect();
    Ok(Message { headers, payload: found.clone(), ..Message::default() })
}

/// An object of strings, in their order; of a name that is there again the last value.
fn object<'a>(pairs: &(impl Iterator<Item = (&'a Bytes, &'a Bytes)> + Clone)) -> Bytes {
    let mut out = Vec::from(b"{");
    for (index, (name, value)) in pairs.clone().enumerate() {
        if pairs.clone().skip(index + 1).any(|(later, _)| later == name) {
            continue;
        }
        if out.len() > 1 {
            out.push(b',');
        }
        put_string(name, &mut out);
        out.push(b':');
        put_string(value, &mut out);
    }
    out.push(b'}');
    out.into()
}

fn put_string(text: &Bytes, out: &mut Vec<u8>) {
    let quoted = serde_json::to_vec(&String::from_utf8_lossy(text));
    out.extend(quoted.expect("a string can be written as JSON"));
}

fn unexpected() -> Fault {
    garbled("it answers a read with what is no entry of a stream that was asked for")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(words: &[&'static str]) -> Vec<Value> {
        words.iter().map(|word| Value::Text(Bytes::from_static(word.as_bytes()))).collect()
    }

    #[test]
    fn an_entry_is_one_of_its_fields_or_all_of_them() {
        let fields = texts(&["event", "{\"a\":1}", "type", "x"]);
        let all = message(&fields, "").unwrap();
        assert_eq!(&all.payload[..], br#"{"event":"{\"a\":1}","type":"x"}"#);
        assert!(all.headers.is_empty());
        let one = message(&fields, "event").unwrap();
        assert_eq!(&one.payload[..], br#"{"a":1}"#);
        assert_eq!(one.headers, [("type".into(), Bytes::from_static(b"x"))]);
        let again = texts(&["a", "1", "b", "2", "a", "3"]);
        assert_eq!(&message(&again, "").unwrap().payload[..], br#"{"b":"2","a":"3"}"#);
        assert_eq!(message(&fields, "data").unwrap_err(), "it has no field `data`");
    }
}
