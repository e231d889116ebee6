//! A WebSocket to the server, as a client of `fanwire.v1` needs it: text messages in, text messages out.
//!
//! Invariants: the opening handshake is checked whole before the first message is taken; bytes that came with the answer are the first of
//! the messages; a connection that stays silent for `SILENCE_MAX` ends with an error, although nothing was closed.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;

use aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY;
use aws_lc_rs::digest::digest;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use fastwebsockets::FragmentCollector;
use fastwebsockets::Frame;
use fastwebsockets::OpCode;
use fastwebsockets::Payload;
use fastwebsockets::Role;
use fastwebsockets::WebSocket;
use fastwebsockets::WebSocketError;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;
use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio::time::Sleep;
use tokio::time::sleep;
use tokio::time::timeout;

use crate::cli::endpoint::Endpoint;
use crate::cli::http::connect;
use crate::cli::limits::CONNECT_WAIT_MAX;
use crate::cli::limits::MESSAGE_BYTES_MAX;
use crate::cli::limits::RESPONSE_BYTES_MAX;
use crate::cli::limits::RESPONSE_FIELDS_MAX;
use crate::cli::limits::SILENCE_MAX;
use crate::cli::wait::entropy;

/// An open connection.
pub(crate) struct Socket {
    frames: FragmentCollector<Stream>,
}

/// Why there is no connection, or none any more.
#[derive(Debug)]
pub(crate) enum SocketError {
    Connect(io::Error),
    /// The connection was lost, or nothing was heard for too long.
    Lost(io::Error),
    /// The server answered the handshake with something else; its body, if it has one, says why.
    Refused {
        status: u16,
        said: String,
    },
    /// The answer to the handshake is not one.
    Handshake(Handshake),
    /// The server closed the connection.
    Closed {
        code: u16,
        reason: String,
    },
    Protocol(WebSocketError),
}

/// What is wrong with the answer to a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handshake {
    Http(httparse::Error),
    TooLong,
    /// `Sec-WebSocket-Accept` is missing, or not the answer to our key.
    Accept,
    /// The subprotocol is not `fanwire.v1`.
    Subprotocol,
}

impl SocketError {
    /// Whether the same attempt may succeed later.
    pub(crate) const fn is_passing(&self) -> bool {
        match self {
            Self::Connect(_) | Self::Lost(_) => true,
            Self::Refused { status, .. } => *status >= 500 || *status == 429 || *status == 408,
            Self::Handshake(_) | Self::Protocol(_) => false,
            // No reason given, shutting down, a rate, our silence, our slowness.
            Self::Closed { code, .. } => {
                matches!(code, 1000 | 1001 | 1005 | 1008 | 1011..=1014 | 4008)
            }
        }
    }
}

impl fmt::Display for SocketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => write!(f, "cannot connect: {error}"),
            Self::Lost(error) if error.kind() == io::ErrorKind::TimedOut => {
                write!(
                    f,
                    "the connection is dead: nothing was heard for {} s",
                    SILENCE_MAX.as_secs()
                )
            }
            Self::Lost(error) => write!(f, "the connection was lost: {error}"),
            Self::Refused { status, said } => write!(f, "the server refused with {status}: {said}"),
            Self::Handshake(Handshake::Http(error)) => write!(f, "the answer is not HTTP: {error}"),
            Self::Handshake(Handshake::TooLong) => write!(f, "the answer is too long"),
            Self::Handshake(Handshake::Accept) => {
                write!(f, "the server does not speak WebSocket: its accept key is wrong")
            }
            Self::Handshake(Handshake::Subprotocol) => {
                write!(f, "the server does not speak fanwire.v1")
            }
            Self::Closed { code, reason } if reason.is_empty() => {
                write!(f, "the server closed the connection with {code}")
            }
            Self::Closed { code, reason } => {
                write!(f, "the server closed the connection with {code}: {reason}")
            }
            Self::Protocol(error) => write!(f, "the server broke the WebSocket protocol: {error}"),
        }
    }
}

impl std::error::Error for SocketError {}

impl From<WebSocketError> for SocketError {
    fn from(error: WebSocketError) -> Self {
        match error {
            WebSocketError::IoError(error) => Self::Lost(error),
            WebSocketError::UnexpectedEOF | WebSocketError::ConnectionClosed => {
                Self::Lost(io::ErrorKind::UnexpectedEof.into())
            }
            other => Self::Protocol(other),
        }
    }
}

impl Socket {
    /// Connects and shakes hands.
    pub(crate) async fn open(endpoint: &Endpoint) -> Result<Self, SocketError> {
        let stream = connect(endpoint).await.map_err(SocketError::Connect)?;
        let Ok(outcome) = timeout(CONNECT_WAIT_MAX, shake_hands(stream, endpoint)).await else {
            return Err(SocketError::Connect(io::ErrorKind::TimedOut.into()));
        };
        let mut socket = WebSocket::after_handshake(outcome?, Role::Client);
        socket.set_max_message_size(MESSAGE_BYTES_MAX);
        Ok(Self { frames: FragmentCollector::new(socket) })
    }

    /// The next message. Pings are answered on the way. Not to be dropped half-way if more is to be read after.
    pub(crate) async fn message(&mut self) -> Result<Payload<'static>, SocketError> {
        loop {
            let frame = self.frames.read_frame().await?;
            match frame.opcode {
                OpCode::Text => return Ok(frame.payload),
                OpCode::Close => return Err(closed(&frame.payload)),
                OpCode::Binary | OpCode::Continuation | OpCode::Ping | OpCode::Pong => {}
            }
        }
    }

    pub(crate) async fn send(&mut self, text: &str) -> Result<(), SocketError> {
        Ok(self.frames.write_frame(Frame::text(Payload::Owned(text.as_bytes().to_vec()))).await?)
    }

    /// Says goodbye. That it cannot be said does not matter any more.
    pub(crate) async fn close(mut self) {
        drop(
            timeout(Duration::from_secs(1), self.frames.write_frame(Frame::close(1000, b""))).await,
        );
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket").finish_non_exhaustive()
    }
}

fn closed(payload: &[u8]) -> SocketError {
    match payload.split_first_chunk::<2>() {
        Some((code, reason)) => SocketError::Closed {
            code: u16::from_be_bytes(*code),
            reason: String::from_utf8_lossy(reason).into_owned(),
        },
        //= rfc6455#7.1.5
        //# If this Close control frame contains no status code, _The WebSocket Connection Close Code_ is considered to be 1005.
        None => SocketError::Closed { code: 1005, reason: String::new() },
    }
}

async fn shake_hands(mut stream: TcpStream, endpoint: &Endpoint) -> Result<Stream, SocketError> {
    let mut nonce = [0; 16];
    for half in nonce.chunks_exact_mut(8) {
        half.copy_from_slice(&entropy().to_le_bytes());
    }
    let key = BASE64_STANDARD.encode(nonce);
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: fanwire/{}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Protocol: fanwire.v1\r\n\r\n",
        endpoint.target("/v1/ws"),
        endpoint.authority(),
        env!("CARGO_PKG_VERSION"),
    );
    stream.write_all(request.as_bytes()).await.map_err(SocketError::Lost)?;
    let mut input = Vec::with_capacity(4096);
    let head = loop {
        if stream.read_buf(&mut input).await.map_err(SocketError::Lost)? == 0 {
            return Err(SocketError::Lost(io::ErrorKind::UnexpectedEof.into()));
        }
        if let Some(head) = parse_head(&input, &key).map_err(SocketError::Handshake)? {
            break head;
        }
    };
    input.drain(..head.bytes);
    if let Some(problem) = head.problem {
        return Err(SocketError::Handshake(problem));
    }
    if head.status != 101 {
        let said = read_reason(&mut stream, input, head.body_bytes).await;
        return Err(SocketError::Refused { status: head.status, said });
    }
    Ok(Stream { stream, first: input, first_read: 0, silence: Box::pin(sleep(SILENCE_MAX)) })
}

struct Head {
    bytes: usize,
    status: u16,
    body_bytes: usize,
    problem: Option<Handshake>,
}

fn parse_head(input: &[u8], key: &str) -> Result<Option<Head>, Handshake> {
    let mut fields = [httparse::EMPTY_HEADER; RESPONSE_FIELDS_MAX];
    let mut response = httparse::Response::new(&mut fields);
    let bytes = match response.parse(input).map_err(Handshake::Http)? {
        httparse::Status::Complete(bytes) => bytes,
        httparse::Status::Partial if input.len() > RESPONSE_BYTES_MAX => {
            return Err(Handshake::TooLong);
        }
        httparse::Status::Partial => return Ok(None),
    };
    let field = |name: &str| {
        let found = response.headers.iter().find(|field| field.name.eq_ignore_ascii_case(name));
        found.and_then(|field| std::str::from_utf8(field.value).ok()).map(str::trim)
    };
    let status = response.code.unwrap_or_default();
    let body_bytes = field("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let problem = if status != 101 {
        None
    } else if field("sec-websocket-accept") != Some(accept_of(key).as_str()) {
        Some(Handshake::Accept)
    } else if field("sec-websocket-protocol").is_some_and(|protocol| protocol != "fanwire.v1") {
        Some(Handshake::Subprotocol)
    } else {
        None
    };
    Ok(Some(Head { bytes, status, body_bytes, problem }))
}

//= rfc6455#4.1
//# the base64-encoded SHA-1 of the concatenation of the |Sec-WebSocket-Key| (as a string, not base64-decoded) with the string
//# "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
pub(crate) fn accept_of(key: &str) -> String {
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    BASE64_STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()))
}

/// The server's explanation of a refusal, as far as it comes.
async fn read_reason(stream: &mut TcpStream, mut body: Vec<u8>, body_bytes: usize) -> String {
    let wanted = body_bytes.min(4096);
    while body.len() < wanted && matches!(stream.read_buf(&mut body).await, Ok(count) if count > 0)
    {
    }
    let error = serde_json::from_slice::<serde_json::Value>(&body).ok();
    let message = error.as_ref().and_then(|value| value.get("error")?.get("message")?.as_str());
    message.map_or_else(|| String::from_utf8_lossy(&body).trim().to_owned(), str::to_owned)
}

/// The TCP connection, with the bytes that came with the handshake in front, and an ear for silence.
struct Stream {
    stream: TcpStream,
    first: Vec<u8>,
    first_read: usize,
    /// Runs out when nothing was heard for too long: a network that drops a connection's packets says nothing at all.
    silence: Pin<Box<Sleep>>,
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let first = this.first.get(this.first_read..).unwrap_or_default();
        if !first.is_empty() {
            let count = first.len().min(buffer.remaining());
            buffer.put_slice(first.get(..count).unwrap_or_default());
            this.first_read += count;
            return Poll::Ready(Ok(()));
        }
        match Pin::new(&mut this.stream).poll_read(context, buffer) {
            Poll::Ready(outcome) => {
                this.silence.as_mut().reset(Instant::now() + SILENCE_MAX);
                Poll::Ready(outcome)
            }
            Poll::Pending => {
                this.silence.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accept_key_is_the_one_of_the_rfc() {
        //= rfc6455#1.3
        //# dGhlIHNhbXBsZSBub25jZQ==
        assert_eq!(accept_of("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn an_answer_is_checked_whole() {
        let key = "dGhlIHNhbXBsZSBub25jZQ==";
        let good = "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
        let problem = |text: String| parse_head(text.as_bytes(), key).unwrap().unwrap().problem;
        assert_eq!(problem(format!("{good}\r\n")), None);
        assert_eq!(problem(format!("{good}Sec-WebSocket-Protocol: fanwire.v1\r\n\r\n")), None);
        assert_eq!(
            problem(format!("{good}Sec-WebSocket-Protocol: mqtt\r\n\r\n")),
            Some(Handshake::Subprotocol)
        );
        assert_eq!(
            problem("HTTP/1.1 101 Switching Protocols\r\n\r\n".to_owned()),
            Some(Handshake::Accept)
        );
        let refused =
            parse_head(b"HTTP/1.1 403 No\r\nContent-Length: 7\r\n\r\n", key).unwrap().unwrap();
        assert_eq!((refused.status, refused.body_bytes, refused.problem), (403, 7, None));
        assert!(parse_head(good.as_bytes(), key).unwrap().is_none());
        assert!(matches!(parse_head(b"what\r\n\r\n", key), Err(Handshake::Http(_))));
    }

    #[test]
    fn a_close_is_passing_or_not() {
        let passing = |code: u16| closed(&code.to_be_bytes()).is_passing();
        assert!([1001, 1008, 1011, 4008].into_iter().all(passing));
        assert!(![1002, 1003, 1007, 1009, 4001].into_iter().any(passing));
        assert!(closed(b"").is_passing());
    }
}
