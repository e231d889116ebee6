//! Subscriptions' ids: what clients are told, and what the core knows them by.
//!
//! Invariant: an id follows from what is subscribed to and how many subscriptions there were before, and from nothing else, so those who ask for the same are told the same (decision 0045).

use std::hash::BuildHasher;

use foldhash::fast::FixedState;

/// A UUID of version 4 that the same always has.
pub(super) fn uuid_of(of: &impl std::hash::Hash) -> String {
    let half = |seed| FixedState::with_seed(seed).hash_one(of);
    let bits = u128::from(half(1)) << 64 | u128::from(half(2));
    // RFC 9562 section 5.4: the version and the variant.
    let bits = bits & !(0xf << 76) & !(0x3 << 62) | 4 << 76 | 2 << 62;
    let parts = [(96, 0xffff_ffff, 8), (80, 0xffff, 4), (64, 0xffff, 4), (48, 0xffff, 4)];
    let mut text: Vec<String> = parts
        .iter()
        .map(|(shift, mask, digits)| format!("{:0digits$x}", bits >> shift & mask))
        .collect();
    text.push(format!("{:012x}", bits & 0xffff_ffff_ffff));
    text.join("-")
}

/// A subscription's id as clients know it, and its table's schema and name: the id here is all of it.
pub(super) fn parts_of(id: &str) -> (&str, &str, &str) {
    let (uuid, name) = id.split_once('/').unwrap_or((id, ""));
    let (schema, entity) = name.split_once('.').unwrap_or(("", name));
    (uuid, schema, entity)
}
