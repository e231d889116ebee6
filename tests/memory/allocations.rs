//! Publishing to one subscriber and to ten thousand allocates the same: what is done per subscriber needs no memory.
//!
//! Nobody here is slow: a subscriber whose socket is full has an outbox, and that is memory of its own, bounded elsewhere.

use crate::heap;
use crate::scene::Scene;
use crate::scene::masked;

/// Publishes one event; returns what that allocated and how often it was sent.
fn publish(scene: &mut Scene) -> (u64, u64) {
    let mut frame = masked(
        r#"{"type":"publish","id":1,"topic":"t","key":"k","payload":{"altitude":38000.0,"callsign":"SWR7KL"}}"#,
    );
    let (sends, (before, _)) = (scene.sink.sends, heap::set_aside());
    scene.publish(&mut frame);
    let (after, _) = heap::set_aside();
    (after - before, scene.sink.sends - sends)
}

/// What one publish allocates once everything has grown to its size: the least of many, for lists grow now and then.
fn steady(subscribers: usize, deflate: bool, options: &str) -> u64 {
    let mut scene = Scene::new(subscribers, deflate, options);
    let mut least = u64::MAX;
    for _ in 0..300 {
        let (allocated, sends) = publish(&mut scene);
        assert_eq!(
            sends,
            subscribers as u64 + 1,
            "each is sent to once, and the publisher answered"
        );
        least = least.min(allocated);
    }
    least
}

#[test]
fn ten_thousand_subscribers_allocate_what_one_does() {
    for (deflate, options) in [
        (false, ""),
        (true, ""),
        (false, r#","filter":"altitude > 10000""#),
        (false, r#","fields":["altitude"]"#),
        (false, r#","slow":"latest_per_key""#),
    ] {
        let one = steady(1, deflate, options);
        let many = steady(10_000, deflate, options);
        assert_eq!(one, many, "allocations per event, deflate {deflate}, options {options:?}");
        println!("{one} allocations per event, deflate {deflate}, options {options:?}");
    }
}
