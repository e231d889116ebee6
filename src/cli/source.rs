//! `fanwire source`: what a source of a configuration would bring, without a server.
//!
//! Connects as the server would, reads some messages, shows what they would become, and has the far end forget nothing: nothing is acknowledged and no position kept. The exit code is 0 if a message came and each
//! became what its mapping says, 1 if not, and 2 if the configuration is at fault.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;

use crate::cli::say;
use crate::clock::Clock;
use crate::config::Config;
use crate::event::json::push_string;
use crate::limits::SOURCE_CONNECT_MS_MAX;
use crate::limits::SOURCE_FETCH_MS;
use crate::limits::SOURCE_STORED_MS_MAX;
use crate::limits::SOURCE_TRIED_MAX;
use crate::server::Server;
use crate::source::Batch;
use crate::source::FaultKind;
use crate::source::Mapped;
use crate::source::Message;
use crate::source::Spec;

/// What `fanwire source` can be told.
#[derive(Clone, Debug, clap::Args)]
pub struct SourceArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum What {
    /// Connect to a source's far end, and show what ten messages would become; commits nothing.
    Try {
        /// Its name in the configuration
        #[arg(value_name = "NAME")]
        name: String,
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// How long to wait for ten messages
        #[arg(long, value_name = "SECONDS", default_value_t = 10)]
        wait_s: u64,
    },
}

/// The exit code if what was asked for is at fault, as of wrong arguments.
const MISTAKEN: u8 = 2;

/// Answers.
pub(crate) fn run(arguments: &SourceArgs) -> ExitCode {
    let What::Try { name, config, wait_s } = &arguments.what;
    let spec = Config::load(config)
        .and_then(|config| Server::source(&config, name))
        .map_err(|error| error.to_string())
        .and_then(|spec| {
            spec.ok_or_else(|| format!("{}: there is no source `{name}`", config.display()))
        });
    match spec {
        Ok(spec) => attempt(spec, Duration::from_secs(*wait_s)),
        Err(error) => {
            say(&format!("fanwire: {error}"));
            ExitCode::from(MISTAKEN)
        }
    }
}

/// Connects, and shows what comes.
fn attempt(mut spec: Spec, wait: Duration) -> ExitCode {
    let clock = Clock::start();
    let within = Duration::from_millis(SOURCE_CONNECT_MS_MAX);
    if let Err(fault) = spec.connector.connect(None, within) {
        say(&format!("fanwire: {} is not connected: {fault}", spec.name));
        return ExitCode::FAILURE;
    }
    say(&format!("{} is connected", spec.name));
    let mut batch = Batch::default();
    let (mut shown, mut faults) = (0, 0);
    while shown < SOURCE_TRIED_MAX
        && clock.mono_us() < u64::try_from(wait.as_micros()).unwrap_or(u64::MAX)
    {
        batch.clear();
        let fetched = spec.connector.fetch(&mut batch, Duration::from_millis(SOURCE_FETCH_MS));
        for gap in batch.gaps() {
            say(&format!("there is a gap: {}", gap.why));
        }
        for unusable in batch.unusable() {
            faults += 1;
            say(&format!("{}: {}", unusable.at, unusable.why));
        }
        for message in batch.messages().iter().take(SOURCE_TRIED_MAX - shown) {
            shown += 1;
            let Ok(found) = show(&mut spec, message, clock) else { return ExitCode::FAILURE };
            faults += found;
        }
        if let Err(fault) = fetched {
            if fault.kind != FaultKind::Ended {
                faults += 1;
            }
            say(&format!("{fault}"));
            break;
        }
    }
    spec.connector.close(Duration::from_millis(SOURCE_STORED_MS_MAX));
    say(&format!("{shown} messages; nothing was committed"));
    if shown > 0 && faults == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Shows what a message would become, a line for each event; how many faults it has.
fn show(spec: &mut Spec, message: &Message, clock: Clock) -> std::io::Result<usize> {
    let mut mapped = Mapped::default();
    spec.mapping.map(message, clock.now().wall_us, &mut mapped);
    let mut lines = String::new();
    for (_, draft) in &mapped.drafts {
        lines.push_str("{\"topic\":");
        push_string(draft.topic.as_str(), &mut lines);
        lines.push_str(",\"key\":");
        push_string(&draft.key, &mut lines);
        lines.push_str(&format!(",\"op\":\"{}\",\"payload\":", draft.op.name()));
        lines.push_str(&String::from_utf8_lossy(&draft.payload));
        lines.push_str("}\n");
    }
    if mapped.dropped > 0 {
        lines.push_str(&format!("{}\n", json!({ "dropped": mapped.dropped })));
    }
    for fault in &mapped.faults {
        let payload = String::from_utf8_lossy(&message.payload);
        let begin: String = payload.chars().take(200).collect();
        lines.push_str(&format!("{}\n", json!({ "fault": fault.to_string(), "payload": begin })));
    }
    // Whoever closes standard output does not want to hear more.
    std::io::stdout().lock().write_all(lines.as_bytes())?;
    Ok(mapped.faults.len())
}
