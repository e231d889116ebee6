//! Sessions in the folder of a store that is full, or answers nothing, and wills that wait while nobody is there to publish them: one by one, where the simulation has them by chance.

use std::cell::RefCell;
use std::rc::Rc;

use super::Link;
use super::restarts::settings;
use crate::support::world::World;
use crate::support::world::store::Kept;
use crate::support::world::store::Store;
use crate::support::world::store::Ways;

const SHARDS: u16 = 2;

/// A server on what a store has kept; it starts so many seconds after the first one.
fn server(kept: &Rc<RefCell<Kept>>, ways: Ways, life: u32, after_s: u64) -> World {
    let settings = settings(SHARDS, "kept/**", 100);
    let mut world = World::of_epoch(&format!("d1_e{life}"), SHARDS, &settings);
    world.advance(after_s * 1_000);
    world.join_store(Store::new(Rc::clone(kept), ways, |_| 0), usize::MAX);
    world
}

/// A disk without room for sessions.
const FULL: Ways = Ways { unkept_one_in: 1, ..ROOMY };
const ROOMY: Ways = Ways {
    store_ms: 0,
    sync_ms: 0,
    page_ms: 0,
    refuses_one_in: 0,
    fails_one_in: 0,
    forgets_one_in: 0,
    page_events_max: 0,
    notes_nothing: None,
    unkept_one_in: 0,
    lags: 0,
};

/// So many seconds pass.
fn pass(world: &mut World, seconds: u64) {
    for _ in 0..seconds * 10 {
        world.settle();
        world.advance(100);
        world.tick();
    }
    world.settle();
}

/// Connects and says this; what is heard.
fn talk(world: &mut World, shard: usize, said: &[&str]) -> (Link, Vec<String>) {
    let mut link = Link::open(world, shard, 1 << 20, said[0]);
    world.settle();
    let mut heard = link.hear(world, usize::MAX);
    for text in &said[1..] {
        link.say(world, text);
        world.settle();
        heard.extend(link.hear(world, usize::MAX));
    }
    (link, heard)
}

fn begins(heard: &[String], beginnings: &[&str]) {
    let fits = heard.len() == beginnings.len()
        && heard.iter().zip(beginnings).all(|(heard, begins)| heard.starts_with(begins));
    assert!(fits, "{heard:?} and not {beginnings:?}");
}

#[test]
fn who_asks_for_a_session_that_the_disk_has_no_room_for_is_refused_with_0x97() {
    let kept = Rc::default();
    let mut world = server(&kept, FULL, 0, 0);
    let subscribe = "subscribe 1 kept/a=1";
    let (link, heard) = talk(&mut world, 0, &["connect v5 c session=1000", subscribe]);
    begins(&heard, &["connack", "disconnect rc=97"]);
    assert!(!world.is_open(link.wire) || !world.wants_input(link.wire), "nothing more is heard");
    // 3.1.1 has no word for it, and is closed.
    let (link, heard) = talk(&mut world, 1, &["connect v4 d", subscribe]);
    begins(&heard, &["connack"]);
    pass(&mut world, 10);
    assert!(!world.is_open(link.wire));
    // Neither goes on with anything.
    let (_, heard) = talk(&mut world, 0, &["connect v5 c session=1000"]);
    assert!(heard.len() == 1 && !heard[0].contains("present"), "{heard:?}");
    // Who asks for none to be kept, or for what lies in memory, is let be.
    let (_, heard) = talk(&mut world, 1, &["connect v5 e clean", subscribe]);
    begins(&heard, &["connack", "suback 1 01"]);
    let (_, heard) = talk(&mut world, 0, &["connect v5 f session=1000", "subscribe 1 elsewhere=1"]);
    begins(&heard, &["connack", "suback 1 01"]);
    let unkept: u64 = world.shards.iter().map(|shard| shard.stats().left.unkept).sum();
    assert!(unkept >= 2, "{unkept}");
}

#[test]
fn who_comes_back_to_a_session_while_the_disk_is_full_is_told_so_by_connack() {
    for (connect, refused) in
        [("connect v5 c session=1000", "connack rc=97"), ("connect v4 c", "connack rc=03")]
    {
        let kept = Rc::default();
        let mut world = server(&kept, ROOMY, 0, 0);
        let (mut link, heard) = talk(&mut world, 0, &[connect, "subscribe 1 kept/a=1"]);
        begins(&heard, &["connack", "suback 1 01"]);
        link.say(&mut world, "disconnect");
        pass(&mut world, 2);
        assert_eq!(kept.borrow().sessions.len(), 1);
        let mut world = server(&kept, FULL, 1, 10);
        let (_, heard) = talk(&mut world, 1, &[connect]);
        begins(&heard, &[refused]);
    }
}

#[test]
fn a_flood_of_sessions_waits_for_a_disk_that_does_not_answer_and_holds_up_nobody_else() {
    let kept = Rc::default();
    let mut world = server(&kept, ROOMY, 0, 0);
    let (mut live, _) = talk(&mut world, 0, &["connect v5 live clean", "subscribe 1 live=0"]);
    world.store.as_mut().unwrap().is_stuck = true;
    let mut flood: Vec<Link> = (0..500)
        .map(|number| {
            let connect = format!("connect v5 c{number} session=1000");
            let (link, heard) = talk(&mut world, number % 2, &[&connect, "subscribe 1 kept/a=1"]);
            begins(&heard, &["connack"]);
            link
        })
        .collect();
    let (mut publisher, _) = talk(&mut world, 1, &["connect v5 p clean"]);
    for number in 0..10 {
        publisher.say(&mut world, &format!("publish live q1 id=1 : {number}"));
        world.settle();
        begins(&publisher.hear(&mut world, usize::MAX), &["puback 1"]);
        begins(&live.hear(&mut world, usize::MAX), &[&format!("publish live : {number}")]);
    }
    pass(&mut world, 11);
    for link in &mut flood {
        begins(&link.hear(&mut world, usize::MAX), &["disconnect rc=97"]);
    }
    // Once it answers again they come back, and have what they want.
    world.store.as_mut().unwrap().is_stuck = false;
    pass(&mut world, 2);
    for number in 0..500 {
        let connect = format!("connect v5 c{number} session=1000");
        let (_, heard) = talk(&mut world, number % 2, &[&connect, "subscribe 1 kept/a=1"]);
        begins(&heard, &["connack", "suback 1 01"]);
        assert!(!heard[0].contains("present"), "what was refused is no session: {heard:?}");
    }
    assert_eq!(kept.borrow().sessions.len(), 500);
}

/// A client with a will that waits is gone, and so is the server; another starts so many seconds later. What somebody hears at once who has slept, and within a minute.
fn heard_of_will(after_s: u64, comes_back: bool) -> [Vec<String>; 2] {
    let kept = Rc::default();
    let mut world = server(&kept, ROOMY, 0, 0);
    let sleeper = "connect v5 sleeper session=10000";
    let (mut link, _) = talk(&mut world, 0, &[sleeper, "subscribe 1 kept/will=1"]);
    link.say(&mut world, "disconnect");
    world.settle();
    let connect = "connect v5 c session=1000 will=kept/will:gone:q1 delay=30";
    let (link, _) = talk(&mut world, 1, &[connect, "subscribe 1 kept/a=1"]);
    world.vanish(link.wire);
    pass(&mut world, 2);
    let mut world = server(&kept, ROOMY, 1, after_s);
    pass(&mut world, 1);
    if comes_back {
        let (_, heard) = talk(&mut world, 0, &[connect]);
        assert!(heard[0].starts_with("connack present"), "{heard:?}");
    }
    let (mut link, mut first) = talk(&mut world, 1, &[sleeper]);
    pass(&mut world, 1);
    first.extend(link.hear(&mut world, usize::MAX));
    pass(&mut world, 60);
    let later = link.hear(&mut world, usize::MAX);
    first.retain(|packet| packet.starts_with("publish"));
    [first, later]
}

#[test]
fn a_will_that_waits_goes_on_waiting_over_a_restart() {
    let told = vec!["publish kept/will q1 id=1 : gone".to_owned()];
    // Its time passes while the server is down, too.
    assert_eq!(heard_of_will(10, false), [Vec::new(), told.clone()], "20 s are left");
    assert_eq!(heard_of_will(100, false), [told, Vec::new()], "it is over at the start");
    assert_eq!(heard_of_will(10, true), [Vec::<String>::new(), Vec::new()], "its client is back");
}
