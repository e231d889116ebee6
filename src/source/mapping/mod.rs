//! What a message becomes: topic, key, operation, time and payload of one event, of several where it is split, or of none.
//!
//! Invariants: a mapping that was made can be carried out on any message, and a message that does not fit it costs itself alone; what is wrong is said with the member of the mapping, and with the part of the message.
//! A payload's text survives byte for byte unless the mapping makes a new one. Pure: the time is an argument.

mod pointer;
mod template;
#[cfg(test)]
mod tests;
mod view;

use std::fmt;

use bytes::Bytes;

use self::pointer::elements;
use self::template::Reference;
use self::template::Template;
use self::view::Found;
use self::view::View;
use self::view::string_of;
use super::connector::Message;
use crate::event::Ack;
use crate::event::Draft;
use crate::event::Fields;
use crate::event::HomeId;
use crate::event::Op;
use crate::event::TopicName;
use crate::event::fields::Scratch;
use crate::event::fields::check_payload;
use crate::event::json::push_string;
use crate::event::moment::parse_us;
use crate::limits::KEY_BYTES_MAX;
use crate::limits::PAYLOAD_BYTES_MAX;
use crate::limits::SOURCE_MAPPED_BYTES_MAX;
use crate::limits::SOURCE_PARTS_MAX;
use crate::matcher::Filter;

/// A mapping in its operator's words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MappingText {
    pub topic: String,
    /// Empty: the message's key, if it has one.
    pub key: String,
    /// Empty: `event`.
    pub op: String,
    /// `said=operation`
    pub ops: Vec<String>,
    /// Empty: what the far end says.
    pub time: String,
    /// 0: any age.
    pub age_s_max: u64,
    /// Empty: it is not split.
    pub split: String,
    /// Empty: all events.
    pub filter: String,
    pub payload: PayloadText,
}

/// How a payload is made, in its operator's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PayloadText {
    /// One reference.
    One(String),
    /// An object: names and what stands behind each.
    Object(Vec<(String, String)>),
}

impl Default for PayloadText {
    fn default() -> Self {
        Self::One("{payload}".to_owned())
    }
}

/// What is wrong with a mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappingError {
    /// Which member of it.
    pub member: &'static str,
    pub why: String,
}

/// Why no event can be made of a message, or of a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MapFault {
    /// Which member of the mapping does not fit it.
    pub member: &'static str,
    /// Which part of the message, counted from 0, where it is split.
    pub part: Option<usize>,
    pub why: String,
}

impl MapFault {
    fn new(why: impl Into<String>) -> Self {
        Self { member: "", part: None, why: why.into() }
    }

    fn of(member: &'static str) -> impl Fn(Self) -> Self {
        move |fault| Self { member, ..fault }
    }
}

impl fmt::Display for MapFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.member, self.why)?;
        match self.part {
            Some(part) => write!(f, " (part {part})"),
            None => Ok(()),
        }
    }
}

/// What a message has become.
#[derive(Debug, Default)]
pub struct Mapped {
    /// Events, and which part of the message each is of.
    pub drafts: Vec<(u32, Draft)>,
    /// Bytes of all events that were put in.
    pub bytes: usize,
    /// Events that the filter, or their age, keeps out.
    pub dropped: u64,
    pub faults: Vec<MapFault>,
}

/// What messages of a source become.
#[derive(Debug)]
pub struct Mapping {
    source: Box<str>,
    topic: Template,
    key: Template,
    op: Template,
    ops: Vec<(Box<str>, Op)>,
    time: Option<Template>,
    age_us_max: u64,
    split: Option<Reference>,
    filter: Option<Filter>,
    payload: PayloadTemplate,
    /// The topic of the last event: the next one is likely to have the same.
    last_topic: Option<TopicName>,
    scratch: Scratch,
}

#[derive(Debug)]
enum PayloadTemplate {
    One(Reference),
    Object(Vec<(Box<str>, Template)>),
}

impl Mapping {
    /// Reads one, for the source of that name.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(source: &str, text: &MappingText) -> Result<Self, MappingError> {
        let template = |member: &'static str, text: &str| {
            Template::new(text)
                .map_err(|error| MappingError { member, why: format!("`{text}`: {error}") })
        };
        let or =
            |text: &'static str, said: &str| if said.is_empty() { text } else { said }.to_owned();
        let topic = template("topic", &text.topic)?;
        let constant = topic.constant().map(TopicName::new).transpose();
        let last_topic = constant.map_err(|error| MappingError {
            member: "topic",
            why: format!("`{}`: {error}", text.topic),
        })?;
        let split = match text.split.as_str() {
            "" => None,
            said => Some(one_reference(&template("split", said)?, "split", said)?),
        };
        let filter = match text.filter.as_str() {
            "" => None,
            said => Some(Filter::parse(said).map_err(|error| MappingError {
                member: "filter",
                why: format!("`{said}`: {error}"),
            })?),
        };
        let ops = text.ops.iter().map(|said| op_of(said)).collect::<Result<_, _>>()?;
        let time = match text.time.as_str() {
            "" => None,
            said => Some(template("time", said)?),
        };
        let op = template("op", &or("event", &text.op))?;
        let mapping = Self {
            source: source.into(),
            topic,
            key: template("key", &or("{key|}", &text.key))?,
            op,
            ops,
            time,
            age_us_max: text.age_s_max.saturating_mul(1_000_000),
            split,
            filter,
            payload: payload_of(&text.payload)?,
            last_topic,
            scratch: Scratch::default(),
        };
        match mapping.op.constant() {
            Some(word) if mapping.op_named(word).is_none() => {
                Err(MappingError { member: "op", why: no_operation(word) })
            }
            _ => Ok(mapping),
        }
    }

    /// Whether one message may become several events.
    #[must_use]
    pub const fn is_split(&self) -> bool {
        self.split.is_some()
    }

    /// What a message becomes, behind what is there already; now, in microseconds since 1970, is when it was made if nobody says otherwise.
    pub fn map(&mut self, message: &Message, now_us: u64, out: &mut Mapped) {
        let whole = std::str::from_utf8(&message.payload).ok();
        let source = std::mem::take(&mut self.source);
        let time_us = message.time_us.unwrap_or(now_us);
        let view = View { source: &source, message, whole, part: None, time_us };
        match self.parts(&view) {
            Ok(None) => self.map_part(view, None, now_us, out),
            Ok(Some(parts)) => {
                let before = out.bytes;
                for (index, part) in parts.into_iter().enumerate() {
                    if out.bytes - before >= SOURCE_MAPPED_BYTES_MAX {
                        let why = format!("it becomes more than {SOURCE_MAPPED_BYTES_MAX} bytes");
                        let fault = MapFault { part: Some(index), ..MapFault::new(why) };
                        out.faults.push(MapFault::of("split")(fault));
                        break;
                    }
                    self.map_part(View { part: Some(part), ..view }, Some(index), now_us, out);
                }
            }
            Err(fault) => out.faults.push(fault),
        }
        self.source = source;
    }

    /// The parts that a message falls into; `None`: it is not split.
    fn parts<'a>(&self, view: &View<'a>) -> Result<Option<Vec<&'a str>>, MapFault> {
        let Some(reference) = &self.split else { return Ok(None) };
        let of = MapFault::of("split");
        let wrong = |why: String| of(MapFault::new(format!("`{{{}}}` {why}", reference.said)));
        match (view.find(reference).map_err(&of)?, reference.default.as_deref()) {
            (Found::Json(raw), _) => match elements(raw, SOURCE_PARTS_MAX) {
                Ok(Some(parts)) => Ok(Some(parts)),
                Ok(None) => {
                    Err(wrong(format!("is no array of {SOURCE_PARTS_MAX} elements at most")))
                }
                Err(error) => Err(wrong(format!("is not JSON: {error}"))),
            },
            (_, Some(_)) => Ok(Some(Vec::new())),
            _ => Err(wrong("is not there".to_owned())),
        }
    }

    fn map_part(&mut self, view: View<'_>, part: Option<usize>, now_us: u64, out: &mut Mapped) {
        match self.draft(view, now_us) {
            Ok(Some(draft)) => {
                out.bytes += draft.held_bytes();
                let number = part.and_then(|part| u32::try_from(part).ok()).unwrap_or(0);
                out.drafts.push((number, draft));
            }
            Ok(None) => out.dropped += 1,
            Err(fault) => out.faults.push(MapFault { part, ..fault }),
        }
    }

    /// The event that a part becomes; `None`: it is kept out.
    fn draft(&mut self, view: View<'_>, now_us: u64) -> Result<Option<Draft>, MapFault> {
        let time_us = self.time_of(&view).map_err(MapFault::of("time"))?;
        let view = View { time_us, ..view };
        if self.age_us_max > 0 && now_us.saturating_sub(time_us) > self.age_us_max {
            return Ok(None);
        }
        let topic = self.topic_of(&view).map_err(MapFault::of("topic"))?;
        let key = view.text_of(&self.key).map_err(MapFault::of("key"))?;
        if key.len() > KEY_BYTES_MAX {
            let why = format!("it has {} bytes, and may have {KEY_BYTES_MAX}", key.len());
            return Err(MapFault::of("key")(MapFault::new(why)));
        }
        let op = self.op_of(&view).map_err(MapFault::of("op"))?;
        let made = self.make_payload(&view).map_err(MapFault::of("payload"))?;
        let (op, payload) = match (made, op) {
            (Some(payload), op) => (op, payload),
            // The state of a key that is nothing: the key is gone.
            (None, Op::Upsert | Op::Delete) if !key.is_empty() => {
                (Op::Delete, Bytes::from_static(b"{}"))
            }
            (None, _) => return Err(MapFault::of("payload")(MapFault::new("there is none"))),
        };
        let draft = Draft {
            topic,
            key: key.into(),
            op,
            payload,
            fields: Fields::default(),
            ack: Ack::default(),
            meta: None,
        };
        let Some(filter) = &self.filter else { return Ok(Some(draft)) };
        let event = draft.clone().without_place(HomeId(0), time_us);
        let is_wanted = filter.evaluate_with(&event, &mut self.scratch);
        Ok(is_wanted.then_some(draft))
    }

    fn topic_of(&mut self, view: &View<'_>) -> Result<TopicName, MapFault> {
        if let (Some(_), Some(topic)) = (self.topic.constant(), &self.last_topic) {
            return Ok(topic.clone());
        }
        let text = view.text_of(&self.topic)?;
        if let Some(topic) = self.last_topic.as_ref().filter(|topic| topic.as_str() == text) {
            return Ok(topic.clone());
        }
        let topic =
            TopicName::new(&text).map_err(|error| MapFault::new(format!("`{text}`: {error}")))?;
        self.last_topic = Some(topic.clone());
        Ok(topic)
    }

    fn op_named(&self, word: &str) -> Option<Op> {
        let said = self.ops.iter().find(|(said, _)| **said == *word).map(|(_, op)| *op);
        said.or_else(|| Op::from_name(word))
    }

    fn op_of(&self, view: &View<'_>) -> Result<Op, MapFault> {
        let word = view.text_of(&self.op)?;
        self.op_named(&word).ok_or_else(|| MapFault::new(no_operation(&word)))
    }

    fn time_of(&self, view: &View<'_>) -> Result<u64, MapFault> {
        let Some(template) = &self.time else { return Ok(view.time_us) };
        let text = view.text_of(template)?;
        let time_us = time_us(&text);
        time_us.ok_or_else(|| MapFault::new(format!("`{text}` is no moment since 1970")))
    }

    /// The payload; `None`: the message has none.
    fn make_payload(&mut self, view: &View<'_>) -> Result<Option<Bytes>, MapFault> {
        let payload = match &self.payload {
            PayloadTemplate::One(reference) => match view.find(reference)? {
                Found::Json("null") => return Ok(None),
                Found::Json(raw) if raw.starts_with('"') => {
                    Bytes::from(string_of(raw).into_owned())
                }
                Found::Json(raw) => Bytes::copy_from_slice(raw.as_bytes()),
                Found::Text(text) => Bytes::from(text.into_owned()),
                Found::Nothing => match reference.default.as_deref() {
                    Some(default) if !default.is_empty() => {
                        Bytes::copy_from_slice(default.as_bytes())
                    }
                    Some(_) => return Ok(None),
                    // A message without a payload has none; one that lacks what is asked for is at fault.
                    None if reference.pointer.is_none() || view.message.payload.is_empty() => {
                        return Ok(None);
                    }
                    None => {
                        let why = format!("`{{{}}}` is not there", reference.said);
                        return Err(MapFault::new(why));
                    }
                },
            },
            PayloadTemplate::Object(members) => Bytes::from(object(view, members)?),
        };
        if payload.is_empty() {
            return Ok(None);
        }
        if payload.len() > PAYLOAD_BYTES_MAX {
            let why = format!("it has {} bytes, and may have {PAYLOAD_BYTES_MAX}", payload.len());
            return Err(MapFault::new(why));
        }
        check_payload(&payload, &mut self.scratch)
            .map_err(|error| MapFault::new(error.to_string()))?;
        Ok(Some(payload))
    }
}

fn object(view: &View<'_>, members: &[(Box<str>, Template)]) -> Result<String, MapFault> {
    let mut out = String::from("{");
    for (name, template) in members {
        let before = out.len();
        if before > 1 {
            out.push(',');
        }
        push_string(name, &mut out);
        out.push(':');
        let is_there = view.push_json(template, &mut out);
        let is_there =
            is_there.map_err(|fault| MapFault::new(format!("`{name}`: {}", fault.why)))?;
        if !is_there {
            out.truncate(before);
        }
    }
    out.push('}');
    Ok(out)
}

fn one_reference(
    template: &Template,
    member: &'static str,
    said: &str,
) -> Result<Reference, MappingError> {
    let found = template.reference().cloned();
    found.ok_or_else(|| MappingError {
        member,
        why: format!("`{said}` must be one reference, such as `{{/items}}`"),
    })
}

fn payload_of(text: &PayloadText) -> Result<PayloadTemplate, MappingError> {
    let member = "payload";
    let template = |said: &str| {
        Template::new(said)
            .map_err(|error| MappingError { member, why: format!("`{said}`: {error}") })
    };
    Ok(match text {
        PayloadText::One(said) => {
            PayloadTemplate::One(one_reference(&template(said)?, member, said)?)
        }
        PayloadText::Object(members) => {
            let read =
                |(name, said): &(String, String)| Ok((Box::from(name.as_str()), template(said)?));
            PayloadTemplate::Object(members.iter().map(read).collect::<Result<_, _>>()?)
        }
    })
}

/// What a word of the far end's means: `said=operation`.
fn op_of(text: &str) -> Result<(Box<str>, Op), MappingError> {
    let member = "ops";
    let Some((said, word)) = text.rsplit_once('=') else {
        let why = format!("`{text}` must be like `created=upsert`");
        return Err(MappingError { member, why });
    };
    match Op::from_name(word) {
        Some(op) => Ok((said.into(), op)),
        None => Err(MappingError { member, why: format!("`{text}`: {}", no_operation(word)) }),
    }
}

fn no_operation(word: &str) -> String {
    format!(
        "`{word}` is no operation; there are `upsert`, `delete` and `event`, and what `ops` says"
    )
}

/// A moment in microseconds since 1970: a date and time, or a number of seconds, milliseconds, microseconds or nanoseconds, which its size tells apart from the year 1973 on.
fn time_us(text: &str) -> Option<u64> {
    let is_count = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_count {
        return match text.parse::<f64>() {
            Ok(_) => seconds_us(text),
            Err(_) => u64::try_from(parse_us(text)?).ok(),
        };
    }
    let count: u64 = text.parse().ok()?;
    match count {
        0..100_000_000_000 => Some(count * 1_000_000),
        100_000_000_000..100_000_000_000_000 => Some(count * 1_000),
        100_000_000_000_000..100_000_000_000_000_000 => Some(count),
        _ => Some(count / 1_000),
    }
}

/// Seconds with a fraction, of which microseconds are read.
fn seconds_us(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.')?;
    let seconds: u64 = whole.parse().ok()?;
    let is_digits = fraction.bytes().all(|byte| byte.is_ascii_digit());
    let micros: String = fraction.chars().chain(std::iter::repeat_n('0', 6)).take(6).collect();
    let micros: u64 = if is_digits { micros.parse().ok()? } else { return None };
    seconds.checked_mul(1_000_000)?.checked_add(micros)
}
