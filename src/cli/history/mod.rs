//! `fanwire history`: what is in a data folder, whether it is sound, and its events out and in. For folders at rest.
//!
//! Invariants: a folder that somebody uses is not touched. `info`, `verify` and `export` change nothing; results go to standard output, what is wrong to standard
//! error. Exit codes: 0 it is sound or done; 1 something is lost or failed; 2 it is no history, or the wrong question.

mod export;
mod import;
mod meta;
mod report;

use std::fmt;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::clock::Clock;
use crate::history::log;
use crate::history::log::FolderError;
use crate::history::log::Made;
use crate::limits::LOG_CARRIED_BYTES_MAX;
use crate::limits::LOG_KEYS_BYTES_MAX;
use crate::store::Files;
use crate::store::Lock;
use crate::store::LockError;
use crate::store::boot_id;

use export::ExportArgs;
use import::ImportArgs;

/// Looks into a data folder at rest.
#[derive(Debug, clap::Args)]
pub struct HistoryArgs {
    #[command(subcommand)]
    command: HistoryCommand,
}

#[derive(Debug, clap::Subcommand)]
enum HistoryCommand {
    /// Say what is in a folder: classes, segments, topics, and how it was left.
    Info(FolderArgs),
    /// Read every block of every segment and say what is lost, if anything is.
    Verify(FolderArgs),
    /// Restore the manifest from its copy, cut torn ends, write missing indexes.
    Repair(FolderArgs),
    /// Print a folder's events as NDJSON.
    Export(ExportArgs),
    /// Write events from NDJSON into a folder.
    Import(ImportArgs),
}

#[derive(Debug, clap::Args)]
struct FolderArgs {
    /// The data folder
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

/// Why a command did not come to its end.
#[derive(Debug)]
enum HistoryError {
    /// The data folder is not there, or is no folder.
    NoFolder(io::Error),
    Lock(LockError),
    Folder(FolderError),
    /// Something was wrong with a line of what was to be imported.
    Line {
        number: u64,
        fault: import::Fault,
    },
    /// Standard input or output, or a file named, failed.
    Stream(io::Error),
}

impl fmt::Display for HistoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFolder(error) | Self::Stream(error) => write!(f, "{error}"),
            Self::Lock(error) => write!(f, "{error}"),
            Self::Folder(error) => write!(f, "{error}"),
            Self::Line { number, fault } => write!(f, "line {number}: {fault}"),
        }
    }
}

impl From<FolderError> for HistoryError {
    fn from(error: FolderError) -> Self {
        Self::Folder(error)
    }
}

impl From<log::DiskError> for HistoryError {
    fn from(error: log::DiskError) -> Self {
        Self::Folder(FolderError::Disk(error))
    }
}

impl HistoryError {
    const fn code(&self) -> u8 {
        match self {
            Self::NoFolder(_)
            | Self::Line { .. }
            | Self::Folder(FolderError::Absent | FolderError::Manifest(_)) => 2,
            _ => 1,
        }
    }
}

/// Does what was asked.
pub(super) fn run(arguments: &HistoryArgs) -> ExitCode {
    let (folder, outcome) = match &arguments.command {
        HistoryCommand::Info(args) => (&args.folder, report::info(&args.folder)),
        HistoryCommand::Verify(args) => (&args.folder, report::verify(&args.folder)),
        HistoryCommand::Repair(args) => (&args.folder, repair(&args.folder)),
        HistoryCommand::Export(args) => (&args.folder, export::run(args)),
        HistoryCommand::Import(args) => (&args.folder, import::run(args)),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            super::say(&format!("fanwire: {}: {error}", folder.display()));
            ExitCode::from(error.code())
        }
    }
}

/// A folder that is there, and ours while the lock lasts.
fn open(folder: &Path) -> Result<(Files, Lock), HistoryError> {
    let found = std::fs::metadata(folder).map_err(HistoryError::NoFolder)?;
    if !found.is_dir() {
        return Err(HistoryError::NoFolder(io::Error::from(io::ErrorKind::NotADirectory)));
    }
    let lock = Lock::take(folder, "fanwire history").map_err(HistoryError::Lock)?;
    Ok((Files::at(folder), lock))
}

fn made() -> Result<Made, HistoryError> {
    let mut random = [0; 8];
    aws_lc_rs::rand::fill(&mut random)
        .map_err(|_| HistoryError::Stream(io::Error::other("no random numbers to be had")))?;
    Ok(Made {
        boot: boot_id(),
        shards: 1,
        random: u64::from_le_bytes(random),
        keys_bytes_max: LOG_KEYS_BYTES_MAX,
        carried_bytes_max: LOG_CARRIED_BYTES_MAX,
    })
}

fn repair(folder: &Path) -> Result<bool, HistoryError> {
    let (mut files, lock) = open(folder)?;
    let is_new = log::repair(&mut files, &made()?)?;
    if is_new {
        super::say(
            "newest offsets were lost: the folder has a new epoch, and positions of the old one are answered with a gap",
        );
    }
    drop(lock);
    report::verify(folder)
}

/// Now, in microseconds since 1970.
fn now_us() -> u64 {
    Clock::start().now().wall_us
}
