//! A data folder: its manifest, and the log of each class in it.
//!
//! Invariants: whoever writes has seen to it that nobody else does (the lock is the disk's affair); a folder of a newer format, or without a manifest that can be read, is
//! not touched. The manifest lies there twice, and either is enough. Offsets that are left out are in it before anything is written behind them.

use super::carried;
use super::carried::Carried;
use super::class::Log;
use super::class::Opening;
use super::disk::Disk;
use super::disk::DiskError;
use super::disk::read_small;
use super::disk::replace;
use super::ledger::Ledger;
use super::ledger::LedgerBounds;
use super::ledger::LedgerError;
use super::ledger::LedgerFault;
use super::ledger::LedgerFound;
use super::ledger::read_ledger;
use super::manifest::Class;
use super::manifest::MANIFEST_BYTES_MAX;
use super::manifest::Manifest;
use super::manifest::ManifestError;
use super::recover::Recovered;
use super::recover::Recovery;
use super::retention::Limits;

/// The manifest, and its copy.
const MANIFESTS: [&str; 2] = ["manifest", "manifest.copy"];

/// Why a folder cannot be opened.
#[derive(Debug)]
pub enum FolderError {
    /// There is no history in it.
    Absent,
    Manifest(ManifestError),
    Ledger(LedgerFault),
    Disk(DiskError),
}

impl std::fmt::Display for FolderError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Absent => f.write_str("there is no history in it"),
            Self::Manifest(error) => write!(f, "{error}"),
            Self::Ledger(error) => write!(f, "{error}"),
            Self::Disk(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for FolderError {}

impl From<DiskError> for FolderError {
    fn from(error: DiskError) -> Self {
        Self::Disk(error)
    }
}

impl From<LedgerError> for FolderError {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Fault(fault) => Self::Ledger(fault),
            LedgerError::Disk(error) => Self::Disk(error),
        }
    }
}

/// What whoever opens a folder brings along.
#[derive(Clone, Debug)]
pub struct Made {
    /// The machine's boot; empty: not known, and then every stop without order is taken for a loss of power.
    pub boot: String,
    pub shards: u16,
    /// A random number, for a folder that is new.
    pub random: u64,
    /// Bytes that may be taken to know which event of each key is its newest, in each class; 0: nobody asks for that.
    pub keys_bytes_max: usize,
    /// Bytes of last events that outlive their segments, in each class.
    pub carried_bytes_max: usize,
}

/// A folder that is open for writing.
#[derive(Debug)]
pub struct Folder<F> {
    pub manifest: Manifest,
    pub logs: Vec<Log<F>>,
    /// What was found of each class that was there.
    pub found: Vec<Recovered>,
    /// The machine lost power since it was last open, as far as one can tell.
    pub lost_power: bool,
}

impl<F: std::fmt::Debug> Folder<F> {
    /// Opens a folder to go on writing in it, and makes it if there is nothing. `classes`: their topics, each with what is kept; what is there beside
    /// them stays as it is.
    ///
    /// # Errors
    /// The folder is not ours to touch, or the disk fails.
    pub fn open<D: Disk<File = F>>(
        disk: &mut D,
        made: &Made,
        classes: &[(Vec<String>, Limits)],
    ) -> Result<Self, FolderError> {
        let mut manifest = match read_manifest(disk) {
            Ok(manifest) => manifest,
            Err(FolderError::Absent) => new_manifest(made),
            Err(error) => return Err(error),
        };
        let lost_power = !manifest.is_clean && (manifest.boot != made.boot || made.boot.is_empty());
        for (topics, _) in classes {
            if !manifest.classes.iter().any(|class| class.topics == *topics) {
                let newest = manifest.classes.iter().map(|class| class.id).max().unwrap_or(0);
                let class = Class { id: newest + 1, topics: topics.clone(), skips: Vec::new() };
                manifest.classes.push(class);
            }
        }
        let (mut logs, mut found) = (Vec::new(), Vec::new());
        for class in &mut manifest.classes {
            let limits = classes.iter().find(|(topics, _)| *topics == class.topics);
            let opening = Opening {
                folder: class.id.to_string(),
                salt: manifest.salt,
                limits: limits.map_or_else(Limits::default, |(_, limits)| *limits),
                skips: class.skips.clone(),
                lost_power,
                keys_bytes_max: made.keys_bytes_max,
                carried_bytes_max: made.carried_bytes_max,
            };
            let (log, recovered) = Log::open(disk, opening)?;
            class.skips = log.skips().to_vec();
            logs.push(log);
            found.push(recovered);
        }
        manifest.is_clean = false;
        manifest.boot.clone_from(&made.boot);
        manifest.shards = made.shards;
        write_manifest(disk, &manifest)?;
        Ok(Self { manifest, logs, found, lost_power })
    }

    /// Takes a folder only for what lies beside its logs, which stay as they are, however they were left; makes it if there is nothing.
    ///
    /// # Errors
    /// The folder is not ours to touch, or the disk fails.
    pub fn without_logs<D: Disk<File = F>>(disk: &mut D, made: &Made) -> Result<Self, FolderError> {
        let manifest = match read_manifest(disk) {
            Ok(manifest) => manifest,
            Err(FolderError::Absent) => {
                let manifest = new_manifest(made);
                write_manifest(disk, &manifest)?;
                manifest
            }
            Err(error) => return Err(error),
        };
        Ok(Self { manifest, logs: Vec::new(), found: Vec::new(), lost_power: false })
    }

    /// Syncs everything and leaves it in order.
    ///
    /// # Errors
    /// What the disk says; then the next start finds a folder that was not left in order.
    pub fn close<D: Disk<File = F>>(mut self, disk: &mut D) -> Result<(), DiskError> {
        for log in self.logs {
            log.close(disk)?;
        }
        self.manifest.is_clean = true;
        write_manifest(disk, &self.manifest)
    }
}

/// Mends what can be mended of a folder at rest: the manifest from its copy, torn ends, missing indexes. If newest offsets of topics are lost, the folder
/// gets a new epoch, so that no position of the old one is taken for one of the new; answers whether it did.
///
/// # Errors
/// There is no history, its manifest is rotten in both copies, or the disk fails.
pub fn repair<D: Disk>(disk: &mut D, made: &Made) -> Result<bool, FolderError> {
    let survey = survey(disk, false)?;
    let mut manifest = survey.manifest;
    let mut is_new = false;
    for (class, _, mut carried) in survey.classes {
        if carried.is_short {
            manifest.epoch ^= made.random | 1;
            is_new = true;
        }
        if !carried.rotten.is_empty() {
            let (folder, bytes_max) = (class.id.to_string(), made.carried_bytes_max);
            carried::write(disk, &folder, manifest.salt, (&mut carried, bytes_max))?;
        }
    }
    write_manifest(disk, &manifest)?;
    // Nothing of it is over for a tool: how long it is remembered the server knows.
    Ledger::open(disk, manifest.salt, LedgerBounds::FOREVER, 0)?;
    Folder::open(disk, made, &[])?.close(disk)?;
    Ok(is_new)
}

fn new_manifest(made: &Made) -> Manifest {
    let salt = u32::try_from(made.random >> 32).expect("32 bits are left");
    Manifest {
        epoch: made.random.rotate_left(17) ^ 0x9e37_79b9_7f4a_7c15,
        salt,
        boot: made.boot.clone(),
        shards: made.shards,
        is_clean: true,
        classes: Vec::new(),
    }
}

/// How a folder was left, and what there is to its ledger; `None`: there is no history in it. Reads no events, and changes nothing.
///
/// # Errors
/// Why a server would not open it.
pub fn glance<D: Disk>(disk: &mut D) -> Result<Option<Manifest>, FolderError> {
    let manifest = match read_manifest(disk) {
        Ok(manifest) => manifest,
        Err(FolderError::Absent) => return Ok(None),
        Err(error) => return Err(error),
    };
    read_ledger(disk, manifest.salt)?;
    Ok(Some(manifest))
}

/// How many shards whoever wrote last in a folder had; `None`: it is new.
///
/// # Errors
/// As [`Folder::open`].
pub fn shards_of<D: Disk>(disk: &mut D) -> Result<Option<u16>, FolderError> {
    match read_manifest(disk) {
        Ok(manifest) => Ok(Some(manifest.shards)),
        Err(FolderError::Absent) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The folder's manifest, or its copy.
///
/// # Errors
/// There is none, or none that can be read.
pub(super) fn read_manifest<D: Disk>(disk: &mut D) -> Result<Manifest, FolderError> {
    let mut error = FolderError::Absent;
    for name in MANIFESTS {
        let Some(bytes) = read_small(disk, ("", name), MANIFEST_BYTES_MAX)? else { continue };
        match Manifest::parse(&bytes) {
            Ok(manifest) => return Ok(manifest),
            // A copy that is older is of no use to a folder that is newer.
            Err(newer @ ManifestError::Newer { .. }) => return Err(FolderError::Manifest(newer)),
            Err(rotten) => error = FolderError::Manifest(rotten),
        }
    }
    Err(error)
}

pub(super) fn write_manifest<D: Disk>(disk: &mut D, manifest: &Manifest) -> Result<(), DiskError> {
    let text = manifest.to_text();
    for name in MANIFESTS {
        replace(disk, ("", name), text.as_bytes())?;
    }
    Ok(())
}

/// What a folder holds, found without changing anything.
#[derive(Debug)]
pub struct Survey {
    pub manifest: Manifest,
    /// Of each class what was found, and what outlived its segments.
    pub classes: Vec<(Class, Recovered, Carried)>,
    pub ledger: Result<LedgerFound, LedgerFault>,
}

/// Looks through a folder. `by_index`: index files are believed; else every block of every segment is read.
///
/// # Errors
/// There is no history, it cannot be read, or the disk fails.
pub fn survey<D: Disk>(disk: &mut D, by_index: bool) -> Result<Survey, FolderError> {
    let manifest = read_manifest(disk)?;
    let mut classes = Vec::new();
    for class in &manifest.classes {
        let folder = class.id.to_string();
        let carried = carried::read(disk, &folder, manifest.salt)?;
        let recovery =
            Recovery { disk, folder: &folder, salt: manifest.salt, by_index, keys_bytes_max: 0 };
        let found = match recovery.run(&carried) {
            // It was about to be made.
            Err(DiskError::Missing) => Recovered::default(),
            found => found?,
        };
        classes.push((class.clone(), found, carried));
    }
    let ledger = match read_ledger(disk, manifest.salt) {
        Ok(found) => Ok(found),
        Err(LedgerError::Fault(fault)) => Err(fault),
        Err(LedgerError::Disk(error)) => return Err(error.into()),
    };
    Ok(Survey { manifest, classes, ledger })
}
