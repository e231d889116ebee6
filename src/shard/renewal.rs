//! Settings that are read anew while the shard lives.
//!
//! Invariants: only what may change does; nobody who is connected is closed for it, and what they were granted stays until they show a token again. Budgets of memory, and what was
//! made by them, stay as they were when the shard began.

use std::sync::Arc;

use super::Shard;
use super::access::Access;
use super::input::Mesh;
use super::registrar::REGISTRAR;
use super::settings::Bounds;
use super::settings::Settings;

impl Shard {
    /// Takes of new settings what may change.
    pub fn renew(&mut self, new: &Settings) {
        let old = self.settings.clone();
        let keeper = old.access.keys;
        // Whoever fetches keys puts them beside the configured ones, and tells all shards of both.
        let verifier = if keeper.is_some() { &old.access.verifier } else { &new.access.verifier };
        if let (Some(keeper), Some(configured), REGISTRAR) =
            (keeper, &new.access.verifier, self.shards.here())
        {
            self.outgoing.to(keeper).push(Mesh::Keys(Arc::clone(configured)));
        }
        let access = Access {
            verifier: verifier.clone(),
            keys: keeper,
            // Where the server listens is as it was.
            listeners: old.access.listeners.clone(),
            ..(*new.access).clone()
        };
        self.settings = Settings {
            access: Arc::new(access),
            outbox_bytes_max: new.outbox_bytes_max,
            bounds: Bounds { topic_bytes_max: old.bounds.topic_bytes_max, ..new.bounds },
            deflate: new.deflate,
            echo: new.echo,
            own: new.own,
            ping_after_s: new.ping_after_s,
            request_timeout_s: new.request_timeout_s,
            upload_bytes_per_s_min: new.upload_bytes_per_s_min,
            close_timeout_s: new.close_timeout_s,
            returns: new.returns.clone(),
            ..old
        };
        self.rights.tokens.renew(&self.settings);
        self.rights.registrar.set_limits(self.settings.access.limits);
    }
}
