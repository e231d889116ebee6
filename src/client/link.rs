//! A connection that is read and written at the same time: what is heard comes out of one queue, what is said goes into another.
//!
//! Two tasks, which end with the link. Reading is a task of its own, as a read of `fastwebsockets` must not be dropped half-way, and writing is, so that a
//! server that answers before it reads on never waits for a client that speaks before it hears. Pings are answered by whoever hears them. Never looks at what is said.

use std::io;
use std::pin::Pin;
use std::task::Context;
use std::task::Poll;

use fastwebsockets::FragmentCollector;
use fastwebsockets::Frame;
use fastwebsockets::OpCode;
use fastwebsockets::Payload;
use fastwebsockets::Role;
use fastwebsockets::WebSocket;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;
use tokio::io::ReadBuf;
use tokio::io::ReadHalf;
use tokio::io::WriteHalf;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::client::connect::Way;
use crate::client::limits::CONNECT_WAIT_MAX;
use crate::client::limits::GOODBYE_MAX;
use crate::client::limits::HEARD_MAX;
use crate::client::limits::MESSAGE_BYTES_MAX;
use crate::client::limits::SAID_MAX;
use crate::client::socket::SocketError;
use crate::client::socket::closed;
use crate::client::socket::shake_hands;

type WebSocketStream = TokioIo<Upgraded>;

/// What comes from the server.
#[derive(Debug)]
pub(super) enum Heard {
    Text(Vec<u8>),
    Ping(Vec<u8>),
    /// Anything that says no more than that the server is there.
    Sign,
    /// The last: why there is no more.
    Lost(SocketError),
}

#[derive(Debug)]
enum Said {
    Text(String),
    Pong(Vec<u8>),
    Close(u16),
}

/// An open connection.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) heard: flume::Receiver<Heard>,
    said: flume::Sender<Said>,
    reader: JoinHandle<()>,
    writer: JoinHandle<()>,
}

impl Link {
    /// Connects and shakes hands.
    pub(super) async fn open(way: &Way) -> Result<Self, SocketError> {
        let Ok(upgraded) = timeout(CONNECT_WAIT_MAX, Box::pin(shake_hands(way))).await else {
            return Err(SocketError::Connect(io::ErrorKind::TimedOut.into()));
        };
        let (reads, writes) = tokio::io::split(TokioIo::new(upgraded?));
        let (to_us, heard) = flume::bounded(HEARD_MAX);
        let (said, to_server) = flume::bounded(SAID_MAX);
        let reader = tokio::spawn(read(reads, to_us));
        let writer = tokio::spawn(write(writes, to_server));
        Ok(Self { heard, said, reader, writer })
    }

    /// Says a message. False: so much waits to be said that the server does not hear any more, or it is gone.
    pub(super) fn say(&self, text: String) -> bool {
        self.said.try_send(Said::Text(text)).is_ok()
    }

    pub(super) fn pong(&self, payload: Vec<u8>) -> bool {
        self.said.try_send(Said::Pong(payload)).is_ok()
    }

    /// Says goodbye, behind all that was said before. That it cannot be said does not matter any more.
    pub(super) async fn close(mut self, code: u16) {
        self.said.try_send(Said::Close(code)).ok();
        timeout(GOODBYE_MAX, &mut self.writer).await.ok();
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.reader.abort();
        self.writer.abort();
    }
}

async fn read(stream: ReadHalf<WebSocketStream>, to_us: flume::Sender<Heard>) {
    let mut socket = WebSocket::after_handshake(ReadOnly(stream), Role::Client);
    socket.set_max_message_size(MESSAGE_BYTES_MAX);
    socket.set_auto_pong(false);
    socket.set_auto_close(false);
    let mut frames = FragmentCollector::new(socket);
    loop {
        let heard = match frames.read_frame().await {
            Ok(frame) => match frame.opcode {
                OpCode::Text => Heard::Text(frame.payload.to_vec()),
                OpCode::Ping => Heard::Ping(frame.payload.to_vec()),
                OpCode::Close => Heard::Lost(closed(&frame.payload)),
                OpCode::Binary | OpCode::Continuation | OpCode::Pong => Heard::Sign,
            },
            Err(error) => Heard::Lost(error.into()),
        };
        let is_last = matches!(heard, Heard::Lost(_));
        if to_us.send_async(heard).await.is_err() || is_last {
            return;
        }
    }
}

async fn write(mut stream: WriteHalf<WebSocketStream>, to_server: flume::Receiver<Said>) {
    let mut bytes = Vec::new();
    while let Ok(said) = to_server.recv_async().await {
        let is_last = matches!(said, Said::Close(_));
        let mut frame = match said {
            Said::Text(text) => Frame::text(Payload::Owned(text.into_bytes())),
            Said::Pong(payload) => Frame::pong(Payload::Owned(payload)),
            Said::Close(code) => Frame::close(code, b""),
        };
        frame.mask();
        // Who reads notices that the connection is lost, and why.
        if stream.write_all(frame.write(&mut bytes)).await.is_err() {
            return;
        }
        if stream.flush().await.is_err() || is_last {
            return;
        }
        // A large message's room is not kept for small ones.
        bytes.truncate(0);
        bytes.shrink_to(64 * 1024);
    }
}

/// The reading half of a connection, of which nothing is written: what reads answers neither pings nor closes.
struct ReadOnly(ReadHalf<WebSocketStream>);

impl AsyncRead for ReadOnly {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for ReadOnly {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Err(io::ErrorKind::Unsupported.into()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
