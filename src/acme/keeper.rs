//! The thread that orders: what it does next, and what it remembers of failures.
//!
//! Invariants: it waits for the time at which something is due, for new settings, or for the end, and for nothing else but the authority. Settings that were read anew are tried at once,
//! whatever failed before. A certificate that is kept and good is never ordered again before its time.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use aws_lc_rs::rand;
use flume::Receiver;
use flume::RecvTimeoutError;
use flume::Sender;
use flume::TrySendError;
use instant_acme::Account;
use instant_acme::CertificateIdentifier;
use tokio::runtime::Builder;
use tokio::runtime::Runtime;
use tokio::time::timeout;

use super::AcmeFigures;
use super::AcmeSettings;
use super::Stage;
use super::account;
use super::client::Client;
use super::client::Wire;
use super::kept;
use super::kept::Kept;
use super::order::Failure;
use super::order::order;
use super::schedule;
use super::schedule::Span;
use crate::clock::Clock;
use crate::limits::ACME_ORDER_S_MAX;
use crate::limits::ACME_SETTINGS_MAX;
use crate::limits::ACME_SLEEP_S_MAX;

/// What others hold of the thread. It ends when this is dropped, which does not wait: a request that is underway may take its time.
#[derive(Debug)]
pub struct Acme {
    settings: Sender<AcmeSettings>,
    /// The other end, to take out what is out of date before it was heard.
    unheard: Receiver<AcmeSettings>,
    wire: Arc<Wire>,
}

impl Acme {
    /// Orders something else from now on, and tries as soon as what is underway is over. Does not wait for that.
    pub fn renew(&self, mut settings: AcmeSettings) {
        while let Err(TrySendError::Full(newest)) = self.settings.try_send(settings) {
            drop(self.unheard.try_recv());
            settings = newest;
        }
    }
}

impl Drop for Acme {
    fn drop(&mut self) {
        self.wire.is_stopping.store(true, Ordering::Relaxed);
    }
}

/// What the thread has.
pub struct Keeper {
    settings: AcmeSettings,
    clock: Clock,
    stage: Box<dyn Stage>,
    figures: Arc<AcmeFigures>,
    wire: Arc<Wire>,
    woken: Receiver<AcmeSettings>,
    runtime: Runtime,
    account: Option<Account>,
    kept: Option<Kept>,
    /// When it is renewed, and when the authority is asked about that again; seconds since 1970.
    renew_at_s: u64,
    ask_at_s: u64,
    failures: u32,
    retry_at_s: u64,
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeper").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Keeper {
    /// One that has not begun, and what others hold of it.
    ///
    /// # Errors
    /// If the process has no descriptors left for it.
    pub fn new(
        settings: AcmeSettings,
        stage: Box<dyn Stage>,
        figures: Arc<AcmeFigures>,
        clock: Clock,
    ) -> io::Result<(Self, Acme)> {
        let runtime = Builder::new_current_thread().enable_time().build()?;
        let (tell, woken) = flume::bounded(ACME_SETTINGS_MAX);
        let wire = Arc::new(Wire::default());
        let (unheard, own) = (woken.clone(), Arc::clone(&wire));
        let acme = Acme { settings: tell, unheard, wire: own };
        let keeper = Self {
            settings,
            clock,
            stage,
            figures,
            wire,
            woken,
            runtime,
            account: None,
            kept: None,
            renew_at_s: 0,
            ask_at_s: 0,
            failures: 0,
            retry_at_s: 0,
        };
        Ok((keeper, acme))
    }

    /// Keeps a certificate in the folder until the end.
    pub fn run(mut self) {
        self.look();
        loop {
            let now_s = self.now_s();
            if self.kept.is_some() && now_s >= self.ask_at_s.max(self.retry_at_s) {
                self.ask();
            }
            if now_s >= self.due_at_s() {
                self.renew();
            }
            let due_at_s = self.due_at_s();
            let next_at_s = match self.kept {
                Some(_) => due_at_s.min(self.ask_at_s.max(self.retry_at_s)),
                None => due_at_s,
            };
            let wait_s = next_at_s.saturating_sub(self.now_s()).min(ACME_SLEEP_S_MAX);
            match self.woken.recv_timeout(Duration::from_secs(wait_s)) {
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {}
                Ok(settings) => {
                    if settings.directory != self.settings.directory {
                        self.account = None;
                    }
                    self.settings = settings;
                    self.look();
                }
            }
        }
    }

    /// When a certificate is ordered next.
    fn due_at_s(&self) -> u64 {
        let wanted_at_s = if self.kept.is_some() { self.renew_at_s } else { 0 };
        wanted_at_s.max(self.retry_at_s)
    }

    /// Looks at what is kept, and forgets what has failed.
    fn look(&mut self) {
        let AcmeSettings { folder, names, directory, .. } = &self.settings;
        self.kept = kept::read(folder, names, directory);
        (self.failures, self.retry_at_s, self.ask_at_s) = (0, 0, 0);
        self.wire.retry_after_s.store(0, Ordering::Relaxed);
        self.schedule(None);
    }

    /// Sets when what is kept is to be renewed.
    fn schedule(&mut self, window: Option<Span>) {
        if let Some(kept) = &self.kept {
            self.renew_at_s = schedule::renew_at_s(kept.good, window, chance());
        }
    }

    /// Asks the authority when it would have what is kept renewed.
    fn ask(&mut self) {
        let Some(kept) = &self.kept else { return };
        let Ok(id) =
            CertificateIdentifier::try_from(&kept.own).map(CertificateIdentifier::into_owned)
        else {
            // An authority that names itself in no certificate has no window for one either.
            self.ask_at_s = u64::MAX;
            return;
        };
        let asked = self.with_account(async |account: &Account, _: &Self| {
            Ok(account.renewal_info(&id).await?)
        });
        let now_s = self.now_s();
        match asked {
            Ok((info, again)) => {
                let second = |moment: i64| u64::try_from(moment).unwrap_or(0);
                let window = Span {
                    begins_at_s: second(info.suggested_window.start.unix_timestamp()),
                    ends_at_s: second(info.suggested_window.end.unix_timestamp()),
                };
                tracing::debug!(?window, "when the authority would have the certificate renewed");
                self.schedule(Some(window));
                self.ask_at_s = now_s + schedule::ask_in_s(Some(again.as_secs()));
            }
            Err(failure) => {
                tracing::debug!(%failure, "the authority does not say when it would have the certificate renewed");
                self.ask_at_s = now_s + schedule::ask_in_s(None);
            }
        }
    }

    /// Orders a certificate, and keeps it.
    fn renew(&mut self) {
        let names = self.settings.names.join(" ");
        match self.renewed() {
            Ok(()) => {
                self.figures.issued.fetch_add(1, Ordering::Relaxed);
                tracing::info!(names, authority = %self.settings.directory, "there is a new certificate");
                self.look();
            }
            Err(_) if self.wire.is_stopping.load(Ordering::Relaxed) => {}
            Err(failure) => {
                self.figures.failed.fetch_add(1, Ordering::Relaxed);
                self.failures = self.failures.saturating_add(1);
                self.account = None;
                if failure.is_unknown_account() {
                    account::forget(&self.settings.folder);
                }
                let wished_s = self.wire.retry_after_s.swap(0, Ordering::Relaxed);
                let wait_s = schedule::retry_in_s(self.failures, wished_s, chance());
                self.retry_at_s = self.now_s() + wait_s;
                tracing::error!(
                    names,
                    authority = %self.settings.directory,
                    reason = %failure,
                    again_in_s = wait_s,
                    has_former = self.kept.is_some(),
                    "no certificate was issued"
                );
            }
        }
    }

    fn renewed(&mut self) -> Result<(), Failure> {
        let replaced = self.kept.as_ref().and_then(|kept| {
            CertificateIdentifier::try_from(&kept.own).ok().map(CertificateIdentifier::into_owned)
        });
        let issued = self.with_account(async |account: &Account, keeper: &Self| {
            order(account, &keeper.settings, replaced, &*keeper.stage).await
        })?;
        let AcmeSettings { folder, names, directory, .. } = &self.settings;
        kept::keep(folder, (names, directory), (&issued.chain, &issued.key)).map_err(|error| {
            Failure::Kept(format!("{}: {error}", kept::certificate_path(folder).display()))
        })
    }

    /// Does something that needs the account, within its time.
    fn with_account<T>(
        &mut self,
        deed: impl AsyncFnOnce(&Account, &Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let known = self.account.take();
        let settings = &self.settings;
        let work = async {
            let account = match known {
                Some(account) => account,
                None => {
                    let authorities = settings.authorities.as_deref();
                    let client = Client::new(&settings.directory, authorities, &self.wire);
                    let client = client.map_err(Failure::Address)?;
                    account::account(settings, client).await?
                }
            };
            self.stage.know_account(account.key_thumbprint());
            let done = deed(&account, self).await?;
            Ok((account, done))
        };
        let most = Duration::from_secs(ACME_ORDER_S_MAX);
        let done = self.runtime.block_on(async { timeout(most, work).await });
        let (account, done) = done.unwrap_or(Err(Failure::TookTooLong))?;
        self.account = Some(account);
        Ok(done)
    }

    fn now_s(&self) -> u64 {
        self.clock.now().wall_us / 1_000_000
    }
}

/// A number that nobody can foresee; without one, always the same, which only brings servers back together.
fn chance() -> u64 {
    let mut bytes = [0; 8];
    match rand::fill(&mut bytes) {
        Ok(()) => u64::from_le_bytes(bytes),
        Err(_) => 0,
    }
}
