//! What a client is told besides notifications: answers, errors and pongs.
//!
//! Every text is one JSON object, with the members in the order in which the origin encodes them.

use crate::clock::Now;
use crate::dialect::json;
use crate::tables::TableError;
use crate::tables::Time;

//= resolvespec#3A.2
//# `{"id":"…","type":"response","success":true,"data":…,"metadata":{…},"timestamp":"…"}`
/// A request is done: what it is answered with, and what is said of that, both as JSON.
pub(super) fn success(id: &str, data: &str, metadata: Option<&str>, now: Now) -> Box<[u8]> {
    let mut out = begin(id, true, data.len());
    out.extend_from_slice(br#","data":"#);
    out.extend_from_slice(data.as_bytes());
    if let Some(metadata) = metadata {
        out.extend_from_slice(br#","metadata":"#);
        out.extend_from_slice(metadata.as_bytes());
    }
    end(out, now)
}

//= resolvespec#3A.2
//# Error messages are **`type":"response"`**, never `"error"` (that constant is unused).
/// A request is not done, and why.
pub(super) fn failure(id: &str, code: &str, message: &str, now: Now) -> Box<[u8]> {
    end(error(id, code, message), now)
}

/// As [`failure`], of what tables did not do.
pub(super) fn table_failure(
    id: &str,
    code: &str,
    (message, failed): (&str, &TableError),
    now: Now,
) -> Box<[u8]> {
    let mut out = error(id, code, message);
    if let Some(said) = failed.database.as_ref().filter(|said| !said.sql.is_empty()) {
        out.pop();
        out.extend_from_slice(br#","sql":"#);
        json::string(&said.sql, &mut out);
        out.push(b'}');
    }
    end(out, now)
}

/// The answer to a ping.
pub(super) fn pong(id: &str, now: Now) -> Box<[u8]> {
    let mut out = br#"{"id":"#.to_vec();
    json::string(id, &mut out);
    out.extend_from_slice(br#","type":"pong""#);
    end(out, now)
}

fn begin(id: &str, is_success: bool, more: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(id.len() + more + 160);
    out.extend_from_slice(br#"{"id":"#);
    json::string(id, &mut out);
    out.extend_from_slice(br#","type":"response","success":"#);
    out.extend_from_slice(if is_success { b"true" } else { b"false" });
    out
}

fn error(id: &str, code: &str, message: &str) -> Vec<u8> {
    let mut out = begin(id, false, message.len());
    out.extend_from_slice(br#","error":{"code":"#);
    json::string(code, &mut out);
    out.extend_from_slice(br#","message":"#);
    json::string(message, &mut out);
    out.push(b'}');
    out
}

fn end(mut out: Vec<u8>, now: Now) -> Box<[u8]> {
    put_timestamp(now.wall_us, &mut out);
    out.push(b'}');
    out.into()
}

//= resolvespec#3A.2
//# `timestamp` RFC 3339 with nanoseconds and the server's offset
/// Appends when it was: as the origin writes times, without zeros at the end, in UTC.
pub(super) fn put_timestamp(time_us: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(br#","timestamp":""#);
    let time = i64::try_from(time_us).ok().and_then(Time::new);
    let text = time.map(Time::to_sortable).unwrap_or_default();
    let text = text.trim_end_matches('Z').trim_end_matches('0').trim_end_matches('.');
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(br#"Z""#);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_without_zeros_at_the_end() {
        for (time_us, written) in [
            (1_786_600_000_000_000, "2026-08-13T05:46:40Z"),
            (1_786_600_000_120_000, "2026-08-13T05:46:40.12Z"),
            (1_786_600_000_000_001, "2026-08-13T05:46:40.000001Z"),
            (1_786_579_200_000_000, "2026-08-13T00:00:00Z"),
        ] {
            let mut out = Vec::new();
            put_timestamp(time_us, &mut out);
            let said = format!(r#","timestamp":"{written}""#);
            assert_eq!(String::from_utf8(out).unwrap(), said);
        }
    }
}
