//! What can be wrong with a configuration, and where.

use std::fmt;
use std::io;
use std::path::Path;

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    File {
        path: Box<Path>,
        line: u32,
    },
    CommandLine,
    Default,
    /// Possible as written, but not here.
    Machine,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::CommandLine => f.write_str("command line"),
            Self::Default => f.write_str("default"),
            Self::Machine => f.write_str("this machine"),
        }
    }
}

/// A configuration that the server does not start with.
#[derive(Debug)]
pub struct ConfigError {
    /// Empty if the file as a whole is wrong.
    pub key: Box<str>,
    pub origin: Origin,
    pub problem: Box<Problem>,
}

/// What is wrong.
#[derive(Debug)]
pub enum Problem {
    Unreadable(io::Error),
    /// Not TOML; the parser says why.
    Syntax(Box<str>),
    UnknownKey {
        /// The key that was probably meant.
        meant: Option<Box<str>>,
    },
    /// A value where a table belongs, or the reverse, or the wrong kind of value.
    WrongType {
        wanted: &'static str,
        found: &'static str,
    },
    OutOfRange {
        found: Box<str>,
        min: u64,
        max: u64,
    },
    NotAnAddress {
        found: Box<str>,
    },
    NotOneOf {
        found: Box<str>,
        of: &'static [&'static str],
    },
    /// A text, or what the file holds that it names, is not what it must be.
    Unusable {
        reason: Box<str>,
    },
    /// The limit on open files does not allow so many connections.
    TooFewDescriptors {
        wanted: u64,
        possible: u64,
        /// Open files that the process may have, in each table.
        limit: u64,
        /// Of these, what so many shards need before anyone is connected.
        reserved: u64,
        shards: u64,
        has_own_tables: bool,
    },
    /// There is less memory than everything may take, of which this key's part is the greatest.
    TooLittleMemory {
        needed: u64,
        all: u64,
        available: u64,
        /// What `memory.bytes_max` would have to be.
        bytes_max: u64,
    },
    /// What a shard may hold of what clients send has no room for one message.
    TooLittleInput {
        found: u64,
        needed: u64,
        shards: u64,
        message_bytes: u64,
    },
}

impl ConfigError {
    pub(crate) fn new(key: &str, origin: Origin, problem: Problem) -> Self {
        Self { key: key.into(), origin, problem: Box::new(problem) }
    }

    pub(super) fn unreadable(path: &Path, error: io::Error) -> Self {
        Self::new("", Origin::File { path: path.into(), line: 0 }, Problem::Unreadable(error))
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            // Nothing was read, so there is no line to name.
            Origin::File { path, line: 0 } => write!(f, "{}: ", path.display())?,
            origin => write!(f, "{origin}: ")?,
        }
        if !self.key.is_empty() {
            write!(f, "`{}`: ", self.key)?;
        }
        self.problem.fmt(f)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => write!(f, "cannot be read: {error}"),
            Self::Syntax(message) => write!(f, "is not TOML: {message}"),
            Self::UnknownKey { meant: None } => f.write_str("there is no such key"),
            Self::UnknownKey { meant: Some(meant) } => {
                write!(f, "there is no such key; did you mean `{meant}`?")
            }
            Self::WrongType { wanted, found } => write!(f, "must be {wanted}, and is {found}"),
            Self::OutOfRange { found, min, max } => {
                write!(f, "must be from {min} to {max}, and is {found}")
            }
            Self::NotAnAddress { found } => {
                write!(
                    f,
                    "must be an IP address and a port, as in \"127.0.0.1:8080\" or \"[::1]:8080\", and is \"{found}\""
                )
            }
            Self::NotOneOf { found, of } => {
                write!(f, "must be one of {}, and is \"{found}\"", of.join(", "))
            }
            Self::Unusable { reason } => write!(f, "cannot be used: {reason}"),
            Self::TooLittleMemory { needed, all, available, bytes_max } => write!(
                f,
                "{} MiB of the {} MiB that everything may take at worst are due to this; there are {} MiB of memory: set it to less, or `memory.bytes_max` to at least {} MiB if the machine has as much",
                needed.div_ceil(1 << 20),
                all.div_ceil(1 << 20),
                available >> 20,
                bytes_max.div_ceil(1 << 20)
            ),
            Self::TooLittleInput { found, needed, shards, message_bytes } => {
                let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20) / *shards as f64;
                write!(
                    f,
                    "leaves each of {shards} shards {:.1} MiB, and one message of `message_bytes_max` ({message_bytes} bytes) takes up to {:.1} MiB while it comes: set it to {needed} or more, `message_bytes_max` to less, or fewer `shards`",
                    mib(*found),
                    mib(*needed)
                )
            }
            Self::TooFewDescriptors { possible: 0, limit, reserved, shards, .. } => write!(
                f,
                "no connection fits: of {limit} open files {shards} shards need {reserved} for themselves; raise the limit (`ulimit -n`), or set fewer shards"
            ),
            Self::TooFewDescriptors {
                wanted,
                possible,
                limit,
                reserved,
                shards,
                has_own_tables,
            } => {
                write!(
                    f,
                    "{wanted} connections need more descriptors than the limit on open files allows, which is {limit}: {shards} shards need {reserved} for themselves, and at most {possible} connections fit; raise the limit (`ulimit -n`), or set fewer connections"
                )?;
                // Each shard's table has the whole limit; one shard has the only table there is.
                match *has_own_tables || *shards == 1 {
                    true => Ok(()),
                    false => write!(f, ", or fd_tables = \"own\""),
                }
            }
        }
    }
}

impl std::error::Error for ConfigError {}
