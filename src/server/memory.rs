//! What the machine has, and what the server takes of it when everything is as full as it may be.
//!
//! Invariant: a server that starts fits. What nobody has set is made to fit; what somebody has set and does not fit is refused, with the key to
//! change. Bytes of the kernel's own (sockets) are told, and not counted: the kernel bounds them by itself.

use std::fmt;
use std::fs;
use std::path::Path;

use crate::config::Config;
use crate::config::ConfigError;
use crate::config::Origin;
use crate::config::Problem;
use crate::limits::CONNECTION_BYTES;
use crate::limits::CONNECTIONS_DEFAULT;
use crate::limits::DEFLATE_STREAM_BYTES;
use crate::limits::DEFLATE_STREAMS_MAX;
use crate::limits::FLUSH_BYTES_MAX;
use crate::limits::HISTORY_BYTES_DEFAULT;
use crate::limits::LAST_BYTES_DEFAULT;
use crate::limits::MEMORY_SHARE_CONNECTIONS;
use crate::limits::MEMORY_SHARE_HISTORY;
use crate::limits::MEMORY_SHARE_INPUT;
use crate::limits::MEMORY_SHARE_LAST;
use crate::limits::MEMORY_SHARE_OUTBOXES;
use crate::limits::OUTBOX_SPARE_BYTES;
use crate::limits::READ_BYTES;

/// Bytes of memory that this process may use: the machine's, or its control group's if that is less.
pub(super) fn available() -> u64 {
    let info = rustix::system::sysinfo();
    let machine = info.totalram.saturating_mul(u64::from(info.mem_unit));
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    machine.min(group_limit(&groups, Path::new("/sys/fs/cgroup")))
}

/// The least limit of a control group and of all above it, by what `/proc/self/cgroup` says; as good as none if there is none.
fn group_limit(groups: &str, root: &Path) -> u64 {
    let mut least = u64::MAX;
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (parts.next(), parts.next()) else { continue };
        let (root, file) = match controllers {
            "" => (root.to_path_buf(), "memory.max"),
            _ if controllers.split(',').any(|one| one == "memory") => {
                (root.join("memory"), "memory.limit_in_bytes")
            }
            _ => continue,
        };
        // In a container the group's path may be the host's; then its root is the container's own group.
        let own = root.join(group.trim_start_matches('/'));
        for folder in own.ancestors().take_while(|folder| folder.starts_with(&root)) {
            let limit = fs::read_to_string(folder.join(file)).ok();
            let limit = limit.and_then(|text| text.trim().parse().ok());
            least = least.min(limit.unwrap_or(u64::MAX));
        }
    }
    least
}

/// Connections of a server whose operator has not said how many, if the limit on open files allows them.
pub(super) fn connections_default(memory: u64) -> u64 {
    let fit = memory / MEMORY_SHARE_CONNECTIONS / (CONNECTION_BYTES + OUTBOX_SPARE_BYTES as u64);
    fit.clamp(1, CONNECTIONS_DEFAULT)
}

/// What the process holds at most of what is bounded by bytes, all shards together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Budgets {
    pub(super) outboxes: u64,
    pub(super) history: u64,
    pub(super) last: u64,
    /// What has come in part, or waits for its turn.
    pub(super) input: u64,
}

impl Budgets {
    /// What was set, and of the rest a part of the memory that there is.
    pub(super) fn new(config: &Config, memory: u64) -> Self {
        let or = |set: u64, default: u64| if set == 0 { default } else { set };
        Self {
            outboxes: or(config.outboxes_bytes_max, memory / MEMORY_SHARE_OUTBOXES),
            history: or(
                config.history.bytes_max,
                HISTORY_BYTES_DEFAULT.min(memory / MEMORY_SHARE_HISTORY),
            ),
            last: or(
                config.history.last_bytes_max,
                LAST_BYTES_DEFAULT.min(memory / MEMORY_SHARE_LAST),
            ),
            input: memory / MEMORY_SHARE_INPUT,
        }
    }
}

/// What the server takes if everything is as full as it may be, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WorstCase {
    pub(super) connections: u64,
    pub(super) budgets: Budgets,
    pub(super) buffers: u64,
    pub(super) kernel: u64,
    pub(super) available: u64,
}

impl WorstCase {
    /// Of so many connections and shards.
    ///
    /// # Errors
    /// If that is more than there is: names the key that takes the most of it.
    pub(super) fn new(
        config: &Config,
        connections: u64,
        shard_count: u64,
        available: u64,
    ) -> Result<Self, ConfigError> {
        let per_shard = FLUSH_BYTES_MAX + READ_BYTES + DEFLATE_STREAMS_MAX * DEFLATE_STREAM_BYTES;
        let worst = Self {
            connections: connections.saturating_mul(CONNECTION_BYTES + OUTBOX_SPARE_BYTES as u64),
            budgets: Budgets::new(config, available),
            buffers: shard_count.saturating_mul(per_shard as u64),
            // The kernel doubles what it is asked for.
            kernel: connections.saturating_mul(2 * config.send_buffer_bytes),
            available,
        };
        if worst.total() <= available {
            return Ok(worst);
        }
        let (needed, key) = worst.greatest();
        let problem = Problem::TooLittleMemory { needed, all: worst.total(), available };
        Err(ConfigError::new(key, Origin::Machine, problem))
    }

    fn greatest(&self) -> (u64, &'static str) {
        let parts = [
            (self.budgets.outboxes, "outboxes_bytes_max"),
            (self.budgets.history, "history.bytes_max"),
            (self.budgets.last, "history.last_bytes_max"),
            (self.connections, "connections_max"),
            (self.buffers, "shards"),
        ];
        parts.into_iter().max().expect("there are five")
    }

    const fn total(&self) -> u64 {
        self.connections
            .saturating_add(self.budgets.outboxes)
            .saturating_add(self.budgets.history)
            .saturating_add(self.budgets.last)
            .saturating_add(self.budgets.input)
            .saturating_add(self.buffers)
    }
}

impl fmt::Display for WorstCase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: u64| bytes >> 20;
        write!(
            f,
            "{} MiB of {} (connections {}, outboxes of those who do not read {}, history {}, buffers {}), and up to {} MiB of the kernel's send buffers",
            mib(self.total()),
            mib(self.available),
            mib(self.connections),
            mib(self.budgets.outboxes),
            mib(self.budgets.history.saturating_add(self.budgets.last)),
            mib(self.buffers),
            mib(self.kernel)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn what_nobody_set_fits_small_and_large_machines() {
        for (mib, shards) in [(128, 1), (512, 2), (24_000, 2), (1 << 20, 64)] {
            let connections = connections_default(mib * MIB);
            let worst = WorstCase::new(&Config::default(), connections, shards, mib * MIB);
            assert!(worst.is_ok(), "{mib} MiB: {}", worst.unwrap_err());
        }
    }

    #[test]
    fn a_large_machine_is_not_filled_with_history_that_nobody_asked_for() {
        let budgets = Budgets::new(&Config::default(), 64 << 30);
        assert_eq!((budgets.history, budgets.last), (HISTORY_BYTES_DEFAULT, LAST_BYTES_DEFAULT));
    }

    #[test]
    fn what_was_set_and_does_not_fit_is_refused_by_its_key() {
        let mut config = Config::default();
        config.history.bytes_max = 2000 * MIB;
        let error = WorstCase::new(&config, 1000, 2, 1000 * MIB).unwrap_err();
        assert_eq!(&*error.key, "history.bytes_max");
        assert!(error.to_string().contains("2000 MiB"), "{error}");
        let config = Config { outboxes_bytes_max: 900 * MIB, ..Config::default() };
        let error = WorstCase::new(&config, 1000, 2, 1000 * MIB).unwrap_err();
        assert_eq!(&*error.key, "outboxes_bytes_max");
        let error = WorstCase::new(&Config::default(), 16_000_000, 2, 1000 * MIB).unwrap_err();
        assert_eq!(&*error.key, "connections_max");
    }

    #[test]
    fn the_least_limit_of_all_groups_counts() {
        let root = std::env::temp_dir().join(format!("fanwire-groups-{}", std::process::id()));
        let own = root.join("a/b");
        fs::create_dir_all(&own).unwrap();
        fs::write(own.join("memory.max"), "max\n").unwrap();
        fs::write(root.join("a/memory.max"), "1048576\n").unwrap();
        fs::create_dir_all(root.join("memory/c")).unwrap();
        fs::write(root.join("memory/c/memory.limit_in_bytes"), "4096\n").unwrap();
        let limits = ["0::/a/b\n", "7:cpu,memory:/c\n", "0::/elsewhere\n", "7:cpu:/c\n", ""]
            .map(|groups| group_limit(groups, &root));
        fs::remove_dir_all(&root).unwrap();
        assert_eq!(limits, [1_048_576, 4096, u64::MAX, u64::MAX, u64::MAX]);
    }
}
