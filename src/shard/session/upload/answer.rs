//! What an upload is answered: what was taken, up to where, and what was wrong or why it was no more.
//!
//! Invariant: of an upload of lines every answer says how many events were taken and the offset of the last.

use super::Ack;
use super::Cut;
use super::Refusal;
use super::RefusalCode;
use super::Upload;
use super::refusal_body;

impl Upload {
    /// What is answered to a body that ended too soon.
    fn answer_early(&self, cut: Cut, epoch: &str) -> Vec<u8> {
        match self.terms.ndjson {
            true => self.count_with(cut.code(), &cut.to_string(), epoch),
            false => cut.body(),
        }
    }

    /// What was taken, up to where, and why it was no more.
    fn count_with(&self, code: &str, message: &str, epoch: &str) -> Vec<u8> {
        let mut body = if self.terms.ndjson { self.counts(epoch) } else { serde_json::Map::new() };
        body.insert("accepted".into(), self.accepted.into());
        body.insert("error".into(), serde_json::json!({ "code": code, "message": message }));
        if let (true, Some(line)) = (self.terms.ndjson, self.draft_lines.first()) {
            body.insert("line".into(), (*line).into());
        }
        serde_json::Value::from(body).to_string().into_bytes()
    }

    /// The answer's status and body.
    pub(in super::super) fn answer(&self, epoch: &str) -> (u16, Vec<u8>) {
        if let Some(code) = self.refused {
            let refusal = Refusal::of_publish(code, &self.terms.topic);
            let body = self.count_with(code.name(), &refusal.message, epoch);
            let status = match code {
                RefusalCode::ShuttingDown | RefusalCode::Unavailable => 503,
                RefusalCode::DiskFull => 507,
                _ => 429,
            };
            return (status, body);
        }
        if let Some(cut) = self.cut {
            return (cut.status(), self.answer_early(cut, epoch));
        }
        if let (false, Some((_, refusal))) = (self.terms.ndjson, self.errors.first()) {
            let status = match refusal.code {
                RefusalCode::TooLarge => 413,
                RefusalCode::TooManyTopics => 429,
                _ => 400,
            };
            return (status, refusal_body(refusal));
        }
        let status = match (self.accepted, self.rejected, self.terms.ack) {
            (0, 1.., _) => 400,
            (_, _, Ack::None) => 202,
            (_, _, Ack::Ordered | Ack::Stored | Ack::Durable) => 200,
        };
        (status, serde_json::Value::from(self.counts(epoch)).to_string().into_bytes())
    }

    /// `{"accepted":…,"topic":…,"epoch":…,"offset":…,"rejected":…,"errors":[…]}`
    fn counts(&self, epoch: &str) -> serde_json::Map<String, serde_json::Value> {
        let mut body = serde_json::Map::new();
        body.insert("accepted".into(), self.accepted.into());
        body.insert("topic".into(), self.terms.topic.as_str().into());
        if self.terms.ack > Ack::None {
            body.insert("epoch".into(), epoch.into());
            body.insert("offset".into(), self.offset.into());
        }
        if self.terms.ndjson {
            body.insert("rejected".into(), self.rejected.into());
            let errors = self.errors.iter().map(|(line, refusal)| {
                let mut error = serde_json::json!({ "line": line, "code": refusal.code.name(), "message": refusal.message });
                if let Some(field) = &refusal.field {
                    error["field"] = (**field).into();
                }
                error
            });
            body.insert("errors".into(), errors.collect::<Vec<_>>().into());
            let omitted = self.rejected - self.errors.len() as u64;
            if omitted > 0 {
                body.insert("errors_omitted".into(), omitted.into());
            }
        }
        body
    }
}
