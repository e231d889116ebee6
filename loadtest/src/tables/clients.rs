//! Clients of tables in one thread: each says something when it has heard something.
//!
//! Invariant: a turn reads from whoever has something to read, and never waits longer than it was told to.

use crate::attack::AttackError;
use crate::attack::Peer;
use crate::clock;
use crate::clock::MILLI;
use crate::limits::READ_BYTES;
use crate::limits::READY_MAX;

use std::net::SocketAddr;

use rustix::event::Timespec;
use rustix::event::epoll;
use rustix::event::epoll::Event;
use rustix::event::epoll::EventData;
use rustix::event::epoll::EventFlags;
use rustix::fd::OwnedFd;

/// What is to be said, and by whom.
pub(super) type Replies = Vec<(usize, String)>;

#[derive(Debug)]
pub(super) struct Clients {
    epoll: OwnedFd,
    peers: Vec<Peer>,
    buffer: Vec<u8>,
}

impl Clients {
    /// So many WebSockets at a path.
    pub(super) fn open(addr: SocketAddr, path: &str, count: usize) -> Result<Self, AttackError> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut clients = Self { epoll, peers: Vec::new(), buffer: vec![0; READ_BYTES] };
        for place in 0..count {
            let mut peer = Peer::connect(addr, None)?;
            peer.upgrade(path, "")?;
            let data = EventData::new_u64(place as u64);
            epoll::add(&clients.epoll, &peer, data, EventFlags::IN)?;
            clients.peers.push(peer);
        }
        Ok(clients)
    }

    pub(super) fn len(&self) -> usize {
        self.peers.len()
    }

    pub(super) fn say(&mut self, who: usize, text: &str) -> Result<(), AttackError> {
        match self.peers.get_mut(who) {
            Some(peer) => peer.say(text),
            None => Ok(()),
        }
    }

    /// Every message that comes within so many milliseconds at most is heard, and what is said to it is said.
    pub(super) fn turn(
        &mut self,
        wait_ms: u64,
        hear: &mut dyn FnMut(usize, &[u8], &mut Replies),
    ) -> Result<(), AttackError> {
        let mut events =
            [Event { flags: EventFlags::empty(), data: EventData::new_u64(0) }; READY_MAX];
        let nanoseconds = i64::try_from(wait_ms * MILLI % clock::SECOND).unwrap_or_default();
        let seconds = i64::try_from(wait_ms * MILLI / clock::SECOND).unwrap_or_default();
        let wait = Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
        let count = match epoll::wait(&self.epoll, &mut events[..], Some(&wait)) {
            Ok(count) => count,
            Err(rustix::io::Errno::INTR) => 0,
            Err(error) => return Err(error.into()),
        };
        let mut replies = Vec::new();
        for event in events.iter().take(count) {
            // Its own number, as it was added.
            let place = usize::try_from({ event.data }.u64()).unwrap_or_default();
            let Some(peer) = self.peers.get_mut(place) else { continue };
            let mut hears = |message: &[u8]| hear(place, message, &mut replies);
            peer.read(&mut self.buffer, READ_BYTES, &mut hears)?;
            if peer.end.is_some() {
                return Err(AttackError::Unanswered { wanted: "a connection that lasts" });
            }
            peer.go_on()?;
        }
        for (who, text) in replies {
            self.say(who, &text)?;
        }
        Ok(())
    }

    /// Turns until something holds, for `JOIN_MS_MAX` at most.
    pub(super) fn until(
        &mut self,
        wanted: &'static str,
        mut hear: impl FnMut(usize, &[u8], &mut Replies) -> bool,
    ) -> Result<(), AttackError> {
        let until_ns = clock::now_ns() + UNTIL_NS_MAX;
        let mut holds = false;
        while !holds {
            if clock::now_ns() > until_ns {
                return Err(AttackError::Unanswered { wanted });
            }
            self.turn(20, &mut |who, message, replies| holds |= hear(who, message, replies))?;
        }
        Ok(())
    }
}

/// How long is waited for something that comes sooner of every server that works.
const UNTIL_NS_MAX: u64 = 120 * clock::SECOND;
