//! A request's head: found in a buffer, checked, and owned.
//!
//! Syntax is `httparse`'s; what the fields mean together, and everything that could be understood in two ways, is judged here.
//! Invariants: a `Head` exists only if the request can be framed without doubt; it owns one copy of its bytes and an index into
//! them. Never decides whether a path exists.

use std::borrow::Cow;
use std::ops::Range;

use crate::limits::HEAD_BYTES_MAX;
use crate::limits::HEAD_FIELDS_MAX;
use crate::limits::REQUEST_LINE_BYTES_MAX;
use crate::wire::http::error::HttpError;
use crate::wire::http::fields;
use crate::wire::http::host;
use crate::wire::http::known;
use crate::wire::http::known::Lookup;
use crate::wire::http::known::Name;
use crate::wire::http::percent;

/// A request's method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
    Options,
    Connect,
    Trace,
    /// A method that this server has never heard of.
    Unknown,
}

/// The HTTP version of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    Http10,
    Http11,
}

/// The framing of a request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// The request has no body.
    None,
    Length(u64),
    Chunked,
}

/// A checked request head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub method: Method,
    pub version: Version,
    /// Whether the client wants the connection to stay open after the reply.
    pub keep_alive: bool,
    pub framing: Framing,
    /// Whether the client waits for `100 Continue` before it sends the body.
    pub expect_continue: bool,
    bytes: Box<[u8]>,
    target: Span,
    path: Span,
    /// The query without its `?`; empty if the target has none.
    query: Span,
    fields: Box<[Field]>,
}

/// A part of a head's bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Span {
    start: u16,
    end: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Field {
    name: Span,
    value: Span,
}

/// Parses a request head at the start of `buffer`: the head and its length in bytes; `None` if the head is not complete yet. The bytes behind
/// the head belong to the body, the next request, or the WebSocket.
///
/// Parsing begins anew with each call, so a client that sends byte by byte costs work quadratic in `HEAD_BYTES_MAX`; the caller's header timeout
/// bounds how often.
///
/// # Errors
/// When no further bytes could complete a request that this server answers.
pub fn parse_head(buffer: &[u8]) -> Result<Option<(Head, usize)>, HttpError> {
    check_request_line(buffer)?;
    // Bytes beyond the limit must not change the answer: it would depend on how the bytes arrived.
    let visible = &buffer[..buffer.len().min(HEAD_BYTES_MAX)];
    let mut fields = [httparse::EMPTY_HEADER; HEAD_FIELDS_MAX];
    let mut request = httparse::Request::new(&mut fields);
    match request.parse(visible) {
        Ok(httparse::Status::Complete(length)) => {
            Ok(Some((Head::new(&request, &visible[..length])?, length)))
        }
        Ok(httparse::Status::Partial) if visible.len() == HEAD_BYTES_MAX => {
            Err(HttpError::HeadTooLarge)
        }
        Ok(httparse::Status::Partial) => Ok(None),
        Err(error) => Err(diagnose(error, visible)),
    }
}

/// Refuses a request line that is over its limit, whether its end has come or not.
fn check_request_line(buffer: &[u8]) -> Result<(), HttpError> {
    //= rfc9112#2.2
    //# a server that is expecting to receive and parse a request-line SHOULD ignore at least one empty line
    let start = buffer.iter().position(|byte| !matches!(byte, b'\r' | b'\n'));
    let line = &buffer[start.unwrap_or(buffer.len())..];
    // CR LF does not count, nor a CR whose LF has not come.
    let visible = &line[..line.len().min(REQUEST_LINE_BYTES_MAX + 2)];
    let is_over =
        |line: &[u8]| line.strip_suffix(b"\r").unwrap_or(line).len() > REQUEST_LINE_BYTES_MAX;
    let is_over = visible.len() > REQUEST_LINE_BYTES_MAX
        && visible.split(|&byte| byte == b'\n').next().is_some_and(is_over);
    if is_over { Err(HttpError::RequestLineTooLong) } else { Ok(()) }
}

/// Finds the precise error behind one of `httparse`'s, from no byte beyond the one at which it stopped: only called when the connection ends anyway.
fn diagnose(error: httparse::Error, buffer: &[u8]) -> HttpError {
    let mut lines = buffer.split(|&byte| byte == b'\n').skip_while(|line| line.len() < 2);
    match error {
        httparse::Error::TooManyHeaders => HttpError::TooManyFields,
        httparse::Error::HeaderValue => HttpError::BadFieldValue,
        httparse::Error::Version => {
            let version = lines.next().and_then(|line| line.splitn(3, is_space).nth(2));
            match version.unwrap_or_default() {
                [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', ..] => HttpError::UnsupportedVersion,
                _ => HttpError::BadVersion,
            }
        }
        httparse::Error::HeaderName => diagnose_name(lines.skip(1)),
        httparse::Error::NewLine | httparse::Error::Status | httparse::Error::Token => {
            HttpError::BadRequestLine
        }
    }
}

/// The first line that does not begin as a field decides.
fn diagnose_name<'a>(lines: impl Iterator<Item = &'a [u8]>) -> HttpError {
    for line in lines {
        let name_bytes = line.iter().take_while(|&&byte| fields::is_token_byte(byte)).count();
        match (name_bytes, line.get(name_bytes)) {
            (0, Some(b' ' | b'\t')) => return HttpError::FoldedField,
            (_, Some(b' ' | b'\t')) => return HttpError::SpaceInFieldName,
            (1.., Some(b':')) => {}
            _ => return HttpError::BadFieldName,
        }
    }
    HttpError::BadFieldName
}

const fn is_space(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

impl Head {
    fn new(request: &httparse::Request<'_, '_>, bytes: &[u8]) -> Result<Self, HttpError> {
        check_line_ends(bytes)?;
        let method = request.method.map_or(Method::Unknown, Method::from_name);
        let version = if request.version == Some(1) { Version::Http11 } else { Version::Http10 };
        let target = request.path.unwrap_or_default();
        percent::check(target)?;
        let base = Span::of(target.as_bytes(), bytes).start;
        let (path, query) = split_target(target)?;
        let mut head = Self {
            method,
            version,
            keep_alive: false,
            framing: Framing::None,
            expect_continue: false,
            bytes: bytes.into(),
            target: Span::of(target.as_bytes(), bytes),
            path: Span::within(base, &path),
            query: Span::within(base, &query),
            fields: request
                .headers
                .iter()
                .map(|field| Field {
                    name: Span::of(field.name.as_bytes(), bytes),
                    value: Span::of(fields::trim(field.value), bytes),
                })
                .collect(),
        };
        head.check_host()?;
        known::check(&head)?;
        head.framing = head.read_framing()?;
        head.keep_alive = head.read_keep_alive();
        head.expect_continue = head.read_expectation()?;
        Ok(head)
    }

    /// The request target as it was sent.
    #[must_use]
    pub fn target(&self) -> &str {
        self.text(self.target)
    }

    /// The path as it was sent, escapes and all; `/` if the target is a URL without one.
    #[must_use]
    pub fn path(&self) -> &str {
        if self.path.start == self.path.end { "/" } else { self.text(self.path) }
    }

    /// The path's segments, their escapes resolved. `/` has one, which is empty.
    pub fn segments(&self) -> impl Iterator<Item = Cow<'_, str>> {
        let path = self.path();
        let path = path.strip_prefix('/').unwrap_or(path);
        path.split('/').map(|segment| percent::decode(segment, percent::Plus::IsItself))
    }

    /// What follows `prefix` in the path, escapes resolved: `a/b` for `/v1/publish/a%2Fb` after `/v1/publish/`.
    #[must_use]
    pub fn path_after(&self, prefix: &str) -> Option<Cow<'_, str>> {
        let rest = self.path().strip_prefix(prefix)?;
        Some(percent::decode(rest, percent::Plus::IsItself))
    }

    /// The query as it was sent, without `?`.
    #[must_use]
    pub fn query(&self) -> &str {
        self.text(self.query)
    }

    /// The query's `name=value` pairs, escapes resolved, in order; a name without `=` has an empty value.
    pub fn query_pairs(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        self.query().split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (
                percent::decode(name, percent::Plus::IsSpace),
                percent::decode(value, percent::Plus::IsSpace),
            )
        })
    }

    /// The first value of the query parameter `name`.
    #[must_use]
    pub fn query_value(&self, name: &str) -> Option<Cow<'_, str>> {
        self.query_pairs().find(|(given, _)| given == name).map(|(_, value)| value)
    }

    /// The value of a known field, which a head has once at most.
    #[must_use]
    pub fn look_up(&self, name: Name) -> Lookup<'_> {
        Lookup::of(name, self.headers(name.as_str()))
    }

    /// The value of a known field; `None` if the head does not have the field. A head with a value that cannot be read does not exist.
    #[must_use]
    pub fn value(&self, name: Name) -> Option<&str> {
        match self.look_up(name) {
            Lookup::Value(value) => Some(value),
            Lookup::Absent | Lookup::Unreadable(_) => None,
        }
    }

    /// The name of a field that a proxy adds, if there is one: the request may be from anywhere then, whoever the connection is from.
    #[must_use]
    pub fn passed_on_by(&self) -> Option<&str> {
        let field = self.fields.iter().find(|field| known::is_of_proxy(self.slice(field.name)))?;
        Some(self.text(field.name))
    }

    /// Every value of the field `name` (in any case), as sent, in order.
    pub fn headers(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.fields
            .iter()
            .filter(move |field| self.slice(field.name).eq_ignore_ascii_case(name.as_bytes()))
            .map(|field| self.slice(field.value))
    }

    /// Every field, as sent, in order.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.fields.iter().map(|field| (self.text(field.name), self.slice(field.value)))
    }

    /// Every field's name and value as bytes, in order.
    pub(super) fn raw_fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields.iter().map(|field| (self.slice(field.name), self.slice(field.value)))
    }

    /// Whether a field that is a list has `token` (in any case) in it.
    #[must_use]
    pub fn lists(&self, name: &str, token: &str) -> bool {
        self.headers(name)
            .flat_map(fields::elements)
            .any(|element| element.eq_ignore_ascii_case(token.as_bytes()))
    }

    /// Whether the request asks for a WebSocket; `wire::upgrade` judges whether the handshake is right.
    #[must_use]
    pub fn wants_websocket(&self) -> bool {
        self.lists("upgrade", "websocket")
    }

    /// Bytes that this head keeps alive.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        self.bytes.len() + size_of_val(&*self.fields) + size_of::<Self>()
    }

    fn slice(&self, span: Span) -> &[u8] {
        &self.bytes[usize::from(span.start)..usize::from(span.end)]
    }

    fn text(&self, span: Span) -> &str {
        std::str::from_utf8(self.slice(span)).expect("httparse only hands out UTF-8 as text")
    }

    //= rfc9112#3.2
    //# A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request message that lacks a Host header field and
    //# to any request message that contains more than one Host header field line or a Host header field with an invalid field value.
    fn check_host(&self) -> Result<(), HttpError> {
        let mut hosts = self.headers("host");
        let Some(host) = hosts.next() else {
            return match self.version {
                Version::Http10 => Ok(()),
                Version::Http11 => Err(HttpError::HostMissing),
            };
        };
        if hosts.next().is_some() {
            return Err(HttpError::HostRepeated);
        }
        //= rfc9112#3.2
        //# If the authority component is missing or undefined for the target URI, then a client MUST send a Host header field with an
        //# empty field value.
        if host.is_empty() || host::is_valid(host) { Ok(()) } else { Err(HttpError::HostInvalid) }
    }

    fn read_framing(&self) -> Result<Framing, HttpError> {
        let mut lengths = self.headers("content-length");
        let length = lengths.next();
        if self.headers("transfer-encoding").next().is_some() {
            //= rfc9112#6.1
            //# A server MAY reject a request that contains both Content-Length and Transfer-Encoding
            if length.is_some() {
                return Err(HttpError::LengthAndEncoding);
            }
            return self.read_transfer_encoding();
        }
        let Some(length) = length else { return Ok(Framing::None) };
        if lengths.next().is_some() || length.contains(&b',') {
            return Err(HttpError::ContentLengthRepeated);
        }
        if length.is_empty() || !length.iter().all(u8::is_ascii_digit) {
            return Err(HttpError::BadContentLength);
        }
        // A number that does not fit 64 bits is over the body's limit, where the request is refused.
        let value = length.iter().fold(0_u64, |value, digit| {
            value.saturating_mul(10).saturating_add(u64::from(digit - b'0'))
        });
        Ok(Framing::Length(value))
    }

    fn read_transfer_encoding(&self) -> Result<Framing, HttpError> {
        //= rfc9112#6.1
        //# A server or client that receives an HTTP/1.0 message containing a Transfer-Encoding header field MUST treat the message as
        //# if the framing is faulty
        if self.version == Version::Http10 {
            return Err(HttpError::EncodingInOldVersion);
        }
        let mut chunked_count = 0;
        for coding in self.headers("transfer-encoding").flat_map(fields::elements) {
            if !coding.eq_ignore_ascii_case(b"chunked") {
                //= rfc9112#6.1
                //# A server that receives a request message with a transfer coding it does not understand SHOULD respond with 501
                return Err(HttpError::UnknownTransferEncoding);
            }
            chunked_count += 1;
        }
        //= rfc9112#6.1
        //# A sender MUST NOT apply the chunked transfer coding more than once to a message body
        if chunked_count == 1 { Ok(Framing::Chunked) } else { Err(HttpError::BadTransferEncoding) }
    }

    fn read_keep_alive(&self) -> bool {
        !self.lists("connection", "close")
            && (self.version == Version::Http11 || self.lists("connection", "keep-alive"))
    }

    fn read_expectation(&self) -> Result<bool, HttpError> {
        //= rfc9110#10.1.1
        //# A server that receives a 100-continue expectation in an HTTP/1.0 request MUST ignore that expectation.
        if self.version == Version::Http10 {
            return Ok(false);
        }
        let mut expected = false;
        for expectation in self.headers("expect").flat_map(fields::elements) {
            if !expectation.eq_ignore_ascii_case(b"100-continue") {
                return Err(HttpError::UnknownExpectation);
            }
            expected = true;
        }
        Ok(expected && self.framing != Framing::None)
    }
}

impl Method {
    /// The method with this name, in upper case as RFC 9110 has it.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        match name {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "PATCH" => Self::Patch,
            "DELETE" => Self::Delete,
            "OPTIONS" => Self::Options,
            "CONNECT" => Self::Connect,
            "TRACE" => Self::Trace,
            _ => Self::Unknown,
        }
    }

    /// The method's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
            Self::Connect => "CONNECT",
            Self::Trace => "TRACE",
            Self::Unknown => "a method that is not known",
        }
    }
}

impl Span {
    /// The range of `part` within `whole`, of which it is a part.
    fn of(part: &[u8], whole: &[u8]) -> Self {
        let start = part.as_ptr() as usize - whole.as_ptr() as usize;
        Self::within(0, &(start..start + part.len()))
    }

    fn within(base: u16, range: &Range<usize>) -> Self {
        let fit =
            |at: usize| base + u16::try_from(at).expect("limits: a head is addressed with 16 bits");
        Self { start: fit(range.start), end: fit(range.end) }
    }
}

/// Refuses a line feed without its carriage return: another server on the way might not see a line's end there.
fn check_line_ends(bytes: &[u8]) -> Result<(), HttpError> {
    let feeds = bytes.iter().filter(|&&byte| byte == b'\n').count();
    // Pairs of bytes rather than slices of two: the compiler then compares sixteen and more at a time.
    let pairs = bytes.iter().zip(bytes.iter().skip(1));
    let ends = pairs.filter(|&(&first, &second)| first == b'\r' && second == b'\n').count();
    if feeds == ends { Ok(()) } else { Err(HttpError::BareLineFeed) }
}

/// The ranges of the path and the query within a target.
fn split_target(target: &str) -> Result<(Range<usize>, Range<usize>), HttpError> {
    if target.contains('#') {
        return Err(HttpError::BadTarget);
    }
    let path_start = match target.as_bytes() {
        [b'/', ..] | b"*" => 0,
        //= rfc9112#3.2.2
        //# a server MUST accept the absolute-form in requests
        _ => {
            let authority_start = ["http://", "https://", "ws://", "wss://"]
                .iter()
                .find(|scheme| starts_with_ignoring_case(target, scheme))
                .ok_or(HttpError::BadTarget)?
                .len();
            let authority = target.as_bytes().get(authority_start..).unwrap_or_default();
            let ends = |byte: &u8| b"/?".contains(byte);
            let authority_bytes = authority.iter().position(ends).unwrap_or(authority.len());
            if !host::is_valid(&authority[..authority_bytes]) {
                return Err(HttpError::BadTarget);
            }
            authority_start + authority_bytes
        }
    };
    Ok(match target.bytes().position(|byte| byte == b'?') {
        Some(mark) => (path_start..mark, mark + 1..target.len()),
        None => (path_start..target.len(), target.len()..target.len()),
    })
}

fn starts_with_ignoring_case(text: &str, prefix: &str) -> bool {
    text.as_bytes()
        .get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
}

#[cfg(test)]
mod tests;
