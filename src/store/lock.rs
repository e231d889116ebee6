//! Whose a data folder is: one process at a time, and whoever comes second is told who was first.
//!
//! Invariant: the lock is the kernel's (`flock`), so that it ends with its process, however that ends; what stands in the file is only for people. Of
//! a folder on which nothing can be written the lock file is opened for reading, which locks as well.

use std::fmt;
use std::fs::File;
use std::fs::TryLockError;
use std::io;
use std::io::Read;
use std::io::Seek;
use std::io::SeekFrom;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// The file's name.
const LOCK_NAME: &str = "lock";
/// Bytes that are read of who holds it.
const HOLDER_BYTES_MAX: u64 = 200;

/// A folder is ours until this is dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Why a folder is not ours.
#[derive(Debug)]
pub enum LockError {
    /// Somebody has it; as they put it.
    Held(String),
    Failed(io::Error),
}

impl fmt::Display for LockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held(holder) => write!(f, "it is in use by {holder}"),
            Self::Failed(error) => write!(f, "cannot lock it: {error}"),
        }
    }
}

impl std::error::Error for LockError {}

/// How often a lock that somebody has is tried again.
const LOCK_RETRY: Duration = Duration::from_millis(20);

impl Lock {
    /// As `take`, and waits so long for somebody who is about to let go of it.
    ///
    /// # Errors
    /// As `take`.
    pub fn take_within(folder: &Path, what: &str, patience: Duration) -> Result<Self, LockError> {
        let mut left = patience;
        loop {
            match Self::take(folder, what) {
                Err(LockError::Held(_)) if !left.is_zero() => {
                    std::thread::park_timeout(LOCK_RETRY.min(left));
                    left = left.saturating_sub(LOCK_RETRY);
                }
                taken => return taken,
            }
        }
    }

    /// Who has a folder, as they put it; `None`: nobody. Changes nothing.
    ///
    /// # Errors
    /// The lock cannot be seen.
    pub fn holder(folder: &Path) -> io::Result<Option<String>> {
        let mut file = match File::open(folder.join(LOCK_NAME)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(None),
            Err(TryLockError::WouldBlock) => Ok(Some(holder(&mut file))),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Takes a folder, and leaves word who has it.
    ///
    /// # Errors
    /// Somebody else has it, or it cannot be locked.
    pub fn take(folder: &Path, what: &str) -> Result<Self, LockError> {
        let path = folder.join(LOCK_NAME);
        let options =
            File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let (mut file, is_ours_to_write) = match options {
            Ok(file) => (file, true),
            Err(error) => match File::open(&path) {
                Ok(file) => (file, false),
                Err(_) => return Err(LockError::Failed(error)),
            },
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LockError::Held(holder(&mut file))),
            Err(TryLockError::Error(error)) => return Err(LockError::Failed(error)),
        }
        if is_ours_to_write {
            let said = format!("{what}, process {}\n", std::process::id());
            file.set_len(0).map_err(LockError::Failed)?;
            file.seek(SeekFrom::Start(0)).map_err(LockError::Failed)?;
            file.write_all(said.as_bytes()).map_err(LockError::Failed)?;
        }
        Ok(Self { _file: file })
    }
}

fn holder(file: &mut File) -> String {
    let mut said = String::new();
    match file.take(HOLDER_BYTES_MAX).read_to_string(&mut said) {
        Ok(_) if !said.trim().is_empty() => said.trim().to_owned(),
        _ => "a process that has not said who it is".to_owned(),
    }
}
