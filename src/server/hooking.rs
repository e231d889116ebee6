//! From the configuration to whoever answers hooks: over HTTP, or an embedder's own.
//!
//! Invariant: what is wrong with a hook stops the start, with the key that says it.

use std::sync::Arc;
use std::thread::JoinHandle;

use super::error::StartError;
use super::written::file;
use super::written::unusable;
use crate::admin::Board;
use crate::auth::secret_in_file;
use crate::clock::Clock;
use crate::config::Config;
use crate::config::ConfigError;
use crate::conn::Doorbell;
use crate::conn::Party;
use crate::dialect::Hook;
use crate::dialect::HookTerms;
use crate::dialect::hook::HookSet;
use crate::dialect::hook::Hooks;
use crate::shard::Mesh;
use crate::webhook::HooksParty;
use crate::webhook::HttpHooks;
use crate::webhook::HttpHooksError;
use crate::webhook::Target;

/// What is configured of hooks over HTTP; `None`: none is asked.
pub(super) fn over_http(config: &Config, clock: Clock) -> Result<Option<HttpHooks>, ConfigError> {
    let set = &config.hooks;
    let targets: Vec<Target> =
        set.urls().map(|(hook, url)| Target { hook, url: url.to_owned() }).collect();
    if targets.is_empty() {
        return Ok(None);
    }
    let read = |key: &str, path: &str| match path {
        "" => Ok(None),
        path => file(config, key, path).map(Some),
    };
    let secret = read("hooks.secret_file", &set.secret_file)?;
    let authorities = read("hooks.ca_file", &set.ca_file)?;
    let secret = secret.as_ref().map(|secret| secret_in_file(secret));
    let at_once = usize::try_from(set.concurrency).unwrap_or(usize::MAX);
    let authorities = authorities.as_ref().map(|pem| &pem[..]);
    let hooks = HttpHooks::new(&targets, secret, authorities, (at_once, clock));
    hooks.map(Some).map_err(|error| {
        let key = match &error {
            HttpHooksError::Address(hook, _) => format!("hooks.{}", hook.name()),
            HttpHooksError::SecretTooShort => "hooks.secret_file".to_owned(),
            HttpHooksError::Authorities(_) => "hooks.ca_file".to_owned(),
        };
        unusable(config, &key, error)
    })
}

/// What conversations are told of hooks; `asked`: those that somebody answers.
pub(super) fn terms(config: &Config, asked: HookSet) -> Result<HookTerms, ConfigError> {
    let fail_open = config.hooks.fail_open.iter().map(|name| {
        let found = Hook::from_name(name);
        found.ok_or_else(|| {
            unusable(config, "hooks.fail_open", format_args!("there is no hook `{name}`"))
        })
    });
    Ok(HookTerms {
        asked,
        fail_open: fail_open.collect::<Result<_, _>>()?,
        replaces_results: config.hooks.replaces_results,
    })
}

/// The thread of hooks. Stops when dropped.
#[derive(Debug)]
pub(super) struct Hooking {
    doorbell: Arc<Doorbell>,
    thread: Option<JoinHandle<()>>,
}

impl Hooking {
    /// Begins.
    pub(super) fn start(
        config: &Config,
        hooks: &Arc<dyn Hooks>,
        (party, shard_count): (Party<Mesh>, u16),
        (board, clock): (&Arc<Board>, Clock),
    ) -> Result<Self, StartError> {
        let at_once = usize::try_from(config.hooks.concurrency).unwrap_or(usize::MAX);
        let how = (config.hooks.timeout_ms, at_once);
        let party =
            HooksParty::new(party, hooks, how, (clock, shard_count)).map_err(StartError::Thread)?;
        board.note_hooks(party.figures());
        let doorbell = party.doorbell();
        let thread = std::thread::Builder::new().name("hooks".to_owned());
        let thread = thread.spawn(move || party.run()).map_err(StartError::Thread)?;
        Ok(Self { doorbell, thread: Some(thread) })
    }
}

impl Drop for Hooking {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        self.doorbell.ring_to_stop();
        if thread.join().is_err() {
            tracing::error!("the thread of the hooks has panicked");
        }
    }
}
