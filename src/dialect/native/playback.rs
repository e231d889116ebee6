//! At which pace of its own time the past is to be told, read alike from a message and from a URL.
//!
//! Invariant: what is read from either is the same. Never guesses: a speed that cannot be is refused, and the member is named.

use std::fmt;

use serde_json::value::RawValue;

use super::members::Members;
use super::members::read;
use super::options::bad;
use super::options::optional;
use super::options::parse_since;
use super::options::parse_since_text;
use crate::dialect::Refusal;
use crate::limits::PLAYBACK_GAP_MS_MAX;
use crate::limits::PLAYBACK_SPEED_MAX;
use crate::limits::PLAYBACK_SPEED_MIN;
use crate::position::Playback;
use crate::position::Seek;
use crate::position::Since;
use crate::position::Speed;

/// What a subscription says of its playback, before it is known where the subscription begins.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PlaybackOptions {
    speed: Option<Speed>,
    from_us: Option<u64>,
    gap_ms_max: Option<u32>,
}

impl PlaybackOptions {
    pub(super) fn of_members(members: &mut Members<'_>) -> Result<Self, Refusal> {
        Ok(Self {
            speed: members.take("speed").map(speed).transpose()?,
            from_us: members.take("play_from").map(from).transpose()?,
            gap_ms_max: members.take("max_gap_ms").map(gap_ms_max).transpose()?,
        })
    }

    /// Takes one parameter of a URL over; false if there is none of this name.
    pub(super) fn parameter(&mut self, name: &str, text: &str) -> Result<bool, Refusal> {
        match name {
            "speed" => self.speed = Some(speed_of(text.trim().parse().ok(), text)?),
            "play_from" => self.from_us = Some(moment_of(parse_since_text(text).as_ref().ok())?),
            "max_gap_ms" => self.gap_ms_max = Some(gap_of(text.trim().parse().ok(), text)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// How a subscription is told of the past that begins there.
    pub(super) fn playback(self, since: &Since) -> Result<Option<Playback>, Refusal> {
        let Self { speed, from_us, gap_ms_max } = self;
        let Some(speed) = speed else {
            let others = [("play_from", from_us.is_some()), ("max_gap_ms", gap_ms_max.is_some())];
            return match others.iter().find(|(_, is_there)| *is_there) {
                Some((name, _)) => Err(bad(name, format_args!("`{name}` needs `speed`"))),
                None => Ok(None),
            };
        };
        check_place(since)?;
        Ok(Some(Playback { speed, from_us: from_us.unwrap_or(0), gap_ms_max }))
    }
}

/// What an `update` says of it.
pub(super) fn seek(members: &mut Members<'_>) -> Result<Seek, Refusal> {
    let since = members.take("since").map(|raw| parse_since(raw.get())).transpose()?;
    let seek = Seek {
        speed: members.take("speed").map(|raw| optional(raw, speed)).transpose()?,
        from_us: match members.take("play_from") {
            None => 0,
            Some(_) if since.is_none() => {
                return Err(bad("play_from", "`play_from` needs `since`"));
            }
            Some(raw) => from(raw)?,
        },
        gap_ms_max: members.take("max_gap_ms").map(|raw| optional(raw, gap_ms_max)).transpose()?,
        since,
    };
    if let (Some(since), Some(Some(_))) = (&seek.since, seek.speed) {
        check_place(since)?;
    }
    Ok(seek)
}

fn check_place(since: &Since) -> Result<(), Refusal> {
    if since.is_place_in_time() {
        return Ok(());
    }
    let message = "`speed` needs a `since` from which events are told in their order: `earliest`, a time or a position";
    Err(bad("speed", message))
}

fn speed(raw: &RawValue) -> Result<Speed, Refusal> {
    speed_of(Some(read(raw, "speed", "a number")?), raw.get())
}

fn speed_of(number: Option<f64>, said: impl fmt::Display) -> Result<Speed, Refusal> {
    number.and_then(Speed::of).ok_or_else(|| {
        let message = format_args!(
            "speed is {said}; 0 (paused) and {PLAYBACK_SPEED_MIN} to {PLAYBACK_SPEED_MAX} are allowed"
        );
        bad("speed", message)
    })
}

fn gap_ms_max(raw: &RawValue) -> Result<u32, Refusal> {
    gap_of(Some(read(raw, "max_gap_ms", "an integer")?), raw.get())
}

fn gap_of(ms: Option<u64>, said: impl fmt::Display) -> Result<u32, Refusal> {
    let ms = ms.and_then(|ms| u32::try_from(ms).ok()).filter(|ms| *ms <= PLAYBACK_GAP_MS_MAX);
    ms.ok_or_else(|| {
        let message = format_args!("max_gap_ms is {said}; 0 to {PLAYBACK_GAP_MS_MAX} are allowed");
        bad("max_gap_ms", message)
    })
}

fn from(raw: &RawValue) -> Result<u64, Refusal> {
    moment_of(parse_since(raw.get()).as_ref().ok())
}

fn moment_of(since: Option<&Since>) -> Result<u64, Refusal> {
    match since {
        Some(Since::Time(time_us)) => Ok(*time_us),
        _ => Err(bad("play_from", "play_from is a time: ISO 8601, or microseconds since 1970")),
    }
}
