//! What a service manager is told, as systemd would hear it.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Pid;
use rustix::process::Signal;
use rustix::process::kill_process;

/// A server under a service manager, ended with its test.
struct Service {
    manager: UnixDatagram,
    child: Child,
    folder: std::path::PathBuf,
}

impl Service {
    /// Without a file for its socket, as systemd names it with `@`.
    fn start(name: &str, watchdog: &[(&str, &str)]) -> Self {
        let own = format!("fanwire-supervised-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(&own);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("fanwire.toml"), "listen = '127.0.0.1:0'\nshards = 2\n")
            .unwrap();
        let address = SocketAddr::from_abstract_name(&own).unwrap();
        let manager = UnixDatagram::bind_addr(&address).unwrap();
        manager.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_fanwire"));
        let command = command.args(["serve", "--config", "fanwire.toml"]).current_dir(&folder);
        let command =
            command.env("NOTIFY_SOCKET", format!("@{own}")).envs(watchdog.iter().copied());
        let child = command.stderr(Stdio::null()).spawn().unwrap();
        Self { manager, child, folder }
    }

    fn hear(&self) -> String {
        let mut buffer = [0; 4096];
        let length = self.manager.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
        }
        std::fs::remove_dir_all(&self.folder).unwrap();
    }
}

#[test]
fn a_service_manager_hears_what_becomes_of_the_server() {
    let mut service = Service::start("words", &[]);
    assert_eq!(service.hear(), "READY=1");
    service.signal(Signal::HUP);
    let reloading = service.hear();
    let (word, since) = reloading.split_once("\nMONOTONIC_USEC=").unwrap();
    assert_eq!(word, "RELOADING=1");
    assert!(since.parse::<u64>().unwrap() > 0);
    assert_eq!(service.hear(), "READY=1");
    // What cannot be read anew ends with being as ready as before.
    std::fs::write(service.folder.join("fanwire.toml"), "shards = 'many'\n").unwrap();
    service.signal(Signal::HUP);
    assert!(service.hear().starts_with("RELOADING=1"));
    assert_eq!(service.hear(), "READY=1");
    // Who goes on is said before this process ends.
    std::fs::write(service.folder.join("fanwire.toml"), "listen = '127.0.0.1:0'\nshards = 2\n")
        .unwrap();
    service.signal(Signal::USR2);
    // Of two processes, so in any order.
    let mut both = [service.hear(), service.hear()];
    both.sort_unstable();
    let [goes_on, ready] = both;
    let process: i32 = goes_on.strip_prefix("MAINPID=").unwrap().parse().unwrap();
    assert_eq!(ready, "READY=1", "the other process is");
    assert!(service.child.wait().unwrap().success());
    kill_process(Pid::from_raw(process).unwrap(), Signal::TERM).unwrap();
    assert_eq!(service.hear(), "STOPPING=1");
}

#[test]
fn it_is_told_that_the_server_lives_as_often_as_it_wants() {
    let mut service = Service::start("lives", &[("WATCHDOG_USEC", "500000")]);
    let mut heard: Vec<String> = (0..4).map(|_| service.hear()).collect();
    heard.sort_unstable();
    assert_eq!(heard, ["READY=1", "WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1"]);
    service.signal(Signal::TERM);
    while service.hear() != "STOPPING=1" {}
    assert!(service.child.wait().unwrap().success());
    // Meant for another process: nothing of it is said.
    let other = Service::start("other", &[("WATCHDOG_USEC", "1000"), ("WATCHDOG_PID", "1")]);
    assert_eq!(other.hear(), "READY=1");
    other.signal(Signal::TERM);
    assert_eq!(other.hear(), "STOPPING=1");
}
