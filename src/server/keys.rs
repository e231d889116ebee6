//! From the configuration to the keys that tokens are checked with. Reads the files that hold them, and hands fetched ones to the shards.
//!
//! Invariants: what is no key stops the start, with the key that names it. Fetched keys come on top of configured ones, never in their
//! place; a key set that does not go with those is passed over, and the former stays.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use flume::Receiver;
use flume::RecvTimeoutError;
use flume::Sender;

use super::grants;
use super::written::file;
use super::written::parts;
use super::written::unusable;
use crate::admin::jwks::JwksKeeper;
use crate::auth::Algorithm;
use crate::auth::Jwks;
use crate::auth::JwksOrigin;
use crate::auth::Key;
use crate::auth::KeyKind;
use crate::auth::KeySet;
use crate::auth::KeySetError;
use crate::auth::TokenRules;
use crate::auth::Verifier;
use crate::auth::parse_jwks;
use crate::auth::secret_in_file;
use crate::clock::Clock;
use crate::config::Config;
use crate::config::ConfigError;
use crate::conn::Doorbell;
use crate::conn::Heard;
use crate::conn::Party;
use crate::limits::JWKS_FETCH_S_MAX;
use crate::shard::Mesh;
use crate::shard::Message;
use crate::shard::PartyId;
use crate::shard::Pending;

/// What checks tokens; `None`: nothing does.
pub(super) fn verifier(config: &Config) -> Result<Option<Verifier>, ConfigError> {
    let auth = &config.auth;
    let mapping = grants::mapping(config)?;
    let mut keys = Vec::new();
    if !auth.key_file.is_empty() {
        keys.push(key(config, None, ("auth.key_file", &auth.algorithm, &auth.key_file))?);
    }
    for (index, said) in auth.keys.iter().enumerate() {
        let name = (!said.name.is_empty()).then_some(said.name.as_str());
        let place = format!("auth.keys[{index}].file");
        keys.push(key(config, name, (&place, &said.algorithm, &said.file))?);
    }
    if !auth.jwks_file.is_empty() {
        let name = "auth.jwks_file";
        let text = file(config, name, &auth.jwks_file)?;
        let set =
            parse_jwks(&text, JwksOrigin::File).map_err(|error| unusable(config, name, error))?;
        keys.extend(set.keys);
    }
    if keys.is_empty() && auth.jwks_url.is_empty() {
        return Ok(None);
    }
    let keys =
        KeySet::new(keys).map_err(|error| unusable(config, &place_of(config, &error), error))?;
    let one = |text: &str| parts(text).map(Box::from).collect();
    let rules = TokenRules {
        issuers: one(&auth.issuer),
        audiences: one(&auth.audience),
        leeway_s: auth.leeway_s,
        expiry_required: auth.expiry_required,
        lifetime_s_max: auth.lifetime_s_max,
    };
    let verifier = Verifier::new(keys, rules, mapping);
    verifier.map(Some).map_err(|error| unusable(config, "auth.leeway_s", error))
}

fn key(
    config: &Config,
    name: Option<&str>,
    (place, algorithm, path): (&str, &str, &str),
) -> Result<Key, ConfigError> {
    let bytes = file(config, place, path)?;
    let algorithm = Algorithm::from_name(algorithm)
        .ok_or_else(|| unusable(config, place, "there is no such algorithm"))?;
    let key = if algorithm.key_kind() == KeyKind::Secret {
        Key::from_secret(name, algorithm, secret_in_file(&bytes))
    } else {
        Key::from_public_pem(name, algorithm, &String::from_utf8_lossy(&bytes))
    };
    key.map_err(|error| unusable(config, place, error))
}

/// Which configured key is one too many.
fn place_of(config: &Config, error: &KeySetError) -> String {
    let last = match error {
        KeySetError::DuplicateId { id } => {
            config.auth.keys.iter().rposition(|key| *key.name == **id)
        }
        KeySetError::TooMany { .. } => config.auth.keys.len().checked_sub(1),
    };
    last.map_or_else(|| "auth.jwks_file".to_owned(), |index| format!("auth.keys[{index}].name"))
}

/// Who keeps the keys up to date that are fetched, if any are.
pub(super) fn keeper(config: &Config) -> Result<Option<JwksKeeper>, ConfigError> {
    let url = &config.auth.jwks_url;
    if url.is_empty() {
        return Ok(None);
    }
    let keeper = JwksKeeper::new(url, config.auth.jwks_wish_s_min);
    keeper.map(Some).map_err(|error| unusable(config, "auth.jwks_url", error))
}

/// What the thread is given that fetches keys. It is a party of the mesh.
pub(super) struct Job<M> {
    pub(super) party: Party<M>,
    pub(super) keeper: JwksKeeper,
    pub(super) configured: Arc<Verifier>,
    pub(super) clock: Clock,
    pub(super) shard_count: u16,
}

/// The thread that fetches keys. Stops when dropped.
#[derive(Debug)]
pub(super) struct Keeping {
    doorbell: Arc<Doorbell>,
    began: Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

impl Keeping {
    /// Begins at once. `keep` is told to drop what it is given when the first fetch has brought keys, or failed.
    pub(super) fn start<M: Message>(
        job: Job<M>,
        keep: impl FnOnce(Job<M>, Sender<()>) + Send + 'static,
    ) -> io::Result<Self> {
        let (first, began) = flume::bounded(1);
        let doorbell = job.party.doorbell();
        let thread = std::thread::Builder::new().name("jwks".to_owned());
        let thread = thread.spawn(move || keep(job, first))?;
        Ok(Self { doorbell, began, thread: Some(thread) })
    }

    /// Waits until the first fetch has brought keys, or failed: not longer than one may take.
    pub(super) fn wait_for_first(&self) {
        let most = Duration::from_secs(JWKS_FETCH_S_MAX + 1);
        if self.began.recv_timeout(most) == Err(RecvTimeoutError::Timeout) {
            tracing::debug!("the first fetch of keys has not ended yet");
        }
    }

    /// Stops, and does not wait: a fetch that is underway may take its time to fail.
    pub(super) fn let_go(mut self) {
        drop(self.thread.take());
        self.doorbell.ring_to_stop();
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        self.doorbell.ring_to_stop();
        if thread.join().is_err() {
            tracing::warn!("the thread that fetched keys had panicked");
        }
    }
}

/// Fetches keys when that is due, tells them to the shards, and hears what they wish for.
pub(super) fn keep(job: Job<Mesh>, first: Sender<()>) {
    let Job { mut party, mut keeper, configured, clock, shard_count } = job;
    let mut first = Some(first);
    loop {
        if keeper.due_in(clock.now().mono_ms).is_zero()
            && let Some(jwks) = keeper.fetch(clock)
        {
            hand_out(&configured, jwks, shard_count, &mut party);
        }
        // Whoever waits for the first one hears that by this end being gone.
        party.hand_on();
        drop(first.take());
        match party.hear(keeper.due_in(clock.now().mono_ms)) {
            Heard::Message(Mesh::KeysWanted) => keeper.wish(),
            Heard::Message(_) | Heard::Nothing => {}
            Heard::Stop => return,
        }
    }
}

/// Tells every shard to check tokens with these keys, too.
fn hand_out(configured: &Verifier, jwks: Jwks, shard_count: u16, party: &mut Party<Mesh>) {
    let keys = match configured.keys().joined(jwks.keys) {
        Ok(keys) => keys,
        Err(error) => {
            return tracing::warn!(%error, "fetched keys do not go with the configured ones");
        }
    };
    let verifier = Arc::new(configured.with_keys(keys));
    for shard in (0..shard_count).map(PartyId) {
        // What it was to be told before, and has not been, is out of date.
        *party.pending(shard) = Pending::default();
        party.pending(shard).push(Mesh::Keys(Arc::clone(&verifier)));
    }
}
