//! When clients that are sent away come back: one after the other, over all shards.
//!
//! Invariant: the moments of all clients of all shards are spread evenly. Never tells anyone.

use std::sync::Arc;

/// What an operator has set about when clients that are sent away come back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Returns {
    /// Over how many milliseconds they are spread at most.
    pub spread_ms: u64,
    /// Over how many milliseconds at most clients are closed, one after the other, whose dialect has no word for coming back later.
    pub paced_ms: u64,
    /// Where they are to go instead, in dialects that have a word for it.
    pub elsewhere: Option<Elsewhere>,
}

/// Another server, as clients know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elsewhere {
    pub server: Arc<str>,
    /// The clients are to stay there.
    pub is_for_good: bool,
}

/// The moments at which the clients of one shard come back, in the order of their places.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spread {
    pub(super) window_ms: u64,
    pub(super) clients: u64,
    pub(super) shards: u64,
    pub(super) shard: u64,
}

impl Spread {
    /// When this one comes back, in milliseconds from now. Shards alternate, so that all clients together are spread evenly.
    pub(super) const fn at_ms(self, client: u64) -> u64 {
        let place = client * self.shards + self.shard;
        self.window_ms * place / (self.clients * self.shards)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_of_all_shards_together_come_back_one_after_the_other() {
        let shards = 3;
        let at = |shard| {
            let spread = Spread { window_ms: 9000, clients: 100, shards, shard };
            (0..100).map(move |client| spread.at_ms(client))
        };
        let mut all: Vec<u64> = (0..shards).flat_map(at).collect();
        all.sort_unstable();
        let expected: Vec<u64> = (0..300).map(|place| place * 30).collect();
        assert_eq!(all, expected);
    }
}
