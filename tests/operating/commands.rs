//! The commands of an operator against a server that runs as a process of its own.

use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::path::PathBuf;
use std::process::Child;
use std::process::ChildStderr;
use std::process::Command;
use std::process::ExitStatus;
use std::process::Stdio;

use rustix::process::Pid;
use rustix::process::Signal;
use rustix::process::kill_process;
use serde_json::Value;
use serde_json::json;

use crate::socket::Client;
use crate::socket::Heard;

const SECRET: &str = "another operator's secret, thirty-two bytes or more";

/// A server of its own, killed if its test fails.
pub(crate) struct Process {
    child: Child,
    log: BufReader<ChildStderr>,
    pub(crate) address: String,
    pub(crate) folder: PathBuf,
    /// The process that has taken over, until it was ended.
    pub(crate) successor: Option<u32>,
}

impl Process {
    pub(crate) fn start(name: &str, text: &str, arguments: &[&str]) -> Self {
        let folder =
            std::env::temp_dir().join(format!("fanwire-commands-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("secret"), SECRET).unwrap();
        let config = folder.join("fanwire.toml");
        let secret = folder.join("secret");
        let base = format!(
            "listen = '127.0.0.1:0'\nshards = 2\nauth.admin_secret_file = '{}'\n",
            secret.display()
        );
        let text = (base + text).replace('@', folder.to_str().unwrap());
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_fanwire"));
        let command = command.arg("serve").arg("--config").arg(&config).args(arguments);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let address = loop {
            let mut line = String::new();
            assert_ne!(log.read_line(&mut line).unwrap(), 0, "it does not listen");
            if let Ok(json) = serde_json::from_str::<Value>(&line) {
                match json["address"].as_str() {
                    Some(address) => break address.to_owned(),
                    None => continue,
                }
            }
            if let Some((_, rest)) = line.split_once(" address=") {
                break rest.split(' ').next().unwrap().to_owned();
            }
        };
        Self { child, log, address, folder, successor: None }
    }

    pub(crate) fn rewrite(&self, from: &str, to: &str) {
        let path = self.folder.join("fanwire.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        std::fs::write(&path, text.replace(from, to)).unwrap();
    }

    /// Runs `fanwire admin`; what it prints, or what it says is wrong.
    pub(crate) fn admin(&self, arguments: &[&str]) -> Result<Vec<Value>, String> {
        let output = Command::new(env!("CARGO_BIN_EXE_fanwire"))
            .args(["admin", "--url", &format!("http://{}", self.address), "--secret-file"])
            .arg(self.folder.join("secret"))
            .args(arguments)
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        if !output.status.success() {
            return Err(said);
        }
        assert_eq!(said, "");
        let text = String::from_utf8(output.stdout).unwrap();
        Ok(text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| line.into()))
            .collect())
    }

    /// How the process ended.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    /// What is logged until everybody who logs there has ended.
    pub(crate) fn rest_of_log(&mut self) -> String {
        let mut rest = String::new();
        self.log.read_to_string(&mut rest).unwrap();
        rest
    }

    /// The next line of the log that contains this.
    pub(crate) fn until_logged(&mut self, what: &str) -> String {
        loop {
            let mut line = String::new();
            assert_ne!(self.log.read_line(&mut line).unwrap(), 0, "never logged: {what}");
            if line.contains(what) {
                return line;
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(pid) = self.successor.and_then(|pid| Pid::from_raw(pid.try_into().unwrap())) {
            kill_process(pid, Signal::KILL).unwrap();
        }
        if matches!(self.child.try_wait(), Ok(None)) {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
        }
        std::fs::remove_dir_all(&self.folder).unwrap();
    }
}

#[test]
fn each_command_does_what_it_says() {
    let mut process = Process::start("each", "subscriptions_max = 9\n", &[]);
    let mut client = Client::open(process.address.parse().unwrap(), "/v1/ws", "").unwrap();
    client.hear();
    client.subscribe("fleet/*");
    let placed = process.admin(&["publish", "fleet/a", "{\"n\":1}", "--key", "k"]).unwrap();
    assert_eq!(placed[0]["offset"], 1);
    assert_eq!(client.hear()["key"], "k");
    let topics = process.admin(&["topics"]).unwrap();
    assert_eq!(topics[0]["topic"], "fleet/a");
    let rows = process.admin(&["connections"]).unwrap();
    let row = rows.iter().find(|row| row["dialect"] == "native").unwrap();
    let name = row["connection"].as_str().unwrap();
    assert_eq!(process.admin(&["slowest"]).unwrap(), [Value::Null; 0]);
    let told = process.admin(&["explain", name, "fleet/a", "--offset", "1"]).unwrap();
    assert_eq!(told[0]["verdict"], "sent");
    let told = process.admin(&["explain", name, "ships", "--payload", "{}"]).unwrap();
    assert_eq!(told[0]["verdict"], "topic");
    assert_eq!(process.admin(&["revoke", "--user", "ada"]).unwrap(), [json!({"revoked": true})]);
    let page = process.admin(&["top", "--once"]).unwrap();
    let page: Vec<&str> = page.iter().filter_map(Value::as_str).collect();
    assert!(page.iter().any(|line| line.contains("(native 1)")), "{page:?}");

    process.rewrite("subscriptions_max = 9", "subscriptions_max = 5\ntopics_max = 1000");
    let told = process.admin(&["reload"]).unwrap();
    assert_eq!(told[0], json!({"changed": ["subscriptions_max"], "needs_restart": ["topics_max"]}));
    process.rewrite("subscriptions_max = 5", "subscriptions_max = 'many'");
    let error = process.admin(&["reload"]).unwrap_err();
    assert!(error.contains("409") && error.contains("fanwire.toml:4"), "{error}");

    let error = process.admin(&["log", "loud"]).unwrap_err();
    assert!(error.contains("\"loud\" is no level"), "{error}");
    process.admin(&["log", "warn,shard=debug"]).unwrap();
    std::fs::write(process.folder.join("secret"), "no").unwrap();
    let error = process.admin(&["topics"]).unwrap_err();
    assert!(error.contains("401"), "{error}");
    std::fs::write(process.folder.join("secret"), SECRET).unwrap();
    process.admin(&["disconnect", name, "--reason", "enough"]).unwrap();
    assert!(matches!(client.next(), Heard::Close(1008, reason) if reason == "enough"));

    let mut last = Client::open(process.address.parse().unwrap(), "/v1/ws", "").unwrap();
    last.hear();
    assert_eq!(process.admin(&["drain"]).unwrap(), [json!({"draining": true})]);
    assert_eq!(last.hear()["type"], "reconnect");
    drop((client, last));
    let mut rest = String::new();
    process.log.read_to_string(&mut rest).unwrap();
    assert!(process.child.wait().unwrap().success(), "{rest}");
}

#[test]
fn the_log_is_json_if_that_is_wanted_and_modules_have_levels_of_their_own() {
    let text = "log_format = 'json'\nlog = 'off,server=info'\n";
    let mut process = Process::start("json", text, &[]);
    let refused = || {
        let mut client = Client::open(process.address.parse().unwrap(), "/v1/ws", "").unwrap();
        client.hear();
        // A frame that no client may send.
        client.say_raw(&[0xff, 0x80, 0, 0, 0, 0]);
        assert!(matches!(client.next(), Heard::Close(1002, _)));
    };
    refused();
    process.admin(&["log", "shard::session=debug"]).unwrap();
    let line = {
        refused();
        process.until_logged("protocol violation")
    };
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&line["level"], &line["message"]), (&json!("DEBUG"), &json!("protocol violation")));
    assert_eq!(line["module"], "fanwire::shard::session::websocket");
    assert!(line["time"].as_str().unwrap().ends_with('Z') && line["conn"].is_u64(), "{line}");
    process.rewrite("off,server=info", "info,sever=debug");
    let error = process.admin(&["reload"]).unwrap_err();
    assert!(error.contains("there is no module") && error.contains("sever"), "{error}");
}
