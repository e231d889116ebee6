//! Seeds: the same case many times, each time with other luck, on every core there is.
//!
//! `FANWIRE_SEED=7` runs one seed, `FANWIRE_SEEDS=5000..9000` others than the test's own. Invariant: a seed is run as if it were alone; every
//! seed that breaks a promise is named.

use std::env;
use std::ops::Range;
use std::panic;
use std::thread;

/// Runs a case with each of the seeds.
///
/// # Panics
/// If the case panics with any of them, or the environment names seeds that are none.
pub fn hold(usual: Range<u64>, run: fn(u64)) {
    let seeds = chosen().unwrap_or(usual);
    assert!(!seeds.is_empty(), "there are no seeds in {seeds:?}");
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let mut broken: Vec<u64> = thread::scope(|scope| {
        let threads: Vec<_> = (0..cores)
            .map(|core| {
                let seeds = seeds.clone().skip(core).step_by(cores);
                let breaks = move |seed: &u64| panic::catch_unwind(|| run(*seed)).is_err();
                scope.spawn(move || seeds.filter(breaks).collect::<Vec<_>>())
            })
            .collect();
        let broken = threads.into_iter().map(|thread| thread.join().expect("it catches panics"));
        broken.flatten().collect()
    });
    broken.sort_unstable();
    assert!(broken.is_empty(), "seeds {broken:?} break a promise; run one with FANWIRE_SEED=..");
}

#[expect(clippy::disallowed_methods, reason = "who runs a test says so")]
fn chosen() -> Option<Range<u64>> {
    let number = |text: &str| -> u64 { text.parse().expect("a seed is a number") };
    if let Ok(seed) = env::var("FANWIRE_SEED") {
        let seed = number(&seed);
        return Some(seed..seed + 1);
    }
    let seeds = env::var("FANWIRE_SEEDS").ok()?;
    let (from, to) = seeds.split_once("..").expect("seeds are `from..to`");
    Some(number(from)..number(to))
}
