//! When a certificate is to be renewed, and how long it is waited after a failure.
//!
//! Invariants: times are arguments, in seconds since 1970; chance is one, too. Never later than the end of the certificate.

use crate::limits::ACME_RETRY_S_MAX;
use crate::limits::ACME_RETRY_S_MIN;
use crate::limits::ACME_WINDOW_S;
use crate::limits::ACME_WINDOW_S_MAX;
use crate::limits::ACME_WINDOW_S_MIN;

/// A time from one second to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) begins_at_s: u64,
    pub(super) ends_at_s: u64,
}

impl Span {
    const fn length_s(self) -> u64 {
        self.ends_at_s.saturating_sub(self.begins_at_s)
    }
}

/// When a certificate that is good for a time is to be renewed: at a moment of the authority's window that chance picks (RFC 9773 section 4.2), else after two thirds of its time.
pub(super) fn renew_at_s(good: Span, window: Option<Span>, chance: u64) -> u64 {
    let at_s = match window {
        Some(window) => window.begins_at_s + within(window.length_s(), chance),
        None => good.begins_at_s + good.length_s() / 3 * 2,
    };
    at_s.min(good.ends_at_s)
}

/// After how many seconds an order is tried again that has failed so many times in a row; `wished_s`: what the authority has asked for. Half of it is chance, so that servers which
/// were started together do not come back together.
pub(super) fn retry_in_s(failures: u32, wished_s: u64, chance: u64) -> u64 {
    let doublings = failures.saturating_sub(1).min(16);
    let most_s = (ACME_RETRY_S_MIN << doublings).min(ACME_RETRY_S_MAX);
    let own_s = most_s / 2 + within(most_s / 2, chance);
    own_s.max(wished_s.min(ACME_WINDOW_S_MAX))
}

/// After how many seconds the authority is asked again for its window.
pub(super) fn ask_in_s(wished_s: Option<u64>) -> u64 {
    wished_s.unwrap_or(ACME_WINDOW_S).clamp(ACME_WINDOW_S_MIN, ACME_WINDOW_S_MAX)
}

/// A number up to that one, as chance says.
const fn within(most: u64, chance: u64) -> u64 {
    chance % (most + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn span(begins_at_s: u64, ends_at_s: u64) -> Span {
        Span { begins_at_s, ends_at_s }
    }

    #[test]
    fn a_certificate_is_renewed_within_its_window_or_after_two_thirds() {
        let good = span(1_000, 91_000);
        assert_eq!(renew_at_s(good, None, 5), 61_000);
        let window = Some(span(70_000, 80_000));
        let mut moments: Vec<u64> =
            (0..20_000).step_by(777).map(|chance| renew_at_s(good, window, chance)).collect();
        moments.sort_unstable();
        assert!(moments[0] >= 70_000 && moments[moments.len() - 1] <= 80_000);
        assert!(moments[0] < 71_000 && moments[moments.len() - 1] > 79_000, "all of it is used");
        assert_eq!(renew_at_s(good, Some(span(10, 20)), 3), 13, "what is over is due at once");
        assert_eq!(renew_at_s(good, Some(span(95_000, 99_000)), 0), 91_000, "never after its end");
        assert_eq!(renew_at_s(good, Some(span(80_000, 70_000)), 9), 80_000, "no window");
    }

    #[test]
    fn failures_are_followed_by_longer_and_longer_waits() {
        let shortest = |failures| retry_in_s(failures, 0, 0);
        assert_eq!((shortest(1), shortest(2), shortest(3)), (30, 60, 120));
        assert_eq!(shortest(1_000), ACME_RETRY_S_MAX / 2);
        for chance in 0..200 {
            assert!((30..=60).contains(&retry_in_s(1, 0, chance)));
            assert!(retry_in_s(40, 0, chance * 997) <= ACME_RETRY_S_MAX);
        }
        assert_eq!(retry_in_s(1, 3_600, 0), 3_600, "as the authority asks");
        assert_eq!(retry_in_s(1, u64::MAX, 0), ACME_WINDOW_S_MAX, "within reason");
    }

    #[test]
    fn the_window_is_asked_for_as_often_as_the_authority_likes_within_reason() {
        assert_eq!(ask_in_s(None), ACME_WINDOW_S);
        assert_eq!((ask_in_s(Some(0)), ask_in_s(Some(120))), (ACME_WINDOW_S_MIN, 120));
        assert_eq!(ask_in_s(Some(u64::MAX)), ACME_WINDOW_S_MAX);
    }
}
