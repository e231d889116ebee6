//! Bun with `server.publish` (uWebSockets inside): the fastest rival that is a line of code away for most people.

use crate::crew::Crew;
use crate::scenario::Kind;
use crate::scenario::Scenario;
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

const SERVER: &str = include_str!("../../rivals/bun.js");

#[derive(Debug)]
pub(crate) struct Bun;

impl Subject for Bun {
    fn name(&self) -> &'static str {
        "bun"
    }

    fn about(&self) -> &'static str {
        "Bun, server.publish (uWebSockets inside)"
    }

    fn can(&self, scenario: &Scenario) -> bool {
        scenario.kind != Kind::Replay
            && scenario.batch.is_none()
            && !scenario.circles
            && scenario.subscribers < 19_900
    }

    fn start(&self, setting: &Setting<'_>, _: &mut Crew) -> Result<Started, SubjectError> {
        let port = free_port()?;
        let script = write(setting, "bun.js", SERVER)?;
        let mut command = Command::new(&setting.tools.bun);
        command.arg("run").arg(script).arg(port.to_string());
        if setting.scenario.compress {
            command.arg("deflate");
        }
        let (process, start_ns) = launch(setting, &command, &[port])?;
        let topic = "{n}".to_owned();
        let listen = Listen {
            deflate: setting.scenario.compress,
            joined: Joined::Says("joined".to_owned()),
            ..Listen::websocket(local(port), "/t/{numbers}", &topic)
        };
        let text = "{topic} {payload}".to_owned();
        let outlet = Outlet::WebSocket { path: "/publish".to_owned(), protocol: None, text };
        Ok(Started { process, listen, say: Say { addr: local(port), outlet, topic }, start_ns })
    }
}
