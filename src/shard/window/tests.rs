//! What a window gives, takes back and sends again.

use super::*;
use crate::batch::Budget;
use crate::dialect::testing::event;
use crate::event::Op;

fn an_event() -> Arc<Event> {
    Arc::new(event("t", "", Op::Event, "{}"))
}

fn number(window: &mut Window, event: &Arc<Event>) -> u16 {
    window.number(event, 1, (1, false))
}

#[test]
fn a_number_is_given_again_only_when_it_is_free() {
    let budget = Budget::new(1 << 20);
    let mut window = Window::new(3, Counted::of(&budget));
    let event = an_event();
    assert_eq!([1, 2, 3].map(|_| number(&mut window, &event)), [1, 2, 3]);
    assert!(window.is_full());
    assert!(window.received(2) && !window.received(9));
    assert!(window.is_full(), "it is not done with");
    assert!(window.acknowledged(2) && !window.acknowledged(2));
    assert!(!window.acknowledged(1));
    window.last = u16::MAX - 1;
    assert_eq!(number(&mut window, &event), u16::MAX);
    assert_eq!(number(&mut window, &event), 1);
    assert!(window.acknowledged(3) && !window.acknowledged(1));
    assert!(!window.acknowledged(u16::MAX));
    assert_eq!(budget.held(), 0, "what is done with is held no longer");
    assert!(window.is_empty());
}

#[test]
fn numbers_in_flight_are_passed_over() {
    let budget = Budget::new(1 << 20);
    let mut window = Window::new(4, Counted::of(&budget));
    let event = an_event();
    assert_eq!(number(&mut window, &event), 1);
    assert_eq!(number(&mut window, &event), 2);
    assert!(window.received(2));
    window.last = u16::MAX;
    assert_eq!(number(&mut window, &event), 3);
}

#[test]
fn what_was_in_flight_is_sent_again_in_order_before_anything_new() {
    let budget = Budget::new(1 << 20);
    let mut before = Window::new(5, Counted::of(&budget));
    let event = an_event();
    for _ in 0..5 {
        number(&mut before, &event);
    }
    assert!(before.received(4) && before.received(2));
    let flight = before.into_flight();
    assert_eq!(flight.received, [4, 2], "in the order in which their client said so");
    assert_eq!(budget.held(), 0);

    // The client takes fewer now.
    let mut window = Window::resumed(3, flight, Counted::of(&budget));
    assert_eq!(budget.held(), 5 * FLYING_BYTES + 3 * event.weight_bytes());
    assert_eq!(window.again().map(|of| of.number), Some(1));
    window.sent_again();
    assert!(window.again().is_none() && window.is_shut(), "two are received, and one is underway");
    assert!(window.acknowledged(4));
    assert_eq!(window.again().map(|of| of.number), Some(3));
    assert!(window.is_full(), "nothing new goes before what is to go again");
    // It had the last one before, and says so without having been sent it again.
    assert!(window.acknowledged(5));
    window.sent_again();
    assert!(window.again().is_none());
    window.acknowledged(2);
    window.acknowledged(1);
    assert!(!window.is_full());
    assert_eq!(number(&mut window, &event), 6, "numbers go on");
}
