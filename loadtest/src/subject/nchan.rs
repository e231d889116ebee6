//! nchan, the pub/sub module of nginx (Debian: libnginx-mod-nchan): channels over WebSocket, published to by POST.

use crate::clock;
use crate::crew::Crew;
use crate::crew::CrewError;
use crate::limits::START_NS_MAX;
use crate::proc;
use crate::scenario::Kind;
use crate::scenario::Scenario;
use crate::speech::Listen;
use crate::speech::Outlet;
use crate::speech::Say;
use crate::subject::Process;
use crate::subject::Setting;
use crate::subject::Started;
use crate::subject::Subject;
use crate::subject::SubjectError;
use crate::subject::free_port;
use crate::subject::launch;
use crate::subject::local;
use crate::subject::write;

use std::io;
use std::process::Command;

#[derive(Debug)]
pub(crate) struct Nchan;

impl Subject for Nchan {
    fn name(&self) -> &'static str {
        "nchan"
    }

    fn about(&self) -> &'static str {
        "nchan in nginx, one worker, channels in memory"
    }

    fn can(&self, scenario: &Scenario) -> bool {
        // Its memory of messages is on, as by default; that is not what our replay asks of it.
        scenario.kind != Kind::Replay
            && scenario.batch.is_none()
            && !scenario.circles
            && !scenario.compress
            && scenario.memberships == [1]
            && scenario.subscribers < 19_900
    }

    fn start(&self, setting: &Setting<'_>, _: &mut Crew) -> Result<Started, SubjectError> {
        let port = free_port()?;
        let path = write(
            setting,
            "nginx.conf",
            &configuration(port, &setting.scratch.display().to_string()),
        )?;
        let mut command = Command::new(&setting.tools.nginx);
        command.arg("-c").arg(path).arg("-p").arg(setting.scratch);
        let (process, start_ns) = launch(setting, &command, &[port])?;
        wait_for_worker(&process)?;
        let topic = "bench-{n}".to_owned();
        let listen = Listen::websocket(local(port), "/sub/{topic}", &topic);
        let outlet = Outlet::Http { path: "/pub/{topic}".to_owned(), lines: false };
        Ok(Started { process, listen, say: Say { addr: local(port), outlet, topic }, start_ns })
    }
}

/// The master listens before it has a worker, and what the worker spends is what is measured.
fn wait_for_worker(process: &Process) -> Result<(), SubjectError> {
    let Process::Child(master) = process else { return Ok(()) };
    let began = clock::now_ns();
    while clock::now_ns() - began < START_NS_MAX {
        let family = proc::family(master.id()).map_err(|error| SubjectError::Io {
            doing: "looking for nginx's worker",
            error: io::Error::other(error),
        })?;
        if family.len() > 1 {
            return Ok(());
        }
        clock::pause(clock::MILLI);
    }
    Err(CrewError::Late { wanted: "nginx's worker" }.into())
}

fn configuration(port: u16, scratch: &str) -> String {
    format!(
        "load_module /usr/lib/nginx/modules/ngx_nchan_module.so;
daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid {scratch}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 19990; }}
http {{
  access_log off;
  keepalive_requests 100000000;
  client_body_temp_path {scratch}/body;
  proxy_temp_path {scratch}/proxy;
  fastcgi_temp_path {scratch}/fastcgi;
  uwsgi_temp_path {scratch}/uwsgi;
  scgi_temp_path {scratch}/scgi;
  nchan_shared_memory_size 512M;
  server {{
    listen 127.0.0.1:{port} backlog=4096 reuseport;
    location ~ ^/sub/([a-z0-9-]+)$ {{
      nchan_subscriber websocket;
      nchan_channel_id $1;
      nchan_subscriber_first_message newest;
    }}
    location ~ ^/pub/([a-z0-9-]+)$ {{
      nchan_publisher;
      nchan_channel_id $1;
      nchan_message_buffer_length 100;
    }}
  }}
}}
"
    )
}
