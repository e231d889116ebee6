//! What the server takes when everything is as full as it may be, summed line by line before it starts.
//!
//! Invariant: a server that starts fits. What nobody has set is made to fit; what somebody has set and does not fit is refused, with the key to
//! change. Bytes of the kernel's own (sockets) are told, and not counted: the kernel bounds them by itself.

#[cfg(test)]
mod docs;
mod lines;
mod machine;

use std::fmt;

use lines::Bound;
use lines::LINES;
pub(super) use lines::Part;
pub(super) use machine::available;

use crate::config::Config;
use crate::config::ConfigError;
use crate::config::Origin;
use crate::config::Problem;
use crate::limits::CONNECTIONS_DEFAULT;
use crate::limits::LEDGER_ALONE_BYTES;
use crate::limits::MEMORY_SHARES;
use crate::limits::MEMORY_SLACK_SHARE;

/// What of the memory may be counted: the rest is lost between what is allocated, whatever it is.
const fn countable(available: u64) -> u64 {
    available - available / MEMORY_SLACK_SHARE
}

/// Bytes that are only needed if history is kept on disk.
fn stored(config: &Config, bytes: u64) -> u64 {
    if config.has_store() { bytes } else { 0 }
}

/// What lines without a share leave for the others.
fn shared(config: &Config, shard_count: u64, available: u64) -> u64 {
    let fixed = LINES.iter().map(|line| match line.bound {
        Bound::Fixed(bytes) => bytes,
        Bound::EachShard(bytes) => bytes.saturating_mul(shard_count),
        Bound::EachShardSet(bytes) => bytes(config).saturating_mul(shard_count),
        Bound::Set(bytes) => bytes(config),
        Bound::EachConnection { .. }
        | Bound::Budget { .. }
        | Bound::EachSecured(_)
        | Bound::Of { .. }
        | Bound::OfSecured { .. }
        | Bound::OfStored { .. } => 0,
        Bound::Stored(bytes) => stored(config, bytes),
    });
    countable(available).saturating_sub(fixed.fold(0, u64::saturating_add))
}

/// Connections of a server whose operator has not said how many, if the limit on open files allows them.
pub(super) fn connections_default(config: &Config, shard_count: u64, available: u64) -> u64 {
    connections_possible(config, shard_count, available).clamp(1, CONNECTIONS_DEFAULT)
}

/// Connections for which there is memory beside everything else.
pub(super) fn connections_possible(config: &Config, shard_count: u64, available: u64) -> u64 {
    let Bound::EachConnection { bytes, share } = LINES[Part::Connections as usize].bound else {
        unreachable!("connections are counted one by one")
    };
    let keys = if config.tls.is_on() { lines::secured_bytes(config) } else { 0 };
    let room = shared(config, shard_count, available);
    room / MEMORY_SHARES * share / (bytes + keys)
}

/// What the process holds at most, line by line, all shards together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sizes([u64; LINES.len()]);

impl Sizes {
    /// What was set, and of the rest a part of the memory that there is.
    pub(super) fn new(config: &Config, connections: u64, shard_count: u64, available: u64) -> Self {
        let shared = shared(config, shard_count, available);
        let is_secured = config.tls.is_on();
        let mut sizes = Self(LINES.each_ref().map(|line| match line.bound {
            Bound::Fixed(bytes) => bytes,
            Bound::EachShard(bytes) => bytes.saturating_mul(shard_count),
            Bound::EachShardSet(bytes) => bytes(config).saturating_mul(shard_count),
            Bound::Set(bytes) => bytes(config),
            Bound::EachConnection { bytes, .. } => bytes.saturating_mul(connections),
            Bound::EachSecured(bytes) if is_secured => bytes(config).saturating_mul(connections),
            Bound::EachSecured(_)
            | Bound::Of { .. }
            | Bound::OfSecured { .. }
            | Bound::OfStored { .. } => 0,
            Bound::Stored(bytes) => stored(config, bytes),
            Bound::Budget { set, share, most } => match set(config) {
                0 => (shared / MEMORY_SHARES * share).min(most),
                set => set,
            },
        }));
        for line in &LINES {
            let part = match line.bound {
                Bound::Of { of, share } => Some((of, share)),
                Bound::OfSecured { of, share } if is_secured => Some((of, share)),
                Bound::OfStored { of, share } if config.has_store() => Some((of, share)),
                _ => None,
            };
            if let Some((of, share)) = part {
                let most =
                    if config.history.durable.is_empty() { LEDGER_ALONE_BYTES } else { u64::MAX };
                let part = (sizes.of(of) / share).min(most);
                sizes.0[of as usize] -= part;
                sizes.0[line.part as usize] = part;
            }
        }
        sizes
    }

    /// Bytes of one line.
    pub(super) const fn of(&self, part: Part) -> u64 {
        self.0[part as usize]
    }

    fn total(&self) -> u64 {
        self.0.iter().fold(0, |sum, bytes| sum.saturating_add(*bytes))
    }
}

/// What the server takes if everything is as full as it may be, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WorstCase {
    pub(super) sizes: Sizes,
    pub(super) kernel: u64,
    pub(super) available: u64,
}

impl WorstCase {
    /// Of so many connections and shards.
    ///
    /// # Errors
    /// If that is more than there is: names the key that takes the most of it. If a shard's part of what clients send has no room for one message.
    pub(super) fn new(
        config: &Config,
        connections: u64,
        shard_count: u64,
        available: u64,
    ) -> Result<Self, ConfigError> {
        let worst = Self {
            sizes: Sizes::new(config, connections, shard_count, available),
            // The kernel doubles what it is asked for.
            kernel: connections.saturating_mul(2 * config.send_buffer_bytes),
            available,
        };
        if worst.sizes.total() <= countable(available) {
            worst.check_input(config, shard_count)?;
            return Ok(worst);
        }
        let (needed, key) = worst.greatest();
        let problem = Problem::TooLittleMemory {
            needed,
            all: worst.sizes.total(),
            available: countable(available),
            bytes_max: worst.sizes.total().saturating_mul(MEMORY_SLACK_SHARE)
                / (MEMORY_SLACK_SHARE - 1),
        };
        Err(ConfigError::new(key, Origin::Machine, problem))
    }

    /// A message that a client may send is not to be refused for want of room when nobody else sends anything.
    fn check_input(&self, config: &Config, shard_count: u64) -> Result<(), ConfigError> {
        let needed = lines::message_buffer_bytes(config).saturating_mul(shard_count);
        let found = self.sizes.of(Part::Input);
        if needed <= found {
            return Ok(());
        }
        let problem = Problem::TooLittleInput {
            found,
            needed,
            shards: shard_count,
            message_bytes: config.message_bytes_max,
        };
        Err(ConfigError::new("memory.input_bytes_max", Origin::Machine, problem))
    }

    /// Tells each line, for an operator who wants to know which key to change.
    pub(super) fn tell_lines(&self) {
        for line in &LINES {
            let bytes = self.sizes.of(line.part);
            tracing::debug!(
                key = line.key,
                bytes,
                "at worst: {}; then {}",
                line.name,
                line.at_limit
            );
        }
    }

    /// The key whose lines take the most.
    fn greatest(&self) -> (u64, &'static str) {
        let of_key = |key: &'static str| {
            let lines = LINES.iter().filter(|line| line.key == key);
            (lines.map(|line| self.sizes.of(line.part)).fold(0, u64::saturating_add), key)
        };
        LINES.iter().map(|line| of_key(line.key)).max().expect("there are lines")
    }
}

impl fmt::Display for WorstCase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        write!(f, "{} MiB of {} (", mib(self.sizes.total()), mib(self.available))?;
        for (index, line) in LINES.iter().enumerate() {
            let comma = if index == 0 { "" } else { "; " };
            write!(f, "{comma}{}: {}", line.name, mib(self.sizes.of(line.part)))?;
        }
        write!(f, "), and up to {} MiB of the kernel's send buffers", mib(self.kernel))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::HISTORY_BYTES_DEFAULT;
    use crate::limits::LAST_BYTES_DEFAULT;

    const MIB: u64 = 1 << 20;

    #[test]
    fn what_nobody_set_fits_small_and_large_machines() {
        for (mib, shards) in [(64, 1), (128, 1), (128, 2), (512, 2), (24_000, 2), (1 << 20, 64)] {
            let connections = connections_default(&Config::default(), shards, mib * MIB);
            let worst = WorstCase::new(&Config::default(), connections, shards, mib * MIB);
            assert!(worst.is_ok(), "{mib} MiB: {}", worst.unwrap_err());
        }
    }

    #[test]
    fn a_large_machine_is_not_filled_with_history_that_nobody_asked_for() {
        let sizes = Sizes::new(&Config::default(), 1000, 2, 64 << 30);
        assert_eq!(sizes.of(Part::History), HISTORY_BYTES_DEFAULT);
        assert_eq!(sizes.of(Part::Last), LAST_BYTES_DEFAULT);
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
        let error = WorstCase::new(&Config::default(), 1, 64, 128 * MIB).unwrap_err();
        assert_eq!(&*error.key, "shards");
    }

    #[test]
    fn what_does_not_fit_says_what_would() {
        let started = |shards, mib: u64| {
            let config = Config::default();
            let connections = connections_default(&config, shards, mib * MIB);
            WorstCase::new(&config, connections, shards, mib * MIB)
        };
        let error = started(2, 64).unwrap_err();
        assert_eq!(&*error.key, "shards");
        let told = error.to_string();
        let (_, rest) = told.split_once("at least ").expect("it says what would fit");
        let mib: u64 = rest.split(' ').next().unwrap().parse().unwrap();
        let config = Config::default();
        let all = WorstCase::new(&config, 1, 2, mib * MIB);
        // What is shared out of that is too little for a message, which is said next.
        assert!(all.is_ok() || &*all.unwrap_err().key == "memory.input_bytes_max", "{told}");
    }

    #[test]
    fn one_message_fits_what_a_shard_may_hold_of_input() {
        let mut config = Config { message_bytes_max: 16 * MIB, ..Config::default() };
        config.memory.input_bytes_max = 32 * MIB;
        assert!(WorstCase::new(&config, 1000, 1, 1000 * MIB).is_ok());
        let error = WorstCase::new(&config, 1000, 2, 1000 * MIB).unwrap_err();
        assert_eq!(
            error.to_string(),
            "this machine: `memory.input_bytes_max`: leaves each of 2 shards 16.0 MiB, and one message of `message_bytes_max` (16777216 bytes) takes up to 20.0 MiB while it comes: \
             set it to 41951232 or more, `message_bytes_max` to less, or fewer `shards`"
        );
        config.memory.input_bytes_max = 41_951_232;
        assert!(WorstCase::new(&config, 1000, 2, 1000 * MIB).is_ok());
    }

    #[test]
    fn a_message_that_is_inflated_is_counted() {
        let large = Config { message_bytes_max: 16 * MIB, ..Config::default() };
        let [small, large] = [&Config::default(), &large]
            .map(|config| Sizes::new(config, 1000, 2, 1000 * MIB).of(Part::Inflating));
        assert!(small >= 2 * 2 * MIB && large >= 2 * 2 * 16 * MIB, "{small} and {large}");
    }

    #[test]
    fn calls_of_hooks_that_wait_and_answers_that_come_at_once_are_counted() {
        let parse = |text: &str| Config::parse(text, std::path::Path::new("f.toml")).unwrap();
        let size = |config: &Config| Sizes::new(config, 1000, 2, 1000 * MIB).of(Part::Hooks);
        let table = "[[table]]\nname = 't'\ncolumns = ['id int key']\n";
        let hooks = "[hooks]\nconcurrency = 4\nbefore_read = 'http://127.0.0.1:1/'\n";
        assert_eq!(size(&parse(table)), 0, "no hook is asked");
        assert_eq!(size(&parse(hooks)), 0, "hooks are asked of tables only");
        // 16 MiB of calls that wait, and 2 MiB of each answer.
        let of_four = size(&parse(&format!("{table}{hooks}")));
        assert_eq!(of_four, (16 + 4 * 2) * MIB);
        let mut embedded = parse(table);
        embedded.hooks.are_embedded = true;
        embedded.hooks.concurrency = 4;
        assert_eq!(size(&embedded), of_four, "whoever answers");
    }

    #[test]
    fn the_start_tells_every_line() {
        let worst = WorstCase::new(&Config::default(), 1000, 2, 1000 * MIB).unwrap();
        let told = worst.to_string();
        for line in &LINES {
            let mib = worst.sizes.of(line.part).div_ceil(MIB);
            assert!(told.contains(&format!("{}: {mib}", line.name)), "{told}");
        }
    }
}
