//! Rates and revocations: as many as there may be, of whoever has the longest names.

use std::net::IpAddr;
use std::net::Ipv6Addr;
use std::sync::Arc;

use fanwire::auth::AccessLimits;
use fanwire::auth::Admission;
use fanwire::auth::Publisher;
use fanwire::auth::Revocations;
use fanwire::auth::Revoke;
use fanwire::limits::RATE_BYTES;
use fanwire::limits::REVOCATION_BYTES;

use crate::heap;

/// Entries: one more than a table of the standard library doubles at (seven eighths of a power of two), so that it is as empty as it may be.
const ENTRIES: usize = (1 << 13) / 8 * 7 + 1;

fn name(number: usize) -> String {
    format!("{number:06}{}", "u".repeat(249))
}

/// What is held is at most a quarter more than what is counted.
fn check(what: &str, before: i64, counted: usize) {
    let held = usize::try_from(heap::held() - before).unwrap();
    assert!(held * 4 <= counted * 5, "{what}: {held} bytes held, {counted} counted");
}

#[test]
fn rates_take_what_is_counted_and_no_newcomer_is_remembered() {
    let peer =
        |number: usize| IpAddr::V6(Ipv6Addr::from_bits((number as u128 + 1) << 64 | 1 << 120));
    let before = heap::held();
    let mut admission = Admission::within(AccessLimits::default(), ENTRIES);
    for number in 0..2 * ENTRIES {
        let is_let_in = admission.handshake(peer(number), 1).is_ok();
        assert_eq!(is_let_in, number < ENTRIES, "address {number}");
        let user: Arc<str> = name(number).into();
        let publisher = Publisher::of(Some(&user), peer(number)).unwrap();
        let taken = admission.publish(&publisher, 1, 1);
        assert_eq!(taken == 1, number < ENTRIES, "user {number}");
    }
    check("rates", before, 2 * ENTRIES * RATE_BYTES);
}

#[test]
fn revocations_take_what_is_counted_and_one_more_is_refused() {
    let before = heap::held();
    let mut revocations = Revocations::bounded(None, ENTRIES);
    for number in 0..2 * ENTRIES {
        let revoke = Revoke::Token { jti: name(number).into() };
        let is_kept = revocations.revoke(revoke, 1).is_ok();
        assert_eq!(is_kept, number < ENTRIES, "token {number}");
    }
    check("tokens", before, ENTRIES * REVOCATION_BYTES);
    let before = heap::held();
    let mut revocations = Revocations::bounded(None, ENTRIES);
    for number in 0..2 * ENTRIES {
        let revoke = Revoke::User { user: name(number).into(), issued_until_s: 1 };
        assert_eq!(revocations.revoke(revoke, 1).is_ok(), number < ENTRIES, "user {number}");
    }
    check("users", before, ENTRIES * REVOCATION_BYTES);
}
