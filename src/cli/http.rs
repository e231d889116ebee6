//! One HTTP/1.1 connection to the server, kept open from request to request.
//!
//! Invariants: one request is under way at a time; an answer is at most `RESPONSE_BYTES_MAX` long; a connection on which anything
//! went wrong, or whose request was answered before it was sent whole, is not used again. Never repeats a request: whether that is safe
//! only the caller knows, and the error says whether the server may have seen it.

use std::fmt;
use std::io;
use std::pin::pin;

use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::cli::endpoint::Endpoint;
use crate::cli::limits::CONNECT_WAIT_MAX;
use crate::cli::limits::RESPONSE_BYTES_MAX;
use crate::cli::limits::RESPONSE_FIELDS_MAX;
use crate::cli::limits::RESPONSE_WAIT_MAX;
use crate::cli::wait::Either;
use crate::cli::wait::either;

/// What the server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// The value of `Retry-After`, if it is a number of seconds.
    pub(crate) retry_after_s: Option<u64>,
    pub(crate) body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum HttpError {
    /// No connection was made: the server has seen nothing.
    Connect(io::Error),
    /// The connection was lost with the request under way: the server may have taken all of it, a part, or nothing.
    Unanswered(io::Error),
    /// The answer is not HTTP, or longer than it may be.
    Garbled(Garbled),
}

/// What is wrong with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Garbled {
    Head(httparse::Error),
    TooLong,
    ChunkSize,
    ContentLength,
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => write!(f, "cannot connect: {error}"),
            Self::Unanswered(error) => {
                write!(f, "the connection was lost before the answer: {error}")
            }
            Self::Garbled(Garbled::Head(error)) => write!(f, "the answer is not HTTP/1.1: {error}"),
            Self::Garbled(Garbled::TooLong) => {
                write!(f, "the answer is longer than {RESPONSE_BYTES_MAX} bytes")
            }
            Self::Garbled(Garbled::ChunkSize) => write!(f, "the answer has a chunk without a size"),
            Self::Garbled(Garbled::ContentLength) => {
                write!(f, "the answer has an impossible Content-Length")
            }
        }
    }
}

impl std::error::Error for HttpError {}

/// A connection that is made when it is first needed, and again when it was lost.
#[derive(Debug)]
pub(crate) struct HttpClient {
    endpoint: Endpoint,
    stream: Option<TcpStream>,
}

impl HttpClient {
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, stream: None }
    }

    /// Posts a body and waits for the answer.
    pub(crate) async fn post(
        &mut self,
        target: &str,
        media: &str,
        body: &[u8],
    ) -> Result<Response, HttpError> {
        let head = format!(
            "POST {target} HTTP/1.1\r\nHost: {}\r\nUser-Agent: fanwire/{}\r\nContent-Type: {media}\r\nContent-Length: {}\r\n\r\n",
            self.endpoint.authority(),
            env!("CARGO_PKG_VERSION"),
            body.len()
        );
        let mut stream = match self.stream.take().filter(is_quiet) {
            Some(stream) => stream,
            None => connect(&self.endpoint).await.map_err(HttpError::Connect)?,
        };
        let exchange = exchange(&mut stream, head.as_bytes(), body);
        let Ok(outcome) = timeout(RESPONSE_WAIT_MAX, exchange).await else {
            return Err(HttpError::Unanswered(io::ErrorKind::TimedOut.into()));
        };
        let answer = outcome?;
        if answer.reusable {
            self.stream = Some(stream);
        }
        Ok(answer.response)
    }
}

/// Connects with a bound on the time, and without Nagle's delay.
pub(crate) async fn connect(endpoint: &Endpoint) -> io::Result<TcpStream> {
    let connecting = TcpStream::connect((endpoint.host.as_str(), endpoint.port));
    let stream = timeout(CONNECT_WAIT_MAX, connecting)
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Whether an idle connection is still open. A server may close one at any time; to notice it before the request is sent spares
/// us the question whether the request was taken.
fn is_quiet(stream: &TcpStream) -> bool {
    matches!(stream.try_read(&mut [0; 1]), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}

struct Answer {
    response: Response,
    reusable: bool,
}

/// Sends and receives at the same time: a server may answer a long body before its end, and then reads no further.
async fn exchange(stream: &mut TcpStream, head: &[u8], body: &[u8]) -> Result<Answer, HttpError> {
    let (mut reader, mut writer) = stream.split();
    let mut send = pin!(async {
        writer.write_all(head).await?;
        writer.write_all(body).await
    });
    let mut receive = pin!(receive(&mut reader));
    match either(receive.as_mut(), send.as_mut()).await {
        Either::First(answer) => Ok(Answer { reusable: false, ..answer? }),
        Either::Second(Ok(())) => receive.await,
        // The server closed its side; what it said before that is the better explanation.
        Either::Second(Err(error)) => match receive.await {
            Ok(answer) => Ok(Answer { reusable: false, ..answer }),
            Err(_) => Err(HttpError::Unanswered(error)),
        },
    }
}

async fn receive(reader: &mut (impl AsyncRead + Unpin)) -> Result<Answer, HttpError> {
    let mut input = Vec::with_capacity(4096);
    loop {
        if let Some(head) = parse_head(&input)? {
            // `100 Continue` and its like: the answer itself is still to come.
            if head.status < 200 {
                input.drain(..head.bytes);
                continue;
            }
            return receive_body(reader, input, head).await;
        }
        fill(reader, &mut input).await?;
    }
}

async fn receive_body(
    reader: &mut (impl AsyncRead + Unpin),
    mut input: Vec<u8>,
    head: Head,
) -> Result<Answer, HttpError> {
    input.drain(..head.bytes);
    let (body, delimited) = match head.framing {
        Framing::Length(bytes) => {
            while input.len() < bytes {
                fill(reader, &mut input).await?;
            }
            input.truncate(bytes);
            (input, true)
        }
        Framing::Chunked => loop {
            if let Some(body) = unchunk(&input)? {
                break (body, true);
            }
            fill(reader, &mut input).await?;
        },
        Framing::UntilClose => loop {
            match fill(reader, &mut input).await {
                Ok(()) => {}
                Err(HttpError::Unanswered(error))
                    if error.kind() == io::ErrorKind::UnexpectedEof =>
                {
                    break (input, false);
                }
                Err(error) => return Err(error),
            }
        },
    };
    let response = Response { status: head.status, retry_after_s: head.retry_after_s, body };
    Ok(Answer { response, reusable: delimited && head.keep_alive })
}

async fn fill(reader: &mut (impl AsyncRead + Unpin), input: &mut Vec<u8>) -> Result<(), HttpError> {
    if input.len() > RESPONSE_BYTES_MAX {
        return Err(HttpError::Garbled(Garbled::TooLong));
    }
    match reader.read_buf(input).await {
        Ok(0) => Err(HttpError::Unanswered(io::ErrorKind::UnexpectedEof.into())),
        Ok(_) => Ok(()),
        Err(error) => Err(HttpError::Unanswered(error)),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Framing {
    Length(usize),
    Chunked,
    UntilClose,
}

#[derive(Debug, PartialEq, Eq)]
struct Head {
    bytes: usize,
    status: u16,
    retry_after_s: Option<u64>,
    framing: Framing,
    keep_alive: bool,
}

fn parse_head(input: &[u8]) -> Result<Option<Head>, HttpError> {
    let mut fields = [httparse::EMPTY_HEADER; RESPONSE_FIELDS_MAX];
    let mut response = httparse::Response::new(&mut fields);
    let bytes = match response.parse(input) {
        Ok(httparse::Status::Complete(bytes)) => bytes,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(HttpError::Garbled(Garbled::Head(error))),
    };
    let status = response.code.unwrap_or_default();
    let mut head = Head {
        bytes,
        status,
        retry_after_s: None,
        framing: if status == 204 || status < 200 {
            Framing::Length(0)
        } else {
            Framing::UntilClose
        },
        keep_alive: response.version == Some(1),
    };
    for field in response.headers.iter() {
        let value = std::str::from_utf8(field.value).unwrap_or_default().trim();
        if field.name.eq_ignore_ascii_case("content-length") {
            let bytes = value.parse().map_err(|_| HttpError::Garbled(Garbled::ContentLength))?;
            if bytes > RESPONSE_BYTES_MAX {
                return Err(HttpError::Garbled(Garbled::TooLong));
            }
            head.framing = Framing::Length(bytes);
        } else if field.name.eq_ignore_ascii_case("transfer-encoding")
            && value.eq_ignore_ascii_case("chunked")
        {
            head.framing = Framing::Chunked;
        } else if field.name.eq_ignore_ascii_case("retry-after") {
            head.retry_after_s = value.parse().ok();
        } else if field.name.eq_ignore_ascii_case("connection")
            && value.eq_ignore_ascii_case("close")
        {
            head.keep_alive = false;
        }
    }
    Ok(Some(head))
}

/// The body, once all of its chunks and the empty line after them are there.
fn unchunk(mut input: &[u8]) -> Result<Option<Vec<u8>>, HttpError> {
    let mut body = Vec::new();
    loop {
        let (start, size) = match httparse::parse_chunk_size(input) {
            Ok(httparse::Status::Complete(parsed)) => parsed,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err(HttpError::Garbled(Garbled::ChunkSize)),
        };
        let Ok(size) = usize::try_from(size) else {
            return Err(HttpError::Garbled(Garbled::TooLong));
        };
        if size > RESPONSE_BYTES_MAX {
            return Err(HttpError::Garbled(Garbled::TooLong));
        }
        let Some(rest) = input.get(start..) else { return Ok(None) };
        if size == 0 {
            return Ok(trailers_end(rest).then_some(body));
        }
        let (Some(data), Some(next)) = (rest.get(..size), rest.get(size + 2..)) else {
            return Ok(None);
        };
        body.extend_from_slice(data);
        input = next;
    }
}

fn trailers_end(rest: &[u8]) -> bool {
    rest.starts_with(b"\r\n") || rest.windows(4).any(|window| window == b"\r\n\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(text: &[u8]) -> Result<Answer, HttpError> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut reader = text;
        runtime.block_on(receive(&mut reader))
    }

    #[test]
    fn an_answer_is_read_however_its_body_ends() {
        for (text, status, body, reusable) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200, "hi", true),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", 204, "", true),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n1;x=y\r\n!\r\n0\r\n\r\n",
                200,
                "hi!",
                true,
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n\r\n",
                200,
                "",
                true,
            ),
            (
                "HTTP/1.1 400 Bad\r\nConnection: close\r\nContent-Length: 1\r\n\r\n{",
                400,
                "{",
                false,
            ),
            ("HTTP/1.0 500 Oh\r\n\r\nuntil the end", 500, "until the end", false),
        ] {
            let answer = received(text.as_bytes()).unwrap();
            let got = (
                answer.response.status,
                String::from_utf8(answer.response.body).unwrap(),
                answer.reusable,
            );
            assert_eq!(got, (status, body.to_owned(), reusable), "{text}");
        }
    }

    #[test]
    fn a_retry_after_is_kept() {
        let answer =
            received(b"HTTP/1.1 429 Full\r\nRetry-After: 3\r\nContent-Length: 0\r\n\r\n").unwrap();
        assert_eq!((answer.response.status, answer.response.retry_after_s), (429, Some(3)));
    }

    #[test]
    fn half_an_answer_is_no_answer() {
        for text in [
            "",
            "HTTP/1.1 200",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhi",
        ] {
            assert!(matches!(received(text.as_bytes()), Err(HttpError::Unanswered(_))), "{text}");
        }
        assert!(matches!(
            received(b"SSH-2.0-x\r\n\r\n"),
            Err(HttpError::Garbled(Garbled::Head(_)))
        ));
        let long = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", RESPONSE_BYTES_MAX + 1);
        assert!(matches!(received(long.as_bytes()), Err(HttpError::Garbled(Garbled::TooLong))));
    }
}
