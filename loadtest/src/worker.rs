//! A process that holds subscribers: one thread, one epoll, one read buffer for all of them.
//!
//! Invariant: one `recv` per readiness into the shared buffer, and only a message that was cut off by the end of a read is
//! copied. Never looks into a message itself; that is `subscriber`.

use crate::child;
use crate::child::Orders;
use crate::clock;
use crate::clock::MILLI;
use crate::filters;
use crate::limits::CONNECTS_UNDER_WAY_MAX;
use crate::limits::FRAME_BYTES_MAX;
use crate::limits::READ_BYTES;
use crate::limits::READY_MAX;
use crate::limits::SOURCE_PORT_MIN;
use crate::limits::SUBSCRIBERS_PER_ADDRESS;
use crate::message::Order;
use crate::message::Progress;
use crate::message::Settled;
use crate::message::Word;
use crate::message::WorkerPlan;
use crate::num;
use crate::scoreboard::Scoreboard;
use crate::speech::Framing;
use crate::subscriber::Hearing;
use crate::subscriber::Phase;
use crate::subscriber::Subscriber;
use crate::tally::Faults;
use crate::tally::Tally;
use crate::websocket;

use std::fmt::Write as _;
use std::io;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::time::Duration;

use rustix::event::epoll;
use rustix::event::epoll::Event;
use rustix::event::epoll::EventData;
use rustix::event::epoll::EventFlags;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net;
use rustix::net::AddressFamily;
use rustix::net::RecvFlags;
use rustix::net::SendFlags;
use rustix::net::SocketFlags;
use rustix::net::SocketType;
use rustix::net::sockopt;

const PROGRESS_NS: u64 = 100 * MILLI;
/// How often the orders are looked at while nothing else happens.
const IDLE_NS: u64 = 20 * MILLI;

/// A subscriber with its socket.
#[derive(Debug)]
struct Line {
    socket: OwnedFd,
    subscriber: Subscriber,
    /// What came of a message whose end did not.
    carry: Vec<u8>,
}

/// Everything of this process.
#[derive(Debug)]
struct Worker {
    plan: WorkerPlan,
    epoll: OwnedFd,
    lines: Vec<Line>,
    hearing: Hearing,
    scoreboard: Scoreboard,
    buffer: Vec<u8>,
    connecting: bool,
    under_way: usize,
    joined: u32,
    closed: u64,
    bytes: u64,
    began_ns: u64,
    reported_ns: u64,
    first_fault: Option<String>,
    /// Totals at the order to measure.
    base: (u64, u64),
}

/// Runs until it is told to settle, or its orders end.
pub(crate) fn run(plan: WorkerPlan) -> io::Result<()> {
    let hearing = Hearing::new(plan.listen.clone(), plan.time_every, plan.inflate_every);
    let mut worker = Worker {
        epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
        scoreboard: Scoreboard::open(&plan.scoreboard)?,
        lines: Vec::with_capacity(num::index(u64::from(plan.subscribers))),
        hearing,
        plan,
        buffer: vec![0; READ_BYTES],
        connecting: false,
        under_way: 0,
        joined: 0,
        closed: 0,
        bytes: 0,
        began_ns: 0,
        reported_ns: 0,
        first_fault: None,
        base: (0, 0),
    };
    child::say(&Word::Ready)?;
    let mut orders = Orders::default();
    let mut ready =
        vec![Event { flags: EventFlags::empty(), data: EventData::new_u64(0) }; READY_MAX];
    let mut looked_ns = 0;
    loop {
        let found =
            match epoll::wait(&worker.epoll, ready.as_mut_slice(), Some(&clock::timespec(IDLE_NS)))
            {
                Err(Errno::INTR) => 0,
                found => found?,
            };
        worker.round(ready.get(..found).unwrap_or_default())?;
        let now = clock::now_ns();
        if found == 0 || now - looked_ns > IDLE_NS {
            looked_ns = now;
            match orders.next(&clock::timespec(0))? {
                Some(Order::Settle { sent }) => {
                    return child::say(&Word::Settled(worker.settle(&sent)));
                }
                Some(order) => worker.obey(&order, now)?,
                None => {}
            }
        }
        worker.report(now)?;
    }
}

impl Worker {
    fn obey(&mut self, order: &Order, now: u64) -> io::Result<()> {
        match order {
            Order::Connect => {
                self.connecting = true;
                self.began_ns = now;
            }
            Order::Measure => {
                self.hearing.latencies.clear();
                self.base = (self.hearing.events, self.bytes);
                return child::say(&Word::Ready);
            }
            Order::Settle { .. } | Order::Publish { .. } | Order::Fill { .. } => {}
        }
        Ok(())
    }

    fn round(&mut self, ready: &[Event]) -> io::Result<()> {
        let events = self.hearing.events;
        for event in ready {
            let (at, flags) = (num::index(event.data.u64()), event.flags);
            self.turn(at, flags)?;
        }
        if events != self.hearing.events {
            self.scoreboard.post(self.plan.index, self.hearing.events)?;
        }
        while self.connecting
            && self.under_way < CONNECTS_UNDER_WAY_MAX
            && self.lines.len() < num::index(u64::from(self.plan.subscribers))
        {
            self.connect()?;
        }
        Ok(())
    }

    fn connect(&mut self) -> io::Result<()> {
        let at = num::count(self.lines.len());
        let nth = u32::try_from(at).unwrap_or(u32::MAX);
        let index = self.plan.first + nth;
        let topics = self.plan.membership.of(index);
        let filter = if self.plan.circles { filters::circle(index) } else { String::new() };
        let join = self.plan.listen.joins(index, &topics, &filter);
        let tally = Tally::new(&topics, self.plan.gaps_allowed);
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
        // Closing resets: tens of thousands of connections of one run must not hold the ports of the next.
        sockopt::set_socket_linger(&socket, Some(Duration::ZERO))?;
        sockopt::set_socket_reuseaddr(&socket, true)?;
        if index < self.plan.slow {
            sockopt::set_socket_recv_buffer_size(&socket, 4096)?;
        }
        if self.plan.listen.addr.ip().is_loopback() {
            bind_to_source(&socket, self.plan.index, nth)?;
        }
        match net::connect(&socket, &self.plan.listen.addr) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(error) => return Err(error.into()),
        }
        epoll::add(&self.epoll, &socket, EventData::new_u64(at), EventFlags::OUT)?;
        self.lines.push(Line {
            socket,
            subscriber: Subscriber::new(index, join, tally),
            carry: Vec::new(),
        });
        self.under_way += 1;
        Ok(())
    }

    fn turn(&mut self, at: usize, flags: EventFlags) -> io::Result<()> {
        let Some(line) = self.lines.get_mut(at) else { return Ok(()) };
        match line.subscriber.phase {
            Phase::Closed => Ok(()),
            Phase::Connecting => self.upgrade(at),
            _ if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) => {
                self.read(at)
            }
            _ => Ok(()),
        }
    }

    fn upgrade(&mut self, at: usize) -> io::Result<()> {
        let Some(line) = self.lines.get_mut(at) else { return Ok(()) };
        if let Err(error) = sockopt::socket_error(&line.socket)? {
            self.close(at, &format!("connect: {error}"));
            return Ok(());
        }
        let topics = self.plan.membership.of(line.subscriber.index);
        let filter =
            if self.plan.circles { filters::circle(line.subscriber.index) } else { String::new() };
        let opening = match self.plan.listen.framing {
            Framing::Packets => line.subscriber.opens(),
            Framing::WebSocket | Framing::Stream => {
                line.subscriber.phase = Phase::Upgrading;
                request(&self.plan, line.subscriber.index, &topics, &filter).into_bytes()
            }
        };
        net::send(&line.socket, &opening, SendFlags::NOSIGNAL)?;
        epoll::modify(
            &self.epoll,
            &line.socket,
            EventData::new_u64(num::count(at)),
            EventFlags::IN,
        )?;
        Ok(())
    }

    fn read(&mut self, at: usize) -> io::Result<()> {
        let Some(line) = self.lines.get_mut(at) else { return Ok(()) };
        let kept = line.carry.len();
        if self.buffer.len() < kept + READ_BYTES / 2 {
            if kept > FRAME_BYTES_MAX {
                self.close(at, "a frame is longer than its limit");
                return Ok(());
            }
            self.buffer.resize(kept + READ_BYTES, 0);
        }
        let (before, room) = self.buffer.split_at_mut(kept);
        before.copy_from_slice(&line.carry);
        let read = match net::recv(&line.socket, room, RecvFlags::DONTWAIT) {
            Ok((0, _)) => {
                self.close(at, "the server closed the socket");
                return Ok(());
            }
            Ok((read, _)) => read,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(()),
            Err(error) => {
                self.close(at, &format!("recv: {error}"));
                return Ok(());
            }
        };
        self.bytes += num::count(read);
        self.hearing.now_ns = clock::now_ns();
        let was = line.subscriber.phase;
        let bytes = self.buffer.get(..kept + read).unwrap_or_default();
        match line.subscriber.take(bytes, &mut self.hearing) {
            Ok(taken) => {
                line.carry.clear();
                line.carry.extend_from_slice(bytes.get(taken..).unwrap_or_default());
                self.follow(at, was)
            }
            Err(fault) => {
                self.close(at, &fault.to_string());
                Ok(())
            }
        }
    }

    /// Sends what the subscriber wants to say, and notes that it has joined.
    fn follow(&mut self, at: usize, was: Phase) -> io::Result<()> {
        let Some(line) = self.lines.get_mut(at) else { return Ok(()) };
        if !self.hearing.reply.is_empty() {
            let sent = net::send(&line.socket, &self.hearing.reply, SendFlags::NOSIGNAL);
            let wanted = self.hearing.reply.len();
            self.hearing.reply.clear();
            if sent != Ok(wanted) {
                self.close(at, "the server does not read what a subscriber says");
                return Ok(());
            }
        }
        if was != Phase::Live && line.subscriber.phase == Phase::Live {
            self.under_way -= 1;
            self.joined += 1;
            if line.subscriber.index < self.plan.slow {
                epoll::delete(&self.epoll, &line.socket)?;
            }
            if self.joined == self.plan.subscribers {
                child::say(&Word::Joined { ns: clock::now_ns() - self.began_ns })?;
            }
        }
        Ok(())
    }

    fn close(&mut self, at: usize, why: &str) {
        let Some(line) = self.lines.get_mut(at) else { return };
        if !matches!(line.subscriber.phase, Phase::Live | Phase::Closed) {
            self.under_way -= 1;
        }
        let removed = epoll::delete(&self.epoll, &line.socket);
        line.subscriber.phase = Phase::Closed;
        self.closed += 1;
        if self.first_fault.is_none() {
            let mut text = format!("subscriber {}: {why}", line.subscriber.index);
            if let Err(error) = removed {
                text.push_str(&format!(" (epoll: {error})"));
            }
            self.first_fault = Some(text);
        }
    }

    fn report(&mut self, now: u64) -> io::Result<()> {
        if now - self.reported_ns < PROGRESS_NS {
            return Ok(());
        }
        self.reported_ns = now;
        if let (true, Some(fault)) = (self.joined < self.plan.subscribers, &self.first_fault) {
            return child::say(&Word::Failed { what: fault.clone() });
        }
        child::say(&Word::Progress(Progress {
            at_ns: now,
            joined: u64::from(self.joined),
            events: self.hearing.events,
            bytes: self.bytes,
        }))
    }

    fn settle(&self, sent: &[u64]) -> Settled {
        let mut faults = Faults::default();
        let fast = self.lines.iter().filter(|line| line.subscriber.index >= self.plan.slow);
        for line in fast {
            faults.add(line.subscriber.tally.settle(sent, line.subscriber.blind));
        }
        let inflated = self.lines.iter().filter(|line| line.subscriber.inflater.is_some());
        Settled {
            events: self.hearing.events - self.base.0,
            bytes: self.bytes - self.base.1,
            closed: self.closed,
            skipped: self.hearing.skipped,
            faults,
            latencies: self.hearing.latencies.counts(),
            inflated_subscribers: num::count(inflated.count()),
            first_fault: self.first_fault.clone(),
        }
    }
}

/// Each worker has a network of its own, and each address of it as many subscribers as it has ports for.
/// Binds a subscriber to an address and a port of its own.
///
/// The port is named: left to the kernel, `bind` looks through those in use for a free one, and ten thousand subscribers of one address
/// spent more than a millisecond each on that.
fn bind_to_source(socket: &OwnedFd, worker: u32, nth: u32) -> io::Result<()> {
    let address = source(worker, nth);
    let port = SOURCE_PORT_MIN + u16::try_from(nth % SUBSCRIBERS_PER_ADDRESS).unwrap_or(0);
    match net::bind(socket, &SocketAddr::from((address, port))) {
        // Somebody else's, perhaps another load generator's.
        Err(Errno::ADDRINUSE) => Ok(net::bind(socket, &SocketAddr::from((address, 0)))?),
        bound => Ok(bound?),
    }
}

fn source(worker: u32, nth: u32) -> Ipv4Addr {
    let network = u8::try_from(worker + 1).unwrap_or(u8::MAX);
    let host = u8::try_from(nth / SUBSCRIBERS_PER_ADDRESS + 1).unwrap_or(u8::MAX);
    Ipv4Addr::new(127, 0, network, host)
}

fn request(plan: &WorkerPlan, index: u32, topics: &[u32], filter: &str) -> String {
    let listen = &plan.listen;
    let path = listen.fill(&listen.path, index, topics, filter);
    let mut request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n", listen.addr);
    match listen.framing {
        Framing::Stream | Framing::Packets => request.push_str("Accept: text/event-stream\r\n"),
        Framing::WebSocket => {
            request.push_str(
                "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
            );
            request.push_str(&format!("Sec-WebSocket-Key: {}\r\n", websocket::KEY));
            if listen.deflate {
                request.push_str("Sec-WebSocket-Extensions: permessage-deflate\r\n");
            }
            if let Some(protocol) = &listen.protocol {
                request.push_str(&format!("Sec-WebSocket-Protocol: {protocol}\r\n"));
            }
        }
    }
    let written = write!(request, "\r\n");
    debug_assert!(written.is_ok(), "a string takes everything");
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_source_address_runs_out_of_ports() {
        assert_eq!(source(0, 0), Ipv4Addr::new(127, 0, 1, 1));
        assert_eq!(source(0, 19_899), Ipv4Addr::new(127, 0, 1, 2));
        assert_eq!(source(2, 9_999), Ipv4Addr::new(127, 0, 3, 1));
    }
}
