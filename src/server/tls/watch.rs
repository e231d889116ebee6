//! Looks whether the files of certificates have changed, and hands what they hold then to every shard.
//!
//! Invariants: what cannot be used is told once and changes nothing; what can be used is told to all shards, and what a shard has not taken yet is replaced by what is newer. Whoever has something
//! shown to an authority is told when every shard has taken it. Stops when dropped, at once.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use flume::Receiver;
use flume::RecvTimeoutError;
use flume::Sender;
use flume::TrySendError;
use rustls::ServerConfig;

use super::Certificates;
use crate::acme::Shown;
use crate::admin::Board;
use crate::clock::Clock;
use crate::limits::TLS_FILES_S;
use crate::limits::TLS_TAKEN_MS;

/// A shard, and what it is to be told as soon as it has taken what it was told before.
type Told = (Sender<Arc<ServerConfig>>, Option<Arc<ServerConfig>>);

/// What the thread that looks is told.
pub(super) enum Task {
    /// Other certificates to look after.
    Follow(Box<Certificates>),
    /// What an authority is to see, and who is to hear that it can, or why it cannot.
    Prove(Vec<Shown>, Sender<Result<(), String>>),
}

/// The thread that looks.
#[derive(Debug)]
pub(in crate::server) struct Watching {
    /// Closed: stop.
    wake: Option<Sender<Task>>,
    thread: Option<JoinHandle<()>>,
}

impl Watching {
    /// Begins; `shards` are told of new certificates.
    pub(in crate::server) fn start(
        certificates: Certificates,
        (board, clock): (&Arc<Board>, Clock),
        shards: Vec<Sender<Arc<ServerConfig>>>,
    ) -> io::Result<Self> {
        board.certificates().note_end(certificates.ends_at_s());
        let (wake, woken) = flume::bounded(1);
        let thread = std::thread::Builder::new().name("certificates".to_owned());
        let shards = shards.into_iter().map(|shard| (shard, None)).collect();
        let board = Arc::clone(board);
        let body = move || watch(certificates, (&board, clock), shards, &woken);
        Ok(Self { wake: Some(wake), thread: Some(thread.spawn(body)?) })
    }

    /// Looks after others from now on, and shows them at once.
    pub(in crate::server) fn renew(&self, certificates: Certificates) {
        // The thread ends only when this end is dropped.
        let task = Task::Follow(Box::new(certificates));
        let told = self.wake.as_ref().is_some_and(|wake| wake.send(task).is_ok());
        debug_assert!(told, "somebody looks");
    }

    /// Where it is told what an authority is to see. Whoever holds it keeps nobody from stopping the thread.
    pub(super) fn tell(&self) -> Option<flume::WeakSender<Task>> {
        self.wake.as_ref().map(Sender::downgrade)
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
    (board, clock): (&Board, Clock),
    mut shards: Vec<Told>,
    woken: &Receiver<Task>,
) {
    let mut waiting: Option<Sender<Result<(), String>>> = None;
    loop {
        let wait = match waiting {
            Some(_) => Duration::from_millis(TLS_TAKEN_MS),
            None => Duration::from_secs(TLS_FILES_S),
        };
        match woken.recv_timeout(wait) {
            Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => {}
            Ok(Task::Follow(mut others)) => {
                std::mem::swap(&mut certificates, &mut others);
                certificates.follow(*others);
                load(&mut certificates, clock, &mut shards);
            }
            Ok(Task::Prove(shown, told)) => {
                match certificates
                    .set_proofs(&shown)
                    .and_then(|()| show(&mut certificates, clock, &mut shards))
                {
                    Ok(()) => waiting = Some(told),
                    Err(reason) => drop(told.send(Err(reason))),
                }
            }
        }
        look(&mut certificates, clock, &mut shards);
        board.certificates().note_end(certificates.ends_at_s());
        if shards.iter().all(|(shard, newest)| newest.is_none() && shard.is_empty())
            && let Some(told) = waiting.take()
        {
            // Whoever waited may have given up.
            drop(told.send(Ok(())));
        }
    }
}

/// Tells the shards what there is, if it is not what there was.
fn look(certificates: &mut Certificates, clock: Clock, shards: &mut [Told]) {
    if certificates.is_due(clock) {
        load(certificates, clock, shards);
    }
    for (shard, newest) in shards {
        if let Some(config) = newest.take()
            && let Err(TrySendError::Full(config)) = shard.try_send(config)
        {
            *newest = Some(config);
        }
    }
}

/// Shows the same certificates, and what an authority is to see.
fn show(certificates: &mut Certificates, clock: Clock, shards: &mut [Told]) -> Result<(), String> {
    let config = certificates.load(clock).map_err(|error| error.to_string())?;
    for (_, newest) in shards {
        *newest = Some(Arc::clone(&config));
    }
    Ok(())
}

fn load(certificates: &mut Certificates, clock: Clock, shards: &mut [Told]) {
    match show(certificates, clock, shards) {
        Ok(()) => {
            tracing::info!("certificates have changed: new connections are shown the new ones");
        }
        Err(error) => {
            tracing::warn!(%error, "certificates have changed and cannot be used: the former ones stay");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    #[test]
    fn what_cannot_be_used_changes_nothing_and_is_told_once() {
        let folder = std::env::temp_dir().join(format!("fanwire-watch-{}", std::process::id()));
        let text = format!("tls.self_signed = ['localhost']\ntls.folder = '{}'", folder.display());
        let clock = Clock::start();
        let own = Config::parse(&text, Path::new("f.toml")).unwrap();
        Certificates::new(&own).unwrap().unwrap().load(clock).unwrap();
        let file = folder.join("self-signed.pem");
        let good = fs::read_to_string(&file).unwrap();
        let text = format!("tls.certificate_file = '{0}'\ntls.key_file = '{0}'", file.display());
        let config = Config::parse(&text, Path::new("f.toml")).unwrap();
        let mut certificates = Certificates::new(&config).unwrap().unwrap();
        certificates.load(clock).unwrap();
        let (told, shard) = flume::bounded(1);
        let mut told = [(told, None)];
        let mut heard = |text: Option<&str>| {
            match text {
                Some(text) => fs::write(&file, text).unwrap(),
                None => fs::remove_file(&file).unwrap(),
            }
            look(&mut certificates, clock, &mut told);
            let count = shard.try_iter().count();
            assert!(!certificates.is_due(clock), "it is looked at once");
            count
        };
        assert_eq!(heard(Some("-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n")), 0);
        assert_eq!(heard(None), 0);
        assert_eq!(heard(Some("")), 0);
        assert_eq!(heard(Some(&good)), 1);
        // Twice without anyone taking it: the newest is kept, and told as soon as the former is taken.
        for _ in 0..2 {
            fs::write(&file, &good).unwrap();
            look(&mut certificates, clock, &mut told);
        }
        assert!(shard.try_recv().is_ok() && shard.try_recv().is_err());
        look(&mut certificates, clock, &mut told);
        assert!(shard.try_recv().is_ok() && told[0].1.is_none());
        fs::remove_dir_all(&folder).unwrap();
    }
}
