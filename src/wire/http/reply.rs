//! Replies, written straight into the connection's outgoing bytes.
//!
//! Invariants: every reply says how long it is, so that keep-alive survives it; no value can end its line early.
//! Never decides whether the connection stays open: the caller says so.

use std::io::Write as _;

use crate::wire::http::error::HttpError;

/// What becomes of the connection after a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    KeepAlive,
    Close,
}

/// A reply whose status line is written and whose body is not.
#[derive(Debug)]
#[must_use = "a reply without a body is not a reply"]
pub struct Reply<'o> {
    out: &'o mut Vec<u8>,
    status: u16,
}

/// What a client that sent `Expect: 100-continue` waits for.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

impl<'o> Reply<'o> {
    /// Begins a reply at the end of `out`.
    pub fn begin(out: &'o mut Vec<u8>, status: u16, connection: Connection) -> Self {
        put(out, format_args!("HTTP/1.1 {status} {}\r\n", reason(status)));
        let reply = Self { out, status };
        match connection {
            Connection::KeepAlive => reply.header("connection", "keep-alive"),
            Connection::Close => reply.header("connection", "close"),
        }
    }

    /// Adds a field. Control characters in the value become spaces.
    pub fn header(self, name: &str, value: &str) -> Self {
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b": ");
        self.out
            .extend(value.bytes().map(|byte| if byte.is_ascii_control() { b' ' } else { byte }));
        self.out.extend_from_slice(b"\r\n");
        self
    }

    /// Ends it with a body.
    pub fn body(self, content_type: &str, body: &[u8]) {
        let out = self.head_only(content_type, body.len());
        out.extend_from_slice(body);
    }

    /// Ends it as an answer to HEAD: what `body` would have written, but for the body.
    pub fn head_only(self, content_type: &str, body_bytes: usize) -> &'o mut Vec<u8> {
        let reply = self.header("content-type", content_type);
        put(reply.out, format_args!("content-length: {body_bytes}\r\n\r\n"));
        reply.out
    }

    /// Ends it without a body.
    pub fn empty(self) {
        //= rfc9110#8.6
        //# A server MUST NOT send a Content-Length header field in any response with a status code of 1xx (Informational) or 204
        if self.status >= 200 && self.status != 204 {
            self.out.extend_from_slice(b"content-length: 0\r\n");
        }
        self.out.extend_from_slice(b"\r\n");
    }

    /// Ends it with the body that every refusal has: `{"error":{"code":…,"message":…}}`.
    pub fn error(self, code: &str, message: &str) {
        let mut body = Vec::with_capacity(40 + code.len() + message.len());
        body.extend_from_slice(b"{\"error\":{\"code\":");
        put_json(&mut body, code);
        body.extend_from_slice(b",\"message\":");
        put_json(&mut body, message);
        body.extend_from_slice(b"}}");
        self.body("application/json", &body);
    }
}

impl HttpError {
    /// Appends the reply to a request that was wrong in this way. The connection ends with it.
    pub fn write_reply(self, out: &mut Vec<u8>) {
        Reply::begin(out, self.status(), Connection::Close).error(self.code(), &self.to_string());
    }
}

/// The phrase that goes with a status.
#[must_use]
pub const fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        422 => "Unprocessable Content",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to memory does not fail");
}

fn put_json(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text)
        .expect("a string is JSON, and writing to memory does not fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_reply_says_how_long_it_is() {
        let text = written(|out| {
            Reply::begin(out, 429, Connection::KeepAlive)
                .header("retry-after", "1")
                .body("text/plain", b"wait");
        });
        assert_eq!(
            text,
            "HTTP/1.1 429 Too Many Requests\r\nconnection: keep-alive\r\nretry-after: 1\r\n\
             content-type: text/plain\r\ncontent-length: 4\r\n\r\nwait"
        );
        let text = written(|out| Reply::begin(out, 200, Connection::Close).empty());
        assert_eq!(text, "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        let text = written(|out| Reply::begin(out, 204, Connection::Close).empty());
        assert_eq!(text, "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n");
        let text = written(|out| {
            Reply::begin(out, 200, Connection::Close).head_only("text/html", 7);
        });
        assert!(text.ends_with("content-length: 7\r\n\r\n"));
    }

    #[test]
    fn an_error_is_json_whatever_its_message() {
        let text = written(|out| {
            Reply::begin(out, 400, Connection::Close).error("bad_topic", "not \"this\"\n");
        });
        assert!(text.ends_with(
            "content-length: 57\r\n\r\n{\"error\":{\"code\":\"bad_topic\",\"message\":\"not \\\"this\\\"\\n\"}}"
        ), "{text}");
        let text = written(|out| HttpError::BadEscape { at: 4 }.write_reply(out));
        assert!(text.starts_with("HTTP/1.1 400 Bad Request\r\nconnection: close\r\n"));
        assert!(text.contains("escape at byte 4"));
    }

    #[test]
    fn no_value_can_begin_a_line_of_its_own() {
        let text = written(|out| {
            Reply::begin(out, 302, Connection::Close)
                .header("location", "/a\r\nset-cookie: b")
                .empty();
        });
        assert!(text.contains("location: /a  set-cookie: b\r\n"));
    }
}
