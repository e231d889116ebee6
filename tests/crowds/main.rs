//! Crowds in virtual time: whatever one kind of client does, others wait no longer and the server holds no more than is said here.
//!
//! Each seed draws readers that are slow in any mix, a rate, and two kinds of attack, and plays them together for seconds of virtual time in which
//! all work takes some. What is held on every seed: who keeps up hears everything, in time; a publisher is answered, a stranger
//! is answered, whoever shows a token is let in and whoever is revoked is out, within 50 ms each; at half of the rate that saturates the core no
//! publish is refused; and the server never holds more than its budgets. A failure prints its seed.

#![cfg(test)]
#![expect(clippy::cast_possible_truncation, reason = "numbers here are small")]

mod attacks;
mod crowd;
#[path = "../support/heap.rs"]
mod heap;
mod stage;
#[path = "../support/mod.rs"]
mod support;

use fanwire::limits::WORK_US;

use attacks::Attack;
use attacks::KINDS;
use attacks::Kind;
use crowd::Crowd;
use heap::MIB;
use stage::Stage;
use support::random::Random;
use support::seeds;

/// How long a crowd is played, in microseconds, and what it may take to come to rest.
const PLAYED_US: u64 = 1_000_000;
/// As long as what drips may last, if something does.
const DRIPPED_US: u64 = 2_600_000;
const REST_US: u64 = 8_000_000;
/// What the server may hold that is not for clients, and each core beside it: its budgets, most of which are never full at once.
const HELD_BYTES_MAX: i64 = 6 * MIB;
const CORE_HELD_BYTES_MAX: i64 = 12 * MIB;
/// Microseconds that a turn of a core may take: four times what it is meant to.
const TURN_US_MAX: u64 = 4 * WORK_US;

/// Two kinds of attack beside a mix of readers. Every pair of kinds comes up, beside every mix.
fn play_two(seed: u64) {
    let mut random = Random::new(seed);
    let (one, other) = (seed as usize % KINDS.len(), seed as usize / KINDS.len() % KINDS.len());
    let shards = 1 + random.below(3) as u16;
    let load_per_cent = if random.one_in(4) { 300 } else { 40 };
    let mut kinds = vec![KINDS[one], KINDS[other]];
    kinds.dedup();
    play(seed, random, shards, load_per_cent, &kinds);
}

fn play(seed: u64, mut random: Random, shards: u16, load_per_cent: u64, kinds: &[Kind]) {
    let slow_per_cent = *random.pick(&[0, 20, 50, 90]);
    // These say more than can be told, the last one to those who ask for everything.
    let is_flooded = kinds.contains(&Kind::Flood)
        || [Kind::Past, Kind::Inflated].iter().all(|kind| kinds.contains(kind));
    let load_per_cent = if is_flooded { 300 } else { load_per_cent };
    let mut stage = Stage::new(random, shards);
    let mut crowd = Crowd::new(&mut stage, slow_per_cent, load_per_cent, kinds);
    let mut attacks: Vec<Attack> =
        kinds.iter().map(|kind| Attack::new(&mut stage, *kind)).collect();
    let began_us = stage.now_us();
    let drips = attacks.iter().any(|attack| attack.kind == Kind::Drip);
    let played_us = if drips { DRIPPED_US } else { PLAYED_US };
    loop {
        let is_over = stage.now_us() - began_us > played_us;
        crowd.act(&mut stage, is_over);
        attacks.iter_mut().for_each(|attack| attack.act(&mut stage, is_over));
        if is_over && crowd.is_done() && attacks.iter().all(Attack::is_done) {
            break;
        }
        assert!(stage.now_us() - began_us < played_us + REST_US, "it does not come to rest");
        stage.turn();
    }
    let what = format!(
        "{seed}: {:?} beside {slow_per_cent} % slow on {shards}, {load_per_cent} % load: turns of {} us, {} KiB held, {}",
        kinds,
        stage.turn_us_max,
        stage.held_max / heap::KIB,
        crowd.check(&stage)
    );
    attacks.iter().for_each(|attack| attack.check(&stage));
    let held_max = HELD_BYTES_MAX + i64::from(shards) * CORE_HELD_BYTES_MAX;
    assert!(stage.held_max <= held_max && stage.turn_us_max <= TURN_US_MAX, "{what}");
    println!("{what}");
}

#[test]
fn nobody_harms_anybody() {
    seeds::hold(1..31, play_two);
}

/// Clients of MQTT that flood, beside each of the other kinds in turn.
#[test]
fn a_fleet_harms_nobody() {
    seeds::hold(1..9, |seed| {
        let mut random = Random::new(seed);
        let shards = 1 + random.below(3) as u16;
        let load_per_cent = if random.one_in(4) { 300 } else { 40 };
        let kinds = [Kind::Fleet, KINDS[seed as usize % KINDS.len()]];
        play(seed, random, shards, load_per_cent, &kinds);
    });
}
