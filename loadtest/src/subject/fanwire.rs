//! Fanwire itself, in each of its dialects and with either of its drivers. Everything known about it is in `docs/dialects/`.
//!
//! Whatever is listened in, events are published in the native protocol: they come in by one way and go out by several. MQTT's are published by MQTT.

use crate::crew::Crew;
use crate::scenario::Kind;
use crate::scenario::Scenario;
use crate::scenario::Via;
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
use crate::subject::write;

use std::process::Command;

const TOPIC: &str = "bench/{n}";
const PROTOCOL: &str = "fanwire.v1";

/// A HyperBEAM client that says nothing for a minute is closed, and ours say nothing.
const HYPERBEAM_SECONDS_MAX: f64 = 30.0;

/// Which of its ways is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fanwire {
    /// Native protocol, with the driver that the command line names.
    Native,
    /// The same, waiting with epoll whatever the command line says.
    Epoll,
    /// Native protocol, every topic kept on a disk.
    Durable,
    /// Native protocol, its subscription in the URL: a join of one exchange.
    Url,
    /// Native protocol over SSE.
    Sse,
    /// peat-node's, over WebSocket.
    Peat,
    /// peat-node's, over SSE.
    PeatSse,
    /// HyperBEAM's WebSocket device.
    HyperBeam,
    /// The Provisioning Platform's events.
    Provisioning,
    /// MQTT over TCP, quality of service 0.
    Mqtt,
    /// MQTT over TCP, quality of service 1.
    MqttOnce,
}

impl Subject for Fanwire {
    fn name(&self) -> &'static str {
        match self {
            Self::Native => "fanwire",
            Self::Epoll => "fanwire-epoll",
            Self::Durable => "fanwire-durable",
            Self::Url => "fanwire-url",
            Self::Sse => "fanwire-sse",
            Self::Peat => "fanwire-peat",
            Self::PeatSse => "fanwire-peat-sse",
            Self::HyperBeam => "fanwire-hyperbeam",
            Self::Provisioning => "fanwire-provisioning",
            Self::Mqtt => "fanwire-mqtt",
            Self::MqttOnce => "fanwire-mqtt-1",
        }
    }

    fn about(&self) -> &'static str {
        match self {
            Self::Native => "this server, native protocol over WebSocket",
            Self::Epoll => "this server, native protocol, waiting with epoll instead of io_uring",
            Self::Durable => "this server, native protocol over WebSocket, every topic durable",
            Self::Url => "this server, native protocol over WebSocket, subscribed by the URL",
            Self::Sse => "this server, native protocol over SSE",
            Self::Peat => "this server, peat-node's dialect over WebSocket",
            Self::PeatSse => "this server, peat-node's dialect over SSE",
            Self::HyperBeam => "this server, HyperBEAM's dialect",
            Self::Provisioning => "this server, the Provisioning Platform's dialect",
            Self::Mqtt => "this server, MQTT over TCP, quality of service 0",
            Self::MqttOnce => "this server, MQTT over TCP, quality of service 1",
        }
    }

    fn can(&self, scenario: &Scenario) -> bool {
        let plain = scenario.batch.is_none() && !scenario.compress && !scenario.circles;
        match self {
            Self::Native | Self::Epoll | Self::Durable => true,
            Self::Url | Self::Sse => plain,
            // What they replay is a snapshot by key, or nothing.
            Self::Peat | Self::PeatSse | Self::Provisioning | Self::Mqtt | Self::MqttOnce => {
                plain && scenario.kind != Kind::Replay
            }
            Self::HyperBeam => {
                let soon = scenario.seconds <= HYPERBEAM_SECONDS_MAX;
                plain && scenario.kind != Kind::Replay && soon
            }
        }
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
        if *self == Self::Durable {
            // In the run's own folder, which goes with it.
            command.args(["--durable", "bench/**", "--data-dir", "data"]);
        }
        if let Some(qos) = self.qos() {
            return mqtt(setting, command, port, qos);
        }
        let (process, start_ns) = launch(setting, &command, &[port])?;
        let say = Say { addr: local(port), outlet: outlet(scenario), topic: TOPIC.to_owned() };
        Ok(Started { process, listen: self.listen(port, scenario), say, start_ns })
    }
}

/// Starts it with a listener of MQTT's own, to which everybody speaks.
fn mqtt(
    setting: &Setting<'_>,
    mut command: Command,
    port: u16,
    qos: u8,
) -> Result<Started, SubjectError> {
    let own = free_port()?;
    let configuration = format!("[mqtt]\nlisten = \"127.0.0.1:{own}\"\n");
    command.arg("--config").arg(write(setting, "fanwire.toml", &configuration)?);
    let (process, start_ns) = launch(setting, &command, &[port, own])?;
    let say = Say { addr: local(own), outlet: Outlet::Mqtt { qos }, topic: TOPIC.to_owned() };
    Ok(Started { process, listen: Listen::packets(local(own), TOPIC, qos), say, start_ns })
}

impl Fanwire {
    /// The quality of service of MQTT, if that is spoken.
    const fn qos(self) -> Option<u8> {
        match self {
            Self::Mqtt => Some(0),
            Self::MqttOnce => Some(1),
            _ => None,
        }
    }

    fn listen(self, port: u16, scenario: &Scenario) -> Listen {
        let addr = local(port);
        match self {
            Self::Native | Self::Epoll | Self::Durable | Self::Mqtt | Self::MqttOnce => {
                native(port, scenario)
            }
            Self::Url => Listen {
                path: format!("/v1/ws?{{query}}{}", since(scenario)),
                join: String::new(),
                ..native(port, scenario)
            },
            Self::Sse => Listen {
                joined: Joined::Says("event: live".to_owned()),
                ..Listen::stream(addr, &format!("/v1/sse?{{query}}{}", since(scenario)), TOPIC)
            },
            Self::Peat => Listen::websocket(addr, "/ws/subscribe?collections={names}", TOPIC),
            Self::PeatSse => Listen::stream(addr, "/sse/subscribe?collections={names}", TOPIC),
            Self::HyperBeam => Listen {
                joined: Joined::Says("connection_established".to_owned()),
                ..Listen::websocket(addr, "/hb/ws?topic={names}", TOPIC)
            },
            Self::Provisioning => Listen::websocket(addr, "/pv/ws?events={names}", TOPIC),
        }
    }
}

/// What the URL says of the past.
fn since(scenario: &Scenario) -> &'static str {
    if scenario.kind == Kind::Replay { "&since=earliest" } else { "" }
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
        protocol: Some(PROTOCOL.to_owned()),
        deflate: scenario.compress,
        join: format!(
            "{{\"type\":\"subscribe\",\"id\":1,\"topics\":{{topics}}{{filter}}{options}}}"
        ),
        joined: Joined::Says("{\"type\":\"live\"".to_owned()),
        refusal: Some("{\"type\":\"error\"".to_owned()),
        ..Listen::websocket(local(port), "/v1/ws", TOPIC)
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
