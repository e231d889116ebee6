//! What becomes of a subscription whose outbox is full.
//!
//! Invariant: what may not be lost in silence closes its connection. Never drops anything itself.

/// What happens to a subscription whose outbox is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Slow {
    /// The connection is closed; its client resumes from the last position it saw.
    #[default]
    Disconnect,
    /// The oldest events go, and a gap says which.
    DropOldest,
    /// Only the newest event of each key stays, and a notice says how many were passed over.
    LatestPerKey,
    /// The oldest events go, and nothing says so: the dialect has no word for it.
    DropSilently,
}

/// Which of a connection's subscriptions have which slow policy, one bit each; all others disconnect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    pub drop_oldest: u64,
    pub latest: u64,
    /// Of those that drop the oldest: whose gaps are not announced.
    pub silent: u64,
}

impl Policy {
    /// The policy of a list of subscriptions.
    pub fn of(policies: impl Iterator<Item = Slow>) -> Self {
        let mut policy = Self::default();
        for (index, slow) in policies.enumerate() {
            match slow {
                Slow::Disconnect => {}
                Slow::DropOldest => policy.drop_oldest |= 1 << index,
                Slow::LatestPerKey => policy.latest |= 1 << index,
                Slow::DropSilently => {
                    policy.drop_oldest |= 1 << index;
                    policy.silent |= 1 << index;
                }
            }
        }
        policy
    }
}
