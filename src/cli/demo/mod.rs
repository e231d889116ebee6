//! `fanwire demo`: a server and a moving fleet in one process, and what to do with them.
//!
//! The fleet publishes over HTTP like anybody else: what is seen here works for any publisher.

mod feed;
mod fleet;
mod random;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use crate::cli::demo::feed::feed;
use crate::cli::demo::fleet::Fleet;
use crate::cli::say;
use crate::client::endpoint::Endpoint;
use crate::clock::Clock;
use crate::config::Config;
use crate::server::Server;
use crate::server::Signals;
use crate::server::StartError;

/// Where the fleet reports.
pub(crate) const TOPIC: &str = "demo/fleet";

/// What `fanwire demo` can be told.
#[derive(Clone, Debug, clap::Args)]
pub struct DemoArgs {
    /// How many aircraft.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    vehicles: u32,
    /// Where to listen; port 0 is any that is free.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// The same seed is the same sky.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Keep the last day on disk: it outlasts restarts and kill -9, and the page's slider goes back in it
    #[arg(long)]
    durable: bool,
    /// The folder of what is kept on disk
    #[arg(long, value_name = "FOLDER", requires = "durable")]
    data_dir: Option<String>,
}

/// So much is kept on disk: seconds, and bytes as they lie there.
const KEPT_S: u64 = 86_400;
const KEPT_BYTES: u64 = 1 << 30;

/// Why there is no demonstration.
#[derive(Debug)]
enum DemoError {
    Start(StartError),
    Io(io::Error),
}

impl fmt::Display for DemoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(error) => write!(f, "the server cannot start: {error}"),
            Self::Io(error) => write!(f, "the fleet cannot start: {error}"),
        }
    }
}

impl std::error::Error for DemoError {}

/// Runs until somebody stops it.
pub(crate) fn demo(arguments: &DemoArgs) -> ExitCode {
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("fanwire demo: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &DemoArgs) -> Result<(), DemoError> {
    // Before any thread starts, so that none of them is interrupted.
    let signals = Signals::block().map_err(DemoError::Io)?;
    let config = config(arguments);
    let running = Server::start(&config).map_err(DemoError::Start)?;
    let address = reachable(running.address());
    let stopped = Arc::new(AtomicBool::new(false));
    take_off(arguments, address, Arc::clone(&stopped)).map_err(DemoError::Io)?;
    say(&guide(arguments, address, &config));
    signals.wait().map_err(DemoError::Io)?;
    stopped.store(true, Ordering::Relaxed);
    running.stop();
    match running.join() {
        0 => {}
        cut_off => say(&format!("fanwire demo: {cut_off} connections had to be cut off")),
    }
    Ok(())
}

/// The server's configuration: everything has its default but where it listens, and what it keeps if it is to.
fn config(arguments: &DemoArgs) -> Config {
    let mut config = Config { listen: arguments.listen, ..Config::default() };
    if arguments.durable {
        config.keep_durable(vec![TOPIC.to_owned()]);
        for kept in &mut config.history.durable {
            (kept.age_s_max, kept.bytes_max) = (KEPT_S, KEPT_BYTES);
        }
    }
    if let Some(folder) = &arguments.data_dir {
        config.data_dir.clone_from(folder);
    }
    config
}

/// Starts the fleet, on a thread and a runtime of its own.
fn take_off(arguments: &DemoArgs, address: SocketAddr, stopped: Arc<AtomicBool>) -> io::Result<()> {
    let fleet = Fleet::new(arguments.seed, arguments.vehicles as usize);
    let host = address.ip().to_string();
    let endpoint =
        Endpoint { host, port: address.port(), is_encrypted: false, base: String::new() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name("fleet".to_owned()).spawn(move || {
        let fed = runtime.block_on(feed(fleet, endpoint, Clock::start(), Arc::clone(&stopped)));
        if let Err(error) = fed
            && !stopped.load(Ordering::Relaxed)
        {
            say(&format!("fanwire demo: the fleet has stopped: {error}"));
        }
    })?;
    Ok(())
}

/// An address of this machine that leads to a listener, also one that listens on all.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => {
            (std::net::Ipv4Addr::LOCALHOST, v4.port()).into()
        }
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => {
            (std::net::Ipv6Addr::LOCALHOST, v6.port()).into()
        }
        _ => address,
    }
}

/// What to open and what to type.
fn guide(arguments: &DemoArgs, address: SocketAddr, config: &Config) -> String {
    let vehicles = arguments.vehicles;
    let kept = if arguments.durable {
        format!(
            "
  Go back   the slider on the page, or fanwire subscribe --url http://{address} --topic {TOPIC} --since earliest --speed 60
            The last day lies in {}: kill -9 the demo and start it again, nothing of it is lost
",
            config.data_dir
        )
    } else {
        String::new()
    };
    format!(
        "{vehicles} aircraft report to {TOPIC} once a second each.

  Open      http://{address}/

  Listen    fanwire subscribe --url http://{address} --topic {TOPIC} --filter 'altitude < 10000'
            curl -N 'http://{address}/v1/sse?topic={TOPIC}&since=last'

  Publish   fanwire publish --url http://{address} --topic adsb/ch --key icao24 --speed 60 FILE.ndjson.gz
            and open http://{address}/?topic=adsb/ch
{kept}
Stop with Ctrl-C."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everyone_is_reached_by_way_of_the_loopback() {
        for (listen, reached) in [
            ("0.0.0.0:80", "127.0.0.1:80"),
            ("[::]:80", "[::1]:80"),
            ("192.0.2.1:80", "192.0.2.1:80"),
            ("[2001:db8::1]:80", "[2001:db8::1]:80"),
        ] {
            assert_eq!(reachable(listen.parse().unwrap()).to_string(), reached);
        }
    }
}
