//! One handshake: what has come of it, what is to be sent, and what it is about. Before it, or in its place, comes the header of a proxy, where one is awaited.
//!
//! Invariant: holds at most `TLS_HANDSHAKE_INPUT_BYTES_MAX` of what the client sends. A client that does not speak TLS is told so in its own language,
//! as far as that is HTTP. Never waits.

use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::io::Errno;
use rustix::net::RecvFlags;
use rustix::net::SendFlags;
use rustix::net::recv;
use rustix::net::send;
use rustls::ServerConfig;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::ConnectionState;
use rustls::unbuffered::EncodeError;
use rustls::unbuffered::EncodeTlsData;
use rustls::unbuffered::UnbufferedStatus;

use super::secure::Secure;
use crate::auth::Certificate;
use crate::limits::TLS_HANDSHAKE_INPUT_BYTES_MAX;
use crate::shard::Peer;
use crate::shard::Port;
use crate::wire::proxy::parse_proxy_header;

/// A connection that is not yet one for the shard.
pub(in crate::conn) struct Handshake {
    pub(in crate::conn) socket: OwnedFd,
    pub(in crate::conn) peer: IpAddr,
    pub(in crate::conn) port: Port,
    /// Whether a proxy has to say first for whom the connection is.
    header: Header,
    /// `None`: what follows is said in the clear.
    tls: Option<UnbufferedServerConnection>,
    input: Vec<u8>,
    output: Vec<u8>,
    /// What has come right behind the handshake, opened.
    plain: Vec<u8>,
    /// The client sends no more.
    has_ended: bool,
    /// The client's first byte was that of a record.
    speaks_tls: bool,
}

impl std::fmt::Debug for Handshake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handshake").field("peer", &self.peer).finish_non_exhaustive()
    }
}

/// How it stands with a proxy's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Header {
    /// There is to be none.
    None,
    Awaited,
    Read,
}

/// What came of going on with a handshake.
#[derive(Debug)]
pub(in crate::conn) enum Step {
    /// The client's turn.
    Waits,
    /// The handshake is done; what the client has sent behind it waits to be opened.
    Done,
    /// The handshake is done, and was all that was wanted: an authority has looked at what it is shown.
    Over,
    /// The handshake has failed. The last words, if any, have been sent.
    Failed(Box<str>),
}

/// What a handshake leaves for its connection.
#[derive(Debug)]
pub(in crate::conn) struct Finished {
    pub(in crate::conn) socket: OwnedFd,
    pub(in crate::conn) secure: Option<Secure>,
    /// What the client has said already, opened.
    pub(in crate::conn) said: Vec<u8>,
    /// The client has said that it sends no more, right behind it. The library says so once, so nobody else would find that out.
    pub(in crate::conn) has_ended: bool,
}

/// What HTTP in the clear is answered on a port for TLS.
const PLAIN_HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 52\r\nConnection: close\r\n\r\nThis port speaks TLS: ask it by https:// or wss://.\n";

/// The protocol, as an authority names it.
const CHECK: &[u8] = b"acme-tls/1";

/// The first byte of a record with a handshake's message in it (RFC 8446 section 5.1).
const HANDSHAKE_RECORD: u8 = 22;

impl Handshake {
    /// With a client that was just accepted.
    pub(in crate::conn) fn new(
        socket: OwnedFd,
        peer: IpAddr,
        port: Port,
        config: Option<Arc<ServerConfig>>,
    ) -> Result<Self, Box<rustls::Error>> {
        let tls = config.map(UnbufferedServerConnection::new).transpose().map_err(Box::new)?;
        Ok(Self {
            socket,
            peer,
            port,
            header: Header::None,
            tls,
            input: Vec::new(),
            output: Vec::new(),
            plain: Vec::new(),
            has_ended: false,
            speaks_tls: false,
        })
    }

    /// The same, but that a proxy says first for whom it is.
    pub(in crate::conn) fn behind_proxy(mut self) -> Self {
        self.header = Header::Awaited;
        self
    }

    /// Goes on as far as it can: `scratch` is read into.
    pub(in crate::conn) fn step(&mut self, scratch: &mut [u8]) -> Step {
        if let Err(error) = self.read(scratch) {
            return Step::Failed(error.to_string().into());
        }
        if self.header == Header::Awaited {
            match parse_proxy_header(&self.input) {
                Ok(Some(header)) => {
                    self.input.drain(..header.length);
                    self.peer = header.source.unwrap_or(self.peer);
                    self.header = Header::Read;
                }
                Ok(None) if self.has_ended => return Step::Failed("the client left".into()),
                Ok(None) => return Step::Waits,
                Err(error) => return Step::Failed(error.to_string().into()),
            }
        }
        if self.tls.is_none() {
            return Step::Done;
        }
        if !self.speaks_tls {
            match self.input.first() {
                Some(&HANDSHAKE_RECORD) => self.speaks_tls = true,
                Some(first) => {
                    if first.is_ascii_alphabetic() {
                        self.say(PLAIN_HTTP);
                    }
                    return Step::Failed("it does not speak TLS".into());
                }
                None => {}
            }
        }
        let is_done = match self.process() {
            Ok(is_done) => is_done,
            Err(error) => {
                self.flush();
                return Step::Failed(error.to_string().into());
            }
        };
        self.flush();
        if is_done && self.is_check() {
            Step::Over
        } else if is_done {
            Step::Done
        } else if self.has_ended {
            Step::Failed("the client left".into())
        } else if self.input.len() >= TLS_HANDSHAKE_INPUT_BYTES_MAX {
            Step::Failed("the client says too much".into())
        } else {
            Step::Waits
        }
    }

    /// Whether the client speaks the protocol in which nothing is said behind the handshake (RFC 8737 section 3).
    fn is_check(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.alpn_protocol() == Some(CHECK))
    }

    /// What the client has shown of itself, if it has and that can be read.
    fn certificate(&self) -> Option<Box<Certificate>> {
        match Certificate::read(self.tls.as_ref()?.peer_certificates()?.first()?) {
            Ok(certificate) => Some(Box::new(certificate)),
            Err(error) => {
                tracing::debug!(peer = %self.peer, %error, "it counts for none");
                None
            }
        }
    }

    /// Who is at the far end, as it has come out.
    pub(in crate::conn) fn far_end(&self) -> Peer {
        let is_passed_on = self.header == Header::Read;
        let is_encrypted = self.tls.is_some();
        Peer { address: self.peer, certificate: self.certificate(), is_passed_on, is_encrypted }
    }

    /// What is left for the connection.
    pub(in crate::conn) fn finish(self) -> Finished {
        let (secure, said) = match self.tls {
            Some(tls) => (Some(Secure::new(tls, self.input, self.output)), self.plain),
            None => (None, self.input),
        };
        Finished { socket: self.socket, secure, said, has_ended: self.has_ended }
    }

    fn read(&mut self, scratch: &mut [u8]) -> io::Result<()> {
        while self.input.len() < TLS_HANDSHAKE_INPUT_BYTES_MAX && !self.has_ended {
            let room = TLS_HANDSHAKE_INPUT_BYTES_MAX - self.input.len();
            match recv(&self.socket, &mut scratch[..room], RecvFlags::DONTWAIT) {
                Ok((0, _)) => self.has_ended = true,
                Ok((length, _)) => self.input.extend_from_slice(&scratch[..length]),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Takes in what has come; true: the handshake is done, and what is left of the input is the connection's.
    fn process(&mut self) -> Result<bool, Box<rustls::Error>> {
        let Some(tls) = &mut self.tls else { return Ok(true) };
        loop {
            let UnbufferedStatus { discard, state } = tls.process_tls_records(&mut self.input);
            let mut goes_on = true;
            let mut failed = None;
            match state {
                Ok(ConnectionState::EncodeTlsData(message)) => encode(message, &mut self.output),
                Ok(ConnectionState::TransmitTlsData(message)) => message.done(),
                // The client's last message and its first request may come together.
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        self.plain.extend_from_slice(record.map_err(Box::new)?.payload);
                    }
                }
                Ok(ConnectionState::PeerClosed) => self.has_ended = true,
                Ok(_) => goes_on = false,
                Err(error) => failed = Some(error),
            }
            self.input.drain(..discard);
            if let Some(error) = failed {
                if tls.wants_write()
                    && let Ok(ConnectionState::EncodeTlsData(alert)) =
                        tls.process_tls_records(&mut self.input).state
                {
                    encode(alert, &mut self.output);
                }
                return Err(Box::new(error));
            }
            if !goes_on {
                return Ok(!tls.is_handshaking());
            }
        }
    }

    /// Sends what the socket takes of our side.
    fn flush(&mut self) {
        let taken = self.say(&self.output);
        self.output.drain(..taken);
    }

    fn say(&self, bytes: &[u8]) -> usize {
        if bytes.is_empty() {
            return 0;
        }
        // What fails shows when the socket is read.
        send(&self.socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL).unwrap_or(0)
    }
}

/// Puts a message behind the others.
fn encode<D>(mut message: EncodeTlsData<'_, D>, output: &mut Vec<u8>) {
    let begin = output.len();
    let mut length = message.encode(&mut []);
    if let Err(EncodeError::InsufficientSize(wanted)) = &length {
        output.resize(begin + wanted.required_size, 0);
        length = message.encode(&mut output[begin..]);
    }
    output.truncate(begin + length.unwrap_or(0));
}
