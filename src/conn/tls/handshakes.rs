//! The handshakes of a core that are underway, and whose turn it is.
//!
//! Invariants: at most `TLS_HANDSHAKES_MAX`, each for `TLS_HANDSHAKE_MS_MAX` at most; a turn takes `TLS_STEPS_PER_TURN_MAX` steps of them. When there
//! is no place, whoever has kept us waiting longest goes, but never one that waits for us: a storm of honest clients waits in the kernel's queue
//! instead. Never opens a connection of the shard.

use std::collections::VecDeque;
use std::os::fd::AsFd;
use std::os::fd::BorrowedFd;
use std::os::fd::OwnedFd;

use super::handshake::Handshake;
use super::handshake::Step;
use crate::limits::TLS_HANDSHAKE_MS_MAX;
use crate::limits::TLS_HANDSHAKE_PATIENCE_MS;
use crate::limits::TLS_HANDSHAKES_MAX;
use crate::shard::ConnId;
use crate::shard::ConnRef;

/// Handshakes, by the place that each was given.
#[derive(Debug, Default)]
pub(in crate::conn) struct Handshakes {
    places: Vec<HandshakeSlot>,
    free: Vec<u32>,
    /// Places of handshakes with something to do, in the order in which that came.
    ready: VecDeque<u32>,
    pub(in crate::conn) done: u64,
    pub(in crate::conn) failed: u64,
}

#[derive(Debug, Default)]
struct HandshakeSlot {
    generation: u32,
    is_ready: bool,
    until_ms: u64,
    /// When it was last our turn.
    stepped_ms: u64,
    handshake: Option<Box<Handshake>>,
}

/// What became of one.
#[derive(Debug)]
pub(in crate::conn) enum Outcome {
    Done(Box<Handshake>),
    /// The handshake has failed, or there is nothing behind it: its socket, for what was said last to be read.
    Over(OwnedFd),
}

impl Handshakes {
    /// Whether one more may begin, if need be in the place of one that keeps us waiting.
    pub(in crate::conn) fn make_room(&mut self, now_ms: u64) -> bool {
        if self.count() < TLS_HANDSHAKES_MAX {
            return true;
        }
        let waiting = self.places.iter().enumerate().filter(|(_, place)| {
            place.handshake.is_some()
                && !place.is_ready
                && now_ms >= place.stepped_ms + TLS_HANDSHAKE_PATIENCE_MS
        });
        let Some((index, _)) = waiting.min_by_key(|(_, place)| place.stepped_ms) else {
            return false;
        };
        self.failed += 1;
        drop(self.take(index));
        true
    }

    /// Begins one, for which there is room; it is its turn at once, because a client is accepted with its first bytes.
    pub(in crate::conn) fn add(&mut self, handshake: Handshake, now_ms: u64) -> ConnRef {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(HandshakeSlot::default());
            u32::try_from(self.places.len() - 1).expect("there are few")
        });
        let place = &mut self.places[index as usize];
        place.handshake = Some(Box::new(handshake));
        place.until_ms = now_ms + TLS_HANDSHAKE_MS_MAX;
        place.stepped_ms = now_ms;
        place.is_ready = true;
        self.ready.push_back(index);
        ConnRef { id: ConnId(index), generation: place.generation }
    }

    pub(in crate::conn) fn socket(&self, which: ConnRef) -> Option<BorrowedFd<'_>> {
        let place = self.places.get(which.id.index())?;
        Some(place.handshake.as_ref()?.socket.as_fd())
    }

    /// A socket has something to read.
    pub(in crate::conn) fn set_ready(&mut self, which: ConnRef) {
        let Some(place) = self.places.get_mut(which.id.index()) else { return };
        if place.generation == which.generation && place.handshake.is_some() && !place.is_ready {
            place.is_ready = true;
            self.ready.push_back(which.id.0);
        }
    }

    pub(in crate::conn) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Goes on with the next one whose turn it is: `Some(None)` if it is not over yet, `None` if it is nobody's turn.
    pub(in crate::conn) fn step(
        &mut self,
        scratch: &mut [u8],
        now_ms: u64,
    ) -> Option<Option<Outcome>> {
        let index = self.ready.pop_front()? as usize;
        let place = &mut self.places[index];
        place.is_ready = false;
        place.stepped_ms = now_ms;
        let Some(handshake) = &mut place.handshake else { return Some(None) };
        match handshake.step(scratch) {
            Step::Waits => Some(None),
            Step::Done => {
                self.done += 1;
                Some(self.take(index).map(Outcome::Done))
            }
            Step::Over => {
                self.done += 1;
                Some(self.take(index).map(|handshake| Outcome::Over(handshake.socket)))
            }
            Step::Failed(reason) => {
                tracing::debug!(peer = %handshake.peer, %reason, "a handshake has failed");
                self.failed += 1;
                Some(self.take(index).map(|handshake| Outcome::Over(handshake.socket)))
            }
        }
    }

    /// Ends those that have had their time.
    pub(in crate::conn) fn tick(&mut self, now_ms: u64) {
        for index in 0..self.places.len() {
            let place = &self.places[index];
            if place.handshake.is_some() && now_ms >= place.until_ms {
                self.failed += 1;
                drop(self.take(index));
            }
        }
    }

    /// Ends all of them.
    pub(in crate::conn) fn clear(&mut self) {
        for index in 0..self.places.len() {
            drop(self.take(index));
        }
    }

    fn take(&mut self, index: usize) -> Option<Box<Handshake>> {
        let place = &mut self.places[index];
        let handshake = place.handshake.take()?;
        place.generation = place.generation.wrapping_add(1);
        let index = u32::try_from(index).expect("there are few");
        if std::mem::take(&mut place.is_ready) {
            self.ready.retain(|other| *other != index);
        }
        self.free.push(index);
        Some(handshake)
    }

    fn count(&self) -> usize {
        self.places.len() - self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::net::Ipv4Addr;
    use std::os::unix::net::UnixStream;
    use std::sync::Arc;

    use rustls::ServerConfig;
    use rustls::crypto::aws_lc_rs::default_provider;
    use rustls::server::ResolvesServerCertUsingSni;

    use super::*;
    use crate::shard::Port;

    fn config() -> Arc<ServerConfig> {
        let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        Arc::new(builder.with_cert_resolver(Arc::new(ResolvesServerCertUsingSni::new())))
    }

    /// One that waits for its client, and the client.
    fn stalled(
        all: &mut Handshakes,
        config: &Arc<ServerConfig>,
        now_ms: u64,
    ) -> (ConnRef, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let handshake =
            Handshake::new(ours.into(), peer, Port::Shared, Some(Arc::clone(config))).unwrap();
        let place = all.add(handshake, now_ms);
        assert!(matches!(all.step(&mut vec![0; 64 * 1024], now_ms), Some(None)));
        (place, theirs)
    }

    #[test]
    fn one_that_takes_too_long_is_closed() {
        let (mut all, config) = (Handshakes::default(), config());
        let (first, _client) = stalled(&mut all, &config, 0);
        let (second, _client) = stalled(&mut all, &config, 5_000);
        all.tick(TLS_HANDSHAKE_MS_MAX - 1);
        assert_eq!((all.count(), all.failed), (2, 0));
        all.tick(TLS_HANDSHAKE_MS_MAX);
        assert_eq!((all.count(), all.failed), (1, 1));
        assert!(all.socket(first).is_none() && all.socket(second).is_some());
        // Its place is another's now, for whom events of the former are not meant.
        let (third, _client) = stalled(&mut all, &config, 11_000);
        assert_eq!(third.id, first.id);
        all.set_ready(first);
        assert!(!all.has_ready());
        all.set_ready(third);
        assert!(all.has_ready());
    }

    #[test]
    fn when_there_is_no_place_whoever_keeps_us_waiting_goes_and_nobody_else() {
        let (mut all, config) = (Handshakes::default(), config());
        let clients: Vec<_> =
            (0..TLS_HANDSHAKES_MAX).map(|_| stalled(&mut all, &config, 100)).collect();
        assert!(!all.make_room(100 + TLS_HANDSHAKE_PATIENCE_MS - 1), "they have just begun");
        // All but one wait for us.
        for (place, _) in &clients[1..] {
            all.set_ready(*place);
        }
        assert!(all.make_room(100 + TLS_HANDSHAKE_PATIENCE_MS));
        assert!(all.socket(clients[0].0).is_none());
        let (_newcomer, _client) = stalled_behind(&mut all, &config);
        assert!(!all.make_room(1_000_000), "whoever waits for us is not to blame");
        assert_eq!(all.count(), TLS_HANDSHAKES_MAX);
    }

    /// One whose turn it is.
    fn stalled_behind(all: &mut Handshakes, config: &Arc<ServerConfig>) -> (ConnRef, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let peer = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let handshake =
            Handshake::new(ours.into(), peer, Port::Shared, Some(Arc::clone(config))).unwrap();
        (all.add(handshake, 0), theirs)
    }

    #[test]
    fn who_says_too_much_or_no_tls_is_closed() {
        use std::io::Write;
        let (mut all, config) = (Handshakes::default(), config());
        let mut scratch = vec![0; 64 * 1024];
        for bytes in [&b"GET / HTTP/1.1\r\n"[..], &[0, 1, 2], &[22, 3, 1, 0x40, 0x00]] {
            let (_, mut client) = stalled_behind(&mut all, &config);
            client.write_all(bytes).unwrap();
            let is_tls = bytes[0] == 22;
            let outcome = all.step(&mut scratch, 0).unwrap();
            assert_eq!(outcome.is_some(), !is_tls, "{bytes:?}");
            if is_tls {
                // One record of 16 KiB that never ends: a handshake that is not done may not hold as much.
                client.write_all(&[1; 16 * 1024]).unwrap();
                all.ready.push_back(0);
                assert!(matches!(all.step(&mut scratch, 0), Some(Some(Outcome::Over(_)))));
            }
        }
        assert_eq!(all.count(), 0);
    }
}
