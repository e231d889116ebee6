//! Everything composes: every pair of what a subscription may ask for, in a seeded world, held to the plain definition.
//!
//! The truth is what was acknowledged; `oracle` says what each subscription must have seen of it. A failure prints its seed.

#![expect(clippy::cast_possible_truncation, reason = "numbers here are small")]

mod case;
mod form;
mod life;
mod oracle;
mod terms;
mod traits;

use crate::support::seeds;
use case::Case;

fn run(seed: u64, shift: u64) {
    let mut case = Case::new(seed, shift);
    for _ in 0..160 {
        case.step();
    }
    case.finish();
    case.check();
}

#[test]
fn every_pair_composes() {
    seeds::hold(1..4001, |seed| run(seed, 0));
}

/// Of a pattern's topics `live` says nothing, so who comes back says the newest event that it was told: older than the snapshot was.
#[test]
fn who_comes_back_to_a_pattern_may_be_told_of_what_the_snapshot_had_passed_over() {
    run(622, 3);
}
