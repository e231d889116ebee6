//! As written, then checked: what an operator may set.
//!
//! Invariants: every key stands once, in `keys` or, if it is about a dialect, in that dialect's folder, with its type, bounds, default, unit and
//! meaning; `docs/CONFIG.md` is made from them. A mistake is never passed over: an unknown key, a wrong type or an impossible value stops the start, and says which key, file
//! and line. Nothing is read from the environment. Never changes while the server runs.

mod acme;
mod changes;
mod dialects;
mod docs;
mod error;
mod file;
mod hooks;
mod keys;
mod keys_acme;
mod keys_auth;
mod keys_cache;
mod keys_hooks;
mod keys_memory;
mod keys_proxy;
mod keys_tables;
mod keys_tls;
mod known;
pub mod levels;
mod listen;
mod parse;
mod places;
mod row_tables;
mod rows;
mod sources;
mod tables;
mod takes;

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::path::Path;

use crate::dialect::PROTOCOLS;
use crate::dialect::Protocol;

pub use acme::AcmeConfig;
pub use changes::Change;
pub use changes::Explained;
pub use changes::When;
pub use dialects::DialectConfig;
pub use dialects::ViewConfig;
pub use docs::page;
pub use error::ConfigError;
pub use error::Origin;
pub use error::Problem;
pub use hooks::HooksConfig;
pub use listen::Listen;
pub use places::Places;
pub use rows::BackendChoice;
pub use rows::CacheChoice;
pub use rows::CacheConfig;
pub use rows::TableConfig;
pub use rows::TablesConfig;
pub use sources::SourceConfig;

use crate::limits::STORE_SYNC_MS;

/// Which way of waiting for the kernel the runtimes use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DriverChoice {
    /// io_uring where the kernel allows it, else epoll.
    #[default]
    Auto,
    IoUring,
    Epoll,
}

/// Whether each shard has a table of descriptors of its own, and with it a limit of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FdTables {
    /// If the connections do not fit one table.
    #[default]
    Auto,
    Own,
    Shared,
}

/// How much is kept of what happened. See `docs/CONFIG.md` for each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryConfig {
    pub topic_events_max: u64,
    pub topic_bytes_max: u64,
    pub topic_keys_max: u64,
    pub age_s_max: u64,
    pub bytes_max: u64,
    pub last_bytes_max: u64,
    /// Topics whose history is kept on disk.
    pub durable: Vec<DurableConfig>,
}

/// Topics whose history is kept on disk, and how much of it. 0: without bound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DurableConfig {
    pub topics: Vec<String>,
    pub age_s_max: u64,
    pub bytes_max: u64,
    pub topic_events_max: u64,
    pub sync: SyncConfig,
}

/// When what was written to the disk is synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncConfig {
    /// With each group.
    Always,
    /// So many milliseconds after the first event that is not.
    Every { ms: u64 },
    /// When somebody waits for it, and at the end.
    Off,
}

impl Default for SyncConfig {
    fn default() -> Self {
        Self::Every { ms: STORE_SYNC_MS }
    }
}

/// How much memory may be taken, and for what. See `docs/CONFIG.md` for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryConfig {
    pub bytes_max: u64,
    pub topics_bytes_max: u64,
    pub subscriptions_bytes_max: u64,
    pub shaping_bytes_max: u64,
    pub replays_bytes_max: u64,
    pub input_bytes_max: u64,
    pub mesh_bytes_max: u64,
    pub tables_bytes_max: u64,
    pub tokens_bytes_max: u64,
    pub sessions_bytes_max: u64,
}

/// Where clients are sent when the server stops, in protocols that have a word for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ElsewhereConfig {
    /// Empty: nowhere.
    pub server: String,
    pub is_for_good: bool,
}

/// What the server says of itself, as events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnConfig {
    pub figures_s: u64,
    pub logs: bool,
}

/// Who may do what. See `docs/SECURITY.md`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthConfig {
    pub algorithm: String,
    pub key_file: String,
    pub jwks_file: String,
    pub jwks_url: String,
    pub jwks_wish_s_min: u64,
    pub keys: Vec<KeyConfig>,
    pub issuer: String,
    pub audience: String,
    pub leeway_s: u64,
    pub expiry_required: bool,
    pub lifetime_s_max: u64,
    pub user_claim: String,
    pub role_claims: Vec<String>,
    pub grants_claim: String,
    pub subscribe_default: Vec<String>,
    pub publish_default: Vec<String>,
    pub anonymous: String,
    pub anonymous_role: String,
    pub admin_secret_file: String,
    pub metrics: String,
    pub origins: String,
    pub hosts: String,
    pub user_connections: u64,
    pub address_connections: u64,
    pub handshakes_per_s: u64,
    pub messages_per_s: u64,
    pub publish_per_s: u64,
}

/// One of several keys that tokens are checked with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyConfig {
    /// What tokens call it (`kid`); empty: it has no name.
    pub name: String,
    pub algorithm: String,
    pub file: String,
}

/// Certificates, and who is shown them. See `docs/CONFIG.md` for each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsConfig {
    pub certificate_file: String,
    pub key_file: String,
    pub certificates: Vec<CertificateConfig>,
    pub self_signed: Vec<String>,
    pub folder: String,
    pub plain_listeners: Vec<String>,
    pub client_ca_file: String,
    pub client_required: bool,
    pub clients: Vec<ClientConfig>,
    pub redirect_listen: Option<SocketAddr>,
    pub redirect_port: u64,
    pub hsts_s: u64,
    pub acme: AcmeConfig,
}

impl TlsConfig {
    /// Whether there is a certificate to show, or will be.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.certificate_file.is_empty()
            || !self.certificates.is_empty()
            || !self.self_signed.is_empty()
            || !self.acme.names.is_empty()
    }
}

/// A client that is known by a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientConfig {
    /// With its kind in front: `dns:feeder.example.org`.
    pub name: String,
    /// Empty: what stands behind the kind.
    pub user: String,
    pub roles: Vec<String>,
}

/// One of several certificates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateConfig {
    pub file: String,
    pub key_file: String,
}

/// What everyone with a role may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoleConfig {
    /// Absent: the role says nothing about that, which is not the same as an empty list.
    pub subscribe: Option<Vec<String>>,
    pub publish: Option<Vec<String>>,
    pub filter: Option<String>,
}

/// Everything that may be set. See `docs/CONFIG.md` for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub listen: SocketAddr,
    pub shards: u64,
    pub driver: DriverChoice,
    pub pin: bool,
    pub fd_tables: FdTables,
    pub trusted_proxies: Vec<String>,
    pub proxy_field: String,
    pub proxy_listeners: Vec<String>,
    pub connections_max: u64,
    pub topics_max: u64,
    pub message_bytes_max: u64,
    pub subscriptions_max: u64,
    pub topic_bytes_max: u64,
    pub filter_bytes_max: u64,
    pub outbox_bytes_max: u64,
    pub outboxes_bytes_max: u64,
    pub send_buffer_bytes: u64,
    pub peer_timeout_s: u64,
    pub deflate: bool,
    pub echo: bool,
    pub log: String,
    pub log_format: String,
    pub ping_after_s: u64,
    pub request_timeout_s: u64,
    pub upload_bytes_per_s_min: u64,
    pub close_timeout_s: u64,
    pub drain_timeout_s: u64,
    pub return_spread_s: u64,
    pub elsewhere: ElsewhereConfig,
    pub data_dir: String,
    pub history: HistoryConfig,
    pub tables: TablesConfig,
    pub hooks: HooksConfig,
    /// Where events come from besides publishers.
    pub sources: Vec<SourceConfig>,
    /// All protocols that are spoken, and what is set of each.
    pub dialects: Vec<DialectConfig>,
    pub own: OwnConfig,
    pub memory: MemoryConfig,
    pub tls: TlsConfig,
    pub auth: AuthConfig,
    pub roles: BTreeMap<String, RoleConfig>,
    /// The roles of which one is needed to see events of a type.
    pub event_types: BTreeMap<String, Vec<String>>,
    /// Where each was written.
    pub places: Places,
}

impl Default for Config {
    fn default() -> Self {
        Self::of(PROTOCOLS)
    }
}

impl Config {
    /// The defaults, where these protocols are spoken.
    #[must_use]
    pub fn of(protocols: &[&'static Protocol]) -> Self {
        let mut config = Self::blank(protocols);
        for key in known::every(protocols) {
            let set = parse::set(&mut config, key.name(), key.default(), &Origin::Default);
            set.expect("a test has set each default");
        }
        config
    }

    /// The defaults, and what a file says otherwise.
    ///
    /// # Errors
    /// If the file cannot be read, is not TOML, or sets something that cannot be.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text =
            fs::read_to_string(path).map_err(|error| ConfigError::unreadable(path, error))?;
        Self::parse(&text, path)
    }

    /// The defaults, and what a file's text says otherwise.
    ///
    /// # Errors
    /// If it is not TOML, or sets something that cannot be.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        parse::set_all(&mut config, text, path)?;
        Ok(config)
    }

    /// Sets one key from the command line; text needs no quotes there.
    ///
    /// # Errors
    /// If there is no such key, or it cannot have that value.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), ConfigError> {
        parse::set_word(self, key, value)
    }

    /// Whether something comes before a connection is one of the server's: a handshake, or the header of a proxy.
    #[must_use]
    pub fn has_handshakes(&self) -> bool {
        self.tls.is_on() || !self.proxy_listeners.is_empty()
    }

    /// Topics whose history is to be kept on disk, as the command line says it; all of its bounds are the usual ones.
    pub fn keep_durable(&mut self, topics: Vec<String>) {
        let key = format!("history.durable[{}]", self.history.durable.len());
        let text = toml::Value::from(topics.clone()).to_string();
        self.places.note(&format!("{key}.topics"), Origin::CommandLine, &text);
        self.places.note(&key, Origin::CommandLine, "");
        self.history.durable.push(DurableConfig { topics, ..DurableConfig::default() });
    }

    /// Whether something is to outlast a restart: durable topics, or at least what is revoked, where somebody may and a folder is named.
    #[must_use]
    pub fn has_store(&self) -> bool {
        let may_revoke = !self.auth.admin_secret_file.is_empty();
        !self.history.durable.is_empty()
            || (may_revoke && self.places.of("data_dir") != Origin::Default)
    }

    /// What is set of those protocols that may have a listener of their own.
    pub fn guests(&self) -> impl Iterator<Item = (&'static str, &ViewConfig)> {
        let guests = self.dialects.iter().filter(|dialect| dialect.protocol.guest.is_some());
        guests.map(|dialect| (dialect.protocol.key, &dialect.view))
    }

    /// The protocols that are spoken.
    fn protocols(&self) -> Vec<&'static Protocol> {
        self.dialects.iter().map(|dialect| dialect.protocol).collect()
    }

    /// Every field, for the defaults to be written over.
    fn blank(protocols: &[&'static Protocol]) -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            shards: 0,
            driver: DriverChoice::Auto,
            pin: false,
            fd_tables: FdTables::Auto,
            trusted_proxies: Vec::new(),
            proxy_field: String::new(),
            proxy_listeners: Vec::new(),
            connections_max: 0,
            topics_max: 0,
            message_bytes_max: 0,
            subscriptions_max: 0,
            topic_bytes_max: 0,
            filter_bytes_max: 0,
            outbox_bytes_max: 0,
            outboxes_bytes_max: 0,
            send_buffer_bytes: 0,
            peer_timeout_s: 0,
            deflate: false,
            echo: false,
            log: String::new(),
            log_format: String::new(),
            ping_after_s: 0,
            request_timeout_s: 0,
            upload_bytes_per_s_min: 0,
            close_timeout_s: 0,
            drain_timeout_s: 0,
            return_spread_s: 0,
            elsewhere: ElsewhereConfig::default(),
            data_dir: String::new(),
            history: HistoryConfig::default(),
            tables: TablesConfig::default(),
            hooks: HooksConfig::default(),
            sources: Vec::new(),
            dialects: protocols.iter().map(DialectConfig::blank).collect(),
            own: OwnConfig::default(),
            memory: MemoryConfig::default(),
            tls: TlsConfig::default(),
            auth: AuthConfig::default(),
            roles: BTreeMap::new(),
            event_types: BTreeMap::new(),
            places: Places::default(),
        }
    }
}
