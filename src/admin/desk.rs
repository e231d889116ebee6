//! Answers the requests that a shard does not answer itself.

use std::sync::Arc;

use bytes::Bytes;

use super::board::Board;
use super::metrics;
use crate::dashboard;
use crate::event::ShardId;
use crate::shard::AdminRequest;
use crate::shard::Response;
use crate::shard::Stats;

const JSON: &str = "application/json";

/// One shard's desk.
#[derive(Debug)]
pub struct FrontDesk {
    shard: ShardId,
    board: Arc<Board>,
}

impl FrontDesk {
    /// A desk for that shard.
    #[must_use]
    pub const fn new(shard: ShardId, board: Arc<Board>) -> Self {
        Self { shard, board }
    }
}

impl FrontDesk {
    /// Answers one request.
    #[must_use]
    pub fn answer(&self, request: &AdminRequest) -> Response {
        match request.path.as_str() {
            "/healthz" => plain(200, JSON, r#"{"status":"ok"}"#),
            "/readyz" if self.board.is_ready() => plain(200, JSON, r#"{"status":"ready"}"#),
            "/readyz" => plain(503, JSON, r#"{"status":"not ready"}"#),
            "/metrics" => plain(200, metrics::CONTENT_TYPE, self.board.metrics()),
            path => match dashboard::asset(path) {
                Some(asset) => file(asset, request.if_none_match.as_deref()),
                None => error(404, "not_found", &format!("there is nothing at {path}")),
            },
        }
    }

    /// Takes note of the shard's counts.
    pub fn note(&self, stats: &Stats) {
        self.board.note(self.shard, stats);
    }
}

fn plain(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Response {
    // What it says is true only now.
    let headers = vec![("Cache-Control", "no-store".to_owned())];
    Response { status, content_type, headers, body: body.into() }
}

/// A file of the live page. A browser asks each time, and is sent it once.
fn file(asset: &dashboard::Asset, known: Option<&str>) -> Response {
    let etag = asset.etag();
    let is_known = known.is_some_and(|known| known.contains(etag.as_str()));
    let headers = vec![
        ("Cache-Control", "no-cache".to_owned()),
        ("ETag", etag),
        ("Content-Security-Policy", dashboard::CONTENT_SECURITY_POLICY.to_owned()),
        ("X-Content-Type-Options", "nosniff".to_owned()),
    ];
    let (status, body) =
        if is_known { (304, Bytes::new()) } else { (200, Bytes::from_static(asset.body)) };
    Response { status, content_type: asset.content_type, headers, body }
}

fn error(status: u16, code: &str, message: &str) -> Response {
    let body = serde_json::json!({ "error": { "code": code, "message": message } });
    plain(status, JSON, body.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(desk: &FrontDesk, path: &str) -> (u16, String) {
        let request = AdminRequest { path: path.to_owned(), head_only: false, if_none_match: None };
        let response = desk.answer(&request);
        (response.status, String::from_utf8(response.body.to_vec()).unwrap())
    }

    #[test]
    fn each_path_has_its_answer() {
        let board = Arc::new(Board::new(1));
        let desk = FrontDesk::new(ShardId(0), Arc::clone(&board));
        assert_eq!(ask(&desk, "/healthz").0, 200);
        assert_eq!(ask(&desk, "/readyz").0, 503);
        board.set_ready(true);
        assert_eq!(ask(&desk, "/readyz").0, 200);
        desk.note(&Stats { connections: 7, ..Stats::default() });
        assert!(ask(&desk, "/metrics").1.contains("\nfanwire_connections 7\n"));
        let (status, body) = ask(&desk, "/no\"where");
        assert_eq!(status, 404);
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["error"]["code"], "not_found");
    }
}
