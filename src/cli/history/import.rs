//! `fanwire history import`: NDJSON, as `export` writes it or with less, into a folder.
//!
//! Invariants: a line says a topic and a payload at least; what it does not say follows from the lines before it. Offsets of a topic and stamps of a home ascend, over what is there as
//! well, or the line is refused; what stands before it is written.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::HistoryError;
use super::export::pattern;
use super::made;
use super::meta::MetaFault;
use super::meta::MetaLine;
use super::now_us;
use super::open;
use crate::event::Op;
use crate::event::ShardId;
use crate::event::TopicError;
use crate::event::TopicName;
use crate::event::TopicPattern;
use crate::history::log::Before;
use crate::history::log::Folder;
use crate::history::log::Limits;
use crate::history::log::Log;
use crate::history::log::Record;
use crate::limits::KEY_BYTES_MAX;
use crate::limits::PAYLOAD_BYTES_MAX;
use crate::store::Files;

/// Lines that are written together.
const GROUP_EVENTS: usize = 1000;
/// Bytes of a line; the payloads it may hold, and as much again for the rest.
const LINE_BYTES_MAX: u64 = 4 * PAYLOAD_BYTES_MAX as u64;

/// What may be said after `fanwire history import`.
#[derive(Debug, clap::Args)]
pub(super) struct ImportArgs {
    /// The data folder; it is made if it is not there
    #[arg(value_name = "FOLDER")]
    pub(super) folder: PathBuf,
    /// The file; without it standard input is read
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// The topics of the class that takes the events, as a server's configuration has them
    #[arg(long, value_name = "PATTERN", default_value = "**", value_parser = pattern)]
    topics: Vec<TopicPattern>,
}

/// What is wrong with a line.
#[derive(Debug)]
pub(super) enum Fault {
    TooLong,
    Json(serde_json::Error),
    Topic(TopicError),
    /// The class does not take this topic.
    OtherTopic(String),
    Key {
        bytes: usize,
    },
    Op(String),
    Payload,
    Offset {
        offset: u64,
        newest: u64,
    },
    Previous {
        previous: u64,
        newest: u64,
    },
    Stamp {
        time_us: u64,
        newest: u64,
    },
    Before,
    Meta(MetaFault),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "is longer than {LINE_BYTES_MAX} bytes"),
            Self::Json(error) => write!(f, "{error}"),
            Self::Topic(error) => write!(f, "{error}"),
            Self::OtherTopic(topic) => {
                write!(f, "topic {topic} is none of this class; see --topics")
            }
            Self::Key { bytes } => {
                write!(f, "key has {bytes} bytes; at most {KEY_BYTES_MAX} are allowed")
            }
            Self::Op(op) => write!(f, "op is {op:?}; it may be upsert, delete or event"),
            Self::Payload => {
                write!(f, "payload must be one JSON object of at most {PAYLOAD_BYTES_MAX} bytes")
            }
            Self::Offset { offset, newest } => {
                write!(f, "offset {offset} does not lie above {newest}, the topic's newest")
            }
            Self::Previous { previous, newest } => {
                write!(f, "previous {previous} lies below {newest}, the topic's newest")
            }
            Self::Stamp { time_us, newest } => {
                write!(
                    f,
                    "time_us {time_us} does not lie above {newest}, the newest of its home and topic"
                )
            }
            Self::Before => write!(f, "before must lie before the event"),
            Self::Meta(fault) => write!(f, "{fault}"),
        }
    }
}

/// A line as it is read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ImportedLine<'a> {
    topic: String,
    #[serde(default)]
    key: String,
    op: Option<String>,
    offset: Option<u64>,
    previous: Option<u64>,
    time_us: Option<u64>,
    #[serde(default)]
    home: u16,
    #[serde(borrow)]
    payload: &'a RawValue,
    #[serde(borrow)]
    before: Option<ImportedBefore<'a>>,
    meta: Option<MetaLine>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ImportedBefore<'a> {
    op: String,
    offset: u64,
    time_us: u64,
    #[serde(borrow)]
    payload: &'a RawValue,
}

/// Where the topics and homes stand.
struct Importer<'a> {
    topics: &'a [TopicPattern],
    /// Of each topic met: its newest offset, its stamp, and the home of those in this group.
    newest: BTreeMap<TopicName, (u64, u64, Option<u16>)>,
    stamps: BTreeMap<u16, u64>,
    /// Stamps of this run lie above what was there.
    floor_us: u64,
    group: BTreeMap<u16, Vec<Record>>,
    count: usize,
    /// How often a line says that something stood before it which was not there.
    gaps: u64,
}

pub(super) fn run(args: &ImportArgs) -> Result<bool, HistoryError> {
    std::fs::create_dir_all(&args.folder).map_err(HistoryError::NoFolder)?;
    let input: Box<dyn Read> = match &args.file {
        Some(path) => Box::new(File::open(path).map_err(HistoryError::Stream)?),
        None => Box::new(std::io::stdin()),
    };
    let (mut files, _lock) = open(&args.folder)?;
    let topics: Vec<String> = args.topics.iter().map(|topic| topic.as_str().to_owned()).collect();
    let mut folder = Folder::open(&mut files, &made()?, &[(topics.clone(), Limits::default())])?;
    let place = folder.manifest.classes.iter().position(|class| class.topics == topics);
    let log = &mut folder.logs[place.expect("it was opened with it")];
    let mut importer = Importer {
        topics: &args.topics,
        newest: BTreeMap::new(),
        stamps: BTreeMap::new(),
        floor_us: log.newest_us(),
        group: BTreeMap::new(),
        count: 0,
        gaps: 0,
    };
    let outcome = importer.read(BufReader::new(input), log, &mut files);
    // What was written before a line that is wrong stays, and in order.
    folder.close(&mut files)?;
    let events = outcome?;
    if importer.gaps > 0 {
        let gaps = importer.gaps;
        crate::cli::say(&format!(
            "{gaps} times a line says that events stood before it that are not in the input: readers of this folder are not told of them"
        ));
    }
    println_events(events)
}

fn println_events(events: u64) -> Result<bool, HistoryError> {
    use std::io::Write as _;
    writeln!(std::io::stdout(), "{events} events").map_err(HistoryError::Stream)?;
    Ok(true)
}

impl Importer<'_> {
    fn read(
        &mut self,
        mut input: impl BufRead,
        log: &mut Log<File>,
        files: &mut Files,
    ) -> Result<u64, HistoryError> {
        let mut line = Vec::new();
        let mut events = 0;
        for number in 1.. {
            line.clear();
            let read = (&mut input).take(LINE_BYTES_MAX + 1).read_until(b'\n', &mut line);
            if read.map_err(HistoryError::Stream)? == 0 {
                break;
            }
            let wrong = |fault| HistoryError::Line { number, fault };
            if line.len() as u64 > LINE_BYTES_MAX {
                return Err(wrong(Fault::TooLong));
            }
            if line.trim_ascii().is_empty() {
                continue;
            }
            let (home, record, follows) = match self.parse(&line, log) {
                Ok(parsed) => parsed,
                Err(fault) => {
                    self.write(log, files)?;
                    return Err(wrong(fault));
                }
            };
            let known = self.newest.get(&record.topic).and_then(|known| known.2);
            if known.is_some_and(|known| known != home) {
                // It moved between two shards: what came before lies before.
                self.write(log, files)?;
            }
            self.take(home, record);
            self.gaps += u64::from(!follows);
            events += 1;
            if self.count >= GROUP_EVENTS {
                self.write(log, files)?;
            }
        }
        self.write(log, files)?;
        Ok(events)
    }

    fn write(&mut self, log: &mut Log<File>, files: &mut Files) -> Result<(), HistoryError> {
        let group: Vec<(ShardId, Vec<Record>)> = std::mem::take(&mut self.group)
            .into_iter()
            .map(|(home, records)| (ShardId(home), records))
            .collect();
        self.count = 0;
        for (_, _, home) in self.newest.values_mut() {
            *home = None;
        }
        if !group.is_empty() {
            log.write(files, &group)?;
        }
        Ok(())
    }

    /// A line's home and record, and whether nothing is missing before it.
    fn parse(&self, line: &[u8], log: &Log<File>) -> Result<(u16, Record, bool), Fault> {
        let line: ImportedLine<'_> = serde_json::from_slice(line).map_err(Fault::Json)?;
        let topic = TopicName::new(&line.topic).map_err(Fault::Topic)?;
        if !self.topics.iter().any(|pattern| pattern.matches(&topic)) {
            return Err(Fault::OtherTopic(line.topic));
        }
        if line.key.len() > KEY_BYTES_MAX {
            return Err(Fault::Key { bytes: line.key.len() });
        }
        let op = op_of(line.op.as_deref().unwrap_or("upsert"))?;
        let payload = payload_of(line.payload)?;
        let known = self.newest.get(&topic).copied();
        let (newest, behind) =
            known.map_or_else(|| log.newest_of(&topic), |(newest, ..)| (newest, newest));
        let offset = line.offset.unwrap_or(behind + 1);
        if offset <= behind {
            return Err(Fault::Offset { offset, newest: behind });
        }
        // Of a topic that is not known yet the first line says what was before.
        let previous = if newest == 0 { line.previous.unwrap_or(0) } else { newest };
        if line.previous.is_some_and(|said| said < newest) || previous >= offset {
            return Err(Fault::Previous { previous: line.previous.unwrap_or(previous), newest });
        }
        let of_home = self.stamps.get(&line.home).copied().unwrap_or(self.floor_us);
        let stamp = of_home.max(known.map_or(0, |(_, time_us, _)| time_us));
        let time_us = line.time_us.unwrap_or_else(|| now_us().max(stamp + 1));
        if time_us <= stamp {
            return Err(Fault::Stamp { time_us, newest: stamp });
        }
        let before = line.before.map(|before| before_of(&before, offset, time_us)).transpose()?;
        let meta = line.meta.map(|meta| meta.read().map(Arc::new)).transpose();
        let meta = meta.map_err(Fault::Meta)?;
        let key = Arc::from(line.key);
        let follows = line.previous.is_none_or(|said| said == previous);
        let record = Record { topic, previous, offset, time_us, op, key, payload, before, meta };
        Ok((line.home, record, follows))
    }

    fn take(&mut self, home: u16, record: Record) {
        let newest = (record.offset, record.time_us, Some(home));
        self.newest.insert(record.topic.clone(), newest);
        self.stamps.insert(home, record.time_us);
        self.group.entry(home).or_default().push(record);
        self.count += 1;
    }
}

fn op_of(word: &str) -> Result<Op, Fault> {
    Op::from_name(word).ok_or_else(|| Fault::Op(word.to_owned()))
}

fn payload_of(text: &RawValue) -> Result<Bytes, Fault> {
    let text = text.get();
    if !text.starts_with('{') || text.len() > PAYLOAD_BYTES_MAX {
        return Err(Fault::Payload);
    }
    Ok(Bytes::copy_from_slice(text.as_bytes()))
}

fn before_of(line: &ImportedBefore<'_>, offset: u64, time_us: u64) -> Result<Box<Before>, Fault> {
    if line.offset >= offset || line.time_us >= time_us {
        return Err(Fault::Before);
    }
    Ok(Box::new(Before {
        offset: line.offset,
        time_us: line.time_us,
        op: op_of(&line.op)?,
        payload: payload_of(line.payload)?,
    }))
}
