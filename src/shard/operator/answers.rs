//! How what shards have found becomes one answer to an operator.
//!
//! Invariant: a list has at most as many rows as were asked for, and says where the next ones begin.

use super::super::inquiry::Findings;
use crate::dialect::Response;
use crate::event::ShardId;

/// Whom a question is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Whom {
    One(ShardId),
    All,
}

/// How the findings of several shards become one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Form {
    /// A list with this name, of at most so many rows. `shard`: the one that was asked, if pages go from shard to shard.
    List { name: &'static str, rows: usize, shard: Option<ShardId> },
    /// The one row that there is.
    One,
}

/// An answer to an operator while shards are asked for it: how many have not answered, and what the others have found.
#[derive(Debug)]
pub(in super::super) struct FindingsAwaited {
    form: Form,
    pub(super) shards: usize,
    so_far: Findings,
}

impl FindingsAwaited {
    /// Nothing yet.
    pub(super) fn new(form: Form) -> Self {
        Self { form, shards: 0, so_far: Findings::default() }
    }

    pub(super) fn add(&mut self, findings: Findings) {
        let Findings { rows, next, missing } = findings;
        self.so_far.rows.extend(rows);
        self.so_far.next = self.so_far.next.or(next);
        self.so_far.missing = self.so_far.missing.or(missing);
    }

    pub(super) fn response(self, shard_count: u16) -> Response {
        let Findings { mut rows, next, missing } = self.so_far;
        if let Some(missing) = missing {
            return not_found(missing);
        }
        let Form::List { name, rows: most, shard } = self.form else {
            let json = rows.pop().map(|row| row.json).unwrap_or_default();
            return Response::json(200, json);
        };
        if shard.is_none() {
            rows.sort_unstable_by(|a, b| {
                b.owed_bytes.cmp(&a.owed_bytes).then_with(|| a.name.cmp(&b.name))
            });
        }
        let is_cut = rows.len() >= most;
        rows.truncate(most);
        let after = match (shard, next) {
            (Some(shard), Some(place)) => Some(format!("{}-{place}", shard.0)),
            (Some(shard), None) if shard.0 + 1 < shard_count => Some(format!("{}-0", shard.0 + 1)),
            (None, _) if is_cut && name == "topics" => rows.last().map(|row| row.name.clone()),
            _ => None,
        };
        let list: Vec<&str> = rows.iter().map(|row| &*row.json).collect();
        let after = serde_json::Value::from(after);
        Response::json(200, format!(r#"{{"{name}":[{}],"after":{after}}}"#, list.join(",")))
    }
}

/// Something that was asked about is not there.
pub(super) fn not_found(message: &str) -> Response {
    Response::error(404, "not_found", message)
}
