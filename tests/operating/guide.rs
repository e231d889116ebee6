//! `docs/OPERATING.md`, as a reader would type it: every block of commands, in order, in an empty folder.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use rustix::process::Pid;
use rustix::process::Signal;
use rustix::process::kill_process;

use crate::scene::file;

/// The blocks of commands.
fn blocks(page: &str) -> Vec<String> {
    let parts = page.split("\n```sh\n").skip(1);
    parts.map(|part| part.split("\n```").next().unwrap().to_owned()).collect()
}

/// A folder that is removed, with the server that was started in it.
struct Folder(std::path::PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let pid = fs::read_to_string(self.0.join("fanwire.pid")).unwrap_or_default();
        if let Some(pid) = pid.trim().parse().ok().and_then(Pid::from_raw) {
            // It has ended, if all went well.
            kill_process(pid, Signal::KILL).ok();
        }
        fs::remove_dir_all(&self.0).unwrap();
    }
}

/// Types what stands on a page, in an empty folder, with a free port in place of this one: what is said on standard output.
fn typed(name: &str, page: &str, port: &str) -> String {
    let blocks = blocks(&fs::read_to_string(file(page)).unwrap());
    assert!(!blocks.is_empty(), "the page was not understood");
    let folder = std::env::temp_dir().join(format!("fanwire-{name}-{}", std::process::id()));
    let folder = Folder(folder);
    fs::create_dir_all(&folder.0).unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let script = format!("set -eu\n{}\n", blocks.join("\n")).replace(port, &free.to_string());
    // A host of a test need not hold as many as one that serves.
    let script = script.replace("connections_max = 12000", "connections_max = 200");
    let script = script.replace("1073741824", "268435456");
    // Who subscribes comes back for ever: not beyond the test, whatever becomes of it.
    let script = script.replace("\nfanwire subscribe", "\ntimeout 300 fanwire subscribe");
    let program = Path::new(env!("CARGO_BIN_EXE_fanwire")).parent().unwrap();
    // Files, not pipes: a server that were left over would keep those open, and the test waiting.
    let (said, wrong) = (folder.0.join("said.txt"), folder.0.join("wrong.txt"));
    let status = Command::new("bash")
        .arg("-c")
        .arg(format!("export PATH={}:$PATH\n{script}", program.display()))
        .current_dir(&folder.0)
        .stdout(fs::File::create(&said).unwrap())
        .stderr(fs::File::create(&wrong).unwrap())
        .status()
        .unwrap();
    let said = fs::read_to_string(said).unwrap();
    let wrong = fs::read_to_string(wrong).unwrap();
    let log = fs::read_to_string(folder.0.join("fanwire.log")).unwrap_or_default();
    assert!(status.success(), "{page}: {said}\n{wrong}\n{log}");
    said
}

fn assert_said(said: &str, expected: &[&str]) {
    for expected in expected {
        assert!(said.contains(expected), "{expected}: {said}");
    }
}

#[test]
fn every_command_of_the_guide_does_what_it_says() {
    let said = typed("guide", "docs/OPERATING.md", "8443");
    assert_said(
        &said,
        &[
            "{\"status\":\"ready\"}",
            "fanwire_events_total 2",
            "\"verdict\":\"sent\"",
            "\"topic\":\"fleet/north\"",
            "roles.viewer.subscribe",
            "SLOWEST",
        ],
    );
}

#[test]
fn every_command_about_sources_does_what_it_says() {
    let said = typed("sources", "docs/sources/README.md", "8080");
    assert_said(
        &said,
        &[
            r#"{"topic":"fleet/north","key":"v1","op":"upsert","payload":{"vehicle":{"id":"v1","team":"north"},"speed":42,"at":1758890800}}"#,
            r#"{"dropped":1}"#,
            "{\"status\":\"ready\"}",
            "\"topic\":\"fleet/none\"",
            "fanwire_source_events_total{source=\"fleet\",kind=\"file\"} 2",
        ],
    );
    let said = typed("stdin", "docs/sources/stdin.md", "8080");
    assert_said(
        &said,
        &[r#"{"topic":"ticks/a","key":"a","op":"upsert","payload":{"symbol":"a","price":3}}"#],
    );
}

/// Commands that the page names within its sentences and tables.
fn named(page: &str) -> Vec<Vec<String>> {
    let outside: String = page
        .split("\n```")
        .enumerate()
        .filter_map(|(place, part)| place.is_multiple_of(2).then_some(part))
        .collect();
    let quoted = outside.split('`').enumerate().filter(|(place, _)| !place.is_multiple_of(2));
    let own = quoted.filter_map(|(_, text)| text.strip_prefix("fanwire "));
    own.map(|text| text.split_whitespace().map(str::to_owned).collect()).collect()
}

#[test]
fn every_command_that_a_sentence_names_exists_as_it_is_written() {
    let page = fs::read_to_string(file("docs/OPERATING.md")).unwrap();
    let commands = named(&page);
    assert!(commands.len() >= 10, "the page was not understood: {commands:?}");
    for command in commands {
        // Which is told after all that stands before it was understood.
        let mut fanwire = Command::new(env!("CARGO_BIN_EXE_fanwire"));
        let output = fanwire.args(&command).arg("--help").output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{command:?}: {said}");
    }
}
