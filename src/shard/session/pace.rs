//! How long what a client sends may take: so many seconds, and more for as long as it comes at a least rate.
//!
//! Invariant: time counts in looks at a connection, one a second and only while it is read: whoever is looked at late, or is not read, is not
//! late for it.

/// What was set of it.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Pace {
    /// Seconds that anything may take.
    pub(in super::super) timeout_s: u32,
    /// Bytes that buy one more.
    pub(in super::super) bytes_per_s_min: u64,
}

impl Pace {
    /// Whether something of which so much has come in so many seconds is not going to be waited for.
    pub(in super::super) fn is_late(self, coming_s: u32, bytes: u64) -> bool {
        let bought_s = bytes / self.bytes_per_s_min.max(1);
        u64::from(coming_s) >= u64::from(self.timeout_s).saturating_add(bought_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_sends_at_the_least_rate_is_waited_for() {
        let pace = Pace { timeout_s: 10, bytes_per_s_min: 100 };
        assert!(!pace.is_late(9, 0) && pace.is_late(10, 0));
        assert!(!pace.is_late(10, 100) && pace.is_late(11, 199));
        assert!((0..100_000).all(|second| !pace.is_late(second, u64::from(second) * 100)));
    }
}
