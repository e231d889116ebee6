//! A process that was started to take over (`fanwire serve --upgrade`), and how it finds the server that runs: by a socket without a file, whose name is the address that both are configured with.
//!
//! Invariants: only processes of the same user hand over to each other, which the kernel says and not the other end; whoever asks gets copies of the listeners, and nothing else. A name that is
//! taken is waited for: the former server lets go of it when it has handed over.

use std::fmt;
use std::io;
use std::io::IoSlice;
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use flume::Receiver;
use flume::Sender;
use rustix::io::Errno;
use rustix::net::AddressFamily;
use rustix::net::RecvAncillaryBuffer;
use rustix::net::RecvAncillaryMessage;
use rustix::net::RecvFlags;
use rustix::net::SendAncillaryBuffer;
use rustix::net::SendAncillaryMessage;
use rustix::net::SendFlags;
use rustix::net::Shutdown;
use rustix::net::SocketAddrUnix;
use rustix::net::SocketFlags;
use rustix::net::SocketType;
use rustix::net::recvmsg;
use rustix::net::sendmsg;
use rustix::net::sockopt;

use super::inherited::Inherited;
use crate::conn::SHARED_LAST;
use crate::limits::HANDOVER_ASKS_MAX;
use crate::limits::HANDOVER_NAME_MS;
use crate::limits::HANDOVER_SHARE_MS_MAX;
use crate::limits::HANDOVER_SOCKETS_MAX;

/// Why nobody hands over to us.
#[derive(Debug)]
pub enum SuccessionError {
    /// No server of this user listens there, or one that cannot hand over.
    Nobody(SocketAddr),
    /// Somebody is there, of another user.
    Stranger(SocketAddr),
    /// The former process does not give its sockets.
    NotGiven(io::Error),
    /// The kernel does not let us ask.
    Socket(io::Error),
}

impl fmt::Display for SuccessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody(address) => {
                write!(
                    f,
                    "no server of this user runs with `listen` = \"{address}\", so there is nobody to take over from"
                )
            }
            Self::Stranger(address) => {
                write!(
                    f,
                    "whoever hands over for \"{address}\" is another user's: nothing is taken from them"
                )
            }
            Self::NotGiven(error) => write!(f, "the server that runs does not hand over: {error}"),
            Self::Socket(error) => write!(f, "the server that runs cannot be asked: {error}"),
        }
    }
}

impl std::error::Error for SuccessionError {}

/// The name by which servers of this user with that address find each other.
fn name(listen: SocketAddr) -> io::Result<SocketAddrUnix> {
    let user = rustix::process::geteuid().as_raw();
    Ok(SocketAddrUnix::new_abstract_name(format!("fanwire/{user}/{listen}").as_bytes())?)
}

fn socket() -> io::Result<OwnedFd> {
    let (family, kind) = (AddressFamily::UNIX, SocketType::SEQPACKET);
    Ok(rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC, None)?)
}

/// Whether who is at the other end is of the same user; and which process it is.
fn is_own(connection: impl AsFd) -> io::Result<Option<i32>> {
    let other = sockopt::socket_peercred(connection)?;
    let is_own = other.uid == rustix::process::geteuid();
    Ok(is_own.then(|| other.pid.as_raw_nonzero().get()))
}

impl Inherited {
    /// Asks the server that runs with this address for its listeners. It goes on until this one is ready.
    ///
    /// # Errors
    /// Why there are none.
    pub fn ask(listen: SocketAddr) -> Result<Self, SuccessionError> {
        let name = name(listen).map_err(SuccessionError::Socket)?;
        let mut asks = 0;
        let connection = loop {
            asks += 1;
            let connection = socket().map_err(SuccessionError::Socket)?;
            match rustix::net::connect(&connection, &name) {
                // One that has only just taken over itself has the name a moment later.
                #[expect(
                    clippy::disallowed_methods,
                    reason = "no core runs yet: this process has no listeners"
                )]
                Err(Errno::CONNREFUSED | Errno::NOENT) if asks < HANDOVER_ASKS_MAX => {
                    std::thread::sleep(Duration::from_millis(HANDOVER_NAME_MS));
                }
                Err(Errno::CONNREFUSED | Errno::NOENT) => {
                    return Err(SuccessionError::Nobody(listen));
                }
                Err(error) => return Err(SuccessionError::Socket(error.into())),
                Ok(()) => break connection,
            }
        };
        if is_own(&connection).map_err(SuccessionError::Socket)?.is_none() {
            return Err(SuccessionError::Stranger(listen));
        }
        let patience = Duration::from_millis(HANDOVER_SHARE_MS_MAX);
        let sockets =
            sockopt::set_socket_timeout(&connection, sockopt::Timeout::Recv, Some(patience))
                .map_err(io::Error::from)
                .and_then(|()| receive(&connection))
                .map_err(SuccessionError::NotGiven)?;
        Ok(Self::given(sockets, UnixStream::from(connection)))
    }
}

/// A process that has asked to take over.
#[derive(Debug)]
pub struct Successor {
    pub(super) connection: UnixStream,
    pub(super) process: i32,
}

impl Successor {
    /// Gives it copies of these.
    pub(super) fn give(&self, sockets: &[(String, OwnedFd)]) -> io::Result<()> {
        for (name, socket) in sockets {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut ancillary = SendAncillaryBuffer::new(&mut space);
            let one = [socket.as_fd()];
            let fits = ancillary.push(SendAncillaryMessage::ScmRights(&one));
            debug_assert!(fits, "there is room for one");
            let text = [IoSlice::new(name.as_bytes())];
            sendmsg(&self.connection, &text, &mut ancillary, SendFlags::NOSIGNAL)?;
        }
        let last = [IoSlice::new(SHARED_LAST)];
        let mut nothing = SendAncillaryBuffer::default();
        sendmsg(&self.connection, &last, &mut nothing, SendFlags::NOSIGNAL)?;
        Ok(())
    }
}

/// Sockets that somebody gives, and their names: one a message, until the last.
pub(super) fn receive(end: impl AsFd) -> io::Result<Vec<(String, OwnedFd)>> {
    let mut sockets = Vec::new();
    while sockets.len() < HANDOVER_SOCKETS_MAX {
        let mut text = [0; 64];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let into = &mut [IoSliceMut::new(&mut text)];
        let received = match recvmsg(&end, into, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
            Err(Errno::INTR) => continue,
            received => received?,
        };
        let socket = ancillary.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut sockets) => sockets.next(),
            _ => None,
        });
        let name = text.get(..received.bytes).unwrap_or_default();
        match socket {
            Some(socket) => sockets.push((String::from_utf8_lossy(name).into_owned(), socket)),
            None if name == SHARED_LAST => return Ok(sockets),
            None => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
    Err(io::Error::other("there are more sockets than a server has"))
}

/// Where processes ask to take over. When it is dropped, nobody can any more, and the name is free.
#[derive(Debug)]
pub struct Successors {
    asked: Receiver<Successor>,
    listening: Receiver<Arc<OwnedFd>>,
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Successors {
    /// Waits for them from now on; `wake` is called when one has asked.
    ///
    /// # Errors
    /// If there is no thread for it.
    pub fn listen(listen: SocketAddr, wake: impl Fn() + Send + 'static) -> io::Result<Self> {
        let (tell, asked) = flume::bounded(1);
        let (stop, stopped) = flume::bounded(0);
        let (show, listening) = flume::bounded(1);
        let thread = std::thread::Builder::new().name("successors".to_owned());
        let body = move || {
            if let Err(error) = wait(listen, (&show, &stopped), (&tell, &wake)) {
                tracing::warn!(%error, "`fanwire serve --upgrade` cannot take over from this server");
            }
        };
        Ok(Self { asked, listening, stop: Some(stop), thread: Some(thread.spawn(body)?) })
    }

    /// Who has asked, if anybody has.
    #[must_use]
    pub fn take(&self) -> Option<Successor> {
        self.asked.try_recv().ok()
    }
}

impl Drop for Successors {
    fn drop(&mut self) {
        drop(self.stop.take());
        // Whoever waits in `accept` is woken by there being nothing to wait for.
        if let Ok(socket) = self.listening.try_recv()
            && let Err(error) = rustix::net::shutdown(&socket, Shutdown::Both)
        {
            tracing::debug!(%error, "nobody can be kept from asking");
            return;
        }
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::warn!("the thread that waits for successors had panicked");
        }
    }
}

/// Accepts those who ask, until the end.
fn wait(
    listen: SocketAddr,
    (show, stopped): (&Sender<Arc<OwnedFd>>, &Receiver<()>),
    (tell, wake): (&Sender<Successor>, &dyn Fn()),
) -> io::Result<()> {
    let name = name(listen)?;
    let listener = Arc::new(socket()?);
    loop {
        match rustix::net::bind(&*listener, &name) {
            // The server before this one has it still.
            Err(Errno::ADDRINUSE) => {}
            bound => break bound?,
        }
        let again = stopped.recv_timeout(Duration::from_millis(HANDOVER_NAME_MS));
        if again == Err(flume::RecvTimeoutError::Disconnected) {
            return Ok(());
        }
    }
    rustix::net::listen(&*listener, 1)?;
    if show.send(Arc::clone(&listener)).is_err() || stopped.is_disconnected() {
        return Ok(());
    }
    loop {
        let connection = match rustix::net::accept_with(&*listener, SocketFlags::CLOEXEC) {
            Err(Errno::INTR | Errno::CONNABORTED) => continue,
            // It was shut: the server stops.
            Err(_) if stopped.is_disconnected() => return Ok(()),
            connection => connection?,
        };
        let Some(process) = is_own(&connection)? else {
            tracing::warn!("another user's process wants to take over: it is given nothing");
            continue;
        };
        let successor = Successor { connection: UnixStream::from(connection), process };
        if tell.send(successor).is_err() {
            return Ok(());
        }
        wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_asks_is_given_sockets_and_the_name_is_free_afterwards() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert!(matches!(Inherited::ask(address), Err(SuccessionError::Nobody(_))));
        let (wake, woken) = flume::bounded(1);
        let wake = move || wake.send(()).unwrap();
        let first = Successors::listen(address, wake.clone()).unwrap();
        // The next server waits for the name while the first one has it.
        let second = Successors::listen(address, wake).unwrap();
        let asking = std::thread::Builder::new();
        let asking = asking.spawn(move || {
            loop {
                match Inherited::ask(address) {
                    Err(SuccessionError::Nobody(_)) => std::thread::yield_now(),
                    asked => break asked,
                }
            }
        });
        woken.recv().unwrap();
        let (giver, other) = match first.take() {
            Some(successor) => (successor, second),
            None => (second.take().unwrap(), first),
        };
        assert_eq!(giver.process, i32::try_from(std::process::id()).unwrap());
        giver.give(&[("listen".to_owned(), listener.into())]).unwrap();
        let inherited = asking.unwrap().join().unwrap().unwrap();
        assert_eq!(inherited.names(), ["listen"]);
        drop(other);
    }
}
