//! What a subscription may ask for besides its topics, read alike from a message and from a URL.
//!
//! In a message an option is a JSON value. In a URL it is the same value, or the short text that people write for it: `2/key`, `lat,lon`, `64`.
//! Invariant: what is read from either is the same option. Never guesses: what is not understood is refused, and the member is named.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::members::Members;
use super::members::read;
use crate::batch::Slow;
use crate::dialect::Batch;
use crate::dialect::BatchForm;
use crate::dialect::MaxRate;
use crate::dialect::Refusal;
use crate::dialect::RefusalCode;
use crate::dialect::Subscription;
use crate::dialect::json::Word;
pub(super) use crate::dialect::terms::bad;
use crate::dialect::terms::bad_filter;
use crate::dialect::terms::fields_of;
use crate::dialect::terms::filter_of;
use crate::dialect::terms::max_rate_of;
use crate::dialect::terms::per_of;
use crate::dialect::terms::rate;
use crate::event::Projection;
use crate::event::TopicName;
use crate::event::moment;
use crate::limits::BATCH_DELAY_MS_MAX;
use crate::limits::BATCH_EVENTS_MAX;
use crate::matcher::Filter;
use crate::position::Position;
use crate::position::Since;

const BATCH_DELAY_MS_DEFAULT: u32 = 50;

pub(super) fn missing(field: &str) -> Refusal {
    Refusal::of(RefusalCode::MissingField, field, format_args!("`{field}` is required"))
}

/// `null` takes an option away.
pub(super) fn optional<T>(
    raw: &RawValue,
    read: impl FnOnce(&RawValue) -> Result<T, Refusal>,
) -> Result<Option<T>, Refusal> {
    if raw.get() == "null" { Ok(None) } else { read(raw).map(Some) }
}

/// Takes one option of a URL over into a subscription; false if there is none of this name.
///
/// # Errors
/// What is wrong with it.
pub fn parameter(name: &str, text: &str, subscription: &mut Subscription) -> Result<bool, Refusal> {
    // A value that begins like JSON is what the message has.
    let json = text.starts_with(['{', '[']).then(|| serde_json::from_str::<&RawValue>(text));
    let json = json.transpose().map_err(|_| bad(name, format_args!("`{name}` is not JSON")))?;
    match name {
        // Reading one takes work, so there is one.
        "filter" if subscription.filter.is_some() => {
            return Err(bad("filter", "`filter` stands twice; join them with `and`"));
        }
        "filter" => subscription.filter = Some(filter_of(text)?),
        "slow" => subscription.slow = slow_of(text)?,
        "batch" => subscription.batch = Some(json.map_or_else(|| batch_of(text), batch)?),
        "max_rate" => {
            subscription.max_rate = Some(json.map_or_else(|| max_rate_of(text), max_rate)?);
        }
        "fields" => subscription.fields = Some(json.map_or_else(|| fields_of(text), fields)?),
        "leave" => subscription.leave = switch_of("leave", text)?,
        "trace" => subscription.trace = switch_of("trace", text)?,
        _ => return Ok(false),
    }
    Ok(true)
}

/// A filter in the text notation, as a string, or in the JSON notation, as an object.
pub(super) fn filter(raw: &RawValue) -> Result<Filter, Refusal> {
    Filter::parse_value(raw.get()).map_err(bad_filter)
}

pub(super) fn max_rate(raw: &RawValue) -> Result<MaxRate, Refusal> {
    let mut members =
        Members::parse(raw.get()).map_err(|_| bad("max_rate", "max_rate must be an object"))?;
    let per: String = members.take("per").map_or_else(
        || Ok("subscription".to_owned()),
        |raw| read(raw, "max_rate.per", "a string"),
    )?;
    let per = per_of(&per)?;
    let hz: f64 =
        read(members.take("hz").ok_or_else(|| missing("max_rate.hz"))?, "max_rate.hz", "a number")?;
    members.none_left("max_rate")?;
    rate(per, hz)
}

pub(super) fn fields(raw: &RawValue) -> Result<Arc<Projection>, Refusal> {
    let paths: Vec<String> = read(raw, "fields", "a list of strings")?;
    Projection::new(&paths).map(Arc::new).map_err(|e| bad("fields", e))
}

pub(super) fn leave(raw: &RawValue) -> Result<bool, Refusal> {
    read(raw, "leave", "true or false")
}

pub(super) fn trace(raw: &RawValue) -> Result<bool, Refusal> {
    read(raw, "trace", "true or false")
}

pub(super) fn compact(raw: &RawValue) -> Result<bool, Refusal> {
    read(raw, "compact", "true or false")
}

pub(super) fn switch_of(name: &str, text: &str) -> Result<bool, Refusal> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(bad(name, format_args!("`{name}` must be true or false"))),
    }
}

pub(super) fn batch(raw: &RawValue) -> Result<Batch, Refusal> {
    let mut members =
        Members::parse(raw.get()).map_err(|_| bad("batch", "batch must be an object"))?;
    let events_max = members.take("max_events").ok_or_else(|| missing("batch.max_events"))?;
    let events_max: u16 = read(events_max, "batch.max_events", "an integer")?;
    let delay_ms = match members.take("max_delay_ms") {
        Some(raw) => read(raw, "batch.max_delay_ms", "an integer")?,
        None => BATCH_DELAY_MS_DEFAULT,
    };
    let form = members.take("form").map_or(Ok(BatchForm::Rows), form)?;
    members.none_left("batch")?;
    gathered(events_max, delay_ms, form)
}

fn form(raw: &RawValue) -> Result<BatchForm, Refusal> {
    let word: String = read(raw, "batch.form", "a string")?;
    match &*word {
        "rows" => Ok(BatchForm::Rows),
        "columns" => Ok(BatchForm::Columns),
        _ => Err(bad("batch.form", format_args!("form is `rows` or `columns`, not {word:?}"))),
    }
}

/// `64`, or `64/50`: so many events, none of which waits longer than so many milliseconds.
fn batch_of(text: &str) -> Result<Batch, Refusal> {
    let (events, delay) = text.split_once('/').map_or((text, None), |(a, b)| (a, Some(b)));
    let delay_ms = delay.map_or(Ok(BATCH_DELAY_MS_DEFAULT), |delay| delay.trim().parse());
    match (events.trim().parse(), delay_ms) {
        (Ok(events_max), Ok(delay_ms)) => gathered(events_max, delay_ms, BatchForm::Rows),
        _ => Err(bad(
            "batch",
            format_args!(
                "batch is written `64`, `64/50` or {{\"max_events\":64,\"max_delay_ms\":50}}, not {text:?}"
            ),
        )),
    }
}

fn gathered(events_max: u16, delay_ms: u32, form: BatchForm) -> Result<Batch, Refusal> {
    if !(2..=BATCH_EVENTS_MAX).contains(&events_max) {
        return Err(bad(
            "batch.max_events",
            format_args!("max_events is {events_max}; 2 to {BATCH_EVENTS_MAX} are allowed"),
        ));
    }
    if !(1..=BATCH_DELAY_MS_MAX).contains(&delay_ms) {
        return Err(bad(
            "batch.max_delay_ms",
            format_args!("max_delay_ms is {delay_ms}; 1 to {BATCH_DELAY_MS_MAX} are allowed"),
        ));
    }
    Ok(Batch { events_max, delay_ms, form })
}

pub(super) fn slow(raw: &RawValue) -> Result<Slow, Refusal> {
    slow_of(&read::<String>(raw, "slow", "a string")?)
}

fn slow_of(word: &str) -> Result<Slow, Refusal> {
    match word {
        "disconnect" => Ok(Slow::Disconnect),
        "drop_oldest" => Ok(Slow::DropOldest),
        "latest_per_key" => Ok(Slow::LatestPerKey),
        _ => Err(bad(
            "slow",
            format_args!("slow is `disconnect`, `drop_oldest` or `latest_per_key`, not {word:?}"),
        )),
    }
}

/// Reads a `since` as a URL or a command line has it: `earliest`, `last`, a time (ISO 8601 or microseconds since 1970) or a position as JSON.
///
/// # Errors
/// Which of its members is wrong, or that it is none of these.
pub fn parse_since_text(text: &str) -> Result<Since, Refusal> {
    match text {
        "earliest" => Ok(Since::Earliest),
        "last" => Ok(Since::Last),
        _ if text.starts_with('{') => parse_since(text),
        _ => moment::since_us(text).map(Since::Time).ok_or_else(|| {
            let message = format_args!(
                "since is `earliest`, `last`, an ISO 8601 time, microseconds since 1970 or a position, not {text:?}"
            );
            bad("since", message)
        }),
    }
}

/// Reads a `since` as a message has it: a string or a number as in a URL, `{"time_us":T}` or a position.
///
/// # Errors
/// Which of its members is wrong, or that it is none of these.
pub fn parse_since(text: &str) -> Result<Since, Refusal> {
    if text.starts_with('"') {
        let text: String =
            serde_json::from_str(text).map_err(|_| bad("since", "since is no text"))?;
        return parse_since_text(&text);
    }
    if let Ok(time_us) = text.parse() {
        return Ok(Since::Time(time_us));
    }
    let mut members =
        Members::parse(text).map_err(|_| bad("since", "since is a string or an object"))?;
    let time_us: Option<u64> =
        members.take("time_us").map(|raw| read(raw, "since.time_us", "an integer")).transpose()?;
    let Some(epoch) = members.take("epoch") else {
        members.none_left("since")?;
        return time_us.map(Since::Time).ok_or_else(|| missing("since.time_us"));
    };
    let epoch: String = read(epoch, "since.epoch", "a string")?;
    let mut offsets = Vec::new();
    if let Some(raw) = members.take("offsets") {
        let named = Members::parse(raw.get())
            .map_err(|_| bad("since.offsets", "offsets must be an object"))?;
        for (Word(topic), raw) in named.0 {
            let field = format!("since.offsets.{topic}");
            let name = TopicName::new(&topic)
                .map_err(|e| Refusal::of(RefusalCode::BadTopic, &field, e))?;
            offsets.push((name, read(raw, &field, "an integer")?));
        }
    }
    let filter_changed = members
        .take("filter_changed")
        .map_or(Ok(false), |raw| read(raw, "since.filter_changed", "true or false"))?;
    members.none_left("since")?;
    Ok(Since::Position(Position { epoch: Some(epoch.into()), offsets, time_us, filter_changed }))
}
