//! Answers the requests that a shard does not answer itself.

use std::sync::Arc;

use bytes::Bytes;
use flume::Receiver;
use flume::Sender;

use super::board::Board;
use super::board::Noted;
use super::metrics;
use super::orders::Answered;
use super::orders::Order;
use super::orders::Ordered;
use crate::dashboard;
use crate::event::ShardId;
use crate::limits::ACME_TOKEN_BYTES_MAX;
use crate::limits::ORDERS_MAX;
use crate::shard::AdminRequest;
use crate::shard::CHALLENGE_PATH;
use crate::shard::ConnRef;
use crate::shard::Pulse;
use crate::shard::Response;
use crate::shard::Stats;
use crate::wire::http::fields::split_unquoted;

const JSON: &str = "application/json";

/// One shard's desk.
#[derive(Debug)]
pub struct FrontDesk {
    shard: ShardId,
    board: Arc<Board>,
    /// What became of orders.
    answers: (Sender<Answered>, Receiver<Answered>),
}

impl FrontDesk {
    /// A desk for that shard.
    #[must_use]
    pub fn new(shard: ShardId, board: Arc<Board>) -> Self {
        Self { shard, board, answers: flume::bounded(ORDERS_MAX) }
    }
}

impl FrontDesk {
    /// Answers one request of a connection. `None`: the answer comes later.
    #[must_use]
    pub fn answer(&self, conn: ConnRef, request: &AdminRequest) -> Option<Response> {
        match request.path.strip_prefix("/v1/admin/") {
            Some(order) => self.order(conn, order, &request.body),
            None => Some(self.page(request)),
        }
    }

    /// What became of an order, and whose it was.
    #[must_use]
    pub fn poll_answer(&self) -> Option<Answered> {
        self.answers.1.try_recv().ok()
    }

    /// Hands an order in; an answer if that is all that can be said, or it cannot be.
    fn order(&self, conn: ConnRef, order: &str, body: &[u8]) -> Option<Response> {
        let order = match read_order(order, body) {
            Ok(order) => order,
            Err((status, code, message)) => return Some(error(status, code, &message)),
        };
        // Who drains is not there to answer when it is done.
        let at_once = (order == Order::Drain).then(|| Response::json(202, r#"{"draining":true}"#));
        let ordered = Ordered { order, conn, answers: self.answers.0.clone() };
        self.board.order(ordered).or(at_once)
    }

    fn page(&self, request: &AdminRequest) -> Response {
        let response = match request.path.as_str() {
            "/healthz" => plain(200, JSON, r#"{"status":"ok"}"#),
            "/readyz" => match self.board.unready() {
                None => plain(200, JSON, r#"{"status":"ready"}"#),
                Some(reason) => {
                    plain(503, JSON, format!(r#"{{"status":"not ready","reason":"{reason}"}}"#))
                }
            },
            "/metrics" => plain(200, metrics::CONTENT_TYPE, self.board.metrics()),
            path if path.starts_with(CHALLENGE_PATH) => self.challenge(path),
            path => match dashboard::asset(path) {
                Some(asset) => file(asset),
                None if path.starts_with(dashboard::VIEWER) => {
                    let types = dashboard::LAYOUTS.join(", ");
                    let message = format!("Unsupported UI type: there are {types}");
                    error(400, "unsupported_ui_type", &message)
                }
                None => error(404, "not_found", &format!("there is nothing at {path}")),
            },
        };
        if response.status == 200
            && request.if_none_match.as_deref().is_some_and(|known| is_known(known, &response))
        {
            return Response { status: 304, body: Bytes::new(), ..response };
        }
        response
    }

    /// The page by which an authority sees that the name is ours: the token that it has named, and whose it is.
    //= rfc8555#8.3
    //# The body of the response MUST be the same as the key authorization.
    fn challenge(&self, path: &str) -> Response {
        let token = path.strip_prefix(CHALLENGE_PATH).filter(|token| is_token(token));
        match token.zip(self.board.certificates().account()) {
            Some((token, account)) => {
                plain(200, "application/octet-stream", format!("{token}.{account}"))
            }
            None => error(404, "not_found", "nothing is ordered that would be checked here"),
        }
    }

    /// Takes note of the shard's counts, and of what its loop has measured.
    pub fn note(&self, stats: &Stats, pulse: &Pulse) {
        self.board.note(self.shard, Noted::of(stats, pulse));
    }
}

/// Whether it is the token of a check (RFC 8555 section 8.3: characters of base64url, no padding).
fn is_token(token: &str) -> bool {
    let is_of = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=ACME_TOKEN_BYTES_MAX).contains(&token.len()) && token.bytes().all(is_of)
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct LogBody {
    level: String,
}

/// Which order a request is; else the status, the code and the message that refuse it.
fn read_order(name: &str, body: &[u8]) -> Result<Order, (u16, &'static str, String)> {
    let bad = |message: &str| (400, "bad_field", message.to_owned());
    if name == "log" {
        let body: LogBody = serde_json::from_slice(body)
            .map_err(|_| bad(r#"the body is {"level":"info,conn=debug"}"#))?;
        return Ok(Order::Log(body.level));
    }
    if !body.is_empty() && body != b"{}" {
        return Err(bad("the body is {} or nothing"));
    }
    match name {
        "drain" => Ok(Order::Drain),
        "reload" => Ok(Order::Reload),
        "upgrade" => Ok(Order::Upgrade),
        _ => Err((404, "not_found", format!("there is no order {name}"))),
    }
}

fn plain(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Response {
    // What it says is true only now.
    let headers = vec![("Cache-Control", "no-store".to_owned())];
    Response { status, content_type, headers, body: body.into() }
}

/// A file of the live page. A browser asks each time, and is sent it once.
fn file(asset: &dashboard::Asset) -> Response {
    let headers = vec![
        ("Cache-Control", "no-cache".to_owned()),
        ("ETag", asset.etag()),
        ("Content-Security-Policy", dashboard::CONTENT_SECURITY_POLICY.to_owned()),
        ("X-Content-Type-Options", "nosniff".to_owned()),
    ];
    let body = Bytes::from_static(asset.body);
    Response { status: 200, content_type: asset.content_type, headers, body }
}

/// Whether whoever asks has the answer already, as `If-None-Match` says.
//= rfc9110#13.1.2
//# If the field value is "*", the condition is false if the origin server has a current representation for the target resource.
fn is_known(known: &str, response: &Response) -> bool {
    let etag =
        response.headers.iter().find(|(name, _)| *name == "ETag").map(|(_, etag)| etag.as_bytes());
    //= rfc9110#8.8.3.2
    //# two entity tags are equivalent if their opaque-tags match character-by-character, regardless of either or both being tagged as
    //# "weak".
    let strong =
        |tag: &'_ [u8]| tag.strip_prefix(b"W/").map_or_else(|| tag.to_vec(), <[u8]>::to_vec);
    known.trim() == "*"
        || split_unquoted(known.as_bytes(), b',')
            .any(|tag| etag.is_some_and(|etag| strong(tag) == etag))
}

fn error(status: u16, code: &str, message: &str) -> Response {
    let body = serde_json::json!({ "error": { "code": code, "message": message } });
    plain(status, JSON, body.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(desk: &FrontDesk, path: &str) -> (u16, String) {
        let request = AdminRequest { path: path.to_owned(), if_none_match: None, body: Vec::new() };
        let response = desk.page(&request);
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
        desk.note(&Stats { connections: 7, ..Stats::default() }, &Pulse::default());
        assert!(ask(&desk, "/metrics").1.contains("\nfanwire_connections 7\n"));
        assert_eq!(ask(&desk, "/openapi/ui/scalar").0, 200);
        let (status, body) = ask(&desk, "/openapi/ui/other");
        assert_eq!(status, 400);
        assert!(body.contains("Unsupported UI type"), "{body}");
        let (status, body) = ask(&desk, "/no\"where");
        assert_eq!(status, 404);
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["error"]["code"], "not_found");
    }

    #[test]
    fn a_check_is_answered_by_the_newest_account_and_a_token_alone() {
        let board = Arc::new(Board::new(1));
        let desk = FrontDesk::new(ShardId(0), Arc::clone(&board));
        let of = |token: &str| ask(&desk, &format!("{CHALLENGE_PATH}{token}"));
        assert_eq!(of("abc").0, 404, "there is no account");
        board.certificates().know_account("first");
        board.certificates().know_account("first");
        assert_eq!(of("a-B_9"), (200, "a-B_9.first".to_owned()));
        board.certificates().know_account("second");
        assert_eq!(of("abc"), (200, "abc.second".to_owned()));
        for token in ["", "a/b", "a.b", "a b", "<b>", &"a".repeat(ACME_TOKEN_BYTES_MAX + 1)] {
            assert_eq!(of(token).0, 404, "{token}");
        }
    }

    #[test]
    fn who_has_it_already_is_not_sent_it_again() {
        let desk = FrontDesk::new(ShardId(0), Arc::new(Board::new(1)));
        let status = |path: &str, known: &str| {
            let if_none_match = Some(known.to_owned());
            let response =
                desk.page(&AdminRequest { path: path.to_owned(), if_none_match, body: Vec::new() });
            assert_eq!(response.status == 304, response.body.is_empty(), "{path} {known}");
            response.status
        };
        let etag = dashboard::asset("/").unwrap().etag();
        for known in [
            etag.clone(),
            format!("W/{etag}"),
            format!("\"a,b\", {etag} ,\"c\""),
            "*".to_owned(),
            " * ".to_owned(),
        ] {
            assert_eq!(status("/", &known), 304, "{known}");
        }
        let within = format!("\"x{}", etag.trim_matches('"'));
        for known in [within.as_str(), "\"a\"", "", etag.trim_matches('"'), "\"*\"", "\u{fffd}"] {
            assert_eq!(status("/", known), 200, "{known}");
        }
        assert_eq!((status("/healthz", "*"), status("/healthz", "\"a\"")), (304, 200));
        assert_eq!((status("/nowhere", "*"), status("/readyz", "*")), (404, 503));
    }
}
