//! HTTP/1.1 to the server, by `hyper`: one connection, kept open from request to request.
//!
//! Invariants: one request is under way at a time; an answer is at most `RESPONSE_BYTES_MAX` long; a connection on which anything
//! went wrong is not used again. Never repeats a request: whether that is safe only the caller knows, and the error says whether the
//! server may have seen it.

use std::fmt;
use std::io;

use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::Full;
use http_body_util::Limited;
use hyper::Request;
use hyper::client::conn::http1;
use hyper::client::conn::http1::SendRequest;
use hyper::header;
use hyper::http::request::Builder;
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use crate::cli::limits::RESPONSE_BYTES_MAX;
use crate::cli::limits::RESPONSE_WAIT_MAX;
use crate::client::connect::Way;
use crate::client::connect::io_error;

/// What the server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// The value of `Retry-After`, if it is a number of seconds.
    pub(crate) retry_after_s: Option<u64>,
    pub(crate) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum HttpError {
    /// No connection was made: the server has seen nothing.
    Connect(io::Error),
    /// The connection was lost with the request under way: the server may have taken all of it, a part, or nothing.
    Unanswered(io::Error),
    /// The answer is not HTTP.
    Garbled(hyper::Error),
    /// The answer is longer than it may be.
    TooLong,
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => write!(f, "cannot connect: {error}"),
            Self::Unanswered(error) => {
                write!(f, "the connection was lost before the answer: {error}")
            }
            Self::Garbled(error) => write!(f, "the answer is not HTTP/1.1: {error}"),
            Self::TooLong => write!(f, "the answer is longer than {RESPONSE_BYTES_MAX} bytes"),
        }
    }
}

impl std::error::Error for HttpError {}

impl From<hyper::Error> for HttpError {
    fn from(error: hyper::Error) -> Self {
        if error.is_parse() { Self::Garbled(error) } else { Self::Unanswered(io_error(error)) }
    }
}

/// A connection that is made when it is first needed, and again when it was lost.
#[derive(Debug)]
pub(crate) struct HttpClient {
    way: Way,
    connection: Option<SendRequest<Full<Bytes>>>,
}

impl HttpClient {
    pub(crate) const fn new(way: Way) -> Self {
        Self { way, connection: None }
    }

    /// Posts a body and waits for the answer. Inside a runtime, on which the connection lives until it is dropped.
    pub(crate) async fn post(
        &mut self,
        target: &str,
        media: &str,
        body: &[u8],
    ) -> Result<Response, HttpError> {
        let mut request = Request::post(target).header(header::CONTENT_TYPE, media);
        if let Some(authorization) = self.way.authorization().map_err(HttpError::Connect)? {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        Box::pin(self.send(request, body)).await
    }

    /// Asks as who shows this secret: posts a body of JSON, or gets what is there without one.
    pub(crate) async fn ask_as(
        &mut self,
        secret: &str,
        target: &str,
        body: Option<&[u8]>,
    ) -> Result<Response, HttpError> {
        let request = match body {
            Some(_) => Request::post(target).header(header::CONTENT_TYPE, "application/json"),
            None => Request::get(target),
        };
        let request = request.header(header::AUTHORIZATION, format!("Bearer {secret}"));
        Box::pin(self.send(request, body.unwrap_or_default())).await
    }

    async fn send(&mut self, request: Builder, body: &[u8]) -> Result<Response, HttpError> {
        let request = request
            .header(header::HOST, self.way.endpoint.authority())
            .header(header::USER_AGENT, concat!("fanwire/", env!("CARGO_PKG_VERSION")))
            .body(Full::new(Bytes::copy_from_slice(body)))
            .map_err(|error| HttpError::Connect(io::Error::other(error)))?;
        let mut connection = self.connection().await?;
        let Ok(answer) = timeout(RESPONSE_WAIT_MAX, exchange(&mut connection, request)).await
        else {
            return Err(HttpError::Unanswered(io::ErrorKind::TimedOut.into()));
        };
        let answer = answer?;
        self.connection = Some(connection);
        Ok(answer)
    }

    /// The connection, if it lasts; a server may close one at any time, and to notice it before the request is sent spares us the
    /// question whether the request was taken.
    async fn connection(&mut self) -> Result<SendRequest<Full<Bytes>>, HttpError> {
        if let Some(mut connection) = self.connection.take()
            && connection.ready().await.is_ok()
        {
            return Ok(connection);
        }
        let stream = self.way.connect().await.map_err(HttpError::Connect)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| HttpError::Connect(io_error(error)))?;
        // It ends with its sender; what goes wrong is told to whoever waits for an answer.
        tokio::spawn(async move { drop(connection.await) });
        Ok(sender)
    }
}

async fn exchange(
    connection: &mut SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> Result<Response, HttpError> {
    let response = connection.send_request(request).await?;
    let (head, body) = response.into_parts();
    let retry_after = head.headers.get(header::RETRY_AFTER);
    let retry_after_s = retry_after.and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let body = match Limited::new(body, RESPONSE_BYTES_MAX).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => {
            return Err(match error.downcast::<hyper::Error>() {
                Ok(error) => (*error).into(),
                Err(_) => HttpError::TooLong,
            });
        }
    };
    Ok(Response { status: head.status.as_u16(), retry_after_s, body })
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::io::Write;
    use std::net::TcpListener;

    use super::*;
    use crate::client::endpoint::Endpoint;

    /// What comes of a server that answers with these bytes and goes.
    fn received(answer: &[u8]) -> Result<Response, HttpError> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = Endpoint::parse(&listener.local_addr().unwrap().to_string()).unwrap();
        let answer = answer.to_vec();
        let server = std::thread::Builder::new().spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            let mut read = 0;
            while !request[..read].ends_with(b"{}") {
                read += stream.read(&mut request[read..]).unwrap();
            }
            stream.write_all(&answer).unwrap();
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut client = HttpClient::new(Way::plain(endpoint));
        let received = runtime.block_on(client.post("/a", "application/json", b"{}"));
        server.unwrap().join().unwrap();
        received
    }

    #[test]
    fn an_answer_is_read_however_its_body_ends() {
        for (text, status, body) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200, "hi"),
            ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", 204, ""),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n1;x=y\r\n!\r\n0\r\n\r\n",
                200,
                "hi!",
            ),
            ("HTTP/1.0 500 Oh\r\n\r\nuntil the end", 500, "until the end"),
        ] {
            let answer = received(text.as_bytes()).unwrap();
            assert_eq!((answer.status, &*answer.body), (status, body.as_bytes()), "{text}");
        }
    }

    #[test]
    fn a_retry_after_is_kept() {
        let answer =
            received(b"HTTP/1.1 429 Full\r\nRetry-After: 3\r\nContent-Length: 0\r\n\r\n").unwrap();
        assert_eq!((answer.status, answer.retry_after_s), (429, Some(3)));
    }

    #[test]
    fn half_an_answer_is_no_answer() {
        for text in [
            "",
            "HTTP/1.1 200",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhi",
        ] {
            let received = received(text.as_bytes());
            assert!(matches!(received, Err(HttpError::Unanswered(_))), "{text}: {received:?}");
        }
        assert!(matches!(received(b"SSH-2.0-x\r\n\r\n"), Err(HttpError::Garbled(_))));
        let body = "x".repeat(RESPONSE_BYTES_MAX + 1);
        let long = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        assert!(matches!(received(long.as_bytes()), Err(HttpError::TooLong)));
    }
}
