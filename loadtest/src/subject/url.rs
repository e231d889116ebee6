//! Any WebSocket server by its URL: what a subscriber says to join is given on the command line, events go in by POST to the
//! same host. What it spends cannot be measured, what arrives can.

use crate::crew::Crew;
use crate::scenario::Scenario;
use crate::speech::Framing;
use crate::speech::Joined;
use crate::speech::Listen;
use crate::speech::Outlet;
use crate::speech::Say;
use crate::subject::Process;
use crate::subject::Setting;
use crate::subject::Started;
use crate::subject::Subject;
use crate::subject::SubjectError;

use std::net::SocketAddr;

#[derive(Debug)]
pub(crate) struct Url;

impl Subject for Url {
    fn name(&self) -> &'static str {
        "url"
    }

    fn about(&self) -> &'static str {
        "a server given by its URL"
    }

    fn can(&self, _: &Scenario) -> bool {
        true
    }

    fn start(&self, setting: &Setting<'_>, _: &mut Crew) -> Result<Started, SubjectError> {
        let tools = setting.tools;
        let url = tools.url.clone().unwrap_or_default();
        let (addr, path) = parse(&url).ok_or(SubjectError::BadUrl { url })?;
        let topic = "bench/{n}".to_owned();
        let listen = Listen {
            addr,
            framing: Framing::WebSocket,
            path,
            protocol: None,
            deflate: setting.scenario.compress,
            join: tools.join.clone(),
            join_each: String::new(),
            join_end: String::new(),
            joined: tools.joined.clone().map_or(Joined::Upgraded, Joined::Says),
            refusal: None,
            binary: false,
            topic: topic.clone(),
        };
        let outlet = Outlet::Http { path: tools.publish_path.clone(), lines: false };
        Ok(Started {
            process: Process::Elsewhere,
            listen,
            say: Say { addr, outlet, topic },
            start_ns: 0,
        })
    }
}

fn parse(url: &str) -> Option<(SocketAddr, String)> {
    let rest = url.strip_prefix("ws://")?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    Some((host.parse().ok()?, format!("/{path}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        assert_eq!(parse("ws://127.0.0.1:80/a/b").map(|it| it.1), Some("/a/b".to_owned()));
        assert_eq!(parse("ws://127.0.0.1:80").map(|it| it.1), Some("/".to_owned()));
        assert_eq!(parse("wss://127.0.0.1:80/"), None);
        assert_eq!(parse("ws://host/"), None);
    }
}
