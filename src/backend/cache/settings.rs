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
