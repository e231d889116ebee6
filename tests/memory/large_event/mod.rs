//! One event of a megabyte for five hundred subscribers takes a few megabytes of the server, however they speak, whatever they chose and
//! however little they read; and each of them gets it byte for byte when it reads on.
//!
//! What a socket has taken is the kernel's, and is not counted.

#[expect(clippy::string_slice, reason = "what is said is cut where ASCII stands")]
mod crowd;

#[expect(clippy::string_slice, reason = "what is said is cut where ASCII stands")]
mod kind;

mod mqtt;

use crate::heap::grown;
use crate::heap::uncounted;

use crowd::Crowd;
use kind::Kind;
use kind::SUBSCRIBERS;

/// Bytes by which the server may grow on account of one event.
const GROWTH_BYTES_MAX: i64 = 32 << 20;

/// One event while every socket takes so many bytes; then everybody reads on, each in pieces of another size.
fn check(kind: Kind, room: usize) {
    let mut crowd = uncounted(|| Crowd::new(kind));
    uncounted(|| crowd.give_room(room));
    let (grown, _) = grown(|| {
        crowd.publish_large();
        crowd.publish_small();
        // While most of them are behind, what follows may be made to wait: it comes once all have read.
        for _ in 0..2 {
            (0..SUBSCRIBERS).for_each(|index| crowd.read_to_the_end(index));
            crowd.pass(1000);
        }
    });
    println!("{kind:?}, {room} bytes of room: {} KiB", grown >> 10);
    // What several small events left for each who is behind is its own, and counted by the budget of outboxes.
    let own = if kind == Kind::Apart && room < usize::MAX { 500 * 64 * 1024 } else { 0 };
    assert!(
        grown <= GROWTH_BYTES_MAX + own,
        "{kind:?}, sockets that take {room} bytes: {} MiB",
        grown >> 20
    );
    uncounted(|| {
        (0..SUBSCRIBERS).for_each(|index| crowd.check(index));
        drop(crowd);
    });
}

fn check_all(kind: Kind) {
    for room in [0, 3_000, usize::MAX] {
        check(kind, room);
    }
}

macro_rules! each {
    ($($name:ident: $kind:expr;)*) => { $(
        #[test]
        fn $name() {
            check_all($kind);
        }
    )* };
}

each! {
    ids_alike: Kind::Ids { differ: false };
    ids_that_differ: Kind::Ids { differ: true };
    an_event_that_is_just_not_large: Kind::Smaller;
    frames_that_do_not_lie_side_by_side: Kind::Apart;
    two_subscriptions_each: Kind::TwoSubscriptions;
    fields_that_differ: Kind::Fields;
    batches: Kind::Batch;
    rates: Kind::Rate;
    event_streams: Kind::Sse { lines: false };
    event_streams_of_many_lines: Kind::Sse { lines: true };
    peat: Kind::Peat;
    peat_streams: Kind::PeatSse;
    peat_calls: Kind::PeatConnect;
    provisioning: Kind::Provisioning { batch: false };
    provisioning_in_batches: Kind::Provisioning { batch: true };
    hyperbeam: Kind::HyperBeam;
    deflate_with_a_shared_window: Kind::Deflate { takeover: true, fields: false, batch: false };
    deflate_alone: Kind::Deflate { takeover: false, fields: false, batch: false };
    deflate_alone_in_batches: Kind::Deflate { takeover: false, fields: false, batch: true };
    deflate_alone_and_fields_that_differ: Kind::Deflate { takeover: false, fields: true, batch: false };
    the_past: Kind::Past;
}
