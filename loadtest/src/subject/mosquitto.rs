//! Mosquitto (Debian: mosquitto), an MQTT broker: subscribers over its WebSocket listener or over TCP, publisher over TCP.

use crate::crew::Crew;
use crate::scenario::Scenario;
use crate::speech::Listen;
use crate::speech::Outlet;
use crate::speech::Say;
use crate::subject;
use crate::subject::Setting;
use crate::subject::Started;
use crate::subject::Subject;
use crate::subject::SubjectError;
use crate::subject::free_port;
use crate::subject::launch;
use crate::subject::local;
use crate::subject::write;

use std::process::Command;

/// Which of its ways is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mosquitto {
    /// Over WebSocket, quality of service 0.
    WebSocket,
    /// Over TCP, quality of service 0.
    Mqtt,
    /// Over TCP, quality of service 1.
    MqttOnce,
}

impl Subject for Mosquitto {
    fn name(&self) -> &'static str {
        match self {
            Self::WebSocket => "mosquitto",
            Self::Mqtt => "mosquitto-mqtt",
            Self::MqttOnce => "mosquitto-mqtt-1",
        }
    }

    fn about(&self) -> &'static str {
        match self {
            Self::WebSocket => "Mosquitto, MQTT over WebSocket, quality of service 0",
            Self::Mqtt => "Mosquitto, MQTT over TCP, quality of service 0",
            Self::MqttOnce => "Mosquitto, MQTT over TCP, quality of service 1",
        }
    }

    fn can(&self, scenario: &Scenario) -> bool {
        subject::is_plain(scenario)
    }

    fn start(&self, setting: &Setting<'_>, _: &mut Crew) -> Result<Started, SubjectError> {
        let (port, websocket) = (free_port()?, free_port()?);
        // As root it would become another user, who may not read this file; without a bound it drops nothing of its own.
        let configuration = format!(
            "user root
persistence false
log_type error
max_queued_messages 0
set_tcp_nodelay true
listener {port} 127.0.0.1
allow_anonymous true
listener {websocket} 127.0.0.1
protocol websockets
allow_anonymous true
"
        );
        let path = write(setting, "mosquitto.conf", &configuration)?;
        let mut command = Command::new(&setting.tools.mosquitto);
        command.arg("-c").arg(path);
        let (process, start_ns) = launch(setting, &command, &[port, websocket])?;
        let topic = "bench/{n}".to_owned();
        let qos = u8::from(*self == Self::MqttOnce);
        let listen = match self {
            Self::WebSocket => Listen::mqtt(local(websocket), "/mqtt", &topic),
            Self::Mqtt | Self::MqttOnce => Listen::packets(local(port), &topic, qos),
        };
        let say = Say { addr: local(port), outlet: Outlet::Mqtt { qos }, topic };
        Ok(Started { process, listen, say, start_ns })
    }
}
