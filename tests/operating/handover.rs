//! A server that is replaced while clients come: nobody is refused, and what is kept passes on.

use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::process::Child;
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::process::Pid;
use rustix::process::Signal;
use rustix::process::kill_process;
use serde_json::json;

use crate::commands::Process;
use crate::socket::Client;

/// One connection and one answer; an error is how it failed.
fn ask_once(address: SocketAddr) -> Result<(), String> {
    let mut socket = TcpStream::connect(address).map_err(|error| format!("connect: {error}"))?;
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let request = b"GET /healthz HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n";
    socket.write_all(request).map_err(|error| format!("write: {error}"))?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).map_err(|error| format!("read: {error}"))?;
    if answer.starts_with("HTTP/1.1 200 ") { Ok(()) } else { Err(answer) }
}

/// Ends the server that has taken over, and waits until its log is over.
fn end(process: &mut Process, successor: u32) {
    let pid = Pid::from_raw(i32::try_from(successor).unwrap()).unwrap();
    process.successor = None;
    kill_process(pid, Signal::TERM).unwrap();
    let rest = process.rest_of_log();
    assert!(rest.contains("stopped"), "{rest}");
}

/// Has the server replaced; which process it is now.
fn upgrade(process: &mut Process) -> u32 {
    let told = process.admin(&["upgrade"]).unwrap();
    let successor = u32::try_from(told[0]["process"].as_u64().unwrap()).unwrap();
    process.successor = Some(successor);
    assert!(process.wait().success());
    successor
}

/// Says that it is over when it is dropped.
struct Calm<'a>(&'a AtomicBool);

impl Drop for Calm<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn nobody_is_refused_while_a_server_is_replaced() {
    for tables in ["shared", "own"] {
        let text = format!("fd_tables = '{tables}'\npeat.listen = '127.0.0.1:0'\n");
        let mut process = Process::start(&format!("storm-{tables}"), &text, &[]);
        let address: SocketAddr = process.address.parse().unwrap();
        let mut client = Client::open(address, "/v1/ws", "").unwrap();
        client.hear();
        let is_over = AtomicBool::new(false);
        let (asked, successor) = std::thread::scope(|scope| {
            let storm = || {
                let mut asked = 0;
                while !is_over.load(Ordering::Relaxed) {
                    ask_once(address).unwrap_or_else(|how| panic!("{tables}, {asked}: {how}"));
                    asked += 1;
                }
                asked
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(storm)).collect();
            // Whatever becomes of this, the storm ends.
            let calm = Calm(&is_over);
            let successor = upgrade(&mut process);
            // The successor alone answers for a while.
            (0..50).for_each(|_| ask_once(address).unwrap());
            drop(calm);
            let asked: u32 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
            (asked, successor)
        });
        assert!(asked > 50, "that was no storm: {asked}");
        assert_eq!(client.hear()["type"], "reconnect", "who was connected is told to come back");
        // And once more: what was inherited is handed on.
        let pid = Pid::from_raw(i32::try_from(successor).unwrap()).unwrap();
        let told = process.admin(&["upgrade"]).unwrap();
        let last = u32::try_from(told[0]["process"].as_u64().unwrap()).unwrap();
        process.successor = Some(last);
        assert_ne!(last, successor);
        while rustix::process::test_kill_process(pid).is_ok() && !is_dead(successor) {
            ask_once(address).unwrap();
        }
        ask_once(address).unwrap();
        end(&mut process, last);
        // With the last of them the port is free: nobody has kept a copy of its sockets.
        assert!(TcpStream::connect(address).is_err(), "somebody still listens");
    }
}

/// Whether a process has ended, and only its parent has not looked.
fn is_dead(process: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.is_empty() || stat.contains(") Z ")
}

#[test]
fn the_data_folder_passes_on_with_everything_in_it() {
    let mut process = Process::start(
        "folder",
        "data_dir = '@/data'\n[[history.durable]]\ntopics = ['kept/*']\n",
        &[],
    );
    let address: SocketAddr = process.address.parse().unwrap();
    let placed = process.admin(&["publish", "kept/a", "{\"n\":1}"]).unwrap();
    assert_eq!(placed[0]["offset"], 1);
    let successor = upgrade(&mut process);
    let placed = process.admin(&["publish", "kept/a", "{\"n\":2}"]).unwrap();
    assert_eq!(placed[0]["offset"], 2, "offsets go on");
    let mut client = Client::open(address, "/v1/ws", "").unwrap();
    client.hear();
    client.say(&json!({"type": "subscribe", "id": "s", "topics": ["kept/a"], "since": "earliest"}));
    assert_eq!(client.hear()["type"], "subscribed");
    for number in 1..=2 {
        assert_eq!(client.hear()["payload"]["n"], number);
    }
    drop(client);
    end(&mut process, successor);
}

#[test]
fn a_server_that_is_started_to_take_over_does_so_without_refusing_anybody() {
    let mut process = Process::start("over", "peat.listen = ['127.0.0.1:0', '127.0.0.1:0']\n", &[]);
    let address: SocketAddr = process.address.parse().unwrap();
    let mut client = Client::open(address, "/v1/ws", "").unwrap();
    client.hear();
    let is_over = AtomicBool::new(false);
    let mut next = std::thread::scope(|scope| {
        let storm = || {
            while !is_over.load(Ordering::Relaxed) {
                ask_once(address).unwrap_or_else(|how| panic!("{how}"));
            }
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(storm)).collect();
        let mut command = Command::new(env!("CARGO_BIN_EXE_fanwire"));
        let command = command.args(["serve", "--upgrade", "--listen", &process.address]);
        let next = command.arg("--config").arg(process.folder.join("fanwire.toml")).spawn();
        let next = Ended(next.unwrap());
        assert!(process.wait().success(), "the former one has ended");
        (0..50).for_each(|_| ask_once(address).unwrap());
        is_over.store(true, Ordering::Relaxed);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        next
    });
    assert_eq!(client.hear()["type"], "reconnect", "who was connected is told to come back");
    kill_process(Pid::from_child(&next.0), Signal::TERM).unwrap();
    assert!(next.0.wait().unwrap().success());
    assert!(TcpStream::connect(address).is_err(), "somebody still listens");
}

/// A process that is ended with its test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            self.0.kill().unwrap();
            self.0.wait().unwrap();
        }
    }
}

#[test]
fn nobody_is_taken_over_from_who_is_not_there() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_fanwire"));
    let output =
        command.args(["serve", "--upgrade", "--listen", &free.to_string()]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains(&format!("no server of this user runs with `listen` = \"{free}\"")),
        "{said}"
    );
}

#[test]
fn a_successor_that_cannot_start_changes_nothing() {
    let mut process = Process::start("fails", "subscriptions_max = 9\n", &[]);
    let address: SocketAddr = process.address.parse().unwrap();
    let mut client = Client::open(address, "/v1/ws", "").unwrap();
    client.hear();
    process.rewrite("subscriptions_max = 9", "subscriptions_max = 'many'");
    let error = process.admin(&["upgrade"]).unwrap_err();
    assert!(error.contains("409") && error.contains("exit status: 2"), "{error}");
    assert!(process.until_logged("subscriptions_max").contains("fanwire.toml"));
    client.subscribe("a");
    ask_once(address).unwrap();
    process.rewrite("subscriptions_max = 'many'", "subscriptions_max = 7");
    let successor = upgrade(&mut process);
    ask_once(address).unwrap();
    end(&mut process, successor);
}
