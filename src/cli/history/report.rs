//! `fanwire history info` and `verify`: what is in a folder, and what is lost.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use super::HistoryError;
use super::open;
use crate::event::TopicName;
use crate::history::log::Carried;
use crate::history::log::Recovered;
use crate::history::log::Segment;
use crate::history::log::Survey;
use crate::history::log::survey;

/// Topics that are listed; the rest is counted.
const TOPICS_MAX: usize = 100;

pub(super) fn info(folder: &Path) -> Result<bool, HistoryError> {
    let (mut files, _lock) = open(folder)?;
    let survey = survey(&mut files, true)?;
    let mut out = std::io::stdout().lock();
    print_info(&survey, &mut out).map_err(HistoryError::Stream)?;
    Ok(true)
}

fn print_info(survey: &Survey, out: &mut impl Write) -> std::io::Result<()> {
    let manifest = &survey.manifest;
    writeln!(out, "epoch    {:016x}", manifest.epoch)?;
    let left = if manifest.is_clean {
        "in order"
    } else {
        "not in order: in use, killed, or without power"
    };
    writeln!(out, "left     {left}")?;
    match &survey.ledger {
        Ok(found) => writeln!(out, "ledger   {} notes", found.count())?,
        Err(fault) => writeln!(out, "ledger   rotten: {fault}")?,
    }
    for (class, found, carried) in &survey.classes {
        writeln!(out)?;
        writeln!(out, "class {}  {}", class.id, class.topics.join(", "))?;
        let sum = |count: fn(&Segment) -> u64| found.segments.iter().map(count).sum::<u64>();
        writeln!(
            out,
            "  {} events, {} blocks, {} bytes in {} segments",
            sum(|segment| segment.events),
            sum(|segment| segment.blocks),
            sum(|segment| segment.bytes),
            found.segments.len(),
        )?;
        for segment in &found.segments {
            writeln!(
                out,
                "  {}  {} events, {} bytes, {} to {}",
                Segment::file_name(segment.number),
                segment.events,
                segment.bytes,
                moment(segment.first_us),
                moment(segment.last_us),
            )?;
        }
        let last = carried.last().count();
        if carried.upto > 0 {
            writeln!(
                out,
                "  carried over from segments up to {}: the last events of {last} keys",
                carried.upto
            )?;
        }
        print_topics(found, out)?;
    }
    Ok(())
}

fn print_topics(found: &Recovered, out: &mut impl Write) -> std::io::Result<()> {
    let mut counts: BTreeMap<&TopicName, u64> = BTreeMap::new();
    for part in found.segments.iter().flat_map(|segment| segment.parts.values()) {
        *counts.entry(&part.topic).or_default() += part.count;
    }
    for (topic, known) in found.topics.iter().take(TOPICS_MAX) {
        let count = counts.get(topic).copied().unwrap_or(0);
        writeln!(out, "  {}  {count} events, newest offset {}", topic.as_str(), known.newest)?;
    }
    if found.topics.len() > TOPICS_MAX {
        writeln!(out, "  and {} more topics", found.topics.len() - TOPICS_MAX)?;
    }
    Ok(())
}

fn moment(time_us: u64) -> String {
    let moment =
        i64::try_from(time_us).ok().and_then(|us| jiff::Timestamp::from_microsecond(us).ok());
    moment.map_or_else(|| format!("{time_us} us"), |moment| moment.to_string())
}

/// True: nothing is lost.
pub(super) fn verify(folder: &Path) -> Result<bool, HistoryError> {
    let (mut files, _lock) = open(folder)?;
    let survey = survey(&mut files, false)?;
    let mut out = std::io::stdout().lock();
    print_verdict(&survey, &mut out).map_err(HistoryError::Stream)
}

fn print_verdict(survey: &Survey, out: &mut impl Write) -> std::io::Result<bool> {
    let mut is_sound = true;
    for (class, found, carried) in &survey.classes {
        for (segment, rotten) in found.rotten() {
            is_sound = false;
            let name = Segment::file_name(segment);
            writeln!(
                out,
                "class {}: {name}: bytes {} to {} are lost",
                class.id, rotten.from, rotten.to
            )?;
            for part in &rotten.lost {
                writeln!(
                    out,
                    "  {}: offsets {} to {}",
                    part.topic.as_str(),
                    part.previous + 1,
                    part.last
                )?;
            }
            if !rotten.is_known {
                writeln!(out, "  and perhaps more that nothing behind it tells of")?;
            }
        }
        for rotten in &carried.rotten {
            is_sound &= !carried.is_short;
            writeln!(
                out,
                "class {}: carried: bytes {} to {} are lost",
                class.id, rotten.from, rotten.to
            )?;
        }
        if let Some(torn) = found.torn {
            let name = Segment::file_name(torn.segment);
            writeln!(
                out,
                "class {}: {name}: torn at byte {} of {}: nothing that was acknowledged as durable; the next start cuts it",
                class.id, torn.from, torn.to
            )?;
        }
        if found.mended > 0 {
            writeln!(
                out,
                "class {}: {} blocks have a rotten head or summary, and lose nothing by it",
                class.id, found.mended
            )?;
        }
        carried_line(carried, class.id, out)?;
    }
    match &survey.ledger {
        Ok(found) if found.is_mended => {
            writeln!(
                out,
                "ledger: one of its copies cannot be read to its end, and nothing is lost by it"
            )?;
        }
        Ok(_) => {}
        Err(fault) => {
            is_sound = false;
            writeln!(out, "ledger: {fault}")?;
        }
    }
    let (mut blocks, mut events) = (0, 0);
    for segment in survey.classes.iter().flat_map(|(_, found, _)| &found.segments) {
        blocks += segment.blocks;
        events += segment.events;
    }
    let verdict = if is_sound { "sound" } else { "NOT sound" };
    writeln!(out, "{verdict}: {events} events in {blocks} good blocks")?;
    Ok(is_sound)
}

fn carried_line(carried: &Carried, class: u32, out: &mut impl Write) -> std::io::Result<()> {
    if carried.is_short {
        writeln!(
            out,
            "class {class}: the newest offsets of some topics are lost: `fanwire history repair` begins a new epoch"
        )?;
    }
    Ok(())
}
