//! One request's records, and what the server's answer says became of them.
//!
//! Invariant: a record is in the batch until the server has said that it took or rejected it; what is refused stays, in order. Pure: no
//! connection, no clock.

use std::fmt;

use serde::Deserialize;

use crate::cli::http::Response;

/// Records that go to the server together, as NDJSON.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    text: Vec<u8>,
    /// Where each record ends in the text, and its line number in the recording.
    ends: Vec<(usize, u64)>,
}

impl Batch {
    pub(crate) fn push(&mut self, record: &[u8], number: u64) {
        self.text.extend_from_slice(record);
        self.text.push(b'\n');
        self.ends.push((self.text.len(), number));
    }

    pub(crate) fn text(&self) -> &[u8] {
        &self.text
    }

    pub(crate) fn line_count(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
    }

    /// The line in the recording of the body's `line`, which counts from 1.
    fn number_of(&self, line: u64) -> u64 {
        let index = usize::try_from(line.saturating_sub(1)).unwrap_or(usize::MAX);
        self.ends.get(index).map_or(0, |(_, number)| *number)
    }

    /// The first and last line in the recording.
    pub(crate) fn numbers(&self) -> (u64, u64) {
        let number = |found: Option<&(usize, u64)>| found.map_or(0, |(_, number)| *number);
        (number(self.ends.first()), number(self.ends.last()))
    }

    /// Forgets the first so many records; answers how many bytes they had.
    pub(crate) fn drop_front(&mut self, count: usize) -> usize {
        let count = count.min(self.ends.len());
        let bytes =
            count.checked_sub(1).and_then(|last| self.ends.get(last)).map_or(0, |(end, _)| *end);
        self.text.drain(..bytes);
        self.ends.drain(..count);
        for (end, _) in &mut self.ends {
            *end -= bytes;
        }
        bytes
    }
}

/// A record that the server did not take, and never will.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rejected {
    /// The event's line in the recording.
    pub(crate) number: u64,
    pub(crate) code: String,
    pub(crate) message: String,
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {} ({})", self.number, self.message, self.code)
    }
}

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) accepted: u64,
    /// How many were rejected, and those of them that the server named.
    pub(crate) rejected: u64,
    pub(crate) named: Vec<Rejected>,
    pub(crate) next: Next,
}

/// What is to be done after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Everything was taken or rejected.
    Go,
    /// The server is full. What stands before is settled, the rest is to be sent again after so long.
    Again { settled: usize, wait_s: u64 },
    /// The server is shutting down, or says that it is at fault: the same, after some time.
    Later { status: u16, message: String },
    /// The batch will never be taken.
    Refused { status: u16, code: String, message: String },
}

#[derive(Debug, Default, Deserialize)]
struct Answer {
    #[serde(default)]
    accepted: u64,
    #[serde(default)]
    rejected: u64,
    #[serde(default)]
    errors: Vec<AnswerLine>,
    #[serde(default)]
    line: Option<u64>,
    #[serde(default)]
    error: Option<AnswerError>,
}

#[derive(Debug, Deserialize)]
struct AnswerLine {
    line: u64,
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

#[derive(Debug, Default, Deserialize)]
struct AnswerError {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// Reads an answer in the light of what was sent.
pub(crate) fn judge(batch: &Batch, response: &Response) -> Verdict {
    let answer: Answer = serde_json::from_slice(&response.body).unwrap_or_default();
    let named = answer
        .errors
        .into_iter()
        .map(|error| Rejected {
            number: batch.number_of(error.line),
            code: error.code,
            message: error.message,
        })
        .collect();
    let error = answer.error.unwrap_or_default();
    let next = match response.status {
        200 | 202 => Next::Go,
        429 => Next::Again {
            settled: usize::try_from(answer.line.unwrap_or(1).saturating_sub(1))
                .unwrap_or(usize::MAX),
            wait_s: response.retry_after_s.unwrap_or(1),
        },
        500.. => Next::Later { status: response.status, message: error.message },
        status => {
            let said = String::from_utf8_lossy(response.body.get(..200).unwrap_or(&response.body));
            let message =
                if error.message.is_empty() { said.trim().to_owned() } else { error.message };
            Next::Refused { status, code: error.code, message }
        }
    };
    Verdict { accepted: answer.accepted, rejected: answer.rejected, named, next }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn batch() -> Batch {
        let mut batch = Batch::default();
        for (record, number) in [("{\"a\":1}", 10), ("nonsense", 12), ("{}", 13), ("{\"b\":2}", 20)]
        {
            batch.push(record.as_bytes(), number);
        }
        batch
    }

    fn response(status: u16, body: &str) -> Response {
        Response { status, retry_after_s: Some(2), body: body.as_bytes().to_vec().into() }
    }

    #[test]
    fn a_batch_loses_its_front_and_keeps_the_rest() {
        let mut batch = batch();
        assert_eq!((batch.line_count(), batch.numbers()), (4, (10, 20)));
        assert_eq!(batch.drop_front(2), 17);
        assert_eq!(batch.text(), b"{}\n{\"b\":2}\n");
        assert_eq!((batch.line_count(), batch.numbers(), batch.number_of(2)), (2, (13, 20), 20));
        assert_eq!(batch.drop_front(9), 11);
        assert!(batch.is_empty() && batch.text().is_empty());
        assert_eq!(batch.drop_front(1), 0);
    }

    #[test]
    fn rejected_lines_get_the_numbers_of_the_recording() {
        let body = r#"{"accepted":3,"rejected":1,"errors":[{"line":2,"code":"bad_json","message":"at byte 1"}],"offset":3}"#;
        let verdict = judge(&batch(), &response(200, body));
        assert_eq!((verdict.accepted, verdict.rejected, verdict.next), (3, 1, Next::Go));
        assert_eq!(verdict.named[0].to_string(), "line 12: at byte 1 (bad_json)");
    }

    #[test]
    fn a_full_server_names_the_line_to_go_on_with() {
        let body =
            r#"{"error":{"code":"full","message":"inbox"},"accepted":1,"line":3,"rejected":1}"#;
        let verdict = judge(&batch(), &response(429, body));
        assert_eq!((verdict.accepted, verdict.rejected), (1, 1));
        assert_eq!(verdict.next, Next::Again { settled: 2, wait_s: 2 });
        let bare =
            judge(&batch(), &Response { status: 429, retry_after_s: None, body: Bytes::new() });
        assert_eq!(bare.next, Next::Again { settled: 0, wait_s: 1 });
    }

    #[test]
    fn the_other_answers() {
        let body = r#"{"error":{"code":"bad_topic","message":"topic is empty","field":"topic"}}"#;
        let refused = Next::Refused {
            status: 400,
            code: "bad_topic".into(),
            message: "topic is empty".into(),
        };
        assert_eq!(judge(&batch(), &response(400, body)).next, refused);
        let plain = Next::Refused { status: 404, code: String::new(), message: "not here".into() };
        assert_eq!(judge(&batch(), &response(404, "not here\n")).next, plain);
        let later = Next::Later { status: 503, message: "shutting down".into() };
        assert_eq!(
            judge(&batch(), &response(503, r#"{"error":{"message":"shutting down"}}"#)).next,
            later
        );
    }
}
