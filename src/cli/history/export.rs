//! `fanwire history export`: the events of a folder as NDJSON, in the order in which they lie there; payloads byte for byte.

use std::io::BufWriter;
use std::io::Write;
use std::path::PathBuf;

use serde::Serialize;
use serde_json::value::RawValue;

use super::HistoryError;
use super::meta::MetaLine;
use super::open;
use crate::event::TopicPattern;
use crate::history::log::Disk;
use crate::history::log::DiskError;
use crate::history::log::Found;
use crate::history::log::Record;
use crate::history::log::Scan;
use crate::history::log::Segment;
use crate::history::log::survey;
use crate::store::Files;

/// What may be said after `fanwire history export`.
#[derive(Debug, clap::Args)]
pub(super) struct ExportArgs {
    /// The data folder
    #[arg(value_name = "FOLDER")]
    pub(super) folder: PathBuf,
    /// Only topics that match; may be given several times
    #[arg(long, value_name = "PATTERN", value_parser = pattern)]
    topic: Vec<TopicPattern>,
}

pub(super) fn pattern(text: &str) -> Result<TopicPattern, String> {
    TopicPattern::new(text).map_err(|error| error.to_string())
}

/// A line.
#[derive(Serialize)]
struct ExportedLine<'a> {
    topic: &'a str,
    key: &'a str,
    op: &'a str,
    offset: u64,
    previous: u64,
    time_us: u64,
    home: u16,
    payload: &'a RawValue,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<ExportedBefore<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    meta: Option<MetaLine>,
}

/// The event before a delete.
#[derive(Serialize)]
struct ExportedBefore<'a> {
    op: &'a str,
    offset: u64,
    time_us: u64,
    payload: &'a RawValue,
}

/// False: something of what was asked for is lost.
pub(super) fn run(args: &ExportArgs) -> Result<bool, HistoryError> {
    let (mut files, _lock) = open(&args.folder)?;
    let survey = survey(&mut files, true)?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut is_whole = true;
    for (class, found, _) in &survey.classes {
        for segment in &found.segments {
            let file =
                match files.open(&format!("{}/{}", class.id, Segment::file_name(segment.number))) {
                    Err(DiskError::Missing) => continue,
                    file => file?,
                };
            let len = segment.bytes.min(files.len(&file)?);
            let mut scan = Scan::new(survey.manifest.salt, segment.number, 0, len);
            is_whole &= write_segment(&mut files, &file, &mut scan, &args.topic, &mut out)?;
        }
    }
    out.flush().map_err(HistoryError::Stream)?;
    Ok(is_whole)
}

fn write_segment(
    files: &mut Files,
    file: &std::fs::File,
    scan: &mut Scan,
    topics: &[TopicPattern],
    out: &mut impl Write,
) -> Result<bool, HistoryError> {
    let mut is_whole = true;
    while let Some(found) = scan.next(files, file)? {
        let block = match found {
            Found::Block(block) => block,
            Found::Rotten(rotten) => {
                is_whole = false;
                crate::cli::say(&format!(
                    "fanwire: bytes {} to {} of a segment are lost; see `fanwire history verify`",
                    rotten.from, rotten.to
                ));
                continue;
            }
        };
        for record in block.body.to_records().unwrap_or_default() {
            if topics.is_empty() || topics.iter().any(|pattern| pattern.matches(&record.topic)) {
                write_line(&record, block.head.home, out)?;
            }
        }
    }
    Ok(is_whole)
}

fn write_line(record: &Record, home: u16, out: &mut impl Write) -> Result<(), HistoryError> {
    let before = record.before.as_deref();
    let before = before.map(|before| {
        Ok::<_, serde_json::Error>(ExportedBefore {
            op: before.op.name(),
            offset: before.offset,
            time_us: before.time_us,
            payload: serde_json::from_slice(&before.payload)?,
        })
    });
    let failed = |error: serde_json::Error| HistoryError::Stream(error.into());
    let line = ExportedLine {
        topic: record.topic.as_str(),
        key: &record.key,
        op: record.op.name(),
        offset: record.offset,
        previous: record.previous,
        time_us: record.time_us,
        home,
        payload: serde_json::from_slice(&record.payload).map_err(failed)?,
        before: before.transpose().map_err(failed)?,
        meta: record.meta.as_deref().map(MetaLine::of),
    };
    serde_json::to_writer(&mut *out, &line).map_err(failed)?;
    out.write_all(b"\n").map_err(HistoryError::Stream)
}
