//! The commands: a demo that keeps its history is killed under load, and a subscriber with a position file shows every event exactly once; what it kept is played back.

use std::fs;
use std::fs::File;
use std::io::BufRead;
use std::io::BufReader;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::mpsc;
use std::sync::mpsc::RecvTimeoutError;
use std::thread;
use std::time::Duration;

use rustix::process::Pid;
use rustix::process::Signal;
use rustix::process::kill_process;
use serde_json::Value;

/// How long anything may take that only a broken server takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process that goes when the test does.
struct Running(Child);

impl Running {
    /// Waits until it ends by itself.
    fn finish(&mut self) {
        let pid = Pid::from_child(&self.0);
        let (ended, watched) = mpsc::channel::<()>();
        let status = thread::scope(|scope| {
            scope.spawn(move || {
                if watched.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                    // Only a broken server is waited for so long.
                    kill_process(pid, Signal::KILL).unwrap_or_default();
                }
            });
            let status = self.0.wait().unwrap();
            drop(ended);
            status
        });
        assert!(status.success(), "{status}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            self.0.kill().unwrap();
        }
        self.0.wait().unwrap();
    }
}

/// A demo, and the address that it says it has.
fn demo(listen: &str, folder: &Path) -> (Running, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_fanwire"))
        .args(["demo", "--durable", "--vehicles", "400", "--listen", listen, "--data-dir"])
        .arg(folder)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.as_mut().unwrap()).lines();
    let address = lines.find_map(|line| {
        let line = line.unwrap();
        let at = line.split_once("Open      http://")?.1;
        Some(at.trim_end_matches('/').to_owned())
    });
    (Running(child), address.expect("it says where it is"))
}

fn subscribe(address: &str, out: &Path, switches: &[&str]) -> Running {
    let out = File::options().create(true).append(true).open(out).unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_fanwire"))
        .args(["subscribe", "--topic", "demo/fleet", "--url", &format!("http://{address}")])
        .args(switches)
        .stdout(out)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    Running(child)
}

/// Offsets of the events that were printed, in order; a line in part is none.
fn offsets(out: &Path) -> Vec<u64> {
    let text = fs::read_to_string(out).unwrap_or_default();
    let whole = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    whole
        .map(|line| {
            assert_eq!(line["type"], "event", "{line}");
            line["offset"].as_u64().unwrap()
        })
        .collect()
}

#[test]
fn a_demo_that_is_killed_goes_on_and_its_past_is_played_back() {
    let place = std::env::temp_dir().join(format!("fanwire-demo-{}", std::process::id()));
    drop(fs::remove_dir_all(&place));
    fs::create_dir_all(&place).unwrap();
    let file = |name: &str| -> PathBuf { place.join(name) };
    let (folder, out, position) = (file("data"), file("out"), file("position"));
    let keep = ["--since", "earliest", "--position-file", position.to_str().unwrap()];

    let (first, address) = demo("127.0.0.1:0", &folder);
    let mut reader = subscribe(&address, &out, &keep);
    let watched = file("watched");
    subscribe(&address, &watched, &["--since", "earliest", "--count", "800"]).finish();
    // Both are killed, the server first.
    drop(first);
    reader.0.kill().unwrap();
    reader.0.wait().unwrap();
    let before = offsets(&out).len();
    let (second, _) = demo(&address, &folder);
    subscribe(&address, &out, &[&keep[..], &["--count", "1500"]].concat()).finish();
    let told = offsets(&out);
    let expected: Vec<u64> = (1..).take(told.len()).collect();
    assert_eq!(told, expected, "every event exactly once");
    assert_eq!(told.len(), before + 1_500, "those of before among them");

    // The past at a thousand times its pace, up to what was said by now.
    let (played, count) = (file("played"), told.len().to_string());
    let switches = ["--since", "earliest", "--speed", "1000", "--count", &count];
    subscribe(&address, &played, &switches).finish();
    assert_eq!(offsets(&played), expected, "all of the past, each once");
    drop(second);
    fs::remove_dir_all(&place).unwrap();
}
