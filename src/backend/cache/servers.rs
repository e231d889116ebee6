//! All servers that keep answers: each has its share of the keys.
//!
//! Invariant: whoever looks for something is answered within the time-out, by what is there or by nothing.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::client::CacheAddress;
use super::generations::Generations;
use super::key::Key;
use super::key::Keys;
use super::memcached::Memcached;
use super::plan::Wanted;
use super::redis::Redis;
use super::server::Lookup;
use super::server::LookupOutcome;
use super::server::Server;
use super::server::ServersCommon;
use super::server::random;
use super::settings::CacheUse;
use super::settings::Kept;
use crate::clock::Clock;
use crate::conn::Doorbell;
use crate::tables::asks::Asker;

#[derive(Debug)]
pub(super) struct Servers {
    all: Vec<Server>,
    clock: Clock,
}

impl Servers {
    /// Begins to speak with those that are configured.
    pub(super) fn start(
        how: &CacheUse,
        (keys, generations): (Arc<Keys>, Generations),
        (doorbell, clock): (Arc<Doorbell>, Clock),
    ) -> io::Result<Self> {
        let namespace = match how.namespace.as_str() {
            "" => format!("{:016x}{:016x}", random(), random()).into(),
            name => name.into(),
        };
        let shared = ServersCommon { keys, generations, doorbell, namespace, ttl_s: how.ttl_s };
        let address = |text: &String| {
            let (timeout, password) = (how.timeout, how.password.clone());
            CacheAddress { text: text.clone(), password, timeout, clock }
        };
        let all = match &how.kept {
            Kept::Memory { .. } => Vec::new(),
            Kept::Redis { servers } => servers
                .iter()
                .map(|text| Server::start::<Redis>(address(text), shared.clone()))
                .collect::<io::Result<_>>()?,
            Kept::Memcached { servers } => servers
                .iter()
                .map(|text| Server::start::<Memcached>(address(text), shared.clone()))
                .collect::<io::Result<_>>()?,
        };
        Ok(Self { all, clock })
    }

    /// Looks for something, as its asker's so many-th; whether it does.
    pub(super) fn look(&mut self, (asker, id): (Asker, u64), wanted: &Wanted) -> bool {
        let (key, tables) = (wanted.key, Arc::clone(&wanted.tables));
        let place = key.one_of(self.all.len());
        let now_us = self.clock.mono_us();
        let server = self.all.get_mut(place);
        server.is_some_and(|server| server.look(Lookup { asker, id, key, tables }, now_us))
    }

    /// The next lookup that has an answer, or has waited long enough.
    pub(super) fn next(&mut self) -> Option<LookupOutcome> {
        if self.all.is_empty() {
            return None;
        }
        let now_us = self.clock.mono_us();
        self.all.iter_mut().find_map(|server| server.next(now_us))
    }

    /// Keeps an answer, if there is room for it; whether it does.
    pub(super) fn keep(&self, key: Key, value: Vec<u8>) -> bool {
        let place = key.one_of(self.all.len());
        self.all.get(place).is_some_and(|server| server.keep(key, value))
    }

    /// A table was written.
    pub(super) fn written(&self) {
        self.all.iter().for_each(Server::written);
    }

    /// Whether an answer is there.
    pub(super) fn is_ready(&self) -> bool {
        self.all.iter().any(Server::is_ready)
    }

    /// How long until the next lookup has waited long enough, or so long.
    pub(super) fn rest(&self, most: Duration) -> Duration {
        let due_us = self.all.iter().filter_map(Server::due_us).min();
        let left = |due_us: u64| Duration::from_micros(due_us.saturating_sub(self.clock.mono_us()));
        due_us.map_or(most, |due_us| left(due_us).min(most))
    }

    /// How often one was lost, or not to be had.
    pub(super) fn failures(&self) -> u64 {
        self.all.iter().map(Server::failures).sum()
    }

    /// How many servers answer.
    pub(super) fn up(&self) -> u64 {
        self.all.iter().filter(|server| server.is_up()).count() as u64
    }
}
