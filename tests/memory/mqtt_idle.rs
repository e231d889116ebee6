//! What an MQTT client that has subscribed and says nothing takes: of a topic that all share, and of one of its own.
//!
//! A shard of its own, without sockets and without the tests' clients, so that all that is counted is the server's.

use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::sync::Arc;

use fanwire::clock::Now;
use fanwire::event::ShardId;
use fanwire::shard::ConnId;
use fanwire::shard::Port;
use fanwire::shard::Sent;
use fanwire::shard::Shard;
use fanwire::shard::Sink;

use crate::heap;
use crate::support::mqtt::Client;
use crate::support::world::roomy;

/// Clients: one more than tables double at, so that they are as empty as they may be.
const CLIENTS: usize = 1_800;

/// Bytes of each, at most: what it subscribes to is everybody's, or its own.
const SHARED_BYTES_MAX: usize = 912;
const OWN_BYTES_MAX: usize = 2048;
/// The same with QoS 1, where each has a window and is told by itself.
const SHARED_QOS_1_BYTES_MAX: usize = 1408;

/// A socket that takes everything.
struct Everything;

impl Sink for Everything {
    fn send(&mut self, _conn: ConnId, bytes: &[u8]) -> Sent {
        Sent::Took(bytes.len())
    }

    fn send_pieces(&mut self, _conn: ConnId, pieces: &[&[u8]]) -> Sent {
        Sent::Took(pieces.iter().map(|piece| piece.len()).sum())
    }
}

const AT: Now = Now { mono_ms: 1_000, wall_us: 1_000_000_000_000_000 };

/// Lets a client in, which says all of that.
fn enter(shard: &mut Shard, said: &[String]) {
    let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let conn = shard.open(Port::Own("mqtt"), address, AT).expect("there is room").id;
    let mut client = heap::uncounted(Client::default);
    for text in said {
        let mut bytes = heap::uncounted(|| client.written(text));
        shard.received(conn, &mut bytes, AT);
        heap::uncounted(|| drop(bytes));
        while shard.has_work() {
            shard.work(&mut Everything, AT);
        }
    }
    heap::uncounted(|| drop(client));
}

/// Bytes that each of these clients takes.
fn each(topic: impl Fn(usize) -> String, qos: u8) -> usize {
    let mut shard = Shard::new(ShardId(0), 1, roomy(), Arc::from("e"));
    let say = |number: usize| {
        vec![
            format!("connect v4 client-{number:06} clean keep=60"),
            format!("subscribe 1 {}={qos}", topic(number)),
        ]
    };
    let first = heap::uncounted(|| say(0));
    enter(&mut shard, &first);
    let before = heap::held();
    for number in 1..=CLIENTS {
        let said = heap::uncounted(|| say(number));
        enter(&mut shard, &said);
        heap::uncounted(|| drop(said));
    }
    let held = usize::try_from(heap::held() - before).unwrap();
    assert_eq!(shard.stats().connections, CLIENTS as u64 + 1);
    held / CLIENTS
}

#[test]
fn an_idle_subscriber_takes_little() {
    let shared = each(|_| "fleet/all".to_owned(), 0);
    let own = each(|number| format!("fleet/{number:06}"), 0);
    let shared_qos_1 = each(|_| "fleet/all".to_owned(), 1);
    let told = format!("shared {shared} B, own {own} B, shared with QoS 1 {shared_qos_1} B");
    assert!(shared <= SHARED_BYTES_MAX && own <= OWN_BYTES_MAX, "{told}");
    assert!(shared_qos_1 <= SHARED_QOS_1_BYTES_MAX, "{told}");
}
