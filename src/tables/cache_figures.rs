//! What a cache in front of tables counts.

/// What the cache counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheFigures {
    /// Answers and totals that were there.
    pub hits: u64,
    /// Answers and totals that were looked for and not there, or of before a write.
    pub misses: u64,
    /// Answers and totals that were not looked for, since their server is gone or has too much to do, or for which the server has not answered in time.
    pub unanswered: u64,
    /// Answers and totals that were kept.
    pub kept: u64,
    /// Answers and totals that had to go for others.
    pub evicted: u64,
    /// How often a server was lost, or not to be had.
    pub failures: u64,
    /// Answers and totals that are kept in this process, and their bytes.
    pub entries: u64,
    pub bytes: u64,
    /// Servers that answer.
    pub servers_up: u64,
}
