//! The same over restarts: a server is gone from one moment to the next, as with `kill -9`, and the next one goes on from what its store has kept.
//!
//! Whoever acknowledges at least once has its session still; so has whoever was asleep. Of QoS 2 nothing is told twice: who was there hears Session Present 0.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use fanwire::event::Event;
use fanwire::event::TopicPattern;
use fanwire::event::opaque;
use fanwire::history::Retention;
use fanwire::limits::UNITS_SEND;
use fanwire::shard::Durable;
use fanwire::shard::PartyId;
use fanwire::shard::Settings;

use super::BTreeMap;
use super::Link;
use super::Simulation;
use super::TOPICS;
use crate::support::random::Random;
use crate::support::seeds;
use crate::support::world::World;
use crate::support::world::roomy;
use crate::support::world::store::Kept;
use crate::support::world::store::Store;
use crate::support::world::store::Ways;

/// One server after the other, on what one store keeps.
struct Servers {
    simulation: Simulation,
    kept: Rc<RefCell<Kept>>,
    ways: Ways,
    settings: Settings,
    shard_count: u16,
    lives: u32,
    /// How often somebody was asleep and had its session still, of QoS 1 and 2.
    slept_through: [u32; 2],
}

pub(super) fn settings(shard_count: u16, durable: &str, topic_events_max: usize) -> Settings {
    let topics = [TopicPattern::new(durable).unwrap()];
    let durable = Durable { store: PartyId(shard_count), topics: Arc::new(topics) };
    let retention = Retention { topic_events_max, ..roomy().retention };
    Settings { retention, durable: Some(durable), ..roomy() }
}

fn world(
    life: u32,
    settings: &Settings,
    shard_count: u16,
    (kept, ways): (&Rc<RefCell<Kept>>, Ways),
    seed: u64,
) -> World {
    let mut world = World::of_epoch(&format!("d1_e{life}"), shard_count, settings);
    let mut luck = Random::new(seed);
    // Later than the life before.
    world.advance(u64::from(life) * 1_000_000);
    world.join_store(Store::new(Rc::clone(kept), ways, move |bound| luck.below(bound)), usize::MAX);
    world
}

impl Servers {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let shard_count = u16::try_from(1 + random.below(4)).unwrap();
        let topic_events_max = 1 + random.below(30);
        let settings = settings(shard_count, "**", topic_events_max);
        let ways = Ways {
            store_ms: random.below(60),
            sync_ms: random.below(60),
            page_ms: random.below(60),
            page_events_max: random.below(6),
            ..Ways::default()
        };
        let kept = Rc::default();
        let world = world(0, &settings, shard_count, (&kept, ways), seed);
        let simulation = Simulation::of(world, random, false);
        Self { simulation, kept, ways, settings, shard_count, lives: 0, slept_through: [0; 2] }
    }

    /// How many messages of each topic lie with the store.
    fn stored(&self) -> BTreeMap<&'static str, u64> {
        let kept = self.kept.borrow();
        let of = |topic: &&'static str| {
            let numbers = kept.events.iter().filter(|event| event.topic.as_str() == *topic);
            let number = |event: &Arc<Event>| {
                let text = opaque::opened(&event.payload).expect("a number is no object");
                String::from_utf8(text).unwrap().parse::<u64>().unwrap()
            };
            numbers.map(number).max().map(|last| (*topic, last))
        };
        TOPICS.iter().filter_map(of).collect()
    }

    /// The process is killed, and another one starts.
    fn restart(&mut self) {
        let simulation = &mut self.simulation;
        let is_calm = simulation.random.one_in(2);
        if is_calm {
            for _ in 0..5 {
                simulation.world.settle();
                simulation.world.advance(100);
                simulation.world.tick();
            }
            simulation.world.settle();
        }
        self.lives += 1;
        for subscriber in &mut simulation.subscribers {
            let world = &simulation.world;
            let was_there = subscriber.wires.drain(..).any(|wire| world.is_open(wire));
            let is_asleep = is_calm && !was_there;
            subscriber.may_be_lost |= subscriber.qos == 2 && !is_asleep;
            if is_asleep && subscriber.is_subscribed && !subscriber.may_be_lost {
                self.slept_through[usize::from(subscriber.qos) - 1] += 1;
            }
            subscriber.link = None;
        }
        let seed = u64::from(self.lives);
        let from = (&self.kept, self.ways);
        let mut world = world(self.lives, &self.settings, self.shard_count, from, seed);
        let units = simulation.random.below(30) as u64 * UNITS_SEND;
        world.shards.iter_mut().for_each(|shard| shard.set_units(units));
        let stored = self.stored();
        let simulation = &mut self.simulation;
        simulation.world = world;
        simulation.publisher =
            Link::open(&mut simulation.world, 0, 1 << 20, "connect v5 publisher clean");
        simulation.unacked = 0;
        for topic in TOPICS {
            let last = stored.get(topic).copied().unwrap_or(0);
            if let Some(said) = simulation.said.get_mut(topic) {
                *said = last;
            }
            for subscriber in &mut simulation.subscribers {
                let heard = subscriber.heard.get(topic).copied().unwrap_or(0);
                assert!(
                    heard <= last,
                    "{}: heard {heard} of {topic}, {last} lie there",
                    subscriber.name
                );
                if let Some(since) = subscriber.since.get_mut(topic) {
                    *since = last.min(*since);
                }
            }
        }
    }
}

fn run(seed: u64) {
    let mut servers = Servers::new(seed);
    servers.simulation.world.settle();
    for _ in 0..400 {
        servers.simulation.step();
        if servers.simulation.random.one_in(80) {
            servers.restart();
        }
    }
    servers.restart();
    servers.simulation.finish();
}

#[test]
fn no_seed_loses_or_repeats_over_restarts() {
    seeds::hold(1..301, run);
}

#[test]
fn whoever_sleeps_through_a_restart_is_the_rule_and_not_the_exception() {
    let mut slept_through = [0; 2];
    for seed in 1..41 {
        let mut servers = Servers::new(seed);
        servers.simulation.world.settle();
        for _ in 0..400 {
            servers.simulation.step();
            if servers.simulation.random.one_in(80) {
                servers.restart();
            }
        }
        slept_through.iter_mut().zip(servers.slept_through).for_each(|(all, of)| *all += of);
    }
    assert!(slept_through.iter().all(|count| *count >= 5), "{slept_through:?}");
}
