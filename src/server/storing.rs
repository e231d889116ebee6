//! From the configuration to the store: the folder is locked and opened before anything is accepted, and the store's thread outlives the shards.
//!
//! Invariants: a folder that somebody has, that is of a later format or that cannot be read stops the start, with the key that names it; what a pattern says wrong, too. When the disk
//! fails in a way after which nobody knows what lies on it the process ends at once, with one line and a code of its own.

use std::fmt::Display;
use std::fs;
use std::io;
use std::io::Read as _;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::OnceLock;
use std::thread::JoinHandle;
use std::time::Duration;

use super::error::StartError;
use super::memory::Part;
use super::memory::Sizes;
use super::positions;
use super::positions::Pasts;
use super::written;
use super::written::unusable;
use crate::admin::Board;
use crate::auth::Revoke;
use crate::clock::Clock;
use crate::config::Config;
use crate::config::ConfigError;
use crate::config::DurableConfig;
use crate::config::SyncConfig;
use crate::conn::Doorbell;
use crate::conn::Party;
use crate::event::Homes;
use crate::event::TopicPattern;
use crate::history::asks::Restored;
use crate::history::keeper::Figures;
use crate::history::keeper::Keeper;
use crate::history::keeper::Opened;
use crate::history::keeper::Setup;
use crate::history::keeper::StoredClass;
use crate::history::keeper::SyncPolicy;
use crate::history::log::FolderError;
use crate::history::log::LEDGER_NAMES;
use crate::history::log::LedgerBounds;
use crate::history::log::Limits;
use crate::history::log::Note;
use crate::limits::LEDGER_BYTES_MAX;
use crate::limits::LOG_KEYS_BYTES_MAX;
use crate::limits::STORE_SESSIONS_SHARE;
use crate::shard::Mesh;
use crate::shard::Settings;
use crate::store::Files;
use crate::store::Lock;
use crate::store::StoreParty;
use crate::store::Watcher;
use crate::store::boot_id;

/// The exit code when the disk has failed: a supervisor is to start the server again, on what is there (`EX_IOERR`).
pub const DISK_FAILED_CODE: i32 = 74;
/// The key of the folder.
const DATA_DIR: &str = "data_dir";

/// What the shards go on from.
#[derive(Debug)]
pub(super) struct Past {
    /// Of each shard's home.
    pub(super) restored: Vec<Restored>,
    /// The epoch of the offsets of durable topics.
    pub(super) epoch: String,
    /// Of each source.
    pub(super) sources: Pasts,
}

/// A store that is open, and has no thread yet.
struct OpenStore {
    keeper: Keeper<Files>,
    lock: Lock,
    past: Past,
}

/// Which topics are durable, if anything is kept: none of them, if that is only what was revoked. `None`: nothing is kept.
pub(super) fn durable_topics(config: &Config) -> Result<Option<Arc<[TopicPattern]>>, ConfigError> {
    let classes = classes(config)?;
    let topics: Arc<[TopicPattern]> =
        classes.iter().flat_map(|class| class.patterns.iter().cloned()).collect();
    if !config.has_store() {
        say_nothing_is_kept(config);
        return Ok(None);
    }
    Ok(Some(topics))
}

/// Nothing outlasts a restart: whoever may revoke has to know, and more so if a former server kept it.
fn say_nothing_is_kept(config: &Config) {
    let folder = Path::new(&config.data_dir);
    let kept = LEDGER_NAMES.iter().find(|name| folder.join(name).exists());
    if let Some(name) = kept {
        tracing::warn!(
            "what was revoked lies in {}, and is not looked at: set `data_dir` to have it hold",
            folder.join(name).display()
        );
    } else if !config.auth.admin_secret_file.is_empty() {
        tracing::info!("what is revoked is forgotten at the next start: set `data_dir` to keep it");
    }
}

/// Opens the folder.
fn open(
    config: &Config,
    topics: &Arc<[TopicPattern]>,
    (shard_count, sizes, settings): (u16, &Sizes, &Settings),
    (now_s, patience): (u64, Duration),
) -> Result<OpenStore, StartError> {
    let classes = classes(config)?;
    let folder = Path::new(&config.data_dir);
    let unusable = |error: &dyn Display| {
        unusable(config, DATA_DIR, format_args!("{}: {error}", folder.display()))
    };
    fs::create_dir_all(folder).map_err(|error| StartError::Store(unusable(&error)))?;
    let lock = Lock::take_within(folder, "fanwire serve", patience)
        .map_err(|error| StartError::Store(unusable(&error)))?;
    let bytes = usize::try_from(sizes.of(Part::Store)).unwrap_or(usize::MAX);
    let ledger_share = if classes.is_empty() { 2 } else { 8 };
    let ledger_bytes = (bytes / ledger_share).min(LEDGER_BYTES_MAX);
    let sessions_bytes = sizes.of(Part::Sessions);
    let table_bytes = bytes / STORE_SESSIONS_SHARE;
    let last_bytes = sizes.of(Part::Last) / (2 * u64::from(shard_count));
    let shelves_bytes = bytes / 2 - ledger_bytes - if classes.is_empty() { 0 } else { table_bytes };
    let setup = Setup {
        classes,
        homes: Homes::new(shard_count, Arc::clone(topics)),
        boot: boot_id(),
        random: random().map_err(|error| StartError::Store(unusable(&error)))?,
        shelves_bytes_max: shelves_bytes,
        keys_bytes_max: (bytes / 4).min(LOG_KEYS_BYTES_MAX),
        carried_bytes_max: bytes / 4,
        last_bytes_max: usize::try_from(last_bytes).unwrap_or(usize::MAX),
        ledger: LedgerBounds {
            bytes_max: ledger_bytes,
            kept_s: settings.access.revocation_kept_s(),
        },
        sessions_bytes_max: (sessions_bytes, table_bytes),
        now_s,
    };
    let opened = Keeper::open(Files::at(folder), setup);
    let (mut keeper, mut opened) = opened.map_err(|error| match error {
        // A folder that is not ours to touch is the operator's affair; a disk that fails is the machine's.
        FolderError::Disk(_) => StartError::Store(unusable(&error)),
        _ => StartError::Config(unusable(&error)),
    })?;
    let revoked = keeper.remembered().filter(is_revocation).count();
    let revocations_max = settings.memory.revocations_max();
    if revoked > revocations_max {
        let reason = format!(
            "{revoked} revocations are kept in {}, and there is room for {revocations_max}",
            folder.display()
        );
        return Err(written::unusable(config, "memory.tables_bytes_max", reason).into());
    }
    let epoch = format!("{:x}", keeper.epoch());
    let about = (topics, now_s.saturating_mul(1_000_000));
    let sources = positions::pasts(config, &mut keeper, &mut opened.restored, about)
        .map_err(|error| StartError::Store(unusable(&error)))?;
    let restored = tell(folder, opened);
    Ok(OpenStore { keeper, lock, past: Past { restored, epoch, sources } })
}

/// Whether shards have to remember it one by one.
fn is_revocation(note: &Note) -> bool {
    let what = Revoke::of_note(&note.name, note.value);
    what.is_some_and(|what| !matches!(what, Revoke::IssuedUntil { .. }))
}

fn classes(config: &Config) -> Result<Vec<StoredClass>, ConfigError> {
    let durable = config.history.durable.iter().enumerate();
    durable.map(|(index, said)| class(config, index, said)).collect()
}

fn class(config: &Config, index: usize, said: &DurableConfig) -> Result<StoredClass, ConfigError> {
    let key = format!("history.durable[{index}].topics");
    let pattern = |text: &String| {
        TopicPattern::new(text)
            .map_err(|error| unusable(config, &key, format_args!("`{text}`: {error}")))
    };
    let patterns = said.topics.iter().map(pattern).collect::<Result<_, _>>()?;
    let twin = config.history.durable[..index].iter().any(|other| other.topics == said.topics);
    if twin {
        return Err(unusable(config, &key, "a table before it names the same topics"));
    }
    let bound = |most: u64| if most == 0 { u64::MAX } else { most };
    Ok(StoredClass {
        topics: said.topics.clone(),
        patterns,
        limits: Limits {
            bytes_max: bound(said.bytes_max),
            age_us_max: bound(said.age_s_max.saturating_mul(1_000_000)),
            topic_events_max: bound(said.topic_events_max),
            ..Limits::default()
        },
        sync: match said.sync {
            SyncConfig::Always => SyncPolicy::Always,
            SyncConfig::Every { ms } => SyncPolicy::Every { us: ms * 1000 },
            SyncConfig::Off => SyncPolicy::Off,
        },
    })
}

/// Says what was found.
fn tell(folder: &Path, opened: Opened) -> Vec<Restored> {
    if opened.is_ledger_alone {
        tracing::info!(folder = %folder.display(), "what is revoked is kept on disk, and no topic is durable");
        return opened.restored;
    }
    let topics: usize = opened.restored.iter().map(|restored| restored.topics.len()).sum();
    tracing::info!(
        folder = %folder.display(),
        events = opened.events,
        topics,
        segments = opened.segments,
        unindexed = opened.unindexed,
        "history is kept on disk"
    );
    if opened.lost_power {
        tracing::warn!(
            "the machine lost power: what was not synced may be gone, and offsets of durable topics go on further behind"
        );
    }
    if opened.torn_bytes > 0 {
        tracing::warn!(
            bytes = opened.torn_bytes,
            "the end of what was written last was torn, and is cut off"
        );
    }
    if opened.corrupt > 0 {
        tracing::error!(
            events = opened.corrupt,
            "some of what is kept cannot be read any more: `fanwire history verify` says what"
        );
    }
    if opened.mended > 0 {
        tracing::warn!(
            blocks = opened.mended,
            "blocks have a rotten head or summary, and lose nothing by it: the disk may be failing"
        );
    }
    if let Some(fault) = opened.sessions_fault {
        tracing::warn!(
            "no session of before is gone on with: {fault}; their clients hear Session Present 0"
        );
    } else if opened.sessions > 0 {
        tracing::info!(sessions = opened.sessions, "sessions of MQTT clients are gone on with");
    }
    if let Some(before) = opened.shards_before {
        tracing::info!(before, "the folder was written with another number of shards");
    }
    opened.restored
}

/// A number that nobody knows beforehand.
fn random() -> io::Result<u64> {
    let mut bytes = [0; 8];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

/// The store's thread. Stops when dropped, after what it was told is kept.
#[derive(Debug)]
pub(super) struct Storing {
    doorbell: Arc<Doorbell>,
    thread: Option<JoinHandle<()>>,
}

/// Where a store has its place: in the mesh, in the memory, and where it is looked at.
pub(super) struct StorePlace<'a, M> {
    pub(super) party: Party<M>,
    pub(super) shard_count: u16,
    pub(super) sizes: &'a Sizes,
    pub(super) settings: &'a Settings,
    pub(super) board: &'a Arc<Board>,
    pub(super) clock: Clock,
}

/// Leaves what a store has counted where metrics and readiness are asked for.
struct OnBoard(Arc<Board>);

impl Watcher for OnBoard {
    fn note(&mut self, figures: &Figures) {
        self.0.note_store(figures);
    }
}

impl Storing {
    /// Opens the folder and begins; `past` is told what the shards go on from.
    pub(super) fn start(
        config: &Config,
        topics: &Arc<[TopicPattern]>,
        (past, patience): (&OnceLock<Past>, Duration),
        place: StorePlace<'_, Mesh>,
    ) -> Result<Self, StartError> {
        let StorePlace { party, shard_count, sizes, settings, board, clock } = place;
        let now_s = clock.now().wall_us / 1_000_000;
        let store = open(config, topics, (shard_count, sizes, settings), (now_s, patience))?;
        let OpenStore { keeper, lock, past: found } = store;
        past.set(found).expect("a server has one store");
        let watcher = OnBoard(Arc::clone(board));
        let party = StoreParty::new(party, (keeper, lock), clock, watcher);
        let doorbell = party.doorbell();
        let thread = std::thread::Builder::new().name("store".to_owned());
        let thread = thread.spawn(move || {
            if let Err(error) = party.run() {
                end_process(&error);
            }
        });
        let thread = thread.map_err(StartError::Thread)?;
        Ok(Self { doorbell, thread: Some(thread) })
    }
}

impl Drop for Storing {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        self.doorbell.ring_to_stop();
        if thread.join().is_err() {
            // What it had answered as stored is; what it did not finish nobody was told of.
            end_process(&"its thread has panicked");
        }
    }
}

/// Nothing can be kept any more, and what was not synced may be gone though it is read back: whoever starts anew reads what is there.
#[expect(
    clippy::exit,
    reason = "as a shard that panics ends the process, so does a disk that fails: nobody is to be told what is not so"
)]
fn end_process(error: &dyn Display) -> ! {
    // If standard error is closed nobody is there to be told.
    drop(writeln!(
        io::stderr(),
        "fanwire: the store has failed and nothing more can be kept: {error}; start the server again to go on from what is there"
    ));
    std::process::exit(DISK_FAILED_CODE)
}
