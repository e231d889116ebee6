//! Instructions per operation of the hot path, counted by callgrind: the same on a busy machine and on an idle one.
//!
//! `cargo bench --profile counted --bench instructions` counts each case of `cases` in a valgrind of its own and holds it against
//! `benches/instructions.toml`; more than 5 % above it fails. `UPDATE_INSTRUCTIONS=1` writes the file anew: a change that costs more
//! on purpose carries it, and says why. `-- NAME` counts the cases whose names contain it. Without `--bench` (as `cargo test` calls it)
//! each case runs once and nothing is counted.

#![expect(clippy::print_stdout, reason = "a bench says what it found")]
#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up has nothing to measure")]

mod baseline;

mod callgrind;

mod cases;

#[path = "../support/aircraft.rs"]
mod aircraft;

#[path = "../support/messages.rs"]
mod messages;

#[path = "../support/past.rs"]
mod past;

#[path = "../../tests/support/scene.rs"]
mod scene;

#[path = "../support/wishes.rs"]
mod wishes;

use std::process::ExitCode;

use baseline::Baseline;
use baseline::Environment;
use baseline::Verdict;
use cases::CASES;
use cases::Case;

/// A count may grow by this share; from run to run it differs by some hundredths of a percent (foldhash's seed).
const GROWTH_MAX: f64 = 0.05;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let counts = arguments.iter().any(|it| it == "--bench");
    let mut names = arguments.iter().filter(|it| !it.starts_with("--"));
    if arguments.first().is_some_and(|it| it == callgrind::CASE) {
        let name = arguments.get(1).expect("callgrind names the case");
        let case = CASES.iter().find(|it| it.name == name).expect("callgrind names a case");
        (case.run)();
        return ExitCode::SUCCESS;
    }
    let wanted = names.next().cloned().unwrap_or_default();
    let cases: Vec<&Case> = CASES.iter().filter(|it| it.name.contains(&wanted)).collect();
    if counts { count(&cases) } else { try_out(&cases) }
}

/// Runs each once, so that none can rot; says so in criterion's words.
fn try_out(cases: &[&Case]) -> ExitCode {
    for case in cases {
        println!("Testing instructions/{}", case.name);
        (case.run)();
        println!("Success\n");
    }
    ExitCode::SUCCESS
}

fn count(cases: &[&Case]) -> ExitCode {
    let environment = match Environment::here() {
        Ok(environment) => environment,
        Err(why) => {
            println!("instructions: {why}");
            return ExitCode::FAILURE;
        }
    };
    let counted = match callgrind::count(cases) {
        Ok(counted) => counted,
        Err(why) => {
            println!("instructions: {why}");
            return ExitCode::FAILURE;
        }
    };
    let whole = cases.len() == CASES.len();
    if baseline::is_to_be_written() {
        let before = Baseline::read().unwrap_or_default();
        let new = Baseline::renewed(before, environment, &counted, whole);
        new.write().expect("the baseline can be written");
        println!("instructions: {} counts written to {}", counted.len(), baseline::PATH);
        return ExitCode::SUCCESS;
    }
    let baseline = match Baseline::read() {
        Ok(read) => read,
        Err(why) => {
            println!("instructions: {why}");
            return ExitCode::FAILURE;
        }
    };
    match baseline.judge(&environment, &counted, whole, GROWTH_MAX) {
        Verdict::Kept(lines) => {
            println!("{lines}\ninstructions: {} counts within 5 %", counted.len());
            ExitCode::SUCCESS
        }
        Verdict::Elsewhere(lines) => {
            println!("{lines}");
            ExitCode::SUCCESS
        }
        Verdict::Broken(lines) => {
            println!("{lines}");
            ExitCode::FAILURE
        }
    }
}
