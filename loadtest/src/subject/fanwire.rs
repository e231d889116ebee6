//! Fanwire itself, by its native protocol, over WebSocket or SSE. Everything known about it is in `docs/dialects/native.md`.

use crate::crew::Crew;
use crate::scenario::Kind;
use crate::scenario::Scenario;
use crate::scenario::Via;
use crate::speech::Framing;
use crate::speech::Joined;
use crate::speech::Listen;
use crate::speech::Outlet;
use crate::speech::Say;
use crate::subject::Setting;
use crate::subject::Started;
use crate::subject::Subject;
use crate::subject::SubjectError;
use crate::subject::free_port;
use crate::subject::launch;
use crate::subject::local;

use std::process::Command;

const TOPIC: &str = "bench/{n}";
const PROTOCOL: &str = "fanwire.v1";

/// Which of its ways is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fanwire {
    /// Native protocol, with the driver that the command line names.
    Native,
    /// The same, waiting with epoll whatever the command line says.
    Epoll,
    /// Heard over SSE.
    Sse,
}

impl Subject for Fanwire {
    fn name(&self) -> &'static str {
        match self {
            Self::Native => "fanwire",
            Self::Epoll => "fanwire-epoll",
            Self::Sse => "fanwire-sse",
        }
    }

    fn about(&self) -> &'static str {
        match self {
            Self::Native => "this server, native protocol",
            Self::Epoll => "this server, waiting with epoll instead of io_uring",
            Self::Sse => "this server, heard over SSE",
        }
    }

    fn can(&self, scenario: &Scenario) -> bool {
        *self != Self::Sse || (scenario.batch.is_none() && !scenario.compress && !scenario.circles)
    }

    fn start(&self, setting: &Setting<'_>, _: &mut Crew) -> Result<Started, SubjectError> {
        let (tools, scenario) = (setting.tools, setting.scenario);
        let port = free_port()?;
        let driver = if *self == Self::Epoll { "epoll" } else { &tools.driver };
        let arguments = tools
            .fanwire_args
            .replace("{port}", &port.to_string())
            .replace("{shards}", &scenario.shards.to_string())
            .replace("{driver}", driver);
        let mut command = Command::new(&tools.fanwire);
        command.args(arguments.split_ascii_whitespace()).current_dir(setting.scratch);
        let (process, start_ns) = launch(setting, &mut command, &[port])?;
        let say = Say { addr: local(port), outlet: outlet(scenario), topic: TOPIC.to_owned() };
        let listen = if *self == Self::Sse { sse(port, scenario) } else { native(port, scenario) };
        Ok(Started { process, listen, say, start_ns })
    }
}

fn native(port: u16, scenario: &Scenario) -> Listen {
    let mut options = String::new();
    if scenario.kind == Kind::Replay {
        options.push_str(",\"since\":\"earliest\"");
    }
    if let Some(batch) = scenario.batch {
        let (events, delay) = (batch.max_events, batch.max_delay_ms);
        options
            .push_str(&format!(",\"batch\":{{\"max_events\":{events},\"max_delay_ms\":{delay}}}"));
    }
    Listen {
        addr: local(port),
        framing: Framing::WebSocket,
        path: "/v1/ws".to_owned(),
        protocol: Some(PROTOCOL.to_owned()),
        deflate: scenario.compress,
        join: format!(
            "{{\"type\":\"subscribe\",\"id\":1,\"topics\":{{topics}}{{filter}}{options}}}"
        ),
        join_each: String::new(),
        join_end: String::new(),
        joined: Joined::Says("{\"type\":\"live\"".to_owned()),
        refusal: Some("{\"type\":\"error\"".to_owned()),
        binary: false,
        topic: TOPIC.to_owned(),
    }
}

fn sse(port: u16, scenario: &Scenario) -> Listen {
    let since = if scenario.kind == Kind::Replay { "&since=earliest" } else { "" };
    Listen {
        framing: Framing::Stream,
        path: format!("/v1/sse?{{query}}{since}"),
        protocol: None,
        join: String::new(),
        joined: Joined::Says("event: live".to_owned()),
        ..native(port, scenario)
    }
}

fn outlet(scenario: &Scenario) -> Outlet {
    match scenario.via {
        Via::Http => {
            Outlet::Http { path: "/v1/publish/{topic}".to_owned(), lines: scenario.burst > 1 }
        }
        Via::Ws => Outlet::WebSocket {
            path: "/v1/ws".to_owned(),
            protocol: Some(PROTOCOL.to_owned()),
            text: "{\"type\":\"publish\",\"topic\":\"{topic}\",\"payload\":{payload}}".to_owned(),
        },
    }
}
