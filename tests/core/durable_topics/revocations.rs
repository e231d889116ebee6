//! Revocations where there is a store: each holds at once, and is answered once it would outlast a restart, or with why it will not.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use fanwire::auth::AdminSecret;
use fanwire::auth::Revoke;
use fanwire::event::TopicPattern;
use fanwire::history::asks::NotNoted;
use fanwire::shard::Access;
use fanwire::shard::Durable;
use fanwire::shard::PartyId;
use fanwire::shard::Settings;

use super::PAGE_MS;
use super::RUN_MS;
use super::Server;
use crate::support::world::World;
use crate::support::world::roomy;
use crate::support::world::store::Kept;
use crate::support::world::store::Store;
use crate::support::world::store::Ways;

const ADMIN: &str = "0123456789abcdef0123456789abcdef";

/// A server whose store does as it is told, and what that has.
fn server(ways: Ways) -> Server {
    let kept: Rc<RefCell<Kept>> = Rc::default();
    let secret = AdminSecret::new(ADMIN.as_bytes()).unwrap();
    let access = Access { admin: Some(Arc::new(secret)), ..Access::default() };
    let topics = [TopicPattern::new("kept/**").unwrap()];
    let durable = Durable { store: PartyId(2), topics: Arc::new(topics) };
    let settings = Settings { durable: Some(durable), access: Arc::new(access), ..roomy() };
    let mut world = World::of_epoch("d1_e1", 2, &settings);
    world.join_store(Store::new(Rc::clone(&kept), ways, |bound| bound - 1), usize::MAX);
    Server { world, kept }
}

/// Says that a token is to be revoked; answers what asks for the answer.
fn revoke(server: &mut Server, jti: &str) -> impl FnMut(&mut Server) -> String + use<> {
    let wire = server.world.open(0, 1 << 20);
    let body = format!("{{\"jti\":\"{jti}\"}}");
    let request = format!(
        "POST /v1/admin/revoke HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    server.world.say(wire, request.as_bytes());
    server.world.settle();
    move |server| {
        server.world.settle();
        String::from_utf8(server.world.read(wire, usize::MAX)).unwrap()
    }
}

#[test]
fn one_is_answered_when_the_store_has_kept_it_and_the_next_request_waits_for_that() {
    let mut server = server(Ways { sync_ms: 40, ..Ways::default() });
    let mut answer = revoke(&mut server, "t1");
    server.pass(39);
    assert_eq!(answer(&mut server), "", "it is not kept yet");
    server.pass(2);
    let said = answer(&mut server);
    assert!(said.starts_with("HTTP/1.1 200 ") && said.ends_with("{\"revoked\":true}"), "{said}");
    let note = server.kept.borrow().notes[0].clone();
    let what = Revoke::of_note(&note.name, note.value);
    assert_eq!(what, Some(Revoke::Token { jti: "t1".into() }));
    assert_eq!(note.until_s, server.world.now.wall_us / 1_000_000);
}

#[test]
fn what_the_store_cannot_keep_is_said_with_the_reason() {
    for (why, status, reason) in [
        (NotNoted::DiskFull, 507, "the disk is full"),
        (NotNoted::Crowded, 507, "as many revocations are kept as there is room for"),
        (NotNoted::Busy, 503, "the store has too much to do"),
    ] {
        let mut server = server(Ways { notes_nothing: Some(why), ..Ways::default() });
        let mut answer = revoke(&mut server, "t1");
        server.pass(2);
        let said = answer(&mut server);
        let reason =
            format!("revoked, but only until the server restarts: {reason}; tell it again");
        assert!(
            said.starts_with(&format!("HTTP/1.1 {status} ")) && said.contains(&reason),
            "{said}"
        );
    }

    let mut silent = server(Ways::default());
    silent.store().is_stuck = true;
    let mut answer = revoke(&mut silent, "t1");
    silent.pass(RUN_MS - 200);
    assert_eq!(answer(&mut silent), "");
    silent.pass(PAGE_MS);
    let said = answer(&mut silent);
    let reason = "only until the server restarts: the store does not answer";
    assert!(said.starts_with("HTTP/1.1 503 ") && said.contains(reason), "{said}");

    let mut ended = server(Ways { sync_ms: 1_000, ..Ways::default() });
    let mut early = revoke(&mut ended, "t1");
    ended.close_store();
    for said in [early(&mut ended), revoke(&mut ended, "t2")(&mut ended)] {
        let reason = "only until the server restarts: the server stops";
        assert!(said.starts_with("HTTP/1.1 503 ") && said.contains(reason), "{said}");
    }
}
