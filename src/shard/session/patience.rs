//! How long a request or a message of a client may take to arrive: a number of seconds, and one more for each of so many bytes.
//!
//! Invariant: time counts in looks at a connection, one a second and only while it is read: whoever is looked at late, or is not read, is not
//! late for it.

use super::super::settings::Settings;

/// The settings of how long input may take.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Patience {
    /// Seconds that anything may take.
    pub(in super::super) timeout_s: u32,
    /// Bytes for which the client has one second more.
    pub(in super::super) bytes_per_s_min: u64,
}

impl Patience {
    /// The patience that the settings ask for.
    pub(in super::super) fn of(settings: &Settings) -> Self {
        let Settings { request_timeout_s, upload_bytes_per_s_min, .. } = *settings;
        Self { timeout_s: request_timeout_s, bytes_per_s_min: upload_bytes_per_s_min }
    }

    /// Whether input of which so many bytes have come in so many seconds has taken too long.
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
        let patience = Patience { timeout_s: 10, bytes_per_s_min: 100 };
        assert!(!patience.is_late(9, 0) && patience.is_late(10, 0));
        assert!(!patience.is_late(10, 100) && patience.is_late(11, 199));
        assert!((0..100_000).all(|second| !patience.is_late(second, u64::from(second) * 100)));
    }
}
