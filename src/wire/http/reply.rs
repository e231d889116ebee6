//! Replies, written straight into the connection's outgoing bytes.
//!
//! Invariants: every reply says when it was made and how long it is, so that keep-alive survives it; an answer to HEAD has the head that GET
//! would have had, and no body; a page that may read one is named in it; no value can end its line early.
//! Never decides whether the connection stays open: the caller says so.

use std::io::Write as _;

use crate::wire::http::date::HttpDate;
use crate::wire::http::error::HttpError;
use crate::wire::http::head::Version;

/// Whether the connection stays open after a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    KeepAlive,
    Close,
}

/// What the replies to one request have in common: version, method, origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answering {
    pub connection: Connection,
    /// The request is HEAD: its reply has no body.
    pub head_only: bool,
    /// The page that asks, if it is one that may read the answer.
    pub origin: Option<Box<str>>,
    /// Seconds of `Strict-Transport-Security`; 0: the reply does not have that field.
    pub hsts_s: u32,
    pub date: HttpDate,
}

impl Answering {
    /// The manners of a reply to a request that could not be parsed: the connection ends.
    #[must_use]
    pub const fn nobody(date: HttpDate) -> Self {
        Self { connection: Connection::Close, head_only: false, origin: None, hsts_s: 0, date }
    }

    /// The manners of an answer after which the connection ends.
    #[must_use]
    pub fn last(&self) -> Self {
        Self { connection: Connection::Close, ..self.clone() }
    }

    /// Whether the next request may follow.
    #[must_use]
    pub fn stays(&self) -> bool {
        self.connection == Connection::KeepAlive
    }
}

/// A reply whose status line is written and whose body is not.
#[derive(Debug)]
#[must_use = "a reply without a body is not a reply"]
pub struct Reply<'o> {
    out: &'o mut Vec<u8>,
    status: u16,
    head_only: bool,
}

/// Fields of a reply that a page may read, beside those that it may always.
const EXPOSED: &str = "Allow, Date, ETag, Retry-After, WWW-Authenticate";

/// The interim response for which a client that sent `Expect: 100-continue` waits.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

impl<'o> Reply<'o> {
    /// Begins a reply at the end of `out`.
    pub fn begin(out: &'o mut Vec<u8>, status: u16, answering: &Answering) -> Self {
        let reply = Self::begin_open(out, status, answering);
        match answering.connection {
            Connection::KeepAlive => reply.header("connection", "keep-alive"),
            Connection::Close => reply.header("connection", "close"),
        }
    }

    /// Begins a reply without the field `Connection`.
    fn begin_open(out: &'o mut Vec<u8>, status: u16, answering: &Answering) -> Self {
        put(out, format_args!("HTTP/1.1 {status} {}\r\ndate: ", reason(status)));
        out.extend_from_slice(answering.date.as_bytes());
        // A cache keeps a copy for each origin: another page may not read what this one may.
        out.extend_from_slice(b"\r\nvary: origin\r\n");
        let reply = Self { out, status, head_only: answering.head_only };
        let reply = match answering.hsts_s {
            0 => reply,
            seconds => reply.header("strict-transport-security", &format!("max-age={seconds}")),
        };
        match &answering.origin {
            None => reply,
            Some(origin) => reply
                .header("access-control-allow-origin", origin)
                .header("access-control-expose-headers", EXPOSED),
        }
    }

    /// Begins a reply without end: chunked for HTTP/1.1, ended by the connection's end for 1.0. To HEAD the head is the whole reply.
    pub fn stream(
        out: &'o mut Vec<u8>,
        content_type: &str,
        version: Version,
        answering: &Answering,
    ) {
        let reply = Self::begin_open(out, 200, answering)
            .header("content-type", content_type)
            .header("cache-control", "no-cache")
            .header("x-accel-buffering", "no");
        let reply = match (version, answering.head_only) {
            //= rfc9112#6.1
            //# A server MUST NOT send a response containing Transfer-Encoding unless the corresponding request indicates HTTP/1.1
            (Version::Http10, _) => reply.header("connection", "close"),
            (Version::Http11, false) => reply.header("transfer-encoding", "chunked"),
            (Version::Http11, true) => match answering.connection {
                Connection::KeepAlive => reply.header("connection", "keep-alive"),
                Connection::Close => reply.header("connection", "close"),
            },
        };
        reply.out.extend_from_slice(b"\r\n");
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

    /// Ends the reply with a body; of a reply to HEAD the body's length is sent only.
    //= rfc9110#9.3.2
    //# The HEAD method is identical to GET except that the server MUST NOT send content in the response.
    pub fn body(self, content_type: &str, body: &[u8]) {
        let head_only = self.head_only;
        let reply = self.header("content-type", content_type);
        put(reply.out, format_args!("content-length: {}\r\n\r\n", body.len()));
        if !head_only {
            reply.out.extend_from_slice(body);
        }
    }

    /// Ends the reply without a body.
    pub fn empty(self) {
        //= rfc9110#8.6
        //# A server MUST NOT send a Content-Length header field in any response with a status code of 1xx (Informational) or 204
        //= rfc9110#8.6
        //# A server MAY send a Content-Length header field in a 304 (Not Modified) response to a conditional GET request; a server MUST NOT
        //# send Content-Length in such a response unless its field value equals the decimal number of octets that would have been sent
        if self.status >= 200 && self.status != 204 && self.status != 304 {
            self.out.extend_from_slice(b"content-length: 0\r\n");
        }
        self.out.extend_from_slice(b"\r\n");
    }

    /// Ends the reply with the body that every refusal has: `{"error":{"code":…,"message":…}}`.
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
    /// Appends the reply to a malformed request. The connection ends with that reply.
    pub fn write_reply(self, out: &mut Vec<u8>, answering: &Answering) {
        let reply = Reply::begin(out, self.status(), &answering.last());
        reply.error(self.code(), &self.to_string());
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
        507 => "Insufficient Storage",
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

    fn kept() -> Answering {
        Answering { connection: Connection::KeepAlive, ..Answering::nobody(HttpDate::default()) }
    }

    fn last() -> Answering {
        kept().last()
    }

    const DATED: &str = "date: Thu, 01 Jan 1970 00:00:00 GMT\r\nvary: origin\r\n";

    #[test]
    fn a_reply_says_how_long_it_is() {
        let text = written(|out| {
            Reply::begin(out, 429, &kept()).header("retry-after", "1").body("text/plain", b"wait");
        });
        let expected = format!(
            "HTTP/1.1 429 Too Many Requests\r\n{DATED}connection: keep-alive\r\nretry-after: 1\r\n\
             content-type: text/plain\r\ncontent-length: 4\r\n\r\nwait"
        );
        assert_eq!(text, expected);
        let text = written(|out| Reply::begin(out, 200, &last()).empty());
        let expected =
            format!("HTTP/1.1 200 OK\r\n{DATED}connection: close\r\ncontent-length: 0\r\n\r\n");
        assert_eq!(text, expected);
        for (status, phrase) in [(204, "No Content"), (304, "Not Modified")] {
            let text = written(|out| Reply::begin(out, status, &last()).empty());
            let expected =
                format!("HTTP/1.1 {status} {phrase}\r\n{DATED}connection: close\r\n\r\n");
            assert_eq!(text, expected);
        }
    }

    #[test]
    fn to_head_each_reply_has_the_head_of_the_other_and_no_body() {
        type Write = fn(Reply<'_>);
        let writes: [Write; 3] = [
            |reply| reply.body("text/html", b"1234567"),
            |reply| reply.error("bad", "worse"),
            |reply| reply.empty(),
        ];
        let head = Answering { head_only: true, ..kept() };
        for (write, status) in writes.into_iter().flat_map(|it| [200, 404].map(|one| (it, one))) {
            let whole = written(|out| write(Reply::begin(out, status, &kept())));
            let bare = written(|out| write(Reply::begin(out, status, &head)));
            let (head, _body) = whole.split_once("\r\n\r\n").unwrap();
            assert_eq!(bare, format!("{head}\r\n\r\n"));
        }
        let stream = |answering: &Answering, version| {
            written(|out| Reply::stream(out, "text/event-stream", version, answering))
        };
        assert!(
            stream(&kept(), Version::Http11).ends_with("\r\ntransfer-encoding: chunked\r\n\r\n")
        );
        assert!(stream(&head, Version::Http11).ends_with("\r\nconnection: keep-alive\r\n\r\n"));
        assert!(stream(&kept(), Version::Http10).ends_with("\r\nconnection: close\r\n\r\n"));
    }

    #[test]
    fn a_page_that_may_read_it_is_named() {
        let page = Answering { origin: Some("https://a.net".into()), ..kept() };
        let named = "vary: origin\r\naccess-control-allow-origin: https://a.net\r\naccess-control-expose-headers: Allow, ";
        let text = written(|out| Reply::begin(out, 404, &page).error("not_found", "no"));
        assert!(text.contains(named), "{text}");
        let text = written(|out| Reply::stream(out, "text/event-stream", Version::Http11, &page));
        assert!(text.contains(named), "{text}");
        let text = written(|out| HttpError::BadTrailer.write_reply(out, &page));
        assert!(text.contains(named) && text.contains("\r\nconnection: close\r\n"), "{text}");
    }

    #[test]
    fn an_error_is_json_whatever_its_message() {
        let text =
            written(|out| Reply::begin(out, 400, &last()).error("bad_topic", "not \"this\"\n"));
        assert!(text.ends_with(
            "content-length: 57\r\n\r\n{\"error\":{\"code\":\"bad_topic\",\"message\":\"not \\\"this\\\"\\n\"}}"
        ), "{text}");
        let text = written(|out| HttpError::BadEscape { at: 4 }.write_reply(out, &kept()));
        let expected = format!("HTTP/1.1 400 Bad Request\r\n{DATED}connection: close\r\n");
        assert!(text.starts_with(&expected), "{text}");
        assert!(text.contains("escape at byte 4"));
    }

    #[test]
    fn no_value_can_begin_a_line_of_its_own() {
        let text = written(|out| {
            Reply::begin(out, 302, &last()).header("location", "/a\r\nset-cookie: b").empty();
        });
        assert!(text.contains("location: /a  set-cookie: b\r\n"));
    }
}
