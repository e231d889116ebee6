//! A server in this process that stops when its test ends, and tools that may be there.

use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;

use fanwire::config::Config;
use fanwire::server::Running;
use fanwire::server::Server;
use fanwire::shard::Port;

use crate::socket::ask;

const BASE: &str = "listen = '127.0.0.1:0'\nshards = 2\npin = false\nconnections_max = 1000\n";

/// A server, and a folder that goes with it.
pub(crate) struct Scene {
    pub(crate) running: Option<Running>,
    folder: PathBuf,
}

impl Scene {
    /// `@` in the text is the folder.
    pub(crate) fn new(text: &str) -> Self {
        Self::with_file("unused", "", text)
    }

    /// With a file in the folder.
    pub(crate) fn with_file(name: &str, content: &str, text: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder =
            std::env::temp_dir().join(format!("fanwire-operating-{}-{count}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(name), content).unwrap();
        let running = Server::start(&config(text, &folder)).unwrap();
        Self { running: Some(running), folder }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.running.as_ref().expect("it runs until it is dropped").address()
    }

    /// Where a dialect has a listener of its own.
    pub(crate) fn address_of(&self, key: &'static str) -> SocketAddr {
        let running = self.running.as_ref().expect("it runs until it is dropped");
        running.address_of(Port::Own(key)).unwrap()
    }

    /// The figures, as Prometheus reads them.
    pub(crate) fn figures(&self) -> String {
        let answer = ask(self.address(), "GET /metrics", "", "");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        body.to_owned()
    }
}

fn config(text: &str, folder: &Path) -> Config {
    let text = format!("{BASE}{text}").replace('@', folder.to_str().unwrap());
    Config::parse(&text, Path::new("fanwire.toml")).unwrap()
}

impl Drop for Scene {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.stop();
            let _cut_off = running.join();
        }
        std::fs::remove_dir_all(&self.folder).unwrap();
    }
}

/// A program that may be in the path; `None`: it is not here, and that is said.
pub(crate) fn tool(name: &str) -> Option<Command> {
    let is_here = Command::new(name).arg("--version").output().is_ok();
    if !is_here {
        eprintln!("not tried: there is no {name}");
    }
    is_here.then(|| Command::new(name))
}

/// A file of this repository.
pub(crate) fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
