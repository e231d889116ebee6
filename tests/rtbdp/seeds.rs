//! Dashboards come and go while rows arrive, and whoever has the tables is slow, answers in another order, or fails: each that was answered shows what the source has counted, and never had to
//! repair its ranking.

use std::cell::RefCell;
use std::rc::Rc;

use fanwire::shard::PartyId;

use crate::dashboard::Dashboard;
use crate::dashboard::Source;
use crate::scene;
use crate::support::random::Random;
use crate::support::seeds;
use crate::support::tables::moody_keeper;
use crate::support::world::World;
use crate::support::world::roomy;

const KINDS: [&str; 9] =
    ["push", "fork", "wiki", "watch", "other", "all", "pull_open", "pull_close", "issue_open"];

fn publish(world: &mut World, shard: usize, table: &str, rows: &[String]) {
    let body = rows.join("\n");
    let head = format!(
        "POST /v1/publish/github/{table} HTTP/1.1\r\nHost: t\r\nContent-Type: application/x-ndjson\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let wire = world.open(shard, 1 << 16);
    world.say(wire, &[head.as_bytes(), body.as_bytes()].concat());
    world.settle();
    let answer = world.read(wire, usize::MAX);
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    world.vanish(wire);
}

fn run(seed: u64) {
    let mut random = Random::new(seed);
    let shards = 1 + u16::try_from(random.below(3)).unwrap();
    let schema = scene::schema(scene::EXAMPLE);
    let settings = scene::with_tables(roomy(), &schema, shards);
    let mut world = World::new(shards, &settings);
    let luck = Rc::new(RefCell::new(Some(Random::new(seed ^ 0xabcd))));
    assert_eq!(world.join(moody_keeper(&settings, shards, &luck)), PartyId(shards));
    let mut source = Source::default();
    let mut dashboards: Vec<Dashboard> = Vec::new();
    for _ in 0..60 {
        match random.below(8) {
            0 if dashboards.len() < 6 => {
                let shard = random.below(usize::from(shards));
                dashboards.push(Dashboard::open(&mut world, shard, 1 << 20));
            }
            1 if !dashboards.is_empty() => {
                let gone = dashboards.swap_remove(random.below(dashboards.len()));
                world.vanish(gone.wire);
            }
            2 => {
                world.advance(random.next() % 60);
                world.tick();
            }
            _ => {
                let changes = 1 + random.below(12);
                let rows = (0..changes).map(|_| {
                    let kind = *random.pick(&KINDS);
                    source.set(kind, i64::try_from(random.below(5)).unwrap())
                });
                let (live, ranked): (Vec<_>, Vec<_>) =
                    rows.map(|[live, ranked]| (live, ranked)).unzip();
                let shard = random.below(usize::from(shards));
                publish(&mut world, shard, "counts_ranking", &ranked);
                publish(&mut world, shard, "counts_live", &live);
            }
        }
        if random.one_in(2) {
            world.settle();
        }
        for dashboard in &mut dashboards {
            assert!(dashboard.hear(&mut world), "nobody is let go of");
        }
    }
    *luck.borrow_mut() = None;
    dashboards.push(Dashboard::open(&mut world, 0, 1 << 20));
    for _ in 0..4 {
        world.settle();
        world.advance(50);
        world.tick();
    }
    world.settle();
    let ranking: Vec<&str> = source.ranking.iter().map(|(_, kind)| &**kind).collect();
    let count = dashboards.len();
    for (index, dashboard) in dashboards.iter_mut().enumerate() {
        assert!(dashboard.hear(&mut world));
        let is_last = index + 1 == count;
        assert!(dashboard.is_replayed || !is_last, "the last one is answered");
        if dashboard.is_replayed {
            assert_eq!(dashboard.ranking, ranking, "dashboard {index} of {count}");
        }
        if is_last {
            let live = dashboard.live.iter().map(|(kind, (_, count))| (kind.clone(), *count));
            assert_eq!(live.collect::<std::collections::BTreeMap<_, _>>(), source.live);
        }
    }
}

#[test]
fn dashboards_converge_whatever_those_who_have_the_tables_do() {
    seeds::hold(0..60, run);
}
