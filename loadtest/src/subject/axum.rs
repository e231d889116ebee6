//! An idiomatic axum server (`rivals/axum`): a task for each connection and a tokio broadcast channel for each topic.

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

use std::process::Command;

#[derive(Debug)]
pub(crate) struct Axum;

impl Subject for Axum {
    fn name(&self) -> &'static str {
        "axum"
    }

    fn about(&self) -> &'static str {
        "axum on tokio, a task a connection, a broadcast channel a topic"
    }

    fn can(&self, scenario: &Scenario) -> bool {
        scenario.kind != Kind::Replay
            && scenario.batch.is_none()
            && !scenario.circles
            && !scenario.compress
            && scenario.memberships == [1]
            && scenario.subscribers < 19_900
    }

    fn start(&self, setting: &Setting<'_>, _: &mut Crew) -> Result<Started, SubjectError> {
        let port = free_port()?;
        let mut command = Command::new(&setting.tools.axum);
        command.arg(port.to_string());
        let (process, start_ns) = launch(setting, &command, &[port])?;
        let topic = "{n}".to_owned();
        let listen = Listen {
            joined: Joined::Says("joined".to_owned()),
            ..Listen::websocket(local(port), "/t/{topic}", &topic)
        };
        let text = "{topic} {payload}".to_owned();
        let outlet = Outlet::WebSocket { path: "/publish".to_owned(), protocol: None, text };
        Ok(Started { process, listen, say: Say { addr: local(port), outlet, topic }, start_ns })
    }
}
