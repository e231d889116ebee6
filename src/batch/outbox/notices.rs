//! What is noted of events that were passed over, until it is told.
//!
//! Invariant: there are no more notes than sets that are counted apart.

use crate::limits::SKIPPED_SETS_MAX;
use crate::position::Skipped;

/// Notes that an event was passed over for these subscriptions.
pub(super) fn note_skipped(skipped: &mut Vec<(Skipped, u64)>, time_us: u64, subs: u64) {
    let known = skipped.iter().position(|(_, of)| *of == subs);
    let index = match known {
        Some(index) => index,
        None if skipped.len() < SKIPPED_SETS_MAX => {
            skipped.push((Skipped { count: 0, from_us: time_us, to_us: time_us }, subs));
            skipped.len() - 1
        }
        None => 0,
    };
    let (notice, noticed) = &mut skipped[index];
    notice.count += 1;
    notice.from_us = notice.from_us.min(time_us);
    notice.to_us = notice.to_us.max(time_us);
    *noticed |= subs;
}
