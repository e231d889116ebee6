//! Who is who: where a name may be one connection's at a time, the one that claims it last has it, and the one before is sent away; and what clients
//! that are gone have left behind until they come back.
//!
//! Invariants: a name is kept at one shard, which its hash says, and there is held by a connection or left with a bookmark. Whoever claims a name that
//! is held is answered once its holder has let go of it, so that nobody goes on from a bookmark that another still moves. What is left behind ends when
//! its time is over, or when there is no room: first of the user who has left the most. Never sends anything.

use std::collections::BTreeMap;
use std::collections::HashMap;

use super::bookmark::Bookmark;
use super::bookmark::ClientName;
use super::input::Address;
use super::input::Claimant;
use crate::clock::Now;
use crate::dialect::Will;
use crate::event::Draft;
use crate::limits::BOOKMARKS_FREED_SHARE;

/// The names that are kept here.
#[derive(Debug, Default)]
pub(super) struct Claims {
    names: HashMap<ClientName, Claim, foldhash::fast::RandomState>,
    /// What is left behind, by when it is to be looked at, and in which order it was left.
    due: BTreeMap<(u64, u64), ClientName>,
    /// What was left behind last.
    serial: u64,
    held: Held,
}

/// What is held of what was left behind.
#[derive(Debug, Default)]
struct Held {
    bytes: usize,
    bytes_max: usize,
    /// Bytes of these that others have for now.
    lent: usize,
    by_owner: HashMap<Box<str>, usize, foldhash::fast::RandomState>,
}

/// What is known of a name.
#[derive(Debug)]
enum Claim {
    Held { by: Address, next: Option<Claimant> },
    Left(Box<Left>),
}

/// What a client that is gone has left behind.
#[derive(Debug)]
struct Left {
    bookmark: Box<Bookmark>,
    ends_ms: u64,
    due: (u64, u64),
    bytes: usize,
}

/// What is to be done now.
#[derive(Debug, Default)]
pub(super) struct Settled {
    /// These connections have lost their names, or will not get them.
    pub(super) taken_over: Vec<Address>,
    /// This one has its name, and goes on from there.
    pub(super) granted: Option<(Address, Option<Box<Bookmark>>)>,
    /// What is to be published for clients that do not come back.
    pub(super) wills: Vec<Draft>,
    /// Bookmarks that ended for want of room.
    pub(super) crowded_out: u64,
    /// Names under which nothing is left any more, and those under which less is.
    pub(super) ended: Vec<ClientName>,
    pub(super) changed: Vec<ClientName>,
}

impl Settled {
    fn publish(&mut self, will: Option<Box<Will>>) {
        self.wills.extend(will.map(|will| will.draft));
    }

    /// What was left behind goes to whoever comes for it, or ends.
    fn grant(&mut self, to: Claimant, left: Option<Box<Bookmark>>) {
        let left = left.and_then(|mut left| {
            let will = left.will.take();
            if to.is_clean {
                self.publish(will);
            }
            (!to.is_clean).then_some(left)
        });
        self.granted = Some((to.address, left));
    }
}

impl Held {
    fn add(&mut self, name: &ClientName, bytes: usize) {
        self.bytes += bytes;
        match self.by_owner.get_mut(name.owner()) {
            Some(held) => *held += bytes,
            None => drop(self.by_owner.insert(name.owner().into(), bytes)),
        }
    }

    fn take(&mut self, name: &ClientName, bytes: usize) {
        self.bytes -= bytes;
        let Some(held) = self.by_owner.get_mut(name.owner()) else { return };
        *held -= bytes;
        if *held == 0 {
            self.by_owner.remove(name.owner());
        }
    }

    /// Who has left the most behind.
    fn heaviest(&self) -> Option<Box<str>> {
        let heaviest = self.by_owner.iter().max_by_key(|(owner, bytes)| (**bytes, *owner));
        heaviest.map(|(owner, _)| owner.clone())
    }
}

impl Claims {
    /// None yet; what is left behind may take so many bytes.
    pub(super) fn within(bytes_max: usize) -> Self {
        Self { held: Held { bytes_max, ..Held::default() }, ..Self::default() }
    }

    /// So many bytes are not for what is left behind: clients that share subscriptions have them.
    pub(super) const fn lend(&mut self, bytes: usize) {
        self.held.lent = bytes;
    }

    /// Bookmarks that wait for their clients, and their bytes.
    pub(super) fn left(&self) -> (usize, usize) {
        (self.due.len(), self.held.bytes)
    }

    /// When one of them is to be looked at, in milliseconds since the start.
    pub(super) fn due_ms(&self) -> Option<u64> {
        self.due.first_key_value().map(|((due_ms, _), _)| *due_ms)
    }

    /// A connection wants a name.
    pub(super) fn claim(&mut self, name: ClientName, claimant: Claimant) -> Settled {
        let mut settled = Settled::default();
        match self.names.get_mut(&name) {
            Some(Claim::Held { by, next }) => {
                let outdone = next.replace(claimant).map_or(*by, |before| before.address);
                settled.taken_over.push(outdone);
            }
            Some(Claim::Left(_)) => {
                let left = self.pick_up(&name);
                settled.grant(claimant, left);
                settled.ended.extend(claimant.is_clean.then(|| name.clone()));
                self.names.insert(name, Claim::Held { by: claimant.address, next: None });
            }
            None => {
                settled.grant(claimant, None);
                self.names.insert(name, Claim::Held { by: claimant.address, next: None });
            }
        }
        settled
    }

    /// A connection lets go of a name, and leaves something behind.
    pub(super) fn release(
        &mut self,
        name: ClientName,
        address: Address,
        left: Option<Box<Bookmark>>,
        now: Now,
    ) -> Settled {
        let mut settled = Settled::default();
        match self.names.get_mut(&name) {
            Some(Claim::Held { by, next }) if *by == address => match (next.take(), left) {
                (Some(claimant), left) => {
                    *by = claimant.address;
                    if claimant.is_clean || left.is_none() {
                        settled.ended.push(name);
                    }
                    settled.grant(claimant, left);
                }
                (None, Some(left)) => self.leave(name, left, now, &mut settled),
                (None, None) => {
                    self.names.remove(&name);
                    settled.ended.push(name);
                }
            },
            Some(Claim::Held { next, .. })
                if next.is_some_and(|claimant| claimant.address == address) =>
            {
                *next = None;
            }
            _ => {}
        }
        settled
    }

    /// What is left under a name, if anything is.
    pub(super) fn left_of(&self, name: &ClientName) -> Option<&Bookmark> {
        match self.names.get(name)? {
            Claim::Left(left) => Some(&left.bookmark),
            Claim::Held { .. } => None,
        }
    }

    /// Whether a connection has a name.
    pub(super) fn is_held_by(&self, name: &ClientName, address: Address) -> bool {
        matches!(self.names.get(name), Some(Claim::Held { by, .. }) if *by == address)
    }

    /// Something was left behind under a name before the process began.
    pub(super) fn restore(&mut self, name: ClientName, left: Box<Bookmark>, now: Now) -> Settled {
        let mut settled = Settled::default();
        self.leave(name, left, now, &mut settled);
        settled
    }

    fn leave(
        &mut self,
        name: ClientName,
        bookmark: Box<Bookmark>,
        now: Now,
        settled: &mut Settled,
    ) {
        self.serial += 1;
        let after = |seconds: u32| now.mono_ms.saturating_add(u64::from(seconds) * 1000);
        let ends_ms = after(bookmark.lasts_s);
        let will_ms = bookmark.will.as_ref().map_or(u64::MAX, |will| after(will.delay_s));
        let due = (ends_ms.min(will_ms), self.serial);
        let bytes = bookmark.weight_bytes(&name);
        self.held.add(&name, bytes);
        self.due.insert(due, name.clone());
        self.names.insert(name, Claim::Left(Box::new(Left { bookmark, ends_ms, due, bytes })));
        self.make_room(settled);
    }

    /// Takes away what was left behind under a name.
    fn pick_up(&mut self, name: &ClientName) -> Option<Box<Bookmark>> {
        let Some(Claim::Left(left)) = self.names.remove(name) else { return None };
        self.due.remove(&left.due);
        self.held.take(name, left.bytes);
        Some(left.bookmark)
    }

    /// Ends bookmarks of those who have left the most, those that would end first, until there is some room.
    fn make_room(&mut self, settled: &mut Settled) {
        let bytes_max = self.held.bytes_max - self.held.lent;
        if self.held.bytes <= bytes_max {
            return;
        }
        let bytes_max = bytes_max - bytes_max / BOOKMARKS_FREED_SHARE;
        while self.held.bytes > bytes_max
            && let Some(owner) = self.held.heaviest()
        {
            let share = self.held.by_owner.get(&owner).copied().unwrap_or(0) / 2;
            let (mut freed, mut ended) = (0, Vec::new());
            for name in self.due.values().filter(|name| name.owner() == &*owner) {
                if freed > share || self.held.bytes - freed <= bytes_max {
                    break;
                }
                if let Some(Claim::Left(left)) = self.names.get(name) {
                    freed += left.bytes;
                    ended.push(name.clone());
                }
            }
            for name in ended {
                settled.crowded_out += 1;
                let left = self.pick_up(&name);
                settled.publish(left.and_then(|mut left| left.will.take()));
                settled.ended.push(name);
            }
        }
    }

    /// Ends what is over by now, and publishes the wills whose time has come.
    pub(super) fn look(&mut self, now: Now) -> Settled {
        let mut settled = Settled::default();
        while self.due_ms().is_some_and(|due_ms| due_ms <= now.mono_ms)
            && let Some((due, name)) = self.due.pop_first()
        {
            let Some(Claim::Left(left)) = self.names.get_mut(&name) else { continue };
            settled.publish(left.bookmark.will.take());
            if left.ends_ms > now.mono_ms {
                let bytes = left.bookmark.weight_bytes(&name);
                let less = std::mem::replace(&mut left.bytes, bytes) - bytes;
                // What is written of it counts from now on.
                let left_s = (left.ends_ms - now.mono_ms).div_ceil(1000);
                left.bookmark.lasts_s = u32::try_from(left_s).unwrap_or(u32::MAX);
                settled.changed.push(name.clone());
                left.due = (left.ends_ms, due.1);
                self.due.insert(left.due, name.clone());
                self.held.take(&name, less);
            } else {
                let bytes = left.bytes;
                self.held.take(&name, bytes);
                self.names.remove(&name);
                settled.ended.push(name);
            }
        }
        settled
    }
}

#[cfg(test)]
mod tests;
