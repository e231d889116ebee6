//! NATS (Debian: nats-server): subscribers over its WebSocket listener, publisher over TCP.

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

#[derive(Debug)]
pub(crate) struct Nats;

impl Subject for Nats {
    fn name(&self) -> &'static str {
        "nats"
    }

    fn about(&self) -> &'static str {
        "NATS server, subscribers over WebSocket"
    }

    fn can(&self, scenario: &Scenario) -> bool {
        subject::is_plain(scenario)
    }

    fn start(&self, setting: &Setting<'_>, _: &mut Crew) -> Result<Started, SubjectError> {
        let (port, websocket) = (free_port()?, free_port()?);
        let configuration = format!(
            "listen: 127.0.0.1:{port}
max_connections: 100000
ping_interval: \"1h\"
write_deadline: \"60s\"
websocket {{ listen: \"127.0.0.1:{websocket}\", no_tls: true, compression: false }}
"
        );
        let path = write(setting, "nats.conf", &configuration)?;
        let mut command = Command::new(&setting.tools.nats);
        command.arg("-c").arg(path);
        let (process, start_ns) = launch(setting, &command, &[port, websocket])?;
        let topic = "bench.{n}".to_owned();
        let listen = Listen::nats(local(websocket), "/", &topic);
        Ok(Started {
            process,
            listen,
            say: Say { addr: local(port), outlet: Outlet::Nats, topic },
            start_ns,
        })
    }
}
