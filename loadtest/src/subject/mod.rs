//! The subjects: servers that can be put under load, each in a small file of its own behind `Subject`.
//!
//! *To add one*: a file and a line in `ALL`. Invariant: a subject that was started is known by its process, so that what it
//! spends can be measured, and what differs from the others in how it is spoken to is all in its `Listen` and `Say`.

mod aedes;
mod axum;
mod bun;
mod fanwire;
mod floor;
mod mosquitto;
mod nats;
mod nchan;
mod url;

pub(crate) use url::Elsewhere;

use crate::clock;
use crate::crew;
use crate::crew::Crew;
use crate::crew::CrewError;
use crate::limits::START_NS_MAX;
use crate::scenario::Kind;
use crate::scenario::Scenario;
use crate::speech::Listen;
use crate::speech::Say;

use std::fmt;
use std::fs::File;
use std::io;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;

/// A server that can be put under load.
pub(crate) trait Subject: fmt::Debug + Sync {
    fn name(&self) -> &'static str;

    /// What it is, in half a sentence, for the report.
    fn about(&self) -> &'static str;

    /// Whether it can do what the scenario asks of it.
    fn can(&self, scenario: &Scenario) -> bool;

    fn start(&self, setting: &Setting<'_>, crew: &mut Crew) -> Result<Started, SubjectError>;
}

/// Every subject there is, the yardstick first.
pub(crate) const ALL: &[&dyn Subject] = &[
    &floor::Floor::OneByOne,
    &floor::Floor::Coalesced,
    &fanwire::Fanwire::Native,
    &fanwire::Fanwire::Epoll,
    &fanwire::Fanwire::Durable,
    &fanwire::Fanwire::Url,
    &fanwire::Fanwire::Sse,
    &fanwire::Fanwire::Peat,
    &fanwire::Fanwire::PeatSse,
    &fanwire::Fanwire::HyperBeam,
    &fanwire::Fanwire::Provisioning,
    &fanwire::Fanwire::Mqtt,
    &fanwire::Fanwire::MqttOnce,
    &bun::Bun,
    &nchan::Nchan,
    &nats::Nats,
    &mosquitto::Mosquitto::WebSocket,
    &mosquitto::Mosquitto::Mqtt,
    &mosquitto::Mosquitto::MqttOnce,
    &aedes::Aedes { qos: 0 },
    &aedes::Aedes { qos: 1 },
    &axum::Axum,
    &url::Url,
];

/// The subject of that name.
pub(crate) fn named(name: &str) -> Result<&'static dyn Subject, SubjectError> {
    let found = ALL.iter().copied().find(|it| it.name() == name);
    found.ok_or_else(|| SubjectError::Unknown { name: name.to_owned() })
}

/// Where programs are found, and how they are run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tools {
    pub(crate) fanwire: PathBuf,
    /// Arguments, with `{port}`, `{shards}` and `{driver}`.
    pub(crate) fanwire_args: String,
    pub(crate) driver: String,
    pub(crate) bun: PathBuf,
    pub(crate) nginx: PathBuf,
    pub(crate) nats: PathBuf,
    pub(crate) mosquitto: PathBuf,
    pub(crate) axum: PathBuf,
    /// The folder of the broker on Node, with what it needs installed.
    pub(crate) aedes: PathBuf,
    /// For the subject `url`.
    pub(crate) elsewhere: Elsewhere,
    pub(crate) telemetry: Option<PathBuf>,
    pub(crate) pin: bool,
}

/// What a subject is started for.
#[derive(Debug)]
pub(crate) struct Setting<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) tools: &'a Tools,
    /// A directory of this run, for configuration and logs.
    pub(crate) scratch: &'a Path,
    pub(crate) cores: Vec<usize>,
}

/// Who spends the CPU time.
#[derive(Debug)]
pub(crate) enum Process {
    /// A child that speaks as we do.
    Hand(usize),
    Child(Child),
    /// Someone else's, known by its number.
    Pid(u32),
    /// Someone else's: nothing can be measured but what arrives.
    Elsewhere,
}

/// A subject that takes connections.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) process: Process,
    pub(crate) listen: Listen,
    pub(crate) say: Say,
    /// From start to the first accepted connection.
    pub(crate) start_ns: u64,
}

/// Why a subject could not be started.
#[derive(Debug)]
pub(crate) enum SubjectError {
    Unknown { name: String },
    Io { doing: &'static str, error: io::Error },
    Crew(CrewError),
    Silent { program: String, log: String },
    BadUrl { url: String },
}

impl fmt::Display for SubjectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { name } => {
                let names: Vec<&str> = ALL.iter().map(|it| it.name()).collect();
                write!(f, "there is no subject {name}; there are {}", names.join(", "))
            }
            Self::Io { doing, error } => write!(f, "{doing}: {error}"),
            Self::Crew(error) => error.fmt(f),
            Self::Silent { program, log } => {
                write!(f, "{program} took no connection; it said: {log}")
            }
            Self::BadUrl { url } => {
                write!(
                    f,
                    "{url:?} is not SCHEME://ADDRESS:PORT/PATH with a numeric address and a scheme that --help names"
                )
            }
        }
    }
}

impl std::error::Error for SubjectError {}

impl From<CrewError> for SubjectError {
    fn from(error: CrewError) -> Self {
        Self::Crew(error)
    }
}

/// Whether a scenario asks for nothing but fan-out: no history, no batches, filters or compression, and no more subscribers than one process may hold.
fn is_plain(scenario: &Scenario) -> bool {
    scenario.kind != Kind::Replay
        && scenario.batch.is_none()
        && !scenario.circles
        && !scenario.compress
        && scenario.subscribers < 19_900
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> Result<u16, SubjectError> {
    let error = |error| SubjectError::Io { doing: "looking for a free port", error };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(error)?;
    Ok(listener.local_addr().map_err(error)?.port())
}

pub(crate) fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Starts a program for a run, its words into a log, and waits until it takes connections on all of `ports`.
fn launch(
    setting: &Setting<'_>,
    command: &Command,
    ports: &[u16],
) -> Result<(Process, u64), SubjectError> {
    let (child, start_ns) = launch_in(setting.scratch, &setting.cores, command, ports)?;
    Ok((Process::Child(child), start_ns))
}

/// The same, with its log in `scratch`, on the given cores (none: wherever the kernel likes); and the nanoseconds that it took.
pub(crate) fn launch_in(
    scratch: &Path,
    cores: &[usize],
    command: &Command,
    ports: &[u16],
) -> Result<(Child, u64), SubjectError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let mut command = crew::guarded(command)?;
    let error = |error| SubjectError::Io { doing: "making a log", error };
    let path = scratch.join("subject.log");
    let log = File::create(&path).map_err(error)?;
    command.stdin(Stdio::null()).stdout(log.try_clone().map_err(error)?).stderr(log);
    let began = clock::now_ns();
    let mut child = crew::spawn_on(&mut command, cores)?;
    for &port in ports {
        while TcpStream::connect(local(port)).is_err() {
            let gone = !matches!(child.try_wait(), Ok(None));
            if gone || clock::now_ns() - began > START_NS_MAX {
                crew::end(&mut child);
                let log = std::fs::read_to_string(&path).unwrap_or_default();
                return Err(SubjectError::Silent {
                    program,
                    log: log.trim().chars().take(600).collect(),
                });
            }
            clock::pause(clock::MILLI);
        }
    }
    Ok((child, clock::now_ns() - began))
}

/// A file in the run's directory.
fn write(setting: &Setting<'_>, name: &str, text: &str) -> Result<PathBuf, SubjectError> {
    let path = setting.scratch.join(name);
    std::fs::write(&path, text)
        .map_err(|error| SubjectError::Io { doing: "writing a configuration", error })?;
    Ok(path)
}
