//! Listeners that a configuration adds, takes away or has spoken on otherwise, while the server runs.
//!
//! Invariants: every core has opened what is added before anything else changes, and what one cannot open nobody keeps; whoever is connected stays connected, by whichever listener they came.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::Running;
use super::error::StartError;
use super::handover::Wire;
use super::places;
use super::places::Place;
use super::places::listener_options;
use crate::config::Config;
use crate::conn::Entry;
use crate::conn::Listener;
use crate::conn::Relisten;
use crate::limits::RELISTEN_MS_MAX;
use crate::shard::Port;

/// Listeners that are open beside the others, and not accepted on yet. Dropped, they are closed again.
#[derive(Debug)]
pub(super) struct Opened<'r> {
    wires: &'r [Wire],
    places: Vec<Place>,
    is_new: bool,
    /// Held until every core listens beside them, so that a port that was found free stays ours.
    _reserved: Vec<Listener>,
}

impl Running {
    /// Where a dialect has listeners of its own, in the order in which they are configured.
    pub fn addresses_of(&self, port: Port) -> impl Iterator<Item = SocketAddr> {
        let of_port = self.places.iter().filter(move |place| place.port == port);
        of_port.map(|place| place.address)
    }

    /// Opens what a configuration adds.
    ///
    /// # Errors
    /// What cannot be listened on: then nothing has changed.
    pub(super) fn open_added(&self, config: &Config) -> Result<Opened<'_>, StartError> {
        let mut places = places::places(config)?;
        let mut reserved = Vec::new();
        let mut added = Vec::new();
        let mut formers: Vec<&Place> = self.places.iter().collect();
        for place in &mut places {
            let is_it = |former: &&Place| {
                (former.port, former.configured) == (place.port, place.configured)
            };
            if let Some(at) = formers.iter().position(is_it) {
                place.address = formers.remove(at).address;
                continue;
            }
            // Another of our own on that port, for other addresses, is no stranger.
            let port = place.address.port();
            if !self.places.iter().any(|former| former.address.port() == port) {
                place.probe()?;
            }
            reserved.push(place.reserve()?);
            added.push(place.clone());
        }
        let is_new = !added.is_empty();
        let opened = Opened { wires: &self.wires, places, is_new, _reserved: reserved };
        if is_new {
            let entries: Vec<Entry> = added.iter().map(Place::entry).collect();
            opened.open(&entries, config).map_err(|error| match &*added {
                [only] => only.error(error),
                _ => StartError::Shard(error),
            })?;
        }
        Ok(opened)
    }
}

impl Opened<'_> {
    /// Has every core open these.
    fn open(&self, entries: &[Entry], config: &Config) -> io::Result<()> {
        let patience = Duration::from_millis(RELISTEN_MS_MAX);
        let late = || io::Error::other("a core does not answer");
        let (done, is_done) = flume::bounded(self.wires.len());
        for wire in self.wires {
            let what = Relisten::Open(entries.to_vec(), listener_options(config), done.clone());
            wire.relisten.send_timeout(what, patience).map_err(|_| late())?;
        }
        for _ in self.wires {
            is_done.recv_timeout(patience).map_err(|_| late())??;
        }
        Ok(())
    }

    /// They are accepted on from now on, and those that are no longer configured are closed. The places, as they are then.
    pub(super) fn settle(mut self) -> Arc<[Place]> {
        let entries: Vec<Entry> = self.places.iter().map(Place::entry).collect();
        self.is_new = false;
        self.tell(|| Relisten::Settle(entries.clone()));
        std::mem::take(&mut self.places).into()
    }

    fn tell(&self, what: impl Fn() -> Relisten) {
        let patience = Duration::from_millis(RELISTEN_MS_MAX);
        for (shard, wire) in self.wires.iter().enumerate() {
            if wire.relisten.send_timeout(what(), patience).is_err() {
                tracing::error!(shard, "a core has not heard of its listeners");
            }
        }
    }
}

impl Drop for Opened<'_> {
    fn drop(&mut self) {
        if self.is_new {
            self.tell(|| Relisten::Forget);
        }
    }
}
