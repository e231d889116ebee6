//! Which sessions lie in the folder of a store, and of which it is not known yet: of the names that are kept at a shard.
//!
//! Invariants: what is written of a name is asked for by the shard that keeps the name, so that it is written in order; a session that has ended and could not be taken out of the folder is taken
//! out later; an answer that nobody waits for changes nothing. Never sends anything.

use std::collections::BTreeMap;
use std::collections::HashSet;
use std::collections::VecDeque;

use super::bookmark::ClientName;
use super::input::Address;
use super::settings::Settings;
use crate::auth::Grants;
use crate::dialect::Subscription;
use crate::limits::SESSIONS_WAITING_MAX;

/// Something that was asked of the store.
#[derive(Debug)]
struct StoreAnswerAwaited {
    /// The connection that waits for it.
    who: Option<Address>,
    /// The session is to be taken out of the folder.
    ended: Option<ClientName>,
    since_ms: u64,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Keeping {
    /// The topics that outlast the process, if any do.
    durable: Option<Grants>,
    /// Names of sessions that lie in the folder, or may.
    lying: HashSet<ClientName, foldhash::fast::RandomState>,
    asked: BTreeMap<u64, StoreAnswerAwaited>,
    newest_ticket: u64,
    /// Sessions that have ended, and lie there still.
    ended: VecDeque<ClientName>,
    /// The store has said that it has ended.
    pub(super) is_closed: bool,
}

impl Keeping {
    pub(super) fn new(settings: &Settings) -> Self {
        let topics = settings.durable.as_ref().map(|durable| durable.topics.to_vec());
        let durable = topics.filter(|topics| !topics.is_empty()).map(Grants::new);
        Self { durable, ..Self::default() }
    }

    /// Whether sessions may outlast the process.
    pub(super) const fn is_possible(&self) -> bool {
        self.durable.is_some() && !self.is_closed
    }

    /// Whether all that these subscriptions wait for outlasts the process.
    pub(super) fn covers<'s>(&self, subs: impl Iterator<Item = &'s Subscription>) -> bool {
        let Some(durable) = &self.durable else { return false };
        let mut waiting = subs.filter(|sub| sub.delivery.qos > 0);
        waiting.all(|sub| sub.topics.iter().all(|topic| durable.covers(topic)))
    }

    /// Whether nothing is awaited of the store.
    pub(super) fn is_empty(&self) -> bool {
        self.asked.is_empty()
    }

    /// A session was found in the folder.
    pub(super) fn found(&mut self, name: ClientName) {
        self.lying.insert(name);
    }

    /// Whether something of a session lies in the folder, or may.
    pub(super) fn lies(&self, name: &ClientName) -> bool {
        self.lying.contains(name)
    }

    /// A session is to be written, or taken out if it has ended: by which ticket; `None`: too much is asked for already.
    pub(super) fn ask(
        &mut self,
        name: &ClientName,
        (who, has_ended): (Option<Address>, bool),
        now_ms: u64,
    ) -> Option<u64> {
        match has_ended {
            true => drop(self.lying.remove(name)),
            false => drop(self.lying.insert(name.clone())),
        }
        if self.asked.len() >= SESSIONS_WAITING_MAX {
            if has_ended {
                self.ended.push_back(name.clone());
            }
            return None;
        }
        self.newest_ticket += 1;
        let ended = has_ended.then(|| name.clone());
        self.asked.insert(self.newest_ticket, StoreAnswerAwaited { who, ended, since_ms: now_ms });
        Some(self.newest_ticket)
    }

    /// The store has answered; who waits for it.
    pub(super) fn answered(&mut self, ticket: u64, is_kept: bool) -> Option<Address> {
        let StoreAnswerAwaited { who, ended, .. } = self.asked.remove(&ticket)?;
        self.ended.extend(ended.filter(|_| !is_kept));
        who
    }

    /// Those who have asked before a moment wait no longer; who they are.
    pub(super) fn take_late(&mut self, before_ms: u64) -> Vec<Address> {
        let mut late = Vec::new();
        while let Some(first) = self.asked.first_entry().filter(|of| of.get().since_ms < before_ms)
        {
            let StoreAnswerAwaited { who, ended, .. } = first.remove();
            self.ended.extend(ended);
            late.extend(who);
        }
        late
    }

    /// A session that is to be taken out of the folder, unless another has its name by now.
    pub(super) fn pop_ended(&mut self) -> Option<ClientName> {
        while let Some(name) = self.ended.pop_front() {
            if !self.lying.contains(&name) {
                return Some(name);
            }
        }
        None
    }
}
