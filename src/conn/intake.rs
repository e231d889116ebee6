//! In which order a turn takes in what other parties say.
//!
//! Invariants: control is taken whether there is room for data or not, and before any data; what was handed on in the control lane before some data
//! holds before any of that data is told. A turn takes no more than an inbox holds.

use super::world::World;
use crate::clock::Now;
use crate::limits::INBOX_MESSAGES_MAX;
use crate::limits::INBOX_PER_TURN_MAX;
use crate::shard::Lane;

/// Takes in what there is, for one turn; true if there was something. `next` takes the next message of a lane.
pub fn take_in<W: World>(
    world: &mut W,
    next: &mut impl FnMut(Lane) -> Option<W::Message>,
    now: Now,
) -> bool {
    let had_control = take_control(world, next, now);
    let mut had_data = false;
    for _ in 0..INBOX_PER_TURN_MAX {
        if !world.wants_inbox() {
            break;
        }
        let Some(message) = next(Lane::Data) else { break };
        world.inbox(message, now);
        had_data = true;
    }
    // What was handed on before this data is there by now: a publisher is answered before it hears its event.
    let has_more = had_data && take_control(world, next, now);
    had_control | had_data | has_more
}

/// Takes all that was in the control lane when this began.
fn take_control<W: World>(
    world: &mut W,
    next: &mut impl FnMut(Lane) -> Option<W::Message>,
    now: Now,
) -> bool {
    for count in 0..INBOX_MESSAGES_MAX {
        let Some(message) = next(Lane::Control) else { return count > 0 };
        world.inbox(message, now);
    }
    true
}
