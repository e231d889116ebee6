//! The ids of an event stream's events, read back: what a client that comes back says it has seen.
//!
//! Invariant: what is no id of a server of this kind is `None`, never a position. Written in `shard/voice.rs`.

use std::borrow::Cow;

use crate::event::Mark;
use crate::position::Cursor;
use crate::wire::http::Head;
use crate::wire::http::Name;

/// What the usual polyfills call it, which cannot set a header.
pub(super) const LAST_ID_PARAMETER: &str = "lastEventId";

/// The last id that a client says it has seen, be it one of this server's or not.
#[must_use]
pub fn last_id(head: &Head) -> Option<String> {
    let of_header = head.value(Name::LastEventId).filter(|id| !id.is_empty()).map(str::to_owned);
    of_header.or_else(|| {
        let id = head.query_value(LAST_ID_PARAMETER).filter(|id| !id.is_empty());
        id.map(Cow::into_owned)
    })
}

/// Reads `epoch.t1.t2…`, with `-hash.offset` behind it or not, back; `None`: no server gives such an id.
#[must_use]
pub fn cursor_of(id: &str) -> Option<Cursor> {
    let (id, mark) = match id.split_once('-') {
        Some((id, mark)) => (id, Some(mark_of(mark)?)),
        None => (id, None),
    };
    let mut parts = id.split('.');
    let epoch = parts.next().unwrap_or_default();
    let times: Option<Vec<u64>> = parts.map(|part| u64::from_str_radix(part, 36).ok()).collect();
    let times_us = times.filter(|times| !times.is_empty())?;
    (!epoch.is_empty()).then(|| Cursor { epoch: epoch.into(), times_us, mark })
}

fn mark_of(text: &str) -> Option<Mark> {
    let (topic_hash, offset) = text.split_once('.')?;
    let topic_hash = u32::from_str_radix(topic_hash, 36).ok()?;
    Some(Mark { topic_hash, offset: u64::from_str_radix(offset, 36).ok()? })
}
