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
use bytes::Bytes;
use fastwebsockets::FragmentCollector;
use fastwebsockets::Frame;
use fastwebsockets::OpCode;
use fastwebsockets::Payload;
use fastwebsockets::Role;
use fastwebsockets::WebSocket;
use fastwebsockets::WebSocketError;
use http_body_util::BodyExt;
use http_body_util::Collected;
use http_body_util::Empty;
use http_body_util::Limited;
use hyper::HeaderMap;
use hyper::Request;
use hyper::StatusCode;
use hyper::client::conn::http1;
use hyper::header;
use hyper::header::HeaderName;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;
use tokio::time::Instant;
use tokio::time::Sleep;
use tokio::time::sleep;
use tokio::time::timeout;

use crate::client::connect::Stream;
use crate::client::connect::Way;
use crate::client::connect::io_error;
use crate::client::limits::CONNECT_WAIT_MAX;
use crate::client::limits::MESSAGE_BYTES_MAX;
use crate::client::limits::REFUSAL_BYTES_MAX;
use crate::client::limits::SILENCE_MAX;
use crate::client::wait::entropy;

const PROTOCOL: &str = "fanwire.v1";

/// An open connection.
pub(crate) struct Socket {
    frames: FragmentCollector<TokioIo<Upgraded>>,
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
#[derive(Debug)]
pub(crate) enum Handshake {
    Http(hyper::Error),
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
    pub(crate) async fn open(way: &Way) -> Result<Self, SocketError> {
        let Ok(outcome) = timeout(CONNECT_WAIT_MAX, Box::pin(shake_hands(way))).await else {
            return Err(SocketError::Connect(io::ErrorKind::TimedOut.into()));
        };
        let mut socket = WebSocket::after_handshake(TokioIo::new(outcome?), Role::Client);
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

pub(super) fn closed(payload: &[u8]) -> SocketError {
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

/// Asks for a WebSocket, and checks the answer whole.
pub(super) async fn shake_hands(way: &Way) -> Result<Upgraded, SocketError> {
    let stream = way.connect().await.map_err(SocketError::Connect)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(SilenceWatched::new(stream)))
        .await
        .map_err(|error| SocketError::Connect(io_error(error)))?;
    // It ends with the upgrade, or with its sender; what goes wrong is told to whoever waits for an answer.
    tokio::spawn(async move { drop(connection.with_upgrades().await) });
    let mut nonce = [0; 16];
    for half in nonce.chunks_exact_mut(8) {
        half.copy_from_slice(&entropy().to_le_bytes());
    }
    let key = BASE64_STANDARD.encode(nonce);
    let mut request = Request::get(way.endpoint.target("/v1/ws"))
        .header(header::HOST, way.endpoint.authority())
        .header(header::USER_AGENT, concat!("fanwire/", env!("CARGO_PKG_VERSION")))
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_KEY, &key)
        .header(header::SEC_WEBSOCKET_PROTOCOL, PROTOCOL);
    if let Some(authorization) = way.authorization().map_err(SocketError::Connect)? {
        request = request.header(header::AUTHORIZATION, authorization);
    }
    let request = request
        .body(Empty::<Bytes>::new())
        .map_err(|error| SocketError::Connect(io::Error::other(error)))?;
    let response = sender.send_request(request).await.map_err(|error| {
        if error.is_parse() {
            SocketError::Handshake(Handshake::Http(error))
        } else {
            SocketError::Lost(io_error(error))
        }
    })?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let status = response.status().as_u16();
        let said = Limited::new(response.into_body(), REFUSAL_BYTES_MAX).collect().await;
        let said = said.map_or_else(|_| Bytes::new(), Collected::to_bytes);
        return Err(SocketError::Refused { status, said: reason(&said) });
    }
    check(response.headers(), &key).map_err(SocketError::Handshake)?;
    hyper::upgrade::on(response).await.map_err(|error| SocketError::Lost(io_error(error)))
}

/// Whether the fields of an answer of 101 are those of a WebSocket that speaks our protocol.
fn check(fields: &HeaderMap, key: &str) -> Result<(), Handshake> {
    let field = |name: HeaderName| fields.get(name).and_then(|value| value.to_str().ok());
    if field(header::SEC_WEBSOCKET_ACCEPT) != Some(accept_of(key).as_str()) {
        return Err(Handshake::Accept);
    }
    match field(header::SEC_WEBSOCKET_PROTOCOL) {
        Some(PROTOCOL) | None => Ok(()),
        Some(_) => Err(Handshake::Subprotocol),
    }
}

//= rfc6455#4.1
//# the base64-encoded SHA-1 of the concatenation of the |Sec-WebSocket-Key| (as a string, not base64-decoded) with the string
//# "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
pub(crate) fn accept_of(key: &str) -> String {
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    BASE64_STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()))
}

/// The server's explanation of a refusal.
fn reason(body: &[u8]) -> String {
    let error = serde_json::from_slice::<serde_json::Value>(body).ok();
    let message = error.as_ref().and_then(|value| value.get("error")?.get("message")?.as_str());
    message.map_or_else(|| String::from_utf8_lossy(body).trim().to_owned(), str::to_owned)
}

/// The connection, with an ear for silence: a network that drops a connection's packets says nothing at all.
struct SilenceWatched {
    stream: Stream,
    /// Runs out when nothing was heard for too long.
    silence: Pin<Box<Sleep>>,
}

impl SilenceWatched {
    fn new(stream: Stream) -> Self {
        Self { stream, silence: Box::pin(sleep(SILENCE_MAX)) }
    }
}

impl AsyncRead for SilenceWatched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
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

impl AsyncWrite for SilenceWatched {
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
        let checked = |fields: &[(HeaderName, &'static str)]| {
            let field = |(name, value): &(HeaderName, &'static str)| {
                (name.clone(), header::HeaderValue::from_static(value))
            };
            check(&fields.iter().map(field).collect(), key)
        };
        let accept = (header::SEC_WEBSOCKET_ACCEPT, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        let protocol = |name| (header::SEC_WEBSOCKET_PROTOCOL, name);
        assert!(checked(std::slice::from_ref(&accept)).is_ok());
        assert!(checked(&[accept.clone(), protocol("fanwire.v1")]).is_ok());
        let other = checked(&[accept, protocol("mqtt")]);
        assert!(matches!(other, Err(Handshake::Subprotocol)), "{other:?}");
        for fields in [&[][..], &[(header::SEC_WEBSOCKET_ACCEPT, "AAAA")]] {
            assert!(matches!(checked(fields), Err(Handshake::Accept)));
        }
    }

    #[test]
    fn a_refusal_is_told_in_the_words_of_the_server() {
        assert_eq!(reason(br#"{"error":{"code":"x","message":"no room"}}"#), "no room");
        assert_eq!(reason(b" go away\n"), "go away");
    }

    #[test]
    fn a_close_is_passing_or_not() {
        let passing = |code: u16| closed(&code.to_be_bytes()).is_passing();
        assert!([1001, 1008, 1011, 4008].into_iter().all(passing));
        assert!(![1002, 1003, 1007, 1009, 4001].into_iter().any(passing));
        assert!(closed(b"").is_passing());
    }
}
