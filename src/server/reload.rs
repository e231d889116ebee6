//! A configuration that is read anew while the server runs, and one that is only looked at.
//!
//! Invariants: everything is checked as for a start before anything is changed, so a configuration that cannot be changes nothing; what needs a restart is named and left as it is. Nobody is
//! disconnected.

use std::sync::Arc;
use std::time::Duration;

use super::Running;
use super::Server;
use super::error::StartError;
use super::hooking;
use super::keys;
use super::places;
use super::plan::Plan;
use super::relisten::Opened;
use super::sourcing;
use super::sourcing::Sourcing;
use super::tls::Certificates;
use super::tls::Ordering;
use super::tls::ordered;
use crate::clock::Clock;
use crate::config::Change;
use crate::config::Config;
use crate::config::ConfigError;
use crate::config::When;
use crate::dialect::hook::HookSet;
use crate::limits::RELOAD_MS_MAX;
use crate::source::Spec;

/// What came of reading a configuration anew.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// What holds from now on.
    pub taken: Vec<Change>,
    /// What will hold after a restart.
    pub at_restart: Vec<Change>,
}

impl Server {
    /// One of the sources that are declared, to be tried out without a server; `None`: there is none of that name.
    ///
    /// # Errors
    /// What is wrong with what is said of it.
    pub fn source(config: &Config, name: &str) -> Result<Option<Spec>, ConfigError> {
        sourcing::spec_named(config, name)
    }

    /// Whether a server could start with this, as far as can be known without listening. Writes nothing.
    ///
    /// # Errors
    /// Why it could not.
    pub fn check(config: &Config) -> Result<(), StartError> {
        checked(config).map(drop)
    }
}

/// A plan, and what reads certificates if there are any, both as they would be at the start.
fn checked(config: &Config) -> Result<(Plan, Option<Certificates>), StartError> {
    let plan = Plan::new(config)?;
    keys::keeper(config)?;
    hooking::over_http(config, Clock::start())?;
    hooking::terms(config, HookSet::default())?;
    sourcing::specs(config)?;
    let certificates = Certificates::new(config)?;
    if let Some(certificates) = &certificates {
        certificates.check()?;
    }
    places::places(config)?;
    Ok((plan, certificates))
}

impl Running {
    /// Takes of a configuration what may change while the server runs.
    ///
    /// # Errors
    /// If a server could not start with it: then nothing has changed.
    pub fn reload(&mut self, config: &Config) -> Result<Reloaded, StartError> {
        let (plan, certificates) = checked(config)?;
        // With or without TLS, or what comes before a connection, is how cores began.
        let is_other_tls = config.tls.is_on() != self.config.tls.is_on();
        let is_other = config.has_handshakes() != self.config.has_handshakes();
        let added = self.added_sources(config);
        let stays = |change: &Change| {
            let key = &*change.key;
            let is_listener =
                key == "listen" || key == "proxy_listeners" || key.ends_with(".listen");
            is_other_tls && key.starts_with("tls.")
                || (is_other_tls || is_other) && is_listener
                || added.iter().any(|source| key.starts_with(source))
        };
        let (taken, at_restart): (Vec<Change>, Vec<Change>) = self
            .config
            .changes(config)
            .into_iter()
            .partition(|change| change.when == When::Reload && !stays(change));
        // Opened before anything is changed: what cannot be listened on changes nothing.
        let opened = match is_other_tls || is_other {
            true => None,
            false => Some(self.open_added(config)?),
        };
        if let (Some(watching), Some(certificates)) = (&self.watching, certificates) {
            watching.renew(certificates);
        }
        if config.has_store() && !self.config.has_store() {
            tracing::warn!("what is revoked is kept from the next start on, and not before");
        }
        let settings = Arc::new(plan.settings);
        for (shard, renew) in self.renew.iter().enumerate() {
            let told =
                renew.send_timeout(Arc::clone(&settings), Duration::from_millis(RELOAD_MS_MAX));
            if told.is_err() {
                tracing::error!(shard, "a core has not taken the settings that were read anew");
            }
        }
        if let Some(places) = opened.map(Opened::settle) {
            self.places = places;
        }
        self.order(config)?;
        if let Some(sourcing) = &mut self.sourcing {
            sourcing.renew(config)?;
        }
        // What waits for a restart is still to be named the next time.
        self.config.take(config, &taken);
        Ok(Reloaded { taken, at_restart })
    }

    /// The keys of sources that begin with the next start, since they have no thread.
    fn added_sources(&self, config: &Config) -> Vec<String> {
        let runs =
            |said| self.sourcing.as_ref().is_some_and(|sourcing: &Sourcing| sourcing.has(said));
        let added = config.sources.iter().enumerate().filter(|(_, said)| !runs(said));
        added.map(|(index, _)| format!("source[{index}]")).collect()
    }

    /// Has certificates ordered as a configuration says, or none; what has failed is tried again.
    fn order(&mut self, config: &Config) -> Result<(), StartError> {
        match (ordered(config)?, &self.ordering) {
            (Some(settings), Some(ordering)) => ordering.renew(settings),
            (Some(_), None) => {
                let watching = self.watching.as_ref();
                self.ordering = Ordering::start(config, watching, (&self.board, Clock::start()))?;
            }
            (None, _) => self.ordering = None,
        }
        Ok(())
    }
}
