//! The core's epoll instance: who is ready, and who that is.
//!
//! Sockets are registered once, edge-triggered for everything, and never touched again: closing them takes them out. An event names a
//! connection by place and generation, so that what was meant for the place's former owner is recognised.

use std::io;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::PollFd;
use rustix::event::PollFlags;
use rustix::event::Timespec;
use rustix::event::epoll;
use rustix::event::epoll::CreateFlags;
use rustix::event::epoll::Event;
use rustix::event::epoll::EventData;
use rustix::event::epoll::EventFlags;
use rustix::event::poll;
use rustix::io::Errno;

use crate::limits::EPOLL_EVENTS_MAX;
use crate::shard::ConnId;
use crate::shard::ConnRef;

/// Whom an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Conn(ConnRef),
    /// A handshake, by its place among them and which of those that had the place it is.
    Handshake(ConnRef),
    /// One of the listeners, by its place among them.
    Listener(u8),
    /// The doorbell or the timer: waking was all they had to do.
    Alarm,
}

/// A place that no connection ever has: marks the tokens of everything else.
const NO_PLACE: u32 = u32::MAX;

/// The first place that no connection has: those behind it are handshakes'.
const HANDSHAKES: u32 = 1 << 31;

/// In the place of a listener's number: what only wakes.
const ALARM: u32 = u32::MAX;

impl Token {
    const fn to_data(self) -> EventData {
        let (high, low) = match self {
            Self::Conn(conn) => (conn.generation, conn.id.0),
            Self::Handshake(place) => (place.generation, HANDSHAKES | place.id.0),
            Self::Alarm => (ALARM, NO_PLACE),
            Self::Listener(index) => (index as u32, NO_PLACE),
        };
        EventData::new_u64((high as u64) << 32 | low as u64)
    }

    fn from_data(data: EventData) -> Self {
        let word = data.u64();
        let low = u32::try_from(word & u64::from(u32::MAX)).expect("it is masked");
        let high = u32::try_from(word >> 32).expect("it is shifted");
        match (high, low) {
            (ALARM, NO_PLACE) => Self::Alarm,
            (index, NO_PLACE) => Self::Listener(u8::try_from(index).unwrap_or(u8::MAX)),
            (generation, id @ HANDSHAKES..) => {
                Self::Handshake(ConnRef { id: ConnId(id - HANDSHAKES), generation })
            }
            (generation, id) => Self::Conn(ConnRef { id: ConnId(id), generation }),
        }
    }
}

/// An event that has been taken out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ready {
    pub(super) token: Token,
    flags: EventFlags,
}

impl Ready {
    /// There may be bytes, or the end of them.
    pub(super) const fn is_readable(self) -> bool {
        self.flags.intersects(
            EventFlags::IN.union(EventFlags::RDHUP).union(EventFlags::HUP).union(EventFlags::ERR),
        )
    }

    pub(super) const fn is_writable(self) -> bool {
        self.flags.intersects(EventFlags::OUT)
    }

    /// The peer will send no more: read to the end.
    pub(super) const fn is_ending(self) -> bool {
        self.flags.intersects(EventFlags::RDHUP.union(EventFlags::HUP).union(EventFlags::ERR))
    }

    /// Nothing can be sent any more either.
    pub(super) const fn is_dead(self) -> bool {
        self.flags.intersects(EventFlags::HUP.union(EventFlags::ERR))
    }
}

/// The epoll instance, and room for what it reports.
pub(super) struct Poll {
    epoll: OwnedFd,
    events: Vec<Event>,
}

impl Poll {
    pub(super) fn new() -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        Ok(Self { epoll, events: Vec::with_capacity(EPOLL_EVENTS_MAX) })
    }

    /// Registers a connection's socket, for good.
    pub(super) fn add_conn(&self, socket: BorrowedFd<'_>, conn: ConnRef) -> io::Result<()> {
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        Ok(epoll::add(&self.epoll, socket, Token::Conn(conn).to_data(), flags)?)
    }

    /// Registers a handshake's socket.
    pub(super) fn add_handshake(&self, socket: BorrowedFd<'_>, place: ConnRef) -> io::Result<()> {
        let flags = EventFlags::IN | EventFlags::RDHUP | EventFlags::ET;
        Ok(epoll::add(&self.epoll, socket, Token::Handshake(place).to_data(), flags)?)
    }

    /// Makes a handshake's socket a connection's; what is ready by then is said again.
    pub(super) fn promote(&self, socket: BorrowedFd<'_>, conn: ConnRef) -> io::Result<()> {
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        Ok(epoll::modify(&self.epoll, socket, Token::Conn(conn).to_data(), flags)?)
    }

    /// Registers what only wakes. Edge-triggered, so that nobody needs to read it.
    pub(super) fn add_alarm(&self, alarm: BorrowedFd<'_>) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, alarm, Token::Alarm.to_data(), EventFlags::IN | EventFlags::ET)?)
    }

    /// Registers a listener, level-triggered: what one turn does not accept, the next one sees.
    pub(super) fn add_listener(&self, listener: BorrowedFd<'_>, index: u8) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, listener, Token::Listener(index).to_data(), EventFlags::IN)?)
    }

    /// Watches a listener no longer, if it did.
    pub(super) fn remove(&self, listener: BorrowedFd<'_>) {
        // It is closed right after this, or watched anew; one that was not watched is as good.
        epoll::delete(&self.epoll, listener).ok();
    }

    /// Listens or stops listening; a listener that cannot be served would otherwise keep the core awake.
    pub(super) fn set_listening(
        &self,
        listener: BorrowedFd<'_>,
        index: u8,
        on: bool,
    ) -> io::Result<()> {
        let flags = if on { EventFlags::IN } else { EventFlags::empty() };
        Ok(epoll::modify(&self.epoll, listener, Token::Listener(index).to_data(), flags)?)
    }

    /// Takes what is ready, waiting for the first of it so many microseconds at most; `recycle` wants the list back.
    pub(super) fn take(&mut self, wait_us: u64) -> Events {
        let mut events = std::mem::take(&mut self.events);
        events.clear();
        if wait_us > 0 && !self.is_ready_within(wait_us) {
            return Events(events);
        }
        match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&Timespec::default())) {
            Ok(_) | Err(Errno::INTR) => Events(events),
            Err(error) => {
                unreachable!("the epoll instance is ours and its arguments are valid: {error}")
            }
        }
    }

    /// Whether something is ready now, or within so many microseconds. `epoll_pwait` counts in whole milliseconds, and not every kernel, nor
    /// every container, has `epoll_pwait2`; but an epoll instance can be polled like any other descriptor, and `ppoll` counts in nanoseconds.
    fn is_ready_within(&self, wait_us: u64) -> bool {
        let wait = Timespec::try_from(Duration::from_micros(wait_us)).expect("it is short");
        match poll(&mut [PollFd::new(&self.epoll, PollFlags::IN)], Some(&wait)) {
            Ok(count) => count > 0,
            // Interrupted, or a moment without memory: what is ready is looked for all the same.
            Err(_) => true,
        }
    }

    /// Takes the list back for the next turn.
    pub(super) fn recycle(&mut self, events: Events) {
        self.events = events.0;
    }
}

impl AsFd for Poll {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

/// What was ready.
pub(super) struct Events(Vec<Event>);

impl Events {
    pub(super) fn iter(&self) -> impl Iterator<Item = Ready> + '_ {
        self.0.iter().map(|event| Ready { token: Token::from_data(event.data), flags: event.flags })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    /// The shortest of many, because any single one may be longer when the machine is busy; none may be shorter.
    #[test]
    fn a_wait_of_microseconds_is_not_a_wait_of_a_millisecond() {
        const WAIT_US: u64 = 200;
        let clock = Clock::start();
        let mut poll = Poll::new().unwrap();
        let waited = (0..200).map(|_| {
            let began_us = clock.mono_us();
            let events = poll.take(WAIT_US);
            assert_eq!(events.iter().count(), 0);
            poll.recycle(events);
            clock.mono_us() - began_us
        });
        let shortest_us = waited.min().unwrap();
        assert!((WAIT_US - 1..1_000).contains(&shortest_us), "{shortest_us} us");
    }

    #[test]
    fn a_wait_ends_with_what_becomes_ready() {
        let mut poll = Poll::new().unwrap();
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        poll.add_alarm(ours.as_fd()).unwrap();
        io::Write::write_all(&mut &theirs, b"x").unwrap();
        let events = poll.take(60_000_000);
        assert_eq!(events.iter().map(|ready| ready.token).collect::<Vec<_>>(), [Token::Alarm]);
    }

    #[test]
    fn tokens_survive_the_kernel() {
        let conns = [(0, 0), (0, 1), (7, u32::MAX), (HANDSHAKES - 1, 2)];
        let conns =
            conns.map(|(id, generation)| Token::Conn(ConnRef { id: ConnId(id), generation }));
        for token in conns.into_iter().chain([
            Token::Listener(0),
            Token::Listener(3),
            Token::Alarm,
            Token::Handshake(ConnRef { id: ConnId(5), generation: 8 }),
        ]) {
            assert_eq!(Token::from_data(token.to_data()), token);
        }
    }
}
