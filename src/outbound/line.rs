//! The bytes of a connection that we make ourselves: a socket of one kind or another, encrypted or not.
//!
//! Invariant: nothing waits longer than `LOOK` without saying so (`TimedOut`, `WouldBlock`): whoever reads looks each time whether it still wants to. A socket that is written to and takes nothing for
//! as long as connecting may take is lost. Never knows what is said.

use std::fmt;
use std::io;
use std::io::Read;
use std::io::Write;
use std::net::IpAddr;
use std::net::TcpStream;
use std::net::ToSocketAddrs;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::RecvFlags;
use rustls::ClientConfig;
use rustls::ClientConnection;
use rustls::StreamOwned;
use rustls::pki_types::ServerName;

/// How long a read waits before whoever reads looks whether it still wants to.
const LOOK: Duration = Duration::from_millis(20);

/// Where somebody listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A name or an address, and a port.
    Host(String, u16),
    /// A socket's file.
    Socket(PathBuf),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Host(host, port) => write!(f, "{host}:{port}"),
            Self::Socket(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Whether a host is this machine.
#[must_use]
pub fn is_here(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// A socket.
#[derive(Debug)]
enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    fn open(place: &Place, most: Duration) -> io::Result<Self> {
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
enum Stream {
    Plain(Socket),
    Encrypted(Box<StreamOwned<ClientConnection, Socket>>),
}

/// A connection to somebody.
#[derive(Debug)]
pub struct Line {
    stream: Stream,
    most: Duration,
}

impl Line {
    /// Connects; `most`: how long that may take, and each later write.
    ///
    /// # Errors
    /// If nobody answers.
    pub fn open(place: &Place, most: Duration) -> io::Result<Self> {
        Ok(Self { stream: Stream::Plain(Socket::open(place, most)?), most })
    }

    /// Encrypts what is said from now on; `host`: who is to be there.
    ///
    /// # Errors
    /// If who answers does not prove to be who it should be.
    pub fn encrypt(self, tls: &Arc<ClientConfig>, host: &str) -> io::Result<Self> {
        let Stream::Plain(socket) = self.stream else {
            return Err(io::Error::other("it is encrypted already"));
        };
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let connection = ClientConnection::new(Arc::clone(tls), name).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(connection, socket);
        for _ in 0..looks(self.most) {
            match stream.conn.complete_io(&mut stream.sock) {
                Ok(_) if stream.conn.is_handshaking() => {}
                Ok(_) => {
                    let stream = Stream::Encrypted(Box::new(stream));
                    return Ok(Self { stream, most: self.most });
                }
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
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        match &self.stream {
            Stream::Plain(socket) => socket.is_quiet(),
            Stream::Encrypted(stream) => stream.sock.is_quiet(),
        }
    }

    /// Writes all of it.
    ///
    /// # Errors
    /// If it is lost.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.stream {
            Stream::Plain(socket) => socket.write_all(bytes),
            Stream::Encrypted(stream) => {
                stream.write_all(bytes)?;
                stream.flush()
            }
        }
    }

    /// Reads what is there: `None` if nothing is, yet.
    ///
    /// # Errors
    /// If it is lost.
    pub fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let read = match &mut self.stream {
            Stream::Plain(socket) => socket.read(buffer),
            Stream::Encrypted(stream) => stream.read(buffer),
        };
        match read {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => Ok(Some(count)),
            Err(error) if is_wait(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads a first byte, within the time that connecting may take.
    ///
    /// # Errors
    /// If none comes.
    pub fn receive_byte(&mut self) -> io::Result<u8> {
        let mut byte = [0; 1];
        for _ in 0..looks(self.most) {
            if self.receive(&mut byte)?.is_some() {
                return Ok(byte[0]);
            }
        }
        Err(io::ErrorKind::TimedOut.into())
    }
}

/// How often a read is tried within so long.
fn looks(most: Duration) -> u128 {
    most.as_millis() / LOOK.as_millis()
}

fn is_wait(error: &io::Error) -> bool {
    use io::ErrorKind::Interrupted;
    use io::ErrorKind::TimedOut;
    use io::ErrorKind::WouldBlock;
    matches!(error.kind(), WouldBlock | TimedOut | Interrupted)
}
