//! What the start's sum says of a server to which nobody is connected is what the process takes.
//!
//! The command itself is started and its resident memory read, for what a process takes besides its own allocations (code, stacks, what the allocator
//! begins with) is seen nowhere else. Linux alone says it; the machine may be as busy as it likes.

use std::fs;
use std::io::BufRead;
use std::io::BufReader;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::thread;

use fanwire::limits::PROCESS_BYTES;
use fanwire::limits::SHARD_BYTES;

/// Bytes that are resident of the command's own file in a release build: code and constants. A build with checks has more, which does not count.
const FILE_BYTES: u64 = 5 << 20;

/// Bytes that are resident of a release build with one shard to which nobody is connected.
const RESIDENT_BYTES_MAX: u64 = 7_000_000;
/// Bytes of code that only the start has needed, at least, in any build.
const START_BYTES_MIN: u64 = 2_000_000;
/// How often it is looked whether the command has given them back: at some 50 us a time, most of a minute.
const LOOKS_MAX: usize = 1_000_000;

/// A server that is ended whatever becomes of the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().expect("it has not ended by itself");
        self.0.wait().expect("who was killed ends");
    }
}

/// Bytes that are resident of a process, and those of them that are of the command's own file, at one moment.
fn resident_of(process: u32) -> (u64, u64) {
    let maps = fs::read_to_string(format!("/proc/{process}/smaps")).unwrap();
    let mut is_of_file = false;
    let (mut all, mut of_file) = (0, 0);
    for line in maps.lines() {
        match line.split_once(':') {
            Some(("Rss", of_mapping)) => {
                let kib = of_mapping.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap();
                all += kib * 1024;
                of_file += if is_of_file { kib * 1024 } else { 0 };
            }
            // The line of a mapping itself: its range, rights, offset, device, node and file.
            _ if line.split_ascii_whitespace().next().is_some_and(|word| word.contains('-')) => {
                is_of_file = line.ends_with(env!("CARGO_BIN_EXE_fanwire"));
            }
            _ => {}
        }
    }
    assert!(of_file > 0, "its code is resident");
    (all, of_file)
}

/// A server with so many shards, started as a user starts one, which listens.
fn started(shards: u64) -> Server {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fanwire"));
    command.args(["serve", "--listen", "127.0.0.1:0"]);
    command.args(["--shards", &shards.to_string()]).stderr(Stdio::piped());
    let mut server = Server(command.spawn().unwrap());
    let log = BufReader::new(server.0.stderr.take().unwrap());
    let is_ready = log.lines().map_while(Result::ok).any(|line| line.contains("at worst"));
    assert!(is_ready, "the server starts");
    server
}

/// What the kernel says of a process: a line of its status, in bytes.
fn status_of(server: &Server, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.0.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}

/// Bytes that are resident of a server with so many shards, but for what checks add to its file.
fn resident_bytes(shards: u64) -> u64 {
    let server = started(shards);
    let (resident, file) = resident_of(server.0.id());
    if cfg!(debug_assertions) { resident - file.saturating_sub(FILE_BYTES) } else { resident }
}

#[test]
fn a_process_at_rest_takes_what_the_sum_says() {
    for shards in [1, 2, 8] {
        let resident = resident_bytes(shards);
        let counted = PROCESS_BYTES + shards * SHARD_BYTES;
        assert!(
            resident * 4 <= counted * 5 && counted <= resident * 2,
            "{shards} shards: {resident} bytes, {counted} counted"
        );
    }
}

/// A build with checks has several times as much code, so that of it only the difference is looked at.
#[test]
fn what_only_the_start_has_needed_is_given_back() {
    let server = started(1);
    let is_given_back = |_| {
        thread::yield_now();
        status_of(&server, "VmRSS:") + START_BYTES_MIN <= status_of(&server, "VmHWM:")
    };
    assert!((0..LOOKS_MAX).any(is_given_back), "nothing is given back");
    let resident = status_of(&server, "VmRSS:");
    assert!(cfg!(debug_assertions) || resident <= RESIDENT_BYTES_MAX, "{resident} bytes");
    let smaps = fs::read_to_string(format!("/proc/{}/smaps", server.0.id())).unwrap();
    let huge = smaps.lines().filter_map(|line| line.strip_prefix("AnonHugePages:"));
    assert!(huge.map(str::trim).all(|bytes| bytes == "0 kB"), "{smaps}");
}
