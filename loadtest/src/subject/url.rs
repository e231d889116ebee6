//! Any server by its address: the scheme of `--url` says how it is listened to, that of `--publish` how it is published to.
//! What it spends is measured if `--pid` names its process; what arrives is measured in any case.

use crate::crew::Crew;
use crate::scenario::Scenario;
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

/// A server that somebody else started, as the command line describes it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Elsewhere {
    pub(crate) url: Option<String>,
    pub(crate) protocol: Option<String>,
    pub(crate) join: Option<String>,
    pub(crate) joined: Option<String>,
    pub(crate) publish: Option<String>,
    pub(crate) publish_text: String,
    pub(crate) topic: String,
    pub(crate) pid: Option<u32>,
}

#[derive(Debug)]
pub(crate) struct Url;

impl Subject for Url {
    fn name(&self) -> &'static str {
        "url"
    }

    fn about(&self) -> &'static str {
        "any server, by --url and --publish"
    }

    fn can(&self, _: &Scenario) -> bool {
        true
    }

    fn start(&self, setting: &Setting<'_>, _: &mut Crew) -> Result<Started, SubjectError> {
        let elsewhere = &setting.tools.elsewhere;
        let url = elsewhere.url.clone().unwrap_or_default();
        let bad = |url: String| SubjectError::BadUrl { url };
        let listen = listen(&url, elsewhere).ok_or_else(|| bad(url.clone()))?;
        let listen = Listen { deflate: setting.scenario.compress, ..listen };
        let say = match &elsewhere.publish {
            Some(publish) => say(publish, elsewhere).ok_or_else(|| bad(publish.clone()))?,
            None => say(&format!("http://{}/publish/{{topic}}", listen.addr), elsewhere)
                .ok_or_else(|| bad(url))?,
        };
        let process = elsewhere.pid.map_or(Process::Elsewhere, Process::Pid);
        Ok(Started { process, listen, say, start_ns: 0 })
    }
}

fn listen(url: &str, elsewhere: &Elsewhere) -> Option<Listen> {
    let (scheme, addr, path) = parse(url)?;
    let listen = match scheme {
        "ws" => Listen::websocket,
        "http" => Listen::stream,
        "mqtt+ws" => Listen::mqtt,
        "nats+ws" => Listen::nats,
        _ => return None,
    };
    let mut listen = listen(addr, &path, &elsewhere.topic);
    listen.protocol = elsewhere.protocol.clone().or(listen.protocol);
    listen.join = elsewhere.join.clone().unwrap_or(listen.join);
    listen.joined = elsewhere.joined.clone().map_or(listen.joined, Joined::Says);
    Some(listen)
}

fn say(url: &str, elsewhere: &Elsewhere) -> Option<Say> {
    let (scheme, addr, path) = parse(url)?;
    let outlet = match scheme {
        "http" => Outlet::Http { path, lines: false },
        "ws" => {
            let (protocol, text) = (elsewhere.protocol.clone(), elsewhere.publish_text.clone());
            Outlet::WebSocket { path, protocol, text }
        }
        "nats" => Outlet::Nats,
        "mqtt" => Outlet::Mqtt { qos: 0 },
        _ => return None,
    };
    Some(Say { addr, outlet, topic: elsewhere.topic.clone() })
}

fn parse(url: &str) -> Option<(&str, SocketAddr, String)> {
    let (scheme, rest) = url.split_once("://")?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    Some((scheme, host.parse().ok()?, format!("/{path}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::speech::Framing;
    use crate::speech::Tongue;

    #[test]
    fn urls() {
        let path = |url| parse(url).map(|it| it.2);
        assert_eq!(path("ws://127.0.0.1:80/a/b"), Some("/a/b".to_owned()));
        assert_eq!(path("ws://127.0.0.1:80"), Some("/".to_owned()));
        assert_eq!(path("ws://host/"), None);
    }

    #[test]
    fn a_scheme_says_how_a_server_is_spoken_to() {
        let elsewhere = Elsewhere { topic: "t{n}".to_owned(), ..Elsewhere::default() };
        let of = |url| listen(url, &elsewhere);
        assert_eq!(of("ws://127.0.0.1:1/").map(|it| it.tongue), Some(Tongue::Text));
        assert_eq!(of("http://127.0.0.1:1/").map(|it| it.framing), Some(Framing::Stream));
        assert_eq!(of("mqtt+ws://127.0.0.1:1/").map(|it| it.tongue), Some(Tongue::Mqtt));
        assert_eq!(of("nats+ws://127.0.0.1:1/").map(|it| it.tongue), Some(Tongue::Binary));
        assert_eq!(of("wss://127.0.0.1:1/"), None);
        let of = |url| say(url, &elsewhere).map(|it| it.outlet);
        assert_eq!(of("mqtt://127.0.0.1:1"), Some(Outlet::Mqtt { qos: 0 }));
        assert_eq!(of("nats://127.0.0.1:1"), Some(Outlet::Nats));
        assert_eq!(
            of("http://127.0.0.1:1/p"),
            Some(Outlet::Http { path: "/p".to_owned(), lines: false })
        );
        assert_eq!(of("kafka://127.0.0.1:1"), None);
    }

    #[test]
    fn what_the_command_line_says_of_joining_wins() {
        let elsewhere = Elsewhere {
            join: Some("hello {index}".to_owned()),
            joined: Some("welcome".to_owned()),
            ..Elsewhere::default()
        };
        let it = listen("ws://127.0.0.1:1/", &elsewhere).unwrap();
        assert_eq!(it.joins(3, &[0], ""), [b"hello 3"]);
        assert_eq!(it.joined, Joined::Says("welcome".to_owned()));
    }
}
