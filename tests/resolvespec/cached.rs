//! What is kept of answers is never told to whom it would not have been told: three tokens ask the same in turn, of tables with a cache and of tables without one.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fanwire::backend::Backend;
use fanwire::backend::CacheUse;
use fanwire::backend::Cached;
use fanwire::backend::Kept;
use fanwire::backend::addressed;
use fanwire::clock::Clock;
use fanwire::conn::Doorbell;
use fanwire::shard::Mesh;
use fanwire::shard::PartyId;
use fanwire::shard::Settings;
use fanwire::tables::keeper::Keeper;
use serde_json::Value;

use crate::rights::By;
use crate::rights::Scene;
use crate::rights::open;
use crate::scene::Client;
use crate::support::random::Random;
use crate::support::seeds;
use crate::support::tables;
use crate::support::world::World;
use crate::support::world::party::Manner;
use crate::support::world::party::Party;

const READS: usize = 8;
const OTHERS: usize = 3;
const ROUNDS: usize = 4;
const WRITES: usize = 6;
const ASKED: usize = 30;
const BLUE: &str = r#"{"sub":"blue","exp":3000,"fanwire":{"subscribe":["tables/public.users","tables/public.posts"],"publish":["tables/public.users"],"filter":"team = \"blue\""}}"#;

/// Has tables of which everything is kept join a world; `hits` is how often something was kept and told.
fn join_cached(world: &mut World, settings: &Settings, hits: &Arc<AtomicU64>) {
    let shard_count = u16::try_from(world.shards.len()).unwrap();
    let (homes, schema) = (settings.homes(shard_count), settings.tables.schema.clone());
    let how = CacheUse {
        kept: Kept::Memory { bytes_max: 1 << 20 },
        password: None,
        namespace: String::new(),
        ttl_s: 3600,
        timeout: Duration::from_secs(1),
        whole: vec![true; schema.tables().count()],
    };
    let backend = Backend::Memory(Box::new(Keeper::new(schema.clone(), 1 << 26)));
    let bell = (Arc::new(Doorbell::new().unwrap()), Clock::start());
    let hits = Arc::clone(hits);
    let watch = move |figures: &fanwire::tables::CacheFigures| {
        hits.store(figures.hits, Ordering::Relaxed);
    };
    let mut cached = Cached::new(backend, &schema, &how, bell, watch).unwrap();
    let party = Party::new(
        Manner::default(),
        |_| 0,
        move |message| {
            let Mesh::Tables(ask) = message else { panic!("{message:?} is said to somebody else") };
            let mut out = Vec::new();
            cached.hear(ask, &mut out);
            cached.settle(&mut out);
            out.into_iter().map(|outcome| addressed(outcome, &homes)).collect()
        },
    );
    assert_eq!(world.join(party), PartyId(shard_count));
}

/// A scene with a third one, who sees what is blue.
struct Three {
    scene: Scene,
    blue: Client,
}

impl Three {
    fn new(seed: u64, join: impl FnOnce(&mut World, &Settings)) -> Self {
        let mut scene = Scene::new(seed, By::Token, join);
        let blue = open(&mut scene.world, 0, BLUE);
        Self { scene, blue }
    }

    /// What the so many-th is told, and then everybody else.
    fn ask(&mut self, who: usize, said: &str) -> [Vec<Value>; 3] {
        let Self { scene: Scene { world, root, red, .. }, blue } = self;
        let all = [root, red, blue];
        // Nobody says more than may be said in a second.
        world.advance(200);
        all[who].say(world, said);
        world.settle();
        all.map(|client| client.told(world))
    }
}

fn run(seed: u64) {
    let hits = Arc::default();
    let mut plain = Three::new(seed, tables::join);
    let mut cached = Three::new(seed, |world, settings| join_cached(world, settings, &hits));
    let mut random = Random::new(seed + 1);
    let mut both = |who: usize, said: &str| {
        let expected = plain.ask(who, said);
        assert_eq!(cached.ask(who, said), expected, "{who} says {said}");
        expected
    };
    // What is said is made by a third scene, so that neither of the two says more than it is told to.
    let mut words = Scene::new(seed, By::Token, tables::join);
    let mut found = 0;
    for _ in 0..ROUNDS {
        let is_read = |said: &String| said.contains(r#""operation":"read""#);
        let says = std::iter::repeat_with(|| words.red_says());
        let mut statements: Vec<String> = says.filter(is_read).take(READS).collect();
        statements.extend((0..OTHERS).map(|_| words.red_says()));
        for _ in 0..WRITES {
            both(0, &format!(r#"{{"id":"w","type":"request",{}}}"#, words.root_writes()));
            // The same again and again, each time by somebody.
            for _ in 0..ASKED {
                let (who, said) = (random.below(3), &statements[random.below(READS + OTHERS)]);
                let told = both(who, said);
                found += told.iter().flatten().filter(|told| told["success"] == true).count();
            }
        }
    }
    let hits = hits.load(Ordering::Relaxed);
    assert!(hits > 40 && found > 100, "{hits} hits of {found} answers");
}

#[test]
fn what_is_kept_is_told_to_those_who_would_be_told_it_without() {
    seeds::hold(0..16, run);
}
