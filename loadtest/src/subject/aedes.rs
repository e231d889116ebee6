//! Aedes (npm: aedes), the MQTT broker that is a line of code away for whoever has Node: over TCP, in each of two qualities of service.

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

use std::process::Command;

#[derive(Debug)]
pub(crate) struct Aedes {
    /// Of its subscribers and of its publisher, 0 or 1.
    pub(crate) qos: u8,
}

impl Subject for Aedes {
    fn name(&self) -> &'static str {
        if self.qos == 0 { "aedes-mqtt" } else { "aedes-mqtt-1" }
    }

    fn about(&self) -> &'static str {
        match self.qos {
            0 => "Aedes on Node, MQTT over TCP, quality of service 0",
            _ => "Aedes on Node, MQTT over TCP, quality of service 1",
        }
    }

    fn can(&self, scenario: &Scenario) -> bool {
        subject::is_plain(scenario)
    }

    fn start(&self, setting: &Setting<'_>, _: &mut Crew) -> Result<Started, SubjectError> {
        let port = free_port()?;
        let mut command = Command::new("node");
        command.arg(setting.tools.aedes.join("server.mjs")).arg(port.to_string());
        let (process, start_ns) = launch(setting, &command, &[port])?;
        let topic = "bench/{n}".to_owned();
        let listen = Listen::packets(local(port), &topic, self.qos);
        let say = Say { addr: local(port), outlet: Outlet::Mqtt { qos: self.qos }, topic };
        Ok(Started { process, listen, say, start_ns })
    }
}
