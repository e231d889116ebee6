//! The same over MQTT: a message is a publication, and so is what it is answered with.
//!
//! What differs from the WebSocket, as at the origin: alternatives of filters are not looked at, some codes and texts, and the answer to a ping. Invariant: a message as the origin's
//! documents have it and one as its program wants it are carried out alike.

use serde_json::value::RawValue;

use super::message::Message;
use super::shape;
use crate::dialect::json;
use crate::event::json::unescaped;

//= resolvespec#3B
//# unsubscribe with empty id → code `invalid_subscription`, `Subscription ID is required`
pub(super) const NO_SUBSCRIPTION_ID: (&str, &str) =
    ("invalid_subscription", "Subscription ID is required");

//= resolvespec#3A.3
//# `meta_error` exists in MQTT only
/// The code of what tables did not do; of what they say of themselves it is another one.
pub(super) const fn code(code: &'static str, is_meta: bool) -> &'static str {
    if is_meta { "meta_error" } else { code }
}

//= resolvespec#3B
//# README shows `"data":{"id":1}` for read/update/delete and
//# `"data":{"subscription_id":…}` for unsubscribe; code wants top-level `record_id` / `subscription_id`.
//# **[choice]** accept both.
/// Takes from `data` what the origin's documents write there, and makes all conditions hold.
pub(super) fn adapt(message: &mut Message<'_>) {
    let members = message.data.and_then(|data| json::members(data.get()).ok()).unwrap_or_default();
    let said = |name: &str| shape::find(&members, name).map(text_of).unwrap_or_default();
    let names_a_row = matches!(&*message.operation, "read" | "update" | "delete");
    let is_numbered = !message.options.fetch_row_number.is_empty();
    if message.record_id.is_empty() && names_a_row && !is_numbered {
        message.record_id = said("id");
    }
    if message.subscription_id.is_empty() && message.operation == "unsubscribe" {
        message.subscription_id = said("subscription_id");
    }
    //= resolvespec#3A.5
    //# MQTT ignores `logic_operator` (all AND).
    message.options.filters.iter_mut().for_each(|filter| filter.is_alternative = false);
}

/// A key as text: of a number as it is written.
fn text_of(raw: &RawValue) -> String {
    let text = raw.get();
    match text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        Some(text) => unescaped(text).into_owned(),
        None => text.to_owned(),
    }
}

//= resolvespec#3B
//# pong is a response-shaped message: `{"id","type":"pong","success":true,"timestamp":"0001-01-01T00:00:00Z"}`
pub(super) fn pong(id: &str) -> Box<[u8]> {
    let mut out = br#"{"id":"#.to_vec();
    json::string(id, &mut out);
    out.extend_from_slice(br#","type":"pong","success":true,"timestamp":"0001-01-01T00:00:00Z"}"#);
    out.into()
}
