//! From the configuration to the sources: what is declared becomes a connector and a mapping, and each has a thread.
//!
//! Invariants: what is wrong with a source stops the start, with the key that says it; whether its far end is there stops nothing. Sources stop fetching when the server is told to stop, and end before the store does.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use flume::Sender;

use super::error::StartError;
use super::written::unusable;
use crate::admin::Board;
use crate::clock::Clock;
use crate::config::Config;
use crate::config::ConfigError;
use crate::config::Origin;
use crate::config::SourceConfig;
use crate::conn::Doorbell;
use crate::conn::Party;
use crate::event::Ack;
use crate::event::Homes;
use crate::limits::RELOAD_MS_MAX;
use crate::limits::SOURCE_RENEWALS_MAX;
use crate::shard::Mesh;
use crate::shard::PartyId;
use crate::source::Figures;
use crate::source::Mapping;
use crate::source::Past;
use crate::source::Seat;
use crate::source::SourceParty;
use crate::source::Spec;

/// The sources that are declared.
pub(super) fn specs(config: &Config) -> Result<Vec<Spec>, ConfigError> {
    let mut has_stdin = false;
    let each = config.sources.iter().enumerate().map(|(index, said)| {
        if said.kind.name == "stdin" && std::mem::replace(&mut has_stdin, true) {
            let reason = "there is one standard input, and a source before this one reads it";
            return Err(unusable(config, &format!("source[{index}].kind"), reason));
        }
        spec(config, index, said)
    });
    each.collect()
}

/// One of them.
fn spec(config: &Config, index: usize, said: &SourceConfig) -> Result<Spec, ConfigError> {
    let key = |member: &str| {
        let key = format!("source[{index}].{member}");
        match config.places.of(&key) {
            Origin::Default => format!("source[{index}]"),
            _ => key,
        }
    };
    let mapping = Mapping::new(&said.name, &said.mapping)
        .map_err(|error| unusable(config, &key(error.member), error.why))?;
    let connector = (said.kind.open)(&said.values)
        .map_err(|unfit| unusable(config, &key(unfit.setting), unfit.why))?;
    Ok(Spec {
        name: said.name.clone(),
        connector,
        mapping,
        ack: Ack::from_name(&said.ack).unwrap_or(Ack::Durable),
        stops_at_faults: said.stops_at_faults,
        is_required: said.is_required,
    })
}

/// One source by its name, to be tried out; `None`: there is none.
pub(super) fn spec_named(config: &Config, name: &str) -> Result<Option<Spec>, ConfigError> {
    let found = config.sources.iter().enumerate().find(|(_, said)| said.name == name);
    found.map(|(index, said)| spec(config, index, said)).transpose()
}

/// Sources that run. They stop when dropped.
#[derive(Debug)]
pub(super) struct Sourcing {
    sources: Vec<Source>,
}

#[derive(Debug)]
struct Source {
    said: SourceConfig,
    /// It is not in the configuration any more.
    is_gone: bool,
    renew: Sender<Option<Box<Spec>>>,
    doorbell: Arc<Doorbell>,
    thread: Option<JoinHandle<()>>,
}

impl Source {
    fn is_of(&self, said: &SourceConfig) -> bool {
        (&self.said.name, self.said.kind) == (&said.name, said.kind)
    }
}

impl Sourcing {
    /// Begins them, each at its place in the mesh; the first has this id, and the others follow. `past` says what each goes on from, by its name.
    pub(super) fn start(
        config: &Config,
        (parties, first): (Vec<Party<Mesh>>, PartyId),
        (homes, store): (&Homes, Option<PartyId>),
        past: impl Fn(&str) -> Past,
        (board, clock): (&Arc<Board>, Clock),
    ) -> Result<Self, StartError> {
        let specs = specs(config)?;
        let mut all = Vec::new();
        let mut sourcing = Self { sources: Vec::new() };
        let seats = (first.0..).map(PartyId).zip(parties);
        for ((said, spec), (id, party)) in config.sources.iter().zip(specs).zip(seats) {
            let figures = Arc::new(Figures::new(&said.name, said.kind.name, said.is_required));
            all.push(Arc::clone(&figures));
            let (renew, renewed) = flume::bounded(SOURCE_RENEWALS_MAX);
            let past = past(&said.name);
            let seat = Seat { party, id, homes: homes.clone(), store, clock };
            let source = SourceParty::new(seat, spec, past, (renewed, figures));
            let doorbell = source.doorbell();
            let thread = std::thread::Builder::new().name(format!("source-{}", said.name));
            let thread = thread.spawn(move || source.run()).map_err(StartError::Thread)?;
            let (said, thread) = (said.clone(), Some(thread));
            sourcing.sources.push(Source { said, is_gone: false, renew, doorbell, thread });
        }
        board.note_sources(all.into());
        Ok(sourcing)
    }

    /// What tells each of them to stop.
    pub(super) fn doorbells(&self) -> impl Iterator<Item = &Arc<Doorbell>> {
        self.sources.iter().map(|source| &source.doorbell)
    }

    /// Whether a source of that name and kind runs, or has run: it takes other settings while the server does.
    pub(super) fn has(&self, said: &SourceConfig) -> bool {
        self.sources.iter().any(|source| source.is_of(said))
    }

    /// Has them go on as another configuration says; what is the same there goes on undisturbed.
    pub(super) fn renew(&mut self, config: &Config) -> Result<(), ConfigError> {
        for source in &mut self.sources {
            let said = config.sources.iter().find(|said| source.is_of(said));
            let spec = match said {
                Some(said) if *said == source.said && !source.is_gone => continue,
                Some(said) => spec_named(config, &said.name)?.map(Box::new),
                None if source.is_gone => continue,
                None => None,
            };
            source.is_gone = spec.is_none();
            if let Some(said) = said {
                source.said = said.clone();
            }
            let within = Duration::from_millis(RELOAD_MS_MAX);
            if source.renew.send_timeout(spec, within).is_err() {
                tracing::error!(source = source.said.name, "a source has not taken its settings");
            }
            source.doorbell.ring();
        }
        Ok(())
    }
}

impl Drop for Sourcing {
    fn drop(&mut self) {
        for source in &self.sources {
            source.doorbell.ring_to_stop();
        }
        for source in &mut self.sources {
            let Some(thread) = source.thread.take() else { continue };
            if thread.join().is_err() {
                tracing::error!(source = source.said.name, "the thread of a source has panicked");
            }
        }
    }
}
