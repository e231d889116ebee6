//! A session: kept after each run, gone on with, rendered again, put into a page; and a subject that is not there.

#![expect(
    clippy::disallowed_methods,
    reason = "a process ends when it ends, and a test does not wait for ever"
)]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

const SCENARIO: &str = "title = \"t\"\nsubscribers = 20\nseconds = 0.2\nwarmup_seconds = 0.0\nsubjects = [\"floor\", \"bun\"]";

fn folder(name: &str) -> PathBuf {
    let out = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    if out.exists() {
        std::fs::remove_dir_all(&out).expect("what an earlier test run left can go");
    }
    std::fs::create_dir_all(out.join("scenarios")).expect("the test's directory can be made");
    std::fs::write(out.join("scenarios/trial.toml"), SCENARIO).expect("it can be written");
    out
}

fn tool(out: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_fanwire-load"))
        .args(arguments)
        .arg("--out")
        .arg(out)
        .output()
        .expect("the tool can be started")
}

fn report_all(out: &Path, more: &[&str]) -> Output {
    let scenarios = out.join("scenarios").display().to_string();
    let mut arguments =
        vec!["report-all", "--no-pin", "--rounds", "2", "--bun-bin", "/nowhere/bun"];
    arguments.extend(["--scenarios", &scenarios]);
    arguments.extend(more);
    tool(out, &arguments)
}

fn results(out: &Path) -> serde_json::Value {
    let bytes = std::fs::read(out.join("results.json")).expect("there are results");
    serde_json::from_slice(&bytes).expect("results are JSON")
}

fn count(results: &serde_json::Value, member: &str) -> usize {
    results[member].as_array().map_or(0, Vec::len)
}

#[test]
fn a_rival_that_is_not_there_is_told_and_stops_nothing() {
    let out = folder("absent");
    let output = report_all(&out, &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(table.contains("- bun failed in 2 runs: /nowhere/bun took no connection"), "{table}");
    assert!(table.contains("| floor | 1.00 |"), "{table}");
    assert!(table.contains("cannot start /nowhere/bun: No such file"), "{table}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("4 runs, about "), "{said}");
    assert!(said.contains("[4/4, 0 s left] "), "{said}");
    let page = std::fs::read_to_string(out.join("report.html")).expect("there is a page");
    assert!(page.contains("cannot start /nowhere/bun"));
}

#[test]
fn a_session_goes_on_where_it_was_ended() {
    let out = folder("resumed");
    assert!(report_all(&out, &[]).status.success());
    let mut whole = results(&out);
    assert_eq!((count(&whole, "outcomes"), count(&whole, "failures")), (2, 2));
    // As if the machine had gone after the first run.
    let first = whole["outcomes"][0].clone();
    whole["outcomes"].as_array_mut().expect("it is a list").truncate(1);
    whole["failures"] = serde_json::json!([]);
    std::fs::write(out.join("results.json"), whole.to_string()).expect("it can be written");
    let output = report_all(&out, &["--resume"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let resumed = results(&out);
    assert_eq!((count(&resumed, "outcomes"), count(&resumed, "failures")), (2, 2));
    assert_eq!(resumed["outcomes"][0], first, "what was measured is not measured again");
    assert_eq!(resumed["outcomes"][1]["round"], 2);
}

#[test]
fn a_subject_does_not_outlive_a_session_that_is_killed() {
    let out = folder("killed");
    let (program, told) = (out.join("bun.sh"), out.join("pid"));
    // It says its number once it is there, and never listens.
    let script =
        format!("#!/bin/sh\necho $$ > {0}.new && mv {0}.new {0}\nexec sleep 600\n", told.display());
    std::fs::write(&program, script).expect("it can be written");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
    let mut session = Command::new(env!("CARGO_BIN_EXE_fanwire-load"))
        .args(["run", "--subject", "bun", "--rounds", "1", "--no-pin", "--out"])
        .args([&out, &PathBuf::from("--bun-bin"), &program, &out.join("scenarios/trial.toml")])
        .stderr(Stdio::null())
        .spawn()
        .expect("the tool can be started");
    wait_until("the subject is there", || told.exists());
    let pid = std::fs::read_to_string(&told).expect("it has said its number");
    let stat = PathBuf::from(format!("/proc/{}/stat", pid.trim()));
    // Where nobody collects it, it stays as a zombie.
    let is_gone = || std::fs::read_to_string(&stat).map_or(true, |it| it.contains(") Z "));
    assert!(!is_gone());
    session.kill().expect("it runs");
    session.wait().expect("it has ended");
    wait_until("the subject is gone", is_gone);
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(30), "waited in vain until {what}");
        std::thread::yield_now();
    }
}

#[test]
fn a_page_is_filled_between_its_markers() {
    let out = folder("rendered");
    assert!(report_all(&out, &[]).status.success());
    let page = out.join("PERFORMANCE.md");
    let docs = out.display().to_string();
    std::fs::write(&page, "# Mine\n").expect("it can be written");
    let refused = tool(&out, &["render", "--docs", &docs]);
    assert!(!refused.status.success(), "a page without markers is left alone");
    let repository = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/PERFORMANCE.md");
    std::fs::copy(repository, &page).expect("the repository's page has the markers");
    let output = tool(&out, &["render", "--docs", &docs]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = std::fs::read_to_string(&page).expect("it is still there");
    assert!(text.starts_with("# Performance\n") && text.contains("## To repeat it"));
    assert!(text.contains("| floor | 1.00 |"), "{text}");
    assert!(text.contains("](performance/trial-cpu.svg)"), "{text}");
    let picture = std::fs::read_to_string(out.join("performance/trial-cpu.svg"));
    assert!(picture.expect("the picture is there").starts_with("<svg xmlns="));
}
