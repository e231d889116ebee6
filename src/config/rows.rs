//! What may be set of tables of rows, and of each of them: in the operator's words, not yet made tables.
//!
//! Never checks anything.

/// Who keeps rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BackendChoice {
    /// One file of SQLite, in the process.
    #[default]
    Sqlite,
    /// The process itself, as long as it runs.
    Memory,
    /// A database of PostgreSQL.
    Postgres,
}

/// Who keeps answers of tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CacheChoice {
    /// Nobody.
    #[default]
    Off,
    /// The process itself.
    Memory,
    Redis,
    Memcached,
}

/// How answers of tables are kept. See `docs/CONFIG.md` for each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheConfig {
    pub kept: CacheChoice,
    pub bytes_max: u64,
    pub servers: Vec<String>,
    pub password_file: String,
    pub namespace: String,
    pub ttl_s: u64,
    pub timeout_ms: u64,
}

/// Tables of rows. See `docs/CONFIG.md` for each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TablesConfig {
    pub backend: BackendChoice,
    pub memory_bytes_max: u64,
    /// Empty: in the data folder.
    pub file: String,
    /// Where the database of PostgreSQL is, and who logs in.
    pub url: String,
    /// Empty: the password stands in the address, or there is none.
    pub password_file: String,
    pub readers: u64,
    pub query_ms_max: u64,
    pub cache: CacheConfig,
    /// The tables, in the order in which they are declared.
    pub declared: Vec<TableConfig>,
}

impl TablesConfig {
    /// Whether there are any.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.declared.is_empty()
    }
}

/// One table, in its operator's words; or all whose names a pattern means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableConfig {
    pub name: String,
    /// Empty: the usual one.
    pub topic: String,
    /// `name type`, and what else there is to say of each; empty: they are as the database has them.
    pub columns: Vec<String>,
    /// Names, and patterns of names, that a pattern does not mean.
    pub except: Vec<String>,
    /// `name one|many table column-there column-here`
    pub relations: Vec<String>,
    pub from: Vec<String>,
    pub writes: bool,
    /// Whether whole answers are kept, if anything is.
    pub cached: bool,
    /// 0: any number.
    pub replay_rows_max: u64,
    /// The column with the score, and behind it those within which places are counted; empty: rows have no places.
    pub ranked_by: Vec<String>,
}

impl TableConfig {
    /// Whether it is a pattern, and no table's name.
    #[must_use]
    pub fn is_pattern(&self) -> bool {
        self.name.contains('*')
    }
}

impl Default for TableConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            topic: String::new(),
            columns: Vec::new(),
            except: Vec::new(),
            relations: Vec::new(),
            from: Vec::new(),
            writes: true,
            cached: false,
            replay_rows_max: 0,
            ranked_by: Vec::new(),
        }
    }
}
