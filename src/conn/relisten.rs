//! Listeners that come and go while a core runs.
//!
//! Invariants: a core opens what it is told to and accepts nobody there before it is told that every core could; what it closes it has accepted all who waited of. Whoever is connected stays. A
//! core may have a table of descriptors of its own, so it opens its listeners itself.

use std::io;
use std::net::SocketAddr;

use flume::Receiver;
use flume::Sender;

use super::listener::Listener;
use super::listener::ListenerOptions;
use crate::shard::Port;

/// A listener as it is to be.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub port: Port,
    pub address: SocketAddr,
    /// TLS, and what is spoken on the port inside of it.
    pub is_secured: bool,
    /// A proxy that is trusted says first, of each connection, for whom it is.
    pub takes_header: bool,
}

/// A socket that the core listens on, and what is spoken there.
#[derive(Debug)]
pub struct Open {
    pub port: Port,
    pub listener: Listener,
    /// TLS, and what is spoken on the port inside of it.
    pub is_secured: bool,
    /// A proxy that is trusted says first, of each connection, for whom it is.
    pub takes_header: bool,
}

impl Open {
    /// Whether something comes before a connection is the shard's.
    pub(super) const fn has_handshake(&self) -> bool {
        self.is_secured || self.takes_header
    }

    /// Whether it is this one.
    fn is(&self, entry: &Entry) -> bool {
        let is_there = || self.listener.address().is_ok_and(|address| address == entry.address);
        self.port == entry.port && is_there()
    }
}

/// What a core is told of its listeners.
#[derive(Debug)]
pub enum Relisten {
    /// Opens these beside those that there are, and says whether it could. Nobody is accepted on them yet.
    Open(Vec<Entry>, ListenerOptions, Sender<io::Result<()>>),
    /// From now on these are all that there are.
    Settle(Vec<Entry>),
    /// What was opened last is closed again.
    Forget,
}

/// Where a core is told, and what it has opened and not settled.
#[derive(Debug)]
pub struct Relistening {
    told: Receiver<Relisten>,
    opened: Vec<Open>,
}

/// What a core's listeners are from now on: those that stay, as they are spoken on now, those that are new, and the places of those that go.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) entries: Vec<Entry>,
    pub(super) opened: Vec<Open>,
}

impl Relistening {
    #[must_use]
    pub const fn new(told: Receiver<Relisten>) -> Self {
        Self { told, opened: Vec::new() }
    }

    /// Hears what it is told; `Some`: what its listeners are from now on.
    pub(super) fn hear(&mut self) -> Option<Settled> {
        match self.told.try_recv().ok()? {
            Relisten::Open(entries, options, done) => {
                let opened: io::Result<Vec<Open>> =
                    entries.iter().map(|entry| open(entry, options)).collect();
                let said = opened.map(|opened| self.opened = opened);
                // Whoever has asked may have given up, and says then that it is to be forgotten.
                drop(done.send(said));
                None
            }
            Relisten::Settle(entries) => {
                Some(Settled { entries, opened: std::mem::take(&mut self.opened) })
            }
            Relisten::Forget => {
                self.opened.clear();
                None
            }
        }
    }
}

impl Settled {
    /// Whether a listener goes.
    pub(super) fn lacks(&self, open: &Open) -> bool {
        !self.entries.iter().any(|entry| open.is(entry))
    }

    /// The listeners from now on; those that go are not among these any more.
    pub(super) fn apply(self, former: Vec<Open>) -> Vec<Open> {
        let Self { entries, opened } = self;
        let all = former.into_iter().chain(opened);
        let kept = all.filter_map(|open| {
            let entry = entries.iter().find(|entry| open.is(entry))?;
            let Entry { is_secured, takes_header, .. } = *entry;
            Some(Open { is_secured, takes_header, ..open })
        });
        kept.collect()
    }
}

fn open(entry: &Entry, options: ListenerOptions) -> io::Result<Open> {
    let Entry { port, address, is_secured, takes_header } = *entry;
    let listener = Listener::open(address, options)?;
    Ok(Open { port, listener, is_secured, takes_header })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const OPTIONS: ListenerOptions =
        ListenerOptions { send_buffer_bytes: 0, peer_timeout: Duration::from_secs(44) };

    fn entry(port: Port) -> Entry {
        let address = "127.0.0.1:0".parse().unwrap();
        Entry { port, address, is_secured: false, takes_header: false }
    }

    fn opened(port: Port) -> (Open, Entry) {
        let open = open(&entry(port), OPTIONS).unwrap();
        let address = open.listener.address().unwrap();
        (open, Entry { address, ..entry(port) })
    }

    #[test]
    fn what_is_opened_counts_once_it_is_settled_and_not_if_it_is_forgotten() {
        let (tell, told) = flume::bounded(4);
        let mut listening = Relistening::new(told);
        let (done, is_done) = flume::bounded(1);
        let (shared, of_shared) = opened(Port::Shared);
        let (own, _) = opened(Port::Own("peat"));
        tell.send(Relisten::Open(vec![entry(Port::Redirect)], OPTIONS, done.clone())).unwrap();
        assert!(listening.hear().is_none());
        is_done.recv().unwrap().unwrap();
        tell.send(Relisten::Forget).unwrap();
        assert!(listening.hear().is_none() && listening.opened.is_empty());
        tell.send(Relisten::Open(vec![entry(Port::Redirect)], OPTIONS, done)).unwrap();
        assert!(listening.hear().is_none());
        let address = listening.opened[0].listener.address().unwrap();
        let of_redirect = Entry { address, ..entry(Port::Redirect) };
        let secured = Entry { is_secured: true, ..of_shared };
        tell.send(Relisten::Settle(vec![secured, of_redirect])).unwrap();
        let settled = listening.hear().unwrap();
        assert!(settled.lacks(&own) && !settled.lacks(&shared));
        let now = settled.apply(vec![shared, own]);
        let ports: Vec<_> = now.iter().map(|open| (open.port, open.is_secured)).collect();
        assert_eq!(ports, [(Port::Shared, true), (Port::Redirect, false)]);
        assert!(listening.hear().is_none());
    }

    #[test]
    fn an_address_that_is_taken_is_said_to_be() {
        let (tell, told) = flume::bounded(1);
        let mut listening = Relistening::new(told);
        let stranger = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = Entry { address: stranger.local_addr().unwrap(), ..entry(Port::Shared) };
        let (done, is_done) = flume::bounded(1);
        tell.send(Relisten::Open(vec![entry(Port::Redirect), taken], OPTIONS, done)).unwrap();
        assert!(listening.hear().is_none());
        assert_eq!(is_done.recv().unwrap().unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert!(listening.opened.is_empty(), "nor is the other one kept");
    }
}
