//! How answers are kept, and what is counted of it.

use std::time::Duration;

/// Where answers are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Here, in so many bytes.
    Memory { bytes_max: usize },
    /// On servers of Redis, by their addresses.
    Redis { servers: Vec<String> },
    /// On servers of memcached, by their addresses.
    Memcached { servers: Vec<String> },
}

/// How answers are kept.
#[derive(Clone, Debug)]
pub struct CacheUse {
    pub kept: Kept,
    /// What servers are shown.
    pub password: Option<String>,
    /// Whoever calls it the same shares what is kept. Empty: nobody does.
    pub namespace: String,
    pub ttl_s: u64,
    pub timeout: Duration,
    /// Of each table whether whole answers are kept, and not only their totals.
    pub whole: Vec<bool>,
}

/// What the cache counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheFigures {
    /// Answers and totals that were there.
    pub hits: u64,
    /// Those that were not, or were of before a write.
    pub misses: u64,
    /// Those that were not looked for, since their server is gone or has too much to do, or that it has not answered in time.
    pub unanswered: u64,
    /// Answers and totals that were kept.
    pub kept: u64,
    /// Those that had to go for others.
    pub evicted: u64,
    /// How often a server was lost, or not to be had.
    pub failures: u64,
    /// Answers and totals that are kept in this process, and their bytes.
    pub entries: u64,
    pub bytes: u64,
    /// Servers that answer.
    pub servers_up: u64,
}
