//! From what was configured and what the machine has to what is started.
//!
//! Invariant: a plan can be carried out as far as can be known beforehand; what cannot is refused here, with the key to change.

use std::net::SocketAddr;
use std::sync::Arc;

use rustix::thread::CpuSet;
use rustix::thread::sched_getaffinity;

use super::access;
use super::descriptors::fit;
use super::descriptors::reserved;
use super::driver;
use super::driver::Chosen;
use super::error::StartError;
use super::fd_table;
use super::memory;
use super::memory::Part;
use super::memory::Sizes;
use super::memory::WorstCase;
use super::places::Place;
use super::tabling;
use super::written::seconds;
use crate::config::Config;
use crate::config::ConfigError;
use crate::config::FdTables;
use crate::config::Origin;
use crate::config::Problem;
use crate::history::Retention;
use crate::limits::SHARDS_MAX;
use crate::shard::Bounds;
use crate::shard::Elsewhere;
use crate::shard::Hooks;
use crate::shard::MemoryBounds;
use crate::shard::Returns;
use crate::shard::Settings;
use crate::shard::Tables;

/// What is started.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) shard_count: u16,
    pub(super) driver: Chosen,
    /// The core of each shard; empty: wherever the kernel likes.
    pub(super) cpus: Vec<usize>,
    pub(super) has_own_tables: bool,
    pub(super) settings: Settings,
    pub(super) worst_case: WorstCase,
    /// Bytes of records in part that each shard may hold.
    pub(super) tls_records_bytes_max: usize,
}

impl Plan {
    pub(super) fn new(config: &Config) -> Result<Self, StartError> {
        let driver = driver::choose(config.driver)?;
        let cpus = cpus();
        let shard_count = match u16::try_from(config.shards) {
            Ok(0) | Err(_) => u16::try_from(cpus.len()).unwrap_or(SHARDS_MAX).clamp(1, SHARDS_MAX),
            Ok(count) => count,
        };
        // Two shards on one core would take turns there while another core idles.
        let is_pinned = config.pin && usize::from(shard_count) <= cpus.len();
        let cpus = if is_pinned { cpus } else { Vec::new() };
        let available = memory::available(config);
        let limit = fd_table::raise_limit();
        let (connections, has_own_tables) =
            connections(config, u64::from(shard_count), limit, available)?;
        let worst_case = WorstCase::new(config, connections, u64::from(shard_count), available)?;
        let settings = settings(config, connections, u64::from(shard_count), &worst_case.sizes)?;
        let records = worst_case.sizes.of(Part::Records) / u64::from(shard_count);
        let tls_records_bytes_max = count(records);
        Ok(Self {
            shard_count,
            driver,
            cpus,
            has_own_tables,
            settings,
            worst_case,
            tls_records_bytes_max,
        })
    }

    /// Says where it listens, and what it takes at worst.
    pub(super) fn tell(&self, places: &[Place]) {
        let own = places[1..].iter().map(|place| (&*place.written.key, place.address));
        let own: Vec<(&str, SocketAddr)> = own.collect();
        tracing::info!(
            address = %places[0].address,
            own = ?own,
            shards = self.shard_count,
            driver = %self.driver,
            pinned = !self.cpus.is_empty(),
            fd_tables = if self.has_own_tables { "own" } else { "shared" },
            connections_max = self.settings.connections_max * usize::from(self.shard_count),
            "listening"
        );
        tracing::info!("memory at worst: {}", self.worst_case);
        self.worst_case.tell_lines();
    }
}

/// The cores that this process may use.
fn cpus() -> Vec<usize> {
    match sched_getaffinity(None) {
        Ok(allowed) => (0..CpuSet::MAX_CPU).filter(|cpu| allowed.is_set(*cpu)).collect(),
        Err(_) => Vec::new(),
    }
}

/// How many connections there may be in all, and whether shards need tables of their own for them.
fn connections(
    config: &Config,
    shard_count: u64,
    limit: u64,
    memory: u64,
) -> Result<(u64, bool), ConfigError> {
    let reserved = reserved(config, shard_count);
    let fit = |has_own: bool| fit(config, shard_count, limit, has_own);
    let wanted = match config.connections_max {
        0 => memory::connections_default(config, shard_count, memory),
        set => set,
    };
    let has_own_tables = match config.fd_tables {
        FdTables::Own => true,
        FdTables::Shared => false,
        FdTables::Auto => shard_count > 1 && wanted > fit(false),
    };
    let possible = fit(has_own_tables);
    if config.connections_max > possible || possible == 0 {
        let problem = Problem::TooFewDescriptors {
            wanted: config.connections_max.max(1),
            possible,
            limit,
            reserved,
            shards: shard_count,
            has_own_tables,
        };
        return Err(ConfigError::new("connections_max", Origin::Machine, problem));
    }
    Ok((wanted.min(possible), has_own_tables))
}

/// A shard's settings: its own limits, and its share of those of the whole process.
pub(super) fn settings(
    config: &Config,
    connections: u64,
    shard_count: u64,
    sizes: &Sizes,
) -> Result<Settings, ConfigError> {
    let share = |whole: u64| count(whole.div_ceil(shard_count));
    let history = &config.history;
    Ok(Settings {
        retention: Retention {
            topic_events_max: count(history.topic_events_max),
            topic_bytes_max: count(history.topic_bytes_max),
            age_us_max: history.age_s_max.saturating_mul(1_000_000),
            topic_keys_max: count(history.topic_keys_max),
            bytes_max: share(sizes.of(Part::History)),
            last_bytes_max: share(sizes.of(Part::Last)),
            topics_bytes_max: share(sizes.of(Part::Topics)),
        },
        topics_max: share(config.topics_max),
        connections_max: share(connections),
        outbox_bytes_max: count(config.outbox_bytes_max),
        outboxes_bytes_max: share(sizes.of(Part::Outboxes)),
        memory: MemoryBounds {
            subscriptions_bytes_max: share(sizes.of(Part::Subscriptions)),
            batches_bytes_max: share(sizes.of(Part::Batches)),
            shaping_bytes_max: share(sizes.of(Part::Shaping)),
            replays_bytes_max: share(sizes.of(Part::Replays)),
            input_bytes_max: share(sizes.of(Part::Input)),
            mesh_bytes_max: share(sizes.of(Part::Mesh)),
            tables_bytes_max: share(sizes.of(Part::Tables)),
            tokens_bytes_max: share(sizes.of(Part::Tokens)),
            sessions_bytes_max: share(sizes.of(Part::Sessions)),
        },
        message_bytes_max: count(config.message_bytes_max),
        bounds: Bounds {
            subscriptions_max: count(config.subscriptions_max),
            topic_bytes_max: count(config.topic_bytes_max),
            filter_bytes_max: count(config.filter_bytes_max),
        },
        deflate: config.deflate,
        echo: config.echo,
        own: access::own(config),
        access: Arc::new(access::access(config)?),
        views: Arc::new(access::views(config)?),
        ping_after_s: seconds(config.ping_after_s),
        request_timeout_s: seconds(config.request_timeout_s),
        upload_bytes_per_s_min: config.upload_bytes_per_s_min,
        close_timeout_s: seconds(config.close_timeout_s),
        returns: Returns {
            spread_ms: config.return_spread_s * 1000,
            // Half of the time that there is: whoever is closed last is to have time to read what it is owed.
            paced_ms: config.return_spread_s.min(config.drain_timeout_s / 2) * 1000,
            elsewhere: (!config.elsewhere.server.is_empty()).then(|| Elsewhere {
                server: config.elsewhere.server.as_str().into(),
                is_for_good: config.elsewhere.is_for_good,
            }),
        },
        durable: None,
        tables: Tables { schema: tabling::schema(config)?, party: None },
        hooks: Hooks::default(),
    })
}

fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::CONNECTIONS_DEFAULT;

    /// Bytes of memory that no connections here use up.
    const LARGE: u64 = 1 << 36;

    /// A limit on open files that leaves so many for connections in each table.
    fn limit(connections: u64, shards: u64) -> u64 {
        connections.saturating_add(reserved(&Config::default(), shards))
    }

    fn with(connections_max: u64, fd_tables: FdTables) -> Config {
        Config { connections_max, fd_tables, ..Config::default() }
    }

    #[test]
    fn tables_are_split_only_if_that_is_needed() {
        let connections = |config: &Config, shards| {
            connections(config, shards, limit(1000, shards), LARGE).unwrap()
        };
        assert_eq!(connections(&with(900, FdTables::Auto), 4), (900, false));
        assert_eq!(connections(&with(1001, FdTables::Auto), 4), (1001, true));
        assert_eq!(connections(&with(0, FdTables::Auto), 4), (4000, true));
        assert_eq!(connections(&with(0, FdTables::Auto), 1), (1000, false));
        assert_eq!(connections(&with(0, FdTables::Shared), 4), (1000, false));
    }

    #[test]
    fn what_nobody_has_set_is_what_a_machine_can_hold() {
        assert_eq!(
            connections(&with(0, FdTables::Auto), 1, u64::MAX, LARGE).unwrap(),
            (CONNECTIONS_DEFAULT, false)
        );
        let (few, _) = connections(&with(0, FdTables::Auto), 1, u64::MAX, 128 << 20).unwrap();
        assert!((1000..3000).contains(&few), "a small machine has {few}");
    }

    #[test]
    fn what_cannot_be_held_is_refused() {
        for (config, possible) in
            [(with(4001, FdTables::Auto), 4000), (with(1001, FdTables::Shared), 1000)]
        {
            let error = connections(&config, 4, limit(1000, 4), LARGE).unwrap_err();
            assert_eq!(&*error.key, "connections_max");
            let words = format!("at most {possible} connections fit");
            assert!(error.to_string().contains(&words), "{error}");
        }
    }

    #[test]
    fn budgets_of_the_process_are_shared_out() {
        let config = Config::default();
        let sizes = Sizes::new(&config, 999, 2, 64 << 30);
        let shares = settings(&config, 999, 2, &sizes).unwrap();
        assert_eq!(shares.connections_max, 500);
        assert_eq!(shares.retention.bytes_max as u64, sizes.of(Part::History) / 2);
        assert_eq!(shares.retention.topic_bytes_max as u64, config.history.topic_bytes_max);
    }
}
