//! The bytes of a connection: a socket of one kind or another, encrypted or not.
//!
//! Invariant: nothing waits longer than `LOOK` without saying so (`TimedOut`, `WouldBlock`): whoever reads looks each time whether it still wants to. A socket that is written to and takes nothing for
//! `POSTGRES_CONNECT_MS_MAX` is lost.

use std::io;
use std::io::Read;
use std::io::Write;
use std::net::TcpStream;
use std::net::ToSocketAddrs;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::RecvFlags;
use rustls::ClientConfig;
use rustls::ClientConnection;
use rustls::RootCertStore;
use rustls::StreamOwned;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;

use super::address::Address;
use super::address::Place;
use super::address::Proof;
use super::wire::Outgoing;
use crate::limits::POSTGRES_CONNECT_MS_MAX;

/// How long a read waits before whoever reads looks whether it still wants to.
const LOOK: Duration = Duration::from_millis(20);

/// A socket.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    fn open(place: &Place) -> io::Result<Self> {
        let most = Duration::from_millis(POSTGRES_CONNECT_MS_MAX);
        let socket = match place {
            Place::Socket(path) => Self::Unix(UnixStream::connect(path)?),
            Place::Host(host, port) => Self::Tcp(connect_any(host, *port, most)?),
        };
        match &socket {
            Self::Tcp(tcp) => {
                tcp.set_nodelay(true)?;
                tcp.set_read_timeout(Some(LOOK))?;
                tcp.set_write_timeout(Some(most))?;
            }
            Self::Unix(unix) => {
                unix.set_read_timeout(Some(LOOK))?;
                unix.set_write_timeout(Some(most))?;
            }
        }
        Ok(socket)
    }

    /// Whether nothing has come, not even its end.
    fn is_quiet(&self) -> bool {
        let fd = match self {
            Self::Tcp(tcp) => tcp.as_fd(),
            Self::Unix(unix) => unix.as_fd(),
        };
        let mut byte = [0; 1];
        let found = rustix::net::recv(fd, &mut byte[..], RecvFlags::PEEK | RecvFlags::DONTWAIT);
        matches!(found, Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR))
    }
}

/// The first of a host's addresses that answers.
fn connect_any(host: &str, port: u16, most: Duration) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, most) {
            Ok(tcp) => return Ok(tcp),
            Err(error) => last = error,
        }
    }
    Err(last)
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(tcp) => tcp.read(buffer),
            Self::Unix(unix) => unix.read(buffer),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(tcp) => tcp.write(bytes),
            Self::Unix(unix) => unix.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(tcp) => tcp.flush(),
            Self::Unix(unix) => unix.flush(),
        }
    }
}

/// A socket, encrypted or not.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(Socket),
    Encrypted(Box<StreamOwned<ClientConnection, Socket>>),
}

impl Stream {
    /// Connects, and encrypts if the address says so.
    ///
    /// # Errors
    /// If nobody answers, or who answers does not prove to be who it should be.
    pub(super) fn open(address: &Address, tls: Option<&Arc<ClientConfig>>) -> io::Result<Self> {
        let mut socket = Socket::open(&address.place)?;
        let (Some(tls), Place::Host(host, _)) = (tls, &address.place) else {
            return Ok(Self::Plain(socket));
        };
        let mut request = Outgoing::default();
        request.ssl_request();
        socket.write_all(request.bytes())?;
        let mut answer = [0; 1];
        // What a plain server says next, after a proxy took this for a first message, is no `S`.
        read_patiently(&mut socket, &mut answer)?;
        if answer != *b"S" {
            return Err(io::Error::other("it does not encrypt, and must"));
        }
        let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
        let connection = ClientConnection::new(Arc::clone(tls), name).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(connection, socket);
        for _ in 0..looks() {
            match stream.conn.complete_io(&mut stream.sock) {
                Ok(_) if stream.conn.is_handshaking() => {}
                Ok(_) => return Ok(Self::Encrypted(Box::new(stream))),
                Err(error) if is_wait(&error) => {}
                // Who answers is not who it should be, and will not be a little later.
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    return Err(io::Error::other(error));
                }
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::TimedOut.into())
    }

    /// Whether nothing has come that nobody asked for: an end, or a goodbye.
    pub(super) fn is_quiet(&self) -> bool {
        match self {
            Self::Plain(socket) => socket.is_quiet(),
            Self::Encrypted(stream) => stream.sock.is_quiet(),
        }
    }

    /// Writes all of it.
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(socket) => socket.write_all(bytes),
            Self::Encrypted(stream) => {
                stream.write_all(bytes)?;
                stream.flush()
            }
        }
    }

    /// Reads what is there: `None` if nothing is, yet.
    pub(super) fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let read = match self {
            Self::Plain(socket) => socket.read(buffer),
            Self::Encrypted(stream) => stream.read(buffer),
        };
        match read {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => Ok(Some(count)),
            Err(error) if is_wait(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// How often a read is tried within the time that connecting may take.
fn looks() -> u64 {
    POSTGRES_CONNECT_MS_MAX / u64::try_from(LOOK.as_millis()).unwrap_or(1)
}

fn read_patiently(socket: &mut Socket, buffer: &mut [u8; 1]) -> io::Result<()> {
    for _ in 0..looks() {
        match socket.read(buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => return Ok(()),
            Err(error) if is_wait(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::ErrorKind::TimedOut.into())
}

fn is_wait(error: &io::Error) -> bool {
    use io::ErrorKind::Interrupted;
    use io::ErrorKind::TimedOut;
    use io::ErrorKind::WouldBlock;
    matches!(error.kind(), WouldBlock | TimedOut | Interrupted)
}

/// How a database's certificate is checked; `None`: nothing is encrypted.
///
/// # Errors
/// If an authority cannot be read.
pub(super) fn encryption(proof: &Proof) -> io::Result<Option<Arc<ClientConfig>>> {
    let Proof::Certificate(root) = proof else { return Ok(None) };
    let mut store = RootCertStore::empty();
    let certificates = match root {
        Some(path) => of_file(path)?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    let (added, _) = store.add_parsable_certificates(certificates);
    if added == 0 {
        return Err(io::Error::other("there is no certificate of an authority: see sslrootcert"));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().map_err(io::Error::other)?;
    Ok(Some(Arc::new(builder.with_root_certificates(store).with_no_client_auth())))
}

fn of_file(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    read.map_err(|error| io::Error::other(format!("{}: {error}", path.display())))
}
