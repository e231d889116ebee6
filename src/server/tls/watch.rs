//! Looks whether the files of certificates have changed, and hands what they hold then to every shard.
//!
//! Invariants: what cannot be used is told once and changes nothing; what can be used is told to all shards. Stops when dropped, at once.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use flume::Receiver;
use flume::RecvTimeoutError;
use flume::Sender;
use rustls::ServerConfig;

use super::Certificates;
use crate::clock::Clock;
use crate::limits::TLS_FILES_S;

/// The thread that looks.
#[derive(Debug)]
pub(in crate::server) struct Watching {
    /// Closed: stop.
    wake: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watching {
    /// Begins; `shards` are told of new certificates.
    pub(in crate::server) fn start(
        certificates: Certificates,
        clock: Clock,
        shards: Vec<Sender<Arc<ServerConfig>>>,
    ) -> io::Result<Self> {
        let (wake, woken) = flume::bounded(1);
        let thread = std::thread::Builder::new().name("certificates".to_owned());
        let body = move || watch(certificates, clock, &shards, &woken);
        Ok(Self { wake: Some(wake), thread: Some(thread.spawn(body)?) })
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        drop(self.wake.take());
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::warn!("the thread that looked after certificates had panicked");
        }
    }
}

fn watch(
    mut certificates: Certificates,
    clock: Clock,
    shards: &[Sender<Arc<ServerConfig>>],
    woken: &Receiver<()>,
) {
    loop {
        match woken.recv_timeout(Duration::from_secs(TLS_FILES_S)) {
            Err(RecvTimeoutError::Disconnected) => return,
            Ok(()) | Err(RecvTimeoutError::Timeout) => {}
        }
        if !certificates.is_due(clock) {
            continue;
        }
        match certificates.load(clock) {
            Ok(config) => {
                tracing::info!("certificates have changed: new connections are shown the new ones");
                for shard in shards {
                    // A shard that has stopped needs none.
                    drop(shard.send(Arc::clone(&config)));
                }
            }
            Err(error) => {
                tracing::warn!(%error, "certificates have changed and cannot be used: the former ones stay");
            }
        }
    }
}
