//! What is asked of JetStream, and what it answers: JSON, on subjects of its own.
//!
//! Pure. Invariant: what an answer lacks is an error that names what was asked, never a guess.

use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use crate::source::Fault;
use crate::source::FaultKind;
use crate::source::broker::garbled;

/// What JetStream says instead of an answer.
#[derive(Debug, Deserialize)]
struct Refused {
    code: u32,
    #[serde(default)]
    err_code: u32,
    #[serde(default)]
    description: String,
}

/// A message of that number is not there.
const NO_MESSAGE: u32 = 10_037;
/// There is no such stream.
const NO_STREAM: u32 = 10_059;

/// What is there of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct State {
    pub(super) first_seq: u64,
    pub(super) last_seq: u64,
    /// When the last message was stored.
    last_ts: String,
}

/// A stream.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Stream {
    created: String,
    pub(super) state: State,
}

impl Stream {
    /// When it was made, in nanoseconds since 1970: one that was made anew is another.
    pub(super) fn created_ns(&self) -> Result<u64, Fault> {
        time_ns(&self.created).ok_or_else(|| garbled("a stream does not say when it was made"))
    }

    /// When its last message was stored, in nanoseconds since 1970; 0: it never had one.
    pub(super) fn last_ns(&self) -> u64 {
        time_ns(&self.state.last_ts).unwrap_or_default()
    }
}

/// A consumer, as far as anybody wants to know.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Consumer {
    pub(super) name: String,
    #[serde(default)]
    pub(super) num_pending: u64,
}

/// Where a consumer begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Begin {
    New,
    At(u64),
    /// With what was stored after this moment, in nanoseconds since 1970.
    After(u64),
}

/// What a message says in the subject to which it would be acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) sequence: u64,
    /// How many the consumer has handed on, with this one.
    pub(super) delivered: u64,
    /// When it was stored, in nanoseconds since 1970.
    pub(super) time_ns: u64,
    /// How many are behind it.
    pub(super) pending: u64,
}

/// `$JS.ACK.stream.consumer.times.sequence.delivered.time.pending`, or the same with a domain and an account before the stream.
pub(super) fn place(reply: &[u8]) -> Option<Place> {
    let text = std::str::from_utf8(reply).ok()?.strip_prefix("$JS.ACK.")?;
    let tokens: Vec<&str> = text.split('.').take(12).collect();
    let numbers = match tokens.len() {
        7 => tokens.get(3..7)?,
        // ADR-15: domain, account, stream, consumer, times, …, and maybe a random token.
        9.. => tokens.get(5..9)?,
        _ => return None,
    };
    let [sequence, delivered, time_ns, pending] = numbers else { return None };
    Some(Place {
        sequence: sequence.parse().ok()?,
        delivered: delivered.parse().ok()?,
        time_ns: time_ns.parse().ok()?,
        pending: pending.parse().ok()?,
    })
}

/// What a consumer is to be: it acknowledges nothing, lies in memory, and goes when nobody has asked it for so many nanoseconds.
pub(super) fn consumer(
    (stream, name): (&str, &str),
    subjects: &[String],
    begin: &Begin,
    inactive_ns: u64,
) -> Value {
    let mut config = json!({
        "name": name, "ack_policy": "none", "replay_policy": "instant",
        "mem_storage": true, "num_replicas": 1, "inactive_threshold": inactive_ns,
    });
    match begin {
        Begin::New => config["deliver_policy"] = "new".into(),
        Begin::At(sequence) => {
            config["deliver_policy"] = "by_start_sequence".into();
            config["opt_start_seq"] = (*sequence).max(1).into();
        }
        Begin::After(time_ns) => {
            config["deliver_policy"] = "by_start_time".into();
            config["opt_start_time"] = rfc3339(time_ns.saturating_add(1)).into();
        }
    }
    match subjects {
        [] => {}
        [one] => config["filter_subject"] = one.as_str().into(),
        several => config["filter_subjects"] = several.into(),
    }
    json!({ "stream_name": stream, "config": config, "action": "create" })
}

/// `2026-11-29T22:20:24.000000001Z`.
fn rfc3339(time_ns: u64) -> String {
    let time = jiff::Timestamp::from_nanosecond(i128::from(time_ns)).unwrap_or_default();
    format!("{time:.9}")
}

/// Nanoseconds since 1970 of such a text.
fn time_ns(text: &str) -> Option<u64> {
    let time: jiff::Timestamp = text.parse().ok()?;
    u64::try_from(time.as_nanosecond()).ok()
}

/// An answer; `asked`: what was asked, for whoever reads the log.
pub(super) fn read<T: for<'a> Deserialize<'a>>(asked: &str, answer: &[u8]) -> Result<T, Fault> {
    let unreadable = || garbled(format_args!("its answer about {asked} cannot be read"));
    let answer: Value = serde_json::from_slice(answer).map_err(|_| unreadable())?;
    if let Some(error) = answer.get("error") {
        let Refused { code, err_code, description } =
            Refused::deserialize(error).map_err(|_| unreadable())?;
        let kind = match (code, err_code) {
            (_, NO_STREAM) | (400 | 404, _) => FaultKind::Wrong,
            _ => FaultKind::Lost,
        };
        return Err(Fault::new(kind, format_args!("{asked}: {description} ({err_code})")));
    }
    T::deserialize(answer).map_err(|_| unreadable())
}

/// When the message with a number was stored, in nanoseconds since 1970; `None`: it is not there.
pub(super) fn stored_ns(answer: &[u8]) -> Result<Option<u64>, Fault> {
    let unreadable = || garbled("its answer about a message cannot be read");
    let answer: Value = serde_json::from_slice(answer).map_err(|_| unreadable())?;
    if let Some(error) = answer.get("error") {
        let error = Refused::deserialize(error).map_err(|_| unreadable())?;
        if error.err_code == NO_MESSAGE || error.code == 404 {
            return Ok(None);
        }
        return Err(Fault::new(FaultKind::Lost, error.description));
    }
    let time = answer.get("message").and_then(|message| message.get("time")?.as_str());
    time.and_then(time_ns).map(Some).ok_or_else(unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_where_it_stands_in_either_form() {
        let place_of = |text: &str| place(text.as_bytes());
        let there = Place { sequence: 20, delivered: 3, time_ns: 1_700, pending: 7 };
        assert_eq!(place_of("$JS.ACK.S.c.1.20.3.1700.7"), Some(there));
        assert_eq!(place_of("$JS.ACK._.ACC.S.c.1.20.3.1700.7"), Some(there));
        assert_eq!(place_of("$JS.ACK.hub.ACC.S.c.1.20.3.1700.7.rnd"), Some(there));
        for wrong in
            ["", "$JS.ACK.", "$JS.ACK.S.c.1.x.3.1700.7", "$JS.ACK.S.c.1.20.3.1700", "_INBOX.1"]
        {
            assert_eq!(place_of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_jetstream_refuses_is_said() {
        let answer = br#"{"type":"x","error":{"code":404,"err_code":10059,"description":"stream not found"}}"#;
        let fault = read::<Stream>("the stream `S`", answer).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Wrong);
        assert_eq!(fault.why, "the stream `S`: stream not found (10059)");
        for garbage in [&b""[..], b"[]", b"{}", b"{\"error\":7}", b"\xff"] {
            assert_eq!(read::<Stream>("x", garbage).unwrap_err().kind, FaultKind::Protocol);
        }
        let gone = br#"{"error":{"code":404,"err_code":10037,"description":"no message found"}}"#;
        assert_eq!(stored_ns(gone), Ok(None));
        let there = br#"{"message":{"seq":1,"time":"1970-01-01T00:00:01.000000002Z"}}"#;
        assert_eq!(stored_ns(there), Ok(Some(1_000_000_002)));
        assert!(stored_ns(b"{\"message\":{}}").is_err());
    }

    #[test]
    fn a_consumer_begins_where_it_is_to() {
        let of = |subjects: &[&str], begin| {
            let subjects: Vec<String> = subjects.iter().map(|text| (*text).to_owned()).collect();
            consumer(("S", "c"), &subjects, &begin, 5)["config"].clone()
        };
        assert_eq!(of(&[], Begin::New)["deliver_policy"], "new");
        let at = of(&["a.>"], Begin::At(0));
        assert_eq!((&at["opt_start_seq"], &at["filter_subject"]), (&json!(1), &json!("a.>")));
        let after = of(&["a", "b"], Begin::After(1_000_000_002));
        assert_eq!(after["opt_start_time"], "1970-01-01T00:00:01.000000003Z");
        assert_eq!(after["filter_subjects"], json!(["a", "b"]));
    }
}
