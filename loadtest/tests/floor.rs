//! The tool against its own floor: every subscriber hears every event, once, in order.

use std::path::PathBuf;
use std::process::Command;

fn results(name: &str, scenario: &str) -> serde_json::Value {
    let out = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&out).expect("the test's directory can be made");
    let file = out.join("trial.toml");
    std::fs::write(&file, scenario).expect("the scenario can be written");
    let status = Command::new(env!("CARGO_BIN_EXE_fanwire-load"))
        .args(["run", "--subject", "floor", "--rounds", "1", "--no-pin", "--out"])
        .args([&out, &file])
        .status()
        .expect("the tool can be started");
    assert!(status.success(), "the run was not sound");
    let page = std::fs::read_to_string(out.join("report.html")).expect("there is a page");
    assert!(page.contains("<svg"));
    let bytes = std::fs::read(out.join("results.json")).expect("there are results");
    serde_json::from_slice::<serde_json::Value>(&bytes).expect("results are JSON")["outcomes"][0]
        .clone()
}

#[test]
fn two_hundred_subscribers_hear_everything() {
    let outcome = results(
        "broadcast",
        "title = \"t\"\nsubscribers = 200\nworkers = 2\nseconds = 1.0\nwarmup_seconds = 0.1\nburst = 2\nrate = { window = 4 }",
    );
    let events = outcome["events"].as_u64().unwrap();
    assert!(events > 0);
    assert_eq!(outcome["deliveries"].as_u64(), Some(events * 200));
    assert_eq!(outcome["faults"]["lost"], 0);
}

#[test]
fn topics_are_heard_by_their_members_only() {
    let outcome = results(
        "topics",
        "title = \"t\"\nsubscribers = 160\ntopics = 16\nmemberships = [1, 4]\nseconds = 0.5\nwarmup_seconds = 0.0\n\
         rate = { per_second = 200.0 }",
    );
    assert_eq!(outcome["events"], 100);
    assert_eq!(outcome["faults"]["foreign"], 0);
    assert_eq!(outcome["faults"]["lost"], 0);
}
