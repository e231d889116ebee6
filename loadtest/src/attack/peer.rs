//! One client of an attack: a socket, what it still has to say, and what it has heard.
//!
//! Invariant: never blocks but while it joins; what it holds of unread frames is at most one frame.

use super::AttackError;
use crate::clock;
use crate::clock::MILLI;
use crate::clock::SECOND;
use crate::limits::READ_BYTES;
use crate::websocket;
use crate::websocket::KEY;

use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;

use memchr::memmem;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net;
use rustix::net::AddressFamily;
use rustix::net::RecvFlags;
use rustix::net::SendFlags;
use rustix::net::SocketFlags;
use rustix::net::SocketType;
use rustix::net::sockopt;

/// How long a client waits for what the server owes it whatever happens.
const JOIN_NS_MAX: u64 = 20 * SECOND;

/// How a connection came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// A close frame with this code.
    Closed(u16),
    /// The socket ended, without a close frame.
    Cut,
}

/// A client.
#[derive(Debug)]
pub(crate) struct Peer {
    socket: OwnedFd,
    /// What came of a frame whose end did not.
    unread: Vec<u8>,
    /// What the socket did not take yet.
    unsaid: Vec<u8>,
    is_websocket: bool,
    pub(crate) end: Option<End>,
}

impl Peer {
    /// Connects; with a small receive buffer if it is to be slow to feel.
    pub(crate) fn connect(
        addr: SocketAddr,
        receive_bytes: Option<usize>,
    ) -> Result<Self, AttackError> {
        let socket =
            net::socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        if let Some(bytes) = receive_bytes {
            sockopt::set_socket_recv_buffer_size(&socket, bytes)?;
        }
        // Closing resets, so that ports are free for the next attack at once.
        sockopt::set_socket_linger(&socket, Some(std::time::Duration::ZERO))?;
        // What is said in two messages must not wait for the first one's acknowledgement.
        sockopt::set_tcp_nodelay(&socket, true)?;
        net::connect(&socket, &addr)?;
        rustix::io::ioctl_fionbio(&socket, true)?;
        Ok(Self { socket, unread: Vec::new(), unsaid: Vec::new(), is_websocket: false, end: None })
    }

    /// Asks for a WebSocket, and waits until it is one.
    pub(crate) fn upgrade(&mut self, path: &str, headers: &str) -> Result<(), AttackError> {
        self.write(format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n{headers}\r\n"
        ).as_bytes())?;
        let mut buffer = vec![0; READ_BYTES];
        let until_ns = clock::now_ns() + JOIN_NS_MAX;
        while clock::now_ns() < until_ns && self.end.is_none() {
            self.read(&mut buffer, READ_BYTES, &mut |_| {})?;
            if let Ok(Some(head)) = websocket::head(&self.unread) {
                if head.upgraded().is_err() {
                    break;
                }
                self.unread.drain(..head.head_bytes);
                self.is_websocket = true;
                return Ok(());
            }
            clock::pause(MILLI);
        }
        Err(AttackError::Unanswered { wanted: "a WebSocket" })
    }

    /// Says a text message.
    pub(crate) fn say(&mut self, text: &str) -> Result<(), AttackError> {
        let mut frame = Vec::with_capacity(text.len() + 14);
        websocket::client_frame(&mut frame, websocket::TEXT, text.as_bytes());
        self.write(&frame)
    }

    /// Sends bytes as they are; what the socket does not take waits for [`Self::go_on`].
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), AttackError> {
        self.unsaid.extend_from_slice(bytes);
        self.go_on()
    }

    /// Bytes that the socket has not taken.
    pub(crate) fn unsaid_bytes(&self) -> usize {
        self.unsaid.len()
    }

    /// Sends what is left to say.
    pub(crate) fn go_on(&mut self) -> Result<(), AttackError> {
        while !self.unsaid.is_empty() && self.end.is_none() {
            match net::send(&self.socket, &self.unsaid, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
                Ok(count) => drop(self.unsaid.drain(..count)),
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(_) => self.end = Some(End::Cut),
            }
        }
        Ok(())
    }

    /// Reads once, at most so many bytes; each message goes to `hear`. How many bytes came.
    pub(crate) fn read(
        &mut self,
        buffer: &mut [u8],
        bytes_max: usize,
        hear: &mut dyn FnMut(&[u8]),
    ) -> Result<usize, AttackError> {
        if self.end.is_some() {
            return Ok(0);
        }
        let room = buffer.len().min(bytes_max);
        let count = match net::recv(&self.socket, &mut buffer[..room], RecvFlags::DONTWAIT) {
            Ok((0, _)) => {
                self.end = Some(End::Cut);
                return Ok(0);
            }
            Ok((count, _)) => count,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(0),
            Err(_) => {
                self.end = Some(End::Cut);
                return Ok(0);
            }
        };
        self.unread.extend_from_slice(&buffer[..count]);
        if self.is_websocket {
            self.frames(hear)?;
        }
        Ok(count)
    }

    fn frames(&mut self, hear: &mut dyn FnMut(&[u8])) -> Result<(), AttackError> {
        let mut at = 0;
        let mut pongs = Vec::new();
        while let Ok(Some(header)) = websocket::header(&self.unread[at..]) {
            let begin = at + header.header_bytes;
            let Some(payload) = self.unread.get(begin..begin + header.payload_bytes) else { break };
            match header.opcode {
                websocket::PING => websocket::client_frame(&mut pongs, websocket::PONG, payload),
                websocket::CLOSE => {
                    let code =
                        payload.first_chunk::<2>().map_or(1005, |code| u16::from_be_bytes(*code));
                    self.end = Some(End::Closed(code));
                }
                _ => hear(payload),
            }
            at = begin + header.payload_bytes;
        }
        self.unread.drain(..at);
        if pongs.is_empty() { Ok(()) } else { self.write(&pongs) }
    }

    /// Reads until a message contains this; what else comes is passed over.
    pub(crate) fn wait_for(&mut self, wanted: &'static str) -> Result<(), AttackError> {
        let mut buffer = vec![0; READ_BYTES];
        let until_ns = clock::now_ns() + JOIN_NS_MAX;
        let mut found = false;
        // What came glued to the handshake.
        self.frames(&mut |message| found |= memmem::find(message, wanted.as_bytes()).is_some())?;
        while !found && self.end.is_none() && clock::now_ns() < until_ns {
            self.go_on()?;
            let count = self.read(&mut buffer, READ_BYTES, &mut |message| {
                found |= memmem::find(message, wanted.as_bytes()).is_some();
            })?;
            if count == 0 {
                clock::pause(MILLI / 4);
            }
        }
        if found { Ok(()) } else { Err(AttackError::Unanswered { wanted }) }
    }

    /// What has been read and is no whole message: of a connection that is no WebSocket, everything.
    pub(crate) fn unread(&self) -> &[u8] {
        &self.unread
    }
}

impl AsFd for Peer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
